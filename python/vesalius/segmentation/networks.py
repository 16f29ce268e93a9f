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

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch

from .._vesalius.segmentation import NetworkSpec
from ._network import Network

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


def _monai(channels: Sequence[int], strides: Sequence[int] | None, kernel_size: int) -> dict[str, Any]:
    """MONAI's sizes as ours: its strides begin with the second stage's."""
    return {"features": channels, "kernels": kernel_size, "strides": None if strides is None else [1, *strides]}


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

    _kind = "plain_unet"

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
    ) -> None:
        spec = _spec(
            self._kind,
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
        super().__init__(spec)


class ResidualEncoderUNet(PlainUNet):
    """nnU-Net's residual-encoder U-Net (Isensee et al. 2024, arXiv 2404.09556); arguments as `PlainUNet`.

    ``n_conv_per_stage`` counts residual blocks; by default 1, 3, 4, 6, 6, … as in the presets M, L and XL, which differ in how
    large the planner may make the network.
    """

    _kind = "residual_unet"


class SmallUNet(PlainUNet):
    """A 2D U-Net for video in real time: 16 to 64 features, batch norm, ReLU; arguments as `PlainUNet`."""

    _kind = "small_unet"

    def __init__(self, in_channels: int, num_classes: int, *, dimension: int = 2, **options: Any) -> None:
        super().__init__(in_channels, num_classes, dimension=dimension, **options)


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
        shape = _monai(channels, strides, kernel_size)
        super().__init__(_spec("unet", in_channels, num_classes, dimension, encoder=num_res_units, **shape))


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
        shape = _monai(channels, strides, kernel_size)
        super().__init__(_spec("attention_unet", in_channels, num_classes, dimension, **shape))


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

    _kind = "resnet_classifier"

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
        spec = _spec(
            self._kind,
            in_channels,
            num_classes,
            dimension,
            features=features_per_stage,
            kernels=kernel_sizes,
            strides=strides,
            encoder=n_conv_per_stage,
            dropout=float(dropout),
        )
        super().__init__(spec)


class EfficientNet(Classifier):
    """EfficientNet (Tan and Le 2019, arXiv 1905.11946) in 2D or 3D: B0 by default; logits ``[batch, num_classes]``.

    Arguments as `Classifier`. In 2D the state dict is that of ``torchvision.models.efficientnet_b0``. No stochastic depth.
    """

    _kind = "efficientnet_classifier"

    def __init__(
        self, in_channels: int, num_classes: int, *, dimension: int = 2, dropout: float = 0.2, **options: Any
    ) -> None:
        super().__init__(in_channels, num_classes, dimension=dimension, dropout=dropout, **options)


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
