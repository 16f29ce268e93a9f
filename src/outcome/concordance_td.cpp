// SPDX-License-Identifier: Apache-2.0
// Pairs whose order is read off survival curves at the earlier event's time (Antolini, Boracchi, Biganzoli 2005).
#include <algorithm>
#include <cmath>

#include "outcome/pairs.h"

namespace vesalius::outcome {

namespace {

/// What the later of a pair gains, by place.
struct Later {
  std::vector<double> concordant, discordant, tied;
};

/// One event against the pool [0, pool): lower survival than another's is concordant. The pool's counts get u w of the event.
void compare(const std::vector<double>& column, int64_t place, int64_t pool, const std::vector<double>& weight,
             double u, detail::PairWeights& own, detail::PairWeights& sum, Later& later) {
  const double mine = column[place], w = u * weight[place];
  double concordant = 0, discordant = 0, tied = 0;
  const double *other = column.data(), *v = weight.data();
  double *up = later.concordant.data(), *down = later.discordant.data(), *level = later.tied.data();
  for (int64_t j = 0; j < pool; ++j) {
    const double higher = other[j] > mine ? 1.0 : 0.0, lower = other[j] < mine ? 1.0 : 0.0,
                 equal = 1.0 - higher - lower;
    up[j] += higher * w, down[j] += lower * w, level[j] += equal * w;
    concordant += higher * v[j], discordant += lower * v[j], tied += equal * v[j];
  }
  own[detail::kConcordant] += u * concordant, sum[detail::kConcordant] += w * concordant;
  own[detail::kDiscordant] += u * discordant, sum[detail::kDiscordant] += w * discordant;
  own[detail::kTiedRisk] += u * tied, sum[detail::kTiedRisk] += w * tied;
}

/// Events of one time among themselves, [begin, end).
void compare_tied(const std::vector<double>& column, int64_t begin, int64_t end, const std::vector<double>& weight,
                  double u, std::vector<detail::PairWeights>& of, detail::PairWeights& sum) {
  for (int64_t a = begin; a < end; ++a)
    for (int64_t b = a + 1; b < end; ++b) {
      const auto kind = column[a] == column[b] ? detail::kTiedBoth : detail::kTiedTime;
      of[a][kind] += u * weight[b];
      of[b][kind] += u * weight[a];
      sum[kind] += u * weight[a] * weight[b];
    }
}

}  // namespace

detail::PairCounts pair_counts_by_time(std::span<const double> time, std::span<const char> event,
                                       std::span<const double> weight, std::span<const double> time_weight,
                                       const double* survival, std::span<const double> grid) {
  const int64_t n = static_cast<int64_t>(time.size()), width = static_cast<int64_t>(grid.size());
  const std::vector<double> zeros(n, 0.0);
  const auto pairs = detail::pair_order(time, event, zeros);
  const auto& order = pairs.order;
  std::vector<double> w(n), column(n), negative(n);
  for (int64_t i = 0; i < n; ++i) w[i] = weight[order[i]];
  std::vector<detail::PairWeights> of(n, detail::PairWeights{});  // by place
  Later later{std::vector<double>(n, 0.0), std::vector<double>(n, 0.0), std::vector<double>(n, 0.0)};
  detail::PairWeights sum{};
  // Above so many events in one column, ranking all its values is faster than comparing each event with everyone.
  const int64_t many = 20 + 5 * static_cast<int64_t>(std::log2(static_cast<double>(n + 1)));
  for (int64_t begin = 0; begin < n;) {  // places whose time falls into one column
    const auto step = std::upper_bound(grid.begin(), grid.end(), time[order[begin]]) - grid.begin() - 1;
    int64_t end = begin, events = 0;
    for (; end < n && (step < 0 || time[order[end]] >= grid[step]); ++end) events += event[order[end]] != 0;
    if (events > 0)
      for (int64_t i = 0; i < end; ++i) column[i] = step < 0 ? 1.0 : survival[order[i] * width + step];
    if (events > many) {
      std::vector<char> here(end);
      std::vector<double> t(end), u(end), risk(end);
      for (int64_t i = 0; i < end; ++i) {
        t[i] = time[order[i]], risk[i] = -column[i], here[i] = event[order[i]];
        u[i] = i >= begin && here[i] ? (time_weight.empty() ? 1.0 : time_weight[order[i]]) : 0.0;
      }
      const auto part =
          detail::pair_counts(t, here, detail::pair_order(t, here, risk), {w.data(), static_cast<size_t>(end)}, u);
      for (int64_t i = 0; i < end; ++i)
        for (int k = 0; k < detail::kPairKinds; ++k) of[i][k] += part.of[i][k];
      for (int k = 0; k < detail::kPairKinds; ++k) sum[k] += part.sum[k];
    } else if (events > 0) {
      for (int64_t i = begin; i < end;) {
        int64_t pool = i, last = i;  // at this time: censored, then events
        while (last < end && time[order[last]] == time[order[i]]) pool += !event[order[last]], ++last;
        for (int64_t k = pool; k < last; ++k) {
          const double u = time_weight.empty() ? 1.0 : time_weight[order[k]];
          if (u != 0) compare(column, k, pool, w, u, of[k], sum, later);
        }
        if (last - pool > 1)
          compare_tied(column, pool, last, w, time_weight.empty() ? 1.0 : time_weight[order[pool]], of, sum);
        i = last;
      }
    }
    begin = end;
  }
  detail::PairCounts out{std::vector<detail::PairWeights>(n), sum};
  for (int64_t i = 0; i < n; ++i) {
    of[i][detail::kConcordant] += later.concordant[i];
    of[i][detail::kDiscordant] += later.discordant[i];
    of[i][detail::kTiedRisk] += later.tied[i];
    out.of[order[i]] = of[i];
  }
  return out;
}

}  // namespace vesalius::outcome
