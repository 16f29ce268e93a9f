# SPDX-License-Identifier: Apache-2.0
# Made by `make stubs`; not to be edited.
"""
See vesalius.segmentation.metrics.
"""
from __future__ import annotations
import collections.abc
import typing
import vesalius._vesalius.core
__all__: list[str] = ['average_surface_distance', 'dice', 'evaluate', 'hausdorff', 'jaccard', 'surface_dice']
def average_surface_distance(prediction: vesalius._vesalius.core.Mask, reference: vesalius._vesalius.core.Mask, label: typing.SupportsInt | typing.SupportsIndex) -> float:
    ...
def dice(prediction: vesalius._vesalius.core.Mask, reference: vesalius._vesalius.core.Mask, label: typing.SupportsInt | typing.SupportsIndex) -> float:
    ...
def evaluate(prediction: vesalius._vesalius.core.Mask, reference: vesalius._vesalius.core.Mask, labels: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], tolerance_mm: typing.SupportsFloat | typing.SupportsIndex) -> dict[int, dict]:
    ...
def hausdorff(prediction: vesalius._vesalius.core.Mask, reference: vesalius._vesalius.core.Mask, label: typing.SupportsInt | typing.SupportsIndex, percent: typing.SupportsFloat | typing.SupportsIndex) -> float:
    ...
def jaccard(prediction: vesalius._vesalius.core.Mask, reference: vesalius._vesalius.core.Mask, label: typing.SupportsInt | typing.SupportsIndex) -> float:
    ...
def surface_dice(prediction: vesalius._vesalius.core.Mask, reference: vesalius._vesalius.core.Mask, tolerance_mm: typing.SupportsFloat | typing.SupportsIndex, label: typing.SupportsInt | typing.SupportsIndex, by_area: bool) -> float:
    ...
