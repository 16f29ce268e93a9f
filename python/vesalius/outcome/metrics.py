# SPDX-License-Identifier: Apache-2.0
"""Measures of prediction, each with its uncertainty.

Every measure is a small object that is also a number: ``float(roc_auc(y, score))``.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from .._vesalius import outcome as _core
from ..errors import ConvergenceError, InvalidArgument, ShapeError
from ._data import plain, survival_outcome, to_tensor

__all__ = [
    "BrierScore",
    "Calibration",
    "Concordance",
    "DelongTest",
    "RocAuc",
    "RocCurve",
    "brier_score",
    "calibration",
    "concordance_index",
    "delong_test",
    "roc_auc",
    "roc_curve",
]


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
        raise InvalidArgument(
            f"y must be 0/1 or True/False; it holds {y[:3].tolist()}. Name the positive class with pos_label="
        )
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


@dataclass(frozen=True)
class Concordance:
    """Harrell's C: the share of comparable pairs in which the higher risk has its event first, equal risks counting a half.

    `tied_time` are pairs of events at one time with different risks, `tied_both` those with equal risks; neither is compared.
    """

    value: float
    standard_error: float
    interval: tuple[float, float]
    confidence: float
    concordant: float
    discordant: float
    tied_risk: float
    tied_time: float
    tied_both: float

    def __float__(self) -> float:
        return self.value


def concordance_index(y: Any, risk: Any, *, confidence: float = 0.95, sample_weight: Any = None) -> Concordance:
    """Harrell's concordance of risk scores with survival.

    A pair is comparable when the earlier time is an event; an event comes before a censoring at the same time; two events
    at one time are not compared. The standard error is the infinitesimal jackknife, as in R's ``survival::concordance``
    (pairs of weights multiply). In O(n log n).

    Parameters
    ----------
    y : structured array (event, time), DataFrame with those columns, or tuple (event, time)
    risk : [n], larger for earlier events, such as ``CoxPH.predict``; for predicted times pass ``-time``
    sample_weight : [n] ≥ 0, optional

    Notes
    -----
    With much censoring it depends on the censoring (Uno et al. 2011, doi 10.1002/sim.4154).

    References
    ----------
    Harrell FE, Lee KL, Mark DB. Multivariable prognostic models. Stat Med 1996;15:361-387.
    doi 10.1002/(SICI)1097-0258(19960229)15:4<361::AID-SIM168>3.0.CO;2-4.
    """
    event, time = survival_outcome(y)
    weights = None if sample_weight is None else to_tensor(plain(sample_weight))
    c = _core.concordance_index(to_tensor(time), to_tensor(event), to_tensor(vector(risk, len(time), "risk")), weights)
    interval = _interval(c.value, c.standard_error, confidence)
    return Concordance(
        c.value,
        c.standard_error,
        interval,
        confidence,
        c.concordant,
        c.discordant,
        c.tied_risk,
        c.tied_time,
        c.tied_both,
    )


def _probability(values: Any, n: int) -> np.ndarray:
    out = vector(values, n, "probability")
    if not ((out >= 0) & (out <= 1)).all():
        raise InvalidArgument(
            f"probability must lie in 0 to 1 and hold no NaN; it ranges from {out.min():g} to {out.max():g}"
        )
    return out


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
    squared = (y - _probability(probability, len(y))) ** 2
    value = float(squared.mean())
    se = float(squared.std(ddof=1) / np.sqrt(len(y))) if len(y) > 1 else float("nan")
    null = float(y.mean() * (1 - y.mean()))
    return BrierScore(
        value, se, _interval(value, se, confidence), confidence, 1 - value / null if null > 0 else float("nan")
    )


@dataclass(frozen=True)
class Calibration:
    """Do predicted probabilities come true?

    `slope` of the outcome on the predicted log-odds: 1 is right, below 1 says predictions are too extreme (overfitting).
    `intercept` with the slope fixed at 1 (calibration in the large): 0 is right, above 0 says predictions are too low.
    `curve`: a row for each bin of equally many subjects: predicted (mean), observed (share), lower, upper (Wilson), n, events.
    """

    slope: float
    slope_interval: tuple[float, float]
    intercept: float
    intercept_interval: tuple[float, float]
    curve: pd.DataFrame
    confidence: float


def _intercept_at_slope_one(y: np.ndarray, eta: np.ndarray) -> tuple[float, float]:
    """Newton's method for Σ (y − expit(a + eta)) = 0, and the standard error of a."""
    from scipy.special import expit

    a = 0.0
    for _ in range(200):
        p = expit(a + eta)
        slope = float((p * (1 - p)).sum())
        step = float((y - p).sum()) / max(slope, 1e-300)
        a += float(np.clip(step, -2, 2))
        if abs(step) < 1e-12:
            break
    return a, 1 / np.sqrt(slope)


def calibration(
    y: Any, probability: Any, *, bins: int = 10, confidence: float = 0.95, pos_label: Any = None
) -> Calibration:
    """Calibration slope, calibration in the large, and the calibration curve of predicted probabilities.

    Probabilities of exactly 0 or 1 have no log-odds and are taken for 1e-10 from it, with a warning. Where the predictions
    separate the outcomes, or are all equal, there is no slope: NaN, with a warning.

    References
    ----------
    Van Calster B et al. Calibration: the Achilles heel of predictive analytics. BMC Med 2019;17:230. doi 10.1186/s12916-019-1466-7.
    """
    from ._logistic import LogisticRegression

    y = binary(y, pos_label)
    p = _probability(probability, len(y))
    if len(np.unique(y)) != 2 or not np.isin(y, (0, 1)).all():
        raise InvalidArgument("y must hold both 0 and 1, and nothing else")
    if bins < 1:
        raise InvalidArgument(f"bins must be at least 1; it is {bins}")
    extreme = int(((p == 0) | (p == 1)).sum())
    if extreme:
        warnings.warn(f"{extreme} probabilities are exactly 0 or 1 and were moved by 1e-10", UserWarning, stacklevel=2)
    inside = np.clip(p, 1e-10, 1 - 1e-10)
    eta = np.log(inside) - np.log1p(-inside)
    z = _z(confidence)
    nan = float("nan")
    slope, slope_interval = nan, (nan, nan)
    try:
        row = LogisticRegression().fit(eta[:, None], y).summary(confidence=confidence).iloc[1]
        slope, slope_interval = float(row["coef"]), (float(row["lower"]), float(row["upper"]))
    except (ConvergenceError, InvalidArgument) as error:
        warnings.warn(f"no calibration slope: {error}", UserWarning, stacklevel=2)
    a, se = _intercept_at_slope_one(y, eta)
    rows = []
    for members in np.array_split(np.argsort(p, kind="stable"), min(bins, len(p))):
        n, events = len(members), float(y[members].sum())
        share = events / n
        centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
        half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
        rows.append((float(p[members].mean()), share, max(0.0, centre - half), min(1.0, centre + half), n, int(events)))
    curve = pd.DataFrame(rows, columns=["predicted", "observed", "lower", "upper", "n", "events"])
    return Calibration(slope, slope_interval, a, (a - z * se, a + z * se), curve, confidence)
