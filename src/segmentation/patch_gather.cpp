// SPDX-License-Identifier: Apache-2.0
#include "segmentation/patch_gather.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

namespace vesalius::segmentation::detail {
namespace {

/// The label with the largest weight of eight; near ties (1e-6) go to the nearest voxel's label, then to the smallest.
int16_t heaviest_of_eight(const int16_t* label, const float* weight) {
  int best = 0;
  float best_weight = -1;
  int nearest = 0;
  for (int k = 0; k < 8; ++k) {
    float sum = 0;
    for (int j = 0; j < 8; ++j)
      if (label[j] == label[k]) sum += weight[j];
    if (weight[k] > weight[nearest]) nearest = k;
    if (sum > best_weight + 1e-6f || (sum > best_weight - 1e-6f && label[k] < label[best])) {
      best = k;
      best_weight = sum;
    }
  }
  float own = 0;
  for (int j = 0; j < 8; ++j)
    if (label[j] == label[nearest]) own += weight[j];
  return own > best_weight - 1e-6f ? label[nearest] : label[best];
}

/// First and one past the last i in 0..n for which low <= x0 + i * dx < high, as far as reals tell.
void clip_row(double x0, double dx, double low, double high, int64_t& begin, int64_t& end) {
  if (std::abs(dx) < 1e-12) {
    if (!(x0 >= low && x0 < high)) end = begin;
    return;
  }
  double a = (low - x0) / dx, b = (high - x0) / dx;
  if (a > b) std::swap(a, b);
  begin = std::max(begin, static_cast<int64_t>(std::ceil(std::clamp(a, -1e9, 1e9))) + 1);
  end = std::min(end, static_cast<int64_t>(std::floor(std::clamp(b, -1e9, 1e9))) - 1);
  if (end < begin) end = begin;
}

class PatchGather {
 public:
  PatchGather(const at::Tensor& image, const at::Tensor& labels, const Bounds& bounds, AugmentedSample& out)
      : from_(image.const_data_ptr<float>()),
        labels_(labels.const_data_ptr<int16_t>()),
        to_(out.image.mutable_data_ptr<float>()),
        to_labels_(out.labels.mutable_data_ptr<int16_t>()),
        channels_(image.size(0)),
        volume_(image.stride(0)),
        patch_volume_(out.labels.numel()),
        bounds_(bounds),
        stride_{image.stride(1), image.stride(2)} {}

  /// All eight neighbours are inside: no checks.
  void inner(const double* p, int64_t at) const {
    const int64_t z = static_cast<int64_t>(p[0]), y = static_cast<int64_t>(p[1]), x = static_cast<int64_t>(p[2]);
    const auto fz = static_cast<float>(p[0] - double(z)), fy = static_cast<float>(p[1] - double(y)),
               fx = static_cast<float>(p[2] - double(x));
    const int64_t base = z * stride_[0] + y * stride_[1] + x;
    const int64_t up = fz > 0 ? stride_[0] : 0;  // the last slice has none above it, and needs none
    const int64_t rows[4] = {base, base + stride_[1], base + up, base + up + stride_[1]};
    for (int64_t c = 0; c < channels_; ++c) {
      const float* v = from_ + c * volume_;
      const auto mix = [&](int64_t row) { return v[row] + fx * (v[row + 1] - v[row]); };
      const float a = mix(rows[0]), b = mix(rows[1]), d = mix(rows[2]), e = mix(rows[3]);
      const float low = a + fy * (b - a), high = d + fy * (e - d);
      to_[c * patch_volume_ + at] = low + fz * (high - low);
    }
    uint32_t pair[4];
    for (int r = 0; r < 4; ++r) std::memcpy(&pair[r], labels_ + rows[r], sizeof(uint32_t));
    if (pair[0] == pair[1] && pair[0] == pair[2] && pair[0] == pair[3] && (pair[0] >> 16) == (pair[0] & 0xffff)) {
      to_labels_[at] = static_cast<int16_t>(pair[0] & 0xffff);
      return;
    }
    int16_t label[8];
    float weight[8];
    for (int r = 0; r < 4; ++r) {
      const float w = (r & 2 ? fz : 1 - fz) * (r & 1 ? fy : 1 - fy);
      label[2 * r] = labels_[rows[r]], label[2 * r + 1] = labels_[rows[r] + 1];
      weight[2 * r] = w * (1 - fx), weight[2 * r + 1] = w * fx;
    }
    to_labels_[at] = heaviest_of_eight(label, weight);
  }

