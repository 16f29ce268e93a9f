// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <optional>
#include <set>
#include <system_error>

#include "store/study_impl.h"

namespace fs = std::filesystem;

namespace vesalius::store {
std::string spell(const CaseId& id) {
  return "\"" + id.subject + "\"" + (id.time_point.empty() ? "" : " at time point \"" + id.time_point + "\"");
}

Record checked(const Record& record, const std::string& what) {
  Record out;
  std::set<std::string> seen;
  for (const auto& [name, value] : record) {
    require_name(name, "a column's name in " + what);
    if (!seen.insert(name).second) throw InvalidArgument(what + " names \"" + name + "\" twice");
    if (std::holds_alternative<std::monostate>(value)) continue;
    if (const auto* number = std::get_if<double>(&value); number && std::isnan(*number)) continue;
    if (const auto* whole = std::get_if<int64_t>(&value);
        whole && std::abs(static_cast<double>(*whole)) > 9007199254740992.0)
      throw InvalidArgument(what + " \"" + name + "\" is " + std::to_string(*whole) +
                            ", beyond 2^53: store it as text");
    if (const auto* text = std::get_if<std::string>(&value)) {
      if (text->empty()) continue;
      if (!is_utf8(*text) || text->find('\0') != std::string::npos)
        throw InvalidArgument(what + " \"" + name + "\" must be UTF-8 text");
    }
    out.emplace_back(name, value);
  }
  return out;
}

namespace {

Record merged(Record old, const Record& changes) {
  for (const auto& [name, value] : changes) {
    const auto at =
        std::find_if(old.begin(), old.end(), [&, &key = name](const auto& cell) { return cell.first == key; });
    if (at == old.end())
      old.emplace_back(name, value);
    else
      at->second = value;
  }
  return old;
}

bool is_text(const Value& value) { return std::holds_alternative<std::string>(value); }

}  // namespace

bool holds_cases(const fs::path& folder) {
  std::error_code code;
  for (const auto& entry : fs::directory_iterator(folder, code))
    if (entry.path().extension() == ".h5") return true;
  return false;
}

void Study::Impl::require_open() const {
  if (closed) throw InvalidArgument("study " + path + " is closed; open it again");
}

void Study::Impl::require_writable() const {
  require_open();
  if (mode == "r")
    throw InvalidArgument("study " + path + " is open for reading; open it with mode \"a\" to change it");
}

const CaseRecord& Study::Impl::get(const CaseId& id) const {
  require_open();
  if (const CaseRecord* record = state.find(case_key(id.subject, id.time_point))) return *record;
  std::vector<const CaseRecord*> same;
  for (const auto& record : state.cases)
    if (record->info.id.subject == id.subject) same.push_back(record.get());
  if (id.time_point.empty() && same.size() == 1) return *same[0];
  if (same.empty())
    throw InvalidArgument("no subject \"" + id.subject + "\" in " + path + "; it holds " +
                          std::to_string(state.cases.size()) + ": " +
                          list(state.cases, [](const auto& record) { return spell(record->info.id); }));
  throw InvalidArgument("subject " + spell(id) + " in " + path + ": say which time point; there are " +
                        list(same, [](const CaseRecord* record) { return "\"" + record->info.id.time_point + "\""; }));
}

void Study::Impl::read() {
  try {
    const hdf5::File file = hdf5::open_file(path);
    state = read_index(file, path);
    packed = state.folder.empty();
  } catch (const FormatError& error) {
    if (!holds_cases(layout.folder)) throw;
    throw FormatError(std::string(error.what()) + ". Its cases lie in " + layout.folder.string() +
                      ": vesalius.store.repair(\"" + path +
                      "\"), or `vesalius repair`, makes the index anew from them");
  }
  if (packed) return;
  layout = Layout(path, state.folder);
  std::error_code code;
  if (fs::exists(layout.stale_marker(), code)) {
    scan_cases(layout, state, problems);
    behind = true;
  }
}

void Study::Impl::create() {
  if (holds_cases(layout.folder))
    throw IoError("there is no " + path + ", and " + layout.folder.string() +
                  " holds the cases of one: make its index anew with vesalius.store.repair(\"" + path +
                  "\"), or move the folder away");
  state = State{};
  state.created = now_utc();
  state.folder = layout.folder.filename().string();
}

Study::Study(const std::string& path, const std::string& mode) : impl_(std::make_unique<Impl>(path, mode)) {
  const hdf5::Guard guard;
  if (mode != "r" && mode != "a" && mode != "w")
    throw InvalidArgument("a study's mode is \"r\" (read), \"a\" (read and write) or \"w\" (start anew); it was \"" +
                          mode + "\"");
  if (path.empty() || fs::path(path).filename().empty())
    throw InvalidArgument("a study needs the path of a file, such as study.h5; it was \"" + path + "\"");
  Impl& self = *impl_;
  std::error_code code;
  const bool exists = fs::exists(path, code);
  if (mode == "r") {
    if (!exists) throw IoError("there is no study " + path + "; with mode \"a\" it is made");
    self.read();
    return;
  }
  self.lock = std::make_unique<WriteLock>(path);
  if (fs::exists(path, code))
    self.read();  // asked again: it may have come while we waited for the lock
  else
    self.create();
  if (self.packed)
    throw NotSupported(
        path +
        " is a packed study, which is only read: unpack it first (vesalius.store.unpack), or open it with mode \"r\"");
  make_folder(self.layout.folder);
  make_folder(self.layout.folder / "features");
  remove_staged_leftovers(self.layout.index.has_parent_path() ? self.layout.index.parent_path() : fs::path("."));
  remove_staged_leftovers(self.layout.folder);
  remove_staged_leftovers(self.layout.folder / "features");
  if (mode == "w") {
    for (const auto& record : self.state.cases) {
      remove_file(self.layout.case_file(record->info.key));
      remove_file(self.layout.feature_file(record->info.key));
    }
    self.create();
    self.behind = true;
  }
  if (!exists || self.behind) self.write_index_now();
}

Study::~Study() {
  if (!impl_ || impl_->closed) return;
  try {
    close();
  } catch (...) {
    // The marker stays: whoever opens the study next takes the cases from their files.
  }
}
Study::Study(Study&&) noexcept = default;
Study& Study::operator=(Study&&) noexcept = default;

void Study::close() {
  const hdf5::Guard guard;
  if (impl_->closed) return;
  impl_->closed = true;
  const auto lock = std::move(impl_->lock);
  if (impl_->mode != "r" && impl_->behind) impl_->write_index_now();
}

bool Study::closed() const { return impl_->closed; }
std::string Study::path() const { return impl_->path; }
std::string Study::mode() const { return impl_->mode; }
bool Study::packed() const { return impl_->packed; }

void Study::Impl::write_index_now() {
  state.modified = now_utc();
  state.software = software();
  StagedFile(layout.index, index_bytes(state)).commit();
  remove_file(layout.stale_marker());
  behind = false;
}

/// Files first to disk beside their places, then the marker, then into place, then the index: see ADR 0001.
void Study::Impl::commit(State next, std::vector<StagedFile> files, bool only_in_index) {
  next.modified = now_utc();
  next.software = software();
  std::optional<StagedFile> index;
  if (batch == 0 || only_in_index) index.emplace(layout.index, index_bytes(next));
  if (!behind) touch(layout.stale_marker());
  behind = true;
  for (auto& file : files) file.commit();
  state = std::move(next);
  if (!index) return;
  index->commit();
  remove_file(layout.stale_marker());
  behind = false;
}

void Study::begin_batch() {
  const hdf5::Guard guard;
  impl_->require_writable();
  ++impl_->batch;
}

void Study::end_batch() {
  const hdf5::Guard guard;
  if (impl_->batch == 0) throw InvalidArgument("end_batch without begin_batch");
  if (--impl_->batch == 0 && impl_->behind && !impl_->closed) impl_->write_index_now();
}

void Study::Impl::check_kinds(const std::string& key, const Record& record, bool outcome) const {
  for (const auto& [name, value] : record) {
    for (auto other = state.cases.rbegin(); other != state.cases.rend(); ++other) {
      if ((*other)->info.key == key) continue;
      const Record& cells = outcome ? (*other)->info.outcome : (*other)->info.clinical;
      const auto at = std::find_if(cells.begin(), cells.end(),
                                   [&, &column = name](const auto& cell) { return cell.first == column; });
      if (at == cells.end()) continue;
      if (is_text(at->second) != is_text(value))
        throw TypeMismatch(std::string(outcome ? "outcome" : "clinical") + " \"" + name + "\" is " +
                           (is_text(value) ? "text" : "a number") + " here and " +
                           (is_text(value) ? "a number" : "text") + " for " + spell((*other)->info.id) +
                           ": a column holds one kind");
      break;
    }
  }
}

namespace {

void require_grid(const Geometry& mask, const std::string& name, const std::map<std::string, Geometry>& images) {
  if (images.empty()) return;
  for (const auto& [image, geometry] : images)
    if (geometry.same_as(mask)) return;
  const auto& [image, geometry] = *images.begin();
  throw GeometryError("mask \"" + name + "\" lies on no image's grid; against image \"" + image +
                      "\": " + geometry.difference(mask) +
                      ". Resample it first (vesalius.image.resample_like), or read it with like=image");
}

template <class Items>
std::vector<VoxelInfo> describe_all(const Items& items, const std::map<std::string, Source>& sources) {
  std::vector<VoxelInfo> infos;
  for (const auto& [name, image] : items) {
    require_name(name, "the name of an image or mask");
    const auto source = sources.find(name);
    infos.push_back(describe(name, image, source == sources.end() ? Source{} : source->second));
  }
  return infos;
}

}  // namespace

void Study::add(const CaseId& id, const NewCase& content, bool overwrite) {
  CaseRecord record;
  record.info.id = id;
  record.info.key = case_key(id.subject, id.time_point);
  if (content.images.empty() && content.masks.empty() && content.clinical.empty() && content.outcome.empty())
    throw InvalidArgument("subject " + spell(id) +
                          ": nothing to add; give an image, a mask, clinical data or an outcome");
  record.info.clinical = checked(content.clinical, "clinical");
  record.info.outcome = checked(content.outcome, "outcome");
  record.info.images = describe_all(content.images, content.image_sources);
  record.info.masks = describe_all(content.masks, content.mask_sources);
  std::map<std::string, Geometry> grids;
  for (const auto& [name, image] : content.images) grids[name] = image.geometry();
  for (const auto& [name, mask] : content.masks) require_grid(mask.geometry(), name, grids);

  const hdf5::Guard guard;
  Impl& self = *impl_;
  self.require_writable();
  const CaseRecord* old = self.state.find(record.info.key);
  if (old && !overwrite)
    throw InvalidArgument("subject " + spell(id) + " is in " + self.path + " already; pass overwrite to replace it");
  self.check_kinds(record.info.key, record.info.clinical, false);
  self.check_kinds(record.info.key, record.info.outcome, true);
  record.info.added = now_utc();
  record.info.software = software();
  if (old) record.features = old->features;  // State::put drops those of other voxels
  std::vector<StagedFile> files;
  files.emplace_back(self.layout.case_file(record.info.key), case_bytes(record.info, content));
  State next = self.state;
  next.put(std::move(record));
  self.commit(std::move(next), std::move(files));
}

/// Reads the case's file into memory, lets `change` work on it and on the record, and puts both in place.
void Study::Impl::update(const CaseId& id, const std::function<void(CaseRecord&, const hdf5::File&)>& change) {
  require_writable();
  CaseRecord record = get(id);
  const fs::path file = layout.case_file(record.info.key);
  std::vector<StagedFile> files;
  {
    const hdf5::File memory = hdf5::open_in_memory(file.string());
    change(record, memory);
    files.emplace_back(file, hdf5::bytes_of(memory));
  }
  State next = state;
  next.put(std::move(record));
  commit(std::move(next), std::move(files));
}

namespace {

template <class T>
void put_voxels(std::vector<VoxelInfo>& infos, const VoxelInfo& info, const hdf5::File& file, const std::string& group,
                const T& voxels, bool overwrite, const CaseId& id) {
  const hdf5::Group where = hdf5::open_group(file, group);
  const std::string link = encode_name(info.name);
  const auto old =
      std::find_if(infos.begin(), infos.end(), [&](const VoxelInfo& there) { return there.name == info.name; });
  if (old != infos.end()) {
    if (!overwrite)
      throw InvalidArgument("subject " + spell(id) + " has \"" + info.name + "\" among its " + group +
                            " already; pass overwrite to replace it");
    hdf5::require(H5Ldelete(where, link.c_str(), H5P_DEFAULT), "replacing " + info.name);
    *old = info;
  } else {
    infos.push_back(info);
  }
  write_voxels(where, info, voxels);
}

}  // namespace

void Study::add_image(const CaseId& id, const std::string& name, const Image& image, const Source& source,
                      bool overwrite) {
  require_name(name, "an image's name");
  const VoxelInfo info = describe(name, image, source);
  const hdf5::Guard guard;
  impl_->update(id, [&](CaseRecord& record, const hdf5::File& file) {
    put_voxels(record.info.images, info, file, "images", image, overwrite, id);
  });
}

void Study::add_mask(const CaseId& id, const std::string& name, const Mask& mask, const Source& source,
                     bool overwrite) {
  require_name(name, "a mask's name");
  const VoxelInfo info = describe(name, mask, source);
  const hdf5::Guard guard;
  impl_->update(id, [&](CaseRecord& record, const hdf5::File& file) {
    std::map<std::string, Geometry> grids;
    for (const auto& image : record.info.images) grids[image.name] = read_geometry(file, image.name);
    require_grid(mask.geometry(), name, grids);
    put_voxels(record.info.masks, info, file, "masks", mask, overwrite, id);
  });
}

void Study::set_clinical(const CaseId& id, const Record& values) {
  const hdf5::Guard guard;
  impl_->update(id, [&](CaseRecord& record, const hdf5::File& file) {
    record.info.clinical = checked(merged(record.info.clinical, values), "clinical");
    impl_->check_kinds(record.info.key, record.info.clinical, false);
    write_record(file, "clinical", record.info.clinical);
  });
}

void Study::set_outcome(const CaseId& id, const Record& values) {
  const hdf5::Guard guard;
  impl_->update(id, [&](CaseRecord& record, const hdf5::File& file) {
    record.info.outcome = checked(merged(record.info.outcome, values), "outcome");
    impl_->check_kinds(record.info.key, record.info.outcome, true);
    write_record(file, "outcome", record.info.outcome);
  });
}

void Study::remove(const CaseId& id) {
  const hdf5::Guard guard;
  Impl& self = *impl_;
  self.require_writable();
  const std::string key = self.get(id).info.key;
  State next = self.state;
  std::erase_if(next.cases, [&](const auto& record) { return record->info.key == key; });
  // Killed in between, the marker makes whoever opens the study next look at the files, where the case is no more.
  if (!self.behind) touch(self.layout.stale_marker());
  self.behind = true;
  remove_file(self.layout.case_file(key));
  remove_file(self.layout.feature_file(key));
  self.commit(std::move(next), {});
}

std::vector<CaseInfo> Study::cases() const {
  const hdf5::Guard guard;
  impl_->require_open();
  std::vector<CaseInfo> out;
  for (const auto& record : impl_->state.cases) out.push_back(record->info);
  return out;
}

bool Study::contains(const CaseId& id) const {
  const hdf5::Guard guard;
  impl_->require_open();
  return impl_->state.find(case_key(id.subject, id.time_point)) != nullptr;
}

template <class Read>
auto Study::Impl::read_voxels(const CaseId& id, bool mask, const std::string& name, Read&& read) const {
  const CaseRecord& record = get(id);
  const auto& infos = mask ? record.info.masks : record.info.images;
  if (!(mask ? record.mask(name) : record.image(name)))
    throw InvalidArgument("subject " + spell(record.info.id) + " has no " + (mask ? "mask" : "image") + " \"" + name +
                          "\"; it has " + list(infos, [](const VoxelInfo& info) { return "\"" + info.name + "\""; }));
  if (packed) {
    const hdf5::File file = hdf5::open_file(path);
    return read(hdf5::open_group(hdf5::open_group(file, "cases"), record.info.key), path + ", case " + record.info.key);
  }
  const std::string file_path = layout.case_file(record.info.key).string();
  const hdf5::File file = hdf5::open_file(file_path);
  require_format(file, kCaseFormat, file_path);
  return read(file, file_path);
}

Image Study::image(const CaseId& id, const std::string& name, bool verify) const {
  const hdf5::Guard guard;
  return impl_->read_voxels(
      id, false, name, [&](hid_t root, const std::string& where) { return read_image(root, name, verify, where); });
}

Mask Study::mask(const CaseId& id, const std::string& name, bool verify) const {
  const hdf5::Guard guard;
  return impl_->read_voxels(id, true, name,
                            [&](hid_t root, const std::string& where) { return read_mask(root, name, verify, where); });
}

std::map<std::string, std::string> Study::provenance() const {
  const hdf5::Guard guard;
  impl_->require_open();
  const State& state = impl_->state;
  return {{"created", state.created},
          {"modified", state.modified},
          {"software", state.software},
          {"format_version", std::to_string(kFormatVersion)}};
}

std::vector<std::string> Study::problems() const { return impl_->problems; }

}  // namespace vesalius::store
