# SPDX-License-Identifier: Apache-2.0
"""Fine and Gray's regression for competing risks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from .._vesalius import outcome as _core
from ..errors import InvalidArgument, ShapeError, TypeMismatch
from ._data import (
    check_finite,
    check_numeric,
    coefficient_table,
    names_of,
    penalty_of,
    plain,
    start_stop_outcome,
    strata_codes,
    to_tensor,
)


def causes_of(y: Any) -> tuple[np.ndarray, np.ndarray]:
    """``(cause, time)`` as int64 (0 censored) and float64 from a structured array or DataFrame with the fields ``event`` (whole
    numbers) and ``time``, or a tuple ``(event, time)``."""
    y = plain(y)
    if isinstance(y, tuple) and len(y) == 2:
        cause, time = np.asarray(plain(y[0])), np.asarray(plain(y[1]))
    elif isinstance(y, pd.DataFrame) and {"event", "time"} <= set(y.columns):
        cause, time = y["event"].to_numpy(), y["time"].to_numpy()
    elif isinstance(y, np.ndarray) and y.dtype.names is not None and {"event", "time"} <= set(y.dtype.names):
        cause, time = y["event"], y["time"]
    else:
        raise TypeMismatch(
            "y must be a tuple (event, time), or a DataFrame or structured array with the fields 'event' (0 censored, 1, 2, … the "
            "causes) and 'time'"
        )
    try:
        cause, time = cause.astype(np.float64), time.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise TypeMismatch("event must be whole numbers (0 censored, 1, 2, … the causes) and time numbers") from error
    if cause.ndim != 1 or cause.shape != time.shape:
        raise ShapeError(f"event and time must be vectors of one length; they are {cause.shape} and {time.shape}")
    if not (np.isfinite(cause).all() and np.isfinite(time).all()):
        raise InvalidArgument("event or time has values that are NaN or infinite")
    if (cause != np.round(cause)).any() or (cause < 0).any():
        raise InvalidArgument("event must be whole numbers, 0 for censored and 1, 2, … for the causes")
    if cause.max(initial=0) > 1000:
        raise InvalidArgument(
            f"event holds {cause.max():g}, the number of a cause: are event and time the wrong way round? y is (event, time)"
        )
    if (time < 0).any():
        raise InvalidArgument(f"time has {int((time < 0).sum())} negative values: follow-up starts at 0")
    return cause.astype(np.int64), time


class FineGray(BaseEstimator):
    r"""Proportional subdistribution hazards: how columns move the cumulative incidence of one of several competing events.

    A subject that had another event stays at risk, with the weight :math:`\hat G(t-) / \hat G(T-)` of still being under observation
    (:math:`\hat G` the Kaplan-Meier curve of censoring). Cox's model with the others censored answers another question: the
    hazard among those still free of any event.

    Parameters
    ----------
    cause : int
        The event of interest, as coded in ``y``.
    penalty, alpha, l1_ratio, standardise, max_iterations, tolerance
        As for :class:`CoxPH`.

    Attributes
    ----------
    coef_ : float64 [p], log subdistribution hazard ratios
    covariance_ : float64 [p, p], or None with a penalty
        Fine and Gray's, which counts that the censoring's distribution is estimated (as ``cmprsk::crr``). With ``entry`` it takes
        the weights as known (as R's ``finegray`` with ``coxph(cluster=)``).
    log_likelihood_, log_likelihood_null_, n_iter_

    References
    ----------
    Fine JP, Gray RJ. A proportional hazards model for the subdistribution of a competing risk. J Am Stat Assoc 1999;94:496-509.
    doi 10.1080/01621459.1999.10474144.

    Geskus RB. Cause-specific cumulative incidence estimation and the Fine and Gray model under both left truncation and right
    censoring. Biometrics 2011;67:39-49. doi 10.1111/j.1541-0420.2010.01420.x.

    Zhou B, Latouche A, Rocha V, Fine J. Competing risks regression for stratified data. Biometrics 2011;67:661-670.
    doi 10.1111/j.1541-0420.2010.01493.x.
    """

    def __init__(
        self,
        cause: int = 1,
        *,
        penalty: str | None = None,
        alpha: float = 0.1,
        l1_ratio: float = 0.5,
        standardise: bool = True,
        max_iterations: int = 100,
        tolerance: float = 1e-9,
    ) -> None:
        self.cause = cause
        self.penalty = penalty
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.standardise = standardise
        self.max_iterations = max_iterations
        self.tolerance = tolerance

    def fit(self, X: Any, y: Any, sample_weight: Any = None, strata: Any = None, *, entry: Any = None) -> FineGray:
        """Fit.

        Parameters
        ----------
        X : [n, p] of numbers
        y : tuple (event, time), or DataFrame or structured array with those fields; event 0 is censored
        sample_weight : [n] ≥ 0, optional
            Counts in the censoring's curve too: whole weights are repeated rows.
        strata : [n] of labels, optional
            Each stratum has a baseline and a censoring of its own.
        entry : [n] of numbers < time, optional
            From when each subject was under observation (left truncation).
        """
        X = validate_data(self, check_numeric(X), dtype=np.float64, ensure_all_finite=False)
        names = names_of(self, X.shape[1])
        check_finite(X, names)
        cause, time = causes_of(y)
        if len(cause) != len(X):
            raise InvalidArgument(f"X has {len(X)} rows and y {len(cause)}: they must be of one length")
        if not (cause == self.cause).any():
            raise InvalidArgument(
                f"no subject has the event {self.cause}: y holds {np.unique(cause).tolist()}, of which 0 is censored"
            )
        penalty: dict[str, Any] = dict(penalty_of(self.penalty, self.alpha, self.l1_ratio))
        options = _core.CoxOptions(
            **penalty,
            standardise=self.standardise,
            max_iterations=self.max_iterations,
            tolerance=self.tolerance,
            names=names,
        )
        codes = np.where(cause == 0, 0, np.where(cause == self.cause, 1, 2))
        weights = (
            None
            if sample_weight is None
            else to_tensor(_check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True))
        )
        start = start_stop_outcome((cause != 0, time), entry)[2]
        self.strata_: np.ndarray | None = None if strata is None else np.unique(np.asarray(plain(strata)))
        stratum = strata_codes(self.strata_, strata, len(X))
        self.fit_ = _core.fit_fine_gray(
            to_tensor(X),
            to_tensor(time),
            to_tensor(codes),
            options,
            None if start is None else to_tensor(start),
            weights,
            None if stratum is None else to_tensor(stratum),
        )
        self.coef_, self.mean_ = self.fit_.coef.numpy(), self.fit_.mean.numpy()
        self.covariance_ = None if self.fit_.covariance is None else self.fit_.covariance.numpy()
        self.log_likelihood_, self.log_likelihood_null_ = self.fit_.log_likelihood, self.fit_.log_likelihood_null
        self.n_iter_ = max(1, self.fit_.iterations)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Linear predictor (x − mean)·coef, [n]: larger is more of the event."""
        check_is_fitted(self)
        X = validate_data(self, check_numeric(X), reset=False, dtype=np.float64, ensure_all_finite=False)
        check_finite(X, names_of(self, X.shape[1]))
        return _core.predict_cox(self.fit_, to_tensor(X)).numpy()

    def predict_cumulative_incidence(self, X: Any, *, times: Any = None, strata: Any = None) -> pd.DataFrame:
        """Chance of the event by each time, a row for each subject; NaN after the last time observed (in its stratum)."""
        predictor = self.predict(X)
        codes = strata_codes(self.strata_, strata, len(predictor))
        if times is None:
            times = np.unique(self.fit_.baseline_times.numpy())
        times = np.atleast_1d(np.asarray(plain(times), dtype=np.float64))
        hazard = _core.cox_cumulative_hazard(
            self.fit_, to_tensor(predictor), to_tensor(times), None if codes is None else to_tensor(codes)
        ).numpy()
        index = X.index if isinstance(X, pd.DataFrame) else None
        return pd.DataFrame(-np.expm1(-hazard), index=index, columns=pd.Index(times, name="time"))

    def summary(self, *, confidence: float = 0.95) -> pd.DataFrame:
        """coef, exp(coef), se, z, p, lower, upper; errors NaN with a penalty."""
        check_is_fitted(self)
        names = names_of(self, self.n_features_in_)
        return coefficient_table(names, self.coef_, self.covariance_, confidence, "subdistribution hazard ratio")

    def score(self, X: Any, y: Any) -> float:
        """Harrell's concordance of :meth:`predict` where those with another event count as never having this one (Wolbers et al.
        2009, doi 10.1097/EDE.0b013e3181a39056)."""
        from .metrics import concordance_index

        cause, time = causes_of(y)
        time = np.where((cause != 0) & (cause != self.cause), time.max() + 1.0, time)
        return float(concordance_index((cause == self.cause, time), self.predict(X)))
