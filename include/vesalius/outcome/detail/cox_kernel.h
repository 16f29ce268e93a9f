// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <span>
#include <vector>

/// Cox's partial likelihood over subjects sorted once, latest time first, so that risk sets are running sums.
namespace vesalius::outcome::detail {

/// Subjects of one time in one stratum: positions [begin, end) in the sorted order, those with events first.
struct TimeGroup {
  int64_t begin = 0, events_end = 0, end = 0;
  bool first_of_stratum = false;
  double event_weight = 0;
  int64_t events() const { return events_end - begin; }
};

struct RiskOrder {
  std::vector<int64_t> order;     ///< sorted position → subject
  std::vector<TimeGroup> groups;  ///< by stratum, then time descending
};

/// Subjects of weight 0 count as censored.
inline RiskOrder risk_order(std::span<const double> time, std::span<const char> event, std::span<const double> weight,
                            std::span<const int64_t> stratum) {
  RiskOrder out;
  out.order.resize(time.size());
  std::iota(out.order.begin(), out.order.end(), 0);
  const auto is_event = [&](int64_t i) { return event[i] && weight[i] > 0; };
  const auto stratum_of = [&](int64_t i) { return stratum.empty() ? int64_t{0} : stratum[i]; };
  std::stable_sort(out.order.begin(), out.order.end(), [&](int64_t a, int64_t b) {
    if (stratum_of(a) != stratum_of(b)) return stratum_of(a) < stratum_of(b);
    if (time[a] != time[b]) return time[a] > time[b];
    return is_event(a) && !is_event(b);
  });
  const int64_t n = static_cast<int64_t>(time.size());
  for (int64_t i = 0; i < n;) {
    TimeGroup g{i, i, i, i == 0 || stratum_of(out.order[i]) != stratum_of(out.order[i - 1]), 0};
    const int64_t head = out.order[i];
    for (; g.end < n && time[out.order[g.end]] == time[head] && stratum_of(out.order[g.end]) == stratum_of(head);
         ++g.end)
      if (is_event(out.order[g.end])) g.events_end = g.end + 1, g.event_weight += weight[out.order[g.end]];
    out.groups.push_back(g);
    i = g.end;
  }
  return out;
}

/// The running sums at one linear predictor. With d tied events of mean weight w̄, risk sum S and events' sum E,
/// Efron's denominators are S − (l/d) E for l = 0 … d−1, each counted w̄ times; Breslow's are d times S.
class PartialLikelihood {
 public:
  PartialLikelihood(const RiskOrder& order, std::vector<double> weights, bool efron)
      : groups_(order.groups), w_(std::move(weights)), risk_(w_.size()), efron_(efron) {}

  /// Log partial likelihood at eta (in sorted order); −∞ where a risk set underflows.
  double evaluate(std::span<const double> eta) {
    shift_ = *std::max_element(eta.begin(), eta.end());
    for (size_t i = 0; i < w_.size(); ++i) risk_[i] = w_[i] * std::exp(eta[i] - shift_);
    double sum = 0, at_risk = 0;
    for (const auto& g : groups_) {
      if (g.first_of_stratum) at_risk = 0;
      double tied = 0;
      for (int64_t i = g.begin; i < g.end; ++i) at_risk += risk_[i];
      for (int64_t i = g.begin; i < g.events_end; ++i) tied += risk_[i], sum += w_[i] * eta[i];
      for_terms(g, [&](double share, double weight) { sum -= weight * (std::log(at_risk - share * tied) + shift_); });
    }
    return std::isnan(sum) ? -std::numeric_limits<double>::infinity() : sum;
  }

