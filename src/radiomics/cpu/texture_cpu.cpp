// SPDX-License-Identifier: Apache-2.0
// The CUDA kernels' bodies, one thread after the other: what the tests compare with the families' own passes.
#include <algorithm>

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <torch/library.h>

#include "radiomics/texture_operators.h"

namespace vesalius::radiomics {
namespace {

at::Tensor run_counts_cpu(const at::Tensor& levels, const at::Tensor& offsets, int64_t n_levels, bool per_slice) {
  const detail::VoxelBox box = checked_box(levels, at::kInt, "run_counts");
  check_offsets(offsets, per_slice, "run_counts");
  check_levels(levels, n_levels, "run_counts");
  const int64_t longest = std::max({box.size[0], box.size[1], box.size[2]}), directions = offsets.size(0);
  at::Tensor counts = at::zeros({per_slice ? box.size[0] : 1, directions, n_levels, longest}, at::kLong);
  const int32_t* level = levels.const_data_ptr<int32_t>();
  const at::Tensor dense = offsets.contiguous();
  int64_t* out = counts.mutable_data_ptr<int64_t>();
  const int64_t slice = box.size[1] * box.size[2];
  for (int64_t v = 0; v < box.voxels(); ++v)
    for (int64_t d = 0; d < directions; ++d) {
      int64_t* matrix = out + ((per_slice ? v / slice : 0) * directions + d) * n_levels * longest;
      detail::count_run(level, box, dense.const_data_ptr<int64_t>() + 3 * d, longest, v,
                        [&](int64_t cell) { ++matrix[cell]; });
    }
  return counts;
}

at::Tensor zone_roots_cpu(const at::Tensor& levels, bool in_slice) {
  const detail::VoxelBox box = checked_box(levels, at::kInt, "zone_roots");
  at::Tensor roots = at::empty(levels.sizes(), at::kInt);
  const int32_t* level = levels.const_data_ptr<int32_t>();
  int32_t* parent = roots.mutable_data_ptr<int32_t>();
  const auto n = static_cast<int32_t>(box.voxels());
  for (int32_t v = 0; v < n; ++v) parent[v] = v;
  const auto lower = [](int32_t* at, int32_t value) {
    const int32_t was = *at;
    *at = std::min(was, value);
    return was;
  };
  for (int32_t v = 0; v < n; ++v) detail::join_zone(level, box, in_slice, v, parent, lower);
  for (int32_t v = 0; v < n; ++v) parent[v] = level[v] ? detail::zone_root(parent, v) : v;
  for (int32_t v = 0; v < n; ++v)
    if (!level[v]) parent[v] = -1;
  return roots;
}

at::Tensor border_distance_cpu(const at::Tensor& mask, bool in_slice) {
  const detail::VoxelBox box = checked_box(mask, at::kBool, "border_distance");
  at::Tensor distance = mask.to(at::kInt).mul_(INT32_MAX - 1);
  int32_t* d = distance.mutable_data_ptr<int32_t>();
  for (int axis = 2; axis >= (in_slice ? 1 : 0); --axis)
    for (int64_t line = 0; line < box.voxels() / std::max<int64_t>(box.size[axis], 1); ++line) {
      const auto [start, stride, count] = detail::line_of(box, axis, line);
      detail::distance_line(d, start, stride, count);
    }
  return distance;
}

at::Tensor neighbourhood_counts_cpu(const at::Tensor& levels, int64_t n_levels, bool in_slice, bool per_slice) {
  const detail::VoxelBox box = checked_box(levels, at::kInt, "neighbourhood_counts");
  check_levels(levels, n_levels, "neighbourhood_counts");
  at::Tensor counts = at::zeros({per_slice ? box.size[0] : 1, n_levels, 3, 27}, at::kLong);
  const int32_t* level = levels.const_data_ptr<int32_t>();
  int64_t* out = counts.mutable_data_ptr<int64_t>();
  const int64_t slice = box.size[1] * box.size[2];
  for (int64_t v = 0; v < box.voxels(); ++v) {
    int64_t* table = out + (per_slice ? v / slice : 0) * n_levels * 81;
    detail::count_neighbourhood(level, box, in_slice, v, [&](int64_t cell, int64_t n) { table[cell] += n; });
  }
  return counts;
}

}  // namespace
}  // namespace vesalius::radiomics

TORCH_LIBRARY_IMPL(vesalius, CPU, m) {
  m.impl("run_counts", vesalius::radiomics::run_counts_cpu);
  m.impl("zone_roots", vesalius::radiomics::zone_roots_cpu);
  m.impl("border_distance", vesalius::radiomics::border_distance_cpu);
  m.impl("neighbourhood_counts", vesalius::radiomics::neighbourhood_counts_cpu);
}
