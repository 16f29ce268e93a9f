// SPDX-License-Identifier: Apache-2.0
#include <vesalius/segmentation/planner.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include <vesalius/core/error.h>
#include <vesalius/segmentation/preprocess.h>

#include "segmentation/statistics.h"
#include "segmentation/topology.h"

namespace vesalius::segmentation {
namespace {

constexpr double kAnisotropy = 3.0;
constexpr double kLowresBelow = 0.25;  // patch / median image: below it, a low-resolution configuration is made
constexpr double kLowresStep = 1.03;
constexpr int64_t kMinBatch = 2;

/// Budgets of feature-map elements and what they hold for (facts, section 5).
struct Budget {
  double reference_3d, reference_2d, reference_gb, default_gb;
  bool residual;
  double dataset_covered;  // by one batch, at most
  int64_t base_features, max_features_3d, max_features_2d;
  int64_t max_batch = std::numeric_limits<int64_t>::max();
};

Budget budget_of(PlannerPreset preset) {
  switch (preset) {
    case PlannerPreset::resenc_m:
      return {680e6, 135e6, 8, 8, true, 1.0, 32, 320, 512};
    case PlannerPreset::resenc_l:
      return {2.1e9, 380e6, 24, 24, true, 1.0, 32, 320, 512};
    case PlannerPreset::resenc_xl:
      return {3.6e9, 560e6, 40, 40, true, 1.0, 32, 320, 512};
    case PlannerPreset::small:
      // Two CPU cores: half the features cost a quarter of the multiplications, and a small batch gives more steps in
      // the same time.
      return {560e6, 85e6, 8, 0.25, false, 0.05, 16, 128, 256, 2};
    default:
      return {560e6, 85e6, 8, 8, false, 0.05, 32, 320, 512};
  }
}

double product(const std::vector<double>& values) {
  double out = 1;
  for (const double v : values) out *= v;
  return out;
}

double product(const std::vector<int64_t>& values) {
  double out = 1;
  for (const int64_t v : values) out *= double(v);
  return out;
}

template <class T>
std::vector<T> permuted(const std::array<T, 3>& values, const std::array<int64_t, 3>& order) {
  return {values[order[0]], values[order[1]], values[order[2]]};
}

/// p-th percentile of one axis over cases.
template <class Triple>
double axis_percentile(const std::vector<Triple>& values, int axis, double q) {
  std::vector<double> one;
  for (const auto& v : values) one.push_back(double(v[axis]));
  return detail::percentile(one, q);
}

Vec3 fullres_spacing(const Fingerprint& print) {
  Vec3 target{}, size{};
  for (int a = 0; a < 3; ++a) {
    target[a] = axis_percentile(print.spacings, a, 0.5);
    size[a] = axis_percentile(print.shapes, a, 0.5);
  }
  const int worst = static_cast<int>(std::max_element(target.begin(), target.end()) - target.begin());
  const int b = (worst + 1) % 3, c = (worst + 2) % 3;
  const double others = std::max(target[b], target[c]);
  if (target[worst] > kAnisotropy * others && size[worst] * kAnisotropy < std::min(size[b], size[c])) {
    double finer = axis_percentile(print.spacings, worst, 0.10);
    if (finer < others) finer = std::max(others, finer) + 1e-5;
    target[worst] = finer;
  }
  return target;
}

class Planner {
 public:
  Planner(const Fingerprint& print, const std::vector<std::string>& channels, int64_t label_count, int64_t cases,
          const PlannerOptions& options)
      : budget_(budget_of(options.preset)),
        memory_(options.memory_gb.value_or(budget_.default_gb)),
        labels_(label_count),
        cases_(double(cases)) {
    const bool masked = print.median_relative_size_after_cropping < 0.75;
    for (const auto& channel : channels) {
      normalisation_.push_back(normalisation_of_channel(channel));
      mask_.push_back(masked && normalisation_.back() == Normalisation::zscore);
    }
  }

  double cases() const { return cases_; }

