// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include <vesalius/outcome/detail/order.h>

/// Kaplan and Meier's product limit of events or of censoring, and how much each subject moves it.
namespace vesalius::outcome::detail {

/// Subjects in order of time; at one time events (of any kind) come before censorings.
struct Cohort {
  std::vector<uint32_t> order;  ///< place in this order → subject
  std::vector<double> time, weight;
  std::vector<char> status;     ///< 0 censored, 1 the event asked about, 2 a competing one
  std::vector<double> at_risk;  ///< Σ weight of this place and all later ones; [n + 1]
  double total = 0;
  int64_t size() const { return static_cast<int64_t>(order.size()); }
  /// Places of those with time ≤ t are [0, upto(t)).
  int64_t upto(double t) const { return std::upper_bound(time.begin(), time.end(), t) - time.begin(); }
};

inline Cohort cohort_of(std::span<const double> time, std::span<const char> status, std::span<const double> weight) {
  const size_t n = time.size();
  std::vector<uint32_t> initial;
  initial.reserve(n);
  for (size_t i = 0; i < n; ++i)
    if (status[i]) initial.push_back(static_cast<uint32_t>(i));
  for (size_t i = 0; i < n; ++i)
    if (!status[i]) initial.push_back(static_cast<uint32_t>(i));
  Cohort out;
  out.order = ascending(time, std::move(initial));
  out.time.resize(n), out.weight.resize(n), out.status.resize(n), out.at_risk.assign(n + 1, 0.0);
  for (size_t i = 0; i < n; ++i) {
    const uint32_t s = out.order[i];
    out.time[i] = time[s], out.weight[i] = weight[s], out.status[i] = status[s];
  }
  for (size_t i = n; i-- > 0;) out.at_risk[i] = out.at_risk[i + 1] + out.weight[i];
  out.total = out.at_risk[0];
  return out;
}

/// A step function ∏ (1 − d_c / r_c) over the times c at which it falls. Values are asked for by position: the number of
/// falls that count, so that value(before(t)) is the limit from the left and value(upto(t)) the value at t.
struct ProductLimit {
  std::vector<double> time, falling, at_risk, after;  ///< ascending times; d, r, and the value from there on
  double last = 0;                                    ///< the last time observed, fall or not

  int64_t before(double t) const { return std::lower_bound(time.begin(), time.end(), t) - time.begin(); }
  int64_t upto(double t) const { return std::upper_bound(time.begin(), time.end(), t) - time.begin(); }
  double value(int64_t position) const { return position > 0 ? after[position - 1] : 1.0; }
};

/// Of censoring (those with an event at a time have left before the censorings at it), or of the event with status 1.
inline ProductLimit product_limit(const Cohort& cohort, bool of_censoring) {
  ProductLimit out;
  const int64_t n = cohort.size();
  double value = 1;
  for (int64_t i = 0; i < n;) {
    int64_t end = i, first_censored = i;
    double falling = 0;
    for (; end < n && cohort.time[end] == cohort.time[i]; ++end) {
      if (cohort.status[end]) first_censored = end + 1;
      if (of_censoring ? cohort.status[end] == 0 : cohort.status[end] == 1) falling += cohort.weight[end];
    }
    if (falling > 0) {
      const double at_risk = cohort.at_risk[of_censoring ? first_censored : i];
      value = falling >= at_risk * (1 - 1e-14) ? 0.0 : value * (1 - falling / at_risk);
      out.time.push_back(cohort.time[i]);
      out.falling.push_back(falling);
      out.at_risk.push_back(at_risk);
      out.after.push_back(value);
    }
    i = end;
  }
  if (n > 0) out.last = cohort.time.back();
  return out;
}

/// How subjects move sums whose terms are divided by a curve: a sum of terms r_k at positions p_k of the curve changes, besides by
/// its terms, by  Σ_k r_k d(−log value(p_k)),  and with f = −log(1 − d/r):  df = dd / (r − d) − d dr / (r (r − d)).
struct CurveInfluence {
  std::vector<double> per_fall, per_risk;  ///< [m]: 1 / (r − d) and d / (r (r − d)); 0 where the curve gets to 0
  std::vector<uint32_t> fall,
      risk;  ///< [n] by place: the fall that one is part of (m: none); how many one is at risk at

  /// Of the sum of loads, `load[p]` at position p: one falling at c adds own[c], one at risk at the first q falls takes gone[q].
  void terms(std::span<const double> load, std::vector<double>& own, std::vector<double>& gone) const {
    const size_t m = per_fall.size();
    own.assign(m + 1, 0.0), gone.assign(m + 1, 0.0);
    double later = 0;
    for (size_t c = m; c-- > 0;) {
      later += load[c + 1];  // the terms at positions beyond c have the factor c
      own[c] = later * per_fall[c];
      gone[c + 1] = later * per_risk[c];
    }
    for (size_t c = 0; c < m; ++c) gone[c + 1] += gone[c];
  }
};

inline CurveInfluence curve_influence(const Cohort& cohort, const ProductLimit& curve, bool of_censoring) {
  const int64_t m = static_cast<int64_t>(curve.time.size()), n = cohort.size();
  CurveInfluence out{std::vector<double>(m, 0.0), std::vector<double>(m, 0.0), std::vector<uint32_t>(n),
                     std::vector<uint32_t>(n)};
  for (int64_t c = 0; c < m; ++c) {
    const double left = curve.at_risk[c] - curve.falling[c];
    if (curve.after[c] > 0) out.per_fall[c] = 1 / left, out.per_risk[c] = curve.falling[c] / (curve.at_risk[c] * left);
  }
  int64_t before = 0;  // falls strictly before the subject's time
  for (int64_t i = 0; i < n; ++i) {
    while (before < m && curve.time[before] < cohort.time[i]) ++before;
    const bool at_fall = before < m && curve.time[before] == cohort.time[i];
    const bool falls = at_fall && (of_censoring ? cohort.status[i] == 0 : cohort.status[i] == 1);
    const bool in_risk_set = at_fall && (!of_censoring || cohort.status[i] == 0);
    out.fall[i] = static_cast<uint32_t>(falls ? before : m);
    out.risk[i] = static_cast<uint32_t>(before + in_risk_set);
  }
  return out;
}

/// Adds w_i ∂/∂w_i of that to `out[i]` for each place.
inline void add_curve_influence(const Cohort& cohort, const CurveInfluence& moves, std::span<const double> load,
                                std::span<double> out) {
  std::vector<double> own, gone;
  moves.terms(load, own, gone);
  for (int64_t i = 0; i < cohort.size(); ++i) out[i] += cohort.weight[i] * (own[moves.fall[i]] - gone[moves.risk[i]]);
}

}  // namespace vesalius::outcome::detail
