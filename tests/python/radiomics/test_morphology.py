# SPDX-License-Identifier: Apache-2.0
"""Shapes whose measures are known, invariances, and double sums over all pairs."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from scipy.spatial import ConvexHull
from scipy.spatial.distance import pdist
from scipy.special import eval_legendre

import vesalius as vs

MORPHOLOGY = vs.radiomics.Settings(families=["morphology"])


def grid(half: int) -> list[np.ndarray]:
    return list(np.meshgrid(*[np.arange(-half, half + 1)] * 3, indexing="ij"))


def shape(inside: np.ndarray, spacing=(1.0, 1.0, 1.0), voxels: np.ndarray | None = None) -> vs.radiomics.Features:
    image = np.zeros(inside.shape) if voxels is None else voxels
    return vs.radiomics.extract(
        vs.Image(torch.from_numpy(np.ascontiguousarray(image, dtype=np.float64)), spacing=spacing),
        vs.Mask(torch.from_numpy(np.ascontiguousarray(inside, dtype=np.uint8)), spacing=spacing),
        MORPHOLOGY,
    )


def blob(seed: int = 0, size=(9, 14, 12)) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    inside = rng.random(size) < 0.4
    inside[2:7, 3:10, 2:9] |= rng.random((5, 7, 7)) < 0.8
    return inside, rng.normal(100, 20, size)


def test_sphere():
    """Analytic: a sphere of radius 30."""
    z, y, x = grid(32)
    f = shape(z**2 + y**2 + x**2 <= 30**2)
    assert f["morph_volume"] == pytest.approx(4 / 3 * np.pi * 30**3, rel=5e-3)
    assert f["morph_diam"] == pytest.approx(60, abs=1)
    assert f["morph_pca_maj_axis"] == pytest.approx(2 * 30 * 2 / np.sqrt(5), rel=5e-3)  # variance of a ball: r²/5
    assert f["morph_pca_elongation"] == pytest.approx(1, abs=1e-6)
    assert f["morph_vol_dens_conv_hull"] == pytest.approx(1, abs=0.04)  # the steps of the voxels
    assert 0.9 < f["morph_sphericity"] < 1  # marching cubes overestimates a sphere's area by 8 to 9 %


def test_enclosing_shapes_of_simple_bodies():
    """Analytic: the mesh of one voxel is an octahedron, whose ellipsoid is a ball; a box turned by 30 degrees fills its box."""
    f = shape(np.ones((1, 1, 1), bool))
    assert f["morph_vol_dens_mvee"] == pytest.approx(1 / np.pi, rel=5e-4)  # (4/3) / (4/3 pi)
    z, y, x = grid(32)
    u, v = np.cos(np.pi / 6) * x + np.sin(np.pi / 6) * y, np.cos(np.pi / 6) * y - np.sin(np.pi / 6) * x
    f = shape((abs(u) <= 24.5) & (abs(v) <= 12.5) & (abs(z) <= 8.5))
    assert f["morph_vol_dens_ombb"] > 0.93 > 0.7 > f["morph_vol_dens_aabb"]
    assert f["morph_vol_dens_mvee"] == pytest.approx(2 / (np.sqrt(3) * np.pi), rel=0.05)  # a box in its ellipsoid
    z, y, x = np.meshgrid(np.arange(-12, 13), np.arange(-22, 23), np.arange(-32, 33), indexing="ij")
    f = shape((z / 10) ** 2 + (y / 20) ** 2 + (x / 30) ** 2 <= 1)
    assert f["morph_vol_dens_mvee"] == pytest.approx(1, abs=0.11)  # the steps of the voxels
    assert f["morph_vol_dens_mvee"] < 1


@pytest.mark.parametrize("seed", range(5))
def test_enclosing_shapes_in_order(seed):
    """Invariant: the hull lies in the ellipsoid and in the oriented box, which isn't larger than that along the axes."""
    inside, _ = blob(seed)
    f = shape(inside, (2.0, 0.7, 1.1))
    assert f["morph_vol_dens_ombb"] >= f["morph_vol_dens_aabb"] * (1 - 1e-9)
    assert f["morph_vol_dens_ombb"] < f["morph_vol_dens_conv_hull"]
    assert f["morph_vol_dens_mvee"] < f["morph_vol_dens_conv_hull"]


