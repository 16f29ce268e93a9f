// SPDX-License-Identifier: Apache-2.0
#include <vesalius/image/crop.h>

#include <algorithm>
#include <cmath>

#include <ATen/ops/any.h>

#include <vesalius/core/error.h>

#include "image/box.h"

namespace vesalius::image {

Box detail::box_of(const at::Tensor& chosen) {
  Box box;
  // Planes first, then rows within them: most of a large, sparse mask is looked at once.
  at::Tensor rest = chosen;
  for (int a = 0; a < 3; ++a) {
    std::vector<int64_t> others;
    for (int b = 0; b < 3; ++b)
      if (b != a) others.push_back(b);
    const at::Tensor used = at::any(rest, others).nonzero().cpu();
    if (used.numel() == 0) return {};
    box.start[a] = used[0].item<int64_t>();
    box.count[a] = used[-1].item<int64_t>() - box.start[a] + 1;
    rest = rest.narrow(a, box.start[a], box.count[a]);
  }
  return box;
}

Box bounding_box(const Mask& mask, int64_t label) { return detail::box_of(mask.select(label)); }

std::pair<Image, Mask> crop_to_mask(const Image& image, const Mask& mask, int64_t label, double margin_mm) {
  image.geometry().require_same(mask.geometry(), "the image", "the mask");
  if (!std::isfinite(margin_mm) || margin_mm < 0)
    throw InvalidArgument("crop_to_mask: the margin is a number of mm, 0 or more; got " + std::to_string(margin_mm));
  Box box = bounding_box(mask, label);
  for (int a = 0; a < 3; ++a) {
    const int64_t size = image.geometry().size[a];
    const double wanted = std::ceil(margin_mm / image.geometry().spacing[a] - 1e-6);
    const auto margin = static_cast<int64_t>(std::min(wanted, double(size)));
    const int64_t first = std::max<int64_t>(0, box.start[a] - margin);
    const int64_t end = std::min(size, box.start[a] + box.count[a] + margin);
    box.start[a] = first;
    box.count[a] = end - first;
  }
  return {crop(image, box.start, box.count), crop(mask, box.start, box.count)};
}

}  // namespace vesalius::image
