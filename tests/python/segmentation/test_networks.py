# SPDX-License-Identifier: Apache-2.0
"""Networks against their published implementations with the same weights, and as torch.nn.Modules."""

import copy
import io
import pickle
import socket

import monai.networks.nets as monai_nets
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
import torchvision
from dynamic_network_architectures.architectures.unet import PlainConvUNet, ResidualEncoderUNet
from torch import nn

import vesalius as vs
from vesalius.segmentation import networks

torch.manual_seed(0)

TOPOLOGIES = {
    "2d": (2, [4, 8, 16], [[3, 3], [3, 3], [3, 3]], [[1, 1], [2, 2], [2, 1]], (2, 3, 16, 24)),
    "3d": (3, [4, 8, 12], [[3, 3, 3]] * 3, [[1, 1, 1], [2, 2, 2], [2, 2, 2]], (2, 3, 8, 12, 16)),
    "anisotropic": (
        3,
        [4, 6, 8],
        [[1, 3, 3], [1, 3, 3], [3, 3, 3]],
        [[1, 1, 1], [1, 2, 2], [2, 2, 2]],
        (1, 3, 4, 16, 8),
    ),
}


def _nnunet(topology: str, residual: bool, deep: bool = True) -> tuple[nn.Module, networks.Network, torch.Tensor]:
    dimension, features, kernels, strides, shape = TOPOLOGIES[topology]
    encoder, decoder = ([1, 2, 2], [1, 2]) if residual else ([2, 1, 3], [2, 1])
    cls = ResidualEncoderUNet if residual else PlainConvUNet
    blocks = {"n_blocks_per_stage" if residual else "n_conv_per_stage": encoder}
    theirs = cls(
        3, 3, features, nn.Conv2d if dimension == 2 else nn.Conv3d, kernels, strides, num_classes=4,
        n_conv_per_stage_decoder=decoder, conv_bias=True,
        norm_op=nn.InstanceNorm2d if dimension == 2 else nn.InstanceNorm3d, norm_op_kwargs={"eps": 1e-5, "affine": True},
        nonlin=nn.LeakyReLU, nonlin_kwargs={"inplace": True}, deep_supervision=deep, **blocks,
    )  # fmt: skip
    theirs.apply(theirs.initialize)
    ours_class = networks.ResidualEncoderUNet if residual else networks.PlainUNet
    ours = ours_class(
        3, 4, dimension=dimension, features_per_stage=features, kernel_sizes=kernels, strides=strides,
        n_conv_per_stage=encoder, n_conv_per_stage_decoder=decoder, deep_supervision=deep,
    )  # fmt: skip
    return theirs, ours, torch.randn(shape)


def _shake(module: nn.Module) -> None:
    """Norms, biases and running statistics away from their special starting values (zeros and ones)."""
    with torch.no_grad():
        for tensor in module.state_dict().values():
            if tensor.is_floating_point() and tensor.dim() == 1:
                tensor.add_(torch.rand_like(tensor) * 0.2)


