# SPDX-License-Identifier: Apache-2.0
"""Growth curves against R's lme4, statsmodels' MixedLM, and Gaussian conditioning written out."""

import pickle
import time as clock
import warnings

import numpy as np
import pandas as pd
import pytest
from gold import check
from regression_data import REGRESSION, visits
from statsmodels.regression.mixed_linear_model import MixedLM

import vesalius as vs
from vesalius.outcome import GrowthCurve


@pytest.mark.parametrize(
    "key, options", [("lmer_reml", {}), ("lmer_ml", {"method": "ml"}), ("lmer_intercept", {"random": "intercept"})]
)
def test_equals_lme4(key, options):
    """Oracle: R's lme4::lmer (bobyqa to 1e-12): fixed effects and covariance, variances, log-likelihood, each subject's effects."""
    X, y, subject = visits()
    m, gold = GrowthCurve(time="month", **options).fit(X, y, subject), REGRESSION[key]
    check("made visits", f"{key}/coef", np.r_[m.intercept_, m.coef_], gold["coef"])
    check("made visits", f"{key}/loglik", m.log_likelihood_, gold["loglik"], rel=1e-9)
    check("made visits", f"{key}/sigma", m.sigma_, gold["sigma"], rel=1e-5)
    check("made visits", f"{key}/random", m.random_covariance_, gold["random"], rel=1e-4)
    check("made visits", f"{key}/vcov", m.covariance_, gold["vcov"], rel=1e-5)
    check(
        "made visits",
        f"{key}/effects",
        m.effects_.to_numpy()[:5],
        np.array(gold["effects"]).reshape(60, -1)[:5],
        rel=1e-4,
        abs=1e-5,
    )
    np.testing.assert_allclose(m.effects_, np.array(gold["effects"]).reshape(60, -1), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(m._state["uncertainty"][0].ravel(), np.ravel(gold["condvar"]), rtol=1e-4)
    np.testing.assert_allclose(m.predict(X, subject)[:10], gold["fitted"], rtol=1e-6)


def test_equals_statsmodels():
    """Oracle: statsmodels' MixedLM, restricted likelihood; it stops early."""
    X, y, subject = visits()
    m = GrowthCurve(time="month").fit(X, y, subject)
    exog = np.column_stack([np.ones(len(y)), X])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer = MixedLM(y, exog, subject, exog_re=exog[:, :2]).fit(reml=True, method="lbfgs", gtol=1e-10)
    np.testing.assert_allclose(np.r_[m.intercept_, m.coef_], peer.fe_params, rtol=1e-4)
    np.testing.assert_allclose(m.random_covariance_, peer.cov_re, rtol=5e-3)
    assert m.log_likelihood_ == pytest.approx(peer.llf, abs=1e-4) and m.log_likelihood_ >= peer.llf - 1e-8
    np.testing.assert_allclose(m.summary()["se"], peer.bse_fe, rtol=1e-3)


def test_prediction_is_conditioning():
    """Oracle: the normal distribution of (a new visit, the visits seen) written out in full matrices, β with a flat prior: mean and error of
    a subject's curve, at new times; of a subject not seen."""
    X, y, subject = visits()
    m = GrowthCurve(time="month").fit(X, y, subject)
    Z = np.column_stack([np.ones(len(y)), X["month"]])
    same = subject[:, None] == subject[None, :]
    D, s2 = m.random_covariance_, m.sigma_**2
    V = np.where(same, Z @ D @ Z.T, 0) + s2 * np.eye(len(y))
    F = np.column_stack([np.ones(len(y)), X])
    Vi = np.linalg.inv(V)
    C = np.linalg.inv(F.T @ Vi @ F)
    beta = C @ F.T @ Vi @ y
    new = pd.DataFrame({"month": [14.0, 14.0, 2.0], "age": [61.0, 61.0, 70.0]})
    who = np.array([5, 999, 17])
    got = m.predict_interval(new, who)
    for i in range(3):
        z, f = np.array([1, new["month"][i]]), np.r_[1, new.iloc[i]]
        c = np.where(subject == who[i], Z @ D @ z, 0)
        mean = f @ beta + c @ Vi @ (y - F @ beta)
        a = f - F.T @ Vi @ c
        variance = z @ D @ z - c @ Vi @ c + a @ C @ a
        assert got["value"].iloc[i] == pytest.approx(mean, rel=1e-8)
        assert got["standard_error"].iloc[i] == pytest.approx(np.sqrt(variance), rel=1e-7)
    wide = m.predict_interval(new, who, of="observation", confidence=0.8)
    np.testing.assert_allclose(wide["standard_error"], np.sqrt(got["standard_error"] ** 2 + s2), rtol=1e-10)
    np.testing.assert_allclose(wide["upper"] - wide["value"], 1.2815515655 * wide["standard_error"], rtol=1e-8)
    np.testing.assert_allclose(m.predict(new), m.predict(new, [999, 999, 999]))


def test_intervals_cover():
    """Oracle: a simulation from the model: 95 % intervals of the next visit hold 95 % of them, of a subject's curve too."""
    rng = np.random.default_rng(0)
    n = 3000
    subject, t = np.repeat(np.arange(n), 4), np.tile([0.0, 1, 2, 3], n)
    b = rng.multivariate_normal([0, 0], [[9, 1], [1, 1]], n)
    curve = 20 + 2 * t + b[subject, 0] + b[subject, 1] * t
    m = GrowthCurve(time="t").fit(pd.DataFrame({"t": t}), curve + 2 * rng.normal(size=4 * n), subject)
    later = pd.DataFrame({"t": np.full(n, 5.0)})
    truth = 30 + b[:, 0] + 5 * b[:, 1]
    band, wide = m.predict_interval(later, np.arange(n)), m.predict_interval(later, np.arange(n), of="observation")
    assert 0.935 < ((band["lower"] < truth) & (truth < band["upper"])).mean() < 0.965
    seen = truth + 2 * rng.normal(size=n)
    assert 0.935 < ((wide["lower"] < seen) & (seen < wide["upper"])).mean() < 0.965
    fresh = m.predict_interval(later)
    assert fresh["standard_error"].iloc[0] == pytest.approx(np.sqrt(9 + 10 + 25), rel=0.1)
    # knowing a subject's visits helps
    assert np.mean((m.predict(later, np.arange(n)) - truth) ** 2) < 0.3 * np.mean((m.predict(later) - truth) ** 2)


def test_interactions_and_invariances():
    """Invariant: rows in any order, units of time, score and columns; interactions are the product columns by hand; pickle; names."""
    X, y, subject = visits()
    m = GrowthCurve(time="month").fit(X, y, subject)
    order = np.random.default_rng(0).permutation(len(y))
    turned = GrowthCurve(time="month").fit(X.iloc[order], y[order], subject[order])
    np.testing.assert_allclose(turned.predict(X, subject), m.predict(X, subject), rtol=1e-7)
    moved = pd.DataFrame({"month": X["month"] * 30.4 + 1e4, "age": X["age"] * 1e6})
    scaled = GrowthCurve(time="month").fit(moved, y * 1e-3 + 5, subject)
    np.testing.assert_allclose(scaled.predict(moved, subject), m.predict(X, subject) * 1e-3 + 5, rtol=1e-7)
    slope = GrowthCurve(time="month", interactions=True).fit(X, y, subject)
    by_hand = GrowthCurve(time="month").fit(X.assign(product=X["age"] * X["month"]), y, subject)
    np.testing.assert_allclose(slope.coef_, by_hand.coef_, rtol=1e-9)
    assert slope.summary().index.tolist() == ["(intercept)", "month", "age", "age:month"]
    named = np.array([f"P{s:03d}" for s in subject])
    strings = GrowthCurve(time="month").fit(X, y, named)
    np.testing.assert_allclose(strings.predict(X, named), m.predict(X, subject), rtol=1e-12)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(m)).predict(X, subject), m.predict(X, subject))


