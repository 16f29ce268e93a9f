# SPDX-License-Identifier: Apache-2.0
"""Estimates with their intervals, and groups of numbers side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..errors import InvalidArgument
from ._base import COLOURS, brief, new_figure, p_value, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def forest(
    names: Sequence[str] | pd.DataFrame,
    estimates: Any = None,
    lower: Any = None,
    upper: Any = None,
    *,
    label: str | None = None,
    reference: float | None = None,
) -> Figure:
    """Estimates with intervals, one a row, the first on top.

    Parameters
    ----------
    names : names with `estimates`, `lower`, `upper`; or the table of a fit, ``CoxPH().fit(X, y).summary()`` or that of a logistic
        regression: then the ratios exp(coef) are drawn on a logarithmic axis, with numbers and p-values beside them
    label : of the axis; for a table the ratio that its model has by default, "hazard ratio (95 % interval)" after Cox
    reference : where nothing is; default 0, for a table 1
    """
    if isinstance(names, pd.DataFrame):
        return _forest_of_table(names, label, 1.0 if reference is None else reference)
    if estimates is None or lower is None or upper is None:
        raise InvalidArgument("pass names, estimates, lower and upper, or the table of a fit: model.summary()")
    estimates, lower, upper = (np.asarray(v, float) for v in (estimates, lower, upper))
    figure = new_figure(5.6, 0.9 + 0.26 * len(names))
    axes = figure.subplots()
    rows = np.arange(len(names))[::-1]
    axes.axvline(0.0 if reference is None else reference, color="0.7", linewidth=1, linestyle="--")
    axes.hlines(rows, lower, upper, color=COLOURS[0], linewidth=1.4)
    axes.plot(estimates, rows, "s", color=COLOURS[0], markersize=4)
    axes.set_yticks(rows, names, fontsize=7)
    axes.set_xlabel(label or "estimate")
    return figure


def _forest_of_table(table: pd.DataFrame, label: str | None, reference: float) -> Figure:
    missing = {"coef", "lower", "upper"} - set(table.columns)
    if missing:
        raise InvalidArgument(f"the table needs the columns coef, lower, upper; it has {list(map(str, table.columns))}")
    shown = table.drop(index=[i for i in table.index if str(i).strip("()").lower() == "intercept"])
    if not np.isfinite(shown[["coef"]].to_numpy(float)).any():
        raise InvalidArgument("the table has no finite coefficient to draw")
    with np.errstate(over="ignore"):
        ratio, low, high = (np.exp(shown[c].to_numpy(float)) for c in ("coef", "lower", "upper"))
    # What can't be drawn (separation: e^30) leaves the picture by an arrow, and doesn't squeeze the others.
    inside = np.concatenate([ratio, low, high, [reference]])
    inside = inside[np.isfinite(inside) & (inside > 1e-4) & (inside < 1e4)]
    if not inside.size:
        inside = np.array([0.5, 2.0])
    left, right = float(inside.min()) / 1.15, float(inside.max()) * 1.15
    figure = new_figure(6.6, 1.0 + 0.27 * len(shown))
    axes, beside = figure.subplots(1, 2, sharey=True, width_ratios=[3, 1.9])
    rows = np.arange(len(shown))[::-1]
    axes.set_xscale("log")
    axes.axvline(reference, color="0.6", linewidth=1, linestyle="--", zorder=1)
    for row, value, a, b in zip(rows, ratio, low, high, strict=True):
        if np.isfinite(a) and np.isfinite(b):
            axes.hlines(row, max(a, left), min(b, right), color=COLOURS[0], linewidth=1.4)
            for out, edge, marker in ((a < left, left, "<"), (b > right, right, ">")):
                if out:
                    axes.plot(edge, row, marker, color=COLOURS[0], markersize=4, clip_on=False)
        if left <= value <= right:
            axes.plot(value, row, "s", color=COLOURS[0], markersize=4.5, zorder=3)
    axes.set(xlim=(left, right), ylim=(-0.6, len(shown) - 0.4 + 0.5))
    axes.set_yticks(rows, [str(i) for i in shown.index], fontsize=7)
    _ratio_ticks(axes, left, right)
    axes.set_xlabel(label or _ratio_of(table), fontsize=8)
    tidy(axes)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    texts = [_with_interval(*v) for v in zip(ratio, low, high, strict=True)]
    columns = [(0.0, "ratio (interval)", texts)]
    if "p" in shown:
        columns.append((0.78, "p", [p_value(float(p)).replace("p = ", "").replace("p ", "") for p in shown["p"]]))
    beside.set_axis_off()
    for x, title, column in columns:
        beside.text(x, len(shown) - 0.3, title, fontsize=7, weight="bold", va="center")
        for row, text in zip(rows, column, strict=True):
            beside.text(x, row, text, fontsize=7, va="center")
    return figure


def _ratio_of(table: pd.DataFrame) -> str:
    """A summary says in `attrs` what exp(coef) is and how wide its intervals are."""
    confidence = 100 * float(table.attrs.get("confidence", 0.95))
    return f"{table.attrs.get('ratio', 'exp(coef)')} ({confidence:g} % interval)"


def _with_interval(value: float, low: float, high: float) -> str:
    """With as many decimals as it takes to tell the ends apart."""
    if not np.isfinite([value, low, high]).all() or high > 1e4:
        return f"{brief(value)} ({brief(low)} to {brief(high)})"
    digits = int(np.clip(np.ceil(-np.log10(max(high - low, 1e-12))) + 1, 2, 5))
    return f"{value:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def _ratio_ticks(axes: Any, left: float, right: float) -> None:
    """A few round ratios: a decade may be wider than the picture."""
    steps = [m * 10.0**e for e in range(-4, 5) for m in (1, 2, 5)] + [0.8, 0.9, 1.1, 1.25, 1.5, 0.75]
    inside = sorted({s for s in steps if left <= s <= right})
    if len(inside) > 7:
        inside = [s for s in inside if s in {m * 10.0**e for e in range(-4, 5) for m in (1, 2, 5)}]
    if len(inside) > 7:
        inside = [s for s in inside if float(np.log10(s)).is_integer()]
    wanted: list[float] = []
    span = np.log(right / left)
    for s in inside:  # labels need room
        if not wanted or np.log(s / wanted[-1]) > span / 9:
            wanted.append(s)
    if 1.0 in inside and 1.0 not in wanted:
        wanted = sorted([w for w in wanted if abs(np.log(w)) > span / 9] + [1.0])
    axes.set_xticks(wanted, [f"{s:g}" for s in wanted])
    axes.set_xticks([], minor=True)


def boxes(groups: Mapping[str, Any], *, label: str) -> Figure:
    """Distributions side by side: box (median, quartiles), whiskers and every single value."""
    figure = new_figure(1.2 + 1.25 * len(groups), 3.4)
    axes = figure.subplots()
    values = [np.asarray(v, float)[np.isfinite(np.asarray(v, float))] for v in groups.values()]
    axes.boxplot(values, widths=0.5, showfliers=False, medianprops={"color": "black"})
    generator = np.random.default_rng(0)
    for number, (data, colour) in enumerate(zip(values, COLOURS * 3, strict=False), start=1):
        axes.plot(number + generator.uniform(-0.15, 0.15, len(data)), data, "o", color=colour, markersize=3, alpha=0.6)
    axes.set_xticks(range(1, len(groups) + 1), list(groups), fontsize=8)
    axes.set_ylabel(label)
    return figure
