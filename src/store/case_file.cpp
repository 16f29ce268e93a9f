// SPDX-License-Identifier: Apache-2.0
#include "store/case_file.h"

#include <array>
#include <cstdio>

#include <ATen/Context.h>

#include <vesalius/core/checksum.h>
#include <vesalius/core/version.h>

#include "store/files.h"

namespace vesalius::store {
namespace {

constexpr const char* kMetadataPrefix = "metadata.";

std::string content_hash(const std::string& voxels, const Geometry& g) {
  std::string text = voxels;
  const auto put = [&](const Vec3& v) {
    for (const double x : v) {
      std::array<char, 40> number{};
      std::snprintf(number.data(), number.size(), " %.17g", x);
      text += number.data();
    }
  };
  put(g.spacing), put(g.origin);
  for (const auto& row : g.direction) put(row);
  return sha256(std::string_view(text));
}

hdf5::Dataset write_image_dataset(hid_t where, const VoxelInfo& info, const Image& image) {
  const auto& g = image.geometry();
  hdf5::Dataset dataset = hdf5::write_tensor(where, encode_name(info.name), image.tensor());
  hdf5::write_attribute(dataset, "name", info.name);
  hdf5::write_attribute(dataset, "axes", std::string(image.tensor().dim() == 4 ? "czyx" : "zyx"));
  hdf5::write_attribute(dataset, "dtype", info.dtype);
  hdf5::write_numbers(dataset, "spacing", {g.spacing.begin(), g.spacing.end()}, {3});
  hdf5::write_numbers(dataset, "origin", {g.origin.begin(), g.origin.end()}, {3});
  std::vector<double> direction;
  for (const auto& row : g.direction) direction.insert(direction.end(), row.begin(), row.end());
  hdf5::write_numbers(dataset, "direction", direction, {3, 3});
  hdf5::write_attribute(dataset, "sha256", info.sha256);
  hdf5::write_attribute(dataset, "content_sha256", info.content);
  hdf5::write_attribute(dataset, "source_path", info.source.path);
  hdf5::write_attribute(dataset, "source_sha256", info.source.sha256);
  for (const auto& [key, value] : image.metadata()) hdf5::write_attribute(dataset, kMetadataPrefix + key, value);
  return dataset;
}

Vec3 read_triple(hid_t where, const std::string& name) {
  const auto values = hdf5::read_numbers(where, name, 3);
  return {values[0], values[1], values[2]};
}

VoxelInfo read_info(const hdf5::Dataset& dataset) {
  VoxelInfo info;
  info.name = hdf5::read_text(dataset, "name");
  info.sha256 = hdf5::read_text(dataset, "sha256");
  info.content = hdf5::read_text(dataset, "content_sha256");
  info.dtype = hdf5::read_text(dataset, "dtype");
  info.source = {hdf5::read_text(dataset, "source_path"), hdf5::read_text(dataset, "source_sha256")};
  const hdf5::Space space(H5Dget_space(dataset), info.name);
  std::array<hsize_t, H5S_MAX_RANK> shape{};
  const int dimensions = H5Sget_simple_extent_dims(space, shape.data(), nullptr);
  for (int i = 0; i < dimensions; ++i) info.shape.push_back(static_cast<int64_t>(shape[static_cast<size_t>(i)]));
  return info;
}

Geometry geometry_of(const hdf5::Dataset& dataset, at::IntArrayRef sizes) {
  Geometry g;
  for (size_t a = 0; a < 3; ++a) g.size[a] = sizes[sizes.size() - 3 + a];
  g.spacing = read_triple(dataset, "spacing");
  g.origin = read_triple(dataset, "origin");
  const auto direction = hdf5::read_numbers(dataset, "direction", 9);
  for (size_t i = 0; i < 9; ++i) g.direction[i / 3][i % 3] = direction[i];
  return g;
}

std::vector<VoxelInfo> read_infos(hid_t root, const std::string& group) {
  std::vector<VoxelInfo> infos;
  const hdf5::Group where = hdf5::open_group(root, group);
  for (const auto& name : hdf5::link_names(where)) infos.push_back(read_info(hdf5::open_dataset(where, name)));
  return infos;
}

/// The image under `name` of `group`, its label names added to `labels`.
Image read_voxels(hid_t root, const std::string& group, const std::string& name, bool verify, const std::string& path,
                  std::map<int64_t, std::string>* labels) {
  const std::string what = path + ", " + group + "/" + name;
  const hdf5::Dataset dataset = hdf5::open_dataset(hdf5::open_group(root, group), encode_name(name));
  at::Tensor tensor = hdf5::read_tensor(dataset, what);
  if (hdf5::read_text(dataset, "dtype") == "bool") tensor = tensor.to(at::kBool);
  if (verify) {
    const std::string expected = hdf5::read_text(dataset, "sha256"), found = sha256(tensor);
    if (found != expected)
      throw FormatError(what + ": the voxels are not those that were stored (SHA-256 " + found.substr(0, 12) +
                        "…, expected " + expected.substr(0, 12) +
                        "…): the file was changed or damaged. Add the case again from its source");
  }
  const Geometry g = geometry_of(dataset, tensor.sizes());
  Metadata metadata;
  for (const auto& key : hdf5::attribute_names(dataset))
    if (key.starts_with(kMetadataPrefix))
      metadata[key.substr(std::string_view(kMetadataPrefix).size())] = hdf5::read_text(dataset, key);
  if (labels && hdf5::has_attribute(dataset, "label_values")) {
    const auto values = hdf5::read_wholes(dataset, "label_values");
    const auto names = hdf5::read_texts_attribute(dataset, "label_names");
    if (values.size() != names.size()) throw FormatError(what + ": labels and their names differ in number");
    for (size_t i = 0; i < values.size(); ++i) (*labels)[values[i]] = names[i];
  }
  return Image(std::move(tensor), g, std::move(metadata));
}

const VoxelInfo* find(const std::vector<VoxelInfo>& infos, const std::string& name) {
  for (const auto& info : infos)
    if (info.name == name) return &info;
  return nullptr;
}

}  // namespace

const VoxelInfo* CaseRecord::image(const std::string& name) const { return find(info.images, name); }
const VoxelInfo* CaseRecord::mask(const std::string& name) const { return find(info.masks, name); }

bool CaseRecord::current(const FeatureRow& row) const {
  const VoxelInfo* i = image(row.image);
  const VoxelInfo* m = mask(row.mask);
  return i && m && i->content == row.image_content && m->content == row.mask_content;
}

std::string software() {
  unsigned major = 0, minor = 0, release = 0;
  H5get_libversion(&major, &minor, &release);
  return std::string("vesalius ") + VESALIUS_VERSION + ", torch " + VESALIUS_TORCH_VERSION + ", hdf5 " +
         std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(release);
}

void require_format(hid_t root, const std::string& format, const std::string& path) {
  const bool ours = hdf5::has_attribute(root, "format") && hdf5::read_text(root, "format") == format;
  if (!ours)
    throw FormatError(path + " is an HDF5 file and not a " + format + ": its root has no attribute format=\"" + format +
                      "\"");
  const int64_t version = hdf5::read_whole(root, "version");
  if (version > kFormatVersion)
    throw NotSupported(path + " is of format version " + std::to_string(version) +
                       "; this Vesalius (" VESALIUS_VERSION ") reads up to " + std::to_string(kFormatVersion) +
                       ". Install a newer Vesalius");
  if (version < 1) throw FormatError(path + ": format version " + std::to_string(version) + " does not exist");
}

VoxelInfo describe(const std::string& name, const Image& image, const Source& source) {
  const std::string sum = sha256(image.tensor());
  return {name,
          sum,
          content_hash(sum, image.geometry()),
          hdf5::dtype_name(image.tensor().scalar_type()),
          image.tensor().sizes().vec(),
          source};
}

void write_head(hid_t root, const std::string& format, const CaseInfo& info) {
  hdf5::write_attribute(root, "format", format);
  hdf5::write_attribute(root, "version", kFormatVersion);
  hdf5::write_attribute(root, "subject", info.id.subject);
  hdf5::write_attribute(root, "time_point", info.id.time_point);
  hdf5::write_attribute(root, "added", info.added);
  hdf5::write_attribute(root, "software", info.software);
}

void write_voxels(hid_t images, const VoxelInfo& info, const Image& image) { write_image_dataset(images, info, image); }

void write_voxels(hid_t masks, const VoxelInfo& info, const Mask& mask) {
  const hdf5::Dataset dataset = write_image_dataset(masks, info, mask);
  std::vector<int64_t> values;
  std::vector<std::string> names;
  for (const auto& [value, name] : mask.names()) values.push_back(value), names.push_back(name);
  if (values.empty()) return;
  hdf5::write_wholes(dataset, "label_values", values);
  hdf5::write_texts_attribute(dataset, "label_names", names);
}

void write_record(hid_t where, const std::string& name, const Record& record) {
  if (hdf5::has(where, name)) hdf5::require(H5Ldelete(where, name.c_str(), H5P_DEFAULT), "replacing " + name);
  const hdf5::Group group = hdf5::make_group(where, name);
  for (const auto& [key, value] : record) hdf5::write_attribute(group, key, value);
}

Record read_record(hid_t group) {
  Record record;
  for (const auto& key : hdf5::attribute_names(group)) record.emplace_back(key, hdf5::read_attribute(group, key));
  return record;
}

std::string case_bytes(const CaseInfo& info, const NewCase& content) {
  const hdf5::File file = hdf5::new_memory_file();
  write_head(file, kCaseFormat, info);
  {
    const hdf5::Group images = hdf5::make_group(file, "images"), masks = hdf5::make_group(file, "masks");
    for (const auto& voxels : info.images) write_voxels(images, voxels, content.images.at(voxels.name));
    for (const auto& voxels : info.masks) write_voxels(masks, voxels, content.masks.at(voxels.name));
  }
  write_record(file, "clinical", info.clinical);
  write_record(file, "outcome", info.outcome);
  return hdf5::bytes_of(file);
}

CaseInfo read_case(hid_t root, const std::string& path) {
  require_format(root, kCaseFormat, path);
  CaseInfo info;
  info.id = {hdf5::read_text(root, "subject"), hdf5::read_text(root, "time_point")};
  info.key = case_key(info.id.subject, info.id.time_point);
  info.added = hdf5::read_text(root, "added");
  info.software = hdf5::read_text(root, "software");
  info.images = read_infos(root, "images");
  info.masks = read_infos(root, "masks");
  info.clinical = read_record(hdf5::open_group(root, "clinical"));
  info.outcome = read_record(hdf5::open_group(root, "outcome"));
  return info;
}

Image read_image(hid_t root, const std::string& name, bool verify, const std::string& path) {
  return read_voxels(root, "images", name, verify, path, nullptr);
}

Mask read_mask(hid_t root, const std::string& name, bool verify, const std::string& path) {
  std::map<int64_t, std::string> labels;
  const Image image = read_voxels(root, "masks", name, verify, path, &labels);
  return Mask(image.tensor(), image.geometry(), std::move(labels), image.metadata());
}

Geometry read_geometry(hid_t root, const std::string& image) {
  const hdf5::Dataset dataset = hdf5::open_dataset(hdf5::open_group(root, "images"), encode_name(image));
  const auto shape = read_info(dataset).shape;
  if (shape.size() < 3)
    throw FormatError("image \"" + image + "\" has " + std::to_string(shape.size()) + " dimensions");
  return geometry_of(dataset, shape);
}

void write_features(hid_t root, const FeatureRows& rows) {
  for (const auto& [set, row] : rows) {
    const hdf5::Group group = hdf5::make_group(root, set);
    hdf5::write_attribute(group, "settings_hash", row.settings_hash);
    hdf5::write_attribute(group, "settings_yaml", row.settings_yaml);
    hdf5::write_attribute(group, "image", row.image);
    hdf5::write_attribute(group, "mask", row.mask);
    hdf5::write_attribute(group, "label", row.label);
    hdf5::write_attribute(group, "image_content_sha256", row.image_content);
    hdf5::write_attribute(group, "mask_content_sha256", row.mask_content);
    hdf5::write_attribute(group, "computed", row.computed);
    hdf5::write_attribute(group, "software", row.software);
    hdf5::write_texts(group, "names", row.columns->names);
    hdf5::write_texts(group, "codes", row.columns->codes);
    hdf5::write_doubles(group, "values", row.values, {row.values.size()});
  }
}

std::string feature_bytes(const CaseInfo& info, const FeatureRows& rows) {
  const hdf5::File file = hdf5::new_memory_file();
  write_head(file, kFeaturesFormat, info);
  write_features(file, rows);
  return hdf5::bytes_of(file);
}

FeatureRows read_features(hid_t root, const std::string& path) {
  require_format(root, kFeaturesFormat, path);
  FeatureRows rows;
  for (const auto& set : hdf5::link_names(root)) {
    const hdf5::Group group = hdf5::open_group(root, set);
    FeatureRow row;
    row.settings_hash = hdf5::read_text(group, "settings_hash");
    row.settings_yaml = hdf5::read_text(group, "settings_yaml");
    row.image = hdf5::read_text(group, "image");
    row.mask = hdf5::read_text(group, "mask");
    row.label = hdf5::read_whole(group, "label");
    row.image_content = hdf5::read_text(group, "image_content_sha256");
    row.mask_content = hdf5::read_text(group, "mask_content_sha256");
    row.computed = hdf5::read_text(group, "computed");
    row.software = hdf5::read_text(group, "software");
    Columns columns{hdf5::read_texts(group, "names"), hdf5::read_texts(group, "codes")};
    if (columns.names.size() != columns.codes.size()) throw FormatError(path + ": names and codes differ in number");
    row.values = hdf5::read_doubles(group, "values", columns.names.size());
    row.columns = std::make_shared<const Columns>(std::move(columns));
    rows[set] = std::move(row);
  }
  return rows;
}

}  // namespace vesalius::store
