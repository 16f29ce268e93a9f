// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>

#include <ATen/core/Tensor.h>

#include <vesalius/core/geometry.h>

namespace vesalius::segmentation::detail {

/// The surface of a mask as elements between its voxels: one for each 2 × 2 × 2 neighbourhood that is partly inside, at its
/// middle, with the area (mm²) of its marching-cubes surface; in an image of one slice, each 2 × 2 neighbourhood with a length (mm).
struct SurfaceElements {
  at::Tensor where;  ///< bool, one voxel longer than the mask along each axis that has neighbourhoods
  at::Tensor area;   ///< float64 of the same shape, 0 elsewhere
};

/// @param chosen bool [z, y, x] on the CPU; what lies outside it is outside the mask.
/// @param flat axes along which the image has one voxel; at most one.
SurfaceElements surface_elements(const at::Tensor& chosen, const std::array<bool, 3>& flat, const Vec3& spacing);

}  // namespace vesalius::segmentation::detail
