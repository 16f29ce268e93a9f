# SPDX-License-Identifier: Apache-2.0
"""Crop, components, distances and morphology against scipy.ndimage and SimpleITK."""

import numpy as np
import pytest
import scipy.ndimage as ndi
import SimpleITK as sitk
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import vesalius as vs

SPACING = (2.5, 0.8, 1.3)


def blobs(*shape: int, seed: int = 0, level: float = 0.52, sigma: float = 1.0) -> np.ndarray:
    field = ndi.gaussian_filter(np.random.default_rng(seed).normal(size=shape), sigma)
    return field > np.quantile(field, level)


def mask_of(voxels: np.ndarray, label: int = 1, spacing=SPACING) -> vs.Mask:
    return vs.Mask(torch.from_numpy(voxels.astype(np.uint8) * label), spacing=spacing)


@pytest.mark.parametrize(("connectivity", "rank"), [(6, 1), (18, 2), (26, 3)])
@pytest.mark.parametrize("seed", range(4))
def test_components_are_scipys(connectivity, rank, seed):
    """Oracle: scipy.ndimage.label with the same structuring element; sizes by numpy.bincount."""
    voxels = np.random.default_rng(seed).random((9, 17, 13)) > (0.7 if seed < 2 else 0.85)
    expected, count = ndi.label(voxels, ndi.generate_binary_structure(3, rank))
    found, sizes = vs.image.connected_components(mask_of(voxels, 3), label=3, connectivity=connectivity)
    assert len(sizes) == count and sizes == sorted(np.bincount(expected.ravel())[1:].tolist(), reverse=True)
    pairs = np.unique(np.stack([expected.ravel(), found.numpy().ravel()]), axis=1)
    assert pairs.shape[1] == count + 1  # one to one
    assert sizes == np.bincount(found.numpy().ravel())[1:].tolist()


def test_largest_touching_small():
    """Oracle: scipy.ndimage.label. Other labels stay."""
    voxels = np.zeros((6, 20, 20), np.uint8)
    voxels[1:5, 2:10, 2:10] = 1
    voxels[2, 14:18, 14:18] = 1
    voxels[0, 19, 0] = 1
    voxels[5, 0, 10:20] = 4
    mask = vs.Mask(torch.from_numpy(voxels), spacing=(2, 1, 1), names={1: "a"})
    largest = vs.image.largest_component(mask)
    assert largest.names == {1: "a"}
    expected = voxels.copy()
    expected[2, 14:18, 14:18] = expected[0, 19, 0] = 0
    np.testing.assert_array_equal(largest.numpy(), expected)
    seeds = np.zeros_like(voxels)
    seeds[2, 15, 13:15] = 9
    kept = vs.image.keep_touching(mask, vs.Mask(torch.from_numpy(seeds), mask.geometry))
    assert kept.numpy().sum() == 16 + 40 and (kept.numpy() == 1)[2, 14:18, 14:18].all()
    nothing = vs.image.keep_touching(mask, vs.Mask(torch.zeros(6, 20, 20, dtype=torch.uint8), mask.geometry))
    assert nothing.labels == [4]
    assert (vs.image.remove_small(mask, 32).numpy() == 1).sum() == 4 * 64 + 16  # 16 voxels of 2 mm³: just enough
    assert (vs.image.remove_small(mask, 32.1).numpy() == 1).sum() == 4 * 64
    with pytest.raises(vs.GeometryError, match="the seeds"):
        vs.image.keep_touching(mask, vs.Mask(torch.from_numpy(seeds)))
    with pytest.raises(vs.InvalidArgument, match=r"6 \(faces\), 18"):
        vs.image.largest_component(mask, connectivity=8)


