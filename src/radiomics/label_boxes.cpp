// SPDX-License-Identifier: Apache-2.0
#include "radiomics/label_boxes.h"

#include <algorithm>
#include <mutex>
#include <unordered_map>

#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <ATen/ops/_unique.h>
#include <ATen/ops/full.h>
#include <ATen/ops/nonzero.h>

namespace vesalius::radiomics {
namespace {

struct Extent {
  Index3 low{INT64_MAX, INT64_MAX, INT64_MAX}, high{-1, -1, -1};

  void take(const Index3& first, const Index3& last) {
    for (int axis = 0; axis < 3; ++axis) {
      low[axis] = std::min(low[axis], first[axis]);
      high[axis] = std::max(high[axis], last[axis]);
    }
  }
};
using Extents = std::unordered_map<int64_t, Extent>;

/// A stretch of equal labels is one look-up, and mostly none: the label is the last stretch's. Rows of background cost a
/// vectorised test.
template <class T>
void scan_slices(const T* voxels, int64_t first_slice, int64_t end_slice, int64_t ny, int64_t nx, Extents& extents) {
  T known = 0;
  Extent* extent = nullptr;  // stays valid: unordered_map doesn't move its elements
  for (int64_t z = first_slice; z < end_slice; ++z)
    for (int64_t y = 0; y < ny; ++y) {
      const T* row = voxels + (z * ny + y) * nx;
      T any = 0;
      for (int64_t x = 0; x < nx; ++x) any |= row[x];
      if (any == 0) continue;
      for (int64_t x = 0; x < nx;) {
        const T label = row[x];
        const int64_t first = x++;
        while (x < nx && row[x] == label) ++x;
        if (label == 0) continue;
        if (!extent || label != known) extent = &extents[static_cast<int64_t>(label)], known = label;
        extent->take({z, y, first}, {z, y, x - 1});
      }
    }
}

std::map<int64_t, Box> to_boxes(const Extents& extents) {
  std::map<int64_t, Box> boxes;
  for (const auto& [label, e] : extents)
    boxes[label] = {e.low, {e.high[0] - e.low[0] + 1, e.high[1] - e.low[1] + 1, e.high[2] - e.low[2] + 1}};
  return boxes;
}

}  // namespace

std::map<int64_t, Box> boxes_of(const at::Tensor& labels) {
  if (!labels.is_cpu()) return boxes_by_reduction(labels);
  const at::Tensor dense = labels.contiguous();
  const int64_t nz = dense.size(0), ny = dense.size(1), nx = dense.size(2);
  Extents all;
  std::mutex guard;
  AT_DISPATCH_INTEGRAL_TYPES_AND(at::kUInt16, dense.scalar_type(), "boxes_of", [&] {
    const auto* voxels = dense.const_data_ptr<scalar_t>();
    const int64_t grain = std::max<int64_t>(1, 1000000 / std::max<int64_t>(1, ny * nx));
    at::parallel_for(0, nz, grain, [&](int64_t begin, int64_t end) {
      Extents own;
      scan_slices(voxels, begin, end, ny, nx, own);
      const std::lock_guard lock(guard);
      for (const auto& [label, extent] : own) all[label].take(extent.low, extent.high);
    });
  });
  return to_boxes(all);
}

std::map<int64_t, Box> boxes_by_reduction(const at::Tensor& labels) {
  const at::Tensor where = at::nonzero(labels);  // [n, 3]
  if (where.size(0) == 0) return {};
  const at::Tensor values = labels.to(at::kLong).index({where.select(1, 0), where.select(1, 1), where.select(1, 2)});
  const auto [distinct, inverse] = at::_unique(values, /*sorted=*/true, /*return_inverse=*/true);
  const at::Tensor index = inverse.unsqueeze(1).expand({-1, 3});
  const auto extreme = [&](int64_t start, const char* reduction) {
    return at::full({distinct.size(0), 3}, start, where.options()).scatter_reduce(0, index, where, reduction).cpu();
  };
  const at::Tensor low = extreme(INT64_MAX, "amin"), high = extreme(-1, "amax"), names = distinct.cpu();
  Extents extents;
  for (int64_t i = 0; i < names.size(0); ++i) {
    const int64_t *l = low.const_data_ptr<int64_t>() + 3 * i, *h = high.const_data_ptr<int64_t>() + 3 * i;
    extents[names.const_data_ptr<int64_t>()[i]].take({l[0], l[1], l[2]}, {h[0], h[1], h[2]});
  }
  return to_boxes(extents);
}

}  // namespace vesalius::radiomics
