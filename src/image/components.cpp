// SPDX-License-Identifier: Apache-2.0
#include <vesalius/image/components.h>

#include <cmath>

#include <ATen/ops/_unique.h>
#include <ATen/ops/tensor.h>

#include <vesalius/core/error.h>

#include "image/labelling.h"

namespace vesalius::image {
namespace {

/// `mask` without the voxels of `label` where `keep` is false.
Mask reduced(const Mask& mask, int64_t label, const at::Tensor& keep) {
  const at::Tensor& labels = mask.tensor();
  const at::Tensor lost = labels.eq(label).logical_and(keep.to(labels.device()).logical_not());
  return Mask(labels.masked_fill(lost, 0), mask.geometry(), mask.names(), mask.metadata());
}

/// Which voxels belong to a component that is kept. `kept[0]` is the background's.
at::Tensor members(const at::Tensor& components, std::vector<uint8_t> kept) {
  kept[0] = 0;
  const at::Tensor table = at::tensor(kept, at::kByte);
  return table.index_select(0, components.flatten()).view(components.sizes()).to(at::kBool);
}

}  // namespace

Components connected_components(const Mask& mask, int64_t label, int64_t connectivity) {
  auto found = detail::label_components(mask.select(label), connectivity);
  return {Mask(found.labels.to(mask.tensor().device()), mask.geometry(), {}, mask.metadata()), std::move(found.sizes)};
}

Mask largest_component(const Mask& mask, int64_t label, int64_t connectivity) {
  return reduced(mask, label, detail::label_components(mask.select(label), connectivity).labels.eq(1));
}

Mask keep_touching(const Mask& mask, const Mask& seeds, int64_t label, int64_t connectivity) {
  mask.geometry().require_same(seeds.geometry(), "the mask", "the seeds");
  const auto found = detail::label_components(mask.select(label), connectivity);
  const at::Tensor touched = std::get<0>(at::_unique(found.labels.masked_select(seeds.tensor().cpu().ne(0))));
  std::vector<uint8_t> kept(found.sizes.size() + 1, 0);
  for (int64_t i = 0; i < touched.numel(); ++i) kept[touched[i].item<int32_t>()] = 1;
  return reduced(mask, label, members(found.labels, kept));
}

Mask remove_small(const Mask& mask, double minimum_mm3, int64_t label, int64_t connectivity) {
  if (!std::isfinite(minimum_mm3) || minimum_mm3 < 0)
    throw InvalidArgument("remove_small: the smallest volume is a number of mm³, 0 or more; got " +
                          std::to_string(minimum_mm3));
  const auto found = detail::label_components(mask.select(label), connectivity);
  const double voxel = mask.geometry().voxel_volume();
  std::vector<uint8_t> kept(found.sizes.size() + 1, 0);
  for (size_t i = 0; i < found.sizes.size(); ++i)
    kept[i + 1] = double(found.sizes[i]) * voxel >= minimum_mm3 * (1 - 1e-9);
  return reduced(mask, label, members(found.labels, kept));
}

}  // namespace vesalius::image
