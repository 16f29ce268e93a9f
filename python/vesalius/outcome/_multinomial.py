# SPDX-License-Identifier: Apache-2.0
"""Multinomial regression, and logistic regression with Firth's correction."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from .._vesalius import outcome as _core
from ..errors import InvalidArgument
from ._data import coefficient_table, names_of, penalty_of, to_tensor
from ._ordinal import LevelClassifier


class MultinomialRegression(LevelClassifier):
    r"""Multinomial regression: several classes without an order, plain or with an elastic-net penalty.

    :math:`P(Y = k) \propto \exp(b_{0k} + x^\top b_k)`. Without a penalty the first class is the reference, its coefficients 0: exp(b_k) is
    the ratio by which the odds of class k against it change (R's ``nnet::multinom``). With a penalty every class has coefficients (R's
    ``glmnet(family="multinomial")``), and the intercepts sum to 0.

    Parameters
    ----------
    penalty : None, "l1", "l2" or "elastic_net"; alpha, l1_ratio, standardise
        As in :class:`LogisticRegression`.
    max_iterations, tolerance

    Attributes
    ----------
    classes_; coef_ : float64 [classes, p]; intercept_ : float64 [classes]
    covariance_ : float64 [(classes − 1)(p + 1)]², class by class from the second, the intercept first; None with a penalty
    log_likelihood_, log_likelihood_null_ : float

    Raises
    ------
    ConvergenceError
        The columns separate classes, and no penalty is given.
    InvalidArgument
        One class; NaN; without a penalty also constant or collinear columns and fewer subjects than columns.
    """

    def __init__(
        self,
        *,
        penalty: str | None = None,
        alpha: float = 0.1,
        l1_ratio: float = 0.5,
        standardise: bool = True,
        max_iterations: int = 100,
        tolerance: float = 1e-9,
    ) -> None:
        self.penalty = penalty
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.standardise = standardise
        self.max_iterations = max_iterations
        self.tolerance = tolerance

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> MultinomialRegression:
        """X [n, p] of numbers; y [n] of classes; sample_weight [n] ≥ 0, counts subjects."""
        X, code, weights = self._prepare(X, y, sample_weight)
        options = _core.FitOptions(
            **penalty_of(self.penalty, self.alpha, self.l1_ratio),
            standardise=self.standardise,
            max_iterations=self.max_iterations,
            tolerance=self.tolerance,
            names=names_of(self, X.shape[1]),
        )
        fit = _core.fit_multinomial(
            to_tensor(X), to_tensor(code), options, None if weights is None else to_tensor(weights)
        )
        self.coef_, self.intercept_ = fit.coef.numpy(), fit.intercept.numpy()
        self.covariance_ = None if fit.covariance is None else fit.covariance.numpy()
        self.log_likelihood_, self.log_likelihood_null_ = fit.log_likelihood, fit.log_likelihood_null
        self.n_iter_ = max(1, fit.iterations)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities [n, classes] in the order of ``classes_``."""
        from scipy.special import softmax

        return softmax(self._matrix(X) @ self.coef_.T + self.intercept_, axis=1)

    def predict_log_proba(self, X: Any) -> np.ndarray:
        from scipy.special import log_softmax

        return log_softmax(self._matrix(X) @ self.coef_.T + self.intercept_, axis=1)

    def summary(self, *, confidence: float = 0.95) -> pd.DataFrame:
        """coef, exp(coef), se, z, p, lower, upper for each class (but the reference) and feature, the intercept first."""
        check_is_fitted(self)
        features = ["(intercept)", *names_of(self, self.n_features_in_)]
        classes = self.classes_ if self.covariance_ is None else self.classes_[1:]
        first = len(self.classes_) - len(classes)
        values = np.column_stack([self.intercept_, self.coef_])[first:].ravel()
        table = coefficient_table(["" for _ in values], values, self.covariance_, confidence, "odds ratio")
        return table.set_axis(pd.MultiIndex.from_product([classes, features], names=["class", "feature"]))


