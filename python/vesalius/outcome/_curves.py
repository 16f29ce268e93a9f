# SPDX-License-Identifier: Apache-2.0
"""Survival without a model."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.base import BaseEstimator

from .._vesalius import outcome as _core
from ..errors import InvalidArgument, ShapeError, TypeMismatch
from ._data import plain, survival_outcome, to_tensor

_INTERVALS = ("plain", "log", "log_log")
_WEIGHTS = ("log_rank", "fleming_harrington", "gehan", "tarone_ware", "peto", "modified_peto")


def optional_tensor(values: Any, n: int, what: str) -> torch.Tensor | None:
    """[n] numbers or None, as the core takes them."""
    if values is None:
        return None
    try:
        array = np.asarray(plain(values), dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TypeMismatch(f"{what} must be numbers") from error
    if array.shape != (n,):
        raise ShapeError(f"{what} must be a vector of {n}, one for each subject; it is {array.shape}")
    return to_tensor(array)


def codes_of(labels: Any, n: int, what: str) -> tuple[np.ndarray, np.ndarray]:
    """The labels ascending, and each subject's number among them."""
    labels = np.asarray(plain(labels))
    if labels.ndim != 1 or len(labels) != n:
        raise InvalidArgument(
            f"y has {n} subjects and {what} {len(labels) if labels.ndim else 1}: they must be of one length"
        )
    if pd.isna(labels).any():
        raise InvalidArgument(
            f"{what} has {int(pd.isna(labels).sum())} missing labels: leave those subjects out or name them"
        )
    return np.unique(labels, return_inverse=True)


def warn_of_empty_risk_set(table: pd.DataFrame, survival: str) -> None:
    """With left truncation the curve may fall to 0 while few are under observation, and stay there."""
    zero = table[survival] <= 0
    if zero.any() and table["at_risk"][zero].iloc[1:].gt(0).any():
        first = table[zero].iloc[0]
        warnings.warn(
            f"at time {first['time']:g} all {first['at_risk']:g} under observation had the event, so the curve is 0 from there on, "
            "though others enter later. Leave out the times before enough have entered (raise entry to a common start)",
            UserWarning,
            stacklevel=3,
        )


