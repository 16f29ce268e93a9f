// SPDX-License-Identifier: Apache-2.0
// The kernel headers alone: no torch, no library.
#include "catch.h"

#include <map>
#include <numbers>
#include <random>

#include <vesalius/image/detail/marching_cubes_kernel.h>
#include <vesalius/radiomics/detail/convex_hull_kernel.h>
#include <vesalius/radiomics/detail/ellipsoid_kernel.h>
#include <vesalius/radiomics/detail/enclosing_ellipsoid_kernel.h>
#include <vesalius/radiomics/detail/enclosing_kernel.h>
#include <vesalius/radiomics/detail/fft_kernel.h>
#include <vesalius/radiomics/detail/glcm_features_kernel.h>
#include <vesalius/radiomics/detail/glcm_kernel.h>
#include <vesalius/radiomics/detail/local_intensity_kernel.h>
#include <vesalius/radiomics/detail/radix_sort.h>
#include <vesalius/radiomics/detail/statistics_kernel.h>
#include <vesalius/radiomics/detail/vectorised.h>

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
  uint32_t counts[25] = {};
  for (const auto& row : image)
    for (int x = 0; x < 3; ++x) ++counts[row[x] * 5 + row[x + 1]];
  GlcmSums sums(4);
  sums.add_table(counts);
  const auto g = sums.finish();
  CHECK(g->n_pairs == 24);
  const auto total = [](const std::vector<double>& p) { return over(p, 0, [](double, double v) { return v; }); };
  CHECK(total(g->p_row) == Approx(1));
  CHECK(total(g->p_minus) == Approx(1));
  CHECK(total(g->p_plus) == Approx(1));
  CHECK(g->max == Approx(3.0 / 24));  // 2 beside 3
}

TEST_CASE("sums along a co-occurrence matrix", "[oracle: the matrix itself, cell by cell]") {
  std::mt19937 random(6);
  for (const int n : {1, 2, 5, 40}) {
    std::vector<uint32_t> counts((n + 1) * (n + 1));
    for (auto& c : counts) c = random() % 3 ? random() % 3000 : 0;
    counts[n + 2] = 1;  // at least one pair
    GlcmSums sums(n);
    sums.add_table(counts.data());
    const Glcm g = *sums.finish();
    double all = 0, mu = 0, variance = 0, covariance = 0, max = 0, squares = 0, ij = 0, hxy = 0;
    const auto cell = [&](int i, int j) { return double(counts[i * (n + 1) + j]) + counts[j * (n + 1) + i]; };
    for (int i = 1; i <= n; ++i)
      for (int j = 1; j <= n; ++j) all += cell(i, j), mu += i * cell(i, j);
    mu /= all;
    for (int i = 1; i <= n; ++i)
      for (int j = 1; j <= n; ++j) {
        const double p = cell(i, j) / all;
        variance += (i - mu) * (i - mu) * p, covariance += (i - mu) * (j - mu) * p;
        max = std::max(max, p), squares += p * p, ij += i * j * p;
        if (p > 0) hxy -= p * std::log2(p);
      }
    CHECK(g.mu == Approx(mu).epsilon(1e-12));
    CHECK(g.variance == Approx(variance).epsilon(1e-12));
    CHECK(g.covariance == Approx(covariance).epsilon(1e-9).margin(1e-12));
    CHECK(g.max == Approx(max));
    CHECK(g.squares == Approx(squares).epsilon(1e-12));
    CHECK(g.ij == Approx(ij).epsilon(1e-12));
    CHECK(g.hxy == Approx(hxy).epsilon(1e-12).margin(1e-12));
  }
}

TEST_CASE("order statistics", "[oracle: std::sort]") {
  std::mt19937 random(7);
  for (const int kind : {0, 1, 2, 3, 4})
    for (const size_t n : {size_t{1}, size_t{2}, size_t{7}, size_t{1000}}) {
      std::vector<double> x(n);
      for (auto& v : x) {
        v = static_cast<double>(random() % 1000) / 7;
        if (kind == 1) v = std::floor(v / 50);
        if (kind == 2) v = std::exp(v);  // nearly all in the first bin
        if (kind == 3) v = 5;
        if (kind == 4) v = (v - 70) * 1e306;  // a range beyond double
      }
      const Distribution d = describe(x);
      std::vector<double> sorted(x);
      std::sort(sorted.begin(), sorted.end());
      const auto percentile = [&](double p) {
        const double at = p * static_cast<double>(n - 1);
        const auto k = static_cast<size_t>(at);
        return at > k ? sorted[k] + (at - k) * (sorted[k + 1] - sorted[k]) : sorted[k];
      };
      CHECK(d.p10 == percentile(0.1));
      CHECK(d.p25 == percentile(0.25));
      CHECK(d.median == percentile(0.5));
      CHECK(d.p75 == percentile(0.75));
      CHECK(d.p90 == percentile(0.9));
      CHECK(d.min == sorted.front());
      CHECK(d.max == sorted.back());
    }
}

