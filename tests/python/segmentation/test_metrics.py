# SPDX-License-Identifier: Apache-2.0
"""Segmentation measures against brute force over all pairs of surface voxels, MONAI and SimpleITK."""

import math

import monai.metrics as mm
import numpy as np
import pytest
import scipy.ndimage as ndi
import SimpleITK as sitk
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

import vesalius as vs

metrics = vs.segmentation.metrics
SPACINGS = [(1.0, 1.0, 1.0), (3.0, 0.8, 1.1)]


def surface(mask: np.ndarray) -> np.ndarray:
    """Voxels with a face neighbour outside, looked up one by one."""
    out = []
    for index in np.argwhere(mask):
        for axis in range(3):
            if mask.shape[axis] == 1:
                continue
            for step in (-1, 1):
                other = index.copy()
                other[axis] += step
                if not 0 <= other[axis] < mask.shape[axis] or not mask[tuple(other)]:
                    out.append(tuple(index))
    return np.array(sorted(set(out)), dtype=float).reshape(-1, 3)


def brute_force(p: np.ndarray, r: np.ndarray, spacing, tolerance: float) -> dict[str, float]:
    a, b = surface(p) * spacing, surface(r) * spacing
    both = cdist(a, b)
    forth, back = both.min(axis=1), both.min(axis=0)
    common, union = (p & r).sum(), (p | r).sum()
    return {
        "dice": 2 * common / (p.sum() + r.sum()),
        "jaccard": common / union,
        "volume_difference": (int(p.sum()) - int(r.sum())) * math.prod(spacing),
        "relative_volume_difference": (int(p.sum()) - int(r.sum())) / r.sum(),
        "hausdorff": max(forth.max(), back.max()),
        "hausdorff95": max(np.percentile(forth, 95), np.percentile(back, 95)),
        "average_surface_distance": np.concatenate([forth, back]).mean(),
        "surface_dice_voxel": ((forth <= tolerance).sum() + (back <= tolerance).sum()) / (len(forth) + len(back)),
        "predicted_voxels": p.sum(),
        "reference_voxels": r.sum(),
    }


def blob(seed: int, shape=(9, 14, 12), level=0.75, sigma=1.5) -> np.ndarray:
    field = ndi.gaussian_filter(np.random.default_rng(seed).normal(size=shape), sigma)
    return field > np.quantile(field, level)


def mask_of(voxels: np.ndarray, spacing, label: int = 1) -> vs.Mask:
    return vs.Mask(torch.from_numpy(voxels.astype(np.uint8) * label), spacing=spacing)


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("seed", range(3))
def test_every_measure_is_brute_forces(spacing, seed):
    """Oracle: brute force over all pairs of surface voxels; masks touch the image's border."""
    p, r = blob(seed), blob(seed + 100)
    found = metrics.evaluate(mask_of(p, spacing, 4), mask_of(r, spacing, 4), tolerance_mm=1.7)
    assert list(found) == [4]
    expected = brute_force(p, r, spacing, 1.7)
    by_voxel = metrics.surface_dice(mask_of(p, spacing), mask_of(r, spacing), 1.7, weight="voxel")
    assert by_voxel == pytest.approx(expected.pop("surface_dice_voxel"), rel=1e-12)
    assert found[4].keys() == expected.keys() | {"surface_dice"}
    for name, value in expected.items():
        assert found[4][name] == pytest.approx(value, rel=1e-12), name


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.tuples(*[st.sampled_from([1, 2, 5])] * 3), st.tuples(*[st.floats(0.2, 6)] * 3))
def test_small_and_flat_masks_too(seed, shape, spacing):
    """Oracle: brute force, on masks down to one voxel and images down to one slice, row or voxel."""
    rng = np.random.default_rng(seed)
    p, r = rng.random(shape) > 0.5, rng.random(shape) > 0.7
    p.flat[rng.integers(p.size)] = r.flat[rng.integers(r.size)] = True
    if shape == (1, 1, 1):
        return  # one voxel in the whole image has no neighbour at all: no surface is defined, see below
    if any(len(surface(m)) == 0 for m in (p, r)):
        return
    found = metrics.evaluate(mask_of(p, spacing), mask_of(r, spacing), tolerance_mm=1.0)[1]
    found["surface_dice_voxel"] = metrics.surface_dice(mask_of(p, spacing), mask_of(r, spacing), 1.0, weight="voxel")
    assert 0 <= found["surface_dice"] <= 1
    for name, value in brute_force(p, r, spacing, 1.0).items():
        assert found[name] == pytest.approx(value, rel=1e-9, abs=1e-12), name


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("seed", range(3))
def test_equal_to_monai(spacing, seed):
    """Peer: MONAI's metrics on the same masks (it computes in float32)."""
    p, r = blob(seed, (12, 20, 18)), blob(seed + 50, (12, 20, 18))
    ours = metrics.evaluate(mask_of(p, spacing), mask_of(r, spacing), tolerance_mm=2.0)[1]
    a, b = (torch.from_numpy(m)[None, None].float() for m in (p, r))
    kw = {"include_background": True, "spacing": spacing}
    assert ours["dice"] == pytest.approx(mm.compute_dice(a, b, include_background=True).item(), abs=1e-6)
    assert ours["jaccard"] == pytest.approx(mm.compute_iou(a, b, include_background=True).item(), abs=1e-6)
    assert ours["hausdorff"] == pytest.approx(mm.compute_hausdorff_distance(a, b, **kw).item(), rel=1e-5)
    assert ours["hausdorff95"] == pytest.approx(
        mm.compute_hausdorff_distance(a, b, percentile=95, **kw).item(), rel=1e-5
    )
    assert ours["average_surface_distance"] == pytest.approx(
        mm.compute_average_surface_distance(a, b, symmetric=True, **kw).item(), rel=1e-5
    )
    by_voxel = metrics.surface_dice(mask_of(p, spacing), mask_of(r, spacing), 2.0, weight="voxel")
    assert by_voxel == pytest.approx(mm.compute_surface_dice(a, b, [2.0], **kw).item(), abs=1e-6)


