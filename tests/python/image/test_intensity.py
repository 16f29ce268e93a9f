# SPDX-License-Identifier: Apache-2.0
"""Intensities against numpy and scipy."""

import numpy as np
import pytest
import scipy.ndimage as ndi
import torch

import vesalius as vs


@pytest.fixture
def image() -> vs.Image:
    return vs.Image(torch.from_numpy(np.random.default_rng(0).normal(40, 300, (7, 12, 13))), spacing=(3, 1, 1.5))


@pytest.fixture
def region(image) -> vs.Mask:
    return vs.Mask((image.tensor > 100).to(torch.uint8) * 5, image.geometry)


def test_normalisations_are_numpys(image, region):
    """Oracle: numpy's mean, std, percentile over the region."""
    x = image.numpy()
    for mask, v in ((None, x), (region, x[region.numpy() > 0])):
        np.testing.assert_allclose(vs.image.zscore(image, region=mask).numpy(), (x - v.mean()) / v.std(), atol=1e-12)
        np.testing.assert_allclose(
            vs.image.minmax(image, region=mask, lower=-1, upper=3).numpy(),
            (x - v.min()) / np.ptp(v) * 4 - 1,
            atol=1e-12,
        )
        a, b = np.percentile(v, [2, 97.3])
        np.testing.assert_allclose(
            vs.image.percentile(image, 2, 97.3, region=mask).numpy(), (np.clip(x, a, b) - a) / (b - a), atol=1e-12
        )
    np.testing.assert_allclose(vs.image.rescale(image, 2, -1000).numpy(), 2 * x - 1000)


def test_clip_keeps_the_type():
    """Oracle: numpy.clip."""
    x = np.random.default_rng(0).integers(-2000, 2000, (3, 4, 5)).astype(np.int16)
    out = vs.image.clip(vs.Image(torch.from_numpy(x)), -500.5, 1e9)
    assert out.tensor.dtype == torch.int16
    np.testing.assert_array_equal(out.numpy(), np.clip(x, -500, None))
    out = vs.image.clip(vs.Image(torch.tensor([[[float("nan"), -1, 2.5]]])), 0, 1)
    assert out.tensor[0, 0, 0].isnan() and out.tensor[0, 0, 1:].tolist() == [0, 1]
    with pytest.raises(vs.InvalidArgument, match="must not exceed"):
        vs.image.clip(out, 1, 0)
    with pytest.raises(vs.InvalidArgument, match="convert the voxels to float"):
        vs.image.clip(vs.Image(torch.zeros(1, 1, 1, dtype=torch.uint8)), 0.2, 0.7)


@pytest.mark.parametrize("sigma", [(2.0, 2.0, 2.0), (0.0, 3.0, 1.0), (9.0, 0.4, 0.1)])
def test_gaussian_is_scipys(image, sigma):
    """Oracle: scipy.ndimage.gaussian_filter, mode "nearest", truncate 4."""
    expected = ndi.gaussian_filter(
        image.numpy(), [s / p for s, p in zip(sigma, image.spacing, strict=True)], mode="nearest", truncate=4
    )
    np.testing.assert_allclose(vs.image.gaussian(image, sigma).numpy(), expected, atol=1e-10)


def test_constant_images():
    image = vs.Image(torch.full((2, 3, 4), 7, dtype=torch.int16))
    assert (vs.image.zscore(image).tensor == 0).all() and (vs.image.minmax(image).tensor == 0).all()
    assert (vs.image.percentile(image).tensor == 0).all() and vs.image.zscore(image).tensor.dtype == torch.float32


def test_bad_input_says_so(image, region):
    with pytest.raises(vs.GeometryError, match="spacings differ"):
        vs.image.zscore(image, region=vs.Mask(region.tensor))
    with pytest.raises(vs.InvalidArgument, match="region is empty"):
        vs.image.minmax(image, region=vs.Mask(torch.zeros_like(region.tensor), image.geometry))
    with pytest.raises(vs.InvalidArgument, match="low < high"):
        vs.image.percentile(image, 90, 10)
    with pytest.raises(vs.InvalidArgument, match="sigma"):
        vs.image.gaussian(image, -1)
    image.tensor[0, 0, 0] = float("nan")
    image.tensor[1, 0, 0] = float("inf")
    with pytest.raises(vs.InvalidArgument, match="2 of 1092 voxels are NaN or infinite"):
        vs.image.zscore(image)
