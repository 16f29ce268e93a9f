# SPDX-License-Identifier: Apache-2.0
"""One fold of one configuration: the loop, its checkpoints and what it writes."""

from __future__ import annotations

import contextlib
import dataclasses
import fnmatch
import json
import math
import os
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch

from ...errors import ConvergenceError, InvalidArgument, NotSupported
from .. import losses, networks
from ..augmentation import Augmentation, AugmentationSettings
from ..planning import CachedCase, Configuration, LabelSet, Plans
from ..sampling import PatchSampler
from . import checkpoints, figures, inference, schedule

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


@dataclasses.dataclass
class TrainingSettings:
    """nnU-Net v2's defaults; everything may be changed one by one.

    ``network``, ``loss``, ``sampler``, ``augmentation`` and ``optimizer`` replace the parts: a module or a callable that makes one,
    ``network(spec)``, ``loss(outputs, target, mask)``, ``sampler(cases, training)``, an `AugmentationSettings`, ``optimizer(parameters)``.
    """

    epochs: int = 1000
    iterations: int = 250
    validation_iterations: int = 50
    minutes: float | None = None
    lr: float = 0.01
    momentum: float = 0.99
    weight_decay: float = 3e-5
    clip: float = 12.0
    foreground: float = 0.33
    deep_supervision: bool = True
    precision: str = "auto"
    seed: int = 0
    threads: int = 2
    keep_every: int = 1
    mirror_in_validation: bool = True
    tensorboard: bool = False
    figures: bool = True
    pretrained: Any = None
    freeze: Sequence[str] = ()
    network: Any = None
    loss: Any = None
    sampler: Any = None
    augmentation: AugmentationSettings | None = None
    optimizer: str | Callable[..., torch.optim.Optimizer] = "sgd"


def network_spec(
    configuration: Configuration, channels: int, classes: int, *, deep_supervision: bool
) -> networks.NetworkSpec:
    """The network that a plan's configuration describes."""
    return networks.NetworkSpec(
        kind="residual_unet" if configuration.residual else "plain_unet",
        dimension=len(configuration.patch_size),
        in_channels=channels,
        num_classes=classes,
        features_per_stage=list(configuration.features),
        kernel_sizes=[v for stage in configuration.kernels for v in stage],
        strides=[v for stage in configuration.strides for v in stage],
        n_conv_per_stage=list(configuration.blocks),
        n_conv_per_stage_decoder=list(configuration.decoder_convolutions),
        deep_supervision=deep_supervision and len(configuration.features) > 1,
    )


def choose_precision(precision: str, device: torch.device) -> torch.dtype | None:
    """The type that autocast computes in, None for float32. "auto": fp16 on CUDA; bf16 on processors that have it."""
    if precision == "auto":
        if device.type == "cuda":
            return torch.float16
        native = device.type == "cpu" and torch.backends.cpu.get_cpu_capability() in ("AVX512", "AMX")
        return torch.bfloat16 if native and _has_bf16() else None
    known = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}
    if precision not in known:
        raise InvalidArgument(f"precision is one of auto, {', '.join(known)}; got {precision!r}")
    return known[precision]


def _has_bf16() -> bool:
    with contextlib.suppress(OSError):
        return "avx512_bf16" in Path("/proc/cpuinfo").read_text(errors="ignore")
    return False


def load_pretrained(network: torch.nn.Module, source: Any) -> list[str]:
    """Weights by name from a bundle's folder, a ``.safetensors`` file, a checkpoint, or a state dict.

    A tensor of another shape (another head, other channels) is left as it is initialised. Returns the names left out.
    """
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        if path.is_dir():
            path = path / "weights.safetensors"
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            weights = load_file(path)
            folds = sorted({k.split("/")[0] for k in weights if k.startswith("fold_") and "/" in k})
            if folds:  # a bundle's: its first fold
                weights = {k.split("/", 1)[1]: v for k, v in weights.items() if k.startswith(f"{folds[0]}/")}
        else:
            weights = checkpoints.load(path)["network"]
    else:
        weights = dict(source)
    own = network.state_dict()
    fitting = {k: v for k, v in weights.items() if k in own and own[k].shape == v.shape}
    if not fitting:
        raise InvalidArgument("no tensor of the pretrained weights has the name and shape of one of this network")
    network.load_state_dict({**own, **fitting})
    return [k for k in own if k not in fitting]


