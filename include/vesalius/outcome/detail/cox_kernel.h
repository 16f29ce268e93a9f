// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <numeric>
#include <span>
#include <vector>

#include <vesalius/outcome/detail/order.h>

/// Cox's partial likelihood over subjects sorted once, latest time first, so that risk sets are running sums.
namespace vesalius::outcome::detail {

/// Subjects of one time in one stratum: positions [begin, end) in the sorted order, those with events first.
struct TimeGroup {
  int64_t begin = 0, events_end = 0, end = 0;
  bool first_of_stratum = false;
  double event_weight = 0;
  int64_t leave_end =
      0;  ///< left truncation: those before this in `leave` came under observation at this time or later
  int64_t events() const { return events_end - begin; }
};

struct RiskOrder {
  std::vector<int64_t> order;     ///< sorted position → subject
  std::vector<TimeGroup> groups;  ///< by stratum, then time descending
  std::vector<int64_t> leave;     ///< sorted positions by stratum, then entry descending; empty without left truncation
};

/// Subjects of weight 0 count as censored.
inline RiskOrder risk_order(std::span<const double> time, std::span<const char> event, std::span<const double> weight,
                            std::span<const int64_t> stratum, std::span<const double> entry = {}) {
  RiskOrder out;
  const int64_t n = static_cast<int64_t>(time.size());
  // latest first, events before the others at one time, then as they came; then by stratum
  std::vector<double> keys(time.size());
  std::vector<uint32_t> initial;
  initial.reserve(time.size());
  const auto counts = [&](int64_t i) { return event[i] && weight[i] > 0; };
  for (const bool wanted : {true, false})
    for (int64_t i = 0; i < n; ++i) {
      keys[i] = -time[i];
      if (counts(i) == wanted) initial.push_back(static_cast<uint32_t>(i));
    }
  auto sorted = ascending(keys, std::move(initial));
  if (!stratum.empty()) {
    for (int64_t i = 0; i < n; ++i) keys[i] = static_cast<double>(stratum[i]);
    sorted = ascending(keys, std::move(sorted));
  }
  out.order.assign(sorted.begin(), sorted.end());
  const auto stratum_of = [&](int64_t position) { return stratum.empty() ? 0 : stratum[out.order[position]]; };
  const auto time_of = [&](int64_t position) { return time[out.order[position]]; };
  for (int64_t i = 0; i < n;) {
    TimeGroup g{i, i, i, i == 0 || stratum_of(i) != stratum_of(i - 1), 0, 0};
    for (; g.end < n && time_of(g.end) == time_of(i) && stratum_of(g.end) == stratum_of(i); ++g.end)
      if (counts(out.order[g.end])) g.events_end = g.end + 1, g.event_weight += weight[out.order[g.end]];
    out.groups.push_back(g);
    i = g.end;
  }
  if (entry.empty()) return out;
  out.leave.resize(time.size());
  std::iota(out.leave.begin(), out.leave.end(), 0);
  std::sort(out.leave.begin(), out.leave.end(), [&](int64_t a, int64_t b) {
    if (stratum_of(a) != stratum_of(b)) return stratum_of(a) < stratum_of(b);
    const double s = entry[out.order[a]], t = entry[out.order[b]];
    return s != t ? s > t : a < b;
  });
  int64_t next = 0;
  for (auto& g : out.groups) {
    if (g.first_of_stratum) next = g.begin;  // a stratum's subjects fill the same positions in both orders
    while (next < n && stratum_of(out.leave[next]) == stratum_of(g.begin) &&
           entry[out.order[out.leave[next]]] >= time_of(g.begin))
      ++next;
    g.leave_end = next;
  }
  return out;
}

/// A mean of the columns over a risk set, [m], and what its outer product counts in minus the Hessian: subtracted where
/// positive, added where negative.
using RowSink = std::function<void(const double* row, double weight)>;

/// A log-likelihood of linear predictors in sorted order. After evaluate(eta), the rest is at that eta.
class RiskModel {
 public:
  virtual ~RiskModel() = default;
  /// −∞ where a risk set underflows.
  virtual double evaluate(std::span<const double> eta) = 0;
  /// Expected events of each subject: w·event − expected is the gradient in eta.
  virtual void expected(std::vector<double>& out) const = 0;
  /// Minus the Hessian is Xᵀ diag(these) X − Σ weight · row rowᵀ over what `rows` gives.
  virtual void diagonal(std::vector<double>& out) const { expected(out); }
  virtual void rows(const double* x, int64_t m, const RowSink& sink) const = 0;
  /// Whether the likelihood grows for ever in this direction.
  virtual bool monotone(std::span<const double> along) const = 0;
};

/// Efron's and Breslow's likelihoods, with strata, weights and left truncation.
///
/// With d tied events of mean weight w̄, risk sum S and events' sum E, Efron's denominators are S − (l/d) E for
/// l = 0 … d−1, each counted w̄ times; Breslow's are d times S.
class PartialLikelihood : public RiskModel {
 public:
  PartialLikelihood(const RiskOrder& order, std::vector<double> weights, bool efron)
      : order_(order), groups_(order.groups), w_(std::move(weights)), risk_(w_.size()), efron_(efron) {}

