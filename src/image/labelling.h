// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

namespace vesalius::image::detail {

/// Rows of a slice connect, and slices connect unless `planar`.
struct Labelling {
  at::Tensor labels;           ///< int32 [z, y, x] on the CPU
  std::vector<int64_t> sizes;  ///< descending
};

/// Components of a bool tensor [z, y, x] (moved to the CPU), largest first.
/// @throws InvalidArgument unless `connectivity` is 6, 18 or 26.
Labelling label_components(const at::Tensor& chosen, int64_t connectivity, bool planar = false);

}  // namespace vesalius::image::detail
