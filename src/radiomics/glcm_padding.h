// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdlib>
#include <vector>

#include <ATen/core/Tensor.h>
#include <ATen/ops/constant_pad_nd.h>
#include <c10/util/Exception.h>

#include <vesalius/radiomics/detail/glcm_kernel.h>

namespace vesalius::radiomics {

/// What both devices' kernels work on: the padded levels, and for each direction that fits into the box its index and
/// its step in memory.
struct GlcmWork {
  at::Tensor padded;
  detail::PaddedBox box{};
  std::vector<int64_t> directions, steps;
};

inline GlcmWork prepare_glcm(const at::Tensor& levels, const at::Tensor& offsets, int64_t n_levels) {
  TORCH_CHECK_VALUE(levels.dim() == 3 && levels.scalar_type() == at::kInt,
                    "glcm_counts: levels must be int32 [z, y, x]");
  TORCH_CHECK_VALUE(offsets.dim() == 2 && offsets.size(1) == 3 && offsets.scalar_type() == at::kLong,
                    "glcm_counts: offsets must be int64 [directions, 3]");
  TORCH_CHECK_VALUE(n_levels >= 1, "glcm_counts: n_levels must be at least 1, got ", n_levels);
  GlcmWork work;
  const at::Tensor dense = offsets.cpu().contiguous();
  const int64_t* o = dense.const_data_ptr<int64_t>();
  for (int axis = 0; axis < 3; ++axis) work.box.size[axis] = levels.size(axis);
  // An offset as long as the box has no pairs, and must not cost a padding as long.
  const auto fits = [&](int64_t d) {
    for (int axis = 0; axis < 3; ++axis)
      if (std::abs(o[3 * d + axis]) >= work.box.size[axis]) return false;
    return true;
  };
  for (int64_t d = 0; d < dense.size(0); ++d) {
    if (!fits(d)) continue;
    work.directions.push_back(d);
    for (int axis = 0; axis < 3; ++axis)
      work.box.margin[axis] = std::max(work.box.margin[axis], std::abs(o[3 * d + axis]));
  }
  for (int64_t d : work.directions) work.steps.push_back(work.box.step(o + 3 * d));
  const auto& m = work.box.margin;
  work.padded = at::constant_pad_nd(levels, {m[2], m[2], m[1], m[1], m[0], m[0]}).contiguous();
  return work;
}

}  // namespace vesalius::radiomics
