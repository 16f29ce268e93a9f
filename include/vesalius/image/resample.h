// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include <vesalius/core/image.h>
#include <vesalius/core/mask.h>

namespace vesalius::image {

/// How values between voxel centres are found. `cubic` is the cubic B-spline that passes through the voxels
/// (Unser 1999: prefilter, then 4 taps an axis), mirrored about the first and the last voxel centre as in ITK and
/// in scipy.ndimage's mode "mirror".
enum class Interpolation { nearest, linear, cubic };

VESALIUS_API std::string to_string(Interpolation interpolation);
/// @throws InvalidArgument for a word that is none of nearest, linear, cubic.
VESALIUS_API void from_string(const std::string& text, Interpolation& out);

/// The grid that IBSI prescribes for a new spacing (IBSI 1, section 2.4 "Interpolation", "Grid alignment"):
/// `ceil(n · s / s')` voxels an axis, both grids aligned by their centres. A ratio within 1e-6 of a whole number
/// counts as that number. A spacing of 0 keeps the axis as it is (in-plane interpolation).
/// @throws InvalidArgument for a negative or non-finite spacing, and for a grid of more than 2³² voxels.
VESALIUS_API Geometry resampled_geometry(const Geometry& geometry, const Vec3& spacing_zyx);

/// `image` on `resampled_geometry(…, spacing_zyx)`. Points of the new grid up to half a new voxel outside the first
/// and last voxel centre take the value at the edge (coordinates are clamped). float64 stays float64; every other
/// type becomes float32 (`nearest` keeps the type). Works on CPU and CUDA, and gradients flow through it.
/// Non-finite voxels spread to the voxels interpolated from them.
/// @throws InvalidArgument as `resampled_geometry`, and for `cubic` with NaN or infinite voxels, which would spread
///   along whole lines; TypeMismatch for complex voxels.
VESALIUS_API Image resample(const Image& image, const Vec3& spacing_zyx,
                            Interpolation interpolation = Interpolation::linear);

/// A mask on the same grid as `resample(Image)` makes: each label's indicator (0 or 1) is interpolated, and a voxel
/// takes the label with the largest value, where that is ≥ `threshold` (to 1e-9); equal values: the smaller label.
/// @param threshold in (0, 1]; IBSI's 0.5.
VESALIUS_API Mask resample(const Mask& mask, const Vec3& spacing_zyx,
                           Interpolation interpolation = Interpolation::linear, double threshold = 0.5);

/// `image` on any other grid, oblique ones too. As in ITK, a point is inside up to half a voxel beyond the first and
/// last voxel centre (there the edge's value continues) and gets `outside` further out. Where the axes of both grids
/// are parallel this runs on CUDA; else CUDA tensors are computed on the CPU and moved back.
VESALIUS_API Image resample_like(const Image& image, const Geometry& geometry,
                                 Interpolation interpolation = Interpolation::linear, double outside = 0.0);
/// Labels on any other grid by the nearest voxel; 0 outside.
VESALIUS_API Mask resample_like(const Mask& mask, const Geometry& geometry);

}  // namespace vesalius::image
