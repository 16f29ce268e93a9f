// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vesalius/outcome/detail/cox_kernel.h>

namespace vesalius::outcome::detail {

/// Fine and Gray's likelihood in the sorted order of cox_kernel.h, where events are those of the cause of interest. At an
/// event time t the risk sum is A + G B: A over those with entry < t ≤ T, B = Σ risk/G(T−) over those with a competing
/// event before t. With left truncation G is times the chance to have entered (Geskus 2011).
class FineGrayLikelihood : public PartialLikelihood {
 public:
  /// @param competing by sorted position  @param censoring G just before each group's time
  FineGrayLikelihood(const RiskOrder& order, std::vector<double> weights, std::vector<char> competing,
                     std::vector<double> censoring)
      : PartialLikelihood(order, std::move(weights), false),
        competing_(std::move(competing)),
        g_(std::move(censoring)) {}

  double evaluate(std::span<const double> eta) override {
    set_risks(eta);
    const auto sums = all_sums();
    double out = 0;
    for (size_t k = 0; k < groups_.size(); ++k) {
      const auto& g = groups_[k];
      for (int64_t i = g.begin; i < g.events_end; ++i) out += w_[i] * eta[i];
      if (g.events() > 0) out -= g.event_weight * (std::log(sums[k]) + shift_);
    }
    return std::isfinite(out) ? out : -std::numeric_limits<double>::infinity();
  }

  /// Increment of the baseline at each group, times exp(−shift).
  std::vector<double> hazard() const {
    auto out = all_sums();
    for (size_t k = 0; k < groups_.size(); ++k)
      out[k] = groups_[k].events() > 0 ? groups_[k].event_weight / out[k] : 0.0;
    return out;
  }

  void expected(std::vector<double>& out) const override {
    const auto increment = hazard();
    const std::vector<double> none(groups_.size(), 0.0);
    out.assign(w_.size(), 0.0);
    spread(increment, none, [&](int64_t i, double cumulative) { out[i] += risk_[i] * cumulative; });
    double later = 0;  // Σ G dΛ over the times after
    for (size_t k = 0; k < groups_.size(); ++k) {
      if (groups_[k].first_of_stratum) later = 0;
      for (int64_t i = groups_[k].begin; i < groups_[k].end; ++i)
        if (competing_[i]) out[i] += risk_[i] / g_[k] * later;
      later += g_[k] * increment[k];
    }
  }

  void rows(const double* x, int64_t m, const RowSink& sink) const override {
    const auto sums = all_sums();
    std::vector<double> lingering(m), mean(m);
    const auto add = [&](size_t k, double sign) {
      for (int64_t i = groups_[k].begin; i < groups_[k].end; ++i)
        if (competing_[i])
          for (int64_t j = 0; j < m; ++j) lingering[j] += sign * risk_[i] / g_[k] * x[i * m + j];
    };
    size_t next = 0;
    risk_sums(x, m, [&](size_t k, double, double, const double* sum, const double*) {
      for (; next <= k; ++next) {
        if (groups_[next].first_of_stratum) {
          std::fill(lingering.begin(), lingering.end(), 0.0);
          for (size_t l = next; l < groups_.size() && (l == next || !groups_[l].first_of_stratum); ++l) add(l, 1);
        }
        add(next, -1);
      }
      for (int64_t j = 0; j < m; ++j) mean[j] = (sum[j] + g_[k] * lingering[j]) / sums[k];
      sink(mean.data(), groups_[k].event_weight);
    });
  }

  /// As for Cox, where those with a competing event stay in every later risk set. Left truncation: not looked for.
  bool monotone(std::span<const double> along) const override {
    if (!order_.leave.empty()) return false;
    const auto [low, high] = std::minmax_element(along.begin(), along.end());
    const double slack = 1e-6 * (*high - *low), infinity = std::numeric_limits<double>::infinity();
    if (!(slack > 0)) return false;
    std::vector<double> most(groups_.size(), -infinity), least(groups_.size(), infinity);  // of those lingering
    double largest = -infinity, smallest = infinity;
    const auto take = [&](int64_t i) {
      if (w_[i] > 0) largest = std::max(largest, along[i]), smallest = std::min(smallest, along[i]);
    };
    for (size_t k = groups_.size(); k-- > 0;) {
      most[k] = largest, least[k] = smallest;
      for (int64_t i = groups_[k].begin; i < groups_[k].end; ++i)
        if (competing_[i]) take(i);
      if (groups_[k].first_of_stratum) largest = -infinity, smallest = infinity;
    }
    bool strict = false;
    for (size_t k = 0; k < groups_.size(); ++k) {
      if (groups_[k].first_of_stratum) largest = -infinity, smallest = infinity;
      for (int64_t i = groups_[k].begin; i < groups_[k].end; ++i) take(i);
      const double top = std::max(largest, most[k]);
      for (int64_t i = groups_[k].begin; i < groups_[k].events_end; ++i)
        if (along[i] < top - slack) return false;
      if (groups_[k].events() > 0 && std::min(smallest, least[k]) < top - slack) strict = true;
    }
    return strict;
  }

  const std::vector<double>& censoring() const { return g_; }
  const std::vector<char>& competing() const { return competing_; }

 private:
  /// The risk sum at each group with events.
  std::vector<double> all_sums() const {
    std::vector<double> out(groups_.size());
    double sum = 0;
    for (size_t k = groups_.size(); k-- > 0;) {
      out[k] = g_[k] * sum;
      for (int64_t i = groups_[k].begin; i < groups_[k].end; ++i)
        if (competing_[i]) sum += risk_[i] / g_[k];
      if (groups_[k].first_of_stratum) sum = 0;
    }
    walk([](int64_t) {}, [](int64_t) {}, [] {}, [&](size_t k, double at_risk, double) { out[k] += at_risk; });
    return out;
  }

  std::vector<char> competing_;
  std::vector<double> g_;
};

}  // namespace vesalius::outcome::detail
