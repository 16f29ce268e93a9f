// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

namespace vesalius::outcome::detail {

/// Sums of weights by rank, each added and asked for in O(log n) (Fenwick 1994, doi 10.1002/spe.4380240306).
class RankSums {
 public:
  explicit RankSums(int64_t ranks)
      : sums_(static_cast<size_t>(ranks + 1), 0.0), single_(static_cast<size_t>(ranks), 0.0) {}

  void add(int64_t rank, double weight) {
    single_[rank] += weight;
    total_ += weight;
    for (int64_t i = rank + 1; i < static_cast<int64_t>(sums_.size()); i += i & -i) sums_[i] += weight;
  }
  double below(int64_t rank) const {
    double sum = 0;
    for (int64_t i = rank; i > 0; i -= i & -i) sum += sums_[i];
    return sum;
  }
  double at(int64_t rank) const { return single_[rank]; }
  double total() const { return total_; }

 private:
  std::vector<double> sums_, single_;
  double total_ = 0;
};

/// For each subject, the weight of others with whom it forms a concordant, discordant or risk-tied comparable pair.
struct PairCounts {
  std::vector<double> concordant, discordant, tied_risk;
  double tied_time = 0, tied_both = 0;  // weight of pairs of events at one time
};

inline PairCounts pair_counts(std::span<const double> time, std::span<const char> event, std::span<const double> risk,
                              std::span<const double> weight) {
  const int64_t n = static_cast<int64_t>(time.size());
  std::vector<int64_t> order(n), rank(n);
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return risk[a] < risk[b]; });
  int64_t ranks = 0;
  for (int64_t i = 0; i < n; ++i) rank[order[i]] = i > 0 && risk[order[i]] == risk[order[i - 1]] ? ranks - 1 : ranks++;
  // Latest first; at one time censored before events: then what was added before an event is just what it compares with.
  std::sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    if (time[a] != time[b]) return time[a] > time[b];
    if (event[a] != event[b]) return event[a] < event[b];
    return rank[a] < rank[b];
  });
  PairCounts out{std::vector<double>(n, 0.0), std::vector<double>(n, 0.0), std::vector<double>(n, 0.0)};
  RankSums later(ranks), earlier(ranks);
  const auto run_end = [&](int64_t i) {  // events (or censorings) of one time
    int64_t j = i + 1;
    while (j < n && time[order[j]] == time[order[i]] && event[order[j]] == event[order[i]]) ++j;
    return j;
  };
  for (int64_t i = 0; i < n;) {
    const int64_t end = run_end(i);
    if (event[order[i]]) {
      double sum = 0, squares = 0, tied_both = 0, same = 0;
      for (int64_t k = i; k < end; ++k) {
        const int64_t s = order[k];
        const double below = later.below(rank[s]), equal = later.at(rank[s]);
        out.concordant[s] += below;
        out.tied_risk[s] += equal;
        out.discordant[s] += later.total() - below - equal;
        sum += weight[s], squares += weight[s] * weight[s];
        same = k > i && rank[s] == rank[order[k - 1]] ? same : 0;
        tied_both += same * weight[s];
        same += weight[s];
      }
      out.tied_both += tied_both;
      out.tied_time += 0.5 * (sum * sum - squares) - tied_both;
    }
    for (int64_t k = i; k < end; ++k) later.add(rank[order[k]], weight[order[k]]);
    i = end;
  }
  // Backwards in that order: earliest first, events before censorings; each compares with the events passed before.
  for (int64_t end = n; end > 0;) {
    int64_t begin = end - 1;
    while (begin > 0 && time[order[begin - 1]] == time[order[end - 1]] &&
           event[order[begin - 1]] == event[order[end - 1]])
      --begin;
    for (int64_t k = begin; k < end; ++k) {
      const int64_t s = order[k];
      const double below = earlier.below(rank[s]), equal = earlier.at(rank[s]);
      out.discordant[s] += below;
      out.tied_risk[s] += equal;
      out.concordant[s] += earlier.total() - below - equal;
    }
    if (event[order[begin]])
      for (int64_t k = begin; k < end; ++k) earlier.add(rank[order[k]], weight[order[k]]);
    end = begin;
  }
  return out;
}

}  // namespace vesalius::outcome::detail
