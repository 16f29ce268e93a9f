# SPDX-License-Identifier: Apache-2.0
"""Datasets, fingerprint, plans and preprocessing: nnU-Net v2's self-configuration.

Source of the method: Isensee et al. 2021, doi 10.1038/s41592-020-01008-z, as nnunetv2 2.8 does it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from .. import _check
from .._vesalius import segmentation as _c
from .._vesalius.core import Image, Mask
from .._vesalius.segmentation import (
    CachedCase,
    Configuration,
    Dataset,
    DatasetCase,
    Fingerprint,
    LabelSet,
    Plans,
    PreprocessPlan,
    PreprocessTrace,
    Problem,
)
from ..errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Callable

    Progress = Callable[[int, int, str], None] | None

__all__ = [
    "CachedCase",
    "Configuration",
    "Dataset",
    "DatasetCase",
    "Fingerprint",
    "LabelSet",
    "Plans",
    "PreprocessPlan",
    "PreprocessTrace",
    "Problem",
    "check_dataset",
    "fingerprint",
    "load_case",
    "open_dataset",
    "plan",
    "preprocess",
    "preprocess_dataset",
    "restore",
]


def open_dataset(
    folder: str | os.PathLike[str], *, label_names: Sequence[str] = (), channels: Sequence[str] = ()
) -> Dataset:
    """The dataset in a folder.

    Parameters
    ----------
    folder
        nnU-Net's raw format (``dataset.json``, ``imagesTr``, ``labelsTr``), or a folder with ``images/`` and ``labels/``
        that hold files of the same names.
    label_names
        Of the labels 1, 2, … in a plain pair of folders; without them every number that is in at least 5 % of the label
        maps is a class.
    channels
        The channel's name in a plain pair; it decides the normalisation: ``"CT"``, ``"noNorm"``, ``"rescale_to_0_1"``,
        ``"rgb_to_0_1"``; anything else is z-scored.

    Raises
    ------
    IoError, FormatError
    """
    return Dataset.open(os.fspath(folder), label_names=list(label_names), channels=list(channels))


def _dataset(dataset: Dataset | str | os.PathLike[str]) -> Dataset:
    return dataset if isinstance(dataset, Dataset) else open_dataset(dataset)


def check_dataset(
    dataset: Dataset | str | os.PathLike[str], *, jobs: int = 0, progress: Progress = None
) -> list[Problem]:
    """Everything that is wrong with a dataset; reads every voxel once.

    Returns
    -------
    list of Problem
        `.id` (the case), `.kind`, `.message`, `.fatal`. Kinds: ``unreadable``, ``shape``, ``geometry``, ``nan``, ``labels``
        (numbers that the dataset doesn't name), ``channels``, ``missing_label``, ``missing_image``, ``missing_channel``,
        ``duplicate``, ``constant``, ``empty``, ``absent``, ``one_case``, ``no_cases``, ``no_classes``, ``count``,
        ``extra_channel``. Odd beside the other cases, never fatal: ``label_type`` (floats), ``header``, ``islands``, ``volume``,
        ``intensity``, ``orientation``, ``spacing``, ``outside`` (labels on empty image), ``same_labels``, ``near_duplicate``.
    """
    return list(_c.check_dataset(_dataset(dataset), jobs, progress))


def load_case(case: DatasetCase) -> tuple[Image, torch.Tensor | None]:
    """Image float32 [c, z, y, x] and labels int16 [z, y, x] (None without a label file)."""
    image, labels = _c.load_case(case)
    return image, labels


def fingerprint(
    dataset: Dataset | str | os.PathLike[str],
    *,
    jobs: int = 0,
    foreground_samples: int = 100_000_000,
    progress: Progress = None,
) -> Fingerprint:
    """Sizes, spacings and intensities of a dataset, equal to nnU-Net v2's, its random draws included."""
    return _c.fingerprint(_dataset(dataset), jobs, progress, foreground_samples)


_fingerprint = fingerprint  # plan's argument has the same name


def plan(
    dataset: Dataset | str | os.PathLike[str],
    *,
    fingerprint: Fingerprint | None = None,
    preset: str = "plain",
    memory_gb: float | None = None,
    spacing: tuple[float, float, float] | None = None,
    progress: Progress = None,
) -> Plans:
    """The networks and their data for a dataset.

    Parameters
    ----------
    fingerprint : Fingerprint, optional
        Computed when not given.
    preset : {"plain", "resenc_m", "resenc_l", "resenc_xl", "small"}
        nnU-Net's default planner, its residual-encoder presets, or a small plain U-Net for two CPU cores (16 features,
        at most 128; a 32nd of the budget).
    memory_gb : float, optional
        The budget of GPU memory; default 8 (plain, M), 24 (L), 40 (XL), 0.25 (small).
    spacing : (z, y, x) mm, optional
        Instead of the median.

    Raises
    ------
    InvalidArgument
    """
    data = _dataset(dataset)
    if fingerprint is None:
        fingerprint = _fingerprint(data, progress=progress)
    labels = len(data.labels.labels) + (data.labels.ignore is not None)
    return _c.plan(fingerprint, data.name, data.channels, labels, len(data.cases), preset, memory_gb, spacing)


def preprocess(
    image: Image, plan: PreprocessPlan, labels: Mask | torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor | None, PreprocessTrace]:
    """Transposed, cropped to nonzero, normalised, resampled: what a network sees.

    Returns
    -------
    image float32 [c, z, y, x], labels int16 [z, y, x] or None (-1 outside the nonzero mask), and the trace for `restore`.

    Raises
    ------
    InvalidArgument
        for another number of channels than planned, and NaN or infinite voxels.
    """
    _check.image(image)
    if isinstance(labels, Mask):
        labels = labels.tensor
    return _c.preprocess_image(image, plan, labels)


def restore(
    logits: torch.Tensor, trace: PreprocessTrace, labels: LabelSet, *, probabilities: bool = False
) -> Mask | Image:
    """A network's output [classes, z, y, x] on the geometry of the image as given: a Mask, or with `probabilities` an Image
    [classes, z, y, x]. Works row by row: nothing of classes × the image's size is held for a Mask."""
    if probabilities:
        return _c.restore_probabilities(logits, trace, labels)
    return _c.restore_labels(logits, trace, labels)


def preprocess_dataset(
    dataset: Dataset,
    plans: Plans,
    configuration: str,
    folder: str | os.PathLike[str],
    *,
    jobs: int = 0,
    progress: Progress = None,
) -> int:
    """Prepares the cases that aren't in `folder` yet, or whose files changed; returns how many. A killed run leaves
    whole cases only; the next one goes on."""
    if not dataset.cases:
        raise InvalidArgument(f"the dataset {dataset.name} has no cases")
    return int(_c.preprocess_dataset(dataset, PreprocessPlan(plans, configuration), os.fspath(folder), jobs, progress))
