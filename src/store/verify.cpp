// SPDX-License-Identifier: Apache-2.0
// What a study from elsewhere is checked for before anyone trusts it.
#include <set>

#include <vesalius/core/checksum.h>

#include "store/study_impl.h"

namespace fs = std::filesystem;

namespace vesalius::store {
namespace {

/// Walks the links below `where`: each must be a hard link, but for what `allowed` lets pass.
template <class Allowed>
void check_links(hid_t where, const std::string& path, int depth, std::vector<std::string>& problems,
                 Allowed&& allowed) {
  if (depth > 8) {
    problems.push_back(path + ": groups nested deeper than a study's");
    return;
  }
  for (const auto& name : hdf5::link_names(where)) {
    const std::string here = path + "/" + name;
    H5L_info_t info;
    hdf5::require(H5Lget_info(where, name.c_str(), &info, H5P_DEFAULT), here);
    if (info.type != H5L_TYPE_HARD) {
      if (!allowed(where, name, info, here)) problems.push_back(here + " is a link that leads out of the study");
      continue;
    }
    const hdf5::Object object(H5Oopen(where, name.c_str(), H5P_DEFAULT), here);
    const H5I_type_t type = H5Iget_type(object);
    if (type == H5I_GROUP) {
      check_links(object, here, depth + 1, problems, allowed);
    } else if (type == H5I_DATASET) {
      const hdf5::Properties create(H5Dget_create_plist(object), here);
      if (H5Pget_layout(create) == H5D_VIRTUAL || H5Pget_external_count(create) > 0)
        problems.push_back(here + ": its values lie in another file");
    } else {
      problems.push_back(here + " is neither a group nor a dataset");
    }
  }
}

const auto kNoneAllowed = [](hid_t, const std::string&, const H5L_info_t&, const std::string&) { return false; };

/// /cases/<key> may lead to <folder>/<key>.h5 and nowhere else.
bool is_case_link(hid_t where, const std::string& name, const H5L_info_t& info, const std::string& here,
                  const std::string& folder) {
  if (info.type != H5L_TYPE_EXTERNAL || here != "/cases/" + name || info.u.val_size > 65536) return false;
  std::string value(info.u.val_size, '\0');
  if (H5Lget_val(where, name.c_str(), value.data(), value.size(), H5P_DEFAULT) < 0) return false;
  unsigned flags = 0;
  const char *file = nullptr, *object = nullptr;
  if (H5Lunpack_elink_val(value.data(), value.size(), &flags, &file, &object) < 0) return false;
  return std::string(file) == folder + "/" + name + ".h5" && std::string(object) == "/";
}

void check_voxels(hid_t root, const CaseRecord& record, const std::string& path, std::vector<std::string>& problems) {
  const auto each = [&](const char* what, const VoxelInfo& indexed, const Image& image) {
    if (describe(indexed.name, image, {}).content != indexed.content)
      problems.push_back(path + ", " + what + " \"" + indexed.name +
                         "\": not the voxels and geometry that the index names");
  };
  for (const auto& info : record.info.images) each("image", info, read_image(root, info.name, true, path));
  for (const auto& info : record.info.masks) each("mask", info, read_mask(root, info.name, true, path));
}

/// Runs `check`, its errors become problems.
template <class Check>
bool attempt(std::vector<std::string>& problems, Check&& check) {
  try {
    check();
    return true;
  } catch (const Error& error) {
    problems.emplace_back(error.what());
  } catch (const std::bad_alloc&) {
    problems.emplace_back("more memory is asked for than there is");
  }
  return false;
}

void check_case_file(const Layout& layout, const CaseRecord& record, std::vector<std::string>& problems) {
  const std::string path = layout.case_file(record.info.key).string();
  std::error_code code;
  if (fs::is_symlink(path, code)) problems.push_back(path + " is a symbolic link");
  attempt(problems, [&] {
    const hdf5::File file = hdf5::open_file(path);
    check_links(file, "", 0, problems, kNoneAllowed);
    const CaseInfo info = read_case(file, path);
    if (!(info.id == record.info.id)) problems.push_back(path + " says it is subject " + spell(info.id));
    if (info.clinical != record.info.clinical || info.outcome != record.info.outcome)
      problems.push_back(path + ": clinical data or outcome differ from the index");
    check_voxels(file, record, path, problems);
  });
  const std::string features = layout.feature_file(record.info.key).string();
  if (!fs::exists(features, code)) return;
  attempt(problems, [&] {
    const hdf5::File file = hdf5::open_file(features);
    check_links(file, "", 0, problems, kNoneAllowed);
    read_features(file, features);
  });
}

}  // namespace

std::vector<std::string> verify_in_process(const std::string& path) {
  const hdf5::Guard guard;
  std::vector<std::string> problems;
  State state;
  Layout layout{fs::path(path)};
  const bool readable = attempt(problems, [&] {
    const hdf5::File file = hdf5::open_file(path);
    require_format(file, kStudyFormat, path);
    state.folder = hdf5::read_text(file, "cases_folder");
    check_links(file, "", 0, problems,
                [&](hid_t where, const std::string& name, const H5L_info_t& info, const std::string& here) {
                  return !state.folder.empty() && is_case_link(where, name, info, here, state.folder);
                });
    state = read_index(file, path);
    if (!state.folder.empty()) return;
    const hdf5::Group cases = hdf5::open_group(file, "cases");
    for (const auto& record : state.cases)
      attempt(problems, [&] {
        check_voxels(hdf5::open_group(cases, record->info.key), *record, path + ", case " + record->info.key, problems);
      });
  });
  if (!readable || state.folder.empty()) return problems;
  layout = Layout(path, state.folder);
  std::error_code code;
  if (fs::exists(layout.stale_marker(), code)) scan_cases(layout, state, problems);
  for (const auto& record : state.cases) check_case_file(layout, *record, problems);
  return problems;
}

}  // namespace vesalius::store
