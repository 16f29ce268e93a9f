# SPDX-License-Identifier: Apache-2.0
"""Concordance of predictions with survival, in all its variants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..._vesalius import outcome as _core
from ...errors import InvalidArgument
from .._data import survival_outcome, to_tensor
from ._common import censoring_options, interval, normal_quantile, numbers, predictions_over_time, vector, weights_of

#: R's names (survival::concordance, timewt=), and the people's.
_WEIGHTINGS = {
    "n": _core.PairWeighting.n,
    "n/G2": _core.PairWeighting.n_over_g2,
    "n/G": _core.PairWeighting.n_over_g,
    "S": _core.PairWeighting.s,
    "S/G": _core.PairWeighting.s_over_g,
    "I": _core.PairWeighting.inverse_at_risk,
}
_ALIASES = {"harrell": "n", "uno": "n/G2", "schemper": "S/G", "peto": "S"}

# What a pair of each kind (concordant, discordant, tied risk, tied time, tied both) adds above and below the line.
_TIES = {
    "half": ((1, 0, 0.5, 0, 0), (1, 1, 1, 0, 0)),
    "match": ((1, 0, 0.5, 0, 1), (1, 1, 1, 0, 1)),
    "excluded": ((1, 0, 0, 0, 0), (1, 1, 0, 0, 0)),
    "discordant": ((1, 0, 0, 0, 0), (1, 1, 1, 0, 0)),
    "ishwaran": ((1, 0, 0.5, 0.5, 1), (1, 1, 1, 1, 1)),
}


@dataclass(frozen=True)
class Concordance:
    """Harrell's C: the share of comparable pairs in which the higher risk has its event first, equal risks counting a half.

    `tied_time` are pairs of events at one time with different risks, `tied_both` those with equal risks; neither is compared.
    `reason` says why the value is NaN, if it is.
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
    reason: str = ""

    def __float__(self) -> float:
        return self.value


def weighting_of(weighting: str) -> str:
    name = _ALIASES.get(weighting, weighting)
    if name not in _WEIGHTINGS:
        raise InvalidArgument(f"weighting must be one of {', '.join([*_ALIASES, *_WEIGHTINGS])}; it is {weighting!r}")
    return name


def options_of(weighting: str, tau: float | None, tau_included: bool, train: Any, g: str) -> Any:
    return _core.ConcordanceOptions(
        weighting=_WEIGHTINGS[weighting_of(weighting)],
        tau=None if tau is None else float(tau),
        tau_included=tau_included,
        censoring=censoring_options(train, g),
    )


def concordance_index(
    y: Any,
    risk: Any,
    *,
    confidence: float = 0.95,
    sample_weight: Any = None,
    weighting: str = "harrell",
    tau: float | None = None,
    tau_included: bool = True,
    g: str = "t-",
    train: Any = None,
    start: Any = None,
) -> Concordance:
    """Harrell's concordance of risk scores with survival; with ``weighting="uno"`` Uno's.

    A pair is comparable when the earlier time is an event; an event comes before a censoring at the same time; two events
    at one time are not compared. The standard error is the infinitesimal jackknife, as in R's ``survival::concordance``
    (pairs of weights multiply; weights of time count as fixed). In O(n log n).

    Parameters
    ----------
    y : structured array (event, time), DataFrame with those columns, or tuple (event, time)
    risk : [n], larger for earlier events, such as ``CoxPH.predict``; for predicted times pass ``-time``
    sample_weight : [n] ≥ 0, optional
    weighting : "harrell", "uno" and others
        What a pair weighs by the time of its earlier event, under R's names too: "n" (Harrell: 1), "n/G2" (Uno: 1 / G²),
        "n/G", "S" (Peto-Wilcoxon), "S/G" (Schemper), "I" (1 / at risk). G is the chance to be uncensored.
    tau : pairs whose earlier event is later than tau don't count; with ``tau_included=False`` nor those at tau
    g : "t-" or "t"
        G just before the event (R; an event at t was not censored at t), or at it (scikit-survival).
    train : y of the subjects that G is estimated from (scikit-survival's ``survival_train``); default these
    start : [n], left truncation: a subject is compared at events in (start, time]. For Harrell's only.

    Notes
    -----
    With much censoring Harrell's depends on the censoring (Uno et al. 2011, doi 10.1002/sim.4154). All variants in one call:
    :func:`concordance_variants`.

    Where G is 0 or not known at an event that counts, the value is NaN and ``reason`` says so: truncate with `tau`.

    References
    ----------
    Harrell FE, Lee KL, Mark DB. Multivariable prognostic models. Stat Med 1996;15:361-387.
    doi 10.1002/(SICI)1097-0258(19960229)15:4<361::AID-SIM168>3.0.CO;2-4.
    """
    event, time = survival_outcome(y)
    c = _core.concordance_index(
        to_tensor(time),
        to_tensor(event),
        to_tensor(vector(risk, len(time), "risk")),
        weights_of(sample_weight),
        options_of(weighting, tau, tau_included, train, g),
        None if start is None else to_tensor(vector(start, len(time), "start")),
    )
    limits = interval(c.value, c.standard_error, confidence)
    counts = (c.concordant, c.discordant, c.tied_risk, c.tied_time, c.tied_both)
    return Concordance(c.value, c.standard_error, limits, confidence, *counts, c.reason)


