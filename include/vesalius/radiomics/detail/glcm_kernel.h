// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include <vesalius/radiomics/detail/host_device.h>

namespace vesalius::radiomics::detail {

/// Counts the pair that starts at `voxel` and ends `step` further on in memory, if both have a level 1..n_levels;
/// 0 is outside the region. `add(cell)` increments cell (i - 1) n + (j - 1). The levels are padded with zeros by the
/// longest offset, so that `voxel + step` always lies in memory.
template <class Add>
VESALIUS_HOST_DEVICE void glcm_count_pair(const int32_t* levels, int64_t voxel, int64_t step, int64_t n_levels,
                                          Add&& add) {
  // Unsigned: 0 wraps around, and is beyond n_levels like any wrong level.
  const uint32_t i = static_cast<uint32_t>(levels[voxel]) - 1u;
  const uint32_t j = static_cast<uint32_t>(levels[voxel + step]) - 1u;
  if (i < n_levels && j < n_levels) add(static_cast<int64_t>(i) * n_levels + j);
}

/// A box of voxels inside memory that is padded around it.
struct PaddedBox {
  int64_t size[3];    ///< z, y, x without padding
  int64_t margin[3];  ///< on each side

  VESALIUS_HOST_DEVICE int64_t row_length() const { return size[2] + 2 * margin[2]; }
  VESALIUS_HOST_DEVICE int64_t slice_length() const { return (size[1] + 2 * margin[1]) * row_length(); }
  /// Where voxel (z, y, x) of the box lies in memory.
  VESALIUS_HOST_DEVICE int64_t position(int64_t z, int64_t y, int64_t x) const {
    return (z + margin[0]) * slice_length() + (y + margin[1]) * row_length() + x + margin[2];
  }
  VESALIUS_HOST_DEVICE int64_t step(const int64_t* offset) const {
    return offset[0] * slice_length() + offset[1] * row_length() + offset[2];
  }
  VESALIUS_HOST_DEVICE int64_t voxels() const { return size[0] * size[1] * size[2]; }
};

}  // namespace vesalius::radiomics::detail
