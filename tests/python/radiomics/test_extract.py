# SPDX-License-Identifier: Apache-2.0
"""extract: edge cases, bad input, invariances, what Features offers."""

from __future__ import annotations

import copy
import itertools
import pickle

import numpy as np
import pytest
import torch

import vesalius as vs

INTENSITY = vs.radiomics.Settings(families=["intensity_statistics", "intensity_histogram", "glcm"], bin_count=8)


def case(shape=(6, 8, 7), seed=0, **geometry) -> tuple[vs.Image, vs.Mask]:
    rng = np.random.default_rng(seed)
    voxels = torch.from_numpy(rng.normal(50, 20, shape))
    inside = torch.zeros(shape, dtype=torch.uint8)
    inside[tuple(slice(s // 4, s - s // 4) if s > 1 else slice(None) for s in shape)] = 1
    return vs.Image(voxels, **geometry), vs.Mask(inside, **geometry)


def test_intensity_statistics():
    """Oracle: numpy and scipy."""
    from scipy import stats

    image, mask = case()
    f = vs.radiomics.extract(image, mask, vs.radiomics.Settings(families=["intensity_statistics"]))
    x = image.numpy()[mask.numpy() == 1]
    p10, p25, p50, p75, p90 = np.percentile(x, [10, 25, 50, 75, 90])
    robust = x[(x >= p10) & (x <= p90)]
    expected = {
        "stat_mean": x.mean(), "stat_var": x.var(), "stat_skew": stats.skew(x), "stat_kurt": stats.kurtosis(x), "stat_median": p50,
        "stat_min": x.min(), "stat_p10": p10, "stat_p90": p90, "stat_max": x.max(), "stat_iqr": p75 - p25, "stat_range": np.ptp(x),
        "stat_mad": abs(x - x.mean()).mean(), "stat_rmad": abs(robust - robust.mean()).mean(), "stat_medad": abs(x - p50).mean(),
        "stat_cov": x.std() / x.mean(), "stat_qcod": (p75 - p25) / (p75 + p25), "stat_energy": (x**2).sum(), "stat_rms": np.sqrt((x**2).mean()),
    }  # fmt: skip
    assert list(expected) == f.names
    np.testing.assert_allclose(f.values, list(expected.values()), rtol=1e-12)


def test_histogram_gradient_and_mode():
    """Oracle: numpy.gradient of the histogram, which is the standard's formula."""
    image, mask = case((9, 12, 11), seed=4)
    f = vs.radiomics.extract(image, mask, INTENSITY)
    x = image.numpy()[mask.numpy() == 1]
    counts = np.histogram(x, bins=8)[0]
    gradient = np.gradient(counts.astype(float))
    assert f["ih_max_grad"] == gradient.max() and f["ih_max_grad_g"] == gradient.argmax() + 1
    assert f["ih_min_grad"] == gradient.min() and f["ih_min_grad_g"] == gradient.argmin() + 1
    assert f["ih_mode"] == counts.argmax() + 1


def test_shift_and_scale_of_intensities():
    """Invariant: a fixed number of bins doesn't see a shift or a scale."""
    image, mask = case()
    there = vs.radiomics.extract(image.with_tensor(image.tensor * 4 - 512), mask, INTENSITY)
    here = vs.radiomics.extract(image, mask, INTENSITY)
    for name in here.names:
        if not name.startswith("stat_"):
            assert there[name] == pytest.approx(here[name], rel=1e-9), name


@pytest.mark.parametrize("aggregation", ["2D_comb", "2_5D_avg", "3D_avg", "3D_comb"])
def test_in_plane_rotation(aggregation):
    """Invariant: slices turned by 90 degrees."""
    image, mask = case((5, 9, 8))
    settings = INTENSITY.replace(aggregation=aggregation)
    there = vs.radiomics.extract(image.with_tensor(image.tensor), mask, settings)
    turned = vs.radiomics.extract(
        vs.Image(image.tensor.rot90(1, (1, 2)).contiguous()),
        vs.Mask(mask.tensor.rot90(1, (1, 2)).contiguous()),
        settings,
    )
    np.testing.assert_allclose(turned.values, there.values, rtol=1e-9)


def test_constant_region():
    """The standard's values, or NaN with the reason."""
    image, mask = case()
    f = vs.radiomics.extract(image.with_tensor(torch.full_like(image.tensor, 0.1)), mask)
    assert f["stat_mean"] == 0.1 and f["stat_var"] == 0 and f["stat_skew"] == 0 and f["stat_kurt"] == 0
    assert (
        f["ih_entropy"] == 0
        and f["ih_uniformity"] == 1
        and f["cm_joint_max"] == 1
        and f["cm_contrast"] == 0
        and f["cm_info_corr2"] == 0
    )
    undefined = {
        "ih_max_grad",
        "ih_max_grad_g",
        "ih_min_grad",
        "ih_min_grad_g",
        "cm_corr",
        "cm_info_corr1",
        "morph_moran_i",
        "morph_geary_c",
    }
    assert {name for name in f if np.isnan(f[name])} == set(f.reasons)
    assert undefined <= set(f.reasons)
    assert "same grey level" in f.reasons["cm_corr"]


def test_one_voxel():
    image, _ = case()
    mask = torch.zeros(image.shape, dtype=torch.uint8)
    mask[2, 3, 4] = 1
    f = vs.radiomics.extract(image, vs.Mask(mask))
    assert f["stat_mean"] == image.tensor[2, 3, 4] and f["morph_vol_approx"] == 1
    assert "neighbours" in f.reasons["cm_contrast"]
    assert set(f.reasons) == {name for name in f if np.isnan(f[name])}


@pytest.mark.parametrize("aggregation", ["2D_avg", "2D_comb", "2_5D_avg", "2_5D_comb", "3D_avg", "3D_comb"])
def test_one_slice(aggregation):
    """Invariant: in a 2D image all merged aggregations are one, and all averaged ones."""
    image, mask = case((1, 12, 11))
    f = vs.radiomics.extract(image, mask, INTENSITY.replace(aggregation=aggregation))
    reference = vs.radiomics.extract(
        image, mask, INTENSITY.replace(aggregation="3D_avg" if aggregation.endswith("avg") else "3D_comb")
    )
    np.testing.assert_allclose(f.values, reference.values, rtol=1e-12)
    assert not f.reasons


def test_nan_outside_is_harmless_and_inside_is_counted():
    image, mask = case()
    # Local intensity looks outside by definition; test_intensity_families.py has its NaN.
    settings = vs.radiomics.Settings(families=[f for f in vs.radiomics.families() if f != "local_intensity"])
    reference = vs.radiomics.extract(image, mask, settings)
    voxels = image.tensor.clone()
    voxels[mask.tensor == 0] = float("nan")
    np.testing.assert_array_equal(
        vs.radiomics.extract(image.with_tensor(voxels), mask, settings).values, reference.values
    )
    assert np.isfinite(vs.radiomics.extract(image.with_tensor(voxels), mask)["loc_peak_glob"])
    voxels[3, 4, 3] = float("nan")
    voxels[3, 4, 4] = float("inf")
    with pytest.raises(vs.InvalidArgument, match="2 of .* voxels of label 1 are NaN or infinite"):
        vs.radiomics.extract(image.with_tensor(voxels), mask)


def test_bad_masks():
    image, mask = case()
    with pytest.raises(vs.InvalidArgument, match="label 7 isn't in the mask; it holds 1"):
        vs.radiomics.extract(image, mask, label=7)
    with pytest.raises(vs.InvalidArgument, match="label 300 "):
        vs.radiomics.extract(image, mask, label=300)
    with pytest.raises(vs.InvalidArgument, match="empty"):
        vs.radiomics.extract(image, vs.Mask(torch.zeros_like(mask.tensor)))
    with pytest.raises(vs.InvalidArgument, match="empty"):
        vs.radiomics.extract_labels(image, vs.Mask(torch.zeros_like(mask.tensor)))
    with pytest.raises(vs.GeometryError, match="the mask"):
        vs.radiomics.extract(image, vs.Mask(mask.tensor, spacing=(1, 1, 2)))
    with pytest.raises(vs.GeometryError):
        vs.radiomics.extract(image, vs.Mask(mask.tensor[:-1]))


def test_nothing_left():
    image, mask = case()
    with pytest.raises(vs.InvalidArgument, match=r"keeps \[1000, 2000\], and the region's intensities are \["):
        vs.radiomics.extract(image, mask, vs.radiomics.Settings(resegment=(1000, 2000)))
    small = torch.zeros_like(mask.tensor)
    small[2, 2, 2] = 1
    with pytest.raises(vs.InvalidArgument, match="vanishes when interpolated"):
        vs.radiomics.extract(image, vs.Mask(small), vs.radiomics.Settings(resample=(5, 5, 5)))


def test_too_many_bins():
    image, mask = case()
    with pytest.raises(vs.InvalidArgument, match="bin"):
        vs.radiomics.extract(image, mask, vs.radiomics.Settings(bin_width=1e-9))


@pytest.mark.parametrize("bins", [700, 60000])
def test_more_levels_than_a_table_holds(bins):
    """Oracle: pairs counted in a dictionary. Beyond 16 cells a voxel pairs are sorted, memory goes with the voxels."""
    image, mask = case()
    x, inside = image.tensor.double().numpy(), (mask.tensor == 1).numpy()
    low, high = x[inside].min(), x[inside].max()
    level = np.where(inside, np.minimum(np.floor((x - low) * bins / (high - low)) + 1, bins), 0).astype(np.int64)
    pairs: dict[tuple[int, int], int] = {}
    for z, y, i in np.argwhere(inside):
        for dz, dy, dx in itertools.product((-1, 0, 1), repeat=3):
            at = (z + dz, y + dy, i + dx)
            if (dz, dy, dx) != (0, 0, 0) and all(0 <= k < n for k, n in zip(at, x.shape, strict=True)) and inside[at]:
                key = (int(level[z, y, i]), int(level[at]))
                pairs[key] = pairs.get(key, 0) + 1
    n = np.array(list(pairs.values()), float)
    i, j = np.array(list(pairs), float).T
    p = n / n.sum()
    settings = vs.radiomics.Settings(bin_count=bins, families=["glcm"])
    features = vs.radiomics.extract(image, mask, settings)
    assert features["cm_joint_entr"] == pytest.approx(-(p * np.log2(p)).sum(), rel=1e-12)
    assert features["cm_contrast"] == pytest.approx((p * (i - j) ** 2).sum(), rel=1e-12)
    assert features["cm_auto_corr"] == pytest.approx((p * i * j).sum(), rel=1e-12)
    assert features["cm_joint_max"] == pytest.approx(p.max(), rel=1e-12)
    mu = (p * i).sum()
    assert features["cm_corr"] == pytest.approx((p * (i - mu) * (j - mu)).sum() / (p * (i - mu) ** 2).sum(), rel=1e-9)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"bin_width": 0}, "bin_width"),
        ({"bin_width": None}, "bin_width"),
        ({"bin_count": 0}, "bin_count"),
        ({"resample": (1, -1, 1)}, "resample"),
        ({"resegment": (5, 5)}, "resegment"),
        ({"outlier_sigma": -1}, "outlier_sigma"),
        ({"mask_threshold": 0}, "mask_threshold"),
        ({"aggregation": "3D_sum"}, "IAZD"),
        ({"aggregation": []}, "aggregation"),
        ({"aggregation": ["3D_avg", "ITBB"]}, "twice"),
        ({"glcm_distances": [0]}, "glcm_distances"),
        ({"families": ["gclm"]}, "glcm"),
    ],
)
def test_settings_that_make_no_sense(settings, named):
    image, mask = case()
    with pytest.raises(vs.InvalidArgument, match=named):
        vs.radiomics.extract(image, mask, vs.radiomics.Settings(**settings))


