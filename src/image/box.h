// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <vesalius/image/crop.h>

namespace vesalius::image::detail {

using vesalius::image::Box;

/// The smallest box around the true voxels of a bool tensor [z, y, x]; counts of 0 where there are none.
Box box_of(const at::Tensor& chosen);

}  // namespace vesalius::image::detail
