// SPDX-License-Identifier: Apache-2.0
#include "radiomics/cuda/texture_cuda.h"

#include <algorithm>

#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/library.h>

#include "radiomics/texture_operators.h"

namespace vesalius::radiomics {
namespace {

void* stream_of(const at::Tensor& tensor) { return c10::cuda::getCurrentCUDAStream(tensor.device().index()).stream(); }
void check(const char* error, const char* name, const at::Tensor& on) {
  TORCH_CHECK(!error, name, " on ", on.device(), ": ", error ? error : "");
}
unsigned long long* cells_of(at::Tensor& counts) {
  return reinterpret_cast<unsigned long long*>(counts.mutable_data_ptr<int64_t>());
}

at::Tensor run_counts_cuda(const at::Tensor& levels, const at::Tensor& offsets, int64_t n_levels, bool per_slice) {
  const c10::cuda::CUDAGuard guard(levels.device());
  const detail::VoxelBox box = checked_box(levels, at::kInt, "run_counts");
  check_offsets(offsets, per_slice, "run_counts");
  check_levels(levels, n_levels, "run_counts");
  const int64_t longest = std::max({box.size[0], box.size[1], box.size[2]}), directions = offsets.size(0);
  at::Tensor counts =
      at::zeros({per_slice ? box.size[0] : 1, directions, n_levels, longest}, levels.options().dtype(at::kLong));
  if (box.voxels() == 0 || directions == 0) return counts;
  const at::Tensor there = offsets.contiguous().to(levels.device());
  check(launch_run_counts(levels.const_data_ptr<int32_t>(), box, there.const_data_ptr<int64_t>(), directions, n_levels,
                          longest, per_slice, cells_of(counts), stream_of(levels)),
        "run_counts", levels);
  return counts;
}

at::Tensor zone_roots_cuda(const at::Tensor& levels, bool in_slice) {
  const c10::cuda::CUDAGuard guard(levels.device());
  const detail::VoxelBox box = checked_box(levels, at::kInt, "zone_roots");
  at::Tensor roots = at::empty_like(levels), parent = at::empty_like(levels);
  if (box.voxels() > 0)
    check(launch_zone_roots(levels.const_data_ptr<int32_t>(), box, in_slice, parent.mutable_data_ptr<int32_t>(),
                            roots.mutable_data_ptr<int32_t>(), stream_of(levels)),
          "zone_roots", levels);
  return roots;
}

at::Tensor border_distance_cuda(const at::Tensor& mask, bool in_slice) {
  const c10::cuda::CUDAGuard guard(mask.device());
  const detail::VoxelBox box = checked_box(mask, at::kBool, "border_distance");
  at::Tensor distance = mask.to(at::kInt).mul_(INT32_MAX - 1);
  if (box.voxels() > 0)
    for (int axis = 2; axis >= (in_slice ? 1 : 0); --axis)
      check(launch_distance_lines(distance.mutable_data_ptr<int32_t>(), box, axis, stream_of(mask)), "border_distance",
            mask);
  return distance;
}

at::Tensor neighbourhood_counts_cuda(const at::Tensor& levels, int64_t n_levels, bool in_slice, bool per_slice) {
  const c10::cuda::CUDAGuard guard(levels.device());
  const detail::VoxelBox box = checked_box(levels, at::kInt, "neighbourhood_counts");
  check_levels(levels, n_levels, "neighbourhood_counts");
  at::Tensor counts = at::zeros({per_slice ? box.size[0] : 1, n_levels, 3, 27}, levels.options().dtype(at::kLong));
  if (box.voxels() > 0)
    check(launch_neighbourhood_counts(levels.const_data_ptr<int32_t>(), box, n_levels, in_slice, per_slice,
                                      cells_of(counts), stream_of(levels)),
          "neighbourhood_counts", levels);
  return counts;
}

}  // namespace
}  // namespace vesalius::radiomics

TORCH_LIBRARY_IMPL(vesalius, CUDA, m) {
  m.impl("run_counts", vesalius::radiomics::run_counts_cuda);
  m.impl("zone_roots", vesalius::radiomics::zone_roots_cuda);
  m.impl("border_distance", vesalius::radiomics::border_distance_cuda);
  m.impl("neighbourhood_counts", vesalius::radiomics::neighbourhood_counts_cuda);
}
