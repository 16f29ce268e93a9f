// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <vesalius/core/export.h>
#include <vesalius/core/geometry.h>
#include <vesalius/core/monitor.h>

namespace vesalius::io {

/// One DICOM series of a folder.
struct SeriesInfo {
  std::string uid, description, modality;
  std::vector<std::string> files;     ///< sorted along the slices' normal where they have positions
  Index3 size{0, 0, 0};               ///< voxels (z, y, x), 0 where unknown
  Vec3 spacing{0, 0, 0};              ///< mm (z, y, x), 0 where unknown
  int64_t time_points = 1;            ///< volumes at the same place
  std::vector<std::string> problems;  ///< missing, duplicate or uneven slices, gantry tilt, …
};

/// The series in `folder` (not its subfolders), found by reading the headers of its files; `skipped`, if given,
/// receives the files that are no DICOM images and why.
/// @throws IoError when there is no such folder, FormatError when no file in it is DICOM.
VESALIUS_API std::vector<SeriesInfo> list_dicom_series(const std::string& folder, Monitor* monitor = nullptr,
                                                       std::vector<std::string>* skipped = nullptr);

}  // namespace vesalius::io
