# SPDX-License-Identifier: Apache-2.0
"""Resampling against SimpleITK, scipy.ndimage, analytic ramps and IBSI's own checks."""

import numpy as np
import pytest
import scipy.ndimage as ndi
import SimpleITK as sitk
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import vesalius as vs

DIRECTION = [[0.8, -0.6, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, -1.0]]
SITK = {"nearest": sitk.sitkNearestNeighbor, "linear": sitk.sitkLinear, "cubic": sitk.sitkBSpline}


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def by_scipy(voxels: np.ndarray, spacing, new_spacing, order: int) -> np.ndarray:
    """IBSI's grid written out, values by scipy.ndimage.map_coordinates at coordinates clamped to the image."""
    axes = []
    for n, s, t in zip(voxels.shape, spacing, new_spacing, strict=True):
        m = int(np.ceil(np.round(n * s / t, 6)))
        axes.append(np.clip((n - 1) / 2 + (np.arange(m) - (m - 1) / 2) * t / s, 0, n - 1))
    return ndi.map_coordinates(voxels.astype(np.float64), np.meshgrid(*axes, indexing="ij"), order=order, mode="mirror")


def between_centres(image: vs.Image, like: vs.Image) -> np.ndarray:
    """Which voxels of `like` lie between the first and last voxel centres of `image`."""
    index = np.stack(np.meshgrid(*[np.arange(n, dtype=float) for n in like.shape], indexing="ij"), -1).reshape(-1, 3)
    old = np.array([image.geometry.to_index(like.geometry.to_physical(i)) for i in index]).reshape(*like.shape, 3)
    return np.all((old >= 0) & (old <= np.array(image.shape) - 1), axis=-1)


@pytest.mark.parametrize(("name", "order"), [("linear", 1), ("cubic", 3)])
@pytest.mark.parametrize("new", [(2.0, 2.0, 2.0), (0.7, 1.3, 0.4), (3.0, 0.977, 5.0), (1.0, 1.0, 1.0)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_on_the_ibsi_grid(name, order, new, dtype):
    """Oracle: scipy.ndimage.map_coordinates (splines mirrored) on IBSI's grid."""
    voxels, spacing = noise(9, 14, 11), (3.0, 0.977, 0.9)
    out = vs.image.resample(vs.Image(torch.from_numpy(voxels).to(dtype), spacing=spacing), new, interpolation=name)
    expected = by_scipy(voxels, spacing, new, order)
    assert out.tensor.dtype == dtype and out.shape == expected.shape
    np.testing.assert_allclose(out.numpy(), expected, atol=2e-6 if dtype == torch.float32 else 1e-12)


def test_nearest_against_scipy():
    """Oracle: scipy.ndimage.map_coordinates, order 0; integers keep their type."""
    voxels = np.random.default_rng(1).integers(-1000, 1000, (7, 8, 9)).astype(np.int16)
    out = vs.image.resample(
        vs.Image(torch.from_numpy(voxels), spacing=(2, 1, 1.1)), (1.3, 0.7, 2.9), interpolation="nearest"
    )
    assert out.tensor.dtype == torch.int16
    np.testing.assert_array_equal(out.numpy(), by_scipy(voxels, (2, 1, 1.1), (1.3, 0.7, 2.9), 0).round())


@pytest.mark.parametrize("name", ["nearest", "linear", "cubic"])
def test_against_simpleitk_on_our_grid(name):
    """Oracle: SimpleITK's resample filter on the same (oblique, left-handed) grid, inside the image."""
    image = vs.Image(
        torch.from_numpy(noise(12, 13, 14)), spacing=(2.5, 1.0, 0.8), origin=(5, -7, 9), direction=DIRECTION
    )
    out = vs.image.resample(image, (1.7, 1.3, 1.15), interpolation=name)
    theirs = sitk.Resample(image.to_sitk(), out.to_sitk(), sitk.Transform(), SITK[name], 1e9, sitk.sitkFloat32)
    expected = sitk.GetArrayFromImage(theirs)
    # In ITK's outermost half voxel a spline is extrapolated by mirroring; ours continues the edge.
    inside = between_centres(image, out) if name == "cubic" else expected < 1e8
    assert inside.mean() > 0.6
    np.testing.assert_allclose(out.numpy()[inside], expected[inside], atol=5e-6)


@settings(max_examples=30, deadline=None)
@given(
    st.tuples(*[st.integers(1, 9)] * 3),
    st.tuples(*[st.floats(0.3, 4)] * 3),
    st.tuples(*[st.floats(0.3, 4)] * 3),
)
def test_ramp_and_centre(shape, spacing, new):
    """Oracle: analytic. A ramp over physical space stays that ramp inside; the grid's centre stays where it was."""
    geometry = vs.Geometry(shape, spacing=spacing, origin=(1, 2, 3), direction=DIRECTION)
    index = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), -1)

    def ramp(g, index):
        points = np.asarray(g.origin) + (index * np.asarray(g.spacing)) @ np.asarray(g.direction).T
        return points @ np.array([0.3, -1.2, 2.0]) + 4

    image = vs.Image(torch.from_numpy(ramp(geometry, index)), geometry)
    out = vs.image.resample(image, new)
    for a in range(3):
        assert (
            out.shape[a] - 1 < shape[a] * spacing[a] / new[a] + 1e-5
            and out.shape[a] >= shape[a] * spacing[a] / new[a] - 1e-5
        )
    centre = [(n - 1) / 2 for n in shape], [(n - 1) / 2 for n in out.shape]
    np.testing.assert_allclose(geometry.to_physical(centre[0]), out.geometry.to_physical(centre[1]), atol=1e-9)
    where = np.stack(np.meshgrid(*[np.arange(n) for n in out.shape], indexing="ij"), -1)
    old = np.array([(n - 1) / 2 for n in shape]) + (where - (np.array(out.shape) - 1) / 2) * np.array(new) / np.array(
        spacing
    )
    inside = np.all((old >= -1e-12) & (old <= np.array(shape) - 1 + 1e-12), axis=-1)
    np.testing.assert_allclose(out.numpy()[inside], ramp(out.geometry, where)[inside], atol=1e-9)


