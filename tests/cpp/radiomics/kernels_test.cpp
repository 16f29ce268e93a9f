// SPDX-License-Identifier: Apache-2.0
// The kernel headers alone: no torch, no library.
#include "catch.h"

#include <map>
#include <numbers>
#include <random>

#include <vesalius/image/detail/marching_cubes_kernel.h>
#include <vesalius/radiomics/detail/convex_hull_kernel.h>
#include <vesalius/radiomics/detail/ellipsoid_kernel.h>
#include <vesalius/radiomics/detail/glcm_features_kernel.h>
#include <vesalius/radiomics/detail/glcm_kernel.h>
#include <vesalius/radiomics/detail/statistics_kernel.h>
#include <vesalius/radiomics/detail/texture_kernel.h>

using namespace vesalius::image::detail;
using namespace vesalius::radiomics::detail;

TEST_CASE("the surface is closed for any mask", "[invariant]") {
  // Each edge of a triangle is passed once in each direction: no holes, and one orientation.
  const std::array<int64_t, 3> size{5, 6, 7};
  std::mt19937 random(1);
  for (int repeat = 0; repeat < 20; ++repeat) {
    bool mask[5 * 6 * 7];
    for (bool& m : mask) m = random() % 2;
    std::map<std::pair<Point, Point>, int> edges;
    for_each_surface_cube(mask, size, [&](int cube, int64_t z, int64_t y, int64_t x) {
      for (Triangle t : CubeTable::get().triangles(cube)) {
        for (Point& p : t) p[0] += z, p[1] += y, p[2] += x;
        for (int i = 0; i < 3; ++i) ++edges[{t[i], t[(i + 1) % 3]}];
      }
    });
    bool closed = true;
    for (const auto& [edge, count] : edges) {
      const auto opposite = edges.find({edge.second, edge.first});
      closed = closed && opposite != edges.end() && opposite->second == count;
    }
    CHECK(closed);
  }
}

TEST_CASE("inside and outside are alike", "[invariant]") {
  const auto area = [](int cube) {
    double sum = 0;
    for (const auto& t : CubeTable::get().triangles(cube)) sum += triangle_area(t);
    return sum;
  };
  // Cases without an ambiguous face: one corner, an edge, a plane and their complements.
  for (int cube : {1, 3, 15, 7, 2, 128}) CHECK(area(cube) == Approx(area(255 - cube)));
  CHECK(area(1) == Approx(std::sqrt(3.0) / 8));
  CHECK(area(15) == Approx(1.0));
}

TEST_CASE("the hull holds every point and is closed", "[invariant]") {
  std::mt19937 random(2);
  for (int repeat = 0; repeat < 30; ++repeat) {
    std::vector<Lattice> points;
    const int range = repeat < 15 ? 3 : 40;  // small ranges: many coplanar and collinear points
    for (int i = 0; i < 200; ++i)
      points.push_back({int64_t(random() % range), int64_t(random() % range), int64_t(random() % range)});
    std::sort(points.begin(), points.end());
    points.erase(std::unique(points.begin(), points.end()), points.end());
    const ConvexHull hull(points);
    std::map<std::pair<Lattice, Lattice>, int> edges;
    bool inside = true;
    for (const auto& [a, b, c] : hull.triangles()) {
      const auto side = [&, &a = a, &b = b, &c = c](const Lattice& p) {
        const int64_t u[3] = {b[0] - a[0], b[1] - a[1], b[2] - a[2]}, v[3] = {c[0] - a[0], c[1] - a[1], c[2] - a[2]};
        return (u[1] * v[2] - u[2] * v[1]) * (p[0] - a[0]) + (u[2] * v[0] - u[0] * v[2]) * (p[1] - a[1]) +
               (u[0] * v[1] - u[1] * v[0]) * (p[2] - a[2]);
      };
      for (const auto& p : points) inside = inside && side(p) <= 0;
      ++edges[{a, b}], ++edges[{b, c}], ++edges[{c, a}];
    }
    CHECK(inside);
    bool closed = true;
    for (const auto& [edge, count] : edges)
      closed = closed && count == 1 && edges.count({edge.second, edge.first}) == 1;
    CHECK(closed);
    // Euler's formula for triangles on a sphere.
    CHECK(hull.triangles().size() == 2 * hull.vertices().size() - 4);
  }
}

TEST_CASE("areas of ellipsoids", "[oracle: closed form, the series summed by hand]") {
  CHECK(ellipsoid_area(2, 2, 2) == Approx(16 * std::numbers::pi));
  // b = c: P_v(1) = 1, and the series is that of alpha^2v / (1 - 4 v^2).
  double sum = 0;
  for (int v = 0; v <= 20; ++v) sum += std::pow(0.75, v) / (1 - 4.0 * v * v);
  CHECK(ellipsoid_area(2, 1, 1) == Approx(8 * std::numbers::pi * sum).epsilon(1e-12));
}