class Trainer:
    """Trains one fold. `run` goes on from the newest checkpoint in `folder`, with the result of a run never stopped.

    Parameters
    ----------
    cases, validation : prepared cases
    folder : where checkpoints, the log and figures go
    """

    def __init__(
        self,
        plans: Plans,
        configuration: str,
        labels: LabelSet,
        cases: list[CachedCase],
        validation: list[CachedCase],
        folder: Path,
        *,
        device: str | torch.device = "cpu",
        settings: TrainingSettings | None = None,
        progress: bool = True,
    ) -> None:
        self.plans, self.labels, self.folder = plans, labels, Path(folder)
        self.configuration = plans.configuration(configuration)
        if self.configuration.previous_stage:
            raise NotSupported("training the cascade's second stage isn't offered yet: train 3d_fullres or 3d_lowres")
        self.cases, self.validation = cases, validation
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
        self.spec = network_spec(self.configuration, channels, self.labels.heads, deep_supervision=s.deep_supervision)
        if s.network is None:
            self.network: torch.nn.Module = networks.build(self.spec)
        else:
            self.network = s.network if isinstance(s.network, torch.nn.Module) else s.network(self.spec)
        self.left_out = load_pretrained(self.network, s.pretrained) if s.pretrained is not None else []
        for name, parameter in self.network.named_parameters():
            if any(fnmatch.fnmatch(name, pattern) for pattern in s.freeze):
                parameter.requires_grad_(False)
        self.network.to(self.device)
        trained = [p for p in self.network.parameters() if p.requires_grad]
        if not trained:
            raise InvalidArgument(f"freeze={list(s.freeze)!r} leaves nothing to train")
        self.optimizer = self._optimizer(trained)
        self.scaler = torch.amp.GradScaler(enabled=self.autocast == torch.float16 and self.device.type == "cuda")
        self.loss = s.loss if s.loss is not None else self._default_loss()
        self.train_batches = self._sampler(self.cases, training=True)
        self.validation_batches = self._sampler(self.validation, training=False)
        self.model = self.network
        if self.world > 1:
            ids = [self.device.index] if self.device.type == "cuda" else None
            self.model = torch.nn.parallel.DistributedDataParallel(
                self.network,
                device_ids=ids,
                find_unused_parameters=True,  # the lowest head has weight 0
            )

    def _optimizer(self, parameters: list[torch.nn.Parameter]) -> torch.optim.Optimizer:
        s = self.settings
        if callable(s.optimizer):
            return s.optimizer(parameters)
        if s.optimizer == "adamw":
            return torch.optim.AdamW(parameters, s.lr, weight_decay=s.weight_decay)
        if s.optimizer == "sgd":
            return torch.optim.SGD(parameters, s.lr, momentum=s.momentum, nesterov=True, weight_decay=s.weight_decay)
        raise InvalidArgument(f'optimizer is "sgd", "adamw" or a function of the parameters; got {s.optimizer!r}')

    def _default_loss(self) -> torch.nn.Module:
        regions = self.labels.has_regions
        return losses.DeepSupervision(
            losses.DiceCE(
                regions=regions,
                batch_dice=self.configuration.batch_dice,
                ignore_label=None if regions else self.labels.ignore,
            )
        )

    def _sampler(self, cases: list[CachedCase], *, training: bool) -> Batches:
        s, c = self.settings, self.configuration
        if s.sampler is not None:
            source = s.sampler(cases, training)
            return source if hasattr(source, "get") else ByEpoch(source, s.iterations, [c.id for c in cases])
        masked = [i for i, m in enumerate(c.use_mask_for_norm) if m]
        chosen = s.augmentation or AugmentationSettings()
        if not training:
            chosen = AugmentationSettings.none()
        patch = [int(n) for n in c.patch_size]
        seed = (s.seed if training else s.seed ^ _VALIDATION_SEED) + _RANK_SEED * self.rank
        sampler = PatchSampler(
            cases,
            patch,
            max(1, c.batch_size // self.world),
            augmentation=Augmentation(chosen.replace(mask_channels=masked), patch_size=patch)
            if training or masked
            else None,
            oversample_foreground=s.foreground,
            seed=seed & 0xFFFFFFFFFFFFFFFF,
            threads=max(1, s.threads),
            ignore_label=self.labels.ignore,
        )
        return ByEpoch(sampler, s.iterations if training else max(1, s.validation_iterations), [x.id for x in cases])

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
            names = ", ".join(self.cases[i].id if 0 <= i < len(self.cases) else str(i) for i in cases)
            kept = self.folder / "checkpoint_latest.pt"
            raise ConvergenceError(
                f"the loss is {value} in epoch {self.epoch}, iteration {index - self.epoch * self.settings.iterations}, "
                f"on patches of {names}, at learning rate {self.optimizer.param_groups[0]['lr']:.3g}; "
                + (f"the last good checkpoint is {kept}" if kept.exists() else "no checkpoint was written yet")
                + ". A smaller lr, precision='fp32' or a look at these cases may help"
            )
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.optimizer)
        torch.nn.utils.clip_grad_norm_([p for p in self.network.parameters() if p.requires_grad], self.settings.clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return value

    @torch.no_grad()
    def validate(self) -> tuple[float, list[float]]:
        """Loss and Dice of each class over the validation patches together (nnU-Net's pseudo Dice)."""
        self.network.eval()
        total, hits, sizes = 0.0, 0.0, 0.0
        n = self.settings.validation_iterations
        for i in range(n):
            image, labels, _ = self.validation_batches.get(i)
            outputs, loss, target, mask = self._forward(image, labels)
            logits = outputs[0] if isinstance(outputs, (list, tuple)) else outputs
            total += float(loss) / n
            axes = [0, *range(2, logits.dim())]
            if self.labels.has_regions:
                predicted, reference = logits > 0, target > 0.5
            else:
                chosen = logits.argmax(1)
                keep = torch.ones_like(target, dtype=torch.bool)
                if self.labels.ignore is not None:
                    keep = target != self.labels.ignore
                classes = range(1, logits.shape[1])
                predicted = torch.stack([(chosen == k) & keep for k in classes], 1)
                reference = torch.stack([(target == k) & keep for k in classes], 1)
            if mask is not None:
                predicted, reference = predicted & mask, reference & mask
            hits = hits + (predicted & reference).sum(axes).double().cpu()
            sizes = sizes + predicted.sum(axes).double().cpu() + reference.sum(axes).double().cpu()
        self.network.train()
        both = torch.stack([torch.as_tensor(hits), torch.as_tensor(sizes)])
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
        board = self._tensorboard()
        bar = self._bar()
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

    def logits(self, item: CachedCase, *, mirror: bool | None = None) -> torch.Tensor:
        """Of a prepared case, on its own grid."""
        return inference.predict_prepared(
            self.network,
            item.image,
            list(self.configuration.patch_size),
            self.labels.heads,
            device=self.device,
            mirror=self.settings.mirror_in_validation if mirror is None else mirror,
            autocast=self.autocast,
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
        self.optimizer.load_state_dict(optimizer)
        self.optimizer.state.clear()
        # A validation patch costs about a third of a step.
        epoch = step * (s.iterations + s.validation_iterations / 3)
        epochs = torch.tensor(max(1, int(s.minutes * 60 * 0.93 / epoch)), device=self.device)
        if self.world > 1:
            torch.distributed.broadcast(epochs, 0)
        s.epochs = int(epochs)

    def _tensorboard(self) -> Any:
        if not self.settings.tensorboard or self.rank != 0:
            return None
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as why:
            raise NotSupported("tensorboard=True needs the package tensorboard: pip install tensorboard") from why
        return SummaryWriter(str(self.folder / "tensorboard"))

    def _bar(self) -> Any:
        from tqdm.auto import tqdm

        return tqdm(
            total=self.settings.epochs,
            initial=self.epoch,
            unit="epoch",
            desc=f"{self.configuration.name} {self.folder.name}",
            disable=not self.progress,
        )


def distributed() -> tuple[int, int]:
    """Rank and number of processes; joins the group where torchrun started this one."""
    if "RANK" not in os.environ or int(os.environ.get("WORLD_SIZE", "1")) < 2:
        return 0, 1
    import torch.distributed as dist

    if not dist.is_initialized():
        cuda = torch.cuda.is_available()
        if cuda:
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        dist.init_process_group("nccl" if cuda else "gloo")
    return dist.get_rank(), dist.get_world_size()


__all__ = ["Batches", "Trainer", "TrainingSettings", "choose_precision", "load_pretrained", "network_spec"]
