# SPDX-License-Identifier: Apache-2.0
"""ROC curve and AUC with DeLong's covariance."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn import metrics as peer

import vesalius as vs
from vesalius.outcome import metrics


def direct_delong(y, scores):
    """DeLong 1988, equations 2 to 6, over all pairs: O(n²)."""
    up, down = scores[:, y == 1], scores[:, y == 0]
    psi = (up[:, :, None] > down[:, None, :]) + 0.5 * (up[:, :, None] == down[:, None, :])
    m, n = up.shape[1], down.shape[1]
    return psi.mean(axis=(1, 2)), np.cov(psi.mean(axis=2)) / m + np.cov(psi.mean(axis=1)) / n


@settings(max_examples=50, deadline=None)
@given(st.integers(4, 80), st.integers(1, 12), st.integers(0, 10**6))
def test_delong_equals_the_direct_formula(n, levels, seed):
    """Oracle: DeLong's formula over all pairs, with many ties; scikit-learn's roc_auc_score."""
    rng = np.random.default_rng(seed)
    y = np.r_[1, 1, 0, 0, rng.integers(0, 2, n - 4)]
    scores = rng.integers(0, levels + 1, (2, n)).astype(float) - levels / 2
    auc, cov = direct_delong(y, scores)
    a = metrics.roc_auc(y, scores[0])
    assert a.value == pytest.approx(auc[0], abs=1e-12) == peer.roc_auc_score(y, scores[0])
    assert a.standard_error == pytest.approx(np.sqrt(cov[0, 0]), abs=1e-10)
    test = metrics.delong_test(y, scores[0], scores[1])
    se = np.sqrt(max(0, cov[0, 0] + cov[1, 1] - 2 * cov[0, 1]))
    assert test.standard_error == pytest.approx(se, abs=1e-8)
    if se > 1e-6:
        assert test.p == pytest.approx(2 * norm.sf(abs(auc[0] - auc[1]) / se), abs=1e-8)


def test_interval():
    """Oracle: value ± 1.96 se; the logit interval by the delta method. Invariant: negating the score mirrors both."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 100)
    score = y + rng.normal(size=100)
    a = metrics.roc_auc(y.astype(bool), score)
    assert a.interval == pytest.approx(
        (a.value - 1.959964 * a.standard_error, a.value + 1.959964 * a.standard_error), abs=1e-6
    )
    assert float(a) == a.value and a.positives == y.sum() and a.negatives == 100 - y.sum()
    logit = metrics.roc_auc(y, score, logit=True)
    assert np.log(logit.interval[1] / (1 - logit.interval[1])) - np.log(a.value / (1 - a.value)) == pytest.approx(
        1.959964 * a.standard_error / (a.value * (1 - a.value)), abs=1e-6
    )
    mirrored = metrics.roc_auc(y, -score)
    assert mirrored.interval == pytest.approx((1 - a.interval[1], 1 - a.interval[0]))
    assert metrics.roc_auc(y, score, confidence=0.8).interval[0] > a.interval[0]
    assert metrics.roc_auc(np.where(y, "m", "b"), score, pos_label="m").value == a.value


def test_curve_equals_scikit_learn():
    """Oracle: sklearn.metrics.roc_curve without dropping points; trapezium under it is the AUC."""
    rng = np.random.default_rng(1)
    y, score = rng.integers(0, 2, 200), rng.integers(0, 30, 200) / 7
    ours = metrics.roc_curve(y, score)
    fpr, tpr, thresholds = peer.roc_curve(y, score, drop_intermediate=False)
    np.testing.assert_allclose(ours.false_positive_rate, fpr)
    np.testing.assert_allclose(ours.true_positive_rate, tpr)
    np.testing.assert_allclose(ours.thresholds, thresholds)
    assert np.trapezoid(ours.true_positive_rate, ours.false_positive_rate) == pytest.approx(
        float(metrics.roc_auc(y, score))
    )


def test_bad_input():
    y, s = np.array([0, 1, 1]), np.array([0.1, 0.2, 0.3])
    assert np.isnan(metrics.roc_auc(y, s).standard_error) and np.isnan(metrics.roc_auc(y, s).interval).all()
    for bad_y, bad_s, message in [
        ([1, 1, 1], s, "one class"), ([0, 1, 2], s, "0 or 1"), (y, s[:2], "vector of 3"), (y, [0.1, np.nan, 1], "NaN"),
        (y, np.ones((3, 2)), r"\[:, 1\]"), (["a", "b", "a"], s, "pos_label"),
    ]:  # fmt: skip
        with pytest.raises(vs.InvalidArgument, match=message):
            metrics.roc_auc(bad_y, bad_s)
    with pytest.raises(vs.InvalidArgument, match="confidence"):
        metrics.roc_auc([0, 1, 0, 1], [1, 2, 3, 4], confidence=95)
