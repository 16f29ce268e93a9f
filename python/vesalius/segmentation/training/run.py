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
from ..._vesalius.segmentation import NetworkPlan
from ...errors import Error, InvalidArgument
from .._model import Model
from ..networks import Network
from ..planning import (
    CachedCase,
    Dataset,
    Plans,
    check_dataset,
    open_dataset,
    plan,
    preprocess_dataset,
)
from ..planning import fingerprint as compute_fingerprint
from . import evaluate, schedule
from .trainer import Trainer, TrainingSettings, distributed

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
    for p in problems:
        if not p.fatal:
            warnings.warn(p.message, stacklevel=3)
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
        ``"2d"``, ``"3d_fullres"``, ``"3d_lowres"``; default: 3d_fullres where there is one.
    folds
        Of five (nnU-Net's split), or ``"all"``. A list trains one after the other.
    preset, plans
        Of the planner (see `plan`), or plans made elsewhere.
    epochs, minutes
        The length: epochs (nnU-Net's 1000; small: 100), or as many as fit into these minutes for each fold.
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
        torch.distributed.barrier()  # the first process prepares; the others then find it done
    if not isinstance(dataset, Dataset):
        dataset = open_dataset(dataset, label_names=label_names, channels=channels)
    bar = _Progress(progress)
    data = _usable(dataset, root, jobs, bar.stage("checking"))
    if plans is None:
        print_ = compute_fingerprint(data, jobs=jobs, progress=bar.stage("fingerprint"))
        plans = plan(data, fingerprint=print_, preset=preset)
        _write(root / "fingerprint.json", print_.to_json())
    _write(root / "plans.json", plans.to_json())
    _write(root / "labels.json", data.labels.to_json())
    chosen = configuration or ("3d_fullres" if plans.has("3d_fullres") else "2d")
    prepared = root / "preprocessed" / plans.configuration(chosen).data_identifier
    preprocess_dataset(data, plans, chosen, prepared, jobs=jobs, progress=bar.stage("preparing"))
    bar.close()
    if world > 1 and rank == 0:
        torch.distributed.barrier()

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    base = settings or TrainingSettings(**SCHEDULES.get(preset, {}))
    changes = {**changes, "seed": seed, "minutes": minutes if minutes is not None else base.minutes}
    if epochs is not None:
        changes["epochs"] = epochs
    base = dataclasses.replace(base, **changes)
    wanted = [folds] if isinstance(folds, (int, str)) else list(folds)
    result: dict[str, Any] = {"configuration": chosen, "folds": {}}
    trainer = None
    for fold in wanted:
        ids, held = schedule.split([c.id for c in data.cases], fold)
        trainer = Trainer(
            plans,
            chosen,
            data.labels,
            [CachedCase.open(str(prepared), i) for i in ids],
            [CachedCase.open(str(prepared), i) for i in held],
            root / chosen / f"fold_{fold}",
            device=device,
            settings=dataclasses.replace(base),
            progress=progress,
        )
        trainer.run()
        if trainer.rank == 0:
            result["folds"][str(fold)] = evaluate.validate_cases(trainer, data)
            write_bundle(root / "bundle", trainer, fold, data.channels)
    if trainer is not None and trainer.rank == 0:
        pooled = evaluate.read_summaries(root / chosen)
        result["mean_dice"], result["dice"] = pooled["mean_dice"], pooled["dice"]
        result["postprocessing"] = _postprocessing(root / chosen, data)
        result["bundle"] = str(root / "bundle")
        if (root / "bundle" / "plan.yaml").is_file():
            _postprocessed(root / "bundle", result["postprocessing"])
        _write(
            root / chosen / "summary.json", json.dumps({**pooled, "postprocessing": result["postprocessing"]}, indent=1)
        )
    return result


def _postprocessing(folder: Path, data: Dataset) -> list[list[int]]:
    from ...io import read_mask
    from ..planning import load_case

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


def write_bundle(folder: Path, trainer: Trainer, fold: int | str, channels: Sequence[str] | None = None) -> None:
    """The model as a bundle (`vesalius.segmentation.Model`): plan.yaml, weights.safetensors with every fold trained so far, card.md.

    No code and no pickle is in it. A network of one's own (``settings.network``) has no plan: of it only the weights are written.
    """
    name = str(fold)
    weights = {k: v.detach().cpu().contiguous() for k, v in trainer.network.state_dict().items()}
    if not isinstance(trainer.network, Network):
        from safetensors.torch import save_file

        folder.mkdir(parents=True, exist_ok=True)
        save_file({f"fold_{name}/{k}": v for k, v in weights.items()}, folder / "weights.safetensors")
        return
    names = list(channels or [f"channel {i}" for i in range(len(trainer.configuration.normalisation))])
    plan = NetworkPlan.from_plans(trainer.plans, trainer.configuration.name, trainer.labels, names)
    spec = trainer.network.spec.replace(deep_supervision=False).to_dict()
    plan = plan.replace(**{"network" if k == "kind" else f"network_{k}": v for k, v in spec.items()}, folds=[name])
    every = {name: weights}
    if (folder / "plan.yaml").is_file():
        try:
            before = Model.load(folder)
        except Error:
            before = None
        known = before.plan if before is not None else None
        if (
            before is not None
            and isinstance(known, NetworkPlan)
            and known.replace(folds=[name], keep_largest=[]) == plan
        ):
            every = dict(sorted({**before.weights, name: weights}.items()))
    Model(plan.replace(folds=list(every)), every, card=_card(trainer)).save(folder)


def _postprocessed(folder: Path, steps: list[list[int]]) -> None:
    """The bundle with what cross-validation found about largest components."""
    model = Model.load(folder)
    assert isinstance(model.plan, NetworkPlan)
    plan = model.plan.replace(keep_largest=[" ".join(str(n) for n in step) for step in steps])
    Model(plan, model.weights, card=model.card).save(folder)


def _card(trainer: Trainer) -> str:
    last = trainer.history[-1] if trainer.history else {}
    names = trainer.labels.foreground_names()
    lines = [
        f"# {trainer.plans.dataset_name}",
        "",
        f"{trainer.configuration.name}, {type(trainer.network).__name__}, trained by Vesalius on {len(trainer.cases)} cases, {trainer.epoch} epochs of "
        f"{trainer.settings.iterations} iterations. Labels: {', '.join(names)}.",
        "",
        "Not a medical device. Validate it on your own data before use.",
    ]
    if last:
        lines += [
            "",
            "Dice of validation patches in the last epoch: "
            + ", ".join(f"{n} {d:.3f}" for n, d in zip(names, last["dice"], strict=True))
            + ".",
        ]
    return "\n".join(lines) + "\n"


class _Progress:
    """One tqdm bar after the other for the steps before training."""

    def __init__(self, enabled: bool) -> None:
        self.enabled = enabled and int(os.environ.get("RANK", "0")) == 0
        self.bar: Any = None

    def stage(self, name: str) -> Any:
        self.close()
        if not self.enabled:
            return None
        from tqdm.auto import tqdm

        self.bar = tqdm(desc=name, unit="case")

        def report(done: int, total: int, what: str) -> None:
            self.bar.total = total
            self.bar.update(done - self.bar.n)

        return report

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None
