// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include <vesalius/radiomics/detail/glcm_kernel.h>

/// Texture counted the plain way, voxel by voxel: what the fast kernels are compared with.
namespace naive {

using vesalius::radiomics::detail::PaddedBox;

/// Levels (or a mask) with one voxel of 0 around them, so that neighbours are always in memory, and the positions of the
/// voxels that aren't 0.
struct PaddedLevels {
  PaddedBox box{};
  std::vector<int32_t> level;
  std::vector<int64_t> inside;

  template <class T>
  PaddedLevels(const T* voxels, const std::array<int64_t, 3>& size) {
    for (int a = 0; a < 3; ++a) box.size[a] = size[a], box.margin[a] = 1;
    level.assign((size[0] + 2) * box.slice_length(), 0);
    for (int64_t z = 0; z < size[0]; ++z)
      for (int64_t y = 0; y < size[1]; ++y) {
        int64_t position = box.position(z, y, 0);
        for (int64_t x = 0; x < size[2]; ++x, ++position, ++voxels) {
          level[position] = static_cast<int32_t>(*voxels);
          if (*voxels != 0) inside.push_back(position);
        }
      }
  }

  /// Steps in memory to the Chebyshev neighbours: 26, or 8 within the slice.
  std::vector<int64_t> neighbours(bool in_slice) const {
    std::vector<int64_t> steps;
    for (int64_t z = in_slice ? 0 : -1; z <= (in_slice ? 0 : 1); ++z)
      for (int64_t y = -1; y <= 1; ++y)
        for (int64_t x = -1; x <= 1; ++x)
          if (z != 0 || y != 0 || x != 0) steps.push_back(z * box.slice_length() + y * box.row_length() + x);
    return steps;
  }
};

/// Calls `run(level, length)` for each run of equal levels along `step` (IBSI 1, section 3.7).
template <class Run>
void for_each_run(const PaddedLevels& p, int64_t step, const Run& run) {
  for (const int64_t v : p.inside) {
    const int32_t level = p.level[v];
    if (p.level[v - step] == level) continue;  // not where the run starts
    int64_t length = 1;
    for (int64_t next = v + step; p.level[next] == level; next += step) ++length;
    run(level, length);
  }
}

/// City-block distance to the nearest voxel outside the mask: 1 at the border (IBSI 1, section 3.9). Two passes are
/// exact for this norm. `in_slice` leaves the neighbours above and below out.
inline std::vector<int32_t> border_distance(const PaddedLevels& mask, bool in_slice) {
  std::vector<int32_t> distance(mask.level.size(), 0);
  std::vector<int64_t> steps{1, mask.box.row_length()};
  if (!in_slice) steps.push_back(mask.box.slice_length());
  for (const int64_t v : mask.inside) {
    int32_t nearest = INT32_MAX - 1;
    for (const int64_t s : steps) nearest = std::min(nearest, distance[v - s]);
    distance[v] = nearest + 1;
  }
  for (auto v = mask.inside.rbegin(); v != mask.inside.rend(); ++v)
    for (const int64_t s : steps) distance[*v] = std::min(distance[*v], distance[*v + s] + 1);
  return distance;
}

/// Calls `zone(level, size, distance)` for each connected zone of one level; distance is the least of its voxels'
/// in `distance`, or 0 if that is empty (IBSI 1, sections 3.8 and 3.9).
template <class Zone>
void for_each_zone(const PaddedLevels& p, bool in_slice, const std::vector<int32_t>& distance, const Zone& zone) {
  const auto steps = p.neighbours(in_slice);
  std::vector<uint8_t> seen(p.level.size(), 0);
  std::vector<int64_t> open;
  for (const int64_t start : p.inside) {
    if (seen[start]) continue;
    const int32_t level = p.level[start];
    int64_t size = 0;
    int32_t nearest = distance.empty() ? 0 : INT32_MAX;
    seen[start] = 1;
    open.push_back(start);
    while (!open.empty()) {
      const int64_t v = open.back();
      open.pop_back();
      ++size;
      if (!distance.empty()) nearest = std::min(nearest, distance[v]);
      for (const int64_t s : steps)
        if (!seen[v + s] && p.level[v + s] == level) seen[v + s] = 1, open.push_back(v + s);
    }
    zone(level, size, nearest);
  }
}

/// Calls `voxel(level, neighbours, sum of their levels, neighbours of the same level)` for each voxel of the region; of the
/// neighbours only those in the region count (IBSI 1, sections 3.10 and 3.11 with α = 0).
template <class Voxel>
void for_each_neighbourhood(const PaddedLevels& p, bool in_slice, const Voxel& voxel) {
  const auto steps = p.neighbours(in_slice);
  for (const int64_t v : p.inside) {
    const int32_t level = p.level[v];
    int64_t count = 0, sum = 0, same = 0;
    for (const int64_t s : steps) {
      const int32_t other = p.level[v + s];
      count += other != 0;
      sum += other;
      same += other == level;
    }
    voxel(level, count, sum, same);
  }
}

}  // namespace naive
