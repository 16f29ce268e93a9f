# SPDX-License-Identifier: Apache-2.0
"""Local intensity and the intensity-volume histogram against their definitions, written out in numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import vesalius as vs


def image_of(voxels: np.ndarray, **geometry) -> vs.Image:
    return vs.Image(torch.from_numpy(voxels), **geometry)


def mask_of(labels: np.ndarray, **geometry) -> vs.Mask:
    return vs.Mask(torch.from_numpy(labels.astype(np.uint8)), **geometry)


RADIUS = 10 * (3 / (4 * np.pi)) ** (1 / 3)  # mm: a ball of 1 cm³


def case(spacing=(3.0, 1.2, 2.0), seed=0) -> tuple[np.ndarray, np.ndarray, vs.Image, vs.Mask]:
    rng = np.random.default_rng(seed)
    voxels = rng.normal(100, 40, (9, 17, 13)).round()
    labels = np.zeros(voxels.shape, np.uint8)
    labels[0:5, 3:14, 1:9] = rng.random((5, 11, 8)) < 0.7  # at an edge, clear of others
    return voxels, labels, image_of(voxels, spacing=spacing), mask_of(labels, spacing=spacing)


def peaks(voxels: np.ndarray, inside: np.ndarray, spacing) -> tuple[float, float]:
    """IBSI 1, section 3.2, distance by distance."""
    grid = np.stack(
        np.meshgrid(*(np.arange(n) * s for n, s in zip(voxels.shape, spacing, strict=True)), indexing="ij"), -1
    )
    means = {}
    for index in np.argwhere(inside):
        at = tuple(index)
        ball = voxels[(((grid - grid[at]) ** 2).sum(-1) <= RADIUS**2) & np.isfinite(voxels)]
        means[at] = ball.mean()
    top = voxels[inside].max()
    return max(m for at, m in means.items() if voxels[at] == top), max(means.values())


@pytest.mark.parametrize("spacing", [(3.0, 1.2, 2.0), (1.0, 1.0, 1.0), (20.0, 20.0, 20.0), (0.01, 0.02, 0.01)])
def test_local_intensity(spacing):
    """Oracle: the definition. Balls cross the image's edge, hold one voxel, hold all."""
    voxels, labels, image, mask = case(spacing)
    f = vs.radiomics.extract(image, mask, vs.radiomics.Settings(families=["local_intensity"]))
    np.testing.assert_allclose([f["loc_peak_loc"], f["loc_peak_glob"]], peaks(voxels, labels == 1, spacing), rtol=1e-12)


def test_local_intensity_looks_outside_the_region_but_centres_in_the_intensity_mask():
    """Oracle: the definition. NaN outside counts like what lies beyond the edge."""
    voxels, labels, _, mask = case()
    voxels[labels == 0] += 300
    voxels[6, 8, 4] = np.nan
    f = vs.radiomics.extract(
        image_of(voxels, spacing=(3.0, 1.2, 2.0)),
        mask,
        vs.radiomics.Settings(families=["local_intensity"], resegment=(0, 120)),
    )
    inside = (labels == 1) & (voxels >= 0) & (voxels <= 120)
    np.testing.assert_allclose(
        [f["loc_peak_loc"], f["loc_peak_glob"]], peaks(voxels, inside, (3.0, 1.2, 2.0)), rtol=1e-12
    )


def test_local_intensity_after_interpolation():
    """Oracle: the whole image interpolated first, then the definition."""
    _, _, image, mask = case()
    spacing = (2.0, 2.0, 1.5)
    f = vs.radiomics.extract(image, mask, vs.radiomics.Settings(families=["local_intensity"], resample=spacing))
    fine, roi = vs.image.resample(image, spacing), vs.image.resample(mask, spacing)
    np.testing.assert_allclose(
        [f["loc_peak_loc"], f["loc_peak_glob"]], peaks(fine.tensor.numpy(), roi.tensor.numpy() == 1, spacing), rtol=1e-9
    )


