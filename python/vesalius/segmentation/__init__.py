# SPDX-License-Identifier: Apache-2.0
"""Segmentation methods, models and measures.

>>> import vesalius as vs
>>> mask = vs.segmentation.percent_of_maximum(pet, region=contour)     # doctest: +SKIP
>>> vs.segmentation.metrics.evaluate(mask, contour)[1]["dice"]         # doctest: +SKIP
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from .. import _check
from .._vesalius import segmentation as _c
from .._vesalius.core import Image, Mask
from .._vesalius.segmentation import ContrastResult, NetworkPlan, NetworkSpec, Plan, Prediction
from . import augmentation, losses, metrics, networks, sampling
from ._ensemble import Ensemble, EnsemblePrediction
from ._import_nnunet import import_nnunet
from ._model import Model, sliding_window
from .augmentation import Augmentation, AugmentationSettings
from .planning import (
    CachedCase,
    Configuration,
    Dataset,
    DatasetCase,
    Fingerprint,
    LabelSet,
    Plans,
    PreprocessPlan,
    Problem,
    check_dataset,
    fingerprint,
    load_case,
    open_dataset,
    plan,
    preprocess,
    preprocess_dataset,
    restore,
)
from .sampling import PatchSampler
from .training import TrainingSettings, train

__all__ = [
    "Augmentation",
    "AugmentationSettings",
    "CachedCase",
    "Configuration",
    "ContrastResult",
    "Dataset",
    "DatasetCase",
    "Ensemble",
    "EnsemblePrediction",
    "Fingerprint",
    "LabelSet",
    "Model",
    "NetworkPlan",
    "NetworkSpec",
    "PatchSampler",
    "Plan",
    "Plans",
    "Prediction",
    "PreprocessPlan",
    "Problem",
    "TrainingSettings",
    "augmentation",
    "check_dataset",
    "contrast_threshold",
    "fingerprint",
    "gradient_magnitude",
    "grow",
    "import_nnunet",
    "load_case",
    "losses",
    "metrics",
    "networks",
    "open_dataset",
    "otsu",
    "otsu_threshold",
    "percent_of_maximum",
    "plan",
    "preprocess",
    "preprocess_dataset",
    "restore",
    "sampling",
    "sliding_window",
    "threshold",
    "train",
    "watershed",
]


def _inputs(image: Image, region: Mask | None) -> None:
    _check.image(image)
    if region is not None:
        _check.mask(region, "region")


def threshold(image: Image, lower: float, upper: float = math.inf) -> Mask:
    """Label 1 where ``lower <= x <= upper``.

    Raises
    ------
    InvalidArgument
        for lower > upper, and for NaN or infinite voxels.
    """
    _check.image(image)
    return _c.threshold(image, lower, upper)


def otsu_threshold(image: Image, *, region: Mask | None = None, bins: int = 256) -> float:
    """Otsu's threshold (1979) of the histogram in `region`, or of the whole image: the bin edge that separates best.

    Raises
    ------
    InvalidArgument
        for a constant or empty region, and for NaN or infinite voxels.
    """
    _inputs(image, region)
    return _c.otsu_threshold(image, region, bins)


def otsu(image: Image, *, region: Mask | None = None, bins: int = 256) -> Mask:
    """Label 1 where ``x > otsu_threshold(image, region=region, bins=bins)``."""
    _inputs(image, region)
    return _c.otsu(image, region, bins)


def percent_of_maximum(
    image: Image,
    *,
    region: Mask | None = None,
    fraction: float = 0.41,
    connectivity: int = 6,
    limit_mm: float = math.inf,
) -> Mask:
    """The field's fixed threshold on PET: at least `fraction` of the region's maximum, connected with the region.

    Parameters
    ----------
    image : Image
        [z, y, x], such as SUV.
    region : Mask, optional
        A contour, box or seed around the lesion (its voxels that aren't 0): the maximum is taken in it, and the
        components that hold one of its voxels are kept. Without it the image's maximum is the lesion.
    fraction : float
        0.41 as in EANM's guideline (Boellaard et al. 2015, doi 10.1007/s00259-014-2961-x).
    connectivity : 6, 18 or 26
    limit_mm : float
        No voxel further than this from the region is taken.

    Raises
    ------
    GeometryError
        when the region lies on another grid.
    InvalidArgument
        for NaN or infinite voxels, an empty region, or a maximum that isn't positive.
    """
    _inputs(image, region)
    return _c.percent_of_maximum(image, region, fraction, connectivity, limit_mm)


def contrast_threshold(
    image: Image,
    *,
    region: Mask | None = None,
    mean_weight: float = 0.15,
    background_weight: float = 1.0,
    shell_mm: tuple[float, float] = (10.0, 20.0),
    iterations: int = 50,
    connectivity: int = 6,
    limit_mm: float = math.inf,
) -> ContrastResult:
    """The contrast-oriented threshold on PET, ``mean_weight * M70 + background_weight * B``, iterated until it stands.

    M70 is the mean of the lesion's 70 %-of-maximum isocontour. B is the mean of the voxels below the threshold that lie
    between the two distances `shell_mm` from the lesion. The lesion starts as its 41 % isocontour; of a cycle the highest
    threshold is taken. The default weights are those of Nestle et al. 2005 (J Nucl Med 46:1342-1348); Schaefer et al. 2008
    (doi 10.1007/s00259-008-0875-1) fit both weights for each scanner on phantoms.

    Returns
    -------
    ContrastResult
        `.mask`, `.threshold`, `.mean70`, `.background`, `.iterations`.

    Raises
    ------
    InvalidArgument
        as `percent_of_maximum`, and where no background is left in the shell.
    ConvergenceError
        when the threshold still changes after `iterations`.
    """
    _inputs(image, region)
    inner, outer = shell_mm
    return _c.contrast_threshold(
        image, region, mean_weight, background_weight, inner, outer, iterations, connectivity, limit_mm
    )


def grow(
    image: Image,
    seeds: Mask | Sequence[Sequence[int]],
    lower: float,
    upper: float = math.inf,
    *,
    connectivity: int = 6,
) -> Mask:
    """Region growing: voxels of ``lower <= x <= upper`` connected with a seed in that range.

    Parameters
    ----------
    seeds : Mask, or a sequence of voxels (z, y, x)
    connectivity : 6, 18 or 26
    """
    _check.image(image)
    if isinstance(seeds, Mask):
        return _c.grow_from_mask(image, seeds, lower, upper, connectivity)
    points = [(int(z), int(y), int(x)) for z, y, x in seeds]
    return _c.grow_from_points(image, points, lower, upper, connectivity)


def gradient_magnitude(image: Image, *, sigma_mm: float = 0.0) -> Image:
    """The length of the gradient per mm after Gaussian smoothing: what `watershed` likes to flood."""
    _check.image(image)
    return _c.gradient_magnitude(image, sigma_mm)


def watershed(relief: Image, markers: Mask, *, connectivity: int = 6) -> Mask:
    """Every voxel gets the label of the marker whose flood of `relief` reaches it first (ITK, no watershed lines).

    Mark the background too, with a label of its own.

    Parameters
    ----------
    relief : Image
        What is flooded, such as ``gradient_magnitude(image, sigma_mm=1)``.
    markers : Mask
        Labels 1, 2, …, and 0 where nothing is known yet.
    connectivity : 6 or 26
    """
    _check.image(relief, "relief")
    _check.mask(markers, "markers")
    return _c.watershed(relief, markers, connectivity)
