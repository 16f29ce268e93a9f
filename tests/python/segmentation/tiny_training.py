# SPDX-License-Identifier: Apache-2.0
"""What the tests of training share: five real cases, settings that train in seconds, weights compared bit for bit."""

from pathlib import Path

import torch
from safetensors.torch import load_file

HIPPOCAMPUS = Path(__file__).parents[2] / "data" / "segmentation" / "hippocampus"
SMALL = {
    "label_names": ["anterior", "posterior"],
    "preset": "small",
    "iterations": 2,
    "validation_iterations": 1,
    "mirror_in_validation": False,
    "figures": False,
    "precision": "fp32",
    "progress": False,
    "threads": 2,
}


def weights(out: Path) -> dict[str, torch.Tensor]:
    return {k.split("/", 1)[1]: v for k, v in load_file(out / "bundle" / "weights.safetensors").items()}


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)
