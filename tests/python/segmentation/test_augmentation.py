# SPDX-License-Identifier: Apache-2.0
"""Augmentation: each transform against batchgeneratorsv2, torch, scipy or skimage with fixed parameters; draws by their
statistics."""

import math
import pickle

import numpy as np
import pytest
import torch
from batchgeneratorsv2.transforms.intensity.contrast import ContrastTransform
from batchgeneratorsv2.transforms.intensity.gamma import GammaTransform
from batchgeneratorsv2.transforms.nnunet.random_binary_operator import (
    binary_closing_torch,
    binary_dilation_torch,
    binary_erosion_torch,
    binary_opening_torch,
)
from batchgeneratorsv2.transforms.noise.gaussian_blur import blur_dimension
from batchgeneratorsv2.transforms.spatial.low_resolution import SimulateLowResolutionTransform
from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform
from batchgeneratorsv2.transforms.utils.deep_supervision_downsampling import DownsampleSegForDSTransform
from batchgeneratorsv2.transforms.utils.seg_to_regions import ConvertSegmentationToRegionsTransform
from nnunetv2.training.data_augmentation.compute_initial_patch_size import get_patch_size
from scipy import ndimage, stats
from skimage.morphology import ball, disk

import vesalius as vs
from vesalius.segmentation import augmentation as aug

PATCH = (20, 24, 22)


@pytest.fixture(scope="module")
def case() -> tuple[torch.Tensor, torch.Tensor]:
    """Smooth noise of two channels, and blocks of four labels."""
    generator = torch.Generator().manual_seed(0)
    image = torch.nn.functional.avg_pool3d(torch.randn(2, 30, 40, 37, generator=generator), 3, 1, 1) * 5
    labels = torch.randint(0, 4, (5, 5, 7), generator=generator, dtype=torch.int16)
    labels = labels.repeat_interleave(6, 0).repeat_interleave(8, 1).repeat_interleave(6, 2)[:, :, :37]
    return image.contiguous(), labels[None].contiguous()


def peer_spatial(patch, angles, scale):
    return SpatialTransform(
        patch, 0, False, p_rotation=1, p_scaling=1, p_synchronize_scaling_across_axes=1,
        rotation=lambda image, dim: angles[dim], scaling=lambda image, dim: scale,
        border_mode_seg="constant", padding_value_seg=-1,
    )  # fmt: skip


@pytest.mark.parametrize("angles", [(0.3, 0, 0), (0, -0.5, 0), (0, 0, 0.4), (0.3, -0.2, 0.5)])
@pytest.mark.parametrize("scale", [1.0, 0.73, 1.37])
@pytest.mark.parametrize("mirror", [(), (0, 2), (1,)])
@pytest.mark.parametrize(
    "patch", [(20, 24, 21), (34, 24, 51)]
)  # no voxel exactly halfway: there the peer's rounding decides
def test_spatial(case, angles, scale, mirror, patch) -> None:
    """Oracle: batchgeneratorsv2's SpatialTransform with these angles and scale, then flips."""
    image, label = case
    out = peer_spatial(patch, angles, scale)(image=image.clone(), segmentation=label.clone())
    axes = [a + 1 for a in mirror]
    got, got_label = aug.spatial(image, label, patch_size=patch, angles=angles, scale=scale, mirror_axes=mirror)
    torch.testing.assert_close(got, out["image"].flip(axes), atol=2e-4, rtol=1e-4)
    assert (got_label != out["segmentation"].flip(axes)).float().mean() < 1e-3  # float16 scores there


@pytest.mark.parametrize("scale", [1.0, 1.3])
def test_spatial_2d(case, scale) -> None:
    """Oracle: batchgeneratorsv2 in 2D."""
    image, label = case[0][:, 3], case[1][:, 3]
    out = peer_spatial((24, 41), (0.7, 0.7), scale)(image=image.clone(), segmentation=label.clone())
    got, got_label = aug.spatial(image, label, patch_size=(24, 41), angles=(0.7,), scale=scale)
    torch.testing.assert_close(got, out["image"], atol=2e-4, rtol=1e-4)
    assert (got_label != out["segmentation"]).float().mean() < 2e-3


