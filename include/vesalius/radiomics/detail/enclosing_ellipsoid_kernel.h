// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <vector>

#include <vesalius/radiomics/detail/enclosing_kernel.h>

namespace vesalius::radiomics::detail {

/// The ellipsoid of least volume around points, as the D-optimal design that it is dual to: weights on points, the more of
/// which the more it is they that hold the ellipsoid up. Weight is moved between pairs of points, each time as much as gains most
/// volume: from all that have some to those furthest outside (the exchanges of Böhning 1986, in the order of Harman, Filová
/// and Richtárik 2020). Points too far inside to touch it are dropped as it is found (Harman and Pronzato 2007). Once few
/// points hold it, Newton's steps find their weights.
class LeastEllipsoid {
 public:
  /// `points` must span three dimensions.
  explicit LeastEllipsoid(const std::vector<Vector3>& points) { scale_into_cube(points), start(); }

  /// Its semi-axes, ascending; the volume is within 3e-5 of the least, and grown to hold all points.
  Vector3 semi_axes() {
    constexpr double kTolerance = 1e-5;
    for (int round = 0; round < 1000; ++round) {
      measure();
      if (most() <= 3 * (1 + kTolerance)) break;
      drop_inner_points();
      exchange();
      balance();
    }
    const double grown = most();
    std::array<Vector3, 3> shape = covariance_;
    for (int a = 0; a < 3; ++a)
      for (int b = 0; b < 3; ++b) shape[a][b] *= grown * scale_[a] * scale_[b];
    Vector3 axes = eigenvalues3(shape);
    for (double& a : axes) a = std::sqrt(std::max(a, 0.0));
    return axes;
  }

 private:
  using Lifted = std::array<double, 4>;  // a point and a 1: ellipsoids around any centre become such around 0
  static double dot4(const Lifted& a, const Lifted& b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2] + a[3] * b[3]; }
  Lifted times(const Lifted& p) const {
    return {dot4(inverse_[0], p), dot4(inverse_[1], p), dot4(inverse_[2], p), dot4(inverse_[3], p)};
  }
  Lifted point(size_t i) const { return {x_[i], y_[i], z_[i], 1}; }
  double most() const { return *std::max_element(reach_.begin(), reach_.end()); }

  /// Moved and scaled into [-1, 1]³ for the numbers' sake.
  void scale_into_cube(const std::vector<Vector3>& points) {
    Vector3 low, high, middle{};
    low.fill(INFINITY), high.fill(-INFINITY);
    for (const Vector3& p : points)
      for (int a = 0; a < 3; ++a) low[a] = std::min(low[a], p[a]), high[a] = std::max(high[a], p[a]);
    for (int a = 0; a < 3; ++a) middle[a] = 0.5 * (low[a] + high[a]), scale_[a] = 0.5 * (high[a] - low[a]);
    for (const Vector3& p : points) {
      x_.push_back((p[0] - middle[0]) / scale_[0]);
      y_.push_back((p[1] - middle[1]) / scale_[1]);
      z_.push_back((p[2] - middle[2]) / scale_[2]);
    }
    weight_.assign(points.size(), 0.0), reach_.assign(points.size(), 0.0);
  }

  /// Weight on the extremes along the axes and the diagonals.
  void start() {
    constexpr double kDirections[7][3] = {{1, 0, 0},  {0, 1, 0},  {0, 0, 1}, {1, 1, 1},
                                          {1, 1, -1}, {1, -1, 1}, {-1, 1, 1}};
    for (const auto& d : kDirections) {
      const auto along = [&](size_t i) { return d[0] * x_[i] + d[1] * y_[i] + d[2] * z_[i]; };
      size_t low = 0, high = 0;
      for (size_t i = 1; i < x_.size(); ++i) {
        if (along(i) < along(low)) low = i;
        if (along(i) > along(high)) high = i;
      }
      weight_[low] += 1.0 / 14, weight_[high] += 1.0 / 14;
    }
  }

