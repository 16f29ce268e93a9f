# SPDX-License-Identifier: Apache-2.0
"""What may be set of a training, and what follows from a plan and a device."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from ...errors import InvalidArgument
from .. import networks
from ..augmentation import AugmentationSettings
from ..planning import Configuration


@dataclasses.dataclass
class TrainingSettings:
    """nnU-Net v2's defaults; everything may be changed one by one.

    ``network``, ``loss``, ``sampler``, ``augmentation`` and ``optimizer`` replace the parts: a module or a callable that makes one,
    ``network(spec)``, ``loss(outputs, target, mask)``, ``sampler(cases, training)``, an `AugmentationSettings`, ``optimizer(parameters)``.
    ``ema``: a decay such as 0.999; the moving average of the weights is what is then validated and bundled.
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
    ema: float | None = None
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


def make_optimizer(settings: TrainingSettings, parameters: list[torch.nn.Parameter]) -> torch.optim.Optimizer:
    """nnU-Net's SGD, AdamW, or what `settings.optimizer` makes of the parameters."""
    s = settings
    if callable(s.optimizer):
        return s.optimizer(parameters)
    # One pass over the weights: on the CPU 5 times quicker than torch's default.
    fused = True if parameters[0].device.type == "cpu" else None
    if s.optimizer == "adamw":
        return torch.optim.AdamW(parameters, s.lr, weight_decay=s.weight_decay, fused=fused)
    if s.optimizer == "sgd":
        return torch.optim.SGD(
            parameters, s.lr, momentum=s.momentum, nesterov=True, weight_decay=s.weight_decay, fused=fused
        )
    raise InvalidArgument(f'optimizer is "sgd", "adamw" or a function of the parameters; got {s.optimizer!r}')


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
