# SPDX-License-Identifier: Apache-2.0
"""How well a segmentation agrees with a reference.

Distances are in mm for any spacing. A surface voxel is one with a face neighbour outside the label or outside the image;
distances go from the centre of each surface voxel to the nearest surface voxel's centre of the other mask, both ways.
These are MONAI's definitions; surface Dice is Nikolov et al.'s, by area.

Where a label is in neither mask, ratios and distances are NaN (as in MONAI): leave it out of means (``numpy.nanmean``).
Where it is in one of them only, Dice, Jaccard and surface Dice are 0 and distances infinite.

Masks may be plain integer or bool tensors [z, y, x] too; `spacing` then says their voxels' size.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import torch

from .._vesalius.core import Mask
from .._vesalius.segmentation import metrics as _c
from ..errors import GeometryError, InvalidArgument

__all__ = [
    "average_surface_distance",
    "dice",
    "evaluate",
    "hausdorff",
    "hausdorff95",
    "jaccard",
    "surface_dice",
    "volume_difference",
]

Spacing = tuple[float, float, float]
_UNIT: Spacing = (1.0, 1.0, 1.0)


def _mask(mask: Mask | torch.Tensor, spacing: Spacing) -> Mask:
    return mask if isinstance(mask, Mask) else Mask(mask, spacing=spacing)


def evaluate(
    prediction: Mask | torch.Tensor,
    reference: Mask | torch.Tensor,
    *,
    labels: Iterable[int] | None = None,
    tolerance_mm: float = 1.0,
    spacing: Spacing = _UNIT,
) -> dict[int, dict[str, float]]:
    """Every measure of every label; ``pandas.DataFrame(evaluate(...)).T`` is a table.

    Parameters
    ----------
    labels : which ones; None: all that are in either mask
    tolerance_mm : of `surface_dice`

    Returns
    -------
    dict of label to dict
        ``dice``, ``jaccard``; ``volume_difference`` (prediction minus reference, mm³) and ``relative_volume_difference``
        (of the reference); ``hausdorff``, ``hausdorff95`` and ``average_surface_distance`` (mm); ``surface_dice``;
        ``predicted_voxels``, ``reference_voxels``.

    Raises
    ------
    GeometryError
        when the masks don't share a grid.
    """
    wanted = [] if labels is None else [int(label) for label in labels]
    if labels is not None and not wanted:
        return {}
    return _c.evaluate(_mask(prediction, spacing), _mask(reference, spacing), wanted, tolerance_mm)


def dice(
    prediction: Mask | torch.Tensor, reference: Mask | torch.Tensor, *, label: int = 1, spacing: Spacing = _UNIT
) -> float:
    """``2 |P ∩ R| / (|P| + |R|)``."""
    return _c.dice(_mask(prediction, spacing), _mask(reference, spacing), label)


def jaccard(
    prediction: Mask | torch.Tensor, reference: Mask | torch.Tensor, *, label: int = 1, spacing: Spacing = _UNIT
) -> float:
    """``|P ∩ R| / |P ∪ R|``."""
    return _c.jaccard(_mask(prediction, spacing), _mask(reference, spacing), label)


def volume_difference(
    prediction: Mask | torch.Tensor,
    reference: Mask | torch.Tensor,
    *,
    label: int = 1,
    relative: bool = False,
    spacing: Spacing = _UNIT,
) -> float:
    """Volume of the prediction minus the reference's, in mm³ or (`relative`) as a fraction of the reference's."""
    p, r = _mask(prediction, spacing), _mask(reference, spacing)
    if why := p.geometry.difference(r.geometry):
        raise GeometryError(f"the prediction and the reference differ: {why}")
    predicted, referenced = int((p.tensor == label).sum()), int((r.tensor == label).sum())
    if not relative:
        return (predicted - referenced) * r.geometry.voxel_volume
    if referenced == 0:
        return float("inf") if predicted else float("nan")
    return (predicted - referenced) / referenced


def hausdorff(
    prediction: Mask | torch.Tensor,
    reference: Mask | torch.Tensor,
    *,
    label: int = 1,
    percent: float = 100.0,
    spacing: Spacing = _UNIT,
) -> float:
    """The Hausdorff distance (mm), or the larger of both directions' percentiles of distance."""
    return _c.hausdorff(_mask(prediction, spacing), _mask(reference, spacing), label, percent)


def hausdorff95(
    prediction: Mask | torch.Tensor, reference: Mask | torch.Tensor, *, label: int = 1, spacing: Spacing = _UNIT
) -> float:
    """The larger of both directions' 95th percentiles of surface distance (mm)."""
    return hausdorff(prediction, reference, label=label, percent=95.0, spacing=spacing)


def average_surface_distance(
    prediction: Mask | torch.Tensor, reference: Mask | torch.Tensor, *, label: int = 1, spacing: Spacing = _UNIT
) -> float:
    """The mean of all surface distances of both directions (mm)."""
    return _c.average_surface_distance(_mask(prediction, spacing), _mask(reference, spacing), label)


def surface_dice(
    prediction: Mask | torch.Tensor,
    reference: Mask | torch.Tensor,
    tolerance_mm: float,
    *,
    label: int = 1,
    weight: Literal["area", "voxel"] = "area",
    spacing: Spacing = _UNIT,
) -> float:
    """The share of both surfaces that lies within `tolerance_mm` of the other (Nikolov et al. 2021, doi 10.2196/26151).

    Parameters
    ----------
    weight : "area" or "voxel"
        "area": elements between the voxels weighted by their area, as in Nikolov's surface-distance package and in MONAI's
        ``compute_surface_dice(use_subvoxels=True)`` (in one slice: by contour length). "voxel": every surface voxel counts
        the same, MONAI's default.
    """
    if weight not in ("area", "voxel"):
        raise InvalidArgument(f"surface_dice: weight is area or voxel; got {weight!r}")
    return _c.surface_dice(_mask(prediction, spacing), _mask(reference, spacing), tolerance_mm, label, weight == "area")
