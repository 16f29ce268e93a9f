// SPDX-License-Identifier: Apache-2.0
#include <vesalius/image/morphology.h>

#include <algorithm>
#include <cmath>

#include <ATen/ops/_unique.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/tensor.h>

#include <vesalius/core/error.h>

#include "image/box.h"
#include "image/labelling.h"
#include "image/squared_distance.h"

namespace vesalius::image {
namespace {

void require_radius(const char* what, double radius) {
  if (!std::isfinite(radius) || radius < 0)
    throw InvalidArgument(std::string(what) + ": the radius is a number of mm, 0 or more; got " +
                          std::to_string(radius));
}

/// Distances that are the radius on paper count as the radius.
double reach(double radius) { return radius * radius * (1 + 1e-9); }

at::Tensor grown(const at::Tensor& chosen, const Vec3& spacing, double radius) {
  return detail::squared_distance(chosen, spacing).le(reach(radius));
}

at::Tensor shrunk(const at::Tensor& chosen, const Vec3& spacing, double radius) {
  return detail::squared_distance(chosen.logical_not(), spacing).gt(reach(radius));
}

/// Applies `change` to the label's indicator in its box, wide enough that the rest of the image stays as it is.
template <class Change>
Mask changed(const Mask& mask, int64_t label, double margin_mm, Change&& change) {
  const at::Tensor chosen = mask.select(label);
  Box box = detail::box_of(chosen);
  const auto& g = mask.geometry();
  at::Tensor before = chosen, labels = mask.tensor().clone(), part = labels;
  for (int a = 0; a < 3; ++a) {
    const auto margin = static_cast<int64_t>(std::min(std::floor(margin_mm / g.spacing[a]) + 2, double(g.size[a])));
    const int64_t first = std::max<int64_t>(0, box.start[a] - margin);
    const int64_t count = std::min(g.size[a], box.start[a] + box.count[a] + margin) - first;
    before = before.narrow(a, first, count);
    part = part.narrow(a, first, count);
  }
  const at::Tensor after = change(before.cpu()).to(labels.device());
  part.masked_fill_(before.logical_and(after.logical_not()), 0);
  part.masked_fill_(after.logical_and(part.eq(0)), label);
  return Mask(labels, g, mask.names(), mask.metadata());
}

}  // namespace

Mask dilate(const Mask& mask, double radius, int64_t label) {
  require_radius("dilate", radius);
  return changed(mask, label, radius, [&](const at::Tensor& in) { return grown(in, mask.geometry().spacing, radius); });
}

Mask erode(const Mask& mask, double radius, int64_t label) {
  require_radius("erode", radius);
  return changed(mask, label, 0, [&](const at::Tensor& in) { return shrunk(in, mask.geometry().spacing, radius); });
}

Mask open(const Mask& mask, double radius, int64_t label) {
  require_radius("open", radius);
  const Vec3& spacing = mask.geometry().spacing;
  return changed(mask, label, 0,
                 [&](const at::Tensor& in) { return grown(shrunk(in, spacing, radius), spacing, radius); });
}

Mask close(const Mask& mask, double radius, int64_t label) {
  require_radius("close", radius);
  const Vec3& spacing = mask.geometry().spacing;
  return changed(mask, label, 2 * radius,
                 [&](const at::Tensor& in) { return shrunk(grown(in, spacing, radius), spacing, radius); });
}

Mask fill_holes(const Mask& mask, int64_t label, bool per_slice) {
  return changed(mask, label, 0, [&](const at::Tensor& in) {
    // A frame of background around the box, so that what reaches the box's border is one known component.
    const int64_t z = per_slice ? 0 : 1;
    const at::Tensor framed = at::constant_pad_nd(in, {1, 1, 1, 1, z, z}, 0);
    const auto found = detail::label_components(framed.logical_not(), 6, per_slice);
    // Per slice each frame is its own component; the corner of every slice belongs to it.
    const at::Tensor open_ones = std::get<0>(at::_unique(found.labels.select(2, 0).flatten()));
    std::vector<uint8_t> hole(found.sizes.size() + 1, 1);
    hole[0] = 0;
    for (int64_t i = 0; i < open_ones.numel(); ++i) hole[open_ones[i].item<int32_t>()] = 0;
    at::Tensor holes =
        at::tensor(hole, at::kByte).index_select(0, found.labels.flatten()).view(found.labels.sizes()).to(at::kBool);
    holes = holes.narrow(1, 1, in.size(1)).narrow(2, 1, in.size(2)).narrow(0, z, in.size(0));
    return in.logical_or(holes);
  });
}

}  // namespace vesalius::image
