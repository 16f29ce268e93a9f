# SPDX-License-Identifier: Apache-2.0
"""Thresholds, PET methods, region growing and watershed against formulas, SimpleITK and scipy."""

import numpy as np
import pytest
import scipy.ndimage as ndi
import SimpleITK as sitk
import torch

import vesalius as vs

seg = vs.segmentation
SPACING = (3.0, 2.0, 2.0)


def phantom(noise: float = 0.0, dtype=np.float32) -> tuple[vs.Image, vs.Mask, np.ndarray]:
    """A blurred hot ellipsoid of 10 on a background of 1, a second one apart from it, and a rough region around the first."""
    z, y, x = np.indices((24, 48, 48))
    first = ((z - 12) * 3 / 18) ** 2 + ((y - 20) * 2 / 16) ** 2 + ((x - 20) * 2 / 14) ** 2 <= 1
    second = ((z - 12) * 3) ** 2 + ((y - 40) * 2) ** 2 + ((x - 40) * 2) ** 2 <= 8**2
    voxels = ndi.gaussian_filter(np.where(first, 10.0, np.where(second, 12.0, 1.0)), (0.8, 1.2, 1.2))
    voxels += noise * np.random.default_rng(0).normal(size=voxels.shape)
    image = vs.Image(torch.from_numpy(voxels.astype(dtype)), spacing=SPACING)
    region = np.zeros(voxels.shape, np.uint8)
    region[8:17, 12:29, 12:29] = 1
    return image, vs.Mask(torch.from_numpy(region), image.geometry), first


def otsu_by_hand(values: np.ndarray, bins: int) -> float:
    """Otsu 1979: the between-class variance for every edge of the histogram, written out."""
    counts, edges = np.histogram(values, bins=bins)
    best = []
    for k in range(1, bins):
        w0, w1 = counts[:k].sum(), counts[k:].sum()
        m0 = (counts[:k] * np.arange(k)).sum() / w0 if w0 else 0.0
        m1 = (counts[k:] * np.arange(k, bins)).sum() / w1 if w1 else 0.0
        best.append(w0 * w1 * (m0 - m1) ** 2)
    best = np.array(best)
    top = np.flatnonzero(best >= best.max() * (1 - 1e-12))
    return float(edges[0] + (edges[-1] - edges[0]) * ((top[0] + top[-1]) / 2 + 1) / bins)


@pytest.mark.parametrize("bins", [16, 128, 256])
def test_otsu_is_the_formula_and_simpleitks(bins):
    """Oracle: Otsu's formula over every bin edge (numpy.histogram). Peer: SimpleITK, to one bin."""
    image, region, _ = phantom(noise=0.5, dtype=np.float64)
    values = image.numpy()
    ours = seg.otsu_threshold(image, bins=bins)
    assert ours == pytest.approx(otsu_by_hand(values.ravel(), bins), abs=1e-9)
    inside = seg.otsu_threshold(image, region=region, bins=bins)
    assert inside == pytest.approx(otsu_by_hand(values[region.numpy() > 0], bins), abs=1e-9)
    theirs = sitk.OtsuThresholdImageFilter()
    theirs.SetNumberOfHistogramBins(bins)
    theirs.Execute(image.to_sitk())
    assert abs(theirs.GetThreshold() - ours) <= 1.01 * np.ptp(values) / bins
    np.testing.assert_array_equal(seg.otsu(image, bins=bins).numpy(), values > ours)


def test_otsu_in_a_gap_is_its_middle():
    """Analytic: two values; every edge between them separates equally well."""
    image = vs.Image(torch.tensor([0.0, 0.0, 10.0, 10.0, 10.0]).reshape(1, 1, 5))
    assert seg.otsu_threshold(image) == pytest.approx(5.0, abs=10 / 256)
    assert seg.otsu(image).numpy().ravel().tolist() == [0, 0, 1, 1, 1]


def test_threshold_is_numpys():
    image, _, _ = phantom(noise=1)
    np.testing.assert_array_equal(seg.threshold(image, 2, 8).numpy(), (image.numpy() >= 2) & (image.numpy() <= 8))
    assert seg.threshold(image, 1000).labels == []