  double evaluate(std::span<const double> eta) override {
    set_risks(eta);
    double sum = 0, events = 0;
    for (const auto& g : groups_) {
      for (int64_t i = g.begin; i < g.events_end; ++i) sum += w_[i] * eta[i];
      events += g.event_weight;
    }
    sum -= walk_increments() + events * shift_;
    return std::isfinite(sum) ? sum : -std::numeric_limits<double>::infinity();
  }

  void expected(std::vector<double>& out) const override {
    if (!walked_) walk_increments();
    if (order_.leave.empty()) {
      out.resize(w_.size());
      spread(increment_, correction_, [&](int64_t i, double hazard) { out[i] = risk_[i] * hazard; });
    } else {
      out.assign(w_.size(), 0.0);
      spread(increment_, correction_, [&](int64_t i, double hazard) { out[i] += risk_[i] * hazard; });
    }
  }

  /// Increment of the baseline at each group (times exp(−shift)), and what of it a tied event is not at risk for.
  void increments(std::vector<double>& increment, std::vector<double>& correction) const {
    if (!walked_) walk_increments();
    increment = increment_, correction = correction_;
  }

  /// add(i, Σ of `increment` over the times at which subject i was at risk), in one or two parts of different sign.
  template <class Add>
  void spread(const std::vector<double>& increment, const std::vector<double>& correction, Add&& add) const {
    double cumulative = 0;
    for (size_t k = groups_.size(); k-- > 0;) {  // earliest time first
      const auto& g = groups_[k];
      cumulative += increment[k];
      for (int64_t i = g.begin; i < g.end; ++i) add(i, cumulative - (i < g.events_end ? correction[k] : 0.0));
      if (!order_.leave.empty())
        for (int64_t l = leave_begin(k); l < g.leave_end; ++l) add(order_.leave[l], -cumulative);
      if (g.first_of_stratum) cumulative = 0;
    }
  }

  void rows(const double* x, int64_t m, const RowSink& sink) const override {
    std::vector<double> mean(m);
    risk_sums(x, m, [&](size_t k, double at_risk, double tied, const double* sum, const double* tied_sum) {
      for_terms(groups_[k], [&](double share, double weight) {
        const double inverse = 1 / (at_risk - share * tied);
        if (share > 0)
          for (int64_t j = 0; j < m; ++j) mean[j] = (sum[j] - share * tied_sum[j]) * inverse;
        else
          for (int64_t j = 0; j < m; ++j) mean[j] = sum[j] * inverse;
        sink(mean.data(), weight);
      });
    });
  }

