# SPDX-License-Identifier: Apache-2.0
"""Between Python's values and the study's: cells of tables, names of cases, sources of files."""

from __future__ import annotations

import math
import numbers
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from .._vesalius import store as _store
from .._vesalius.core import Image, Mask, sha256_file
from ..errors import IoError, TypeMismatch

PathLike = str | os.PathLike[str]
Cell = bool | int | float | str | None
#: An image or a mask, or the path of one.
Voxels = Image | Mask | str | os.PathLike[str]


def cell(name: str, value: Any) -> Cell:
    """A table's cell as the study holds it; None, NaN, NaT and pandas.NA are "not known"."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bool | str):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return None if math.isnan(value) else float(value)
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    raise TypeMismatch(
        f"{name!r} can't hold {value!r} ({type(value).__name__}); a cell is a number, text, a truth value, a date or None"
    )


def record(values: Mapping[str, Any] | None) -> list[tuple[str, Cell]]:
    # a row of a DataFrame has items(), too, and no truth value
    return [] if values is None else [(str(name), cell(str(name), value)) for name, value in values.items()]


def case_id(subject: str, time_point: str | None) -> Any:
    if not isinstance(subject, str):
        raise TypeMismatch(
            f"a subject's name is text; it was {subject!r} ({type(subject).__name__}): give str({subject!r})"
        )
    return _store.CaseId(subject, "" if time_point is None else str(time_point))


def named(voxels: Any, default: str) -> dict[str, Any]:
    if voxels is None:
        return {}
    return dict(voxels) if isinstance(voxels, Mapping) else {default: voxels}


def source(path: str) -> Any:
    try:
        return _store.Source(path, sha256_file(path) if os.path.isfile(path) else "")
    except IoError:
        return _store.Source(path, "")
