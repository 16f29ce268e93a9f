# SPDX-License-Identifier: Apache-2.0
"""Runs, zones, distances and neighbourhoods as torch operators, on both devices."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

import vesalius as vs

OPS = torch.ops.vesalius
needs_gpu = pytest.mark.skipif(
    not torch.cuda.is_available(),
    reason="NO GPU HERE: the CUDA texture kernels were NOT tested (they are only compiled)",
)
devices = pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=needs_gpu)])
shapes = pytest.mark.parametrize("shape", [(1, 1, 1), (1, 6, 7), (5, 1, 4), (4, 5, 6), (7, 9, 8)])
DIRECTIONS = torch.tensor(
    [(z, y, x) for z in (-1, 0, 1) for y in (-1, 0, 1) for x in (-1, 0, 1) if (z, y, x) > (0, 0, 0)]
)
FLAT = DIRECTIONS[DIRECTIONS[:, 0] == 0]


def levels_of(shape, n=3, seed=0) -> torch.Tensor:
    return torch.randint(0, n + 1, shape, dtype=torch.int32, generator=torch.Generator().manual_seed(seed))


@devices
@shapes
@pytest.mark.parametrize("per_slice", [False, True])
def test_runs(device, shape, per_slice):
    """Oracle: the definition: walk from each voxel whose predecessor differs."""
    levels, offsets = levels_of(shape), FLAT if per_slice else DIRECTIONS
    expected = np.zeros((shape[0] if per_slice else 1, len(offsets), 3, max(shape)), dtype=np.int64)
    array = np.pad(levels.numpy(), 1)
    for d, step in enumerate(offsets.numpy()):
        for p in np.argwhere(array):
            level = array[tuple(p)]
            if array[tuple(p - step)] == level:
                continue
            length = 1
            while array[tuple(p + length * step)] == level:
                length += 1
            expected[p[0] - 1 if per_slice else 0, d, level - 1, length - 1] += 1
    np.testing.assert_array_equal(OPS.run_counts(levels.to(device), offsets, 3, per_slice).cpu(), expected)


@devices
@shapes
@pytest.mark.parametrize("in_slice", [False, True])
def test_zones(device, shape, in_slice):
    """Oracle: scipy.ndimage.label, level by level."""
    levels = levels_of(shape, seed=2)
    roots = OPS.zone_roots(levels.to(device), in_slice).cpu().numpy()
    expected = np.full(shape, -1, dtype=np.int32)
    structure = np.ones((3, 3, 3))
    if in_slice:
        structure[[0, 2]] = 0
    index = np.arange(levels.numel()).reshape(shape)
    for level in (1, 2, 3):
        labels, count = ndimage.label(levels.numpy() == level, structure)
        for zone in range(1, count + 1):
            expected[labels == zone] = index[labels == zone].min()
    np.testing.assert_array_equal(roots, expected)


@devices
def test_zones_that_wind(device):
    """Oracle: by construction one zone: a snake, for which unions meet in long chains."""
    levels = torch.zeros(1, 41, 41, dtype=torch.int32)
    levels[0, ::2] = 1
    levels[0, 1::4, -1] = 1
    levels[0, 3::4, 0] = 1
    roots = OPS.zone_roots(levels.flip(2).contiguous().to(device), True).cpu()
    assert set(roots[levels.flip(2) == 1].tolist()) == {0} and (roots[levels.flip(2) == 0] == -1).all()


@devices
@shapes
@pytest.mark.parametrize("in_slice", [False, True])
def test_border_distance(device, shape, in_slice):
    """Oracle: scipy.ndimage.distance_transform_cdt (taxicab) of the padded mask."""
    mask = levels_of(shape, n=7, seed=3) > 0
    ours = OPS.border_distance(mask.to(device), in_slice).cpu().numpy()
    slices = mask.numpy()[:, None] if in_slice else mask.numpy()[None]
    expected = [ndimage.distance_transform_cdt(np.pad(s, 1), metric="taxicab")[1:-1, 1:-1, 1:-1] for s in slices]
    if in_slice:  # above and below don't count
        expected = [ndimage.distance_transform_cdt(np.pad(s[0], 1), metric="taxicab")[None, 1:-1, 1:-1] for s in slices]
    np.testing.assert_array_equal(ours, np.concatenate(expected))


@devices
@shapes
@pytest.mark.parametrize(("in_slice", "per_slice"), [(False, False), (True, False), (True, True)])
def test_neighbourhoods(device, shape, in_slice, per_slice):
    """Oracle: the definition, voxel by voxel in Python."""
    levels = levels_of(shape, seed=4)
    expected = np.zeros((shape[0] if per_slice else 1, 3, 3, 27), dtype=np.int64)
    array = np.pad(levels.numpy(), 1)
    for z, y, x in np.argwhere(array):
        level = int(array[z, y, x])
        around = (
            array[z : z + 1, y - 1 : y + 2, x - 1 : x + 2]
            if in_slice
            else array[z - 1 : z + 2, y - 1 : y + 2, x - 1 : x + 2]
        )
        count, total, same = int((around > 0).sum()) - 1, int(around.sum()) - level, int((around == level).sum()) - 1
        table = expected[z - 1 if per_slice else 0, level - 1]
        table[0, count] += 1
        table[1, count] += abs(level * count - total)
        table[2, same] += 1
    np.testing.assert_array_equal(OPS.neighbourhood_counts(levels.to(device), 3, in_slice, per_slice).cpu(), expected)


@devices
@pytest.mark.parametrize("name", ["run_counts", "zone_roots", "border_distance", "neighbourhood_counts"])
def test_operators_are_good_citizens(device, name):
    """Oracle: torch.library.opcheck (schema, fake kernel, autograd registration, compile)."""
    levels = levels_of((4, 5, 6)).to(device)
    arguments = {
        "run_counts": (levels, DIRECTIONS, 3, False),
        "zone_roots": (levels, False),
        "border_distance": (levels > 0, True),
        "neighbourhood_counts": (levels, 3, True, True),
    }
    torch.library.opcheck(getattr(OPS, name), arguments[name])


@devices
def test_wrong_arguments_are_refused(device):
    levels = levels_of((4, 5, 6)).to(device)
    for call in (
        lambda: OPS.run_counts(levels, DIRECTIONS, 2, False),  # a level 3
        lambda: OPS.run_counts(levels, DIRECTIONS, 3, True),  # leaves the slice
        lambda: OPS.run_counts(levels, torch.zeros(1, 3, dtype=torch.int64), 3, False),
        lambda: OPS.run_counts(levels - 1, DIRECTIONS, 3, False),
        lambda: OPS.zone_roots(levels.double(), False),
        lambda: OPS.zone_roots(levels[0], False),
        lambda: OPS.border_distance(levels, False),
        lambda: OPS.neighbourhood_counts(levels, 2, False, False),
    ):
        with pytest.raises(ValueError, match="_"):
            call()


@devices
def test_empty_box(device):
    levels = torch.zeros(0, 5, 6, dtype=torch.int32, device=device)
    assert OPS.zone_roots(levels, False).shape == (0, 5, 6) and OPS.border_distance(levels > 0, False).numel() == 0
    assert OPS.run_counts(levels, DIRECTIONS, 3, False).sum() == 0


@needs_gpu
@pytest.mark.parametrize("n", [2, 16, 300])
def test_cuda_equals_cpu(n):
    """Oracle: the CPU operators, on a volume with zones that span many blocks; the same again: no race."""
    levels = levels_of((50, 61, 57), n=n, seed=6)
    there = levels.cuda()
    for _ in range(3):
        assert torch.equal(OPS.zone_roots(there, False).cpu(), OPS.zone_roots(levels, False))
        assert torch.equal(
            OPS.run_counts(there, DIRECTIONS, n, False).cpu(), OPS.run_counts(levels, DIRECTIONS, n, False)
        )
        assert torch.equal(OPS.border_distance(there > 0, False).cpu(), OPS.border_distance(levels > 0, False))
        assert torch.equal(
            OPS.neighbourhood_counts(there, n, False, False).cpu(), OPS.neighbourhood_counts(levels, n, False, False)
        )


@devices
@pytest.mark.parametrize("aggregations", [["2D_avg", "2_5D_comb", "3D_avg"], ["2D_comb", "2_5D_avg", "3D_comb"]])
@pytest.mark.parametrize("interpolation", [None, "linear", "cubic", "nearest"])
def test_all_families_on_device(device, aggregations, interpolation):
    """Oracle: the same extraction on the CPU: counts to 1e-9, the rest to 1e-6."""
    generator = torch.Generator().manual_seed(5)
    image = torch.rand(14, 20, 22, generator=generator) * 100
    mask = (torch.rand(14, 20, 22, generator=generator) > 0.2).to(torch.uint8)
    settings = vs.radiomics.Settings(bin_count=8, aggregation=aggregations)
    if interpolation:
        settings = settings.replace(resample=(1.5, 1.5, 1.5), interpolation=interpolation)
    there = vs.radiomics.extract(vs.Image(image.to(device)), vs.Mask(mask.to(device)), settings)
    here = vs.radiomics.extract(vs.Image(image), vs.Mask(mask), settings)
    assert there.reasons == here.reasons
    for name in here:
        if name not in here.reasons:
            counted = name.startswith(("cm_", "rlm_", "szm_", "dzm_", "ngt_", "ngl_"))
            assert there[name] == pytest.approx(here[name], rel=1e-9 if counted else 1e-6), name


@pytest.mark.parametrize("aggregations", [["2D_avg", "2_5D_comb", "3D_avg"], ["2D_comb", "2_5D_avg", "3D_comb"]])
@pytest.mark.parametrize("settings", [{"bin_count": 8}, {"bin_width": 1.5}, {"bin_count": 3, "outlier_sigma": 1.0}])
@pytest.mark.parametrize("shape", [(14, 20, 22), (1, 15, 17), (6, 1, 9), (1, 1, 1)])
def test_families_by_the_operators(monkeypatch, aggregations, settings, shape):
    """Oracle: the families' own passes on the CPU. The way that an image on a GPU takes, with the operators' CPU kernels: all but
    the device is the same."""
    generator = torch.Generator().manual_seed(8)
    image = vs.Image(torch.randn(shape, generator=generator).cumsum(2) * 10)
    inside = torch.rand(shape, generator=generator) > 0.2
    inside[0, 0, 0] = True
    if shape[0] > 4:
        inside[3] = False  # a slice without voxels
    mask = vs.Mask(inside.to(torch.uint8))
    settings = vs.radiomics.Settings(aggregation=aggregations, **settings)
    here = vs.radiomics.extract(image, mask, settings)
    monkeypatch.setenv("VESALIUS_TEXTURE_OPERATORS", "1")
    there = vs.radiomics.extract(image, mask, settings)
    assert there.reasons == here.reasons
    np.testing.assert_allclose(there.values, here.values, rtol=1e-9, equal_nan=True)
