// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/tensor.h>

#include <vesalius/core/error.h>
#include <vesalius/segmentation/preprocess.h>

#include "segmentation/resize.h"
#include "segmentation/statistics.h"

/// Resampling as skimage.transform.resize(mode="edge", anti_aliasing=False) does it: pixel edges of both grids are aligned,
/// x = (i + 0.5) n / m - 0.5; order 3 is the interpolating cubic B-spline of the line continued by its end values.
namespace vesalius::segmentation {
namespace {

constexpr int64_t kLanes = 16;
constexpr int64_t kPad = 12;                // as scipy: the spline's memory, pole^12 < 2e-7
const double kPole = std::sqrt(3.0) - 2.0;  // of the cubic B-spline's prefilter (Unser 1999)

double source_position(int64_t i, int64_t n, int64_t m) { return double(n) / double(m) * (double(i) + 0.5) - 0.5; }

struct CubicTap {
  int64_t first;
  double weight[4];
};

std::vector<CubicTap> cubic_taps(int64_t n, int64_t m) {
  std::vector<CubicTap> taps(m);
  for (int64_t i = 0; i < m; ++i) {
    const double x = source_position(i, n, m) + kPad, floor = std::floor(x), t = x - floor, u = 1 - t;
    taps[i] = {static_cast<int64_t>(floor) - 1,
               {u * u * u / 6, 2.0 / 3 - t * t * (2 - t) / 2, 2.0 / 3 - u * u * (2 - u) / 2, t * t * t / 6}};
  }
  return taps;
}

/// B-spline coefficients of `count` padded samples, kLanes lines side by side.
void prefilter(double* c, int64_t count) {
  double first[kLanes];
  std::copy(c, c + kLanes, first);
  double power = kPole;
  for (int64_t k = 0; k < std::min<int64_t>(count, 30); ++k, power *= kPole)
    for (int64_t l = 0; l < kLanes; ++l) first[l] += power * c[k * kLanes + l];
  std::copy(first, first + kLanes, c);
  for (int64_t k = 1; k < count; ++k)
    for (int64_t l = 0; l < kLanes; ++l) c[k * kLanes + l] += kPole * c[(k - 1) * kLanes + l];
  for (int64_t l = 0; l < kLanes; ++l) c[(count - 1) * kLanes + l] *= kPole / (kPole - 1);
  for (int64_t k = count - 2; k >= 0; --k)
    for (int64_t l = 0; l < kLanes; ++l) c[k * kLanes + l] = kPole * (c[(k + 1) * kLanes + l] - c[k * kLanes + l]);
  for (int64_t i = 0; i < count * kLanes; ++i) c[i] *= 6;
}

/// One axis of [outer, n, inner] → [outer, m, inner].
void resize_axis_cubic(const float* in, float* out, int64_t outer, int64_t n, int64_t inner, int64_t m) {
  const auto taps = cubic_taps(n, m);
  const int64_t lines = outer * inner;
  at::parallel_for(0, (lines + kLanes - 1) / kLanes, 4, [&](int64_t begin, int64_t end) {
    std::vector<double> line((n + 2 * kPad) * kLanes, 0.0);
    for (int64_t block = begin; block < end; ++block) {
      const int64_t lanes = std::min(kLanes, lines - block * kLanes);
      int64_t from[kLanes], to[kLanes];
      for (int64_t l = 0; l < lanes; ++l) {
        const int64_t id = block * kLanes + l;
        from[l] = id / inner * n * inner + id % inner;
        to[l] = id / inner * m * inner + id % inner;
      }
      for (int64_t l = 0; l < lanes; ++l)
        for (int64_t k = 0; k < n; ++k) line[(k + kPad) * kLanes + l] = in[from[l] + k * inner];
      for (int64_t k = 0; k < kPad; ++k)
        for (int64_t l = 0; l < kLanes; ++l) {
          line[k * kLanes + l] = line[kPad * kLanes + l];
          line[(kPad + n + k) * kLanes + l] = line[(kPad + n - 1) * kLanes + l];
        }
      prefilter(line.data(), n + 2 * kPad);
      for (int64_t i = 0; i < m; ++i) {
        const double* c = line.data() + taps[i].first * kLanes;
        const double* w = taps[i].weight;
        float value[kLanes];
        for (int64_t l = 0; l < kLanes; ++l)
          value[l] = static_cast<float>(w[0] * c[l] + w[1] * c[kLanes + l] + w[2] * c[2 * kLanes + l] +
                                        w[3] * c[3 * kLanes + l]);
        for (int64_t l = 0; l < lanes; ++l) out[to[l] + i * inner] = value[l];
      }
    }
  });
}

void resize_axis_linear(const float* in, float* out, int64_t outer, int64_t n, int64_t inner, int64_t m) {
  const auto taps = detail::linear_taps(n, m);
  at::parallel_for(0, outer * m, std::max<int64_t>(1, 4096 / inner), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const auto& tap = taps[row % m];
      const float* a = in + (row / m * n + tap.low) * inner;
      const float* b = in + (row / m * n + tap.high) * inner;
      const auto v = static_cast<float>(tap.low_weight), w = static_cast<float>(tap.high_weight);
      for (int64_t x = 0; x < inner; ++x) out[row * inner + x] = v * a[x] + w * b[x];
    }
  });
}

