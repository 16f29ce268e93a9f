// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <limits>

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <vesalius/core/error.h>
#include <vesalius/outcome/concordance.h>
#include <vesalius/outcome/detail/concordance_kernel.h>
#include <vesalius/outcome/detail/resample.h>

#include "outcome/censoring.h"
#include "outcome/common.h"

namespace vesalius::outcome {

namespace {

/// Everything by place, latest time first, at one time censored before events.
struct Places {
  std::vector<double> time;
  std::vector<char> event;
  std::vector<std::vector<uint32_t>> rank;  // of each model
  std::vector<int64_t> ranks;
  std::vector<int64_t> group;     // [groups + 1] places where another time begins
  std::vector<int64_t> censored;  // [groups] places where the events of a group begin
  std::vector<double> outside;    // [groups] censoring curve from other subjects
};

/// Counts of drawn subjects by rank.
class Pool {
 public:
  explicit Pool(int64_t ranks) : sums_(ranks + 1, 0), single_(ranks, 0) {}
  void clear() {
    std::fill(sums_.begin(), sums_.end(), 0), std::fill(single_.begin(), single_.end(), 0);
    total = 0;
  }
  void add(uint32_t rank, int32_t count) {
    single_[rank] += count;
    total += count;
    const uint32_t size = static_cast<uint32_t>(sums_.size());
    for (uint32_t i = rank + 1; i < size; i += i & (~i + 1)) sums_[i] += count;
  }
  int64_t below(uint32_t rank) const {
    int64_t sum = 0;
    for (uint32_t i = rank; i > 0; i &= i - 1) sum += sums_[i];
    return sum;
  }
  int64_t at(uint32_t rank) const { return single_[rank]; }
  int64_t total = 0;

