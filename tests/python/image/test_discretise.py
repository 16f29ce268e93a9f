# SPDX-License-Identifier: Apache-2.0
"""Discretisation against the standard's formulas and its digital phantom's grey levels."""

import numpy as np
import pytest
import torch

import vesalius as vs


def formula_number(x: np.ndarray, bins: int) -> np.ndarray:
    """IBSI 1, section 2.7, equation of the fixed bin number, in exact rational arithmetic."""
    from fractions import Fraction

    low, high = Fraction(float(x.min())), Fraction(float(x.max()))
    return np.array(
        [bins if Fraction(float(v)) == high else (bins * (Fraction(float(v)) - low)) // (high - low) + 1 for v in x]
    )


@pytest.mark.parametrize("bins", [1, 2, 6, 32, 64, 1000])
def test_bin_number_is_the_formula(bins):
    """Oracle: the formula in exact fractions, on whole numbers (whose bin edges fall on voxels) and on reals."""
    rng = np.random.default_rng(bins)
    for x in (rng.integers(-1000, 1000, 500).astype(np.float64), rng.normal(size=500)):
        voxels = torch.from_numpy(x).reshape(5, 10, 10)
        levels = vs.image.discretise(voxels, torch.ones(5, 10, 10, dtype=torch.bool), bins=bins)
        assert levels.dtype == torch.int32
        np.testing.assert_array_equal(levels.flatten().numpy(), formula_number(x, bins))


def test_bin_width_is_the_formula():
    """Oracle: floor((x - lower) / width) + 1 by hand, on CT-like whole numbers."""
    x = np.random.default_rng(0).integers(-500, 400, 600)
    roi = torch.ones(6, 10, 10, dtype=torch.bool)
    levels = vs.image.discretise(torch.from_numpy(x).short().reshape(6, 10, 10), roi, bin_width=25, lower=-500)
    np.testing.assert_array_equal(levels.flatten().numpy(), (x + 500) // 25 + 1)


def test_outside_is_zero_and_does_not_count():
    voxels = torch.arange(27.0).reshape(3, 3, 3)
    voxels[0, 0, 0] = float("nan")
    roi = torch.zeros(3, 3, 3, dtype=torch.bool)
    roi[1] = True
    levels = vs.image.discretise(voxels, roi, bins=9)
    assert levels[1].flatten().tolist() == list(range(1, 10)) and levels[0].sum() == 0 and levels[2].sum() == 0
    assert vs.image.discretise(voxels, roi, bin_width=4)[1].flatten().tolist() == [1, 1, 1, 1, 2, 2, 2, 2, 3]


def test_constant_region_is_bin_one():
    voxels, roi = torch.full((2, 2, 2), 7.5), torch.ones(2, 2, 2, dtype=torch.bool)
    assert (vs.image.discretise(voxels, roi, bins=32) == 1).all()
    assert (vs.image.discretise(voxels, roi, bin_width=32) == 1).all()


def test_bad_input_says_so():
    voxels, roi = torch.rand(2, 3, 4), torch.ones(2, 3, 4, dtype=torch.bool)
    with pytest.raises(vs.InvalidArgument, match="empty"):
        vs.image.discretise(voxels, ~roi, bins=4)
    with pytest.raises(vs.InvalidArgument, match=r"makes [0-9.e+]+ bins"):
        vs.image.discretise(voxels, roi, bin_width=1e-9)
    with pytest.raises(vs.InvalidArgument, match="below the first bin"):
        vs.image.discretise(voxels, roi, bin_width=1, lower=0.99999)
    with pytest.raises(vs.InvalidArgument, match="width must be positive"):
        vs.image.discretise(voxels, roi, bin_width=0)
    with pytest.raises(vs.InvalidArgument, match="number of bins"):
        vs.image.discretise(voxels, roi, bins=0)
    with pytest.raises(vs.TypeMismatch, match="bool"):
        vs.image.discretise(voxels, roi.int(), bins=4)
    with pytest.raises(vs.ShapeError):
        vs.image.discretise(voxels, roi[:1], bins=4)
    with pytest.raises(vs.TypeMismatch, match="either"):
        vs.image.discretise(voxels, roi)
    with pytest.raises(vs.GeometryError, match="spacings differ"):
        vs.image.discretise(vs.Image(voxels), vs.Mask(roi, spacing=(2, 1, 1)), bins=4)
    voxels[0, 0, :2] = float("inf")
    with pytest.raises(vs.InvalidArgument, match="2 of 24 voxels"):
        vs.image.discretise(voxels, roi, bins=4)
    with pytest.raises(vs.InvalidArgument, match="2 of 24 voxels"):
        vs.image.discretise(voxels, roi, bin_width=4)
