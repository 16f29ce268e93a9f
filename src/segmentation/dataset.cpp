// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <limits>
#include <map>
#include <mutex>
#include <set>
#include <sstream>

#include <ATen/ops/_unique.h>
#include <ATen/ops/cat.h>

#include <nlohmann/json.hpp>

#include <vesalius/core/error.h>
#include <vesalius/io/read.h>
#include <vesalius/segmentation/dataset.h>

#include "segmentation/json_text.h"
#include "segmentation/label_json.h"
#include "segmentation/workers.h"

namespace vesalius::segmentation {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr const char* kEndings[] = {".nii.gz", ".nii", ".nrrd", ".mha", ".mhd",
                                    ".png",    ".tif", ".tiff", ".jpg", ".jpeg"};
constexpr uintmax_t kMaxJsonBytes = 64 << 20;

std::string ending_of(const std::string& name) {
  for (const char* ending : kEndings)
    if (name.size() > std::string(ending).size() && name.ends_with(ending)) return ending;
  return "";
}

std::vector<std::string> files_in(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    if (!name.empty() && name[0] != '.') names.push_back(name);
  }
  if (error) throw IoError("can't list " + folder.string() + ": " + error.message());
  std::sort(names.begin(), names.end());
  return names;
}

Json read_dataset_json(const fs::path& path) {
  std::error_code error;
  const auto bytes = fs::file_size(path, error);
  if (error) throw IoError("can't read " + path.string() + ": " + error.message());
  if (bytes > kMaxJsonBytes) throw FormatError(path.string() + " is too large for a dataset.json");
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  try {
    return detail::parse_json(text.str());
  } catch (const nlohmann::json::exception& why) {
    throw FormatError(path.string() + " is not valid JSON: " + why.what());
  } catch (const FormatError& why) {
    throw FormatError(path.string() + ": " + why.what());
  }
}

/// `<id>_<0000>` → id and channel; channel -1 where the name has no such end.
std::pair<std::string, int64_t> split_channel(const std::string& stem) {
  const size_t n = stem.size();
  if (n > 5 && stem[n - 5] == '_' &&
      std::all_of(stem.end() - 4, stem.end(), [](char c) { return c >= '0' && c <= '9'; }))
    return {stem.substr(0, n - 5), std::stoll(stem.substr(n - 4))};
  return {stem, -1};
}

/// imagesTr or imagesTs: the channels of each case by its id.
std::map<std::string, std::map<int64_t, std::string>> images_by_case(const fs::path& folder,
                                                                     const std::string& ending) {
  std::map<std::string, std::map<int64_t, std::string>> found;
  for (const std::string& name : files_in(folder)) {
    if (!name.ends_with(ending)) continue;
    const auto [id, channel] = split_channel(name.substr(0, name.size() - ending.size()));
    found[id][channel] = (folder / name).string();
  }
  return found;
}

/// One path a channel, or a Problem.
bool take_channels(const std::string& id, const std::map<int64_t, std::string>& found, size_t channels,
                   DatasetCase& out, std::vector<Problem>& problems) {
  for (size_t c = 0; c < channels; ++c) {
    const auto file = found.find(static_cast<int64_t>(c));
    if (file == found.end()) {
      if (c > 0 && found.size() == 1) break;  // one file may hold all channels (RGB)
      char expected[32];
      std::snprintf(expected, sizeof expected, "_%04zu", c);
      problems.push_back({id, "missing_channel",
                          "case " + id + " has no image " + id + expected + "; dataset.json names " +
                              std::to_string(channels) + " channels",
                          true});
      return false;
    }
    out.images.push_back(file->second);
  }
  for (const auto& [channel, path] : found)
    if (channel >= static_cast<int64_t>(channels) || channel < 0)
      problems.push_back({id, "extra_channel", path + " belongs to no channel of dataset.json", false});
  return true;
}

void list_raw(const fs::path& root, const Json& json, Dataset& dataset) {
  if (!json.contains("file_ending") || !json["file_ending"].is_string())
    throw FormatError((root / "dataset.json").string() + " has no \"file_ending\", such as \".nii.gz\"");
  const std::string ending = json["file_ending"].get<std::string>();
  const fs::path images = root / "imagesTr", labels = root / "labelsTr";
  std::map<std::string, std::string> label_files;
  for (const std::string& name : files_in(labels))
    if (name.ends_with(ending)) label_files[name.substr(0, name.size() - ending.size())] = (labels / name).string();
  const auto found = images_by_case(images, ending);
  for (const auto& [id, channels] : found) {
    DatasetCase entry{id, {}, ""};
    if (!take_channels(id, channels, dataset.channels.size(), entry, dataset.file_problems)) continue;
    const auto label = label_files.find(id);
    if (label == label_files.end()) {
      dataset.file_problems.push_back(
          {id, "missing_label", "case " + id + " has images and no label file " + (labels / (id + ending)).string(),
           true});
      continue;
    }
    entry.label = label->second;
    dataset.cases.push_back(entry);
  }
  for (const auto& [id, path] : label_files)
    if (!found.count(id))
      dataset.file_problems.push_back({id, "missing_image", path + " has no images in " + images.string(), true});
  std::error_code ignored;
  if (fs::is_directory(root / "imagesTs", ignored))
    for (const auto& [id, channels] : images_by_case(root / "imagesTs", ending)) {
      DatasetCase entry{id, {}, ""};
      if (take_channels(id, channels, dataset.channels.size(), entry, dataset.file_problems))
        dataset.test.push_back(entry);
    }
}

