# SPDX-License-Identifier: Apache-2.0
"""IBSI's own checks of the processing steps (chapter 1, configurations B, C and E): image and mask after interpolation."""

import csv
from pathlib import Path

import nibabel as nib
import pytest

import vesalius as vs

IBSI = Path(__file__).parents[2] / "data" / "radiomics" / "ibsi1"


@pytest.fixture(scope="module")
def phantom():
    image = vs.Image.from_nibabel(nib.load(IBSI / "ct_phantom" / "image.nii.gz"))
    mask = vs.Mask.from_nibabel(nib.load(IBSI / "ct_phantom" / "mask.nii.gz"))
    return image.with_tensor(image.tensor.float().round()), mask


@pytest.fixture(scope="module")
def reference():
    with (IBSI / "diagnostics_reference.csv").open() as file:
        return {(row["config"], row["tag"]): (row["value"], float(row["tolerance"])) for row in csv.DictReader(file)}


@pytest.mark.parametrize(
    ("config", "spacing", "interpolation"), [("B", (0, 2, 2), "linear"), ("C", 2, "linear"), ("E", 2, "cubic")]
)
def test_interpolated_phantom(phantom, reference, config, spacing, interpolation):
    """Oracle: the consensus values of IBSI chapter 1 for the CT phantom (2D linear, 3D linear, 3D cubic spline)."""
    image = vs.image.resample(phantom[0], spacing, interpolation=interpolation).tensor.round()
    mask = vs.image.resample(phantom[1], spacing)
    inside = image[mask.select(1)]
    found = dict(zip((f"img_dim_{a}_interp_img" for a in "zyx"), image.shape, strict=True))
    found |= dict(zip((f"vox_dim_{a}_interp_img" for a in "zyx"), mask.spacing, strict=True))
    found |= dict(zip((f"int_mask_bb_dim_{a}_interp_roi" for a in "zyx"), vs.image.bounding_box(mask)[1], strict=True))
    found |= {
        "mean_int_interp_img": image.double().mean(),
        "min_int_interp_img": image.min(),
        "max_int_interp_img": image.max(),
    }
    found["int_mask_vox_count_interp_roi"] = inside.numel()
    found |= {
        "int_mask_mean_int_interp_roi": inside.double().mean(),
        "int_mask_min_int_interp_roi": inside.min(),
        "int_mask_max_int_interp_roi": inside.max(),
    }
    compared = 0
    for tag, value in found.items():
        if (config, tag) not in reference:
            continue
        text, tolerance = reference[config, tag]
        # Published to three significant digits, or as whole numbers; the tolerance comes on top of that rounding.
        rounding = 0.5 if abs(float(text)) >= 100 else 0.05
        assert abs(float(value) - float(text)) <= tolerance + rounding, (tag, float(value), text)
        compared += 1
    assert compared >= 13