def _ratio(sums: Any, ties: str, weights: np.ndarray) -> tuple[float, float, np.ndarray]:
    """Value, standard error and influences of a share of pairs; NaN where there is no pair."""
    over, under = (np.array(v, dtype=float) for v in _TIES[ties])
    total, derivative = sums.sums.numpy(), sums.derivative.numpy()
    pairs = float(under @ total)
    if not pairs > 0:
        return float("nan"), float("nan"), np.full(len(derivative), np.nan)
    value = float(over @ total) / pairs
    influence = weights * (derivative @ (over - value * under)) / pairs
    return value, float(np.sqrt(influence @ influence)), influence


def _unit_weights(sample_weight: Any, n: int) -> np.ndarray:
    return np.ones(n) if sample_weight is None else vector(sample_weight, n, "sample_weight")


# name, weighting, ties, truncated by tau ("" no, "in" an event at tau counts, "out" it doesn't), G, who has it
_VARIANTS = (
    ("harrell", "n", "half", "", "", "R survival::concordance; scikit-survival concordance_index_censored; lifelines; "
     "torchsurv; Hmisc rcorr.cens"),
    ("harrell, tied risks left out", "n", "excluded", "", "", "Hmisc rcorr.cens(outx=TRUE)"),
    ("harrell, tied risks discordant", "n", "discordant", "", "", "pycox concordance_td('antolini') of constant risks"),
    ("harrell, tied times count", "n", "ishwaran", "", "", "randomForestSRC; pycox concordance_td('adj_antolini') of constant risks, which counts pairs tied in time twice"),
    ("harrell, equal in both are right", "n", "match", "", "", "pec cindex(tiedOutcomeIn=FALSE)"),
    ("harrell, tau", "n", "half", "in", "", "R survival::concordance(ymax=tau)"),
    ("uno", "n/G2", "half", "", "t-", "R survival::concordance(timewt='n/G2')"),
    ("uno, G(t)", "n/G2", "half", "", "t", "scikit-survival concordance_index_ipcw; torchsurv with get_ipcw"),
    ("uno, tau", "n/G2", "half", "in", "t-", "R survival::concordance(timewt='n/G2', ymax=tau); Uno 2011"),
    ("uno, tau, G(t)", "n/G2", "half", "out", "t", "scikit-survival concordance_index_ipcw(tau)"),
    ("ipcw once", "n/G", "half", "", "t-", "R survival::concordance(timewt='n/G'), from 3.6"),
    ("schemper", "S/G", "half", "", "t-", "R survival::concordance(timewt='S/G')"),
    ("peto", "S", "half", "", "", "R survival::concordance(timewt='S')"),
    ("at risk", "I", "half", "", "", "R survival::concordance(timewt='I')"),
)  # fmt: skip


