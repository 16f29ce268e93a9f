# SPDX-License-Identifier: Apache-2.0
"""Segmentation networks and classifiers: C++ modules that are real ``torch.nn.Module``s here.

>>> net = vs.segmentation.networks.PlainUNet(1, 3, features_per_stage=(32, 64, 128))     # doctest: +SKIP
>>> torch.optim.SGD(net.parameters(), lr=0.01)                                           # doctest: +SKIP

Parameters, ``state_dict`` (both ways), ``to``, ``train``/``eval``, ``torch.optim``, autocast, DDP, ``copy.deepcopy``, pickling and
forward hooks on every layer work as on any module; the same parameters are what C++ computes with. A parameter's values
change in place (``load_state_dict``, ``copy_``, ``.data``); the Parameter object itself can't be exchanged.

State dicts have the names of the peers that published the networks, so their weights load as they are: nnU-Net's
(``PlainUNet``, ``ResidualEncoderUNet``; `from_nnunet` drops its duplicates), MONAI's (``UNet``, ``SegResNet``, ``AttentionUNet``,
``VNet``) and torchvision's (``EfficientNet`` in 2D).
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from .._vesalius import segmentation as _c
from .._vesalius.segmentation import NetworkSpec
from ..errors import NotSupported

__all__ = [
    "AttentionUNet",
    "Classifier",
    "EfficientNet",
    "Network",
    "NetworkSpec",
    "PlainUNet",
    "ResidualEncoderUNet",
    "SegResNet",
    "SmallUNet",
    "UNet",
    "VNet",
    "build",
    "from_nnunet",
]

#: One number for all stages, one a stage, or one a stage and axis (z, y, x).
Sizes = int | Sequence[int] | Sequence[Sequence[int]]


def _flat(sizes: Sizes | None, dimension: int) -> list[int]:
    if sizes is None:
        return []
    if isinstance(sizes, int):
        return [sizes]
    if any(not isinstance(s, int) for s in sizes):
        return [int(v) for s in sizes for v in ([s] * dimension if isinstance(s, int) else s)]
    return [int(s) for s in sizes]  # type: ignore[arg-type]


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
        """
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


def _spec(
    kind: str,
    in_channels: int,
    num_classes: int,
    dimension: int,
    *,
    features: Iterable[int] = (),
    kernels: Sizes | None = None,
    strides: Sizes | None = None,
    encoder: Sizes | None = None,
    decoder: Sizes | None = None,
    **others: Any,
) -> NetworkSpec:
    return NetworkSpec(
        kind=kind,
        dimension=dimension,
        in_channels=in_channels,
        num_classes=num_classes,
        features_per_stage=[int(f) for f in features],
        kernel_sizes=_flat(kernels, dimension),
        strides=_flat(strides, dimension),
        n_conv_per_stage=_flat(encoder, 1),
        n_conv_per_stage_decoder=_flat(decoder, 1),
        **others,
    )


class PlainUNet(Network):
    """nnU-Net's plain U-Net (Isensee et al. 2021, doi 10.1038/s41592-020-01008-z): convolution, instance norm, leaky ReLU.

    Parameters
    ----------
    in_channels, num_classes : int
    dimension : 2 or 3
    features_per_stage : of each resolution, the full one first
    kernel_sizes, strides : one number, one a stage, or one a stage and axis; the first stride is 1
    n_conv_per_stage, n_conv_per_stage_decoder : one number, or one a stage (the decoder has one stage fewer, lowest first)
    deep_supervision : in train mode every decoder stage's logits come out
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        dimension: int = 3,
        features_per_stage: Iterable[int] = (),
        kernel_sizes: Sizes | None = None,
        strides: Sizes | None = None,
        n_conv_per_stage: Sizes | None = None,
        n_conv_per_stage_decoder: Sizes | None = None,
        deep_supervision: bool = False,
        kind: str = "plain_unet",
    ) -> None:
        super().__init__(
            _spec(
                kind,
                in_channels,
                num_classes,
                dimension,
                features=features_per_stage,
                kernels=kernel_sizes,
                strides=strides,
                encoder=n_conv_per_stage,
                decoder=n_conv_per_stage_decoder,
                deep_supervision=deep_supervision,
            )
        )


class ResidualEncoderUNet(PlainUNet):
    """nnU-Net's residual-encoder U-Net (Isensee et al. 2024, arXiv 2404.09556); arguments as `PlainUNet`.

    ``n_conv_per_stage`` counts residual blocks; by default 1, 3, 4, 6, 6, … as in the presets M, L and XL, which differ in how
    large the planner may make the network.
    """

    def __init__(self, in_channels: int, num_classes: int, **options: Any) -> None:
        super().__init__(in_channels, num_classes, kind="residual_unet", **options)


class SmallUNet(PlainUNet):
    """A 2D U-Net for video in real time: 16 to 64 features, batch norm, ReLU; arguments as `PlainUNet`."""

    def __init__(self, in_channels: int, num_classes: int, *, dimension: int = 2, **options: Any) -> None:
        super().__init__(in_channels, num_classes, dimension=dimension, kind="small_unet", **options)


class UNet(Network):
    """The residual U-Net of Kerfoot et al. 2019 (doi 10.1007/978-3-030-12029-0_40), as ``monai.networks.nets.UNet``.

    Parameters
    ----------
    channels, strides : of MONAI's UNet (one stride fewer than channels)
    num_res_units : convolutions of each residual unit; 0: no residual units
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        dimension: int = 3,
        channels: Sequence[int] = (16, 32, 64, 128, 256),
        strides: Sequence[int] | None = None,
        kernel_size: int = 3,
        num_res_units: int = 2,
    ) -> None:
        steps = None if strides is None else [1, *strides]
        super().__init__(
            _spec(
                "unet",
                in_channels,
                num_classes,
                dimension,
                features=channels,
                kernels=kernel_size,
                strides=steps,
                encoder=num_res_units,
            )
        )


