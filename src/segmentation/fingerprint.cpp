// SPDX-License-Identifier: Apache-2.0
#include <vesalius/segmentation/fingerprint.h>

#include <algorithm>
#include <cmath>
#include <sstream>
#include <utility>

#include <nlohmann/json.hpp>

#include <vesalius/core/error.h>

#include "segmentation/fingerprint_json.h"
#include "segmentation/json_text.h"
#include "segmentation/nonzero.h"
#include "segmentation/numpy_random.h"
#include "segmentation/statistics.h"
#include "segmentation/workers.h"

namespace vesalius::segmentation {
namespace {

constexpr uint32_t kFingerprintSeed = 1234;

using Weighted = std::vector<std::pair<float, uint32_t>>;  // a voxel's value and how often it was drawn

struct CaseFingerprint {
  Vec3 spacing{};
  Index3 shape{};
  double relative_size = 1;
  std::vector<Weighted> drawn;  // a channel each
};

Weighted draw(const std::vector<float>& voxels, int64_t samples, detail::NumpyRandom& random) {
  Weighted out;
  if (voxels.empty()) return out;
  std::vector<uint32_t> times(voxels.size(), 0);
  for (int64_t i = 0; i < samples; ++i) ++times[random.below_or_equal(static_cast<uint32_t>(voxels.size() - 1))];
  for (size_t i = 0; i < voxels.size(); ++i)
    if (times[i]) out.emplace_back(voxels[i], times[i]);
  return out;
}

CaseFingerprint examine(const DatasetCase& files, int64_t channels, int64_t samples) {
  const LoadedCase loaded = load_case(files);
  const at::Tensor& image = loaded.image.tensor();
  if (image.size(0) != channels)
    throw InvalidArgument("case " + files.id + " has " + std::to_string(image.size(0)) + " channels, not " +
                          std::to_string(channels));
  CaseFingerprint out;
  const auto box = detail::nonzero_box(image);
  out.spacing = planning_spacing(loaded.image.geometry());
  out.shape = box.count;
  out.relative_size = double(box.count[0] * box.count[1] * box.count[2]) / double(loaded.image.geometry().voxels());
  // Voxels of the box in their order, those with a label above 0.
  const int16_t* labels = loaded.labels.const_data_ptr<int16_t>();
  const Index3 n = loaded.image.geometry().size;
  std::vector<int64_t> where;
  for (int64_t z = 0; z < box.count[0]; ++z)
    for (int64_t y = 0; y < box.count[1]; ++y) {
      const int64_t row = ((z + box.start[0]) * n[1] + y + box.start[1]) * n[2] + box.start[2];
      for (int64_t x = 0; x < box.count[2]; ++x)
        if (labels[row + x] > 0) where.push_back(row + x);
    }
  detail::NumpyRandom random(kFingerprintSeed);
  std::vector<float> values(where.size());
  for (int64_t c = 0; c < channels; ++c) {
    const float* voxels = image.const_data_ptr<float>() + c * n[0] * n[1] * n[2];
    for (size_t i = 0; i < where.size(); ++i) {
      values[i] = voxels[where[i]];
      if (!std::isfinite(values[i]))
        throw InvalidArgument("case " + files.id + ", channel " + std::to_string(c) +
                              " has NaN or infinite voxels under its labels; mend or leave out the case (check_dataset "
                              "names such cases)");
    }
    out.drawn.push_back(draw(values, samples, random));
  }
  return out;
}

/// The value at a rank among all draws, 0 the smallest.
double at_rank(const Weighted& sorted, const std::vector<uint64_t>& cumulative, uint64_t rank) {
  return sorted[std::upper_bound(cumulative.begin(), cumulative.end(), rank) - cumulative.begin()].first;
}

ChannelStatistics pooled(Weighted all) {
  std::sort(all.begin(), all.end());
  std::vector<uint64_t> cumulative(all.size());
  uint64_t total = 0;
  double sum = 0;
  for (size_t i = 0; i < all.size(); ++i) {
    cumulative[i] = total += all[i].second;
    sum += double(all[i].first) * all[i].second;
  }
  ChannelStatistics out;
  out.mean = sum / double(total);
  double squares = 0;
  for (const auto& [value, times] : all) squares += (value - out.mean) * (value - out.mean) * times;
  out.std = std::sqrt(squares / double(total));
  const auto percentile = [&](double q) {
    const double at = q * double(total - 1);
    const auto low = static_cast<uint64_t>(std::floor(at));
    const double a = at_rank(all, cumulative, low), b = at_rank(all, cumulative, std::min(low + 1, total - 1));
    return a + (b - a) * (at - double(low));
  };
  out.percentile_00_5 = percentile(0.005);
  out.median = percentile(0.5);
  out.percentile_99_5 = percentile(0.995);
  out.min = all.front().first;
  out.max = all.back().first;
  return out;
}

}  // namespace

Vec3 planning_spacing(const Geometry& geometry) {
  Vec3 spacing = geometry.spacing;
  if (geometry.size[0] == 1) spacing[0] = 999.0 * std::max(spacing[1], spacing[2]);
  return spacing;
}

Fingerprint fingerprint(const Dataset& dataset, int64_t jobs, Monitor* monitor, int64_t foreground_samples) {
  if (foreground_samples < 1) throw InvalidArgument("foreground_samples must be positive");
  const auto count = static_cast<int64_t>(dataset.cases.size());
  const auto channels = static_cast<int64_t>(dataset.channels.size());
  if (count == 0) throw InvalidArgument("the dataset " + dataset.name + " has no cases");
  std::vector<CaseFingerprint> found(count);
  detail::for_each_case(
      count, jobs, monitor, [&](int64_t i) { return dataset.cases[i].id; },
      [&](int64_t i) {
        found[i] = examine(dataset.cases[i], channels, std::max<int64_t>(1, foreground_samples / count));
      });
  Fingerprint out;
  std::vector<double> sizes;
  for (const auto& one : found) {
    out.spacings.push_back(one.spacing);
    out.shapes.push_back(one.shape);
    sizes.push_back(one.relative_size);
  }
  out.median_relative_size_after_cropping = detail::percentile(sizes, 0.5);
  for (int64_t c = 0; c < channels; ++c) {
    Weighted all;
    for (auto& one : found) {
      all.insert(all.end(), one.drawn[c].begin(), one.drawn[c].end());
      Weighted().swap(one.drawn[c]);
    }
    if (all.empty())
      throw InvalidArgument("no case of " + dataset.name +
                            " has a labelled voxel inside its nonzero box: there is "
                            "nothing to learn. Are the label maps empty?");
    out.channels.push_back(pooled(std::move(all)));
  }
  return out;
}

namespace detail {

nlohmann::ordered_json statistics_to_json(const std::vector<ChannelStatistics>& channels) {
  nlohmann::ordered_json out = nlohmann::ordered_json::object();
  for (size_t c = 0; c < channels.size(); ++c) {
    const auto& s = channels[c];
    out[std::to_string(c)] = {{"max", s.max},
                              {"mean", s.mean},
                              {"median", s.median},
                              {"min", s.min},
                              {"percentile_00_5", s.percentile_00_5},
                              {"percentile_99_5", s.percentile_99_5},
                              {"std", s.std}};
  }
  return out;
}

std::vector<ChannelStatistics> statistics_from_json(const nlohmann::ordered_json& json) {
  std::vector<ChannelStatistics> out(json.size());
  for (const auto& [key, value] : json.items()) {
    if (key.empty() || key.size() > 4 || key.find_first_not_of("0123456789") != std::string::npos ||
        std::stoull(key) >= out.size())
      throw FormatError("foreground_intensity_properties_per_channel: channels must be \"0\", \"1\", …; got \"" + key +
                        "\"");
    out[std::stoull(key)] = {value.at("mean"),
                             value.at("median"),
                             value.at("std"),
                             value.at("min"),
                             value.at("max"),
                             value.at("percentile_00_5"),
                             value.at("percentile_99_5")};
  }
  return out;
}

}  // namespace detail

std::string Fingerprint::to_json() const {
  nlohmann::ordered_json out;
  out["foreground_intensity_properties_per_channel"] = detail::statistics_to_json(channels);
  out["median_relative_size_after_cropping"] = median_relative_size_after_cropping;
  out["shapes_after_crop"] = shapes;
  out["spacings"] = spacings;
  return out.dump(2);
}

Fingerprint Fingerprint::from_json(const std::string& text) {
  try {
    const auto json = detail::parse_json(text);
    Fingerprint out;
    out.spacings = json.at("spacings").get<std::vector<Vec3>>();
    out.shapes = json.at("shapes_after_crop").get<std::vector<Index3>>();
    out.median_relative_size_after_cropping = json.at("median_relative_size_after_cropping");
    out.channels = detail::statistics_from_json(json.at("foreground_intensity_properties_per_channel"));
    if (out.spacings.size() != out.shapes.size())
      throw FormatError("fingerprint: " + std::to_string(out.spacings.size()) + " spacings and " +
                        std::to_string(out.shapes.size()) + " shapes");
    return out;
  } catch (const nlohmann::json::exception& why) {
    throw FormatError(std::string("fingerprint: ") + why.what());
  }
}

}  // namespace vesalius::segmentation
