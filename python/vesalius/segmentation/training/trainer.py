# SPDX-License-Identifier: Apache-2.0
"""One fold of one configuration: the loop, its checkpoints and what it writes."""

from __future__ import annotations

import contextlib
import json
import math
import os
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from ...errors import ConvergenceError, InvalidArgument
from .. import losses, networks
from .._model import sliding_window
from ..planning import LabelSet, Plans
from . import checkpoints, figures, reporting, schedule
from .batches import Batches, ByEpoch, make_batches
from .cascade import AnyCase, CascadeCase, network_input, previous_labels
from .evaluate import overlap
from .processes import distributed
from .settings import TrainingSettings, choose_precision, make_optimizer, network_spec
from .weights import WeightAverage, freeze, load_pretrained


class Trainer:
    """Trains one fold. `run` goes on from the newest checkpoint in `folder`, with the result of a run never stopped.

    Parameters
    ----------
    cases, validation : prepared cases
        Of a cascade's second stage `CascadeCase`s.
    folder : where checkpoints, the log and figures go
    """

    def __init__(
        self,
        plans: Plans,
        configuration: str,
        labels: LabelSet,
        cases: Sequence[AnyCase],
        validation: Sequence[AnyCase],
        folder: Path,
        *,
        device: str | torch.device = "cpu",
        settings: TrainingSettings | None = None,
        progress: bool = True,
    ) -> None:
        self.plans, self.labels, self.folder = plans, labels, Path(folder)
        self.configuration = plans.configuration(configuration)
        self.cases, self.validation = list(cases), list(validation)
        before = self.configuration.previous_stage
        if before and not all(isinstance(c, CascadeCase) for c in [*cases, *validation]):
            raise InvalidArgument(
                f"{configuration} continues {before}: its cases need what that stage says of them (CascadeCase); "
                "vesalius.segmentation.train makes them"
            )
        self.settings = settings or TrainingSettings()
        self.rank, self.world = distributed()
        self.device = torch.device(f"cuda:{os.environ.get('LOCAL_RANK', 0)}" if str(device) == "cuda" else device)
        self.progress = progress and self.rank == 0
        self.autocast = choose_precision(self.settings.precision, self.device)
        self.history: list[dict[str, Any]] = []
        self.epoch = 0
        self.best = -math.inf
        self.ema: float | None = None
        self._build()

    # what may be replaced ------------------------------------------------------------------------------------------------

    def _build(self) -> None:
        s = self.settings
        torch.manual_seed(s.seed)
        channels = int(self.cases[0].image.shape[0])
        if self.configuration.previous_stage:
            channels += len(previous_labels(self.labels))
        self.spec = network_spec(self.configuration, channels, self.labels.heads, deep_supervision=s.deep_supervision)
        if s.network is None:
            self.network: torch.nn.Module = networks.build(self.spec)
        else:
            self.network = s.network if isinstance(s.network, torch.nn.Module) else s.network(self.spec)
        self.left_out = load_pretrained(self.network, s.pretrained) if s.pretrained is not None else []
        self.trained = freeze(self.network, s.freeze)
        self.network.to(self.device)
        self.average = WeightAverage(self.network, s.ema) if s.ema is not None else None
        self.optimizer = make_optimizer(s, self.trained)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.autocast == torch.float16)
        self.loss = s.loss if s.loss is not None else self._default_loss()
        self.train_batches = self._batches(self.cases, training=True)
        self.validation_batches = self._batches(self.validation, training=False)
        self.model = self.network
        if self.world > 1:
            ids = [self.device.index] if self.device.type == "cuda" else None
            self.model = torch.nn.parallel.DistributedDataParallel(
                self.network,
                device_ids=ids,
                find_unused_parameters=True,  # the lowest head has weight 0
            )

    def _batches(self, cases: Sequence[AnyCase], *, training: bool) -> Batches:
        return make_batches(
            cases, self.configuration, self.labels, self.settings, training=training, rank=self.rank, world=self.world
        )

    def _default_loss(self) -> torch.nn.Module:
        regions = self.labels.has_regions
        return losses.DeepSupervision(
            losses.DiceCE(
                regions=regions,
                batch_dice=self.configuration.batch_dice,
                ignore_label=None if regions else self.labels.ignore,
            )
        )

    # the loop ------------------------------------------------------------------------------------------------------------

    def target(self, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Labels [b, …] as the loss takes them, and the mask of voxels that count (regions with an ignore label)."""
        labels = labels.to(self.device, non_blocking=True).long()
        if not self.labels.has_regions:
            return labels, None
        regions = [torch.isin(labels, torch.tensor(r, device=self.device)) for r in self.labels.foreground()]
        mask = None if self.labels.ignore is None else (labels != self.labels.ignore)[:, None]
        return torch.stack(regions, 1).float(), mask

    def _forward(self, image: torch.Tensor, labels: torch.Tensor) -> tuple[Any, torch.Tensor, torch.Tensor, Any]:
        target, mask = self.target(labels)
        with torch.autocast(self.device.type, self.autocast or torch.bfloat16, enabled=self.autocast is not None):
            outputs = self.model(image.to(self.device, non_blocking=True))
            loss = self.loss(outputs, target, mask)
        return outputs, loss, target, mask

    def step(self, index: int) -> float:
        """One iteration on batch `index`; the loss."""
        image, labels, cases = self.train_batches.get(
            index if self.settings.sampler is None else index * self.world + self.rank
        )
        self.optimizer.zero_grad(set_to_none=True)
        _, loss, _, _ = self._forward(image, labels)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise self._diverged(f"the loss is {value}", index, cases)
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.optimizer)
        norm = torch.nn.utils.clip_grad_norm_(self.trained, self.settings.clip)
        if not self.scaler.is_enabled() and not math.isfinite(float(norm)):  # the scaler leaves such a step out
            raise self._diverged(f"the gradient's norm is {float(norm)} (the loss {value:.4g})", index, cases)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.average is not None:
            self.average.update(self.network, index)
        return value

    def _diverged(self, what: str, index: int, cases: Sequence[int]) -> ConvergenceError:
        names = ", ".join(self.cases[i].id if 0 <= i < len(self.cases) else str(i) for i in cases)
        kept = self.folder / "checkpoint_latest.pt"
        return ConvergenceError(
            f"{what} in epoch {self.epoch}, iteration {index - self.epoch * self.settings.iterations}, "
            f"on patches of {names}, at learning rate {self.optimizer.param_groups[0]['lr']:.3g}; "
            + (f"the last good checkpoint is {kept}" if kept.exists() else "no checkpoint was written yet")
            + ". A smaller lr, precision='fp32' or a look at these cases may help"
        )

    @torch.no_grad()
    def validate(self) -> tuple[float, list[float]]:
        """Loss and Dice of each class over the validation patches together (nnU-Net's pseudo Dice)."""
        total = 0.0
        both = torch.zeros(2, len(self.labels.foreground()), dtype=torch.float64)  # agreeing voxels, both sizes
        n = self.settings.validation_iterations
        with self.evaluated():
            for i in range(n):
                image, labels, _ = self.validation_batches.get(i)
                outputs, loss, target, mask = self._forward(image, labels)
                logits = outputs[0] if isinstance(outputs, (list, tuple)) else outputs
                total += float(loss) / n
                both += overlap(logits, target, mask, self.labels)
        if self.world > 1:
            both = both.to(self.device)
            torch.distributed.all_reduce(both)
            both = both.cpu()
        dice = 2 * both[0] / both[1]  # NaN where a class is nowhere
        return total, [float(d) for d in dice]

    def run(self) -> dict[str, Any]:
        """All epochs that are left. Returns the last line of the log."""
        s = self.settings
        self.folder.mkdir(parents=True, exist_ok=True)
        self._resume()
        if s.minutes is not None and self.epoch == 0 and not self.history:
            self._fit_minutes()
        board = reporting.tensorboard(self.folder / "tensorboard") if s.tensorboard and self.rank == 0 else None
        name = f"{self.configuration.name} {self.folder.name}"
        bar = reporting.epoch_bar(name, s.epochs, self.epoch, enabled=self.progress)
        self.network.train()
        try:
            while self.epoch < s.epochs:
                started = time.perf_counter()
                lr = schedule.set_lr(self.optimizer, schedule.poly_lr(1.0, self.epoch, s.epochs))
                first = self.epoch * s.iterations
                loss = sum(self.step(first + i) for i in range(s.iterations)) / s.iterations
                validation, dice = self.validate()
                self._finish_epoch(loss, validation, dice, lr, time.perf_counter() - started, board)
                bar.update(1)
                bar.set_postfix(loss=f"{loss:.3f}", dice=" ".join(f"{d:.3f}" for d in dice))
        finally:
            bar.close()
            if board is not None:
                board.close()
        return self.history[-1] if self.history else {}

    def _finish_epoch(
        self, loss: float, validation: float, dice: list[float], lr: float, seconds: float, board: Any
    ) -> None:
        known = [d for d in dice if not math.isnan(d)]
        mean = sum(known) / len(known) if known else 0.0
        self.ema = mean if self.ema is None else 0.9 * self.ema + 0.1 * mean
        line = {
            "epoch": self.epoch,
            "lr": lr,
            "loss": loss,
            "validation_loss": validation,
            "dice": dice,
            "ema": self.ema,
        }
        self.history.append(line)
        self.epoch += 1
        if self.rank != 0:
            return
        with open(self.folder / "log.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps({**line, "seconds": round(seconds, 3)}) + "\n")
        if board is not None:
            for key in ("lr", "loss", "validation_loss", "ema"):
                board.add_scalar(key, line[key], self.epoch)
        done = self.epoch >= self.settings.epochs
        if self.ema > self.best:
            self.best = self.ema
            checkpoints.save(self.folder / "checkpoint_best.pt", self.state())
        if done or self.epoch % self.settings.keep_every == 0:
            checkpoints.save(self.folder / "checkpoint_latest.pt", self.state())
        # Early and then ever more rarely: epochs 1, 2, 4, 8, …
        if self.settings.figures and (done or self.epoch & (self.epoch - 1) == 0):
            self.draw()

    def draw(self) -> None:
        """The curves so far, and up to three validation cases; a failing figure never stops a training."""
        try:
            figures.curves(self.history, self.labels.foreground_names(), self.folder / "progress.png")
            for item in self.validation[:3]:
                logits = self.logits(item, mirror=False)
                predicted = self.painted(logits)
                (self.folder / "figures").mkdir(exist_ok=True)
                path = self.folder / "figures" / f"epoch_{self.epoch:04d}_{item.id}.png"
                figures.case(item.image, item.labels, predicted, f"{item.id}, epoch {self.epoch}", path)
        except (OSError, ImportError, ValueError, RuntimeError) as why:
            warnings.warn(f"no figures of epoch {self.epoch}: {why}", stacklevel=2)

    @contextlib.contextmanager
    def evaluated(self) -> Iterator[None]:
        """The network in eval mode, with the averaged weights where they are kept."""
        training = self.network.training
        self.network.eval()
        try:
            with self.average.applied(self.network) if self.average is not None else contextlib.nullcontext():
                yield
        finally:
            self.network.train(training)

    def weights(self) -> dict[str, torch.Tensor]:
        """What is validated and bundled: the network's state dict, or its moving average; on the CPU."""
        own = self.network.state_dict() if self.average is None else self.average.values
        return {k: v.detach().cpu().contiguous() for k, v in own.items()}

    def logits(self, item: AnyCase, *, mirror: bool | None = None) -> torch.Tensor:
        """Of a prepared case, float32 [k, z, y, x] on its own grid."""
        patch = [int(n) for n in self.configuration.patch_size]

        def network(tiles: torch.Tensor) -> torch.Tensor:
            with torch.autocast(self.device.type, self.autocast or torch.bfloat16, enabled=self.autocast is not None):
                out = self.network(tiles.to(self.device))
            return (out[0] if isinstance(out, (list, tuple)) else out).float()

        mirrored = self.settings.mirror_in_validation if mirror is None else mirror
        with self.evaluated():
            return sliding_window(
                network,
                network_input(item, self.labels),
                self.labels.heads,
                patch,
                mirror_axes=range(len(patch)) if mirrored else (),
            )

    def painted(self, logits: torch.Tensor) -> torch.Tensor:
        """Labels from logits [k, z, y, x]."""
        if not self.labels.has_regions:
            return logits.argmax(0)
        out = torch.zeros(logits.shape[1:], dtype=torch.long)
        for k, value in enumerate(self.labels.regions_class_order):
            out[logits[k] > 0] = value
        return out

    # going on ------------------------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        return {
            "network": self.network.state_dict(),
            "average": None if self.average is None else self.average.values,
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "random": torch.get_rng_state(),
            "epoch": self.epoch,
            "epochs": self.settings.epochs,
            "iterations": self.settings.iterations,
            "seed": self.settings.seed,
            "history": self.history,
            "best": self.best,
            "ema": self.ema,
        }

    def _resume(self) -> None:
        state = checkpoints.latest(self.folder, device=self.device)
        if state is None:
            (self.folder / "log.jsonl").unlink(missing_ok=True)
            return
        for key in ("seed", "iterations"):
            if state[key] != getattr(self.settings, key):
                raise InvalidArgument(
                    f"the run in {self.folder} has {key}={state[key]}, not {getattr(self.settings, key)}; "
                    "go on with the same settings, or choose another folder"
                )
        average = state.get("average")
        if (self.average is None) != (average is None):
            raise InvalidArgument(
                f"the run in {self.folder} was made {'without' if average is None else 'with'} ema; go on with the same "
                "settings, or choose another folder"
            )
        if self.average is not None and average is not None:
            self.average.values = {k: v.to(self.device) for k, v in average.items()}
        if self.settings.minutes is not None:
            self.settings.epochs = state["epochs"]
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        torch.set_rng_state(state["random"].cpu())
        self.epoch, self.history = state["epoch"], state["history"]
        self.best, self.ema = state["best"], state["ema"]
        if self.rank == 0:  # what a killed run wrote beyond its last checkpoint is done again
            lines = [json.dumps(h) for h in self.history]
            (self.folder / "log.jsonl").write_text("".join(line + "\n" for line in lines), encoding="utf-8")

    def _fit_minutes(self) -> None:
        """As many epochs as fit: the time of some steps is measured, and the weights are put back."""
        s = self.settings
        assert s.minutes is not None
        before = {k: v.detach().clone() for k, v in self.network.state_dict().items()}
        optimizer = self.optimizer.state_dict()
        schedule.set_lr(self.optimizer, 0.0)
        self.network.train()
        self.step(0)
        started = time.perf_counter()
        for i in range(1, 4):
            self.step(i)
        step = (time.perf_counter() - started) / 3
        self.network.load_state_dict(before)
        if self.average is not None:
            self.average = WeightAverage(self.network, self.average.decay)
        self.optimizer.load_state_dict(optimizer)
        self.optimizer.state.clear()
        # A validation patch costs about a third of a step.
        epoch = step * (s.iterations + s.validation_iterations / 3)
        epochs = torch.tensor(max(1, int(s.minutes * 60 * 0.93 / epoch)), device=self.device)
        if self.world > 1:
            torch.distributed.broadcast(epochs, 0)
        s.epochs = int(epochs)


__all__ = [
    "Batches",
    "ByEpoch",
    "Trainer",
    "TrainingSettings",
    "choose_precision",
    "distributed",
    "load_pretrained",
    "network_spec",
]
