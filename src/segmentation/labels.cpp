// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <limits>
#include <set>

#include <nlohmann/json.hpp>

#include <vesalius/core/error.h>
#include <vesalius/segmentation/dataset.h>

#include "segmentation/json_text.h"
#include "segmentation/label_json.h"

namespace vesalius::segmentation {

bool LabelSet::has_regions() const {
  return std::any_of(labels.begin(), labels.end(), [](const auto& entry) { return entry.second.size() > 1; });
}

std::vector<int64_t> LabelSet::values() const {
  std::set<int64_t> all;
  for (const auto& [name, numbers] : labels) all.insert(numbers.begin(), numbers.end());
  return {all.begin(), all.end()};
}

std::vector<std::vector<int64_t>> LabelSet::foreground() const {
  std::vector<std::vector<int64_t>> out;
  if (has_regions()) {
    for (const auto& [name, numbers] : labels)
      if (!(numbers.size() == 1 && numbers[0] == 0)) out.push_back(numbers);
    return out;
  }
  for (const int64_t value : values())
    if (value != 0) out.push_back({value});
  return out;
}

std::vector<std::string> LabelSet::foreground_names() const {
  std::vector<std::string> out;
  for (const auto& wanted : foreground())
    for (const auto& [name, numbers] : labels)
      if (numbers == wanted) {
        out.push_back(name);
        break;
      }
  return out;
}

int64_t LabelSet::heads() const { return static_cast<int64_t>(foreground().size()) + (has_regions() ? 0 : 1); }

void LabelSet::validate() const {
  const auto all = values();
  if (all.empty() || all[0] != 0)
    throw InvalidArgument("labels: 0 must be the background; the labels given are " + to_json());
  for (size_t i = 0; i < all.size(); ++i)
    if (all[i] != static_cast<int64_t>(i))
      throw InvalidArgument("labels: numbers must run 0, 1, 2, … without a gap; " + std::to_string(i) +
                            " is missing in " + to_json() + ". Renumber the label maps");
  if (ignore && *ignore != static_cast<int64_t>(all.size()))
    throw InvalidArgument("labels: ignore must be the highest number, " + std::to_string(all.size()) + " here; got " +
                          std::to_string(*ignore));
  if (has_regions() && regions_class_order.size() != foreground().size())
    throw InvalidArgument("labels: region-based training needs regions_class_order with one number a region (" +
                          std::to_string(foreground().size()) + "); got " + std::to_string(regions_class_order.size()));
  for (const int64_t value : regions_class_order)
    if (value < 0 || value > std::numeric_limits<int16_t>::max())
      throw InvalidArgument("labels: regions_class_order holds label numbers, 0 to 32767; got " +
                            std::to_string(value));
}

std::string LabelSet::to_json() const { return detail::label_set_to_json(*this).dump(); }

LabelSet LabelSet::from_json(const std::string& text) {
  try {
    return detail::label_set_from_json(detail::parse_json(text));
  } catch (const nlohmann::json::exception& why) {
    throw FormatError(std::string("labels: not valid JSON: ") + why.what());
  }
}

namespace detail {

nlohmann::ordered_json label_set_to_json(const LabelSet& set) {
  nlohmann::ordered_json labels = nlohmann::ordered_json::object();
  for (const auto& [name, numbers] : set.labels) {
    if (numbers.size() == 1)
      labels[name] = numbers[0];
    else
      labels[name] = numbers;
  }
  if (set.ignore) labels["ignore"] = *set.ignore;
  nlohmann::ordered_json out{{"labels", labels}};
  if (!set.regions_class_order.empty()) out["regions_class_order"] = set.regions_class_order;
  return out;
}

LabelSet label_set_from_json(const nlohmann::ordered_json& json) {
  if (!json.is_object() || !json.contains("labels") || !json["labels"].is_object())
    throw FormatError("\"labels\" must map names to numbers, such as {\"background\": 0, \"tumour\": 1}");
  LabelSet set;
  for (const auto& [key, value] : json["labels"].items()) {
    std::vector<int64_t> numbers;
    std::string name = key;
    if (value.is_string()) {  // the Decathlon's order: {"1": "Anterior"}
      name = value.get<std::string>();
      if (key.empty() || key.find_first_not_of("0123456789") != std::string::npos || key.size() > 6)
        throw FormatError("\"labels\": \"" + key.substr(0, 60) + "\" is not a number");
      numbers = {std::stoll(key)};
    } else if (value.is_number_integer()) {
      numbers = {value.get<int64_t>()};
    } else if (value.is_array() && !value.empty() &&
               std::all_of(value.begin(), value.end(), [](const auto& v) { return v.is_number_integer(); })) {
      numbers = value.get<std::vector<int64_t>>();
    } else {
      throw FormatError("\"labels\": \"" + key.substr(0, 60) +
                        "\" must be a whole number or a list of them (a region)");
    }
    if (name == "ignore") {
      if (numbers.size() != 1) throw FormatError("\"labels\": ignore is one number");
      set.ignore = numbers[0];
    } else {
      set.labels.emplace_back(name, numbers);
    }
  }
  if (json.contains("regions_class_order") && json["regions_class_order"].is_array())
    set.regions_class_order = json["regions_class_order"].get<std::vector<int64_t>>();
  return set;
}

}  // namespace detail
}  // namespace vesalius::segmentation
