// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vesalius/core/mask.h>

/// Morphology with a ball of `radius_mm`, made from exact distances: any radius costs the same, and a ball is a ball
/// whatever the spacing. Where a label grows it takes background voxels only; what it loses becomes background; other
/// labels stay. Beyond the image's border nothing is known: erosion does not eat in from there (ITK's default), so that
/// closing never removes and opening never adds a voxel. CUDA masks are computed on the CPU and moved back.
/// All throw InvalidArgument for a radius that isn't finite and ≥ 0, and for a label that isn't there.
namespace vesalius::image {

/// Plus every voxel whose centre is at most `radius_mm` from a voxel of the label.
VESALIUS_API Mask dilate(const Mask& mask, double radius_mm, int64_t label = 1);
/// Minus every voxel whose centre is at most `radius_mm` from a voxel outside the label. The result can be empty.
VESALIUS_API Mask erode(const Mask& mask, double radius_mm, int64_t label = 1);
/// Erosion, then dilation: removes what is thinner than the ball.
VESALIUS_API Mask open(const Mask& mask, double radius_mm, int64_t label = 1);
/// Dilation, then erosion: fills gaps narrower than the ball.
VESALIUS_API Mask close(const Mask& mask, double radius_mm, int64_t label = 1);
/// Background that the label encloses (6-connected, not reaching the image's border) becomes the label.
/// @param per_slice looks at each axial slice by itself (4-connected).
VESALIUS_API Mask fill_holes(const Mask& mask, int64_t label = 1, bool per_slice = false);

}  // namespace vesalius::image
