# SPDX-License-Identifier: Apache-2.0
"""Arguments of the wrong kind: what came, and how to make of it what is needed."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import torch

from ._vesalius.core import Image, Mask
from .errors import TypeMismatch


def _remedy(value: Any, wanted: str) -> str:
    if isinstance(value, (str, os.PathLike)):
        return f"read it first: vesalius.read_{wanted.lower()}({os.fspath(value)!r})"
    if isinstance(value, Mask):
        return "are image and mask swapped? (vesalius.Image(mask.tensor, mask.geometry) makes an image of a mask)"
    if isinstance(value, Image):
        return "are image and mask swapped? (vesalius.Mask.from_image(image) makes a mask of an image of whole numbers)"
    if isinstance(value, torch.Tensor):
        return f"vesalius.{wanted}(tensor, spacing=(z, y, x)) makes one; like another: vesalius.{wanted}(tensor, other.geometry)"
    if isinstance(value, np.ndarray):
        return f"vesalius.{wanted}.from_numpy(array, spacing=(z, y, x)) makes one"
    return f"make one with vesalius.read_{wanted.lower()}, vesalius.{wanted}(tensor), or {wanted}.from_numpy, from_sitk, from_nibabel"


def _expect(kind: type, value: Any, name: str) -> None:
    if not isinstance(value, kind):
        what = type(value)
        came = (
            what.__name__
            if what.__module__ in ("builtins", "vesalius._vesalius.core")
            else f"{what.__module__}.{what.__qualname__}"
        )
        raise TypeMismatch(f"{name} must be a vesalius.{kind.__name__}; got {came}: {_remedy(value, kind.__name__)}")


def kind_of(value: Any) -> str:
    """The type's name, with its module where that isn't obvious."""
    what = type(value)
    return what.__name__ if what.__module__ == "builtins" else f"{what.__module__}.{what.__qualname__}"


def tensor(value: Any, name: str, remedy: str = "") -> None:
    """Raises TypeMismatch unless it is a tensor (pybind11's own error prints whatever came, arrays in full)."""
    if not isinstance(value, torch.Tensor):
        remedy = remedy or ("torch.from_numpy(array) makes one" if isinstance(value, np.ndarray) else "")
        raise TypeMismatch(f"{name} must be a torch.Tensor; got {kind_of(value)}{f': {remedy}' if remedy else ''}")


def image(value: Any, name: str = "image") -> None:
    """Raises TypeMismatch unless it is an Image."""
    _expect(Image, value, name)


def mask(value: Any, name: str = "mask") -> None:
    """Raises TypeMismatch unless it is a Mask."""
    _expect(Mask, value, name)