@pytest.mark.parametrize("topology", TOPOLOGIES)
@pytest.mark.parametrize("residual", [False, True])
def test_nnunet_networks_equal_dynamic_network_architectures(topology: str, residual: bool) -> None:
    """Oracle: dynamic_network_architectures 0.4.4 with copied weights: outputs, deep supervision, gradients."""
    theirs, ours, x = _nnunet(topology, residual)
    _shake(theirs)
    assert ours.load_state_dict(networks.from_nnunet(theirs.state_dict())) is not None
    assert sum(p.numel() for p in ours.parameters()) == sum(p.numel() for p in theirs.parameters())
    expected, got = theirs(x), ours(x)
    assert len(got) == len(expected) == 2
    for a, b in zip(got, expected, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)
    sum(o.square().mean() for o in expected).backward()
    sum(o.square().mean() for o in got).backward()
    gradients = {n: p.grad for n, p in theirs.named_parameters()}
    for name, p in ours.named_parameters():
        torch.testing.assert_close(p.grad, gradients[name], atol=1e-5, rtol=1e-3, msg=lambda m, n=name: f"{n}: {m}")
    ours.eval()
    torch.testing.assert_close(ours(x), expected[0], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("residual", [False, True])
def test_initial_weights_have_nnunets_statistics(residual: bool) -> None:
    """Oracle: dynamic_network_architectures' own initialisation: standard deviation of each large weight, zeros and ones."""
    theirs, ours, _ = _nnunet("3d", residual)
    own = {name: p.detach() for name, p in ours.named_parameters()}
    for name, p in networks.from_nnunet(theirs.state_dict()).items():
        if p.numel() >= 500:
            assert own[name].std() == pytest.approx(p.std().item(), rel=0.15), name
            assert abs(own[name].mean()) < 0.15 * own[name].std()
        elif p.std() == 0 or p.numel() == 1:
            torch.testing.assert_close(own[name], p, msg=name)


MONAI = {
    "unet": (lambda: monai_nets.UNet(3, 2, 3, (4, 8, 16), (2, 2), num_res_units=2),
             lambda: networks.UNet(2, 3, channels=(4, 8, 16), strides=(2, 2)), (2, 2, 16, 8, 12)),
    "unet without residual units": (lambda: monai_nets.UNet(2, 1, 3, (4, 8, 16), (2, 2)),
             lambda: networks.UNet(1, 3, dimension=2, channels=(4, 8, 16), num_res_units=0), (2, 1, 16, 24)),
    "unet one unit, stride 1": (lambda: monai_nets.UNet(2, 1, 3, (4, 8, 8, 16), (2, 1, 2), num_res_units=1),
             lambda: networks.UNet(1, 3, dimension=2, channels=(4, 8, 8, 16), strides=(2, 1, 2), num_res_units=1),
             (2, 1, 16, 24)),
    "attention": (lambda: monai_nets.AttentionUnet(3, 1, 2, (4, 8, 16), (2, 2)),
             lambda: networks.AttentionUNet(1, 2, channels=(4, 8, 16)), (2, 1, 8, 12, 8)),
    "segresnet": (lambda: monai_nets.SegResNet(3, 8, 2, 3), lambda: networks.SegResNet(2, 3), (1, 2, 16, 16, 24)),
    "segresnet 2d": (lambda: monai_nets.SegResNet(2, 16, 1, 2, blocks_down=(1, 1, 2), blocks_up=(1, 2)),
             lambda: networks.SegResNet(1, 2, dimension=2, init_filters=16, blocks_down=(1, 1, 2), blocks_up=(1, 2)),
             (2, 1, 16, 24)),
    "vnet elu": (lambda: monai_nets.VNet(3, 1, 2), lambda: networks.VNet(1, 2), (1, 1, 16, 16, 32)),
    "vnet prelu 2d": (lambda: monai_nets.VNet(2, 2, 3, act="prelu"),
             lambda: networks.VNet(2, 3, dimension=2, activation="prelu"), (2, 2, 32, 16)),
}  # fmt: skip


@pytest.mark.parametrize("name", MONAI)
def test_monais_networks(name: str) -> None:
    """Oracle: MONAI 1.6.1 with the same state dict, eval mode; the keys are the same and in both directions."""
    make_theirs, make_ours, shape = MONAI[name]
    theirs, ours, x = make_theirs(), make_ours(), torch.randn(shape)
    _shake(theirs)
    ours.load_state_dict(theirs.state_dict())
    theirs.eval(), ours.eval()
    torch.testing.assert_close(ours(x), theirs(x), atol=2e-4, rtol=1e-4)
    theirs.load_state_dict(ours.state_dict())


@pytest.mark.parametrize("name", ["unet", "attention", "segresnet"])
def test_monais_networks_in_train_mode(name: str) -> None:
    """Oracle: MONAI in train mode: outputs, and batch norm's running statistics after the step."""
    make_theirs, make_ours, shape = MONAI[name]
    theirs, ours, x = make_theirs(), make_ours(), torch.randn(shape)
    ours.load_state_dict(theirs.state_dict())
    torch.testing.assert_close(ours(x), theirs(x), atol=2e-4, rtol=1e-4)
    for key, value in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[key], value, atol=1e-5, rtol=1e-4, msg=key)