class KaplanMeier(BaseEstimator):
    r"""Kaplan and Meier's curve of survival.

    :math:`S(t) = \prod_{t_i \le t} (1 - d_i / n_i)` over the event times, :math:`d_i` events among :math:`n_i` at risk, with
    Greenwood's variance. Subjects censored at a time are at risk at it. Censoring must tell nothing about the outcome.

    Parameters
    ----------
    confidence : float
    interval : "log", "log_log" or "plain"
        Symmetric in log S (R's default), in log(−log S) (inside 0 to 1; lifelines' default), or in S.

    Attributes
    ----------
    table_ : DataFrame
        A row for each time observed: time, at_risk, events, censored, survival, standard_error, lower, upper,
        cumulative_hazard (Nelson-Aalen). For plots: steps that hold to the right.

    References
    ----------
    Kaplan EL, Meier P. Nonparametric estimation from incomplete observations. J Am Stat Assoc 1958;53:457-481.
    doi 10.1080/01621459.1958.10501452.
    """

    def __init__(self, *, confidence: float = 0.95, interval: str = "log") -> None:
        self.confidence = confidence
        self.interval = interval

    def fit(self, y: Any, sample_weight: Any = None, entry: Any = None) -> KaplanMeier:
        """y as for :class:`CoxPH`; sample_weight [n] ≥ 0 counts subjects; entry [n] < time: when each came under observation (left
        truncation; at risk in (entry, time])."""
        if self.interval not in _INTERVALS:
            raise InvalidArgument(f"interval must be one of {_INTERVALS}; it is {self.interval!r}")
        event, time = survival_outcome(y)
        curve = _core.kaplan_meier(
            to_tensor(time),
            to_tensor(event),
            self.confidence,
            getattr(_core.CurveInterval, self.interval),
            optional_tensor(sample_weight, len(time), "sample_weight"),
            optional_tensor(entry, len(time), "entry"),
        )
        fields = (
            "time",
            "at_risk",
            "events",
            "censored",
            "survival",
            "standard_error",
            "lower",
            "upper",
            "cumulative_hazard",
        )
        self.table_ = pd.DataFrame({name: getattr(curve, name).numpy() for name in fields})
        self.truncated_ = entry is not None
        if entry is not None:
            warn_of_empty_risk_set(self.table_, "survival")
        return self

    def _fitted(self) -> pd.DataFrame:
        if not hasattr(self, "table_"):
            raise InvalidArgument("fit the curve first: KaplanMeier().fit(y)")
        return self.table_

    def at(self, times: Any) -> pd.DataFrame:
        """survival, standard_error, lower, upper, cumulative_hazard at any times; NaN after the last one observed, unless all have
        had the event by then."""
        table = self._fitted()
        times = np.atleast_1d(np.asarray(plain(times), dtype=np.float64))
        columns = ["survival", "standard_error", "lower", "upper", "cumulative_hazard"]
        start = pd.DataFrame([[1.0, 0.0, 1.0, 1.0, 0.0]], columns=columns)
        rows = np.searchsorted(table["time"].to_numpy(), times, side="right")
        out = pd.concat([start, table[columns]], ignore_index=True).iloc[rows].set_axis(pd.Index(times, name="time"))
        if table["survival"].iloc[-1] > 0:
            out[times > table["time"].iloc[-1]] = np.nan
        return out

    def quantile(self, p: float = 0.5) -> tuple[float, float, float]:
        """(time, lower, upper) by which a share `p` has had the event; NaN where the curve or its limit never gets there.

        The limits are where the limits of the curve cross (Brookmeyer, Crowley 1982, doi 10.2307/2530286).
        """
        table = self._fitted()
        time = to_tensor(table["time"])
        at = [
            _core.curve_quantile(time, to_tensor(table[c].fillna(np.inf if c == "upper" else 0.0)), p)
            for c in ("survival", "lower", "upper")
        ]
        return at[0], at[1], at[2]

    @property
    def median(self) -> tuple[float, float, float]:
        """(time, lower, upper) by which half have had the event."""
        return self.quantile(0.5)

    def at_risk(self, times: Any) -> pd.DataFrame:
        """at_risk, and events and censored so far, at each of `times`: the table under a plot."""
        table = self._fitted()
        times = np.atleast_1d(np.asarray(plain(times), dtype=np.float64))
        known = table["time"].to_numpy()
        before, upto = np.searchsorted(known, times, side="left"), np.searchsorted(known, times, side="right")
        total = np.r_[table["at_risk"].to_numpy(), 0.0]
        events, censored = (np.r_[0.0, table[c].cumsum()] for c in ("events", "censored"))
        return pd.DataFrame(
            {"at_risk": total[before], "events": events[upto], "censored": censored[upto]},
            index=pd.Index(times, name="time"),
        )


