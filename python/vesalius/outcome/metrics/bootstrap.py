# SPDX-License-Identifier: Apache-2.0
"""Bootstrap of measures: subjects drawn with replacement, as multiplicities on data sorted once."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..._vesalius import outcome as _core
from ...errors import Error, InvalidArgument
from .._data import survival_outcome, to_tensor
from ._common import binary, normal_quantile, numbers
from .concordance import _ratio, options_of


@dataclass(frozen=True)
class Bootstrap:
    """A value with its bootstrap interval; `replicates` are those that have a value, `lost` how many have not."""

    value: float
    standard_error: float
    interval: tuple[float, float]
    confidence: float
    method: str
    lost: int
    replicates: np.ndarray = field(repr=False)

    def __float__(self) -> float:
        return self.value


def bootstrap_limits(
    value: float, replicates: np.ndarray, influence: np.ndarray | None, confidence: float, method: str
) -> tuple[float, float]:
    """Percentile or BCa limits (Efron 1987, doi 10.1080/01621459.1987.10478410); the acceleration from the influences."""
    from scipy.stats import norm

    normal_quantile(confidence)  # checks it
    tails = np.array([0.5 - confidence / 2, 0.5 + confidence / 2])
    if replicates.size < 2:
        return float("nan"), float("nan")
    if method == "bca" and influence is not None:
        count = np.count_nonzero(replicates < value) + 0.5 * np.count_nonzero(replicates == value)
        bias = norm.ppf(np.clip(count / replicates.size, 0.5 / replicates.size, 1 - 0.5 / replicates.size))
        spread = (influence**2).sum() ** 1.5
        acceleration = (influence**3).sum() / (6 * spread) if spread > 0 else 0.0
        shifted = bias + norm.ppf(tails)
        tails = norm.cdf(bias + shifted / (1 - acceleration * shifted))
    low, high = np.quantile(replicates, tails)
    return float(low), float(high)


def _finish(
    value: float, drawn: np.ndarray, influence: np.ndarray | None, confidence: float, method: str, what: str
) -> Bootstrap:
    if method not in ("bca", "percentile"):
        raise InvalidArgument(f"method must be 'bca' or 'percentile'; it is {method!r}")
    kept = drawn[np.isfinite(drawn)]
    lost = len(drawn) - len(kept)
    if lost:
        warnings.warn(
            f"{what} does not exist in {lost} of {len(drawn)} replicates; they are left out", UserWarning, stacklevel=3
        )
    se = float(kept.std(ddof=1)) if len(kept) > 1 else float("nan")
    return Bootstrap(
        value, se, bootstrap_limits(value, kept, influence, confidence, method), confidence, method, lost, kept
    )


def bootstrap_concordance(
    y: Any,
    risk: Any,
    *,
    replicates: int = 1000,
    confidence: float = 0.95,
    method: str = "bca",
    seed: int = 0,
    weighting: str = "harrell",
    tau: float | None = None,
    tau_included: bool = True,
    g: str = "t-",
    train: Any = None,
    versus: Any = None,
) -> Bootstrap:
    """Bootstrap of a concordance, a thousand replicates at n = 10,000 in about a second or less.

    Subjects are drawn as multiplicities on data that is sorted once; each replicate has random numbers of its own, so the result
    depends on `seed` and not on the number of threads. With Uno's weights G is estimated anew in each replicate (unless from
    `train`).

    Parameters
    ----------
    y, risk, weighting, tau, tau_included, g, train : as in :func:`concordance_index`
    method : "bca" (bias-corrected and accelerated) or "percentile"
    versus : [n] other risks: the value is the difference of the two concordances, on the same draws
    """
    event, time = survival_outcome(y)
    scores = [numbers(risk, "risk")] + ([] if versus is None else [numbers(versus, "versus")])
    for score in scores:
        if score.shape != time.shape:
            raise InvalidArgument(f"risk must be a vector of {len(time)}, as y is; it is {score.shape}")
    options = options_of(weighting, tau, tau_included, train, g)
    t, e = to_tensor(time), to_tensor(event)
    parts = [_ratio(_core.pair_sums(t, e, to_tensor(s), options), "half", np.ones(len(time))) for s in scores]
    if not all(np.isfinite(part[0]) for part in parts):
        sums = _core.pair_sums(t, e, to_tensor(scores[0]), options)
        raise InvalidArgument(f"no concordance to bootstrap: {sums.reason or 'no two subjects can be compared'}")
    sign = np.array([1.0, -1.0])[: len(parts)]
    value = float(sum(s * p[0] for s, p in zip(sign, parts, strict=True)))
    influence = sum(s * p[2] for s, p in zip(sign, parts, strict=True))
    drawn = _core.bootstrap_concordance(t, e, to_tensor(np.stack(scores)), int(replicates), int(seed), options)
    return _finish(value, sign @ drawn.numpy(), influence, confidence, method, "concordance")


def bootstrap_auc(
    y: Any,
    score: Any,
    *,
    replicates: int = 1000,
    confidence: float = 0.95,
    method: str = "bca",
    seed: int = 0,
    pos_label: Any = None,
    versus: Any = None,
) -> Bootstrap:
    """Bootstrap of the area under the ROC curve, or of the difference from that of `versus`; as :func:`bootstrap_concordance`, of
    which it is the case with two times."""
    positive = binary(y, pos_label)
    if len(np.unique(positive)) != 2:
        raise InvalidArgument("y holds one class only: an area compares positives with negatives and needs both")
    outcome = (positive == positive.max(), np.where(positive == positive.max(), 1.0, 2.0))
    return bootstrap_concordance(
        outcome, score, replicates=replicates, confidence=confidence, method=method, seed=seed, versus=versus
    )


def bootstrap_measure(
    measure: Callable[..., Any],
    *arguments: Any,
    replicates: int = 1000,
    confidence: float = 0.95,
    method: str = "percentile",
    seed: int = 0,
    **kwargs: Any,
) -> Bootstrap:
    """Bootstrap of any measure that takes ``sample_weight``: subjects count as often as they are drawn, nothing is copied.

    ``bootstrap_measure(brier_curve, y, survival, times)`` is that of the integrated Brier score. For "bca" the measure is evaluated
    once more for each subject. For others see :func:`vesalius.outcome.bootstrap_interval`.
    """
    first = arguments[0][0] if isinstance(arguments[0], tuple) else arguments[0]
    n = len(first)
    fast = {**kwargs, "standard_error": False} if "standard_error" in _parameters(measure) else kwargs

    def at(weights: np.ndarray) -> float:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                return float(measure(*arguments, sample_weight=weights, **fast))
        except (Error, ValueError):
            return float("nan")

    value = float(measure(*arguments, **fast))
    drawn = np.array([at(_core.multiplicities(n, int(seed), b).numpy()) for b in range(int(replicates))])
    influence = None
    if method == "bca":
        ones = np.ones(n)
        left_out = np.empty(n)
        for i in range(n):
            ones[i] = 0
            left_out[i] = at(ones)
            ones[i] = 1
        influence = np.nanmean(left_out) - left_out
        influence = influence[np.isfinite(influence)]
    return _finish(value, drawn, influence, confidence, method, getattr(measure, "__name__", "the measure"))


def _parameters(function: Callable[..., Any]) -> set[str]:
    import inspect

    return set(inspect.signature(function).parameters)
