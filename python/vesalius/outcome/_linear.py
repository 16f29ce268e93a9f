# SPDX-License-Identifier: Apache-2.0
"""Linear regression, by least squares or with elastic net."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.model_selection import KFold
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, column_or_1d, validate_data

from .._vesalius import outcome as _core
from ..errors import InvalidArgument, TypeMismatch
from ._data import check_finite, check_numeric, names_of, penalty_of, plain, to_tensor


def regression_target(y: Any, n: int, name: str) -> np.ndarray:
    """[n] finite numbers."""
    if y is None:
        raise InvalidArgument(f"{name} requires y to be passed, but the target y is None")
    y = column_or_1d(plain(y), warn=True)
    if len(y) != n:
        raise InvalidArgument(f"X has {n} rows and y {len(y)} values: they must be of one length")
    if np.iscomplexobj(y):
        raise InvalidArgument("Complex data not supported: y must be real")
    try:
        y = y.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise TypeMismatch(f"y must be numbers; it is {y.dtype}") from error
    if not np.isfinite(y).all():
        raise InvalidArgument(
            f"y has {int((~np.isfinite(y)).sum())} values that are NaN or infinity: leave those rows out"
        )
    return y


class _Linear(RegressorMixin, BaseEstimator):
    """What the two share."""

    def _prepare(self, X: Any, y: Any, sample_weight: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        if y is None:
            raise InvalidArgument(f"{type(self).__name__} requires y to be passed, but the target y is None")
        X = validate_data(self, check_numeric(X), dtype=np.float64, ensure_all_finite=False)
        check_finite(X, names_of(self, X.shape[1]))
        weights = None
        if sample_weight is not None:
            weights = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        return X, regression_target(y, len(X), type(self).__name__), weights

    def _options(self, **penalty: float) -> Any:
        return _core.LinearOptions(
            **penalty,
            standardise=self.standardise,
            max_iterations=self.max_iterations,
            tolerance=self.tolerance,
            names=names_of(self, self.n_features_in_),
            fit_intercept=bool(self.fit_intercept),
        )

    def _matrix(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        X = validate_data(self, check_numeric(X), reset=False, dtype=np.float64, ensure_all_finite=False)
        check_finite(X, names_of(self, X.shape[1]))
        return X

    def predict(self, X: Any) -> np.ndarray:
        """Expected values, [n]."""
        return self._matrix(X) @ self.coef_ + self.intercept_


class LinearRegression(_Linear):
    r"""Linear regression: least squares with standard errors, or an elastic-net penalty.

    Minimised is :math:`\frac{1}{2\sum w_i} \sum_i w_i (y_i - b_0 - x_i^\top b)^2 + \alpha(\rho \lVert b\rVert_1 +
    \tfrac{1-\rho}{2}\lVert b\rVert_2^2)`: scikit-learn's ElasticNet with ``standardise=False``, and glmnet's objective.

    Standard errors assume residuals that are independent and of one variance, and for small samples normal.

    Parameters
    ----------
    penalty : None, "l1", "l2" or "elastic_net"
    alpha, l1_ratio : float
        Strength of the penalty and share of the absolute values.
    standardise : bool
        Penalise coefficients of columns divided by their standard deviation.
    fit_intercept : bool
    max_iterations, tolerance
        Of the penalised fit.

    Attributes
    ----------
    coef_ : float64 [p]; intercept_ : float
    covariance_ : float64 [p + 1, p + 1], the intercept first; None with a penalty
    sigma_ : float, residual standard deviation; degrees_of_freedom_ : float
    r_squared_, log_likelihood_ : float

    Raises
    ------
    InvalidArgument
        NaN; without a penalty also constant or collinear columns and fewer subjects than coefficients.

    References
    ----------
    Friedman J, Hastie T, Tibshirani R. J Stat Softw 2010;33(1). doi 10.18637/jss.v033.i01.
    """

    def __init__(
        self,
        *,
        penalty: str | None = None,
        alpha: float = 0.1,
        l1_ratio: float = 0.5,
        standardise: bool = True,
        fit_intercept: bool = True,
        max_iterations: int = 100,
        tolerance: float = 1e-9,
    ) -> None:
        self.penalty = penalty
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.standardise = standardise
        self.fit_intercept = fit_intercept
        self.max_iterations = max_iterations
        self.tolerance = tolerance

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> LinearRegression:
        """X [n, p] of numbers; y [n]; sample_weight [n] ≥ 0, counts subjects."""
        X, y, weights = self._prepare(X, y, sample_weight)
        if self.penalty is None and len(X) == 1:
            raise InvalidArgument("X has one subject (n_samples = 1): a line needs more, or a penalty")
        options = self._options(**penalty_of(self.penalty, self.alpha, self.l1_ratio))
        fit = _core.fit_linear(to_tensor(X), to_tensor(y), options, None if weights is None else to_tensor(weights))
        self.coef_, self.intercept_ = fit.coef.numpy(), fit.intercept
        self.covariance_ = None if fit.covariance is None else fit.covariance.numpy()
        self.sigma_, self.degrees_of_freedom_ = fit.sigma, fit.degrees_of_freedom
        self.r_squared_, self.log_likelihood_ = fit.r_squared, fit.log_likelihood
        self.n_iter_ = max(1, fit.iterations)
        return self

    def predict_interval(self, X: Any, *, confidence: float = 0.95, of: str = "mean") -> pd.DataFrame:
        """value, standard_error, lower, upper: ``of="mean"`` where the line is, ``of="observation"`` where a new one falls."""
        from scipy.stats import t as student

        if of not in ("mean", "observation") or not 0 < confidence < 1:
            raise InvalidArgument(
                f"of must be 'mean' or 'observation' and confidence in (0, 1); they are {of!r}, {confidence!r}"
            )
        values = self._matrix(X)
        if self.covariance_ is None:
            raise InvalidArgument("intervals need a fit without a penalty. Bootstrap the whole pipeline instead")
        design = np.column_stack([np.ones(len(values)), values]) if self.fit_intercept else values
        variance = np.einsum("ij,jk,ik->i", design, self.covariance_, design) + (
            self.sigma_**2 if of == "observation" else 0.0
        )
        se, value = np.sqrt(np.maximum(variance, 0)), values @ self.coef_ + self.intercept_
        width = student.ppf(0.5 + confidence / 2, self.degrees_of_freedom_) * se
        return pd.DataFrame(
            {"value": value, "standard_error": se, "lower": value - width, "upper": value + width},
            index=X.index if isinstance(X, pd.DataFrame) else None,
        )

    def summary(self, *, confidence: float = 0.95) -> pd.DataFrame:
        """coef, se, t, p, lower, upper by Student's t; the intercept first. NaN with a penalty."""
        from scipy.stats import t as student

        check_is_fitted(self)
        if not 0 < confidence < 1:
            raise InvalidArgument(f"confidence must lie between 0 and 1; it is {confidence!r}")
        names, coef = names_of(self, self.n_features_in_), self.coef_
        if self.fit_intercept:
            names, coef = ["(intercept)", *names], np.r_[self.intercept_, coef]
        se = np.full(len(coef), np.nan) if self.covariance_ is None else np.sqrt(np.diag(self.covariance_))
        with np.errstate(divide="ignore", invalid="ignore"):
            t = coef / se
        width = student.ppf(0.5 + confidence / 2, self.degrees_of_freedom_) * se
        return pd.DataFrame(
            {
                "coef": coef,
                "se": se,
                "t": t,
                "p": 2 * student.sf(np.abs(t), self.degrees_of_freedom_),
                "lower": coef - width,
                "upper": coef + width,
            },
            index=pd.Index(names, name="feature"),
        )


