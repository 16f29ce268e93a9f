# SPDX-License-Identifier: Apache-2.0
"""scikit-learn's own checks over every estimator, and its tools around them.

Survival models take y as (event, time), which the checks do not know: they run on subclasses that make such a y of the checks' numbers, and
so check everything else (parameters, cloning, attributes, shapes, names, messages about X). Checks that cannot hold are listed with the reason.
"""

import pickle

import numpy as np
import pandas as pd
import pytest
from gold import load
from regression_data import made, visits
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import vesalius.outcome as vo
from vesalius.errors import InvalidArgument
from vesalius.outcome import (
    CoxNet,
    CoxNetCV,
    CoxPH,
    FineGray,
    FirthLogisticRegression,
    GrowthCurve,
    LinearRegression,
    LinearRegressionCV,
    LogisticRegression,
    LogisticRegressionCV,
    MultinomialRegression,
    OrdinalRegression,
    ParametricSurvival,
)


def outcome_of(y, count):
    """(event, time) of the checks' y, each row's from its own number; with two causes some are censored."""
    if y is None:
        raise InvalidArgument("requires y to be passed, but the target y is None")
    y = np.asarray(y)
    if y.dtype.kind not in "biuf":
        y = np.unique(y, return_inverse=True)[1]
    y = y.astype(float).ravel()
    if np.iscomplexobj(y) or not np.isfinite(y).all():
        raise InvalidArgument("y has NaN or infinity")
    cause = (1 + np.floor(7 * np.abs(y))).astype(int) % 3 if count > 1 else np.ones(len(y), bool)
    if count > 1:
        cause[y == y.max()] = 1
    return cause, np.exp(0.3 * np.clip(y, -20, 20))


class AdaptedCox(CoxPH):
    def fit(self, X, y, sample_weight=None):
        return super().fit(X, outcome_of(y, 1), sample_weight)

    def score(self, X, y):
        return super().score(X, outcome_of(y, 1))


class AdaptedNet(CoxNet):
    def fit(self, X, y, sample_weight=None):
        return super().fit(X, outcome_of(y, 1), sample_weight)

    def score(self, X, y):
        return super().score(X, outcome_of(y, 1))


class AdaptedNetCV(CoxNetCV):
    def fit(self, X, y, sample_weight=None):
        return super().fit(X, outcome_of(y, 1), sample_weight)

    def score(self, X, y):
        return super().score(X, outcome_of(y, 1))


class AdaptedFineGray(FineGray):
    def fit(self, X, y, sample_weight=None):
        return super().fit(X, outcome_of(y, 2), sample_weight)

    def score(self, X, y):
        return super().score(X, outcome_of(y, 2))


class AdaptedParametric(ParametricSurvival):
    def fit(self, X, y, sample_weight=None):
        return super().fit(X, outcome_of(y, 1), sample_weight)

    def score(self, X, y):
        return super().score(X, outcome_of(y, 1))


class AdaptedGrowth(GrowthCurve):
    def fit(self, X, y):
        return super().fit(X, y, np.arange(X.shape[0] if hasattr(X, "shape") else len(np.asarray(X))) // 5)


PENALISED = [
    LinearRegression(penalty="elastic_net"),
    LinearRegressionCV(n_alphas=10, cv=3),
    LogisticRegression(penalty="l2"),
    OrdinalRegression(penalty="l2"),
    MultinomialRegression(penalty="l2"),
    AdaptedCox(penalty="l2", ties="breslow"),
    AdaptedFineGray(penalty="l2"),
    AdaptedNet(ties="breslow"),
    AdaptedNetCV(ties="breslow"),
]
PLAIN = [
    LinearRegression(),
    FirthLogisticRegression(interval="wald"),
    AdaptedParametric(),
    AdaptedGrowth(random="intercept"),
]

ESTIMABLE = "the check has fewer subjects than columns: no estimate without a penalty, an error by design"


def expected(estimator):
    out = {}
    if isinstance(estimator, OrdinalRegression):
        out["check_classifiers_train"] = "the check's classes have no order, which one b for all cuts cannot follow"
    if isinstance(estimator, LinearRegressionCV):
        out["check_sample_weight_equivalence_on_dense_data"] = "repeated rows fall into other folds"
    if (
        type(estimator) in (LinearRegression, FirthLogisticRegression, AdaptedParametric)
        and getattr(estimator, "penalty", None) is None
    ):
        out["check_sample_weight_equivalence_on_dense_data"] = ESTIMABLE
    if isinstance(estimator, ParametricSurvival):
        exact = "y is a function of X in it: times without spread have no scale, an error by design"
        out |= {"check_sample_weights_shape": exact, "check_sample_weights_not_overwritten": exact}
    if isinstance(estimator, GrowthCurve):
        out["check_regressors_no_decision_function"] = (
            "y is a column of X in it: no residual variance is left, an error by design"
        )
    return out


@parametrize_with_checks([*PENALISED, *PLAIN], expected_failed_checks=expected)
def test_scikit_learn_checks(estimator, check):
    """Oracle: scikit-learn's check_estimator."""
    check(estimator)


def survival_models():
    return [
        CoxPH(),
        CoxPH(penalty="elastic_net", alpha=0.05),
        FineGray(),
        CoxNet(n_alphas=20),
        CoxNetCV(n_alphas=10, cv=3),
        ParametricSurvival(),
        ParametricSurvival(family="spline"),
    ]


@pytest.mark.parametrize("model", survival_models(), ids=str)
def test_survival_models_in_scikit_learn(model):
    """Mechanics: Pipeline, GridSearchCV, cross_validate, clone, pickle of the fitted model: the same predictions."""
    X, y = load("lung")
    if isinstance(model, FineGray):
        y = pd.DataFrame({"event": y["event"].astype(int) * (1 + np.arange(len(y)) % 2), "time": y["time"]})
    pipe = make_pipeline(StandardScaler(), model).fit(X, y)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(pipe)).predict(X), pipe.predict(X))
    np.testing.assert_array_equal(clone(pipe).fit(X, y).predict(X), pipe.predict(X))
    name = type(model).__name__.lower()
    grid = {
        "coxph": {"coxph__ties": ["efron", "breslow"]},
        "parametricsurvival": {"parametricsurvival__df": [1, 2]},
        "finegray": {"finegray__penalty": [None, "l2"]},
        "coxnet": {"coxnet__l1_ratio": [0.5, 0.9]},
        "coxnetcv": {"coxnetcv__rule": ["min", "1se"]},
    }[name]
    assert 0.5 < GridSearchCV(clone(pipe), grid, cv=3).fit(X, y).best_score_ < 0.8
    assert np.isfinite(cross_validate(clone(pipe), X, y, cv=3)["test_score"]).all()


