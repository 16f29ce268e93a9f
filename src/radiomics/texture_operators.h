// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/util/Exception.h>

#include <vesalius/radiomics/detail/texture_threads_kernel.h>

namespace vesalius::radiomics {

/// What both devices' operators check: they may be called from Python without the functions of texture.h.
inline detail::VoxelBox checked_box(const at::Tensor& voxels, at::ScalarType type, const char* name) {
  TORCH_CHECK_VALUE(voxels.dim() == 3 && voxels.scalar_type() == type && voxels.is_contiguous(), name,
                    ": expected a contiguous ", type, " tensor [z, y, x]; got ", voxels.scalar_type(), " ",
                    voxels.sizes());
  TORCH_CHECK_VALUE(voxels.numel() < (int64_t{1} << 31), name, ": 2^31 voxels and more are not supported");
  return {voxels.size(0), voxels.size(1), voxels.size(2)};
}
inline void check_offsets(const at::Tensor& offsets, bool per_slice, const char* name) {
  TORCH_CHECK_VALUE(
      offsets.dim() == 2 && offsets.size(1) == 3 && offsets.scalar_type() == at::kLong && offsets.is_cpu(), name,
      ": offsets must be int64 [directions, 3] on the CPU");
  const at::Tensor dense = offsets.contiguous();
  const int64_t* o = dense.const_data_ptr<int64_t>();
  for (int64_t d = 0; d < dense.size(0); ++d, o += 3) {
    TORCH_CHECK_VALUE(o[0] != 0 || o[1] != 0 || o[2] != 0, name, ": an offset of (0, 0, 0) leads nowhere");
    TORCH_CHECK_VALUE(!per_slice || o[0] == 0, name, ": per slice, offsets must stay in the slice");
  }
}

/// Levels beyond n_levels would be counted beyond the result.
inline void check_levels(const at::Tensor& levels, int64_t n_levels, const char* name) {
  TORCH_CHECK_VALUE(n_levels >= 1, name, ": n_levels must be at least 1, got ", n_levels);
  if (levels.numel() == 0) return;
  const auto low = levels.min().item<int64_t>(), high = levels.max().item<int64_t>();
  TORCH_CHECK_VALUE(low >= 0 && high <= n_levels, name, ": levels must lie in 0..", n_levels, "; they are in ", low,
                    "..", high);
}

}  // namespace vesalius::radiomics
