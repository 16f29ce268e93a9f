# SPDX-License-Identifier: Apache-2.0
"""CPU seconds of nnU-Net's augmentation list per sample, 205³ → 128³ on one thread: Vesalius, batchgeneratorsv2, MONAI.

The mean over the random choices (the same number of samples each, interleaved), and each step by itself for ours.

    OMP_NUM_THREADS=1 python tests/bench/augmentation.py [samples] [--no-monai]
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable

import numpy as np
import torch

import vesalius as vs
from vesalius.segmentation import augmentation as aug

PATCH = (128, 128, 128)


def case() -> tuple[torch.Tensor, torch.Tensor]:
    n = 205
    generator = torch.Generator().manual_seed(0)
    image = torch.nn.functional.avg_pool3d(torch.randn(1, n, n, n, generator=generator), 3, 1, 1) * 5
    z, y, x = torch.meshgrid(*[torch.linspace(-1, 1, n)] * 3, indexing="ij")
    radius = torch.sqrt(z**2 + y**2 + x**2) + 0.1 * torch.sin(9 * x)
    label = (radius < 0.5).short() + (radius < 0.25).short()
    return image, label[None].contiguous()


def batchgenerators() -> Callable[[torch.Tensor, torch.Tensor], None]:
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    limit = math.radians(30)
    transforms = nnUNetTrainer.get_training_transforms(
        np.array(PATCH), (-limit, limit), None, (0, 1, 2), False, use_mask_for_norm=[False]
    )
    return lambda image, label: transforms(image=image.clone(), segmentation=label.clone())


def monai() -> Callable[[torch.Tensor, torch.Tensor], None]:
    from monai import transforms as t

    limit = math.radians(30)
    list_ = t.Compose(
        [
            t.RandAffined(
                ["image", "label"], prob=0.36, rotate_range=(limit,) * 3, scale_range=((-0.3, 0.4),) * 3,
                spatial_size=PATCH, mode=("bilinear", "nearest"), padding_mode="zeros",
            ),
            t.RandGaussianNoised("image", prob=0.1, std=0.1),
            t.RandGaussianSmoothd("image", prob=0.1, sigma_x=(0.5, 1), sigma_y=(0.5, 1), sigma_z=(0.5, 1)),
            t.RandScaleIntensityd("image", prob=0.15, factors=0.25),
            t.RandAdjustContrastd("image", prob=0.15, gamma=(0.75, 1.25)),
            t.RandSimulateLowResolutiond("image", prob=0.125, zoom_range=(0.5, 1.0)),
            t.RandAdjustContrastd("image", prob=0.1, gamma=(0.7, 1.5), invert_image=True, retain_stats=True),
            t.RandAdjustContrastd("image", prob=0.3, gamma=(0.7, 1.5), retain_stats=True),
            *[t.RandFlipd(["image", "label"], prob=0.5, spatial_axis=axis) for axis in range(3)],
        ]
    )  # fmt: skip
    return lambda image, label: list_({"image": image.clone(), "label": label.clone()})


def mean_seconds(work: dict[str, Callable[[int], object]], samples: int) -> dict[str, tuple[float, float]]:
    times: dict[str, list[float]] = {name: [] for name in work}
    for one in work.values():
        one(0)
    for i in range(samples):
        for name, one in work.items():
            start = time.process_time()
            one(i)
            times[name].append(time.process_time() - start)
    return {name: (float(np.mean(t)), float(np.std(t) / math.sqrt(samples))) for name, t in times.items()}


def steps(image: torch.Tensor, label: torch.Tensor) -> dict[str, float]:
    patch = image[:, :128, :128, :128].contiguous()
    angles = (0.3, -0.2, 0.4)
    work = {
        "crop and mirror": lambda: aug.spatial(image, label, patch_size=PATCH, mirror_axes=(0, 2)),
        "rotate image": lambda: aug.spatial(image, patch_size=PATCH, angles=angles),
        "rotate label": lambda: aug.spatial(label=label, patch_size=PATCH, angles=angles),
        "noise": lambda: aug.gaussian_noise(patch, 0.1, seed=1),
        "blur": lambda: aug.gaussian_blur(patch, 0.9),
        "brightness": lambda: aug.brightness(patch, 1.1),
        "contrast": lambda: aug.contrast(patch, 1.1),
        "low resolution": lambda: aug.low_resolution(patch, 0.7),
        "gamma": lambda: aug.gamma(patch, 1.2),
    }
    out = {}
    for name, one in work.items():
        best = math.inf
        for _ in range(4):
            start = time.process_time()
            one()
            best = min(best, time.process_time() - start)
        out[name] = best
    return out


def main() -> None:
    torch.set_num_threads(1)
    samples = next((int(a) for a in sys.argv[1:] if a.isdigit()), 40)
    image, label = case()
    augment = aug.Augmentation(patch_size=PATCH)
    assert augment.initial_patch_size == tuple(image.shape[1:])
    bg2 = batchgenerators()
    work: dict[str, Callable[[int], object]] = {
        "vesalius": lambda i: augment(image, label, seed=0, index=i),
        "batchgeneratorsv2": lambda _: bg2(image, label),
    }
    if "--no-monai" not in sys.argv:
        other = monai()
        work["monai"] = lambda _: other(image, label)
    np.random.seed(0)  # noqa: NPY002  (the peer draws from it)
    torch.manual_seed(0)
    result = mean_seconds(work, samples)
    print(
        f"vesalius {vs.__version__}, {samples} samples, CPU seconds per sample on one thread (205³ → 128³, one channel)"
    )
    for name, (mean, error) in result.items():
        print(f"  {name:18s} {mean:.4f} ± {error:.4f}   {mean / result['vesalius'][0]:5.1f} ×")
    each = steps(image, label)
    print("ours, step by step (best of 4, a copy included)")
    for name, seconds in each.items():
        print(f"  {name:18s} {seconds:.4f}")
    print(json.dumps({"samples": samples, "seconds": result, "steps": each}))


if __name__ == "__main__":
    main()
