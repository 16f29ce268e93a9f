// SPDX-License-Identifier: Apache-2.0
#include "radiomics/texture_operators.h"

#include <algorithm>

#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/library.h>

#include <vesalius/core/device.h>
#include <vesalius/core/error.h>
#include <vesalius/radiomics/texture.h>

TORCH_LIBRARY_FRAGMENT(vesalius, m) {
  m.def("run_counts(Tensor levels, Tensor offsets, int n_levels, bool per_slice) -> Tensor");
  m.def("zone_roots(Tensor levels, bool in_slice) -> Tensor");
  m.def("border_distance(Tensor mask, bool in_slice) -> Tensor");
  m.def("neighbourhood_counts(Tensor levels, int n_levels, bool in_slice, bool per_slice) -> Tensor");
}

namespace vesalius::radiomics {
namespace {

template <class Signature>
auto operator_named(const char* name) {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, "").typed<Signature>();
}

void require(const at::Tensor& voxels, at::ScalarType type, const char* what) {
  if (voxels.dim() != 3)
    throw ShapeError(std::string(what) + " are [z, y, x]; got " + std::to_string(voxels.dim()) + " dimensions");
  if (voxels.scalar_type() != type)
    throw TypeMismatch(std::string(what) + " are " + c10::toString(type) + "; got " +
                       c10::toString(voxels.scalar_type()));
  if (voxels.numel() >= (int64_t{1} << 31))
    throw NotSupported("texture counts of 2^31 voxels and more; there are " + std::to_string(voxels.numel()) +
                       ". Interpolate to a larger spacing");
  if (voxels.is_cuda() && !load_cuda_kernels())
    throw NotSupported("texture counts of CUDA tensors: " + cuda_status() + ". Move image and mask to the CPU");
}

void require_levels(const at::Tensor& levels, int64_t n_levels, double cells) {
  require(levels, at::kInt, "levels");
  if (n_levels < 1)
    throw InvalidArgument("there must be at least one grey level; n_levels is " + std::to_string(n_levels));
  if (8.0 * cells > 2147483648.0)
    throw InvalidArgument("counts of " + std::to_string(n_levels) + " grey levels need " +
                          std::to_string(static_cast<int64_t>(8.0 * cells / 1e9)) +
                          " GB. Set a larger \"bin_width\", or a \"bin_count\" such as 32");
}

}  // namespace

at::Tensor run_counts(const at::Tensor& levels, const at::Tensor& offsets, int64_t n_levels, bool per_slice) {
  const double parts = per_slice && levels.dim() == 3 ? levels.size(0) : 1;
  const double longest = levels.dim() == 3 ? *std::ranges::max_element(levels.sizes()) : 1;
  require_levels(levels, n_levels, parts * offsets.size(0) * n_levels * longest);
  static const auto op =
      operator_named<at::Tensor(const at::Tensor&, const at::Tensor&, int64_t, bool)>("vesalius::run_counts");
  return op.call(levels.contiguous(), offsets, n_levels, per_slice);
}

at::Tensor zone_roots(const at::Tensor& levels, bool in_slice) {
  require(levels, at::kInt, "levels");
  static const auto op = operator_named<at::Tensor(const at::Tensor&, bool)>("vesalius::zone_roots");
  return op.call(levels.contiguous(), in_slice);
}

at::Tensor border_distance(const at::Tensor& mask, bool in_slice) {
  require(mask, at::kBool, "masks");
  static const auto op = operator_named<at::Tensor(const at::Tensor&, bool)>("vesalius::border_distance");
  return op.call(mask.contiguous(), in_slice);
}

at::Tensor neighbourhood_counts(const at::Tensor& levels, int64_t n_levels, bool in_slice, bool per_slice) {
  require_levels(levels, n_levels, (per_slice && levels.dim() == 3 ? levels.size(0) : 1) * 81.0 * n_levels);
  static const auto op =
      operator_named<at::Tensor(const at::Tensor&, int64_t, bool, bool)>("vesalius::neighbourhood_counts");
  return op.call(levels.contiguous(), n_levels, in_slice, per_slice);
}

}  // namespace vesalius::radiomics