  /// Expected events of each subject, Σ over event times t ≤ its own of risk · dH(t): w·event − expected is the martingale
  /// residual and minus the gradient in eta. `hazard` gets the increment of the baseline at each group (times exp(-shift)).
  void expected(std::vector<double>& out, std::vector<double>* hazard = nullptr) const {
    out.assign(w_.size(), 0.0);
    std::vector<double> increment(groups_.size()), correction(groups_.size());
    double at_risk = 0;
    for (size_t k = 0; k < groups_.size(); ++k) {
      const auto& g = groups_[k];
      if (g.first_of_stratum) at_risk = 0;
      double tied = 0;
      for (int64_t i = g.begin; i < g.end; ++i) at_risk += risk_[i];
      for (int64_t i = g.begin; i < g.events_end; ++i) tied += risk_[i];
      for_terms(g, [&](double share, double weight) {
        const double h = weight / (at_risk - share * tied);
        increment[k] += h;
        correction[k] += share * h;  // a tied event is at risk for part of its own time only
      });
    }
    double cumulative = 0;
    for (size_t k = groups_.size(); k-- > 0;) {  // earliest time first
      const auto& g = groups_[k];
      cumulative += increment[k];
      for (int64_t i = g.begin; i < g.end; ++i)
        out[i] = risk_[i] * (cumulative - (i < g.events_end ? correction[k] : 0.0));
      if (g.first_of_stratum) cumulative = 0;
    }
    if (hazard) *hazard = std::move(increment);
  }

  /// For the Hessian: `row(mean of x over the risk set, its weight)` for each event term; x is [n, m] in sorted order.
  template <class Row>
  void risk_means(const double* x, int64_t m, Row&& row) const {
    std::vector<double> sum(m), tied_sum(m), mean(m);
    double at_risk = 0;
    for (const auto& g : groups_) {
      if (g.first_of_stratum) at_risk = 0, std::fill(sum.begin(), sum.end(), 0.0);
      for (int64_t i = g.begin; i < g.end; ++i) {
        at_risk += risk_[i];
        for (int64_t j = 0; j < m; ++j) sum[j] += risk_[i] * x[i * m + j];
      }
      if (g.events() == 0) continue;
      double tied = 0;
      if (efron_ && g.events() > 1) {
        std::fill(tied_sum.begin(), tied_sum.end(), 0.0);
        for (int64_t i = g.begin; i < g.events_end; ++i) {
          tied += risk_[i];
          for (int64_t j = 0; j < m; ++j) tied_sum[j] += risk_[i] * x[i * m + j];
        }
      }
      for_terms(g, [&](double share, double weight) {
        const double inverse = 1 / (at_risk - share * tied);
        for (int64_t j = 0; j < m; ++j) mean[j] = (sum[j] - (share > 0 ? share * tied_sum[j] : 0.0)) * inverse;
        row(mean, weight);
      });
    }
  }

  /// Whether along this direction every event has the largest value of its risk set, and somewhere strictly: then the
  /// likelihood grows for ever (Bryson, Johnson 1981, doi 10.2307/1268229).
  bool monotone(std::span<const double> along) const {
    const auto [low, high] = std::minmax_element(along.begin(), along.end());
    const double slack = 1e-6 * (*high - *low);
    if (!(slack > 0)) return false;
    double largest = 0, smallest = 0;
    bool strict = false;
    for (const auto& g : groups_) {
      if (g.first_of_stratum) largest = -std::numeric_limits<double>::infinity(), smallest = -largest;
      for (int64_t i = g.begin; i < g.end; ++i)
        if (w_[i] > 0) largest = std::max(largest, along[i]), smallest = std::min(smallest, along[i]);
      for (int64_t i = g.begin; i < g.events_end; ++i)
        if (along[i] < largest - slack) return false;
      if (g.events() > 0 && smallest < largest - slack) strict = true;
    }
    return strict;
  }

  double shift() const { return shift_; }
  const std::vector<double>& weights() const { return w_; }
  const std::vector<TimeGroup>& groups() const { return groups_; }

 private:
  /// term(share of the tied events' sum to take off, how often the term counts)
  template <class Term>
  void for_terms(const TimeGroup& g, Term&& term) const {
    const int64_t d = g.events();
    if (d == 0) return;
    if (!efron_) return term(0.0, g.event_weight);
    for (int64_t l = 0; l < d; ++l)
      term(static_cast<double>(l) / static_cast<double>(d), g.event_weight / static_cast<double>(d));
  }

  const std::vector<TimeGroup>& groups_;
  std::vector<double> w_, risk_;
  double shift_ = 0;
  bool efron_;
};

}  // namespace vesalius::outcome::detail
