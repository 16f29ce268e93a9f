# SPDX-License-Identifier: Apache-2.0
"""Losses against MONAI's, nnU-Net's or a formula written out here; gradients by gradcheck."""

import numpy as np
import pytest
import torch
from monai import losses as monai_losses
from nnunetv2.training.loss.compound_losses import DC_and_BCE_loss, DC_and_CE_loss
from nnunetv2.training.loss.dice import MemoryEfficientSoftDiceLoss
from scipy import ndimage
from torch import nn

import vesalius as vs
from vesalius.segmentation import losses

B, C = 2, 4
SHAPES = [(6, 7), (5, 6, 7)]


def _case(shape: tuple[int, ...], seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(B, C, *shape, generator=generator)
    return logits, torch.randint(0, C, (B, *shape), generator=generator)


def _region_case(shape: tuple[int, ...]) -> tuple[torch.Tensor, torch.Tensor]:
    logits, _ = _case(shape)
    return logits, (torch.rand(logits.shape, generator=torch.Generator().manual_seed(3)) > 0.6).long()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("batch", [False, True])
@pytest.mark.parametrize("background", [False, True])
def test_soft_dice_generalised_dice_tversky_are_monais(shape: tuple[int, ...], batch: bool, background: bool) -> None:
    """Oracle: MONAI 1.6.1's DiceLoss, GeneralizedDiceLoss (one class absent too), TverskyLoss."""
    logits, labels = _case(shape)
    labels[labels == 3] = 1
    common = {"softmax": True, "to_onehot_y": True, "include_background": background, "batch": batch}
    smooth = {"smooth_nr": 1e-5, "smooth_dr": 1e-5}
    options = {"include_background": background, "batch_dice": batch}
    target = labels[:, None]
    pairs = [
        (losses.SoftDice(**options), monai_losses.DiceLoss(**common, **smooth)),
        (losses.SoftDice(**options, smooth=(0.5, 2.0)), monai_losses.DiceLoss(**common, smooth_nr=0.5, smooth_dr=2.0)),
        (losses.GeneralisedDice(**options), monai_losses.GeneralizedDiceLoss(**common, **smooth)),
        (losses.Tversky(0.3, 0.7, **options), monai_losses.TverskyLoss(**common, **smooth, alpha=0.3, beta=0.7)),
    ]
    for ours, theirs in pairs:
        torch.testing.assert_close(ours(logits, labels), theirs(logits, target), msg=lambda m, o=ours: f"{o}: {m}")


@pytest.mark.parametrize("shape", SHAPES)
def test_regions_are_monais_sigmoid(shape: tuple[int, ...]) -> None:
    """Oracle: MONAI with sigmoid=True and all channels; torch's BCE."""
    logits, regions = _region_case(shape)
    common = {"sigmoid": True, "smooth_nr": 1e-5, "smooth_dr": 1e-5}
    for ours, theirs in [
        (losses.SoftDice(regions=True), monai_losses.DiceLoss(**common)),
        (losses.GeneralisedDice(regions=True), monai_losses.GeneralizedDiceLoss(**common)),
        (losses.Tversky(0.3, 0.7, regions=True), monai_losses.TverskyLoss(**common, alpha=0.3, beta=0.7)),
        (losses.Focal(1.5, regions=True), monai_losses.FocalLoss(gamma=1.5)),
        (losses.ClDice(regions=True), monai_losses.SoftclDiceLoss(sigmoid=True)),
        (losses.CrossEntropy(regions=True), lambda x, t: nn.functional.binary_cross_entropy_with_logits(x, t)),
    ]:
        torch.testing.assert_close(ours(logits, regions), theirs(logits, regions.float()))


@pytest.mark.parametrize("shape", SHAPES)
def test_cross_entropy_focal_cldice(shape: tuple[int, ...]) -> None:
    """Oracle: torch's cross_entropy (weights, ignored label); MONAI's FocalLoss (softmax, alpha) and SoftclDiceLoss."""
    logits, labels = _case(shape)
    weight = torch.tensor([0.2, 1.0, 2.0, 0.5])
    torch.testing.assert_close(losses.CrossEntropy()(logits, labels), nn.functional.cross_entropy(logits, labels))
    torch.testing.assert_close(
        losses.CrossEntropy(weight, ignore_label=3)(logits, labels),
        nn.functional.cross_entropy(logits, labels, weight=weight, ignore_index=3),
    )
    target = labels[:, None]
    theirs = monai_losses.FocalLoss(use_softmax=True, to_onehot_y=True, gamma=2.0)
    torch.testing.assert_close(losses.Focal()(logits, labels), theirs(logits, target))
    theirs = monai_losses.FocalLoss(use_softmax=True, to_onehot_y=True, gamma=0.7, alpha=weight.tolist())
    torch.testing.assert_close(losses.Focal(0.7, weight)(logits, labels), theirs(logits, target))
    theirs = monai_losses.SoftclDiceLoss(iter_=2, softmax=True, to_onehot_y=True, include_background=False)
    torch.testing.assert_close(losses.ClDice(2)(logits, labels), theirs(logits, target))


def test_focal_tversky_by_its_formula() -> None:
    """Oracle: Abraham and Khan 2018, written out."""
    logits, labels = _case((6, 7))
    p = logits.softmax(1)
    total = 0.0
    for b in range(B):
        for c in range(1, C):
            g = (labels[b] == c).float()
            tp, fp, fn = (p[b, c] * g).sum(), (p[b, c] * (1 - g)).sum(), ((1 - p[b, c]) * g).sum()
            total += (1 - (tp + 1e-5) / (tp + 0.3 * fp + 0.7 * fn + 1e-5)) ** 0.75
    torch.testing.assert_close(losses.FocalTversky()(logits, labels), torch.as_tensor(total / (B * (C - 1))))


@pytest.mark.parametrize("shape", SHAPES)
def test_boundary_by_its_formula(shape: tuple[int, ...]) -> None:
    """Oracle: scipy.ndimage's distance transform and Kervadec et al. 2019's mean of p φ, one class absent."""
    logits, labels = _case(shape)
    labels[labels == 3] = 0
    spacing = [2.0, 0.5, 1.5][-len(shape) :]
    maps = losses.signed_distance_maps(labels, C, spacing)
    for b in range(B):
        for c in range(C):
            inside = (labels[b] == c).numpy()
            expected = np.zeros(shape)
            if inside.any():
                expected = ndimage.distance_transform_edt(~inside, sampling=spacing)
                expected -= ndimage.distance_transform_edt(inside, sampling=spacing)
            np.testing.assert_allclose(maps[b, c].numpy(), expected, atol=1e-5)
    expected = (logits.softmax(1)[:, 1:] * maps[:, 1:]).mean()
    torch.testing.assert_close(losses.Boundary(spacing)(logits, labels), expected)
    torch.testing.assert_close(losses.Boundary(spacing)(logits, maps), expected)


@pytest.mark.parametrize("batch", [False, True])
@pytest.mark.parametrize("ignore", [None, 3])
def test_dice_ce_is_nnunets(batch: bool, ignore: int | None) -> None:
    """Oracle: nnunetv2 2.8.1's DC_and_CE_loss plus 1, and its gradient, with and without an ignored label."""
    logits, labels = _case((5, 6, 7))
    logits = logits[:, :3].clone()
    if ignore is None:
        labels[labels == 3] = 0
    options = {"batch_dice": batch, "smooth": 1e-5, "do_bg": False, "ddp": False}
    theirs = DC_and_CE_loss(options, {}, ignore_label=ignore, dice_class=MemoryEfficientSoftDiceLoss)
    a, b = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    expected = theirs(a, labels[:, None].float())
    got = losses.DiceCE(batch_dice=batch, ignore_label=ignore)(b, labels)
    torch.testing.assert_close(got, expected + 1, atol=1e-5, rtol=1e-5)
    expected.backward(), got.backward()
    torch.testing.assert_close(b.grad, a.grad, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("masked", [False, True])
def test_regions_with_mask_are_nnunets(masked: bool) -> None:
    """Oracle: nnunetv2's DC_and_BCE_loss plus 1; with an ignore channel, its BCE is a sum over regions that it divides
    by the voxels once, so that term is ours times the number of regions."""
    logits, regions = _region_case((5, 6, 7))
    mask = (torch.rand(B, 5, 6, 7, generator=torch.Generator().manual_seed(4)) > 0.3).float()
    options = {"batch_dice": True, "do_bg": True, "smooth": 1e-5, "ddp": False}
    theirs = DC_and_BCE_loss({}, options, use_ignore_label=masked, dice_class=MemoryEfficientSoftDiceLoss)
    target = torch.cat([regions.float(), 1 - mask[:, None]], 1) if masked else regions.float()
    loss = losses.DiceCE(regions=True, batch_dice=True, ce_weight=C if masked else 1)
    got = loss(logits, regions, mask if masked else None)
    torch.testing.assert_close(got, theirs(logits, target) + 1, atol=1e-5, rtol=1e-5)


ALL = [
    losses.SoftDice(), losses.GeneralisedDice(), losses.CrossEntropy(), losses.Focal(), losses.Tversky(0.3, 0.7),
    losses.FocalTversky(), losses.Boundary((1.0, 1.0)), losses.ClDice(1), losses.DiceCE(),
]  # fmt: skip


@pytest.mark.parametrize("loss", ALL, ids=lambda loss: type(loss).__name__)
def test_gradients(loss: nn.Module) -> None:
    """Oracle: finite differences (gradcheck) in float64."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 4, 5, generator=generator, dtype=torch.double, requires_grad=True)
    labels = torch.randint(0, 3, (2, 4, 5), generator=generator)
    assert torch.autograd.gradcheck(lambda x: loss(x, labels), (logits,), eps=1e-6, atol=1e-6)


@pytest.mark.parametrize("loss", ALL[:-3] + ALL[-2:], ids=lambda loss: type(loss).__name__)
def test_what_is_masked_has_no_say(loss: nn.Module) -> None:
    """Invariant: logits and labels under the mask change neither the loss nor get a gradient (soft skeletons reach one
    voxel further, so the mask here is a half of the image and is changed two voxels inside)."""
    logits, labels = _case((8, 16))
    mask = torch.ones(B, 8, 16)
    mask[..., 8:] = 0
    changed, other = logits.clone(), labels.clone()
    changed[..., 8:] += 3 * torch.randn(changed[..., 8:].shape)
    other[..., 8:] = 0
    changed.requires_grad_()
    value = loss(changed, other, mask)
    torch.testing.assert_close(value, loss(logits, labels, mask))
    value.backward()
    assert not changed.grad[..., 8:].any() and changed.grad[..., :8].any()


def test_ignored_label_is_a_mask() -> None:
    """Invariant: ignore_label gives what the mask of its voxels gives, also where all voxels are ignored."""
    logits, labels = _case((6, 7))
    ignored = torch.where(torch.rand(labels.shape) > 0.5, labels, torch.full_like(labels, 255))
    for make in (losses.SoftDice, losses.GeneralisedDice, losses.CrossEntropy, losses.Focal, losses.ClDice):
        torch.testing.assert_close(
            make(ignore_label=255)(logits, ignored), make()(logits, labels * (ignored != 255), ignored != 255)
        )
    everything = torch.full_like(labels, 255)
    assert losses.CrossEntropy(ignore_label=255)(logits, everything) == 0
    assert torch.isfinite(losses.DiceCE(ignore_label=255)(logits, everything))
    torch.testing.assert_close(
        losses.Boundary((1, 1), ignore_label=255)(logits, ignored),
        losses.Boundary((1, 1))(logits, labels * (ignored != 255), ignored != 255),
    )


def test_best_where_the_prediction_is_the_target() -> None:
    """Analytic: 0 for a perfect, certain prediction (1 - 2/(2 + 1e-4) for clDice's constants); above it elsewhere."""
    _, labels = _case((6, 7))
    perfect = 60.0 * (nn.functional.one_hot(labels, C).movedim(-1, 1).float() - 0.5)
    for loss in ALL:
        if isinstance(loss, losses.Boundary):
            continue
        assert loss(perfect, labels) == pytest.approx(0, abs=1e-4), loss
        assert loss(-perfect, labels) > 0.5, loss


def test_deep_supervision() -> None:
    """Oracle: the sum written out with nnU-Net's weights and torch's nearest-exact interpolation."""
    _, labels = _case((8, 12))
    outputs = [torch.randn(B, C, 8 // 2**i, 12 // 2**i) for i in range(3)]
    loss = losses.DiceCE(batch_dice=True)
    small = nn.functional.interpolate(labels[:, None].float(), (4, 6), mode="nearest-exact")[:, 0].long()
    expected = 2 / 3 * loss(outputs[0], labels) + 1 / 3 * loss(outputs[1], small)
    deep = losses.DeepSupervision(loss)
    torch.testing.assert_close(deep(outputs, labels), expected)
    torch.testing.assert_close(deep(outputs, labels[:, None]), expected)
    torch.testing.assert_close(deep(outputs, [labels, small, small]), expected)
    torch.testing.assert_close(deep(outputs[0], labels), loss(outputs[0], labels))
    mask = (torch.rand(B, 8, 12) > 0.5).float()
    assert torch.isfinite(deep(outputs, labels, mask))


def test_bf16_logits_are_computed_in_float32() -> None:
    """Invariant: the loss of rounded logits is that of their float32 values."""
    logits, labels = _case((6, 7))
    low = logits.bfloat16()
    assert torch.equal(losses.DiceCE()(low, labels), losses.DiceCE()(low.float(), labels))


def test_bad_input_says_what_to_do() -> None:
    """Mechanics."""
    logits, labels = _case((6, 7))
    with pytest.raises(vs.InvalidArgument, match=r"labels lie in 0..3.*got 9.*ignore_label"):
        losses.SoftDice()(logits, torch.full_like(labels, 9))
    with pytest.raises(vs.ShapeError, match=r"on the logits' grid \[2, 4, 6, 7\]; got \[2, 6, 6\]"):
        losses.SoftDice()(logits, labels[..., :6])
    with pytest.raises(vs.TypeMismatch, match="whole numbers"):
        losses.CrossEntropy()(logits, labels.float())
    with pytest.raises(vs.ShapeError, match="regions are 0/1"):
        losses.SoftDice(regions=True)(logits, labels)
    with pytest.raises(vs.InvalidArgument, match="give a mask"):
        losses.SoftDice(regions=True, ignore_label=2)(logits, logits)
    with pytest.raises(vs.ShapeError, match="one for each of 4 channels"):
        losses.CrossEntropy([1.0, 2.0])(logits, labels)
    with pytest.raises(vs.InvalidArgument, match="weights for"):
        losses.DeepSupervision(losses.SoftDice(), [1.0])([logits, logits], labels)
