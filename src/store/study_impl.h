// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <vesalius/store/study.h>

#include "store/files.h"
#include "store/index_file.h"

namespace vesalius::store {

struct Study::Impl {
  std::string path, mode;
  Layout layout;
  State state;
  std::unique_ptr<WriteLock> lock;
  std::vector<std::string> problems;
  bool packed = false, closed = false;
  int batch = 0;
  bool behind = false;  ///< the index on disk lacks something; the marker is there

  Impl(const std::string& p, const std::string& m) : path(p), mode(m), layout(std::filesystem::path(p)) {}

  void require_open() const;
  void require_writable() const;
  /// The record of a case; without a time point the subject's only one serves.
  const CaseRecord& get(const CaseId& id) const;
  void read();
  void create();
  /// Puts `files` and `next` on disk: all of it, or nothing. In a batch the index waits, unless what is new is
  /// `only_in_index`.
  void commit(State next, std::vector<StagedFile> files, bool only_in_index = false);
  void write_index_now();
  void update(const CaseId& id, const std::function<void(CaseRecord&, const hdf5::File&)>& change);
  template <class Read>
  auto read_voxels(const CaseId& id, bool mask, const std::string& name, Read&& read) const;
  void check_kinds(const std::string& key, const Record& record, bool outcome) const;
};

/// Checks a table's row and drops what is not known. @throws InvalidArgument; `what` names the table.
Record checked(const Record& record, const std::string& what);

/// For messages: "a" at time point "b".
std::string spell(const CaseId& id);

/// For messages: the first few of `items`.
template <class Items, class Text>
std::string list(const Items& items, Text&& text) {
  std::string out;
  size_t count = 0;
  for (const auto& item : items) {
    if (++count > 8) return out + ", …";
    out += (out.empty() ? "" : ", ") + text(item);
  }
  return out.empty() ? "none" : out;
}

bool holds_cases(const std::filesystem::path& folder);

}  // namespace vesalius::store
