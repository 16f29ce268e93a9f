// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include <vesalius/radiomics/detail/host_device.h>

/// One thread's share of each texture count: of a grid on CUDA, of a loop on the CPU. `add(cell, n)` and
/// `lower(parent, value)` are atomic where threads run side by side; counts are whole numbers, so the order doesn't matter.
namespace vesalius::radiomics::detail {

/// A dense box of voxels.
struct VoxelBox {
  int64_t size[3];  ///< z, y, x

  VESALIUS_HOST_DEVICE int64_t voxels() const { return size[0] * size[1] * size[2]; }
  VESALIUS_HOST_DEVICE int64_t index(int64_t z, int64_t y, int64_t x) const { return (z * size[1] + y) * size[2] + x; }
  VESALIUS_HOST_DEVICE void place(int64_t voxel, int64_t* zyx) const {
    zyx[2] = voxel % size[2];
    zyx[1] = voxel / size[2] % size[1];
    zyx[0] = voxel / size[2] / size[1];
  }
  VESALIUS_HOST_DEVICE bool holds(int64_t z, int64_t y, int64_t x) const {
    return z >= 0 && z < size[0] && y >= 0 && y < size[1] && x >= 0 && x < size[2];
  }
};

/// 0 beyond the box.
VESALIUS_HOST_DEVICE int32_t level_at(const int32_t* levels, const VoxelBox& box, int64_t z, int64_t y, int64_t x) {
  return box.holds(z, y, x) ? levels[box.index(z, y, x)] : 0;
}

/// The run that starts at `voxel`, if one does: `add(cell of [n_levels, longest])`.
template <class Add>
VESALIUS_HOST_DEVICE void count_run(const int32_t* levels, const VoxelBox& box, const int64_t* offset, int64_t longest,
                                    int64_t voxel, Add&& add) {
  const int32_t level = levels[voxel];
  if (level == 0) return;
  int64_t p[3];
  box.place(voxel, p);
  if (level_at(levels, box, p[0] - offset[0], p[1] - offset[1], p[2] - offset[2]) == level) return;
  int64_t length = 0;
  for (int64_t next = level; next == level; ++length) {
    for (int axis = 0; axis < 3; ++axis) p[axis] += offset[axis];
    next = level_at(levels, box, p[0], p[1], p[2]);
  }
  add((level - 1) * longest + length - 1);
}

/// The three rows of `neighbourhood_counts` for one voxel: `add(cell of [n_levels, 3, 27], n)`.
template <class Add>
VESALIUS_HOST_DEVICE void count_neighbourhood(const int32_t* levels, const VoxelBox& box, bool in_slice, int64_t voxel,
                                              Add&& add) {
  const int64_t level = levels[voxel];
  if (level == 0) return;
  int64_t p[3];
  box.place(voxel, p);
  int64_t count = 0, sum = 0, same = 0;
  const int64_t reach = in_slice ? 0 : 1;
  for (int64_t z = p[0] - reach; z <= p[0] + reach; ++z)
    for (int64_t y = p[1] - 1; y <= p[1] + 1; ++y)
      for (int64_t x = p[2] - 1; x <= p[2] + 1; ++x) {
        const int64_t other = level_at(levels, box, z, y, x);
        count += other != 0, sum += other, same += other == level;
      }
  --count, sum -= level, --same;  // the voxel itself
  const int64_t row = (level - 1) * 3 * 27;
  const int64_t difference = level * count - sum;
  add(row + count, 1);
  add(row + 27 + count, difference < 0 ? -difference : difference);
  add(row + 2 * 27 + same, 1);
}

/// The root of a voxel in a forest where each points to a lower voxel of its zone, or to itself.
VESALIUS_HOST_DEVICE int32_t zone_root(const int32_t* parent, int32_t voxel) {
  // volatile: another thread may have lowered it
  for (int32_t next = *(const volatile int32_t*)(parent + voxel); next != voxel;
       next = *(const volatile int32_t*)(parent + voxel))
    voxel = next;
  return voxel;
}

/// Joins `voxel` with those of its neighbours of the same level that come before it. `lower(&parent, value)` is the atomic
/// minimum, which returns what was there: where another thread was quicker, the join goes on with what that wrote. The roots
/// end as the lowest voxels of their zones, whatever the order (Komura, Comput. Phys. Commun. 2015;194:54).
template <class Lower>
VESALIUS_HOST_DEVICE void join_zone(const int32_t* levels, const VoxelBox& box, bool in_slice, int32_t voxel,
                                    int32_t* parent, Lower&& lower) {
  const int32_t level = levels[voxel];
  if (level == 0) return;
  int64_t p[3];
  box.place(voxel, p);
  for (int64_t dz = in_slice ? 0 : -1; dz <= 0; ++dz)
    for (int64_t dy = -1; dy <= (dz < 0 ? 1 : 0); ++dy)
      for (int64_t dx = -1; dx <= (dz < 0 || dy < 0 ? 1 : -1); ++dx) {
        if (level_at(levels, box, p[0] + dz, p[1] + dy, p[2] + dx) != level) continue;
        int32_t a = voxel, b = static_cast<int32_t>(box.index(p[0] + dz, p[1] + dy, p[2] + dx));
        for (;;) {
          a = zone_root(parent, a), b = zone_root(parent, b);
          if (a == b) break;
          const int32_t high = a > b ? a : b, low = a > b ? b : a;
          const int32_t was = lower(parent + high, low);
          if (was == high) break;
          a = was, b = low;
        }
      }
}

/// Distances along one line after those of the lines before it: lowers each to its neighbour's plus 1, from both ends; what
/// lies beyond the ends is outside. Over all axes in turn this is the city-block distance.
VESALIUS_HOST_DEVICE void distance_line(int32_t* distance, int64_t start, int64_t stride, int64_t count) {
  int32_t near = 0;
  for (int64_t i = 0; i < count; ++i) {
    int32_t& d = distance[start + i * stride];
    near = d < near + 1 ? d : near + 1;
    d = near;
  }
  near = 0;
  for (int64_t i = count - 1; i >= 0; --i) {
    int32_t& d = distance[start + i * stride];
    near = d < near + 1 ? d : near + 1;
    d = near;
  }
}

/// Where line `line` along `axis` starts, its stride and its length.
struct Line {
  int64_t start, stride, count;
};
VESALIUS_HOST_DEVICE Line line_of(const VoxelBox& box, int axis, int64_t line) {
  const int64_t nyx = box.size[1] * box.size[2];
  if (axis == 0) return {line, nyx, box.size[0]};
  if (axis == 1) return {line / box.size[2] * nyx + line % box.size[2], box.size[2], box.size[1]};
  return {line * box.size[2], 1, box.size[2]};
}

}  // namespace vesalius::radiomics::detail