def test_efficientnet_is_torchvisions() -> None:
    """Oracle: torchvision.models.efficientnet_b0 with the same state dict."""
    theirs = torchvision.models.efficientnet_b0(num_classes=5)
    ours = networks.EfficientNet(3, 5)
    ours.load_state_dict(theirs.state_dict())
    theirs.eval(), ours.eval()
    x = torch.randn(2, 3, 64, 96)
    torch.testing.assert_close(ours(x), theirs(x), atol=1e-5, rtol=1e-4)
    assert networks.EfficientNet(1, 2, dimension=3)(torch.randn(2, 1, 32, 32, 32)).shape == (2, 2)


def test_classifier_is_the_encoder_pooled_and_a_linear_layer() -> None:
    """Oracle: dynamic_network_architectures' encoder, mean, linear."""
    theirs, _, x = _nnunet("3d", residual=True)
    dimension, features, kernels, strides, _ = TOPOLOGIES["3d"]
    ours = networks.Classifier(3, 2, features_per_stage=features, kernel_sizes=kernels, strides=strides,
                               n_conv_per_stage=[1, 2, 2])  # fmt: skip
    state = networks.from_nnunet(theirs.state_dict())
    result = ours.load_state_dict({k: v for k, v in state.items() if k.startswith("encoder.")}, strict=False)
    assert sorted(result.missing_keys) == ["head.bias", "head.weight"]
    expected = ours.head.weight @ theirs.encoder(x)[-1].mean((2, 3, 4)).T + ours.head.bias[:, None]
    torch.testing.assert_close(ours(x), expected.T, atol=1e-5, rtol=1e-4)


def _small(**options: object) -> networks.Network:
    return networks.PlainUNet(1, 2, dimension=2, features_per_stage=(4, 8), **options)


@pytest.mark.parametrize("kind", sorted(networks._CLASSES))
def test_every_kind_trains_with_torch_optim(kind: str) -> None:
    """Invariant: a few Adam steps on one batch lower the loss; every parameter gets a gradient."""
    torch.manual_seed(1)
    spec = vs.segmentation.NetworkSpec(kind=kind, dimension=2, num_classes=2)
    net = networks.build(spec)
    x = torch.randn(4, 1, 64, 64)
    target = torch.randint(0, 2, (4,)) if "classifier" in kind else (x[:, 0] > 0.3).long()
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-2)
    history = []
    for _ in range(6):
        optimiser.zero_grad()
        loss = nn.functional.cross_entropy(net(x), target)
        loss.backward()
        optimiser.step()
        history.append(loss.item())
    assert all(p.grad is not None for p in net.parameters() if p.requires_grad)
    assert min(history[1:]) < history[0]


def test_state_dict_deepcopy_pickle_and_torch_save() -> None:
    """Invariant: copies give the same output and share nothing; flags, modes and types travel."""
    net = networks.SmallUNet(1, 2, features_per_stage=(4, 8), deep_supervision=True)
    net(torch.randn(2, 1, 8, 8))  # running statistics move
    next(iter(net.parameters())).requires_grad_(False)
    net.eval()
    net.decoder.train()
    net = net.double()
    x = torch.randn(1, 1, 8, 8, dtype=torch.double)
    buffer = io.BytesIO()
    torch.save(net, buffer)
    buffer.seek(0)
    copies = [copy.deepcopy(net), pickle.loads(pickle.dumps(net)), torch.load(buffer, weights_only=False)]
    for other in copies:
        assert type(other) is networks.SmallUNet
        assert [m.training for m in other.modules()] == [m.training for m in net.modules()]
        assert [p.requires_grad for p in other.parameters()] == [p.requires_grad for p in net.parameters()]
        torch.testing.assert_close(other.eval()(x), copy.deepcopy(net).eval()(x), rtol=0, atol=0)
        with torch.no_grad():
            next(iter(other.parameters())).add_(1)
    for key, value in copy.deepcopy(net).state_dict().items():
        torch.testing.assert_close(value, net.state_dict()[key], rtol=0, atol=0)


