// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include <vesalius/core/mask.h>

/// How well a segmentation agrees with a reference, for one label. Distances are in mm for any spacing.
///
/// A *surface voxel* is a voxel of the label with a face neighbour (6; 4 in an image of one slice) outside the label or
/// outside the image. Distances go from the centre of each surface voxel of one mask to the nearest surface voxel's centre
/// of the other, both ways. These are MONAI's definitions (and SimpleITK's for Hausdorff). Surface Dice is Nikolov et al.'s.
///
/// Where a label is in neither mask there is nothing to measure: every ratio and distance is NaN, as in MONAI, so that a
/// mean over patients must leave it out (nanmean) and can't be lifted by it. Where it is in only one of them: Dice, Jaccard
/// and surface Dice are 0 and distances ∞.
namespace vesalius::segmentation {

/// What a surface is made of when shares of it are taken.
enum class SurfaceWeight {
  area,  ///< elements between the voxels weighted by their area: Nikolov et al. 2021 (doi 10.2196/26151) and their surface-distance
  ///< package, MONAI's `use_subvoxels=True`. In an image of one slice: contour elements by length; of one row: `voxel`.
  voxel,  ///< surface voxels, each counting the same: MONAI's default
};

struct Metrics {
  int64_t predicted_voxels = 0, reference_voxels = 0;
  double dice = 0;                        ///< 2 |P ∩ R| / (|P| + |R|)
  double jaccard = 0;                     ///< |P ∩ R| / |P ∪ R|
  double volume_difference = 0;           ///< (|P| − |R|) in mm³; 0 where both are empty
  double relative_volume_difference = 0;  ///< (|P| − |R|) / |R|; ∞ where only the reference is empty
  double hausdorff = 0;                   ///< the largest distance, mm
  double hausdorff95 = 0;  ///< the larger of both directions' 95th percentiles (linear between order statistics), mm
  double average_surface_distance = 0;  ///< mean of all distances of both directions, mm
  double surface_dice = 0;              ///< share of both surfaces, by area, within `tolerance_mm` of the other
};

/// All measures of one label.
/// @throws GeometryError when the masks don't share a grid; InvalidArgument for a tolerance that isn't ≥ 0.
VESALIUS_API Metrics evaluate(const Mask& prediction, const Mask& reference, int64_t label, double tolerance_mm = 1.0);

/// Of several labels, or of all that are in either mask.
VESALIUS_API std::map<int64_t, Metrics> evaluate_all(const Mask& prediction, const Mask& reference,
                                                     const std::vector<int64_t>& labels = {},
                                                     double tolerance_mm = 1.0);

VESALIUS_API double dice(const Mask& prediction, const Mask& reference, int64_t label = 1);
VESALIUS_API double jaccard(const Mask& prediction, const Mask& reference, int64_t label = 1);
/// @param percent of each direction's distances, in (0, 100]; the larger of both is returned.
VESALIUS_API double hausdorff(const Mask& prediction, const Mask& reference, int64_t label = 1, double percent = 100.0);
VESALIUS_API double average_surface_distance(const Mask& prediction, const Mask& reference, int64_t label = 1);
VESALIUS_API double surface_dice(const Mask& prediction, const Mask& reference, double tolerance_mm, int64_t label = 1,
                                 SurfaceWeight weight = SurfaceWeight::area);

}  // namespace vesalius::segmentation