@pytest.mark.parametrize("tolerance", [0.0, 0.93, 1.9, 4.1])
@pytest.mark.parametrize("spacing", [*SPACINGS, (0.7, 2.0, 1.3)])
@pytest.mark.parametrize("noise", [False, True])
def test_surface_dice_by_area_is_nikolovs(spacing, noise, tolerance):
    """Peer: MONAI's port of DeepMind's surface-distance. Random voxels go through all 256 neighbourhoods."""
    rng = np.random.default_rng(3)
    p, r = (rng.random((12, 12, 12)) > 0.5, rng.random((12, 12, 12)) > 0.6) if noise else (blob(7), blob(8))
    ours = metrics.evaluate(mask_of(p, spacing), mask_of(r, spacing), tolerance_mm=tolerance)[1]["surface_dice"]
    a, b = (torch.from_numpy(m)[None, None].float() for m in (p, r))
    theirs = mm.compute_surface_dice(
        a, b, [tolerance], include_background=True, spacing=spacing, use_subvoxels=True
    ).item()
    assert ours == pytest.approx(theirs, abs=2e-6) and 0 < ours <= 1


@pytest.mark.parametrize("tolerance", [0.0, 1.5])
def test_surface_dice_in_one_slice_is_by_length(tolerance):
    """Peer: MONAI on 2D masks, which weighs contour elements by their length."""
    rng = np.random.default_rng(4)
    p, r = rng.random((15, 17)) > 0.5, rng.random((15, 17)) > 0.5
    kw = {"include_background": True, "spacing": (0.8, 1.1), "use_subvoxels": True}
    a, b = (torch.from_numpy(m)[None, None].float() for m in (p, r))
    theirs = mm.compute_surface_dice(a, b, [tolerance], **kw).item()
    for axis in range(3):
        spacing = tuple(np.insert((0.8, 1.1), axis, 5.0))
        flat = [mask_of(np.expand_dims(m, axis), spacing) for m in (p, r)]
        assert metrics.surface_dice(*flat, tolerance) == pytest.approx(theirs, abs=2e-6)


def test_surface_dice_of_shifted_slabs_is_analytic():
    """Analytic: of a slab moved along z by the tolerance everything is within it. At tolerance 0 only the rim's three common planes of
    elements are: about 160 mm × 3 × 2 mm of some 4160 mm² (less at its chamfered edges)."""
    r = np.zeros((10, 40, 40), bool)
    r[3:6] = True
    p = np.roll(r, 1, axis=0)
    assert metrics.surface_dice(mask_of(p, (2, 1, 1)), mask_of(r, (2, 1, 1)), 2.0) == 1
    assert 640 / 4160 < metrics.surface_dice(mask_of(p, (2, 1, 1)), mask_of(r, (2, 1, 1)), 0.0) < 960 / 4160


@pytest.mark.parametrize("spacing", SPACINGS)
def test_equal_to_simpleitk(spacing):
    """Peer: SimpleITK's overlap and Hausdorff filters (Hausdorff of whole masks equals that of their surfaces here)."""
    r = np.zeros((12, 20, 18), bool)
    r[3:9, 4:15, 5:12] = True
    p = np.zeros_like(r)
    p[2:8, 6:19, 5:13] = True
    ours = metrics.evaluate(mask_of(p, spacing), mask_of(r, spacing))[1]
    a, b = mask_of(p, spacing).to_sitk(), mask_of(r, spacing).to_sitk()
    overlap, distance = sitk.LabelOverlapMeasuresImageFilter(), sitk.HausdorffDistanceImageFilter()
    overlap.Execute(b, a)
    distance.Execute(b, a)
    assert ours["dice"] == pytest.approx(overlap.GetDiceCoefficient())
    assert ours["jaccard"] == pytest.approx(overlap.GetJaccardCoefficient())
    assert ours["hausdorff"] == pytest.approx(distance.GetHausdorffDistance())