def volume_histogram(x: np.ndarray, levels: np.ndarray) -> dict[str, float]:
    """IBSI 1, section 3.5, from the whole curve: `x` discretised, `levels` the values of G."""
    nu = np.array([np.mean(x >= i) for i in levels])
    gamma = (levels - levels[0]) / (levels[-1] - levels[0])
    v = {p: nu[gamma >= p / 100 - 1e-12].max() for p in (10, 90)}
    i = {p: levels[nu <= p / 100 + 1e-12].min() for p in (10, 90)}
    return {
        "ivh_v10": v[10],
        "ivh_v90": v[90],
        "ivh_i10": i[10],
        "ivh_i90": i[90],
        "ivh_diff_v10_v90": v[10] - v[90],
        "ivh_diff_i10_i90": i[10] - i[90],
        "ivh_auc": np.trapezoid(nu, gamma),
    }


def ivh(x: np.ndarray, **settings) -> dict[str, float]:
    image, mask = image_of(x.reshape(1, 1, -1)), mask_of(np.ones((1, 1, x.size), np.uint8))
    f = vs.radiomics.extract(image, mask, vs.radiomics.Settings(families=["intensity_volume_histogram"], **settings))
    return f.to_dict()


def test_volume_histogram_of_whole_numbers():
    """Oracle: the curve. With a re-segmentation range, fractions are of that range."""
    x = np.random.default_rng(1).normal(0, 60, 501).round()
    assert ivh(x) == pytest.approx(volume_histogram(x, np.arange(x.min(), x.max() + 1)))
    kept = x[(x >= -100) & (x <= 150)]
    assert ivh(x, resegment=(-100, 150)) == pytest.approx(volume_histogram(kept, np.arange(-100, 151)))
    assert ivh(x, resegment=(-100, np.inf)) == pytest.approx(
        volume_histogram(x[x >= -100], np.arange(-100, x.max() + 1))
    )


def test_volume_histogram_of_bins():
    """Oracle: the curve of bin centres (fixed bin size), of bin numbers (fixed bin number; 1000 for real intensities)."""
    x = np.random.default_rng(2).normal(0, 60, 501)
    kept = x[(x >= -100) & (x <= 150)]
    centres = -100 + 2.5 * (np.floor((kept + 100) / 2.5) + 0.5)
    expected = volume_histogram(centres, -100 + 2.5 * (np.arange(100) + 0.5))
    assert ivh(x, resegment=(-100, 150), ivh_bin_width=2.5) == pytest.approx(expected)
    for settings, n in (({}, 1000), ({"ivh_bin_count": 64}, 64), ({"ivh_bin_count": 64, "ivh_bin_width": 2.5}, 64)):
        bins = np.minimum(np.floor(n * (x - x.min()) / (x.max() - x.min())) + 1, n)
        assert ivh(x, **settings) == pytest.approx(volume_histogram(bins, np.arange(1, n + 1)))


def test_volume_histogram_edges():
    """Mechanics: no range, no fraction; where too many voxels have the highest intensity, the level above it."""
    f = vs.radiomics.extract(image_of(np.full((2, 2, 2), 7.0)), mask_of(np.ones((2, 2, 2), np.uint8)))
    assert np.isnan(f["ivh_v10"]) and "resegment" in f.reasons["ivh_v10"] and np.isnan(f["ivh_diff_v10_v90"])
    assert (f["ivh_i10"], f["ivh_i90"], f["ivh_diff_i10_i90"]) == (8, 8, 0)
    assert f["loc_peak_loc"] == f["loc_peak_glob"] == 7
    assert ivh(np.array([0.0, 1e300]))["ivh_v90"] == 0.5  # whole numbers too large to be levels: bins


@pytest.mark.parametrize("settings", [{"ivh_bin_width": 0}, {"ivh_bin_width": float("inf")}, {"ivh_bin_count": 1}])
def test_settings_that_make_no_sense(settings):
    """Mechanics: the setting is named."""
    with pytest.raises(vs.InvalidArgument, match=next(iter(settings))):
        ivh(np.arange(5.0), **settings)
