// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstdint>
#include <map>
#include <vector>

#include <vesalius/radiomics/detail/texture_kernel.h>

#include "radiomics/family.h"

namespace vesalius::radiomics {

/// How often level i goes with size j: run lengths, zone sizes, zone distances, dependences. The four families share
/// their formulas (IBSI 1, sections 3.7, 3.8, 3.9 and 3.11).
struct SizeMatrix {
  struct Cell {
    double i, j, n;
  };
  std::vector<Cell> cells;         ///< those that aren't 0
  std::vector<double> by_i, by_j;  ///< the marginal sums that aren't 0
  double n_s = 0;                  ///< Σ n
  double n_v = 0;                  ///< voxels that could have been counted
};

/// Collects counts; small sizes in an array, the few large ones in a map.
class SizeCounts {
 public:
  explicit SizeCounts(int64_t n_levels) : small_(n_levels * kSmall, 0) {}
  void add(int64_t level, int64_t size) {
    if (size <= kSmall)
      ++small_[(level - 1) * kSmall + size - 1];
    else
      ++large_[{level, size}];
  }
  void add_voxels(int64_t n) { voxels_ += n; }
  bool empty() const { return voxels_ == 0; }
  SizeMatrix finish() const;

 private:
  static constexpr int64_t kSmall = 64;
  std::vector<int64_t> small_;
  std::map<std::pair<int64_t, int64_t>, int64_t> large_;
  int64_t voxels_ = 0;
};

namespace size_matrix {

/// 1/N_s Σ weight(i, j) s_ij
template <class Weight>
double mean_of(const SizeMatrix& m, const Weight& weight) {
  double sum = 0;
  for (const auto& c : m.cells) sum += weight(c.i, c.j) * c.n;
  return sum / m.n_s;
}
inline double squares(const std::vector<double>& sums) {
  double sum = 0;
  for (double s : sums) sum += s * s;
  return sum;
}
template <class Coordinate>
double variance_of(const SizeMatrix& m, const Coordinate& coordinate) {
  const double mu = mean_of(m, coordinate);
  return mean_of(m, [&](double i, double j) {
    const double d = coordinate(i, j) - mu;
    return d * d;
  });
}

// "Small" is short runs, small zones, small distances, low dependence.
inline Value small_emphasis(const SizeMatrix& m) {
  return mean_of(m, [](double, double j) { return 1 / (j * j); });
}
inline Value large_emphasis(const SizeMatrix& m) {
  return mean_of(m, [](double, double j) { return j * j; });
}
inline Value low_level_emphasis(const SizeMatrix& m) {
  return mean_of(m, [](double i, double) { return 1 / (i * i); });
}
inline Value high_level_emphasis(const SizeMatrix& m) {
  return mean_of(m, [](double i, double) { return i * i; });
}
inline Value small_low_emphasis(const SizeMatrix& m) {
  return mean_of(m, [](double i, double j) { return 1 / (i * i * j * j); });
}
inline Value small_high_emphasis(const SizeMatrix& m) {
  return mean_of(m, [](double i, double j) { return i * i / (j * j); });
}
inline Value large_low_emphasis(const SizeMatrix& m) {
  return mean_of(m, [](double i, double j) { return j * j / (i * i); });
}
inline Value large_high_emphasis(const SizeMatrix& m) {
  return mean_of(m, [](double i, double j) { return i * i * j * j; });
}
inline Value level_non_uniformity(const SizeMatrix& m) { return squares(m.by_i) / m.n_s; }
inline Value level_non_uniformity_normalised(const SizeMatrix& m) { return squares(m.by_i) / (m.n_s * m.n_s); }
inline Value size_non_uniformity(const SizeMatrix& m) { return squares(m.by_j) / m.n_s; }
inline Value size_non_uniformity_normalised(const SizeMatrix& m) { return squares(m.by_j) / (m.n_s * m.n_s); }
inline Value percentage(const SizeMatrix& m) { return m.n_s / m.n_v; }
inline Value level_variance(const SizeMatrix& m) {
  return variance_of(m, [](double i, double) { return i; });
}
inline Value size_variance(const SizeMatrix& m) {
  return variance_of(m, [](double, double j) { return j; });
}
inline Value entropy(const SizeMatrix& m) {
  double sum = 0;
  for (const auto& c : m.cells) sum -= c.n / m.n_s * std::log2(c.n / m.n_s);
  return 0.0 + sum;
}
inline Value energy(const SizeMatrix& m) {
  double sum = 0;
  for (const auto& c : m.cells) sum += (c.n / m.n_s) * (c.n / m.n_s);
  return sum;
}

}  // namespace size_matrix

/// The slices that a variant looks at one by one, or the whole volume for 3D.
/// `work(levels, in_slice, first slice)`.
template <class Work>
void for_each_part(const Levels& levels, bool in_slice, const Work& work) {
  const auto size = levels.voxels.sizes();
  const int32_t* voxels = levels.voxels.const_data_ptr<int32_t>();
  const int64_t parts = in_slice ? size[0] : 1, depth = in_slice ? 1 : size[0];
  for (int64_t part = 0; part < parts; ++part) {
    const detail::PaddedLevels padded(voxels + part * size[1] * size[2], {depth, size[1], size[2]});
    if (!padded.inside.empty()) work(padded, part);
  }
}

/// Matrices for 2D (one a slice), 2.5D (slices added) and 3D. `count(levels, in_slice, slice, counts)` fills one.
template <class Count>
std::vector<SizeMatrix> zone_matrices(const Roi& roi, const Variant& variant, const Count& count) {
  const Levels& levels = roi.levels();
  const bool in_slice = variant.aggregation != Aggregation::merged_3d;
  const bool each = variant.aggregation == Aggregation::averaged_2d;
  std::vector<SizeMatrix> out;
  SizeCounts all(levels.n);
  for_each_part(levels, in_slice, [&](const detail::PaddedLevels& padded, int64_t slice) {
    SizeCounts own(each ? levels.n : 0);
    SizeCounts& counts = each ? own : all;
    counts.add_voxels(static_cast<int64_t>(padded.inside.size()));
    count(padded, in_slice, slice, counts);
    if (each) out.push_back(own.finish());
  });
  if (!all.empty()) out.push_back(all.finish());
  return out;
}

}  // namespace vesalius::radiomics
