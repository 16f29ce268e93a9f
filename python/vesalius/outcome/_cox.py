# SPDX-License-Identifier: Apache-2.0
"""Cox's proportional hazards."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from .._vesalius import outcome as _core
from ..errors import InvalidArgument
from ._data import (
    check_finite,
    check_numeric,
    coefficient_table,
    names_of,
    penalty_of,
    plain,
    survival_outcome,
    to_tensor,
)


class CoxPH(BaseEstimator):
    r"""Cox's proportional hazards, plain or with an elastic-net penalty.

    The hazard of a subject is :math:`h_0(t) \exp((x - \bar x)^\top b)`; :math:`h_0` is left open. Maximised is the partial
    likelihood, with tied times by Efron's or Breslow's approximation; in full, minimised is

    .. math:: -\frac{1}{\sum_i w_i} \log L(b) + \alpha \left(\rho \lVert b \rVert_1 + \tfrac{1 - \rho}{2} \lVert b \rVert_2^2\right),

    glmnet's objective (which knows Breslow's ties only): ``alpha`` is its lambda, ``l1_ratio`` (:math:`\rho`) its alpha.

    The model assumes that hazards are proportional: a coefficient is the same at all times. Censoring must tell nothing about
    the outcome beyond what the columns tell.

    Parameters
    ----------
    penalty : None, "l1", "l2" or "elastic_net"
        With a penalty there may be more columns than subjects.
    alpha : float
        Strength of the penalty; not used with ``penalty=None``.
    l1_ratio : float
        Share of the absolute values in ``"elastic_net"``, 0 to 1.
    ties : "efron" or "breslow"
    standardise : bool
        Penalise coefficients of columns divided by their standard deviation. Coefficients are always those of the columns
        as given; without a penalty it changes nothing.
    max_iterations, tolerance
        Newton steps, and the largest violation of an optimality condition on standardised columns.

    Attributes
    ----------
    coef_ : float64 [p], log hazard ratios
    mean_ : float64 [p], the columns' means in training, where the linear predictor is 0
    covariance_ : float64 [p, p], or None with a penalty
    log_likelihood_, log_likelihood_null_ : float
    n_iter_ : int

    Raises
    ------
    ConvergenceError
        The likelihood is monotone (a combination of columns orders all events) and no penalty is given.
    InvalidArgument
        No events; NaN; negative times; without a penalty also constant or collinear columns and fewer subjects than columns.

    References
    ----------
    Cox DR. Regression models and life-tables. J R Stat Soc B 1972;34:187-220.

    Efron B. The efficiency of Cox's likelihood function for censored data. J Am Stat Assoc 1977;72:557-565.
    doi 10.1080/01621459.1977.10480613.

    Simon N, Friedman J, Hastie T, Tibshirani R. Regularization paths for Cox's proportional hazards model via coordinate
    descent. J Stat Softw 2011;39(5). doi 10.18637/jss.v039.i05.
    """

    def __init__(
        self,
        *,
        penalty: str | None = None,
        alpha: float = 0.1,
        l1_ratio: float = 0.5,
        ties: str = "efron",
        standardise: bool = True,
        max_iterations: int = 100,
        tolerance: float = 1e-9,
    ) -> None:
        self.penalty = penalty
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.ties = ties
        self.standardise = standardise
        self.max_iterations = max_iterations
        self.tolerance = tolerance

    def fit(self, X: Any, y: Any, sample_weight: Any = None, strata: Any = None) -> CoxPH:
        """Fit.

        Parameters
        ----------
        X : [n, p] of numbers
        y : structured array (event, time), DataFrame with those columns, or tuple (event, time)
        sample_weight : [n] ≥ 0, optional
        strata : [n] of labels, optional
            Each stratum has a baseline of its own; the coefficients are common.
        """
        if self.ties not in ("efron", "breslow"):
            raise InvalidArgument(f"ties must be 'efron' or 'breslow'; it is {self.ties!r}")
        X = validate_data(self, check_numeric(X), dtype=np.float64, ensure_all_finite=False)
        names = names_of(self, X.shape[1])
        check_finite(X, names)
        event, time = survival_outcome(y)
        if len(event) != len(X):
            raise InvalidArgument(f"X has {len(X)} rows and y {len(event)}: they must be of one length")
        weights = (
            None
            if sample_weight is None
            else _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        )
        options = _core.CoxOptions(
            **penalty_of(self.penalty, self.alpha, self.l1_ratio),
            standardise=self.standardise,
            max_iterations=self.max_iterations,
            tolerance=self.tolerance,
            names=names,
            ties=getattr(_core.Ties, self.ties),
        )
        self.strata_: np.ndarray | None = None
        codes = None
        if strata is not None:
            self.strata_, codes = np.unique(np.asarray(plain(strata)), return_inverse=True)
            if len(codes) != len(X):
                raise InvalidArgument(f"X has {len(X)} rows and strata {len(codes)}: they must be of one length")
        self.fit_ = _core.fit_cox(
            to_tensor(X),
            _core.CoxOutcome(
                to_tensor(time),
                to_tensor(event),
                weights=None if weights is None else to_tensor(weights),
                strata=None if codes is None else to_tensor(codes),
            ),
            options,
        )
        self.coef_, self.mean_ = self.fit_.coef.numpy(), self.fit_.mean.numpy()
        self.covariance_ = None if self.fit_.covariance is None else self.fit_.covariance.numpy()
        self.log_likelihood_, self.log_likelihood_null_ = self.fit_.log_likelihood, self.fit_.log_likelihood_null
        self.n_iter_ = max(1, self.fit_.iterations)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Linear predictor (x − mean)·coef, [n]: the log hazard ratio to a subject at the training means. Larger is earlier."""
        check_is_fitted(self)
        X = validate_data(self, check_numeric(X), reset=False, dtype=np.float64, ensure_all_finite=False)
        check_finite(X, names_of(self, X.shape[1]))
        return _core.predict_cox(self.fit_, to_tensor(X)).numpy()

    def predict_cumulative_hazard_function(self, X: Any, *, times: Any = None, strata: Any = None) -> pd.DataFrame:
        """Cumulative hazard, a row for each subject and a column for each time.

        ``times`` are those observed in training if not given. After the last time observed (in the subject's stratum) nothing
        is known: NaN, with a warning. The baseline is Breslow's with ``ties="breslow"`` and Efron's correction of it otherwise,
        as in R.
        """
        predictor = self.predict(X)
        codes = self._strata_codes(strata, len(predictor))
        if times is None:
            times = np.unique(self.fit_.baseline_times.numpy())
        else:
            times = np.atleast_1d(np.asarray(plain(times), dtype=np.float64))
        out = _core.cox_cumulative_hazard(
            self.fit_, to_tensor(predictor), to_tensor(times), None if codes is None else to_tensor(codes)
        ).numpy()
        last = self.fit_.baseline_times.max().item()
        if (times > last).any():
            warnings.warn(
                f"nobody was followed beyond {last:g}: curves at later times are NaN", UserWarning, stacklevel=2
            )
        index = X.index if isinstance(X, pd.DataFrame) else None
        return pd.DataFrame(out, index=index, columns=pd.Index(times, name="time"))

    def predict_survival_function(self, X: Any, *, times: Any = None, strata: Any = None) -> pd.DataFrame:
        """Survival exp(−cumulative hazard), a row for each subject and a column for each time; see
        :meth:`predict_cumulative_hazard_function`."""
        hazard = self.predict_cumulative_hazard_function(X, times=times, strata=strata)
        return pd.DataFrame(np.exp(-hazard.to_numpy()), index=hazard.index, columns=hazard.columns)

    def baseline_hazard(self, *, centred: bool = True) -> pd.DataFrame:
        """Columns time, cumulative_hazard (and stratum): of a subject at the means of the columns, or with ``centred=False`` at 0
        in all of them (R's ``basehaz(fit, centered=FALSE)``), which overflows or vanishes where 0 is far from the data."""
        check_is_fitted(self)
        log_hazard = self.fit_.baseline_log_hazard.numpy() - (0.0 if centred else float(self.mean_ @ self.coef_))
        with np.errstate(over="ignore", under="ignore"):
            table = pd.DataFrame({"time": self.fit_.baseline_times.numpy(), "cumulative_hazard": np.exp(log_hazard)})
        if self.strata_ is not None:
            table.insert(0, "stratum", self.strata_[self.fit_.baseline_stratum.numpy()])
        return table

    def score(self, X: Any, y: Any) -> float:
        """Harrell's concordance of :meth:`predict`."""
        from .metrics import concordance_index

        return float(concordance_index(y, self.predict(X)))

    def summary(self, *, confidence: float = 0.95) -> pd.DataFrame:
        """coef (log hazard ratio), exp(coef), se, z, p, lower, upper. With a penalty there are no standard errors (NaN): the
        estimates are biased on purpose. Bootstrap the whole pipeline instead."""
        check_is_fitted(self)
        return coefficient_table(names_of(self, self.n_features_in_), self.coef_, self.covariance_, confidence)

    def tests(self) -> pd.DataFrame:
        """Likelihood-ratio, Wald and score test that all coefficients are 0: chi_squared, df, p."""
        from scipy.stats import chi2

        check_is_fitted(self)
        if self.covariance_ is None:
            raise InvalidArgument("tests need a fit without a penalty: penalised estimates have no such distribution")
        values = {
            "likelihood ratio": 2 * (self.log_likelihood_ - self.log_likelihood_null_),
            "wald": float(self.coef_ @ np.linalg.solve(self.covariance_, self.coef_)),
            "score": self.fit_.score_test,
        }
        table = pd.DataFrame({"chi_squared": values})
        table["df"] = len(self.coef_)
        table["p"] = chi2.sf(table["chi_squared"], table["df"])
        return table

    def _strata_codes(self, strata: Any, n: int) -> np.ndarray | None:
        if self.strata_ is None:
            if strata is not None:
                raise InvalidArgument("the model was fitted without strata")
            return None
        if strata is None:
            raise InvalidArgument(
                f"the model has a baseline for each of its {len(self.strata_)} strata: say strata=, one for each row of X"
            )
        strata = np.asarray(plain(strata))
        unknown = np.setdiff1d(strata, self.strata_)
        if unknown.size or len(strata) != n:
            raise InvalidArgument(
                f"strata must be {n} of the labels seen in training; it has {len(strata)}, unknown are {unknown[:5].tolist()}"
            )
        return np.searchsorted(self.strata_, strata)
