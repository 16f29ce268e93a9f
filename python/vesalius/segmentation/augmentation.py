# SPDX-License-Identifier: Apache-2.0
"""Augmentation of training patches: nnU-Net v2's list, on the CPU, in C++.

>>> from vesalius.segmentation.augmentation import Augmentation
>>> augment = Augmentation(patch_size=(128, 128, 128))
>>> augment.initial_patch_size                                         # what to load, so that rotated corners are there
(205, 205, 205)
>>> image, label = augment(image, label, seed=0, index=7)              # doctest: +SKIP

Source of the list, its order, probabilities and ranges: Isensee et al. 2021, doi 10.1038/s41592-020-01008-z, as nnunetv2 2.8
with batchgeneratorsv2 does it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from .._vesalius import segmentation as _c
from .._vesalius.segmentation import AugmentationDraw, AugmentationSettings
from ..errors import InvalidArgument

if TYPE_CHECKING:
    Tensor = torch.Tensor

__all__ = [
    "Augmentation",
    "AugmentationDraw",
    "AugmentationSettings",
    "brightness",
    "contrast",
    "deep_supervision_targets",
    "gamma",
    "gaussian_blur",
    "gaussian_noise",
    "label_to_regions",
    "low_resolution",
    "morphology",
    "remove_component",
    "spatial",
]

_MORPHOLOGY = {"dilate": 0, "erode": 1, "close": 2, "open": 3}


def _numbers(values: float | Sequence[float]) -> list[float]:
    if isinstance(values, (int, float)):
        return [float(values)]
    return [float(v) for v in values]


class Augmentation:
    """nnU-Net's augmentation of one sample.

    Parameters
    ----------
    settings : AugmentationSettings, optional
        nnU-Net's own without it. ``AugmentationSettings(p_gamma=0, rotation_degrees=(-10, 10))`` changes single numbers,
        ``AugmentationSettings.none()`` only crops.
    patch_size : (z, y, x) or (y, x)
        What the network sees.

    Raises
    ------
    InvalidArgument
        for probabilities outside [0, 1], empty ranges, axes that aren't there.
    """

    def __init__(self, settings: AugmentationSettings | None = None, *, patch_size: Sequence[int]) -> None:
        self._given = AugmentationSettings() if settings is None else settings
        self._c = _c.Augmentation(self._given, [int(n) for n in patch_size])

    @property
    def settings(self) -> AugmentationSettings:
        """With rotation, dummy 2D and mirror axes as they are for this patch."""
        return self._c.settings

    @property
    def patch_size(self) -> tuple[int, ...]:
        return tuple(self._c.patch_size)

    @property
    def initial_patch_size(self) -> tuple[int, ...]:
        """The patch to load, so that a rotated one finds its corners."""
        return tuple(self._c.initial_patch_size)

    def draw(
        self, *, seed: int, index: int = 0, epoch: int = 0, iteration: int = 0, channels: int = 1
    ) -> AugmentationDraw:
        """The random choices for one sample: a function of these numbers alone."""
        return self._c.draw(seed, epoch, iteration, index, channels)

    def __call__(
        self,
        image: Tensor,
        label: Tensor,
        *,
        seed: int | None = None,
        index: int = 0,
        epoch: int = 0,
        iteration: int = 0,
        draw: AugmentationDraw | None = None,
        previous: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """One augmented sample.

        Parameters
        ----------
        image : float32 [c, z, y, x] or [c, y, x]
            Of any size; best `initial_patch_size`. The patch is taken about its middle; outside is 0.
        label : integer [1, …] or […]
            -1 is "outside the nonzero mask": it becomes 0 at the end.
        seed, index, epoch, iteration : int
            What the random numbers depend on; nothing else does.
        draw : AugmentationDraw, optional
            Fixed choices instead of random ones.
        previous : integer […], optional
            Cascade: the previous stage's labels; those in ``settings.previous_labels`` become the last channels.

        Returns
        -------
        image float32 [c (+ previous labels), …patch], label int16 [1, …patch]

        Raises
        ------
        ShapeError, TypeMismatch
        InvalidArgument
            for NaN or infinite voxels.
        """
        if draw is None:
            if seed is None:
                raise InvalidArgument("give a seed (and an index), or a draw")
            draw = self._c.draw(seed, epoch, iteration, index, image.shape[0])
        return self._c.apply(image, label, draw, previous)

    def __repr__(self) -> str:
        return f"Augmentation({self._given!r}, patch_size={self.patch_size})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _make, (self._given, self.patch_size)


def _make(settings: AugmentationSettings, patch_size: tuple[int, ...]) -> Augmentation:
    return Augmentation(settings, patch_size=patch_size)


def spatial(
    image: Tensor | None = None,
    label: Tensor | None = None,
    *,
    patch_size: Sequence[int],
    angles: Sequence[float] = (),
    scale: float = 1.0,
    mirror_axes: Sequence[int] = (),
    dummy_2d: bool = False,
    outside: int = -1,
) -> Any:
    """Rotation, scaling, mirroring and cropping about the middle, in one interpolation.

    Parameters
    ----------
    image : float [c, …]
        Interpolated linearly, 0 outside.
    label : integer [c, …]
        The largest of the linearly interpolated indicators; `outside` counts as a label; ties go to the nearest voxel's.
    angles : radians
        About the axes (z, y, x) in 3D, one angle in 2D and with `dummy_2d` (slices of a 3D patch). Empty: none.
    scale : float
        Above 1 objects shrink.
    mirror_axes : of the patch

    Returns
    -------
    The image, the label, or both where both are given.
    """
    how = ([int(n) for n in patch_size], [float(a) for a in angles], float(scale), list(mirror_axes), dummy_2d)
    out = []
    if image is not None:
        out.append(_c.transforms.spatial_image(image, *how))
    if label is not None:
        out.append(_c.transforms.spatial_label(label, *how, outside))
    if not out:
        raise InvalidArgument("give an image, a label, or both")
    return out[0] if len(out) == 1 else tuple(out)


def gaussian_noise(image: Tensor, sigma: float, *, seed: int) -> Tensor:
    """Adds independent Gaussian noise of standard deviation `sigma`."""
    return _c.transforms.gaussian_noise(image, sigma, seed)


def gaussian_blur(image: Tensor, sigma: float | Sequence[float]) -> Tensor:
    """Gaussian blur, `sigma` in voxels for all axes or one each; reflected at the border.

    The kernel has the odd length nearest to 6 sigma + 1/2, as in batchgeneratorsv2.
    """
    return _c.transforms.gaussian_blur(image, _numbers(sigma))


def brightness(image: Tensor, factor: float | Sequence[float]) -> Tensor:
    """image · factor, for all channels or one each."""
    return _c.transforms.brightness(image, _numbers(factor))


def contrast(image: Tensor, factor: float | Sequence[float]) -> Tensor:
    """(image - mean) · factor + mean, clamped to the channel's old range."""
    return _c.transforms.contrast(image, _numbers(factor))


