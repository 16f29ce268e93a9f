# SPDX-License-Identifier: Apache-2.0
"""Co-occurrence counting: against a naive loop, as a torch operator, on both devices."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import vesalius as vs

OFFSETS = torch.tensor([(z, y, x) for z in (-1, 0, 1) for y in (-1, 0, 1) for x in (-1, 0, 1) if (z, y, x) > (0, 0, 0)])

needs_gpu = pytest.mark.skipif(
    not torch.cuda.is_available(),
    reason="NO GPU HERE: the CUDA co-occurrence kernel was NOT tested (it is only compiled)",
)
devices = pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=needs_gpu)])


def naive(levels: np.ndarray, offsets: np.ndarray, n: int) -> np.ndarray:
    counts = np.zeros((len(offsets), n, n), dtype=np.int64)
    for d, offset in enumerate(offsets):
        for index in np.ndindex(levels.shape):
            other = tuple(np.add(index, offset))
            if (
                all(0 <= o < s for o, s in zip(other, levels.shape, strict=True))
                and levels[index] > 0
                and levels[other] > 0
            ):
                counts[d, levels[index] - 1, levels[other] - 1] += 1
    return counts


@devices
@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 6, 7), (5, 1, 4), (4, 5, 6)])
@pytest.mark.parametrize("distance", [1, 2, 9])
def test_equals_a_naive_loop(device, shape, distance):
    """Oracle: the definition, one voxel after the other in Python."""
    levels = torch.randint(0, 5, shape, dtype=torch.int32, generator=torch.Generator().manual_seed(1))
    offsets = OFFSETS * distance
    counts = torch.ops.vesalius.glcm_counts(levels.to(device), offsets, 4).cpu()
    np.testing.assert_array_equal(counts, naive(levels.numpy(), offsets.numpy(), 4))


@needs_gpu
@pytest.mark.parametrize("n", [8, 64, 300])
def test_cuda_equals_cpu(n):
    """Oracle: the CPU's counts; 300 levels don't fit into shared memory."""
    levels = torch.randint(0, n + 1, (40, 61, 57), dtype=torch.int32)
    on_cpu = torch.ops.vesalius.glcm_counts(levels, OFFSETS, n)
    assert torch.equal(torch.ops.vesalius.glcm_counts(levels.cuda(), OFFSETS, n).cpu(), on_cpu)


@devices
def test_operator_is_a_good_citizen(device):
    """Oracle: torch.library.opcheck (schema, fake kernel, autograd registration, compile)."""
    levels = torch.randint(0, 5, (4, 5, 6), dtype=torch.int32, device=device)
    torch.library.opcheck(torch.ops.vesalius.glcm_counts, (levels, OFFSETS, 4))


@devices
def test_extract_on_device(device):
    """Oracle: the same extraction on the CPU."""
    image = torch.rand(12, 20, 22, generator=torch.Generator().manual_seed(2))
    mask = (image > 0.2).to(torch.uint8)
    settings = vs.radiomics.Settings(bin_count=16, aggregation=["3D_avg", "3D_comb", "2D_avg"])
    there = vs.radiomics.extract(vs.Image(image.to(device)), vs.Mask(mask.to(device)), settings)
    here = vs.radiomics.extract(vs.Image(image), vs.Mask(mask), settings)
    np.testing.assert_allclose(there.values, here.values, rtol=1e-9)


def test_wrong_arguments_are_refused():
    levels = torch.ones(2, 3, 4, dtype=torch.int32)
    for bad in [
        (levels.float(), OFFSETS, 4),
        (levels[0], OFFSETS, 4),
        (levels, OFFSETS[:, :2], 4),
        (levels, OFFSETS, 0),
    ]:
        with pytest.raises(ValueError, match="glcm_counts"):
            torch.ops.vesalius.glcm_counts(*bad)


@pytest.mark.parametrize("aggregation", ["2D_avg", "2D_comb", "2_5D_avg", "2_5D_comb", "3D_avg", "3D_comb"])
def test_features_from_their_definition(aggregation):
    """Oracle: double sums over numpy matrices, aggregated as section 3.6 says."""
    rng = np.random.default_rng(3)
    levels = rng.integers(0, 5, (4, 7, 6))
    image, mask = vs.Image(torch.from_numpy(levels).double()), vs.Mask(torch.from_numpy((levels > 0).astype(np.uint8)))
    ours = vs.radiomics.extract(
        image, mask, vs.radiomics.Settings(bin_width=1, aggregation=[aggregation], families=["glcm"])
    )

    flat = OFFSETS[OFFSETS[:, 0] == 0].numpy()
    slices = [levels[z : z + 1] for z in range(len(levels))]
    if aggregation.startswith("2D"):
        matrices = [
            m for s in slices for m in ([naive(s, flat, 4).sum(0)] if aggregation == "2D_comb" else naive(s, flat, 4))
        ]
    else:
        counts = naive(levels, flat if aggregation.startswith("2_5D") else OFFSETS.numpy(), 4)
        matrices = [counts.sum(0)] if aggregation.endswith("comb") else list(counts)
    i, j = np.meshgrid(np.arange(1, 5), np.arange(1, 5), indexing="ij")
    expected: dict[str, list[float]] = {}
    for m in matrices:
        p = (m + m.T) / (2 * m.sum())
        mu, log = (i * p).sum(), np.log2(p, where=p > 0, out=np.zeros_like(p))
        row = p.sum(1)
        product = np.outer(row, row)
        hxy, hx = -(p * log).sum(), -(row * np.log2(row)).sum()
        values = {
            "cm_joint_var": ((i - mu) ** 2 * p).sum(),
            "cm_contrast": ((i - j) ** 2 * p).sum(),
            "cm_dissimilarity": (abs(i - j) * p).sum(),
            "cm_inv_diff": (p / (1 + abs(i - j))).sum(),
            "cm_inv_diff_mom_norm": (p / (1 + (i - j) ** 2 / 16)).sum(),
            "cm_inv_var": (p[i != j] / (i - j)[i != j] ** 2).sum(),
            "cm_corr": ((i - mu) * (j - mu) * p).sum() / ((i - mu) ** 2 * p).sum(),
            "cm_auto_corr": (i * j * p).sum(),
            "cm_clust_shade": ((i + j - 2 * mu) ** 3 * p).sum(),
            "cm_clust_prom": ((i + j - 2 * mu) ** 4 * p).sum(),
            "cm_info_corr1": (hxy + (p * np.log2(product)).sum()) / hx,
            "cm_info_corr2": np.sqrt(1 - np.exp(-2 * (-(product * np.log2(product)).sum() - hxy))),
        }
        for name, value in values.items():
            expected.setdefault(name, []).append(value)
    for name, each in expected.items():
        assert ours[name] == pytest.approx(np.mean(each), rel=1e-12), name