  Configuration configuration(const std::string& name, const std::string& identifier,
                              const std::vector<double>& spacing, const std::vector<double>& median,
                              double dataset_voxels) const {
    const size_t dimensions = spacing.size();
    std::vector<double> aspect, patch;
    for (const double s : spacing) aspect.push_back(1 / s);
    const double volume = dimensions == 3 ? 256.0 * 256.0 * 256.0 : 2048.0 * 2048.0;
    const double scale = std::pow(volume / product(aspect), 1.0 / double(dimensions));
    for (size_t d = 0; d < dimensions; ++d) patch.push_back(std::min(detail::round_even(aspect[d] * scale), median[d]));

    auto shape = detail::topology(spacing, patch);
    Configuration out = described(shape, spacing);
    double estimate = feature_map_elements(out, labels_);
    const double reference =
        (dimensions == 2 ? budget_.reference_2d : budget_.reference_3d) * memory_ / budget_.reference_gb;
    const double reference_batch = dimensions == 2 ? 12 : 2;
    while ((budget_.residual ? estimate : estimate / reference_batch * 2) > reference) {
      if (!shrink(shape, spacing, median)) break;
      out = described(shape, spacing);
      estimate = feature_map_elements(out, labels_);
    }
    const double fitting = detail::round_even(reference / estimate * reference_batch);
    const double covering = detail::round_even(dataset_voxels * budget_.dataset_covered / product(out.patch_size));
    out.batch_size = std::clamp(static_cast<int64_t>(std::min(fitting, covering)), kMinBatch, budget_.max_batch);
    out.name = name;
    out.data_identifier = identifier;
    out.median_size = median;
    out.normalisation = normalisation_;
    out.use_mask_for_norm = mask_;
    return out;
  }

 private:
  /// The axis that is largest for the median image loses one divisor, as it is after a trial subtraction, so that
  /// 256 → 224 is possible. False where nothing is left to take.
  bool shrink(detail::Topology& shape, const std::vector<double>& spacing, const std::vector<double>& median) const {
    size_t axis = 0;
    for (size_t d = 1; d < median.size(); ++d)
      if (double(shape.patch[d]) / median[d] >= double(shape.patch[axis]) / median[axis]) axis = d;
    std::vector<double> trial(shape.patch.begin(), shape.patch.end());
    trial[axis] -= double(shape.divisor[axis]);
    if (trial[axis] < 1) return false;
    const auto tried = detail::topology(spacing, trial);
    std::vector<double> patch(shape.patch.begin(), shape.patch.end());
    patch[axis] -= double(tried.divisor[axis]);
    if (patch[axis] < 1) return false;
    shape = detail::topology(spacing, patch);
    return true;
  }

  Configuration described(const detail::Topology& shape, const std::vector<double>& spacing) const {
    Configuration out;
    out.patch_size = shape.patch;
    out.spacing = spacing;
    out.strides = shape.strides;
    out.kernels = shape.kernels;
    out.residual = budget_.residual;
    const size_t stages = shape.strides.size();
    const int64_t cap = spacing.size() == 2 ? budget_.max_features_2d : budget_.max_features_3d;
    constexpr int64_t kResidual[] = {1, 3, 4, 6};
    for (size_t s = 0; s < stages; ++s) {
      out.features.push_back(std::min<int64_t>(cap, budget_.base_features << std::min<size_t>(s, 20)));
      out.blocks.push_back(budget_.residual ? kResidual[std::min<size_t>(s, 3)] : 2);
      if (s + 1 < stages) out.decoder_convolutions.push_back(budget_.residual ? 1 : 2);
    }
    return out;
  }

