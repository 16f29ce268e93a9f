# SPDX-License-Identifier: Apache-2.0
"""Makes z-rad.json and mirp.json: what Z-Rad 26.9 and MIRP 2.7 say of IBSI's configurations D and E on the CT phantom.

    python make.py          # in an environment with z-rad==26.9.0, mirp==2.7.0; a few minutes

The tests read the files; they never run this.
"""

from __future__ import annotations

import json
import logging
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import SimpleITK as sitk

PHANTOM = Path(__file__).parents[1] / "ct_phantom"
HERE = Path(__file__).parent
AGGREGATIONS = {"3D_avg": "AVER", "3D_comb": "MERG"}


def phantom() -> tuple[sitk.Image, sitk.Image]:
    image, mask = (sitk.ReadImage(str(PHANTOM / f"{name}.nii.gz")) for name in ("image", "mask"))
    rounded = sitk.GetImageFromArray(np.round(sitk.GetArrayFromImage(image).astype(np.float32)).astype(np.float64))
    rounded.CopyInformation(image)
    return rounded, sitk.Cast(mask, sitk.sitkFloat64)


def z_rad(configuration: str) -> dict[str, float]:
    from zrad.image import Image
    from zrad.preprocessing import (
        ImageResampler,
        IntensityMaskBuilder,
        IVHIntensityDiscretizer,
        MaskResampler,
        Resegmenter,
        RoiData,
        TextureDiscretizer,
    )
    from zrad.radiomics import Radiomics

    e = configuration == "E"
    image, mask = (Image._from_sitk_image(i) for i in phantom())
    roi = RoiData(image=image, morphological_mask=mask)
    for step in (
        ImageResampler(2, method="bspline" if e else "linear", intensity_rounding="nearest_integer"),
        MaskResampler(2, method="linear", partial_volume_threshold=0.5),
        IntensityMaskBuilder(),
        Resegmenter(intensity_range=(-1000, 400) if e else None, outlier_range=3),
        TextureDiscretizer(number_of_bins=32),
        IVHIntensityDiscretizer("fixed_bin_number", number_of_bins=1000) if e else IVHIntensityDiscretizer("direct"),
    ):
        roi = step.apply(roi)
    out: dict[str, float] = {}
    for word, method in AGGREGATIONS.items():
        for name, value in Radiomics(aggr_dim="3D", aggr_method=method).extract_features(roi, families="all").items():
            # Ours: cm_contrast_3D_avg, cm_contrast (merged), szm_sze (3D).
            name = name.removesuffix("_3D_comb") if word == "3D_comb" else name
            out[name.removesuffix("_3D")] = float(value)
    return out


def mirp(configuration: str) -> dict[str, float]:
    from mirp import extract_features

    e = configuration == "E"
    out: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for name, image in zip(("image", "mask"), phantom(), strict=True):
            sitk.WriteImage(image, f"{folder}/{name}.nii.gz")
            paths.append(f"{folder}/{name}.nii.gz")
        frame = extract_features(
            image=paths[0],
            mask=paths[1],
            image_modality="ct",
            by_slice=False,
            no_approximation=True,
            new_spacing=2.0,
            spline_order=3 if e else 1,
            anti_aliasing=False,
            roi_spline_order=1,
            roi_interpolation_mask_inclusion_threshold=0.5,
            resegmentation_intensity_range=[-1000.0, 400.0] if e else None,
            resegmentation_sigma=3.0,
            base_feature_families="all",
            base_discretisation_method="fixed_bin_number",
            base_discretisation_n_bins=32,
            ivh_discretisation_method="fixed_bin_number" if e else "none",
            ivh_discretisation_n_bins=1000,
            glcm_spatial_method=["3d_average", "3d_volume_merge"],
            glrlm_spatial_method=["3d_average", "3d_volume_merge"],
            glszm_spatial_method="3d",
            gldzm_spatial_method="3d",
            ngtdm_spatial_method="3d",
            ngldm_spatial_method="3d",
        )[0]
    first = frame.columns.get_loc("morph_volume")
    for name, value in frame.iloc[0, first:].items():
        name = (
            name.removesuffix("_fbn_n32")
            .replace("_d1_a0.0", "")
            .replace("_d1", "")
            .replace("_a0.0", "")
            .replace("_a0", "")
        )
        name = name.replace("_3d_avg", "_3D_avg").replace("_3d_v_mrg", "")
        out[name.removesuffix("_3d")] = float(value)
    return out


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    for peer, run in (("z-rad", z_rad), ("mirp", mirp)):
        if len(sys.argv) > 1 and peer not in sys.argv[1:]:
            continue
        values = {c: {k: v for k, v in run(c).items() if np.isfinite(v)} for c in ("D", "E")}
        (HERE / f"{peer}.json").write_text(json.dumps(values, indent=0))
        print(peer, {c: len(v) for c, v in values.items()})
