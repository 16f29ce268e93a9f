// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vesalius/outcome/detail/cox_kernel.h>

namespace vesalius::outcome::detail {

/// Fine and Gray's likelihood in the sorted order of cox_kernel.h, where events are those of the cause of interest. At an
/// event time t the risk sum is A + G B: A over those with T ≥ t, B = Σ risk/G(T−) over those with a competing event
/// before t.
class FineGrayLikelihood : public RiskModel {
 public:
  /// @param competing by sorted position  @param censoring G just before each group's time
  FineGrayLikelihood(const RiskOrder& order, std::vector<char> competing, std::vector<double> censoring)
      : groups_(order.groups), competing_(std::move(competing)), g_(std::move(censoring)), risk_(order.order.size()) {}

  double evaluate(std::span<const double> eta) override {
    shift_ = *std::max_element(eta.begin(), eta.end());
    for (size_t i = 0; i < risk_.size(); ++i) risk_[i] = std::exp(eta[i] - shift_);
    const auto sums = risk_sums();
    double out = 0;
    for (size_t k = 0; k < groups_.size(); ++k) {
      const auto& g = groups_[k];
      for (int64_t i = g.begin; i < g.events_end; ++i) out += eta[i];
      if (g.events() > 0) out -= static_cast<double>(g.events()) * (std::log(sums[k]) + shift_);
    }
    return std::isnan(out) ? -std::numeric_limits<double>::infinity() : out;
  }

  /// Increment of the baseline at each group, times exp(−shift).
  std::vector<double> increments() const {
    auto out = risk_sums();
    for (size_t k = 0; k < groups_.size(); ++k)
      out[k] = groups_[k].events() > 0 ? static_cast<double>(groups_[k].events()) / out[k] : 0.0;
    return out;
  }

  void expected(std::vector<double>& out) const override {
    const auto hazard = increments();
    out.assign(risk_.size(), 0.0);
    double cumulative = 0, later = 0;
    for (size_t k = groups_.size(); k-- > 0;) {
      cumulative += hazard[k];
      for (int64_t i = groups_[k].begin; i < groups_[k].end; ++i) out[i] = risk_[i] * cumulative;
    }
    for (size_t k = 0; k < groups_.size(); ++k) {  // `later` is Σ G dΛ over the times after
      for (int64_t i = groups_[k].begin; i < groups_[k].end; ++i)
        if (competing_[i]) out[i] += risk_[i] / g_[k] * later;
      later += g_[k] * hazard[k];
    }
  }

  void rows(const double* x, int64_t m, const RowSink& sink) const override {
    const auto sums = risk_sums();
    std::vector<double> at_risk(m), lingering(m), mean(m);
    const auto add = [&](std::vector<double>& to, int64_t i, double r) {
      for (int64_t j = 0; j < m; ++j) to[j] += r * x[i * m + j];
    };
    for (size_t k = 0; k < groups_.size(); ++k)
      for (int64_t i = groups_[k].begin; i < groups_[k].end; ++i)
        if (competing_[i]) add(lingering, i, risk_[i] / g_[k]);
    for (size_t k = 0; k < groups_.size(); ++k) {
      for (int64_t i = groups_[k].begin; i < groups_[k].end; ++i) {
        add(at_risk, i, risk_[i]);
        if (competing_[i]) add(lingering, i, -risk_[i] / g_[k]);
      }
      if (groups_[k].events() == 0) continue;
      for (int64_t j = 0; j < m; ++j) mean[j] = (at_risk[j] + g_[k] * lingering[j]) / sums[k];
      sink(mean.data(), static_cast<double>(groups_[k].events()));
    }
  }

  /// As for Cox, where those with a competing event stay in every later risk set.
  bool monotone(std::span<const double> along) const override {
    const auto [low, high] = std::minmax_element(along.begin(), along.end());
    const double slack = 1e-6 * (*high - *low), infinity = std::numeric_limits<double>::infinity();
    if (!(slack > 0)) return false;
    std::vector<double> most(groups_.size(), -infinity), least(groups_.size(), infinity);  // of those lingering
    double largest = -infinity, smallest = infinity;
    for (size_t k = groups_.size(); k-- > 0;) {
      most[k] = largest, least[k] = smallest;
      for (int64_t i = groups_[k].begin; i < groups_[k].end; ++i)
        if (competing_[i]) largest = std::max(largest, along[i]), smallest = std::min(smallest, along[i]);
    }
    largest = -infinity, smallest = infinity;
    bool strict = false;
    for (size_t k = 0; k < groups_.size(); ++k) {
      for (int64_t i = groups_[k].begin; i < groups_[k].end; ++i)
        largest = std::max(largest, along[i]), smallest = std::min(smallest, along[i]);
      const double top = std::max(largest, most[k]);
      for (int64_t i = groups_[k].begin; i < groups_[k].events_end; ++i)
        if (along[i] < top - slack) return false;
      if (groups_[k].events() > 0 && std::min(smallest, least[k]) < top - slack) strict = true;
    }
    return strict;
  }

  std::vector<double> risk_sums() const {
    std::vector<double> out(groups_.size());
    double sum = 0;
    for (size_t k = groups_.size(); k-- > 0;) {
      out[k] = g_[k] * sum;
      for (int64_t i = groups_[k].begin; i < groups_[k].end; ++i)
        if (competing_[i]) sum += risk_[i] / g_[k];
    }
    sum = 0;
    for (size_t k = 0; k < groups_.size(); ++k) {
      for (int64_t i = groups_[k].begin; i < groups_[k].end; ++i) sum += risk_[i];
      out[k] += sum;
    }
    return out;
  }

  double shift() const { return shift_; }
  const std::vector<double>& risks() const { return risk_; }
  const std::vector<double>& censoring() const { return g_; }
  const std::vector<char>& competing() const { return competing_; }

 private:
  const std::vector<TimeGroup>& groups_;
  std::vector<char> competing_;
  std::vector<double> g_, risk_;
  double shift_ = 0;
};

}  // namespace vesalius::outcome::detail