at::Tensor resized_axis(const at::Tensor& image, int64_t axis, int64_t m, int64_t order) {
  const int64_t n = image.size(axis);
  if (n == m) return image;
  auto sizes = image.sizes().vec();
  sizes[axis] = m;
  at::Tensor out = at::empty(sizes, image.options());
  int64_t outer = 1, inner = 1;
  for (int64_t d = 0; d < axis; ++d) outer *= image.size(d);
  for (int64_t d = axis + 1; d < image.dim(); ++d) inner *= image.size(d);
  (order == 3 ? resize_axis_cubic : resize_axis_linear)(image.const_data_ptr<float>(), out.mutable_data_ptr<float>(),
                                                        outer, n, inner, m);
  return out;
}

/// The label with the largest sum of weights; of equal ones the nearest voxel's, else the smallest (batchgenerators 0.25.5).
int16_t heaviest(const int16_t* label, const double* weight, int16_t nearest) {
  int16_t best = 0;
  double most = -1, of_nearest = -1;
  for (int k = 0; k < 8; ++k) {
    double sum = 0;
    for (int j = 0; j < 8; ++j)
      if (label[j] == label[k]) sum += weight[j];
    if (sum > most || (sum == most && label[k] < best)) {
      most = sum;
      best = label[k];
    }
    if (label[k] == nearest) of_nearest = sum;
  }
  return of_nearest == most ? nearest : best;
}

/// Cubic splines overshoot; skimage clips to the range of what it was given: a channel, or one slice of it.
void clip_to_range(at::Tensor& out, const at::Tensor& in, int64_t axis) {
  const int64_t slices = axis < 0 ? 1 : in.size(axis + 1);
  for (int64_t c = 0; c < in.size(0); ++c)
    for (int64_t s = 0; s < slices; ++s) {
      const at::Tensor from = axis < 0 ? in[c] : in[c].select(axis, s);
      at::Tensor to = axis < 0 ? out[c] : out[c].select(axis, s);
      to.clamp_(from.min().item<float>(), from.max().item<float>());
    }
}

}  // namespace

namespace detail {

std::vector<LinearTap> linear_taps(int64_t n, int64_t m) {
  std::vector<LinearTap> taps(m);
  for (int64_t i = 0; i < m; ++i) {
    if (n == m) {
      taps[i] = {i, i, 1.0, 0.0};
      continue;
    }
    const double x = std::clamp(source_position(i, n, m), 0.0, double(n - 1)), floor = std::floor(x);
    const auto low = static_cast<int64_t>(floor);
    const double low_weight = 1.0 - (x - floor);
    taps[i] = {low, std::min(low + 1, n - 1), low_weight,
               1.0 - low_weight};  // scipy's last bit: its weights add to one
  }
  return taps;
}

std::vector<int64_t> nearest_indices(int64_t n, int64_t m) {
  std::vector<int64_t> out(m);
  for (int64_t i = 0; i < m; ++i)
    out[i] = static_cast<int64_t>(std::floor(std::clamp(source_position(i, n, m), 0.0, double(n - 1)) + 0.5));
  return out;
}

std::vector<LinearTap> axis_taps(int64_t n, int64_t m, bool nearest) {
  if (!nearest || n == m) return linear_taps(n, m);
  std::vector<LinearTap> taps;
  for (const int64_t i : nearest_indices(n, m)) taps.push_back({i, i, 1.0, 0.0});
  return taps;
}

}  // namespace detail

Index3 resampled_shape(const Index3& shape, const Vec3& spacing, const Vec3& new_spacing) {
  Index3 out{};
  for (int a = 0; a < 3; ++a) {
    const double size = detail::round_even(spacing[a] / new_spacing[a] * double(shape[a]));
    if (!(size < 1e6))
      throw InvalidArgument("resampling " + std::to_string(shape[a]) + " voxels of " + std::to_string(spacing[a]) +
                            " mm to " + std::to_string(new_spacing[a]) + " mm makes too many; is the spacing right?");
    out[a] = static_cast<int64_t>(size);
  }
  constexpr double kMostVoxels = 1e11;
  if (double(out[0]) * double(out[1]) * double(out[2]) > kMostVoxels)
    throw InvalidArgument("resampling would make " + std::to_string(out[0]) + " x " + std::to_string(out[1]) + " x " +
                          std::to_string(out[2]) + " voxels; is the spacing right?");
  return out;
}