def test_zero_keeps_an_axis():
    """Invariant: in-plane interpolation is the 2D interpolation of every slice. Oracle: scipy per slice."""
    voxels = noise(3, 8, 10)
    out = vs.image.resample(vs.Image(torch.from_numpy(voxels), spacing=(5, 1, 1)), (0, 2, 2))
    assert out.spacing == (5, 2, 2) and out.shape == (3, 4, 5)
    for z in range(3):
        np.testing.assert_allclose(out.numpy()[z], by_scipy(voxels[z], (1, 1), (2, 2), 1), atol=1e-6)


@pytest.mark.parametrize("name", ["nearest", "linear", "cubic"])
@pytest.mark.parametrize("oblique", [False, True])
def test_resample_like_against_simpleitk(name, oblique):
    """Oracle: SimpleITK's resample filter, inside and outside the image."""
    image = vs.Image(
        torch.from_numpy(noise(12, 13, 14, seed=3)), spacing=(2.5, 1.0, 0.8), origin=(5, -7, 9), direction=DIRECTION
    )
    like = vs.Image(torch.zeros(9, 15, 16), spacing=(3.1, 1.2, 0.9), origin=(8.3, -6.1, 6.7) if oblique else (4.3, -8.1, 12.7),
                    direction=[[1, 0, 0], [0, 1, 0], [0, 0, -1]] if oblique else DIRECTION)  # fmt: skip
    out = vs.image.resample_like(image, like, interpolation=name, outside=-5)
    theirs = sitk.GetArrayFromImage(
        sitk.Resample(image.to_sitk(), like.to_sitk(), sitk.Transform(), SITK[name], -5.0, sitk.sitkFloat32)
    )
    assert 0.05 < (theirs != -5).mean() < 0.95
    assert ((theirs == -5) == (out.numpy() == -5)).all()
    same = between_centres(image, like) if name == "cubic" else np.ones(like.shape, bool)
    np.testing.assert_allclose(out.numpy()[same], theirs[same], atol=1e-5)


def test_resample_like_back_is_identity():
    """Invariant: a grid resampled onto itself is itself, bit for bit."""
    image = vs.Image(torch.from_numpy(noise(5, 6, 7)), spacing=(2, 1, 3), direction=DIRECTION)
    for name in ("nearest", "linear", "cubic"):
        assert torch.equal(vs.image.resample_like(image, image, interpolation=name).tensor, image.tensor)
        assert torch.equal(vs.image.resample(image, image.spacing, interpolation=name).tensor, image.tensor)


@pytest.mark.parametrize("name", ["linear", "cubic"])
@pytest.mark.parametrize("new", [(2.0, 2.0, 2.0), (0.7, 0.9, 1.1), (4.0, 0, 1.0)])
def test_mask_is_the_thresholded_indicator(name, new):
    """Oracle: scipy on the whole indicator, thresholded at 0.5 (ours works on the label's box alone)."""
    voxels = np.zeros((20, 30, 40), np.uint8)
    voxels[4:9, 0:11, 17:25] = 1
    voxels[7, 9:14, 20:38] = 1
    voxels[15, 25, 33] = 1
    mask = vs.Mask(torch.from_numpy(voxels), spacing=(3, 1, 1), names={1: "tumour"})
    out = vs.image.resample(mask, new, interpolation=name)
    values = by_scipy(
        voxels, (3, 1, 1), [n or s for n, s in zip(new, (3, 1, 1), strict=True)], 1 if name == "linear" else 3
    )
    assert out.names == {1: "tumour"} and out.tensor.dtype == torch.uint8
    np.testing.assert_array_equal(out.numpy(), values >= 0.5 - 1e-9)


