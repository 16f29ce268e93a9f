// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include <vesalius/radiomics/detail/level_box.h>

namespace vesalius::radiomics::detail {

/// A point in half voxels: the mesh's vertices lie on this lattice, so that every test of sides is exact, and scaling
/// to mm (an affine map) leaves the hull's structure as it is.
using Lattice = std::array<int64_t, 3>;

/// The corners of the convex hull of (y, x) pairs that are in order: Andrew's monotone chain.
inline std::vector<std::array<int64_t, 2>> convex_polygon(const std::vector<std::array<int64_t, 2>>& points) {
  if (points.size() < 3) return points;
  std::vector<std::array<int64_t, 2>> chain;
  const auto append = [&](const std::array<int64_t, 2>& p, size_t base) {
    while (chain.size() >= base + 2) {
      const auto &a = chain[chain.size() - 2], &b = chain.back();
      if ((b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0]) > 0) break;
      chain.pop_back();
    }
    chain.push_back(p);
  };
  for (const auto& p : points) append(p, 0);
  const size_t base = chain.size() - 1;
  for (auto p = points.rbegin() + 1; p != points.rend(); ++p) append(*p, base);
  chain.pop_back();
  return chain;
}

/// The points that can be corners of the hull of a mask's mesh. In each row of voxels only the first and the last
/// inside matter, with the six mesh vertices around each; in each line of the lattice only the outermost of these, and in
/// each plane only the corners of the plane's own hull. `ranges` are those of the rows, `[z, y]`.
inline std::vector<Lattice> hull_candidates(const RowRange* ranges, const std::array<int64_t, 3>& size) {
  const int64_t ny = size[1];
  std::vector<Lattice> out;
  std::vector<int64_t> low(2 * ny + 1), high(2 * ny + 1);  // of the lines y = -1 … 2 ny - 1
  const auto clear = [&] {
    std::fill(low.begin(), low.end(), INT64_MAX), std::fill(high.begin(), high.end(), INT64_MIN);
  };
  const auto add = [&](int64_t y, int64_t first, int64_t last) {
    low[y + 1] = std::min(low[y + 1], first), high[y + 1] = std::max(high[y + 1], last);
  };
  const auto finish = [&](int64_t z) {
    std::vector<std::array<int64_t, 2>> points;
    for (int64_t y = 0; y <= 2 * ny; ++y) {
      if (low[y] > high[y]) continue;
      points.push_back({y - 1, low[y]});
      if (low[y] < high[y]) points.push_back({y - 1, high[y]});
    }
    for (const auto& p : convex_polygon(points)) out.push_back({z, p[0], p[1]});
  };
  const auto each_row = [&](int64_t z, const auto& use) {
    if (z < 0 || z >= size[0]) return;
    for (int64_t y = 0; y < ny; ++y)
      if (const RowRange r = ranges[z * ny + y]; r.first < r.end)
        use(2 * y, 2 * int64_t{r.first}, 2 * int64_t{r.end} - 2);
  };
  for (int64_t z = 0; z <= size[0]; ++z) {
    clear();  // the plane 2z - 1, between two slices
    const auto touch = [&](int64_t y, int64_t first, int64_t last) { add(y, first, last); };
    each_row(z - 1, touch), each_row(z, touch);
    finish(2 * z - 1);
    clear();
    each_row(z, [&](int64_t y, int64_t first, int64_t last) {
      add(y, first - 1, last + 1), add(y - 1, first, last), add(y + 1, first, last);
    });
    finish(2 * z);
  }
  return out;
}

/// Quickhull (Barber, Dobkin and Huhdanpaa 1996) in exact integers. A point in the plane of a facet counts as not
/// outside it, which keeps the facets seen from a point in one piece with a simple boundary.
class ConvexHull {
 public:
  /// `points` must span three dimensions, as any mesh does.
  explicit ConvexHull(std::vector<Lattice> points)
      : points_(std::move(points)), starting_at_(points_.size()), ending_at_(points_.size()) {
    build();
  }

  /// Corners of the triangles, counter-clockwise from outside.
  std::vector<std::array<Lattice, 3>> triangles() const {
    std::vector<std::array<Lattice, 3>> out;
    for (const Face& f : faces_)
      if (f.alive) out.push_back({points_[f.v[0]], points_[f.v[1]], points_[f.v[2]]});
    return out;
  }
  std::vector<Lattice> vertices() const {
    std::vector<char> used(points_.size(), 0);
    for (const Face& f : faces_)
      if (f.alive)
        for (int v : f.v) used[v] = 1;
    std::vector<Lattice> out;
    for (size_t k = 0; k < used.size(); ++k)
      if (used[k]) out.push_back(points_[k]);
    return out;
  }

 private:
  struct Face {
    std::array<int, 3> v;       // corners
    std::array<int, 3> beyond;  // neighbour across the edge v[i] → v[i + 1]
    Lattice normal;
    int64_t offset;
    std::vector<int> outside;  // points assigned to this face
    bool alive = true;
  };

