// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <vesalius/outcome/detail/order.h>

namespace vesalius::outcome::detail {

/// Two sums of weights by rank, added to and asked for in O(log n) (Fenwick 1994, doi 10.1002/spe.4380240306); side by side
/// in memory because they are asked for together.
template <class Value>
class RankSums {
 public:
  struct Pair {
    Value pool = 0, events = 0;
  };
  explicit RankSums(int64_t ranks) : sums_(static_cast<size_t>(ranks + 1)), single_(static_cast<size_t>(ranks)) {}

  void add_pool(int64_t rank, Value w) {
    single_[rank].pool += w;
    total_.pool += w;
    for (int64_t i = rank + 1; i < static_cast<int64_t>(sums_.size()); i += i & -i) sums_[i].pool += w;
  }
  void add_event(int64_t rank, Value w) {
    single_[rank].events += w;
    total_.events += w;
    for (int64_t i = rank + 1; i < static_cast<int64_t>(sums_.size()); i += i & -i) sums_[i].events += w;
  }
  Pair below(int64_t rank) const {
    Pair sum;
    for (int64_t i = rank; i > 0; i -= i & -i) sum.pool += sums_[i].pool, sum.events += sums_[i].events;
    return sum;
  }
  const Pair& at(int64_t rank) const { return single_[rank]; }
  const Pair& total() const { return total_; }

 private:
  std::vector<Pair> sums_, single_;
  Pair total_;
};

/// The order in which pairs are counted: latest time first; at one time censored before events, then by rank of the risk.
struct PairOrder {
  std::vector<uint32_t> order, rank;
  int64_t ranks = 0;
};

inline PairOrder pair_order(std::span<const double> time, std::span<const char> event, std::span<const double> risk) {
  const size_t n = time.size();
  auto by_risk = dense_ranks(risk);
  // ascending time, events first, highest rank first: read backwards it is what is wanted
  std::vector<uint32_t> initial;
  initial.reserve(n);
  for (const bool wanted : {true, false})
    for (size_t i = n; i-- > 0;)
      if (static_cast<bool>(event[by_risk.order[i]]) == wanted) initial.push_back(by_risk.order[i]);
  PairOrder out{ascending(time, std::move(initial)), std::move(by_risk.rank), by_risk.count};
  std::reverse(out.order.begin(), out.order.end());
  return out;
}

/// The kinds of pair: the first three are comparable, the last two are events at one time.
enum PairKind { kConcordant, kDiscordant, kTiedRisk, kTiedTime, kTiedBoth, kPairKinds };
using PairWeights = std::array<double, kPairKinds>;

/// Per subject the weight of others with whom it forms a pair of each kind: the derivatives of the sums by its weight.
struct PairCounts {
  std::vector<PairWeights> of;
  PairWeights sum{};  // each pair once
};

/// A pair weighs w_i w_j u_i with i the one whose event is first. With `start`, j is in the pool at times in (start_j, time_j].
/// @param time_weight [n] u at each subject's time, or empty for ones  @param start [n] or empty
inline PairCounts pair_counts(std::span<const double> time, std::span<const char> event, const PairOrder& pairs,
                              std::span<const double> weight, std::span<const double> time_weight = {},
                              std::span<const double> start = {}) {
  const int64_t n = static_cast<int64_t>(time.size());
  const auto& order = pairs.order;
  PairCounts out{std::vector<PairWeights>(n, PairWeights{}), {}};
  RankSums<double> sums(pairs.ranks);
  // Events that are not earlier than a subject's time, by risk: what is added after it until it is gone are its earlier ones.
  struct Seen {
    double below, equal, total;
  };
  std::vector<Seen> seen(n);
  const auto see = [&](uint32_t s) {
    return Seen{sums.below(pairs.rank[s]).events, sums.at(pairs.rank[s]).events, sums.total().events};
  };
  const auto leave = [&](uint32_t s, const Seen& now) {
    auto& counts = out.of[s];
    const double below = now.below - seen[s].below, equal = now.equal - seen[s].equal;
    counts[kDiscordant] += below;
    counts[kTiedRisk] += equal;
    counts[kConcordant] += now.total - seen[s].total - below - equal;
  };
  std::vector<uint32_t> leaving;
  if (!start.empty()) {
    leaving = ascending(start);
    std::reverse(leaving.begin(), leaving.end());
  }
  size_t gone = 0;
  for (int64_t i = 0; i < n;) {
    const double now = time[order[i]];
    for (; gone < leaving.size() && start[leaving[gone]] >= now; ++gone) {
      const uint32_t s = leaving[gone];
      leave(s, see(s));
      sums.add_pool(pairs.rank[s], -weight[s]);
    }
    for (; i < n && time[order[i]] == now && !event[order[i]]; ++i) {
      seen[order[i]] = see(order[i]);
      sums.add_pool(pairs.rank[order[i]], weight[order[i]]);
    }
    int64_t end = i;
    while (end < n && time[order[end]] == now) ++end;
    if (end == i) continue;
    const double u = time_weight.empty() ? 1.0 : time_weight[order[i]];
    double together = 0, squares = 0, both = 0;
    for (int64_t k = i; k < end;) {  // runs of one rank
      int64_t next = k;
      double same = 0;
      for (; next < end && pairs.rank[order[next]] == pairs.rank[order[k]]; ++next) same += weight[order[next]];
      const double below = sums.below(pairs.rank[order[k]]).pool, equal = sums.at(pairs.rank[order[k]]).pool,
                   above = sums.total().pool - below - equal;
      for (int64_t j = k; j < next; ++j) {
        const uint32_t s = order[j];
        const double w = weight[s];
        auto& counts = out.of[s];
        counts[kConcordant] += u * below;
        counts[kTiedRisk] += u * equal;
        counts[kDiscordant] += u * above;
        counts[kTiedBoth] += u * (same - w);
        out.sum[kConcordant] += w * u * below;
        out.sum[kTiedRisk] += w * u * equal;
        out.sum[kDiscordant] += w * u * above;
        both += 0.5 * w * (same - w);
        squares += w * w;
      }
      together += same;
      k = next;
    }
    out.sum[kTiedBoth] += u * both;
    out.sum[kTiedTime] += u * (0.5 * (together * together - squares) - both);
    if (end - i > 1)
      for (int64_t k = i; k < end; ++k) {
        auto& counts = out.of[order[k]];
        counts[kTiedTime] += u * (together - weight[order[k]]) - counts[kTiedBoth];
      }
    if (u != 0)
      for (int64_t k = i; k < end; ++k) sums.add_event(pairs.rank[order[k]], u * weight[order[k]]);
    for (int64_t k = i; k < end; ++k) seen[order[k]] = see(order[k]);
    for (int64_t k = i; k < end; ++k) sums.add_pool(pairs.rank[order[k]], weight[order[k]]);
    i = end;
  }
  if (!start.empty()) {
    for (; gone < leaving.size(); ++gone) leave(leaving[gone], see(leaving[gone]));
    return out;
  }
  std::vector<double> below(pairs.ranks + 1, 0.0);
  for (int64_t r = 0; r < pairs.ranks; ++r) below[r + 1] = below[r] + sums.at(r).events;
  for (int64_t s = 0; s < n; ++s)
    leave(static_cast<uint32_t>(s), {below[pairs.rank[s]], sums.at(pairs.rank[s]).events, sums.total().events});
  return out;
}

}  // namespace vesalius::outcome::detail
