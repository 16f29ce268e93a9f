// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <limits>
#include <vector>

#include <vesalius/core/image.h>
#include <vesalius/core/mask.h>

namespace vesalius::segmentation {

/// Region growing: the voxels of lower ≤ x ≤ upper that are connected with a seed inside that range
/// (`connectivity` 6, 18 or 26). Label 1, uint8; empty where no seed lies in the range.
/// @throws InvalidArgument for a seed outside the image, no seeds, lower > upper, NaN or infinite voxels.
VESALIUS_API Mask grow(const Image& image, const std::vector<Index3>& seeds, double lower,
                       double upper = std::numeric_limits<double>::infinity(), int64_t connectivity = 6);
/// Seeds are the voxels of a mask that aren't 0. @throws GeometryError when it lies on another grid.
VESALIUS_API Mask grow(const Image& image, const Mask& seeds, double lower,
                       double upper = std::numeric_limits<double>::infinity(), int64_t connectivity = 6);

/// The length of the intensity gradient (per mm) after Gaussian smoothing; central differences, one-sided at the border.
/// Axes of one voxel take no part. float32 (float64 stays).
VESALIUS_API Image gradient_magnitude(const Image& image, double sigma_mm = 0.0);

/// Watershed from markers (Beucher and Meyer 1993, by ITK's MorphologicalWatershedFromMarkers, without watershed lines):
/// every voxel gets the label of the marker whose flood reaches it first. Mark the background too, as a label of its own.
/// @param relief what is flooded, such as `gradient_magnitude(image, 1)`. @param markers labels 1, 2, …, 0 elsewhere.
/// @param connectivity 6 or 26.
/// @throws GeometryError; InvalidArgument for no marker, or NaN or infinite voxels.
VESALIUS_API Mask watershed(const Image& relief, const Mask& markers, int64_t connectivity = 6);

}  // namespace vesalius::segmentation
