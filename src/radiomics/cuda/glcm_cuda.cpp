// SPDX-License-Identifier: Apache-2.0
#include "radiomics/cuda/glcm_cuda.h"

#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/library.h>

#include "radiomics/glcm_padding.h"

namespace vesalius::radiomics {
namespace {

at::Tensor glcm_counts_cuda(const at::Tensor& levels, const at::Tensor& offsets, int64_t n_levels) {
  const c10::cuda::CUDAGuard guard(levels.device());
  const GlcmWork work = prepare_glcm(levels, offsets, n_levels);
  at::Tensor counts = at::zeros({offsets.size(0), n_levels, n_levels}, levels.options().dtype(at::kLong));
  if (work.steps.empty() || levels.numel() == 0) return counts;
  const at::Tensor steps = at::tensor(work.steps, at::kLong).to(levels.device());
  const at::Tensor matrices = at::tensor(work.directions, at::kLong).to(levels.device());
  const char* error =
      launch_glcm_counts(work.padded.const_data_ptr<int32_t>(), work.box, steps.const_data_ptr<int64_t>(),
                         matrices.const_data_ptr<int64_t>(), steps.numel(), n_levels,
                         reinterpret_cast<unsigned long long*>(counts.mutable_data_ptr<int64_t>()),
                         c10::cuda::getCurrentCUDAStream(levels.device().index()).stream());
  TORCH_CHECK(!error, "glcm_counts on ", levels.device(), ": ", error ? error : "");
  return counts;
}

}  // namespace
}  // namespace vesalius::radiomics

TORCH_LIBRARY_IMPL(vesalius, CUDA, m) { m.impl("glcm_counts", vesalius::radiomics::glcm_counts_cuda); }
