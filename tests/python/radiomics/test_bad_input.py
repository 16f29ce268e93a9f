# SPDX-License-Identifier: Apache-2.0
"""Bad and extreme input: the value that the standard defines, NaN with the reason, or a typed error. Every family and
aggregation each time; the oracle of each value is named."""

from __future__ import annotations

import time
import warnings

import numpy as np
import pytest
import torch

import vesalius as vs

ALL = ["2D_avg", "2D_comb", "2_5D_avg", "2_5D_comb", "3D_avg", "3D_comb"]
SETTINGS = vs.radiomics.Settings(bin_count=8, aggregation=ALL)
FIXED = vs.radiomics.Settings(bin_width=1, aggregation=ALL)

pytestmark = pytest.mark.filterwarnings("ignore:.*grey level.*:UserWarning")


def image_of(voxels, **geometry) -> vs.Image:
    return vs.Image(torch.as_tensor(np.ascontiguousarray(voxels)), **geometry)


def mask_of(inside, **geometry) -> vs.Mask:
    return vs.Mask(torch.as_tensor(np.ascontiguousarray(inside).astype(np.uint8)), **geometry)


def noise(shape, seed=0) -> np.ndarray:
    return np.random.default_rng(seed).normal(50, 20, shape)


def sound(features: vs.radiomics.Features) -> vs.radiomics.Features:
    """What holds of any result: nothing infinite, and a reason for each NaN and for nothing else."""
    assert not np.isinf(features.values).any(), [n for n in features if np.isinf(features[n])]
    assert set(features.reasons) == {name for name in features if np.isnan(features[name])}
    assert all(len(reason) > 15 for reason in features.reasons.values())
    return features


def every(image, mask, settings=SETTINGS, **kw) -> vs.radiomics.Features:
    return sound(vs.radiomics.extract(image, mask, settings, **kw))


def test_empty_region():
    """A typed error, from every entrance."""
    image = image_of(noise((4, 5, 6)))
    empty = mask_of(np.zeros((4, 5, 6)))
    for call in (
        lambda: vs.radiomics.extract(image, empty),
        lambda: vs.radiomics.extract(image, empty, label=[1]),
        lambda: vs.radiomics.extract_labels(image, empty),
        lambda: vs.radiomics.extract_channels(image, empty),
        lambda: vs.radiomics.extract_slices(image, empty),
        lambda: vs.radiomics.extract_batch([(image, empty)]),
    ):
        with pytest.raises(vs.InvalidArgument, match="the mask is empty"):
            call()


@pytest.mark.parametrize("where", [(0, 0, 0), (2, 2, 3), (4, 5, 6)])
@pytest.mark.parametrize("settings", [SETTINGS, FIXED], ids=["bin_count", "bin_width"])
def test_one_voxel(where, settings):
    """Oracle: the definitions by hand. The mesh is an octahedron with vertices half a voxel away: volume 1/6, area √3."""
    voxels, inside = noise((5, 6, 7)), np.zeros((5, 6, 7))
    inside[where] = 1
    f = every(image_of(voxels), mask_of(inside), settings)
    assert f["morph_volume"] == pytest.approx(1 / 6) and f["morph_area_mesh"] == pytest.approx(np.sqrt(3))
    assert f["morph_vol_approx"] == 1 and f["morph_diam"] == pytest.approx(1)
    assert f["stat_mean"] == f["stat_min"] == f["stat_max"] == voxels[where] and f["stat_var"] == f["stat_skew"] == 0
    assert f["ih_mean"] == 1 and f["szm_z_perc"] == f["rlm_r_perc"] == f["ngl_dc_perc"] == 1
    assert f["szm_lze"] == f["dzm_lde"] == f["rlm_lre"] == 1 and f["ngt_coarseness"] != 0
    assert all(name in f.reasons for name in f if name.startswith(("cm_", "ngt_")))
    assert "morph_moran_i" in f.reasons and "morph_pca_elongation" in f.reasons


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_one_slice_of_any_axis(axis):
    """Oracle: the same slice turned to lie in z: 3D merged texture doesn't see the direction."""
    voxels = noise((11, 12))
    there = np.expand_dims(voxels, axis)
    f = every(image_of(there), mask_of(np.ones_like(there)))
    flat = every(image_of(voxels[None]), mask_of(np.ones((1, 11, 12))))
    for name in f:
        if "2D" not in name and "2_5D" not in name and not name.startswith("morph") and name not in f.reasons:
            assert f[name] == pytest.approx(flat[name], rel=1e-9), name
    assert f["morph_vol_approx"] == 132 and f["morph_volume"] == pytest.approx(flat["morph_volume"])