void list_explicit(const fs::path& root, const Json& json, Dataset& dataset) {
  const auto absolute = [&](const std::string& path) {
    return fs::path(path).is_absolute() ? path : (root / path).lexically_normal().string();
  };
  for (const auto& [id, files] : json["dataset"].items()) {
    // The name becomes that of files (prepared cases, predictions).
    if (id.empty() || id[0] == '.' || id.find_first_of("/\\") != std::string::npos)
      throw FormatError("\"dataset\": a case's name is part of file names; \"" + id.substr(0, 60) +
                        "\" is empty, starts with a dot or holds a slash");
    DatasetCase entry{id, {}, ""};
    for (const auto& image : files.at("images")) entry.images.push_back(absolute(image.get<std::string>()));
    entry.label = absolute(files.at("label").get<std::string>());
    dataset.cases.push_back(entry);
  }
  std::sort(dataset.cases.begin(), dataset.cases.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
}

Dataset open_raw(const fs::path& root) {
  const fs::path file = root / "dataset.json";
  const Json json = read_dataset_json(file);
  Dataset dataset;
  try {
    const auto& names = json.contains("channel_names") ? json.at("channel_names") : json.at("modality");
    for (const auto& [key, value] : names.items()) dataset.channels.push_back(value.get<std::string>());
    if (dataset.channels.empty()) throw FormatError("\"channel_names\" is empty");
    dataset.labels = detail::label_set_from_json(json);
    dataset.labels.validate();
    if (json.contains("dataset"))
      list_explicit(root, json, dataset);
    else
      list_raw(root, json, dataset);
  } catch (const nlohmann::json::exception& why) {
    throw FormatError(file.string() + ": " + why.what() + "; it needs channel_names, labels, numTraining, file_ending");
  } catch (const IoError&) {
    throw;
  } catch (const Error& why) {
    throw FormatError(file.string() + ": " + why.what());
  }
  const size_t listed = dataset.cases.size() + dataset.file_problems.size();
  if (json.contains("numTraining") && json["numTraining"].is_number_integer() &&
      json["numTraining"].get<int64_t>() != static_cast<int64_t>(dataset.cases.size()))
    dataset.file_problems.push_back({"", "count",
                                     "dataset.json says numTraining " +
                                         std::to_string(json["numTraining"].get<int64_t>()) + "; " +
                                         std::to_string(dataset.cases.size()) + " complete cases are there",
                                     false});
  if (listed == 0) throw FormatError("no cases in " + (root / "imagesTr").string());
  return dataset;
}

/// Numbers found in the label maps of a plain pair of folders; those in hardly any case are left for `check_dataset` to
/// report, lest a slip of the pen becomes a class.
LabelSet discover_labels(const std::vector<DatasetCase>& cases) {
  std::map<int64_t, int64_t> count;
  std::mutex mutex;
  detail::for_each_case(
      static_cast<int64_t>(cases.size()), 0, nullptr, [](int64_t) { return ""; },
      [&](int64_t i) {
        std::vector<int64_t> found;
        try {
          found = io::read_mask(cases[i].label).labels();
        } catch (const Error&) {
          return;  // check_dataset says why
        }
        const std::lock_guard lock(mutex);
        for (const int64_t label : found) ++count[label];
      });
  LabelSet set;
  set.labels.emplace_back("background", std::vector<int64_t>{0});
  for (const auto& [label, times] : count)
    if (label > 0 && times * 20 >= static_cast<int64_t>(cases.size()))
      set.labels.emplace_back("label_" + std::to_string(label), std::vector<int64_t>{label});
  return set;
}

Dataset open_pair(const fs::path& root, const std::vector<std::string>& label_names,
                  const std::vector<std::string>& channels) {
  Dataset dataset;
  dataset.channels = channels.empty() ? std::vector<std::string>{"image"} : channels;
  if (dataset.channels.size() != 1)
    throw InvalidArgument("a plain pair of folders (images, labels) has one image a case, so one channel name; got " +
                          std::to_string(dataset.channels.size()) + ". For more channels use nnU-Net's raw format");
  std::map<std::string, std::string> labels;
  for (const std::string& name : files_in(root / "labels"))
    if (const auto ending = ending_of(name); !ending.empty())
      labels[name.substr(0, name.size() - ending.size())] = (root / "labels" / name).string();
  std::set<std::string> seen;
  for (const std::string& name : files_in(root / "images")) {
    const auto ending = ending_of(name);
    if (ending.empty()) continue;
    const std::string id = name.substr(0, name.size() - ending.size());
    const std::string path = (root / "images" / name).string();
    if (!seen.insert(id).second) {
      dataset.file_problems.push_back(
          {id, "duplicate", "two images are called " + id + "; " + path + " is left out", true});
      continue;
    }
    const auto label = labels.find(id);
    if (label == labels.end())
      dataset.file_problems.push_back(
          {id, "missing_label", path + " has no label map of that name in " + (root / "labels").string(), true});
    else
      dataset.cases.push_back({id, {path}, label->second});
  }
  for (const auto& [id, path] : labels)
    if (!seen.count(id))
      dataset.file_problems.push_back(
          {id, "missing_image", path + " has no image of that name in " + (root / "images").string(), true});
  if (dataset.cases.empty())
    throw FormatError("no image in " + (root / "images").string() + " has a label map of the same name in labels/");
  if (label_names.empty()) {
    dataset.labels = discover_labels(dataset.cases);
  } else {
    dataset.labels.labels.emplace_back("background", std::vector<int64_t>{0});
    for (size_t i = 0; i < label_names.size(); ++i)
      dataset.labels.labels.emplace_back(label_names[i], std::vector<int64_t>{static_cast<int64_t>(i) + 1});
  }
  dataset.labels.validate();
  return dataset;
}

}  // namespace

