# SPDX-License-Identifier: Apache-2.0
"""Brier score and calibration."""

import numpy as np
import pytest
import statsmodels.api as sm
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss
from statsmodels.stats.proportion import proportion_confint

import vesalius as vs
from vesalius.outcome.metrics import brier_score, calibration


def data(n=400, seed=0):
    rng = np.random.default_rng(seed)
    eta = rng.normal(size=n) * 1.5 - 0.5
    return (rng.random(n) < 1 / (1 + np.exp(-0.6 * eta - 0.3))).astype(int), 1 / (1 + np.exp(-eta)), eta


def test_brier_equals_scikit_learn():
    """Oracle: sklearn.metrics.brier_score_loss; the interval of a mean; scaled 0 for the prevalence, 1 for the truth."""
    y, p, _ = data()
    b = brier_score(y, p)
    assert float(b) == pytest.approx(brier_score_loss(y, p))
    assert b.interval[1] - b.value == pytest.approx(1.959964 * np.std((y - p) ** 2, ddof=1) / 20, rel=1e-6)
    assert (
        brier_score(y, np.full(400, y.mean())).scaled == pytest.approx(0, abs=1e-12) and brier_score(y, y).scaled == 1
    )


def test_slope_and_intercept_equal_statsmodels():
    """Oracle: statsmodels: logistic regression on the log-odds; and with them as offset."""
    y, p, eta = data()
    c = calibration(y, p)
    slope = sm.Logit(y, sm.add_constant(eta)).fit(disp=0, tol=1e-12)
    large = sm.GLM(y, np.ones(400), family=sm.families.Binomial(), offset=eta).fit(tol=1e-13)
    assert c.slope == pytest.approx(slope.params[1], rel=1e-6) and c.slope_interval == pytest.approx(
        slope.conf_int()[1], rel=1e-6
    )
    assert c.intercept == pytest.approx(large.params[0], rel=1e-6) and c.intercept_interval == pytest.approx(
        large.conf_int()[0], rel=1e-5
    )


def test_curve_equals_scikit_learn():
    """Oracle: sklearn's calibration_curve by quantiles; Wilson's interval by statsmodels."""
    y, p, _ = data()
    curve = calibration(y, p, bins=8).curve
    observed, predicted = calibration_curve(y, p, n_bins=8, strategy="quantile")
    np.testing.assert_allclose(curve["observed"], observed)
    np.testing.assert_allclose(curve["predicted"], predicted)
    low, high = proportion_confint(curve["events"], curve["n"], method="wilson")
    np.testing.assert_allclose(curve[["lower", "upper"]], np.column_stack([low, high]), atol=1e-12)
    assert curve["n"].sum() == 400 and curve["events"].sum() == y.sum()


def test_edges():
    y = np.array([0, 0, 1, 1])
    with pytest.warns(UserWarning, match="no calibration slope.*separate"):
        assert np.isnan(calibration(y, [0.1, 0.2, 0.7, 0.8]).slope)
    with pytest.warns(UserWarning, match="constant"):
        c = calibration(y, np.full(4, 0.5))
    assert np.isnan(c.slope) and c.intercept == 0
    with pytest.warns(UserWarning, match="exactly 0 or 1"):
        calibration(np.r_[y, 0, 1], [0.1, 0.6, 0.4, 0.8, 0, 1])
    for bad_y, bad_p, message in [
        (y, [0.1, 0.2, 0.3, 1.2], "0 to 1"),
        ([1, 1, 1, 1], [0.1] * 4, "both"),
        (y, [0.1, 0.2, 0.3], "vector of 4"),
        (y, [np.nan] * 4, "NaN"),
    ]:
        with pytest.raises(vs.InvalidArgument, match=message):
            calibration(bad_y, bad_p)