class AttentionUNet(Network):
    """Attention U-Net (Oktay et al. 2018, arXiv 1804.03999), as ``monai.networks.nets.AttentionUnet``."""

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        dimension: int = 3,
        channels: Sequence[int] = (16, 32, 64, 128, 256),
        strides: Sequence[int] | None = None,
        kernel_size: int = 3,
    ) -> None:
        steps = None if strides is None else [1, *strides]
        super().__init__(
            _spec(
                "attention_unet",
                in_channels,
                num_classes,
                dimension,
                features=channels,
                kernels=kernel_size,
                strides=steps,
            )
        )


class SegResNet(Network):
    """SegResNet (Myronenko 2018, arXiv 1810.11654) without the autoencoder branch, as ``monai.networks.nets.SegResNet``."""

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        dimension: int = 3,
        init_filters: int = 8,
        blocks_down: Sequence[int] = (1, 2, 2, 4),
        blocks_up: Sequence[int] = (1, 1, 1),
    ) -> None:
        super().__init__(
            _spec(
                "segresnet",
                in_channels,
                num_classes,
                dimension,
                features=[init_filters * 2**i for i in range(len(blocks_down))],
                encoder=blocks_down,
                decoder=blocks_up,
            )
        )


class VNet(Network):
    """V-Net (Milletari et al. 2016, arXiv 1606.04797), as ``monai.networks.nets.VNet``.

    Parameters
    ----------
    activation : "elu" or "prelu"
    dropout : of whole feature maps in the two lower levels and of the skips
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        dimension: int = 3,
        activation: str = "elu",
        dropout: float = 0.5,
    ) -> None:
        super().__init__(
            _spec("vnet", in_channels, num_classes, dimension, activation=activation, dropout=float(dropout))
        )


class Classifier(Network):
    """nnU-Net's residual encoder, averaged over space, with a linear head: logits ``[batch, num_classes]``.

    Arguments as `PlainUNet`; `dropout` is before the head.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        dimension: int = 3,
        features_per_stage: Iterable[int] = (),
        kernel_sizes: Sizes | None = None,
        strides: Sizes | None = None,
        n_conv_per_stage: Sizes | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(
            _spec(
                "resnet_classifier",
                in_channels,
                num_classes,
                dimension,
                features=features_per_stage,
                kernels=kernel_sizes,
                strides=strides,
                encoder=n_conv_per_stage,
                dropout=float(dropout),
            )
        )


class EfficientNet(Network):
    """EfficientNet (Tan and Le 2019, arXiv 1905.11946) in 2D or 3D: B0 by default; logits ``[batch, num_classes]``.

    In 2D the state dict is that of ``torchvision.models.efficientnet_b0``. No stochastic depth.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        dimension: int = 2,
        features_per_stage: Iterable[int] = (),
        kernel_sizes: Sizes | None = None,
        strides: Sizes | None = None,
        n_conv_per_stage: Sizes | None = None,
        dropout: float = 0.2,
    ) -> None:
        super().__init__(
            _spec(
                "efficientnet_classifier",
                in_channels,
                num_classes,
                dimension,
                features=features_per_stage,
                kernels=kernel_sizes,
                strides=strides,
                encoder=n_conv_per_stage,
                dropout=float(dropout),
            )
        )


_CLASSES: dict[str, type[Network]] = {
    "plain_unet": PlainUNet,
    "residual_unet": ResidualEncoderUNet,
    "small_unet": SmallUNet,
    "unet": UNet,
    "attention_unet": AttentionUNet,
    "segresnet": SegResNet,
    "vnet": VNet,
    "resnet_classifier": Classifier,
    "efficientnet_classifier": EfficientNet,
}


def build(spec: NetworkSpec) -> Network:
    """The network of a spec, such as the planner gives; freshly drawn weights from torch's default generator."""
    network = _CLASSES[spec.kind].__new__(_CLASSES[spec.kind])
    Network.__init__(network, spec)
    return network


def from_nnunet(state_dict: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """nnU-Net's state dict with our names: ``all_modules`` and ``decoder.encoder`` hold the same tensors twice and go."""
    out = {}
    for name, value in state_dict.items():
        name = name.removeprefix("module.").removeprefix("_orig_mod.")
        if ".all_modules." not in name and not name.startswith("decoder.encoder."):
            out[name] = value
    return out
