# SPDX-License-Identifier: Apache-2.0
"""Competing risks without a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator

from .._vesalius import outcome as _core
from ..errors import InvalidArgument
from ._curves import _INTERVALS, codes_of, optional_tensor, warn_of_empty_risk_set
from ._data import plain, to_tensor
from ._fine_gray import causes_of


class AalenJohansen(BaseEstimator):
    r"""Aalen and Johansen's cumulative incidence of each of several competing causes.

    :math:`F_c(t) = \sum_{t_i \le t} S(t_i-)\, d_{ci} / n_i`: the share that has had cause c by t, in a world where the other causes
    act too. (1 − Kaplan–Meier with the other causes censored overstates it.)

    Parameters
    ----------
    confidence : float
    interval : "log_log", "log" or "plain"
        Symmetric in log(−log F) (stays inside 0 to 1), in log F, or in F.

    Attributes
    ----------
    causes_ : the numbers of the causes
    table_ : DataFrame
        time, at_risk, censored, survival (free of every cause), and for each cause c: events_c, incidence_c, standard_error_c,
        lower_c, upper_c. Variance: Aalen's, with the correction for ties of R's cmprsk.

    References
    ----------
    Aalen OO, Johansen S. An empirical transition matrix for nonhomogeneous Markov chains based on censored observations.
    Scand J Stat 1978;5:141-150.

    Gray RJ. A class of k-sample tests for comparing the cumulative incidence of a competing risk. Ann Stat 1988;16:1141-1154.
    """

    def __init__(self, *, confidence: float = 0.95, interval: str = "log_log") -> None:
        self.confidence = confidence
        self.interval = interval

    def fit(self, y: Any, sample_weight: Any = None, entry: Any = None) -> AalenJohansen:
        """y: (event, time) with event 0 for censored and 1 … for the causes; sample_weight and entry as for :class:`KaplanMeier`."""
        if self.interval not in _INTERVALS:
            raise InvalidArgument(f"interval must be one of {_INTERVALS}; it is {self.interval!r}")
        cause, time = causes_of(y)
        count = int(max(1, cause.max(initial=1)))
        curve = _core.aalen_johansen(
            to_tensor(time),
            to_tensor(cause),
            count,
            self.confidence,
            getattr(_core.CurveInterval, self.interval),
            optional_tensor(sample_weight, len(time), "sample_weight"),
            optional_tensor(entry, len(time), "entry"),
        )
        self.causes_ = np.arange(1, count + 1)
        columns = {name: getattr(curve, name).numpy() for name in ("time", "at_risk", "censored", "survival")}
        for c in self.causes_:
            for name in ("events", "incidence", "standard_error", "lower", "upper"):
                columns[f"{name}_{c}"] = getattr(curve, name).numpy()[:, c - 1]
        self.table_ = pd.DataFrame(columns)
        if entry is not None:
            warn_of_empty_risk_set(self.table_, "survival")
        return self

    def at(self, times: Any, *, cause: int = 1) -> pd.DataFrame:
        """incidence, standard_error, lower, upper of `cause` at any times; NaN after the last one observed, unless all have had an
        event by then."""
        if not hasattr(self, "table_"):
            raise InvalidArgument("fit the curve first: AalenJohansen().fit(y)")
        if cause not in self.causes_:
            raise InvalidArgument(f"cause must be one of {self.causes_.tolist()}; it is {cause!r}")
        times = np.atleast_1d(np.asarray(plain(times), dtype=np.float64))
        names = ["incidence", "standard_error", "lower", "upper"]
        table = self.table_[[f"{n}_{cause}" for n in names]].set_axis(names, axis=1)
        start = pd.DataFrame([[0.0, 0.0, np.nan, np.nan]], columns=names)
        rows = np.searchsorted(self.table_["time"].to_numpy(), times, side="right")
        out = pd.concat([start, table], ignore_index=True).iloc[rows].set_axis(pd.Index(times, name="time"))
        if self.table_["survival"].iloc[-1] > 0:
            out[times > self.table_["time"].iloc[-1]] = np.nan
        return out


@dataclass(frozen=True)
class GrayTest:
    """Result of :func:`gray_test`."""

    chi_squared: float
    degrees_of_freedom: int
    p: float

    def __float__(self) -> float:
        return self.p


def gray_test(
    y: Any, group: Any, *, cause: int = 1, rho: float = 0.0, strata: Any = None, sample_weight: Any = None
) -> GrayTest:
    """Gray's test that groups have the same cumulative incidence of `cause`.

    Unlike the log-rank test with other causes censored (which compares cause-specific hazards), it compares what is seen: how many
    have had the cause by when.

    Parameters
    ----------
    y : (event, time) with event 0 for censored and 1 … for the causes
    group : [n] of labels
    rho : float
        Each time counts (1 − F(t−))^rho.
    strata : [n] of labels, optional: comparisons within them only
    sample_weight : [n] ≥ 0, counts subjects

    References
    ----------
    Gray RJ. Ann Stat 1988;16:1141-1154. doi 10.1214/aos/1176350951.
    """
    causes, time = causes_of(y)
    n = len(time)
    if cause < 1 or not (causes == cause).any():
        raise InvalidArgument(f"nobody had cause {cause!r}; event holds {np.unique(causes).tolist()}")
    _, codes = codes_of(group, n, "group")
    result = _core.gray_test(
        to_tensor(time),
        to_tensor(causes),
        to_tensor(codes),
        int(cause),
        float(rho),
        None if strata is None else to_tensor(codes_of(strata, n, "strata")[1]),
        optional_tensor(sample_weight, n, "sample_weight"),
    )
    return GrayTest(result.chi_squared, result.degrees_of_freedom, result.p)
