# SPDX-License-Identifier: Apache-2.0
"""Ordinal, multinomial and Firth's regression against R (clm, polr, multinom, glmnet, optim), statsmodels, scikit-learn, first principles."""

import pickle
import time as clock

import numpy as np
import pandas as pd
import pytest
from gold import check
from regression_data import REGRESSION, made
from scipy.special import expit
from scipy.stats import chi2
from sklearn.linear_model import LogisticRegression as Peer
from statsmodels.miscmodels.ordinal_model import OrderedModel

import vesalius as vs
from vesalius.outcome import FirthLogisticRegression, LogisticRegression, MultinomialRegression, OrdinalRegression


def test_ordinal_equals_clm():
    """Oracle: R's ordinal::clm: coefficients, thresholds, log-likelihood, covariance; with case weights."""
    X, _, level, _, w = made()
    gold, m = REGRESSION["clm"], OrdinalRegression().fit(X, level)
    check("made ordinal", "clm/coef", m.coef_, gold["coef"])
    check("made ordinal", "clm/zeta", m.thresholds_, gold["zeta"])
    check("made ordinal", "clm/loglik", m.log_likelihood_, gold["loglik"], rel=1e-10)
    order = [3, 4, 5, 0, 1, 2]  # R has the thresholds first
    check("made ordinal", "clm/vcov", m.covariance_[np.ix_(order, order)], gold["vcov"])
    gold, m = REGRESSION["clm_weights"], OrdinalRegression().fit(X, level, w)
    check(
        "made ordinal",
        "clm weighted",
        np.r_[m.coef_, m.thresholds_, m.log_likelihood_],
        [*gold["coef"], *gold["zeta"], gold["loglik"]],
    )


def test_ordinal_equals_polr_and_statsmodels():
    """Oracle: R's MASS::polr (stops early: 1e-4) and statsmodels' OrderedModel: estimates, errors, probabilities."""
    X, _, level, *_ = made()
    m, gold = OrdinalRegression().fit(X, level), REGRESSION["polr"]
    check("made ordinal", "polr/coef", m.coef_, gold["coef"], rel=1e-4)
    check("made ordinal", "polr/deviance", -2 * m.log_likelihood_, gold["deviance"], rel=1e-9)
    check("made ordinal", "polr/probs", m.predict_proba(X[:5]), gold["probs"], rel=1e-4)
    peer = OrderedModel(pd.Categorical(level, ordered=True), X, distr="logit").fit(
        method="bfgs", disp=0, gtol=1e-9, maxiter=1000
    )
    np.testing.assert_allclose(m.coef_, peer.params.iloc[:3], rtol=1e-5)
    np.testing.assert_allclose(m.summary()["se"].iloc[:3], peer.bse.iloc[:3], rtol=1e-4)
    np.testing.assert_allclose(m.predict_proba(X), peer.predict(), rtol=1e-5)
    np.testing.assert_allclose(m.predict_expected(X), m.predict_proba(X) @ [1, 2, 3, 4])


def test_two_levels_are_logistic():
    """Invariant: an ordinal and a multinomial model of two levels are logistic regression, penalised (multinomial: half on each side) or not."""
    X, _, level, *_ = made()
    y = (level > 2).astype(int)
    plain = LogisticRegression().fit(X, y)
    ordinal, multi = OrdinalRegression().fit(X, y), MultinomialRegression().fit(X, y)
    np.testing.assert_allclose(ordinal.coef_, plain.coef_[0], rtol=1e-8)
    np.testing.assert_allclose(-ordinal.thresholds_, plain.intercept_, rtol=1e-8)
    np.testing.assert_allclose(multi.coef_[1], plain.coef_[0], rtol=1e-8)
    np.testing.assert_allclose(multi.summary()["se"], plain.summary()["se"], rtol=1e-7)
    for penalty in ("l1", "l2", "elastic_net"):
        a = OrdinalRegression(penalty=penalty, alpha=0.05).fit(X, y)
        b = LogisticRegression(penalty=penalty, alpha=0.05).fit(X, y)
        np.testing.assert_allclose(a.coef_, b.coef_[0], atol=1e-7)


