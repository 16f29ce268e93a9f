# SPDX-License-Identifier: Apache-2.0
"""Augmentation: each step against batchgeneratorsv2 with fixed parameters; draws by their statistics; batches by their index."""

import math
import time

import numpy as np
import pytest
import torch
from batchgeneratorsv2.transforms.intensity.contrast import ContrastTransform
from batchgeneratorsv2.transforms.intensity.gamma import GammaTransform
from batchgeneratorsv2.transforms.noise.gaussian_blur import blur_dimension
from batchgeneratorsv2.transforms.spatial.low_resolution import SimulateLowResolutionTransform
from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform
from nnunetv2.training.data_augmentation.compute_initial_patch_size import get_patch_size
from scipy import stats

import vesalius as vs
from vesalius import segmentation as seg
from vesalius._vesalius import segmentation as _c


@pytest.fixture(scope="module")
def case() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(2, 30, 40, 36, generator=generator)
    image = torch.nn.functional.avg_pool3d(image, 3, 1, 1) * 5
    labels = torch.randint(0, 4, (30, 40, 36), generator=generator, dtype=torch.int16)
    blocks = labels[::6, ::8, ::6].repeat_interleave(6, 0).repeat_interleave(8, 1).repeat_interleave(6, 2)
    return image.contiguous(), blocks.contiguous()


def apply(case, drawn, patch=(20, 24, 22), start=(0, 0, 0), size=None, options=None):
    image, labels = case
    size = size or tuple(labels.shape)
    return _c.apply_augmentation(image, labels, start, size, patch, drawn, options or seg.AugmentOptions())


def plain(case):
    return apply(case, _c.DrawnAugmentation())[0]


@pytest.mark.parametrize("angles", [(0.3, 0, 0), (0, -0.5, 0), (0, 0, 0.4), (0.3, -0.2, 0.5)])
@pytest.mark.parametrize("scale", [1.0, 0.7, 1.4])
@pytest.mark.parametrize("mirror", [(False, False, False), (True, False, True)])
def test_affine(case, angles, scale, mirror) -> None:
    """Oracle: batchgeneratorsv2's SpatialTransform with these angles and scale, then flips."""
    image, labels = case
    patch = (20, 24, 22)
    transform = SpatialTransform(
        patch, 0, False, p_rotation=1, p_scaling=1, p_synchronize_scaling_across_axes=1,
        rotation=lambda image, dim: angles[dim], scaling=lambda image, dim: scale,
        border_mode_seg="constant", padding_value_seg=-1,
    )  # fmt: skip
    out = transform(image=image.clone(), segmentation=labels[None].clone())
    axes = [a + 1 for a in range(3) if mirror[a]]
    want, want_labels = out["image"].flip(axes), out["segmentation"].flip(axes)[0].clamp(min=0)
    drawn = _c.DrawnAugmentation()
    drawn.angles, drawn.scale, drawn.mirror = angles, scale, mirror
    got, got_labels = apply(case, drawn)
    if scale == 1.0 and angles == (0, 0, 0):
        return
    torch.testing.assert_close(got, want, atol=2e-4, rtol=1e-4)
    assert (got_labels != want_labels).float().mean() < 2e-3  # ties, and their float16 scores


def test_rotation_within_slices(case) -> None:
    """Oracle: batchgeneratorsv2's 2D SpatialTransform on slices as channels (nnU-Net's dummy 2D)."""
    image, labels = case
    transform = SpatialTransform(
        (24, 22), 0, False, p_rotation=1, p_scaling=1, p_synchronize_scaling_across_axes=1,
        rotation=lambda image, dim: 0.6, scaling=lambda image, dim: 1.2,
        border_mode_seg="constant", padding_value_seg=-1,
    )  # fmt: skip
    c, z = image.shape[:2]
    out = transform(image=image.reshape(c * z, *image.shape[2:]), segmentation=labels.clone())
    drawn = _c.DrawnAugmentation()
    drawn.angles, drawn.scale = (0.0, 0.0, 0.6), 1.2
    got, got_labels = apply(case, drawn, patch=(30, 24, 22), options=seg.AugmentOptions(spatial_2d=True))
    torch.testing.assert_close(got, out["image"].reshape(c, z, 24, 22), atol=2e-4, rtol=1e-4)
    assert (got_labels != out["segmentation"].clamp(min=0)).float().mean() < 2e-3


