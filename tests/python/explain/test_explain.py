# SPDX-License-Identifier: Apache-2.0
"""Coefficient tables and permutation importance."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_selection import VarianceThreshold
from sklearn.inspection import permutation_importance as peer_importance
from sklearn.linear_model import LogisticRegression as PeerRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import vesalius as vs
from vesalius import explain
from vesalius.outcome import CoxPH, LogisticRegression, survival_array


def data(n=300, seed=0):
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(rng.normal(size=(n, 4)), columns=["volume", "noise", "entropy", "flat"])
    X["flat"] = 1.0
    return X, (2 * X["volume"] - X["entropy"] + rng.logistic(size=n) > 0).astype(int)


def test_coefficients_of_a_pipeline_equal_statsmodels():
    """Oracle: statsmodels on the scaled columns; names come through the steps, largest first."""
    X, y = data()
    model = make_pipeline(VarianceThreshold(), StandardScaler(), LogisticRegression()).fit(X, y)
    table = explain.coefficients(model)
    assert (
        list(table.index)[:2] == ["volume", "entropy"]
        and "flat" not in table.index
        and "(intercept)" not in table.index
    )
    Z = X[["volume", "noise", "entropy"]]
    peer = sm.Logit(y, sm.add_constant((Z - Z.mean()) / Z.std(ddof=0))).fit(disp=0, tol=1e-12)
    np.testing.assert_allclose(table["coef"], peer.params[table.index], rtol=1e-6)
    np.testing.assert_allclose(table[["lower", "upper"]], peer.conf_int().loc[table.index], rtol=1e-6)


def test_coefficients_of_other_models():
    """Mechanics: Cox, penalised, scikit-learn's own, a grid search; what has no coefficients says what to use."""
    X, y = data()
    X = X.drop(columns="flat")
    cox = CoxPH().fit(X, survival_array(y, np.exp(-X["volume"] + np.random.default_rng(1).normal(size=300))))
    pd.testing.assert_frame_equal(explain.coefficients(cox).sort_index(), cox.summary().sort_index())
    lasso = LogisticRegression(penalty="l1", alpha=0.1).fit(X, y)
    assert (
        "noise" not in explain.coefficients(lasso, drop_zero=True).index
        and explain.coefficients(lasso)["se"].isna().all()
    )
    grid = GridSearchCV(make_pipeline(StandardScaler(), PeerRegression()), {"logisticregression__C": [1.0]}).fit(X, y)
    assert explain.coefficients(grid).index[0] == "volume"
    with pytest.raises(vs.TypeMismatch, match="permutation_importance"):
        explain.coefficients(RandomForestClassifier(n_estimators=2).fit(X, y))
    with pytest.raises(vs.InvalidArgument, match="3 rows"):
        explain.coefficients(PeerRegression().fit(X, np.arange(300) % 3))


@pytest.mark.parametrize("as_frame", [True, False])
def test_importance_equals_scikit_learn(as_frame):
    """Oracle: sklearn.inspection.permutation_importance within the noise of shuffling, and the order of the effects."""
    X, y = data()
    X = X if as_frame else X.to_numpy()
    model = LogisticRegression(penalty="l2", alpha=0.01).fit(X, y)
    ours = explain.permutation_importance(model, X, y, scoring="roc_auc", repeats=30, seed=1)
    peer = peer_importance(model, X, y, scoring="roc_auc", n_repeats=30, random_state=2)
    names = ["volume", "noise", "entropy", "flat"] if as_frame else ["x0", "x1", "x2", "x3"]
    np.testing.assert_allclose(ours.loc[names, "importance"], peer.importances_mean, atol=0.02)
    np.testing.assert_allclose(ours.loc[names, "sd"], peer.importances_std, atol=0.012)
    assert (
        list(ours.index)[:2] == [names[0], names[2]]
        and ours.loc[names[3], "importance"] == 0
        and ours.loc[names[3], "p"] == 1
    )
    assert ours.loc[names[0], "p"] == pytest.approx(1 / 31) and (ours["lower"] <= ours["upper"]).all()
    pd.testing.assert_frame_equal(
        ours, explain.permutation_importance(model, X, y, scoring="roc_auc", repeats=30, seed=1)
    )


def test_importance_of_survival_groups_and_draws():
    """Invariant: a feature and its copy hide each other, together they matter; the summary is that of the draws."""
    rng = np.random.default_rng(3)
    X = pd.DataFrame({"a": rng.normal(size=200), "b": rng.normal(size=200)})
    X["copy"] = X["a"] + 0.01 * rng.normal(size=200)
    y = survival_array(np.ones(200), rng.exponential(np.exp(-2 * X["a"])))
    model = CoxPH(penalty="l2", alpha=0.05).fit(X, y)
    one, both = (
        explain.permutation_importance(model, X, y),
        explain.permutation_importance(model, X, y, groups={"size": ["a", "copy"], "b": ["b"]}),
    )
    assert both.loc["size", "importance"] > 1.5 * one.loc["a", "importance"]
    draws = explain.permutation_importance(model, X, y, draws=True)
    np.testing.assert_allclose(draws.mean()[one.index], one["importance"])
    with pytest.raises(vs.InvalidArgument, match="groups name columns"):
        explain.permutation_importance(model, X, y, groups={"size": ["z"]})
    with pytest.raises(vs.InvalidArgument, match="repeats"):
        explain.permutation_importance(model, X, y, repeats=0)