def test_penalised_ordinal_is_optimal():
    """Invariant: the optimality conditions, the gradient by differences of the log-likelihood written out; n < p too."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 80))
    y = np.digitize(X[:, 0] + rng.logistic(size=50), [-1, 0, 1.5])
    m = OrdinalRegression(penalty="elastic_net", alpha=0.1, l1_ratio=0.6).fit(X, y)
    s = X.std(axis=0)

    def loss(b, z):
        cut = np.r_[-np.inf, z, np.inf]
        eta = X / s @ b
        return -np.log(expit(cut[y + 1] - eta) - expit(cut[y] - eta)).mean()

    b, h = m.coef_ * s, 1e-5
    z = m.thresholds_
    g = np.array([(loss(b + e, z) - loss(b - e, z)) / (2 * h) for e in h * np.eye(80)]) + 0.1 * 0.4 * b
    on = b != 0
    np.testing.assert_allclose(g[on], -0.06 * np.sign(b[on]), atol=1e-7)
    assert (np.abs(g[~on]) <= 0.06 + 1e-7).all() and on.any() and not on.all()
    np.testing.assert_allclose([(loss(b, z + e) - loss(b, z - e)) / (2 * h) for e in h * np.eye(3)], 0, atol=1e-7)


def test_multinomial_equals_r():
    """Oracle: R's nnet::multinom: coefficients, covariance, log-likelihood, probabilities; glmnet(multinomial) along a path."""
    X, _, _, kind, _ = made()
    m, gold = MultinomialRegression().fit(X, kind), REGRESSION["multinom"]
    check("made multinomial", "multinom/coef", np.column_stack([m.intercept_, m.coef_])[1:], gold["coef"], rel=1e-4)
    check("made multinomial", "multinom/loglik", m.log_likelihood_, gold["loglik"], rel=1e-9)
    check("made multinomial", "multinom/vcov", m.covariance_, gold["vcov"], rel=1e-3)
    check("made multinomial", "multinom/probs", m.predict_proba(X[:5]), gold["probs"], rel=1e-4)
    gold = REGRESSION["glmnet_multinomial"]
    for alpha, coef in zip(gold["lambda"], gold["coef"], strict=True):
        m = MultinomialRegression(penalty="elastic_net", alpha=alpha, l1_ratio=0.5).fit(X, kind)
        check(
            "made multinomial",
            f"glmnet lambda={alpha}",
            np.column_stack([m.intercept_, m.coef_]).T,
            coef,
            rel=1e-5,
            abs=1e-6,
        )


def test_multinomial_equals_scikit_learn():
    """Oracle: scikit-learn's multinomial LogisticRegression, ridge and unpenalised."""
    X, _, _, kind, w = made()
    X = X.to_numpy()
    peer = Peer(C=1 / (0.02 * w.sum()), tol=1e-12, max_iter=10**5).fit(X, kind, w)
    ours = MultinomialRegression(penalty="l2", alpha=0.02, standardise=False).fit(X, kind, w)
    np.testing.assert_allclose(ours.predict_proba(X), peer.predict_proba(X), atol=1e-5)
    np.testing.assert_allclose(ours.coef_, peer.coef_ - peer.coef_.mean(axis=0), atol=1e-4)


def separated():
    y = np.array([0, 0, 0, 0, 0, 0, 1, 0, 1, 1, 1, 1])
    return np.column_stack([np.arange(12) / 10, [1, 0, 0, 1, 1, 0, 1, 0, 1, 0, 1, 1]]), y


def test_firth_equals_its_definition():
    """Oracle: R's optim and uniroot on the penalised likelihood written out: estimates, covariance, profile limits, tests."""
    X, y = separated()
    m, gold = FirthLogisticRegression().fit(X, y), REGRESSION["firth"]
    check("made Firth", "coef", np.r_[m.intercept_, m.coef_[0]], gold["coef"], rel=1e-5)
    check("made Firth", "loglik", m.log_likelihood_, gold["loglik"], rel=1e-9)
    check("made Firth", "vcov", m.covariance_, gold["vcov"], rel=1e-4)
    table = m.summary()
    check("made Firth", "limits", table[["lower", "upper"]], gold["limits"], rel=1e-3)
    check("made Firth", "chisq", table["chi_squared"], gold["chisq"], rel=1e-5)
    np.testing.assert_allclose(table["p"], chi2.sf(gold["chisq"], 1), rtol=1e-5)


def test_firth_score_is_zero():
    """Oracle: Firth's modified score Σ (y − π + h (½ − π)) x, written out, is 0; a 2 x 2 table has the closed form with ½ in each cell."""
    X, _, level, *_ = made()
    y = (level > 3).astype(int)
    m = FirthLogisticRegression(interval="wald").fit(X, y)
    p = m.predict_proba(X)[:, 1]
    Z = np.column_stack([np.ones(300), X])
    W = p * (1 - p)
    h = W * np.einsum("ij,jk,ik->i", Z, np.linalg.inv(Z.T @ (Z * W[:, None])), Z)
    np.testing.assert_allclose(Z.T @ (y - p + h * (0.5 - p)), 0, atol=1e-6)
    x = np.repeat([0, 0, 1, 1], [9, 0, 4, 6])
    outcome = np.repeat([0, 1, 0, 1], [9, 0, 4, 6])
    odds = FirthLogisticRegression().fit(x[:, None], outcome)
    assert odds.coef_[0, 0] == pytest.approx(np.log((6.5 * 9.5) / (4.5 * 0.5)), rel=1e-7)
    assert np.isfinite(odds.summary().to_numpy()).all()
    with pytest.raises(vs.ConvergenceError, match="Firth"):
        LogisticRegression().fit(x[:, None], outcome)


