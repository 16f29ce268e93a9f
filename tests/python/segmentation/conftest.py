# SPDX-License-Identifier: Apache-2.0
"""A made-up dataset in nnU-Net's raw format, a tiny plan, and one run that several tests read."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import vesalius as vs
from vesalius import segmentation as seg

sys.path.insert(0, str(Path(__file__).parent))  # pytest's importlib mode doesn't

from tiny_training import HIPPOCAMPUS, SMALL

CHANNELS = ["MRI", "CT", "noNorm", "rescale_to_0_1"]


def _make_dataset(root: Path, *, spacing, labels=None, shape=(20, 40, 36), n=2, seed=0) -> seg.Dataset:
    """Smooth blobs in a zero border with a hole, several channels."""
    rng = np.random.default_rng(seed)
    for folder in ("imagesTr", "labelsTr"):
        (root / folder).mkdir(parents=True)
    for i in range(n):
        geometry = vs.Geometry(size=shape, spacing=spacing, origin=(1.0, 2.0, 3.0))
        z, y, x = np.meshgrid(*[np.linspace(-1, 1, m) for m in shape], indexing="ij")
        radius = np.sqrt(z**2 + (y - 0.1 * i) ** 2 + x**2)
        label = np.zeros(shape, np.int16)
        label[radius < 0.6] = 1
        label[radius < 0.3] = 2
        for c in range(len(CHANNELS)):
            voxels = (100 * (c + 1) * np.exp(-(radius**2)) + rng.normal(0, 5, shape)).astype(np.float32) + 1
            voxels[radius > 1.1] = 0
            voxels[shape[0] // 2, 5:8, 10:14] = 0
            vs.io.write_image(vs.Image(torch.from_numpy(voxels), geometry), root / "imagesTr" / f"c{i}_{c:04d}.nii.gz")
        vs.io.write_mask(vs.Mask(torch.from_numpy(label), geometry), root / "labelsTr" / f"c{i}.nii.gz")
    (root / "dataset.json").write_text(
        json.dumps(
            {
                "channel_names": {str(i): c for i, c in enumerate(CHANNELS)},
                "numTraining": n,
                "file_ending": ".nii.gz",
                **(labels or {"labels": {"background": 0, "outer": 1, "inner": 2}}),
            }
        )
    )
    return seg.open_dataset(root)


@pytest.fixture(scope="session")
def make_dataset() -> Callable[..., seg.Dataset]:
    return _make_dataset


@pytest.fixture(scope="session")
def plans() -> seg.Plans:
    """A tiny network, so that the tests take seconds."""
    data = seg.open_dataset(HIPPOCAMPUS, label_names=["anterior", "posterior"])
    text = json.loads(
        seg.plan(data, fingerprint=seg.fingerprint(data, foreground_samples=1000), preset="small").to_json()
    )
    config = text["configurations"]["3d_fullres"]
    config["patch_size"], config["batch_size"] = [16, 24, 16], 2
    network = config["architecture"]["arch_kwargs"]
    network.update(n_stages=3, features_per_stage=[4, 8, 8], kernel_sizes=[[3] * 3] * 3)
    network.update(strides=[[1] * 3, [2] * 3, [2] * 3], n_conv_per_stage=[1] * 3, n_conv_per_stage_decoder=[1] * 2)
    return seg.Plans.from_json(json.dumps(text))


@pytest.fixture(scope="session")
def reference(plans: seg.Plans, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of four epochs, never stopped; to be read only."""
    out = tmp_path_factory.mktemp("reference")
    seg.train(HIPPOCAMPUS, out=out, plans=plans, epochs=4, **SMALL)
    return out