def low_resolution(image: Tensor, scale: float | Sequence[float]) -> Tensor:
    """To round(n · scale) voxels by the nearest, and linearly back; `scale` for all axes or one each."""
    return _c.transforms.low_resolution(image, _numbers(scale))


def gamma(image: Tensor, exponent: float | Sequence[float], *, inverted: bool = False) -> Tensor:
    """((image - min) / range) ** exponent · range + min, then the old mean and standard deviation; of -image with
    `inverted`."""
    return _c.transforms.gamma(image, _numbers(exponent), inverted)


def morphology(mask: Tensor, kind: str, radius: float) -> Tensor:
    """Dilates, erodes, closes or opens a mask [z, y, x] or [y, x] by the ball of all voxels within `radius`.

    Beyond the border there is no mask for dilation and all mask for erosion.
    """
    if kind not in _MORPHOLOGY:
        raise InvalidArgument(f"kind is {kind!r}; expected one of {', '.join(_MORPHOLOGY)}")
    return _c.transforms.morphology(mask, _MORPHOLOGY[kind], radius)


def remove_component(mask: Tensor, *, choice: float = 0.0, limit: float = 0.15) -> Tensor:
    """Takes one connected component (26 neighbours, 8 in 2D) away: number ⌊choice · n⌋ of the n that cover less than `limit`
    of the voxels."""
    return _c.transforms.remove_component(mask, choice, limit)


def label_to_regions(label: Tensor, regions: Sequence[Sequence[int]], *, ignore_label: int | None = None) -> Tensor:
    """One-hot regions uint8 [regions, …] of labels [1, …]; the ignore label, where there is one, is the last channel."""
    return _c.transforms.label_to_regions(label, [list(r) for r in regions], ignore_label)


def deep_supervision_targets(target: Tensor, scales: Sequence[Sequence[float]]) -> list[Tensor]:
    """The target [k, …] for each output of a deeply supervised network: the nearest voxel at round(n · scale) voxels an axis.

    >>> import torch
    >>> [tuple(t.shape) for t in deep_supervision_targets(torch.zeros(1, 8, 8, 8), [(1, 1, 1), (1, 0.5, 0.5)])]
    [(1, 8, 8, 8), (1, 8, 4, 4)]
    """
    return list(_c.transforms.deep_supervision_targets(target, [list(map(float, s)) for s in scales]))