class LinearRegressionCV(_Linear):
    """Linear regression whose penalty is chosen by cross-validated squared error along a path.

    Parameters
    ----------
    penalty : "l1", "l2" or "elastic_net"
    l1_ratio : float
    n_alphas, alpha_min_ratio
        Length of the path and its last value over its first (None: 1e-4, or 1e-2 where n < p).
    cv : int
        Folds; fewer, with a warning, where there are fewer subjects.
    selection : "min" or "1se"
        The least error, or the strongest penalty within one standard error of it.
    random_state : int
        Draws the folds.
    standardise, fit_intercept, max_iterations, tolerance
        As in :class:`LinearRegression`.

    Attributes
    ----------
    coef_, intercept_, alpha_, alphas_
    coef_path_ : float64 [k, p]
    mse_, mse_se_ : float64 [k]
    """

    def __init__(
        self,
        *,
        penalty: str = "elastic_net",
        l1_ratio: float = 0.5,
        n_alphas: int = 50,
        alpha_min_ratio: float | None = None,
        cv: int = 5,
        selection: str = "min",
        random_state: int = 0,
        standardise: bool = True,
        fit_intercept: bool = True,
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
        self.max_iterations = max_iterations
        self.tolerance = tolerance

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> LinearRegressionCV:
        """X [n, p] of numbers; y [n]; sample_weight [n] ≥ 0."""
        if self.penalty is None or self.selection not in ("min", "1se"):
            raise InvalidArgument(
                f"penalty must be 'l1', 'l2' or 'elastic_net' and selection 'min' or '1se'; they are {self.penalty!r}, {self.selection!r}"
            )
        X, y, weights = self._prepare(X, y, sample_weight)
        w = np.ones(len(y)) if weights is None else weights
        folds = min(int(self.cv), int((w > 0).sum()))
        if folds < 2:
            raise InvalidArgument(
                f"cross-validation needs at least 2 samples and 2 folds; there are n_samples = {len(y)}, cv = {self.cv}"
            )
        if folds < self.cv:
            warnings.warn(f"there are {folds} subjects: {folds} folds instead of {self.cv}", UserWarning, stacklevel=2)
        options = self._options(**penalty_of(self.penalty, 1.0, float(self.l1_ratio)))
        ratio = self.alpha_min_ratio or (1e-2 if len(X) < X.shape[1] else 1e-4)
        path = _core.linear_path(to_tensor(X), to_tensor(y), options, None, self.n_alphas, ratio, to_tensor(w))
        error, size = [], []
        for kept, left in KFold(folds, shuffle=True, random_state=self.random_state).split(X):
            if not (w[kept] > 0).any() or not w[left].sum() > 0:
                continue
            part = _core.linear_path(
                to_tensor(X[kept]), to_tensor(y[kept]), options, path.alphas, 0, 0.5, to_tensor(w[kept])
            )
            residual = y[left, None] - X[left] @ part.coef.numpy().T - part.intercept.numpy()
            error.append(w[left] @ residual**2 / w[left].sum())
            size.append(w[left].sum())
        share = np.array(size) / np.sum(size)
        table = np.array(error)
        self.mse_ = share @ table
        self.mse_se_ = np.sqrt(share @ (table - self.mse_) ** 2 / max(1, len(table) - 1))
        lowest = int(np.argmin(self.mse_))
        within = np.flatnonzero(self.mse_ <= self.mse_[lowest] + self.mse_se_[lowest])
        chosen = int(within[0]) if self.selection == "1se" else lowest
        self.alphas_, self.coef_path_ = path.alphas.numpy(), path.coef.numpy()
        self.alpha_ = float(self.alphas_[chosen])
        self.coef_, self.intercept_ = self.coef_path_[chosen].copy(), float(path.intercept[chosen])
        self.n_iter_ = self.n_alphas
        return self
