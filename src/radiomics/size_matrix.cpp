// SPDX-License-Identifier: Apache-2.0
#include "radiomics/size_matrix.h"

namespace vesalius::radiomics {

void SizeCounts::add_singles(std::span<const int64_t> counts) {
  std::vector<int64_t> rest(counts.begin(), counts.end());
  const int64_t* of_level = small_.data();
  for (size_t level = 1; level < rest.size(); ++level, of_level += most_)
    for (int64_t j = 0; j < most_; ++j) rest[level] -= (j + 1) * of_level[j];
  for (const auto& [key, count] : large_) rest[key.first] -= key.second * count;
  for (size_t level = 1; level < rest.size(); ++level) small_[(level - 1) * most_] += rest[level];
}

SizeMatrix SizeCounts::finish() const {
  SizeMatrix m;
  m.n_v = static_cast<double>(voxels_);
  std::vector<double> by_i(small_.size() / most_), by_j(most_);
  std::map<int64_t, double> by_large;
  const auto take = [&](int64_t level, int64_t size, int64_t count) {
    const auto n = static_cast<double>(count);
    m.cells.push_back({static_cast<double>(level), static_cast<double>(size), n});
    by_i[level - 1] += n;
    (size <= most_ ? by_j[size - 1] : by_large[size]) += n;
    m.n_s += n;
  };
  for (size_t k = 0; k < small_.size(); ++k)
    if (small_[k]) take(k / most_ + 1, k % most_ + 1, small_[k]);
  for (const auto& [key, count] : large_) take(key.first, key.second, count);
  for (double sum : by_i)
    if (sum > 0) m.by_i.push_back(sum);
  for (double sum : by_j)
    if (sum > 0) m.by_j.push_back(sum);
  for (const auto& [j, sum] : by_large) m.by_j.push_back(sum);
  return m;
}

}  // namespace vesalius::radiomics
