// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include <vesalius/core/image.h>
#include <vesalius/core/mask.h>

namespace vesalius::segmentation::detail {

/// The voxels of a [z, y, x] image, contiguous on the CPU, float32 or float64, all of them finite.
at::Tensor finite_voxels(const char* what, const Image& image);
/// Which voxels of a region on the image's grid aren't 0: bool, contiguous on the CPU, at least one.
at::Tensor region_voxels(const char* what, const Image& image, const Mask& region);
/// Label 1 where `chosen`, on the image's grid and device.
Mask mask_of(const at::Tensor& chosen, const Image& image);
/// The components of `chosen` that hold a voxel of `seeds`; bool on the CPU. Both are bool tensors on the CPU.
at::Tensor touching(const at::Tensor& chosen, const at::Tensor& seeds, int64_t connectivity);

}  // namespace vesalius::segmentation::detail