def concordance_variants(
    y: Any,
    risk: Any,
    *,
    tau: float | None = None,
    survival: Any = None,
    times: Any = None,
    train: Any = None,
    sample_weight: Any = None,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Every concordance that the libraries call "the C-index", named, with its standard error and who computes it.

    Parameters
    ----------
    y, risk, train, sample_weight : as in :func:`concordance_index`
    tau : truncation of those variants that have one; left out without it
    survival, times : [n, k] predicted survival at the k times, for Antolini's; optional

    Returns
    -------
    DataFrame
        A row for each variant: estimate, standard_error, lower, upper, weights (of pairs, R's names), ties (of risks: "half",
        "excluded", "discordant"; "match" and "ishwaran" count tied times too), G ("t-", "t" or nothing), tau, used_by, reason.

    Notes
    -----
    scikit-survival and torchsurv call risks within 1e-8 tied; here equal is equal. torchsurv computes in float32.
    """
    event, time = survival_outcome(y)
    n = len(time)
    data = (to_tensor(time), to_tensor(event), to_tensor(vector(risk, n, "risk")))
    given, unit = weights_of(sample_weight), _unit_weights(sample_weight, n)
    known: dict[tuple[Any, ...], Any] = {}
    rows = []

    def add(name: str, sums: Any, weights: str, ties: str, g: str, at: float, used_by: str) -> None:
        value, se, _ = _ratio(sums, ties, unit)
        reason = sums.reason or ("" if np.isfinite(value) else "no two subjects can be compared")
        rows.append((name, value, se, *interval(value, se, confidence), weights, ties, g, at, used_by, reason))

    for name, weights, ties, truncated, g, used_by in _VARIANTS:
        if truncated and tau is None:
            continue
        key: tuple[str, ...] = (weights, truncated, g)
        if key not in known:
            options = options_of(weights, tau if truncated else None, truncated != "out", train, g or "t-")
            known[key] = _core.pair_sums(*data, options, given)
        add(name, known[key], weights, ties, g, float(tau) if truncated and tau is not None else np.nan, used_by)
    if survival is not None:
        curves, at = predictions_over_time(survival, times, n, "survival")
        for name, weights, ties, used_by in (
            ("antolini", "n", "half", "torchsurv ConcordanceIndex with risks over time"),
            ("antolini, ties discordant", "n", "discordant", "Antolini 2005; pycox concordance_td('antolini')"),
            (
                "antolini, tied times count",
                "n",
                "ishwaran",
                "pycox concordance_td('adj_antolini'), which counts pairs tied in time twice",
            ),
            ("antolini, ipcw", "n/G2", "half", "none that we know"),
        ):
            key = ("antolini", weights)
            if key not in known:
                options = options_of(weights, None, True, train, "t-")
                known[key] = _core.pair_sums_by_time(*data[:2], to_tensor(curves), to_tensor(at), options, given)
            add(name, known[key], weights, ties, "t-" if "G" in weights else "", np.nan, used_by)
    columns = ["estimate", "standard_error", "lower", "upper", "weights", "ties", "G", "tau", "used_by", "reason"]
    return pd.DataFrame([r[1:] for r in rows], columns=columns, index=pd.Index([r[0] for r in rows], name="variant"))


def concordance_td(
    y: Any,
    survival: Any,
    times: Any = None,
    *,
    ties: str = "half",
    weighting: str = "harrell",
    tau: float | None = None,
    tau_included: bool = True,
    g: str = "t-",
    train: Any = None,
    sample_weight: Any = None,
    confidence: float = 0.95,
) -> Concordance:
    """Antolini's time-dependent concordance: at each event the survival predicted for that time is compared with that of all who
    are still there; lower for the one who has the event is concordant.

    Parameters
    ----------
    survival : [n, k] probabilities at `times`, each holding until the next time and 1 before the first; a DataFrame with times as
        columns (:meth:`CoxPH.predict_survival_function`) needs no `times`
    ties : of predictions at the event: "half"; "discordant" (the paper, pycox's "antolini"); "excluded"; "ishwaran" (pycox's
        "adj_antolini" where no times are tied, for it counts those pairs twice: two events at one time count, 1 if predictions are
        equal and else a half)
    weighting, tau, tau_included, g, train, sample_weight : as in :func:`concordance_index`

    References
    ----------
    Antolini L, Boracchi P, Biganzoli E. Stat Med 2005;24:3927-3944. doi 10.1002/sim.2427.
    """
    if ties not in _TIES:
        raise InvalidArgument(f"ties must be one of {', '.join(_TIES)}; it is {ties!r}")
    event, time = survival_outcome(y)
    curves, at = predictions_over_time(survival, times, len(time), "survival")
    sums = _core.pair_sums_by_time(
        to_tensor(time),
        to_tensor(event),
        to_tensor(curves),
        to_tensor(at),
        options_of(weighting, tau, tau_included, train, g),
        weights_of(sample_weight),
    )
    value, se, _ = _ratio(sums, ties, _unit_weights(sample_weight, len(time)))
    if np.isnan(value) and not sums.reason:
        raise InvalidArgument(f"no two of the {len(time)} subjects can be compared: are there events?")
    concordant, discordant, risk_ties, time_ties, both = (float(v) for v in sums.sums)
    limits = interval(value, se, confidence)
    return Concordance(value, se, limits, confidence, concordant, discordant, risk_ties, time_ties, both, sums.reason)


@dataclass(frozen=True)
class ConcordanceProbability:
    """Gönen and Heller's concordance probability."""

    value: float
    standard_error: float
    interval: tuple[float, float]
    confidence: float

    def __float__(self) -> float:
        return self.value


def concordance_probability(linear_predictor: Any, *, confidence: float = 0.95) -> ConcordanceProbability:
    """Gönen and Heller's concordance probability estimate of a proportional-hazards model.

    What concordance would be if the model were true, from the linear predictor alone: censoring doesn't touch it, and it says
    nothing of a model that is wrong. The standard error is that of the subjects; on the training data that of the coefficients
    comes on top (the paper's second term). Equal predictors count a half (the paper: nothing). O(n²).

    References
    ----------
    Gönen M, Heller G. Biometrika 2005;92:965-970. doi 10.1093/biomet/92.4.965.
    """
    r = _core.gonen_heller(to_tensor(np.atleast_1d(numbers(linear_predictor, "linear_predictor"))))
    return ConcordanceProbability(
        r.value, r.standard_error, interval(r.value, r.standard_error, confidence), confidence
    )


@dataclass(frozen=True)
class ConcordanceTest:
    """Difference of two concordances on the same subjects, ``a - b``."""

    difference: float
    standard_error: float
    interval: tuple[float, float]
    z: float
    p: float
    a: float
    b: float

    def __float__(self) -> float:
        return self.difference


def concordance_test(
    y: Any,
    risk_a: Any,
    risk_b: Any,
    *,
    confidence: float = 0.95,
    weighting: str = "harrell",
    tau: float | None = None,
    g: str = "t-",
    train: Any = None,
    sample_weight: Any = None,
) -> ConcordanceTest:
    """Paired two-sided test of two concordances on the same subjects, by their joint infinitesimal jackknife
    (R: ``concordance(y ~ a + b)`` with its variance matrix)."""
    from scipy.stats import norm

    event, time = survival_outcome(y)
    options = options_of(weighting, tau, True, train, g)
    unit = _unit_weights(sample_weight, len(time))
    parts = []
    for risk, name in ((risk_a, "risk_a"), (risk_b, "risk_b")):
        sums = _core.pair_sums(
            to_tensor(time),
            to_tensor(event),
            to_tensor(vector(risk, len(time), name)),
            options,
            weights_of(sample_weight),
        )
        parts.append(_ratio(sums, "half", unit))
    difference = parts[0][0] - parts[1][0]
    se = float(np.sqrt(np.sum((parts[0][2] - parts[1][2]) ** 2)))
    z = difference / se if se > 0 else (0.0 if difference == 0 else float(np.copysign(np.inf, difference)))
    half = normal_quantile(confidence) * se
    p = float(2 * norm.sf(abs(z)))
    return ConcordanceTest(difference, se, (difference - half, difference + half), z, p, parts[0][0], parts[1][0])