def test_growth_curves_in_scikit_learn():
    """Mechanics: the same for growth curves, whose subjects go along as a parameter of fit, and are kept whole by GroupKFold."""
    X, y, subject = visits()
    pipe = make_pipeline(StandardScaler().set_output(transform="pandas"), GrowthCurve(time="month"))
    of = {"growthcurve__subject": np.asarray(subject)}
    pipe.fit(X, y, **of)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(pipe)).predict(X), pipe.predict(X))
    np.testing.assert_array_equal(clone(pipe).fit(X, y, **of).predict(X), pipe.predict(X))
    grid = GridSearchCV(clone(pipe), {"growthcurve__random": ["intercept", "slope"]}, cv=GroupKFold(3))
    assert grid.fit(X, y, groups=subject, **of).best_score_ > 0
    result = cross_validate(clone(pipe), X, y, cv=GroupKFold(3), groups=subject, params=of)
    assert np.isfinite(result["test_score"]).all()


@pytest.mark.parametrize(
    "model, target",
    [
        (LinearRegression(penalty="l1"), "score"),
        (LinearRegressionCV(), "score"),
        (OrdinalRegression(penalty="l2"), "level"),
        (MultinomialRegression(penalty="l1"), "kind"),
        (FirthLogisticRegression(), "binary"),
        (LogisticRegression(penalty="l2"), "binary"),
        (LogisticRegressionCV(), "binary"),
    ],
    ids=str,
)
def test_regressions_in_scikit_learn(model, target):
    """Mechanics: the same for the regressions."""
    X, s, level, kind, _ = made()
    y = {"score": s, "level": level, "kind": kind, "binary": level > 2}[target]
    pipe = make_pipeline(StandardScaler(), model).fit(X, y)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(pipe)).predict(X), pipe.predict(X))
    step = type(model).__name__.lower()
    parameter = f"{step}__alpha" if hasattr(model, "alpha") else f"{step}__tolerance"
    search = GridSearchCV(
        clone(pipe), {parameter: [1e-3, 1e-2] if hasattr(model, "alpha") else [1e-9, 1e-8]}, cv=3
    ).fit(X, y)
    assert search.best_score_ > 0.1
    assert np.isfinite(cross_validate(clone(pipe), X, y, cv=3)["test_score"]).all()


def test_every_estimator_keeps_arrays_only():
    """Mechanics: a fitted estimator's state is numbers, arrays, tables and names: nothing of the extension is pickled."""
    X, y = load("lung")
    visit, score, subject = visits()
    Z, s, level, kind, _ = made()
    fitted = [m.fit(X, y) for m in survival_models() if not isinstance(m, FineGray)] + [
        GrowthCurve(time="month").fit(visit, score, subject),
        LinearRegression().fit(Z, s),
        OrdinalRegression().fit(Z, level),
        MultinomialRegression().fit(Z, kind),
        FirthLogisticRegression().fit(Z, level > 2),
        vo.KaplanMeier().fit(y),
        vo.NelsonAalen().fit(y),
        vo.AalenJohansen().fit((y["event"].astype(int), y["time"])),
    ]
    for model in fitted:
        for name, value in vars(model).items():
            if (type(model), name) in ((CoxPH, "fit_"), (CoxNetCV, "model_")):
                continue  # pickles as a tuple of tensors; holds a CoxPH
            assert not type(value).__module__.startswith("vesalius"), f"{type(model).__name__}.{name}"
        pickle.loads(pickle.dumps(model))
