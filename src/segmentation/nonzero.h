// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <vesalius/core/geometry.h>

namespace vesalius::segmentation::detail {

struct NonzeroBox {
  Index3 start{}, count{};
  at::Tensor mask;  ///< bool [z, y, x] of the box: any channel isn't 0, holes filled
};

/// nnU-Net's crop: the box of voxels where any channel of `image` (float [c, z, y, x], contiguous) isn't 0; the whole image
/// where none is. Holes are background that no path of faces connects with the image's border (scipy's
/// binary_fill_holes).
NonzeroBox nonzero_box(const at::Tensor& image);

}  // namespace vesalius::segmentation::detail
