# SPDX-License-Identifier: Apache-2.0
"""The learning rate over epochs, and the folds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

#: nnU-Net's cross-validation.
FOLDS = 5


def poly_lr(initial: float, epoch: int, epochs: int, exponent: float = 0.9) -> float:
    """``initial * (1 - epoch / epochs) ** exponent``: nnU-Net's schedule, stepped every epoch."""
    return float(initial * (1 - epoch / epochs) ** exponent)


def set_lr(optimizer: torch.optim.Optimizer, factor: float) -> float:
    """Every group's learning rate is `factor` times what it started with. Returns the first group's."""
    for group in optimizer.param_groups:
        group["lr"] = group.setdefault("initial_lr", group["lr"]) * factor
    return float(optimizer.param_groups[0]["lr"])


def split(ids: Sequence[str], fold: int | str, *, folds: int = FOLDS, seed: int = 12345) -> tuple[list[str], list[str]]:
    """Training and validation cases of a fold, as nnU-Net splits: KFold(shuffle) with seed 12345 on the sorted ids.

    A fold beyond the last is a random 80:20 split with seed ``seed + fold``; ``"all"`` trains and validates on every case, as
    does a data set of one case. Fewer cases than folds: as many folds as cases.
    """
    names = sorted(ids)
    if fold == "all" or len(names) == 1:
        return names, names
    number = int(fold)
    folds = min(folds, len(names))
    if number < folds:
        order = np.arange(len(names))
        np.random.RandomState(seed).shuffle(order)
        sizes = np.full(folds, len(names) // folds)
        sizes[: len(names) % folds] += 1
        start = int(sizes[:number].sum())
        held = set(order[start : start + int(sizes[number])].tolist())
    else:
        random = np.random.RandomState(seed + number)
        order = random.choice(len(names), int(len(names) * 0.8), replace=False)
        held = set(range(len(names))) - set(order.tolist())
    return [n for i, n in enumerate(names) if i not in held], [n for i, n in enumerate(names) if i in held]