int64_t separate_axis(const Vec3& spacing, const Vec3& new_spacing) {
  for (const Vec3& s : {spacing, new_spacing}) {
    const double coarsest = *std::max_element(s.begin(), s.end()), finest = *std::min_element(s.begin(), s.end());
    if (!(coarsest / finest > 3)) continue;
    if (std::count(s.begin(), s.end(), coarsest) != 1) return -1;
    return std::find(s.begin(), s.end(), coarsest) - s.begin();
  }
  return -1;
}

at::Tensor resample_image_to(const at::Tensor& image, const Index3& shape, int64_t order, int64_t separate) {
  if (order != 1 && order != 3) throw InvalidArgument("resampling of order 1 or 3; got " + std::to_string(order));
  if (image.dim() != 4)
    throw ShapeError("resample_image_to takes [c, z, y, x]; got " + std::to_string(image.dim()) + " axes");
  for (const int64_t n : shape)
    if (n < 1)
      throw InvalidArgument(
          "resampling would leave no voxel on an axis; the image is thinner than half a target voxel");
  at::Tensor in = image.to(at::kFloat).contiguous();
  if (in.size(1) == shape[0] && in.size(2) == shape[1] && in.size(3) == shape[2]) return in;
  // What shrinks comes first: less to do for the others.
  std::vector<int64_t> axes{0, 1, 2};
  if (separate >= 0) axes.erase(axes.begin() + separate);
  std::stable_sort(axes.begin(), axes.end(), [&](int64_t a, int64_t b) {
    return double(shape[a]) / double(in.size(a + 1)) < double(shape[b]) / double(in.size(b + 1));
  });
  at::Tensor out = in;
  for (const int64_t a : axes) out = resized_axis(out, a + 1, shape[a], order);
  if (order == 3 && !out.is_same(in)) clip_to_range(out, in, separate);
  if (separate >= 0 && out.size(separate + 1) != shape[separate])
    out = out.index_select(separate + 1,
                           at::tensor(detail::nearest_indices(out.size(separate + 1), shape[separate]), at::kLong));
  return out;
}

at::Tensor resample_labels_to(const at::Tensor& labels, const Index3& shape, int64_t separate) {
  if (labels.dim() != 3) throw ShapeError("resample_labels_to takes [z, y, x]");
  const at::Tensor in = labels.to(at::kShort).contiguous();
  const Index3 n{in.size(0), in.size(1), in.size(2)};
  if (n == shape) return in;
  at::Tensor out = at::empty({shape[0], shape[1], shape[2]}, in.options());
  const auto z_taps = detail::axis_taps(n[0], shape[0], separate == 0),
             y_taps = detail::axis_taps(n[1], shape[1], separate == 1),
             x_taps = detail::axis_taps(n[2], shape[2], separate == 2);
  const int16_t* from = in.const_data_ptr<int16_t>();
  int16_t* to = out.mutable_data_ptr<int16_t>();
  at::parallel_for(0, shape[0] * shape[1], 16, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const auto &z = z_taps[row / shape[1]], &y = y_taps[row % shape[1]];
      const int16_t* rows[4] = {from + (z.low * n[1] + y.low) * n[2], from + (z.low * n[1] + y.high) * n[2],
                                from + (z.high * n[1] + y.low) * n[2], from + (z.high * n[1] + y.high) * n[2]};
      // scipy's order of products and sums, so that 0.5 is 0.5 where theirs is.
      const double weights[4] = {z.low_weight * y.low_weight, z.low_weight * y.high_weight,
                                 z.high_weight * y.low_weight, z.high_weight * y.high_weight};
      for (int64_t x = 0; x < shape[2]; ++x) {
        const auto& tap = x_taps[x];
        int16_t label[8];
        double weight[8];
        bool same = true;
        for (int r = 0; r < 4; ++r) {
          label[2 * r] = rows[r][tap.low];
          label[2 * r + 1] = rows[r][tap.high];
          weight[2 * r] = weights[r] * tap.low_weight;
          weight[2 * r + 1] = weights[r] * tap.high_weight;
          same = same && label[2 * r] == label[0] && label[2 * r + 1] == label[0];
        }
        const int nearest =
            (z.high_weight >= 0.5 ? 4 : 0) + (y.high_weight >= 0.5 ? 2 : 0) + (tap.high_weight >= 0.5 ? 1 : 0);
        const int16_t best = same ? label[0] : heaviest(label, weight, label[nearest]);
        to[row * shape[2] + x] = best;
      }
    }
  });
  return out;
}

}  // namespace vesalius::segmentation
