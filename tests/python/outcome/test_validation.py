# SPDX-License-Identifier: Apache-2.0
"""Repeated cross-validation, permutation test, bootstrap, redundancy filter."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import vesalius as vs
from vesalius.outcome import (
    LogisticRegression,
    LogisticRegressionCV,
    RedundancyFilter,
    bootstrap_interval,
    metrics,
    permutation_p_value,
    repeated_stratified_cv,
)


def data(n=60, p=5, effect=1.5, seed=0):
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(rng.normal(size=(n, p)), columns=list("abcdefghij")[:p], index=[f"patient-{i}" for i in range(n)])
    return X, (effect * X["a"] + rng.logistic(size=n) > 0).astype(int)


def test_out_of_fold_predictions_equal_scikit_learn_by_hand():
    """Oracle: the loop written out, with scikit-learn's own AUC."""
    X, y = data()
    model = make_pipeline(StandardScaler(), LogisticRegression(penalty="l2", alpha=0.1))
    result = repeated_stratified_cv(model, X, y, repeats=3, folds=4, seed=7)
    for r in range(3):
        expected = np.empty(len(y))
        for train, test in StratifiedKFold(4, shuffle=True, random_state=7 + r).split(X, y):
            expected[test] = model.fit(X.iloc[train], y.iloc[train]).predict_proba(X.iloc[test])[:, 1]
        np.testing.assert_allclose(result.predictions[f"repeat_{r}"], expected, atol=1e-12)
        assert result.auc_per_repeat[r] == pytest.approx(roc_auc_score(y, expected))
    assert float(result.auc) == pytest.approx(result.auc_per_repeat.mean())
    single = [metrics.roc_auc(y, result.predictions[c]).standard_error for c in result.predictions]
    assert result.auc.standard_error == pytest.approx(np.sqrt(np.mean(np.square(single))))
    assert list(result.predictions.index) == list(X.index) and result.mean_prediction.shape == (60,)


class Spy(ClassifierMixin, BaseEstimator):
    """Says 1 for subjects it was trained on: any leak gives an AUC that is not a half."""

    def fit(self, X, y):
        self.classes_, self.seen_ = np.array([0, 1]), dict(zip(X["id"], y, strict=True))
        return self

    def predict_proba(self, X):
        p = np.array([self.seen_.get(i, 0.5) for i in X["id"]])
        return np.column_stack([1 - p, p])


def test_no_subject_is_predicted_by_a_model_that_saw_it():
    """Invariant: a model that only remembers knows nothing."""
    X, y = data()
    result = repeated_stratified_cv(Spy(), X.assign(id=range(len(X))), y, repeats=2)
    assert (result.predictions == 0.5).all().all() and float(result.auc) == 0.5


def test_permutation_test_finds_signal_and_only_signal():
    """Invariant: p is small with a strong effect, not without; jobs don't change anything."""
    model = LogisticRegression(penalty="l2", alpha=0.1)
    X, y = data(effect=4)
    strong = repeated_stratified_cv(model, X, y, repeats=2, permutations=39, seed=1)
    assert strong.p_value == 1 / 40 and strong.null_auc.shape == (39,) and strong.auc.interval[0] > 0.5
    assert strong.permuted_statistic == strong.auc_per_repeat[0]
    alone, parallel = (repeated_stratified_cv(model, X, y, repeats=1, permutations=4, seed=1, jobs=j) for j in (1, 2))
    np.testing.assert_array_equal(parallel.null_auc, alone.null_auc)
    nothing = repeated_stratified_cv(
        model, X, np.random.default_rng(3).permutation(y), repeats=1, permutations=19, seed=1
    )
    assert nothing.p_value > 0.1


def test_whole_pipeline_inside_the_fold():
    """Invariant: choosing among 200 columns of noise stays at chance when the choice is made inside the fold."""
    rng = np.random.default_rng(0)
    X, y = pd.DataFrame(rng.normal(size=(60, 200))), rng.integers(0, 2, 60)
    model = make_pipeline(RedundancyFilter(), StandardScaler(), LogisticRegressionCV(n_alphas=10, cv=3))
    assert abs(float(repeated_stratified_cv(model, X, y, repeats=2).auc) - 0.5) < 0.2


