# SPDX-License-Identifier: Apache-2.0
"""Linear regression against R's lm and glmnet, statsmodels and scikit-learn."""

import pickle
import time as clock

import numpy as np
import pytest
import statsmodels.api as sm
from gold import check
from regression_data import REGRESSION, made
from sklearn.linear_model import ElasticNet, ElasticNetCV

import vesalius as vs
from vesalius.outcome import LinearRegression, LinearRegressionCV


def test_equals_lm():
    """Oracle: R's lm: coefficients, covariance, sigma, R², log-likelihood."""
    X, s, *_ = made()
    gold, m = REGRESSION["lm"], LinearRegression().fit(X, s)
    check("made regression", "lm/coef", np.r_[m.intercept_, m.coef_], gold["coef"], rel=1e-10)
    check("made regression", "lm/vcov", m.covariance_, gold["vcov"], rel=1e-9)
    check(
        "made regression",
        "lm/sigma r2 loglik",
        [m.sigma_, m.r_squared_, m.log_likelihood_],
        [gold["sigma"], gold["r2"], gold["loglik"]],
        rel=1e-10,
    )


def test_equals_statsmodels():
    """Oracle: statsmodels' OLS: table, limits, intervals of the mean and of an observation; without an intercept too."""
    X, s, *_ = made()
    peer, m = sm.OLS(s, sm.add_constant(X)).fit(), LinearRegression().fit(X, s)
    table = m.summary(confidence=0.9)
    np.testing.assert_allclose(
        table[["coef", "se", "t", "p"]], np.column_stack([peer.params, peer.bse, peer.tvalues, peer.pvalues]), rtol=1e-8
    )
    np.testing.assert_allclose(table[["lower", "upper"]], peer.conf_int(0.1), rtol=1e-8)
    frame = peer.get_prediction(sm.add_constant(X)).summary_frame(alpha=0.05)
    np.testing.assert_allclose(
        m.predict_interval(X)[["lower", "upper"]], frame[["mean_ci_lower", "mean_ci_upper"]], rtol=1e-8
    )
    np.testing.assert_allclose(
        m.predict_interval(X, of="observation")[["lower", "upper"]], frame[["obs_ci_lower", "obs_ci_upper"]], rtol=1e-8
    )
    plain, peer = LinearRegression(fit_intercept=False).fit(X, s), sm.OLS(s, X).fit()
    np.testing.assert_allclose(plain.summary()[["coef", "se"]], np.column_stack([peer.params, peer.bse]), rtol=1e-8)
    assert plain.r_squared_ == pytest.approx(peer.rsquared, rel=1e-9)


def test_lasso_equals_glmnet():
    """Oracle: R's glmnet(gaussian), three points of the path."""
    X, s, *_ = made()
    gold = REGRESSION["glmnet_gaussian"]
    for k, alpha in enumerate(gold["lambda"]):
        m = LinearRegression(penalty="l1", alpha=alpha).fit(X, s)
        check(
            "made regression",
            f"glmnet gaussian lambda={alpha}",
            np.r_[m.intercept_, m.coef_],
            np.array(gold["coef"])[:, k],
            rel=1e-5,
            abs=1e-7,
        )


