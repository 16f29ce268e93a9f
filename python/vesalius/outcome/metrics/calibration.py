# SPDX-License-Identifier: Apache-2.0
"""Calibration of predicted probabilities of two classes."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from ...errors import ConvergenceError, InvalidArgument
from ._common import binary, checked_probability, normal_quantile
from ._smooth import Distance, curve_table, distance_with_intervals, local_regression


@dataclass(frozen=True)
class Calibration:
    """Do predicted probabilities come true?

    `slope` of the outcome on the predicted log-odds: 1 is right, below 1 says predictions are too extreme (overfitting).
    `intercept` with the slope fixed at 1 (calibration in the large): 0 is right, above 0 says predictions are too low.
    `curve`: a row for each bin of equally many subjects: predicted (mean), observed (share), lower, upper (Wilson), n, events.
    `smooth`: predicted and observed along a loess curve; `distance`: ICI, E50, E90 from it, with intervals where asked for.
    `ratio`: observed over expected number of events, with its interval.
    """

    slope: float
    slope_interval: tuple[float, float]
    intercept: float
    intercept_interval: tuple[float, float]
    curve: pd.DataFrame
    confidence: float
    ratio: float = float("nan")
    ratio_interval: tuple[float, float] = (float("nan"), float("nan"))
    smooth: pd.DataFrame = field(default_factory=pd.DataFrame, repr=False)
    distance: Distance | None = None
    predictions: np.ndarray = field(default_factory=lambda: np.empty(0), repr=False)


def intercept_at_slope_one(y: np.ndarray, eta: np.ndarray, weights: np.ndarray | None = None) -> tuple[float, float]:
    """Newton's method for Σ w (y − expit(a + eta)) = 0, and the standard error of a: by the information, or with weights robust."""
    from scipy.special import expit

    w = np.ones(len(y)) if weights is None else weights
    a = 0.0
    for _ in range(200):
        p = expit(a + eta)
        slope = float((w * p * (1 - p)).sum())
        step = float((w * (y - p)).sum()) / max(slope, 1e-300)
        a += float(np.clip(step, -2, 2))
        if abs(step) < 1e-12:
            break
    if weights is None:
        return a, 1 / np.sqrt(slope)
    return a, float(np.sqrt(((w * (y - p)) ** 2).sum())) / slope


def log_odds(p: np.ndarray) -> np.ndarray:
    extreme = int(((p == 0) | (p == 1)).sum())
    if extreme:
        warnings.warn(f"{extreme} probabilities are exactly 0 or 1 and were moved by 1e-10", UserWarning, stacklevel=3)
    inside = np.clip(p, 1e-10, 1 - 1e-10)
    return np.log(inside) - np.log1p(-inside)


def calibration(
    y: Any,
    probability: Any,
    *,
    bins: int = 10,
    span: float = 0.75,
    replicates: int = 0,
    seed: int = 0,
    confidence: float = 0.95,
    pos_label: Any = None,
) -> Calibration:
    """Calibration slope, calibration in the large, curves by bins and smooth, and the distances ICI, E50 and E90.

    Probabilities of exactly 0 or 1 have no log-odds and are taken for 1e-10 from it, with a warning. Where the predictions
    separate the outcomes, or are all equal, there is no slope: NaN, with a warning.

    Parameters
    ----------
    span : share of the subjects that the loess curve (degree 2, as R's) looks at around each prediction
    replicates : bootstrap replicates for the intervals of ICI, E50 and E90; 0 for none. These distances are never negative, so
        that they are above 0 for a perfect model too, the more so in small samples.

    References
    ----------
    Van Calster B et al. Calibration: the Achilles heel of predictive analytics. BMC Med 2019;17:230. doi 10.1186/s12916-019-1466-7.
    Austin PC, Steyerberg EW. The Integrated Calibration Index. Stat Med 2019;38:4051-4065. doi 10.1002/sim.8281.
    """
    from .._logistic import LogisticRegression

    y = binary(y, pos_label)
    p = checked_probability(probability, len(y))
    if len(np.unique(y)) != 2 or not np.isin(y, (0, 1)).all():
        raise InvalidArgument("y must hold both 0 and 1, and nothing else")
    if bins < 1:
        raise InvalidArgument(f"bins must be at least 1; it is {bins}")
    eta = log_odds(p)
    z = normal_quantile(confidence)
    nan = float("nan")
    slope, slope_interval = nan, (nan, nan)
    try:
        row = LogisticRegression().fit(eta[:, None], y).summary(confidence=confidence).iloc[1]
        slope, slope_interval = float(row["coef"]), (float(row["lower"]), float(row["upper"]))
    except (ConvergenceError, InvalidArgument) as error:
        warnings.warn(f"no calibration slope: {error}", UserWarning, stacklevel=2)
    a, se = intercept_at_slope_one(y, eta)
    rows = []
    for members in np.array_split(np.argsort(p, kind="stable"), min(bins, len(p))):
        n, events = len(members), float(y[members].sum())
        share = events / n
        centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
        half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
        rows.append((float(p[members].mean()), share, max(0.0, centre - half), min(1.0, centre + half), n, int(events)))
    curve = pd.DataFrame(rows, columns=["predicted", "observed", "lower", "upper", "n", "events"])

    def smooth(members: np.ndarray, at: np.ndarray) -> np.ndarray:
        return local_regression(p[members], y[members], at, span, 100 if members is not everyone else 1000)

    everyone = np.arange(len(y))
    distance, observed = distance_with_intervals(p, everyone, smooth, replicates, confidence, seed)
    expected = float(p.sum())
    ratio, log_se = (
        (float(y.sum()) / expected, float(np.sqrt((1 - y.mean()) / y.sum()))) if expected > 0 else (nan, nan)
    )
    return Calibration(
        slope,
        slope_interval,
        a,
        (a - z * se, a + z * se),
        curve,
        confidence,
        ratio,
        (ratio * float(np.exp(-z * log_se)), ratio * float(np.exp(z * log_se))),
        curve_table(p, observed),
        distance,
        p,
    )
