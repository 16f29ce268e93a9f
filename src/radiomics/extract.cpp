// SPDX-License-Identifier: Apache-2.0
#include <vesalius/radiomics/features.h>

#include <cmath>

#include <vesalius/core/error.h>

#include "radiomics/family.h"

namespace vesalius::radiomics {

int64_t Features::index_of(std::string_view name) const {
  std::vector<std::string> known;
  std::vector<int64_t> found;
  for (size_t i = 0; i < columns.size(); ++i) {
    const auto& [column, row] = columns[i];
    if (column == name) return i;
    if (row->name == name || row->code == name || (!row->pyradiomics.empty() && row->pyradiomics == name))
      found.push_back(i);
    known.push_back(column);
  }
  if (found.size() == 1) return found.front();
  if (found.empty())
    throw InvalidArgument("there is no feature \"" + std::string(name) + "\" among these." +
                          vesalius::detail::did_you_mean(name, known));
  std::string candidates;
  for (int64_t i : found) candidates += (candidates.empty() ? "" : ", ") + columns[i].name;
  throw InvalidArgument("\"" + std::string(name) + "\" was computed in several ways; say which: " + candidates);
}

double Features::at(std::string_view name) const { return values[index_of(name)]; }

Features extract(const Image& image, const Mask& mask, const Settings& settings, int64_t label, Monitor* monitor,
                 int64_t channel) {
  Features features;
  features.columns = columns(settings);
  features.settings = settings;
  features.settings_hash = hash(to_map(settings));
  features.label = label;
  const auto families = chosen_families(settings);
  const int64_t total = static_cast<int64_t>(families.size()) + 1;
  step(monitor, 0, total, "region");
  const Roi roi(image, mask, settings, label, channel);
  features.morphological_voxels = roi.morphological_voxels();
  features.intensity_voxels = static_cast<int64_t>(roi.voxels().size());
  int64_t done = 1;
  for (const Family* family : families) {
    step(monitor, done++, total, std::string(family->info.name));
    for (const Variant& variant : family->variants(settings))
      for (const Value& value : family->compute(roi, variant)) {
        if (std::isnan(value.value))
          features.reasons[features.columns[features.values.size()].name] =
              value.reason ? value.reason : "the result is not a number";
        features.values.push_back(value.value);
      }
  }
  step(monitor, total, total, "done");
  return features;
}

std::map<int64_t, Features> extract_labels(const Image& image, const Mask& mask, const Settings& settings,
                                           const std::vector<int64_t>& labels, Monitor* monitor, int64_t channel) {
  const std::vector<int64_t> wanted = labels.empty() ? mask.labels() : labels;
  if (wanted.empty()) throw InvalidArgument("the mask is empty: every voxel is 0, so there is nothing to extract from");
  std::map<int64_t, Features> out;
  int64_t done = 0;
  for (int64_t label : wanted) {
    step(monitor, done++, wanted.size(), "label " + std::to_string(label));
    out[label] = extract(image, mask, settings, label, nullptr, channel);
  }
  step(monitor, wanted.size(), wanted.size(), "done");
  return out;
}

}  // namespace vesalius::radiomics
