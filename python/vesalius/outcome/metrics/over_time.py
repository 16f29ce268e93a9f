# SPDX-License-Identifier: Apache-2.0
"""Discrimination at a time: cumulative/dynamic and incident/dynamic areas under the ROC curve."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from ..._vesalius import outcome as _core
from ...errors import InvalidArgument, ShapeError
from .._data import survival_outcome, to_tensor
from ._common import censoring_options, interval, intervals, numbers, outcome_of, times_of, vector, warn_of, weights_of


@dataclass(frozen=True)
class AucOverTime:
    """AUC at each time, and its mean.

    Attributes
    ----------
    table : DataFrame
        time, auc, standard_error, lower, upper, cases, controls, reason (why a value is NaN; else empty)
    mean, standard_error, interval
        Mean over the times, weighted by the fall of Kaplan and Meier's curve between them (scikit-survival's definition).
    influence : float64 [k, n] or None
        Each subject's influence on each value: sums of squares are variances, of differences of models too.
    """

    table: pd.DataFrame
    mean: float
    standard_error: float
    interval: tuple[float, float]
    confidence: float
    influence: np.ndarray | None = field(default=None, repr=False)

    @property
    def value(self) -> float:
        return self.mean

    def __float__(self) -> float:
        return self.mean


def cumulative_dynamic_auc(
    y: Any,
    risk: Any,
    times: Any,
    *,
    confidence: float = 0.95,
    cause: Any = None,
    competing_are_controls: bool = True,
    train: Any = None,
    g: str = "t-",
    sample_weight: Any = None,
    standard_error: bool = True,
    influence: bool = False,
) -> AucOverTime:
    """Area under the ROC curve of "event by t" against "event-free at t", for each t.

    Censored subjects are made up for by inverse probabilities of censoring. Standard errors are the infinitesimal jackknife,
    with the estimation of these probabilities in it (those of ``riskRegression::Score`` and ``timeROC``). One sort, then O(n)
    a time.

    Parameters
    ----------
    y : as in :func:`concordance_index`; with `cause` codes of events, 0 for censored
    risk : [n], or [n, k] at each of the times; larger for earlier events
    times : ascending; one where nobody had the event before or is event-free after gives NaN with a reason
    cause : the event asked about, where there are competing ones
    competing_are_controls : count those with a competing event by t among the controls (Blanche 2013's second definition,
        riskRegression), or leave them out (the first)
    train, g : as in :func:`concordance_index`. With other subjects' G its estimation is not part of the error.
    standard_error : leave it out to save time

    References
    ----------
    Uno H et al. J Am Stat Assoc 2007;102:527-537. doi 10.1198/016214507000000149. Blanche P, Dartigues JF, Jacqmin-Gadda H. Stat
    Med 2013;32:5381-5397. doi 10.1002/sim.5958.
    """
    status, time = outcome_of(y, cause)
    at = times_of(times)
    score = numbers(risk, "risk")
    if score.ndim != 2:
        score = vector(score, len(time), "risk")
    elif score.shape != (len(time), len(at)):
        raise ShapeError(f"risk must be [{len(time)}] or [{len(time)}, {len(at)}]; it is {score.shape}")
    options = _core.TimeOptions(
        censoring=censoring_options(train, g),
        competing_are_controls=competing_are_controls,
        standard_error=standard_error,
        keep_influence=influence,
    )
    curve = _core.cumulative_dynamic_auc(
        to_tensor(time), to_tensor(status), to_tensor(score), to_tensor(at), options, weights_of(sample_weight)
    )
    auc, se = curve.auc.numpy(), curve.standard_error.numpy()
    lower, upper = intervals(auc, se, confidence)
    table = pd.DataFrame({
        "time": at, "auc": auc, "standard_error": se, "lower": lower, "upper": upper,
        "cases": curve.cases.numpy(), "controls": curve.controls.numpy(), "reason": curve.reason,
    })  # fmt: skip
    warn_of(curve.reason, "AUC")
    limits = interval(curve.mean, curve.mean_standard_error, confidence)
    kept = curve.influence.numpy() if influence else None
    return AucOverTime(table, curve.mean, curve.mean_standard_error, limits, confidence, kept)


@dataclass(frozen=True)
class IncidentAuc:
    """Incident/dynamic AUC: `events` holds the area at each event time, `table` the smooth one at the times asked."""

    table: pd.DataFrame
    events: pd.DataFrame
    bandwidth: float
    confidence: float


def incident_dynamic_auc(
    y: Any,
    risk: Any,
    times: Any = None,
    *,
    bandwidth: float | None = None,
    confidence: float = 0.95,
    sample_weight: Any = None,
) -> IncidentAuc:
    """Area under the ROC curve of "event at t" against "event-free after t".

    At each event the share of those still at risk whose risk is lower, ties a half; at `times` the mean over the events within
    `bandwidth`, weighted by Epanechnikov's kernel. Its mean over all events, weighted by those at risk, is Harrell's concordance.

    Parameters
    ----------
    times : default twenty, at quantiles 5 to 95 % of the event times
    bandwidth : in the unit of time; default the interquartile range of event times · (events)^(−1/5)

    References
    ----------
    Heagerty PJ, Zheng Y. Biometrics 2005;61:92-105. doi 10.1111/j.0006-341X.2005.030814.x. Saha-Chaudhuri P, Heagerty PJ.
    Biostatistics 2013;14:42-59. doi 10.1093/biostatistics/kxs021.
    """
    event, time = survival_outcome(y)
    if not event.any():
        raise InvalidArgument("there is no event: incident AUC compares those who have one with those still at risk")
    when = time[event]
    at = np.unique(np.quantile(when, np.linspace(0.05, 0.95, 20))) if times is None else times_of(times)
    if bandwidth is None:
        spread = np.subtract(*np.quantile(when, [0.75, 0.25])) or np.ptp(when) or 1.0
        bandwidth = float(spread * len(when) ** -0.2)
    r = _core.incident_dynamic_auc(
        to_tensor(time),
        to_tensor(event),
        to_tensor(vector(risk, len(time), "risk")),
        to_tensor(at),
        float(bandwidth),
        weights_of(sample_weight),
    )
    auc, se = r.smooth.numpy(), r.standard_error.numpy()
    lower, upper = intervals(auc, se, confidence)
    table = pd.DataFrame({
        "time": at, "auc": auc, "standard_error": se, "lower": lower, "upper": upper, "reason": r.reason,
    })  # fmt: skip
    events = pd.DataFrame({"time": r.time.numpy(), "auc": r.auc.numpy(), "events": r.events.numpy()})
    warn_of(r.reason, "incident AUC")
    return IncidentAuc(table, events, float(bandwidth), confidence)