def test_channels():
    image, mask = case()
    both = vs.Image(torch.stack([image.tensor, image.tensor * 2]))
    assert vs.radiomics.extract(both, mask, channel=1)["stat_mean"] == pytest.approx(
        2 * vs.radiomics.extract(image, mask)["stat_mean"]
    )
    with pytest.raises(vs.InvalidArgument, match="2 channel"):
        vs.radiomics.extract(both, mask, channel=2)
    with pytest.raises(vs.InvalidArgument, match="1 channel"):
        vs.radiomics.extract(image, mask, channel=1)


def test_several_labels():
    """Invariant: the same as one after the other."""
    image, mask = case()
    labels = mask.tensor.to(torch.int16) * 3
    labels[4:] *= 100
    both = vs.Mask(labels, names={3: "low", 300: "high"})
    found = vs.radiomics.extract_labels(image, both)
    assert list(found) == [3, 300]
    for label, features in found.items():
        np.testing.assert_array_equal(features.values, vs.radiomics.extract(image, both, label=label).values)
    np.testing.assert_array_equal(vs.radiomics.extract(image, both, label="high").values, found[300].values)
    assert list(vs.radiomics.extract_labels(image, both, labels=[300])) == [300]


def test_columns_say_what_they_are():
    """A name stands for one definition: other aggregations and distances are spelled out."""
    settings = vs.radiomics.Settings(families=["glcm"], aggregation=["3D_comb", "2D_avg"], glcm_distances=[1, 2])
    f = vs.radiomics.extract(*case(), settings)
    assert f.names == vs.radiomics.columns(settings) and len(f) == 100
    assert {"cm_contrast", "cm_contrast_d2", "cm_contrast_2D_avg", "cm_contrast_2D_avg_d2"} <= set(f)
    assert (
        f["cm_contrast_2D_avg"]
        == vs.radiomics.extract(*case(), settings.replace(aggregation="BTW3", glcm_distances=1))["cm_contrast"]
    )
    with pytest.raises(KeyError, match="several ways; say which: cm_contrast, cm_contrast_d2"):
        f["ACUI"]


