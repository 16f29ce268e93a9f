// SPDX-License-Identifier: Apache-2.0
#include "catch.h"

#include <cmath>
#include <complex>
#include <numbers>
#include <random>

#include <vesalius/radiomics/detail/enclosing_kernel.h>
#include <vesalius/radiomics/detail/fft_kernel.h>
#include <vesalius/radiomics/detail/texture_kernel.h>
#include <vesalius/radiomics/detail/toeplitz_kernel.h>
#include <vesalius/radiomics/detail/vectorised.h>

using namespace vesalius::radiomics::detail;

TEST_CASE("transforms half way between frequencies", "[oracle: the sum by definition]") {
  std::mt19937 random(1);
  for (int64_t n = 1; n <= 30; ++n)
    for (int64_t groups = 1; groups <= 5; ++groups) {
      const HalfwayFft fft(n, groups);
      const int64_t length = fft.length(), period = fft.period();
      REQUIRE(period == 2 * groups * length);
      REQUIRE(period >= 2 * n - 1);
      std::vector<RealLanes> x(n), y(n);
      for (auto& v : x)
        for (int k = 0; k < kLanes; ++k) v.v[k] = double(random() % 100);
      for (auto& v : y)
        for (int k = 0; k < kLanes; ++k) v.v[k] = double(random() % 100);
      std::vector<ComplexLanes> a(length), b(length), u(length), w(length);
      double worst = 0;
      for (int64_t group = 0; group < groups; ++group) {
        const RealLanes* const in[2] = {x.data(), y.data()};
        ComplexLanes* const out[2] = {u.data(), w.data()};
        vectorised([&] { fft.run(group, in, a.data(), b.data(), out); });
        for (int64_t i = 0; i < length; ++i)
          for (int lane = 0; lane < kLanes; ++lane) {
            std::complex<double> p, q;
            for (int64_t j = 0; j < n; ++j) {
              const double angle =
                  -2 * std::numbers::pi * (double(fft.frequency(group, i)) + 0.5) * double(j) / double(period);
              p += x[j].v[lane] * std::polar(1.0, angle), q += y[j].v[lane] * std::polar(1.0, angle);
            }
            worst = std::max({worst, std::abs(p - std::complex(u[i].re[lane], u[i].im[lane])),
                              std::abs(q - std::complex(w[i].re[lane], w[i].im[lane]))});
          }
      }
      CHECK(worst < 1e-10);
    }
}

TEST_CASE("forms over Toeplitz matrices", "[oracle: the double sum]") {
  std::mt19937 random(2);
  std::normal_distribution<double> normal;
  for (int64_t n = 1; n <= kMostDirect; n = n < 12 ? n + 1 : n + 13) {
    const int64_t stride = 3, wide = 2;
    std::vector<ComplexLanes> s[3];
    for (auto& list : s) {
      list.resize(n * stride);
      for (auto& v : list)
        for (int k = 0; k < kLanes; ++k) v.re[k] = normal(random), v.im[k] = normal(random);
    }
    std::vector<RealLanes> w(n * wide);
    for (auto& v : w)
      for (int k = 0; k < kLanes; ++k) v.v[k] = normal(random);
    std::array<RealLanes, 3> forms;
    vectorised([&] { forms = toeplitz_forms(s[0].data(), s[1].data(), s[2].data(), stride, w.data(), wide, n); });
    const int pairs[3][2] = {{0, 0}, {1, 1}, {2, 1}};
    for (int t = 0; t < 3; ++t)
      for (int lane = 0; lane < kLanes; ++lane) {
        double sum = 0;
        for (int64_t j = 0; j < n; ++j)
          for (int64_t k = 0; k < n; ++k) {
            const auto &a = s[pairs[t][0]][j * stride], &b = s[pairs[t][1]][k * stride];
            sum += w[std::abs(j - k) * wide].v[lane] * (a.re[lane] * b.re[lane] + a.im[lane] * b.im[lane]);
          }
        CHECK(forms[t].v[lane] == Approx(sum).margin(1e-10 * double(n * n)));
      }
  }
}

TEST_CASE("transposes and inverse roots", "[oracle: by definition]") {
  Lanes v[kLanes];
  for (int i = 0; i < kLanes; ++i)
    for (int j = 0; j < kLanes; ++j) v[i][j] = 10 * i + j;
  transpose(v);
  for (int i = 0; i < kLanes; ++i)
    for (int j = 0; j < kLanes; ++j) CHECK(v[i][j] == 10 * j + i);
  for (double a = 1e-30; a < 1e30; a *= 1.037) {
    Lanes x{};
    x += a;
    CHECK(std::abs(inverse_root(x).v[3] * std::sqrt(a) - 1) < 5e-16);
  }
}

TEST_CASE("runs longer than a byte counts", "[oracle: by hand]") {
  for (const int axis : {0, 1, 2}) {
    std::array<int64_t, 3> size{2, 2, 2}, direction{};
    size[axis] = 700, direction[axis] = 1;
    PaddedVolume<uint8_t> volume(size);
    std::vector<RowRange> ranges(size[0] * size[1], RowRange{0, static_cast<int32_t>(size[2])});
    for (int64_t z = 0; z < size[0]; ++z)
      for (int64_t y = 0; y < size[1]; ++y)
        for (int64_t x = 0; x < size[2]; ++x) {
          const int64_t along = std::array{z, y, x}[axis];
          volume.first()[z * volume.slice() + y * volume.row() + x] = along < 256 ? 1 : along < 300 ? 2 : 3;
        }
    const LevelBox<uint8_t> box{size[0],        size[1],        size[2],       volume.row(),
                                volume.slice(), volume.first(), ranges.data(), 3};
    std::array<int64_t, 4> length{}, number{};
    vectorised([&] {
      for_each_long_run(box, direction, 0, size[0],
                        [&](int64_t level, int64_t n) { length[level] = n, ++number[level]; });
    });
    CHECK(length == std::array<int64_t, 4>{0, 256, 44, 400});
    CHECK(number == std::array<int64_t, 4>{0, 4, 4, 4});
  }
}

TEST_CASE("points within the octagon make no difference to a box", "[invariant]") {
  std::mt19937 random(3);
  std::normal_distribution<double> normal;
  for (int repeat = 0; repeat < 20; ++repeat) {
    std::vector<Vector3> few(20), many;
    for (auto& p : few) p = {normal(random), 2 * normal(random), 3 * normal(random)};
    many = few;
    for (int k = 0; k < 300; ++k) {  // between the others
      Vector3 p{};
      double all = 0;
      for (const auto& q : few) {
        const double w = std::pow(double(random() % 1000) / 1000, 8);
        for (int a = 0; a < 3; ++a) p[a] += w * q[a];
        all += w;
      }
      for (double& c : p) c /= all;
      many.push_back(p);
    }
    const Vector3 normal_of{1.0, 0.3 * repeat, -0.5};
    CHECK(smallest_box_along(many, normal_of).volume() ==
          Approx(smallest_box_along(few, normal_of).volume()).epsilon(1e-12));
  }
}
