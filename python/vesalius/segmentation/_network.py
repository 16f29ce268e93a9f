# SPDX-License-Identifier: Apache-2.0
"""A C++ module tree as a real ``torch.nn.Module``; the architectures are in `networks`."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from .. import _check
from .._vesalius import segmentation as _c
from .._vesalius.segmentation import NetworkSpec
from ..errors import NotSupported

__all__ = ["Network"]


class _Mirror(nn.Module):
    """A node of the C++ module tree: it holds the very tensors that C++ computes with."""

    _sealed = False
    _core: Any
    _name: str

    def _seal(self, core: Any, name: str) -> None:
        object.__setattr__(self, "_core", core)
        object.__setattr__(self, "_name", name)
        object.__setattr__(self, "_sealed", True)

    def register_parameter(self, name: str, param: nn.Parameter | None) -> None:
        if self._sealed and param is not self._parameters.get(name):
            raise NotSupported(
                f"the parameter {self._name}.{name} belongs to a C++ network: change its values in place (copy_, "
                "load_state_dict), or build a network with another spec"
            )
        super().register_parameter(name, param)

    def register_buffer(self, name: str, tensor: torch.Tensor | None, persistent: bool = True) -> None:
        if self._sealed:
            raise NotSupported("a C++ network takes no new buffers; keep them in a module around it")
        super().register_buffer(name, tensor, persistent)

    def train(self, mode: bool = True) -> Any:
        if self._sealed:
            self._core.train(self._name, mode)
        return super().train(mode)

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> Any:
        buffers, parameters = dict(self._buffers), dict(self._parameters)
        super()._apply(fn, recurse)
        for key, old in buffers.items():
            new = self._buffers[key]
            if new is not old and old is not None and new is not None:
                old.data = new
                self._buffers[key] = old
        if any(self._parameters[key] is not old for key, old in parameters.items()):
            raise NotSupported("a C++ network can't go to this device or type (meta tensors have no storage)")
        return self

    def register_forward_hook(self, hook: Callable[..., Any], **options: Any) -> Any:
        if options.get("with_kwargs"):
            raise NotSupported("layers of a C++ network have no keyword arguments; use with_kwargs=False")
        handle = super().register_forward_hook(hook, **options)
        node = weakref.ref(self)

        def tap(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            module = node()
            for each in list(module._forward_hooks.values()) if module is not None else ():
                replaced = each(module, (x,), y)
                y = y if replaced is None else replaced
            return y

        if not self._core.set_tap(self._name, tap):
            handle.remove()
            raise NotSupported(f"{self._name} is a container; hook one of its layers: {', '.join(self._children())}")
        return handle

    def _children(self) -> list[str]:
        return [f"{self._name}.{name}" for name, _ in self.named_children()]

    def register_forward_pre_hook(self, hook: Callable[..., Any], **options: Any) -> Any:
        raise NotSupported(f"layers of a C++ network have forward hooks only; hook the layer before {self._name}")

    def register_full_backward_hook(self, hook: Callable[..., Any], prepend: bool = False) -> Any:
        raise NotSupported("use a forward hook that calls output.register_hook(...) for the gradient")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise NotSupported(f"{self._name} runs inside its network; hook it (register_forward_hook) to see its output")


class Network(_Mirror):
    """A network by its `NetworkSpec`; the classes below have the spec's fields as keywords.

    Parameters
    ----------
    spec : NetworkSpec

    Raises
    ------
    InvalidArgument
        for a spec that makes no sense; it names the field.
    """

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        core = _c.Network(spec)
        nodes: dict[str, _Mirror] = {"": self}
        for name in core.module_names():
            above, _, last = name.rpartition(".")
            nodes[name] = _Mirror()
            nodes[above].add_module(last, nodes[name])
        for name, parameter in core.named_parameters():
            above, _, last = name.rpartition(".")
            parameter.__class__ = nn.Parameter  # the same object in C++ and here
            nodes[above].register_parameter(last, parameter)
        for name, buffer in core.named_buffers():
            above, _, last = name.rpartition(".")
            nn.Module.register_buffer(nodes[above], last, buffer)
        for name, node in nodes.items():
            node._seal(core, name)

    @property
    def spec(self) -> NetworkSpec:
        """What was built, every list filled in."""
        return self._core.spec

    @property
    def divisor(self) -> tuple[int, ...]:
        """What each axis of the input must be a multiple of."""
        return tuple(self.spec.divisor)

    # Hooks on the network itself are nn.Module's own.
    register_forward_hook = nn.Module.register_forward_hook  # type: ignore[assignment]
    register_forward_pre_hook = nn.Module.register_forward_pre_hook  # type: ignore[assignment]
    register_full_backward_hook = nn.Module.register_full_backward_hook

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def forward(self, x: torch.Tensor) -> Any:
        """Logits ``[batch, num_classes, (z,) y, x]``; a list, the full resolution first, in train mode with deep supervision.

        Raises
        ------
        ShapeError
            for another number of channels or axes, or sizes that are no multiple of `divisor`.
        TypeMismatch
            for something that is no tensor.
        """
        _check.tensor(x, "the network's input")
        outputs = self._core.forward(x)
        return outputs if self.spec.deep_supervision and self.training else outputs[0]

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """As ``nn.Module``'s; ``assign=True`` would exchange the parameters that C++ holds and is refused."""
        if assign:
            raise NotSupported("a C++ network copies weights into its own parameters: leave assign=False")
        return super().load_state_dict(state_dict, strict=strict)

    def extra_repr(self) -> str:
        return repr(self.spec)

    def __reduce__(self) -> Any:
        flags = {name: p.requires_grad for name, p in self.named_parameters()}
        training = {name: m.training for name, m in self.named_modules()}
        return _rebuild, (self.spec.to_dict(), dict(self.state_dict()), flags, training)

    def __deepcopy__(self, memo: dict[int, Any]) -> Network:
        function, arguments = self.__reduce__()
        copy: Network = function(*arguments)
        memo[id(self)] = copy
        return copy


def _rebuild(
    spec: dict[str, Any], state: dict[str, torch.Tensor], flags: dict[str, bool], training: dict[str, bool]
) -> Network:
    from .networks import build

    network = build(NetworkSpec(**spec))
    own = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    for name, value in state.items():
        own[name].data = value.detach().clone()
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(flags[name])
    modules = dict(network.named_modules())
    for name, mode in training.items():  # parents come first
        modules[name].train(mode)
    return network
