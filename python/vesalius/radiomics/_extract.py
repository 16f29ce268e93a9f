# SPDX-License-Identifier: Apache-2.0
"""Extraction of one region, of the labels of a mask, of a study."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from .. import _check
from .._vesalius import image as _image
from .._vesalius import radiomics as _core
from ..errors import TypeMismatch
from ._features import Features
from ._settings import Settings, _settings

if TYPE_CHECKING:
    import pandas as pd

    from .._vesalius.core import Image, Mask
    from ..store import Study


def extract(
    image: Image,
    mask: Mask,
    settings: Settings | None = None,
    *,
    label: int | str = 1,
    channel: int = 0,
    progress: Callable[[int, int, str], None] | None = None,
) -> Features:
    """The features of one region.

    Parameters
    ----------
    image : Image
        [z, y, x] or [c, z, y, x], on any device. A 2D image has z = 1.
    mask : Mask
        On the image's grid.
    settings : Settings, optional
        Processing; default: no interpolation, bins 25 wide.
    label : int or str
        The region's label, or its name.
    channel : int
        Of an image with channels.
    progress : callable, optional
        Called with (done, total, what).

    Returns
    -------
    Features
        A mapping from name to float.

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
    features = _extract(image, mask, settings, label=label, channel=channel, progress=progress)
    if few := _few_levels(features, image, mask, channel):
        warnings.warn(f"{few}. {_MORE_LEVELS}", UserWarning, stacklevel=2)
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


def extract_labels(
    image: Image,
    mask: Mask,
    settings: Settings | None = None,
    *,
    labels: Iterable[int] | None = None,
    channel: int = 0,
    progress: Callable[[int, int, str], None] | None = None,
) -> dict[int, Features]:
    """The features of several labels of one mask, by label; of all that are present by default."""
    found = _core.extract_labels(image, mask, _arguments(image, mask, settings), list(labels or []), channel, progress)
    every = {label: Features(features) for label, features in found.items()}
    if few := [text for features in every.values() if (text := _few_levels(features, image, mask, channel))]:
        warnings.warn(f"{'; '.join(few)}. {_MORE_LEVELS}", UserWarning, stacklevel=2)
    return every


def extract_study(
    study: Study,
    settings: Settings | None = None,
    *,
    image: str = "image",
    mask: str = "mask",
    label: int = 1,
    jobs: int = 1,
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
    jobs : int
        Cases at a time, in threads (the extraction runs without Python's lock). The results don't depend on it.
    progress : bool
        Show a bar.
    on_error : {"raise", "report"}
        "raise" raises after all cases were tried, if some failed; "report" puts the failures into
        ``attrs["failures"]`` of what is returned.

    Returns
    -------
    pandas.DataFrame
        The study's features with these settings, one row a case.

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
