# SPDX-License-Identifier: Apache-2.0
"""Brier's score: of probabilities, and of survival curves with censoring."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from ..._vesalius import outcome as _core
from ...errors import InvalidArgument
from .._data import to_tensor
from ._common import (
    binary,
    censoring_options,
    checked_probability,
    interval,
    intervals,
    outcome_of,
    predictions_over_time,
    warn_of,
    weights_of,
)


@dataclass(frozen=True)
class BrierScore:
    """Mean squared error of probabilities. `scaled` is 1 − Brier / Brier of the mean: 0 knows nothing, 1 is perfect."""

    value: float
    standard_error: float
    interval: tuple[float, float]
    confidence: float
    scaled: float

    def __float__(self) -> float:
        return self.value


def brier_score(y: Any, probability: Any, *, confidence: float = 0.95, pos_label: Any = None) -> BrierScore:
    """Brier's score (1950) with the interval of a mean."""
    y = binary(y, pos_label)
    if not np.isin(y, (0, 1)).all():
        raise InvalidArgument("y must be 0 or 1")
    squared = (y - checked_probability(probability, len(y))) ** 2
    value = float(squared.mean())
    se = float(squared.std(ddof=1) / np.sqrt(len(y))) if len(y) > 1 else float("nan")
    null = float(y.mean() * (1 - y.mean()))
    return BrierScore(
        value, se, interval(value, se, confidence), confidence, 1 - value / null if null > 0 else float("nan")
    )


@dataclass(frozen=True)
class BrierOverTime:
    """Brier's score at each time, and integrated.

    Attributes
    ----------
    table : DataFrame
        time, brier, standard_error, lower, upper, null (Kaplan-Meier's or Aalen-Johansen's curve for everyone), scaled
        (1 − brier / null, the index of prediction accuracy), scaled_standard_error, scaled_lower, scaled_upper, reason (why a
        value is NaN; else empty)
    integrated, standard_error, interval
        Integrated Brier score over the times that have one.
    integrated_null, integrated_scaled, scaled_standard_error, scaled_interval
        The same of the null model, and 1 − integrated / integrated_null.
    influence : float64 [k, n] or None
    """

    table: pd.DataFrame
    integrated: float
    standard_error: float
    interval: tuple[float, float]
    integrated_null: float
    integrated_scaled: float
    scaled_standard_error: float
    scaled_interval: tuple[float, float]
    confidence: float
    influence: np.ndarray | None = field(default=None, repr=False)

    @property
    def value(self) -> float:
        return self.integrated

    def __float__(self) -> float:
        return self.integrated


def brier_curve(
    y: Any,
    survival: Any,
    times: Any = None,
    *,
    predicts: str = "survival",
    confidence: float = 0.95,
    cause: Any = None,
    integration: str = "trapezoid",
    train: Any = None,
    g: str = "t-",
    sample_weight: Any = None,
    standard_error: bool = True,
    influence: bool = False,
) -> BrierOverTime:
    r"""Brier's score of predicted survival, with censoring: integrated, scaled, each with its interval.

    .. math:: BS(t) = \frac1n \sum_i \frac{1(T_i \le t, \delta_i = 1)\, S_i(t)^2}{G(T_i-)} + \frac{1(T_i > t)\, (1 - S_i(t))^2}{G(t)}

    with G the chance to be uncensored. Standard errors are the infinitesimal jackknife with the estimation of G in it (those of
    ``riskRegression::Score``). One sort, then O(n) a time.

    Parameters
    ----------
    y : as in :func:`concordance_index`; with `cause` codes of events, 0 for censored
    survival : [n, k] probabilities at `times`; a DataFrame with times as columns needs no `times`
    times : ascending; where nobody is followed beyond a time it gives NaN with a reason
    predicts : "survival", or "risk" if the predictions are of the event by the time, as they must be with `cause`
    cause : the event asked about, where there are competing ones (Schoop 2011, doi 10.1002/bimj.201000073)
    integration : "trapezoid" over [t_1, t_k] (scikit-survival), or "steps" over [0, t_k] (riskRegression: each score holds until
        the next time, and 0 before the first)
    train, g : as in :func:`concordance_index`; g="t" is scikit-survival's

    References
    ----------
    Graf E, Schmoor C, Sauerbrei W, Schumacher M. Stat Med 1999;18:2529-2545. Gerds TA, Schumacher M. Biom J 2006;48:1029-1040.
    doi 10.1002/bimj.200610301. Scaled: Kattan MW, Gerds TA. Diagn Progn Res 2018;2:7. doi 10.1186/s41512-018-0029-2.
    """
    status, time = outcome_of(y, cause)
    predicted, at = predictions_over_time(survival, times, len(time), predicts)
    if predicts not in ("survival", "risk"):
        raise InvalidArgument(f"predicts must be 'survival' or 'risk'; it is {predicts!r}")
    if predicts == "survival" and cause is not None:
        raise InvalidArgument("with competing events predictions are risks of the cause: pass predicts='risk'")
    if integration not in ("trapezoid", "steps"):
        raise InvalidArgument(f"integration must be 'trapezoid' or 'steps'; it is {integration!r}")
    options = _core.TimeOptions(
        censoring=censoring_options(train, g), standard_error=standard_error, keep_influence=influence
    )
    r = _core.brier_curve(
        to_tensor(time),
        to_tensor(status),
        to_tensor(predicted),
        to_tensor(at),
        options,
        getattr(_core.Integration, integration),
        predicts == "survival",
        weights_of(sample_weight),
    )
    brier, se = r.brier.numpy(), r.standard_error.numpy()
    scaled, scaled_se = r.scaled.numpy(), r.scaled_standard_error.numpy()
    (lower, upper), below_one = intervals(brier, se, confidence, (0.0, np.inf)), (-np.inf, 1.0)
    scaled_lower, scaled_upper = intervals(scaled, scaled_se, confidence, below_one)
    table = pd.DataFrame({
        "time": at, "brier": brier, "standard_error": se, "lower": lower, "upper": upper, "null": r.null.numpy(),
        "scaled": scaled, "scaled_standard_error": scaled_se, "scaled_lower": scaled_lower,
        "scaled_upper": scaled_upper, "reason": r.reason,
    })  # fmt: skip
    warn_of(r.reason, "Brier's score")
    return BrierOverTime(
        table,
        r.integrated,
        r.integrated_standard_error,
        interval(r.integrated, r.integrated_standard_error, confidence, limits=(0.0, np.inf)),
        r.integrated_null,
        r.integrated_scaled,
        r.integrated_scaled_standard_error,
        interval(r.integrated_scaled, r.integrated_scaled_standard_error, confidence, limits=below_one),
        confidence,
        r.influence.numpy() if influence else None,
    )
