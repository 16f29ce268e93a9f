# SPDX-License-Identifier: Apache-2.0
"""What the figures share: colours, paper, scales."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Okabe and Ito's colours, told apart by colour-blind readers: blue, vermilion, green, purple, orange, sky.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")


def new_figure(width: float, height: float, **kwargs: Any) -> Figure:
    """A figure that belongs to no window and no global state (safe in threads and servers)."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=150, layout="constrained", **kwargs)


def colour_of(number: int) -> str:
    return COLOURS[number % len(COLOURS)]


def tidy(axes: Axes) -> None:
    """No box, light lines to read values from."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="0.92", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=7)


def band(axes: Axes, x: Any, lower: Any, upper: Any, colour: str, step: bool = False) -> None:
    axes.fill_between(x, lower, upper, step="post" if step else None, color=colour, alpha=0.15, linewidth=0)


def brief(value: float) -> str:
    """A number for a legend: three digits, no exponent where none is needed."""
    if not np.isfinite(value):
        return "–"
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def p_value(p: float) -> str:
    if not np.isfinite(p):
        return "p –"
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"
