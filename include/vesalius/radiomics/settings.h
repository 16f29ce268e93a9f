// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <vesalius/core/export.h>
#include <vesalius/core/settings.h>
#include <vesalius/image/resample.h>

namespace vesalius::radiomics {

/// How the matrices of directions and slices become one value (IBSI 1, sections 3.6 and 3.7): features of each
/// matrix averaged (`avg`), or one feature of the summed matrices (`comb`).
enum class Aggregation {
  averaged_2d,       ///< "2D_avg" BTW3: each direction in each slice, averaged
  slice_merged_2d,   ///< "2D_comb" SUJT: directions summed per slice, averaged over slices
  direction_merged,  ///< "2_5D_avg" JJUI: slices summed per direction, averaged over directions
  merged_2_5d,       ///< "2_5D_comb" ZW7Z: all slices and directions summed
  averaged_3d,       ///< "3D_avg" ITBB: each of the 13 directions, averaged
  merged_3d,         ///< "3D_comb" IAZD: the 13 directions summed
};
VESALIUS_API std::string to_string(Aggregation aggregation);
/// Reads "3D_comb" or the IBSI code "IAZD". @throws InvalidArgument that lists the words.
VESALIUS_API void from_string(const std::string& text, Aggregation& out);

/// What happens to image and mask before features are computed, and how texture is counted; the steps in IBSI's order
/// (IBSI 1, chapter 2). Defaults leave the image as it is and put intensities into bins 25 wide.
struct Settings {
  std::optional<std::array<double, 3>> resample;  ///< new spacing (z, y, x) in mm; 0 keeps that axis; unset: none
  image::Interpolation interpolation = image::Interpolation::linear;       ///< of the image
  image::Interpolation mask_interpolation = image::Interpolation::linear;  ///< of the mask
  double mask_threshold = 0.5;                     ///< an interpolated mask is inside from here up
  bool round_intensities = false;                  ///< to whole numbers after interpolation; for CT
  std::optional<std::array<double, 2>> resegment;  ///< intensities outside [low, high] leave the intensity mask
  std::optional<double> outlier_sigma;  ///< so do those further than this many standard deviations from the ROI's mean
  std::optional<double> bin_width =
      25.0;  ///< fixed bin size, in intensity units; bin 1 starts at `resegment`'s low, else the ROI's minimum
  std::optional<int64_t> bin_count;  ///< fixed bin number instead; takes precedence over `bin_width`
  std::optional<double>
      ivh_bin_width;  ///< fixed bin size of the intensity-volume histogram; unset: whole numbers as they are, else 1000 bins
  std::optional<int64_t> ivh_bin_count;             ///< fixed bin number of it instead; takes precedence
  std::vector<std::string> aggregation{"3D_comb"};  ///< one or more of `Aggregation`'s words
  std::vector<int64_t> glcm_distances{1};  ///< Chebyshev distance of co-occurring voxels; each gives its own features
  std::vector<std::string> families;       ///< "morphology", "glcm", …; empty: all in the catalogue

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("resample", self.resample);
    field("interpolation", self.interpolation);
    field("mask_interpolation", self.mask_interpolation);
    field("mask_threshold", self.mask_threshold);
    field("round_intensities", self.round_intensities);
    field("resegment", self.resegment);
    field("outlier_sigma", self.outlier_sigma);
    field("bin_width", self.bin_width);
    field("bin_count", self.bin_count);
    field("ivh_bin_width", self.ivh_bin_width);
    field("ivh_bin_count", self.ivh_bin_count);
    field("aggregation", self.aggregation);
    field("glcm_distances", self.glcm_distances);
    field("families", self.families);
  }

  /// @throws InvalidArgument that names the setting, what it must be, and what it is.
  VESALIUS_API void validate() const;
};

}  // namespace vesalius::radiomics