def test_mask_half_counts():
    """Analytic: a 1-voxel label halved in resolution keeps its new voxel where the weights sum to exactly 0.5."""
    mask = vs.Mask(torch.tensor([0, 1, 0, 0], dtype=torch.uint8).reshape(1, 1, 4))
    assert vs.image.resample(mask, (1, 1, 2)).tensor.flatten().tolist() == [1, 0]
    assert vs.image.resample(mask, (1, 1, 2), threshold=0.6).tensor.flatten().tolist() == [0, 0]


def test_labels_that_touch_do_not_overlap():
    """Oracle: argmax of scipy's interpolated indicators."""
    voxels = np.zeros((10, 12, 14), np.int16)
    voxels[2:8, 2:6, 2:12] = 3
    voxels[2:8, 6:11, 2:12] = 7
    out = vs.image.resample(vs.Mask(torch.from_numpy(voxels), spacing=(2, 1, 1)), (0.7, 0.8, 0.9)).numpy()
    a, b = (by_scipy(voxels == k, (2, 1, 1), (0.7, 0.8, 0.9), 1) for k in (3, 7))
    expected = np.where((a >= 0.5 - 1e-9) & (a >= b - 1e-9), 3, np.where(b >= 0.5 - 1e-9, 7, 0))
    np.testing.assert_array_equal(out, expected)


def test_channels_and_gradients():
    """Invariant: channels are resampled one by one. Gradients: torch.autograd.gradcheck."""
    voxels = torch.rand(2, 4, 5, 6, dtype=torch.float64)
    for name in ("linear", "cubic"):
        out = vs.image.resample(vs.Image(voxels, spacing=(2, 1, 1)), (1.5, 0.7, 1.3), interpolation=name)
        one = vs.image.resample(vs.Image(voxels[1], spacing=(2, 1, 1)), (1.5, 0.7, 1.3), interpolation=name)
        assert torch.equal(out.tensor[1], one.tensor)
        leaf = torch.rand(3, 4, 3, dtype=torch.float64, requires_grad=True)

        def run(t, name=name):
            return vs.image.resample(vs.Image(t), (0.7, 1.4, 2), interpolation=name).tensor

        assert torch.autograd.gradcheck(run, leaf)
        with torch.no_grad():
            plain = run(leaf.detach())
        torch.testing.assert_close(run(leaf), plain)  # the ATen path and the CPU kernel


@pytest.mark.parametrize("device", ["cuda"])
@pytest.mark.parametrize("name", ["nearest", "linear", "cubic"])
def test_cuda_equals_cpu(device, name):
    if not torch.cuda.is_available():
        pytest.skip("NO CUDA DEVICE: resampling on the GPU was not tested")
    image = vs.Image(torch.from_numpy(noise(20, 21, 22)), spacing=(2, 1, 1))
    cpu = vs.image.resample(image, (1.1, 1.7, 0.6), interpolation=name)
    gpu = vs.image.resample(image.to(device), (1.1, 1.7, 0.6), interpolation=name)
    assert gpu.tensor.is_cuda
    torch.testing.assert_close(gpu.tensor.cpu(), cpu.tensor, atol=1e-5, rtol=1e-5)


def test_bad_input_says_so():
    image = vs.Image(torch.rand(3, 4, 5))
    with pytest.raises(vs.InvalidArgument, match=r"positive mm.*-1"):
        vs.image.resample(image, (-1, 1, 1))
    with pytest.raises(vs.InvalidArgument, match="Is the spacing in mm"):
        vs.image.resample(image, 1e-6)
    with pytest.raises(vs.InvalidArgument, match="nearest, linear, cubic"):
        vs.image.resample(image, 2, interpolation="sinc")
    image.tensor[1, 2, 3] = float("nan")
    with pytest.raises(vs.InvalidArgument, match="1 NaN or infinite"):
        vs.image.resample(image, 2, interpolation="cubic")
    assert vs.image.resample(image, 0.5).tensor.isnan().sum() == 64  # linear: the 4 × 4 × 4 new voxels around it
    with pytest.raises(vs.InvalidArgument, match="threshold"):
        vs.image.resample(vs.Mask(torch.ones(2, 2, 2, dtype=torch.uint8)), 1, threshold=0)
    with pytest.raises(vs.TypeMismatch):
        vs.image.resample(vs.Image(torch.zeros(2, 2, 2, dtype=torch.complex64)), 0.5)
    empty = vs.image.resample(vs.Mask(torch.zeros(2, 2, 2, dtype=torch.uint8)), 0.5)
    assert empty.labels == [] and empty.shape == (4, 4, 4)
