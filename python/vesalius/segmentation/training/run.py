# SPDX-License-Identifier: Apache-2.0
"""From a dataset to a bundle: check, plan, prepare, train folds, validate, write."""

from __future__ import annotations

import dataclasses
import json
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from ..._vesalius.core import Mask
from ...errors import InvalidArgument
from .._model import Model
from ..planning import (
    CachedCase,
    Dataset,
    Plans,
    check_dataset,
    load_case,
    open_dataset,
    plan,
    preprocess_dataset,
)
from ..planning import fingerprint as compute_fingerprint
from . import cascade, evaluate
from .bundles import write_bundle, write_postprocessing
from .processes import distributed, wait
from .reporting import Stages
from .splits import Groups, Splits
from .trainer import Trainer, TrainingSettings

#: What the presets change: the small plan has shorter epochs, so that a run of minutes has a schedule too, and AdamW, which
#: gets further in its few thousand steps than SGD with momentum 0.99.
SCHEDULES: dict[str, dict[str, Any]] = {
    "small": {
        "epochs": 100,
        "iterations": 100,
        "validation_iterations": 8,
        "optimizer": "adamw",
        "lr": 2e-3,
        "weight_decay": 1e-2,
    },
}


#: Findings that aren't fatal and yet say what the training can't do; the others are a matter of judgement.
_CONSEQUENTIAL = ("empty", "absent", "one_case", "count", "extra_channel", "constant")


