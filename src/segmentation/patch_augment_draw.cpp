// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include <vesalius/segmentation/patch_augment.h>

#include "segmentation/batch_random.h"

namespace vesalius::segmentation {
namespace {

constexpr double kDegree = 3.14159265358979323846 / 180;
constexpr double kDummy2dAbove = 3.0;

/// batchgenerators' contrast factor: below or above 1 with equal chance, uniform on that side.
double factor(detail::BatchRandom& random, const std::array<double, 2>& range) {
  if (random.uniform() < 0.5 && range[0] < 1) return random.uniform(range[0], 1);
  return random.uniform(std::max(range[0], 1.0), range[1]);
}

std::vector<double> factors(detail::BatchRandom& random, double p, const std::array<double, 2>& range, int64_t channels) {
  std::vector<double> out;
  if (random.uniform() < p)
    for (int64_t c = 0; c < channels; ++c) out.push_back(factor(random, range));
  return out;
}

}  // namespace

AugmentOptions AugmentOptions::for_patch(const std::vector<int64_t>& patch) {
  AugmentOptions out;
  const double largest = double(*std::max_element(patch.begin(), patch.end()));
  const double smallest = double(*std::min_element(patch.begin(), patch.end()));
  double degrees = 30;
  if (patch.size() == 2) {
    out.spatial_2d = true;
    out.mirror_axes = {1, 2};
    degrees = largest / smallest > 1.5 ? 15 : 180;
  } else if (largest / double(patch[0]) > kDummy2dAbove) {
    out.spatial_2d = true;
    degrees = 180;
  }
  out.rotation = {-degrees * kDegree, degrees * kDegree};
  return out;
}

std::vector<int64_t> initial_patch_size(const std::vector<int64_t>& patch, const AugmentOptions& options) {
  constexpr double kSmallestScale = 0.85;
  const double angle = std::min(90 * kDegree, std::max(std::abs(options.rotation[0]), std::abs(options.rotation[1])));
  const double c = std::cos(angle), s = std::sin(angle);
  std::vector<double> out(patch.begin(), patch.end());
  const auto& p = patch;
  const auto turn = [&](size_t a, size_t b) {
    const double pa = double(p[a]), pb = double(p[b]);
    out[a] = std::max(out[a], std::abs(a == 0 && b == 2 ? pa * c - pb * s : pa * c + pb * s));
    out[b] = std::max(out[b], std::abs(a == 0 && b == 2 ? pa * s + pb * c : -pa * s + pb * c));
  };
  if (p.size() == 3) {
    turn(1, 2);
    turn(0, 2);
    turn(0, 1);
  } else {
    turn(0, 1);
  }
  std::vector<int64_t> size;
  for (const double n : out) size.push_back(static_cast<int64_t>(n / kSmallestScale));
  if (p.size() == 3 && options.spatial_2d) size[0] = p[0];
  return size;
}

DrawnAugmentation draw_augmentation(const AugmentOptions& o, int64_t channels, uint64_t seed, int64_t index,
                               int64_t sample) {
  detail::BatchRandom random(seed, static_cast<uint64_t>(index), static_cast<uint32_t>(sample));
  DrawnAugmentation out;
  if (random.uniform() < o.p_rotation)
    for (int a = o.spatial_2d ? 2 : 0; a < 3; ++a) out.angles[a] = random.uniform(o.rotation[0], o.rotation[1]);
  if (random.uniform() < o.p_scaling) out.scale = random.uniform(o.scaling[0], o.scaling[1]);
  if (random.uniform() < o.p_noise) out.noise = random.uniform(o.noise[0], o.noise[1]);
  out.noise_seed = (uint64_t{random.bits()} << 32) | random.bits();
  if (random.uniform() < o.p_blur)
    for (int64_t c = 0; c < channels; ++c) {
      std::array<double, 3> sigma{0, 0, 0};
      if (random.uniform() < o.p_blur_channel)
        for (double& s : sigma) s = random.uniform(o.blur[0], o.blur[1]);
      out.blur.push_back(sigma);
    }
  out.brightness = factors(random, o.p_brightness, o.brightness, channels);
  out.contrast = factors(random, o.p_contrast, o.contrast, channels);
  if (random.uniform() < o.p_low_resolution)
    for (int64_t c = 0; c < channels; ++c)
      out.low_resolution.push_back(random.uniform() < o.p_low_resolution_channel
                                       ? random.uniform(o.low_resolution[0], o.low_resolution[1])
                                       : 0.0);
  out.gamma_inverted = factors(random, o.p_gamma_inverted, o.gamma, channels);
  out.gamma = factors(random, o.p_gamma, o.gamma, channels);
  for (const int64_t a : o.mirror_axes)
    if (a >= 0 && a < 3) out.mirror[a] = random.uniform() < o.p_mirror;
  return out;
}

}  // namespace vesalius::segmentation