  /// at(group, risk sum, tied events' sum, Σ risk·x over the risk set, the same over the tied events) at each time of
  /// events, latest first; the last two [m].
  template <class At>
  void risk_sums(const double* x, int64_t m, At&& at) const {
    std::vector<double> sum(m), tied_sum(m);
    const auto add = [&](int64_t i, double sign) {
      const double r = sign * risk_[i];
      const double* row = x + i * m;
      double* to = sum.data();
      for (int64_t j = 0; j < m; ++j) to[j] += r * row[j];
    };
    walk([&](int64_t i) { add(i, 1); }, [&](int64_t i) { add(i, -1); }, [&] { std::fill(sum.begin(), sum.end(), 0.0); },
         [&](size_t k, double at_risk, double tied) {
           const auto& g = groups_[k];
           if (efron_ && g.events() > 1) {
             std::fill(tied_sum.begin(), tied_sum.end(), 0.0);
             for (int64_t i = g.begin; i < g.events_end; ++i)
               for (int64_t j = 0; j < m; ++j) tied_sum[j] += risk_[i] * x[i * m + j];
           }
           at(k, at_risk, tied, sum.data(), tied_sum.data());
         });
  }

  /// term(share of the tied events' sum to take off, how often the term counts)
  template <class Term>
  void for_terms(const TimeGroup& g, Term&& term) const {
    const int64_t d = g.events();
    if (d == 0) return;
    if (!efron_) return term(0.0, g.event_weight);
    for (int64_t l = 0; l < d; ++l)
      term(static_cast<double>(l) / static_cast<double>(d), g.event_weight / static_cast<double>(d));
  }

