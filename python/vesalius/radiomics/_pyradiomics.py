# SPDX-License-Identifier: Apache-2.0
"""PyRadiomics' parameters as ours."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import FormatError, InvalidArgument, NotSupported

_INTERPOLATORS = {
    "sitkNearestNeighbor": "nearest",
    "sitkLinear": "linear",
    "sitkBSpline": "cubic",
    1: "nearest",
    2: "linear",
    3: "cubic",
}
_FAMILIES = {"firstorder": ["intensity_statistics", "intensity_histogram"], "shape": ["morphology"]}
# Entries without influence on what is computed here (`label` and the like are arguments of `extract`).
_WITHOUT_EFFECT = {
    "label",
    "label_channel",
    "additionalInfo",
    "enableCExtensions",
    "geometryTolerance",
    "correctMask",
    "preCrop",
    "padDistance",
    "minimumROIDimensions",
    "minimumROISize",
    "voxelArrayShift",
    "symmetricalGLCM",
    "gldm_a",
    "distances",
    "kernelRadius",
}


def _read(params: Any) -> Mapping[str, Any]:
    if isinstance(params, Mapping):
        return params
    path = Path(params)
    try:
        import yaml
    except ImportError as error:
        raise ImportError(
            "reading a PyRadiomics parameter file needs PyYAML (pip install pyyaml); or pass its content as a dict"
        ) from error
    try:
        content = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise FormatError(f"{path} is not YAML: {error}") from error
    if not isinstance(content, Mapping):
        raise FormatError(f"{path} is no PyRadiomics parameter file: a mapping with 'setting' is expected")
    return content


def _resegment(setting: dict[str, Any], problems: list[str]) -> dict[str, Any]:
    limits = setting.pop("resegmentRange", None)
    mode = setting.pop("resegmentMode", "absolute")
    if setting.pop("resegmentShape", False):
        problems.append("resegmentShape: re-segmentation never changes the morphological mask (IBSI 1, section 2.6)")
    if limits is None:
        return {}
    if mode == "sigma" and len(limits) == 2 and limits[0] == -limits[1]:
        return {"outlier_sigma": float(limits[1])}
    if mode == "absolute" and len(limits) == 2:
        return {"resegment": [float(limits[0]), float(limits[1])]}
    problems.append(f"resegmentRange {limits} with resegmentMode {mode!r}: use resegment=(low, high) or outlier_sigma")
    return {}


def _resample(setting: dict[str, Any], problems: list[str]) -> dict[str, Any]:
    spacing = setting.pop("resampledPixelSpacing", None)
    interpolator = setting.pop("interpolator", "sitkBSpline")
    if spacing is None or not any(spacing):
        return {}
    if interpolator not in _INTERPOLATORS:
        problems.append(f"interpolator {interpolator!r}: there are nearest, linear and cubic (sitkBSpline)")
        return {}
    # PyRadiomics resamples masks by nearest neighbour whatever the image's interpolator.
    return {
        "resample": [float(s) for s in reversed(spacing)],
        "interpolation": _INTERPOLATORS[interpolator],
        "mask_interpolation": "nearest",
    }


def _families(params: Mapping[str, Any]) -> dict[str, Any]:
    from .._vesalius import radiomics as core

    classes = params.get("featureClass")
    if not classes:
        return {}
    wanted = [family for name in classes for family in _FAMILIES.get(name, [name])]
    unknown = [name for name in wanted if name not in core.families()]
    if unknown:
        raise NotSupported(
            f"PyRadiomics' feature classes {', '.join(unknown)} have no counterpart here; there are the families {', '.join(core.families())}"
        )
    for name, chosen in classes.items():
        if chosen:
            names = [f"original_{name}_{feature}" for feature in chosen]
            known = {row["pyradiomics"] for row in core.catalogue()}
            missing = [n for n in names if n not in known]
            if missing:
                raise NotSupported(
                    f"no feature here means the same as PyRadiomics' {', '.join(missing)}; families are computed whole: leave the list empty and choose from the result"
                )
    return {"families": wanted}


def convert(params: Any) -> dict[str, Any]:
    """Keyword arguments for Settings; raises NotSupported with every entry that can't be said."""
    content = _read(params)
    setting = dict(
        content.get("setting", content if "featureClass" not in content and "imageType" not in content else {}) or {}
    )
    problems: list[str] = []
    out: dict[str, Any] = {"bin_width": 25.0}
    out |= _resample(setting, problems)
    out |= _resegment(setting, problems)
    if (count := setting.pop("binCount", None)) is not None:
        out["bin_count"] = int(count)
    if (width := setting.pop("binWidth", None)) is not None:
        out["bin_width"] = float(width)
    if (distances := setting.pop("distances", None)) is not None and list(distances) != [1]:
        problems.append(
            f"distances {distances}: PyRadiomics pools distances; here glcm_distances gives each its own features"
        )
    if setting.pop("force2D", False):
        if setting.pop("force2Ddimension", 0) != 0:
            problems.append("force2Ddimension: slices are along axis 0 (z); reorient the image first")
        out["aggregation"] = ["2_5D_avg"]
    else:
        # PyRadiomics averages the features of the 13 directions.
        out["aggregation"] = ["3D_avg"]
        setting.pop("force2Ddimension", None)
    if setting.pop("normalize", False):
        problems.append("normalize: scale the image yourself before extract, (image - mean) / std * normalizeScale")
    for name in ("normalizeScale", "removeOutliers"):
        setting.pop(name, None)
    if (weighting := setting.pop("weightingNorm", None)) is not None:
        problems.append(f"weightingNorm {weighting!r}: distance weighting is not offered (the IBSI advises against it)")
    if setting.pop("symmetricalGLCM", True) is False:
        problems.append("symmetricalGLCM false: IBSI's matrix is symmetric by definition")
    if setting.pop("voxelArrayShift", 0):
        problems.append("voxelArrayShift: IBSI's energy has no shift; add it to the image")
    images = content.get("imageType") or {"Original": {}}
    if others := [name for name in images if name != "Original"]:
        problems.append(f"imageType {', '.join(others)}: filter the image first and pass the result to extract")
    if content.get("voxelSetting"):
        problems.append("voxelSetting: voxel-based maps are not offered")
    if unknown := [name for name in setting if name not in _WITHOUT_EFFECT]:
        problems.append(f"unknown: {', '.join(unknown)}")
    if problems:
        raise NotSupported("these PyRadiomics parameters have no equivalent:\n- " + "\n- ".join(problems))
    if out.get("bin_count", 1) < 1:
        raise InvalidArgument(f"binCount must be at least 1; it is {out['bin_count']}")
    return out | _families(content)
