// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <limits>

#include <vesalius/core/image.h>
#include <vesalius/core/mask.h>

/// Thresholds. Each gives a mask of label 1 (uint8) on the image's grid. Images are [z, y, x]. All throw InvalidArgument
/// for NaN or infinite voxels (with their number), ShapeError for channels, and GeometryError when a region lies on
/// another grid; a region's voxels are those that aren't 0, and an empty region is an InvalidArgument.
namespace vesalius::segmentation {

/// lower ≤ x ≤ upper. @throws InvalidArgument unless lower ≤ upper.
VESALIUS_API Mask threshold(const Image& image, double lower, double upper = std::numeric_limits<double>::infinity());

/// Otsu's threshold (IEEE Trans SMC 1979;9:62): of a histogram of `bins` equal bins between minimum and maximum, the edge
/// between bins that has the largest variance between the two classes; where several are equally good, the middle one.
/// Values above it are the object's. @param region where the histogram is taken; all voxels where there is none.
/// @throws InvalidArgument for a constant region or bins outside 2..65536.
VESALIUS_API double otsu_threshold(const Image& image, const Mask* region = nullptr, int64_t bins = 256);
/// x > otsu_threshold(…), in the whole image.
VESALIUS_API Mask otsu(const Image& image, const Mask* region = nullptr, int64_t bins = 256);

/// How far a PET method may look around the region that it starts from.
struct PetOptions {
  int64_t connectivity = 6;                                   ///< 6, 18 or 26
  double limit_mm = std::numeric_limits<double>::infinity();  ///< no voxel further than this from the region is taken
};

/// The field's fixed threshold on PET: voxels of at least `fraction` of the region's maximum, of these the components that
/// hold a voxel of the region (EANM's 41 %: Boellaard et al. 2015, doi 10.1007/s00259-014-2961-x).
/// @param region a contour, a box or a seed around the lesion; without one the image's maximum is the lesion.
/// @throws InvalidArgument for a fraction outside (0, 1] or a maximum that isn't positive.
VESALIUS_API Mask percent_of_maximum(const Image& image, const Mask* region = nullptr, double fraction = 0.41,
                                     const PetOptions& options = {});

/// Contrast-oriented threshold: `mean_weight · M70 + background_weight · B`, where M70 is the mean of the lesion's 70 %-of-
/// maximum isocontour and B the background's mean. The defaults are Nestle et al. 2005 (J Nucl Med 46:1342): 0.15 · M70 + B;
/// Schaefer et al. 2008 (doi 10.1007/s00259-008-0875-1) fit both weights for each scanner with phantoms.
struct ContrastOptions : PetOptions {
  double mean_weight = 0.15;
  double background_weight = 1.0;
  double shell_inner_mm = 10.0;  ///< the background is what lies between these two distances from the lesion …
  double shell_outer_mm = 20.0;  ///< … and below its threshold
  int64_t iterations = 50;
};

/// What contrast_threshold found on its way.
struct ContrastResult {
  Mask mask;
  double threshold = 0, mean70 = 0, background = 0;
  int64_t iterations = 0;
};

/// The contrast-oriented threshold, iterated: the lesion starts as its 41 % isocontour (`percent_of_maximum`); background and
/// threshold follow from the lesion, and the lesion from the threshold, until nothing changes. Where it ends in a cycle, the
/// cycle's highest threshold is taken. The threshold is kept between 1 % and 99 % of the lesion's maximum.
/// @throws InvalidArgument as percent_of_maximum, and where no background is left in the shell; ConvergenceError.
VESALIUS_API ContrastResult contrast_threshold(const Image& image, const Mask* region = nullptr,
                                               const ContrastOptions& options = {});

}  // namespace vesalius::segmentation
