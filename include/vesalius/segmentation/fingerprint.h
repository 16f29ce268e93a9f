// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <vesalius/core/geometry.h>
#include <vesalius/segmentation/dataset.h>

namespace vesalius::segmentation {

/// Of the voxels of all labels of all cases, for one channel.
struct ChannelStatistics {
  double mean = 0, median = 0, std = 0, min = 0, max = 0, percentile_00_5 = 0, percentile_99_5 = 0;
};

/// What the planner knows of a dataset (Isensee et al. 2021, doi 10.1038/s41592-020-01008-z, "dataset fingerprint").
struct VESALIUS_API Fingerprint {
  std::vector<Vec3> spacings;  ///< mm (z, y, x), a case each
  std::vector<Index3> shapes;  ///< after cropping to nonzero
  double median_relative_size_after_cropping = 1.0;
  std::vector<ChannelStatistics> channels;

  /// nnU-Net's dataset_fingerprint.json.
  std::string to_json() const;
  static Fingerprint from_json(const std::string& text);
};

/// Computes it as nnU-Net v2 does, random draws included (10^8 / cases foreground voxels a case, with replacement, numpy's
/// RandomState(1234)). @throws as load_case; InvalidArgument where no case has a labelled voxel.
/// @param foreground_samples of all cases together.
VESALIUS_API Fingerprint fingerprint(const Dataset& dataset, int64_t jobs = 0, Monitor* monitor = nullptr,
                                     int64_t foreground_samples = 100'000'000);

/// The spacing that planning and resampling work with. A 2D image (one slice) counts as infinitely thick: 999 times its
/// pixels, as in nnU-Net.
VESALIUS_API Vec3 planning_spacing(const Geometry& geometry);

}  // namespace vesalius::segmentation