 private:
  std::vector<int32_t> sums_, single_;
};

/// What a pair weighs at each group's time, with everyone counted as often as drawn.
void replicate_weights(const Places& places, const std::vector<int32_t>& count, const ConcordanceOptions& options,
                       std::vector<double>& u) {
  const int64_t groups = static_cast<int64_t>(places.censored.size());
  double at_risk = static_cast<double>(places.time.size()), g = 1, s = 1;
  const double all = at_risk;
  for (int64_t k = groups; k-- > 0;) {  // earliest first
    int64_t censored = 0, events = 0;
    for (int64_t i = places.group[k]; i < places.censored[k]; ++i) censored += count[i];
    for (int64_t i = places.censored[k]; i < places.group[k + 1]; ++i) events += count[i];
    const double after_events = at_risk - static_cast<double>(events);
    const double g_after = after_events > 0 ? g * (1 - static_cast<double>(censored) / after_events) : g;
    const double used = !places.outside.empty() ? places.outside[k] : (options.censoring.left_limit ? g : g_after);
    double weight = 1;
    switch (options.weighting) {
      case PairWeighting::n_over_g2:
        weight = 1 / (used * used);
        break;
      case PairWeighting::n_over_g:
        weight = 1 / used;
        break;
      case PairWeighting::s:
        weight = s * all / at_risk;
        break;
      case PairWeighting::s_over_g:
        weight = s * all / (at_risk * used);
        break;
      case PairWeighting::inverse_at_risk:
        weight = 1 / at_risk;
        break;
      default:
        break;
    }
    const double now = places.time[places.group[k]];
    const bool counts = !options.tau || (options.tau_included ? now <= *options.tau : now < *options.tau);
    u[k] = counts && events > 0 ? weight : 0.0;
    if (at_risk > 0) s *= 1 - static_cast<double>(events) / at_risk;
    g = g_after;
    at_risk = after_events - static_cast<double>(censored);
  }
}

double replicate_value(const Places& places, size_t model, const std::vector<int32_t>& count,
                       const std::vector<double>& u, Pool& pool) {
  const auto& rank = places.rank[model];
  const int64_t groups = static_cast<int64_t>(places.censored.size());
  double right = 0, pairs = 0;
  pool.clear();
  for (int64_t k = 0; k < groups; ++k) {
    const int64_t begin = places.group[k], events = places.censored[k], end = places.group[k + 1];
    for (int64_t i = begin; i < events; ++i)
      if (count[i]) pool.add(rank[i], count[i]);
    const double weight = u.empty() ? 1.0 : u[k];
    if (weight != 0)
      for (int64_t i = events; i < end; ++i)
        if (count[i]) {
          const double twice = static_cast<double>(2 * pool.below(rank[i]) + pool.at(rank[i]));
          right += weight * count[i] * 0.5 * twice;
          pairs += weight * count[i] * static_cast<double>(pool.total);
        }
    for (int64_t i = events; i < end; ++i)
      if (count[i]) pool.add(rank[i], count[i]);
  }
  return pairs > 0 && std::isfinite(pairs) ? right / pairs : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace

at::Tensor bootstrap_concordance(const at::Tensor& time_in, const at::Tensor& event_in, const at::Tensor& risk,
                                 int64_t replicates, uint64_t seed, const ConcordanceOptions& options) {
  if (replicates < 1) throw InvalidArgument("replicates must be at least 1; it is " + std::to_string(replicates));
  const auto time_tensor = checked_vector(time_in, -1, "time");
  const auto time = span_of(time_tensor);
  const int64_t n = time_tensor.size(0);
  const auto event = checked_binary(event_in, n, "event");
  if (risk.dim() < 1 || risk.dim() > 2 || risk.size(-1) != n)
    throw ShapeError("risk must be [" + std::to_string(n) + "] or [models, " + std::to_string(n) + "]");
  const int64_t models = risk.dim() == 1 ? 1 : risk.size(0);
  if (n > (int64_t{1} << 30)) throw InvalidArgument("more than 2^30 subjects");
  Places places;
  const std::vector<double> zeros(n, 0.0);
  const auto order = detail::pair_order(time, event, zeros).order;
  for (int64_t i = 0; i < n; ++i) places.time.push_back(time[order[i]]), places.event.push_back(event[order[i]]);
  for (int64_t m = 0; m < models; ++m) {
    const auto row = checked_vector(risk.dim() == 1 ? risk : risk.select(0, m), n, "risk");
    const auto ranks = detail::dense_ranks(span_of(row));
    places.rank.emplace_back(n);
    for (int64_t i = 0; i < n; ++i) places.rank.back()[i] = ranks.rank[order[i]];
    places.ranks.push_back(ranks.count);
  }
  for (int64_t i = 0; i < n;) {
    places.group.push_back(i);
    int64_t end = i, events = i;
    for (; end < n && places.time[end] == places.time[i]; ++end) events += !places.event[end];
    places.censored.push_back(events);
    i = end;
  }
  places.group.push_back(n);
  const bool weighted = options.weighting != PairWeighting::n || options.tau;
  if (weighted && options.censoring.train_time) {
    check_follow_up(time);
    const auto outside = censoring_of(detail::cohort_of(time, event, std::vector<double>(n, 1.0)), options.censoring);
    for (size_t k = 0; k < places.censored.size(); ++k)
      places.outside.push_back(outside.at_event(places.time[places.group[k]]));
  }
  auto out = at::empty({models, replicates}, at::kDouble);
  double* values = out.data_ptr<double>();
  at::parallel_for(0, replicates, 1, [&](int64_t begin, int64_t end) {
    std::vector<int32_t> count(n);
    std::vector<double> u(weighted ? places.censored.size() : 0);
    std::vector<Pool> pools;
    for (int64_t m = 0; m < models; ++m) pools.emplace_back(places.ranks[m]);
    for (int64_t b = begin; b < end; ++b) {
      detail::multiplicities(seed, static_cast<uint64_t>(b), count);
      if (weighted) replicate_weights(places, count, options, u);
      for (int64_t m = 0; m < models; ++m) values[m * replicates + b] = replicate_value(places, m, count, u, pools[m]);
    }
  });
  return out;
}

at::Tensor bootstrap_multiplicities(int64_t n, uint64_t seed, int64_t replicate) {
  if (n < 1) throw InvalidArgument("there must be at least one subject to draw");
  std::vector<int32_t> count(n);
  detail::multiplicities(seed, static_cast<uint64_t>(replicate), count);
  auto out = at::empty({n}, at::kInt);
  std::copy(count.begin(), count.end(), out.data_ptr<int32_t>());
  return out;
}

}  // namespace vesalius::outcome
