// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

namespace vesalius::segmentation::detail {

struct Topology {
  std::vector<std::vector<int64_t>> strides, kernels;
  std::vector<int64_t> patch;    ///< padded to multiples of `divisor`
  std::vector<int64_t> divisor;  ///< 2^(poolings of the axis)
};

/// Where a U-Net pools and how large its kernels are, from spacing and patch: nnU-Net v2's rule (facts, section 4).
Topology topology(const std::vector<double>& spacing, const std::vector<double>& patch, int64_t min_edge = 4);

}  // namespace vesalius::segmentation::detail
