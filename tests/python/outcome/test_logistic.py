# SPDX-License-Identifier: Apache-2.0
"""Logistic regression against statsmodels, scikit-learn and its own optimality conditions."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression as Peer
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import vesalius as vs
from vesalius.outcome import LogisticRegression, LogisticRegressionCV


def example(n=200, p=6, seed=0, intercept=-0.3):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p)) @ (np.eye(p) + 0.4 * rng.normal(size=(p, p)))
    eta = intercept + X @ (rng.normal(size=p) * 0.5)
    return X, (rng.random(n) < 1 / (1 + np.exp(-eta))).astype(int)


@pytest.mark.parametrize("offset, scale", [(0.0, 1.0), (5.0, 0.1)])
def test_maximum_likelihood_equals_statsmodels(offset, scale):
    """Oracle: statsmodels.Logit, coefficients and standard errors to 1e-6."""
    X, y = example()
    X = offset + X * scale
    peer = sm.Logit(y, sm.add_constant(X)).fit(disp=0, method="newton", maxiter=100, tol=1e-13)
    ours = LogisticRegression().fit(X, y)
    table = ours.summary()
    np.testing.assert_allclose(table["coef"], peer.params, rtol=1e-6)
    np.testing.assert_allclose(table["se"], peer.bse, rtol=1e-6)
    np.testing.assert_allclose(table["p"], peer.pvalues, rtol=1e-5)
    np.testing.assert_allclose(table[["lower", "upper"]], peer.conf_int(), rtol=1e-6)
    np.testing.assert_allclose([ours.log_likelihood_, ours.log_likelihood_null_], [peer.llf, peer.llnull], rtol=1e-9)


def test_weights_equal_repeated_rows_and_statsmodels():
    """Invariant: an integer weight is that many rows. Oracle: statsmodels GLM with frequency weights."""
    X, y = example(120, 4, 1)
    w = np.arange(120) % 3
    ours = LogisticRegression().fit(X, y, sample_weight=w)
    repeated = LogisticRegression().fit(np.repeat(X, w, axis=0), np.repeat(y, w))
    peer = sm.GLM(y, sm.add_constant(X), family=sm.families.Binomial(), freq_weights=w).fit(tol=1e-14)
    for other in (repeated.summary()[["coef", "se"]].to_numpy(), np.column_stack([peer.params, peer.bse])):
        np.testing.assert_allclose(ours.summary()[["coef", "se"]], other, rtol=1e-6)


@pytest.mark.parametrize("penalty, ratio", [("l1", 1.0), ("l2", 0.0), ("elastic_net", 0.3)])
@pytest.mark.parametrize("n, p", [(150, 5), (40, 90)])
def test_penalised_equals_scikit_learn(penalty, ratio, n, p):
    """Oracle: scikit-learn's saga run to 1e-12 on standardised columns, C = 1 / (n alpha)."""
    X, y = example(n, p, 2)
    X = StandardScaler().fit_transform(X)
    alpha = 0.05
    peer = Peer(l1_ratio=ratio, C=1 / (n * alpha), solver="saga", tol=1e-12, max_iter=200000).fit(X, y)
    for standardise in (True, False):
        ours = LogisticRegression(penalty=penalty, alpha=alpha, l1_ratio=ratio, standardise=standardise).fit(X, y)
        np.testing.assert_allclose(ours.coef_, peer.coef_, atol=1e-6)
        np.testing.assert_allclose(ours.intercept_, peer.intercept_, atol=1e-6)
    assert (ours.coef_ == 0).sum() == (np.abs(peer.coef_) < 1e-9).sum()


@pytest.mark.parametrize("penalty", ["l1", "l2", "elastic_net"])
@pytest.mark.parametrize("alpha", [1e-3, 0.03, 0.2])
@pytest.mark.parametrize("standardise", [True, False])
def test_optimality_conditions(penalty, alpha, standardise):
    """Invariant: the Karush-Kuhn-Tucker conditions of the documented objective, recomputed with numpy, columns of very different sizes."""
    X, y = example(60, 80, 3)
    X = X * np.logspace(-3, 3, 80) + 7 if standardise else X * np.linspace(0.5, 2, 80)
    model = LogisticRegression(penalty=penalty, alpha=alpha, standardise=standardise).fit(X, y)
    rho = {"l1": 1.0, "l2": 0.0, "elastic_net": 0.5}[penalty]
    s = X.std(axis=0) if standardise else np.ones(80)
    b, Z = model.coef_[0] * s, (X - X.mean(axis=0)) / s
    r = model.predict_proba(X)[:, 1] - y
    g = Z.T @ r / len(y) + alpha * (1 - rho) * b
    assert abs(r.sum()) < 1e-6
    on = b != 0
    np.testing.assert_allclose(g[on], -alpha * rho * np.sign(b[on]), atol=1e-7)
    assert (np.abs(g[~on]) <= alpha * rho + 1e-7).all()


