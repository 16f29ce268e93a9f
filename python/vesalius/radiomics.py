# SPDX-License-Identifier: Apache-2.0
"""Radiomics features as the Image Biomarker Standardisation Initiative (IBSI) defines them.

>>> settings = vs.radiomics.Settings(resample=(1, 1, 1), resegment=(-1000, 400), bin_width=25)
>>> features = vs.radiomics.extract(image, mask, settings)
>>> features["morph_volume"], features["RNU0"], features["original_shape_MeshVolume"]   # one and the same

The standard: Zwanenburg et al., Radiology 2020;295:328-338, doi 10.1148/radiol.2020191145, and its reference
manual, arXiv:1612.07003v11; "section" in the catalogue is a section of that manual. docs/ibsi.md lists every
reference value beside ours.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from html import escape
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from . import _check, _radiomics_params
from ._extract_study import ExtractionError
from ._vesalius import image as _image
from ._vesalius import radiomics as _core
from .errors import InvalidArgument, TypeMismatch

if TYPE_CHECKING:
    import pandas as pd

    from ._vesalius.core import Image, Mask
    from .store import Study

__all__ = [
    "ExtractionError",
    "Features",
    "Settings",
    "catalogue",
    "columns",
    "extract",
    "extract_labels",
    "extract_study",
    "families",
    "find_feature",
]


class Settings(_core.Settings):
    """What happens to image and mask before features are computed, in the order of IBSI's processing scheme.

    Parameters
    ----------
    resample : (float, float, float), optional
        New spacing (z, y, x) in mm. 0 keeps an axis: ``(0, 2, 2)`` interpolates within slices. Default: as the image is.
    interpolation, mask_interpolation : {"nearest", "linear", "cubic"}
        Of the image and of the mask; ``cubic`` is the cubic B-spline.
    mask_threshold : float
        An interpolated mask is inside from here up (IBSI: 0.5).
    round_intensities : bool
        Round to whole numbers after interpolation; IBSI asks for it with CT.
    resegment : (float, float), optional
        Voxels with intensities outside [low, high] leave the intensity mask (the morphological mask stays).
    outlier_sigma : float, optional
        So do voxels further than this many standard deviations from the mean of the region (IBSI: 3).
    bin_width : float
        Fixed bin size, in units of the image. Bin 1 starts at ``resegment``'s low, else at the region's minimum.
    bin_count : int, optional
        Fixed number of bins between the region's minimum and maximum instead; takes precedence over ``bin_width``.
    ivh_bin_width, ivh_bin_count : optional
        Fixed bin size, or fixed number of bins, of the intensity-volume histogram. Default: whole-number intensities as
        they are (CT), else 1000 bins.
    aggregation : str or list of str
        How texture matrices become one value: "3D_comb" (merged), "3D_avg", "2D_avg", "2D_comb", "2_5D_avg",
        "2_5D_comb", or IBSI's codes IAZD, ITBB, BTW3, SUJT, JJUI, ZW7Z. Several give several sets of features.
    glcm_distances : list of int
        Chebyshev distances in voxels; each gives its own set of features.
    families : list of str
        Which families to compute (`families()` lists them); default all.

    Raises
    ------
    InvalidArgument
        For an unknown setting (with the nearest name), or, when used, for a value that makes no sense.
    """

    @classmethod
    def from_yaml(cls, text: str) -> Settings:
        """Settings from YAML text (`path.read_text()` for a file); what it doesn't name keeps its default."""
        if not isinstance(text, str) or text.strip().endswith((".yaml", ".yml")):
            raise TypeMismatch(
                f"from_yaml takes YAML text such as 'bin_width: 10'; for a file: from_yaml(pathlib.Path({str(text)!r}).read_text())"
            )
        return cls(**_core.Settings.from_yaml(text).to_dict())

    @classmethod
    def from_pyradiomics(cls, params: Any) -> Settings:
        """Settings that say the same as a PyRadiomics parameter file.

        Parameters
        ----------
        params : path or dict
            A YAML parameter file, or its content.

        Raises
        ------
        NotSupported
            Naming every entry that has no equivalent and would change the values (image filters, normalisation, …).

        Notes
        -----
        The definitions stay IBSI's. PyRadiomics puts bin edges at multiples of the bin width, IBSI at the lower end of
        the re-segmentation range or the region's minimum; PyRadiomics aligns grids by their corner, IBSI by the centre;
        its ``force2D`` is IBSI's 2.5D direction-merged aggregation ("2_5D_avg").
        """
        return cls(**_radiomics_params.convert(params))

    def replace(self, **changes: Any) -> Settings:
        """A copy with some fields changed."""
        return type(self)(**{**self.to_dict(), **changes})

    def __reduce__(self) -> tuple[Any, ...]:
        return _settings, (self.to_dict(),)


def _settings(fields: dict[str, Any]) -> Settings:
    return Settings(**fields)