def _write(path: Path, text: str) -> None:
    if int(os.environ.get("RANK", "0")) != 0:
        return
    part = path.with_suffix(path.suffix + ".part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)


def _usable(dataset: Dataset, out: Path, jobs: int, progress: Any) -> Dataset:
    """The dataset without its broken cases; what was found goes to problems.json and is warned of."""
    problems = check_dataset(dataset, jobs=jobs, progress=progress)
    _write(
        out / "problems.json",
        json.dumps([{"id": p.id, "kind": p.kind, "fatal": p.fatal, "message": p.message} for p in problems], indent=1),
    )
    broken = {p.id for p in problems if p.fatal and p.id}
    stop = [p.message for p in problems if p.fatal and not p.id]
    if stop:
        raise InvalidArgument(
            f"{dataset.root} can't be trained on: " + "; ".join(stop) + f". All findings: {out / 'problems.json'}"
        )
    listed = [c.id for c in dataset.cases if c.id not in broken]
    if broken:
        warnings.warn(
            f"{len(broken)} of {len(listed) + len(broken)} cases are broken and left out: "
            + "; ".join(f"{p.id or dataset.name}: {p.message}" for p in problems if p.fatal),
            stacklevel=3,
        )
    odd: dict[str, int] = {}
    for p in problems:
        if not p.fatal and p.kind in _CONSEQUENTIAL:
            warnings.warn(p.message, stacklevel=3)
        elif not p.fatal:
            odd[p.kind] = odd.get(p.kind, 0) + 1
    if odd:
        warnings.warn(
            "odd beside the other cases, and trained on all the same: "
            + ", ".join(f"{kind} ({n})" for kind, n in sorted(odd.items()))
            + f". What and where: {out / 'problems.json'}",
            stacklevel=3,
        )
    return dataset.subset(listed)


def train(
    dataset: Dataset | str | os.PathLike[str],
    *,
    out: str | os.PathLike[str],
    configuration: str | None = None,
    folds: Sequence[int | str] | int | str = (0,),
    preset: str = "plain",
    plans: Plans | None = None,
    epochs: int | None = None,
    minutes: float | None = None,
    device: str = "auto",
    seed: int = 0,
    jobs: int = 0,
    progress: bool = True,
    label_names: Sequence[str] = (),
    channels: Sequence[str] = (),
    splits: Any = None,
    groups: Groups | None = None,
    settings: TrainingSettings | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """Trains on a folder of images and labels, without a setting to touch, as nnU-Net v2 does.

    Called again with the same `out` it goes on where it stopped, with the weights of a run that never stopped.

    Parameters
    ----------
    dataset
        A folder (nnU-Net's raw format, or ``images/`` and ``labels/``) or a `Dataset`. Broken cases are reported, written to
        ``out/problems.json`` and left out.
    configuration : str, optional
        ``"2d"``, ``"3d_fullres"``, ``"3d_lowres"``, ``"3d_cascade_fullres"``; default: 3d_fullres where there is one. The cascade
        first trains what is missing of 3d_lowres, all five folds, each for as long: every case then goes into the second
        stage with what the fold says that didn't see it.
    folds
        Of five (nnU-Net's split), or ``"all"``. A list trains one after the other.
    preset, plans
        Of the planner (see `plan`), or plans made elsewhere.
    epochs, minutes
        The length: epochs (nnU-Net's 1000; small: 100), or as many as fit into these minutes for each fold.
    splits, groups : optional
        Instead of nnU-Net's random folds: its ``splits_final.json`` (or such a list of ``{"train": [...], "val": [...]}``), or the
        group of each case (a mapping, or a function of the id): cases of one person are never on both sides.
    device : "auto", "cpu", "cuda", "cuda:1"
    settings, changes
        A `TrainingSettings`, and its fields by name: ``lr=``, ``precision=``, ``pretrained=``, ``freeze=``, ``loss=``, ….

    Returns
    -------
    dict
        ``folds``: each fold's validation summary (Dice by class and case); ``bundle``: the folder of the model; ``mean_dice``.

    Raises
    ------
    InvalidArgument
        where nothing can be trained on; ConvergenceError where the loss is NaN (the last good checkpoint stays).
    """
    root = Path(out)
    root.mkdir(parents=True, exist_ok=True)
    rank, world = distributed()
    if rank != 0:
        wait(world)  # the first process prepares; the others then find it done
    if not isinstance(dataset, Dataset):
        dataset = open_dataset(dataset, label_names=label_names, channels=channels)
    every = [c.id for c in dataset.cases]
    folds_of = Splits.of_run(root, Splits.make(every, splits, groups), asked=splits is not None or groups is not None)
    bar = Stages(progress)
    data = _usable(dataset, root, jobs, bar.stage("checking"))
    if plans is None:
        print_ = compute_fingerprint(data, jobs=jobs, progress=bar.stage("fingerprint"))
        plans = plan(data, fingerprint=print_, preset=preset)
        _write(root / "fingerprint.json", print_.to_json())
    _write(root / "plans.json", plans.to_json())
    _write(root / "labels.json", data.labels.to_json())
    _write(root / "splits.json", folds_of.to_json())
    _write(root / "source.json", json.dumps({"name": data.name, "root": os.path.abspath(data.root)}))
    chosen = configuration or ("3d_fullres" if plans.has("3d_fullres") else "2d")
    previous = plans.configuration(chosen).previous_stage
    for name in [previous, chosen] if previous else [chosen]:
        folder = cascade.prepared(root, plans, name)
        preprocess_dataset(data, plans, name, folder, jobs=jobs, progress=bar.stage(f"preparing {name}"))
    bar.close()
    if rank == 0:
        wait(world)

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    base = settings or TrainingSettings(**SCHEDULES.get(preset, {}))
    changes = {**changes, "seed": seed, "minutes": minutes if minutes is not None else base.minutes}
    if epochs is not None:
        changes["epochs"] = epochs
    run = _Run(root, data, plans, folds_of, device, dataclasses.replace(base, **changes), progress, world)
    if previous:
        run.first_stage(previous, chosen)
    result: dict[str, Any] = {"configuration": chosen, "folds": {}}
    for fold in [folds] if isinstance(folds, (int, str)) else folds:
        trainer = run.trainer(chosen, fold)
        trainer.run()
        if rank == 0:
            result["folds"][str(fold)] = evaluate.validate_cases(trainer, data)
            first = root / previous / "bundle"
            stage = Model.load(first) if previous and (first / "plan.yaml").is_file() else None
            for folder in (root / chosen / "bundle", root / "bundle"):  # the second is the latest configuration's
                write_bundle(folder, trainer, fold, data.channels, previous=stage)
    if rank == 0 and result["folds"]:
        pooled = evaluate.read_summaries(root / chosen)
        result["mean_dice"], result["dice"] = pooled["mean_dice"], pooled["dice"]
        result["postprocessing"] = _postprocessing(root / chosen, data)
        result["bundle"] = str(root / "bundle")
        if (root / "bundle" / "plan.yaml").is_file():
            write_postprocessing(root / "bundle", result["postprocessing"])
        _write(
            root / chosen / "summary.json", json.dumps({**pooled, "postprocessing": result["postprocessing"]}, indent=1)
        )
    return result


@dataclasses.dataclass
class _Run:
    """What the folds of one call have in common."""

    root: Path
    data: Dataset
    plans: Plans
    splits: Splits
    device: str
    settings: TrainingSettings
    progress: bool
    world: int

    def cases(self, configuration: str, ids: Sequence[str]) -> list[cascade.AnyCase]:
        folder = cascade.prepared(self.root, self.plans, configuration)
        prepared = [CachedCase.open(str(folder), i) for i in ids]
        if not self.plans.configuration(configuration).previous_stage:
            return list(prepared)
        return [cascade.with_previous(case, cascade.between(self.root, self.plans, configuration)) for case in prepared]

    def trainer(self, configuration: str, fold: int | str, settings: TrainingSettings | None = None) -> Trainer:
        ids, held = self.splits.of([c.id for c in self.data.cases], fold)
        return Trainer(
            self.plans,
            configuration,
            self.data.labels,
            self.cases(configuration, ids),
            self.cases(configuration, held),
            self.root / configuration / f"fold_{fold}",
            device=self.device,
            settings=dataclasses.replace(settings or self.settings),
            progress=self.progress,
        )

    def first_stage(self, configuration: str, following: str) -> None:
        """Every fold of the low resolution: each case is predicted by the one that didn't see it."""
        settings = dataclasses.replace(self.settings, pretrained=None, freeze=())
        ids = [c.id for c in self.data.cases]
        between = cascade.between(self.root, self.plans, following)
        held_out = [self.splits.of(ids, fold)[1] for fold in range(self.splits.count(ids))]
        if lost := sorted(set(ids) - {i for held in held_out for i in held}):
            raise InvalidArgument(
                f"a cascade needs folds that hold out every case once; no fold holds out {', '.join(lost[:5])}"
            )
        for fold, held in enumerate(held_out):
            bundle = self.root / configuration / "bundle"
            if cascade.is_predicted(between, str(fold), held) and _has_fold(bundle, str(fold)):
                continue
            trainer = self.trainer(configuration, fold, settings)
            trainer.run()
            if trainer.rank == 0:
                evaluate.validate_cases(trainer, self.data)
                write_bundle(bundle, trainer, fold, self.data.channels)
                grid = [CachedCase.open(str(cascade.prepared(self.root, self.plans, following)), i) for i in held]
                cascade.predict_next_stage(trainer, grid, between)
            wait(self.world)


def _has_fold(bundle: Path, fold: str) -> bool:
    return (bundle / "plan.yaml").is_file() and fold in Model.load(bundle).weights


def _postprocessing(folder: Path, data: Dataset) -> list[list[int]]:
    from ...io import read_mask

    files = {c.id: c for c in data.cases}
    predictions, references = {}, {}
    for path in sorted(folder.glob("fold_*/validation/*.nii.gz")):
        name = path.name.removesuffix(".nii.gz")
        if name in files:
            mask = read_mask(path)
            assert isinstance(mask, Mask)
            _, reference = load_case(files[name])
            assert reference is not None
            predictions[name], references[name] = mask.tensor, reference
    return evaluate.learn_postprocessing(predictions, references, data.labels) if predictions else []


__all__ = ["SCHEDULES", "train", "write_bundle"]
