# SPDX-License-Identifier: Apache-2.0
"""IBSI chapter 1: its images, configurations, reference values, and what agreement means."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np

import vesalius as vs

DATA = Path(__file__).parents[2] / "data" / "radiomics" / "ibsi1"
SLICES = ["2D_avg", "2D_comb", "2_5D_avg", "2_5D_comb"]
VOLUME = ["3D_avg", "3D_comb"]

#: Features that the manual defines without reference values, and which peers leave out.
WITHOUT_VALUES = {
    "morph_vol_dens_ombb",
    "morph_area_dens_ombb",
    "morph_vol_dens_mvee",
    "morph_area_dens_mvee",
    "ivh_auc",
}

#: configs.json as our settings.
_D = vs.radiomics.Settings(
    resample=(2, 2, 2), round_intensities=True, outlier_sigma=3, bin_count=32, aggregation=VOLUME
)
#: The two without reference values here.
CONFIGURATIONS_D_E = {
    "D": _D,
    "E": _D.replace(interpolation="cubic", resegment=(-1000, 400), ivh_bin_count=1000),
}
CONFIGURATIONS = {
    "digital_phantom": vs.radiomics.Settings(bin_width=1, aggregation=SLICES + VOLUME),
    "A": vs.radiomics.Settings(round_intensities=True, resegment=(-500, 400), bin_width=25, aggregation=SLICES),
    "B": vs.radiomics.Settings(
        resample=(0, 2, 2), round_intensities=True, resegment=(-500, 400), bin_count=32, aggregation=SLICES
    ),
    "C": vs.radiomics.Settings(
        resample=(2, 2, 2),
        round_intensities=True,
        resegment=(-1000, 400),
        bin_width=25,
        ivh_bin_width=2.5,
        aggregation=VOLUME,
    ),
}


def load(configuration: str) -> tuple[vs.Image, vs.Mask]:
    folder = DATA / ("digital_phantom" if configuration == "digital_phantom" else "ct_phantom")
    image, mask = nib.load(folder / "image.nii.gz"), nib.load(folder / "mask.nii.gz")
    # The published NIfTI holds HU as scaled floats: nearest whole numbers first (configs.json, nifti_note).
    voxels = np.round(np.asarray(image.dataobj, dtype=np.float32))
    labels = np.asarray(mask.dataobj).astype(np.uint8)
    return (
        vs.Image.from_nibabel(nib.Nifti1Image(voxels, image.affine)),
        vs.Mask.from_nibabel(nib.Nifti1Image(labels, mask.affine)),
    )


@dataclass(frozen=True)
class Reference:
    configuration: str
    tag: str
    code: str
    family: str
    title: str
    aggregation: str
    value: float
    tolerance: float
    consensus: str

    @property
    def column(self) -> str:
        return self.tag + ("" if self.aggregation in ("", "3D", "3D_comb") else f"_{self.aggregation}")

    @property
    def id(self) -> str:
        return f"{self.configuration}-{self.column}"

    def agrees(self, value: float) -> bool:
        """Within the tolerance, or equal at the three significant digits that the manual prints."""
        return abs(value - self.value) <= self.tolerance or float(f"{value:.3g}") == self.value


def references() -> list[Reference]:
    with (DATA / "reference.csv").open(newline="") as file:
        return [
            Reference(
                r["config"],
                r["tag"].removesuffix("_" + r["aggregation"]),
                r["ibsi_id"],
                r["family"],
                r["feature"],
                r["aggregation"],
                float(r["value"]),
                float(r["tolerance"] or 0),
                r["consensus"],
            )
            for r in csv.DictReader(file)
            if r["value"]  # a few have none in the manual
        ]


def diagnostics() -> dict[tuple[str, str], tuple[float, float]]:
    with (DATA / "diagnostics_reference.csv").open(newline="") as file:
        return {
            (r["config"], r["tag"]): (float(r["value"]), float(r["tolerance"] or 0))
            for r in csv.DictReader(file)
            if r["value"]
        }


def table(values: dict[str, vs.radiomics.Features]) -> str:
    """docs/ibsi.md. Four digits of ours: more would differ from machine to machine."""
    known = set(vs.radiomics.catalogue().index)
    lines = [
        "# Agreement with the IBSI's reference values",
        "",
        "Written by `tests/python/radiomics/test_ibsi.py`; do not edit. Reference values and tolerances are those of the IBSI 1 reference manual",
        "(arXiv:1612.07003v11). A value agrees if it is within the tolerance, or equal at the three digits that the manual prints.",
        "",
    ]
    summary, blocks = [], []
    for configuration, features in values.items():
        rows = [r for r in references() if r.configuration == configuration and r.tag in known]
        out = [r for r in rows if not r.agrees(features[r.column])]
        name = "Digital phantom" if configuration == "digital_phantom" else f"Configuration {configuration}"
        summary.append(f"| {name} | {len(rows)} | {len(rows) - len(out)} | {len(out)} |")
        blocks += [
            f"## {name}",
            "",
            "| feature | code | aggregation | reference | tolerance | Vesalius | consensus | verdict |",
            "| --- | --- | --- | --- | --- | --- | --- | --- |",
        ]
        for r in rows:
            value = features[r.column]
            verdict = "agrees" if r.agrees(value) else "**out**"
            blocks.append(
                f"| `{r.tag}` | {r.code} | {r.aggregation.replace('_5D', '.5D').replace('_', ' ')} | {r.value:g} | {r.tolerance:g} | {value:.4g} | {r.consensus} | {verdict} |"
            )
        blocks.append("")
    lines += ["| data | values | agree | out |", "| --- | --- | --- | --- |", *summary, "", *blocks]
    return "\n".join(lines)
