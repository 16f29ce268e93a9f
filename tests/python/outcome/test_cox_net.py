# SPDX-License-Identifier: Apache-2.0
"""Elastic-net paths of Cox's model against R's glmnet and the optimality conditions; the choice by cross-validation; Firth."""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.model_selection import KFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sksurv.linear_model import CoxnetSurvivalAnalysis

import vesalius as vs
from vesalius.outcome import CoxNet, CoxNetCV, CoxPH, survival_array

sys.path.insert(0, str(Path(__file__).parent))
from gold import FOLDER, GOLD, load

GLMNET = json.loads((FOLDER / "glmnet_cox_gold.json").read_text())
PATHS = [n for n in GLMNET if n != "versions"]


@pytest.mark.parametrize("name", PATHS)
def test_path_equals_glmnet(name):
    """Oracle: R's glmnet(family="cox", alpha=0.9, thresh=1e-16): coefficients; and degrees of freedom, share of the deviance. Where
    censorings are tied with events the oracle has them a hair later (glmnet_cox.R says why)."""
    X, y = load(name)
    gold, refit = GOLD[name]["glmnet_cox_alpha0.9"], GLMNET[name]
    net = CoxNet(alphas=gold["lambda"], l1_ratio=0.9, tolerance=1e-10).fit(X, y)
    np.testing.assert_allclose(net.coef_.T, refit["path_later" if refit["tied"] else "path"], atol=1e-6)
    if not refit["tied"]:
        np.testing.assert_allclose(net.deviance_ratio_, gold["dev.ratio"], atol=2e-6)
        assert (net.coef_ != 0).sum(axis=0).tolist()[1:] == gold["df"][
            1:
        ]  # at the first nothing enters but by rounding


def survival(n, p, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p)) * np.logspace(-5, 9, p) + 1
    t = rng.exponential(np.exp(-((X - 1) / np.logspace(-5, 9, p))[:, :3] @ np.full(3, 0.5)))
    c = rng.exponential(1.5, n)
    return X, survival_array(t <= c, np.round(np.minimum(t, c), 2))


@pytest.mark.parametrize("n, p", [(600, 30), (60, 200)])
@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_path_is_what_single_fits_are(n, p, ties):
    """Oracle: CoxPH at each strength, another solver, on columns from 1e-5 to 1e9; together (n > p) and one by one."""
    X, y = survival(n, p)
    net = CoxNet(n_alphas=12, alpha_min_ratio=0.05, l1_ratio=0.8, ties=ties, tolerance=1e-10).fit(X, y)
    s = X.std(axis=0)
    for alpha, coef in zip(net.alphas_[[0, 5, -1]], net.coef_.T[[0, 5, -1]], strict=True):
        one = CoxPH(penalty="elastic_net", alpha=alpha, l1_ratio=0.8, ties=ties, tolerance=1e-10).fit(X, y)
        np.testing.assert_allclose(coef * s, one.coef_ * s, atol=1e-7)
    assert (net.coef_[:, 0] == 0).all() and (net.coef_[:, 1] != 0).any()  # the first is where nothing enters yet
    assert (np.diff(net.deviance_ratio_) >= -1e-9).all()
    half = (net.alphas_[3] + net.alphas_[4]) / 2
    np.testing.assert_allclose(net.coef_at(half), (net.coef_[:, 3] + net.coef_[:, 4]) / 2, atol=1e-300, rtol=1e-9)