@pytest.mark.parametrize("spacing", [(1, 1, 1), SPACING, (0.3, 5, 0.7)])
@pytest.mark.parametrize("shape", [(11, 15, 19), (1, 30, 40), (40, 1, 1)])
def test_distance_is_scipys(spacing, shape):
    """Oracle: scipy.ndimage.distance_transform_edt with sampling."""
    voxels = np.random.default_rng(5).random(shape) > 0.9
    mask = mask_of(voxels, spacing=spacing)
    outside = ndi.distance_transform_edt(~voxels, sampling=spacing)
    inside = ndi.distance_transform_edt(voxels, sampling=spacing)
    np.testing.assert_allclose(vs.image.distance_transform(mask).numpy(), outside, rtol=1e-6)
    np.testing.assert_allclose(vs.image.distance_transform(mask, signed=True).numpy(), outside - inside, rtol=1e-6)


def test_distance_of_one_voxel_is_analytic():
    """Analytic: the Euclidean norm; and −∞ inside a label that fills the image."""
    voxels = np.zeros((9, 9, 9), bool)
    voxels[2, 5, 7] = True
    z, y, x = np.indices(voxels.shape)
    expected = np.sqrt(((z - 2) * 2.5) ** 2 + ((y - 5) * 0.8) ** 2 + ((x - 7) * 1.3) ** 2)
    np.testing.assert_allclose(vs.image.distance_transform(mask_of(voxels)).numpy(), expected, rtol=1e-6)
    full = vs.image.distance_transform(mask_of(np.ones((2, 3, 4))), signed=True).numpy()
    assert (full == -np.inf).all()


def ball(radius: float, spacing) -> np.ndarray:
    reach = [int(radius / s + 1e-9) for s in spacing]
    grid = np.meshgrid(*[np.arange(-r, r + 1) * s for r, s in zip(reach, spacing, strict=True)], indexing="ij")
    return sum(g**2 for g in grid) <= radius**2 * (1 + 1e-9)


@pytest.mark.parametrize("radius", [0.0, 1.0, 2.6, 5.0])
@pytest.mark.parametrize("spacing", [(1, 1, 1), SPACING])
def test_morphology_is_scipys_with_a_ball(radius, spacing):
    """Oracle: scipy.ndimage with the ball's structuring element; outside the image counts as foreground for erosion."""
    voxels = blobs(14, 25, 22, level=0.7, sigma=1.5)  # touches the border
    mask, element = mask_of(voxels, spacing=spacing), ball(radius, spacing)

    def dilate(v):
        return ndi.binary_dilation(v, element)

    def erode(v):
        return ndi.binary_erosion(v, element, border_value=1)

    for ours, expected in [
        (vs.image.dilate, dilate(voxels)),
        (vs.image.erode, erode(voxels)),
        (vs.image.open, dilate(erode(voxels))),
        (vs.image.close, erode(dilate(voxels))),
    ]:
        np.testing.assert_array_equal(ours(mask, radius).numpy(), expected, err_msg=ours.__name__)


def test_dilation_is_simpleitks():
    """Oracle: SimpleITK's binary dilation with an explicit ball (isotropic spacing)."""
    voxels = np.zeros((15, 20, 20), np.uint8)
    voxels[7, 5, 5] = voxels[8, 12:15, 9] = 1
    mask = mask_of(voxels, spacing=(1, 1, 1))
    element = ball(3, (1, 1, 1)).astype(np.uint8)
    theirs = sitk.BinaryDilate(mask.to_sitk(), [3, 3, 3], sitk.sitkBall)
    ours = vs.image.dilate(mask, 3).numpy()
    # SimpleITK's ball is the slightly larger one of its documentation (radius + 0.5): ours lies inside it.
    assert (sitk.GetArrayFromImage(theirs)[ours == 1] == 1).all()
    np.testing.assert_array_equal(ours, ndi.binary_dilation(voxels, element))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.floats(0, 4))
