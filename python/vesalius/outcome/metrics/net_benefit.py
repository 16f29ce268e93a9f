# SPDX-License-Identifier: Apache-2.0
"""Decision curves: what treating by a model gains over treating everyone or no one."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..._vesalius import outcome as _core
from ...errors import InvalidArgument
from .._data import to_tensor
from ._common import binary, checked_probability, intervals, numbers, outcome_of, weights_of


@dataclass(frozen=True)
class DecisionCurve:
    """Net benefit at each threshold.

    Attributes
    ----------
    table : DataFrame
        threshold, net_benefit, standard_error, lower, upper, true_positives, false_positives (shares of all), treat_all,
        treat_all_standard_error, treat_none (0), advantage (over the better of treating all and none), advantage_standard_error,
        advantage_lower, advantage_upper, reason
    """

    table: pd.DataFrame
    confidence: float
    time: float | None = None


def decision_curve(
    y: Any,
    predicted: Any,
    thresholds: Any = None,
    *,
    time: float | None = None,
    cause: Any = None,
    confidence: float = 0.95,
    pos_label: Any = None,
    sample_weight: Any = None,
) -> DecisionCurve:
    r"""Net benefit of treating those with a predicted probability of at least the threshold.

    .. math:: NB(p) = \frac{TP(p)}{n} - \frac{FP(p)}{n} \cdot \frac{p}{1 - p}

    With `time` the outcome is survival and true positives are events by then, from Kaplan and Meier's curve among those treated
    (with `cause` Aalen and Johansen's). Standard errors are the infinitesimal jackknife; the interval is that of one threshold.

    Parameters
    ----------
    y : [n] of 0/1; or with `time` survival as in :func:`concordance_index`, with `cause` codes of events
    predicted : [n] predicted probability of the event (by `time`)
    thresholds : default 0.01 to 0.99 by 0.01
    time : where risks are of an event by then

    References
    ----------
    Vickers AJ, Elkin EB. Med Decis Making 2006;26:565-574. doi 10.1177/0272989X06295361. With censoring: Vickers AJ, Cronin AM, Elkin
    EB, Gonen M. BMC Med Inform Decis Mak 2008;8:53. doi 10.1186/1472-6947-8-53.
    """
    at = np.arange(1, 100) / 100 if thresholds is None else np.atleast_1d(numbers(thresholds, "thresholds"))
    if not ((at >= 0) & (at < 1)).all():
        raise InvalidArgument(
            f"thresholds are probabilities from 0 to below 1; they range from {at.min():g} to {at.max():g}"
        )
    if time is None:
        if cause is not None:
            raise InvalidArgument("cause= is for survival: name the time that the risks are for, time=")
        status = binary(y, pos_label)
        if not np.isin(status, (0, 1)).all():
            raise InvalidArgument("y must be 0 or 1")
        # everyone's outcome is known: an event before the horizon, or none until beyond it
        follow_up, horizon = np.where(status == 1, 1.0, 3.0), 2.0
    else:
        status, follow_up = outcome_of(y, cause)
        horizon = float(time)
        if not horizon >= 0:
            raise InvalidArgument(f"time must be a follow-up time; it is {time!r}")
    p = to_tensor(checked_probability(predicted, len(status)))
    arguments = (to_tensor(follow_up), to_tensor(status))
    weights = weights_of(sample_weight)
    model = _core.net_benefit(*arguments, p, horizon, to_tensor(at), True, weights)
    everyone = _core.net_benefit(*arguments, to_tensor(np.ones(len(status))), horizon, to_tensor(at), True, weights)
    value, se, all_ = model.value.numpy(), model.standard_error.numpy(), everyone.value.numpy()
    better = np.where(all_ > 0, all_, 0.0)
    # influence of the difference from what is better; that of treating no one is 0
    difference = model.influence.numpy() - np.where(all_[:, None] > 0, everyone.influence.numpy(), 0.0)
    n = difference.shape[1]
    advantage_se = np.sqrt((difference**2).sum(axis=1) * n / max(n - 1, 1))
    lower, upper = intervals(value, se, confidence, (-np.inf, 1.0))
    low, high = intervals(value - better, advantage_se, confidence, (-np.inf, np.inf))
    table = pd.DataFrame({
        "threshold": at, "net_benefit": value, "standard_error": se, "lower": lower, "upper": upper,
        "true_positives": model.true_positives.numpy(), "false_positives": model.false_positives.numpy(),
        "treat_all": all_, "treat_all_standard_error": everyone.standard_error.numpy(), "treat_none": 0.0,
        "advantage": value - better, "advantage_standard_error": advantage_se, "advantage_lower": low,
        "advantage_upper": high, "reason": [a or b for a, b in zip(model.reason, everyone.reason, strict=True)],
    })  # fmt: skip
    lost = table.loc[table["net_benefit"].isna(), "reason"]
    if len(lost):
        warnings.warn(
            f"net benefit is NaN at {len(lost)} of {len(table)} thresholds: {lost.iloc[0]}", UserWarning, stacklevel=2
        )
    return DecisionCurve(table, confidence, None if time is None else horizon)


@dataclass(frozen=True)
class NetBenefit:
    """Net benefit at one threshold, per subject."""

    value: float
    standard_error: float
    interval: tuple[float, float]
    confidence: float
    reason: str = ""

    def __float__(self) -> float:
        return self.value


def net_benefit(y: Any, predicted: Any, threshold: float, **kwargs: Any) -> NetBenefit:
    """:func:`decision_curve` at one threshold."""
    curve = decision_curve(y, predicted, [threshold], **kwargs)
    row = curve.table.iloc[0]
    return NetBenefit(
        float(row["net_benefit"]),
        float(row["standard_error"]),
        (float(row["lower"]), float(row["upper"])),
        curve.confidence,
        str(row["reason"]),
    )
