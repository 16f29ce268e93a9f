// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

namespace vesalius::radiomics::detail {

using Vector3 = std::array<double, 3>;
inline double dot3(const Vector3& a, const Vector3& b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }
inline Vector3 cross3(const Vector3& a, const Vector3& b) {
  return {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
}
inline Vector3 unit3(const Vector3& a) {
  const double length = std::sqrt(dot3(a, a));
  return {a[0] / length, a[1] / length, a[2] / length};
}

/// Eigenvalues of a symmetric 3 × 3 matrix, ascending: Jacobi's rotations.
inline Vector3 eigenvalues3(std::array<Vector3, 3> m) {
  for (int sweep = 0; sweep < 30; ++sweep) {
    const double off = m[0][1] * m[0][1] + m[0][2] * m[0][2] + m[1][2] * m[1][2];
    const double all = m[0][0] * m[0][0] + m[1][1] * m[1][1] + m[2][2] * m[2][2];
    if (off <= 1e-34 * all) break;
    for (const auto& [p, q] : {std::array{0, 1}, std::array{0, 2}, std::array{1, 2}}) {
      if (m[p][q] == 0) continue;
      const double theta = (m[q][q] - m[p][p]) / (2 * m[p][q]);
      const double t = (theta < 0 ? -1 : 1) / (std::abs(theta) + std::sqrt(theta * theta + 1));
      const double c = 1 / std::sqrt(t * t + 1), s = t * c;
      for (int k = 0; k < 3; ++k) {
        const double a = m[k][p], b = m[k][q];
        m[k][p] = c * a - s * b, m[k][q] = s * a + c * b;
      }
      for (int k = 0; k < 3; ++k) {
        const double a = m[p][k], b = m[q][k];
        m[p][k] = c * a - s * b, m[q][k] = s * a + c * b;
      }
    }
  }
  Vector3 out{m[0][0], m[1][1], m[2][2]};
  std::sort(out.begin(), out.end());
  return out;
}

/// A box: its directions, and its lengths along them.
struct OrientedBox {
  std::array<Vector3, 3> axes{};
  Vector3 lengths{};
  double volume() const { return lengths[0] * lengths[1] * lengths[2]; }
};

/// The smallest box with a side across `normal`: the rectangle of least area around the points seen along it, one of
/// whose sides lies along a side of their convex polygon (Freeman and Shapira 1975).
inline OrientedBox smallest_box_along(const std::vector<Vector3>& points, const Vector3& normal) {
  const Vector3 axis = unit3(normal);
  int least = 0;
  for (int a = 1; a < 3; ++a)
    if (std::abs(axis[a]) < std::abs(axis[least])) least = a;
  Vector3 helper{};
  helper[least] = 1;
  const Vector3 u = unit3(cross3(axis, helper)), v = cross3(axis, u);
  using Point = std::array<double, 2>;
  std::vector<Point> flat;
  double low = INFINITY, high = -INFINITY;
  for (const Vector3& p : points) {
    flat.push_back({dot3(p, u), dot3(p, v)});
    const double h = dot3(p, axis);
    low = std::min(low, h), high = std::max(high, h);
  }
  std::sort(flat.begin(), flat.end());
  std::vector<Point> polygon;
  for (int side = 0; side < 2; ++side) {  // lower chain, then upper
    const size_t base = polygon.size();
    for (const Point& p : flat) {
      while (polygon.size() >= base + 2) {
        const Point &a = polygon[polygon.size() - 2], &b = polygon.back();
        if ((b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0]) > 0) break;
        polygon.pop_back();
      }
      polygon.push_back(p);
    }
    polygon.pop_back();
    std::reverse(flat.begin(), flat.end());
  }
  const size_t n = polygon.size();
  OrientedBox best{{axis, u, v}, {high - low, INFINITY, 1}};
  // Calipers: the points furthest along, across and against each side go round as the sides do.
  size_t along = 1, across = 1, against = 1;
  for (size_t k = 0; k < n; ++k) {
    const Point &a = polygon[k], &b = polygon[(k + 1) % n];
    const double length = std::hypot(b[0] - a[0], b[1] - a[1]);
    if (!(length > 0)) continue;
    const Point d{(b[0] - a[0]) / length, (b[1] - a[1]) / length}, e{-d[1], d[0]};
    const auto go = [&](size_t& at, const Point& direction) {
      for (size_t moves = 0; moves < n; ++moves) {
        const Point &here = polygon[at % n], &next = polygon[(at + 1) % n];
        if ((next[0] - here[0]) * direction[0] + (next[1] - here[1]) * direction[1] <= 0) break;
        ++at;
      }
      return polygon[at % n][0] * direction[0] + polygon[at % n][1] * direction[1];
    };
    along = std::max(along, k + 1);
    const double most = go(along, d);
    across = std::max(across, along);
    const double top = go(across, e);
    against = std::max(against, across);
    const double width = most + go(against, {-d[0], -d[1]});
    const double height = top - (a[0] * e[0] + a[1] * e[1]);
    if (width * height < best.lengths[1] * best.lengths[2]) {
      best.lengths = {high - low, width, height};
      for (int c = 0; c < 3; ++c)
        best.axes[1][c] = d[0] * u[c] + d[1] * v[c], best.axes[2][c] = e[0] * u[c] + e[1] * v[c];
    }
  }
  return best;
}

/// A box of small volume around points that span three dimensions: the best of those across `normals`, then turned about
/// each of its own axes in turn until that gains nothing. A local minimum; the global one may be a little smaller.
inline OrientedBox small_box(const std::vector<Vector3>& points, const std::vector<Vector3>& normals) {
  OrientedBox best;
  best.lengths = {INFINITY, 1, 1};
  const auto consider = [&](const Vector3& normal) {
    const OrientedBox box = smallest_box_along(points, normal);
    const bool better = box.volume() < best.volume() * (1 - 1e-9);
    if (better) best = box;
    return better;
  };
  for (const Vector3& n : normals) consider(n);
  for (int round = 0; round < 20; ++round) {
    const auto axes = best.axes;
    bool better = false;
    for (const Vector3& axis : axes) better = consider(axis) || better;
    if (!better) break;
  }
  return best;
}

/// Semi-axes, ascending, of the ellipsoid of least volume around points that span three dimensions: Khachiyan's algorithm with
/// steps away from points (Todd and Yıldırım 2007), until the volume is within 3e-4 of the least; then grown to hold
/// all.
inline Vector3 enclosing_ellipsoid(const std::vector<Vector3>& points) {
  constexpr double kTolerance = 1e-4;
  size_t n = points.size();
  Vector3 middle{}, scale{};
  {  // moved and scaled into [-1, 1]³ for the numbers' sake
    Vector3 low, high;
    low.fill(INFINITY), high.fill(-INFINITY);
    for (const Vector3& p : points)
      for (int a = 0; a < 3; ++a) low[a] = std::min(low[a], p[a]), high[a] = std::max(high[a], p[a]);
    for (int a = 0; a < 3; ++a) middle[a] = 0.5 * (low[a] + high[a]), scale[a] = 0.5 * (high[a] - low[a]);
  }
  std::vector<double> x(n), y(n), z(n), weight(n, 0.0), reach(n);
  for (size_t i = 0; i < n; ++i)
    x[i] = (points[i][0] - middle[0]) / scale[0], y[i] = (points[i][1] - middle[1]) / scale[1],
    z[i] = (points[i][2] - middle[2]) / scale[2];
  {  // a start from the extremes along the axes and the diagonals
    std::vector<size_t> extremes;
    for (const Vector3& d : {Vector3{1, 0, 0}, {0, 1, 0}, {0, 0, 1}, {1, 1, 1}, {1, 1, -1}, {1, -1, 1}, {-1, 1, 1}}) {
      size_t low = 0, high = 0;
      const auto along = [&](size_t i) { return d[0] * x[i] + d[1] * y[i] + d[2] * z[i]; };
      for (size_t i = 1; i < n; ++i) {
        if (along(i) < along(low)) low = i;
        if (along(i) > along(high)) high = i;
      }
      extremes.push_back(low), extremes.push_back(high);
    }
    for (size_t i : extremes) weight[i] += 1.0 / static_cast<double>(extremes.size());
  }
  Vector3 centre{};
  std::array<Vector3, 3> covariance{};
  for (int step = 0; step < 20000; ++step) {
    centre = {};
    covariance = {};
    for (size_t i = 0; i < n; ++i) {
      if (weight[i] == 0) continue;
      const Vector3 p{x[i], y[i], z[i]};
      for (int a = 0; a < 3; ++a) {
        centre[a] += weight[i] * p[a];
        for (int b = 0; b < 3; ++b) covariance[a][b] += weight[i] * p[a] * p[b];
      }
    }
    for (int a = 0; a < 3; ++a)
      for (int b = 0; b < 3; ++b) covariance[a][b] -= centre[a] * centre[b];
    const auto& m = covariance;
    const Vector3 r0 = cross3(m[1], m[2]), r1 = cross3(m[2], m[0]), r2 = cross3(m[0], m[1]);
    const double determinant = dot3(m[0], r0);
    const double xx = r0[0] / determinant, yy = r1[1] / determinant, zz = r2[2] / determinant;
    const double xy = 2 * r0[1] / determinant, xz = 2 * r0[2] / determinant, yz = 2 * r1[2] / determinant;
    const double cx = centre[0], cy = centre[1], cz = centre[2];
    for (size_t i = 0; i < n; ++i) {  // squared distance in the ellipsoid's measure; 3 on its surface
      const double u = x[i] - cx, v = y[i] - cy, w = z[i] - cz;
      reach[i] = xx * u * u + yy * v * v + zz * w * w + xy * u * v + xz * u * w + yz * v * w;
    }
    size_t far = 0, near = n;
    for (size_t i = 0; i < n; ++i) {
      if (reach[i] > reach[far]) far = i;
      if (weight[i] > 0 && (near == n || reach[i] < reach[near])) near = i;
    }
    const double out = reach[far] / 3 - 1, in = 1 - reach[near] / 3;
    if (out <= kTolerance && in <= kTolerance) break;
    if (step % 16 == 15) {  // points too far inside to touch the least ellipsoid (Harman and Pronzato 2007)
      const double excess = (reach[far] + 1) / 4 - 1;
      const double least = 4 * (1 + 0.5 * excess - 0.5 * std::sqrt(excess * (3 + excess)));
      size_t kept = 0;
      for (size_t i = 0; i < n; ++i) {
        if (weight[i] == 0 && reach[i] + 1 < least) continue;
        x[kept] = x[i], y[kept] = y[i], z[kept] = z[i], weight[kept] = weight[i], reach[kept] = reach[i];
        if (i == far) far = kept;
        if (i == near) near = kept;
        ++kept;
      }
      n = kept;
    }
    // In dimension d = 4 of the lifted points κ = reach + 1; the step that gains most volume towards, or away from, a point.
    const bool away = in > out;
    const size_t i = away ? near : far;
    const double kappa = reach[i] + 1;
    double beta = (kappa - 4) / (4 * (kappa - 1));
    if (away) beta = std::max(beta, -weight[i] / (1 - weight[i]));
    for (size_t k = 0; k < n; ++k) weight[k] *= 1 - beta;
    weight[i] += beta;
    if (away && weight[i] < 1e-14) weight[i] = 0;
  }
  double most = 0;
  for (size_t i = 0; i < n; ++i) most = std::max(most, reach[i]);
  for (int a = 0; a < 3; ++a)
    for (int b = 0; b < 3; ++b) covariance[a][b] *= most * scale[a] * scale[b];
  Vector3 axes = eigenvalues3(covariance);
  for (double& a : axes) a = std::sqrt(std::max(a, 0.0));
  return axes;
}

}  // namespace vesalius::radiomics::detail