def test_morphology_laws(seed, radius):
    """Invariants: erosion ⊂ opening ⊂ mask ⊂ closing ⊂ dilation; opening and closing are idempotent."""
    mask = mask_of(blobs(7, 12, 11, seed=seed, level=0.6))
    small, opened, closed, large = (
        f(mask, radius).numpy() for f in (vs.image.erode, vs.image.open, vs.image.close, vs.image.dilate)
    )
    assert (
        (small <= opened).all()
        and (opened <= mask.numpy()).all()
        and (mask.numpy() <= closed).all()
        and (closed <= large).all()
    )
    if opened.any():
        np.testing.assert_array_equal(vs.image.open(mask_of(opened), radius).numpy(), opened)
    np.testing.assert_array_equal(vs.image.close(mask_of(closed), radius).numpy(), closed)


@pytest.mark.parametrize("seed", range(4))
def test_fill_holes_is_scipys(seed):
    """Oracle: scipy.ndimage.binary_fill_holes, in 3D and slice by slice."""
    voxels = blobs(9, 20, 21, seed=seed, level=0.35, sigma=0.8)
    filled = vs.image.fill_holes(mask_of(voxels)).numpy()
    np.testing.assert_array_equal(filled, ndi.binary_fill_holes(voxels))
    slices = vs.image.fill_holes(mask_of(voxels), per_slice=True).numpy()
    np.testing.assert_array_equal(slices, np.stack([ndi.binary_fill_holes(v) for v in voxels]))
    assert slices.sum() > voxels.sum()


def test_labels_do_not_eat_each_other():
    voxels = np.zeros((5, 9, 9), np.uint8)
    voxels[2, 4, 2:5] = 1
    voxels[2, 4, 5] = 2
    out = vs.image.dilate(vs.Mask(torch.from_numpy(voxels)), 1).numpy()
    assert out[2, 4, 5] == 2 and out[2, 4, 1] == 1 and out[2, 4, 6] == 0
    out = vs.image.erode(vs.Mask(torch.from_numpy(voxels)), 1).numpy()
    assert (out == 1).sum() == 0 and (out == 2).sum() == 1


def test_box_and_crop():
    """Oracle: numpy.argwhere."""
    voxels = np.zeros((10, 20, 30), np.uint8)
    voxels[3:5, 7:12, 0:4] = 2
    voxels[9, 19, 29] = 1
    mask = vs.Mask(torch.from_numpy(voxels), spacing=SPACING, origin=(1, 2, 3))
    image = vs.Image(torch.rand(10, 20, 30), mask.geometry)
    where = np.argwhere(voxels == 2)
    start, count = vs.image.bounding_box(mask, label=2)
    assert start == tuple(where.min(0)) and count == tuple(np.ptp(where, axis=0) + 1)
    cut, cut_mask = vs.image.crop_to_mask(image, mask, label=2, margin_mm=2.5)
    assert cut.shape == (2 + 2, 5 + 2 * 4, 4 + 2)  # 1, ⌈3.125⌉ and ⌈1.92⌉ voxels, and the border on one side
    assert cut.origin == pytest.approx((1 + 2 * 2.5, 2 + 3 * 0.8, 3))
    assert cut.tensor.data_ptr() != image.tensor.data_ptr() and torch.equal(cut.tensor, image.tensor[2:6, 3:16, 0:6])
    assert cut_mask.geometry == cut.geometry
    with pytest.raises(vs.InvalidArgument, match="it holds 1, 2"):
        vs.image.bounding_box(mask, label=7)
    with pytest.raises(vs.GeometryError, match="spacings differ"):
        vs.image.crop_to_mask(vs.Image(image.tensor), mask)
    with pytest.raises(vs.InvalidArgument, match="margin"):
        vs.image.crop_to_mask(image, mask, margin_mm=float("nan"))


def test_empty_masks_are_refused_by_name():
    empty = mask_of(np.zeros((3, 4, 5)))
    for call in (
        vs.image.connected_components,
        vs.image.largest_component,
        vs.image.distance_transform,
        vs.image.fill_holes,
        vs.image.bounding_box,
    ):
        with pytest.raises(vs.InvalidArgument, match="the mask is empty"):
            call(empty)
    with pytest.raises(vs.InvalidArgument, match="radius"):
        vs.image.dilate(mask_of(np.ones((1, 1, 1))), -1)
