// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <vector>

#include <vesalius/radiomics/detail/vectorised.h>

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
/// the edge. Rows of one reach are added up first, over z and y: rings. What of the ball lies k voxels before or after its
/// centre are the rings that reach as far as k. So a ball costs one read for each of its rows and two for each reach; no more
/// is in memory than the voxels and a few rows.
class BallMeans {
 public:
  /// `voxels` must outlive it.
  BallMeans(const double* voxels, const std::array<int64_t, 3>& size, const std::vector<BallRow>& rows)
      : voxels_(voxels), size_(size) {
    for (const BallRow& r : rows) reach_ = std::max(reach_, r.reach);
    rings_.resize(reach_ + 1);
    for (const BallRow& r : rows) rings_[r.reach].push_back(r);
    const int64_t n = size[0] * size[1] * size[2];
    int64_t finite = 0;
    vectorised([&] {
      for (int64_t i = 0; i < n; ++i) finite += voxels[i] - voxels[i] == 0;
    });
    if (finite == n) return;
    clean_.assign(voxels, voxels + n), there_.assign(n, 1.0);
    for (int64_t i = 0; i < n; ++i)
      if (!std::isfinite(clean_[i])) clean_[i] = there_[i] = 0;
    voxels_ = clean_.data();
  }

  /// What a thread needs.
  struct Scratch {
    std::vector<double> number, rings;
    std::vector<int64_t> counts;
    std::vector<const double*> from;
  };

  /// Means around the voxels (z, y, from … from + n - 1), into `out`.
  void row(int64_t z, int64_t y, int64_t from, int64_t n, double* out, Scratch& s) const {
    sum(voxels_, z, y, from, n, out, s);
    s.number.resize(n);
    if (there_.empty())
      count(z, y, from, n, s, s.number.data());
    else
      sum(there_.data(), z, y, from, n, s.number.data(), s);
    for (int64_t i = 0; i < n; ++i) out[i] /= s.number[i];
  }

 private:
  /// Sums over the balls. `s.rings` holds, for voxels from - reach … from + n + reach - 1, the rings that reach k or further.
  void sum(const double* voxels, int64_t z, int64_t y, int64_t from, int64_t n, double* out, Scratch& s) const {
    const int64_t first = std::max<int64_t>(0, from - reach_), end = std::min(size_[2], from + n + reach_),
                  lead = first - (from - reach_), length = end - first;
    s.rings.assign(n + 2 * reach_, 0.0);
    double* ring = s.rings.data() + lead;
    const double* middle = s.rings.data() + reach_;
    std::fill(out, out + n, 0.0);
    for (int64_t k = reach_; k >= 0; --k) {
      s.from.clear();
      for (const BallRow& r : rings_[k])
        if (has(z + r.dz, y + r.dy)) s.from.push_back(voxels + ((z + r.dz) * size_[1] + y + r.dy) * size_[2] + first);
      size_t r = 0;
      for (; r + 4 <= s.from.size(); r += 4) {
        const double *a = s.from[r], *b = s.from[r + 1], *c = s.from[r + 2], *d = s.from[r + 3];
        for (int64_t x = 0; x < length; ++x) ring[x] += (a[x] + b[x]) + (c[x] + d[x]);
      }
      for (; r < s.from.size(); ++r) {
        const double* a = s.from[r];
        for (int64_t x = 0; x < length; ++x) ring[x] += a[x];
      }
      if (k > 0)
        for (int64_t x = 0; x < n; ++x) out[x] += middle[x - k] + middle[x + k];
      else
        for (int64_t x = 0; x < n; ++x) out[x] += middle[x];
    }
  }

  /// How many voxels the balls have within the image: the same all along the row but near its ends.
  void count(int64_t z, int64_t y, int64_t from, int64_t n, Scratch& s, double* out) const {
    s.counts.assign(reach_ + 1, 0);
    int64_t all = 0;
    for (int64_t k = 0; k <= reach_; ++k) {
      for (const BallRow& r : rings_[k]) s.counts[k] += has(z + r.dz, y + r.dy);
      all += s.counts[k] * (2 * k + 1);
    }
    for (int64_t x = 0; x < n; ++x) {
      const int64_t at = from + x;
      if (at >= reach_ && at < size_[2] - reach_) {
        const int64_t inner = std::min(n - x, size_[2] - reach_ - at);
        std::fill(out + x, out + x + inner, static_cast<double>(all));
        x += inner - 1;
        continue;
      }
      int64_t voxels = 0;
      for (int64_t k = 0; k <= reach_; ++k)
        voxels += s.counts[k] * (std::min(at + k, size_[2] - 1) - std::max<int64_t>(at - k, 0) + 1);
      out[x] = static_cast<double>(voxels);
    }
  }

  bool has(int64_t z, int64_t y) const { return z >= 0 && z < size_[0] && y >= 0 && y < size_[1]; }

  const double* voxels_;
  std::array<int64_t, 3> size_;
  int64_t reach_ = 0;
  std::vector<std::vector<BallRow>> rings_;  // by reach
  std::vector<double> clean_, there_;        // without what isn't finite; 1 where it is
};

}  // namespace vesalius::radiomics::detail