@pytest.mark.parametrize("shape", [(200, 8), (40, 90)])
@pytest.mark.parametrize("ratio", [0.0, 0.4, 1.0])
def test_elastic_net_equals_scikit_learn(shape, ratio):
    """Oracle: scikit-learn's ElasticNet to 1e-12, with weights, also with fewer subjects than columns."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=shape) * rng.uniform(0.2, 5, shape[1])
    y, w = X[:, 0] - X[:, 1] + rng.normal(size=shape[0]) + 7, rng.integers(1, 4, shape[0]).astype(float)
    peer = ElasticNet(alpha=0.3, l1_ratio=ratio, tol=1e-14, max_iter=10**6).fit(X, y, w)
    ours = LinearRegression(penalty="elastic_net", alpha=0.3, l1_ratio=ratio, standardise=False).fit(X, y, w)
    np.testing.assert_allclose(ours.coef_, peer.coef_, atol=1e-5 if ratio == 0 and shape[0] < shape[1] else 1e-7)
    assert ours.intercept_ == pytest.approx(peer.intercept_, abs=1e-5)


def test_cross_validation_equals_scikit_learn():
    """Oracle: ElasticNetCV with the same alphas and folds."""
    from sklearn.model_selection import KFold

    rng = np.random.default_rng(1)
    X = rng.normal(size=(120, 15))
    y = X[:, 0] * 2 - X[:, 3] + rng.normal(size=120)
    ours = LinearRegressionCV(l1_ratio=0.7, cv=4, random_state=3, standardise=False).fit(X, y)
    peer = ElasticNetCV(
        l1_ratio=0.7, alphas=ours.alphas_, cv=KFold(4, shuffle=True, random_state=3), tol=1e-12, max_iter=10**6
    ).fit(X, y)
    assert ours.alpha_ == pytest.approx(peer.alpha_)
    np.testing.assert_allclose(ours.coef_, peer.coef_, atol=1e-6)
    np.testing.assert_allclose(ours.mse_, peer.mse_path_.mean(axis=1), rtol=1e-6)
    assert LinearRegressionCV(selection="1se").fit(X, y).alpha_ >= LinearRegressionCV().fit(X, y).alpha_


def test_invariances():
    """Invariant: whole weights as repeated rows (errors too); columns in any unit and offset from 1e-5 to 1e9; rows in any order; pickle."""
    X, s, *_, w = made()
    a, b = LinearRegression().fit(X, s, w), LinearRegression().fit(X.loc[X.index.repeat(w)], np.repeat(s, w))
    np.testing.assert_allclose(a.summary(), b.summary(), rtol=1e-9)
    scale = np.array([1e-5, 1e9, 1.0])
    for penalty in (None, "l1"):
        m = LinearRegression(penalty=penalty, alpha=0.05)
        base, moved = (
            m.fit(X, s).predict(X),
            LinearRegression(penalty=penalty, alpha=0.05).fit(X * scale + 5 * scale, s).predict(X * scale + 5 * scale),
        )
        np.testing.assert_allclose(base, moved, atol=1e-9)
    order = np.random.default_rng(0).permutation(len(s))
    turned = LinearRegression().fit(X.iloc[order], s[order])
    np.testing.assert_allclose(turned.coef_, LinearRegression().fit(X, s).coef_, rtol=1e-10)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(turned)).predict(X), turned.predict(X))


def test_bad_input():
    X, s, *_ = made()
    fit = LinearRegression().fit
    for bad, message in [
        (X.assign(one=1.0), "constant"),
        (X.assign(d=X["a"] + X["b"]), "collinear"),
        (X.assign(d=np.nan), "NaN"),
        (X.assign(d=np.inf), "infinity"),
    ]:
        with pytest.raises(vs.InvalidArgument, match=message):
            fit(bad, s)
    with pytest.raises(vs.TypeMismatch, match="not numbers"):
        fit(X.assign(d="a"), s)
    with pytest.raises(vs.InvalidArgument, match="columns and 3 subjects"):
        fit(np.random.default_rng(0).normal(size=(3, 4)), s[:3])
    with pytest.raises(vs.InvalidArgument, match="y has 1 values"):
        fit(X, np.where(np.arange(300) == 3, np.nan, s))
    with pytest.raises(vs.TypeMismatch, match="y must be numbers"):
        fit(X, np.array(["a"] * 300))
    with pytest.raises(vs.InvalidArgument, match="without a penalty"):
        LinearRegression(penalty="l1").fit(X, s).predict_interval(X)
    with pytest.raises(vs.ConvergenceError, match="raise max_iterations"):
        LinearRegression(penalty="l1", alpha=1e-3, max_iterations=1, tolerance=1e-300).fit(X, s)
    flat = LinearRegression().fit(X, np.full(300, 2.5))
    assert flat.intercept_ == pytest.approx(2.5) and np.allclose(flat.coef_, 0) and np.isnan(flat.r_squared_)


def test_hundred_thousand_subjects():
    """Mechanics: n = 100,000, 50 columns, within a second of CPU."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100_000, 50))
    y = X @ rng.normal(size=50) + rng.normal(size=100_000)
    start = clock.process_time()
    LinearRegression().fit(X, y)
    assert clock.process_time() - start < 2
