// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

namespace vesalius::segmentation::detail {

/// numpy's percentile (linear) of sorted values; `q` in 0..1. numpy interpolates from the nearer end (its _lerp).
template <class T>
double percentile_sorted(const std::vector<T>& sorted, double q) {
  const double at = q * double(sorted.size() - 1);
  const auto low = static_cast<size_t>(std::floor(at));
  const size_t high = std::min(low + 1, sorted.size() - 1);
  const double a = sorted[low], b = sorted[high], t = at - double(low);
  return t >= 0.5 ? b - (b - a) * (1 - t) : a + (b - a) * t;
}

template <class T>
double percentile(std::vector<T> values, double q) {
  std::sort(values.begin(), values.end());
  return percentile_sorted(values, q);
}

/// Python's round(): halves to even (the default rounding mode).
inline double round_even(double x) { return std::nearbyint(x); }

}  // namespace vesalius::segmentation::detail
