// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "store/case_file.h"

/// The index: everything of a study but the voxels, as it lies in `study.h5` and as it is kept in memory.
namespace vesalius::store {

constexpr const char* kStudyFormat = "vesalius-study";

/// What a study knows. Copying is cheap: a change makes a copy, and the copy replaces it once it is on disk.
struct State {
  std::string created, modified, software;
  std::string folder;                                    ///< of the case files, beside the index; "" in a packed study
  std::vector<std::shared_ptr<const CaseRecord>> cases;  ///< in the order they were added
  std::map<std::string, std::shared_ptr<const Predictions>> predictions;

  const CaseRecord* find(const std::string& key) const;
  /// In place of the one of the same key, else at the end; features that its voxels outdate are dropped.
  void put(CaseRecord record);
};

/// A set of features as a block, with what only the file holds beside.
struct FullFeatureTable {
  FeatureTable table;
  std::vector<std::string> keys, image_content, mask_content;
};
std::map<std::string, FullFeatureTable> feature_tables(const State& state);

/// Everything but /cases.
void write_index(hid_t root, const State& state);
/// The index's bytes, with /cases linking to the case files.
std::string index_bytes(const State& state);
State read_index(hid_t root, const std::string& path);

/// Where the parts of a study lie.
struct Layout {
  std::filesystem::path index;
  std::filesystem::path folder;
  explicit Layout(const std::filesystem::path& study);
  Layout(const std::filesystem::path& study, const std::string& folder_name);
  std::filesystem::path case_file(const std::string& key) const { return folder / (key + ".h5"); }
  std::filesystem::path feature_file(const std::string& key) const { return folder / "features" / (key + ".h5"); }
  /// There while cases are newer than the index.
  std::filesystem::path stale_marker() const { return folder / ".index-is-stale"; }
};

/// The cases as their own files tell, in the order they were added; what `known` has of a file that can't be read
/// stays. What is wrong is added to `problems`.
void scan_cases(const Layout& layout, State& known, std::vector<std::string>& problems);

}  // namespace vesalius::store
