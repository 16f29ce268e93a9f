# SPDX-License-Identifier: Apache-2.0
"""nnU-Net's cascade: what the low-resolution stage says of a case becomes channels of the full-resolution network.

In training it comes from the fold that didn't see the case: its logits are resampled to the second stage's grid (linearly, as
nnunetv2's ``resample_and_save``) and made labels there. They are augmented apart from the image (random morphology, removed
components: `AugmentationSettings.previous_labels`), so that the second stage doesn't learn to copy them.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from ..._vesalius import segmentation as _c
from ...errors import FormatError
from ..planning import CachedCase, LabelSet, Plans, PreprocessTrace

if TYPE_CHECKING:
    from .trainer import Trainer


@dataclasses.dataclass(frozen=True)
class CascadeCase:
    """A prepared case with the stage before's labels (int16 [z, y, x]) on its grid."""

    case: CachedCase
    previous: torch.Tensor

    @property
    def id(self) -> str:
        return self.case.id

    @property
    def image(self) -> torch.Tensor:
        return self.case.image

    @property
    def labels(self) -> torch.Tensor:
        return self.case.labels

    @property
    def trace(self) -> PreprocessTrace:
        return self.case.trace

    @property
    def classes(self) -> list[list[int]]:
        return self.case.classes

    @property
    def locations(self) -> list[torch.Tensor]:
        return self.case.locations


AnyCase = CachedCase | CascadeCase


def prepared(root: Path, plans: Plans, configuration: str) -> Path:
    """Where a run keeps a configuration's prepared cases."""
    return root / "preprocessed" / plans.configuration(configuration).data_identifier


def between(root: Path, plans: Plans, configuration: str) -> Path:
    """Where the stage before `configuration` says what it sees, on this one's grid."""
    return root / plans.configuration(configuration).previous_stage / "predicted_next_stage" / configuration


def previous_labels(labels: LabelSet) -> list[int]:
    """The numbers that become channels, in order: every label, also where regions are learnt."""
    return [n for n in labels.values() if n != 0]


def network_input(case: AnyCase, labels: LabelSet) -> torch.Tensor:
    """What a network sees of a whole case: float32 [c (+ one for each label of the stage before), z, y, x]."""
    if isinstance(case, CachedCase):
        return case.image
    hot = [(case.previous == n).float() for n in previous_labels(labels)]
    return torch.cat([case.image, torch.stack(hot)])


def labels_on_grid(
    logits: torch.Tensor, shape: Sequence[int], spacing: Sequence[float], labels: LabelSet
) -> torch.Tensor:
    """Labels int16 of `shape` from logits [k, z, y, x] of another resolution, class by class.

    nnunetv2 2.8 decides by `spacing`, the logits' own, whether an axis is so coarse that it is resampled by the nearest.
    """
    own = (float(spacing[0]), float(spacing[1]), float(spacing[2]))
    grid = (int(shape[0]), int(shape[1]), int(shape[2]))
    axis = _c.separate_axis(own, own)
    out = torch.zeros(grid, dtype=torch.int16)
    if labels.has_regions:
        for k, value in enumerate(labels.regions_class_order):
            out[_c.resample_image_to(logits[k : k + 1], grid, 1, axis)[0] > 0] = value
        return out
    best = _c.resample_image_to(logits[:1], grid, 1, axis)[0]
    for k in range(1, logits.shape[0]):
        here = _c.resample_image_to(logits[k : k + 1], grid, 1, axis)[0]
        wins = here > best
        out[wins] = k
        best = torch.where(wins, here, best)
    return out


def predict_next_stage(trainer: Trainer, cases: Sequence[CachedCase], folder: Path) -> None:
    """What a trained fold says of its validation cases, on the grid of `cases`, the next stage's: ``folder/<id>.npy``."""
    folder.mkdir(parents=True, exist_ok=True)
    grids = {case.id: case.labels.shape for case in cases}
    for item in trainer.validation:
        found = labels_on_grid(trainer.logits(item), grids[item.id], item.trace.new_spacing, trainer.labels)
        part = folder / f"{item.id}.part"
        with open(part, "wb") as file:
            np.save(file, found.numpy())
        os.replace(part, folder / f"{item.id}.npy")
    done = {"epochs": trainer.epoch, "cases": sorted(item.id for item in trainer.validation)}
    part = folder / f"{trainer.folder.name}.part"
    part.write_text(json.dumps(done), encoding="utf-8")
    os.replace(part, folder / f"{trainer.folder.name}.json")


def is_predicted(folder: Path, fold: str, ids: Sequence[str]) -> bool:
    """Whether a fold's predictions for the next stage are there, for just these cases."""
    try:
        done = json.loads((folder / f"fold_{fold}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(done.get("cases") == sorted(ids)) and all((folder / f"{i}.npy").is_file() for i in ids)


def with_previous(case: CachedCase, folder: Path) -> CascadeCase:
    """The case with what the stage before said of it, mapped from its file."""
    path = folder / f"{case.id}.npy"
    try:
        previous = torch.from_numpy(np.load(path, mmap_mode="c", allow_pickle=False))
    except (OSError, ValueError) as why:
        raise FormatError(
            f"{path} is no prediction of the stage before: {why}. Delete {folder}, it is made again"
        ) from why
    if previous.shape != case.labels.shape or previous.dtype != torch.int16:
        raise FormatError(
            f"{path} has {tuple(previous.shape)} voxels of {previous.dtype}, its case {tuple(case.labels.shape)} of int16. "
            f"Delete {folder}, it is made again"
        )
    return CascadeCase(case, previous)
