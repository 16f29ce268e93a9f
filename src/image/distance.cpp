// SPDX-License-Identifier: Apache-2.0
#include <vesalius/image/distance.h>

#include "image/squared_distance.h"

namespace vesalius::image {

Image distance_transform(const Mask& mask, int64_t label, bool signed_) {
  const at::Tensor chosen = mask.select(label);
  const Vec3& spacing = mask.geometry().spacing;
  at::Tensor distance = detail::squared_distance(chosen, spacing).sqrt_();
  if (signed_) distance.sub_(detail::squared_distance(chosen.logical_not(), spacing).sqrt_());
  return Image(distance.to(at::kFloat).to(mask.tensor().device()), mask.geometry(), mask.metadata());
}

}  // namespace vesalius::image
