# SPDX-License-Identifier: Apache-2.0
"""Honest estimates of how a whole pipeline predicts patients it has not seen."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.model_selection import StratifiedKFold

from .._vesalius import outcome as _core
from ..errors import InvalidArgument
from . import metrics
from ._data import plain, to_tensor

__all__ = [
    "CrossValidation",
    "bootstrap_interval",
    "nested_cross_validation",
    "permutation_p_value",
    "repeated_stratified_cv",
]


@dataclass(frozen=True)
class CrossValidation:
    """What :func:`repeated_stratified_cv` returns.

    Attributes
    ----------
    predictions : DataFrame [n, repeats]
        Each subject's predicted probability (or score), always by a model that was fitted without it.
    y : float64 [n]
    auc : metrics.RocAuc
        Mean area over the repeats; its DeLong interval is that of a single repeat: repeating adds no subjects.
    auc_per_repeat : float64 [repeats]
    p_value : float or None
        Chance of an area as large when outcomes are shuffled; with `permutations`.
    null_auc : float64 [permutations]
    permuted_statistic : float or None
        The area that `null_auc` is compared with: the mean over the first `permutation_repeats` repeats.
    """

    predictions: pd.DataFrame
    y: np.ndarray
    auc: metrics.RocAuc
    auc_per_repeat: np.ndarray
    p_value: float | None = None
    null_auc: np.ndarray = field(default_factory=lambda: np.empty(0))
    permuted_statistic: float | None = None

    @property
    def mean_prediction(self) -> pd.Series:
        """Mean over the repeats, one for each subject: for ROC and calibration curves."""
        return self.predictions.mean(axis=1).rename("prediction")


def _score(model: Any, X: Any) -> np.ndarray:
    if hasattr(model, "predict_proba"):
        return model.predict_proba(X)[:, 1]
    return model.decision_function(X)


def _rows(X: Any, rows: np.ndarray) -> Any:
    return X.iloc[rows] if hasattr(X, "iloc") else X[rows]


def _out_of_fold(pipeline: Any, X: Any, y: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """One repeat: each subject predicted once."""
    out = np.empty(len(y))
    for train, test in StratifiedKFold(folds, shuffle=True, random_state=seed).split(np.zeros(len(y)), y):
        model = clone(pipeline).fit(_rows(X, train), y[train])
        out[test] = _score(model, _rows(X, test))
    return out


def _permuted(pipeline: Any, X: Any, y: np.ndarray, folds: int, seeds: Sequence[int]) -> float:
    return float(np.mean([float(metrics.roc_auc(y, _out_of_fold(pipeline, X, y, folds, s))) for s in seeds]))


def _run(
    function: Callable[..., Any], tasks: Sequence[tuple[Any, ...]], jobs: int, progress: bool, what: str
) -> list[Any]:
    """function(*task) for each, in order, in `jobs` processes."""
    from joblib import Parallel, delayed

    if jobs == 1:
        results: Iterable[Any] = (function(*task) for task in tasks)
    else:
        results = Parallel(n_jobs=jobs, return_as="generator")(delayed(function)(*task) for task in tasks)
    if progress:
        from tqdm.auto import tqdm

        results = tqdm(results, total=len(tasks), desc=what, leave=False)
    return list(results)


def repeated_stratified_cv(
    pipeline: Any,
    X: Any,
    y: Any,
    *,
    repeats: int = 20,
    folds: int = 5,
    seed: int = 0,
    permutations: int = 0,
    permutation_repeats: int = 1,
    confidence: float = 0.95,
    jobs: int = 1,
    progress: bool = False,
) -> CrossValidation:
    """Repeated stratified cross-validation of a whole pipeline, with a permutation test.

    Every step of ``pipeline`` (scaling, filters, choice of penalty, fit) is fitted anew on each training fold and on
    nothing else; with :class:`LogisticRegressionCV` or ``GridSearchCV`` as its last step this is nested
    cross-validation.

    Parameters
    ----------
    pipeline : scikit-learn classifier or Pipeline
    X : [n, p] DataFrame or array
    y : [n] of 0/1 or booleans
    repeats, folds, seed
        Repeat ``r`` draws its folds with seed ``seed + r``.
    permutations : int
        How often to shuffle ``y`` and cross-validate everything again; ``p = (1 + #{null >= observed}) / (1 + permutations)``
        (Phipson, Smyth 2010, doi 10.2202/1544-6115.1585). Both sides are the mean over the first
        ``permutation_repeats`` repeats, so that like is compared with like.
    jobs : int
        Processes. The result does not depend on it.

    Notes
    -----
    The interval uses the mean of the repeats' DeLong variances, so repeating does not shrink it. It is the sampling error
    of the test subjects given models trained on this many; it does not hold how much another training set would change
    the model (Bengio, Grandvalet 2004: no unbiased estimate of that exists).
    """
    y = metrics.binary(y)
    X = plain(X)
    if len(X) != len(y):
        raise InvalidArgument(f"X has {len(X)} rows and y {len(y)} values: they must be of one length")
    rarer = int(min(y.sum(), len(y) - y.sum()))
    if repeats < 1 or folds < 2 or permutations < 0 or not 1 <= permutation_repeats <= repeats:
        raise InvalidArgument("repeats must be at least 1, folds at least 2, permutation_repeats between 1 and repeats")
    if rarer < folds:
        raise InvalidArgument(
            f"the rarer class has {rarer} members: {folds} stratified folds need {folds}. Use fewer folds"
        )
    seeds = [seed + r for r in range(repeats)]
    columns = _run(_out_of_fold, [(pipeline, X, y, folds, s) for s in seeds], jobs, progress, "cross-validation")
    scores = np.stack(columns)
    parts = _core.roc_auc(to_tensor(y), to_tensor(scores))
    per_repeat = parts.auc.numpy()
    value, se = float(per_repeat.mean()), float(np.sqrt(max(0.0, float(parts.covariance.diagonal().mean()))))
    auc = metrics.RocAuc(
        value, se, metrics._interval(value, se, confidence), confidence, parts.positives, parts.negatives
    )
    index = X.index if isinstance(X, pd.DataFrame) else pd.RangeIndex(len(y))
    frame = pd.DataFrame(scores.T, index=index, columns=[f"repeat_{r}" for r in range(repeats)])
    if not permutations:
        return CrossValidation(frame, y, auc, per_repeat)
    generator = np.random.default_rng([seed, 1])
    shuffled = [generator.permutation(y) for _ in range(permutations)]
    tasks = [(pipeline, X, s, folds, seeds[:permutation_repeats]) for s in shuffled]
    null = np.array(_run(_permuted, tasks, jobs, progress, "permutations"))
    observed = float(per_repeat[:permutation_repeats].mean())
    return CrossValidation(frame, y, auc, per_repeat, permutation_p_value(observed, null), null, observed)


#: The same: what makes it nested is a last step that chooses its own settings on the training fold.
nested_cross_validation = repeated_stratified_cv


def permutation_p_value(observed: float, null: Any) -> float:
    """``(1 + #{null >= observed}) / (1 + count)``: never 0, and valid at any count (Phipson, Smyth 2010)."""
    null = np.asarray(plain(null), dtype=float)
    if null.ndim != 1 or not null.size or not np.isfinite(null).all() or not np.isfinite(observed):
        raise InvalidArgument(
            "a p-value needs a finite observed value and a vector of finite values under the null hypothesis"
        )
    # equal up to rounding counts as equal: the same pairs summed in another order
    return float((1 + np.count_nonzero(null >= observed - 1e-12)) / (1 + null.size))


def bootstrap_interval(
    statistic: Callable[..., float],
    *arrays: Any,
    stratify: Any = None,
    replicates: int = 1000,
    confidence: float = 0.95,
    method: str = "bca",
    seed: int | np.random.Generator = 0,
) -> tuple[float, float]:
    """Bootstrap interval of ``statistic(*arrays)``, subjects drawn with replacement.

    Parameters
    ----------
    statistic : function of as many arrays as given, to a number
    arrays : arrays or DataFrames with one row for each subject
    stratify : [n], optional
        Draw within these groups, so that each keeps its size (for an AUC: ``y``).
    method : "bca" or "percentile"
        Bias-corrected and accelerated (Efron 1987, doi 10.1080/01621459.1987.10478410), n more evaluations; or plain.
    seed : int or numpy.random.Generator

    Replicates where the statistic is NaN or raises a ``ValueError`` (one class only, say) are left out, with a warning.
    """
    from scipy.stats import norm

    if not arrays or not 0 < confidence < 1 or replicates < 2 or method not in ("bca", "percentile"):
        raise InvalidArgument(
            "needs arrays, confidence in (0, 1), at least 2 replicates, and method 'bca' or 'percentile'"
        )
    arrays = tuple(plain(a) if not isinstance(a, (list, tuple)) else np.asarray(a) for a in arrays)
    n = len(arrays[0])
    if any(len(a) != n for a in arrays):
        raise InvalidArgument(f"the arrays must be of one length; they have {[len(a) for a in arrays]} rows")
    generator = np.random.default_rng(seed)
    groups = (
        [np.arange(n)]
        if stratify is None
        else [np.flatnonzero(np.asarray(plain(stratify)) == g) for g in np.unique(plain(stratify))]
    )

    def at(rows: np.ndarray) -> float:
        try:
            return float(statistic(*(_rows(a, rows) for a in arrays)))
        except ValueError:
            return float("nan")

    observed = float(statistic(*arrays))
    values = np.array([at(np.concatenate([generator.choice(g, len(g)) for g in groups])) for _ in range(replicates)])
    lost = int(np.isnan(values).sum())
    if lost:
        warnings.warn(
            f"the statistic could not be computed on {lost} of {replicates} replicates; they are left out",
            UserWarning,
            stacklevel=2,
        )
        values = values[~np.isnan(values)]
    if values.size < 2:
        return float("nan"), float("nan")
    tails = np.array([0.5 - confidence / 2, 0.5 + confidence / 2])
    if method == "bca":
        below = (np.count_nonzero(values < observed) + 0.5 * np.count_nonzero(values == observed)) / values.size
        bias = norm.ppf(np.clip(below, 0.5 / values.size, 1 - 0.5 / values.size))
        left_out = np.array([at(np.delete(np.arange(n), i)) for i in range(n)])
        d = np.nanmean(left_out) - left_out[~np.isnan(left_out)]
        spread = (d**2).sum() ** 1.5
        acceleration = (d**3).sum() / (6 * spread) if spread > 0 else 0.0
        shifted = bias + norm.ppf(tails)
        tails = norm.cdf(bias + shifted / (1 - acceleration * shifted))
    low, high = np.quantile(values, tails)
    return float(low), float(high)
