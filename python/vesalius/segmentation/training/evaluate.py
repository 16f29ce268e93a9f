# SPDX-License-Identifier: Apache-2.0
"""Whole validation cases: measures on the original geometry, post-processing learnt from them, the best configuration."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..._vesalius.core import Mask
from ..._vesalius.image import largest_component
from ..planning import Dataset, LabelSet, load_case, restore

if TYPE_CHECKING:
    from .trainer import Trainer


def dice(prediction: torch.Tensor, reference: torch.Tensor, numbers: Sequence[int]) -> float:
    """Of a class or region; NaN where it is in neither."""
    values = torch.tensor(list(numbers), dtype=torch.int64)
    p, r = torch.isin(prediction.long(), values), torch.isin(reference.long(), values)
    total = int(p.sum()) + int(r.sum())
    return 2 * int((p & r).sum()) / total if total else math.nan


def overlap(logits: torch.Tensor, target: torch.Tensor, mask: torch.Tensor | None, labels: LabelSet) -> torch.Tensor:
    """[2, classes or regions] of a batch: voxels where prediction and reference agree, and the sum of both's sizes."""
    axes = [0, *range(2, logits.dim())]
    if labels.has_regions:
        predicted, reference = logits > 0, target > 0.5
    else:
        chosen = logits.argmax(1)
        keep = torch.ones_like(target, dtype=torch.bool) if labels.ignore is None else target != labels.ignore
        classes = range(1, logits.shape[1])
        predicted = torch.stack([(chosen == k) & keep for k in classes], 1)
        reference = torch.stack([(target == k) & keep for k in classes], 1)
    if mask is not None:
        predicted, reference = predicted & mask, reference & mask
    return torch.stack([(predicted & reference).sum(axes), predicted.sum(axes) + reference.sum(axes)]).double().cpu()


def summarise(cases: Mapping[str, Sequence[float]], names: Sequence[str]) -> dict[str, Any]:
    """Means over cases (without NaN), of each class and of all foreground."""
    table = np.array([list(v) for v in cases.values()], dtype=float).reshape(len(cases), len(names))
    known = ~np.isnan(table)
    counts = known.sum(0)
    sums = np.where(known, table, 0).sum(0)
    means = [float(s / c) if c else math.nan for s, c in zip(sums, counts, strict=True)]
    foreground = [m for m in means if not math.isnan(m)]
    return {
        "mean_dice": sum(foreground) / len(foreground) if foreground else math.nan,
        "dice": dict(zip(names, means, strict=True)),
        "cases": {k: dict(zip(names, v, strict=True)) for k, v in cases.items()},
    }


def measure(predicted: torch.Tensor, reference: torch.Tensor, labels: LabelSet) -> list[float]:
    """Dice of each class or region; what nobody annotated counts nowhere."""
    if labels.ignore is not None:
        predicted = torch.where(reference == labels.ignore, torch.zeros_like(predicted), predicted)
    return [dice(predicted, reference, numbers) for numbers in labels.foreground()]


def validate_cases(trainer: Trainer, dataset: Dataset, *, write: bool = True) -> dict[str, Any]:
    """Predicts each validation case as a user would, writes the masks, and measures them against the label files."""
    from ...io import write_mask

    labels: LabelSet = trainer.labels
    folder = trainer.folder / "validation"
    folder.mkdir(parents=True, exist_ok=True)
    files = {c.id: c for c in dataset.cases}
    found: dict[str, list[float]] = {}
    for item in trainer.validation:
        mask = restore(trainer.logits(item), item.trace, labels)
        assert isinstance(mask, Mask)
        _, reference = load_case(files[item.id])
        assert reference is not None
        found[item.id] = measure(mask.tensor, reference, labels)
        if write:
            write_mask(mask, folder / f"{item.id}.nii.gz")
    summary = summarise(found, labels.foreground_names())
    (folder / "summary.json").write_text(json.dumps(summary, indent=1), encoding="utf-8")
    return summary


def keep_largest(labels: torch.Tensor, numbers: Sequence[int]) -> torch.Tensor:
    """`labels` where the numbers, taken together, keep their largest component (26 neighbours) only."""
    from ..._vesalius.core import Geometry

    chosen = torch.isin(labels.long(), torch.tensor(list(numbers)))
    if not bool(chosen.any()):
        return labels
    mask = Mask(chosen.to(torch.uint8), Geometry(size=tuple(labels.shape)))
    kept = largest_component(mask, 1, 26).tensor != 0
    return torch.where(chosen & ~kept, torch.zeros_like(labels), labels)


def learn_postprocessing(
    predictions: Mapping[str, torch.Tensor], references: Mapping[str, torch.Tensor], labels: LabelSet
) -> list[list[int]]:
    """nnU-Net's rule on cross-validation: groups of numbers whose largest component alone is kept, in order.

    First all foreground together: taken when the mean Dice of the classes rises and none falls. Then each class or region by
    itself: taken when its own Dice rises and none falls.
    """
    classes = labels.foreground()
    everything = sorted({n for c in classes for n in c})
    steps: list[list[int]] = []
    current = dict(predictions)

    def means(maps: Mapping[str, torch.Tensor]) -> np.ndarray:
        table = np.array([[dice(maps[k], references[k], c) for c in classes] for k in maps])
        known = ~np.isnan(table)
        return np.asarray(np.where(known, table, 0).sum(0) / np.maximum(known.sum(0), 1))

    before = means(current)
    for k, numbers in enumerate([everything, *classes]):
        if k > 0 and numbers == everything and steps:
            continue
        trial = {name: keep_largest(map_, numbers) for name, map_ in current.items()}
        after = means(trial)
        rises = after.mean() > before.mean() if k == 0 else after[k - 1] > before[k - 1]
        if rises and bool((after >= before).all()):
            steps.append(list(numbers))
            current, before = trial, after
    return steps


def best_configuration(
    scores: Mapping[str, float], ensembles: Mapping[tuple[str, str], float] | None = None
) -> tuple[str, ...]:
    """The configuration, or pair to average, with the highest mean foreground Dice on cross-validation; a single one wins
    ties."""
    ranked: list[tuple[float, int, tuple[str, ...]]] = [(s, 0, (name,)) for name, s in scores.items()]
    ranked += [(s, -1, tuple(pair)) for pair, s in (ensembles or {}).items()]
    return max(ranked, key=lambda r: (r[0], r[1]))[2]


def read_summaries(folder: Path) -> dict[str, Any]:
    """The folds' summaries of one configuration, pooled over all cases."""
    cases: dict[str, list[float]] = {}
    names: list[str] = []
    for path in sorted(folder.glob("fold_*/validation/summary.json")):
        summary = json.loads(path.read_text(encoding="utf-8"))
        names = list(summary["dice"])
        cases.update({k: list(v.values()) for k, v in summary["cases"].items()})
    return summarise(cases, names) if cases else {}