def test_crop_and_mirror_beyond_the_border(case) -> None:
    """Oracle: torch's padding and flipping."""
    image, labels = case
    drawn = _c.DrawnAugmentation()
    drawn.mirror = (True, False, True)
    got, got_labels = apply(case, drawn, patch=(40, 24, 50), start=(-3, 5, -9), size=(40, 24, 50))
    padded = torch.nn.functional.pad(image, (9, 20, 0, 0, 3, 20))[:, :40, 5:29, :50]
    padded_labels = torch.nn.functional.pad(labels, (9, 20, 0, 0, 3, 20))[:40, 5:29, :50]
    assert torch.equal(got, padded.flip(1, 3))
    assert torch.equal(got_labels, padded_labels.flip(0, 2))


def test_box_hides_what_lies_outside(case) -> None:
    """Invariant: voxels outside the loaded box count as 0, as in nnU-Net, though the case has them."""
    image, labels = case
    drawn = _c.DrawnAugmentation()
    drawn.angles = (0.4, 0.2, 0.1)
    got, _ = apply(case, drawn, start=(5, 6, 7), size=(20, 24, 22))
    alone = (image[:, 5:25, 6:30, 7:29].contiguous(), labels[5:25, 6:30, 7:29].contiguous())
    want, _ = apply(alone, drawn)
    torch.testing.assert_close(got, want)


@pytest.mark.parametrize("sigma", [0.5, 0.61, 0.84, 1.0])
def test_blur(case, sigma) -> None:
    """Oracle: batchgeneratorsv2's blur_dimension."""
    drawn = _c.DrawnAugmentation()
    drawn.blur = [(sigma, 0.7, 0.9), (0, 0, 0)]
    got = apply(case, drawn)[0]
    want = plain(case)
    for axis, s in enumerate((sigma, 0.7, 0.9)):
        want[:1] = blur_dimension(want[:1], s, axis)
    torch.testing.assert_close(got, want, atol=1e-5, rtol=1e-5)


