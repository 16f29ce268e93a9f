// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <vesalius/core/image.h>
#include <vesalius/core/mask.h>
#include <vesalius/core/monitor.h>
#include <vesalius/radiomics/catalogue.h>
#include <vesalius/radiomics/settings.h>

namespace vesalius::radiomics {

/// The features of one region, with the catalogue rows they belong to and the settings they were made with.
struct VESALIUS_API Features {
  std::vector<Column> columns;
  std::vector<double> values;                  ///< as many; NaN where the standard defines no value
  std::map<std::string, std::string> reasons;  ///< column name → why it is NaN
  Settings settings;
  std::string settings_hash;
  int64_t label = 1;
  int64_t morphological_voxels = 0;  ///< of the morphological mask, after interpolation
  int64_t intensity_voxels = 0;      ///< of the intensity mask, after re-segmentation

  /// By column name, IBSI tag, IBSI code or PyRadiomics name.
  /// @throws InvalidArgument for an unknown name (with the nearest), and for a tag that several columns have.
  double at(std::string_view name) const;
  int64_t index_of(std::string_view name) const;
};

/// Computes the features of the voxels of `mask` that equal `label`.
///
/// Only the region's box is looked at: NaN outside the region is harmless. Re-segmentation affects the intensity mask
/// only; morphology is that of the mask as it is (IBSI 1, section 2.6).
/// @param channel of an image `[c, z, y, x]`.
/// @throws GeometryError when the mask is on another grid; InvalidArgument for a label that isn't there, a region that
///   is empty (after interpolation, or after re-segmentation: the message has both ranges), NaN or infinite voxels in
///   the region (with their number), impossible settings, more bins than memory holds; Cancelled.
VESALIUS_API Features extract(const Image& image, const Mask& mask, const Settings& settings = {}, int64_t label = 1,
                              Monitor* monitor = nullptr, int64_t channel = 0);

/// The features of several labels of one mask; every label that is present if `labels` is empty. The mask is searched
/// once for all of them, overlapping surroundings are interpolated once, and all cores work: each label on one, or, where
/// there are fewer labels than cores, one label after the other on all. The values are those of `extract`.
/// @throws as `extract`, for the lowest label that fails.
VESALIUS_API std::map<int64_t, Features> extract_labels(const Image& image, const Mask& mask,
                                                        const Settings& settings = {},
                                                        const std::vector<int64_t>& labels = {},
                                                        Monitor* monitor = nullptr, int64_t channel = 0);

/// The features of one region in several channels of an image `[c, z, y, x]` (RGB, several sequences), by channel; in all
/// of them if `channels` is empty.
VESALIUS_API std::map<int64_t, Features> extract_channels(const Image& image, const Mask& mask,
                                                          const Settings& settings = {}, int64_t label = 1,
                                                          const std::vector<int64_t>& channels = {},
                                                          Monitor* monitor = nullptr);

/// The features of each slice (of axis 0) that has voxels of `label`, each as a 2D image of its own, by the slice's index.
/// `resample` keeps the slices: its first number is taken as 0.
VESALIUS_API std::map<int64_t, Features> extract_slices(const Image& image, const Mask& mask,
                                                        const Settings& settings = {}, int64_t label = 1,
                                                        Monitor* monitor = nullptr, int64_t channel = 0);

}  // namespace vesalius::radiomics
