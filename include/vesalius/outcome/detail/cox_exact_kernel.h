// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vesalius/outcome/detail/cox_kernel.h>

namespace vesalius::outcome::detail {

/// Which d of m subjects had the event, given their risks: independent coins with odds c·risk, conditioned on d heads.
/// The odds are scaled so that d heads are expected, which keeps every probability well inside the doubles however many
/// subjects there are. Tables by the forward recursion of Gail, Lubin, Rubinstein 1981 (doi 10.1093/biomet/68.3.703).
class ConditionalBernoulli {
 public:
  ConditionalBernoulli(const std::vector<double>& risk, int64_t d)
      : m_(static_cast<int64_t>(risk.size())), d_(d), chance_(risk.size()) {
    const double c = scale_for(risk);
    log_scale_ = std::log(c);
    for (int64_t i = 0; i < m_; ++i) chance_[i] = c * risk[i] / (1 + c * risk[i]), log_ones_ += std::log1p(c * risk[i]);
    before_.assign(static_cast<size_t>((m_ + 1) * (d_ + 1)), 0.0);
    before_[0] = 1;
    for (int64_t i = 0; i < m_; ++i) {
      const double *from = before_.data() + i * (d_ + 1), q = chance_[i];
      double* to = before_.data() + (i + 1) * (d_ + 1);
      to[0] = (1 - q) * from[0];
      for (int64_t k = 1; k <= std::min(i + 1, d_); ++k) to[k] = (1 - q) * from[k] + q * from[k - 1];
    }
  }

  /// Log of the sum over all sets of d of the product of their risks.
  double log_sum() const { return std::log(heads()) + log_ones_ - static_cast<double>(d_) * log_scale_; }

  /// visit(i, chance that i is among the d, backwards from the last; `after`[r] that those from i on give r heads and
  /// `after_next` those from i + 1 on)
  template <class Visit>
  void backwards(Visit&& visit) const {
    std::vector<double> after(static_cast<size_t>(d_ + 1), 0.0), next;
    after[0] = 1;
    for (int64_t i = m_ - 1; i >= 0; --i) {
      next = after;
      const double q = chance_[i];
      for (int64_t r = d_; r > 0; --r) after[r] = (1 - q) * next[r] + q * next[r - 1];
      after[0] = (1 - q) * next[0];
      double in = 0;
      const double* before = before_.data() + i * (d_ + 1);
      for (int64_t k = 0; k < d_; ++k) in += before[k] * next[d_ - 1 - k];
      visit(i, q * in / heads(), after, next);
    }
  }

  /// The variance of Σ x over the chosen as a sum of outer products: row(vector, weight) for each coin and number of
  /// heads still to come (the martingale of its conditional expectations).
  template <class Row>
  void variance(const double* const* x, int64_t p, Row&& row) const {
    std::vector<double> mean(static_cast<size_t>((d_ + 1) * p), 0.0), jump(static_cast<size_t>(p));
    backwards([&](int64_t i, double, const std::vector<double>& after, const std::vector<double>& next) {
      const double* before = before_.data() + i * (d_ + 1);
      for (int64_t r = d_; r > 0; --r) {  // r heads still to come, k so far
        if (!(after[r] > 0)) continue;
        const double q = chance_[i] * next[r - 1] / after[r], weight = before[d_ - r] * after[r] / heads();
        double *with = mean.data() + (r - 1) * p, *without = mean.data() + r * p;
        for (int64_t j = 0; j < p; ++j) {
          jump[j] = x[i][j] + with[j] - without[j];
          without[j] += q * jump[j];
        }
        if (weight * q * (1 - q) > 0) row(jump.data(), weight * q * (1 - q));
      }
    });
  }

 private:
  double heads() const { return before_.back(); }

  /// c with Σ c r / (1 + c r) = d, by Newton in log c between bounds.
  double scale_for(const std::vector<double>& risk) const {
    double low = -800, high = 800, at = 0;
    for (int step = 0; step < 200; ++step) {
      double sum = 0, slope = 0;
      for (double r : risk) {
        const double q = 1 / (1 + std::exp(-(at + std::log(r))));
        sum += q, slope += q * (1 - q);
      }
      const double miss = sum - static_cast<double>(d_);
      if (std::abs(miss) < 1e-6 * static_cast<double>(d_)) break;
      (miss > 0 ? high : low) = at;
      const double next = slope > 0 ? at - miss / slope : 0.5 * (low + high);
      at = next > low && next < high ? next : 0.5 * (low + high);
    }
    return std::exp(at);
  }

  int64_t m_, d_;
  std::vector<double> chance_, before_;
  double log_scale_ = 0, log_ones_ = 0;
};

/// Cox's discrete model (1972): at each time the conditional likelihood of which of those at risk had the events.
class ExactLikelihood : public PartialLikelihood {
 public:
  ExactLikelihood(const RiskOrder& order, std::vector<double> weights)
      : PartialLikelihood(order, std::move(weights), false) {}

