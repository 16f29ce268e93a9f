// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <numbers>
#include <sstream>

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <vesalius/core/error.h>
#include <vesalius/segmentation/augment.h>

#include "segmentation/augment_kernels.h"
#include "segmentation/random.h"

namespace vesalius::segmentation {
namespace {

using detail::Shape3;
using detail::Stream;

/// One stream a transform: switching one off leaves the others' draws as they are.
enum Transform : uint64_t {
  kSpatial = 1,
  kMirror,
  kNoise,
  kBlur,
  kBrightness,
  kContrast,
  kLowResolution,
  kGammaInverted,
  kGamma,
  kMorphology,
  kRemoval
};

std::string text(const std::vector<int64_t>& sizes) {
  std::ostringstream out;
  for (size_t i = 0; i < sizes.size(); ++i) out << (i ? " x " : "") << sizes[i];
  return out.str();
}

Stream stream(const AugmentationKey& key, Transform transform) {
  uint64_t k = detail::mix(0, key.seed);
  for (const int64_t part : {key.epoch, key.iteration, key.sample}) k = detail::mix(k, static_cast<uint64_t>(part));
  return Stream(detail::mix(k, transform));
}

void check_probability(const char* name, double p) {
  if (!(p >= 0 && p <= 1))
    throw InvalidArgument(std::string(name) + " = " + std::to_string(p) + ": a probability lies between 0 and 1");
}

void check_range(const char* name, const std::array<double, 2>& range, double least, double most) {
  if (!(range[0] <= range[1] && range[0] >= least && range[1] <= most))
    throw InvalidArgument(std::string(name) + " = (" + std::to_string(range[0]) + ", " + std::to_string(range[1]) +
                          "): expected (a, b) with " + std::to_string(least) + " ≤ a ≤ b ≤ " + std::to_string(most));
}

void check(const AugmentationSettings& s, const std::vector<int64_t>& patch) {
  check_probability("p_rotation", s.p_rotation), check_probability("p_scaling", s.p_scaling);
  check_probability("p_noise", s.p_noise), check_probability("p_blur", s.p_blur);
  check_probability("p_blur_channel", s.p_blur_channel), check_probability("p_brightness", s.p_brightness);
  check_probability("p_contrast", s.p_contrast), check_probability("p_low_resolution", s.p_low_resolution);
  check_probability("p_low_resolution_channel", s.p_low_resolution_channel);
  check_probability("p_gamma_inverted", s.p_gamma_inverted), check_probability("p_gamma", s.p_gamma);
  check_probability("p_mirror", s.p_mirror), check_probability("p_morphology", s.p_morphology);
  check_probability("p_morphology_label", s.p_morphology_label);
  check_probability("p_remove_component", s.p_remove_component);
  check_probability("p_remove_component_label", s.p_remove_component_label);
  check_probability("remove_component_limit", s.remove_component_limit);
  check_range("scaling", s.scaling, 0.01, 100), check_range("noise_sigma", s.noise_sigma, 0, 1e6);
  check_range("blur_sigma", s.blur_sigma, 0, 20), check_range("brightness", s.brightness, 0, 1e6);
  check_range("contrast", s.contrast, 0, 1e6), check_range("low_resolution", s.low_resolution, 0, 1);
  check_range("gamma", s.gamma, 1e-3, 100), check_range("morphology_radius", s.morphology_radius, 0, 100);
  if (s.rotation_degrees.size() != 2 || !(s.rotation_degrees[0] <= s.rotation_degrees[1]))
    throw InvalidArgument("rotation_degrees: expected (least, most), or nothing for nnU-Net's rule");
  for (const int64_t axis : *s.mirror_axes)
    if (axis < 0 || axis >= static_cast<int64_t>(patch.size()))
      throw InvalidArgument("mirror_axes holds " + std::to_string(axis) + "; a patch of " + text(patch) +
                            " has axes 0 to " + std::to_string(patch.size() - 1));
  if (*s.dummy_2d && patch.size() != 3)
    throw InvalidArgument("dummy_2d is for patches of 3 axes; this one is " + text(patch));
}

/// nnU-Net's draw of factors around 1: below and above it with the same probability.
double around_one(Stream& random, const std::array<double, 2>& range) {
  if (random.uniform() < 0.5 && range[0] < 1) return random.uniform(range[0], std::min(1.0, range[1]));
  return random.uniform(std::max(range[0], 1.0), std::max(range[1], 1.0));
}

using PerChannel = std::vector<std::optional<double>>;

template <class Draw>
PerChannel per_channel(Stream& random, int64_t channels, double p, double p_channel, const Draw& draw) {
  PerChannel out;
  if (!random.chance(p)) return out;
  for (int64_t c = 0; c < channels; ++c)
    out.push_back(random.chance(p_channel) ? std::optional<double>(draw(random)) : std::nullopt);
  return out;
}

/// The labels to treat, in random order, each with probability p.
std::vector<int64_t> some_labels(Stream& random, int64_t labels, double p) {
  std::vector<int64_t> order(labels), out;
  for (int64_t i = 0; i < labels; ++i) order[i] = i;
  for (int64_t i = labels - 1; i > 0; --i) std::swap(order[i], order[random.below(i + 1)]);
  for (const int64_t i : order)
    if (random.chance(p)) out.push_back(i);
  return out;
}

Shape3 with_depth(at::IntArrayRef sizes) {
  return sizes.size() == 3 ? Shape3{sizes[0], sizes[1], sizes[2]} : Shape3{1, sizes[0], sizes[1]};
}

/// The cascade's channels: where the previous stage's label is `value`, and what happens to them.
void add_previous(const std::vector<int16_t>& previous, const AugmentationSettings& settings,
                  const AugmentationDraw& draw, const Shape3& patch, float* out) {
  const auto count = static_cast<int64_t>(previous.size());
  const auto labels = static_cast<int64_t>(settings.previous_labels.size());
  std::vector<uint8_t> masks(labels * count);
  for (int64_t k = 0; k < labels; ++k)
    for (int64_t i = 0; i < count; ++i) masks[k * count + i] = previous[i] == settings.previous_labels[k];
  for (const auto& operation : draw.morphology) {
    uint8_t* mask = masks.data() + operation.channel * count;
    const std::vector<uint8_t> before(mask, mask + count);
    detail::morphology(mask, patch, operation.kind, operation.radius);
    for (int64_t k = 0; k < labels; ++k)  // what a label gains, the others lose
      if (k != operation.channel)
        for (int64_t i = 0; i < count; ++i)
          if (mask[i] && !before[i]) masks[k * count + i] = 0;
  }
  for (const auto& removal : draw.removals)
    detail::remove_component(masks.data() + removal.channel * count, patch, removal.choice,
                             settings.remove_component_limit);
  for (int64_t i = 0; i < labels * count; ++i) out[i] = masks[i];
}

void intensities(const AugmentationDraw& draw, const Shape3& patch, int axes, bool dummy_2d, int64_t c, float* x) {
  const int64_t count = patch[0] * patch[1] * patch[2];
  const auto drawn = [c](const PerChannel& list) {
    return c < static_cast<int64_t>(list.size()) ? list[c] : std::nullopt;
  };
  if (draw.noise_sigma) detail::add_noise(x, count, static_cast<float>(*draw.noise_sigma), draw.noise_seed, c);
  if (c < static_cast<int64_t>(draw.blur_sigma.size()) && draw.blur_sigma[c]) {
    auto sigma = *draw.blur_sigma[c];
    if (axes == 2) sigma[0] = 0;
    detail::blur(x, patch, sigma);
  }
  if (const auto factor = drawn(draw.brightness)) detail::multiply(x, count, static_cast<float>(*factor));
  if (const auto factor = drawn(draw.contrast)) detail::contrast(x, count, static_cast<float>(*factor));
  if (const auto scale = drawn(draw.low_resolution)) {
    Shape3 coarse;
    for (int d = 0; d < 3; ++d)
      coarse[d] = d == 0 && (dummy_2d || axes == 2) ? patch[d] : detail::coarse_size(patch[d], *scale);
    detail::low_resolution(x, patch, coarse);
  }
  if (const auto exponent = drawn(draw.gamma_inverted)) detail::gamma(x, count, static_cast<float>(*exponent), true);
  if (const auto exponent = drawn(draw.gamma)) detail::gamma(x, count, static_cast<float>(*exponent), false);
}

at::Tensor ready(const char* what, const at::Tensor& t, at::ScalarType type) {
  if (!t.defined()) throw InvalidArgument(std::string(what) + " is missing");
  if (!t.device().is_cpu())
    throw InvalidArgument(std::string(what) + " is on " + t.device().str() + "; augmentation runs on the CPU");
  const bool floating = at::isFloatingType(t.scalar_type());
  if (floating != at::isFloatingType(type) || at::isComplexType(t.scalar_type()))
    throw TypeMismatch(std::string(what) + " is " + c10::toString(t.scalar_type()) + "; expected " +
                       (at::isFloatingType(type) ? "float32" : "whole numbers such as int16"));
  return t.to(type).contiguous();
}

}  // namespace

AugmentationSettings AugmentationSettings::none() {
  AugmentationSettings s;
  s.p_rotation = s.p_scaling = s.p_noise = s.p_blur = s.p_brightness = s.p_contrast = s.p_low_resolution = 0;
  s.p_gamma_inverted = s.p_gamma = s.p_mirror = s.p_morphology = s.p_remove_component = 0;
  return s;
}

AugmentationSettings AugmentationSettings::resolved(const std::vector<int64_t>& patch) const {
  AugmentationSettings s = *this;
  const auto [least, most] = std::minmax_element(patch.begin(), patch.end());
  if (!s.dummy_2d) s.dummy_2d = patch.size() == 3 && *most > 3 * patch[0];
  if (s.rotation_degrees.empty()) {
    double angle = 30;
    if (patch.size() == 3 && *s.dummy_2d) angle = 180;
    if (patch.size() == 2) angle = static_cast<double>(*most) > 1.5 * static_cast<double>(*least) ? 15 : 180;
    s.rotation_degrees = {-angle, angle};
  }
  if (!s.mirror_axes) {
    s.mirror_axes.emplace();
    for (size_t d = 0; d < patch.size(); ++d) s.mirror_axes->push_back(static_cast<int64_t>(d));
  }
  return s;
}

Augmentation::Augmentation(const AugmentationSettings& settings, std::vector<int64_t> patch_size)
    : patch_size_(std::move(patch_size)) {
  if (patch_size_.size() != 2 && patch_size_.size() != 3)
    throw InvalidArgument("patch_size has " + std::to_string(patch_size_.size()) +
                          " axes; expected (y, x) or (z, y, x)");
  for (const int64_t n : patch_size_)
    if (n < 1) throw InvalidArgument("patch_size is " + text(patch_size_) + "; every side must be at least 1");
  settings_ = settings.resolved(patch_size_);
  check(settings_, patch_size_);
}

std::vector<int64_t> Augmentation::initial_patch_size() const {
  const auto& r = settings_.rotation_degrees;
  const double angle = std::min(90.0, std::max(std::abs(r[0]), std::abs(r[1]))) * std::numbers::pi / 180;
  const double c = std::cos(angle), s = std::sin(angle);
  const size_t n = patch_size_.size();
  std::vector<double> p(patch_size_.begin(), patch_size_.end()), most = p;
  const auto turned = [&](size_t a, size_t b) {  // the far corner, turned towards a
    most[a] = std::max(most[a], std::abs(c * p[a] + s * p[b]));
    most[b] = std::max(most[b], std::abs(c * p[b] - s * p[a]));
  };
  if (n == 2) turned(0, 1);
  if (n == 3) turned(1, 2), turned(2, 0), turned(0, 1);
  std::vector<int64_t> out;
  for (size_t d = 0; d < n; ++d) out.push_back(static_cast<int64_t>(most[d] / 0.85));
  if (*settings_.dummy_2d) out[0] = patch_size_[0];
  return out;
}

AugmentationDraw Augmentation::draw(const AugmentationKey& key, int64_t channels) const {
  const AugmentationSettings& s = settings_;
  AugmentationDraw d;
  {
    Stream random = stream(key, kSpatial);
    const bool rotate = random.chance(s.p_rotation), rescale = random.chance(s.p_scaling);
    const size_t angles = patch_size_.size() == 3 && !*s.dummy_2d ? 3 : 1;
    constexpr double kRadians = std::numbers::pi / 180;
    d.angles.assign(angles, 0.0);
    for (double& angle : d.angles) {
      const double drawn = random.uniform(s.rotation_degrees[0] * kRadians, s.rotation_degrees[1] * kRadians);
      if (rotate) angle = drawn;
    }
    const double scale = random.uniform(s.scaling[0], s.scaling[1]);
    if (rescale) d.scale = scale;
    d.spatial = rotate || rescale;
  }
  Stream mirror = stream(key, kMirror);
  for (const int64_t axis : *s.mirror_axes)
    if (mirror.chance(s.p_mirror)) d.mirror_axes.push_back(axis);
  Stream noise = stream(key, kNoise);
  if (noise.chance(s.p_noise)) {
    d.noise_sigma = noise.uniform(s.noise_sigma[0], s.noise_sigma[1]);
    d.noise_seed = noise.bits();
  }
  Stream blur = stream(key, kBlur);
  if (blur.chance(s.p_blur)) {
    d.blur_sigma.resize(channels);
    for (auto& sigma : d.blur_sigma)
      if (blur.chance(s.p_blur_channel)) {
        sigma.emplace();
        for (double& axis : *sigma) axis = blur.uniform(s.blur_sigma[0], s.blur_sigma[1]);
      }
  }
  const auto factors = [&](Transform transform, double p, double p_channel, const auto& one) {
    Stream random = stream(key, transform);
    return per_channel(random, channels, p, p_channel, one);
  };
  const auto around = [](const std::array<double, 2>& range) {
    return [range](Stream& random) { return around_one(random, range); };
  };
  d.brightness = factors(kBrightness, s.p_brightness, 1, around(s.brightness));
  d.contrast = factors(kContrast, s.p_contrast, 1, around(s.contrast));
  d.low_resolution = factors(kLowResolution, s.p_low_resolution, s.p_low_resolution_channel,
                             [&](Stream& random) { return random.uniform(s.low_resolution[0], s.low_resolution[1]); });
  d.gamma_inverted = factors(kGammaInverted, s.p_gamma_inverted, 1, around(s.gamma));
  d.gamma = factors(kGamma, s.p_gamma, 1, around(s.gamma));
  const auto labels = static_cast<int64_t>(s.previous_labels.size());
  Stream morphology = stream(key, kMorphology), removal = stream(key, kRemoval);
  if (labels > 0 && morphology.chance(s.p_morphology))
    for (const int64_t channel : some_labels(morphology, labels, s.p_morphology_label)) {
      const auto kind = static_cast<Morphology>(morphology.below(4));
      d.morphology.push_back({channel, kind, morphology.uniform(s.morphology_radius[0], s.morphology_radius[1])});
    }
  if (labels > 0 && removal.chance(s.p_remove_component))
    for (const int64_t channel : some_labels(removal, labels, s.p_remove_component_label))
      d.removals.push_back({channel, removal.uniform()});
  return d;
}

Augmented Augmentation::operator()(const at::Tensor& image, const at::Tensor& label, const AugmentationKey& key,
                                   const at::Tensor& previous) const {
  return apply(image, label, draw(key, image.defined() && image.dim() > 0 ? image.size(0) : 0), previous);
}

Augmented Augmentation::apply(const at::Tensor& image, const at::Tensor& label, const AugmentationDraw& draw,
                              const at::Tensor& previous) const {
  const auto axes = static_cast<int64_t>(patch_size_.size());
  if (!image.defined() || image.dim() != axes + 1)
    throw ShapeError("the image of a patch of " + text(patch_size_) + " is [c, " + (axes == 3 ? "z, y, x]" : "y, x]") +
                     "; this one is " + (image.defined() ? text(image.sizes().vec()) : "missing"));
  const auto volume = [&](const at::Tensor& t) {
    if (!t.defined()) return t;
    at::Tensor v = t.dim() == axes + 1 && t.size(0) == 1 ? t.select(0, 0) : t;
    return axes == 2 && v.dim() == 2 ? v.unsqueeze(0) : v;
  };
  const Shape3 shape = with_depth(image.sizes().slice(1));
  return apply_window(axes == 2 ? image.unsqueeze(1) : image, volume(label), {0, 0, 0}, shape, draw, volume(previous));
}

Augmented Augmentation::apply_window(const at::Tensor& image, const at::Tensor& label, const Shape3& window_start,
                                     const Shape3& window_shape, const AugmentationDraw& draw,
                                     const at::Tensor& previous) const {
  const at::Tensor voxels = ready("the image", image, at::kFloat), numbers = ready("the label", label, at::kShort);
  if (voxels.dim() != 4 || numbers.dim() != 3 || voxels.sizes().slice(1) != numbers.sizes())
    throw ShapeError("the image is " + text(voxels.sizes().vec()) + " and the label " + text(numbers.sizes().vec()) +
                     "; expected [c, z, y, x] and a label map of the same grid");
  const bool cascade = !settings_.previous_labels.empty();
  at::Tensor before;
  if (cascade) {
    before = ready("the previous stage's segmentation (settings.previous_labels isn't empty)", previous, at::kShort);
    if (before.sizes() != numbers.sizes())
      throw ShapeError("the previous stage's segmentation is " + text(before.sizes().vec()) + ", the label " +
                       text(numbers.sizes().vec()) + "; both lie on one grid");
  }
  const int64_t channels = voxels.size(0);
  for (const int64_t c : settings_.mask_channels)
    if (c < 0 || c >= channels)
      throw InvalidArgument("mask_channels holds " + std::to_string(c) + "; the image has " + std::to_string(channels) +
                            " channels");
  const int axes = static_cast<int>(patch_size_.size());
  const Shape3 grid = with_depth(numbers.sizes()), patch = with_depth(patch_size_);
  const int64_t count = patch[0] * patch[1] * patch[2], grid_count = grid[0] * grid[1] * grid[2];
  transforms::Spatial how;
  how.mirror_axes = draw.mirror_axes;
  how.dummy_2d = *settings_.dummy_2d;
  if (draw.spatial) how.angles = draw.angles, how.scale = draw.scale;

  std::vector<int64_t> image_sizes{channels + static_cast<int64_t>(settings_.previous_labels.size())}, label_sizes{1};
  image_sizes.insert(image_sizes.end(), patch_size_.begin(), patch_size_.end());
  label_sizes.insert(label_sizes.end(), patch_size_.begin(), patch_size_.end());
  Augmented out{at::empty(image_sizes, at::kFloat), at::empty(label_sizes, at::kShort)};
  float* x = out.image.mutable_data_ptr<float>();
  int16_t* l = out.label.mutable_data_ptr<int16_t>();
  std::vector<int16_t> stage(cascade ? count : 0);
  std::vector<const float*> from;
  std::vector<float*> to;
  for (int64_t c = 0; c < channels; ++c) {
    from.push_back(voxels.const_data_ptr<float>() + c * grid_count);
    to.push_back(x + c * count);
  }
  std::vector<const int16_t*> labels_from{numbers.const_data_ptr<int16_t>()};
  std::vector<int16_t*> labels_to{l};
  if (cascade) labels_from.push_back(before.const_data_ptr<int16_t>()), labels_to.push_back(stage.data());
  detail::gather(detail::plan_gather(grid, window_start, window_shape, patch, axes, how), grid, from, to, labels_from,
                 labels_to, -1);
  for (int64_t c = 0; c < channels; ++c)
    if (!detail::all_finite(to[c], count))
      throw InvalidArgument("channel " + std::to_string(c) +
                            " of the image holds NaN or infinite voxels; mend or leave "
                            "out the case (check_dataset names such cases)");
  for (int64_t c = 0; c < channels; ++c) intensities(draw, patch, axes, *settings_.dummy_2d, c, to[c]);
  for (const int64_t c : settings_.mask_channels)
    for (int64_t i = 0; i < count; ++i)
      if (l[i] < 0) to[c][i] = 0;
  for (int64_t i = 0; i < count; ++i) l[i] = l[i] == -1 ? int16_t{0} : l[i];
  if (cascade) add_previous(stage, settings_, draw, patch, x + channels * count);
  return out;
}

}  // namespace vesalius::segmentation