def test_features_is_a_mapping():
    f = vs.radiomics.extract(*case())
    assert f["morph_volume"] == f["RNU0"] == f["original_shape_MeshVolume"]
    assert "RNU0" in f and "nonsense" not in f
    with pytest.raises(KeyError, match='Did you mean "morph_volume"'):
        f["morph_volumes"]
    with pytest.raises(ValueError, match="was not computed"):
        vs.radiomics.extract(*case(), INTENSITY)["morph_volume"]
    assert dict(f) == f.to_dict() == f.to_series().to_dict()
    frame = f.to_frame()
    assert frame.loc["morph_volume", "unit"] == "mm3" and frame.loc["morph_volume", "code"] == "RNU0"
    assert "<table>" in f._repr_html_() and "morph_volume" in f._repr_html_()
    for twin in (pickle.loads(pickle.dumps(f)), copy.deepcopy(f)):
        np.testing.assert_array_equal(twin.values, f.values)
        assert twin.settings == f.settings and twin.settings_hash == f.settings.hash()


def test_catalogue_is_complete():
    """Mechanics: what DESIGN 4 promises of every row."""
    catalogue = vs.radiomics.catalogue()
    assert catalogue.index.is_unique
    # IBSI gives one code to the volume (and to the intensity) at 10 % and at 90 %; what isn't IBSI's has none.
    coded = catalogue[catalogue["code"] != ""]
    assert coded.loc[coded["code"].duplicated(keep=False)].index.tolist() == [
        "ivh_v10",
        "ivh_v90",
        "ivh_i10",
        "ivh_i90",
    ]
    assert (catalogue.loc[catalogue["code"] == "", "reference"] == "not in IBSI").all()
    with pytest.raises(vs.InvalidArgument, match="no feature is called"):
        vs.radiomics.find_feature("")
    with pytest.raises(vs.InvalidArgument, match="BC2M.*ivh_v10, ivh_v90"):
        vs.radiomics.find_feature("BC2M")
    aliases = catalogue["pyradiomics"]
    assert aliases[aliases != ""].is_unique
    assert set(catalogue["aggregation"].str.split().sum()) >= {
        "2D_avg",
        "2D_comb",
        "2_5D_avg",
        "2_5D_comb",
        "3D_avg",
        "3D_comb",
    }
    for column in ("title", "family", "unit", "formula", "reference"):
        assert (catalogue[column] != "").all(), column
    assert list(dict.fromkeys(catalogue["family"])) == vs.radiomics.families()


