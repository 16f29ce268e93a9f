// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include <vesalius/store/study.h>

#include "store/hdf5_io.h"

/// The files of one case: `<key>.h5` (voxels, its rows of the tables) and `features/<key>.h5`.
namespace vesalius::store {

constexpr int64_t kFormatVersion = 1;
constexpr const char* kCaseFormat = "vesalius-case";
constexpr const char* kFeaturesFormat = "vesalius-features";

struct Columns {
  std::vector<std::string> names, codes;
  bool operator==(const Columns&) const = default;
};

/// Features of a case under one group of settings, as kept in memory and in the case's own file.
struct FeatureRow {
  std::string settings_yaml, settings_hash, image, mask;
  int64_t label = 1;
  std::string image_content, mask_content;  ///< of the voxels they were made from
  std::string computed, software;
  std::shared_ptr<const Columns> columns;  ///< shared among cases
  std::vector<double> values;
};
using FeatureRows = std::map<std::string, FeatureRow>;  ///< by set

struct CaseRecord {
  CaseInfo info;
  FeatureRows features;

  const VoxelInfo* image(const std::string& name) const;
  const VoxelInfo* mask(const std::string& name) const;
  /// Whether what `row` was made from is what the case holds now.
  bool current(const FeatureRow& row) const;
};

/// "vesalius 0.1.0, torch 2.15.0, hdf5 1.10.8"
std::string software();

/// Checks format and version of a file's root. @throws FormatError, NotSupported for a newer one.
void require_format(hid_t root, const std::string& format, const std::string& path);

VoxelInfo describe(const std::string& name, const Image& image, const Source& source);
void write_head(hid_t root, const std::string& format, const CaseInfo& info);
void write_voxels(hid_t images, const VoxelInfo& info, const Image& image);
void write_voxels(hid_t masks, const VoxelInfo& info, const Mask& mask);
void write_record(hid_t where, const std::string& name, const Record& record);
Record read_record(hid_t group);

/// A whole case as the bytes of its file.
std::string case_bytes(const CaseInfo& info, const NewCase& content);
/// `root` is a case's file, or its group in a packed study.
CaseInfo read_case(hid_t root, const std::string& path);
Image read_image(hid_t root, const std::string& name, bool verify, const std::string& path);
Mask read_mask(hid_t root, const std::string& name, bool verify, const std::string& path);

Geometry read_geometry(hid_t root, const std::string& image);

void write_features(hid_t root, const FeatureRows& rows);
std::string feature_bytes(const CaseInfo& info, const FeatureRows& rows);
FeatureRows read_features(hid_t root, const std::string& path);

}  // namespace vesalius::store
