// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>

#include <ATen/core/Tensor.h>

#include <vesalius/core/geometry.h>
#include <vesalius/segmentation/patch_augment.h>

namespace vesalius::segmentation::detail {

/// The voxels of a case that are seen: [low, high) on each axis.
struct Bounds {
  Index3 low, high;
};

/// Copies `patch` from `start` (which may lie outside), flipped where `mirror` says so.
void crop_mirrored(const at::Tensor& image, const at::Tensor& labels, const Bounds& bounds, const Index3& start,
                   const std::array<bool, 3>& mirror, AugmentedSample& out);

/// Output voxel o takes the case at centre + matrix · (o - (patch - 1) / 2): linear, 0 outside; labels: the one with the largest
/// linear weight (the nearest voxel's where that ties), -1 outside.
void gather_affine(const at::Tensor& image, const at::Tensor& labels, const Bounds& bounds, const Vec3& centre,
                   const Mat3& matrix, AugmentedSample& out);

}  // namespace vesalius::segmentation::detail
