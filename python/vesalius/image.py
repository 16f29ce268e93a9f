# SPDX-License-Identifier: Apache-2.0
"""Resampling, cropping, intensities, discretisation, components, distance, morphology.

Triples are in (z, y, x) order, lengths in mm. Images come back as new images; nothing is changed in place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, overload

import torch

from . import _check
from ._vesalius import image as _c
from ._vesalius.core import Geometry, Image, Mask
from .errors import GeometryError, TypeMismatch

Interpolation = Literal["nearest", "linear", "cubic"]


def _triple(value: Sequence[float] | float) -> tuple[float, float, float]:
    if isinstance(value, (int, float)):
        return (float(value),) * 3
    z, y, x = value
    return float(z), float(y), float(x)


@overload
def resample(image: Image, spacing: Sequence[float] | float, *, interpolation: Interpolation = ...) -> Image: ...
@overload
def resample(
    image: Mask, spacing: Sequence[float] | float, *, interpolation: Interpolation = ..., threshold: float = ...
) -> Mask: ...
def resample(
    image: Image | Mask,
    spacing: Sequence[float] | float,
    *,
    interpolation: Interpolation = "linear",
    threshold: float = 0.5,
) -> Image | Mask:
    """An image or a mask with another voxel spacing, on the grid that IBSI prescribes.

    The new grid has ``ceil(n * s / s')`` voxels an axis and the same centre (IBSI 1, section 2.4, grid alignment).
    Points outside the first and last voxel centres take the value at the edge. An image comes back as float32
    (float64 stays; ``nearest`` keeps the type). In a mask each label's indicator is interpolated; a voxel takes the
    label with the largest value if that reaches `threshold`.

    Parameters
    ----------
    image : Image or Mask
    spacing : (z, y, x) in mm, or one number for all; 0 keeps an axis as it is (in-plane interpolation)
    interpolation : "linear", "nearest", or "cubic" (B-spline through the voxels, mirrored at the border as in ITK)
    threshold : for masks, in (0, 1]

    Raises
    ------
    InvalidArgument
        for a negative spacing, more than 2**32 new voxels, or "cubic" with NaN or infinite voxels.

    Examples
    --------
    >>> image = Image(torch.rand(10, 64, 64), spacing=(3, 1, 1))
    >>> resample(image, (2, 2, 2)).shape
    (15, 32, 32)
    """
    to = _triple(spacing)
    if isinstance(image, Mask):
        return _c.resample_mask(image, to, interpolation, threshold)
    _check.image(image)
    return _c.resample_image(image, to, interpolation)


@overload
def resample_like(
    image: Image, like: Image | Mask | Geometry, *, interpolation: Interpolation = ..., outside: float = ...
) -> Image: ...
@overload
def resample_like(image: Mask, like: Image | Mask | Geometry) -> Mask: ...
def resample_like(
    image: Image | Mask,
    like: Image | Mask | Geometry,
    *,
    interpolation: Interpolation = "linear",
    outside: float = 0.0,
) -> Image | Mask:
    """An image or mask on another grid, which may be oblique to its own.

    As in ITK, points up to half a voxel beyond the border voxels' centres are inside; further out an image gets
    `outside` and a mask 0. Masks take the nearest voxel's label.
    """
    geometry = like if isinstance(like, Geometry) else like.geometry
    if isinstance(image, Mask):
        return _c.resample_mask_like(image, geometry)
    _check.image(image)
    return _c.resample_image_like(image, geometry, interpolation, outside)


def bounding_box(mask: Mask, *, label: int = 1) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """(start, count) of the smallest box of voxels (z, y, x) that holds every voxel of `label`."""
    start, count = _c.bounding_box(mask, label)
    return (start[0], start[1], start[2]), (count[0], count[1], count[2])


def crop_to_mask(image: Image, mask: Mask, *, label: int = 1, margin_mm: float = 0.0) -> tuple[Image, Mask]:
    """Image and mask cut to `label`'s box, widened by `margin_mm` (rounded up to voxels); views of the same voxels.

    Raises
    ------
    GeometryError
        when image and mask don't share a grid.
    InvalidArgument
        when no voxel has that label.
    """
    _check.image(image)
    _check.mask(mask)
    return _c.crop_to_mask(image, mask, label, margin_mm)


def _voxels(image: Image | torch.Tensor) -> torch.Tensor:
    return image.tensor if isinstance(image, Image) else image


def _region(region: Mask | torch.Tensor, label: int) -> torch.Tensor:
    return region.select(label) if isinstance(region, Mask) else region


def discretise(
    image: Image | torch.Tensor,
    region: Mask | torch.Tensor,
    *,
    bins: int | None = None,
    bin_width: float | None = None,
    lower: float | None = None,
    label: int = 1,
) -> torch.Tensor:
    """Grey levels 1, 2, … in a region, 0 elsewhere (IBSI 1, section 2.7).

    With `bins`: IBSI's fixed bin number between the region's minimum and maximum. With `bin_width`: its fixed bin
    size from `lower` (None: the region's minimum).

    Parameters
    ----------
    image : Image or tensor
    region : Mask (with `label`) or bool tensor of the same shape

    Returns
    -------
    torch.Tensor
        int32, of the image's shape.

    Raises
    ------
    InvalidArgument
        for an empty region, NaN or infinite voxels in it, voxels below `lower`, or more than 65536 bins.
    """
    voxels, roi = _voxels(image), _region(region, label)
    if isinstance(image, Image) and isinstance(region, Mask) and (why := image.geometry.difference(region.geometry)):
        raise GeometryError(f"discretise: image and mask differ: {why}")
    if (bins is None) == (bin_width is None):
        raise TypeMismatch("discretise: give either bins or bin_width")
    if bins is not None:
        return _c.discretise_bin_number(voxels, roi, bins)
    assert bin_width is not None
    if lower is None:
        inside = voxels[roi] if roi.shape == voxels.shape else voxels.new_zeros(0)
        lower = float(inside.min()) if inside.numel() else 0.0
        if lower != lower:  # NaN: the core says how many
            lower = 0.0
    return _c.discretise_bin_width(voxels, roi, bin_width, lower)


def clip(image: Image, lower: float, upper: float) -> Image:
    """Values below `lower` become `lower`, above `upper` `upper`; the type stays and NaN stays NaN."""
    _check.image(image)
    return _c.clip(image, lower, upper)


def zscore(image: Image, *, region: Mask | None = None) -> Image:
    """``(x - mean) / standard deviation``, both over the region where `region` isn't 0 (population deviation).

    In a constant region the deviation is 0 and nothing is divided.

    Raises
    ------
    GeometryError, InvalidArgument
        for a region on another grid, an empty one, or NaN or infinite voxels in it.
    """
    _check.image(image)
    return _c.zscore(image, region)


def minmax(image: Image, *, region: Mask | None = None, lower: float = 0.0, upper: float = 1.0) -> Image:
    """The region's minimum and maximum mapped to `lower` and `upper`; a constant region maps to `lower`."""
    _check.image(image)
    return _c.minmax(image, region, lower, upper)


def percentile(image: Image, low: float = 0.5, high: float = 99.5, *, region: Mask | None = None) -> Image:
    """Clipped to two percentiles of the region (numpy's default definition), which are then mapped to 0 and 1."""
    _check.image(image)
    return _c.percentile(image, low, high, region)


def rescale(image: Image, slope: float, intercept: float = 0.0) -> Image:
    """``slope * x + intercept``."""
    _check.image(image)
    return _c.rescale(image, slope, intercept)


def gaussian(image: Image, sigma_mm: Sequence[float] | float) -> Image:
    """Gaussian smoothing with a standard deviation in mm, cut at 4 deviations; the edge continues outside."""
    _check.image(image)
    return _c.gaussian(image, _triple(sigma_mm))


def connected_components(mask: Mask, *, label: int = 1, connectivity: int = 26) -> tuple[Mask, list[int]]:
    """(components, sizes): components are numbered 1, 2, … from the largest; sizes are in voxels.

    `connectivity` is 6 (faces), 18 (edges too) or 26 (corners too).
    """
    _check.mask(mask)
    return _c.connected_components(mask, label, connectivity)


def largest_component(mask: Mask, *, label: int = 1, connectivity: int = 26) -> Mask:
    """`label` reduced to its largest component; other labels stay."""
    _check.mask(mask)
    return _c.largest_component(mask, label, connectivity)


def keep_touching(mask: Mask, seeds: Mask, *, label: int = 1, connectivity: int = 26) -> Mask:
    """`label` reduced to the components that hold a voxel where `seeds` isn't 0; other labels stay."""
    _check.mask(mask)
    return _c.keep_touching(mask, seeds, label, connectivity)


def remove_small(mask: Mask, minimum_mm3: float, *, label: int = 1, connectivity: int = 26) -> Mask:
    """`label` reduced to the components of at least `minimum_mm3`; other labels stay."""
    _check.mask(mask)
    return _c.remove_small(mask, minimum_mm3, label, connectivity)


def distance_transform(mask: Mask, *, label: int = 1, signed: bool = False) -> Image:
    """Exact Euclidean distance (mm) from each voxel's centre to the nearest voxel centre of `label`, float32.

    With `signed`, voxels inside get minus the distance to the nearest voxel outside.
    """
    _check.mask(mask)
    return _c.distance_transform(mask, label, signed)


def dilate(mask: Mask, radius_mm: float, *, label: int = 1) -> Mask:
    """`label` grown by a ball: it takes background voxels whose centre is within `radius_mm` of it."""
    _check.mask(mask)
    return _c.dilate(mask, radius_mm, label)


def erode(mask: Mask, radius_mm: float, *, label: int = 1) -> Mask:
    """`label` shrunk by a ball. What lies beyond the image's border does not eat into it."""
    _check.mask(mask)
    return _c.erode(mask, radius_mm, label)


def open(mask: Mask, radius_mm: float, *, label: int = 1) -> Mask:
    """Erosion, then dilation: removes what is thinner than the ball."""
    _check.mask(mask)
    return _c.open(mask, radius_mm, label)


def close(mask: Mask, radius_mm: float, *, label: int = 1) -> Mask:
    """Dilation, then erosion: fills gaps narrower than the ball."""
    _check.mask(mask)
    return _c.close(mask, radius_mm, label)


def fill_holes(mask: Mask, *, label: int = 1, per_slice: bool = False) -> Mask:
    """Background that `label` encloses (not reaching the image's border) becomes `label`; `per_slice`: in each slice."""
    _check.mask(mask)
    return _c.fill_holes(mask, label, per_slice)
