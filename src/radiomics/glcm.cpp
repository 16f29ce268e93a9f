// SPDX-License-Identifier: Apache-2.0
#include <vesalius/radiomics/glcm.h>

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <vesalius/core/device.h>
#include <vesalius/core/error.h>

TORCH_LIBRARY_FRAGMENT(vesalius, m) { m.def("glcm_counts(Tensor levels, Tensor offsets, int n_levels) -> Tensor"); }

namespace vesalius::radiomics {

at::Tensor glcm_counts(const at::Tensor& levels, const at::Tensor& offsets, int64_t n_levels) {
  if (levels.dim() != 3) throw ShapeError("levels are [z, y, x]; got " + std::to_string(levels.dim()) + " dimensions");
  if (levels.scalar_type() != at::kInt)
    throw TypeMismatch(std::string("levels are int32; got ") + c10::toString(levels.scalar_type()));
  if (offsets.dim() != 2 || offsets.size(1) != 3) throw ShapeError("offsets are [directions, 3] in (z, y, x)");
  if (offsets.scalar_type() != at::kLong || !offsets.is_cpu()) throw TypeMismatch("offsets are int64, on the CPU");
  if (n_levels < 1)
    throw InvalidArgument("there must be at least one grey level; n_levels is " + std::to_string(n_levels));
  const double bytes = 8.0 * offsets.size(0) * n_levels * n_levels;
  if (bytes > 2147483648.0)
    throw InvalidArgument("co-occurrence matrices of " + std::to_string(n_levels) + " grey levels in " +
                          std::to_string(offsets.size(0)) + " directions need " +
                          std::to_string(static_cast<int64_t>(bytes / 1e9)) +
                          " GB. Set a larger \"bin_width\", or a \"bin_count\" such as 32");
  if (levels.is_cuda() && !load_cuda_kernels())
    throw NotSupported("co-occurrence counting of CUDA tensors: " + cuda_status() + ". Move image and mask to the CPU");
  if (levels.numel() > 0) {
    const int64_t low = levels.min().item<int64_t>(), high = levels.max().item<int64_t>();
    if (low < 0 || high > n_levels)
      throw InvalidArgument("levels must lie in 0.." + std::to_string(n_levels) + "; they are in " +
                            std::to_string(low) + ".." + std::to_string(high));
  }
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("vesalius::glcm_counts", "")
                             .typed<at::Tensor(const at::Tensor&, const at::Tensor&, int64_t)>();
  return op.call(levels, offsets, n_levels);
}

at::Tensor neighbour_offsets(int64_t distance, bool in_slice) {
  // One of each pair of opposite neighbours: the one whose first non-zero coordinate is positive.
  at::Tensor offsets = at::empty({in_slice ? 4 : 13, 3}, at::kLong);
  int64_t* out = offsets.mutable_data_ptr<int64_t>();
  for (int64_t z = in_slice ? 0 : -1; z <= (in_slice ? 0 : 1); ++z)
    for (int64_t y = -1; y <= 1; ++y)
      for (int64_t x = -1; x <= 1; ++x) {
        const int64_t first = z != 0 ? z : y != 0 ? y : x;
        if (first <= 0) continue;
        *out++ = z * distance, *out++ = y * distance, *out++ = x * distance;
      }
  return offsets;
}

}  // namespace vesalius::radiomics
