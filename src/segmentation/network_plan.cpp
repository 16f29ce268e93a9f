// SPDX-License-Identifier: Apache-2.0
#include <vesalius/segmentation/network_plan.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <sstream>

#include <nlohmann/json.hpp>

#include <vesalius/core/error.h>

#include "segmentation/json_text.h"
#include "segmentation/label_text.h"

namespace vesalius::segmentation {
namespace {

constexpr Normalisation kNormalisations[] = {Normalisation::zscore, Normalisation::ct, Normalisation::none,
                                             Normalisation::rescale_to_0_1, Normalisation::rgb_to_0_1};

Normalisation scheme_of(const std::string& text) {
  std::string list;
  for (const Normalisation scheme : kNormalisations) {
    if (to_string(scheme) == text) return scheme;
    list += (list.empty() ? "" : ", ") + to_string(scheme);
  }
  throw InvalidArgument("plan: normalisation is one of " + list + "; got \"" + text.substr(0, 60) + "\"");
}

std::string text_of(const std::vector<int64_t>& numbers) {
  std::string out;
  for (const int64_t n : numbers) out += (out.empty() ? "" : " ") + std::to_string(n);
  return out;
}

void require_size(const char* field, size_t got, size_t want, const char* of) {
  if (got != want)
    throw InvalidArgument(std::string("plan: ") + field + " has " + std::to_string(got) + " entries; it needs " +
                          std::to_string(want) + ", one for each " + of);
}

/// A folder's or a file's name inside the bundle, never a way out of it.
void require_name(const char* field, const std::string& name) {
  const bool plain = !name.empty() && name.size() <= 64 && name[0] != '.' &&
                     std::all_of(name.begin(), name.end(),
                                 [](unsigned char c) { return std::isalnum(c) || c == '_' || c == '-' || c == '.'; });
  if (!plain)
    throw InvalidArgument(std::string("plan: ") + field + " is a plain name of letters, digits, _ and -; got \"" +
                          name.substr(0, 60) + "\"");
}

}  // namespace

std::vector<int64_t> numbers_of(const std::string& text) {
  std::istringstream in(text);
  std::vector<int64_t> out;
  for (std::string word; in >> word;) {
    if (word.size() > 6 || word.find_first_not_of("0123456789") != std::string::npos)
      throw InvalidArgument("plan: labels are whole numbers with blanks between; got \"" + text.substr(0, 60) + "\"");
    out.push_back(std::stoll(word));
  }
  if (out.empty()) throw InvalidArgument("plan: a label's numbers are empty");
  return out;
}

NetworkPlan NetworkPlan::from_plans(const Plans& plans, const std::string& configuration, const LabelSet& labels,
                                    const std::vector<std::string>& channels) {
  const Configuration& c = plans.configuration(configuration);
  NetworkPlan out;
  out.name = plans.dataset_name.empty() ? configuration : plans.dataset_name + " " + configuration;
  NetworkSpec& n = out.network;
  n.kind = c.residual ? NetworkKind::residual_unet : NetworkKind::plain_unet;
  n.dimension = c.dimensions();
  n.in_channels = static_cast<int64_t>(channels.size());
  if (!c.previous_stage.empty()) n.in_channels += static_cast<int64_t>(labels.values().size()) - 1;
  n.num_classes = labels.heads();
  n.features_per_stage = c.features;
  for (const auto& kernel : c.kernels) n.kernel_sizes.insert(n.kernel_sizes.end(), kernel.begin(), kernel.end());
  for (const auto& stride : c.strides) n.strides.insert(n.strides.end(), stride.begin(), stride.end());
  n.n_conv_per_stage = c.blocks;
  n.n_conv_per_stage_decoder = c.decoder_convolutions;
  n = n.completed();
  out.transpose_forward = plans.transpose_forward;
  out.spacing = c.spacing;
  out.patch_size = c.patch_size;
  out.channels = channels;
  for (const Normalisation scheme : c.normalisation) out.normalisation.push_back(to_string(scheme));
  for (const bool use : c.use_mask_for_norm) out.use_mask_for_norm.push_back(use);
  for (const ChannelStatistics& s : plans.channels) {
    out.intensity_mean.push_back(s.mean);
    out.intensity_median.push_back(s.median);
    out.intensity_std.push_back(s.std);
    out.intensity_min.push_back(s.min);
    out.intensity_max.push_back(s.max);
    out.intensity_percentile_00_5.push_back(s.percentile_00_5);
    out.intensity_percentile_99_5.push_back(s.percentile_99_5);
  }
  for (const auto& [name, numbers] : labels.labels) {
    out.label_names.push_back(name);
    out.label_values.push_back(text_of(numbers));
  }
  out.regions_class_order = labels.regions_class_order;
  out.ignore_label = labels.ignore;
  for (int64_t a = 0; a < c.dimensions(); ++a) out.mirror_axes.push_back(a);
  out.previous_stage = c.previous_stage;
  out.validate();
  return out;
}

NetworkPlan NetworkPlan::from_nnunet(const std::string& plans_json, const std::string& dataset_json,
                                     const std::string& configuration) {
  std::vector<std::string> channels;
  try {
    const auto json = detail::parse_json(dataset_json);
    const auto& names = json.contains("channel_names") ? json.at("channel_names") : json.at("modality");
    for (const auto& [key, value] : names.items()) channels.push_back(value.get<std::string>());
  } catch (const nlohmann::json::exception& why) {
    throw FormatError(std::string("dataset.json: ") + why.what());
  }
  return from_plans(Plans::from_json(plans_json), configuration, LabelSet::from_json(dataset_json), channels);
}

PreprocessPlan NetworkPlan::preprocess() const {
  PreprocessPlan out;
  out.transpose_forward = transpose_forward;
  out.spacing = spacing;
  for (size_t c = 0; c < channels.size(); ++c) {
    out.normalisation.push_back(scheme_of(normalisation[c]));
    out.use_mask_for_norm.push_back(use_mask_for_norm[c] != 0);
    ChannelStatistics s;
    if (!intensity_mean.empty()) {
      s.mean = intensity_mean[c];
      s.median = intensity_median[c];
      s.std = intensity_std[c];
      s.min = intensity_min[c];
      s.max = intensity_max[c];
      s.percentile_00_5 = intensity_percentile_00_5[c];
      s.percentile_99_5 = intensity_percentile_99_5[c];
    }
    out.channels.push_back(s);
  }
  return out;
}

LabelSet NetworkPlan::label_set() const {
  LabelSet set;
  for (size_t i = 0; i < label_names.size(); ++i) set.labels.emplace_back(label_names[i], numbers_of(label_values[i]));
  set.regions_class_order = regions_class_order;
  set.ignore = ignore_label;
  return set;
}

void NetworkPlan::validate() const {
  if (version != 2)
    throw InvalidArgument("plan: version " + std::to_string(version) + "; a network's plan is of version 2");
  const NetworkSpec spec = network.completed();
  if (spec.is_classifier())
    throw InvalidArgument("plan: " + to_string(spec.kind) + " classifies; a bundle's network segments");
  const auto axes = static_cast<size_t>(spec.dimension);
  require_size("patch_size", patch_size.size(), axes, "axis of the network");
  require_size("spacing", spacing.size(), axes, "axis of the network");
  const auto divisor = spec.divisor();
  constexpr double kMostVoxels = 1 << 30;
  double voxels = 1;
  for (size_t a = 0; a < axes; ++a) {
    voxels *= static_cast<double>(patch_size[a]);
    if (patch_size[a] < 1 || patch_size[a] > 4096 || patch_size[a] % divisor[a])
      throw InvalidArgument("plan: patch_size is a multiple of " + std::to_string(divisor[a]) +
                            " up to 4096 along axis " + std::to_string(a) + "; got " + std::to_string(patch_size[a]));
    if (!(spacing[a] > 0 && std::isfinite(spacing[a])))
      throw InvalidArgument("plan: spacing is positive; got " + std::to_string(spacing[a]));
  }
  if (voxels > kMostVoxels)
    throw InvalidArgument("plan: patch_size has more than 2^30 voxels; no memory holds its layers");
  if (std::set<int64_t>(transpose_forward.begin(), transpose_forward.end()) != std::set<int64_t>{0, 1, 2})
    throw InvalidArgument("plan: transpose_forward is a permutation of 0, 1, 2");
  if (channels.empty()) throw InvalidArgument("plan: channels names at least one channel");
  require_size("normalisation", normalisation.size(), channels.size(), "channel");
  require_size("use_mask_for_norm", use_mask_for_norm.size(), channels.size(), "channel");
  bool ct = false;
  for (const auto& text : normalisation) ct = scheme_of(text) == Normalisation::ct || ct;
  for (const auto* list : {&intensity_mean, &intensity_median, &intensity_std, &intensity_min, &intensity_max,
                           &intensity_percentile_00_5, &intensity_percentile_99_5})
    if (ct || !intensity_mean.empty()) require_size("each intensity_… list", list->size(), channels.size(), "channel");
  require_size("label_values", label_values.size(), label_names.size(), "name in label_names");
  const LabelSet labels = label_set();
  labels.validate();
  if (spec.num_classes != labels.heads())
    throw InvalidArgument("plan: network_num_classes is " + std::to_string(spec.num_classes) + "; the labels need " +
                          std::to_string(labels.heads()));
  const auto extra = previous_stage.empty() ? int64_t{0} : static_cast<int64_t>(labels.values().size()) - 1;
  if (spec.in_channels != static_cast<int64_t>(channels.size()) + extra)
    throw InvalidArgument("plan: network_in_channels is " + std::to_string(spec.in_channels) + "; it has " +
                          std::to_string(channels.size()) + " channels and " + std::to_string(extra) +
                          " of the previous stage");
  if (!previous_stage.empty()) require_name("previous_stage", previous_stage);
  if (folds.empty()) throw InvalidArgument("plan: folds names at least one fold");
  for (const auto& fold : folds) require_name("folds", fold);
  for (const int64_t axis : mirror_axes)
    if (axis < 0 || axis >= spec.dimension)
      throw InvalidArgument("plan: mirror_axes lie in 0.." + std::to_string(spec.dimension - 1) + "; got " +
                            std::to_string(axis));
  if (std::set<int64_t>(mirror_axes.begin(), mirror_axes.end()).size() != mirror_axes.size())
    throw InvalidArgument("plan: mirror_axes names an axis twice");
  if (!(tile_step > 0 && tile_step <= 1))
    throw InvalidArgument("plan: tile_step lies in (0, 1]; got " + std::to_string(tile_step));
  if (weights != "safetensors" && weights != "torchscript" && weights != "aotinductor")
    throw InvalidArgument("plan: weights is safetensors, torchscript or aotinductor; got \"" + weights.substr(0, 60) +
                          "\"");
  for (const auto& set : keep_largest) numbers_of(set);
}

}  // namespace vesalius::segmentation