@pytest.mark.parametrize("ties", ["efron", "breslow"])
@pytest.mark.parametrize("truncated", [False, True])
def test_path_with_weights_and_left_truncation(truncated, ties):
    """Oracle: CoxPH at each strength, another solver: weights, entries (walked one by one there), and weights as repeated rows."""
    X, y = survival(500, 20)
    rng = np.random.default_rng(4)
    w = rng.integers(1, 4, 500)
    target = (y["event"], y["time"] * rng.random(500) * 0.5 - 0.01, y["time"]) if truncated else y
    net = CoxNet(n_alphas=10, alpha_min_ratio=0.05, ties=ties, tolerance=1e-10).fit(X, target, w)
    s = X.std(axis=0)
    for k in (3, 9):
        one = CoxPH(penalty="elastic_net", alpha=net.alphas_[k], ties=ties, tolerance=1e-10).fit(X, target, w)
        np.testing.assert_allclose(net.coef_[:, k] * s, one.coef_ * s, atol=1e-7)
        gain = 2 * (one.log_likelihood_ - one.log_likelihood_null_)
        if k == 3:
            null = gain / net.deviance_ratio_[k]
        assert gain / net.deviance_ratio_[k] == pytest.approx(null, rel=1e-6)
    if ties == "breslow" and not truncated:
        rows = np.repeat(np.arange(500), w)
        again = CoxNet(alphas=net.alphas_, ties=ties, tolerance=1e-10).fit(X[rows], y[rows])
        np.testing.assert_allclose(again.coef_ * s[:, None], net.coef_ * s[:, None], atol=1e-7)


def test_path_equals_scikit_survival():
    """Oracle: scikit-survival's path, run here to 1e-14, where censorings are tied with events."""
    X, y = load("whas500")
    Z = (X - X.mean()) / X.std(ddof=0)
    ours = CoxNet(n_alphas=10, alpha_min_ratio=0.02, l1_ratio=0.5, tolerance=1e-10).fit(Z, y)
    peer = CoxnetSurvivalAnalysis(l1_ratio=0.5, alphas=ours.alphas_, tol=1e-14, max_iter=10**6).fit(Z.to_numpy(), y)
    np.testing.assert_allclose(ours.coef_, peer.coef_, atol=1e-6)


def test_cross_validation_by_hand():
    """Oracle: the deviances by CoxPH fold by fold; the two rules; scikit-learn's tools."""
    X, y = load("lung")
    alphas = [0.2, 0.1, 0.05, 0.02]
    cv = CoxNetCV(alphas=alphas, cv=KFold(4, shuffle=True, random_state=3), tolerance=1e-9).fit(X, y)
    per_fold, events = [], []
    for train, test in KFold(4, shuffle=True, random_state=3).split(X):
        row = []
        for alpha in alphas:
            one = CoxPH(penalty="elastic_net", alpha=alpha, ties="breslow").fit(X.iloc[train], y[train])

            def likelihood(rows, one=one):
                lp, t, total = X.iloc[rows].to_numpy() @ one.coef_, y["time"][rows], 0.0
                for i in np.flatnonzero(y["event"][rows]):
                    total += lp[i] - np.log(np.exp(lp[t >= t[i]]).sum())
                return total

            row.append(-2 * (likelihood(np.arange(len(X))) - likelihood(train)))
        events.append(y["event"][test].sum())
        per_fold.append(np.array(row) / events[-1])
    np.testing.assert_allclose(cv.cv_results_["deviance"], np.average(per_fold, axis=0, weights=events), rtol=1e-6)
    assert cv.alpha_1se_ >= cv.alpha_min_ == cv.alpha_
    np.testing.assert_allclose(cv.model_.coef_, cv.coef_best_, atol=1e-6)
    assert clone(cv).set_params(rule="1se").fit(X, y).alpha_ == cv.alpha_1se_
    several = CoxNetCV(l1_ratio=[0.2, 0.9], n_alphas=15, cv=3).fit(X, y)
    assert several.l1_ratio_ in (0.2, 0.9) and len(several.cv_results_) > 15
    pipeline = make_pipeline(StandardScaler(), CoxNetCV(n_alphas=10, cv=3))
    assert (cross_validate(pipeline, X, y, cv=3)["test_score"] > 0.5).all()
    assert several.predict_survival_function(X, times=[300]).shape == (len(X), 1)


