// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <mutex>
#include <set>

#include <ATen/core/Tensor.h>

#include <vesalius/core/error.h>
#include <vesalius/segmentation/dataset.h>

#include "segmentation/dataset_oddities.h"
#include "segmentation/workers.h"

namespace vesalius::segmentation {
namespace {

struct CaseFinding {
  std::vector<Problem> problems;
  std::set<int64_t> labels;
  uint64_t voxel_hash = 0;
  detail::CaseTraits traits;
  bool read = false;
};

/// FNV-1a over words: to find the same voxels under two names.
uint64_t hash_of(const at::Tensor& tensor) {
  uint64_t hash = 1469598103934665603ull;
  const float* data = tensor.const_data_ptr<float>();
  for (int64_t i = 0; i < tensor.numel(); ++i) {
    uint32_t word;
    std::memcpy(&word, data + i, sizeof word);
    hash = (hash ^ word) * 1099511628211ull;
  }
  return hash ^ static_cast<uint64_t>(tensor.size(1) * 1000003 + tensor.size(2));
}

std::string kind_of(const Error& error) {
  if (dynamic_cast<const ShapeError*>(&error)) return "shape";
  if (dynamic_cast<const GeometryError*>(&error)) return "geometry";
  if (dynamic_cast<const TypeMismatch*>(&error)) return "labels";
  return "unreadable";
}

void check_voxels(const std::string& id, const at::Tensor& image, const std::vector<std::string>& channels,
                  CaseFinding& out) {
  if (image.size(0) != static_cast<int64_t>(channels.size())) {
    out.problems.push_back({id, "channels",
                            "case " + id + " has " + std::to_string(image.size(0)) + " channels; the dataset has " +
                                std::to_string(channels.size()),
                            true});
    return;
  }
  for (int64_t c = 0; c < image.size(0); ++c) {
    const at::Tensor channel = image[c];
    const float* voxels = channel.const_data_ptr<float>();
    int64_t wrong = 0;
    float low = INFINITY, high = -INFINITY;
    for (int64_t i = 0; i < channel.numel(); ++i) {
      if (!std::isfinite(voxels[i])) {
        ++wrong;
        continue;
      }
      low = std::min(low, voxels[i]);
      high = std::max(high, voxels[i]);
    }
    if (wrong > 0)
      out.problems.push_back({id, "nan",
                              "case " + id + ", channel " + channels[c] + ": " + std::to_string(wrong) + " of " +
                                  std::to_string(channel.numel()) + " voxels are NaN or infinite",
                              true});
    else if (low == high)
      out.problems.push_back({id, "constant",
                              "case " + id + ", channel " + channels[c] + ": every voxel is " + std::to_string(low),
                              image.size(0) == 1});
  }
}

void check_labels(const std::string& id, const at::Tensor& labels, const LabelSet& set, CaseFinding& out) {
  const auto allowed = set.values();
  const int16_t* voxels = labels.const_data_ptr<int16_t>();
  std::vector<int64_t> count(65536, 0);
  for (int64_t i = 0; i < labels.numel(); ++i) ++count[static_cast<uint16_t>(voxels[i])];
  std::string unknown;
  for (int64_t value = -32768; value < 32768; ++value) {
    if (!count[static_cast<uint16_t>(value)]) continue;
    out.labels.insert(value);
    if (set.ignore && value == *set.ignore) continue;
    if (!std::binary_search(allowed.begin(), allowed.end(), value))
      unknown += (unknown.empty() ? "" : ", ") + std::to_string(value) + " (" +
                 std::to_string(count[static_cast<uint16_t>(value)]) + " voxels)";
  }
  if (!unknown.empty())
    out.problems.push_back(
        {id, "labels", "case " + id + " has labels that the dataset doesn't name: " + unknown, true});
  else if (std::none_of(out.labels.begin(), out.labels.end(), [&](int64_t v) { return v != 0 && v != set.ignore; }))
    out.problems.push_back({id, "empty", "case " + id + " has no labelled voxel", false});
}

bool is_fatal(const std::vector<Problem>& problems) {
  return std::any_of(problems.begin(), problems.end(), [](const auto& p) { return p.fatal; });
}

}  // namespace

std::vector<Problem> check_dataset(const Dataset& dataset, int64_t jobs, Monitor* monitor) {
  const auto count = static_cast<int64_t>(dataset.cases.size());
  std::vector<CaseFinding> found(count);
  detail::for_each_case(
      count, jobs, monitor, [&](int64_t i) { return dataset.cases[i].id; },
      [&](int64_t i) {
        const DatasetCase& entry = dataset.cases[i];
        CaseFinding& out = found[i];
        try {
          const LoadedCase loaded = load_case(entry);
          check_voxels(entry.id, loaded.image.tensor(), dataset.channels, out);
          check_labels(entry.id, loaded.labels, dataset.labels, out);
          if (!is_fatal(out.problems)) {
            out.voxel_hash = hash_of(loaded.image.tensor());
            out.traits = detail::case_traits(entry, loaded);
          }
          out.read = true;
        } catch (const Cancelled&) {
          throw;
        } catch (const Error& why) {
          out.problems.push_back({entry.id, kind_of(why), "case " + entry.id + ": " + why.what(), true});
        }
      });

  std::vector<Problem> problems = dataset.file_problems;
  std::map<uint64_t, std::string> seen;
  std::set<int64_t> present;
  int64_t usable = 0;
  std::vector<const detail::CaseTraits*> traits;
  for (int64_t i = 0; i < count; ++i) {
    problems.insert(problems.end(), found[i].problems.begin(), found[i].problems.end());
    if (is_fatal(found[i].problems) || !found[i].read) continue;
    const auto [first, fresh] = seen.emplace(found[i].voxel_hash, dataset.cases[i].id);
    if (!fresh) {
      problems.push_back({dataset.cases[i].id, "duplicate",
                          "cases " + first->second + " and " + dataset.cases[i].id +
                              " have the same voxels; the second is left out, lest it "
                              "stand in training and validation",
                          true});
      continue;
    }
    present.insert(found[i].labels.begin(), found[i].labels.end());
    traits.push_back(&found[i].traits);
    ++usable;
  }
  const auto odd = detail::oddities(dataset, traits);
  problems.insert(problems.end(), odd.begin(), odd.end());
  for (const auto& [name, numbers] : dataset.labels.labels)
    if (usable > 0 && std::none_of(numbers.begin(), numbers.end(), [&](int64_t v) { return present.count(v); }))
      problems.push_back(
          {"", "absent", "no usable case has a voxel of \"" + name + "\"; nothing can be learnt of it", false});
  if (dataset.labels.foreground().empty())
    problems.push_back({"", "no_classes", "the dataset names no class besides the background", true});
  if (usable == 0)
    problems.push_back({"", "no_cases", "no case can be used", true});
  else if (usable == 1)
    problems.push_back({"", "one_case",
                        "only one case can be used: it can't be split, so validation would be on what was trained on",
                        false});
  return problems;
}

}  // namespace vesalius::segmentation