def test_ellipsoid():
    """Analytic: semi-axes 30, 20, 10 mm, on voxels of 1 x 0.5 x 2 mm."""
    spacing = (1.0, 0.5, 2.0)
    z, y, x = np.meshgrid(np.arange(-12, 13), np.arange(-44, 45) * 0.5, np.arange(-17, 18) * 2.0, indexing="ij")
    f = shape((z / 10) ** 2 + (y / 20) ** 2 + (x / 30) ** 2 <= 1, spacing)
    assert f["morph_volume"] == pytest.approx(4 / 3 * np.pi * 6000, rel=0.015)
    for name, axis in [("maj", 30), ("min", 20), ("least", 10)]:
        assert f[f"morph_pca_{name}_axis"] == pytest.approx(4 * axis / np.sqrt(5), rel=0.01), name
    assert f["morph_pca_elongation"] == pytest.approx(2 / 3, rel=0.01)
    assert f["morph_pca_flatness"] == pytest.approx(1 / 3, rel=0.01)


def test_box():
    """Analytic: a box of 6 x 8 x 10 mm loses wedges along its edges, and more at its corners, to the mesh."""
    n = np.array([3, 8, 5])
    spacing = np.array([2.0, 1.0, 2.0])
    f = shape(np.ones(n, dtype=bool), tuple(spacing))
    box = n * spacing
    # Each edge is cut along the line between the middles of its voxel's half faces: 1/8 of a voxel's area per voxel.
    wedges = sum(4 * (n[a] - 1) * np.prod(spacing) / 8 for a in range(3))
    corners = 8 * np.prod(spacing) * (1 / 8 - 1 / 48)
    assert f["morph_volume"] == pytest.approx(np.prod(box) - wedges - corners, rel=1e-12)
    assert f["morph_vol_approx"] == pytest.approx(np.prod(box))
    assert f["morph_vol_dens_aabb"] == pytest.approx(f["morph_volume"] / np.prod(box))
    assert f["morph_vol_dens_conv_hull"] == pytest.approx(1, abs=1e-12)  # it is convex
    assert f["morph_area_dens_conv_hull"] == pytest.approx(1, abs=1e-12)


def test_one_voxel():
    """Analytic: the mesh of one voxel is an octahedron."""
    inside = np.zeros((3, 3, 3), dtype=bool)
    inside[1, 1, 1] = True
    f = shape(inside, voxels=np.full((3, 3, 3), 7.0))
    assert f["morph_volume"] == pytest.approx(1 / 6) and f["morph_area_mesh"] == pytest.approx(np.sqrt(3))
    assert f["morph_diam"] == pytest.approx(1) and f["morph_com"] == pytest.approx(0)
    for name in ("morph_pca_elongation", "morph_pca_flatness", "morph_vol_dens_aee", "morph_moran_i", "morph_geary_c"):
        assert np.isnan(f[name]) and f.reasons[name], name


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (3.0, 0.7, 0.9)])
def test_hull_and_diameter(seed, spacing):
    """Oracle: scipy's ConvexHull and all pairs of mesh vertices (the middles between voxels in and out)."""
    inside, voxels = blob(seed)
    padded = np.pad(inside, 1)
    vertices = []
    for axis in range(3):
        crossing = np.diff(padded.astype(int), axis=axis) != 0
        points = np.argwhere(crossing).astype(float)
        points[:, axis] += 0.5
        vertices.append(points)
    vertices = np.concatenate(vertices) * spacing
    hull = ConvexHull(vertices)
    f = shape(inside, spacing, voxels)
    assert f["morph_volume"] / f["morph_vol_dens_conv_hull"] == pytest.approx(hull.volume, rel=1e-12)
    assert f["morph_area_mesh"] / f["morph_area_dens_conv_hull"] == pytest.approx(hull.area, rel=1e-12)
    assert f["morph_diam"] == pytest.approx(pdist(vertices[hull.vertices]).max(), rel=1e-12)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (3.0, 0.7, 0.9)])