def test_shifted_cube_is_analytic():
    """Analytic: a cube moved by two voxels of 3 mm along z is 6 mm away at most, and overlaps by 4 of 6 slices."""
    r = np.zeros((12, 10, 10), bool)
    r[2:8, 2:8, 2:8] = True
    p = np.roll(r, 2, axis=0)
    found = metrics.evaluate(mask_of(p, (3, 1, 1)), mask_of(r, (3, 1, 1)), tolerance_mm=6)[1]
    assert found["dice"] == pytest.approx(4 / 6) and found["jaccard"] == pytest.approx(4 / 8)
    assert found["hausdorff"] == 6 and found["surface_dice"] == 1 and found["volume_difference"] == 0


def test_empty_masks_are_defined():
    """As documented: in neither mask NaN, in one of them 0 or infinite. MONAI agrees on the empty pair."""
    empty, one = np.zeros((4, 5, 6), bool), np.zeros((4, 5, 6), bool)
    one[1, 2, 3] = True
    e, o = mask_of(empty, (2, 1, 1)), mask_of(one, (2, 1, 1))
    assert metrics.evaluate(e, e) == {}
    neither = metrics.evaluate(e, e, labels=[1])[1]
    assert all(
        math.isnan(neither[k])
        for k in ("dice", "jaccard", "hausdorff", "hausdorff95", "average_surface_distance", "surface_dice")
    )
    assert neither["volume_difference"] == 0 and math.isnan(neither["relative_volume_difference"])
    zeros = torch.zeros(1, 1, 4, 5, 6)
    assert math.isnan(mm.compute_dice(zeros, zeros, include_background=True).item())
    missed, invented = metrics.evaluate(e, o)[1], metrics.evaluate(o, e)[1]
    for found in (missed, invented):
        assert found["dice"] == found["jaccard"] == found["surface_dice"] == 0
        assert found["hausdorff"] == found["hausdorff95"] == found["average_surface_distance"] == math.inf
    assert missed["relative_volume_difference"] == -1 and missed["volume_difference"] == -2
    assert invented["relative_volume_difference"] == math.inf
    same = metrics.evaluate(o, o)[1]
    assert same["dice"] == same["surface_dice"] == 1 and same["hausdorff"] == 0


def test_one_voxel_in_the_image():
    """A 1 × 1 × 1 image has no neighbours to look at: the voxel itself is the surface."""
    mask = mask_of(np.ones((1, 1, 1), bool), (1, 1, 1))
    found = metrics.evaluate(mask, mask)[1]
    assert found["dice"] == 1 and found["hausdorff"] == 0 and found["surface_dice"] == 1


def test_single_functions_and_tensors():
    """Invariant: each function returns what `evaluate` does; tensors with a spacing serve as masks."""
    p, r = blob(1), blob(2)
    spacing = (3.0, 0.8, 1.1)
    found = metrics.evaluate(mask_of(p, spacing), mask_of(r, spacing), tolerance_mm=2)[1]
    a, b = torch.from_numpy(p), torch.from_numpy(r)
    kw = {"spacing": spacing}
    assert metrics.dice(a, b, **kw) == found["dice"] and metrics.jaccard(a, b, **kw) == found["jaccard"]
    assert (
        metrics.hausdorff(a, b, **kw) == found["hausdorff"] and metrics.hausdorff95(a, b, **kw) == found["hausdorff95"]
    )
    assert metrics.average_surface_distance(a, b, **kw) == found["average_surface_distance"]
    assert metrics.surface_dice(a, b, 2, **kw) == found["surface_dice"]
    with pytest.raises(vs.InvalidArgument, match="area or voxel"):
        metrics.surface_dice(a, b, 2, weight="volume", **kw)
    assert metrics.volume_difference(a, b, **kw) == pytest.approx(found["volume_difference"])
    assert metrics.volume_difference(a, b, relative=True, **kw) == found["relative_volume_difference"]


def test_bad_input_says_so():
    p = mask_of(blob(0), (1, 1, 1))
    other = mask_of(blob(0), (2, 1, 1))
    with pytest.raises(vs.GeometryError, match="spacings differ"):
        metrics.evaluate(p, other)
    with pytest.raises(vs.GeometryError):
        metrics.dice(p, other)
    with pytest.raises(vs.GeometryError):
        metrics.volume_difference(p, other)
    with pytest.raises(vs.InvalidArgument, match="tolerance"):
        metrics.surface_dice(p, p, float("nan"))
    with pytest.raises(vs.InvalidArgument, match="percentile"):
        metrics.hausdorff(p, p, percent=0)
    with pytest.raises(vs.TypeMismatch):
        metrics.dice(torch.rand(3, 3, 3), torch.rand(3, 3, 3))