TEST_CASE("a distribution of counts is that of the values", "[oracle: the same by values]") {
  const std::vector<int64_t> counts{3, 0, 5, 1, 0, 2};
  std::vector<double> values;
  for (size_t i = 0; i < counts.size(); ++i) values.insert(values.end(), counts[i], i + 1.0);
  const auto a = describe(values), b = describe_counts(counts);
  CHECK(a.mean == Approx(b.mean));
  CHECK(a.m4 == Approx(b.m4));
  CHECK(a.p10 == Approx(b.p10));
  CHECK(a.median == Approx(b.median));
  CHECK(a.p90 == Approx(b.p90));
  CHECK(a.robust_deviation == Approx(b.robust_deviation));
}

TEST_CASE("pairs with a level out of range are not counted", "[mechanics]") {
  const int32_t levels[6] = {0, 1, 2, 9, -1, 0};
  int64_t pairs = 0;
  for (int64_t v = 1; v < 5; ++v)
    glcm_count_pair(levels, v, 1, 2, [&](int64_t cell) {
      ++pairs;
      CHECK(cell == 1);
    });
  CHECK(pairs == 1);
}

TEST_CASE("IBSI's example matrix", "[oracle: IBSI 1, figures 3.1 to 3.3]") {
  // Rows of the 4 x 4 example image, and its matrix along x, symmetric.
  const int32_t image[4][4] = {{1, 2, 2, 3}, {1, 2, 3, 3}, {4, 2, 4, 1}, {4, 1, 2, 3}};
  int64_t counts[16] = {};
  for (const auto& row : image)
    for (int x = 0; x < 3; ++x) ++counts[(row[x] - 1) * 4 + row[x + 1] - 1];
  const auto g = Glcm::from_counts(counts, 4);
  CHECK(g->p(0, 1) == Approx(3.0 / 24));
  CHECK(total(g->p_row) == Approx(1));
  CHECK(total(g->p_minus) == Approx(1));
  CHECK(total(g->p_plus) == Approx(1));
}

TEST_CASE("runs, zones and neighbourhoods cover the region", "[invariant]") {
  std::mt19937 random(3);
  for (const std::array<int64_t, 3> size : {std::array<int64_t, 3>{1, 1, 1}, {1, 5, 4}, {4, 1, 1}, {3, 5, 6}})
    for (int levels : {1, 3}) {
      std::vector<int32_t> voxels(size[0] * size[1] * size[2]);
      for (auto& v : voxels) v = 1 + static_cast<int32_t>(random() % levels);
      const PaddedLevels p(voxels.data(), size);
      const auto n = static_cast<int64_t>(voxels.size());
      REQUIRE(static_cast<int64_t>(p.inside.size()) == n);
      for (const int64_t step : p.neighbours(false)) {
        int64_t covered = 0;
        for_each_run(p, step, [&](int64_t, int64_t length) { covered += length; });
        CHECK(covered == n);
      }
      const auto distance = border_distance(p, false);
      int64_t covered = 0, zones = 0;
      for_each_zone(p, false, distance, [&](int64_t, int64_t count, int32_t nearest) {
        covered += count, ++zones;
        CHECK(nearest >= 1);
      });
      CHECK(covered == n);
      if (levels == 1) CHECK(zones == 1);
      int64_t neighbours = 0;
      for_each_neighbourhood(p, false, [&](int64_t, int64_t count, int64_t sum, int64_t same) {
        neighbours += count;
        CHECK(sum >= count);
        CHECK(same <= count);
        if (levels == 1) CHECK(same == count);
      });
      // Each axis of length s has 3 s - 2 ordered pairs (self and next): their product less the voxels themselves.
      CHECK(neighbours == (3 * size[0] - 2) * (3 * size[1] - 2) * (3 * size[2] - 2) - n);
    }
}

TEST_CASE("city-block distance to the border", "[oracle: every outside voxel tried]") {
  const std::array<int64_t, 3> size{5, 6, 7};
  std::mt19937 random(4);
  bool mask[5 * 6 * 7];
  for (bool& m : mask) m = random() % 8 != 0;
  const PaddedLevels p(mask, size);
  const auto distance = border_distance(p, false);
  bool equal = true;
  for (int64_t z = 0; z < 5; ++z)
    for (int64_t y = 0; y < 6; ++y)
      for (int64_t x = 0; x < 7; ++x) {
        if (!mask[(z * 6 + y) * 7 + x]) continue;
        int64_t nearest = 100;
        for (int64_t c = -1; c <= 5; ++c)
          for (int64_t b = -1; b <= 6; ++b)
            for (int64_t a = -1; a <= 7; ++a) {
              const bool in = c >= 0 && c < 5 && b >= 0 && b < 6 && a >= 0 && a < 7 && mask[(c * 6 + b) * 7 + a];
              if (!in) nearest = std::min(nearest, std::abs(c - z) + std::abs(b - y) + std::abs(a - x));
            }
        equal = equal && distance[p.box.position(z, y, x)] == nearest;
      }
  CHECK(equal);
}
