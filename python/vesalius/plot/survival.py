# SPDX-License-Identifier: Apache-2.0
"""Survival curves, and measures over time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..errors import InvalidArgument
from ._base import COLOURS, band, brief, colour_of, new_figure, p_value, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def kaplan_meier(
    y: Any,
    groups: Any = None,
    *,
    unit: str = "days",
    confidence: float = 0.95,
    at_risk: bool = True,
    test: bool = True,
    medians: bool = True,
    until: float | None = None,
) -> Figure:
    """Kaplan and Meier's curves with bands, censoring marks, medians, the log-rank test, and the table of those at risk.

    Parameters
    ----------
    y : survival as for :class:`vesalius.outcome.CoxPH`; or a mapping of names to (times, survival, lower, upper), drawn as it is
    groups : [n] labels, optional: a curve for each (up to six)
    unit : of time, for the axis
    at_risk, test, medians : what to show beside the curves
    until : right end of the axis; default the last time
    """
    if isinstance(y, Mapping):
        return _given_curves(y, unit)
    from ..outcome import KaplanMeier, log_rank
    from ..outcome._data import plain, survival_outcome

    event, time = survival_outcome(y)
    labels = np.zeros(len(time), int) if groups is None else np.asarray(plain(groups))
    if len(labels) != len(time):
        raise InvalidArgument(f"y has {len(time)} subjects and groups {len(labels)}: they must be of one length")
    missing = pd.isna(labels)
    names = np.unique(labels[~missing])
    if len(names) > len(COLOURS):
        raise InvalidArgument(
            f"{len(names)} groups are too many for one figure: at most {len(COLOURS)}. Join some of them"
        )
    end = float(time.max()) if until is None else float(until)
    height = 3.3 + (0.32 + 0.17 * len(names) if at_risk else 0.0)
    figure = new_figure(5.4, height)
    if at_risk:
        axes, below = figure.subplots(2, 1, sharex=True, height_ratios=[3.3, 0.32 + 0.17 * len(names)])
    else:
        axes, below = figure.subplots(), None
    fits = []
    for number, name in enumerate(names):
        members = labels == name
        fit = KaplanMeier(confidence=confidence).fit((event[members], time[members]))
        fits.append(fit)
        _curve(
            axes, fit.table_, _legend(fit, name, int(members.sum()), medians, groups is None), colour_of(number), end
        )
    axes.set(ylabel="survival probability", ylim=(0, 1.02), xlim=(0, end * 1.02))
    tidy(axes)
    legend = axes.legend(fontsize=7, frameon=False, loc="best")
    if medians and groups is not None:
        legend.set_title(f"n; median ({confidence * 100:g} % interval)", prop={"size": 6.5})
    if test and len(names) > 1:
        p = log_rank((event[~missing], time[~missing]), labels[~missing]).p
        axes.text(0.985, 0.985, f"log-rank {p_value(p)}", transform=axes.transAxes, ha="right", va="top", fontsize=7)
    if below is not None:
        _at_risk(below, fits, [str(n) if groups is not None else "" for n in names], axes)
        below.set_xlabel(f"time ({unit})", fontsize=8)
        axes.tick_params(labelbottom=True)
    else:
        axes.set_xlabel(f"time ({unit})", fontsize=8)
    axes.yaxis.label.set_size(8)
    return figure


def _legend(fit: Any, name: Any, n: int, medians: bool, alone: bool) -> str:
    if not medians:
        return "all" if alone else str(name)
    value, low, high = fit.median
    text = "median not reached" if alone and np.isnan(value) else "not reached" if np.isnan(value) else brief(value)
    if np.isfinite(value):
        text += f" ({brief(low)} to {brief(high) if np.isfinite(high) else 'not reached'})"
    return f"n = {n}; {'median ' if alone and np.isfinite(value) else ''}{text}" if alone else f"{name}: {n}; {text}"


def _curve(axes: Axes, table: pd.DataFrame, label: str, colour: str, end: float) -> None:
    start = pd.DataFrame([{"time": 0.0, "survival": 1.0, "lower": 1.0, "upper": 1.0, "censored": 0.0}])
    rows = pd.concat([start, table[["time", "survival", "lower", "upper", "censored"]]], ignore_index=True)
    rows = rows[rows["time"] <= end]
    # where the curve is 0 there are no limits: the band ends there
    limits = rows[["lower", "upper"]].ffill()
    band(axes, rows["time"], limits["lower"], limits["upper"], colour, step=True)
    axes.step(rows["time"], rows["survival"], where="post", color=colour, linewidth=1.6, label=label)
    marks = rows[rows["censored"] > 0]
    axes.plot(marks["time"], marks["survival"], "|", color=colour, markersize=4.5, markeredgewidth=0.8)


def _at_risk(axes: Axes, fits: list[Any], names: list[str], above: Axes) -> None:
    """Numbers at the ticks of the axis above."""
    low, high = above.get_xlim()
    ticks = np.array([t for t in above.get_xticks() if low <= t <= high])
    rows = np.arange(len(fits))[::-1]
    for number, (row, fit) in enumerate(zip(rows, fits, strict=True)):
        for t, count in zip(ticks, fit.at_risk(ticks)["at_risk"], strict=True):
            axes.text(t, row, f"{count:g}", ha="center", va="center", fontsize=6.5, color=colour_of(number))
    axes.set_yticks(rows, names, fontsize=7)
    for number, text in enumerate(axes.get_yticklabels()):
        text.set_color(colour_of(number))
    axes.set_ylim(-0.6, len(fits) - 0.4)
    axes.set_title("at risk", fontsize=7, loc="left", pad=2)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labelbottom=False)
    axes.tick_params(axis="y", pad=16)  # the first number is centred on the left end


def _given_curves(curves: Mapping[str, tuple[Any, Any, Any, Any]], unit: str) -> Figure:
    figure = new_figure(5.0, 3.6)
    axes = figure.subplots()
    for (name, (times, survival, lower, upper)), colour in zip(curves.items(), COLOURS, strict=False):
        axes.step(times, survival, where="post", color=colour, linewidth=1.6, label=name)
        band(axes, times, lower, upper, colour, step=True)
    axes.set(xlabel=f"time ({unit})", ylabel="survival probability", ylim=(0, 1.02))
    axes.legend(fontsize=7, frameon=False)
    return figure


def _tables(curves: Any, what: str) -> dict[str, Any]:
    named = dict(curves) if isinstance(curves, Mapping) else {"": curves}
    for value in named.values():
        if not hasattr(value, "table"):
            raise InvalidArgument(
                f"pass what {what} returns, or a mapping of names to such; got {type(value).__name__}"
            )
    if len(named) > len(COLOURS):
        raise InvalidArgument(f"{len(named)} curves are too many for one figure: at most {len(COLOURS)}")
    return named


def _over_time(axes: Axes, table: pd.DataFrame, column: str, label: str | None, colour: str) -> None:
    known = table[table[column].notna()]
    band(axes, known["time"], known["lower"], known["upper"], colour)
    axes.plot(known["time"], known[column], "o-", color=colour, linewidth=1.6, markersize=3, label=label)


def auc_over_time(curves: Any, *, unit: str = "days") -> Figure:
    """AUC at each time with its interval: what :func:`metrics.cumulative_dynamic_auc` or ``incident_dynamic_auc`` gives, or a
    mapping of names to such. Times without a value are left out."""
    named = _tables(curves, "cumulative_dynamic_auc")
    figure = new_figure(5.0, 3.4)
    axes = figure.subplots()
    axes.axhline(0.5, color="0.6", linewidth=1, linestyle="--")
    lowest = 0.5
    for number, (name, curve) in enumerate(named.items()):
        mean = getattr(curve, "mean", None)
        text = "" if mean is None else f"mean {mean:.3f} ({curve.interval[0]:.3f} to {curve.interval[1]:.3f})"
        _over_time(axes, curve.table, "auc", ": ".join(t for t in (name, text) if t) or None, colour_of(number))
        lowest = min(lowest, float(np.nanmin(curve.table["lower"].fillna(curve.table["auc"]), initial=0.5)))
    axes.set(ylim=(max(0.0, np.floor(lowest * 10) / 10), 1.0))
    axes.set_xlabel(f"time ({unit})", fontsize=8)
    axes.set_ylabel("AUC(t)", fontsize=8)
    tidy(axes)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=7, frameon=False, loc="lower right")
    return figure


def brier_over_time(curves: Any, *, unit: str = "days") -> Figure:
    """Brier's score at each time with its interval, and that of the curve of everyone (Kaplan-Meier's): what
    :func:`metrics.brier_curve` gives, or a mapping of names to such."""
    named = _tables(curves, "brier_curve")
    figure = new_figure(5.0, 3.4)
    axes = figure.subplots()
    first = next(iter(named.values())).table
    known = first[first["null"].notna()]
    axes.plot(
        known["time"],
        known["null"],
        color="0.5",
        linewidth=1.2,
        linestyle="--",
        label="same for everyone (Kaplan-Meier)",
    )
    for number, (name, curve) in enumerate(named.items()):
        text = f"integrated {curve.integrated:.3f}, scaled {curve.integrated_scaled:.1%}".replace("%", " %")
        if not np.isfinite(curve.integrated):
            text = ""
        _over_time(axes, curve.table, "brier", ": ".join(t for t in (name, text) if t) or None, colour_of(number))
    axes.set_ylim(bottom=0)
    axes.set_xlabel(f"time ({unit})", fontsize=8)
    axes.set_ylabel("Brier score (lower is better)", fontsize=8)
    tidy(axes)
    axes.legend(fontsize=7, frameon=False, loc="best")
    return figure
