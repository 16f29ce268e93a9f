# SPDX-License-Identifier: Apache-2.0
"""Where the trainer's batches come from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch

from ..augmentation import Augmentation, AugmentationSettings
from ..planning import Configuration, LabelSet
from ..sampling import PatchSampler
from .cascade import AnyCase, previous_labels
from .settings import TrainingSettings

_VALIDATION_SEED = 0x5EED
_RANK_SEED = 0x9E3779B97F4A7C15  # each process draws its own patches


class Batches(Protocol):
    """What a sampler must offer: batch `index` as image [b, c, …], labels [b, …] (whole numbers), and the cases' positions."""

    def get(self, index: int) -> tuple[torch.Tensor, torch.Tensor, Sequence[int]]: ...


class ByEpoch:
    """A source ``batch(epoch, iteration)`` (or a function of both) of dicts, as `Batches`.

    ``{"image": [b, c, …], "label": [b, (1,) …], "keys": ids}``; of a list of labels (deep supervision) the first is taken.
    """

    def __init__(self, source: Any, iterations: int, ids: Sequence[str]) -> None:
        self.source = source
        self.call = source.batch if hasattr(source, "batch") else source
        self.iterations = iterations
        self.ahead: Any = None  # an iterator that makes batches ahead, where the source has one
        self.next = -1
        self.positions = {name: i for i, name in enumerate(ids)}

    def get(self, index: int) -> tuple[torch.Tensor, torch.Tensor, Sequence[int]]:
        batch = self._batch(index)
        image, label = batch["image"], batch["label"]
        label = label[0] if isinstance(label, (list, tuple)) else label
        if label.dim() == image.dim():
            label = label[:, 0]
        return image, label, [self.positions.get(str(k), -1) for k in batch.get("keys", ())]

    def _batch(self, index: int) -> Any:
        epoch, iteration = divmod(index, self.iterations)
        if not hasattr(self.source, "epochs"):
            return self.call(epoch, iteration)
        if index != self.next:
            if self.ahead is not None:
                self.ahead.close()
            self.ahead = self.source.epochs(epoch, 1 << 30, iterations=self.iterations, start=iteration)
        self.next = index + 1
        return next(self.ahead)


def make_batches(
    cases: Sequence[AnyCase],
    configuration: Configuration,
    labels: LabelSet,
    settings: TrainingSettings,
    *,
    training: bool,
    rank: int = 0,
    world: int = 1,
) -> Batches:
    """nnU-Net's patches of these cases, or what ``settings.sampler`` makes of them."""
    s, ids = settings, [case.id for case in cases]
    if s.sampler is not None:
        source = s.sampler(cases, training)
        return source if hasattr(source, "get") else ByEpoch(source, s.iterations, ids)
    chosen = (s.augmentation or AugmentationSettings()) if training else AugmentationSettings.none()
    masked = [i for i, m in enumerate(configuration.use_mask_for_norm) if m]
    previous = previous_labels(labels) if configuration.previous_stage else []
    patch = [int(n) for n in configuration.patch_size]
    augmentation = None
    if training or masked or previous:
        augmentation = Augmentation(chosen.replace(mask_channels=masked, previous_labels=previous), patch_size=patch)
    seed = (s.seed if training else s.seed ^ _VALIDATION_SEED) + _RANK_SEED * rank
    sampler = PatchSampler(
        cases,
        patch,
        max(1, configuration.batch_size // world),
        augmentation=augmentation,
        oversample_foreground=s.foreground,
        seed=seed & 0xFFFFFFFFFFFFFFFF,
        threads=max(1, s.threads),
        ignore_label=labels.ignore,
    )
    return ByEpoch(sampler, s.iterations if training else max(1, s.validation_iterations), ids)