@pytest.mark.parametrize("fraction", [0.3, 0.41, 0.5, 1.0])
def test_percent_of_maximum_is_the_definition(fraction):
    """Oracle: numpy's maximum in the region, scipy.ndimage.label's components that touch it."""
    image, region, _ = phantom(noise=0.3)
    voxels, inside = image.numpy().astype(np.float64), region.numpy() > 0
    candidates = voxels >= np.float32(fraction * voxels[inside].max())
    parts, _ = ndi.label(candidates)
    expected = np.isin(parts, np.setdiff1d(parts[inside], [0]))
    ours = seg.percent_of_maximum(image, region=region, fraction=fraction)
    np.testing.assert_array_equal(ours.numpy(), expected)
    assert expected.sum() < candidates.sum() or fraction == 1.0  # the second lesion is left out
    everywhere = seg.percent_of_maximum(image, fraction=fraction).numpy()
    assert everywhere[np.unravel_index(voxels.argmax(), voxels.shape)] == 1
    assert image.geometry == ours.geometry and ours.tensor.dtype == torch.uint8


def test_percent_of_maximum_stays_within_the_limit():
    """Oracle: scipy's distance transform; the component is looked for inside the limit."""
    image, _, _ = phantom()
    seed = np.zeros(image.shape, np.uint8)
    seed[12, 20, 20] = 1
    out = seg.percent_of_maximum(image, region=vs.Mask(torch.from_numpy(seed), image.geometry), limit_mm=9).numpy()
    near = ndi.distance_transform_edt(seed == 0, sampling=SPACING) <= 9
    np.testing.assert_array_equal(out, near & (image.numpy() >= 0.41 * image.numpy()[12, 20, 20]))


def test_contrast_threshold_is_a_fixed_point():
    """Oracle: the definition in numpy/scipy at the threshold found: T = 0.15 M70 + B, B from the shell around its own mask."""
    image, region, truth = phantom(noise=0.1)
    found = seg.contrast_threshold(image, region=region)
    voxels, inside = image.numpy().astype(np.float64), region.numpy() > 0
    peak = voxels[inside].max()

    def lesion(threshold: float) -> np.ndarray:
        parts, _ = ndi.label(voxels >= threshold)
        return np.isin(parts, np.setdiff1d(parts[inside], [0]))

    mean70 = voxels[lesion(0.7 * peak)].mean()
    assert found.mean70 == pytest.approx(mean70, rel=1e-6)
    mask = found.mask.numpy() > 0
    np.testing.assert_array_equal(mask, lesion(found.threshold))
    distance = ndi.distance_transform_edt(~mask, sampling=SPACING)
    background = voxels[(distance >= 10) & (distance <= 20) & (voxels < found.threshold)].mean()
    assert found.background == pytest.approx(background, rel=1e-3)
    assert found.threshold == pytest.approx(0.15 * mean70 + background, rel=1e-3)
    assert found.background == pytest.approx(1.0, abs=0.15) and 1 <= found.iterations < 50
    schaefer_like = seg.contrast_threshold(image, region=region, mean_weight=0.5, background_weight=0.5)
    # Half of the mean plus half of the background is the edge of a blurred object: the true shape comes back.
    assert seg.metrics.dice(schaefer_like.mask, vs.Mask(torch.from_numpy(truth), image.geometry)) > 0.97


def test_grow_is_simpleitks():
    """Peer: SimpleITK's ConnectedThreshold, 6- and 26-connected."""
    image, _, _ = phantom(noise=1.5)
    for connectivity, neighbourhood in (
        (6, sitk.ConnectedThresholdImageFilter.FaceConnectivity),
        (26, sitk.ConnectedThresholdImageFilter.FullConnectivity),
    ):
        theirs = sitk.ConnectedThreshold(image.to_sitk(), [(20, 20, 12), (40, 40, 12)], 6.0, 11.0, 1, neighbourhood)
        ours = seg.grow(image, [(12, 20, 20), (12, 40, 40)], 6.0, 11.0, connectivity=connectivity)
        np.testing.assert_array_equal(ours.numpy(), sitk.GetArrayFromImage(theirs))
        seeds = torch.zeros(image.shape, dtype=torch.int16)
        seeds[12, 20, 20] = seeds[12, 40, 40] = 3
        np.testing.assert_array_equal(
            seg.grow(image, vs.Mask(seeds, image.geometry), 6.0, 11.0, connectivity=connectivity).numpy(), ours.numpy()
        )
    assert seg.grow(image, [(0, 0, 0)], 6.0).labels == []


def test_gradient_magnitude_is_numpys():
    """Oracle: numpy.gradient after scipy.ndimage.gaussian_filter."""
    image, _, _ = phantom(noise=1, dtype=np.float64)
    smooth = ndi.gaussian_filter(image.numpy(), [2.5 / s for s in SPACING], mode="nearest", truncate=4)
    expected = np.sqrt(sum(g**2 for g in np.gradient(smooth, *SPACING)))
    np.testing.assert_allclose(seg.gradient_magnitude(image, sigma_mm=2.5).numpy(), expected, atol=1e-10)
    flat = vs.Image(image.tensor[:1], spacing=SPACING)
    expected = np.sqrt(sum(g**2 for g in np.gradient(flat.numpy()[0], *SPACING[1:])))
    np.testing.assert_allclose(seg.gradient_magnitude(flat).numpy()[0], expected, atol=1e-10)