  void border(const double* p, int64_t at) const {
    const double floor[3] = {std::floor(p[0]), std::floor(p[1]), std::floor(p[2])};
    float f[3];
    int64_t i[3];
    bool near = true;
    for (int a = 0; a < 3; ++a) {
      f[a] = static_cast<float>(p[a] - floor[a]);
      near = near && floor[a] > -1e9 && floor[a] < 1e9;
      i[a] = near ? static_cast<int64_t>(floor[a]) : 0;
      near = near && i[a] >= bounds_.low[a] - 1 && i[a] < bounds_.high[a];
    }
    if (!near) {
      for (int64_t c = 0; c < channels_; ++c) to_[c * patch_volume_ + at] = 0;
      to_labels_[at] = -1;
      return;
    }
    int64_t offset[8];
    float weight[8];
    int16_t label[8];
    for (int k = 0; k < 8; ++k) {
      const int64_t q[3] = {i[0] + (k >> 2), i[1] + (k >> 1 & 1), i[2] + (k & 1)};
      weight[k] = (k & 4 ? f[0] : 1 - f[0]) * (k & 2 ? f[1] : 1 - f[1]) * (k & 1 ? f[2] : 1 - f[2]);
      bool inside = true;
      for (int a = 0; a < 3; ++a) inside = inside && q[a] >= bounds_.low[a] && q[a] < bounds_.high[a];
      offset[k] = inside ? q[0] * stride_[0] + q[1] * stride_[1] + q[2] : -1;
      label[k] = inside ? labels_[offset[k]] : int16_t{-1};
    }
    for (int64_t c = 0; c < channels_; ++c) {
      float sum = 0;
      for (int k = 0; k < 8; ++k)
        if (offset[k] >= 0) sum += weight[k] * from_[c * volume_ + offset[k]];
      to_[c * patch_volume_ + at] = sum;
    }
    to_labels_[at] = heaviest_of_eight(label, weight);
  }

 private:
  const float* from_;
  const int16_t* labels_;
  float* to_;
  int16_t* to_labels_;
  int64_t channels_, volume_, patch_volume_;
  Bounds bounds_;
  int64_t stride_[2];
};

}  // namespace

void crop_mirrored(const at::Tensor& image, const at::Tensor& labels, const Bounds& bounds, const Index3& start,
                   const std::array<bool, 3>& mirror, AugmentedSample& out) {
  const Index3 n{out.labels.size(0), out.labels.size(1), out.labels.size(2)};
  const int64_t channels = image.size(0), voxels = out.labels.numel();
  const float* from = image.const_data_ptr<float>();
  const int16_t* from_labels = labels.const_data_ptr<int16_t>();
  float* to = out.image.mutable_data_ptr<float>();
  int16_t* to_labels = out.labels.mutable_data_ptr<int16_t>();
  std::fill(to, to + channels * voxels, 0.0f);
  std::fill(to_labels, to_labels + voxels, int16_t{-1});
  const int64_t x_begin = std::max(bounds.low[2], start[2]), x_end = std::min(bounds.high[2], start[2] + n[2]);
  if (x_begin >= x_end) return;
  const auto copy_row = [&](const auto* source, auto* row) {  // row: the output's, from its first x
    if (!mirror[2])
      std::copy(source + x_begin, source + x_end, row + (x_begin - start[2]));
    else
      std::reverse_copy(source + x_begin, source + x_end, row + (start[2] + n[2] - x_end));
  };
  for (int64_t z = 0; z < n[0]; ++z) {
    const int64_t sz = start[0] + (mirror[0] ? n[0] - 1 - z : z);
    if (sz < bounds.low[0] || sz >= bounds.high[0]) continue;
    for (int64_t y = 0; y < n[1]; ++y) {
      const int64_t sy = start[1] + (mirror[1] ? n[1] - 1 - y : y);
      if (sy < bounds.low[1] || sy >= bounds.high[1]) continue;
      const int64_t source = (sz * image.size(2) + sy) * image.size(3), row = (z * n[1] + y) * n[2];
      for (int64_t c = 0; c < channels; ++c) copy_row(from + c * image.stride(0) + source, to + c * voxels + row);
      copy_row(from_labels + source, to_labels + row);
    }
  }
}

void gather_affine(const at::Tensor& image, const at::Tensor& labels, const Bounds& bounds, const Vec3& centre,
                   const Mat3& matrix, AugmentedSample& out) {
  const Index3 n{out.labels.size(0), out.labels.size(1), out.labels.size(2)};
  const PatchGather gather(image, labels, bounds, out);
  for (int64_t z = 0; z < n[0]; ++z)
    for (int64_t y = 0; y < n[1]; ++y) {
      const double dz = double(z) - 0.5 * double(n[0] - 1), dy = double(y) - 0.5 * double(n[1] - 1),
                   dx = -0.5 * double(n[2] - 1);
      double p0[3], step[3];
      int64_t begin = 0, end = n[2];
      for (int a = 0; a < 3; ++a) {
        p0[a] = centre[a] + matrix[a][0] * dz + matrix[a][1] * dy + matrix[a][2] * dx;
        step[a] = matrix[a][2];
        // Within one slice (in-plane rotation) the last slice counts as inside.
        const bool same_slice = a == 0 && step[0] == 0 && p0[0] == std::floor(p0[0]);
        clip_row(p0[a], step[a], double(bounds.low[a]), double(bounds.high[a] - 1) + (same_slice ? 0.5 : 0.0), begin, end);
      }
      const int64_t row = (z * n[1] + y) * n[2];
      for (int64_t x = 0; x < n[2]; ++x) {
        const double p[3] = {p0[0] + double(x) * step[0], p0[1] + double(x) * step[1], p0[2] + double(x) * step[2]};
        if (x >= begin && x < end)
          gather.inner(p, row + x);
        else
          gather.border(p, row + x);
      }
    }
}

}  // namespace vesalius::segmentation::detail