class Features(Mapping[str, float]):
    """The features of one region: a mapping from name to value that also knows codes, units, settings.

    A key may be the column's name ("cm_joint_max"), IBSI's code ("GYBY") or PyRadiomics' name
    ("original_glcm_MaximumProbability"). Iteration gives the names.

    Attributes
    ----------
    names, codes, units : list of str
    values : numpy.ndarray
        float64; NaN where the standard defines no value, and then `reasons` says why.
    reasons : dict of str to str
    settings : Settings
        What the values were made with; `settings_hash` is its SHA-256.
    label : int
    morphological_voxels, intensity_voxels : int
        Voxels of the morphological mask (after interpolation) and of the intensity mask (after re-segmentation).
    """

    def __init__(self, core: _core.Features) -> None:
        if not isinstance(
            core, _core.Features
        ):  # torch's default_collate tries this, and makes a dict after a TypeError
            raise TypeMismatch(
                f"Features come from vesalius.radiomics.extract; they can't be made of a {type(core).__name__}"
            )
        rows = core.columns
        self.names = [name for name, _ in rows]
        self.rows = [row for _, row in rows]
        self.codes = [row["code"] for row in self.rows]
        self.units = [row["unit"] for row in self.rows]
        self.values: np.ndarray = np.asarray(core.values)  # type: ignore[assignment]  # an array, where Mapping has a method
        self.reasons = dict(core.reasons)
        self.settings = _settings(core.settings.to_dict())
        self.settings_hash = core.settings_hash
        self.label = core.label
        self.morphological_voxels = core.morphological_voxels
        self.intensity_voxels = core.intensity_voxels
        self._index = {name: i for i, name in enumerate(self.names)}

    def _find(self, key: object) -> int:
        if not isinstance(key, str):
            raise InvalidArgument(
                f"a feature is found by its name, IBSI code or PyRadiomics name; got {key!r}. By position: features.values[i]"
            )
        if key in self._index:
            return self._index[key]
        row = find_feature(key)  # raises for what no feature is called
        found = [i for i, r in enumerate(self.rows) if r["name"] == row["name"]]
        if len(found) == 1:
            return found[0]
        if not found:
            raise InvalidArgument(
                f'"{key}" ({row["title"]}) was not computed: add "{row["family"]}" to the setting "families"'
            )
        raise InvalidArgument(
            f'"{key}" was computed in several ways; say which: {", ".join(self.names[i] for i in found)}'
        )

    def __getitem__(self, key: str) -> float:
        try:
            return float(self.values[self._find(key)])
        except InvalidArgument as error:
            raise _MissingFeature(str(error)) from None

    def __contains__(self, key: object) -> bool:
        try:
            self._find(key)
        except InvalidArgument:
            return False
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def items(self) -> Any:
        return list(zip(self.names, self.values.tolist(), strict=True))

    def to_dict(self) -> dict[str, float]:
        """Values by name."""
        return dict(self.items())

    def to_series(self) -> pd.Series:
        """A pandas Series indexed by name."""
        import pandas as pd

        return pd.Series(self.values, index=self.names, name="value", dtype=float)

    def to_frame(self) -> pd.DataFrame:
        """One row a feature: value, unit, IBSI code, title, family, reason (for NaN); indexed by name."""
        import pandas as pd

        frame = pd.DataFrame(
            {
                "value": self.values,
                "unit": self.units,
                "code": self.codes,
                "title": [row["title"] for row in self.rows],
                "family": [row["family"] for row in self.rows],
                "reason": [self.reasons.get(name, "") for name in self.names],
            },
            index=self.names,
        )
        frame.index.name = "name"
        return frame

    def __repr__(self) -> str:
        return f"Features({len(self)} of label {self.label}, {self.morphological_voxels} voxels)"

    def _repr_html_(self) -> str:
        parts = [f"<p><b>{len(self)} features</b> of label {self.label}: {self.morphological_voxels} voxels</p>"]
        families: dict[str, list[int]] = {}
        for i, row in enumerate(self.rows):
            families.setdefault(row["family_title"], []).append(i)
        for title, indices in families.items():
            lines = []
            for i in indices:
                value = self.values[i]
                shown = (
                    f"{value:.6g}"
                    if np.isfinite(value)
                    else f"<i title='{escape(self.reasons.get(self.names[i], ''))}'>undefined</i>"
                )
                unit = "" if self.units[i] == "1" else escape(self.units[i])
                lines.append(
                    f"<tr><td>{escape(self.rows[i]['title'])}</td><td><code>{self.names[i]}</code></td>"
                    f"<td style='text-align:right'>{shown}</td><td>{unit}</td><td>{self.codes[i]}</td></tr>"
                )
            parts.append(
                f"<details><summary>{escape(title)} ({len(indices)})</summary><table>{''.join(lines)}</table></details>"
            )
        return "".join(parts)


class _MissingFeature(InvalidArgument, KeyError):
    """A key that no feature has: what a mapping must raise, and what the rest of Vesalius raises."""

    __str__ = Exception.__str__


def catalogue() -> pd.DataFrame:
    """Every feature that can be computed, one row each, indexed by name.

    Returns
    -------
    pandas.DataFrame
        code (IBSI), title, family, family_title, family_code, unit, aggregation (the words that apply), formula
        (LaTeX), reference (section of the IBSI 1 manual), pyradiomics (its name where it means the same).
    """
    import pandas as pd

    return pd.DataFrame(_core.catalogue()).set_index("name")


def families() -> list[str]:
    """The names of the families, for the setting of that name."""
    return _core.families()


def find_feature(name: str) -> dict[str, str]:
    """The catalogue's row of a feature, by IBSI tag, IBSI code or PyRadiomics name."""
    return _core.find_feature(name)


def columns(settings: Settings | None = None) -> list[str]:
    """The names of the features that `extract` will give with these settings, without extracting."""
    return [name for name, _ in _core.columns(settings or Settings())]


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
    from ._extract_study import extract_study as run

    return run(study, settings, image=image, mask=mask, label=label, jobs=jobs, progress=progress, on_error=on_error)


def _register_fake() -> None:
    """What torch.compile and FakeTensor need to know of our operators."""
    import torch

    @torch.library.register_fake("vesalius::glcm_counts")  # type: ignore[untyped-decorator]
    def _(levels: torch.Tensor, offsets: torch.Tensor, n_levels: int) -> torch.Tensor:
        return levels.new_empty((offsets.shape[0], n_levels, n_levels), dtype=torch.int64)


_register_fake()
