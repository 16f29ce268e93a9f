# SPDX-License-Identifier: Apache-2.0
"""Figures of predicted probabilities: discrimination, calibration, decisions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InvalidArgument
from ._base import COLOURS, band, colour_of, new_figure, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def roc(curves: Any, scores: Any = None, *, confidence: float = 0.95, pos_label: Any = None) -> Figure:
    """ROC curves.

    Parameters
    ----------
    curves : outcomes y [n] with `scores`; or a mapping of names to (false positive rates, true positive rates, label)
    scores : [n], or a mapping of names to [n]: the legend has the areas with DeLong's intervals
    """
    if scores is not None:
        from ..outcome import metrics

        named = dict(scores) if isinstance(scores, Mapping) else {"": scores}
        y, curves = curves, {}
        for name, score in named.items():
            curve = metrics.roc_curve(y, score, pos_label=pos_label)
            area = metrics.roc_auc(y, score, confidence=confidence, pos_label=pos_label)
            text = f"AUC {area.value:.3f} ({area.interval[0]:.3f} to {area.interval[1]:.3f})"
            curves[name] = (curve.false_positive_rate, curve.true_positive_rate, f"{name}: {text}" if name else text)
    elif not isinstance(curves, Mapping):
        raise InvalidArgument(
            "pass y with scores, or a mapping of names to (false positive rates, true positive rates, label)"
        )
    figure = new_figure(4.0, 3.8)
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1, linestyle="--")
    for (_, (fpr, tpr, label)), colour in zip(curves.items(), COLOURS, strict=False):
        axes.plot(fpr, tpr, color=colour, linewidth=1.8, label=label)
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
    axes.set_xlabel("1 − specificity", fontsize=8)
    axes.set_ylabel("sensitivity", fontsize=8)
    tidy(axes)
    axes.legend(loc="lower right", fontsize=7, frameon=False)
    return figure


def calibration(predicted: Any, observed: Any = None, *, bins: int = 5, unit: str = "") -> Figure:
    """Observed against predicted probability.

    Parameters
    ----------
    predicted : what :func:`metrics.calibration` or :func:`metrics.survival_calibration` gives: groups with intervals, the smooth
        curve, the distribution of predictions, and the numbers; or probabilities [n]
    observed : [n] of 0/1, with probabilities: groups of equal size with Wilson's 95 % interval
    unit : of time, for the axes
    """
    if observed is None:
        return _calibration_of(predicted, unit)
    predicted, observed = np.asarray(predicted, float), np.asarray(observed, float)
    order = np.argsort(predicted, kind="stable")
    figure = new_figure(4.0, 3.8)
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1, linestyle="--", label="perfect")
    z = 1.959963984540054
    for number, group in enumerate(np.array_split(order, bins)):
        n, p = len(group), observed[group].mean()
        centre = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
        x = predicted[group].mean()
        axes.plot([x, x], [centre - half, centre + half], color=COLOURS[0], linewidth=1)
        axes.plot(
            x, p, "o", color=COLOURS[0], markersize=5, label=f"groups of {n}, 95 % interval" if number == 0 else None
        )
    axes.plot(predicted, np.where(observed > 0, 1.03, -0.03), "|", color="0.4", markersize=5, alpha=0.6)
    axes.set(xlabel="predicted probability", ylabel="observed frequency", xlim=(0, 1), ylim=(-0.06, 1.06))
    axes.legend(loc="upper left", bbox_to_anchor=(0, 0.95), fontsize=7, frameon=False)
    return figure


def _estimate(name: str, value: float, interval: tuple[float, float]) -> str:
    text = f"{name} {value:.2f}"
    return text + (f" ({interval[0]:.2f} to {interval[1]:.2f})" if np.isfinite(interval).all() else "")


def _calibration_of(result: Any, unit: str) -> Figure:
    if not hasattr(result, "curve") or not hasattr(result, "smooth"):
        raise InvalidArgument(
            "pass what metrics.calibration or metrics.survival_calibration returns, or probabilities and outcomes"
        )
    curve = result.curve[result.curve["observed"].notna()]
    figure = new_figure(4.2, 4.6)
    axes, below = figure.subplots(2, 1, sharex=True, height_ratios=[5, 1])
    # as far as predictions and groups go, both axes alike
    ends = [curve["predicted"].max(), curve["upper"].max(), curve["observed"].max(), 0.1]
    if len(result.smooth):
        ends.append(result.smooth["predicted"].max())
    limit = min(1.0, 1.05 * float(np.nanmax(ends)))
    axes.plot([0, 1], [0, 1], color="0.6", linewidth=1, linestyle="--", label="perfect")
    if len(result.smooth) and result.smooth["observed"].notna().any():
        axes.plot(
            result.smooth["predicted"], result.smooth["observed"], color=COLOURS[1], linewidth=1.6, label="smooth"
        )
    sizes = (
        f"groups of about {round(float(curve['n'].mean()))}, {result.confidence * 100:g} % interval"
        if len(curve)
        else None
    )
    axes.vlines(curve["predicted"], curve["lower"], curve["upper"], color=COLOURS[0], linewidth=1.1)
    axes.plot(curve["predicted"], curve["observed"], "o", color=COLOURS[0], markersize=4.5, label=sizes)
    lines = [
        _estimate("slope", result.slope, result.slope_interval),
        _estimate("intercept", result.intercept, result.intercept_interval),
        _estimate("observed / expected", result.ratio, result.ratio_interval),
    ]
    if result.distance is not None and np.isfinite(result.distance.ici):
        interval = result.distance.ici_interval
        shown = f" ({interval[0]:.3f} to {interval[1]:.3f})" if np.isfinite(interval).all() else ""
        lines.append(f"ICI {result.distance.ici:.3f}{shown}")
    axes.text(
        0.98, 0.02, "\n".join(lines), transform=axes.transAxes, ha="right", va="bottom", fontsize=6.5, linespacing=1.4
    )
    axes.set(xlim=(0, limit), ylim=(0, limit))
    until = f" by {result.time:g} {unit}".rstrip() if hasattr(result, "time") else ""
    axes.set_ylabel(f"observed risk{until}" if until else "observed frequency", fontsize=8)
    axes.legend(loc="upper left", fontsize=6.5, frameon=False)
    tidy(axes)
    below.hist(result.predictions, bins=np.linspace(0, limit, 31), color="0.75")
    below.set_xlabel(f"predicted risk{until}" if until else "predicted probability", fontsize=8)
    below.set_ylabel("n", fontsize=7)
    tidy(below)
    return figure


def decision_curve(curves: Any, *, until: float | None = None, unit: str = "") -> Figure:
    """Net benefit over thresholds, beside treating everyone and no one.

    Parameters
    ----------
    curves : what :func:`metrics.decision_curve` gives, or a mapping of names to such (on the same subjects)
    unit : of time, for the axis
    until : largest threshold shown; default where no model has more than no benefit any more
    """
    named = dict(curves) if isinstance(curves, Mapping) else {"model": curves}
    for value in named.values():
        if not hasattr(value, "table") or "net_benefit" not in value.table:
            raise InvalidArgument(
                f"pass what decision_curve returns, or a mapping of names to such; got {type(value).__name__}"
            )
    first = next(iter(named.values())).table
    figure = new_figure(5.0, 3.6)
    axes = figure.subplots()
    axes.axhline(0, color="0.35", linewidth=1.1, label="treat no one")
    axes.plot(
        first["threshold"], first["treat_all"], color="0.6", linewidth=1.3, linestyle="--", label="treat everyone"
    )
    top, last = float(np.nanmax(first["treat_all"])), 0.0
    for number, (name, curve) in enumerate(named.items()):
        table = curve.table[curve.table["net_benefit"].notna()]
        band(axes, table["threshold"], table["lower"], table["upper"], colour_of(number))
        axes.plot(table["threshold"], table["net_benefit"], color=colour_of(number), linewidth=1.7, label=name)
        if len(table):
            top = max(top, float(table["upper"].max()))
            useful = table.loc[table["net_benefit"] > 1e-12, "threshold"]
            last = max(last, float(useful.max()) if len(useful) else 0.0)
    end = until if until is not None else min(1.0, max(last * 1.1, float(first["threshold"].min()) + 0.05))
    axes.set(xlim=(0, end), ylim=(-0.2 * top if top > 0 else -0.05, 1.05 * top if top > 0 else 0.05))
    axes.set_xlabel("threshold probability", fontsize=8)
    axes.set_ylabel(
        "net benefit" + (f" at {curve.time:g} {unit}".rstrip() if curve.time is not None else ""), fontsize=8
    )
    tidy(axes)
    axes.legend(fontsize=7, frameon=False, loc="upper right")
    return figure