class NelsonAalen(BaseEstimator):
    r"""Nelson and Aalen's cumulative hazard :math:`H(t) = \sum_{t_i \le t} d_i / n_i`, with variance :math:`\sum d_i / n_i^2`.

    Parameters
    ----------
    confidence : float
    interval : "log" or "plain"
        Symmetric in log H, or in H.
    ties : "aalen" or "fleming_harrington"
        With the second, tied events happen one after the other: 1/n + 1/(n−1) + … (R's ``survfit(ctype=2)``).

    Attributes
    ----------
    table_ : DataFrame
        A row for each time observed: time, at_risk, events, censored, cumulative_hazard, standard_error, lower, upper.

    References
    ----------
    Aalen OO. Nonparametric inference for a family of counting processes. Ann Stat 1978;6:701-726. doi 10.1214/aos/1176344247.
    """

    def __init__(self, *, confidence: float = 0.95, interval: str = "log", ties: str = "aalen") -> None:
        self.confidence = confidence
        self.interval = interval
        self.ties = ties

    def fit(self, y: Any, sample_weight: Any = None, entry: Any = None) -> NelsonAalen:
        """y, sample_weight and entry as in :meth:`KaplanMeier.fit`."""
        if self.interval not in ("plain", "log") or self.ties not in ("aalen", "fleming_harrington"):
            raise InvalidArgument(
                "interval must be 'plain' or 'log' and ties 'aalen' or 'fleming_harrington'; they are "
                f"{self.interval!r} and {self.ties!r}"
            )
        event, time = survival_outcome(y)
        curve = _core.nelson_aalen(
            to_tensor(time),
            to_tensor(event),
            self.confidence,
            getattr(_core.CurveInterval, self.interval),
            self.ties == "fleming_harrington",
            optional_tensor(sample_weight, len(time), "sample_weight"),
            optional_tensor(entry, len(time), "entry"),
        )
        fields = ("time", "at_risk", "events", "censored", "cumulative_hazard", "standard_error", "lower", "upper")
        self.table_ = pd.DataFrame({name: getattr(curve, name).numpy() for name in fields})
        return self

    def at(self, times: Any) -> pd.DataFrame:
        """cumulative_hazard, standard_error, lower, upper at any times; NaN after the last one observed."""
        if not hasattr(self, "table_"):
            raise InvalidArgument("fit the curve first: NelsonAalen().fit(y)")
        times = np.atleast_1d(np.asarray(plain(times), dtype=np.float64))
        columns = ["cumulative_hazard", "standard_error", "lower", "upper"]
        start = pd.DataFrame([[0.0, 0.0, 0.0, np.nan]], columns=columns)
        rows = np.searchsorted(self.table_["time"].to_numpy(), times, side="right")
        out = (
            pd.concat([start, self.table_[columns]], ignore_index=True)
            .iloc[rows]
            .set_axis(pd.Index(times, name="time"))
        )
        out[times > self.table_["time"].iloc[-1]] = np.nan
        return out


@dataclass(frozen=True)
class LogRank:
    """Result of :func:`log_rank`; `table` has subjects, observed and expected events by group."""

    chi_squared: float
    degrees_of_freedom: int
    p: float
    table: pd.DataFrame

    def __float__(self) -> float:
        return self.p


def log_rank(
    y: Any,
    group: Any,
    *,
    weight: str = "log_rank",
    rho: float = 0.0,
    gamma: float = 0.0,
    strata: Any = None,
    sample_weight: Any = None,
    entry: Any = None,
) -> LogRank:
    r"""Log-rank test that two or more groups survive alike, and its weighted and stratified forms.

    Parameters
    ----------
    y : as for :class:`CoxPH`
    group : [n] of labels
    weight : str
        What an event time counts, with n at risk and S of all groups together just before it: ``"log_rank"`` 1 (best where hazards
        are proportional); ``"fleming_harrington"`` :math:`S^\rho (1 - S)^\gamma` (``rho`` for early, ``gamma`` for late
        differences; Fleming, Harrington 1991); ``"gehan"`` n; ``"tarone_ware"`` √n; ``"peto"`` S (R's ``survdiff(rho=1)``);
        ``"modified_peto"`` Π (1 − d/(n+1)) up to and with the time (Andersen; lifelines' ``"peto"``).
    rho, gamma : float
        A rho or gamma above 0 alone makes the weight that of Fleming and Harrington.
    strata : [n] of labels, optional: comparisons within them only
    sample_weight : [n] ≥ 0, counts subjects
    entry : [n] < time, left truncation
    """
    if weight not in _WEIGHTS:
        raise InvalidArgument(f"weight must be one of {_WEIGHTS}; it is {weight!r}")
    if (rho or gamma) and weight not in ("log_rank", "fleming_harrington"):
        raise InvalidArgument(f"rho and gamma belong to weight='fleming_harrington'; weight is {weight!r}")
    event, time = survival_outcome(y)
    n = len(time)
    names, codes = codes_of(group, n, "group")
    kind = getattr(_core.LogRankWeight, "fleming_harrington" if weight == "log_rank" else weight)
    result = _core.log_rank(
        to_tensor(time),
        to_tensor(event),
        to_tensor(codes),
        float(rho),
        None if strata is None else to_tensor(codes_of(strata, n, "strata")[1]),
        kind,
        float(gamma),
        optional_tensor(sample_weight, n, "sample_weight"),
        optional_tensor(entry, n, "entry"),
    )
    counts = np.bincount(codes)
    if (counts == 1).any():
        warnings.warn(
            f"group {names[counts == 1][0]!r} has one member: the χ² distribution is a poor guide to so small a group",
            UserWarning,
            stacklevel=2,
        )
    table = pd.DataFrame(
        {"subjects": counts, "observed": result.observed.numpy(), "expected": result.expected.numpy()},
        index=pd.Index(names, name="group"),
    )
    return LogRank(result.chi_squared, result.degrees_of_freedom, result.p, table)


