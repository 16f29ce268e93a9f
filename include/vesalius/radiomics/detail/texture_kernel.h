// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <type_traits>
#include <vector>

#include <vesalius/radiomics/detail/level_box.h>

namespace vesalius::radiomics::detail {

// Loops over rows without conditions, which compilers turn into vector code, mark the places where something has to be
// done one by one. All run over slices [from, to): a part of the box for a thread, or one slice for 2D features.

/// One of each pair of opposite Chebyshev neighbours: 13, or the first 4, which stay within the slice. (z, y, x).
inline constexpr std::array<std::array<int64_t, 3>, 13> kDirections{{{0, 0, 1},
                                                                     {0, 1, -1},
                                                                     {0, 1, 0},
                                                                     {0, 1, 1},
                                                                     {1, -1, -1},
                                                                     {1, -1, 0},
                                                                     {1, -1, 1},
                                                                     {1, 0, -1},
                                                                     {1, 0, 0},
                                                                     {1, 0, 1},
                                                                     {1, 1, -1},
                                                                     {1, 1, 0},
                                                                     {1, 1, 1}}};

/// Calls `row(p, q, n)` for the rows of voxels p[0 … n - 1] whose partners at `offset` are q[0 … n - 1]; between them all
/// pairs of the region that start in slices [from, to) and end before slice `limit`.
template <class T, class Row>
void for_each_pair_row(const LevelBox<T>& box, const std::array<int64_t, 3>& offset, int64_t from, int64_t to,
                       int64_t limit, const Row& row) {
  const auto [dz, dy, dx] = offset;
  for (int64_t z = from; z < std::min(to, limit - dz); ++z)
    for (int64_t y = std::max<int64_t>(0, -dy); y < std::min(box.ny, box.ny - dy); ++y) {
      const RowRange a = box.range(z, y), b = box.range(z + dz, y + dy);
      const int64_t first = std::max<int64_t>(a.first, b.first - dx), end = std::min<int64_t>(a.end, b.end - dx);
      if (first < end) row(box.at(z, y) + first, box.at(z + dz, y + dy) + first + dx, end - first);
    }
}

/// Adds the pairs at `offset` to `counts`, `[n + 1, n + 1]`: row and column 0 are those that lie outside the region.
/// `other`, if there is one, is a second table that takes every other pair: to add to the number that was just written
/// the processor must wait for it.
template <class T>
void count_pairs(const LevelBox<T>& box, const std::array<int64_t, 3>& offset, int64_t from, int64_t to, int64_t limit,
                 uint32_t* counts, uint32_t* other) {
  const int64_t width = box.n + 1;
  for_each_pair_row(box, offset, from, to, limit, [&](const T* p, const T* q, int64_t n) {
    int64_t x = 0;
    for (; x + 1 < n; x += 2) {
      ++counts[p[x] * width + q[x]];
      ++other[p[x + 1] * width + q[x + 1]];
    }
    if (x < n) ++counts[p[x] * width + q[x]];
  });
}

/// Calls `run(level, length)` for each run of two or more equal levels along `offset`, one of `kDirections` (IBSI 1, section
/// 3.7); the other voxels are runs of one. How many equal levels precede a voxel follows from how many precede the one
/// before, for all voxels of a slice at once where that one lies in another: the zeros between rows end every run. Counts stop
/// at 255; such runs are followed back to their start.
template <class T, class Run>
void for_each_long_run(const LevelBox<T>& box, const std::array<int64_t, 3>& offset, int64_t from, int64_t to,
                       const Run& run) {
  constexpr uint8_t kMost = 255;
  const auto [dz, dy, dx] = offset;
  const int64_t in_slice = dy * box.row + dx, step = dz * box.slice + in_slice, n = box.ny * box.row;
  const int64_t around = box.row + 1;  // zeros before and after the slice
  std::vector<uint8_t> now(n + 2 * around, 0), before(dz ? n + 2 * around : 0, 0), ends(n + 7, 0);
  const auto count = [&](const T* here, uint8_t* __restrict own, const uint8_t* preceding, int64_t first, int64_t end) {
    for (int64_t i = first; i < end; ++i) {
      const uint8_t p = preceding[i];
      own[i] = here[i] == here[i - step] && here[i] != 0 ? static_cast<uint8_t>(p + (p != kMost)) : uint8_t{0};
    }
  };
  for (int64_t z = from + dz; z < to; ++z) {
    const T *here = box.at(z, 0), *next = here + step;
    uint8_t* own = now.data() + around;
    if (dz)
      now.swap(before), own = now.data() + around, count(here, own, before.data() + around - in_slice, 0, n);
    else if (dy)
      for (int64_t y = 0; y < box.ny; ++y) count(here, own, own - in_slice, y * box.row, (y + 1) * box.row);
    else
      for (int64_t i = 0, p = 0; i < n; ++i) {
        p = (p + 1) & -static_cast<int64_t>((here[i] == here[i - 1]) & (here[i] != 0));
        own[i] = static_cast<uint8_t>(std::min<int64_t>(p, kMost));
      }
    if (z + dz >= to)  // runs don't leave the slices
      std::copy_n(own, n, ends.data());
    else
      for (int64_t i = 0; i < n; ++i) ends[i] = here[i] != next[i] ? own[i] : uint8_t{0};
    for (int64_t i = 0; i < n; i += 8) {
      uint64_t eight;
      std::memcpy(&eight, ends.data() + i, 8);
      while (eight != 0) {
        const int64_t bit = __builtin_ctzll(eight) & ~int64_t{7};
        const T* last = here + i + bit / 8;
        auto length = static_cast<int64_t>(eight >> bit & kMost) + 1;
        if (length > kMost)
          for (const int64_t most = dz ? z - from + 1 : n; length < most && last[-length * step] == *last;) ++length;
        run(static_cast<int64_t>(*last), length);
        eight &= ~(uint64_t{kMost} << bit);
      }
    }
  }
}

/// City-block distance to the nearest voxel outside the mask: 1 at the border (IBSI 1, section 3.9). Two passes are
/// exact for this norm. `in_slice` leaves the neighbours above and below out. `mask` is `[nz, ny, nx]`.
inline PaddedVolume<uint16_t> border_distance(const bool* mask, const std::array<int64_t, 3>& size,
                                              const RowRange* ranges, int64_t from, int64_t to, bool in_slice) {
  PaddedVolume<uint16_t> volume({to - from, size[1], size[2]});
  const int64_t row = volume.row(), above = in_slice ? row : volume.slice();
  for (int64_t z = from; z < to; ++z)
    for (int64_t y = 0; y < size[1]; ++y) {
      const RowRange r = ranges[z * size[1] + y];
      const bool* inside = mask + (z * size[1] + y) * size[2];
      uint16_t* d = volume.first() + (z - from) * volume.slice() + y * row;
      for (int64_t x = r.first; x < r.end; ++x) {
        const auto nearest = static_cast<uint16_t>(std::min(d[x - row], d[x - above]) + 1);
        d[x] = inside[x] ? nearest : uint16_t{0};
      }
      for (int64_t x = r.first; x < r.end; ++x) d[x] = std::min<uint16_t>(d[x], d[x - 1] + 1);
    }
  for (int64_t z = to - 1; z >= from; --z)
    for (int64_t y = size[1] - 1; y >= 0; --y) {
      const RowRange r = ranges[z * size[1] + y];
      uint16_t* d = volume.first() + (z - from) * volume.slice() + y * row;
      for (int64_t x = r.first; x < r.end; ++x) {
        const auto nearest = static_cast<uint16_t>(std::min(d[x + row], d[x + above]) + 1);
        d[x] = std::min(d[x], nearest);
      }
      for (int64_t x = r.end - 1; x >= r.first; --x) d[x] = std::min<uint16_t>(d[x], d[x + 1] + 1);
    }
  return volume;
}

/// Zones by union-find: numbered pieces, joined as rows go by. Kept in chunks, as a list that grows by copying would take up
/// to three times its size.
class Zones {
 public:
  /// A new one.
  int32_t add(uint32_t level) {
    if ((count_ & kMask) == 0) chunks_.emplace_back(new Zone[kMask + 1]);
    at(count_) = {count_, 0, level, UINT16_MAX};
    return count_++;
  }
  void grow(int32_t label, uint16_t distance) {
    Zone& zone = at(label);
    ++zone.size;
    zone.nearest = std::min(zone.nearest, distance);
  }
  void join(int32_t a, int32_t b) {
    if (a == b) return;
    a = root(a), b = root(b);
    at(std::max(a, b)).parent = std::min(a, b);
  }
  /// `zone(level, size, least distance)`. A parent comes before its children.
  template <class Visit>
  void finish(const Visit& zone) {
    for (int32_t k = count_; k-- > 0;) {
      const Zone& z = at(k);
      if (z.parent == k) {
        zone(static_cast<int64_t>(z.level), static_cast<int64_t>(z.size), static_cast<int64_t>(z.nearest));
        continue;
      }
      Zone& parent = at(z.parent);
      parent.size += z.size;
      parent.nearest = std::min(parent.nearest, z.nearest);
    }
  }

