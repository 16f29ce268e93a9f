// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

#include <vesalius/core/export.h>

namespace vesalius::image {

/// More bins than this are taken for a mistake (a bin width in the wrong unit).
inline constexpr int64_t kMaxBins = 65536;

/// IBSI's fixed bin number (IBSI 1, section 2.7, "Fixed bin number"): bin `floor(N (x - min) / (max - min)) + 1`,
/// and N for `x == max`, with min and max over the region. A constant region is bin 1 throughout.
///
/// @param voxels any real tensor; computed in float64. @param roi bool, of the same shape and device.
/// @returns int32 of that shape: 1..bins inside, 0 outside.
/// @throws InvalidArgument for an empty region, for NaN or infinite voxels in it (with their number), and for bins
///   outside 1..kMaxBins; ShapeError; TypeMismatch for a region that isn't bool.
VESALIUS_API at::Tensor discretise_bin_number(const at::Tensor& voxels, const at::Tensor& roi, int64_t bins);

/// IBSI's fixed bin size (section 2.7, "Fixed bin size"): bin `floor((x - lower) / width) + 1`.
///
/// @param lower the lower edge of bin 1: the lower bound of re-segmentation or the region's minimum.
/// @throws InvalidArgument as above, for a width that isn't positive and finite, for voxels below `lower`, and for
///   more than kMaxBins bins.
VESALIUS_API at::Tensor discretise_bin_width(const at::Tensor& voxels, const at::Tensor& roi, double width,
                                             double lower);

}  // namespace vesalius::image