@pytest.mark.parametrize("connectivity", [6, 26])
def test_watershed_is_simpleitks_and_finds_the_lesion(connectivity):
    """Peer: SimpleITK's MorphologicalWatershedFromMarkers. Truth: the phantom's ellipsoid."""
    image, _, truth = phantom(noise=0.05)
    markers = torch.zeros(image.shape, dtype=torch.uint8)
    markers[12, 20, 20] = 1
    markers[0] = markers[-1] = markers[:, 0] = markers[:, -1] = 2
    markers[12, 40, 40] = 2
    relief = seg.gradient_magnitude(image, sigma_mm=2)
    mask = vs.Mask(markers, image.geometry, names={1: "lesion", 2: "rest"})
    ours = seg.watershed(relief, mask, connectivity=connectivity)
    theirs = sitk.MorphologicalWatershedFromMarkers(relief.to_sitk(), mask.to_sitk(), False, connectivity == 26)
    np.testing.assert_array_equal(ours.numpy(), sitk.GetArrayFromImage(theirs))
    assert ours.names == mask.names and set(ours.labels) == {1, 2} and (ours.tensor != 0).all()
    assert seg.metrics.dice((ours.tensor == 1).to(torch.uint8), torch.from_numpy(truth)) > 0.85


ONE_ARGUMENT = [
    lambda i, r: seg.threshold(i, 0.5),
    lambda i, r: seg.otsu(i, region=r),
    lambda i, r: seg.percent_of_maximum(i, region=r),
    lambda i, r: seg.contrast_threshold(i, region=r),
    lambda i, r: seg.grow(i, [(0, 0, 0)], 0.5),
    lambda i, r: seg.watershed(i, r),
]


@pytest.mark.parametrize("call", ONE_ARGUMENT)
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_nan_and_infinite_voxels_are_refused(call, bad):
    image, region, _ = phantom()
    image.tensor[0, 0, :3] = bad
    with pytest.raises(vs.InvalidArgument, match="3 of 55296 voxels are NaN or infinite"):
        call(image, region)


@pytest.mark.parametrize("call", ONE_ARGUMENT[1:4] + ONE_ARGUMENT[5:])
def test_regions_are_checked(call):
    image, region, _ = phantom()
    with pytest.raises(vs.GeometryError, match="spacings differ"):
        call(image, vs.Mask(region.tensor, spacing=(3, 2, 2.5)))
    with pytest.raises(vs.InvalidArgument, match="region is empty"):
        call(image, vs.Mask(torch.zeros_like(region.tensor), image.geometry))
    with pytest.raises(vs.ShapeError, match="channels"):
        call(vs.Image(image.tensor[None], image.geometry), region)


def test_other_bad_input_says_so():
    image, region, _ = phantom()
    constant = vs.Image(torch.zeros(3, 3, 3))
    with pytest.raises(vs.InvalidArgument, match="nothing to separate"):
        seg.otsu(constant)
    with pytest.raises(vs.InvalidArgument, match="maximum in the region must be positive"):
        seg.percent_of_maximum(constant)
    with pytest.raises(vs.InvalidArgument, match=r"fraction lies in \(0, 1\]"):
        seg.percent_of_maximum(image, fraction=41)
    with pytest.raises(vs.InvalidArgument, match="no background to measure"):
        seg.contrast_threshold(vs.Image(torch.ones(3, 3, 3)), shell_mm=(1, 2))
    with pytest.raises(vs.InvalidArgument, match="shell_inner_mm < shell_outer_mm"):
        seg.contrast_threshold(image, region=region, shell_mm=(5, 5))
    with pytest.raises(vs.InvalidArgument, match="outside the image"):
        seg.grow(image, [(24, 0, 0)], 1)
    with pytest.raises(vs.InvalidArgument, match="at least one seed"):
        seg.grow(image, [], 1)
    with pytest.raises(vs.InvalidArgument, match="must not exceed"):
        seg.threshold(image, 2, 1)
    with pytest.raises(vs.InvalidArgument, match="connectivity is 6"):
        seg.percent_of_maximum(image, connectivity=7)
    with pytest.raises(vs.InvalidArgument, match="connectivity is 6"):
        seg.watershed(image, region, connectivity=18)


def test_one_voxel():
    image = vs.Image(torch.full((1, 1, 1), 3.0))
    assert seg.percent_of_maximum(image).tensor.item() == 1
    assert seg.grow(image, [(0, 0, 0)], 0).tensor.item() == 1
