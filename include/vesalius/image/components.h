// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include <vesalius/core/mask.h>

/// Connected components. `connectivity` is 6 (faces), 18 (edges too) or 26 (corners too). CUDA masks are computed on
/// the CPU and moved back. All throw InvalidArgument for another connectivity or a label that isn't there.
namespace vesalius::image {

struct Components {
  Mask labels;                 ///< int32: 1 is the largest component, 2 the next, …; equal sizes in order of appearance
  std::vector<int64_t> sizes;  ///< voxels of component i + 1
};

/// The components of `label`.
VESALIUS_API Components connected_components(const Mask& mask, int64_t label = 1, int64_t connectivity = 26);

/// `label` reduced to its largest component; other labels stay.
VESALIUS_API Mask largest_component(const Mask& mask, int64_t label = 1, int64_t connectivity = 26);

/// `label` reduced to the components that hold a voxel where `seeds` isn't 0; other labels stay. The result can be empty.
/// @throws GeometryError when the two don't share a grid.
VESALIUS_API Mask keep_touching(const Mask& mask, const Mask& seeds, int64_t label = 1, int64_t connectivity = 26);

/// `label` reduced to the components of at least `minimum_mm3`; other labels stay.
VESALIUS_API Mask remove_small(const Mask& mask, double minimum_mm3, int64_t label = 1, int64_t connectivity = 26);

}  // namespace vesalius::image
