// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <vesalius/core/geometry.h>

namespace vesalius::image::detail {

/// Squared distance (mm²) of each voxel of a bool tensor [z, y, x] to the nearest true one; ∞ where there is none.
/// @returns float64 on the CPU.
at::Tensor squared_distance(const at::Tensor& sites, const Vec3& spacing);

}  // namespace vesalius::image::detail
