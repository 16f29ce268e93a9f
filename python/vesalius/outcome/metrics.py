# SPDX-License-Identifier: Apache-2.0
"""Measures of prediction, each with its uncertainty.

Every measure is a small object that is also a number: ``float(roc_auc(y, score))``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .._vesalius import outcome as _core
from ..errors import InvalidArgument, ShapeError
from ._data import plain, to_tensor

__all__ = ["DelongTest", "RocAuc", "RocCurve", "delong_test", "roc_auc", "roc_curve"]


def _z(confidence: float) -> float:
    from scipy.stats import norm

    if not 0 < confidence < 1:
        raise InvalidArgument(f"confidence must lie between 0 and 1; it is {confidence!r}")
    return float(norm.ppf(0.5 + confidence / 2))


def _interval(value: float, se: float, confidence: float, logit: bool = False) -> tuple[float, float]:
    """Normal, cut at 0 and 1; or normal in log(v / (1 - v)), which can't leave them."""
    z = _z(confidence)
    if logit and 0 < value < 1:
        centre, half = np.log(value / (1 - value)), z * se / (value * (1 - value))
        low, high = 1 / (1 + np.exp(-(centre - half))), 1 / (1 + np.exp(-(centre + half)))
    else:
        low, high = max(0.0, value - z * se), min(1.0, value + z * se)
    return (float(low), float(high)) if np.isfinite(se) else (float("nan"), float("nan"))


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
        raise InvalidArgument(f"y must be 0/1 or True/False; it holds {y[:3].tolist()}. Name the positive class with pos_label=")
    return y.astype(np.float64)


def vector(values: Any, n: int, what: str) -> np.ndarray:
    out = np.asarray(plain(values), dtype=np.float64)
    if out.ndim == 2 and out.shape[1] == 2 and n != 2:
        raise ShapeError(f"{what} is {out.shape}: of predict_proba pass the column of the positive class, [:, 1]")
    if out.shape != (n,):
        raise ShapeError(f"{what} must be a vector of {n}, as y is; it is {out.shape}")
    return out


@dataclass(frozen=True)
class RocAuc:
    """Area under the ROC curve: the chance that a positive scores higher than a negative, ties counting a half."""

    value: float
    standard_error: float
    interval: tuple[float, float]
    confidence: float
    positives: int
    negatives: int

    def __float__(self) -> float:
        return self.value


def roc_auc(y: Any, score: Any, *, confidence: float = 0.95, pos_label: Any = None, logit: bool = False) -> RocAuc:
    """Area under the ROC curve with DeLong's interval.

    Parameters
    ----------
    y : [n] of 0/1 or booleans (or anything, with ``pos_label``)
    score : [n], larger for positives; probabilities or any monotone function of them
    logit : build the interval in log(A / (1 - A)): better near 1 and in small samples

    With one positive or one negative there is no standard error: it and the interval are NaN. An area of 0 or 1 has a
    standard error of 0, which is not certainty: no sample this size can say more.

    References
    ----------
    DeLong ER, DeLong DM, Clarke-Pearson DL. Comparing the areas under two or more correlated receiver operating
    characteristic curves. Biometrics 1988;44:837-845. doi 10.2307/2531595. Computed in O(n log n): Sun X, Xu W, IEEE
    Signal Process Lett 2014;21:1389-1393. doi 10.1109/LSP.2014.2337313.
    """
    y = binary(y, pos_label)
    result = _core.roc_auc(to_tensor(y), to_tensor(vector(score, len(y), "score")))
    value, se = float(result.auc[0]), float(result.covariance[0, 0].clamp(min=0).sqrt())
    return RocAuc(value, se, _interval(value, se, confidence, logit), confidence, result.positives, result.negatives)


@dataclass(frozen=True)
class DelongTest:
    """Difference of two areas on the same subjects, ``auc_a - auc_b``."""

    difference: float
    standard_error: float
    interval: tuple[float, float]
    z: float
    p: float
    auc_a: float
    auc_b: float

    def __float__(self) -> float:
        return self.difference


def delong_test(y: Any, score_a: Any, score_b: Any, *, confidence: float = 0.95, pos_label: Any = None) -> DelongTest:
    """DeLong's paired two-sided test of two scores on the same subjects; see :func:`roc_auc`.

    For two models *nested* in one another and tested on their training data it is not valid (Demler, Pencina,
    D'Agostino 2012, doi 10.1002/sim.5328): use predictions on other subjects.
    """
    from scipy.stats import norm

    y = binary(y, pos_label)
    scores = np.stack([vector(score_a, len(y), "score_a"), vector(score_b, len(y), "score_b")])
    result = _core.roc_auc(to_tensor(y), to_tensor(scores))
    a, b = result.auc.tolist()
    contrast = np.array([1.0, -1.0])
    se = float(np.sqrt(max(0.0, contrast @ result.covariance.numpy() @ contrast)))
    difference = a - b
    z = difference / se if se > 0 else (0.0 if difference == 0 else float(np.copysign(np.inf, difference)))
    half = _z(confidence) * se
    return DelongTest(difference, se, (difference - half, difference + half), z, float(2 * norm.sf(abs(z))), a, b)


@dataclass(frozen=True)
class RocCurve:
    """Points of the ROC curve, one for each different score, from (0, 0) to (1, 1)."""

    false_positive_rate: np.ndarray
    true_positive_rate: np.ndarray
    thresholds: np.ndarray


def roc_curve(y: Any, score: Any, *, pos_label: Any = None) -> RocCurve:
    """A subject is called positive where ``score >= threshold``; the first threshold is infinite."""
    y = binary(y, pos_label)
    fpr, tpr, thresholds = _core.roc_curve(to_tensor(y), to_tensor(vector(score, len(y), "score")))
    return RocCurve(fpr.numpy(), tpr.numpy(), thresholds.numpy())