def test_affine_invariance():
    """Invariant: X·diag(s) + c gives the same probabilities, sizes from 1e-5 to 1e9."""
    X, y = example(100, 8, 4)
    moved = X * np.logspace(-5, 9, 8) + np.logspace(-5, 9, 8) * 3
    for model in (LogisticRegression(), LogisticRegression(penalty="elastic_net", alpha=0.02)):
        np.testing.assert_allclose(
            clone(model).fit(moved, y).predict_proba(moved), clone(model).fit(X, y).predict_proba(X), atol=1e-9
        )


def test_cv_path_agrees_with_single_fits_and_leaks_nothing():
    """Invariant: each point of the path is the fit at that alpha; oracle: the deviance recomputed with single fits fold by fold."""
    from sklearn.metrics import log_loss
    from sklearn.model_selection import StratifiedKFold

    X, y = example(80, 20, 5)
    model = LogisticRegressionCV(n_alphas=12, cv=4, random_state=3, tolerance=1e-10).fit(X, y)
    for k in (0, 5, 11):
        single = LogisticRegression(penalty="elastic_net", alpha=model.alphas_[k]).fit(X, y)
        np.testing.assert_allclose(model.coef_path_[k], single.coef_[0], atol=1e-5)
    assert (model.coef_path_[0] == 0).all() and (model.coef_path_[1] != 0).any()
    losses = []
    for train, test in StratifiedKFold(4, shuffle=True, random_state=3).split(X, y):
        single = LogisticRegression(penalty="elastic_net", alpha=model.alphas_[5]).fit(X[train], y[train])
        losses.append(2 * log_loss(y[test], single.predict_proba(X[test]), labels=[0, 1]))
    np.testing.assert_allclose(model.deviance_[5], np.mean(losses), rtol=1e-6)
    assert model.alpha_ == model.alphas_[np.argmin(model.deviance_)]
    stronger = LogisticRegressionCV(n_alphas=12, cv=4, random_state=3, selection="1se").fit(X, y)
    assert stronger.alpha_ >= model.alpha_


