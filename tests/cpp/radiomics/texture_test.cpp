// SPDX-License-Identifier: Apache-2.0
// Texture kernels beside the same counted voxel by voxel, for many small random regions.
#include "catch.h"

#include <map>
#include <random>
#include <tuple>

#include <vesalius/radiomics/detail/texture_kernel.h>
#include <vesalius/radiomics/detail/vectorised.h>

#include "radiomics/naive_texture.h"

using namespace vesalius::radiomics::detail;
using Size = std::array<int64_t, 3>;
using Counts = std::map<std::tuple<int64_t, int64_t, int64_t>, int64_t>;

namespace {

/// A region of random levels and shape, both ways.
template <class T>
struct Region {
  Size size;
  std::vector<int32_t> voxels;
  PaddedVolume<T> volume;
  std::vector<RowRange> ranges;
  int64_t n;

  Region(const Size& s, int64_t levels, double inside, bool flat, std::mt19937& random)
      : size(s), voxels(s[0] * s[1] * s[2]), volume(s), n(levels) {
    std::uniform_real_distribution<double> chance(0, 1);
    for (int64_t v = 0, z = 0; z < s[0]; ++z)
      for (int64_t y = 0; y < s[1]; ++y) {
        RowRange range{0, 0};
        for (int64_t x = 0; x < s[2]; ++x, ++v) {
          if (chance(random) >= inside) continue;
          // Flat regions have long runs and large zones.
          const bool same = flat && x > 0 && voxels[v - 1] && chance(random) < 0.8;
          voxels[v] = same ? voxels[v - 1] : 1 + static_cast<int32_t>(random() % levels);
          if (range.first == range.end) range.first = static_cast<int32_t>(x);
          range.end = static_cast<int32_t>(x + 1);
          volume.first()[z * volume.slice() + y * volume.row() + x] = static_cast<T>(voxels[v]);
        }
        ranges.push_back(range);
      }
  }
  LevelBox<T> box() const {
    return {size[0], size[1], size[2], volume.row(), volume.slice(), volume.first(), ranges.data(), n};
  }
  naive::PaddedLevels part(int64_t from, int64_t to) const {
    return {voxels.data() + from * size[1] * size[2], {to - from, size[1], size[2]}};
  }
};

template <class T>
void compare(const Region<T>& region, int64_t from, int64_t to, bool in_slice) {
  const auto box = region.box();
  const naive::PaddedLevels plain = region.part(from, to);
  const int64_t width = region.n + 1;
  for (int d = 0; d < (in_slice ? 4 : 13); ++d) {
    const auto& offset = kDirections[d];
    const int64_t step = plain.box.step(offset.data());
    std::vector<uint32_t> pairs(width * width), other(width * width), expected(width * width);
    vectorised([&] { count_pairs(box, offset, from, to, to, pairs.data(), other.data()); });
    for (const int64_t v : plain.inside)
      if (plain.level[v + step]) ++expected[plain.level[v] * width + plain.level[v + step]];
    bool equal = true;
    for (int64_t i = 1; i < width; ++i)
      for (int64_t j = 1; j < width; ++j)
        equal = equal && pairs[i * width + j] + other[i * width + j] == expected[i * width + j];
    CHECK(equal);

    Counts runs, expected_runs;
    vectorised([&] { for_each_long_run(box, offset, from, to, [&](int64_t i, int64_t n) { ++runs[{i, n, 0}]; }); });
    naive::for_each_run(plain, step, [&](int64_t i, int64_t n) {
      if (n > 1) ++expected_runs[{i, n, 0}];
    });
    CHECK((runs == expected_runs));
  }

  std::vector<char> mask(region.voxels.size());
  for (size_t k = 0; k < mask.size(); ++k) mask[k] = region.voxels[k] != 0;
  const auto distance = border_distance(reinterpret_cast<const bool*>(mask.data()), region.size, region.ranges.data(),
                                        from, to, in_slice);
  const auto expected_distance = naive::border_distance(plain, in_slice);
  bool equal = true;
  for (int64_t z = 0; z < to - from; ++z)
    for (int64_t y = 0; y < region.size[1]; ++y)
      for (int64_t x = 0; x < region.size[2]; ++x)
        equal = equal && distance.first()[z * distance.slice() + y * distance.row() + x] ==
                             expected_distance[plain.box.position(z, y, x)];
  CHECK(equal);

  Counts zones, expected_zones;
  vectorised([&] {
    for_each_zone(box, from, to, in_slice, distance,
                  [&](int64_t i, int64_t n, int64_t nearest) { ++zones[{i, n, nearest}]; });
  });
  naive::for_each_zone(plain, in_slice, expected_distance,
                       [&](int64_t i, int64_t n, int64_t nearest) { ++expected_zones[{i, n, nearest}]; });
  CHECK((zones == expected_zones));

  Neighbourhoods around(region.n), expected_around(region.n);
  if (in_slice || (from == 0 && to == region.size[0])) {
    vectorised([&] { add_neighbourhoods(box, from, to, in_slice, around); });
    naive::for_each_neighbourhood(plain, in_slice, [&](int64_t i, int64_t count, int64_t sum, int64_t same) {
      ++expected_around.dependence[i * 27 + same];
      expected_around.differences[i * 27 + count] += std::abs(count * i - sum);
      expected_around.number[i] += count > 0;
    });
    CHECK(around.dependence == expected_around.dependence);
    CHECK(around.differences == expected_around.differences);
    CHECK(around.number == expected_around.number);
  }
}

template <class T>
void compare_many(const std::vector<int64_t>& levels) {
  std::mt19937 random(3);
  for (const Size size : {Size{1, 1, 1}, {1, 5, 4}, {4, 1, 1}, {1, 1, 9}, {3, 5, 6}, {7, 8, 70}})
    for (const int64_t n : levels)
      for (const double inside : {0.5, 0.9, 1.0})
        for (const bool flat : {false, true}) {
          const Region<T> region(size, n, inside, flat, random);
          compare(region, 0, size[0], false);
          compare(region, 0, size[0], true);
          compare(region, size[0] / 2, size[0] / 2 + 1, true);
        }
}

}  // namespace

