# SPDX-License-Identifier: Apache-2.0
"""Survival without a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from .._vesalius import outcome as _core
from ..errors import InvalidArgument
from ._data import plain, survival_outcome, to_tensor

_INTERVALS = ("plain", "log", "log_log")


class KaplanMeier:
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

    def fit(self, y: Any, sample_weight: Any = None) -> KaplanMeier:
        """y as for :class:`CoxPH`; sample_weight [n] ≥ 0 counts subjects."""
        if self.interval not in _INTERVALS:
            raise InvalidArgument(f"interval must be one of {_INTERVALS}; it is {self.interval!r}")
        event, time = survival_outcome(y)
        weights = None if sample_weight is None else to_tensor(plain(sample_weight))
        curve = _core.kaplan_meier(
            to_tensor(time), to_tensor(event), self.confidence, getattr(_core.CurveInterval, self.interval), weights
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


@dataclass(frozen=True)
class LogRank:
    """Result of :func:`log_rank`; `table` has subjects, observed and expected events by group."""

    chi_squared: float
    degrees_of_freedom: int
    p: float
    table: pd.DataFrame

    def __float__(self) -> float:
        return self.p


def log_rank(y: Any, group: Any, *, rho: float = 0.0, strata: Any = None) -> LogRank:
    r"""Log-rank test that two or more groups survive alike.

    Each event time is weighted :math:`S(t-)^\rho` with the survival of all groups together (Harrington, Fleming 1982,
    doi 10.1093/biomet/69.3.553): ``rho=0`` is the log-rank test, best where hazards are proportional; ``rho=1`` Peto and Peto's,
    which looks at early differences.

    Parameters
    ----------
    y : as for :class:`CoxPH`
    group : [n] of labels
    strata : [n] of labels, optional: comparisons within them only
    """
    event, time = survival_outcome(y)
    names, codes = np.unique(np.asarray(plain(group)), return_inverse=True)
    if len(codes) != len(time):
        raise InvalidArgument(f"y has {len(time)} subjects and group {len(codes)}: they must be of one length")
    within = None
    if strata is not None:
        within = to_tensor(np.unique(np.asarray(plain(strata)), return_inverse=True)[1])
    result = _core.log_rank(to_tensor(time), to_tensor(event), to_tensor(codes), float(rho), within)
    table = pd.DataFrame(
        {"subjects": np.bincount(codes), "observed": result.observed.numpy(), "expected": result.expected.numpy()},
        index=pd.Index(names, name="group"),
    )
    return LogRank(result.chi_squared, result.degrees_of_freedom, result.p, table)