def test_permutation_p_value():
    """Oracle: Phipson and Smyth's formula by hand."""
    assert permutation_p_value(0.8, [0.5, 0.9, 0.8]) == 3 / 4
    assert permutation_p_value(1.0, np.zeros(99)) == 0.01
    with pytest.raises(vs.InvalidArgument, match="finite"):
        permutation_p_value(0.8, [])


@pytest.mark.parametrize("method, peer", [("percentile", "percentile"), ("bca", "BCa")])
def test_bootstrap_equals_scipy(method, peer):
    """Oracle: scipy.stats.bootstrap, within its Monte-Carlo error."""
    x = np.random.default_rng(0).exponential(size=60)
    ours = bootstrap_interval(np.mean, x, replicates=4000, method=method, seed=1)
    theirs = stats.bootstrap(
        (x,), np.mean, n_resamples=4000, method=peer, rng=np.random.default_rng(2)
    ).confidence_interval
    np.testing.assert_allclose(ours, theirs, atol=0.02)
    assert ours == bootstrap_interval(np.mean, x, replicates=4000, method=method, seed=1)


def test_stratified_bootstrap_of_an_auc():
    """Oracle: DeLong's interval, close in a sample of this size. Mechanics: what fails is counted, not hidden."""
    rng = np.random.default_rng(1)
    y = np.r_[np.ones(80), np.zeros(120)]
    score = y + rng.normal(size=200)
    low, high = bootstrap_interval(lambda a, b: float(metrics.roc_auc(a, b)), y, score, stratify=y, replicates=500)
    np.testing.assert_allclose((low, high), metrics.roc_auc(y, score).interval, atol=0.02)
    with pytest.warns(UserWarning, match="left out"):
        bootstrap_interval(lambda a, b: float(metrics.roc_auc(a, b)), [0, 1, 0, 1], [1.0, 2, 3, 4], replicates=100)


def test_redundancy_filter():
    """Oracle: scipy's spearmanr over all pairs, greedy by hand."""
    rng = np.random.default_rng(2)
    base = rng.normal(size=(50, 4))
    X = pd.DataFrame(base, columns=list("abcd"))
    X["a_cubed"], X["minus_b"], X["flat"], X["holes"] = X.a**3, -X.b + 1e-9 * X.c, 7.0, X.c.where(X.c > 0)
    X["a_and_noise"] = X.a + 0.3 * rng.normal(size=50)
    f = RedundancyFilter(0.9).fit(X)
    assert f.reasons_ == {
        "a_cubed": "a",
        "minus_b": "b",
        "flat": "constant",
        "holes": "missing",
        **({"a_and_noise": "a"} if abs(stats.spearmanr(X.a, X.a_and_noise)[0]) > 0.9 else {}),
    }
    assert list(f.set_output(transform="pandas").transform(X).columns) == list(f.get_feature_names_out())
    kept = X[f.get_feature_names_out()]
    rho = np.abs(stats.spearmanr(kept).statistic) - np.eye(kept.shape[1])
    assert rho.max() <= 0.9
    with pytest.raises(vs.InvalidArgument, match="nothing is left"):
        RedundancyFilter().fit(X[["flat", "holes"]])
    with pytest.raises(vs.InvalidArgument, match="threshold"):
        RedundancyFilter(90).fit(X)


@pytest.mark.filterwarnings("ignore")
def test_redundancy_filter_is_a_transformer():
    """Oracle: scikit-learn's check_estimator."""
    # That check puts a NaN into every column, and then there is nothing to keep.
    check_estimator(
        RedundancyFilter(), expected_failed_checks={"check_estimators_pickle": "a column with NaN is dropped"}
    )


def test_bad_input():
    X, y = data()
    model = LogisticRegression(penalty="l2")
    with pytest.raises(vs.InvalidArgument, match="60 rows and y 59"):
        repeated_stratified_cv(model, X, y[:-1])
    with pytest.raises(vs.InvalidArgument, match="Use fewer folds"):
        repeated_stratified_cv(model, X, (np.arange(60) < 3).astype(int))
    with pytest.raises(vs.InvalidArgument, match="permutation_repeats"):
        repeated_stratified_cv(model, X, y, repeats=1, permutation_repeats=2)