@pytest.mark.parametrize("shape", [(1, 1, 9), (9, 1, 1), (2, 1, 1), (1, 2, 2)])
def test_lines_and_crumbs(shape):
    """Mechanics: regions too thin for ellipsoids, hulls and neighbours give reasons, not infinities."""
    f = every(image_of(noise(shape)), mask_of(np.ones(shape)))
    assert f["morph_vol_approx"] == np.prod(shape) and f["stat_range"] > 0


@pytest.mark.parametrize("value", [0.0, -7.5, 0.1, 1e-300, 1e30])
@pytest.mark.parametrize("settings", [SETTINGS, FIXED], ids=["bin_count", "bin_width"])
def test_constant_intensity(value, settings):
    """Oracle: the definitions by hand: one grey level, no variance."""
    inside = np.zeros((6, 7, 8))
    inside[1:5, 1:6, 2:7] = 1
    f = every(image_of(np.full((6, 7, 8), value)), mask_of(inside), settings)
    assert f["stat_mean"] == pytest.approx(value) and f["stat_var"] == 0 == f["stat_range"] and f["stat_kurt"] == 0
    assert f["ih_entropy"] == 0 and f["ih_uniformity"] == 1
    assert f["cm_joint_max"] == 1 and f["cm_contrast"] == 0 and f["cm_joint_entr"] == 0
    assert f["szm_z_perc"] == pytest.approx(1 / 100) and f["szm_lze"] == 100**2
    assert f["ngt_coarseness"] == 1e6 and f["ngt_contrast"] == 0  # section 3.10.1, for a sum of 0
    assert {"cm_corr", "morph_moran_i", "morph_geary_c"} <= set(f.reasons)
    assert ("ih_max_grad" in f.reasons) == (settings is FIXED)  # one bin has no neighbour; of eight, seven are empty
    if value == 0:
        assert {"stat_cov", "stat_qcod"} <= set(f.reasons)


def test_one_grey_level_of_varying_intensities():
    """Oracle: a constant image's texture; its statistics are those of the intensities."""
    voxels, inside = noise((6, 7, 8)), np.ones((6, 7, 8))
    with pytest.warns(UserWarning, match="1 grey level "):
        f = sound(vs.radiomics.extract(image_of(voxels), mask_of(inside), FIXED.replace(bin_width=1000)))
    constant = every(image_of(np.full(voxels.shape, 3.0)), mask_of(inside), FIXED)
    for name in f:
        if name.startswith(("ih_", "cm_", "rlm_", "szm_", "dzm_", "ngt_", "ngl_")):
            assert f[name] == constant[name] or (name in f.reasons and name in constant.reasons), name
    assert f["stat_var"] == pytest.approx(voxels.var())


def test_region_at_every_border():
    """Oracle: the same region with background around it. Local intensity looks at that background, so it is left out."""
    voxels = noise((7, 8, 9))
    inside = np.ones((7, 8, 9))
    settings = SETTINGS.replace(families=[f for f in vs.radiomics.families() if f != "local_intensity"])
    at_border = every(image_of(voxels), mask_of(inside), settings)
    padded = every(image_of(np.pad(voxels, 3)), mask_of(np.pad(inside, 3)), settings)
    np.testing.assert_allclose(at_border.values, padded.values, rtol=1e-12)


def test_disconnected_region():
    """Oracle: the definitions over both parts: counts add up; the diameter and the hull span both."""
    voxels, inside = noise((8, 9, 30)), np.zeros((8, 9, 30))
    inside[1:5, 1:6, 1:7] = 1
    inside[2:7, 3:8, 22:28] = 1
    both = every(image_of(voxels), mask_of(inside))
    parts = []
    for part in (np.s_[:, :, :15], np.s_[:, :, 15:]):
        alone = np.zeros_like(inside)
        alone[part] = inside[part]
        parts.append(every(image_of(voxels), mask_of(alone), SETTINGS))
    for name in ("morph_volume", "morph_area_mesh", "morph_vol_approx", "stat_energy"):
        assert both[name] == pytest.approx(sum(p[name] for p in parts), rel=1e-9), name
    assert both["morph_diam"] > 26 and both["morph_comp_1"] > 0
    corners = np.argwhere(inside) + 0.0
    assert both["morph_diam"] >= np.linalg.norm(corners.max(0) - corners.min(0)) - 1


