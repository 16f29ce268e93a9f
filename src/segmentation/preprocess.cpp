// SPDX-License-Identifier: Apache-2.0
#include <vesalius/segmentation/preprocess.h>

#include <algorithm>
#include <cmath>

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/isfinite.h>

#include <vesalius/core/error.h>

#include "segmentation/nonzero.h"
#include "segmentation/numpy_random.h"

namespace vesalius::segmentation {
namespace {

constexpr double kEpsilon = 1e-8;
constexpr int64_t kLocations = 10000;
constexpr double kLocationShare = 0.01;
constexpr uint32_t kLocationSeed = 1234;

/// Mean, then the sum of squared deviations; in float64.
std::pair<double, double> mean_and_deviation(const float* voxels, const uint8_t* inside, int64_t count) {
  double sum = 0;
  int64_t n = 0;
  for (int64_t i = 0; i < count; ++i)
    if (!inside || inside[i]) {
      sum += voxels[i];
      ++n;
    }
  if (n == 0) return {0.0, 0.0};
  const double mean = sum / double(n);
  double squares = 0;
  for (int64_t i = 0; i < count; ++i)
    if (!inside || inside[i]) squares += (voxels[i] - mean) * (voxels[i] - mean);
  return {mean, std::sqrt(squares / double(n))};
}

/// x → (x - shift) / scale, where `inside` says so.
void standardise(float* voxels, const uint8_t* inside, int64_t count, double shift, double scale) {
  const auto a = static_cast<float>(shift);
  const auto b = static_cast<float>(std::max(scale, kEpsilon));
  for (int64_t i = 0; i < count; ++i)
    if (!inside || inside[i]) voxels[i] = (voxels[i] - a) / b;
}

void normalise(float* voxels, int64_t count, Normalisation scheme, const uint8_t* inside,
               const ChannelStatistics& statistics) {
  switch (scheme) {
    case Normalisation::none:
      return;
    case Normalisation::zscore: {
      const auto [mean, deviation] = mean_and_deviation(voxels, inside, count);
      return standardise(voxels, inside, count, mean, deviation);
    }
    case Normalisation::ct: {
      const auto low = static_cast<float>(statistics.percentile_00_5),
                 high = static_cast<float>(statistics.percentile_99_5);
      for (int64_t i = 0; i < count; ++i) voxels[i] = std::clamp(voxels[i], low, high);
      return standardise(voxels, nullptr, count, statistics.mean, statistics.std);
    }
    case Normalisation::rescale_to_0_1: {
      const auto [low, high] = std::minmax_element(voxels, voxels + count);
      return standardise(voxels, nullptr, count, *low, double(*high) - double(*low));
    }
    case Normalisation::rgb_to_0_1: {
      const auto [low, high] = std::minmax_element(voxels, voxels + count);
      if (*low < 0 || *high > 255)
        throw InvalidArgument("rgb_to_0_1: values must lie in 0..255; this image has " + std::to_string(*low) + " to " +
                              std::to_string(*high));
      return standardise(voxels, nullptr, count, 0, 255);
    }
  }
}

at::Tensor narrowed(at::Tensor tensor, int64_t offset, const Index3& start, const Index3& count) {
  for (int a = 0; a < 3; ++a) tensor = tensor.narrow(offset + a, start[a], count[a]);
  return tensor;
}

Index3 transposed(const Index3& v, const std::array<int64_t, 3>& order) {
  return {v[order[0]], v[order[1]], v[order[2]]};
}

void check_image(const at::Tensor& voxels, const PreprocessPlan& plan) {
  const auto channels = static_cast<int64_t>(plan.normalisation.size());
  if (voxels.size(0) != channels)
    throw InvalidArgument("the image has " + std::to_string(voxels.size(0)) + " channel(s); the plan was made for " +
                          std::to_string(channels));
  if (!std::isfinite(voxels.sum(at::kDouble).item<double>())) {
    const int64_t wrong = voxels.numel() - at::isfinite(voxels).sum().item<int64_t>();
    if (wrong > 0)
      throw InvalidArgument(std::to_string(wrong) + " of " + std::to_string(voxels.numel()) +
                            " voxels are NaN or infinite; replace them first, for example with torch.nan_to_num");
  }
  if ((plan.spacing.size() != 2 && plan.spacing.size() != 3) ||
      plan.use_mask_for_norm.size() != plan.normalisation.size())
    throw InvalidArgument("the plan needs a spacing of 2 or 3 axes, and use_mask_for_norm for each channel");
  for (const auto scheme : plan.normalisation)
    if (scheme == Normalisation::ct && plan.channels.size() != plan.normalisation.size())
      throw InvalidArgument("CT normalisation needs the intensity statistics of the plan; it has none");
}

}  // namespace

PreprocessPlan::PreprocessPlan(const Plans& plans, const std::string& configuration) {
  const Configuration& c = plans.configuration(configuration);
  transpose_forward = plans.transpose_forward;
  spacing = c.spacing;
  normalisation = c.normalisation;
  use_mask_for_norm = c.use_mask_for_norm;
  channels = plans.channels;
}

void PreprocessTrace::validate() const {
  geometry.validate("the image of a trace");
  std::array<bool, 3> there{};
  for (const int64_t a : transpose)
    if (a >= 0 && a < 3) there[a] = true;
  bool fits = there[0] && there[1] && there[2] && shape_before_crop == transposed(geometry.size, transpose);
  constexpr int64_t kLongest = 1'000'000;
  for (int a = 0; a < 3 && fits; ++a)
    fits = crop_start[a] >= 0 && crop_shape[a] >= 1 && crop_start[a] < shape_before_crop[a] &&
           crop_shape[a] <= shape_before_crop[a] - crop_start[a] && shape[a] >= 1 && shape[a] <= kLongest &&
           spacing[a] > 0 && std::isfinite(spacing[a]) && new_spacing[a] > 0 && std::isfinite(new_spacing[a]);
  if (!fits)
    throw InvalidArgument(
        "the trace of a prepared image doesn't fit together (transpose, box, shape, spacing); prepare "
        "the image again");
}

std::array<int64_t, 3> PreprocessPlan::transpose_backward() const {
  std::array<int64_t, 3> out{};
  for (int64_t a = 0; a < 3; ++a) out[transpose_forward[a]] = a;
  return out;
}

Preprocessed preprocess_image(const Image& image, const PreprocessPlan& plan, const at::Tensor& labels) {
  at::Tensor voxels = image.tensor().detach().cpu().to(at::kFloat).contiguous();
  if (voxels.dim() == 3) voxels = voxels.unsqueeze(0);
  check_image(voxels, plan);
  if (labels.defined() && labels.sizes() != voxels.sizes().slice(1))
    throw ShapeError("preprocess_image: labels must have the image's z, y, x");
  const auto& order = plan.transpose_forward;

  const auto box = detail::nonzero_box(voxels);
  Preprocessed out;
  PreprocessTrace& trace = out.trace;
  trace.geometry = image.geometry();
  trace.transpose = order;
  trace.shape_before_crop = transposed(image.geometry().size, order);
  trace.crop_start = transposed(box.start, order);
  trace.crop_shape = transposed(box.count, order);
  const Vec3 spacing = planning_spacing(image.geometry());
  const size_t dimensions = plan.spacing.size();
  for (int a = 0; a < 3; ++a) {
    trace.spacing[a] = spacing[order[a]];
    trace.new_spacing[a] = dimensions == 3 ? plan.spacing[a] : a == 0 ? trace.spacing[0] : plan.spacing[a - 1];
  }
  trace.shape = resampled_shape(trace.crop_shape, trace.spacing, trace.new_spacing);

  const at::IntArrayRef permutation3(order.data(), 3);
  const int64_t with_channels[4] = {0, order[0] + 1, order[1] + 1, order[2] + 1};
  at::Tensor cropped =
      narrowed(voxels, 1, box.start, box.count).permute(at::IntArrayRef(with_channels, 4)).contiguous();
  if (cropped.is_alias_of(image.tensor())) cropped = cropped.clone();
  const at::Tensor mask = box.mask.permute(permutation3).contiguous();
  const auto* inside = reinterpret_cast<const uint8_t*>(mask.const_data_ptr<bool>());
  const int64_t count = mask.numel();

  at::Tensor map;  // labels, -1 outside the mask
  at::Tensor norm_mask = mask;
  if (labels.defined()) {
    map = narrowed(labels.cpu().to(at::kShort), 0, box.start, box.count).permute(permutation3).contiguous();
    if (map.is_alias_of(labels)) map = map.clone();
    norm_mask = mask.clone();
    auto* norm = reinterpret_cast<uint8_t*>(norm_mask.mutable_data_ptr<bool>());
    int16_t* values = map.mutable_data_ptr<int16_t>();
    for (int64_t i = 0; i < count; ++i) {
      if (values[i] == 0 && !inside[i]) values[i] = -1;
      norm[i] = values[i] >= 0;
    }
  }
  const auto* norm = reinterpret_cast<const uint8_t*>(norm_mask.const_data_ptr<bool>());
  at::parallel_for(0, cropped.size(0), 1, [&](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; ++c)
      normalise(cropped.mutable_data_ptr<float>() + c * count, count, plan.normalisation[c],
                plan.use_mask_for_norm[c] ? norm : nullptr,
                static_cast<size_t>(c) < plan.channels.size() ? plan.channels[c] : ChannelStatistics{});
  });
  const int64_t axis = separate_axis(trace.spacing, trace.new_spacing);
  out.image = resample_image_to(cropped, trace.shape, 3, axis);
  if (map.defined()) out.labels = resample_labels_to(map, trace.shape, axis);
  return out;
}