 private:
  struct Zone {
    int32_t parent;
    uint32_t size, level;
    uint16_t nearest;
  };
  static constexpr int kBits = 14;
  static constexpr int32_t kMask = (1 << kBits) - 1;

  Zone& at(int32_t k) { return chunks_[k >> kBits][k & kMask]; }
  int32_t root(int32_t a) {
    while (at(a).parent != a) a = at(a).parent = at(at(a).parent).parent;
    return a;
  }
  std::vector<std::unique_ptr<Zone[]>> chunks_;
  int32_t count_ = 0;
};

/// Fills `links` for the voxels of a row: which voxels already passed have the same level, less those that are joined
/// anyway. Bit 0: the voxel before. Then for each of `rows` neighbouring rows three bits: that at the same x, before, after. If
/// the one at the same x is equal it is a neighbour of the other two, and if the voxel before is equal, that one was
/// joined to the first two.
template <class T>
void find_links(const T* c, const T* const* neighbours, int rows, int64_t first, int64_t end, uint16_t* links) {
  for (int64_t x = first; x < end; ++x) links[x] = c[x] == c[x - 1] ? 1 : 0;
  for (int r = 0; r < rows; ++r) {
    const T* q = neighbours[r];
    const int shift = 1 + 3 * r;
    for (int64_t x = first; x < end; ++x) {
      const uint16_t with_before = links[x] & 1;
      const uint16_t same = c[x] == q[x], before = c[x] == q[x - 1], after = c[x] == q[x + 1];
      const uint16_t fresh = with_before ^ 1, apart = same ^ 1;
      links[x] |=
          static_cast<uint16_t>(((same & fresh) | (before & apart & fresh) << 1 | (after & apart) << 2) << shift);
    }
  }
}

/// Calls `zone(level, size, distance)` for each connected zone of one level; distance is the least of its voxels'
/// in `distance` (IBSI 1, sections 3.8 and 3.9), which begins at slice `from`.
template <class T, class Visit>
void for_each_zone(const LevelBox<T>& box, int64_t from, int64_t to, bool in_slice,
                   const PaddedVolume<uint16_t>& distance, const Visit& zone) {
  const int64_t wide = box.nx + 2, plane = (box.ny + 2) * wide;
  std::vector<int32_t> labels(2 * plane, -1);
  std::vector<uint16_t> links(box.nx);
  std::vector<std::array<int32_t, 2>> joins(kDirections.size() * box.nx + 1);
  Zones zones;
  for (int64_t z = from; z < to; ++z) {
    int32_t *now = labels.data() + (z % 2) * plane, *above = labels.data() + ((z + 1) % 2) * plane;
    for (int64_t y = 0; y < box.ny; ++y) {
      const RowRange range = box.range(z, y);
      const T* c = box.at(z, y);
      int32_t* own = now + (y + 1) * wide + 1;
      const T* neighbours[4] = {c - box.row, c - box.slice - box.row, c - box.slice, c - box.slice + box.row};
      const int rows = in_slice || z == from ? 1 : 4;
      find_links(c, neighbours, rows, range.first, range.end, links.data());
      const int64_t up = above - now;
      int64_t place[13] = {-1};  // of the label that each bit of the links stands for
      for (int r = 0; r < 4; ++r) {
        const int64_t same = r == 0 ? -wide : up + (r - 2) * wide;
        place[1 + 3 * r] = same, place[2 + 3 * r] = same - 1, place[3 + 3 * r] = same + 1;
      }
      const uint16_t* d = distance.first() + (z - from) * distance.slice() + y * distance.row();
      int64_t pending = 0;  // a row's are joined together: here it is only seen what with what
      for (int64_t x = range.first; x < range.end; ++x) {
        if (c[x] == 0) continue;
        uint32_t bits = links[x];
        const int32_t label = bits != 0 ? own[x + place[__builtin_ctz(bits)]] : zones.add(c[x]);
        for (bits &= bits - 1; bits != 0; bits &= bits - 1) {
          const int32_t other = own[x + place[__builtin_ctz(bits)]];
          joins[pending] = {label, other};
          pending += other != label;
        }
        own[x] = label;
        zones.grow(label, d[x]);
      }
      for (int64_t k = 0; k < pending; ++k) zones.join(joins[k][0], joins[k][1]);
    }
  }
  zones.finish(zone);
}

/// What the neighbours of the voxels of each level add up to (IBSI 1, sections 3.10 and 3.11 with α = 0), in whole
/// numbers: threads' parts can be added in any order.
struct Neighbourhoods {
  static constexpr int64_t kMost = 27;
  std::vector<int64_t> dependence;   ///< [n + 1, 27]: voxels with so many neighbours of the same level
  std::vector<int64_t> differences;  ///< [n + 1, 27]: Σ |count · i - sum of the neighbours|, by the count of neighbours
  std::vector<int64_t> number;       ///< [n + 1]: voxels with a neighbour