@pytest.mark.parametrize(
    "model",
    [
        LogisticRegression(penalty="l2", alpha=0.01),
        LogisticRegression(penalty="elastic_net", alpha=0.01),
        LogisticRegressionCV(n_alphas=8, cv=2),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_scikit_learn_conventions(model):
    """Oracle: scikit-learn's own check_estimator."""
    # Repeated rows fall into other folds than one row with their weight: as with scikit-learn's LogisticRegressionCV.
    known = (
        {f"check_sample_weight_equivalence_on_{kind}_data": "folds differ" for kind in ("dense", "sparse")}
        if isinstance(model, LogisticRegressionCV)
        else {}
    )
    check_estimator(model, expected_failed_checks=known)


def test_in_pipeline_grid_and_cross_validation():
    """Oracle: scikit-learn's tools run over it; breast cancer is known to be well predicted."""
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(penalty="elastic_net", alpha=0.01))
    scores = cross_validate(pipeline, X, y, scoring="roc_auc", cv=3)["test_score"]
    assert scores.min() > 0.97
    grid = GridSearchCV(pipeline, {"logisticregression__alpha": [1e-3, 1e-1]}, scoring="neg_log_loss", cv=3).fit(X, y)
    assert grid.best_params_["logisticregression__alpha"] == 1e-3
    direct = LogisticRegression(penalty="l1", alpha=0.01).fit(X, y)
    assert list(direct.summary().index) == ["(intercept)", *X.columns] and direct.summary()["se"].isna().all()


def test_class_weight():
    """Oracle: scikit-learn with class_weight="balanced"."""
    X, y = example(300, 4, 6, intercept=-2)
    peer = Peer(C=1 / (300 * 0.05), class_weight="balanced", tol=1e-12, max_iter=10000).fit(X, y)
    # balanced weights sum to n, so that the two objectives agree
    ours = LogisticRegression(penalty="l2", alpha=0.05, standardise=False, class_weight="balanced").fit(X, y)
    np.testing.assert_allclose(ours.coef_, peer.coef_, atol=1e-5)


def test_string_classes_and_tensors():
    """Mechanics: labels may be anything; torch tensors are tables too."""
    import torch

    X, y = example()
    named = LogisticRegression().fit(torch.from_numpy(X), np.where(y == 1, "yes", "no"))
    assert set(named.predict(X)) == {"no", "yes"}
    np.testing.assert_array_equal(
        named.predict(X) == "yes", LogisticRegression().fit(X, torch.from_numpy(y)).predict(X) == 1
    )


def bad_inputs():
    X, y = example(50, 3)
    frame = pd.DataFrame(X, columns=["age", "volume", "entropy"])
    yield (
        "nan",
        frame.mask(frame.index.to_series().lt(2), axis=0),
        y,
        vs.InvalidArgument,
        "6 values that are NaN.*'age' \\(2\\)",
    )
    yield "inf", frame.replace(frame.iloc[3, 1], np.inf), y, vs.InvalidArgument, "infinity.*'volume' \\(1\\)"
    yield "strings", frame.assign(sex="male"), y, vs.TypeMismatch, "'sex' holds 'male'"
    yield "one class", frame, np.ones(50), vs.InvalidArgument, "one class"
    yield "three classes", frame, np.arange(50) % 3, vs.InvalidArgument, "Only binary"
    yield "length", frame, y[:-1], ValueError, "50.*49|one length"
    yield "constant", frame.assign(site=2.0), y, vs.InvalidArgument, '"site" is constant'
    yield (
        "collinear",
        frame.assign(twice=frame.age * 2 - frame.volume + 1),
        y,
        vs.InvalidArgument,
        '"twice" is collinear',
    )
    yield (
        "n < p",
        pd.DataFrame(np.random.default_rng(0).normal(size=(50, 60))),
        y,
        vs.InvalidArgument,
        "60 columns and 50 subjects",
    )
    yield "separated", frame.assign(marker=y + 0.1 * X[:, 0]), y, vs.ConvergenceError, "separate"
    yield "quasi-separated", frame.assign(marker=(y == 1) & (X[:, 0] > 0)), y, vs.ConvergenceError, "separate"


@pytest.mark.parametrize(
    "name, X, y, error, message", list(bad_inputs()), ids=lambda v: v if isinstance(v, str) and " " not in v else ""
)
def test_bad_input_says_what_to_do(name, X, y, error, message):
    with pytest.raises(error, match=message):
        LogisticRegression().fit(X, y)


def test_separation_is_no_false_alarm():
    """Oracle: statsmodels converges on these too: one far outlier, strong effects, many subjects."""
    rng = np.random.default_rng(0)
    x = np.r_[rng.normal(size=400), 60.0]
    y = (rng.random(401) < 1 / (1 + np.exp(-2 * x))).astype(int)
    peer = sm.Logit(y, sm.add_constant(x)).fit(disp=0, tol=1e-12)
    np.testing.assert_allclose(LogisticRegression().fit(x[:, None], y).summary()["coef"], peer.params, rtol=1e-6)


def test_penalised_fits_take_what_maximum_likelihood_cannot():
    """Mechanics: constant, duplicated and separating columns are fine with a penalty."""
    X, y = example(50, 3)
    X = np.column_stack([X, np.full(50, 3.0), X[:, 0], y])
    model = LogisticRegression(penalty="l2", alpha=0.1).fit(X, y)
    assert model.coef_[0, 3] == 0 and model.coef_[0, 4] == pytest.approx(model.coef_[0, 0], rel=1e-8)
    for wrong in (
        {"penalty": "ridge"},
        {"penalty": "l1", "alpha": -1},
        {"penalty": "l1", "alpha": 0},
        {"penalty": "elastic_net", "l1_ratio": 2},
    ):
        with pytest.raises(vs.InvalidArgument):
            LogisticRegression(**wrong).fit(X, y)


@pytest.mark.parametrize("seed", range(6))
def test_nearly_collinear_columns_converge(seed):
    """Invariant: columns that are combinations of few but for 1e-7 converge along the whole path, where plain coordinate descent crawls."""
    rng = np.random.default_rng(seed)
    n, p = int(rng.integers(25, 70)), int(rng.integers(7, 60))
    X = rng.normal(size=(n, 3)) @ rng.normal(size=(3, p)) + 1e-7 * rng.normal(size=(n, p))
    y = (rng.random(n) < 0.4).astype(int)
    y[:5], y[5:10] = 0, 1
    model = LogisticRegressionCV(penalty="l1", random_state=seed).fit(X, y)
    assert np.isfinite(model.coef_path_).all()
    time, event = rng.integers(1, 30, n).astype(float), y.astype(bool)
    assert np.isfinite(vs.outcome.CoxPH(penalty="l1", alpha=3e-4).fit(X, (event, time)).coef_).all()