def test_brightness_contrast(case) -> None:
    """Oracle: multiplication; batchgeneratorsv2's ContrastTransform."""
    drawn = _c.DrawnAugmentation()
    drawn.brightness, drawn.contrast = [1.2, 0.8], [0.76, 1.24]
    got = apply(case, drawn)[0]
    want = plain(case) * torch.tensor([1.2, 0.8]).view(2, 1, 1, 1)
    transform = ContrastTransform((1, 1), True, False)
    want = transform._apply_to_image(want, apply_to_channel=torch.arange(2), multipliers=torch.tensor([0.76, 1.24]))
    torch.testing.assert_close(got, want, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize("gamma", [0.7, 1.5])
def test_gamma(case, inverted, gamma) -> None:
    """Oracle: batchgeneratorsv2's GammaTransform, statistics kept."""
    drawn = _c.DrawnAugmentation()
    setattr(drawn, "gamma_inverted" if inverted else "gamma", [gamma, 1.1])
    got = apply(case, drawn)[0]
    want = GammaTransform((1, 1), 0, False, 1, 1)._apply_to_image(
        plain(case),
        apply_to_channel=torch.arange(2),
        retain_stats=torch.tensor([True, True]),
        invert_image=torch.tensor([inverted] * 2),
        gamma=torch.tensor([gamma, 1.1]),
    )
    torch.testing.assert_close(got, want, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("planar", [False, True])
def test_low_resolution(case, planar) -> None:
    """Oracle: batchgeneratorsv2's SimulateLowResolutionTransform."""
    drawn = _c.DrawnAugmentation()
    drawn.low_resolution = [0.63, 0.0]
    got = apply(case, drawn, options=seg.AugmentOptions(spatial_2d=planar))[0]
    transform = SimulateLowResolutionTransform((0.5, 1), False, True, (0,) if planar else None)
    scales = torch.tensor([[1.0 if planar else 0.63, 0.63, 0.63]])
    want = transform._apply_to_image(plain(case), apply_to_channel=[0], scales=scales)
    torch.testing.assert_close(got, want, atol=1e-5, rtol=1e-5)


def test_noise(case) -> None:
    """Statistics: normal with the drawn deviation; the same seed gives the same."""
    drawn = _c.DrawnAugmentation()
    drawn.noise, drawn.noise_seed = 0.08, 5
    noise = (apply(case, drawn)[0] - plain(case)).flatten().double().numpy()
    assert stats.kstest(noise / 0.08, "norm").pvalue > 1e-3
    assert torch.equal(apply(case, drawn)[0], apply(case, drawn)[0])


def test_probabilities_and_ranges() -> None:
    """Statistics of 20,000 draws against nnU-Net's list (facts, section 10), five standard errors."""
    options = seg.AugmentOptions.for_patch([128, 128, 128])
    n = 20000
    draws = [_c.draw_augmentation(options, 2, 11, i, 0) for i in range(n)]

    def rate(done, p: float, count: int = n) -> None:
        assert abs(np.mean(done) - p) < 5 * math.sqrt(p * (1 - p) / count)

    rate([any(d.angles) for d in draws], 0.2)
    rate([d.scale != 1 for d in draws], 0.2)
    rate([d.noise > 0 for d in draws], 0.1)
    rate([bool(d.blur) for d in draws], 0.2)
    rate([b[0] > 0 for d in draws for b in d.blur], 0.5, n // 3)
    rate([bool(d.brightness) for d in draws], 0.15)
    rate([bool(d.contrast) for d in draws], 0.15)
    rate([bool(d.low_resolution) for d in draws], 0.25)
    rate([s > 0 for d in draws for s in d.low_resolution], 0.5, n // 3)
    rate([bool(d.gamma_inverted) for d in draws], 0.1)
    rate([bool(d.gamma) for d in draws], 0.3)
    for a in range(3):
        rate([d.mirror[a] for d in draws], 0.5)

    def uniform(values, low: float, high: float) -> None:
        assert stats.kstest((np.asarray(values) - low) / (high - low), "uniform").pvalue > 1e-4

    for a in range(3):
        uniform([d.angles[a] for d in draws if any(d.angles)], -math.pi / 6, math.pi / 6)
    uniform([d.scale for d in draws if d.scale != 1], 0.7, 1.4)
    uniform([d.noise for d in draws if d.noise > 0], 0, 0.1)
    uniform([s for d in draws for b in d.blur for s in b if s > 0], 0.5, 1.0)
    uniform([s for d in draws for s in d.low_resolution if s > 0], 0.5, 1.0)
    gammas = np.array([g for d in draws for g in d.gamma])
    rate(gammas < 1, 0.5, len(gammas))
    uniform(gammas[gammas < 1], 0.7, 1.0)
    uniform(gammas[gammas > 1], 1.0, 1.5)


@pytest.mark.parametrize(
    "patch", [(128, 128, 128), (40, 56, 40), (24, 256, 256), (64, 192, 160), (320, 320), (640, 320)]
)
def test_initial_patch(patch) -> None:
    """Oracle: nnunetv2's get_patch_size."""
    options = seg.AugmentOptions.for_patch(list(patch))
    limit = options.rotation[1]
    want = get_patch_size(patch, (-limit, limit), (-limit, limit), (-limit, limit), (0.85, 1.25))
    if len(patch) == 3 and options.spatial_2d:
        want[0] = patch[0]
    assert _c.initial_patch_size(list(patch), options) == list(want)


def test_options_round_trip_and_errors(case) -> None:
    options = seg.AugmentOptions(p_gamma=0.0, mirror_axes=[1])
    assert seg.AugmentOptions.from_yaml(options.to_yaml()) == options
    with pytest.raises(vs.errors.InvalidArgument):
        seg.AugmentOptions(p_gama=0.1)
    with pytest.raises(vs.errors.TypeMismatch):
        _c.apply_augmentation(
            case[0].double(), case[1], (0, 0, 0), (8, 8, 8), (8, 8, 8), _c.DrawnAugmentation(), options
        )
    with pytest.raises(vs.errors.ShapeError):
        _c.apply_augmentation(case[0], case[1][1:], (0, 0, 0), (8, 8, 8), (8, 8, 8), _c.DrawnAugmentation(), options)


@pytest.fixture(scope="module")
def cases(make_dataset, tmp_path_factory) -> list[seg.CachedCase]:
    root = tmp_path_factory.mktemp("cases")
    data = make_dataset(root / "Dataset001_X", spacing=(1.0, 1.0, 1.0), n=3)
    plans = seg.plan(data, fingerprint=seg.fingerprint(data, foreground_samples=1000))
    seg.preprocess_dataset(data, plans, "3d_fullres", root / "cache")
    return [seg.CachedCase.open(str(root / "cache"), c.id) for c in data.cases]


def test_batches_depend_on_their_index_only(cases) -> None:
    """Invariant: one thread or four, in order or not, from the start or from the middle: the same bits."""
    settings = {"patch_size": [16, 24, 24], "batch_size": 3, "seed": 7}
    one, four = seg.BatchSampler(cases, **settings), seg.BatchSampler(cases, threads=4, prefetch=6, **settings)
    for index in (0, 1, 2, 10, 11, 3):
        a, b = one.get(index), four.get(index)
        assert torch.equal(a[0], b[0])
        assert torch.equal(a[1], b[1])
        assert a[2] == b[2]
    other = seg.BatchSampler(cases, patch_size=[16, 24, 24], batch_size=3, seed=8)
    assert not torch.equal(one.get(0)[0], other.get(0)[0])
    assert one.get(0)[0].shape == (3, 4, 16, 24, 24)


def test_foreground_and_cases(cases) -> None:
    """Statistics: the last third of a batch is centred on a labelled voxel; classes and cases alike."""
    sampler = seg.BatchSampler(cases, patch_size=[9, 9, 9], batch_size=3, seed=1, augment=False)
    centres, chosen = [], []
    for i in range(600):
        _, labels, ids = sampler.get(i)
        centres.append(int(labels[2, 4, 4, 4]))
        chosen += ids
    assert 0 not in centres
    assert abs(np.mean(np.array(centres) == 1) - 0.5) < 5 * 0.5 / math.sqrt(600)
    assert stats.chisquare(np.bincount(chosen, minlength=3)).pvalue > 1e-4


def test_two_dimensional_batches(cases) -> None:
    sampler = seg.BatchSampler(cases, patch_size=[24, 32], batch_size=4, seed=1)
    image, labels, _ = sampler.get(0)
    assert image.shape == (4, 4, 24, 32)
    assert labels.shape == (4, 24, 32)
    assert torch.isfinite(image).all()
    with pytest.raises(vs.errors.InvalidArgument):
        seg.BatchSampler([], patch_size=[8, 8])


def test_random_starts_cover_the_borders(cases) -> None:
    """Oracle: nnunetv2's bounds of a random box: -pad // 2 … shape + pad // 2 + pad % 2 - load."""
    load, fit, shape = (21, 30, 31), (16, 24, 24), cases[0].labels.shape
    starts = np.array([_c.draw_patch_start(cases[0], load, fit, False, False, 3, i, 0) for i in range(4000)])
    for a in range(3):
        pad = max(load[a] - fit[a], load[a] - shape[a])
        assert starts[:, a].min() == -pad // 2
        assert starts[:, a].max() == shape[a] + pad // 2 + pad % 2 - load[a]


def test_speed_is_printed(record_property) -> None:
    """Mechanics: the list, 205³ → 128³; the number is for the benchmark, only a gross slip fails here."""
    image, labels = torch.randn(1, 205, 205, 205), torch.zeros(205, 205, 205, dtype=torch.int16)
    labels[60:140, 60:140, 60:140] = 1
    options = seg.AugmentOptions()
    start = time.process_time()
    for i in range(12):
        drawn = _c.draw_augmentation(options, 1, 3, i, 0)
        _c.apply_augmentation(image, labels, (0, 0, 0), (205, 205, 205), (128, 128, 128), drawn, options)
    seconds = (time.process_time() - start) / 12
    record_property("seconds", seconds)
    assert seconds < 0.5