def test_no_variation_is_said():
    """Mechanics: subjects alike: a warning that says so, and nearly the linear regression."""
    rng = np.random.default_rng(4)
    t = np.tile(np.arange(6.0), 30)
    e = rng.normal(size=180).reshape(30, 6)
    y = 3 + t + (e - e.mean(axis=1, keepdims=True)).ravel()
    with pytest.warns(UserWarning, match="no full rank"):
        m = GrowthCurve(random="intercept").fit(t[:, None], y, np.repeat(np.arange(30), 6))
    assert m.random_covariance_[0, 0] < 1e-6
    np.testing.assert_allclose([m.coef_[0], m.intercept_], np.polyfit(t, y, 1), rtol=1e-6)


def test_bad_input():
    X, y, subject = visits()
    fit = GrowthCurve(time="month").fit
    with pytest.raises(vs.InvalidArgument, match="say subject="):
        fit(X, y)
    with pytest.raises(vs.InvalidArgument, match="random effects"):
        fit(X, y, np.arange(len(y)))
    with pytest.raises(vs.InvalidArgument, match="at least two subjects"):
        fit(X, y, np.ones(len(y)))
    with pytest.raises(vs.InvalidArgument, match="random intercept only"):
        fit(X[:6], y[:6], [1, 1, 2, 2, 3, 3])
    with pytest.raises(vs.InvalidArgument, match="constant"):
        fit(X.assign(one=1.0), y, subject)
    with pytest.raises(vs.InvalidArgument, match="collinear"):
        fit(X.assign(twice=2 * X["age"]), y, subject)
    with pytest.raises(vs.InvalidArgument, match="NaN"):
        fit(X.assign(gap=np.nan), y, subject)
    with pytest.raises(vs.InvalidArgument, match="y has 1 values"):
        fit(X, np.where(np.arange(len(y)) == 0, np.inf, y), subject)
    with pytest.raises(vs.InvalidArgument, match="missing labels"):
        fit(X, y, np.where(subject == 1, np.nan, subject))
    with pytest.raises(vs.InvalidArgument, match="y is constant"):
        fit(X, np.ones(len(y)), subject)
    with pytest.raises(vs.InvalidArgument, match="time names the column"):
        GrowthCurve(time="week").fit(X, y, subject)
    with pytest.raises(vs.ConvergenceError, match="raise max_iterations"):
        GrowthCurve(time="month", max_iterations=1).fit(X, y, subject)
    with pytest.raises(vs.InvalidArgument, match="random must be"):
        GrowthCurve(random="both").fit(X, y, subject)


def test_hundred_thousand_visits():
    """Mechanics: 100,000 visits of 20,000 subjects within two seconds of CPU."""
    rng = np.random.default_rng(0)
    subject, t = np.repeat(np.arange(20_000), 5), np.tile(np.arange(5.0), 20_000)
    y = 5 + t + rng.normal(size=20_000)[subject] + 0.5 * rng.normal(size=20_000)[subject] * t + rng.normal(size=100_000)
    start = clock.process_time()
    GrowthCurve().fit(t[:, None], y, subject)
    assert clock.process_time() - start < 3