  /// Every event has the largest value of its risk set along this direction, and somewhere strictly: then the
  /// likelihood grows for ever (Bryson, Johnson 1981, doi 10.2307/1268229). Left truncation: not looked for.
  bool monotone(std::span<const double> along) const override {
    if (!order_.leave.empty()) return false;
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

  /// In place of evaluate(): what is wanted of `expected` doesn't depend on the scale of the risks.
  void set_relative_risks(const double* risk) {
    for (size_t i = 0; i < w_.size(); ++i) risk_[i] = w_[i] * risk[i];
    walked_ = false;
  }

  /// Σ over event terms of weight · log of the risk sum, of the risks as they were set.
  double log_risk_sum() const { return walk_increments(); }

  /// out = C v with C minus the Hessian of the log-likelihood in eta, at the last eta.
  void curvature_times(std::span<const double> v, std::vector<double>& out) const {
    std::vector<double> fall(groups_.size(), 0.0), back(groups_.size(), 0.0);
    double sum = 0;
    walk([&](int64_t i) { sum += risk_[i] * v[i]; }, [&](int64_t i) { sum -= risk_[i] * v[i]; }, [&] { sum = 0; },
         [&](size_t k, double at_risk, double tied) {
           double tied_sum = 0;
           if (efron_ && groups_[k].events() > 1)
             for (int64_t i = groups_[k].begin; i < groups_[k].events_end; ++i) tied_sum += risk_[i] * v[i];
           for_terms(groups_[k], [&](double share, double weight) {
             const double left = at_risk - share * tied, h = weight * (sum - share * tied_sum) / (left * left);
             fall[k] += h;
             back[k] += share * h;
           });
         });
    expected(out);
    for (size_t i = 0; i < out.size(); ++i) out[i] *= v[i];
    spread(fall, back, [&](int64_t i, double mean) { out[i] -= risk_[i] * mean; });
  }

  double shift() const { return shift_; }
  bool efron() const { return efron_; }
  const RiskOrder& order() const { return order_; }
  const std::vector<double>& weights() const { return w_; }
  const std::vector<double>& risks() const { return risk_; }  ///< w·exp(eta − shift)
  const std::vector<TimeGroup>& groups() const { return groups_; }

 protected:
  void set_risks(std::span<const double> eta) {
    shift_ = *std::max_element(eta.begin(), eta.end());
    for (size_t i = 0; i < w_.size(); ++i) risk_[i] = w_[i] * std::exp(eta[i] - shift_);
    walked_ = false;
  }

  /// Increments and corrections at the risks as they were set. Returns Σ weight · log of the risk sums, the logarithms of
  /// products where that is safe: they take longer than all the rest.
  double walk_increments() const {
    increment_.assign(groups_.size(), 0.0);
    correction_.assign(groups_.size(), 0.0);
    double sum = 0, product = 1;
    walk([](int64_t) {}, [](int64_t) {}, [] {},
         [&](size_t k, double at_risk, double tied) {
           for_terms(groups_[k], [&](double share, double weight) {
             const double left = at_risk - share * tied, h = weight / left;
             increment_[k] += h;
             correction_[k] += share * h;
             if (weight == 1 && left > 1e-50 && left < 1e50) {
               product *= left;
               if (!(product > 1e-250 && product < 1e250)) sum += std::log(product), product = 1;
             } else {
               sum += weight * std::log(left);
             }
           });
         });
    walked_ = true;
    return sum + std::log(product);
  }

  int64_t leave_begin(size_t k) const {
    return groups_[k].first_of_stratum ? groups_[k].begin : groups_[k - 1].leave_end;
  }

  /// Goes through the groups with the sum at risk; at(k, sum, its tied part) where there are events. Those not yet under
  /// observation are taken off again; where what was taken off dwarfs what is left, the sums are made anew, so that
  /// rounding of the former never shows in the latter.
  template <class Add, class Remove, class Clear, class At>
  void walk(Add&& add, Remove&& remove, Clear&& clear, At&& at) const {
    constexpr double kDwarfed = 256;
    double at_risk = 0, removed = 0;
    int64_t inside = 0, stratum_begin = 0;
    for (size_t k = 0; k < groups_.size(); ++k) {
      const auto& g = groups_[k];
      if (g.first_of_stratum) at_risk = removed = 0, inside = 0, stratum_begin = g.begin, clear();
      double tied = 0;
      for (int64_t i = g.begin; i < g.end; ++i) at_risk += risk_[i], add(i);
      inside += g.end - g.begin;
      if (!order_.leave.empty() && g.leave_end > leave_begin(k)) {
        for (int64_t l = leave_begin(k); l < g.leave_end; ++l) {
          const int64_t i = order_.leave[l];
          at_risk -= risk_[i], removed += risk_[i], remove(i), --inside;
        }
        if (inside == 0)
          at_risk = removed = 0, clear();
        else if (removed > kDwarfed * at_risk)
          rebuild(stratum_begin, k, at_risk, add, clear), removed = 0;
      }
      if (g.events() == 0) continue;
      for (int64_t i = g.begin; i < g.events_end; ++i) tied += risk_[i];
      at(k, at_risk, tied);
    }
  }

  template <class Add, class Clear>
  void rebuild(int64_t stratum_begin, size_t k, double& at_risk, Add&& add, Clear&& clear) const {
    std::vector<char> gone(static_cast<size_t>(groups_[k].end - stratum_begin), 0);
    for (int64_t l = stratum_begin; l < groups_[k].leave_end; ++l) gone[order_.leave[l] - stratum_begin] = 1;
    at_risk = 0;
    clear();
    for (int64_t i = stratum_begin; i < groups_[k].end; ++i)
      if (!gone[i - stratum_begin]) at_risk += risk_[i], add(i);
  }

  const RiskOrder& order_;
  const std::vector<TimeGroup>& groups_;
  std::vector<double> w_, risk_;
  double shift_ = 0;
  bool efron_;
  mutable std::vector<double> increment_, correction_;  ///< of the risks as they are, if `walked_`
  mutable bool walked_ = false;
};

}  // namespace vesalius::outcome::detail
