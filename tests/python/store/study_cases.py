# SPDX-License-Identifier: Apache-2.0
"""Small cases with voxels that a test can make again from a number."""

import hashlib
import os
import subprocess
import sys
import textwrap
from dataclasses import dataclass, field

import numpy as np
import torch

import vesalius as vs


def make_image(seed: int, shape=(4, 6, 5), **metadata: str) -> vs.Image:
    generator = torch.Generator().manual_seed(seed)
    c, s = np.cos(0.3), np.sin(0.3)
    return vs.Image(
        torch.rand(shape, generator=generator) * 10,
        spacing=(3.0, 0.7, 0.9),
        origin=(-10.5, seed, 7.25),
        direction=[[-1, 0, 0], [0, c, -s], [0, s, c]],
        metadata={"modality": "PT", **metadata},
    )


def make_mask(image: vs.Image, threshold: float = 5.0) -> vs.Mask:
    return vs.Mask((image.tensor > threshold).to(torch.uint8), image.geometry, names={1: "tumour"})


class FakeSettings:
    """What a study asks of settings."""

    def __init__(self, width: float = 25.0) -> None:
        self.width = width

    def to_yaml(self) -> str:
        return f"bin_width: {self.width}\n"

    def hash(self) -> str:
        return hashlib.sha256(self.to_yaml().encode()).hexdigest()


@dataclass
class FakeFeatures:
    """What a study asks of features."""

    names: list[str] = field(default_factory=lambda: ["stat_mean", "morph_volume"])
    codes: list[str] = field(default_factory=lambda: ["Q4LE", "RNU0"])
    values: np.ndarray = field(default_factory=lambda: np.array([1.5, 2.5]))
    settings: FakeSettings = field(default_factory=FakeSettings)


def fake_extract(image, mask, settings, *, label=1, progress=None):
    """Mean and volume, so that a result says which case it came from."""
    inside = image.tensor[mask.select(label)]
    return FakeFeatures(
        values=np.array([float(inside.double().mean()), inside.numel() * image.geometry.voxel_volume]),
        settings=settings,
    )


def fill(study: vs.Study, count: int, start: int = 0) -> None:
    for i in range(start, start + count):
        image = make_image(i)
        study.add(
            f"p{i:03}",
            image=image,
            mask=make_mask(image),
            clinical={"age": 50 + i, "sex": "F"},
            outcome={"time": 10.0 + i, "event": i % 2 == 0},
        )


def child(code: str, *arguments: object, first: str = "vesalius", **kw) -> subprocess.Popen:
    """Python in a process of its own, with the tests' helpers."""
    head = f"import sys; sys.path.insert(0, {os.path.dirname(__file__)!r})\nimport {first}\nimport vesalius as vs\nfrom study_cases import *\n"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    return subprocess.Popen(
        [sys.executable, "-c", head + textwrap.dedent(code), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        **kw,
    )
