# SPDX-License-Identifier: Apache-2.0
"""One peer of the radiomics benchmark, in a Python of its own: started by radiomics.py, needs no Vesalius.

    python radiomics_peers.py --list
    python radiomics_peers.py PEER < cases.json

A case is {"name", "image", "mask" (NIfTI files), "labels", "repeat"}. For each, one JSON line: seconds of CPU from memory
and from files, the number of features, and the values that are compared. Peers run with one thread, all classes of the
original image, 32 bins, and on the image cropped to the region where that is up to the caller.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
import warnings
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

for name in (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS",
    "NUMBA_NUM_THREADS",
):
    os.environ[name] = "1"
sys.path[:] = [p for p in sys.path if os.path.abspath(p or ".") != os.path.dirname(os.path.abspath(__file__))]
PACKAGES = {
    "PyRadiomics": "pyradiomics",
    "Z-Rad": "z-rad",
    "flash-radiomics": "flash-radiomics",
    "nyxus": "nyxus",
    "MIRP": "mirp",
    "fastrad": "fastrad",
}
BINS = 32
Pair = tuple[Any, Any]


def box_of(mask: Any, label: int, margin: int) -> tuple[slice, ...]:
    import numpy as np

    where = [np.flatnonzero((mask == label).any(axis=tuple(b for b in range(3) if b != a))) for a in range(3)]
    return tuple(slice(max(int(w[0]) - margin, 0), min(int(w[-1]) + margin + 1, n)) for w, n in zip(where, mask.shape))


def cropped(image: Any, mask: Any, label: int, margin: int = 1) -> Pair:
    """Both around the label: what a user can do for any of them."""
    import SimpleITK as sitk

    z, y, x = box_of(sitk.GetArrayViewFromImage(mask), label, margin)
    return image[x, y, z], mask[x, y, z]


class Files:
    """A peer that takes the paths only has no time from memory."""

    memory: Callable[..., dict[str, float]] | None = None

    def files(self, image: str, mask: str, label: int) -> dict[str, float]:
        import SimpleITK as sitk

        assert self.memory is not None
        return self.memory(sitk.ReadImage(image), sitk.ReadImage(mask), label)


class PyRadiomics(Files):
    aliases = {
        "stat_mean": "original_firstorder_Mean",
        "stat_var": "original_firstorder_Variance",
        "cm_contrast_3D_avg": "original_glcm_Contrast",
        "rlm_sre_3D_avg": "original_glrlm_ShortRunEmphasis",
        "szm_z_perc": "original_glszm_ZonePercentage",
        "ngl_dc_var": "original_gldm_DependenceVariance",
        "ngt_coarseness": "original_ngtdm_Coarseness",
    }

    def __init__(self) -> None:
        from radiomics import featureextractor

        logging.getLogger("radiomics").setLevel(logging.ERROR)
        self.extractor = featureextractor.RadiomicsFeatureExtractor(binCount=BINS, additionalInfo=False)

    def memory(self, image: Any, mask: Any, label: int) -> dict[str, float]:
        return self.extractor.execute(*cropped(image, mask, label), label=label)


class FlashRadiomics(Files):
    aliases = PyRadiomics.aliases | {"dzm_sde": "original_gldzm_SmallDistanceEmphasis"}

    def __init__(self) -> None:
        os.environ.setdefault("FLASH_RADIOMICS_HDF5_DIR", "/dev/shm/flash_radiomics")  # it writes what it computes
        with open(os.devnull, "w") as nowhere:
            out, err, sys.stdout, sys.stderr = sys.stdout, sys.stderr, nowhere, nowhere
            import flash_radiomics.featureextractor as featureextractor

            logging.disable(logging.WARNING)
            self.extractor = featureextractor.RadiomicsFeatureExtractor(
                binCount=BINS, additionalInfo=False, segmentClassWorkers=1
            )
            self.extractor.enableAllScalarFeatures()
            sys.stdout, sys.stderr = out, err

    def memory(self, image: Any, mask: Any, label: int) -> dict[str, float]:
        return self.extractor.execute(*cropped(image, mask, label), label=label)


class ZRad(Files):
    aliases = {
        name: name + ("_3D" if name[:3] in ("szm", "dzm", "ngl", "ngt") else "")
        for name in ("morph_volume", "morph_moran_i", "stat_mean", "stat_var", "ivh_v10", "cm_contrast_3D_avg", "rlm_sre_3D_avg", "szm_z_perc", "dzm_sde", "ngl_dc_var", "ngt_coarseness")
    }  # fmt: skip

    def memory(self, image: Any, mask: Any, label: int) -> dict[str, float]:
        import math

        import SimpleITK as sitk
        from zrad.image import Image
        from zrad.preprocessing import IntensityMaskBuilder, IVHIntensityDiscretizer, RoiData, TextureDiscretizer
        from zrad.radiomics import Radiomics

        # Local intensity looks 6.2 mm around.
        image, mask = cropped(image, mask, label, margin=math.ceil(6.3 / min(image.GetSpacing())))
        roi = RoiData(
            image=Image._from_sitk_image(sitk.Cast(image, sitk.sitkFloat64)),
            morphological_mask=Image._from_sitk_image(sitk.Cast(mask == label, sitk.sitkFloat64)),
        )
        for step in (
            IntensityMaskBuilder(),
            TextureDiscretizer(number_of_bins=BINS),
            IVHIntensityDiscretizer("fixed_bin_number", number_of_bins=1000),
        ):
            roi = step.apply(roi)
        return Radiomics().extract_features(roi_data=roi, families="all")


class Mirp(Files):
    aliases = {
        "stat_mean": "stat_mean",
        "stat_var": "stat_var",
        "morph_volume": "morph_volume",
        "cm_contrast": "cm_contrast_d1_3d_v_mrg_fbn_n32",
        "szm_z_perc": "szm_z_perc_3d_fbn_n32",
        "dzm_sde": "dzm_sde_3d_fbn_n32",
        "ngt_coarseness": "ngt_coarseness_3d_fbn_n32",
    }

    def files(self, image: str, mask: str, label: int) -> dict[str, float]:
        from mirp import extract_features

        logging.disable(logging.WARNING)
        frame = extract_features(
            image=image,
            mask=mask,
            roi_name=str(label),
            by_slice=False,
            base_discretisation_method="fixed_bin_number",
            base_discretisation_n_bins=BINS,
            ivh_discretisation_method="fixed_bin_number",
            base_feature_families="all",
        )[0]
        first = frame.columns.get_loc("morph_volume")
        return {k: v for k, v in frame.iloc[0, first:].items() if k.split("_")[0] != "diag"}


class Nyxus(Files):
    aliases: dict[str, str] = {"stat_mean": "3MEAN"}  # its grey levels are its own

    def files(self, image: str, mask: str, label: int) -> dict[str, float]:
        from nyxus import Nyxus3D

        nyxus = Nyxus3D(["*3D_ALL*"], n_feature_calc_threads=1, ibsi=True, coarse_gray_depth=BINS)
        frame = nyxus.featurize_files([os.path.abspath(image)], [os.path.abspath(mask)], False)
        row = frame[frame["ROI_label"] == label].iloc[0]
        return {k: v for k, v in row.items() if k.startswith("3")}


class Fastrad(Files):
    aliases = {"stat_mean": "firstorder:mean"}  # fixed bin width only, its bins at multiples of it

    def memory(self, image: Any, mask: Any, label: int) -> dict[str, float]:
        import numpy as np
        import SimpleITK as sitk
        import torch
        from fastrad import FeatureExtractor, FeatureSettings, Mask, MedicalImage

        torch.set_num_threads(1)
        image, mask = cropped(image, mask, label)
        voxels = sitk.GetArrayFromImage(image).astype(np.float32)
        inside = sitk.GetArrayFromImage(mask) == label
        spacing = image.GetSpacing()[::-1]
        width = float(np.ptp(voxels[inside])) / BINS or 1.0
        settings = FeatureSettings(bin_width=width, device="cpu", spacing=spacing)
        return FeatureExtractor(settings).extract(
            MedicalImage(torch.from_numpy(voxels), spacing), Mask(torch.from_numpy(inside), spacing)
        )


PEERS: dict[str, type[Files]] = {
    "PyRadiomics": PyRadiomics,
    "Z-Rad": ZRad,
    "flash-radiomics": FlashRadiomics,
    "nyxus": Nyxus,
    "MIRP": Mirp,
    "fastrad": Fastrad,
}


def best(work: Callable[[], Any], repeat: int) -> tuple[float, Any]:
    """The least CPU seconds; one run only where that took long."""
    least, result = float("inf"), None
    for _ in range(repeat):
        start = time.process_time()
        result = work()
        least = min(least, time.process_time() - start)
        if least > 5:
            break
    return least, result


def main() -> None:
    if sys.argv[1] == "--list":
        found = {}
        for peer, package in PACKAGES.items():
            try:
                found[peer] = version(package)
            except PackageNotFoundError:
                continue
        print(json.dumps(found))
        return
    warnings.simplefilter("ignore")
    import SimpleITK as sitk

    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    answers, sys.stdout = sys.stdout, sys.stderr  # what a peer prints is not an answer
    peer = PEERS[sys.argv[1]]()
    for case in json.load(sys.stdin):
        answer: dict[str, Any] = {"case": case["name"]}
        try:
            labels = case["labels"]
            if peer.memory is not None:
                image, mask = sitk.ReadImage(case["image"]), sitk.ReadImage(case["mask"])
                answer["memory"], values = best(
                    lambda: [peer.memory(image, mask, label) for label in labels],
                    case["repeat"],  # type: ignore[misc]
                )
            if case["files"] or peer.memory is None:
                answer["files"], values = best(
                    lambda: [peer.files(case["image"], case["mask"], label) for label in labels], case["repeat"]
                )
            answer["features"] = len([k for k in values[0] if not k.startswith("diagnostics")])
            answer["values"] = {
                ours: float(values[0][theirs]) for ours, theirs in peer.aliases.items() if theirs in values[0]
            }
        except Exception as error:
            answer["error"] = f"{type(error).__name__}: {str(error)[:200]}"
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
