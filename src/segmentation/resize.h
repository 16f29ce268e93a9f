// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

namespace vesalius::segmentation::detail {

/// One output of linear interpolation: two inputs and their weights; clamped at the ends.
struct LinearTap {
  int64_t low, high;
  double low_weight, high_weight;
};

std::vector<LinearTap> linear_taps(int64_t n, int64_t m);
std::vector<int64_t> nearest_indices(int64_t n, int64_t m);
std::vector<LinearTap> axis_taps(int64_t n, int64_t m, bool nearest);

}  // namespace vesalius::segmentation::detail
