// SPDX-License-Identifier: Apache-2.0
#include "segmentation/topology.h"

#include <algorithm>
#include <cmath>

namespace vesalius::segmentation::detail {
namespace {

/// Axes that are still large enough and not coarser than twice the finest of them.
std::vector<size_t> poolable(const std::vector<double>& spacing, const std::vector<double>& size, double min_edge) {
  std::vector<size_t> axes;
  double finest = INFINITY;
  for (size_t d = 0; d < size.size(); ++d)
    if (size[d] >= 2 * min_edge) {
      axes.push_back(d);
      finest = std::min(finest, spacing[d]);
    }
  std::erase_if(axes, [&](size_t d) { return !(spacing[d] / finest < 2); });
  if (axes.size() == 1 && size[axes[0]] < 3 * min_edge) axes.clear();
  return axes;
}

}  // namespace

Topology topology(const std::vector<double>& spacing_in, const std::vector<double>& patch, int64_t min_edge) {
  const size_t dimensions = patch.size();
  std::vector<double> spacing = spacing_in, size = patch;
  std::vector<int64_t> kernel(dimensions, 1);
  Topology out;
  out.divisor.assign(dimensions, 1);
  out.strides.push_back(std::vector<int64_t>(dimensions, 1));
  for (;;) {
    const auto axes = poolable(spacing, size, double(min_edge));
    if (axes.empty()) break;
    const double finest = *std::min_element(spacing.begin(), spacing.end());
    for (size_t d = 0; d < dimensions; ++d)
      if (spacing[d] / finest < 2) kernel[d] = 3;  // and stays 3
    std::vector<int64_t> stride(dimensions, 1);
    for (const size_t d : axes) {
      stride[d] = 2;
      out.divisor[d] *= 2;
      spacing[d] *= 2;
      size[d] = std::ceil(size[d] / 2);
    }
    out.strides.push_back(stride);
    out.kernels.push_back(kernel);
  }
  out.kernels.push_back(std::vector<int64_t>(dimensions, 3));  // the bottleneck's
  for (size_t d = 0; d < dimensions; ++d) {
    const auto divisor = double(out.divisor[d]);
    const double rest = std::fmod(patch[d], divisor);
    out.patch.push_back(static_cast<int64_t>(rest == 0 ? patch[d] : patch[d] + divisor - rest));
  }
  return out;
}

}  // namespace vesalius::segmentation::detail
