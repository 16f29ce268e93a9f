// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vesalius/core/mask.h>

namespace vesalius::image {

/// The Euclidean distance in mm from each voxel's centre to the nearest voxel centre of `label`: 0 inside. With
/// `signed_`, voxels inside get minus the distance to the nearest voxel outside (−∞ if the label fills the image).
/// Exact for any spacing (lower envelopes of parabolas, Felzenszwalb and Huttenlocher 2012).
/// CUDA masks are computed on the CPU and moved back.
/// @returns float32 [z, y, x]. @throws InvalidArgument for a label that isn't there.
VESALIUS_API Image distance_transform(const Mask& mask, int64_t label = 1, bool signed_ = false);

}  // namespace vesalius::image