def test_spatial_dummy_2d(case) -> None:
    """Oracle: batchgeneratorsv2's 2D SpatialTransform on slices as channels (nnU-Net's dummy 2D)."""
    image, label = case
    c, z = image.shape[:2]
    out = peer_spatial((24, 22), (0.6, 0.6), 1.2)(
        image=image.reshape(c * z, *image.shape[2:]), segmentation=label[0].clone()
    )
    got, got_label = aug.spatial(
        image, label, patch_size=(z, 24, 22), angles=(0.6,), scale=1.2, dummy_2d=True, mirror_axes=(0,)
    )
    torch.testing.assert_close(got, out["image"].reshape(c, z, 24, 22).flip(1), atol=2e-4, rtol=1e-4)
    assert (got_label[0] != out["segmentation"].flip(0)).float().mean() < 2e-3


@pytest.mark.parametrize("patch", [(20, 24, 22), (21, 40, 9), (50, 60, 70), (1, 1, 1)])
def test_crop_and_mirror(case, patch) -> None:
    """Oracle: batchgeneratorsv2 without rotation (its crop about the middle), and torch's flips; exact."""
    image, label = case
    peer = SpatialTransform(patch, 0, False, border_mode_seg="constant", padding_value_seg=-1)
    out = peer(image=image.clone(), segmentation=label.clone())
    for mirror in [(), (0,), (1, 2), (2,), (0, 1, 2)]:
        got, got_label = aug.spatial(image, label, patch_size=patch, mirror_axes=mirror)
        axes = [a + 1 for a in mirror]
        assert torch.equal(got, out["image"].flip(axes))
        assert torch.equal(got_label, out["segmentation"].flip(axes))


def test_label_weights_by_hand() -> None:
    """Analytic: between three labels the largest summed weight wins; a tie goes to the nearest voxel."""
    label = torch.tensor([[[0, 0, 0, 0], [0, 1, 2, 0], [0, 1, 1, 0], [0, 0, 0, 0]]], dtype=torch.int16)
    # A patch of one voxel in the middle of 4 × 4 sees the corners 1 2 / 1 1 with weights 1/4.
    assert int(aug.spatial(label=label, patch_size=(1, 1), angles=(1e-9,))) == 1
    turned = aug.spatial(label=label, patch_size=(4, 4), angles=(math.pi / 2,))
    assert torch.equal(turned, torch.rot90(label, -1, (1, 2)))


def test_window_hides_what_lies_outside(case) -> None:
    """Invariant: voxels of the volume outside the loaded window count as 0, as if they hadn't been loaded."""
    image, label = case
    augment = aug.Augmentation(patch_size=PATCH)
    for index in range(40):
        draw = augment.draw(seed=3, index=index, channels=2)
        got = augment._c.apply_window(image, label[0], (5, -3, 20), (21, 26, 25), draw)
        padded = torch.nn.functional.pad(image, (0, 8, 3, 0))[:, 5:26, :26, 20:]
        padded_label = torch.nn.functional.pad(label, (0, 8, 3, 0), value=-1)[:, 5:26, :26, 20:]
        want = augment(padded, padded_label, draw=draw)
        torch.testing.assert_close(got[0], want[0], atol=1e-4, rtol=1e-4)
        assert (got[1] != want[1]).float().mean() < 1e-3


