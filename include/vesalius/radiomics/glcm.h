// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

#include <vesalius/core/export.h>

namespace vesalius::radiomics {

/// Grey level co-occurrence: how often level i is followed by level j at each offset (IBSI 1, section 3.6). The
/// operator `vesalius::glcm_counts`, for CPU and CUDA.
///
/// @param levels int32 `[z, y, x]`: 1..n_levels in the region, 0 outside.
/// @param offsets int64 `[directions, 3]` in (z, y, x) voxels, on the CPU.
/// @returns int64 `[directions, n_levels, n_levels]` on the levels' device, one-sided: the standard's symmetric matrix
///   is this plus its transpose.
/// @throws ShapeError, TypeMismatch; InvalidArgument for levels outside 0..n_levels, and when the matrices would take
///   more than 2 GiB.
VESALIUS_API at::Tensor glcm_counts(const at::Tensor& levels, const at::Tensor& offsets, int64_t n_levels);

/// The unique offsets to the Chebyshev neighbours, times `distance`: int64 `[13, 3]`, or `[4, 3]` within a slice.
VESALIUS_API at::Tensor neighbour_offsets(int64_t distance = 1, bool in_slice = false);

}  // namespace vesalius::radiomics