def test_scattered_single_voxels():
    """Oracle: by hand: no voxel has a neighbour; each is a zone, a run, a dependence of its own."""
    inside = np.zeros((9, 9, 9))
    inside[::3, ::3, ::3] = 1
    f = every(image_of(noise((9, 9, 9))), mask_of(inside))
    assert f["szm_z_perc"] == f["ngl_dc_perc"] == f["rlm_r_perc"] == 1 and f["szm_lze"] == 1
    assert f["morph_volume"] == pytest.approx(27 / 6)
    assert all(name in f.reasons for name in f if name.startswith(("cm_", "ngt_")))


def test_ten_million_voxels():
    """Oracle: numpy. Time is bounded: no family is worse than linear."""
    side = 216
    rng = np.random.default_rng(0)
    voxels = rng.integers(0, 64, (side,) * 3).astype(np.int16)
    start = time.process_time()
    f = sound(
        vs.radiomics.extract(
            image_of(voxels),
            mask_of(np.ones_like(voxels)),
            vs.radiomics.Settings(bin_width=1, families=[f for f in vs.radiomics.families() if f not in HEAVY]),
        )
    )
    assert time.process_time() - start < 120
    assert f.morphological_voxels == side**3 > 10_000_000
    assert f["stat_mean"] == pytest.approx(voxels.mean(), rel=1e-12)
    pairs = voxels[:, :, 1:].astype(int) - voxels[:, :, :-1]
    assert f["cm_contrast"] == pytest.approx((pairs**2).mean(), rel=0.01)  # noise: alike in every direction


HEAVY = ("morphology", "local_intensity", "gldzm", "ngldm", "glrlm")  # the benchmark has all of them at this size


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("resample", [None, (1.5, 1.5, 1.5)])
def test_nan_outside(value, resample):
    """Invariant: voxels further out than anything looks have no influence."""
    voxels, inside = noise((20, 30, 30)), np.zeros((20, 30, 30))
    inside[8:13, 12:18, 12:18] = 1
    settings = SETTINGS.replace(resample=resample)
    reference = every(image_of(voxels), mask_of(inside), settings)
    voxels[:, :3], voxels[:, -3:] = value, value
    np.testing.assert_array_equal(every(image_of(voxels), mask_of(inside), settings).values, reference.values)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_inside(value):
    """A typed error with the count; the re-segmentation range doesn't hide it."""
    voxels, inside = noise((6, 7, 8)), np.ones((6, 7, 8))
    voxels[2, 3, 1:4] = value
    for settings in (SETTINGS, SETTINGS.replace(resegment=(0, 100))):
        with pytest.raises(vs.InvalidArgument, match="3 of 336 voxels of label 1 are NaN or infinite"):
            vs.radiomics.extract(image_of(voxels), mask_of(inside), settings)
    voxels[:] = value
    with pytest.raises(vs.InvalidArgument, match="336 of 336"):
        vs.radiomics.extract(image_of(voxels), mask_of(inside))


def test_square_root_of_negative_intensities():
    """numpy and torch make NaN of it, which is an error here; the signed root that PyRadiomics takes is a value like any."""
    voxels, inside = noise((6, 7, 8)) - 50, np.ones((6, 7, 8))
    with np.errstate(invalid="ignore"), pytest.raises(vs.InvalidArgument, match="NaN or infinite"):
        vs.radiomics.extract(image_of(np.sqrt(voxels)), mask_of(inside), SETTINGS)
    f = every(image_of(np.sign(voxels) * np.sqrt(abs(voxels))), mask_of(inside))
    assert f["stat_min"] < 0 < f["stat_rms"] and f["stat_mean"] == pytest.approx(
        (np.sign(voxels) * np.sqrt(abs(voxels))).mean()
    )