@pytest.mark.parametrize(
    "model",
    [
        OrdinalRegression(),
        OrdinalRegression(penalty="l1", alpha=0.02),
        MultinomialRegression(),
        MultinomialRegression(penalty="l2"),
        FirthLogisticRegression(),
    ],
    ids=str,
)
def test_invariances(model):
    """Invariant: whole weights as repeated rows; columns in any unit and offset; rows in any order; names as labels; pickle."""
    from sklearn.base import clone

    X, _, level, kind, w = made()
    y = (
        level
        if isinstance(model, OrdinalRegression)
        else kind
        if isinstance(model, MultinomialRegression)
        else (level > 2).astype(int)
    )
    base = clone(model).fit(X, y)
    copies = X.index.repeat(w)
    a, b = clone(model).fit(X, y, w), clone(model).fit(X.loc[copies], np.repeat(y, w))
    np.testing.assert_allclose(a.summary().to_numpy(float), b.summary().to_numpy(float), rtol=1e-5, atol=1e-8)
    scale = np.array([1e-5, 1e9, 1.0])
    moved = X * scale + 5 * scale
    np.testing.assert_allclose(clone(model).fit(moved, y).predict_proba(moved), base.predict_proba(X), atol=1e-8)
    order = np.random.default_rng(0).permutation(len(y))
    np.testing.assert_allclose(
        clone(model).fit(X.iloc[order], y[order]).predict_proba(X), base.predict_proba(X), atol=1e-8
    )
    named = np.array([f"l{v}" for v in y])
    np.testing.assert_array_equal(clone(model).fit(X, named).predict(X), [f"l{v}" for v in base.predict(X)])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(base)).predict_proba(X), base.predict_proba(X))
    np.testing.assert_allclose(base.predict_proba(X).sum(axis=1), 1, atol=1e-12)


def test_levels_in_their_order():
    """Mechanics: strings are ordered as said, and a level that is missing is left out."""
    X, _, level, *_ = made()
    names = np.array(["none", "slight", "moderate", "severe"])[level - 1]
    m = OrdinalRegression(levels=["none", "slight", "moderate", "severe", "dead"]).fit(X, names)
    np.testing.assert_allclose(m.coef_, OrdinalRegression().fit(X, level).coef_)
    assert m.classes_.tolist() == ["none", "slight", "moderate", "severe"] and "none|slight" in m.summary().index
    with pytest.raises(vs.InvalidArgument, match="besides"):
        OrdinalRegression(levels=["none", "slight"]).fit(X, names)
    with pytest.raises(vs.InvalidArgument, match="numbers"):
        m.predict_expected(X)


def test_bad_input():
    X, _, level, kind, _ = made()
    for model, y in (
        (OrdinalRegression(), level),
        (MultinomialRegression(), kind),
        (FirthLogisticRegression(), (level > 2).astype(int)),
    ):
        for bad, message in [
            (X.assign(one=1.0), "constant"),
            (X.assign(d=X["a"] + X["b"]), "collinear"),
            (X.assign(d=np.nan), "NaN"),
        ]:
            with pytest.raises(vs.InvalidArgument, match=message):
                model.fit(bad, y)
        with pytest.raises(vs.TypeMismatch, match="not numbers"):
            model.fit(X.assign(d="a"), y)
        with pytest.raises(vs.InvalidArgument, match="one class only"):
            model.fit(X, np.ones(300))
        with pytest.raises(vs.InvalidArgument, match="columns and 3 subjects"):
            model.fit(np.random.default_rng(0).normal(size=(3, 4)), [0, 1, 1])
    perfect = X.assign(sign=np.sign(level - 2.5))
    with pytest.raises(vs.ConvergenceError, match="separate the levels"):
        OrdinalRegression().fit(perfect, level)
    with pytest.raises(vs.ConvergenceError, match="separate the levels"):
        OrdinalRegression().fit(level[:, None].astype(float), level)
    with pytest.raises(vs.ConvergenceError, match="separate the classes"):
        MultinomialRegression().fit(X.assign(mine=(kind == 1).astype(float)), kind)
    for model in (OrdinalRegression(penalty="l2"), MultinomialRegression(penalty="l2")):
        assert np.isfinite(model.fit(perfect, level).coef_).all()
    with pytest.raises(vs.ConvergenceError, match="raise max_iterations"):
        OrdinalRegression(max_iterations=1).fit(X, level)
    with pytest.raises(vs.ConvergenceError, match="raise max_iterations"):
        MultinomialRegression(max_iterations=1).fit(X, kind)
    with pytest.raises(vs.ConvergenceError, match="raise max_iterations"):
        FirthLogisticRegression(max_iterations=1).fit(X, level > 2)
    with pytest.raises(vs.InvalidArgument, match="Only binary"):
        FirthLogisticRegression().fit(X, level)


def test_hundred_thousand_subjects():
    """Mechanics: n = 100,000, 10 columns, 4 levels, within seconds of CPU."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100_000, 10))
    y = np.digitize(X[:, 0] + rng.logistic(size=100_000), [-1, 0, 1.5])
    for model, limit in (
        (OrdinalRegression(), 2),
        (MultinomialRegression(), 4),
        (FirthLogisticRegression(interval="wald"), 2),
    ):
        target = y > 1 if isinstance(model, FirthLogisticRegression) else y
        start = clock.process_time()
        model.fit(X, target)
        assert clock.process_time() - start < limit
