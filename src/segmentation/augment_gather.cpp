// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "segmentation/augment_kernels.h"
#include "segmentation/wide.h"

namespace vesalius::segmentation::detail {
namespace {

using Matrix = std::array<std::array<double, 3>, 3>;

Matrix product(const Matrix& a, const Matrix& b) {
  Matrix out{};
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < 3; ++j)
      for (int k = 0; k < 3; ++k) out[i][j] += a[i][k] * b[k][j];
  return out;
}

/// A turn in the plane of axes (a, b): e_a → cos e_a + sin e_b.
Matrix turn(double angle, int a, int b) {
  Matrix m{{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};
  m[a][a] = m[b][b] = std::cos(angle);
  m[b][a] = std::sin(angle);
  m[a][b] = -m[b][a];
  return m;
}

/// Rows of the source that a row of the patch walks through: coordinates relative to `lo`, and their whole parts.
struct Row {
  std::vector<int32_t> index;
  std::vector<float> fz, fy, fx;
  explicit Row(int64_t n) : index(n), fz(n), fy(n), fx(n) {}
};

VESALIUS_BODY void coordinates_body(int64_t n, const float* at, const float* step, int32_t stride_z, int32_t stride_y,
                                    int32_t* __restrict index, float* __restrict fz, float* __restrict fy,
                                    float* __restrict fx) {
  const float az = at[0], ay = at[1], ax = at[2], sz = step[0], sy = step[1], sx = step[2];
  for (int32_t i = 0; i < static_cast<int32_t>(n); ++i) {
    const float t = static_cast<float>(i);
    const float z = az + t * sz, y = ay + t * sy, x = ax + t * sx;
    const int32_t iz = static_cast<int32_t>(z), iy = static_cast<int32_t>(y), ix = static_cast<int32_t>(x);
    index[i] = iz * stride_z + iy * stride_y + ix;
    fz[i] = z - static_cast<float>(iz);
    fy[i] = y - static_cast<float>(iy);
    fx[i] = x - static_cast<float>(ix);
  }
}

VESALIUS_BODY void trilinear_body(const float* p, int64_t stride_z, int64_t stride_y, int64_t n,
                                  const int32_t* __restrict index, const float* __restrict fz,
                                  const float* __restrict fy, const float* __restrict fx, float* __restrict out) {
  const float *p0 = p, *p1 = p + 1, *q0 = p + stride_y, *q1 = q0 + 1;
  const float *r0 = p + stride_z, *r1 = r0 + 1, *s0 = r0 + stride_y, *s1 = s0 + 1;
  for (int64_t i = 0; i < n; ++i) {
    const int32_t k = index[i];
    const float x = fx[i], y = fy[i];
    const float a = p0[k] + x * (p1[k] - p0[k]), b = q0[k] + x * (q1[k] - q0[k]);
    const float c = r0[k] + x * (r1[k] - r0[k]), d = s0[k] + x * (s1[k] - s0[k]);
    const float e = a + y * (b - a), f = c + y * (d - c);
    out[i] = e + fz[i] * (f - e);
  }
}

VESALIUS_BODY void bilinear_body(const float* p, int64_t stride_y, int64_t n, const int32_t* __restrict index,
                                 const float* __restrict fy, const float* __restrict fx, float* __restrict out) {
  const float *p0 = p, *p1 = p + 1, *q0 = p + stride_y, *q1 = q0 + 1;
  for (int64_t i = 0; i < n; ++i) {
    const int32_t k = index[i];
    const float x = fx[i];
    const float a = p0[k] + x * (p1[k] - p0[k]), b = q0[k] + x * (q1[k] - q0[k]);
    out[i] = a + fy[i] * (b - a);
  }
}

VESALIUS_WIDE(coordinates,
              (int64_t n, const float* at, const float* step, int32_t stride_z, int32_t stride_y, int32_t* index,
               float* fz, float* fy, float* fx),
              (n, at, step, stride_z, stride_y, index, fz, fy, fx))
VESALIUS_WIDE(trilinear,
              (const float* p, int64_t stride_z, int64_t stride_y, int64_t n, const int32_t* index, const float* fz,
               const float* fy, const float* fx, float* out),
              (p, stride_z, stride_y, n, index, fz, fy, fx, out))
VESALIUS_WIDE(bilinear,
              (const float* p, int64_t stride_y, int64_t n, const int32_t* index, const float* fy, const float* fx,
               float* out),
              (p, stride_y, n, index, fy, fx, out))

/// The label with the largest summed weight. Within 1e-4 of the largest the nearest voxel's label is taken (batchgeneratorsv2
/// compares in float16, whose steps are of that size), else the smallest of equals.
int16_t heaviest(const int16_t* labels, const float* weights, int count, int16_t nearest) {
  int16_t seen[8];
  float sums[8]{};
  int kinds = 0;
  for (int i = 0; i < count; ++i) {
    int k = 0;
    while (k < kinds && seen[k] != labels[i]) ++k;
    if (k == kinds) seen[kinds] = labels[i], sums[kinds++] = 0;
    sums[k] += weights[i];
  }
  int best = 0;
  float own = -1;
  for (int k = 0; k < kinds; ++k) {
    if (sums[k] > sums[best] || (sums[k] == sums[best] && seen[k] < seen[best])) best = k;
    if (seen[k] == nearest) own = sums[k];
  }
  return own >= sums[best] - 1e-4f ? nearest : seen[best];
}

/// The corners' labels, mixed. `corner[i]`: bit 0 is x + 1, bit 1 is y + 1, bit 2 is z + 1.
int16_t mixed(const int16_t* corner, int count, float fz, float fy, float fx) {
  float weights[8];
  for (int i = 0; i < count; ++i)
    weights[i] = (i & 1 ? fx : 1 - fx) * (i & 2 ? fy : 1 - fy) * (count == 4 ? 1.f : (i & 4 ? fz : 1 - fz));
  const int near = (fx > 0.5f ? 1 : 0) | (fy > 0.5f ? 2 : 0) | (count == 8 && fz > 0.5f ? 4 : 0);
  return heaviest(corner, weights, count, corner[near]);
}

uint32_t pair_at(const int16_t* p) {
  uint32_t two;
  std::memcpy(&two, p, 4);
  return two;
}

void label_row(const int16_t* p, int64_t stride_z, int64_t stride_y, bool planar, int64_t n, const Row& row,
               int16_t* out) {
  for (int64_t i = 0; i < n; ++i) {
    const int16_t* q = p + row.index[i];
    const uint32_t a = pair_at(q), b = pair_at(q + stride_y);
    const uint32_t c = planar ? a : pair_at(q + stride_z), d = planar ? b : pair_at(q + stride_z + stride_y);
    if (((a ^ b) | (a ^ c) | (a ^ d) | ((a >> 16) ^ (a & 0xFFFFu))) == 0) {
      out[i] = static_cast<int16_t>(a & 0xFFFFu);
      continue;
    }
    int16_t corner[8];
    std::memcpy(corner, &a, 4), std::memcpy(corner + 2, &b, 4), std::memcpy(corner + 4, &c, 4),
        std::memcpy(corner + 6, &d, 4);
    out[i] = mixed(corner, planar ? 4 : 8, planar ? 0.f : row.fz[i], row.fy[i], row.fx[i]);
  }
}

/// One voxel of which some corners don't exist.
struct Border {
  int64_t offset[8];
  bool exists[8];
  float weight[8], fz, fy, fx;
  int count;
};

/// false: no corner exists.
bool border_at(const Gather& plan, const Shape3& volume, double z, double y, double x, Border& out) {
  const double p[3] = {z, y, x};
  int64_t base[3];
  for (int d = 0; d < 3; ++d) {
    if (!(p[d] > static_cast<double>(plan.lo[d]) - 1 && p[d] < static_cast<double>(plan.hi[d]))) return false;
    base[d] = static_cast<int64_t>(std::floor(p[d]));
  }
  out.count = plan.planar ? 4 : 8;
  out.fz = plan.planar ? 0.f : static_cast<float>(p[0] - base[0]);
  out.fy = static_cast<float>(p[1] - base[1]);
  out.fx = static_cast<float>(p[2] - base[2]);
  bool any = false;
  for (int i = 0; i < out.count; ++i) {
    const int64_t at[3] = {base[0] + (i >> 2 & 1), base[1] + (i >> 1 & 1), base[2] + (i & 1)};
    bool in = true;
    for (int d = 0; d < 3; ++d) in = in && at[d] >= plan.lo[d] && at[d] < plan.hi[d];
    out.exists[i] = in;
    out.offset[i] = (at[0] * volume[1] + at[1]) * volume[2] + at[2];
    out.weight[i] = (i & 1 ? out.fx : 1 - out.fx) * (i & 2 ? out.fy : 1 - out.fy) *
                    (plan.planar ? 1.f : (i & 4 ? out.fz : 1 - out.fz));
    any = any || in;
  }
  return any;
}

float border_value(const float* data, const Border& b) {
  float sum = 0;
  for (int i = 0; i < b.count; ++i)
    if (b.exists[i] && b.weight[i] != 0) sum += b.weight[i] * data[b.offset[i]];
  return sum;
}

int16_t border_label(const int16_t* data, const Border& b, int16_t outside) {
  int16_t corner[8];
  for (int i = 0; i < b.count; ++i) corner[i] = b.exists[i] ? data[b.offset[i]] : outside;
  return mixed(corner, b.count, b.fz, b.fy, b.fx);
}

/// The part of a row whose corners all exist, with a margin for float32: [first, last).
std::pair<int64_t, int64_t> inner_part(const Gather& plan, const double* at, const double* step) {
  const int64_t n = plan.patch[2];
  double first = 0, last = static_cast<double>(n);
  for (int d = plan.planar ? 1 : 0; d < 3; ++d) {
    const double low = static_cast<double>(plan.lo[d]) + 1e-3, high = static_cast<double>(plan.hi[d] - 1) - 1e-3;
    if (std::abs(step[d]) < 1e-12) {
      if (at[d] < low || at[d] > high) return {0, 0};
      continue;
    }
    const double a = (low - at[d]) / step[d], b = (high - at[d]) / step[d];
    first = std::max(first, std::min(a, b));
    last = std::min(last, std::max(a, b) + 1);
  }
  const int64_t from = static_cast<int64_t>(std::ceil(first)), to = static_cast<int64_t>(std::floor(last));
  return to > from ? std::pair{std::min(from, n), std::min(to, n)} : std::pair<int64_t, int64_t>{0, 0};
}

template <class T>
void copy_volume(const Gather& plan, const Shape3& volume, const T* data, T* out, T outside) {
  const auto [pz, py, px] = plan.patch;
  const auto index = [&](int d, int64_t i) {
    return static_cast<int64_t>(plan.origin[d]) + i * static_cast<int64_t>(plan.step[d][d]);
  };
  const bool back = plan.step[2][2] < 0;
  // Voxels of the row that exist, in the order of the source.
  const int64_t left = back ? index(2, px - 1) : index(2, 0);
  const int64_t from = std::clamp<int64_t>(plan.lo[2] - left, 0, px),
                to = std::clamp<int64_t>(plan.hi[2] - left, from, px);
  for (int64_t z = 0; z < pz; ++z)
    for (int64_t y = 0; y < py; ++y, out += px) {
      const int64_t iz = index(0, z), iy = index(1, y);
      if (iz < plan.lo[0] || iz >= plan.hi[0] || iy < plan.lo[1] || iy >= plan.hi[1] || from == to) {
        std::fill(out, out + px, outside);
        continue;
      }
      const T* row = data + (iz * volume[1] + iy) * volume[2] + left;
      if (back) {
        std::fill(out, out + (px - to), outside);
        for (int64_t i = from; i < to; ++i) out[px - 1 - i] = row[i];
        std::fill(out + (px - from), out + px, outside);
      } else {
        std::fill(out, out + from, outside);
        std::copy(row + from, row + to, out + from);
        std::fill(out + to, out + px, outside);
      }
    }
}

}  // namespace

Gather plan_gather(const Shape3& volume, const Shape3& start, const Shape3& shape, const Shape3& patch, int axes,
                   const transforms::Spatial& how) {
  Gather g;
  g.patch = patch;
  g.planar = axes == 2 || how.dummy_2d;
  bool turned = how.scale != 1.0;
  for (const double angle : how.angles) turned = turned || angle != 0.0;
  g.copy = !turned;
  Matrix m{{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};
  if (turned && g.planar && !how.angles.empty()) m = turn(how.angles.back(), 1, 2);
  if (turned && !g.planar && how.angles.size() == 3)
    m = product(turn(how.angles[2], 0, 1), product(turn(how.angles[1], 2, 0), turn(how.angles[0], 1, 2)));
  if (turned)
    for (int i = g.planar ? 1 : 0; i < 3; ++i)
      for (int j = g.planar ? 1 : 0; j < 3; ++j) m[i][j] *= how.scale;
  std::array<bool, 3> flip{};
  for (const int64_t axis : how.mirror_axes) flip[axis + 3 - axes] = true;
  for (int d = 0; d < 3; ++d) {
    g.lo[d] = std::max<int64_t>(start[d], 0);
    g.hi[d] = std::min(start[d] + shape[d], volume[d]);
    const bool whole = g.copy || (g.planar && d == 0);
    g.origin[d] = static_cast<double>(start[d]) +
                  (whole ? static_cast<double>(shape[d] / 2 - patch[d] / 2) : 0.5 * static_cast<double>(shape[d] - 1));
    if (whole && flip[d]) g.origin[d] += static_cast<double>(patch[d] - 1);
  }
  for (int j = 0; j < 3; ++j) {
    const double sign = flip[j] ? -1 : 1;
    for (int d = 0; d < 3; ++d) {
      g.step[j][d] = sign * m[d][j];
      const bool whole = g.copy || (g.planar && (d == 0 || j == 0));
      if (!whole) g.origin[d] -= g.step[j][d] * 0.5 * static_cast<double>(patch[j] - 1);
    }
  }
  return g;
}

void gather(const Gather& plan, const Shape3& volume, const std::vector<const float*>& images,
            const std::vector<float*>& image_out, const std::vector<const int16_t*>& labels,
            const std::vector<int16_t*>& label_out, int16_t outside) {
  if (plan.copy) {
    for (size_t c = 0; c < images.size(); ++c) copy_volume(plan, volume, images[c], image_out[c], 0.f);
    for (size_t c = 0; c < labels.size(); ++c) copy_volume(plan, volume, labels[c], label_out[c], outside);
    return;
  }
  const int64_t stride_y = volume[2], stride_z = volume[1] * volume[2], nx = plan.patch[2];
  Row row(nx);
  bool empty = false;
  for (int d = 0; d < 3; ++d) empty = empty || plan.hi[d] <= plan.lo[d];
  // Indices count from the window's corner in 32 bits, and coordinates are float32, off by less than the margin of
  // `inner_part` up to 8192; a larger window is walked voxel by voxel.
  constexpr int64_t kLongest = 8192;
  bool narrow = !empty && (plan.hi[0] - plan.lo[0]) * stride_z < std::numeric_limits<int32_t>::max();
  for (int d = 0; d < 3; ++d) narrow = narrow && plan.hi[d] - plan.lo[d] <= kLongest;
  int64_t to = 0;
  for (int64_t z = 0; z < plan.patch[0]; ++z)
    for (int64_t y = 0; y < plan.patch[1]; ++y, to += nx) {
      double at[3];
      for (int d = 0; d < 3; ++d)
        at[d] = plan.origin[d] + static_cast<double>(z) * plan.step[0][d] + static_cast<double>(y) * plan.step[1][d];
      const auto& step = plan.step[2];
      auto [first, last] = empty ? std::pair<int64_t, int64_t>{0, 0} : inner_part(plan, at, step.data());
      const bool no_slice = plan.planar && (at[0] < plan.lo[0] || at[0] >= plan.hi[0]);
      if (no_slice || !narrow) first = last = 0;
      for (int64_t x = 0; x < nx; ++x) {
        if (x == first) x = last;
        if (x >= nx) break;
        Border border;
        const double t = static_cast<double>(x);
        const bool any =
            !empty && border_at(plan, volume, at[0] + t * step[0], at[1] + t * step[1], at[2] + t * step[2], border);
        for (size_t c = 0; c < images.size(); ++c) image_out[c][to + x] = any ? border_value(images[c], border) : 0.f;
        for (size_t c = 0; c < labels.size(); ++c)
          label_out[c][to + x] = any ? border_label(labels[c], border, outside) : outside;
      }
      if (last <= first) continue;
      const int64_t n = last - first;
      float begin[3], by[3];
      for (int d = 0; d < 3; ++d) {
        begin[d] = static_cast<float>(at[d] + static_cast<double>(first) * step[d] - static_cast<double>(plan.lo[d]));
        by[d] = static_cast<float>(step[d]);
      }
      coordinates(n, begin, by, static_cast<int32_t>(stride_z), static_cast<int32_t>(stride_y), row.index.data(),
                  row.fz.data(), row.fy.data(), row.fx.data());
      const int64_t corner = plan.lo[0] * stride_z + plan.lo[1] * stride_y + plan.lo[2];
      for (size_t c = 0; c < images.size(); ++c) {
        if (plan.planar)
          bilinear(images[c] + corner, stride_y, n, row.index.data(), row.fy.data(), row.fx.data(),
                   image_out[c] + to + first);
        else
          trilinear(images[c] + corner, stride_z, stride_y, n, row.index.data(), row.fz.data(), row.fy.data(),
                    row.fx.data(), image_out[c] + to + first);
      }
      for (size_t c = 0; c < labels.size(); ++c)
        label_row(labels[c] + corner, stride_z, stride_y, plan.planar, n, row, label_out[c] + to + first);
    }
}

}  // namespace vesalius::segmentation::detail
