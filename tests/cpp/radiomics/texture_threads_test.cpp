// SPDX-License-Identifier: Apache-2.0
// The bodies of the CUDA kernels, run one thread after the other in any order: no torch, no library, no GPU.
#include "catch.h"

#include <algorithm>
#include <numeric>
#include <random>
#include <vector>

#include <vesalius/radiomics/detail/texture_threads_kernel.h>

using namespace vesalius::radiomics::detail;

namespace {

std::vector<int32_t> random_levels(const VoxelBox& box, int most, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<int32_t> levels(box.voxels());
  for (int32_t& level : levels) level = static_cast<int32_t>(random() % (most + 1));
  return levels;
}

/// The lowest voxel of each zone, by a search from every voxel that isn't in a zone yet.
std::vector<int32_t> roots_by_search(const std::vector<int32_t>& levels, const VoxelBox& box, bool in_slice) {
  std::vector<int32_t> roots(levels.size(), -1);
  for (int64_t start = 0; start < box.voxels(); ++start) {
    if (levels[start] == 0 || roots[start] >= 0) continue;
    std::vector<int64_t> open{start};
    roots[start] = static_cast<int32_t>(start);
    while (!open.empty()) {
      int64_t p[3];
      box.place(open.back(), p);
      open.pop_back();
      for (int64_t z = p[0] - !in_slice; z <= p[0] + !in_slice; ++z)
        for (int64_t y = p[1] - 1; y <= p[1] + 1; ++y)
          for (int64_t x = p[2] - 1; x <= p[2] + 1; ++x) {
            if (level_at(levels.data(), box, z, y, x) != levels[start]) continue;
            const int64_t next = box.index(z, y, x);
            if (roots[next] < 0) roots[next] = static_cast<int32_t>(start), open.push_back(next);
          }
    }
  }
  return roots;
}

}  // namespace

TEST_CASE("zones are the same in whatever order threads come", "[oracle: a search from every voxel]") {
  for (const VoxelBox box : {VoxelBox{{1, 1, 1}}, VoxelBox{{1, 9, 11}}, VoxelBox{{7, 8, 9}}, VoxelBox{{12, 3, 1}}})
    for (const bool in_slice : {false, true})
      for (unsigned seed = 0; seed < 8; ++seed) {
        const auto levels = random_levels(box, 2, seed);
        std::vector<int32_t> parent(levels.size()), order(levels.size()), roots(levels.size(), -1);
        std::iota(parent.begin(), parent.end(), 0);
        std::iota(order.begin(), order.end(), 0);
        std::shuffle(order.begin(), order.end(), std::mt19937(seed));
        for (const int32_t v : order)
          join_zone(levels.data(), box, in_slice, v, parent.data(), [](int32_t* at, int32_t value) {
            const int32_t was = *at;
            *at = std::min(was, value);
            return was;
          });
        for (const int32_t v : order)
          if (levels[v]) roots[v] = zone_root(parent.data(), v);
        CHECK(roots == roots_by_search(levels, box, in_slice));
      }
}

TEST_CASE("runs and neighbourhoods account for every voxel", "[invariant]") {
  const VoxelBox box{{5, 6, 7}};
  const auto levels = random_levels(box, 3, 1);
  const auto inside = std::count_if(levels.begin(), levels.end(), [](int32_t level) { return level != 0; });
  for (int64_t z = -1; z <= 1; ++z)
    for (int64_t y = -1; y <= 1; ++y)
      for (int64_t x = -1; x <= 1; ++x) {
        const int64_t offset[3]{z, y, x};
        if (z == 0 && y == 0 && x == 0) continue;
        int64_t voxels = 0;
        for (int64_t v = 0; v < box.voxels(); ++v)
          count_run(levels.data(), box, offset, 7, v, [&](int64_t cell) { voxels += cell % 7 + 1; });
        CHECK(voxels == inside);
      }
  std::vector<int64_t> counts(3 * 3 * 27);
  for (int64_t v = 0; v < box.voxels(); ++v)
    count_neighbourhood(levels.data(), box, false, v, [&](int64_t cell, int64_t n) { counts[cell] += n; });
  int64_t by_count = 0, by_same = 0;
  for (int64_t level = 0; level < 3; ++level)
    for (int64_t k = 0; k < 27; ++k) by_count += counts[level * 81 + k], by_same += counts[level * 81 + 54 + k];
  CHECK(by_count == inside);
  CHECK(by_same == inside);
}

TEST_CASE("distances along lines are city-block distances", "[oracle: the nearest voxel outside by trying all]") {
  const VoxelBox box{{4, 6, 5}};
  const auto mask = random_levels(box, 5, 3);
  std::vector<int32_t> distance(mask.size());
  for (size_t v = 0; v < mask.size(); ++v) distance[v] = mask[v] ? INT32_MAX - 1 : 0;
  for (int axis = 2; axis >= 0; --axis)
    for (int64_t line = 0; line < box.voxels() / box.size[axis]; ++line) {
      const Line l = line_of(box, axis, line);
      distance_line(distance.data(), l.start, l.stride, l.count);
    }
  for (int64_t v = 0; v < box.voxels(); ++v) {
    int64_t p[3], nearest = mask[v] ? INT64_MAX : 0;
    box.place(v, p);
    for (int64_t z = -1; z <= box.size[0] && mask[v]; ++z)
      for (int64_t y = -1; y <= box.size[1]; ++y)
        for (int64_t x = -1; x <= box.size[2]; ++x)
          if (level_at(mask.data(), box, z, y, x) == 0)
            nearest = std::min(nearest, std::abs(z - p[0]) + std::abs(y - p[1]) + std::abs(x - p[2]));
    CHECK(distance[v] == nearest);
  }
}
