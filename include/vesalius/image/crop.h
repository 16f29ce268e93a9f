// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <utility>

#include <vesalius/core/image.h>
#include <vesalius/core/mask.h>

namespace vesalius::image {

/// A box of voxels in index order (z, y, x).
struct Box {
  Index3 start{0, 0, 0};
  Index3 count{0, 0, 0};
  bool operator==(const Box&) const = default;
};

/// The smallest box that holds every voxel of `label`.
/// @throws InvalidArgument that lists the labels present, if there is none.
VESALIUS_API Box bounding_box(const Mask& mask, int64_t label = 1);

/// Image and mask cut to `label`'s box, widened by `margin_mm` on every side (rounded up to voxels) and ended at the
/// image's border. Both are views of the same voxels.
/// @throws GeometryError when they don't share a grid; InvalidArgument for a label that isn't there or a negative margin.
VESALIUS_API std::pair<Image, Mask> crop_to_mask(const Image& image, const Mask& mask, int64_t label = 1,
                                                 double margin_mm = 0.0);

}  // namespace vesalius::image
