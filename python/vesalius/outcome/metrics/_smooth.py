# SPDX-License-Identifier: Apache-2.0
"""Smooth calibration curves and how far they are from the diagonal."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..._vesalius import outcome as _core
from ...errors import Error
from .._data import to_tensor

Curve = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Distance:
    """Distances of predictions from the smooth curve: mean (ICI), median (E50), 90 % quantile (E90), each with an interval."""

    ici: float
    ici_interval: tuple[float, float]
    e50: float
    e50_interval: tuple[float, float]
    e90: float
    e90_interval: tuple[float, float]


def summaries(predicted: np.ndarray, observed: np.ndarray) -> np.ndarray:
    distance = np.abs(predicted - observed)
    return np.array([distance.mean(), *np.quantile(distance, [0.5, 0.9])])


def distance_with_intervals(
    predicted: np.ndarray, rows: np.ndarray, fit: Curve, replicates: int, confidence: float, seed: int
) -> tuple[Distance, np.ndarray]:
    """`fit(members, at)` gives the smooth curve of some subjects (with repeats) at some predictions."""
    nothing = np.full(3, np.nan)
    try:
        observed = fit(rows, predicted)
        value = summaries(predicted, observed)
    except Error as error:
        warnings.warn(f"no smooth calibration curve: {error}", UserWarning, stacklevel=3)
        observed, value = np.full(len(predicted), np.nan), nothing
    low, high = nothing, nothing
    if replicates > 0 and np.isfinite(value).all():
        drawn = []
        n = len(rows)
        for b in range(replicates):
            members = np.repeat(rows, _core.multiplicities(n, seed, b).numpy())
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    drawn.append(summaries(predicted[members], fit(members, predicted[members])))
            except Error:
                continue
        if len(drawn) > 1:
            tail = 0.5 - confidence / 2
            low, high = np.quantile(np.array(drawn), [tail, 1 - tail], axis=0)
    pairs = [(float(a), float(b)) for a, b in zip(low, high, strict=True)]
    return Distance(float(value[0]), pairs[0], float(value[1]), pairs[1], float(value[2]), pairs[2]), observed


def local_regression(x: np.ndarray, y: np.ndarray, at: np.ndarray, span: float, points: int) -> np.ndarray:
    """loess of y on x at `at`, exactly if there are few; else at quantiles of `at`, and straight between them."""
    where, back = np.unique(at, return_inverse=True)
    if len(where) > points:
        grid = np.unique(np.quantile(where, np.linspace(0, 1, points)))
        values = np.interp(where, grid, _core.loess(to_tensor(x), to_tensor(y), to_tensor(grid), span, 2).numpy())
    else:
        values = _core.loess(to_tensor(x), to_tensor(y), to_tensor(where), span, 2).numpy()
    return np.clip(values, 0, 1)[back]


def restricted_cubic_spline(x: np.ndarray, knots: np.ndarray) -> np.ndarray:
    """x and its restricted cubic terms for the knots (Harrell's basis, each term over the squared range of the knots)."""
    first, last, before = knots[0], knots[-1], knots[-2]
    scale = (last - first) ** 2
    terms = [x]
    for knot in knots[:-2]:
        cubes = [np.maximum(x - k, 0) ** 3 for k in (knot, before, last)]
        terms.append(
            (cubes[0] - cubes[1] * (last - knot) / (last - before) + cubes[2] * (before - knot) / (last - before))
            / scale
        )
    return np.column_stack(terms)


def curve_table(predicted: np.ndarray, observed: np.ndarray, points: int = 100) -> pd.DataFrame:
    """The smooth curve at up to so many of the predictions, ascending."""
    where, rows = np.unique(predicted, return_index=True)
    if len(where) > points:
        keep = np.unique(np.linspace(0, len(where) - 1, points).round().astype(int))
        rows = rows[keep]
    return pd.DataFrame({"predicted": predicted[rows], "observed": observed[rows]})
