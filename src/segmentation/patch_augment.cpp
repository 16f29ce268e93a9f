// SPDX-License-Identifier: Apache-2.0
#include <vesalius/segmentation/patch_augment.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/normal.h>
#include <ATen/ops/pow.h>

#include <vesalius/core/error.h>

#include "segmentation/patch_gather.h"
#include "segmentation/resize.h"
#include "segmentation/statistics.h"

namespace vesalius::segmentation {
namespace {

constexpr float kTiny = 1e-7f;

struct PatchMoments {
  double mean = 0, deviation = 0;  // of a sample (n - 1), as torch
  float low = 0, high = 0;
};

/// In float64 over blocks: one pass, without the cancellation of a plain sum of squares (the block's mean is near).
PatchMoments patch_moments(const float* v, int64_t n, bool deviation) {
  PatchMoments out;
  float low = v[0], high = v[0];
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) {
    low = std::min(low, v[i]);
    high = std::max(high, v[i]);
    sum += v[i];
  }
  out.low = low, out.high = high, out.mean = sum / double(n);
  if (deviation && n > 1) {
    double squares = 0;
    for (int64_t i = 0; i < n; ++i) squares += (v[i] - out.mean) * (v[i] - out.mean);
    out.deviation = std::sqrt(squares / double(n - 1));
  }
  return out;
}

/// batchgeneratorsv2's kernel: the odd length nearest to 6 sigma + 0.5, normalised.
std::vector<float> blur_kernel(double sigma) {
  const double wanted = 6 * sigma + 0.5;
  auto size = static_cast<int64_t>(detail::round_even(wanted));
  if (size % 2 == 0) size += wanted - double(size) >= 0 ? 1 : -1;
  size = std::max<int64_t>(size, 1);
  std::vector<float> kernel(size);
  float sum = 0;
  for (int64_t i = 0; i < size; ++i) {
    const double x = (double(i) - 0.5 * double(size - 1)) / sigma;
    sum += kernel[i] = static_cast<float>(std::exp(-0.5 * x * x));
  }
  for (float& k : kernel) k /= sum;
  return kernel;
}

/// One axis of [outer, n, inner], in place, reflected about the ends.
void blur_axis(float* v, int64_t outer, int64_t n, int64_t inner, double sigma) {
  const auto kernel = blur_kernel(sigma);
  const auto half = static_cast<int64_t>(kernel.size()) / 2;
  if (n <= half) return;  // nothing to reflect: an axis of one slice
  const int64_t lanes = inner > 1 ? std::min<int64_t>(inner, 64) : 1;
  std::vector<float> line((n + 2 * half) * lanes);
  for (int64_t o = 0; o < outer; ++o)
    for (int64_t first = 0; first < inner; first += lanes) {
      const int64_t width = std::min(lanes, inner - first);
      float* base = v + o * n * inner + first;
      for (int64_t k = -half; k < n + half; ++k) {
        const int64_t source = k < 0 ? -k : k >= n ? 2 * n - 2 - k : k;
        std::copy_n(base + source * inner, width, line.data() + (k + half) * lanes);
      }
      for (int64_t i = 0; i < n; ++i) {
        float* out = base + i * inner;
        const float* in = line.data() + i * lanes;
        for (int64_t l = 0; l < width; ++l) out[l] = kernel[0] * in[l];
        for (size_t k = 1; k < kernel.size(); ++k)
          for (int64_t l = 0; l < width; ++l) out[l] += kernel[k] * in[static_cast<int64_t>(k) * lanes + l];
      }
    }
}

void change_contrast(float* v, int64_t n, double factor) {
  const PatchMoments m = patch_moments(v, n, false);
  const auto mean = static_cast<float>(m.mean), f = static_cast<float>(factor);
  for (int64_t i = 0; i < n; ++i) v[i] = std::clamp((v[i] - mean) * f + mean, m.low, m.high);
}

/// Nearest down to `scale`, linear up again; `first_axis` 1 leaves axis 0 alone.
void lower_resolution(float* v, const Index3& n, double scale, int first_axis) {
  Index3 m = n;
  std::vector<int64_t> pick[3];
  std::vector<detail::LinearTap> up[3];
  for (int a = 0; a < 3; ++a) {
    if (a >= first_axis) m[a] = std::max<int64_t>(1, static_cast<int64_t>(detail::round_even(double(n[a]) * scale)));
    for (int64_t i = 0; i < m[a]; ++i)
      pick[a].push_back(
          std::min(n[a] - 1, static_cast<int64_t>(std::floor((double(i) + 0.5) * double(n[a]) / double(m[a])))));
    up[a] = detail::linear_taps(m[a], n[a]);
  }
  std::vector<float> low(m[0] * m[1] * m[2]), line(m[2]);
  for (int64_t z = 0; z < m[0]; ++z)
    for (int64_t y = 0; y < m[1]; ++y) {
      const float* row = v + (pick[0][z] * n[1] + pick[1][y]) * n[2];
      float* to = low.data() + (z * m[1] + y) * m[2];
      for (int64_t x = 0; x < m[2]; ++x) to[x] = row[pick[2][x]];
    }
  std::vector<float> weight(n[2]);
  std::vector<int32_t> left(n[2]), right(n[2]);
  for (int64_t x = 0; x < n[2]; ++x) {
    left[x] = static_cast<int32_t>(up[2][x].low), right[x] = static_cast<int32_t>(up[2][x].high);
    weight[x] = static_cast<float>(up[2][x].high_weight);
  }
  for (int64_t z = 0; z < n[0]; ++z)
    for (int64_t y = 0; y < n[1]; ++y) {
      const auto &tz = up[0][z], &ty = up[1][y];
      const float* rows[4] = {
          low.data() + (tz.low * m[1] + ty.low) * m[2], low.data() + (tz.low * m[1] + ty.high) * m[2],
          low.data() + (tz.high * m[1] + ty.low) * m[2], low.data() + (tz.high * m[1] + ty.high) * m[2]};
      const auto w0 = static_cast<float>(tz.low_weight * ty.low_weight),
                 w1 = static_cast<float>(tz.low_weight * ty.high_weight),
                 w2 = static_cast<float>(tz.high_weight * ty.low_weight),
                 w3 = static_cast<float>(tz.high_weight * ty.high_weight);
      for (int64_t x = 0; x < m[2]; ++x)
        line[x] = w0 * rows[0][x] + w1 * rows[1][x] + w2 * rows[2][x] + w3 * rows[3][x];
      float* to = v + (z * n[1] + y) * n[2];
      for (int64_t x = 0; x < n[2]; ++x) to[x] = line[left[x]] + weight[x] * (line[right[x]] - line[left[x]]);
    }
}

void change_gamma(at::Tensor channel, double gamma, bool inverted) {
  float* v = channel.mutable_data_ptr<float>();
  const int64_t n = channel.numel();
  if (inverted)
    for (int64_t i = 0; i < n; ++i) v[i] = -v[i];
  const PatchMoments before = patch_moments(v, n, true);
  const float range = before.high - before.low, scale = 1 / std::max(range, kTiny);
  for (int64_t i = 0; i < n; ++i) v[i] = (v[i] - before.low) * scale;
  channel.pow_(gamma);
  // The range is put back and mean and deviation are kept: both are affine, so the first needn't be done.
  const PatchMoments after = patch_moments(v, n, true);
  const double deviation = after.deviation * range;
  const double a = range * before.deviation / std::max(deviation, double(kTiny));
  const auto slope = static_cast<float>(inverted ? -a : a);
  const auto shift = static_cast<float>(inverted ? a * after.mean - before.mean : before.mean - a * after.mean);
  for (int64_t i = 0; i < n; ++i) v[i] = slope * v[i] + shift;
}

/// Rz · Ry · Rx · scale, its columns negated on mirrored axes.
Mat3 affine_of(const DrawnAugmentation& drawn, bool planar) {
  const double c[3] = {std::cos(drawn.angles[0]), std::cos(drawn.angles[1]), std::cos(drawn.angles[2])};
  const double s[3] = {std::sin(drawn.angles[0]), std::sin(drawn.angles[1]), std::sin(drawn.angles[2])};
  Mat3 m;
  if (planar)
    m = {{{1, 0, 0}, {0, c[2], -s[2]}, {0, s[2], c[2]}}};
  else
    m = {{{c[2] * c[1], c[2] * s[1] * s[0] - s[2] * c[0], c[2] * s[1] * c[0] + s[2] * s[0]},
          {s[2] * c[1], s[2] * s[1] * s[0] + c[2] * c[0], s[2] * s[1] * c[0] - c[2] * s[0]},
          {-s[1], c[1] * s[0], c[1] * c[0]}}};
  for (auto& row : m)
    for (int a = 0; a < 3; ++a) row[a] *= (planar && a == 0 ? 1.0 : drawn.scale) * (drawn.mirror[a] ? -1.0 : 1.0);
  return m;
}

void intensities(AugmentedSample& out, const DrawnAugmentation& drawn, const AugmentOptions& options) {
  const int64_t channels = out.image.size(0), n = out.labels.numel();
  const Index3 size{out.labels.size(0), out.labels.size(1), out.labels.size(2)};
  float* voxels = out.image.mutable_data_ptr<float>();
  if (drawn.noise > 0) {
    // torch's vectorised Box-Muller, serial: the same whatever the number of threads.
    auto generator = at::make_generator<at::CPUGeneratorImpl>(drawn.noise_seed);
    at::Tensor noise = at::empty(out.image.sizes(), at::kFloat);
    noise.normal_(0, drawn.noise, generator);
    const float* add = noise.const_data_ptr<float>();
    for (int64_t i = 0; i < channels * n; ++i) voxels[i] += add[i];
  }
  const auto at_channel = [&](const std::vector<double>& list, int64_t c) {
    return static_cast<size_t>(c) < list.size() ? list[c] : 0.0;
  };
  for (int64_t c = 0; c < channels; ++c) {
    float* v = voxels + c * n;
    if (static_cast<size_t>(c) < drawn.blur.size() && drawn.blur[c][0] > 0) {
      blur_axis(v, 1, size[0], size[1] * size[2], drawn.blur[c][0]);
      blur_axis(v, size[0], size[1], size[2], drawn.blur[c][1]);
      blur_axis(v, size[0] * size[1], size[2], 1, drawn.blur[c][2]);
    }
    if (const double f = at_channel(drawn.brightness, c); f != 0)
      for (int64_t i = 0; i < n; ++i) v[i] *= static_cast<float>(f);
    if (const double f = at_channel(drawn.contrast, c); f != 0) change_contrast(v, n, f);
    if (const double f = at_channel(drawn.low_resolution, c); f != 0)
      lower_resolution(v, size, f, options.spatial_2d ? 1 : 0);
    if (const double f = at_channel(drawn.gamma_inverted, c); f != 0) change_gamma(out.image[c], f, true);
    if (const double f = at_channel(drawn.gamma, c); f != 0) change_gamma(out.image[c], f, false);
  }
}

}  // namespace

