# SPDX-License-Identifier: Apache-2.0
"""Logistic regression, plain and with elastic net."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import StratifiedKFold
from sklearn.utils import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, column_or_1d, validate_data

from .._vesalius import outcome as _core
from ..errors import InvalidArgument
from ._data import check_finite, check_numeric, coefficient_table, names_of, penalty_of, plain, to_tensor


class _Logistic(ClassifierMixin, BaseEstimator):
    """What the two classifiers share."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags

    def _matrix(self, X: Any, *, reset: bool) -> np.ndarray:
        X = validate_data(self, check_numeric(X), reset=reset, dtype=np.float64, ensure_all_finite=False)
        check_finite(X, names_of(self, X.shape[1]))
        return X

    def _prepare(self, X: Any, y: Any, sample_weight: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        if y is None:
            raise InvalidArgument(f"{type(self).__name__} requires y to be passed, but the target y is None")
        X = check_numeric(X)
        X = validate_data(self, X, dtype=np.float64, ensure_all_finite=False)
        check_finite(X, names_of(self, X.shape[1]))
        y = column_or_1d(plain(y), warn=True)
        if len(y) != len(X):
            raise InvalidArgument(f"X has {len(X)} rows and y {len(y)} values: they must be of one length")
        check_classification_targets(y)
        if type_of_target(y) not in ("binary",) and len(np.unique(y)) > 2:
            raise InvalidArgument(
                f"Only binary classification is supported. The type of the target is {type_of_target(y)}: {len(np.unique(y))} classes came"
            )
        self.classes_, code = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise InvalidArgument(
                f"y holds one class only ({self.classes_[0]!r}): a model needs both. With rare classes use stratified folds"
            )
        weights = None
        if sample_weight is not None:
            weights = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        if self.class_weight is not None:
            per_class = compute_class_weight(self.class_weight, classes=self.classes_, y=y, sample_weight=sample_weight)
            weights = per_class[code] * (1.0 if weights is None else weights)
        return X, code.astype(np.float64), weights

    def decision_function(self, X: Any) -> np.ndarray:
        """Log-odds of ``classes_[1]``, [n]."""
        check_is_fitted(self)
        return self._matrix(X, reset=False) @ self.coef_[0] + self.intercept_[0]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities [n, 2] in the order of ``classes_``."""
        from scipy.special import expit

        eta = self.decision_function(X)
        return np.column_stack([expit(-eta), expit(eta)])

    def predict_log_proba(self, X: Any) -> np.ndarray:
        from scipy.special import log_expit

        eta = self.decision_function(X)
        return np.column_stack([log_expit(-eta), log_expit(eta)])

    def predict(self, X: Any) -> np.ndarray:
        """The class whose probability is at least one half, [n]."""
        above = self.decision_function(X) > 0
        return self.classes_[above.astype(int)]

    def summary(self, *, confidence: float = 0.95) -> pd.DataFrame:
        """coef (log odds ratio), exp(coef), se, z, p, lower, upper; the intercept first.

        Standard errors are those of maximum likelihood; with a penalty there are none (NaN): the estimates are biased on
        purpose, and an interval around them would not cover. Bootstrap the whole pipeline instead.
        """
        check_is_fitted(self)
        names, coef = names_of(self, self.n_features_in_), self.coef_[0]
        if self.fit_intercept:
            names, coef = ["(intercept)", *names], np.concatenate([self.intercept_, coef])
        return coefficient_table(names, coef, self.covariance_, confidence, "odds ratio")


class LogisticRegression(_Logistic):
    r"""Logistic regression for two classes, plain or with an elastic-net penalty.

    Minimised is

    .. math:: \frac{1}{\sum_i w_i} \sum_i w_i \left[\log(1 + e^{\eta_i}) - y_i \eta_i\right]
              + \alpha \left(\rho \lVert b \rVert_1 + \tfrac{1 - \rho}{2} \lVert b \rVert_2^2\right),
              \qquad \eta_i = b_0 + x_i^\top b,

    glmnet's objective: ``alpha`` is its lambda and ``l1_ratio`` (:math:`\rho`) its alpha. scikit-learn's ``C`` with
    ``standardise=False`` is ``1 / (n alpha)``. The intercept is never penalised.

    Without a penalty the estimate is that of maximum likelihood by Newton's method, with standard errors and Wald
    intervals in :meth:`summary`; with one it is found by proximal Newton steps and coordinate descent until the
    optimality conditions hold to ``tolerance``.

    Parameters
    ----------
    penalty : None, "l1", "l2" or "elastic_net"
    alpha : float
        Strength of the penalty; not used with ``penalty=None``. :class:`LogisticRegressionCV` chooses it.
    l1_ratio : float
        Share of the absolute values in ``"elastic_net"``, 0 to 1.
    standardise : bool
        Penalise coefficients of columns divided by their standard deviation, so that units don't matter. Coefficients are
        always those of the columns as given.
    fit_intercept : bool
    class_weight : None, "balanced" or dict
        As in scikit-learn. Standard errors take the weights for counts.
    max_iterations, tolerance
        Newton steps, and the largest violation of an optimality condition on standardised columns.

    Attributes
    ----------
    coef_ : float64 [1, p]
    intercept_ : float64 [1]
    covariance_ : float64 [p + 1, p + 1], intercept first, or None with a penalty
    classes_ : the two classes; the second is modelled
    log_likelihood_, log_likelihood_null_ : float
    n_iter_ : int

    Raises
    ------
    ConvergenceError
        The classes are separated and no penalty is given: no finite estimate exists.
    InvalidArgument
        One class; NaN; without a penalty also constant or collinear columns and fewer subjects than coefficients.

    References
    ----------
    Friedman J, Hastie T, Tibshirani R. Regularization paths for generalized linear models via coordinate descent.
    J Stat Softw 2010;33(1). doi 10.18637/jss.v033.i01.

    Albert A, Anderson JA. On the existence of maximum likelihood estimates in logistic regression models.
    Biometrika 1984;71:1-10. doi 10.1093/biomet/71.1.1.
    """

    def __init__(
        self,
        *,
        penalty: str | None = None,
        alpha: float = 0.1,
        l1_ratio: float = 0.5,
        standardise: bool = True,
        fit_intercept: bool = True,
        class_weight: Any = None,
        max_iterations: int = 100,
        tolerance: float = 1e-9,
    ) -> None:
        self.penalty = penalty
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.standardise = standardise
        self.fit_intercept = fit_intercept
        self.class_weight = class_weight
        self.max_iterations = max_iterations
        self.tolerance = tolerance

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> LogisticRegression:
        """X [n, p] of numbers; y [n] of two classes; sample_weight [n] ≥ 0."""
        X, code, weights = self._prepare(X, y, sample_weight)
        options = _core.LogisticOptions(
            **penalty_of(self.penalty, self.alpha, self.l1_ratio),
            standardise=self.standardise,
            max_iterations=self.max_iterations,
            tolerance=self.tolerance,
            names=names_of(self, X.shape[1]),
        )
        options.fit_intercept = bool(self.fit_intercept)
        fit = _core.fit_logistic(
            to_tensor(X), to_tensor(code), options, None if weights is None else to_tensor(weights)
        )
        self.coef_ = fit.coef.numpy()[None, :]
        self.intercept_ = np.array([fit.intercept])
        self.covariance_ = None if fit.covariance is None else fit.covariance.numpy()
        self.log_likelihood_, self.log_likelihood_null_ = fit.log_likelihood, fit.log_likelihood_null
        self.n_iter_ = max(1, fit.iterations)
        return self


class LogisticRegressionCV(_Logistic):
    """Logistic regression whose penalty is chosen by cross-validated deviance along a path.

    The folds are stratified and drawn inside :meth:`fit`, on the data that fit is given: inside an outer
    cross-validation nothing leaks. The path is made on all data given, from the smallest ``alpha`` that leaves no
    coefficient downwards; each fold follows it, and the mean deviance of the subjects left out decides.

    Parameters
    ----------
    penalty : "l1", "l2" or "elastic_net"
    l1_ratio : float or list of float
        With a list, the best is chosen too.
    n_alphas, alpha_min_ratio
        Length of the path and its last value over its first (None: 1e-4, or 1e-2 where n < p).
    cv : int
        Folds; fewer, with a warning, where the rarer class has fewer members.
    selection : "min" or "1se"
        The least deviance, or the strongest penalty within one standard error of it.
    random_state : int
        Draws the folds.
    standardise, fit_intercept, class_weight, max_iterations, tolerance
        As in :class:`LogisticRegression`.

    Attributes
    ----------
    coef_, intercept_, classes_, n_iter_ : as in :class:`LogisticRegression`
    alpha_, l1_ratio_ : what was chosen
    alphas_ : float64 [k]
    coef_path_ : float64 [k, p], on all data
    deviance_, deviance_se_ : float64 [k], mean over the folds and its standard error
    """

    def __init__(
        self,
        *,
        penalty: str = "elastic_net",
        l1_ratio: Any = 0.5,
        n_alphas: int = 50,
        alpha_min_ratio: float | None = None,
        cv: int = 5,
        selection: str = "min",
        random_state: int = 0,
        standardise: bool = True,
        fit_intercept: bool = True,
        class_weight: Any = None,
        max_iterations: int = 100,
        tolerance: float = 1e-7,
    ) -> None:
        self.penalty = penalty
        self.l1_ratio = l1_ratio
        self.n_alphas = n_alphas
        self.alpha_min_ratio = alpha_min_ratio
        self.cv = cv
        self.selection = selection
        self.random_state = random_state
        self.standardise = standardise
        self.fit_intercept = fit_intercept
        self.class_weight = class_weight
        self.max_iterations = max_iterations
        self.tolerance = tolerance

    def _folds(self, code: np.ndarray) -> np.ndarray:
        rarer = int(min(code.sum(), len(code) - code.sum()))
        if rarer < 2:
            raise InvalidArgument("the rarer class has one member: cross-validation needs at least 2 of each class")
        count = min(int(self.cv), rarer)
        if count < self.cv:
            warnings.warn(
                f"the rarer class has {rarer} members: {count} folds instead of {self.cv}", UserWarning, stacklevel=3
            )
        fold = np.empty(len(code))
        splitter = StratifiedKFold(count, shuffle=True, random_state=self.random_state)
        for number, (_, left_out) in enumerate(splitter.split(code, code)):
            fold[left_out] = number
        return fold

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> LogisticRegressionCV:
        """X [n, p] of numbers; y [n] of two classes; sample_weight [n] ≥ 0."""
        if self.penalty is None or self.selection not in ("min", "1se"):
            raise InvalidArgument(
                f"penalty must be 'l1', 'l2' or 'elastic_net' and selection 'min' or '1se'; they are {self.penalty!r}, {self.selection!r}"
            )
        X, code, weights = self._prepare(X, y, sample_weight)
        fold = self._folds(code)
        ratios = np.atleast_1d(self.l1_ratio) if self.penalty == "elastic_net" else [0.0]
        min_ratio = self.alpha_min_ratio or (1e-2 if len(X) < X.shape[1] else 1e-4)
        tensors = to_tensor(X), to_tensor(code)
        w = None if weights is None else to_tensor(weights)
        best = np.inf
        self.covariance_ = None
        for ratio in ratios:
            options = _core.LogisticOptions(
                **penalty_of(self.penalty, 1.0, float(ratio)),
                standardise=self.standardise,
                max_iterations=self.max_iterations,
                tolerance=self.tolerance,
                names=names_of(self, X.shape[1]),
            )
            options.fit_intercept = bool(self.fit_intercept)
            path = _core.logistic_path(*tensors, options, None, self.n_alphas, min_ratio, w)
            deviance = _core.logistic_cross_validation(*tensors, to_tensor(fold), path.alphas, options, w).numpy()
            size = np.bincount(fold.astype(int), weights=weights) / (len(fold) if weights is None else weights.sum())
            mean = size @ deviance
            se = np.sqrt(size @ (deviance - mean) ** 2 / max(1, len(deviance) - 1))
            lowest = int(np.argmin(mean))
            if not mean[lowest] < best:
                continue
            best = mean[lowest]
            chosen = int(np.flatnonzero(mean <= mean[lowest] + se[lowest])[0]) if self.selection == "1se" else lowest
            self.alphas_, self.coef_path_ = path.alphas.numpy(), path.coef.numpy()
            self.deviance_, self.deviance_se_ = mean, se
            self.alpha_ = float(self.alphas_[chosen])
            self.l1_ratio_ = {"l1": 1.0, "l2": 0.0}.get(self.penalty, float(ratio))
            self.coef_ = self.coef_path_[chosen][None, :].copy()
            self.intercept_ = path.intercept.numpy()[chosen : chosen + 1].copy()
        self.n_iter_ = self.n_alphas
        return self
