// SPDX-License-Identifier: Apache-2.0
#include <filesystem>
#include <fstream>
#include <sstream>

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>

#include <nlohmann/json.hpp>

#include <vesalius/core/error.h>
#include <vesalius/core/settings.h>
#include <vesalius/segmentation/preprocess.h>

#include "io/atomic_file.h"
#include "segmentation/fingerprint_json.h"
#include "segmentation/json_text.h"
#include "segmentation/npy.h"
#include "segmentation/workers.h"

namespace vesalius::segmentation {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

std::string case_path(const std::string& folder, const std::string& id, const char* end) {
  return (fs::path(folder) / (id + end)).string();
}

void write_case_text(const std::string& path, const std::string& text) {
  io::detail::AtomicFile file(path);
  file.write(text.data(), static_cast<int64_t>(text.size()));
  file.commit();
}

std::string read_case_text(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw IoError("can't open " + path);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

Json trace_json(const PreprocessTrace& t) {
  return {{"size", t.geometry.size},
          {"spacing_mm", t.geometry.spacing},
          {"origin", t.geometry.origin},
          {"direction", t.geometry.direction},
          {"transpose", t.transpose},
          {"shape_before_crop", t.shape_before_crop},
          {"crop_start", t.crop_start},
          {"crop_shape", t.crop_shape},
          {"shape", t.shape},
          {"spacing", t.spacing},
          {"new_spacing", t.new_spacing}};
}

PreprocessTrace trace_from(const Json& json) {
  PreprocessTrace t;
  json.at("size").get_to(t.geometry.size);
  json.at("spacing_mm").get_to(t.geometry.spacing);
  json.at("origin").get_to(t.geometry.origin);
  json.at("direction").get_to(t.geometry.direction);
  json.at("transpose").get_to(t.transpose);
  json.at("shape_before_crop").get_to(t.shape_before_crop);
  json.at("crop_start").get_to(t.crop_start);
  json.at("crop_shape").get_to(t.crop_shape);
  json.at("shape").get_to(t.shape);
  json.at("spacing").get_to(t.spacing);
  json.at("new_spacing").get_to(t.new_spacing);
  return t;
}

/// What a folder of prepared cases depends on.
std::string plan_text(const PreprocessPlan& plan, const LabelSet& labels) {
  Json json;
  json["format"] = 1;
  json["transpose_forward"] = plan.transpose_forward;
  json["spacing"] = plan.spacing;
  std::vector<std::string> schemes;
  for (const auto scheme : plan.normalisation) schemes.push_back(to_string(scheme));
  json["normalisation"] = schemes;
  json["use_mask_for_norm"] = plan.use_mask_for_norm;
  json["channels"] = detail::statistics_to_json(plan.channels);
  json["labels"] = Json::parse(labels.to_json());
  return json.dump(2);
}

/// Size and time of the files that a case was made from: when they change, it is made again.
Json source_json(const DatasetCase& files) {
  Json out = Json::array();
  const auto add = [&](const std::string& path) {
    std::error_code error;
    const auto bytes = fs::file_size(path, error);
    const auto time = fs::last_write_time(path, error).time_since_epoch().count();
    out.push_back({path, error ? 0 : bytes, error ? 0 : static_cast<int64_t>(time)});
  };
  for (const auto& image : files.images) add(image);
  if (!files.label.empty()) add(files.label);
  return out;
}

void save_case(const std::string& folder, const std::string& id, const Preprocessed& data,
               const ForegroundLocations& locations, const Json& source) {
  if (!data.labels.defined()) throw InvalidArgument("a case to train on needs labels; " + id + " has none");
  std::error_code ignored;
  fs::remove(case_path(folder, id, ".json"), ignored);  // while the parts change, the case isn't there
  detail::write_npy(case_path(folder, id, ".image.npy"), data.image);
  detail::write_npy(case_path(folder, id, ".labels.npy"), data.labels);
  std::vector<int64_t> counts;
  for (const auto& voxels : locations.voxels) counts.push_back(voxels.size(0));
  detail::write_npy(case_path(folder, id, ".locations.npy"),
                    locations.voxels.empty() ? at::empty({0, 3}, at::kInt) : at::cat(locations.voxels, 0));
  Json json;
  json["id"] = id;
  json["trace"] = trace_json(data.trace);
  json["classes"] = locations.classes;
  json["counts"] = counts;
  json["source"] = source;
  write_case_text(case_path(folder, id, ".json"), json.dump());
}

bool up_to_date(const std::string& folder, const DatasetCase& files) {
  const std::string path = case_path(folder, files.id, ".json");
  std::error_code error;
  if (!fs::is_regular_file(path, error)) return false;
  try {
    return detail::parse_json(read_case_text(path)).at("source") == source_json(files);
  } catch (const std::exception&) {
    return false;
  }
}

/// Whether the files of a case belong together, and every location lies in the image.
bool parts_fit(const CachedCase& one, const at::Tensor& locations, const std::vector<int64_t>& counts) {
  if (one.image.scalar_type() != at::kFloat || one.labels.scalar_type() != at::kShort ||
      locations.scalar_type() != at::kInt || one.image.dim() != 4 || one.labels.dim() != 3 ||
      one.image.sizes().slice(1) != one.labels.sizes() || one.labels.sizes() != at::IntArrayRef(one.trace.shape) ||
      locations.dim() != 2 || locations.size(1) != 3 || counts.size() != one.locations.classes.size())
    return false;
  int64_t left = locations.size(0);
  for (const int64_t n : counts) {
    if (n < 0 || n > left) return false;
    left -= n;
  }
  const int32_t* voxel = locations.const_data_ptr<int32_t>();
  for (int64_t i = 0; i < locations.numel(); ++i)
    if (voxel[i] < 0 || voxel[i] >= one.labels.size(i % 3)) return false;
  return left == 0;
}

}  // namespace

bool CachedCase::exists(const std::string& folder, const std::string& id) {
  std::error_code error;
  return fs::is_regular_file(case_path(folder, id, ".json"), error);
}

void CachedCase::save(const std::string& folder, const std::string& id, const Preprocessed& data,
                      const ForegroundLocations& locations) {
  save_case(folder, id, data, locations, Json::array());
}

CachedCase CachedCase::open(const std::string& folder, const std::string& id) {
  if (!exists(folder, id)) throw IoError("there is no prepared case " + id + " in " + folder);
  CachedCase out;
  out.id = id;
  const std::string path = case_path(folder, id, ".json");
  std::vector<int64_t> counts;
  try {
    const Json json = detail::parse_json(read_case_text(path));
    out.trace = trace_from(json.at("trace"));
    out.trace.validate();
    out.locations.classes = json.at("classes").get<std::vector<std::vector<int64_t>>>();
    counts = json.at("counts").get<std::vector<int64_t>>();
  } catch (const nlohmann::json::exception& why) {
    throw FormatError(path + ": " + why.what() + "; delete the folder, it is made again");
  } catch (const Error& why) {
    throw FormatError(path + ": " + why.what() + "; delete the folder, it is made again");
  }
  out.image = detail::map_npy(case_path(folder, id, ".image.npy"));
  out.labels = detail::map_npy(case_path(folder, id, ".labels.npy"));
  const at::Tensor all = detail::map_npy(case_path(folder, id, ".locations.npy"));
  if (!parts_fit(out, all, counts))
    throw FormatError(path + " and its .npy files don't fit together; delete the folder, it is made again");
  int64_t at = 0;
  for (const int64_t n : counts) {
    out.locations.voxels.push_back(all.narrow(0, at, n));
    at += n;
  }
  return out;
}

int64_t preprocess_dataset(const Dataset& dataset, const PreprocessPlan& plan, const std::string& folder, int64_t jobs,
                           Monitor* monitor) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) throw IoError("can't make the folder " + folder + ": " + error.message());
  const std::string text = plan_text(plan, dataset.labels),
                    plan_file = (fs::path(folder) / "preprocessing.json").string();
  if (!fs::is_regular_file(plan_file, error) || read_case_text(plan_file) != text) {
    // Only what is ours goes: cases that this folder lists.
    for (const auto& entry : fs::directory_iterator(folder, error)) {
      const std::string name = entry.path().filename().string();
      if (name.ends_with(".json") && name != "preprocessing.json" &&
          fs::exists(case_path(folder, name.substr(0, name.size() - 5), ".image.npy")))
        fs::remove(entry.path(), error);
    }
    write_case_text(plan_file, text);
  }
  std::vector<int64_t> todo;
  for (size_t i = 0; i < dataset.cases.size(); ++i)
    if (!up_to_date(folder, dataset.cases[i])) todo.push_back(static_cast<int64_t>(i));
  detail::for_each_case(
      static_cast<int64_t>(todo.size()), jobs, monitor, [&](int64_t i) { return dataset.cases[todo[i]].id; },
      [&](int64_t i) {
        const DatasetCase& files = dataset.cases[todo[i]];
        const Json source = source_json(files);
        const LoadedCase loaded = load_case(files);
        const Preprocessed data = preprocess_image(loaded.image, plan, loaded.labels);
        save_case(folder, files.id, data, foreground_locations(data.labels, dataset.labels), source);
      });
  return static_cast<int64_t>(todo.size());
}

}  // namespace vesalius::segmentation