  static Lattice minus(const Lattice& a, const Lattice& b) { return {a[0] - b[0], a[1] - b[1], a[2] - b[2]}; }
  static int64_t dot(const Lattice& a, const Lattice& b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }
  static Lattice cross(const Lattice& a, const Lattice& b) {
    return {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
  }
  /// Positive outside.
  int64_t height(const Face& f, int point) const { return dot(f.normal, points_[point]) - f.offset; }

  int add_face(int a, int b, int c) {
    Face f{{a, b, c}, {-1, -1, -1}, cross(minus(points_[b], points_[a]), minus(points_[c], points_[a])), 0, {}};
    f.offset = dot(f.normal, points_[a]);
    faces_.push_back(std::move(f));
    return static_cast<int>(faces_.size()) - 1;
  }

  template <class Measure>
  int farthest(const Measure& measure) const {
    int best = 0;
    for (int i = 1; i < static_cast<int>(points_.size()); ++i)
      if (measure(points_[i]) > measure(points_[best])) best = i;
    return best;
  }

  void first_tetrahedron() {
    const int a = 0;
    const auto& pa = points_[a];
    const int b = farthest([&](const Lattice& p) {
      const auto d = minus(p, pa);
      return dot(d, d);
    });
    const auto ab = minus(points_[b], pa);
    const int c = farthest([&](const Lattice& p) {
      const auto n = cross(ab, minus(p, pa));
      return dot(n, n);
    });
    const auto n = cross(ab, minus(points_[c], pa));
    const int d = farthest([&](const Lattice& p) { return std::abs(dot(n, minus(p, pa))); });
    const bool above = dot(n, minus(points_[d], pa)) > 0;
    const int v[4] = {a, above ? c : b, above ? b : c, d};
    const int faces[4][3] = {{0, 1, 2}, {0, 3, 1}, {1, 3, 2}, {2, 3, 0}};
    for (const auto& f : faces) add_face(v[f[0]], v[f[1]], v[f[2]]);
    for (Face& f : faces_)
      for (int i = 0; i < 3; ++i)
        for (int other = 0; other < 4; ++other)
          for (int j = 0; j < 3; ++j)
            if (faces_[other].v[j] == f.v[(i + 1) % 3] && faces_[other].v[(j + 1) % 3] == f.v[i]) f.beyond[i] = other;
    std::vector<int> all(points_.size());
    for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<int>(i);
    distribute(all, {0, 1, 2, 3});
  }

  void distribute(const std::vector<int>& points, const std::vector<int>& faces) {
    for (int p : points)
      for (int f : faces)
        if (height(faces_[f], p) > 0) {
          faces_[f].outside.push_back(p);
          break;
        }
    for (int f : faces)
      if (!faces_[f].outside.empty()) pending_.push_back(f);
  }

  void build() {
    first_tetrahedron();
    while (!pending_.empty()) {
      const int f = pending_.back();
      pending_.pop_back();
      if (faces_[f].alive && !faces_[f].outside.empty()) extend(f);
    }
  }

  /// Takes the point farthest outside face `start` into the hull.
  void extend(int start) {
    const auto& candidates = faces_[start].outside;
    const int apex = *std::max_element(candidates.begin(), candidates.end(), [&](int p, int q) {
      return height(faces_[start], p) < height(faces_[start], q);
    });
    std::vector<int> seen{start}, orphans;
    struct Edge {
      int from, to, beyond;
    };
    std::vector<Edge> horizon;
    faces_[start].alive = false;
    for (size_t k = 0; k < seen.size(); ++k) {
      const Face& face = faces_[seen[k]];
      orphans.insert(orphans.end(), face.outside.begin(), face.outside.end());
      for (int i = 0; i < 3; ++i) {
        Face& next = faces_[face.beyond[i]];
        if (!next.alive) continue;
        if (height(next, apex) > 0) {
          next.alive = false;
          seen.push_back(face.beyond[i]);
        }
      }
    }
    for (int s : seen)
      for (int i = 0; i < 3; ++i)
        if (faces_[faces_[s].beyond[i]].alive)
          horizon.push_back({faces_[s].v[i], faces_[s].v[(i + 1) % 3], faces_[s].beyond[i]});
    std::vector<int> fresh;
    for (const Edge& e : horizon) {
      const int f = add_face(e.from, e.to, apex);
      fresh.push_back(f);
      starting_at_[e.from] = f;
      ending_at_[e.to] = f;
      faces_[f].beyond[0] = e.beyond;
      Face& other = faces_[e.beyond];
      for (int i = 0; i < 3; ++i)
        if (other.v[i] == e.to && other.v[(i + 1) % 3] == e.from) other.beyond[i] = f;
    }
    for (int f : fresh) {
      faces_[f].beyond[1] = starting_at_[faces_[f].v[1]];
      faces_[f].beyond[2] = ending_at_[faces_[f].v[0]];
    }
    for (int s : seen) faces_[s].outside = {};
    distribute(orphans, fresh);
  }

  std::vector<Lattice> points_;
  std::vector<Face> faces_;
  std::vector<int> pending_;
  std::vector<int> starting_at_, ending_at_;  // the new face whose edge of the horizon starts or ends at a point
};

}  // namespace vesalius::radiomics::detail
