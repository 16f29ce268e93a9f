# SPDX-License-Identifier: Apache-2.0
"""Parametric survival models, with any censoring."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from .._vesalius import outcome as _core
from ..errors import InvalidArgument, ShapeError, TypeMismatch
from ._curves import codes_of, optional_tensor
from ._data import check_finite, check_numeric, coefficient_table, names_of, plain, survival_outcome, to_tensor

_FAMILIES = ("exponential", "weibull", "log_normal", "log_logistic", "generalised_gamma", "gompertz", "spline")
_SCALES = ("hazard", "odds", "normal")


def interval_array(lower: Any, upper: Any) -> np.ndarray:
    """The structured array (lower, upper) that :class:`ParametricSurvival` takes as ``y`` where times are known as intervals only.

    ``lower == upper``: the event was seen at that time; ``upper = inf`` (or NaN): censored on the right; ``lower = 0`` (or NaN):
    censored on the left; otherwise the event lies in (lower, upper], between two visits.
    """
    try:
        low, high = (np.asarray(plain(v), dtype=np.float64) for v in (lower, upper))
    except (TypeError, ValueError) as error:
        raise TypeMismatch("lower and upper must be numbers") from error
    if low.ndim != 1 or low.shape != high.shape:
        raise ShapeError(f"lower and upper must be vectors of one length; they are {low.shape} and {high.shape}")
    nothing = np.isnan(low) & np.isnan(high)
    if nothing.any():
        raise InvalidArgument(f"{int(nothing.sum())} subjects have neither a lower nor an upper limit: leave them out")
    out = np.empty(len(low), dtype=[("lower", np.float64), ("upper", np.float64)])
    out["lower"], out["upper"] = np.nan_to_num(low, nan=0.0, posinf=np.inf), np.where(np.isnan(high), np.inf, high)
    return out


def interval_outcome(y: Any) -> tuple[np.ndarray, np.ndarray]:
    """``(lower, upper)`` of anything that is an outcome: (event, time) in its forms, or lower and upper limits."""
    y = plain(y)
    names = y.columns if isinstance(y, pd.DataFrame) else getattr(getattr(y, "dtype", None), "names", None)
    if names is not None and {"lower", "upper"} <= set(names):
        limits = interval_array(y["lower"], y["upper"])
        return limits["lower"], limits["upper"]
    event, time = survival_outcome(y)
    return time, np.where(event, time, np.inf)


class ParametricSurvival(BaseEstimator):
    r"""Survival with a distribution, by maximum likelihood; censored on the right, left or to intervals; left-truncated.

    ==================== ===================================================================== ===================
    family               model, :math:`\mu = b_0 + x^\top b`                                   b > 0 means
    ==================== ===================================================================== ===================
    exponential          :math:`S = \exp(-t e^{-\mu})`                                         longer life
    weibull              :math:`S = \exp(-e^z),\ z = (\log t - \mu)/\sigma`                    longer life
    log_logistic         :math:`S = 1/(1 + e^z)`                                               longer life
    log_normal           :math:`S = \Phi(-z)`                                                  longer life
    generalised_gamma    z has Prentice's shape Q: 1 is weibull, 0 log_normal, σ gamma         longer life
    gompertz             hazard :math:`\exp(\mu + a t)`                                        more hazard
    spline               :math:`g(S) = s(\log t) + x^\top b`, s a natural cubic spline         more hazard (odds)
    ==================== ===================================================================== ===================

    The first five are accelerated failure time models: a coefficient b multiplies every time by e^b. Weibull and exponential are
    proportional hazards too (log hazard ratio −b/σ). The spline is Royston and Parmar's: g = log cumulative hazard, log odds of
    death, or −Φ⁻¹(S), by ``spline_scale``.

    Parameters
    ----------
    family : str
    spline_scale : "hazard", "odds" or "normal"
    df : int
        Degrees of freedom of the spline, 1 (a line: weibull, log_logistic, log_normal) to about 5; ``df − 1`` inner knots at
        quantiles of the uncensored log times.
    knots : list of float, optional
        Inner knots in log time instead.
    max_iterations : int

    Attributes
    ----------
    coef_ : float64 [p]
    intercept_ : float; scale_ : float64 [strata], σ; shape_ : float, Q or a; gamma_ : float64 [df + 1], of the spline
    parameters_ : Series of all, at x = 0; covariance_ : float64, of them (the scale as log σ)
    log_likelihood_, aic_, bic_ : float; bic counts events
    n_iter_ : int

    Raises
    ------
    ConvergenceError
        The likelihood has no maximum (a group without events, times without spread) or was not reached.
    InvalidArgument
        No events; times of 0; NaN; constant or collinear columns; as many columns as subjects.

    References
    ----------
    Kalbfleisch JD, Prentice RL. The statistical analysis of failure time data. 2nd ed. Wiley 2002.

    Prentice RL. A log gamma model and its maximum likelihood estimation. Biometrika 1974;61:539-544.

    Royston P, Parmar MKB. Flexible parametric proportional-hazards and proportional-odds models for censored survival data. Stat Med
    2002;21:2175-2197. doi 10.1002/sim.1203.
    """

    def __init__(
        self,
        *,
        family: str = "weibull",
        spline_scale: str = "hazard",
        df: int = 3,
        knots: Any = None,
        max_iterations: int = 200,
    ) -> None:
        self.family = family
        self.spline_scale = spline_scale
        self.df = df
        self.knots = knots
        self.max_iterations = max_iterations

    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, entry: Any = None, strata: Any = None
    ) -> ParametricSurvival:
        """Fit.

        Parameters
        ----------
        X : [n, p] of numbers, or None for a distribution without columns
        y : (event, time) in any form that :class:`CoxPH` takes, or limits: :func:`interval_array`, or a DataFrame with columns
            lower and upper
        sample_weight : [n] ≥ 0, counts subjects
        entry : [n], left truncation
        strata : [n] of labels: each has a scale σ of its own (accelerated failure time families but exponential)
        """
        if self.family not in _FAMILIES:
            raise InvalidArgument(f"family must be one of {_FAMILIES}; it is {self.family!r}")
        if self.spline_scale not in _SCALES:
            raise InvalidArgument(f"spline_scale must be one of {_SCALES}; it is {self.spline_scale!r}")
        if isinstance(self.df, bool) or int(self.df) != self.df or self.df < 1:
            raise InvalidArgument(f"df must be a whole number, 1 or more; it is {self.df!r}")
        lower, upper = interval_outcome(y)
        n = len(lower)
        names: list[str] = []
        if X is not None:
            X = validate_data(self, check_numeric(X), dtype=np.float64, ensure_all_finite=False)
            names = names_of(self, X.shape[1])
            check_finite(X, names)
            if len(X) != n:
                raise InvalidArgument(f"X has {len(X)} rows and y {n}: they must be of one length")
            if n == 1:
                raise InvalidArgument(
                    "X has one subject (n_samples = 1): coefficients need more; X=None fits a distribution alone"
                )
            if sample_weight is not None:
                sample_weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        else:
            self.n_features_in_ = 0
        self.strata_: np.ndarray | None = None
        codes = None
        if strata is not None:
            self.strata_, codes = codes_of(strata, n, "strata")
        fit = _core.fit_parametric(
            None if X is None else to_tensor(X),
            to_tensor(lower),
            to_tensor(upper),
            _core.ParametricOptions(
                family=getattr(_core.SurvivalFamily, self._core_family()),
                knots=[] if self.knots is None else [float(k) for k in self.knots],
                inner_knots=int(self.df) - 1,
                max_iterations=self.max_iterations,
                names=names,
            ),
            optional_tensor(sample_weight, n, "sample_weight"),
            optional_tensor(entry, n, "entry"),
            None if codes is None else to_tensor(codes),
        )
        self._keep(fit, names)
        finite = np.where(np.isfinite(upper), upper, lower)
        self.last_time_ = float(finite.max())
        events = (np.isfinite(upper) * (1.0 if sample_weight is None else np.asarray(sample_weight, dtype=float))).sum()
        count = len(self.parameters_)
        self.aic_ = 2 * count - 2 * self.log_likelihood_
        self.bic_ = count * float(np.log(events)) - 2 * self.log_likelihood_
        return self

    def _core_family(self) -> str:
        return f"spline_{self.spline_scale}" if self.family == "spline" else self.family

    def _keep(self, fit: Any, names: list[str]) -> None:
        self.coef_, self.mean_, self.ancillary_ = (getattr(fit, k).numpy() for k in ("coef", "mean", "ancillary"))
        self.knots_, self.covariance_ = fit.knots.numpy(), fit.covariance.numpy()
        self.log_likelihood_, self.n_iter_ = fit.log_likelihood, max(1, fit.iterations)
        values = fit.parameters.numpy()
        q = len(values) - len(self.coef_)
        if self.family == "spline":
            labels = [f"gamma{j}" for j in range(q)]
            self.gamma_ = values[:q]
        else:
            labels = ["(intercept)"]
            self.intercept_ = float(values[0])
            if self.family in ("weibull", "log_normal", "log_logistic", "generalised_gamma"):
                self.scale_ = np.exp(values[1 : 1 + fit.strata])
                labels += ["log(scale)"] if self.strata_ is None else [f"log(scale) {s}" for s in self.strata_]
            elif self.family == "exponential":
                self.scale_ = np.ones(1)
            if self.family in ("generalised_gamma", "gompertz"):
                self.shape_ = float(values[q - 1])
                labels += ["shape"]
        self.parameters_ = pd.Series(values, index=[*labels, *names])

    def _fit_of(self) -> Any:
        check_is_fitted(self, "coef_")
        coef, mean, ancillary, knots = (to_tensor(v) for v in (self.coef_, self.mean_, self.ancillary_, self.knots_))
        return _core.ParametricFit(
            getattr(_core.SurvivalFamily, self._core_family()),
            coef,
            mean,
            ancillary,
            knots,
            1 if self.strata_ is None else len(self.strata_),
        )

    def _predictor(self, X: Any) -> np.ndarray:
        check_is_fitted(self, "coef_")
        if self.n_features_in_ == 0:
            return np.zeros(1 if X is None else len(X))
        X = validate_data(self, check_numeric(X), reset=False, dtype=np.float64, ensure_all_finite=False)
        check_finite(X, names_of(self, X.shape[1]))
        return _core.parametric_linear_predictor(self._fit_of(), to_tensor(X)).numpy()

    def predict(self, X: Any) -> np.ndarray:
        """Risk, [n]: the linear predictor (x − mean)·coef, its sign such that larger is earlier."""
        eta = self._predictor(X)
        return eta if self.family in ("gompertz", "spline") else -eta

    def _strata_codes(self, strata: Any, n: int) -> Any:
        if self.strata_ is None:
            if strata is not None:
                raise InvalidArgument("the model was fitted without strata")
            return None
        if strata is None:
            raise InvalidArgument(
                f"the model has a scale for each of its {len(self.strata_)} strata: say strata=, one for each row of X"
            )
        strata = np.asarray(plain(strata))
        if len(strata) != n or np.setdiff1d(strata, self.strata_).size:
            raise InvalidArgument(f"strata must be {n} of the labels seen in training: {self.strata_.tolist()}")
        return to_tensor(np.searchsorted(self.strata_, strata))

    def _table(self, X: Any, times: Any, strata: Any, what: str, name: str) -> pd.DataFrame:
        eta = self._predictor(X)
        values = np.atleast_1d(np.asarray(plain(times), dtype=np.float64))
        if name == "time" and (values > self.last_time_).any():
            warnings.warn(
                f"the last time in training is {self.last_time_:g}: what the model says of later times is extrapolated",
                UserWarning,
                stacklevel=3,
            )
        out = getattr(_core, what)(
            self._fit_of(), to_tensor(eta), to_tensor(values), self._strata_codes(strata, len(eta))
        )
        index = X.index if isinstance(X, pd.DataFrame) else None
        return pd.DataFrame(out.numpy(), index=index, columns=pd.Index(values, name=name))

    def predict_survival_function(self, X: Any, *, times: Any, strata: Any = None) -> pd.DataFrame:
        """Survival, a row for each subject and a column for each time; extrapolated, with a warning, after the last in training."""
        return self._table(X, times, strata, "parametric_log_survival", "time").map(np.exp)

    def predict_cumulative_hazard_function(self, X: Any, *, times: Any, strata: Any = None) -> pd.DataFrame:
        """−log S, a row for each subject and a column for each time."""
        return -self._table(X, times, strata, "parametric_log_survival", "time")

    def predict_hazard_function(self, X: Any, *, times: Any, strata: Any = None) -> pd.DataFrame:
        """Hazard, a row for each subject and a column for each time."""
        return self._table(X, times, strata, "parametric_hazard", "time")

    def predict_quantile(self, X: Any, p: Any = 0.5, *, strata: Any = None) -> pd.DataFrame:
        """Times by which a share `p` has had the event, a row for each subject and a column for each `p`; infinity where it never
        gets there (gompertz with a negative shape)."""
        return self._table(X, p, strata, "parametric_quantile", "p")

    def predict_median(self, X: Any, *, strata: Any = None) -> np.ndarray:
        """Median survival times, [n]."""
        return self.predict_quantile(X, 0.5, strata=strata).to_numpy()[:, 0]

    def score(self, X: Any, y: Any) -> float:
        """Harrell's concordance of :meth:`predict`; y as (event, time)."""
        from .metrics import concordance_index

        return float(concordance_index(y, self.predict(X)))

    def summary(self, *, confidence: float = 0.95) -> pd.DataFrame:
        """Every parameter at x = 0: coef, exp(coef), se, z, p, lower, upper (Wald)."""
        check_is_fitted(self, "coef_")
        ratio = "time ratio"
        if self.family in ("gompertz", "spline"):
            of_spline = {"hazard": "hazard ratio", "odds": "odds ratio"}.get(self.spline_scale, "exp(coef)")
            ratio = "hazard ratio" if self.family == "gompertz" else of_spline
        values = self.parameters_.to_numpy()
        return coefficient_table(list(self.parameters_.index), values, self.covariance_, confidence, ratio)
