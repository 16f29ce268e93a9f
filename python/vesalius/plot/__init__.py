# SPDX-License-Identifier: Apache-2.0
"""Figures for a notebook or a paper. Each function returns a matplotlib ``Figure`` and shows nothing by itself."""

from __future__ import annotations

from ._base import COLOURS, new_figure
from .classes import calibration, decision_curve, roc
from .images import default_window, draw_slice, slices
from .survival import auc_over_time, brier_over_time, kaplan_meier
from .tables import boxes, forest

__all__ = [
    "COLOURS",
    "auc_over_time",
    "boxes",
    "brier_over_time",
    "calibration",
    "decision_curve",
    "default_window",
    "draw_slice",
    "forest",
    "kaplan_meier",
    "new_figure",
    "roc",
    "slices",
]
