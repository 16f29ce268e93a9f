// SPDX-License-Identifier: Apache-2.0
// repair, pack, unpack: a study as a whole.
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>

#include "store/study_impl.h"

namespace fs = std::filesystem;

namespace vesalius::store {
namespace {

void require_new(const std::string& out) {
  std::error_code code;
  if (fs::exists(out, code)) throw InvalidArgument(out + " is there already; name another file, or remove it first");
}

/// A case's root, as a group or a file, into another.
void copy_case(hid_t from, hid_t to) {
  for (const char* kind : {"images", "masks"}) {
    const hdf5::Group source = hdf5::open_group(from, kind), target = hdf5::make_group(to, kind);
    for (const auto& name : hdf5::link_names(source)) hdf5::copy_tensor(hdf5::open_dataset(source, name), target, name);
  }
  for (const char* table : {"clinical", "outcome"})
    hdf5::copy_attributes(hdf5::open_group(from, table), hdf5::make_group(to, table));
  hdf5::copy_attributes(from, to);
}

/// Removes what it was told of unless all went well.
class Cleanup {
 public:
  explicit Cleanup(fs::path path) : path_(std::move(path)) {}
  ~Cleanup() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }
  void keep() { path_.clear(); }

 private:
  fs::path path_;
};

/// @throws IoError if `needed` bytes don't fit where `out` is to lie.
void require_space(const std::string& out, uintmax_t needed) {
  std::error_code code;
  const fs::path folder = fs::path(out).has_parent_path() ? fs::path(out).parent_path() : fs::path(".");
  const auto space = fs::space(folder, code);
  uintmax_t limit = code ? needed : space.available;
  struct rlimit longest{};
  if (::getrlimit(RLIMIT_FSIZE, &longest) == 0 && longest.rlim_cur != RLIM_INFINITY)
    limit = std::min<uintmax_t>(limit, longest.rlim_cur);
  if (limit < needed)
    throw IoError("can't write " + out + ": about " + std::to_string(needed >> 10) +
                  " KiB are needed, and there is room for " + std::to_string(limit >> 10) + " KiB");
}

/// A file that HDF5 could not write stays open inside HDF5, which crashes over it when the process ends (1.10.8).
/// Given something that takes its writes, it closes in peace.
void abandon(hdf5::File& file) {
  void* handle = nullptr;
  const int sink = ::memfd_create("vesalius", MFD_CLOEXEC);
  if (sink >= 0 && H5Fget_vfd_handle(file, H5P_DEFAULT, &handle) >= 0) ::dup2(sink, *static_cast<int*>(handle));
  if (sink >= 0) ::close(sink);
  file.close();
  hdf5::error_text();
}

void write_packed(const hdf5::File& packed, const State& state, const Layout& layout) {
  write_index(packed, state);
  const hdf5::Group cases = hdf5::make_group(packed, "cases");
  for (const auto& record : state.cases) {
    const std::string name = layout.case_file(record->info.key).string();
    const hdf5::File file = hdf5::open_file(name);
    require_format(file, kCaseFormat, name);
    copy_case(file, hdf5::make_group(cases, record->info.key));
  }
  hdf5::require<IoError>(H5Fflush(packed, H5F_SCOPE_GLOBAL), "writing");
}

State open_state(const std::string& path, Layout& layout) {
  State state;
  {
    const hdf5::File file = hdf5::open_file(path);
    state = read_index(file, path);
  }
  if (state.folder.empty()) return state;
  layout = Layout(path, state.folder);
  std::vector<std::string> problems;
  std::error_code code;
  if (fs::exists(layout.stale_marker(), code)) scan_cases(layout, state, problems);
  if (!problems.empty()) throw FormatError(problems.front());
  return state;
}

}  // namespace

std::vector<std::string> repair(const std::string& path) {
  const hdf5::Guard guard;
  const WriteLock lock{fs::path(path)};
  std::vector<std::string> problems;
  Layout layout{fs::path(path)};
  State state;
  std::error_code code;
  if (fs::exists(path, code)) {
    try {
      const hdf5::File file = hdf5::open_file(path);
      state = read_index(file, path);
    } catch (const FormatError& error) {
      problems.push_back("the old index could not be read (" + std::string(error.what()) +
                         "); predictions that only it held are lost");
      state = State{};
    }
    if (problems.empty() && state.folder.empty())
      throw InvalidArgument(path + " is a packed study: there is nothing to repair it from");
    if (!state.folder.empty()) layout = Layout(path, state.folder);
  }
  if (!holds_cases(layout.folder))
    throw IoError("nothing to repair " + path + " from: there are no case files in " + layout.folder.string());
  state.folder = layout.folder.filename().string();
  if (state.created.empty()) state.created = now_utc();
  scan_cases(layout, state, problems);
  make_folder(layout.folder / "features");
  state.modified = now_utc();
  state.software = software();
  StagedFile(layout.index, index_bytes(state)).commit();
  remove_file(layout.stale_marker());
  return problems;
}

void pack(const std::string& path, const std::string& out) {
  const hdf5::Guard guard;
  require_new(out);
  Layout layout{fs::path(path)};
  State state = open_state(path, layout);
  if (state.folder.empty()) throw InvalidArgument(path + " is packed already; copy it");
  state.folder.clear();
  const fs::path temporary = out + ".vesalius-tmp";
  std::error_code code;
  fs::remove(temporary, code);
  Cleanup cleanup(temporary);
  uintmax_t needed = fs::file_size(path, code);
  for (const auto& record : state.cases) needed += fs::file_size(layout.case_file(record->info.key), code);
  require_space(out, needed);
  hdf5::File packed = hdf5::new_disk_file(temporary.string());
  try {
    write_packed(packed, state, layout);
  } catch (const std::exception& error) {
    abandon(packed);
    throw IoError("can't write " + out + ": " + error.what());
  }
  if (!packed.close()) hdf5::fail<IoError>("writing " + out);
  sync_file(temporary);
  fs::rename(temporary, out, code);
  if (code) throw IoError("can't put " + out + " in place: " + code.message());
  cleanup.keep();
  sync_folder(fs::path(out).has_parent_path() ? fs::path(out).parent_path() : fs::path("."));
}

void unpack(const std::string& packed, const std::string& out) {
  const hdf5::Guard guard;
  require_new(out);
  Layout from{fs::path(packed)};
  State state = open_state(packed, from);
  if (!state.folder.empty()) throw InvalidArgument(packed + " is not a packed study: it can be written to as it is");
  const Layout layout{fs::path(out)};
  if (holds_cases(layout.folder))
    throw InvalidArgument(layout.folder.string() + " holds case files already; name another study");
  const WriteLock lock{fs::path(out)};
  make_folder(layout.folder);
  Cleanup cleanup(layout.folder);
  make_folder(layout.folder / "features");
  const hdf5::File source = hdf5::open_file(packed);
  const hdf5::Group cases = hdf5::open_group(source, "cases");
  for (const auto& record : state.cases) {
    const hdf5::File file = hdf5::new_memory_file();
    copy_case(hdf5::open_group(cases, record->info.key), file);
    StagedFile(layout.case_file(record->info.key), hdf5::bytes_of(file)).commit();
    if (!record->features.empty())
      StagedFile(layout.feature_file(record->info.key), feature_bytes(record->info, record->features)).commit();
  }
  state.folder = layout.folder.filename().string();
  StagedFile(layout.index, index_bytes(state)).commit();
  cleanup.keep();
}

}  // namespace vesalius::store
