# SPDX-License-Identifier: Apache-2.0
"""Calibration of predicted risks by a time, and of whole survival curves."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from ..._vesalius import outcome as _core
from ...errors import ConvergenceError, InvalidArgument
from .._data import survival_outcome, to_tensor
from ._common import checked_probability, normal_quantile, numbers, outcome_of, predictions_over_time
from ._smooth import Distance, curve_table, distance_with_intervals, restricted_cubic_spline
from .calibration import intercept_at_slope_one, log_odds


@dataclass(frozen=True)
class SurvivalCalibration:
    """Do predicted risks of an event by `time` come true?

    `ratio`: observed risk (Kaplan-Meier, Aalen-Johansen) over the mean of the predicted ones; 1 is right, above says too low.
    `intercept`, `slope`: logistic recalibration of the state at `time` with weights of censoring, as :class:`Calibration`'s.
    `cox_slope`: coefficient of log(−log(1 − risk)) in a Cox model over all of the follow-up (with competing events in Fine and Gray's);
    1 is right.
    `curve`: groups of equally many subjects: predicted (mean), observed, lower, upper, n, events, reason.
    `smooth`, `distance`: the curve by a Cox (or Fine and Gray's) model with a spline, and ICI, E50, E90 from it.
    """

    time: float
    ratio: float
    ratio_interval: tuple[float, float]
    intercept: float
    intercept_interval: tuple[float, float]
    slope: float
    slope_interval: tuple[float, float]
    cox_slope: float
    cox_slope_interval: tuple[float, float]
    curve: pd.DataFrame
    confidence: float
    smooth: pd.DataFrame = field(default_factory=pd.DataFrame, repr=False)
    distance: Distance | None = None
    predictions: np.ndarray = field(default_factory=lambda: np.empty(0), repr=False)


def _observed(time: np.ndarray, status: np.ndarray, t: float) -> tuple[float, float, str]:
    """Risk by t of these subjects with its standard error: everyone's "true positives" of a decision curve."""
    r = _core.net_benefit(to_tensor(time), to_tensor(status), to_tensor(np.ones(len(time))), t, to_tensor([0.0]))
    return float(r.value[0]), float(r.standard_error[0]), r.reason[0]


def _weighted_slope(y: np.ndarray, eta: np.ndarray, w: np.ndarray) -> tuple[float, float]:
    """Slope of a weighted logistic regression and its robust standard error."""
    from scipy.special import expit

    from .._logistic import LogisticRegression

    used = w > 0
    fit = LogisticRegression().fit(eta[used, None], y[used], sample_weight=w[used])
    x = np.column_stack([np.ones(used.sum()), eta[used]])
    p = expit(fit.intercept_ + x[:, 1] * fit.coef_.ravel()[0]).ravel()
    information = (x * (w[used] * p * (1 - p))[:, None]).T @ x
    score = x * (w[used] * (y[used] - p))[:, None]
    influence = np.linalg.solve(information, score.T)
    return float(fit.coef_.ravel()[0]), float(np.sqrt((influence[1] ** 2).sum()))


def _loglog_interval(risk: float, se: float, z: float) -> tuple[float, float]:
    """Of a risk in log(−log(1 − risk)), which stays inside 0 to 1."""
    if not (0 < risk < 1) or not np.isfinite(se):
        return float("nan"), float("nan")
    centre = np.log(-np.log1p(-risk))
    half = z * se / ((1 - risk) * -np.log1p(-risk))
    return float(-np.expm1(-np.exp(centre - half))), float(-np.expm1(-np.exp(centre + half)))


def survival_calibration(
    y: Any,
    predicted: Any,
    time: float,
    *,
    cause: Any = None,
    bins: int = 10,
    knots: int = 3,
    replicates: int = 0,
    seed: int = 0,
    confidence: float = 0.95,
) -> SurvivalCalibration:
    """Calibration of predicted risks of an event by a time, with censoring.

    Parameters
    ----------
    y : as in :func:`concordance_index`; with `cause` codes of events, 0 for censored
    predicted : [n] risk of the event by `time`: 1 − survival
    bins : groups of equally many subjects, by predicted risk
    knots : of the restricted cubic spline in log(−log(1 − risk)) of the smooth curve, at Harrell's quantiles; 3 to 5
    replicates : bootstrap replicates for the intervals of ICI, E50, E90

    What can't be computed (nobody followed so long in a group, risks all equal) is NaN with a warning. The errors of intercept and
    slope are robust and leave out the estimation of the weights.

    References
    ----------
    Austin PC, Harrell FE, van Klaveren D. Graphical calibration curves and the integrated calibration index (ICI) for survival
    models. Stat Med 2020;39:2714-2742. doi 10.1002/sim.8570. With competing events: Austin PC, Putter H, Giardiello D, van Klaveren D.
    Diagn Progn Res 2022;6:2. doi 10.1186/s41512-021-00114-6. McLernon DJ et al. Ann Intern Med 2023;176:105-114. doi 10.7326/M22-0844.
    """
    from .._cox import CoxPH
    from .._fine_gray import FineGray

    status, follow_up = outcome_of(y, cause)
    n, t = len(status), float(time)
    p = checked_probability(predicted, n, "predicted")
    z = normal_quantile(confidence)
    if not n:
        raise InvalidArgument("y is empty: there is nobody to calibrate on")
    if not t > 0 or not np.isfinite(t):
        raise InvalidArgument(f"time must be a positive follow-up time; it is {time!r}")
    if bins < 1 or not 3 <= knots <= 5:
        raise InvalidArgument(f"bins must be at least 1 and knots 3 to 5; they are {bins} and {knots}")
    nan = float("nan")

    def undefined(what: str, why: object) -> None:
        warnings.warn(f"no {what}: {why}", UserWarning, stacklevel=3)

    rows = []
    for members in np.array_split(np.argsort(p, kind="stable"), min(bins, n)):
        risk, se, reason = _observed(follow_up[members], status[members], t)
        events = int(((status[members] == 1) & (follow_up[members] <= t)).sum())
        rows.append((float(p[members].mean()), risk, *_loglog_interval(risk, se, z), len(members), events, reason))
    curve = pd.DataFrame(rows, columns=["predicted", "observed", "lower", "upper", "n", "events", "reason"])
    lost = curve.loc[curve["observed"].isna(), "reason"]
    if len(lost):
        undefined(f"observed risk in {len(lost)} of {len(curve)} groups", lost.iloc[0].replace(" with risk >= 0", ""))

    risk, se, reason = _observed(follow_up, status, t)
    ratio = float(risk / p.mean()) if p.mean() > 0 else nan
    ratio_interval = (nan, nan)
    intercept, intercept_interval, slope, slope_interval = nan, (nan, nan), nan, (nan, nan)
    if reason:
        undefined("observed risk", reason.replace(" with risk >= 0", ""))
    else:
        if risk > 0 and ratio > 0:
            ratio_interval = (ratio * float(np.exp(-z * se / risk)), ratio * float(np.exp(z * se / risk)))
        weights = _core.censoring_weights(to_tensor(follow_up), to_tensor(status), t).numpy()
        state, eta = ((follow_up <= t) & (status == 1)).astype(float), log_odds(p)
        known = state[weights > 0]
        if 0 < known.mean() < 1:
            intercept, error = intercept_at_slope_one(state, eta, weights)
            intercept_interval = (intercept - z * error, intercept + z * error)
            try:
                slope, error = _weighted_slope(state, eta, weights)
                slope_interval = (slope - z * error, slope + z * error)
            except (ConvergenceError, InvalidArgument) as problem:
                undefined("calibration slope", problem)
        else:
            undefined("calibration slope or intercept", f"everyone known at time {t:g} is in the same state")

    inside = np.clip(p, 1e-10, 1 - 1e-10)
    loglog = np.log(-np.log1p(-inside))
    cox_slope, cox_slope_interval = nan, (nan, nan)
    smooth, distance = pd.DataFrame(columns=["predicted", "observed"], dtype=float), None
    quantiles = {3: (0.1, 0.5, 0.9), 4: (0.05, 0.35, 0.65, 0.95), 5: (0.05, 0.275, 0.5, 0.725, 0.95)}[knots]
    at = np.quantile(loglog, quantiles)

    def model_of(columns: np.ndarray, members: np.ndarray) -> Any:
        if cause is None:
            return CoxPH().fit(columns, (status[members] == 1, follow_up[members]))
        return FineGray(cause=1).fit(columns, (status[members], follow_up[members]))

    def fitted(members: np.ndarray, where: np.ndarray) -> np.ndarray:
        if len(np.unique(at)) < knots or t > follow_up[members].max():
            raise InvalidArgument(
                "predicted risks are too few different ones for the spline, or nobody is followed so long"
            )
        model = model_of(restricted_cubic_spline(loglog[members], at), members)
        x = restricted_cubic_spline(np.log(-np.log1p(-np.clip(where, 1e-10, 1 - 1e-10))), at)
        if cause is None:
            return 1 - np.asarray(model.predict_survival_function(x, times=[t]), dtype=float)[:, 0]
        return np.asarray(model.predict_cumulative_incidence(x, times=[t]), dtype=float)[:, 0]

    try:
        row = model_of(loglog[:, None], np.arange(n)).summary(confidence=confidence).iloc[0]
        cox_slope, cox_slope_interval = float(row["coef"]), (float(row["lower"]), float(row["upper"]))
    except (ConvergenceError, InvalidArgument) as problem:
        undefined("Cox slope", problem)
    try:
        distance, observed = distance_with_intervals(p, np.arange(n), fitted, replicates, confidence, seed)
        smooth = curve_table(p, observed)
    except ConvergenceError as problem:
        undefined("smooth calibration curve", problem)
    return SurvivalCalibration(
        t, ratio, ratio_interval, intercept, intercept_interval, slope, slope_interval, cox_slope, cox_slope_interval,
        curve, confidence, smooth, distance, p,
    )  # fmt: skip


@dataclass(frozen=True)
class DCalibration:
    """Result of :func:`d_calibration`. `counts` of subjects in bins of survival probability, from 0 to 1; equal if calibrated."""

    chi_squared: float
    degrees_of_freedom: int
    p: float
    counts: np.ndarray

    def __float__(self) -> float:
        return self.p


def d_calibration(y: Any, survival: Any, times: Any = None, *, bins: int = 10) -> DCalibration:
    """Distribution calibration: the survival predicted for each subject's own time of event should be uniform.

    A subject censored where its survival is c could have its event anywhere below: it is spread evenly over the bins below c, as
    the paper does. Pearson's chi-squared test against equal counts, bins − 1 degrees of freedom; p is a bit too large with much
    censoring (the spread counts are smoother than real ones). A small p says that the curves are wrong somewhere.

    Parameters
    ----------
    survival : [n] predicted survival at each subject's own time; or [n, k] at `times` (or a DataFrame with times as columns), taken
        straight between times and from 1 at time 0

    References
    ----------
    Haider H, Hoehn B, Davis S, Greiner R. Effective ways to build and evaluate individual survival distributions. JMLR
    2020;21(85):1-63.
    """
    from scipy.stats import chi2

    event, time = survival_outcome(y)
    values = numbers(survival, "survival")
    if values.ndim == 2:
        curves, at = predictions_over_time(survival, times, len(time), "survival")
        if (time > at[-1]).any():
            warnings.warn(
                f"{int((time > at[-1]).sum())} subjects are followed beyond the last time of the curves, {at[-1]:g}: their "
                "survival is taken from there",
                UserWarning,
                stacklevel=2,
            )
        if at[0] > 0:
            at, curves = np.r_[0.0, at], np.column_stack([np.ones(len(time)), curves])
        values = np.array([np.interp(t, at, row) for t, row in zip(time, curves, strict=True)])
    s = checked_probability(values, len(time), "survival")
    if bins < 2 or not len(s):
        raise InvalidArgument(f"bins must be at least 2 and there must be subjects; they are {bins} and {len(s)}")
    edges = np.linspace(0, 1, bins + 1)
    own = np.minimum((s * bins).astype(int), bins - 1)
    counts = np.bincount(own[event], minlength=bins).astype(float)
    censored = s[~event]
    positive = censored[censored > 0]
    # share of [0, c] in each bin
    overlap = np.clip(positive[:, None] - edges[:-1], 0, 1 / bins) / positive[:, None]
    counts += overlap.sum(axis=0)
    counts[0] += float((censored == 0).sum())
    expected = len(s) / bins
    statistic = float(((counts - expected) ** 2 / expected).sum())
    return DCalibration(statistic, bins - 1, float(chi2.sf(statistic, bins - 1)), counts)
