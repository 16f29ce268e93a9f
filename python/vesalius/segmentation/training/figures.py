# SPDX-License-Identifier: Apache-2.0
"""Figures of a training: curves, and validation cases with their contours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch


def curves(history: list[dict[str, Any]], names: list[str], path: Path) -> None:
    """Losses and validation Dice over epochs."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    epochs = [h["epoch"] + 1 for h in history]
    left.plot(epochs, [h["loss"] for h in history], label="training")
    left.plot(epochs, [h["validation_loss"] for h in history], label="validation")
    left.set(xlabel="epoch", ylabel="loss")
    left.legend(frameon=False)
    for k, name in enumerate(names):
        right.plot(epochs, [h["dice"][k] for h in history], label=name)
    right.set(xlabel="epoch", ylabel="Dice of validation patches", ylim=(0, 1))
    right.legend(frameon=False)
    _save(figure, path)


def case(image: torch.Tensor, labels: torch.Tensor, prediction: torch.Tensor, title: str, path: Path) -> None:
    """The slice with most labelled voxels: reference solid, prediction dashed."""
    from matplotlib.figure import Figure

    reference, predicted = labels.clamp(min=0).numpy(), prediction.numpy()
    z = int(np.argmax((reference > 0).sum((1, 2)) + (predicted > 0).sum((1, 2))))
    figure = Figure(figsize=(4, 4), layout="constrained")
    axes = figure.subplots()
    axes.imshow(image[0, z].numpy(), cmap="gray")
    for k in range(1, int(max(reference.max(), predicted.max())) + 1):
        for mask, style in ((reference[z] == k, "solid"), (predicted[z] == k, "dashed")):
            if mask.any() and not mask.all():
                axes.contour(mask, [0.5], colors=[f"C{(k - 1) % 10}"], linestyles=style, linewidths=1)
    axes.set_title(f"{title}\nreference solid, prediction dashed", fontsize=8)
    axes.set_axis_off()
    _save(figure, path)


def _save(figure: Any, path: Path) -> None:
    part = path.with_suffix(".part.png")
    figure.savefig(part, dpi=110)
    part.replace(path)
