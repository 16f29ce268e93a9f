// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

namespace vesalius::image::detail {

/// Marching cubes (Lorensen and Cline 1987) at level 0.5 of a mask: every vertex is the middle of an edge between a voxel
/// inside and one outside. The table of the 256 cases is made here, by two rules:
///
/// - On a face with two diagonal voxels inside, the two are joined (a region is 26-connected). A face looks the same
///   from both its cubes, so the surface is closed.
/// - A polygon of more than three vertices is cut into the triangles whose cone over the cube's centre has the least
///   volume in absolute terms, and of these the largest area. Unlike the published tables this treats the 48 rotations
///   and reflections of the cube and inside and outside alike; on all cases without an ambiguous face it
///   gives the area and volume of the usual table.
///
/// Corner c of a cube lies at (z, y, x) = (c >> 2 & 1, c >> 1 & 1, c & 1); bit c of a case says that it is inside.
using Point = std::array<double, 3>;
using Triangle = std::array<Point, 3>;

inline Point subtract(const Point& a, const Point& b) { return {a[0] - b[0], a[1] - b[1], a[2] - b[2]}; }
inline Point cross(const Point& a, const Point& b) {
  return {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
}
inline double dot(const Point& a, const Point& b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }
inline double triangle_area(const Triangle& t) {
  const Point n = cross(subtract(t[1], t[0]), subtract(t[2], t[0]));
  return 0.5 * std::sqrt(dot(n, n));
}

class CubeTable {
 public:
  static const CubeTable& get() {
    static const CubeTable table;
    return table;
  }
  /// Triangles in the unit cube; their normals point out of the region, in (z, y, x) axes.
  const std::vector<Triangle>& triangles(int cube) const { return triangles_[cube]; }

 private:
  using Polygon = std::vector<Point>;

  static Point corner(int c) { return {double(c >> 2 & 1), double(c >> 1 & 1), double(c & 1)}; }
  static Point middle(int a, int b) {
    const Point p = corner(a), q = corner(b);
    return {0.5 * (p[0] + q[0]), 0.5 * (p[1] + q[1]), 0.5 * (p[2] + q[2])};
  }

  /// The four corners of a face, counter-clockwise seen from outside the cube.
  static std::array<int, 4> face_corners(int axis, int side) {
    const int u = 4 >> ((axis + 1) % 3), v = 4 >> ((axis + 2) % 3), base = side ? 4 >> axis : 0;
    std::array<int, 4> corners{base, base | u, base | u | v, base | v};
    if (!side) std::swap(corners[1], corners[3]);
    return corners;
  }

  /// The polygons of one case: segments on the six faces, chained.
  static std::vector<Polygon> polygons(int cube) {
    const auto inside = [cube](int c) { return (cube >> c & 1) != 0; };
    std::vector<std::pair<Point, Point>> segments;
    for (int axis = 0; axis < 3; ++axis)
      for (int side = 0; side < 2; ++side) {
        const auto corners = face_corners(axis, side);
        // Walking around the face: from where the walk leaves the region to where it enters it next.
        for (int i = 0; i < 4; ++i) {
          if (!inside(corners[i]) || inside(corners[(i + 1) % 4])) continue;
          int j = i + 1;
          while (inside(corners[j % 4]) || !inside(corners[(j + 1) % 4])) ++j;
          segments.emplace_back(middle(corners[i], corners[(i + 1) % 4]), middle(corners[j % 4], corners[(j + 1) % 4]));
        }
      }
    std::vector<Polygon> out;
    while (!segments.empty()) {
      Polygon& polygon = out.emplace_back();
      Point next = segments.front().first;
      for (;;) {
        const auto found =
            std::find_if(segments.begin(), segments.end(), [&](const auto& s) { return s.first == next; });
        if (found == segments.end()) break;
        polygon.push_back(found->first);
        next = found->second;
        segments.erase(found);
      }
    }
    return out;
  }

  /// All ways to cut the polygon's vertices first..last into triangles.
  static std::vector<std::vector<Triangle>> cuts(const Polygon& p, size_t first, size_t last) {
    if (last - first < 2) return {{}};
    std::vector<std::vector<Triangle>> out;
    for (size_t k = first + 1; k < last; ++k)
      for (const auto& left : cuts(p, first, k))
        for (const auto& right : cuts(p, k, last)) {
          auto& all = out.emplace_back(left);
          all.insert(all.end(), right.begin(), right.end());
          all.push_back({p[first], p[k], p[last]});
        }
    return out;
  }

  CubeTable() : triangles_(256) {
    const Point centre{0.5, 0.5, 0.5};
    const auto rounded = [](double v) { return std::llround(v * 1e6); };
    for (int cube = 0; cube < 256; ++cube)
      for (const Polygon& polygon : polygons(cube)) {
        std::vector<Triangle> best;
        std::pair<int64_t, int64_t> best_rank{INT64_MAX, 0};
        for (const auto& cut : cuts(polygon, 0, polygon.size() - 1)) {
          double volume = 0, area = 0;
          for (const Triangle& t : cut) {
            volume += dot(subtract(t[0], centre), cross(subtract(t[1], centre), subtract(t[2], centre)));
            area += triangle_area(t);
          }
          const std::pair<int64_t, int64_t> rank{rounded(std::abs(volume)), -rounded(area)};
          if (rank < best_rank) best = cut, best_rank = rank;
        }
        triangles_[cube].insert(triangles_[cube].end(), best.begin(), best.end());
      }
  }

  std::vector<std::vector<Triangle>> triangles_;
};

struct SurfaceMeasure {
  double volume = 0, area = 0;
};

/// Calls `visit(case, z, y, x)` for each cube that the surface passes; (z, y, x) is the voxel at its corner 0, from -1 on:
/// the mask `[nz, ny, nx]` is surrounded by voxels outside.
template <class Visit>
void for_each_surface_cube(const bool* mask, const std::array<int64_t, 3>& size, const Visit& visit) {
  const int64_t nz = size[0], ny = size[1], nx = size[2];
  std::vector<uint8_t> rows[4];
  for (auto& row : rows) row.assign(nx + 2, 0);
  const auto load = [&](int64_t z, int64_t y, std::vector<uint8_t>& row) {
    if (z < 0 || y < 0 || z >= nz || y >= ny) return std::fill(row.begin(), row.end(), uint8_t{0});
    const bool* source = mask + (z * ny + y) * nx;
    std::copy(source, source + nx, row.begin() + 1);
  };
  for (int64_t z = -1; z < nz; ++z) {
    load(z, -1, rows[0]), load(z + 1, -1, rows[2]);
    for (int64_t y = -1; y < ny; ++y) {
      load(z, y + 1, rows[1]), load(z + 1, y + 1, rows[3]);
      int column = 0;  // corners with x = 0: bits 0, 2, 4, 6
      for (int64_t x = -1; x < nx; ++x) {
        const int64_t k = x + 2;
        const int next = rows[0][k] | rows[1][k] << 2 | rows[2][k] << 4 | rows[3][k] << 6;
        const int cube = column | next << 1;
        if (cube != 0 && cube != 255) visit(cube, z, y, x);
        column = next;
      }
      std::swap(rows[0], rows[1]), std::swap(rows[2], rows[3]);
    }
  }
}

/// Volume (signed tetrahedra to the origin, IBSI 1 section 3.1.1) and area (3.1.3) of the mesh. Both are sums over cubes
/// that depend on the case and, for the volume, linearly on the cube's place: cases are counted, their places added up.
inline SurfaceMeasure measure_surface(const bool* mask, const std::array<int64_t, 3>& size, const Point& spacing) {
  std::vector<std::array<int64_t, 4>> sums(256, {0, 0, 0, 0});  // count, z, y, x
  for_each_surface_cube(mask, size, [&](int cube, int64_t z, int64_t y, int64_t x) {
    auto& s = sums[cube];
    ++s[0], s[1] += z, s[2] += y, s[3] += x;
  });
  const CubeTable& table = CubeTable::get();
  SurfaceMeasure out;
  for (int cube = 0; cube < 256; ++cube) {
    if (sums[cube][0] == 0) continue;
    const auto count = static_cast<double>(sums[cube][0]);
    const Point place{sums[cube][1] * spacing[0], sums[cube][2] * spacing[1], sums[cube][3] * spacing[2]};
    for (Triangle t : table.triangles(cube)) {
      for (Point& p : t)
        for (int axis = 0; axis < 3; ++axis) p[axis] *= spacing[axis];
      out.area += count * triangle_area(t);
      const Point bc = cross(t[1], t[2]), ab = cross(t[0], t[1]), ca = cross(t[2], t[0]);
      out.volume += (count * dot(t[0], bc) + dot(place, bc) + dot(place, ab) + dot(place, ca)) / 6;
    }
  }
  out.volume = std::abs(out.volume);
  return out;
}

}  // namespace vesalius::image::detail
