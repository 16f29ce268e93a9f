# SPDX-License-Identifier: Apache-2.0
"""`Settings`: what happens before features are computed."""

from __future__ import annotations

from typing import Any

from .._vesalius import radiomics as _core
from ..errors import TypeMismatch
from . import _pyradiomics


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
        return cls(**_pyradiomics.convert(params))

    def replace(self, **changes: Any) -> Settings:
        """A copy with some fields changed."""
        return type(self)(**{**self.to_dict(), **changes})

    def __reduce__(self) -> tuple[Any, ...]:
        return _settings, (self.to_dict(),)


def _settings(fields: dict[str, Any]) -> Settings:
    return Settings(**fields)
