// SPDX-License-Identifier: Apache-2.0
#include "radiomics/size_matrix.h"

namespace vesalius::radiomics {

SizeMatrix SizeCounts::finish() const {
  SizeMatrix m;
  m.n_v = static_cast<double>(voxels_);
  std::map<int64_t, double> by_i, by_j;
  const auto take = [&](int64_t level, int64_t size, int64_t count) {
    const auto n = static_cast<double>(count);
    m.cells.push_back({static_cast<double>(level), static_cast<double>(size), n});
    by_i[level] += n;
    by_j[size] += n;
    m.n_s += n;
  };
  for (size_t k = 0; k < small_.size(); ++k)
    if (small_[k]) take(k / kSmall + 1, k % kSmall + 1, small_[k]);
  for (const auto& [key, count] : large_) take(key.first, key.second, count);
  for (const auto& [i, sum] : by_i) m.by_i.push_back(sum);
  for (const auto& [j, sum] : by_j) m.by_j.push_back(sum);
  return m;
}

}  // namespace vesalius::radiomics
