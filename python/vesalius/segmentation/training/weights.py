# SPDX-License-Identifier: Apache-2.0
"""Weights to start from, and their moving average."""

from __future__ import annotations

import contextlib
import fnmatch
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from ...errors import InvalidArgument
from . import checkpoints


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
            state = checkpoints.load(path)
            weights = state.get("average") or state["network"]
    else:
        weights = dict(source)
    own = network.state_dict()
    fitting = {k: v for k, v in weights.items() if k in own and own[k].shape == v.shape}
    if not fitting:
        raise InvalidArgument("no tensor of the pretrained weights has the name and shape of one of this network")
    network.load_state_dict({**own, **fitting})
    return [k for k in own if k not in fitting]


def freeze(network: torch.nn.Module, patterns: Sequence[str]) -> list[torch.nn.Parameter]:
    """Parameters whose names match (``"encoder.*"``) aren't trained. Returns the others."""
    names = [name for name, _ in network.named_parameters()]
    for pattern in patterns:
        if not fnmatch.filter(names, pattern):
            raise InvalidArgument(f"freeze: no parameter is called {pattern!r}; the first are {', '.join(names[:3])}")
    for name, parameter in network.named_parameters():
        if any(fnmatch.fnmatch(name, pattern) for pattern in patterns):
            parameter.requires_grad_(False)
    trained = [p for p in network.parameters() if p.requires_grad]
    if not trained:
        raise InvalidArgument(f"freeze={list(patterns)!r} leaves nothing to train")
    return trained


class WeightAverage:
    """The exponential moving average of a network's weights: ``a ← d a + (1 - d) w`` with ``d = min(decay, (1 + n) / (10 + n))`` in
    step n, so that short trainings forget their beginning too.
    """

    def __init__(self, network: torch.nn.Module, decay: float) -> None:
        if not 0 < decay < 1:
            raise InvalidArgument(f"ema is a decay between 0 and 1, such as 0.999, or None; got {decay}")
        self.decay = float(decay)
        self.values = {k: v.detach().clone() for k, v in network.state_dict().items()}

    @torch.no_grad()
    def update(self, network: torch.nn.Module, step: int) -> None:
        decay = min(self.decay, (1 + step) / (10 + step))
        averages, values = [], []
        for name, value in network.state_dict().items():
            if value.is_floating_point():
                averages.append(self.values[name])
                values.append(value)
            else:  # counters of normalisation layers
                self.values[name].copy_(value)
        torch._foreach_lerp_(averages, values, 1 - decay)

    @contextlib.contextmanager
    def applied(self, network: torch.nn.Module) -> Iterator[None]:
        """The network has the averaged weights meanwhile."""
        own = {k: v.detach().clone() for k, v in network.state_dict().items()}
        network.load_state_dict(self.values)
        try:
            yield
        finally:
            network.load_state_dict(own)