class FirthLogisticRegression(LevelClassifier):
    r"""Logistic regression of two classes with Firth's correction: finite where classes are separated, less biased in small samples.

    Maximised is :math:`\log L(b) + \tfrac12 \log\det X^\top W X`, Jeffreys' prior as a penalty. Limits and p-values come from the
    profile of this penalised likelihood, because Wald's fail exactly where the correction is needed.

    Parameters
    ----------
    fit_intercept : bool
    confidence : float
        Of the profile's limits.
    interval : "profile" or "wald"
        The profile refits for each limit: slower.
    max_iterations, tolerance

    Attributes
    ----------
    classes_ : the two classes; the second is modelled
    coef_ : float64 [1, p]; intercept_ : float64 [1]
    covariance_ : float64 [p + 1, p + 1], (XᵀWX)⁻¹, the intercept first
    log_likelihood_, log_likelihood_null_ : float, penalised

    References
    ----------
    Firth D. Bias reduction of maximum likelihood estimates. Biometrika 1993;80:27-38. doi 10.1093/biomet/80.1.27.

    Heinze G, Schemper M. A solution to the problem of separation in logistic regression. Stat Med 2002;21:2409-2419.
    doi 10.1002/sim.1047.
    """

    def __init__(
        self,
        *,
        fit_intercept: bool = True,
        confidence: float = 0.95,
        interval: str = "profile",
        max_iterations: int = 200,
        tolerance: float = 1e-10,
    ) -> None:
        self.fit_intercept = fit_intercept
        self.confidence = confidence
        self.interval = interval
        self.max_iterations = max_iterations
        self.tolerance = tolerance

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> FirthLogisticRegression:
        """X [n, p] of numbers; y [n] of two classes; sample_weight [n] ≥ 0, counts subjects."""
        if self.interval not in ("profile", "wald"):
            raise InvalidArgument(f"interval must be 'profile' or 'wald'; it is {self.interval!r}")
        X, code, weights = self._prepare(X, y, sample_weight)
        if len(self.classes_) > 2:
            raise InvalidArgument(f"Only binary classification is supported. y holds {len(self.classes_)} classes")
        options = _core.FirthOptions(
            fit_intercept=bool(self.fit_intercept),
            max_iterations=self.max_iterations,
            tolerance=self.tolerance,
            confidence=self.confidence,
            profile=self.interval == "profile",
            names=names_of(self, X.shape[1]),
        )
        fit = _core.fit_firth_logistic(
            to_tensor(X), to_tensor(code), options, None if weights is None else to_tensor(weights)
        )
        self.coef_, self.intercept_ = fit.coef.numpy()[None, :], np.array([fit.intercept])
        self.covariance_ = fit.covariance.numpy()
        self.log_likelihood_, self.log_likelihood_null_ = fit.log_likelihood, fit.log_likelihood_null
        self.profile_ = (
            None if fit.lower is None else np.stack([t.numpy() for t in (fit.lower, fit.upper, fit.chi_squared)])
        )
        self.n_iter_ = max(1, fit.iterations)
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """Log-odds of ``classes_[1]``, [n]."""
        return self._matrix(X) @ self.coef_[0] + self.intercept_[0]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities [n, 2] in the order of ``classes_``."""
        from scipy.special import expit

        eta = self.decision_function(X)
        return np.column_stack([expit(-eta), expit(eta)])

    def predict(self, X: Any) -> np.ndarray:
        """The class whose probability is at least one half, [n]."""
        above = self.decision_function(X) > 0
        return self.classes_[above.astype(int)]

    def summary(self) -> pd.DataFrame:
        """coef (log odds ratio), exp(coef), se, chi_squared, p, lower, upper; by the profile, or Wald's with ``interval="wald"``."""
        from scipy.stats import chi2

        check_is_fitted(self)
        names, coef = names_of(self, self.n_features_in_), self.coef_[0]
        if self.fit_intercept:
            names, coef = ["(intercept)", *names], np.r_[self.intercept_, coef]
        table = coefficient_table(names, coef, self.covariance_, self.confidence, "odds ratio").rename(
            columns={"z": "chi_squared"}
        )
        if self.profile_ is None:
            table["chi_squared"] **= 2
        else:
            table["lower"], table["upper"], table["chi_squared"] = self.profile_
            table["p"] = chi2.sf(self.profile_[2], 1)
        return table
