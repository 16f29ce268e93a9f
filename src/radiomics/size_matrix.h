// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include <vesalius/radiomics/detail/log2_table.h>
#include <vesalius/radiomics/detail/texture_kernel.h>
#include <vesalius/radiomics/detail/vectorised.h>

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
  explicit SizeCounts(int64_t n_levels)
      : most_(std::clamp<int64_t>(65536 / std::max<int64_t>(n_levels, 1), 8, 64)), small_(n_levels * most_, 0) {}
  void add(int64_t level, int64_t size, int64_t count = 1) {
    if (size <= most_)
      small_[(level - 1) * most_ + size - 1] += count;
    else
      large_[{level, size}] += count;
  }
  /// `add(level, size)` with what it needs at hand, for loops that count little else.
  auto adder() {
    return [this, table = small_.data(), most = most_](int64_t level, int64_t size) {
      if (size <= most)
        ++table[(level - 1) * most + size - 1];
      else
        ++large_[{level, size}];
    };
  }
  void add(const SizeCounts& other) {
    for (size_t k = 0; k < small_.size(); ++k) small_[k] += other.small_[k];
    for (const auto& [key, count] : other.large_) large_[key] += count;
    voxels_ += other.voxels_;
  }
  void add_voxels(int64_t n) { voxels_ += n; }
  /// Of `counts[level]` voxels those that aren't in anything yet are in something of size 1.
  void add_singles(std::span<const int64_t> counts);
  bool empty() const { return voxels_ == 0; }
  SizeMatrix finish() const;

 private:
  int64_t most_;
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
  const detail::Log2 log2;
  const double bits = log2(static_cast<int64_t>(m.n_s));
  for (const auto& c : m.cells) sum += c.n / m.n_s * (bits - log2(static_cast<int64_t>(c.n)));
  return sum;
}
inline Value energy(const SizeMatrix& m) {
  double sum = 0;
  for (const auto& c : m.cells) sum += (c.n / m.n_s) * (c.n / m.n_s);
  return sum;
}

}  // namespace size_matrix

/// The slices [from, to) that make up one matrix: all, or each that has voxels by itself.
template <class Work>
void for_each_part(const Levels& levels, bool by_slice, const Work& work) {
  const int64_t depth = levels.size[0];
  if (!by_slice) return work(0, depth);
  for (int64_t z = 0; z < depth; ++z)
    if (levels.of_slice[z] > 0) work(z, z + 1);
}

}  // namespace vesalius::radiomics