@pytest.mark.parametrize("sigma", [(0.5, 0.7, 0.9), (1.0, 0.61, 0.84), (2.3, 1.0, 0.5)])
def test_blur(case, sigma) -> None:
    """Oracle: batchgeneratorsv2's blur_dimension."""
    want = case[0].clone()
    for axis, s in enumerate(sigma):
        want = blur_dimension(want, s, axis)
    torch.testing.assert_close(aug.gaussian_blur(case[0], sigma), want, atol=1e-5, rtol=1e-5)
    want = blur_dimension(blur_dimension(case[0][:, 0], sigma[0], 0), sigma[1], 1)
    torch.testing.assert_close(aug.gaussian_blur(case[0][:, 0], sigma[:2]), want, atol=1e-5, rtol=1e-5)


def test_blur_of_narrow_images() -> None:
    """Oracle: scipy's mirror border, where the kernel is longer than the axis (torch refuses those)."""
    image = torch.arange(6.0).reshape(1, 1, 2, 3)
    x = np.arange(-3, 4)
    kernel = np.exp(-0.5 * x**2)
    want = image[0, 0].double().numpy()
    for axis in range(2):
        want = ndimage.correlate1d(want, kernel / kernel.sum(), axis, mode="mirror")
    np.testing.assert_allclose(aug.gaussian_blur(image, 1.0)[0, 0].numpy(), want, rtol=1e-5)