def test_mean_of_zero():
    """Coefficients divide by the mean, or by the sum of the quartiles: NaN with the reason, not infinity."""
    f = every(image_of(np.tile([-2.0, -1.0, 1.0, 2.0], 16).reshape(4, 4, 4)), mask_of(np.ones((4, 4, 4))))
    assert {"stat_cov", "stat_qcod"} <= set(f.reasons) and f["stat_mean"] == 0


@pytest.mark.parametrize(
    ("dtype", "low", "high"),
    [
        (np.int16, -32768, 32767),
        (np.uint16, 0, 65535),
        (np.int8, -128, 127),
        (np.uint8, 0, 255),
        (np.int32, -(2**31), 2**31 - 1),
        (np.float16, -65504, 65504),
    ],
)
def test_extremes_of_a_type(dtype, low, high):
    """Oracle: numpy in float64: nothing overflows."""
    rng = np.random.default_rng(1)
    voxels = rng.choice(np.array([low, high, 0], dtype=dtype), (6, 7, 8))
    f = every(image_of(voxels), mask_of(np.ones((6, 7, 8))))
    x = voxels.astype(np.float64)
    assert f["stat_min"] == low and f["stat_max"] == high and f["stat_range"] == float(high) - low
    assert f["stat_mean"] == pytest.approx(x.mean(), rel=1e-12) and f["stat_energy"] == pytest.approx((x**2).sum())
    assert f["ih_range"] == 7


@pytest.mark.parametrize("magnitude", [1e-300, 1e-30, 1e30, 1e150, 1e300])
def test_extremes_of_float(magnitude):
    """Values, or NaN with a reason where float64 holds none; texture of a fixed bin number doesn't see the scale."""
    voxels = noise((6, 7, 8))
    f = every(image_of(voxels * magnitude), mask_of(np.ones((6, 7, 8))))
    reference = every(image_of(voxels), mask_of(np.ones((6, 7, 8))))
    assert ("float64" in f.reasons.get("stat_energy", "")) == (magnitude >= 1e153)
    assert f["cm_contrast"] == pytest.approx(reference["cm_contrast"])
    assert f["stat_mean"] == pytest.approx(voxels.mean() * magnitude)


@pytest.mark.parametrize("spacing", [(0.1, 0.1, 0.1), (10, 10, 10), (10, 0.1, 0.1), (0.1, 10, 1), (5, 0.2, 0.2)])
@pytest.mark.parametrize("resample", [False, True])
def test_spacings(spacing, resample):
    """Oracle: texture doesn't see the spacing; volumes scale with it."""
    shape = (8, 9, 10)
    voxels, inside = noise(shape), np.zeros(shape)
    inside[1:7, 2:8, 1:9] = 1
    settings = SETTINGS.replace(resample=tuple(2.0 * s for s in spacing)) if resample else SETTINGS
    there = every(image_of(voxels, spacing=spacing), mask_of(inside, spacing=spacing), settings)
    settings = SETTINGS.replace(resample=(2, 2, 2)) if resample else SETTINGS
    here = every(image_of(voxels), mask_of(inside), settings)
    for name in here:
        if not name.startswith(("morph", "loc")) and name not in here.reasons:
            assert there[name] == pytest.approx(here[name], rel=1e-9), name
    assert there["morph_volume"] == pytest.approx(here["morph_volume"] * np.prod(spacing), rel=1e-6)


def test_grids_beyond_reason():
    """Typed errors: a new grid of more voxels than memory, a region that vanishes on it."""
    voxels, inside = noise((8, 9, 10)), np.zeros((8, 9, 10))
    inside[2, 2, 2] = 1
    image, mask = image_of(voxels, spacing=(10, 10, 10)), mask_of(inside, spacing=(10, 10, 10))
    with pytest.raises(vs.InvalidArgument, match="more than 2\\^32"):
        vs.radiomics.extract(image, mask, SETTINGS.replace(resample=(0.01, 0.01, 0.01)))
    with pytest.raises(vs.InvalidArgument, match="vanishes"):
        vs.radiomics.extract(image, mask, SETTINGS.replace(resample=(90, 90, 90)))


