// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <vector>

namespace vesalius::radiomics::detail {

/// One row of a ball of voxels: those at (dz, dy, -reach … reach) from its centre.
struct BallRow {
  int64_t dz, dy, reach;
};

/// The voxels whose centres lie within `radius` of that of the middle one, none further off than `limit` an axis.
inline std::vector<BallRow> ball_rows(double radius, const std::array<double, 3>& spacing,
                                      const std::array<int64_t, 3>& limit) {
  std::vector<BallRow> rows;
  const auto steps = [&](double room, int axis) {
    return std::min(limit[axis], static_cast<int64_t>(std::sqrt(std::max(room, 0.0)) / spacing[axis]));
  };
  const double square = radius * radius;
  const int64_t nz = steps(square, 0);
  for (int64_t dz = -nz; dz <= nz; ++dz) {
    const double z = static_cast<double>(dz) * spacing[0], in_plane = square - z * z;
    const int64_t ny = steps(in_plane, 1);
    for (int64_t dy = -ny; dy <= ny; ++dy) {
      const double y = static_cast<double>(dy) * spacing[1];
      rows.push_back({dz, dy, steps(in_plane - y * y, 2)});
    }
  }
  return rows;
}

/// Means over a ball around every voxel, as far as there are voxels; NaN and infinite ones are left out like those beyond
/// the edge. Sums along a row are differences of running sums: a ball costs two reads for each of its rows.
class BallMeans {
 public:
  BallMeans(const double* voxels, const std::array<int64_t, 3>& size, std::vector<BallRow> rows)
      : size_(size), rows_(std::move(rows)), sums_(size[0] * size[1] * (size[2] + 1)), counts_(sums_.size()) {
    for (int64_t line = 0; line < size[0] * size[1]; ++line) {
      double* sum = sums_.data() + line * (size[2] + 1);
      double* count = counts_.data() + line * (size[2] + 1);
      for (int64_t x = 0; x < size[2]; ++x) {
        const double v = voxels[line * size[2] + x];
        const bool there = std::isfinite(v);
        sum[x + 1] = sum[x] + (there ? v : 0.0);
        count[x + 1] = count[x] + (there ? 1.0 : 0.0);
      }
    }
  }

  /// Means around the voxels (z, y, from … from + n - 1), into `out`.
  void row(int64_t z, int64_t y, int64_t from, int64_t n, double* out) {
    number_.assign(n, 0.0);
    std::fill(out, out + n, 0.0);
    for (const BallRow& r : rows_) {
      if (z + r.dz < 0 || z + r.dz >= size_[0] || y + r.dy < 0 || y + r.dy >= size_[1]) continue;
      const int64_t line = ((z + r.dz) * size_[1] + y + r.dy) * (size_[2] + 1);
      add(sums_.data() + line, r.reach, from, n, out);
      add(counts_.data() + line, r.reach, from, n, number_.data());
    }
    for (int64_t i = 0; i < n; ++i) out[i] /= number_[i];
  }

 private:
  /// Adds the sum of voxels x - reach … x + reach for each x; a loop without conditions where the row's ends are far.
  void add(const double* running, int64_t reach, int64_t from, int64_t n, double* out) const {
    const int64_t end = from + n;
    const int64_t left = std::clamp(reach, from, end), right = std::clamp(size_[2] - reach, left, end);
    const auto near_an_end = [&](int64_t begin, int64_t stop) {
      for (int64_t x = begin; x < stop; ++x)
        out[x - from] += running[std::min(x + reach + 1, size_[2])] - running[std::max<int64_t>(x - reach, 0)];
    };
    near_an_end(from, left);
    for (int64_t x = left; x < right; ++x) out[x - from] += running[x + reach + 1] - running[x - reach];
    near_an_end(right, end);
  }

  std::array<int64_t, 3> size_;
  std::vector<BallRow> rows_;
  std::vector<double> sums_, counts_, number_;
};

}  // namespace vesalius::radiomics::detail