def test_autocorrelation(spacing):
    """Oracle: Moran's I and Geary's C as double sums over all pairs of voxels."""
    inside, voxels = blob(1)
    f = shape(inside, spacing, voxels)
    points, x = np.argwhere(inside) * spacing, voxels[inside]
    w = 1 / pdist(points)
    i, j = np.triu_indices(len(x), 1)
    c = x - x.mean()
    assert f["morph_moran_i"] == pytest.approx(len(x) / w.sum() * (w * c[i] * c[j]).sum() / (c**2).sum(), rel=1e-9)
    assert f["morph_geary_c"] == pytest.approx(
        (len(x) - 1) / (2 * w.sum()) * (w * (x[i] - x[j]) ** 2).sum() / (c**2).sum(), rel=1e-9
    )


def test_principal_axes_and_centre_of_mass():
    """Oracle: numpy's covariance and weighted mean."""
    inside, voxels = blob(2)
    spacing = (3.0, 0.7, 0.9)
    f = shape(inside, spacing, voxels)
    points = np.argwhere(inside) * spacing
    axes = 4 * np.sqrt(np.linalg.eigvalsh(np.cov(points.T)))
    assert [f[f"morph_pca_{a}_axis"] for a in ("least", "min", "maj")] == pytest.approx(axes.tolist(), rel=1e-12)
    shift = np.average(points, axis=0, weights=voxels[inside]) - points.mean(0)
    assert f["morph_com"] == pytest.approx(np.linalg.norm(shift), rel=1e-9)


def test_enclosing_ellipsoid():
    """Oracle: the manual's Legendre series with scipy's polynomials."""
    inside, voxels = blob(6, (15, 12, 9))
    f = shape(inside, (1.0, 1.1, 1.2), voxels)
    a, b, c = (f[f"morph_pca_{axis}_axis"] / 2 for axis in ("maj", "min", "least"))
    alpha, beta = np.sqrt(1 - b**2 / a**2), np.sqrt(1 - c**2 / a**2)
    nu = np.arange(21)
    series = (alpha * beta) ** nu / (1 - 4 * nu**2) * eval_legendre(nu, (alpha**2 + beta**2) / (2 * alpha * beta))
    assert f["morph_area_dens_aee"] == pytest.approx(
        f["morph_area_mesh"] / (4 * np.pi * a * b * series.sum()), rel=1e-9
    )
    assert f["morph_vol_dens_aee"] == pytest.approx(f["morph_volume"] / (4 / 3 * np.pi * a * b * c), rel=1e-9)


@pytest.mark.parametrize("axes", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("flip", [(), (0,), (0, 1, 2)])
def test_rotation_and_reflection(axes, flip):
    """Invariant: isotropic voxels, axes permuted and flipped. Exact, thanks to the symmetric table of cubes."""
    inside, voxels = blob(3)
    there = shape(np.flip(inside.transpose(axes), flip), voxels=np.flip(voxels.transpose(axes), flip))
    here = shape(inside, voxels=voxels)
    exact = [not name.endswith("_mvee") for name in here.names]  # found step by step, to 3e-4 of the volume
    np.testing.assert_allclose(np.array(there.values)[exact], np.array(here.values)[exact], rtol=1e-9)
    np.testing.assert_allclose(there.values, here.values, rtol=5e-4)


def test_translation_and_padding():
    """Invariant: where the region lies in the image, and what lies around it."""
    inside, voxels = blob(4)
    around = [(4, 1), (0, 3), (2, 0)]
    there = shape(np.pad(inside, around), (2.0, 1.0, 1.0), np.pad(voxels, around, constant_values=np.nan))
    np.testing.assert_allclose(there.values, shape(inside, (2.0, 1.0, 1.0), voxels).values, rtol=1e-12)


def test_isotropic_scaling():
    """Invariant: twice the spacing is eight times the volume, four times the area, the same shape."""
    inside, voxels = blob(5)
    small, large = shape(inside, (1, 1, 1), voxels), shape(inside, (2, 2, 2), voxels)
    power = {"mm3": 3, "mm2": 2, "mm": 1, "1/mm": -1, "1": 0, "intensity mm3": 3}
    for name, unit in zip(small.names, small.units, strict=True):
        assert large[name] == pytest.approx(small[name] * 2.0 ** power[unit], rel=1e-9), name