@pytest.mark.parametrize("family", ["glcm", "glrlm", "glszm", "gldzm", "ngtdm", "ngldm", "intensity_histogram"])
@pytest.mark.parametrize(
    "bins", [{"bin_width": 1e-12}, {"bin_count": 2**40}, {"bin_count": 2**31}, {"bin_width": 1e-300}]
)
def test_bins_beyond_memory(family, bins):
    """A typed error that says what to set, at once."""
    start = time.process_time()
    with pytest.raises(vs.InvalidArgument, match="bin"):
        vs.radiomics.extract(
            image_of(noise((6, 7, 8))), mask_of(np.ones((6, 7, 8))), vs.radiomics.Settings(families=[family], **bins)
        )
    assert time.process_time() - start < 5


@pytest.mark.parametrize("family", ["glrlm", "glszm", "gldzm", "ngtdm", "ngldm", "intensity_histogram", "glcm"])
def test_many_bins_that_fit(family):
    """Values or a typed error, in bounded time: levels are few though bins are many."""
    start = time.process_time()
    try:
        sound(
            vs.radiomics.extract(
                image_of(noise((6, 7, 8))),
                mask_of(np.ones((6, 7, 8))),
                vs.radiomics.Settings(families=[family], bin_count=60000),
            )
        )
    except vs.InvalidArgument as error:
        assert "bin_count" in str(error)
    assert time.process_time() - start < 20


@pytest.mark.parametrize("bins", [{"ivh_bin_width": 1e-12}, {"ivh_bin_count": 2**40}])
def test_ivh_bins_beyond_memory(bins):
    settings = vs.radiomics.Settings(families=["intensity_volume_histogram"], **bins)
    image, mask = image_of(noise((6, 7, 8))), mask_of(np.ones((6, 7, 8)))
    try:
        sound(vs.radiomics.extract(image, mask, settings))
    except vs.InvalidArgument as error:
        assert "ivh_bin" in str(error) or "bins" in str(error)


def test_labels_of_wide_types():
    """Oracle: the same mask in 8 bits."""
    voxels, inside = noise((6, 7, 8)), np.zeros((6, 7, 8))
    inside[1:4] = 1
    reference = every(image_of(voxels), mask_of(inside))
    for dtype, label in ((torch.int64, 2**40), (torch.int32, -5), (torch.uint16, 65535), (torch.int16, -32768)):
        mask = vs.Mask(torch.as_tensor(inside).to(torch.int64).mul(label).to(dtype))
        np.testing.assert_array_equal(every(image_of(voxels), mask, label=label).values, reference.values)
        assert list(vs.radiomics.extract_labels(image_of(voxels), mask, SETTINGS)) == [label]


def test_complex_and_boolean_voxels():
    inside = np.ones((3, 4, 5))
    with pytest.raises(vs.TypeMismatch, match="complex"):
        vs.radiomics.extract(image_of(noise((3, 4, 5)) + 1j), mask_of(inside))
    f = every(image_of(noise((3, 4, 5)) > 50), mask_of(inside), FIXED)
    assert f["stat_max"] == 1


def test_views_that_are_not_contiguous():
    """Oracle: a contiguous copy."""
    voxels, inside = torch.as_tensor(noise((8, 9, 10))), torch.ones(8, 9, 10, dtype=torch.uint8)
    inside[:, 4] = 0
    strided = every(vs.Image(voxels.permute(2, 0, 1)[::2]), vs.Mask(inside.permute(2, 0, 1)[::2]))
    dense = every(
        vs.Image(voxels.permute(2, 0, 1)[::2].contiguous()), vs.Mask(inside.permute(2, 0, 1)[::2].contiguous())
    )
    np.testing.assert_array_equal(strided.values, dense.values)


def test_nothing_is_left_unexplained():
    """Mechanics: random small regions, every family and aggregation: finite, or NaN with a reason."""
    rng = np.random.default_rng(7)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(60):
            shape = tuple(rng.integers(1, 6, 3))
            inside = rng.random(shape) < rng.choice([0.2, 0.6, 1.0])
            if not inside.any():
                continue
            voxels = rng.choice([rng.integers(-3, 3, shape).astype(float), rng.normal(0, 1, shape)])
            settings = SETTINGS if rng.random() < 0.5 else FIXED
            if rng.random() < 0.3:
                settings = settings.replace(outlier_sigma=1.0)
            spacing = tuple(rng.uniform(0.1, 10, 3))
            every(image_of(voxels, spacing=spacing), mask_of(inside, spacing=spacing), settings)
