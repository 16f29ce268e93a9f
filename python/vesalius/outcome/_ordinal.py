# SPDX-License-Identifier: Apache-2.0
"""Proportional odds for ordered scores."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, column_or_1d, validate_data

from .._vesalius import outcome as _core
from ..errors import InvalidArgument
from ._data import check_finite, check_numeric, coefficient_table, names_of, penalty_of, plain, to_tensor


class LevelClassifier(ClassifierMixin, BaseEstimator):
    """What the classifiers of several levels share."""

    def _prepare(self, X: Any, y: Any, sample_weight: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        if y is None:
            raise InvalidArgument(f"{type(self).__name__} requires y to be passed, but the target y is None")
        X = validate_data(self, check_numeric(X), dtype=np.float64, ensure_all_finite=False)
        check_finite(X, names_of(self, X.shape[1]))
        y = column_or_1d(plain(y), warn=True)
        if len(y) != len(X):
            raise InvalidArgument(f"X has {len(X)} rows and y {len(y)} values: they must be of one length")
        check_classification_targets(y)
        weights = None
        if sample_weight is not None:
            weights = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
            # a level of weight 0 only is a level that is not there
            present = np.isin(y, np.unique(y[weights > 0]))
            X, y, weights = X[present], y[present], weights[present]
        self.classes_, code = self._levels(y)
        if len(self.classes_) < 2:
            raise InvalidArgument(f"y holds one class only ({self.classes_[0]!r}): a model needs at least two classes")
        return X, code.astype(np.float64), weights

    def _levels(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.unique(y, return_inverse=True)

    def _matrix(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        X = validate_data(self, check_numeric(X), reset=False, dtype=np.float64, ensure_all_finite=False)
        check_finite(X, names_of(self, X.shape[1]))
        return X

    def predict_proba(self, X: Any) -> np.ndarray:
        raise NotImplementedError

    def predict_log_proba(self, X: Any) -> np.ndarray:
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def predict(self, X: Any) -> np.ndarray:
        """The most probable class, [n]."""
        best = np.argmax(self.predict_proba(X), axis=1)
        return self.classes_[best]


class OrdinalRegression(LevelClassifier):
    r"""Proportional odds: an ordered score (Rankin, Glasgow outcome, grades) on columns.

    .. math:: \log\frac{P(Y \le k)}{P(Y > k)} = \zeta_k - x^\top b,

    one b for every cut between levels (that is the assumption): exp(b) is the odds ratio of a higher level, for each more of the
    column. Levels are the sorted values of y; say ``levels`` for another order (or strings).

    Parameters
    ----------
    levels : list, optional
        The levels, low to high.
    penalty : None, "l1", "l2" or "elastic_net"; alpha, l1_ratio, standardise
        As in :class:`LogisticRegression`, on b.
    max_iterations, tolerance

    Attributes
    ----------
    classes_ : the levels, low to high
    coef_ : float64 [p]; positive: higher levels
    thresholds_ : float64 [levels − 1], ζ
    covariance_ : float64 [p + levels − 1]², the coefficients first; None with a penalty
    log_likelihood_, log_likelihood_null_ : float

    Raises
    ------
    ConvergenceError
        The columns separate the levels, and no penalty is given.
    InvalidArgument
        One level; NaN; without a penalty also constant or collinear columns and fewer subjects than coefficients.

    References
    ----------
    McCullagh P. Regression models for ordinal data. J R Stat Soc B 1980;42:109-142.
    """

    def __init__(
        self,
        *,
        levels: Any = None,
        penalty: str | None = None,
        alpha: float = 0.1,
        l1_ratio: float = 0.5,
        standardise: bool = True,
        max_iterations: int = 100,
        tolerance: float = 1e-9,
    ) -> None:
        self.levels = levels
        self.penalty = penalty
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.standardise = standardise
        self.max_iterations = max_iterations
        self.tolerance = tolerance

    def _levels(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if self.levels is None:
            return np.unique(y, return_inverse=True)
        order = list(self.levels)
        unknown = [v for v in np.unique(y).tolist() if v not in order]
        if unknown or len(set(order)) != len(order):
            raise InvalidArgument(f"levels must name each level of y once, low to high; y holds {unknown[:5]} besides")
        present = [v for v in order if v in set(y.tolist())]
        position = {v: i for i, v in enumerate(present)}
        return np.array(present), np.array([position[v] for v in y.tolist()])

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> OrdinalRegression:
        """X [n, p] of numbers; y [n] of levels; sample_weight [n] ≥ 0, counts subjects."""
        X, code, weights = self._prepare(X, y, sample_weight)
        options = _core.FitOptions(
            **penalty_of(self.penalty, self.alpha, self.l1_ratio),
            standardise=self.standardise,
            max_iterations=self.max_iterations,
            tolerance=self.tolerance,
            names=names_of(self, X.shape[1]),
        )
        fit = _core.fit_ordinal(to_tensor(X), to_tensor(code), options, None if weights is None else to_tensor(weights))
        self.coef_, self.thresholds_ = fit.coef.numpy(), fit.thresholds.numpy()
        self.mean_, self.centred_thresholds_ = fit.mean.numpy(), fit.centred.numpy()
        self.covariance_ = None if fit.covariance is None else fit.covariance.numpy()
        self.log_likelihood_, self.log_likelihood_null_ = fit.log_likelihood, fit.log_likelihood_null
        self.n_iter_ = max(1, fit.iterations)
        return self

    def linear_predictor(self, X: Any) -> np.ndarray:
        """(x − mean)·coef, [n]; larger is a higher level."""
        return (self._matrix(X) - self.mean_) @ self.coef_

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities [n, levels] in the order of ``classes_``."""
        eta = self.linear_predictor(X)
        return _core.ordinal_probabilities(to_tensor(eta), to_tensor(self.centred_thresholds_)).numpy()

    def predict_expected(self, X: Any) -> np.ndarray:
        """Expected level, [n], where levels are numbers."""
        try:
            values = self.classes_.astype(float)
        except (TypeError, ValueError) as error:
            raise InvalidArgument("an expected level needs levels that are numbers") from error
        return self.predict_proba(X) @ values

    def summary(self, *, confidence: float = 0.95) -> pd.DataFrame:
        """coef (log odds ratio of a higher level), exp(coef), se, z, p, lower, upper; the thresholds last."""
        check_is_fitted(self)
        cuts = [f"{a}|{b}" for a, b in zip(self.classes_[:-1], self.classes_[1:], strict=True)]
        names = [*names_of(self, self.n_features_in_), *cuts]
        return coefficient_table(names, np.r_[self.coef_, self.thresholds_], self.covariance_, confidence, "odds ratio")
