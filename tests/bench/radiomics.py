# SPDX-License-Identifier: Apache-2.0
"""Times feature extraction from memory, beside PyRadiomics where that is installed.

    python tests/bench/radiomics.py [--image x.nrrd --mask m.nrrd] [--repeat 5]

One thread each; wall and CPU seconds, the least of the repeats. CPU time is what to compare on a busy machine.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch

import vesalius as vs

DATA = Path(__file__).parents[1] / "data" / "radiomics"


def best(work: Callable[[], object], repeat: int) -> tuple[float, float]:
    wall, cpu = [], []
    for _ in range(repeat):
        w, c = time.perf_counter(), time.process_time()
        work()
        wall.append(time.perf_counter() - w)
        cpu.append(time.process_time() - c)
    return min(wall), min(cpu)


def sphere(radius: int) -> tuple[sitk.Image, sitk.Image]:
    z, y, x = np.ogrid[-radius - 2 : radius + 3, -radius - 2 : radius + 3, -radius - 2 : radius + 3]
    inside = (z * z + y * y + x * x <= radius * radius).astype(np.uint8)
    noise = np.random.default_rng(0).normal(0, 100, inside.shape).astype(np.float32)
    return sitk.GetImageFromArray(noise), sitk.GetImageFromArray(inside)


def cases(arguments: argparse.Namespace) -> dict[str, tuple[sitk.Image, sitk.Image]]:
    if arguments.image:
        return {Path(arguments.image).name: (sitk.ReadImage(arguments.image), sitk.ReadImage(arguments.mask))}
    files = {
        "brain1": ("pyradiomics/brain1_image.nrrd", "pyradiomics/brain1_label.nrrd"),
        "CT phantom": ("ibsi1/ct_phantom/image.nii.gz", "ibsi1/ct_phantom/mask.nii.gz"),
    }
    out = {name: tuple(sitk.ReadImage(str(DATA / f)) for f in pair) for name, pair in files.items()}
    return out | {f"sphere, radius {r}": sphere(r) for r in (10, 60)}  # type: ignore[return-value]


def pyradiomics(families: list[str]) -> Callable[[sitk.Image, sitk.Image], object] | None:
    here = str(Path(__file__).parent)
    sys.path[:] = [p for p in sys.path if p != here]  # this file is called radiomics, too
    try:
        from radiomics import featureextractor
    except ImportError:
        return None
    logging.getLogger("radiomics").setLevel(logging.ERROR)
    extractor = featureextractor.RadiomicsFeatureExtractor(binWidth=25, additionalInfo=False)
    extractor.disableAllFeatures()
    names = {"morphology": "shape", "intensity_statistics": "firstorder", "glcm": "glcm", "glrlm": "glrlm", "glszm": "glszm", "ngtdm": "ngtdm", "ngldm": "gldm"}
    for family in families:
        if family in names:
            extractor.enableFeatureClassByName(names[family])
    return extractor.execute


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image")
    parser.add_argument("--mask")
    parser.add_argument("--repeat", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    families = vs.radiomics.families()
    peer = pyradiomics(families)
    print(f"{len(vs.radiomics.catalogue())} features of {', '.join(families)}; PyRadiomics {'with the same families' if peer else 'is not installed'}")
    print(f"{'case':<20}{'voxels':>10}{'ours, wall':>12}{'CPU':>9}{'PyRadiomics, wall':>19}{'CPU':>9}{'ratio of CPU':>14}")
    settings = vs.radiomics.Settings(bin_width=25, aggregation="3D_avg")
    for name, (image, mask) in cases(arguments).items():
        ours = vs.Image.from_sitk(image), vs.Mask.from_sitk(sitk.Cast(mask, sitk.sitkUInt8))
        voxels = vs.radiomics.extract(*ours, settings).morphological_voxels
        wall, cpu = best(lambda ours=ours: vs.radiomics.extract(*ours, settings), arguments.repeat)  # type: ignore[misc]
        line = f"{name:<20}{voxels:>10}{wall:>12.4f}{cpu:>9.4f}"
        if peer:
            theirs_wall, theirs_cpu = best(lambda pair=(image, mask): peer(*pair), max(1, arguments.repeat // 3))  # type: ignore[misc]
            line += f"{theirs_wall:>19.3f}{theirs_cpu:>9.3f}{theirs_cpu / cpu:>13.0f}x"
        print(line)


if __name__ == "__main__":
    main()