TEST_CASE("texture in bytes", "[oracle: each voxel by itself]") { compare_many<uint8_t>({1, 2, 40, 255}); }
TEST_CASE("texture of many levels", "[oracle: each voxel by itself]") { compare_many<uint16_t>({3, 700}); }
TEST_CASE("texture of the most levels", "[oracle: each voxel by itself]") { compare_many<uint32_t>({3}); }

TEST_CASE("city-block distance to the border", "[oracle: every outside voxel tried]") {
  const Size size{5, 6, 7};
  std::mt19937 random(4);
  const Region<uint8_t> region(size, 1, 0.9, false, random);
  const auto inside = [&](int64_t z, int64_t y, int64_t x) {
    return z >= 0 && z < 5 && y >= 0 && y < 6 && x >= 0 && x < 7 && region.voxels[(z * 6 + y) * 7 + x];
  };
  std::vector<char> mask(region.voxels.begin(), region.voxels.end());
  const auto distance =
      border_distance(reinterpret_cast<const bool*>(mask.data()), size, region.ranges.data(), 0, 5, false);
  bool equal = true;
  for (int64_t z = 0; z < 5; ++z)
    for (int64_t y = 0; y < 6; ++y)
      for (int64_t x = 0; x < 7; ++x) {
        if (!inside(z, y, x)) continue;
        int64_t nearest = 100;
        for (int64_t c = -1; c <= 5; ++c)
          for (int64_t b = -1; b <= 6; ++b)
            for (int64_t a = -1; a <= 7; ++a)
              if (!inside(c, b, a)) nearest = std::min(nearest, std::abs(c - z) + std::abs(b - y) + std::abs(a - x));
        equal = equal && distance.first()[z * distance.slice() + y * distance.row() + x] == nearest;
      }
  CHECK(equal);
}