  /// Centre and shape that the weights make, and each point's squared distance in that measure: 3 on the surface.
  void measure() {
    Vector3 c{};
    covariance_ = {};
    held_.clear();
    double all = 0;
    for (size_t i = 0; i < x_.size(); ++i) {
      if (weight_[i] == 0) continue;
      held_.push_back(i);
      all += weight_[i];
      c[0] += weight_[i] * x_[i], c[1] += weight_[i] * y_[i], c[2] += weight_[i] * z_[i];
    }
    for (double& v : c) v /= all;
    for (const size_t i : held_) {
      weight_[i] /= all;
      const Vector3 d{x_[i] - c[0], y_[i] - c[1], z_[i] - c[2]};
      for (int a = 0; a < 3; ++a)
        for (int b = 0; b < 3; ++b) covariance_[a][b] += weight_[i] * d[a] * d[b];
    }
    const auto& m = covariance_;
    const Vector3 r0 = cross3(m[1], m[2]), r1 = cross3(m[2], m[0]), r2 = cross3(m[0], m[1]);
    const double determinant = dot3(m[0], r0);
    const double xx = r0[0] / determinant, yy = r1[1] / determinant, zz = r2[2] / determinant;
    const double xy = r0[1] / determinant, xz = r0[2] / determinant, yz = r1[2] / determinant;
    const Vector3 t{xx * c[0] + xy * c[1] + xz * c[2], xy * c[0] + yy * c[1] + yz * c[2],
                    xz * c[0] + yz * c[1] + zz * c[2]};
    inverse_ = {{{xx, xy, xz, -t[0]}, {xy, yy, yz, -t[1]}, {xz, yz, zz, -t[2]}, {-t[0], -t[1], -t[2], 1 + dot3(c, t)}}};
    for (size_t i = 0; i < x_.size(); ++i) {
      const double u = x_[i] - c[0], v = y_[i] - c[1], w = z_[i] - c[2];
      reach_[i] = xx * u * u + yy * v * v + zz * w * w + 2 * (xy * u * v + xz * u * w + yz * v * w);
    }
  }

  void drop_inner_points() {
    const double excess = (most() + 1) / 4 - 1;
    const double least = 4 * (1 + 0.5 * excess - 0.5 * std::sqrt(excess * (3 + excess))) - 1;
    size_t kept = 0;
    held_.clear();
    for (size_t i = 0; i < x_.size(); ++i) {
      if (weight_[i] == 0 && reach_[i] < least) continue;
      if (weight_[i] > 0) held_.push_back(kept);
      x_[kept] = x_[i], y_[kept] = y_[i], z_[kept] = z_[i], weight_[kept] = weight_[i], reach_[kept] = reach_[i];
      ++kept;
    }
    for (auto* list : {&x_, &y_, &z_, &weight_, &reach_}) list->resize(kept);
  }

  /// A round of exchanges between the points with weight and the four that are furthest outside.
  void exchange() {
    constexpr size_t kOuter = 4;
    std::array<size_t, kOuter> outer;
    size_t count = 0;
    for (size_t i = 0; i < x_.size(); ++i) {
      if (count == kOuter && reach_[i] <= reach_[outer[kOuter - 1]]) continue;
      size_t place = count < kOuter ? count++ : kOuter - 1;
      for (; place > 0 && reach_[outer[place - 1]] < reach_[i]; --place) outer[place] = outer[place - 1];
      outer[place] = i;
    }
    std::sort(held_.begin(), held_.end(),
              [&](size_t a, size_t b) { return reach_[a] != reach_[b] ? reach_[a] < reach_[b] : a < b; });
    for (size_t k = 0; k < count; ++k)
      for (const size_t from : held_)
        if (from != outer[k]) move_weight(from, outer[k]);
  }

  /// The determinant that is to grow becomes 1 + α (d_v - d_u) - α² (d_u d_v - d_uv²) times as large when α moves from u to v.
  void move_weight(size_t u, size_t v) {
    const Lifted p = point(u), q = point(v), to_q = times(q);
    const double duu = dot4(p, times(p)), dvv = dot4(q, to_q), duv = dot4(p, to_q);
    const double curvature = duu * dvv - duv * duv;
    if (!(curvature > 1e-12 * duu * dvv)) return;
    const double alpha = std::clamp((dvv - duu) / (2 * curvature), -weight_[v], weight_[u]);
    if (alpha == 0) return;
    add(q, alpha), add(p, -alpha);
    weight_[u] -= alpha, weight_[v] += alpha;
  }
  /// The inverse with α p pᵀ added to what it is the inverse of (Sherman and Morrison 1950).
  void add(const Lifted& p, double alpha) {
    const Lifted t = times(p);
    const double factor = alpha / (1 + alpha * dot4(p, t));
    for (int a = 0; a < 4; ++a)
      for (int b = 0; b < 4; ++b) inverse_[a][b] -= factor * t[a] * t[b];
  }