def test_to_half_and_back_keeps_cpp_and_python_one() -> None:
    """Invariant: after `to`, C++ computes with what Python shows, buffers included."""
    net = networks.SmallUNet(1, 2, features_per_stage=(4, 8))
    x = torch.randn(2, 1, 8, 8)
    net.double()
    assert net(x.double()).dtype == torch.double
    net.float().eval()
    before = net(x)
    with torch.no_grad():
        dict(net.named_buffers())["encoder.stages.0.0.convs.0.norm.running_mean"].add_(1)
    assert not torch.equal(net(x), before)
    with torch.no_grad():
        for p in net.parameters():
            p.zero_()
    assert torch.equal(net(x), torch.zeros_like(before))


def test_train_and_eval_of_parts() -> None:
    """Invariant: `eval` of one part stops its running statistics and no other's."""
    net = networks.SmallUNet(1, 2, features_per_stage=(4, 8))
    net.encoder.eval()
    before = {k: v.clone() for k, v in net.state_dict().items() if "running_mean" in k}
    net(torch.randn(2, 1, 8, 8))
    for key, value in before.items():
        assert torch.equal(net.state_dict()[key], value) == key.startswith("encoder")


def test_forward_hooks_see_and_replace_outputs() -> None:
    """Oracle: the bottleneck's output by hook equals a network cut there; a hook that returns a tensor replaces it."""
    theirs, ours, x = _nnunet("3d", residual=False, deep=False)
    ours.load_state_dict(networks.from_nnunet(theirs.state_dict()))
    seen = []
    stage = ours.get_submodule("encoder.stages.2")
    handle = stage.register_forward_hook(lambda module, inputs, output: seen.append((module, inputs[0], output)))
    norm = ours.get_submodule("encoder.stages.0.0.convs.0.norm")
    norm_handle = norm.register_forward_hook(lambda module, inputs, output: seen.append(output))
    y = ours(x)
    torch.testing.assert_close(seen[1][2], theirs.encoder(x)[-1], atol=1e-5, rtol=1e-4)
    assert seen[1][0] is stage and seen[0].min() < -0.5
    handle.remove(), norm_handle.remove()
    zero = ours.get_submodule("decoder.seg_layers.1").register_forward_hook(lambda m, i, o: torch.zeros_like(o))
    assert not ours(x).any()
    zero.remove()
    torch.testing.assert_close(ours(x), y)
    gradients = []
    stage.register_forward_hook(lambda m, i, o: o.register_hook(gradients.append) and None)
    ours(x).sum().backward()
    assert gradients[0].shape == seen[1][2].shape


