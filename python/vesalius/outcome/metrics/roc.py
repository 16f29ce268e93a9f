# SPDX-License-Identifier: Apache-2.0
"""Discrimination between two classes: ROC curve and its area, precision and recall."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..._vesalius import outcome as _core
from .._data import to_tensor
from ._common import binary, interval, normal_quantile, vector, weights_of


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
    return RocAuc(value, se, interval(value, se, confidence, logit), confidence, result.positives, result.negatives)


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
    half = normal_quantile(confidence) * se
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


@dataclass(frozen=True)
class AveragePrecision:
    """Area under the precision-recall curve. `prevalence` is what a score that knows nothing has."""

    value: float
    standard_error: float
    interval: tuple[float, float]
    confidence: float
    prevalence: float
    positives: int
    negatives: int

    def __float__(self) -> float:
        return self.value


def average_precision(
    y: Any,
    score: Any,
    *,
    confidence: float = 0.95,
    pos_label: Any = None,
    logit: bool = True,
    sample_weight: Any = None,
) -> AveragePrecision:
    """Average precision: the mean over positives of the precision at their score.

    scikit-learn's ``average_precision_score``: no interpolation between points of the curve, equal scores count together.
    The standard error is the infinitesimal jackknife, the interval by default that of the logit (Boyd, Eng, Page 2013,
    doi 10.1007/978-3-642-40994-3_29, found these to cover best). In O(n log n).

    Parameters
    ----------
    y : [n] of 0/1 or booleans (or anything, with ``pos_label``)
    score : [n], larger for positives
    """
    y = binary(y, pos_label)
    r = _core.average_precision(to_tensor(y), to_tensor(vector(score, len(y), "score")), weights_of(sample_weight))
    limits = interval(r.value, r.standard_error, confidence, logit)
    return AveragePrecision(r.value, r.standard_error, limits, confidence, r.prevalence, r.positives, r.negatives)
