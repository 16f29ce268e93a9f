// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vesalius/core/image.h>
#include <vesalius/core/mask.h>

/// Intensities. Statistics are taken in float64 over the voxels where `region` isn't 0, or over all voxels where there is
/// none; the whole image is then changed. Results are float32 (float64 stays). Works on CPU and CUDA.
/// All throw GeometryError when image and region don't share a grid, and InvalidArgument for an empty region or NaN or
/// infinite voxels in it (with their number).
namespace vesalius::image {

/// Values below `lower` become `lower`, above `upper` `upper`; the type stays. NaN stays NaN.
/// @throws InvalidArgument unless lower ≤ upper.
VESALIUS_API Image clip(const Image& image, double lower, double upper);

/// (x − mean) / standard deviation (population, n). A constant region has deviation 0: nothing is divided then.
VESALIUS_API Image zscore(const Image& image, const Mask* region = nullptr);

/// The region's minimum and maximum mapped to `lower` and `upper`; a constant region maps to `lower`.
VESALIUS_API Image minmax(const Image& image, const Mask* region = nullptr, double lower = 0.0, double upper = 1.0);

/// Clipped to two percentiles of the region (0..100, linear between order statistics as numpy's default), then these
/// mapped to 0 and 1. @throws InvalidArgument unless 0 ≤ low < high ≤ 100.
VESALIUS_API Image percentile(const Image& image, double low, double high, const Mask* region = nullptr);

/// slope · x + intercept.
VESALIUS_API Image rescale(const Image& image, double slope, double intercept);

/// Gaussian smoothing with a standard deviation in mm (0: nothing is done on that axis), cut at 4 deviations and
/// normalised; the edge continues outside. @throws InvalidArgument for a negative or non-finite sigma.
VESALIUS_API Image gaussian(const Image& image, const Vec3& sigma_mm_zyx);

}  // namespace vesalius::image