@pytest.mark.parametrize("kind", ["instance", "group"])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last_3d])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_fused_norm_and_activation(kind: str, layout: torch.memory_format, dtype: torch.dtype) -> None:
    """Oracle: torch's norm and activation, values and gradients; odd sizes, a mean far from 0, both memory layouts."""
    shape = (2, 16, 5, 7, 33)
    x = (torch.randn(shape) * 3 + 20).to(dtype).contiguous(memory_format=layout)
    if kind == "instance":
        net = networks.PlainUNet(16, 1, features_per_stage=(16, 16), strides=1)
        layer, slope = net.get_submodule("encoder.stages.0.0.convs.0"), 0.01
        expected_norm = lambda t, w, b: nn.functional.instance_norm(t, weight=w, bias=b)  # noqa: E731
        weight = layer.norm.weight
    else:
        net = networks.SegResNet(16, 1, init_filters=16, blocks_down=(1, 1), blocks_up=(1,))
        layer, slope = net.get_submodule("down_layers.0.1"), 0.0
        expected_norm = lambda t, w, b: nn.functional.group_norm(t, 8, w, b)  # noqa: E731
        weight = layer.norm1.weight
    with torch.no_grad():
        weight.add_(torch.randn(16) * 0.3)
        for name, p in net.named_parameters():  # convolutions that pass their input on
            if p.dim() == 5 and p.shape[:2] == (16, 16):
                p.zero_()
                p[range(16), range(16), p.shape[2] // 2, p.shape[3] // 2, p.shape[4] // 2] = 1
            elif name.endswith("conv.bias"):
                p.zero_()
    net.to(dtype)
    bias = (layer.norm if kind == "instance" else layer.norm1).bias
    seen = {}
    hooked = "encoder.stages.0.0.convs.0" if kind == "instance" else "down_layers.0.1.conv1"
    net.get_submodule(hooked).register_forward_hook(lambda m, i, o: seen.update(o=o))
    if kind == "group":  # SegResNet halves its input
        x = x[..., :4, :6, :32].contiguous(memory_format=layout)
    x_in = x.requires_grad_()
    net(x_in)
    y = x_in.detach().float().requires_grad_()
    w, b = weight.detach().float().requires_grad_(), bias.detach().float().requires_grad_()
    expected = nn.functional.leaky_relu(expected_norm(y, w, b), slope)
    # bfloat16: the convolution under it rounds sums of four inputs (Winograd), here of a mean of 20
    tolerance = {"atol": 3e-5, "rtol": 1e-4} if dtype == torch.float32 else {"atol": 0.1, "rtol": 0.03}
    torch.testing.assert_close(seen["o"].float(), expected, **tolerance)
    g = torch.randn(expected.shape)
    expected.backward(g)
    seen["o"].backward(g.to(dtype))
    # rounding may turn the activation's slope where it bends
    sure = torch.ones_like(y, dtype=torch.bool) if dtype == torch.float32 else expected_norm(y, w, b).abs() > 0.2
    torch.testing.assert_close(x_in.grad.float()[sure], y.grad[sure], **tolerance)
    if dtype == torch.float32:
        torch.testing.assert_close(weight.grad, w.grad, atol=1e-3, rtol=1e-4)
        torch.testing.assert_close(bias.grad, b.grad, atol=1e-3, rtol=1e-4)
    with torch.no_grad():
        net(x_in.detach())
    torch.testing.assert_close(seen["o"].float(), expected.detach(), **tolerance)


def test_autocast_and_gradient_through_the_input() -> None:
    """Invariant: bf16 under autocast, close to float32; gradients reach the input."""
    net = _small().eval()
    x = torch.randn(1, 1, 16, 16, requires_grad=True)
    reference = net(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        low = net(x)
    assert low.dtype == torch.bfloat16
    torch.testing.assert_close(low.float(), reference, atol=0.15, rtol=0.1)
    reference.sum().backward()
    assert x.grad is not None and x.grad.abs().sum() > 0


def test_torch_compile_falls_back() -> None:
    """Invariant: torch.compile leaves the network as it is and computes the same."""
    net = _small().eval()
    x = torch.randn(1, 1, 16, 16)
    torch.testing.assert_close(torch.compile(net, backend="eager")(x), net(x))


def test_seed_gives_the_weights() -> None:
    """Invariant: torch.manual_seed decides the initial weights."""
    torch.manual_seed(5)
    a = _small()
    torch.manual_seed(5)
    b = _small()
    assert all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))