  /// A Newton step on log det of the weights of those points that have some, their sum kept: gradient d_i, second
  /// derivatives -d_ij². Damped where it is long, and no further than to where a weight is 0.
  void balance() {
    constexpr size_t kMost = 16;
    std::erase_if(held_, [&](size_t i) { return weight_[i] == 0; });
    for (size_t k = 0; k < x_.size(); ++k)
      if (weight_[k] > 0 && std::find(held_.begin(), held_.end(), k) == held_.end()) held_.push_back(k);
    const size_t n = held_.size();
    if (n > kMost) return;
    double h[kMost][kMost], gradient[kMost], ones[kMost], trace = 0;
    for (size_t i = 0; i < n; ++i) {
      const Lifted t = times(point(held_[i]));
      for (size_t j = 0; j < n; ++j) {
        const double d = dot4(point(held_[j]), t);
        h[i][j] = d * d;
      }
      gradient[i] = dot4(point(held_[i]), t), ones[i] = 1, trace += h[i][i];
    }
    for (size_t i = 0; i < n; ++i) h[i][i] += 1e-12 * trace;  // more than ten are dependent
    if (!solve(h, n, gradient, ones)) return;
    double sum = 0, all = 0, length = 0;
    for (size_t i = 0; i < n; ++i) sum += gradient[i], all += ones[i];
    double step[kMost];
    for (size_t i = 0; i < n; ++i) step[i] = gradient[i] - sum / all * ones[i];
    for (size_t i = 0; i < n; ++i) {
      const Lifted t = times(point(held_[i]));
      for (size_t j = 0; j < n; ++j) length += step[i] * step[j] * std::pow(dot4(point(held_[j]), t), 2);
    }
    length = std::sqrt(std::max(length, 0.0));
    double far = length > 0.25 ? 1 / (1 + length) : 1;
    for (size_t i = 0; i < n; ++i)
      if (step[i] < 0) far = std::min(far, -weight_[held_[i]] / step[i]);
    for (size_t i = 0; i < n; ++i) {
      double& w = weight_[held_[i]];
      w += far * step[i];
      if (w < 1e-14) w = 0;
    }
  }
  /// Cholesky; `a` and `b` become the solutions. False where `h` isn't positive definite.
  template <size_t kMost>
  static bool solve(double (&h)[kMost][kMost], size_t n, double* a, double* b) {
    for (size_t j = 0; j < n; ++j) {
      for (size_t k = 0; k < j; ++k) h[j][j] -= h[j][k] * h[j][k];
      if (!(h[j][j] > 0)) return false;
      h[j][j] = std::sqrt(h[j][j]);
      for (size_t i = j + 1; i < n; ++i) {
        for (size_t k = 0; k < j; ++k) h[i][j] -= h[i][k] * h[j][k];
        h[i][j] /= h[j][j];
      }
    }
    for (double* v : {a, b}) {
      for (size_t i = 0; i < n; ++i) {
        for (size_t k = 0; k < i; ++k) v[i] -= h[i][k] * v[k];
        v[i] /= h[i][i];
      }
      for (size_t i = n; i-- > 0;) {
        for (size_t k = i + 1; k < n; ++k) v[i] -= h[k][i] * v[k];
        v[i] /= h[i][i];
      }
    }
    return true;
  }

  std::vector<double> x_, y_, z_, weight_, reach_;
  std::vector<size_t> held_;  // points with weight
  Vector3 scale_{};
  std::array<Vector3, 3> covariance_{};
  std::array<Lifted, 4> inverse_{};
};

inline Vector3 enclosing_ellipsoid(const std::vector<Vector3>& points) { return LeastEllipsoid(points).semi_axes(); }

}  // namespace vesalius::radiomics::detail
