# SPDX-License-Identifier: Apache-2.0
"""Extraction of one region, of the labels of a mask, of a study."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np

from .. import _check
from .._vesalius import image as _image
from .._vesalius import radiomics as _core
from ..errors import InvalidArgument, TypeMismatch
from ._features import Features
from ._settings import Settings, _settings

if TYPE_CHECKING:
    import pandas as pd

    from .._vesalius.core import Image, Mask
    from ..store import Study


Progress = Callable[[int, int, str], None]


@overload
def extract(
    image: Image,
    mask: Mask,
    settings: Settings | None = None,
    *,
    label: int | str = 1,
    channel: int = 0,
    progress: Progress | None = None,
) -> Features: ...
@overload
def extract(
    image: Image,
    mask: Mask,
    settings: Settings | None = None,
    *,
    label: list[int] | list[str] | tuple[int | str, ...],
    channel: int = 0,
    progress: Progress | None = None,
) -> dict[int, Features]: ...
def extract(
    image: Image,
    mask: Mask,
    settings: Settings | None = None,
    *,
    label: int | str | list[int] | list[str] | tuple[int | str, ...] = 1,
    channel: int = 0,
    progress: Progress | None = None,
) -> Features | dict[int, Features]:
    """The features of one region.

    Parameters
    ----------
    image : Image
        [z, y, x] or [c, z, y, x], on any device. A 2D image has z = 1.
    mask : Mask
        On the image's grid.
    settings : Settings, optional
        Processing; default: no interpolation, bins 25 wide.
    label : int or str, or a list of them
        The region's label, or its name; a list is `extract_labels`.
    channel : int
        Of an image with channels; `extract_channels` takes several.
    progress : callable, optional
        Called with (done, total, what).

    Returns
    -------
    Features
        A mapping from name to float; for a list of labels, a dict of them by label.

    Raises
    ------
    GeometryError
        The mask is on another grid.
    InvalidArgument
        No such label; nothing left after interpolation or re-segmentation; NaN or infinite voxels in the region; more
        bins than memory holds. The message says what was found and what to change. NaN outside the region is harmless.
    TypeMismatch
        An array, tensor or path where an Image or a Mask is needed, or the two swapped.

    Warns
    -----
    UserWarning
        Where bins of a fixed width leave a region that isn't constant four grey levels or fewer, as the default width of
        25, meant for CT, does to PET in SUV.
    """
    if not isinstance(label, (int, str, np.integer)):
        return _labels(image, mask, settings, label, channel, progress)
    if not isinstance(channel, (int, np.integer)):
        raise TypeMismatch(f"channel is a number; got {channel!r}. Several: extract_channels(…, channels={channel!r})")
    features = _extract(image, mask, settings, label=label, channel=channel, progress=progress)
    _warn_of([features], image, mask, [channel])
    return features


_WITHOUT_LEVELS = {"morphology", "local_intensity", "intensity_statistics", "intensity_volume_histogram"}
_MORE_LEVELS = (
    "Texture and histogram features then say next to nothing: set a bin_width in the image's units, the same for all "
    "patients (for PET in SUV 0.5 is common: Leijenaar et al. 2015, doi 10.1038/srep11075), or bin_count=32"
)


def _arguments(image: Image, mask: Mask, settings: Any) -> Settings:
    _check.image(image)
    _check.mask(mask)
    if settings is None:
        return Settings()
    if not isinstance(settings, _core.Settings):
        hint = ": Settings(**settings)" if isinstance(settings, Mapping) else ""
        raise TypeMismatch(f"settings must be vesalius.radiomics.Settings; got {type(settings).__name__}{hint}")
    return settings if isinstance(settings, Settings) else _settings(settings.to_dict())


def _extract(
    image: Image,
    mask: Mask,
    settings: Settings | None = None,
    *,
    label: int | str = 1,
    channel: int = 0,
    progress: Callable[[int, int, str], None] | None = None,
) -> Features:
    settings = _arguments(image, mask, settings)
    number = mask.label_of(label) if isinstance(label, str) else label
    return Features(_core.extract(image, mask, settings, number, channel, progress))


def _few_levels(features: Features, image: Image, mask: Mask, channel: int = 0) -> str | None:
    """What to warn of where bins of a fixed width leave a region that isn't constant hardly any grey levels."""
    settings = features.settings
    if settings.bin_count is not None or not {row["family"] for row in features.rows} - _WITHOUT_LEVELS:
        return None
    if not image.tensor.is_floating_point() and settings.bin_width <= 1:
        return None  # whole numbers have no finer levels
    if "stat_min" in features.names:
        low, high = features["stat_min"], features["stat_max"]
    else:  # of the voxels as they came: near enough for a warning
        voxels, labels = (part.tensor for part in _image.crop_to_mask(image, mask, features.label, 0.0))
        inside = (voxels[channel] if voxels.ndim == 4 else voxels)[labels == features.label].double()
        if settings.resegment is not None:
            inside = inside.clamp(*settings.resegment)
        low, high = float(inside.min()), float(inside.max())
    start = low if settings.resegment is None else settings.resegment[0]
    first, last = ((value - start) // settings.bin_width for value in (low, high))
    levels = int(last - first) + 1
    if low == high or levels > 4:
        return None
    return (
        f"the intensities of label {features.label}, {low:.4g} to {high:.4g}, fall into {levels} grey level{'s' if levels > 1 else ''} "
        f"of bin_width={settings.bin_width:g} (bin_width={(high - low) / 32:.2g} would give about 32)"
    )


def _warn_of(every: Iterable[Features], image: Image, mask: Mask, channels: Iterable[int], stacklevel: int = 3) -> None:
    few = [text for f, channel in zip(every, channels, strict=True) if (text := _few_levels(f, image, mask, channel))]
    if few:
        more = f" (and {len(few) - 3} more)" if len(few) > 3 else ""
        warnings.warn(f"{'; '.join(few[:3])}{more}. {_MORE_LEVELS}", UserWarning, stacklevel=stacklevel)


def extract_labels(
    image: Image,
    mask: Mask,
    settings: Settings | None = None,
    *,
    labels: Iterable[int | str] | None = None,
    channel: int = 0,
    progress: Progress | None = None,
) -> dict[int, Features]:
    """The features of several labels of one mask, by label.

    The mask is searched once for all of them, surroundings that overlap are interpolated once, and all cores work. The
    values are those of `extract`, whatever the number of threads.

    Parameters
    ----------
    image, mask, settings, channel, progress
        As in `extract`.
    labels : iterable of int or str, optional
        Labels or their names; default: all that are present.

    Returns
    -------
    dict of int to Features

    Raises
    ------
    Error
        As `extract`, for the lowest label that fails.
    """
    return _labels(image, mask, settings, labels, channel, progress)


def _labels(
    image: Image,
    mask: Mask,
    settings: Settings | None,
    labels: Iterable[int | str] | None,
    channel: int,
    progress: Progress | None,
) -> dict[int, Features]:
    settings = _arguments(image, mask, settings)
    wanted = [mask.label_of(label) if isinstance(label, str) else int(label) for label in labels or ()]
    if labels is not None and not wanted:
        raise InvalidArgument("labels is empty; leave it out for all labels that the mask holds")
    found = _core.extract_labels(image, mask, settings, wanted, channel, progress)
    every = {label: Features(features) for label, features in found.items()}
    _warn_of(every.values(), image, mask, [channel] * len(every), stacklevel=4)
    return every


def extract_channels(
    image: Image,
    mask: Mask,
    settings: Settings | None = None,
    *,
    label: int | str = 1,
    channels: Iterable[int] | None = None,
    progress: Progress | None = None,
) -> dict[int, Features]:
    """The features of one region in each channel of an image [c, z, y, x]: RGB, or several sequences on one grid.

    Parameters
    ----------
    image, mask, settings, label, progress
        As in `extract`.
    channels : iterable of int, optional
        Counted from 0; default: all.

    Returns
    -------
    dict of int to Features
        By channel.
    """
    settings = _arguments(image, mask, settings)
    number = mask.label_of(label) if isinstance(label, str) else label
    found = _core.extract_channels(image, mask, settings, number, [int(c) for c in channels or ()], progress)
    every = {channel: Features(features) for channel, features in found.items()}
    _warn_of(every.values(), image, mask, every)
    return every


def extract_slices(
    image: Image,
    mask: Mask,
    settings: Settings | None = None,
    *,
    label: int | str = 1,
    channel: int = 0,
    progress: Progress | None = None,
) -> dict[int, Features]:
    """The features of each slice that has voxels of the label, each as a 2D image of its own.

    Parameters
    ----------
    image, mask, settings, label, channel, progress
        As in `extract`. ``resample`` keeps the slices: its first number is taken as 0.

    Returns
    -------
    dict of int to Features
        By the slice's index along z. ``pandas.DataFrame({z: f.to_series() for z, f in slices.items()}).T`` is a table.

    Raises
    ------
    Error
        As `extract`, for the first slice that fails.
    """
    settings = _arguments(image, mask, settings)
    number = mask.label_of(label) if isinstance(label, str) else label
    found = _core.extract_slices(image, mask, settings, number, channel, progress)
    return {z: Features(features) for z, features in found.items()}


def extract_study(
    study: Study,
    settings: Settings | None = None,
    *,
    image: str = "image",
    mask: str = "mask",
    label: int = 1,
    jobs: int | None = None,
    progress: bool = True,
    on_error: Literal["raise", "report"] = "raise",
) -> pd.DataFrame:
    """The features of every case of a study, each stored as soon as it is there.

    Cases that have features with these settings, made from the image and mask they hold now, are left alone: started
    again after a stop, it goes on where it was.

    Parameters
    ----------
    study : Study
        Open for writing.
    settings : Settings, optional
        As in `extract`.
    image, mask : str
        The names, in the study, of what to use.
    label : int
        In the mask.
    jobs : int, optional
        Cases at a time, in threads (the extraction runs without Python's lock), each on one core. Default: as many as
        torch uses. The results don't depend on it.
    progress : bool
        Show a bar.
    on_error : {"raise", "report"}
        "raise" raises after all cases were tried, if some failed; "report" puts the failures into
        ``attrs["failures"]`` of what is returned.

    Returns
    -------
    pandas.DataFrame
        The study's features with these settings, one row a case. ``attrs["seconds"]``: "wall", and "reading" and
        "extraction", summed over the threads.

    Raises
    ------
    ExtractionError
        Some cases failed: names them (`failures`); the others are stored.
    Cancelled
        Ctrl-C; what was finished is stored.

    Warns
    -----
    UserWarning
        Once, where cases have four grey levels or fewer; see `extract`.
    """
    from ._study import extract_study as run

    return run(study, settings, image=image, mask=mask, label=label, jobs=jobs, progress=progress, on_error=on_error)
