# SPDX-License-Identifier: Apache-2.0
"""What a training leaves for users: a bundle."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..._vesalius.segmentation import NetworkPlan
from ...errors import Error
from .._model import Model
from ..networks import Network
from .trainer import Trainer


def write_bundle(
    folder: Path,
    trainer: Trainer,
    fold: int | str,
    channels: Sequence[str] | None = None,
    *,
    previous: Model | None = None,
) -> None:
    """The model as a bundle (`vesalius.segmentation.Model`): plan.yaml, weights.safetensors with every fold trained so far, card.md.

    No code and no pickle is in it. A network of one's own (``settings.network``) has no plan: of it only the weights are written.
    A cascade's bundle holds the stage before, `previous`, as a bundle inside.
    """
    name = str(fold)
    weights = trainer.weights()
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
    Model(plan.replace(folds=list(every)), every, card=_card(trainer), previous=previous).save(folder)


def write_postprocessing(folder: Path, steps: list[list[int]]) -> None:
    """The bundle with what cross-validation found about largest components."""
    model = Model.load(folder)
    assert isinstance(model.plan, NetworkPlan)
    plan = model.plan.replace(keep_largest=[" ".join(str(n) for n in step) for step in steps])
    previous = Model.load(folder / plan.previous_stage) if plan.previous_stage else None
    Model(plan, model.weights, card=model.card, previous=previous).save(folder)


def _card(trainer: Trainer) -> str:
    last = trainer.history[-1] if trainer.history else {}
    names = trainer.labels.foreground_names()
    averaged = "" if trainer.average is None else f" Weights: moving average, decay {trainer.average.decay:g}."
    lines = [
        f"# {trainer.plans.dataset_name}",
        "",
        f"{trainer.configuration.name}, {type(trainer.network).__name__}, trained by Vesalius on {len(trainer.cases)} cases, {trainer.epoch} epochs of "
        f"{trainer.settings.iterations} iterations. Labels: {', '.join(names)}.{averaged}",
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
