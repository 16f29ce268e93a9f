// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <vector>

#include <ATen/core/Tensor.h>

#include <vesalius/radiomics/detail/texture_kernel.h>

#include "radiomics/size_matrix.h"

/// The texture families' counts by the operators of texture.h, on whatever device the tensors are: only tables leave it. The
/// families use them for images on a GPU; that they equal the families' own passes is tested on the CPU.
namespace vesalius::radiomics::device_counts {

/// Whether this region's textures are counted by the operators: its image is on a GPU and there are kernels for it.
bool wanted(const Roi& roi);

/// Voxels of the intensity mask in each part: the slices, or all.
std::vector<int64_t> voxels_of(const at::Tensor& levels, bool per_slice);

/// `[part][direction]`; offsets int64 [directions, 3] on the CPU.
std::vector<std::vector<SizeCounts>> runs(const at::Tensor& levels, const at::Tensor& offsets, int64_t n_levels,
                                          bool per_slice);

struct Zones {
  std::vector<SizeCounts> sizes, distances;  ///< one a part
};
/// @param mask bool [z, y, x], morphological.
Zones zones(const at::Tensor& levels, const at::Tensor& mask, int64_t n_levels, bool in_slice, bool per_slice);

/// One a part.
std::vector<detail::Neighbourhoods> neighbourhoods(const at::Tensor& levels, int64_t n_levels, bool in_slice,
                                                   bool per_slice);

}  // namespace vesalius::radiomics::device_counts