AugmentedSample apply_augmentation(const at::Tensor& image, const at::Tensor& labels, const Index3& start,
                                   const Index3& size, const Index3& patch, const DrawnAugmentation& drawn,
                                   const AugmentOptions& options) {
  if (image.dim() != 4 || labels.dim() != 3 || image.sizes().slice(1) != labels.sizes())
    throw ShapeError("augmentation takes an image [c, z, y, x] and labels [z, y, x] of the same size");
  if (image.scalar_type() != at::kFloat || labels.scalar_type() != at::kShort || !image.is_contiguous() ||
      !labels.is_contiguous())
    throw TypeMismatch("augmentation takes contiguous float32 images and int16 labels");
  for (int a = 0; a < 3; ++a)
    if (patch[a] < 1 || size[a] < 1) throw InvalidArgument("patch and box must have at least one voxel on each axis");
  AugmentedSample out{at::empty({image.size(0), patch[0], patch[1], patch[2]}, at::kFloat),
                      at::empty({patch[0], patch[1], patch[2]}, at::kShort)};
  detail::Bounds bounds;
  for (int a = 0; a < 3; ++a) {
    bounds.low[a] = std::clamp<int64_t>(start[a], 0, labels.size(a));
    bounds.high[a] = std::clamp<int64_t>(start[a] + size[a], bounds.low[a], labels.size(a));
  }
  const bool turned = drawn.scale != 1.0 || drawn.angles != std::array<double, 3>{0, 0, 0};
  if (turned) {
    Vec3 centre{};
    for (int a = 0; a < 3; ++a) centre[a] = double(start[a]) + 0.5 * double(size[a] - 1);
    // In-plane only: slices are whole, so the centre between two of them must not mix them.
    if (options.spatial_2d) centre[0] = double(start[0] + size[0] / 2 - patch[0] / 2) + 0.5 * double(patch[0] - 1);
    detail::gather_affine(image, labels, bounds, centre, affine_of(drawn, options.spatial_2d), out);
  } else {
    Index3 first{};
    for (int a = 0; a < 3; ++a) first[a] = start[a] + size[a] / 2 - patch[a] / 2;
    detail::crop_mirrored(image, labels, bounds, first, drawn.mirror, out);
  }
  intensities(out, drawn, options);
  const int64_t n = out.labels.numel();
  int16_t* map = out.labels.mutable_data_ptr<int16_t>();
  for (const int64_t c : options.masked_channels)
    if (c >= 0 && c < image.size(0)) {
      float* v = out.image.mutable_data_ptr<float>() + c * n;
      for (int64_t i = 0; i < n; ++i)
        if (map[i] < 0) v[i] = 0;
    }
  for (int64_t i = 0; i < n; ++i) map[i] = std::max<int16_t>(map[i], 0);
  return out;
}

}  // namespace vesalius::segmentation