  Budget budget_;
  double memory_;
  int64_t labels_;
  double cases_;
  std::vector<Normalisation> normalisation_;
  std::vector<bool> mask_;
};

/// The spacing grows until the patch covers a quarter of the image, the finer axes first (facts, section 6).
std::optional<Configuration> lowres(const Planner& planner, const Configuration& full,
                                    const std::vector<double>& median, const std::string& identifier) {
  std::vector<double> spacing = full.spacing, size = median;
  std::optional<Configuration> out;
  double patch_voxels = product(full.patch_size), voxels = product(median);
  while (patch_voxels / voxels < kLowresBelow) {
    const double coarsest = *std::max_element(spacing.begin(), spacing.end());
    const bool uneven = std::any_of(spacing.begin(), spacing.end(), [&](double s) { return coarsest / s > 2; });
    for (double& s : spacing)
      if (!uneven || coarsest / s > 2) s *= kLowresStep;
    std::vector<double> rounded;
    for (size_t d = 0; d < spacing.size(); ++d) {
      size[d] = full.spacing[d] / spacing[d] * median[d];
      rounded.push_back(detail::round_even(size[d]));
    }
    voxels = product(size);
    out = planner.configuration("3d_lowres", identifier, spacing, rounded, voxels * planner.cases());
    patch_voxels = product(out->patch_size);
  }
  if (product(median) / voxels < 2) out.reset();
  return out;
}

/// nnU-Net names preprocessed folders after the plans; ResEnc shares 2d and 3d_fullres with the default.
std::string identifier_of(PlannerPreset preset, const std::string& plans, const std::string& configuration) {
  const bool shared = preset != PlannerPreset::plain && preset != PlannerPreset::small && configuration != "3d_lowres";
  return (shared ? "nnUNetPlans" : plans) + "_" + configuration;
}

}  // namespace

std::string to_string(PlannerPreset preset) {
  constexpr const char* kNames[] = {"plain", "resenc_m", "resenc_l", "resenc_xl", "small"};
  return kNames[static_cast<int>(preset)];
}

void from_string(const std::string& text, PlannerPreset& out) {
  for (const auto preset : {PlannerPreset::plain, PlannerPreset::resenc_m, PlannerPreset::resenc_l,
                            PlannerPreset::resenc_xl, PlannerPreset::small})
    if (text == to_string(preset)) {
      out = preset;
      return;
    }
  throw InvalidArgument("a planner's preset is one of plain, resenc_m, resenc_l, resenc_xl, small; got \"" +
                        text.substr(0, 60) + "\"");
}

std::string to_string(Normalisation scheme) {
  constexpr const char* kNames[] = {"zscore", "ct", "none", "rescale_to_0_1", "rgb_to_0_1"};
  return kNames[static_cast<int>(scheme)];
}

Normalisation normalisation_of_channel(const std::string& name) {
  std::string lower;
  for (const char c : name) lower += c >= 'A' && c <= 'Z' ? char(c - 'A' + 'a') : c;
  if (lower == "ct") return Normalisation::ct;
  if (lower == "nonorm") return Normalisation::none;
  if (lower == "rescale_to_0_1") return Normalisation::rescale_to_0_1;
  if (lower == "rgb_to_0_1") return Normalisation::rgb_to_0_1;
  return Normalisation::zscore;
}

double feature_map_elements(const Configuration& c, int64_t heads) {
  const size_t stages = c.strides.size();
  std::vector<double> voxels(stages);  // of one channel, after each stage's stride
  std::vector<int64_t> size = c.patch_size;
  double total = c.residual ? double(c.features[0]) * product(size) : 0;  // the stem
  for (size_t s = 0; s < stages; ++s) {
    const auto before = size;
    for (size_t d = 0; d < size.size(); ++d) size[d] /= c.strides[s][d];
    voxels[s] = product(size);
    const double map = double(c.features[s]) * voxels[s];
    if (c.residual) {
      // Two convolutions a block, and a projection where the first block changes channels or size.
      const bool projects = before != size || c.features[s] != c.features[s == 0 ? 0 : s - 1];
      total += map * (2 * double(c.blocks[s]) + (projects ? 1 : 0));
    } else {
      total += map * double(c.blocks[s]);
    }
  }
  for (size_t s = 0; s + 1 < stages; ++s)  // decoder: convolutions and the transposed one
    total += voxels[s] * double(c.features[s]) * double(c.decoder_convolutions[stages - 2 - s] + 1);
  if (stages > 1) total += voxels[0] * double(heads);  // nnU-Net counts the last head only
  return total;
}

Plans plan(const Fingerprint& print, const std::string& dataset_name, const std::vector<std::string>& channels,
           int64_t label_count, int64_t training_cases, const PlannerOptions& options) {
  if (print.spacings.empty() || print.spacings.size() != print.shapes.size())
    throw InvalidArgument("planning needs a fingerprint with one spacing and one shape a case");
  if (options.memory_gb && !(*options.memory_gb > 0 && std::isfinite(*options.memory_gb)))
    throw InvalidArgument("memory_gb must be positive; got " + std::to_string(*options.memory_gb));
  for (const auto& spacing : print.spacings)
    for (const double s : spacing)
      if (!(s > 0)) throw InvalidArgument("spacings must be positive; got " + std::to_string(s));
  const Planner planner(print, channels, label_count, training_cases, options);
  const Vec3 spacing = options.spacing.value_or(fullres_spacing(print));

  Plans out;
  out.dataset_name = dataset_name;
  constexpr const char* kPlans[] = {"nnUNetPlans", "nnUNetResEncUNetMPlans", "nnUNetResEncUNetLPlans",
                                    "nnUNetResEncUNetXLPlans", "vesaliusSmallPlans"};
  constexpr const char* kPlanners[] = {"ExperimentPlanner", "nnUNetPlannerResEncM", "nnUNetPlannerResEncL",
                                       "nnUNetPlannerResEncXL", "VesaliusSmall"};
  out.plans_name = kPlans[static_cast<int>(options.preset)];
  out.planner = kPlanners[static_cast<int>(options.preset)];
  const int64_t coarsest = std::max_element(spacing.begin(), spacing.end()) - spacing.begin();
  out.transpose_forward[0] = coarsest;
  for (int64_t a = 0, i = 1; a < 3; ++a)
    if (a != coarsest) out.transpose_forward[i++] = a;
  for (int64_t a = 0; a < 3; ++a) out.transpose_backward[out.transpose_forward[a]] = a;
  out.channels = print.channels;

  std::vector<Index3> resampled;
  for (size_t i = 0; i < print.shapes.size(); ++i)
    resampled.push_back(resampled_shape(print.shapes[i], print.spacings[i], spacing));
  Vec3 median_zyx{};
  for (int a = 0; a < 3; ++a) median_zyx[a] = axis_percentile(resampled, a, 0.5);
  const auto median = permuted(median_zyx, out.transpose_forward);
  const auto target = permuted(spacing, out.transpose_forward);
  for (const int64_t a : out.transpose_forward) {
    out.original_median_spacing.push_back(axis_percentile(print.spacings, static_cast<int>(a), 0.5));
    out.original_median_shape.push_back(
        static_cast<int64_t>(detail::round_even(axis_percentile(print.shapes, static_cast<int>(a), 0.5))));
  }
  const double dataset_voxels = product(median) * double(training_cases);
  const auto identifier = [&](const std::string& name) { return identifier_of(options.preset, out.plans_name, name); };

  Configuration flat =
      planner.configuration("2d", identifier("2d"), {target[1], target[2]}, {median[1], median[2]}, dataset_voxels);
  flat.batch_dice = true;
  out.configurations.push_back(flat);
  if (median[0] == 1) return out;
  Configuration full = planner.configuration("3d_fullres", identifier("3d_fullres"), target, median, dataset_voxels);
  auto low = lowres(planner, full, median, identifier("3d_lowres"));
  full.batch_dice = low.has_value();
  if (low) {
    low->next_stage = "3d_cascade_fullres";
    out.configurations.push_back(*low);
  }
  out.configurations.push_back(full);
  if (low) {
    full.name = "3d_cascade_fullres";
    full.previous_stage = "3d_lowres";
    out.configurations.push_back(full);
  }
  return out;
}

Plans plan(const Fingerprint& print, const Dataset& dataset, const PlannerOptions& options) {
  const auto labels = static_cast<int64_t>(dataset.labels.labels.size()) + (dataset.labels.ignore ? 1 : 0);
  return plan(print, dataset.name, dataset.channels, labels, static_cast<int64_t>(dataset.cases.size()), options);
}

bool Plans::has(const std::string& name) const {
  return std::any_of(configurations.begin(), configurations.end(), [&](const auto& c) { return c.name == name; });
}

const Configuration& Plans::configuration(const std::string& name) const {
  std::string names;
  for (const auto& c : configurations) {
    if (c.name == name) return c;
    names += (names.empty() ? "" : ", ") + c.name;
  }
  throw InvalidArgument("no configuration \"" + name.substr(0, 60) + "\" in these plans; they have " + names);
}

}  // namespace vesalius::segmentation
