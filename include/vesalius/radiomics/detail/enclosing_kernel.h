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

/// Takes out of `points` those inside the octagon of the points furthest along eight directions (Akl and Toussaint 1978):
/// they aren't corners of the convex polygon around all, and most points are such.
inline void drop_inner(std::vector<std::array<double, 2>>& points) {
  constexpr double kTurns[8][2] = {{1, 0}, {1, 1}, {0, 1}, {-1, 1}, {-1, 0}, {-1, -1}, {0, -1}, {1, -1}};
  if (points.size() < 32) return;
  std::array<double, 8> most;
  std::array<size_t, 8> at{};
  most.fill(-INFINITY);
  for (size_t i = 0; i < points.size(); ++i)
    for (int k = 0; k < 8; ++k) {
      const double along = kTurns[k][0] * points[i][0] + kTurns[k][1] * points[i][1];
      if (along > most[k]) most[k] = along, at[k] = i;
    }
  double edges[8][3];  // inside: a · x + b · y < c
  for (int k = 0; k < 8; ++k) {
    const auto &p = points[at[k]], &q = points[at[(k + 1) % 8]];
    const double a = q[1] - p[1], b = p[0] - q[0], c = a * p[0] + b * p[1];
    const bool one_point = a == 0 && b == 0;
    const double slack = 1e-12 * (std::abs(a * p[0]) + std::abs(b * p[1]));  // what rounding may do
    edges[k][0] = a, edges[k][1] = b, edges[k][2] = one_point ? 1 : c - slack;
  }
  size_t kept = 0;
  for (const auto& p : points) {
    bool inside = true;
    for (const auto& [a, b, c] : edges) inside &= a * p[0] + b * p[1] < c;
    if (!inside) points[kept++] = p;
  }
  points.resize(kept);
}

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
  std::vector<Point> flat(points.size());
  double low = INFINITY, high = -INFINITY;
  for (size_t i = 0; i < points.size(); ++i) {
    flat[i] = {dot3(points[i], u), dot3(points[i], v)};
    const double h = dot3(points[i], axis);
    low = std::min(low, h), high = std::max(high, h);
  }
  drop_inner(flat);
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

}  // namespace vesalius::radiomics::detail