TEST_CASE("radix sort", "[oracle: std::sort]") {
  std::mt19937_64 random(8);
  for (const int bits : {1, 11, 12, 40, 64})
    for (const size_t n : {size_t{0}, size_t{1}, size_t{300}, size_t{5000}}) {
      std::vector<uint64_t> keys(n);
      for (auto& k : keys) k = random() >> (64 - bits);
      std::vector<uint64_t> sorted(keys);
      std::sort(sorted.begin(), sorted.end());
      radix_sort(keys);
      CHECK(keys == sorted);
    }
}

TEST_CASE("transforms of signals with a half of zeros", "[oracle: the sum by definition]") {
  std::mt19937 random(9);
  for (int64_t n = 1; n <= 33; ++n) {
    const HalfZeroFft fft(n);
    const int64_t h = fft.half_period();
    REQUIRE(h >= n);
    std::vector<ComplexLanes> in(n), a(h), b(h), out(h);
    for (auto& v : in)
      for (int k = 0; k < kLanes; ++k) v.re[k] = double(random() % 100), v.im[k] = double(random() % 100);
    double worst = 0;
    for (const bool odd : {false, true}) {
      const auto load = [&](int64_t j) { return j < n ? in[j] : ComplexLanes{Lanes{}, Lanes{}}; };
      vectorised([&] { fft.run(odd, load, a.data(), b.data(), out.data()); });
      for (int64_t k = 0; k < h; ++k)
        for (int lane = 0; lane < kLanes; ++lane) {
          double re = 0, im = 0;
          for (int64_t j = 0; j < n; ++j) {
            const double angle = -std::numbers::pi * double((2 * k + odd) * j % (2 * h)) / double(h);
            re += in[j].re[lane] * std::cos(angle) - in[j].im[lane] * std::sin(angle);
            im += in[j].re[lane] * std::sin(angle) + in[j].im[lane] * std::cos(angle);
          }
          worst = std::max({worst, std::abs(re - out[k].re[lane]), std::abs(im - out[k].im[lane])});
        }
    }
    CHECK(worst < 1e-10);
  }
}

TEST_CASE("means over balls", "[oracle: every voxel of the ball]") {
  std::mt19937 random(10);
  for (const bool broken : {false, true})
    for (const std::array<int64_t, 3> size : {std::array<int64_t, 3>{1, 1, 1}, {1, 9, 8}, {6, 7, 12}}) {
      std::vector<double> x(size[0] * size[1] * size[2]);
      for (auto& v : x) v = broken && random() % 5 == 0 ? (random() % 2 ? NAN : INFINITY) : double(random() % 100);
      x[0] = 3;
      const std::array<double, 3> spacing{2.0, 1.3, 0.9};
      const double radius = 3.1;
      const BallMeans means(x.data(), size, ball_rows(radius, spacing, size));
      BallMeans::Scratch scratch;
      std::vector<double> out(size[2]);
      double worst = 0;
      for (int64_t z = 0; z < size[0]; ++z)
        for (int64_t y = 0; y < size[1]; ++y)
          for (int64_t from : {int64_t{0}, size[2] / 2}) {
            means.row(z, y, from, size[2] - from, out.data(), scratch);
            for (int64_t k = from; k < size[2]; ++k) {
              double sum = 0, n = 0;
              for (int64_t c = 0; c < size[0]; ++c)
                for (int64_t b = 0; b < size[1]; ++b)
                  for (int64_t a = 0; a < size[2]; ++a) {
                    const double d = std::pow((c - z) * spacing[0], 2) + std::pow((b - y) * spacing[1], 2) +
                                     std::pow((a - k) * spacing[2], 2);
                    const double v = x[(c * size[1] + b) * size[2] + a];
                    if (d <= radius * radius && std::isfinite(v)) sum += v, ++n;
                  }
              if (n > 0) worst = std::max(worst, std::abs(sum / n - out[k - from]));
            }
          }
      CHECK(worst < 1e-10);
    }
}