  double evaluate(std::span<const double> eta) override {
    set_risks(eta);
    double sum = 0;
    for (const auto& g : groups_)
      for (int64_t i = g.begin; i < g.events_end; ++i) sum += eta[i];
    single([&](size_t, double at_risk) { sum -= std::log(at_risk) + shift_; });
    tied([&](const std::vector<int64_t>&, int64_t d, const ConditionalBernoulli& coins) {
      sum -= coins.log_sum() + static_cast<double>(d) * shift_;
    });
    for (const auto& g : groups_)
      if (g.events() > 1 && everyone_has_it(g))
        for (int64_t i = g.begin; i < g.events_end; ++i) sum -= eta[i];
    return std::isnan(sum) ? -std::numeric_limits<double>::infinity() : sum;
  }

  void expected(std::vector<double>& out) const override {
    diagonal(out);
    for (const auto& g : groups_)
      if (g.events() > 1 && everyone_has_it(g))
        for (int64_t i = g.begin; i < g.events_end; ++i) out[i] += 1;
    tied([&](const std::vector<int64_t>& members, int64_t, const ConditionalBernoulli& coins) {
      coins.backwards([&](int64_t i, double chance, const auto&, const auto&) { out[members[i]] += chance; });
    });
  }

  /// Of the times with one event; the tied ones give theirs by rows.
  void diagonal(std::vector<double>& out) const override {
    std::vector<double> increment(groups_.size(), 0.0), none(groups_.size(), 0.0);
    single([&](size_t k, double at_risk) { increment[k] = 1 / at_risk; });
    out.assign(w_.size(), 0.0);
    spread(increment, none, [&](int64_t i, double hazard) { out[i] += risk_[i] * hazard; });
  }

  void rows(const double* x, int64_t m, const RowSink& sink) const override {
    std::vector<double> mean(m);
    risk_sums(x, m, [&](size_t k, double at_risk, double, const double* sum, const double*) {
      if (groups_[k].events() != 1) return;
      for (int64_t j = 0; j < m; ++j) mean[j] = sum[j] / at_risk;
      sink(mean.data(), 1.0);
    });
    std::vector<const double*> chosen;
    tied([&](const std::vector<int64_t>& members, int64_t, const ConditionalBernoulli& coins) {
      chosen.clear();
      for (int64_t i : members) chosen.push_back(x + i * m);
      coins.variance(chosen.data(), m, [&](const double* row, double weight) { sink(row, -weight); });
    });
  }

  /// Each who has the event is at least as high as everyone at risk who hasn't.
  bool monotone(std::span<const double> along) const override {
    if (!order_.leave.empty()) return false;
    const auto [low, high] = std::minmax_element(along.begin(), along.end());
    const double slack = 1e-6 * (*high - *low), infinity = std::numeric_limits<double>::infinity();
    if (!(slack > 0)) return false;
    double largest = 0, smallest = 0;
    bool strict = false;
    for (const auto& g : groups_) {
      if (g.first_of_stratum) largest = -infinity, smallest = infinity;
      const auto take = [&](int64_t i) {
        largest = std::max(largest, along[i]), smallest = std::min(smallest, along[i]);
      };
      for (int64_t i = g.events_end; i < g.end; ++i) take(i);
      for (int64_t i = g.begin; i < g.events_end; ++i) {
        if (along[i] < largest - slack) return false;
        if (along[i] > smallest + slack) strict = true;
      }
      for (int64_t i = g.begin; i < g.events_end; ++i) take(i);
    }
    return strict;
  }

 private:
  /// at(group, risk sum) where there is one event
  template <class At>
  void single(At&& at) const {
    walk([](int64_t) {}, [](int64_t) {}, [] {},
         [&](size_t k, double at_risk, double) {
           if (groups_[k].events() == 1) at(k, at_risk);
         });
  }

  std::vector<int64_t> members(size_t k, int64_t stratum_begin) const {
    const auto& g = groups_[k];
    std::vector<int64_t> out;
    std::vector<char> gone(static_cast<size_t>(g.end - stratum_begin), 0);
    if (!order_.leave.empty())
      for (int64_t l = stratum_begin; l < g.leave_end; ++l) gone[order_.leave[l] - stratum_begin] = 1;
    for (int64_t i = stratum_begin; i < g.end; ++i)
      if (!gone[i - stratum_begin]) out.push_back(i);
    return out;
  }

  bool everyone_has_it(const TimeGroup& g) const {
    const size_t k = static_cast<size_t>(&g - groups_.data());
    size_t first = k;
    while (!groups_[first].first_of_stratum) --first;
    return static_cast<int64_t>(members(k, groups_[first].begin).size()) == g.events();
  }

  /// use(positions at risk, events, coins) at each time of several events; where all at risk have it nothing is to be
  /// learnt.
  template <class Use>
  void tied(Use&& use) const {
    int64_t stratum_begin = 0;
    std::vector<double> risk;
    for (size_t k = 0; k < groups_.size(); ++k) {
      const auto& g = groups_[k];
      if (g.first_of_stratum) stratum_begin = g.begin;
      if (g.events() < 2) continue;
      const auto who = members(k, stratum_begin);
      if (static_cast<int64_t>(who.size()) == g.events()) continue;
      risk.clear();
      for (int64_t i : who) risk.push_back(std::max(risk_[i], std::numeric_limits<double>::min()));
      use(who, g.events(), ConditionalBernoulli(risk, g.events()));
    }
  }
};

}  // namespace vesalius::outcome::detail
