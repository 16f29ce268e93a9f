# SPDX-License-Identifier: Apache-2.0
"""What the measures share: arguments as the core takes them, intervals."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..._vesalius import outcome as _core
from ...errors import InvalidArgument, ShapeError
from .._data import plain, survival_outcome, to_tensor


def normal_quantile(confidence: float) -> float:
    from scipy.stats import norm

    if not 0 < confidence < 1:
        raise InvalidArgument(f"confidence must lie between 0 and 1; it is {confidence!r}")
    return float(norm.ppf(0.5 + confidence / 2))


def interval(
    value: float,
    se: float,
    confidence: float,
    logit: bool = False,
    limits: tuple[float, float] = (0.0, 1.0),
) -> tuple[float, float]:
    """Normal, cut at the limits; or normal in log(v / (1 - v)), which can't leave 0 to 1."""
    z = normal_quantile(confidence)
    if logit and 0 < value < 1:
        centre, half = np.log(value / (1 - value)), z * se / (value * (1 - value))
        low, high = 1 / (1 + np.exp(-(centre - half))), 1 / (1 + np.exp(-(centre + half)))
    else:
        low, high = max(limits[0], value - z * se), min(limits[1], value + z * se)
    return (float(low), float(high)) if np.isfinite(se) else (float("nan"), float("nan"))


def intervals(
    value: np.ndarray, se: np.ndarray, confidence: float, limits: tuple[float, float] = (0.0, 1.0)
) -> tuple[np.ndarray, np.ndarray]:
    z = normal_quantile(confidence)
    with np.errstate(invalid="ignore"):
        return np.maximum(limits[0], value - z * se), np.minimum(limits[1], value + z * se)


def binary(y: Any, pos_label: Any = None) -> np.ndarray:
    """Two classes as 0.0 and 1.0: 0/1 and booleans as they are, anything else needs ``pos_label``."""
    y = np.asarray(plain(y))
    if y.ndim != 1:
        raise ShapeError(f"y must be a vector; it is {y.shape}")
    if pos_label is not None:
        if not (y == pos_label).any():
            raise InvalidArgument(f"y has no value {pos_label!r}; it holds {np.unique(y)[:5].tolist()}")
        return (y == pos_label).astype(np.float64)
    if y.dtype.kind not in "bifu":
        raise InvalidArgument(
            f"y must be 0/1 or True/False; it holds {y[:3].tolist()}. Name the positive class with pos_label="
        )
    return y.astype(np.float64)


def numbers(values: Any, what: str) -> np.ndarray:
    """float64, or in words what is not a number."""
    try:
        return np.asarray(plain(values), dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidArgument(f"{what} must be numbers: {error}") from error


def vector(values: Any, n: int, what: str) -> np.ndarray:
    out = numbers(values, what)
    if out.ndim == 2 and out.shape[1] == 2 and n != 2:
        raise ShapeError(f"{what} is {out.shape}: of predict_proba pass the column of the positive class, [:, 1]")
    if out.shape != (n,):
        raise ShapeError(f"{what} must be a vector of {n}, as y is; it is {out.shape}")
    return out


def checked_probability(values: Any, n: int, what: str = "probability") -> np.ndarray:
    out = vector(values, n, what)
    if not ((out >= 0) & (out <= 1)).all():
        raise InvalidArgument(
            f"{what} must lie in 0 to 1 and hold no NaN; it ranges from {out.min():g} to {out.max():g}"
        )
    return out


def weights_of(sample_weight: Any) -> Any:
    return None if sample_weight is None else to_tensor(numbers(sample_weight, "sample_weight"))


def outcome_of(y: Any, cause: Any = None) -> tuple[np.ndarray, np.ndarray]:
    """(status, time): 0 censored, 1 the event, 2 a competing one. With `cause` y's events are codes, 0 for censored."""
    if cause is None:
        event, time = survival_outcome(y)
        return event.astype(np.float64), time
    y = plain(y)
    if isinstance(y, pd.DataFrame):
        codes, time = y["event"].to_numpy(), y["time"].to_numpy()
    elif isinstance(y, tuple) and len(y) == 2:
        codes, time = np.asarray(plain(y[0])), np.asarray(plain(y[1]))
    else:
        y = np.asarray(y)
        if y.dtype.names is None or len(y.dtype.names) != 2:
            raise InvalidArgument(
                "with competing events y must be a tuple (codes, time), a DataFrame with columns 'event' and 'time', or "
                "a structured array of the two; codes are 0 for censored and a number for each kind of event"
            )
        name = "event" if "event" in y.dtype.names else y.dtype.names[0]
        codes, time = y[name], y[next(n for n in y.dtype.names if n != name)]
    codes = numbers(codes, "event")
    if np.isnan(codes).any() or (codes != np.round(codes)).any() or (codes < 0).any():
        raise InvalidArgument("codes of events must be whole numbers, 0 for censored")
    if cause == 0 or not (codes == cause).any():
        raise InvalidArgument(
            f"no event of cause {cause!r}; the codes are {np.unique(codes)[:6].tolist()}, of which 0 is censored"
        )
    _, time = survival_outcome((codes > 0, time))
    return np.where(codes == 0, 0.0, np.where(codes == cause, 1.0, 2.0)), time


def censoring_options(train: Any, g: str) -> Any:
    """Where G, the chance to be uncensored, comes from, and which of its limits at an event is used."""
    if g not in ("t-", "t"):
        raise InvalidArgument(f'g must be "t-" (from the left, as R) or "t" (as scikit-survival); it is {g!r}')
    if train is None:
        return _core.CensoringOptions(left_limit=g == "t-")
    event, time = survival_outcome(train)
    return _core.CensoringOptions(left_limit=g == "t-", train_time=to_tensor(time), train_event=to_tensor(event))


def times_of(times: Any, what: str = "times") -> np.ndarray:
    out = np.atleast_1d(numbers(times, what))
    if out.ndim != 1 or out.size == 0:
        raise InvalidArgument(f"{what} must be a time or a vector of times; it has shape {out.shape}")
    return out


def warn_of(reasons: Sequence[str], what: str) -> None:
    """One warning for all times that have no value."""
    lost = [r for r in reasons if r]
    if lost:
        more = f" (and {len(lost) - 1} more)" if len(lost) > 1 else ""
        warnings.warn(
            f"{what} is NaN at {len(lost)} of {len(reasons)} times: {lost[0]}{more}", UserWarning, stacklevel=3
        )


def predictions_over_time(values: Any, times: Any, n: int, what: str) -> tuple[np.ndarray, np.ndarray]:
    """[n, k] and the k times; a DataFrame as :meth:`CoxPH.predict_survival_function` gives it brings its times as columns."""
    if times is None:
        if not isinstance(values, pd.DataFrame):
            raise InvalidArgument(f"name the times of the columns of {what}: times=[…]")
        times = values.columns.to_numpy()
    at = times_of(times)
    out = numbers(values, what)
    if out.ndim == 1 and at.size == 1:
        out = out[:, None]
    if out.shape != (n, at.size):
        raise ShapeError(
            f"{what} must be [{n}, {at.size}], a row for each subject, a column for each time; it is {out.shape}"
        )
    return out, at