def test_wrong_settings():
    X, y = load("lung")
    for wrong in ({"ties": "exact"}, {"alphas": [-1.0]}, {"alphas": []}, {"alpha_min_ratio": 2.0}, {"l1_ratio": 2.0}):
        with pytest.raises(vs.InvalidArgument):
            CoxNet(**wrong).fit(X, y)
    with pytest.raises(vs.InvalidArgument, match="on the path"):
        CoxNet(n_alphas=5).fit(X, y).predict(X, alpha=100.0)
    with pytest.raises(vs.InvalidArgument, match="Use fewer folds"):
        CoxNetCV(cv=100).fit(X, y)
    with pytest.raises(vs.InvalidArgument, match="all are constant"):
        CoxNet().fit(np.ones((len(X), 2)), y)


def penalised_likelihood(X, y, b, ties="efron"):
    """l(b) + ½ log det I(b), from the definition."""
    lp, total, information = X @ b, 0.0, np.zeros((X.shape[1],) * 2)
    for t in np.unique(y["time"][y["event"]]):
        risk, dead = y["time"] >= t, y["event"] & (y["time"] == t)
        total += lp[dead].sum()
        for k in range(dead.sum()):
            share = k / dead.sum() if ties == "efron" else 0.0
            w = np.exp(lp) * (risk - share * dead)
            total -= np.log(w.sum())
            m = w @ X / w.sum()
            information += (X - m).T @ ((X - m) * w[:, None]) / w.sum()
    return total + 0.5 * np.linalg.slogdet(information)[1], information


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_firth_is_the_penalised_maximum(ties):
    """Oracle: Jeffreys-penalised likelihood by its definition: value, slope 0 by differences, its curvature's errors; its profile."""
    X, y = load("lung")
    X = X.iloc[:60].assign(both=np.where(y["event"], 1, 0)[:60] * (y["time"][:60] < 100))
    y = y[:60]
    model = CoxPH(firth=True, ties=ties).fit(X, y)
    Z = X.to_numpy(float)
    value, information = penalised_likelihood(Z, y, model.coef_, ties)
    assert model.log_likelihood_ == pytest.approx(value, rel=1e-10)
    assert model.log_likelihood_null_ == pytest.approx(penalised_likelihood(Z, y, 0 * model.coef_, ties)[0], rel=1e-10)
    np.testing.assert_allclose(model.covariance_, np.linalg.inv(information), rtol=1e-7, atol=1e-12)
    for j, se in enumerate(model.summary()["se"]):
        step = 1e-3 * se * np.eye(len(model.coef_))[j]
        up, down = (penalised_likelihood(Z, y, model.coef_ + d, ties)[0] for d in (step, -step))
        assert abs(up - down) < 1e-8 and up < value and down < value
    limits = model.profile_intervals(X, y)
    assert (limits["lower"] < model.coef_).all() and (limits["upper"] > model.coef_).all()
    fixed = limits.loc["both", "lower"]
    offset = fixed * X["both"]  # the others' maximum with this one fixed is lower than the top by half of 3.84 at most
    assert penalised_likelihood(Z, y, np.r_[model.coef_[:-1], fixed], ties)[0] <= value - 3.841458820694124 / 2 + 1e-6
    assert np.isfinite(offset).all()
    with pytest.raises(vs.ConvergenceError, match="firth=True"):
        CoxPH(ties=ties).fit(X, y)


def test_firth_of_one_binary_column_by_profile():
    """Oracle: with one column the profile is the penalised likelihood itself, its limits found by bisection in scipy."""
    from scipy.optimize import brentq

    _, y = load("lung")
    y = y[:40]
    x = pd.DataFrame({"x": (np.arange(40) % 3 == 0).astype(float)})
    model = CoxPH(firth=True).fit(x, y)
    top = model.log_likelihood_

    def miss(b):
        return penalised_likelihood(x.to_numpy(), y, np.array([b]))[0] - (top - 3.841458820694124 / 2)

    limits = model.profile_intervals(x, y).iloc[0]
    b = model.coef_[0]
    np.testing.assert_allclose(
        [limits["lower"], limits["upper"]], [brentq(miss, b - 5, b), brentq(miss, b, b + 5)], atol=1e-7
    )
