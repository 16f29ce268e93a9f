# SPDX-License-Identifier: Apache-2.0
"""Errors of predicted numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import InvalidArgument, ShapeError
from ._common import interval, numbers


@dataclass(frozen=True)
class PredictionError:
    """An error in the unit of what is predicted (R² without one)."""

    value: float
    standard_error: float
    interval: tuple[float, float]
    confidence: float
    n: int

    def __float__(self) -> float:
        return self.value


def _pair(y: Any, predicted: Any, sample_weight: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    truth, guess = numbers(y, "y"), numbers(predicted, "predicted")
    if truth.ndim != 1 or truth.shape != guess.shape or not truth.size:
        raise ShapeError(f"y and predicted must be vectors of one length; they are {truth.shape} and {guess.shape}")
    for values, what in ((truth, "y"), (guess, "predicted")):
        if not np.isfinite(values).all():
            raise InvalidArgument(f"{what} has {int((~np.isfinite(values)).sum())} values that are NaN or infinite")
    weights = np.ones(len(truth)) if sample_weight is None else numbers(sample_weight, "sample_weight")
    if weights.shape != truth.shape or not np.isfinite(weights).all() or (weights < 0).any() or not weights.any():
        raise InvalidArgument(f"sample_weight must be {len(truth)} finite numbers ≥ 0, not all 0")
    return truth, guess, weights / weights.sum()


def _result(value: float, influence: np.ndarray, confidence: float, limits: tuple[float, float]) -> PredictionError:
    n = len(influence)
    size = float(np.abs(influence).max()) or 1.0
    se = size * float(np.sqrt(((influence / size) ** 2).sum() * n / (n - 1))) if n > 1 else float("nan")
    return PredictionError(value, se, interval(value, se, confidence, limits=limits), confidence, n)


def mean_absolute_error(
    y: Any, predicted: Any, *, confidence: float = 0.95, sample_weight: Any = None
) -> PredictionError:
    """Mean of |y − predicted|, with the interval of a mean."""
    truth, guess, w = _pair(y, predicted, sample_weight)
    errors = np.abs(truth - guess)
    value = float(w @ errors)
    return _result(value, w * (errors - value), confidence, (0.0, np.inf))


def root_mean_squared_error(
    y: Any, predicted: Any, *, confidence: float = 0.95, sample_weight: Any = None
) -> PredictionError:
    """Square root of the mean of (y − predicted)², its interval by the delta method."""
    truth, guess, w = _pair(y, predicted, sample_weight)
    scale = float(np.abs(truth - guess).max()) or 1.0  # squares of 1e200 are no doubles
    squares = ((truth - guess) / scale) ** 2
    mean = float(w @ squares)
    value = float(np.sqrt(mean))
    influence = w * (squares - mean) / (2 * value) if value > 0 else np.zeros(len(w))
    return _result(value * scale, influence * scale, confidence, (0.0, np.inf))


def r_squared(y: Any, predicted: Any, *, confidence: float = 0.95, sample_weight: Any = None) -> PredictionError:
    """1 − Σ (y − predicted)² / Σ (y − mean)²: of predictions, so it can be negative; its interval by the delta method."""
    truth, guess, w = _pair(y, predicted, sample_weight)
    mean = float(w @ truth)
    spread = float(np.abs(truth - mean).max())
    if spread <= 1e-14 * float(np.abs(truth).max()):
        raise InvalidArgument("y is constant: there is nothing to explain")
    squares, around = ((truth - guess) / spread) ** 2, ((truth - mean) / spread) ** 2
    error, variance = float(w @ squares), float(w @ around)
    influence = -w * (squares - error / variance * around) / variance
    return _result(1 - error / variance, influence, confidence, (-np.inf, 1.0))