def test_settings_round_trip():
    settings = vs.radiomics.Settings(
        resample=(0, 1.5, 1 / 3), resegment=(-10, 10), bin_count=7, aggregation=["3D_avg"], interpolation="cubic"
    )
    back = vs.radiomics.Settings.from_yaml(settings.to_yaml())
    assert back == settings and back.hash() == settings.hash() and isinstance(back, vs.radiomics.Settings)
    assert pickle.loads(pickle.dumps(settings)) == settings
    with pytest.raises(ValueError, match='Did you mean "bin_width"'):
        vs.radiomics.Settings(bin_widht=3)


@pytest.mark.parametrize("where", [np.s_[38:43, 38:46, 40:49], np.s_[75:80, 0:8, 40:49], np.s_[0:3, 77:84, 82:90]])
@pytest.mark.parametrize("interpolation", ["nearest", "linear", "cubic"])
def test_cropping_before_interpolation_changes_nothing(interpolation, where):
    """Oracle: interpolating the whole image (vesalius.image.resample) first, with the region far from the edges and at them."""
    rng = np.random.default_rng(5)
    image = vs.Image(torch.from_numpy(rng.normal(0, 30, (80, 84, 90))), spacing=(2.0, 1.0, 1.1), origin=(5, 6, 7))
    inside = torch.zeros(image.shape, dtype=torch.uint8)
    inside[where] = 1
    mask = vs.Mask(inside, image.geometry)
    spacing = (1.3, 1.7, 0.9)
    ours = vs.radiomics.extract(image, mask, vs.radiomics.Settings(resample=spacing, interpolation=interpolation))
    whole = vs.image.resample(image, spacing, interpolation=interpolation)
    reference = vs.radiomics.extract(whole, vs.image.resample(mask, spacing))
    np.testing.assert_allclose(ours.values, reference.values, rtol=1e-6)
    assert ours.morphological_voxels == reference.morphological_voxels


def test_cancelled():
    class Stop(Exception):
        pass

    def stop(done: int, total: int, what: str) -> None:
        raise Stop

    with pytest.raises(Stop):
        vs.radiomics.extract(*case(), progress=stop)


def test_outliers_leave_the_intensity_mask_only():
    """Oracle: the definition (IBSI 7ACA) in numpy."""
    image, mask = case((12, 14, 13))
    voxels = image.tensor.clone()
    voxels[6, 7, 6] = 1000
    f = vs.radiomics.extract(image.with_tensor(voxels), mask, vs.radiomics.Settings(outlier_sigma=3))
    x = voxels.numpy()[mask.numpy() == 1]
    kept = x[abs(x - x.mean()) <= 3 * x.std()]
    assert f.intensity_voxels == len(kept) < f.morphological_voxels == len(x)
    assert f["stat_mean"] == pytest.approx(kept.mean())