def _ddp_worker(rank: int, port: int, queue: "mp.Queue") -> None:  # type: ignore[type-arg]
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    torch.manual_seed(rank)  # DDP takes rank 0's weights
    net = _small()
    ddp = nn.parallel.DistributedDataParallel(net)
    optimiser = torch.optim.SGD(ddp.parameters(), lr=0.1)
    x = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(9))
    for _ in range(2):
        optimiser.zero_grad()
        ddp(x[rank * 2 : rank * 2 + 2]).square().mean().backward()
        optimiser.step()
    queue.put((rank, {k: v.numpy() for k, v in net.state_dict().items()}))
    dist.destroy_process_group()


def test_ddp_of_two_processes_equals_one_on_the_whole_batch() -> None:
    """Oracle: one process on both halves of the batch (instance norm: samples don't mix)."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    context = mp.get_context("spawn")
    queue = context.Queue()
    workers = [context.Process(target=_ddp_worker, args=(rank, port, queue)) for rank in range(2)]
    for worker in workers:
        worker.start()
    states = dict(queue.get(timeout=120) for _ in workers)
    for worker in workers:
        worker.join(60)
    torch.manual_seed(0)
    net = _small()
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1)
    x = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(9))
    for _ in range(2):
        optimiser.zero_grad()
        net(x).square().mean().backward()
        optimiser.step()
    for key, value in net.state_dict().items():
        torch.testing.assert_close(torch.from_numpy(states[0][key]), value, atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(torch.from_numpy(states[1][key]), value, atol=1e-6, rtol=1e-5)


def test_spec_round_trip_and_completion() -> None:
    """Invariant: YAML round trip; lists are filled in per stage and axis."""
    spec = networks.ResidualEncoderUNet(1, 3, features_per_stage=(4, 8, 16, 32), strides=(1, 2, (1, 2, 2), 2)).spec
    assert vs.segmentation.NetworkSpec.from_yaml(spec.to_yaml()) == spec
    assert spec.n_conv_per_stage == (1, 3, 4, 6)
    assert spec.strides == (1, 1, 1, 2, 2, 2, 1, 2, 2, 2, 2, 2)
    assert networks.build(spec).divisor == (4, 8, 8)


def test_bad_input_says_what_to_do() -> None:
    """Mechanics: errors name the field or the shape."""
    spec = vs.segmentation.NetworkSpec
    for wrong, message in [
        ({"dimension": 4}, "dimension is 2 or 3"),
        ({"features_per_stage": [8]}, "2 to 16 stages"),
        ({"strides": [2, 2, 2, 2, 2]}, "first stage's stride is 1"),
        ({"kernel_sizes": [2]}, "kernel_sizes are odd"),
        ({"kernel_sizes": [3, 3]}, "kernel_sizes has one number"),
        ({"kind": "vnet", "in_channels": 3}, "multiple of in_channels"),
        ({"kind": "segresnet", "features_per_stage": [8, 24, 48, 96]}, "double"),
        ({"kind": "unet", "deep_supervision": True}, "deep_supervision is for"),
        ({"kind": "swin"}, "is one of plain_unet"),
        ({"num_classes": 0}, "num_classes lies in"),
    ]:
        with pytest.raises(vs.InvalidArgument, match=message):
            networks.build(spec(**wrong))
    net = _small()
    with pytest.raises(vs.ShapeError, match=r"takes \[batch, 1, y, x\]; got \[1, 2, 8, 8\]"):
        net(torch.randn(1, 2, 8, 8))
    with pytest.raises(vs.ShapeError, match="multiples of"):
        net(torch.randn(1, 1, 9, 8))
    with pytest.raises(vs.NotSupported, match="C\\+\\+ network"):
        net.get_submodule("decoder.seg_layers.0").weight = nn.Parameter(torch.zeros(2, 4, 1, 1))
    with pytest.raises(vs.NotSupported, match="assign"):
        net.load_state_dict(net.state_dict(), assign=True)
    with pytest.raises(RuntimeError, match="size mismatch"):
        net.load_state_dict(networks.PlainUNet(1, 3, dimension=2, features_per_stage=(4, 8)).state_dict())