  explicit Neighbourhoods(int64_t n = 0) : dependence((n + 1) * kMost), differences((n + 1) * kMost), number(n + 1) {}
  void add(const Neighbourhoods& other) {
    for (size_t i = 0; i < dependence.size(); ++i) dependence[i] += other.dependence[i];
    for (size_t i = 0; i < differences.size(); ++i) differences[i] += other.differences[i];
    for (size_t i = 0; i < number.size(); ++i) number[i] += other.number[i];
  }
};

/// Over the voxels of slices [from, to); neighbours in other slices count unless `in_slice`.
template <class T>
void add_neighbourhoods(const LevelBox<T>& box, int64_t from, int64_t to, bool in_slice, Neighbourhoods& out) {
  using Sum = std::conditional_t<sizeof(T) == 1, uint16_t, uint32_t>;  // 26 · 255 < 2^16
  std::vector<Sum> sums(box.nx);
  std::vector<T> counts(box.nx), alike(box.nx);
  for (int64_t z = from; z < to; ++z)
    for (int64_t y = 0; y < box.ny; ++y) {
      const RowRange range = box.range(z, y);
      const int64_t n = range.end - range.first;
      if (n == 0) continue;
      const T* c = box.at(z, y) + range.first;
      Sum* sum = sums.data();
      T *count = counts.data(), *same = alike.data();
      // The voxel itself is one of those at the same x: taken off again below.
      std::fill(sum, sum + n, Sum{0}), std::fill(count, count + n, T{0}), std::fill(same, same + n, T{0});
      for (int64_t dz = in_slice ? 0 : -1; dz <= (in_slice ? 0 : 1); ++dz)
        for (int64_t dy = -1; dy <= 1; ++dy) {
          const T* q = c + dz * box.slice + dy * box.row;
          for (int64_t x = 0; x < n; ++x) {
            const T a = q[x - 1], b = q[x], d = q[x + 1], i = c[x];
            sum[x] = static_cast<Sum>(sum[x] + a + b + d);
            count[x] = static_cast<T>(count[x] + T(a != 0) + T(b != 0) + T(d != 0));
            same[x] = static_cast<T>(same[x] + T(a == i) + T(b == i) + T(d == i));
          }
        }
      for (int64_t x = 0; x < n; ++x) {
        const int64_t i = c[x];
        if (i == 0) continue;
        const int64_t others = count[x] - 1, total = static_cast<int64_t>(sum[x]) - i;
        ++out.dependence[i * Neighbourhoods::kMost + same[x] - 1];
        out.differences[i * Neighbourhoods::kMost + others] += std::abs(others * i - total);
        out.number[i] += others > 0;
      }
    }
}

}  // namespace vesalius::radiomics::detail
