// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

namespace vesalius::radiomics::detail {

/// Where the voxels of a region lie in one row of its box: all within [first, end); first == end where there are none.
struct RowRange {
  int32_t first = 0, end = 0;
};

/// Grey levels of a region's box, 0 outside the region, in the narrowest type T that holds them: a view. All around
/// there is at least one voxel of 0 in memory, so that a neighbour may be read without asking whether it is there.
template <class T>
struct LevelBox {
  using Level = T;
  int64_t nz, ny, nx;
  int64_t row, slice;      ///< from one row or slice to the next, in memory
  const T* first;          ///< voxel (0, 0, 0)
  const RowRange* ranges;  ///< [nz, ny]
  int64_t n;               ///< the highest level there can be

  const T* at(int64_t z, int64_t y) const { return first + z * slice + y * row; }
  const RowRange& range(int64_t z, int64_t y) const { return ranges[z * ny + y]; }
  bool has(int64_t z, int64_t y) const { return z >= 0 && z < nz && y >= 0 && y < ny; }
};

/// Memory of a `LevelBox`: rows are followed, and the box is surrounded, by zeros.
template <class T>
class PaddedVolume {
 public:
  PaddedVolume() = default;
  explicit PaddedVolume(const std::array<int64_t, 3>& size)
      : row_(size[2] + 1), slice_((size[1] + 1) * row_), voxels_((size[0] + 2) * slice_ + row_ + 2 + kBeyond, T{0}) {}

  int64_t row() const { return row_; }
  int64_t slice() const { return slice_; }
  /// Voxel (0, 0, 0). The zero after a row is also that before the next, and likewise of slices.
  T* first() { return voxels_.data() + slice_ + row_ + 1; }
  const T* first() const { return voxels_.data() + slice_ + row_ + 1; }

 private:
  static constexpr int64_t kBeyond = 64;
  int64_t row_ = 0, slice_ = 0;
  std::vector<T> voxels_;
};

}  // namespace vesalius::radiomics::detail