@dataclass(frozen=True)
class RestrictedMean:
    """Result of :func:`restricted_mean`.

    `table`: by group rmst, standard_error, lower, upper (and rmtl = tau − rmst, the time lost). `comparisons`: of each group with the
    first, difference and ratio with intervals and p. `chi_squared`, `degrees_of_freedom`, `p`: that all are equal.
    """

    tau: float
    table: pd.DataFrame
    comparisons: pd.DataFrame
    chi_squared: float
    degrees_of_freedom: int
    p: float


def restricted_mean(
    y: Any,
    group: Any = None,
    *,
    tau: float | None = None,
    confidence: float = 0.95,
    sample_weight: Any = None,
    entry: Any = None,
) -> RestrictedMean:
    r"""Restricted mean survival time :math:`\int_0^\tau S(t)\,dt` of each group, and tests between groups.

    A difference of x means: over the first `tau`, this group lives x longer on average. Needs no proportional hazards.

    Parameters
    ----------
    y : as for :class:`CoxPH`
    group : [n] of labels, optional; the first (in sorting order) is what the others are compared with
    tau : float, optional
        At most each group's last time observed; the smallest of these if not given.

    References
    ----------
    Royston P, Parmar MKB. Restricted mean survival time: an alternative to the hazard ratio. BMC Med Res Methodol 2013;13:152.

    Uno H, et al. Moving beyond the hazard ratio in quantifying the between-group difference. J Clin Oncol 2014;32:2380-2385.
    """
    from scipy.stats import norm

    if tau is not None and not (np.isfinite(tau) and tau > 0):
        raise InvalidArgument(f"tau must be a positive time; it is {tau!r}")
    if not 0 < confidence < 1:
        raise InvalidArgument(f"confidence must lie between 0 and 1; it is {confidence!r}")
    event, time = survival_outcome(y)
    n = len(time)
    names, codes = (np.array(["all"]), np.zeros(n)) if group is None else codes_of(group, n, "group")
    r = _core.restricted_mean(
        to_tensor(time),
        to_tensor(event),
        to_tensor(codes),
        0.0 if tau is None else float(tau),
        optional_tensor(sample_weight, n, "sample_weight"),
        optional_tensor(entry, n, "entry"),
    )
    z = norm.ppf(0.5 + confidence / 2)
    index = pd.Index(names, name="group")
    value, se = r.value.numpy(), r.standard_error.numpy()
    table = pd.DataFrame(
        {"rmst": value, "standard_error": se, "lower": value - z * se, "upper": value + z * se, "rmtl": r.tau - value},
        index=index,
    )
    d, de, lr, le = (t.numpy() for t in (r.difference, r.difference_error, r.log_ratio, r.log_ratio_error))
    with np.errstate(divide="ignore", invalid="ignore"):
        comparisons = pd.DataFrame(
            {
                "difference": d,
                "difference_se": de,
                "difference_lower": d - z * de,
                "difference_upper": d + z * de,
                "difference_p": 2 * norm.sf(np.abs(d / de)),
                "ratio": np.exp(lr),
                "ratio_lower": np.exp(lr - z * le),
                "ratio_upper": np.exp(lr + z * le),
                "ratio_p": 2 * norm.sf(np.abs(lr / le)),
            },
            index=index,
        ).iloc[1:]
    return RestrictedMean(r.tau, table, comparisons, r.chi_squared, r.degrees_of_freedom, r.p)