Dataset Dataset::open(const std::string& folder, const std::vector<std::string>& label_names,
                      const std::vector<std::string>& channels) {
  std::error_code error;
  const fs::path root(folder);
  if (!fs::is_directory(root, error)) throw IoError("there is no folder " + folder);
  Dataset dataset;
  if (fs::is_regular_file(root / "dataset.json", error))
    dataset = open_raw(root);
  else if (fs::is_directory(root / "images", error) && fs::is_directory(root / "labels", error))
    dataset = open_pair(root, label_names, channels);
  else
    throw FormatError(folder +
                      " is no dataset: it needs dataset.json with imagesTr and labelsTr (nnU-Net's raw format), or the "
                      "folders images and labels with files of the same names");
  dataset.root = root.string();
  const fs::path named = fs::absolute(root).lexically_normal();
  dataset.name = named.filename().empty() ? named.parent_path().filename().string() : named.filename().string();
  return dataset;
}

LoadedCase load_case(const DatasetCase& files, Monitor* monitor) {
  if (files.images.empty()) throw InvalidArgument("case " + files.id + " has no image files");
  std::vector<at::Tensor> channels;
  Geometry geometry;
  for (size_t c = 0; c < files.images.size(); ++c) {
    const Image image = io::read_image(files.images[c], {}, monitor);
    if (c == 0)
      geometry = image.geometry();
    else
      geometry.require_same(image.geometry(), files.images[0], files.images[c]);
    const at::Tensor voxels = image.tensor().to(at::kFloat);
    channels.push_back(voxels.dim() == 3 ? voxels.unsqueeze(0) : voxels);
  }
  LoadedCase out;
  out.image = Image(channels.size() == 1 ? channels[0].contiguous() : at::cat(channels, 0), geometry);
  if (!files.label.empty()) {
    const Mask mask = io::read_mask(files.label, nullptr, {}, monitor);
    if (mask.geometry().size != geometry.size) {
      std::ostringstream text;
      text << files.label << " has " << mask.tensor().sizes() << " voxels (z, y, x), its image " << files.images[0]
           << " has " << out.image.tensor().sizes().slice(1);
      throw ShapeError(text.str());
    }
    geometry.require_same(mask.geometry(), files.images[0], files.label);
    const int64_t low = mask.tensor().min().item<int64_t>(), high = mask.tensor().max().item<int64_t>();
    if (low < std::numeric_limits<int16_t>::min() || high > std::numeric_limits<int16_t>::max())
      throw FormatError(files.label + " has labels from " + std::to_string(low) + " to " + std::to_string(high) +
                        "; label numbers lie in 0..32767");
    out.labels = mask.tensor().to(at::kShort).contiguous();
  }
  return out;
}

}  // namespace vesalius::segmentation
