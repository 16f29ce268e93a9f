// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

namespace vesalius::outcome::detail {

/// Ranks from 1, ties sharing their mean.
inline std::vector<double> midranks(std::span<const double> x) {
  std::vector<int64_t> order(x.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return x[a] < x[b]; });
  std::vector<double> ranks(x.size());
  for (size_t i = 0; i < order.size();) {
    size_t j = i;
    while (j < order.size() && x[order[j]] == x[order[i]]) ++j;
    for (size_t k = i; k < j; ++k) ranks[order[k]] = 0.5 * static_cast<double>(i + j + 1);
    i = j;
  }
  return ranks;
}

/// DeLong's structural components: for each positive the fraction of negatives below it (ties a half), for
/// each negative the fraction of positives above it. V10_i = (R_i − R⁺_i) / n⁻,  V01_j = 1 − (R_j − R⁻_j) / n⁺.
struct Placements {
  std::vector<double> positive, negative;
  double auc = 0;
};

inline Placements placements(std::span<const double> score, std::span<const char> positive) {
  std::vector<double> up, down;
  for (size_t i = 0; i < score.size(); ++i) (positive[i] ? up : down).push_back(score[i]);
  const auto all = midranks(score), among_up = midranks(up), among_down = midranks(down);
  Placements out;
  size_t u = 0, d = 0;
  for (size_t i = 0; i < score.size(); ++i) {
    if (positive[i])
      out.positive.push_back((all[i] - among_up[u++]) / static_cast<double>(down.size()));
    else
      out.negative.push_back(1 - (all[i] - among_down[d++]) / static_cast<double>(up.size()));
  }
  out.auc = std::accumulate(out.positive.begin(), out.positive.end(), 0.0) / static_cast<double>(up.size());
  return out;
}

/// Sample covariance (n − 1) of two series with known means.
inline double covariance(std::span<const double> a, double mean_a, std::span<const double> b, double mean_b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += (a[i] - mean_a) * (b[i] - mean_b);
  return sum / (static_cast<double>(a.size()) - 1);
}

}  // namespace vesalius::outcome::detail