namespace {

/// Turned by angles about the three axes.
Vector3 turned(const Vector3& p, double a, double b, double c) {
  Vector3 q{p[0], std::cos(a) * p[1] - std::sin(a) * p[2], std::sin(a) * p[1] + std::cos(a) * p[2]};
  q = {std::cos(b) * q[0] + std::sin(b) * q[2], q[1], -std::sin(b) * q[0] + std::cos(b) * q[2]};
  return {std::cos(c) * q[0] - std::sin(c) * q[1], std::sin(c) * q[0] + std::cos(c) * q[1], q[2]};
}
std::vector<Vector3> box_corners(double a, double b, double c) {
  std::vector<Vector3> out;
  for (int k = 0; k < 8; ++k) out.push_back({k & 1 ? a : 0, k & 2 ? b : 0, k & 4 ? c : 0});
  return out;
}

}  // namespace

TEST_CASE("eigenvalues", "[oracle: closed form]") {
  const Vector3 e = eigenvalues3({{{2, 1, 0}, {1, 2, 0}, {0, 0, 5}}});
  CHECK(e[0] == Approx(1));
  CHECK(e[1] == Approx(3));
  CHECK(e[2] == Approx(5));
  const Vector3 flat = eigenvalues3({{{1, 1, 1}, {1, 1, 1}, {1, 1, 1}}});
  CHECK(flat[2] == Approx(3));
  CHECK(std::abs(flat[0]) < 1e-12);
}

TEST_CASE("oriented boxes", "[oracle: a box turned is the box itself]") {
  for (const double angle : {0.0, 0.3, 1.1}) {
    auto points = box_corners(2, 3, 7);
    points.push_back({1, 1.5, 3});
    for (auto& p : points) p = turned(p, angle, 0.7 * angle, -0.2 * angle);
    // One of its directions is enough: calipers find the other two.
    auto lengths = smallest_box_along(points, turned({0, 0, 1}, angle, 0.7 * angle, -0.2 * angle)).lengths;
    std::sort(lengths.begin(), lengths.end());
    CHECK(lengths[0] == Approx(2));
    CHECK(lengths[1] == Approx(3));
    CHECK(lengths[2] == Approx(7));
  }
}

TEST_CASE("oriented boxes hold every point", "[invariant]") {
  std::mt19937 random(11);
  std::normal_distribution<double> normal;
  for (int repeat = 0; repeat < 40; ++repeat) {
    std::vector<Vector3> points(5 + repeat);
    for (auto& p : points) p = turned({3 * normal(random), normal(random), 0.5 * normal(random)}, 0.4, 1.0, repeat);
    const auto box = small_box(points, {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}});
    Vector3 low, high;
    low.fill(INFINITY), high.fill(-INFINITY);
    for (int a = 0; a < 3; ++a) {
      double least = INFINITY, most = -INFINITY;
      for (const auto& p : points) {
        least = std::min(least, dot3(p, box.axes[a])), most = std::max(most, dot3(p, box.axes[a]));
        low[a] = std::min(low[a], p[a]), high[a] = std::max(high[a], p[a]);
      }
      CHECK(most - least == Approx(box.lengths[a]));
      CHECK(dot3(box.axes[a], box.axes[(a + 1) % 3]) == Approx(0).margin(1e-12));
    }
    CHECK(box.volume() <= (high[0] - low[0]) * (high[1] - low[1]) * (high[2] - low[2]) * (1 + 1e-9));
  }
}

TEST_CASE("enclosing ellipsoids", "[oracle: closed form]") {
  // A box's is the ball around the cube, stretched with it.
  auto axes = enclosing_ellipsoid(box_corners(2, 4, 6));
  for (int a = 0; a < 3; ++a) CHECK(axes[a] == Approx((a + 1) * std::sqrt(3.0)).epsilon(3e-4));
  // The regular simplex' is its circumscribed ball.
  axes = enclosing_ellipsoid({{1, 1, 1}, {1, -1, -1}, {-1, 1, -1}, {-1, -1, 1}});
  for (double a : axes) CHECK(a == Approx(std::sqrt(3.0)).epsilon(3e-4));
  // Many points of an ellipsoid, and some inside.
  std::mt19937 random(12);
  std::normal_distribution<double> normal;
  std::vector<Vector3> points;
  for (int k = 0; k < 3000; ++k) {
    const Vector3 u = unit3({normal(random), normal(random), normal(random)});
    const double inside = k % 3 == 0 ? 0.9 : 1;
    points.push_back(turned({2 * inside * u[0] + 5, 3 * inside * u[1], 10 * inside * u[2]}, 0.5, 0.2, 0.9));
  }
  axes = enclosing_ellipsoid(points);
  CHECK(axes[0] == Approx(2).epsilon(2e-3));
  CHECK(axes[1] == Approx(3).epsilon(2e-3));
  CHECK(axes[2] == Approx(10).epsilon(2e-3));
}
