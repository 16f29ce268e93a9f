// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vesalius/image/resample.h>

namespace vesalius::image::detail {

/// Voxels of `image` on a grid whose axes are not parallel to its own; computed on the CPU.
at::Tensor resample_oblique(const Image& image, const Geometry& geometry, Interpolation interpolation, double outside);

}  // namespace vesalius::image::detail
