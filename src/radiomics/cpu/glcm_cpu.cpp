// SPDX-License-Identifier: Apache-2.0
#include <ATen/Parallel.h>
#include <ATen/ops/zeros.h>
#include <torch/library.h>

#include "radiomics/glcm_padding.h"

namespace vesalius::radiomics {
namespace {

at::Tensor glcm_counts_cpu(const at::Tensor& levels, const at::Tensor& offsets, int64_t n_levels) {
  const GlcmWork work = prepare_glcm(levels, offsets, n_levels);
  at::Tensor counts = at::zeros({offsets.size(0), n_levels, n_levels}, levels.options().dtype(at::kLong));
  const int32_t* level = work.padded.const_data_ptr<int32_t>();
  const auto& box = work.box;
  std::vector<int64_t> inside;  // a region seldom fills its box
  for (int64_t z = 0; z < box.size[0]; ++z)
    for (int64_t y = 0; y < box.size[1]; ++y) {
      const int64_t row = box.position(z, y, 0);
      for (int64_t v = row; v < row + box.size[2]; ++v)
        if (level[v] != 0) inside.push_back(v);
    }
  int64_t* out = counts.mutable_data_ptr<int64_t>();
  // A matrix each: no two threads share one, and each stays in the first-level cache.
  const auto directions = static_cast<int64_t>(work.directions.size());
  const int64_t grain = inside.size() < 20000 ? directions : 1;
  at::parallel_for(0, directions, std::max<int64_t>(grain, 1), [&](int64_t begin, int64_t end) {
    for (int64_t d = begin; d < end; ++d) {
      int64_t* matrix = out + work.directions[d] * n_levels * n_levels;
      for (const int64_t v : inside)
        detail::glcm_count_pair(level, v, work.steps[d], n_levels, [&](int64_t cell) { ++matrix[cell]; });
    }
  });
  return counts;
}

}  // namespace
}  // namespace vesalius::radiomics

TORCH_LIBRARY_IMPL(vesalius, CPU, m) { m.impl("glcm_counts", vesalius::radiomics::glcm_counts_cpu); }
