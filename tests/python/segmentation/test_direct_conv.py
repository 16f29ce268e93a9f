# SPDX-License-Identifier: Apache-2.0
"""Our convolutions on the CPU, forward and backward, beside torch's own layers of the same networks."""

from __future__ import annotations

import pytest
import torch
from dynamic_network_architectures.architectures.unet import PlainConvUNet
from monai.networks import nets as monai_nets
from torch import nn

from vesalius.segmentation import networks

Pair = tuple[nn.Module, nn.Module]


def _plain(dimension: int, features: tuple[int, ...], kernels: list, strides: list, channels: int = 1) -> Pair:
    conv, norm = ((nn.Conv2d, nn.InstanceNorm2d), (nn.Conv3d, nn.InstanceNorm3d))[dimension - 2]
    theirs = PlainConvUNet(
        channels, len(features), features, conv, kernels, strides, 2, 3, 1, True, norm,
        {"eps": 1e-5, "affine": True}, None, None, nn.LeakyReLU, {"inplace": True}, deep_supervision=False,
    )  # fmt: skip
    ours = networks.PlainUNet(
        channels, 3, dimension=dimension, features_per_stage=features, kernel_sizes=kernels, strides=strides,
        n_conv_per_stage=2, n_conv_per_stage_decoder=1,
    )  # fmt: skip
    ours.load_state_dict(networks.from_nnunet(theirs.state_dict()))
    return theirs, ours


def _monai(theirs: nn.Module, ours: nn.Module) -> Pair:
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours


# Channels that aren't multiples of a block of 8; axes of odd length, rows shorter and longer than a vector; kernels and strides
# of each axis; transposed kernels of 2 (nnU-Net) and 3 with output padding (MONAI); one channel in, one sample and several.
CASES = {
    "3d": (lambda: _plain(3, (5, 12, 20), [3, 3, 3], [1, 2, 2]), (2, 1, 12, 20, 36)),
    "anisotropic": (
        lambda: _plain(3, (9, 10), [[1, 3, 3], [3, 3, 3]], [[1, 1, 1], [1, 2, 2]], channels=3),
        (1, 3, 5, 14, 70),
    ),
    "2d": (lambda: _plain(2, (8, 17), [3, 3], [1, 2], channels=2), (3, 2, 18, 34)),
    "wide": (lambda: _plain(3, (40, 72), [3, 3], [1, 2]), (1, 1, 8, 8, 32)),
    "kernel 5": (lambda: _plain(2, (6, 7), [5, 5], [1, 2]), (1, 1, 22, 130)),
    "monai unet": (
        lambda: _monai(
            monai_nets.UNet(3, 1, 3, (6, 8, 16), (2, 2), num_res_units=2),
            networks.UNet(1, 3, channels=(6, 8, 16), strides=(2, 2)),
        ),
        (2, 1, 16, 16, 40),
    ),
    "segresnet": (
        lambda: _monai(
            monai_nets.SegResNet(3, 8, 1, 2, blocks_down=(1, 2), blocks_up=(1,)),
            networks.SegResNet(1, 2, blocks_down=(1, 2), blocks_up=(1,)),
        ),
        (2, 1, 8, 12, 38),
    ),
}


def _gradients(net: nn.Module, x: torch.Tensor, g: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    net.zero_grad()
    x = x.clone().requires_grad_()
    y = net(x)
    y.backward(g.to(y.dtype))
    return y.detach(), {"x": x.grad} | {k: p.grad.clone() for k, p in net.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_networks_and_their_gradients(name: str, precision: str) -> None:
    """Oracle: the peer's network on torch's convolutions in float64. float32: to rounding; bfloat16 under autocast: no further
    from it than twice torch's own autocast."""
    torch.manual_seed(0)
    make, shape = CASES[name]
    theirs, ours = make()
    x = torch.randn(shape)
    with torch.no_grad():
        g = theirs(x)  # the gradient of ½ Σ y²: sums that don't cancel
    exact, exact_gradients = _gradients(theirs.double(), x.double(), g.double())
    theirs.float()
    nnunets = isinstance(theirs, PlainConvUNet)
    truths = networks.from_nnunet(exact_gradients) if nnunets else exact_gradients
    low = precision == "bfloat16"
    with torch.autocast("cpu", torch.bfloat16, enabled=low):
        y, gradients = _gradients(ours, x, g)
        reference, reference_gradients = _gradients(theirs, x, g)
    if nnunets:
        reference_gradients = networks.from_nnunet(reference_gradients)
    scale = max(float(v.abs().max()) for k, v in truths.items() if k != "x")

    def error(a: torch.Tensor, b: torch.Tensor) -> float:
        return float((a.double() - b).norm() / (b.norm() + 1e-3 * scale))

    pairs = {"y": (y, reference, exact)} | {
        k: (gradients[k], reference_gradients[k], v) for k, v in truths.items() if k in gradients
    }
    assert len(pairs) > 5
    for key, (mine, peer, truth) in pairs.items():
        assert mine.dtype == peer.dtype, key
        bound = 2 * error(peer, truth) + (0.03 if low else 3e-5)
        assert error(mine, truth) <= bound, (key, error(mine, truth), error(peer, truth))


def test_threads_change_nothing() -> None:
    """Invariant: values and gradients are the same bit for bit on one thread and on two."""
    torch.manual_seed(0)
    _, net = _plain(3, (12, 20), [3, 3], [1, 2])
    x = torch.randn(2, 1, 10, 24, 40)
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            with torch.autocast("cpu", torch.bfloat16):
                y = net(x)
            net.zero_grad()
            y.float().square().mean().backward()
            found.append([y.detach(), *(p.grad.clone() for p in net.parameters() if p.grad is not None)])
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_nan_stays_where_it_is() -> None:
    """Invariant: a voxel that isn't a number reaches its neighbours only, over no row's or plane's end."""
    net = networks.PlainUNet(1, 2, features_per_stage=(8, 8), n_conv_per_stage=1)
    conv = net.get_submodule("encoder.stages.0.0.convs.0.conv")
    seen = {}
    conv.register_forward_hook(lambda m, i, o: seen.update(y=o.detach()))
    x = torch.randn(1, 1, 6, 10, 20)
    x[0, 0, 3, 4, 19] = torch.nan
    with torch.no_grad():
        net(x)
    where = seen["y"].isnan().any(1)[0].nonzero()
    assert where.amin(0).tolist() == [2, 3, 18] and where.amax(0).tolist() == [4, 5, 19] and len(where) == 18