ForegroundLocations foreground_locations(const at::Tensor& labels, const LabelSet& set) {
  const at::Tensor map = labels.cpu().to(at::kShort).contiguous();
  ForegroundLocations out;
  out.classes = set.foreground();
  if (set.ignore) {  // patches then start from annotated voxels only, background included
    std::vector<int64_t> annotated{-1};
    for (const int64_t value : set.values()) annotated.push_back(value);
    out.classes.push_back(annotated);
  }
  std::vector<std::vector<int64_t>> where(65536);  // voxels of each label, in order
  std::vector<bool> wanted(65536, false);
  for (const auto& numbers : out.classes)
    for (const int64_t value : numbers) wanted[static_cast<uint16_t>(value)] = true;
  const int16_t* values = map.const_data_ptr<int16_t>();
  for (int64_t i = 0; i < map.numel(); ++i)
    if (wanted[static_cast<uint16_t>(values[i])]) where[static_cast<uint16_t>(values[i])].push_back(i);

  detail::NumpyRandom random(kLocationSeed);
  const int64_t ny = map.size(1), nx = map.size(2);
  for (const auto& numbers : out.classes) {
    std::vector<int64_t> all;
    for (const int64_t value : numbers) {
      const auto& one = where[static_cast<uint16_t>(value)];
      all.insert(all.end(), one.begin(), one.end());
    }
    const auto total = static_cast<int64_t>(all.size());
    const int64_t take = total == 0 ? 0
                                    : std::max(std::min(kLocations, total),
                                               static_cast<int64_t>(std::ceil(double(total) * kLocationShare)));
    at::Tensor voxels = at::empty({take, 3}, at::kInt);
    int32_t* to = voxels.mutable_data_ptr<int32_t>();
    if (take > 0) {
      const auto order = random.permutation(total);
      for (int64_t i = 0; i < take; ++i) {
        const int64_t at = all[order[i]];
        to[3 * i] = static_cast<int32_t>(at / (ny * nx));
        to[3 * i + 1] = static_cast<int32_t>(at / nx % ny);
        to[3 * i + 2] = static_cast<int32_t>(at % nx);
      }
    }
    out.voxels.push_back(voxels);
  }
  return out;
}

}  // namespace vesalius::segmentation