def test_brightness_and_contrast(case) -> None:
    """Oracle: multiplication; batchgeneratorsv2's ContrastTransform."""
    factors = torch.tensor([0.76, 1.24])
    assert torch.equal(aug.brightness(case[0], factors.tolist()), case[0] * factors.view(2, 1, 1, 1))
    peer = ContrastTransform((1, 1), True, False)
    want = peer._apply_to_image(case[0].clone(), apply_to_channel=torch.arange(2), multipliers=factors)
    torch.testing.assert_close(aug.contrast(case[0], factors.tolist()), want, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize("exponent", [0.7, 1.0, 1.5])
@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_gamma(case, inverted, exponent, offset) -> None:
    """Oracle: batchgeneratorsv2's GammaTransform in float64, mean and standard deviation kept."""
    image = case[0] + offset
    want = GammaTransform((1, 1), 0, False, 1, 1)._apply_to_image(
        image.double(),
        apply_to_channel=torch.arange(2),
        retain_stats=torch.tensor([True, True]),
        invert_image=torch.tensor([inverted] * 2),
        gamma=torch.tensor([exponent, 1.1], dtype=torch.float64),
    )
    got = aug.gamma(image, (exponent, 1.1), inverted=inverted)
    torch.testing.assert_close(got.double(), want, atol=3e-5 + offset * 3e-7, rtol=0)


@pytest.mark.parametrize("scale", [(0.63, 0.63, 0.63), (1.0, 0.63, 0.63), (0.5, 0.5, 0.5), (0.97, 0.97, 0.97)])
def test_low_resolution(case, scale) -> None:
    """Oracle: batchgeneratorsv2's SimulateLowResolutionTransform."""
    peer = SimulateLowResolutionTransform((0.5, 1), False, True, None)
    want = peer._apply_to_image(case[0].clone(), apply_to_channel=[0, 1], scales=torch.tensor([scale] * 2))
    torch.testing.assert_close(aug.low_resolution(case[0], scale), want, atol=1e-5, rtol=1e-5)
    want = peer._apply_to_image(case[0][:, 0].clone(), apply_to_channel=[0], scales=torch.tensor([scale[1:]]))
    torch.testing.assert_close(aug.low_resolution(case[0][:1, 0], scale[1:]), want[:1], atol=1e-5, rtol=1e-5)


def test_noise() -> None:
    """Statistics: normal and independent; the same seed gives the same."""
    image = torch.zeros(2, 40, 50, 60)
    noise = aug.gaussian_noise(image, 0.08, seed=5)
    assert torch.equal(noise, aug.gaussian_noise(image, 0.08, seed=5))
    assert not torch.equal(noise, aug.gaussian_noise(image, 0.08, seed=6))
    flat = noise.flatten().double().numpy() / 0.08
    assert stats.kstest(flat, "norm").pvalue > 1e-3
    assert abs(stats.kurtosis(flat)) < 0.05
    for lag in (1, 2, 3, 64, 128, 50 * 60, image[0].numel()):  # neighbours in memory and in the generator's block
        assert abs(np.corrcoef(flat[:-lag], flat[lag:])[0, 1]) < 5 / math.sqrt(len(flat) - lag)


@pytest.mark.parametrize("radius", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("kind", ["dilate", "erode", "close", "open"])
def test_morphology(radius, kind) -> None:
    """Oracle: batchgeneratorsv2's operators with skimage's ball and disk."""
    generator = torch.Generator().manual_seed(radius)
    mask = torch.nn.functional.avg_pool3d(torch.randn(1, 22, 25, 19, generator=generator), 5, 1, 2)[0] > 0.02
    peer = {
        "dilate": binary_dilation_torch,
        "erode": binary_erosion_torch,
        "close": binary_closing_torch,
        "open": binary_opening_torch,
    }[kind]
    assert torch.equal(aug.morphology(mask, kind, radius) > 0, peer(mask, torch.from_numpy(ball(radius, dtype=bool))))
    want = peer(mask[5], torch.from_numpy(disk(radius, dtype=bool)))
    assert torch.equal(aug.morphology(mask[5], kind, radius) > 0, want)


def test_morphology_between_whole_radii() -> None:
    """Oracle: scipy with the ball of all voxels within the radius."""
    mask = torch.rand(15, 16, 17, generator=torch.Generator().manual_seed(1)) > 0.99
    z, y, x = np.mgrid[-4:5, -4:5, -4:5]
    element = z**2 + y**2 + x**2 <= 3.7**2
    want = ndimage.binary_dilation(mask.numpy(), element)
    assert np.array_equal(aug.morphology(mask, "dilate", 3.7).numpy() > 0, want)


def test_remove_component() -> None:
    """Oracle: scipy's labels with all neighbours."""
    mask = torch.rand(12, 13, 14, generator=torch.Generator().manual_seed(2)) > 0.95
    names, count = ndimage.label(mask.numpy(), np.ones((3, 3, 3)))
    sizes = np.bincount(names.ravel())[1:]
    limit = (sorted(sizes)[-1] - 0.5) / mask.numel()  # the largest must stay
    small = [i + 1 for i in range(count) if sizes[i] < limit * mask.numel()]
    for k in (0, len(small) // 2, len(small) - 1):
        got = aug.remove_component(mask, choice=(k + 0.5) / len(small), limit=limit)
        assert np.array_equal(got.numpy() > 0, mask.numpy() & (names != small[k]))
    assert torch.equal(aug.remove_component(mask, limit=0.0) > 0, mask)


def test_regions_and_deep_supervision(case) -> None:
    """Oracle: batchgeneratorsv2's ConvertSegmentationToRegions and DownsampleSegForDS."""
    regions = [[1, 2, 3], [2, 3], [3]]
    got = aug.label_to_regions(case[1], regions, ignore_label=0)
    want = ConvertSegmentationToRegionsTransform([*regions, 0])._apply_to_segmentation(case[1])
    assert torch.equal(got > 0, want)
    scales = [(1.0, 1.0, 1.0), (1.0, 0.5, 0.5), (0.5, 0.25, 0.25), (0.3, 0.7, 0.11)]
    for target in (case[1], got):
        for ours, theirs in zip(
            aug.deep_supervision_targets(target, scales),
            DownsampleSegForDSTransform(scales)._apply_to_segmentation(target),
        ):
            assert torch.equal(ours, theirs)


def close(rate, p: float, n: int) -> None:
    assert abs(rate - p) < 5 * math.sqrt(p * (1 - p) / n), (rate, p)


def test_probabilities_and_ranges() -> None:
    """Statistics of 20,000 draws against nnU-Net's list, five standard errors."""
    augment = aug.Augmentation(patch_size=(128, 128, 128))
    n = 20000
    draws = [augment.draw(seed=11, iteration=i, channels=2) for i in range(n)]

    def rate(done, p: float) -> None:
        close(np.mean(done), p, len(done))

    def uniform(values, low: float, high: float) -> None:
        assert stats.kstest((np.asarray(values) - low) / (high - low), "uniform").pvalue > 1e-4

    rate([any(d.angles) for d in draws], 0.2)
    rate([d.scale != 1 for d in draws], 0.2)
    rate([d.spatial for d in draws], 0.36)
    rate([d.noise_sigma is not None for d in draws], 0.1)
    rate([bool(d.blur_sigma) for d in draws], 0.2)
    rate([s is not None for d in draws for s in d.blur_sigma], 0.5)
    rate([bool(d.brightness) for d in draws], 0.15)
    rate([bool(d.contrast) for d in draws], 0.15)
    rate([bool(d.low_resolution) for d in draws], 0.25)
    rate([s is not None for d in draws for s in d.low_resolution], 0.5)
    rate([bool(d.gamma_inverted) for d in draws], 0.1)
    rate([bool(d.gamma) for d in draws], 0.3)
    for axis in range(3):
        rate([axis in d.mirror_axes for d in draws], 0.5)
        uniform([d.angles[axis] for d in draws if any(d.angles)], -math.pi / 6, math.pi / 6)
    uniform([d.scale for d in draws if d.scale != 1], 0.7, 1.4)
    uniform([d.noise_sigma for d in draws if d.noise_sigma is not None], 0, 0.1)
    uniform([v for d in draws for s in d.blur_sigma if s for v in s], 0.5, 1.0)
    uniform([s for d in draws for s in d.low_resolution if s is not None], 0.5, 1.0)
    for name, low, high in [("brightness", 0.75, 1.25), ("contrast", 0.75, 1.25), ("gamma", 0.7, 1.5)]:
        values = np.array([v for d in draws for v in getattr(d, name)])
        rate(values < 1, 0.5)
        uniform(values[values < 1], low, 1)
        uniform(values[values >= 1], 1, high)
    # Independent of each other, though they come of one key.
    spatial, gamma, mirror = (
        np.array(v, float) for v in zip(*[(d.spatial, bool(d.gamma), 0 in d.mirror_axes) for d in draws])
    )
    for a, b in [(spatial, gamma), (gamma, mirror), (spatial[1:], spatial[:-1])]:
        assert abs(np.corrcoef(a, b)[0, 1]) < 5 / math.sqrt(n)


def test_cascade_draws_and_channels(case) -> None:
    """Statistics of the cascade's extras; and the channels made of them, step by step with the transforms alone."""
    settings = aug.AugmentationSettings(previous_labels=[1, 2, 3])
    augment = aug.Augmentation(settings, patch_size=PATCH)
    n = 6000
    draws = [augment.draw(seed=1, index=i) for i in range(n)]
    none = 0.5**3
    close(np.mean([bool(d.morphology) for d in draws]), 0.4 * (1 - none), n)
    close(np.mean([bool(d.removals) for d in draws]), 0.2 * (1 - none), n)
    operations = [o for d in draws for o in d.morphology]
    for values in ([o[0] for o in operations], [o[1] for o in operations]):
        assert stats.chisquare(np.bincount(values)).pvalue > 1e-4
    assert stats.kstest((np.array([o[2] for o in operations]) - 1) / 7, "uniform").pvalue > 1e-4
    assert {d.morphology[0][0] for d in draws if d.morphology} == {0, 1, 2}  # in random order

    image, label = case
    previous = label[0].flip(0).contiguous()
    draw = aug.AugmentationDraw()
    draw.morphology, draw.removals = [(1, 0, 2.5), (0, 1, 1.0)], [(2, 0.4)]
    got, _ = augment(image, label, draw=draw, previous=previous)
    cropped = aug.spatial(label=previous[None], patch_size=PATCH)[0]
    masks = [cropped == v for v in (1, 2, 3)]
    grown = aug.morphology(masks[1], "dilate", 2.5) > 0
    gained = grown & ~masks[1]
    masks = [masks[0] & ~gained, grown, masks[2] & ~gained]
    masks[0] = aug.morphology(masks[0], "erode", 1.0) > 0
    masks[2] = aug.remove_component(masks[2], choice=0.4, limit=0.15) > 0
    assert torch.equal(got[2:], torch.stack(masks).float())
    with pytest.raises(vs.errors.InvalidArgument, match="previous"):
        augment(image, label, seed=0)


def test_whole_list_equals_the_transforms_in_order(case) -> None:
    """Invariant: apply() is spatial → noise → blur → brightness → contrast → low resolution → gammas → mask → −1 to 0."""
    image, label = case[0], case[1].clone()
    label[:, :12] = -1
    augment = aug.Augmentation(aug.AugmentationSettings(mask_channels=[1]), patch_size=PATCH)
    draw = aug.AugmentationDraw()
    draw.spatial, draw.angles, draw.scale, draw.mirror_axes = True, [0.2, 0.1, -0.3], 0.9, [1]
    draw.noise_sigma, draw.noise_seed = 0.05, 9
    draw.blur_sigma = [None, (0.6, 0.7, 0.8)]
    draw.brightness, draw.contrast = [0.9, 1.1], [1.2, 0.8]
    draw.low_resolution, draw.gamma_inverted, draw.gamma = [0.6, None], [0.8, 1.3], [1.4, 0.7]
    got, got_label = augment(image, label, draw=draw)
    x, y = aug.spatial(image, label, patch_size=PATCH, angles=draw.angles, scale=0.9, mirror_axes=[1])
    x = aug.gaussian_noise(x, 0.05, seed=9)
    x[1:] = aug.gaussian_blur(x[1:], (0.6, 0.7, 0.8))
    x = aug.contrast(aug.brightness(x, (0.9, 1.1)), (1.2, 0.8))
    x[:1] = aug.low_resolution(x[:1], 0.6)
    x = aug.gamma(aug.gamma(x, (0.8, 1.3), inverted=True), (1.4, 0.7))
    x[1][y[0] < 0] = 0
    assert torch.equal(got, x)
    assert torch.equal(got_label, y.clamp(min=0))
    assert (y < 0).any()


@pytest.mark.parametrize(
    "patch", [(128, 128, 128), (40, 56, 40), (24, 256, 256), (64, 192, 160), (320, 320), (640, 320)]
)
def test_initial_patch_and_rules(patch) -> None:
    """Oracle: nnunetv2's get_patch_size, with its rules for angles and dummy 2D."""
    augment = aug.Augmentation(patch_size=patch)
    limit = math.radians(augment.settings.rotation_degrees[1])
    want = get_patch_size(patch, (-limit, limit), (-limit, limit), (-limit, limit), (0.85, 1.25))
    dummy = len(patch) == 3 and max(patch) / patch[0] > 3
    if dummy:
        want[0] = patch[0]
    assert augment.initial_patch_size == tuple(want)
    assert augment.settings.dummy_2d == dummy
    degrees = {
        (128, 128, 128): 30,
        (40, 56, 40): 30,
        (24, 256, 256): 180,
        (64, 192, 160): 30,
        (320, 320): 180,
        (640, 320): 15,
    }
    assert augment.settings.rotation_degrees == (-degrees[patch], degrees[patch])


@pytest.mark.parametrize("patch", [(128, 128, 128), (32, 24), (12, 40, 40)])
def test_key_alone_decides(case, patch) -> None:
    """Invariant: the same key gives the same bits with any number of torch's threads; other keys give others."""
    image, label = (case[0], case[1]) if len(patch) == 3 else (case[0][:, 2], case[1][:, 2])
    augment = pickle.loads(pickle.dumps(aug.Augmentation(patch_size=patch)))
    keep = torch.get_num_threads()
    try:
        results = []
        for threads in (1, 3):
            torch.set_num_threads(threads)
            torch.manual_seed(threads)
            results.append([augment(image, label, seed=5, epoch=2, iteration=i) for i in range(6)])
    finally:
        torch.set_num_threads(keep)
    for a, b in zip(*results):
        assert torch.equal(a[0], b[0])
        assert torch.equal(a[1], b[1])
        assert a[0].shape == (2, *patch)
        assert a[1].shape == (1, *patch)
        assert a[1].dtype == torch.int16
    assert not torch.equal(results[0][0][0], results[0][1][0])


def test_degenerate_patches() -> None:
    """Mechanics: constant images, single voxels, one slice: finite numbers, no crash."""
    settings = aug.AugmentationSettings(
        p_rotation=1, p_scaling=1, p_noise=0, p_blur=1, p_blur_channel=1, p_brightness=0, p_contrast=1,
        p_low_resolution=1, p_low_resolution_channel=1, p_gamma=1, p_gamma_inverted=1,
    )  # fmt: skip
    for patch in [(1, 1, 1), (1, 5, 5), (2, 1, 9), (8, 8), (1, 1)]:
        augment = aug.Augmentation(settings, patch_size=patch)
        for index in range(8):
            image, label = augment(
                torch.full((1, *patch), 3.0), torch.ones(1, *patch, dtype=torch.uint8), seed=0, index=index
            )
            assert torch.isfinite(image).all()
            assert image.shape == (1, *patch)
            assert set(label.unique().tolist()) <= {0, 1}
    constant = torch.full((1, 6, 6, 6), 7.0)
    for change in (lambda x: aug.gamma(x, 1.4), lambda x: aug.contrast(x, 0.8), lambda x: aug.gaussian_blur(x, 0.9)):
        torch.testing.assert_close(change(constant), constant)


def test_bad_input(case) -> None:
    image, label = case
    augment = aug.Augmentation(aug.AugmentationSettings.none(), patch_size=PATCH)
    broken = image.clone()
    broken[1, 15, 20, 20] = float("nan")
    with pytest.raises(vs.errors.InvalidArgument, match="channel 1 .*NaN"):
        augment(broken, label, seed=0)
    broken[1, 15, 20, 20] = float("inf")
    with pytest.raises(vs.errors.InvalidArgument, match="infinite"):
        augment(broken, label, seed=0)
    with pytest.raises(vs.errors.ShapeError):
        augment(image, label[:, 1:], seed=0)
    with pytest.raises(vs.errors.ShapeError):
        augment(image[0], label, seed=0)
    with pytest.raises(vs.errors.TypeMismatch):
        augment(image, label.float(), seed=0)
    with pytest.raises(vs.errors.InvalidArgument, match="seed"):
        augment(image, label)
    for settings in [
        {"p_gamma": 1.5}, {"scaling": (1.4, 0.7)}, {"mirror_axes": [3]}, {"rotation_degrees": (5,)}, {"scaling": (0, 1)},
        {"gamma": (0, 1)}, {"p_blur": float("nan")},
    ]:  # fmt: skip
        with pytest.raises(vs.errors.InvalidArgument):
            aug.Augmentation(aug.AugmentationSettings(**settings), patch_size=PATCH)
    with pytest.raises(vs.errors.InvalidArgument):
        aug.Augmentation(patch_size=(4,))
    with pytest.raises(vs.errors.InvalidArgument, match="Did you mean"):
        aug.AugmentationSettings(p_gama=0.1)
    settings = aug.AugmentationSettings(p_gamma=0.0, mirror_axes=[1], dummy_2d=True)
    assert aug.AugmentationSettings.from_yaml(settings.to_yaml()) == settings
