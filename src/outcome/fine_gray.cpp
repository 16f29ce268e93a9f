// SPDX-License-Identifier: Apache-2.0
#include <vesalius/outcome/fine_gray.h>

#include <cmath>

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/mm.h>

#include <vesalius/core/error.h>
#include <vesalius/outcome/detail/fine_gray_kernel.h>

#include "outcome/cox_model.h"

namespace vesalius::outcome {

namespace {

using detail::FineGrayLikelihood;
using detail::TimeGroup;

/// Kaplan-Meier's curve of censoring just before each group's time, in each stratum its own; times, with left truncation, the
/// chance to have entered by then: the product-limit curve of entries in reversed time (Geskus 2011, doi
/// 10.1111/j.1541-0420.2010.01420.x).
std::vector<double> chance_to_be_seen(const CoxProblem& problem, const CoxData& data,
                                      const std::vector<char>& censored) {
  const auto& groups = problem.order.groups;
  const auto& order = problem.order;
  std::vector<double> out(groups.size());
  for (size_t first = 0; first < groups.size();) {
    size_t last = first;
    while (last + 1 < groups.size() && !groups[last + 1].first_of_stratum) ++last;
    const int64_t begin = groups[first].begin, end = groups[last].end;
    std::vector<double> upto{0};  // Σ weight from the latest on
    for (int64_t i = begin; i < end; ++i) upto.push_back(upto.back() + problem.weights[i]);
    const auto time_of = [&](size_t k) { return data.time[order.order[groups[k].begin]]; };
    // those with T ≥ t who had entered before t
    const auto entered = [&](size_t k) {
      double late = 0;
      if (!order.leave.empty())
        for (int64_t l = begin; l < groups[k].leave_end; ++l) late += problem.weights[order.leave[l]];
      return late;
    };
    double curve = 1;
    for (size_t k = last + 1; k-- > first;) {
      out[k] = curve;
      double count = 0;
      for (int64_t i = groups[k].begin; i < groups[k].end; ++i) count += censored[i] ? problem.weights[i] : 0.0;
      if (count > 0) curve *= 1 - count / (upto[groups[k].end - begin] - entered(k));
    }
    if (!order.leave.empty()) {
      // from late to early: entries at s among those with entry ≤ s < T; H just before t is the product over s ≥ t
      double chance = 1, gone = 0;  // `gone`: weight of those who entered after s
      int64_t l = begin;
      for (size_t k = first; k <= last; ++k) {
        for (; l < groups[k].leave_end;) {
          const double s = data.entry[order.order[order.leave[l]]];
          double here = 0;
          int64_t next = l;
          for (; next < end && data.entry[order.order[order.leave[next]]] == s; ++next)
            here += problem.weights[order.leave[next]];
          size_t after = k;  // groups up to here have T > s
          while (after <= last && time_of(after) > s) ++after;
          const double beyond = after > first ? upto[groups[after - 1].end - begin] : 0.0;
          const double at_risk = beyond - gone;
          if (here > 0) chance *= here < at_risk * (1 - 1e-12) ? 1 - here / at_risk : 0.0;
          gone += here, l = next;
        }
        out[k] *= chance;
      }
    }
    first = last + 1;
  }
  return out;
}

/// Fine and Gray's η + ψ for each subject, section 4 there: its part of the score, and what it does to it by way of G.
class Influence {
 public:
  Influence(const CoxProblem& problem, const std::vector<char>& censored)
      : order_(problem.order),
        weights_(problem.weights),
        likelihood_(dynamic_cast<const FineGrayLikelihood&>(*problem.likelihood)),
        groups_(problem.order.groups),
        censored_(censored),
        x_(problem.columns.x.const_data_ptr<double>()),
        n_(problem.columns.x.size(0)),
        p_(problem.columns.x.size(1)),
        hazard_(likelihood_.hazard()),
        mean_(groups_.size() * static_cast<size_t>(p_)),
        out_(static_cast<size_t>(n_ * p_)) {
    size_t k = 0;
    likelihood_.rows(x_, p_, [&](const double* row, double) {
      while (groups_[k].events() == 0) ++k;
      std::copy(row, row + p_, mean_.begin() + static_cast<int64_t>(k++) * p_);
    });
    own();
    lingering();
    if (order_.leave.empty()) censoring();  // with left truncation the weights count as known
  }
  std::vector<double>& values() { return out_; }

 private:
  /// out_i += factor · (sum − x_i · scalar)
  void add(int64_t i, double factor, const std::vector<double>& sum, double scalar) {
    for (int64_t j = 0; j < p_; ++j) out_[i * p_ + j] += factor * (sum[j] - x_[i * p_ + j] * scalar);
  }

  void own() {
    std::vector<double> sum(static_cast<size_t>(p_));
    double cumulative = 0;
    for (size_t k = groups_.size(); k-- > 0;) {
      const auto& g = groups_[k];
      const double* mean = mean_.data() + static_cast<int64_t>(k) * p_;
      cumulative += hazard_[k];
      for (int64_t j = 0; j < p_; ++j) sum[j] += hazard_[k] * mean[j];
      for (int64_t i = g.begin; i < g.end; ++i) {
        add(i, likelihood_.risks()[i], sum, cumulative);
        if (i < g.events_end)
          for (int64_t j = 0; j < p_; ++j) out_[i * p_ + j] += weights_[i] * (x_[i * p_ + j] - mean[j]);
      }
      if (!order_.leave.empty()) {
        const int64_t from = g.first_of_stratum ? g.begin : groups_[k - 1].leave_end;
        for (int64_t l = from; l < g.leave_end; ++l)
          add(order_.leave[l], -likelihood_.risks()[order_.leave[l]], sum, cumulative);
      }
      if (g.first_of_stratum) cumulative = 0, std::fill(sum.begin(), sum.end(), 0.0);
    }
  }

  void lingering() {
    std::vector<double> sum(static_cast<size_t>(p_));
    double later = 0;
    for (size_t k = 0; k < groups_.size(); ++k) {
      if (groups_[k].first_of_stratum) later = 0, std::fill(sum.begin(), sum.end(), 0.0);
      const double g = likelihood_.censoring()[k];
      for (int64_t i = groups_[k].begin; i < groups_[k].end; ++i)
        if (likelihood_.competing()[i]) add(i, likelihood_.risks()[i] / g, sum, later);
      later += g * hazard_[k];
      for (int64_t j = 0; j < p_; ++j) sum[j] += g * hazard_[k] * mean_[k * p_ + j];
    }
  }

  void censoring() {
    for (size_t first = 0, end = 0; first < groups_.size(); first = end) {
      for (end = first + 1; end < groups_.size() && !groups_[end].first_of_stratum;) ++end;
      censoring_of(first, end);
    }
  }

  /// q(u) = Σ over s ≥ u of G(s−) dΛ(s) Σ over competing before u of (x − mean(s)) risk/G, at the times of censorings; the
  /// groups [first, end) of a stratum.
  void censoring_of(size_t first, size_t end) {
    const size_t p = static_cast<size_t>(p_);
    std::vector<double> q(groups_.size() * p), before(p), later(p), sum(p), before_at(groups_.size());
    double before_total = 0, later_total = 0, at_risk = 0;
    std::vector<double> at_risk_of(groups_.size());
    for (size_t k = end; k-- > first;) {  // those before, from early to late; kept until it is known what comes later
      for (size_t j = 0; j < p; ++j) q[k * p + j] = before[j];
      before_at[k] = before_total;
      for (int64_t i = groups_[k].begin; i < groups_[k].end; ++i) {
        if (!likelihood_.competing()[i]) continue;
        const double r = likelihood_.risks()[i] / likelihood_.censoring()[k];
        before_total += r;
        for (size_t j = 0; j < p; ++j) before[j] += r * x_[i * p_ + static_cast<int64_t>(j)];
      }
    }
    for (size_t k = first; k < end; ++k) {
      const double weight = likelihood_.censoring()[k] * hazard_[k];
      later_total += weight;
      for (size_t j = 0; j < p; ++j) {
        later[j] += weight * mean_[k * p + j];
        q[k * p + j] = q[k * p + j] * later_total - before_at[k] * later[j];
      }
      for (int64_t i = groups_[k].begin; i < groups_[k].end; ++i) at_risk += weights_[i];
      at_risk_of[k] = at_risk;
    }
    for (size_t k = end; k-- > first;) {
      double count = 0;
      for (int64_t i = groups_[k].begin; i < groups_[k].end; ++i) count += censored_[i] ? weights_[i] : 0.0;
      if (count > 0)
        for (size_t j = 0; j < p; ++j) sum[j] += q[k * p + j] * count / (at_risk_of[k] * at_risk_of[k]);
      for (int64_t i = groups_[k].begin; i < groups_[k].end; ++i)
        if (weights_[i] > 0)
          for (size_t j = 0; j < p; ++j)
            out_[i * p_ + static_cast<int64_t>(j)] +=
                weights_[i] * ((censored_[i] ? q[k * p + j] / at_risk_of[k] : 0.0) - sum[j]);
    }
  }

  const detail::RiskOrder& order_;
  const std::vector<double>& weights_;
  const FineGrayLikelihood& likelihood_;
  const std::vector<TimeGroup>& groups_;
  const std::vector<char>& censored_;
  const double* x_;
  int64_t n_, p_;
  std::vector<double> hazard_, mean_, out_;
};

}  // namespace

CoxFit fit_fine_gray(const at::Tensor& x_in, const at::Tensor& time, const at::Tensor& cause_in,
                     const CoxOptions& options, const std::optional<at::Tensor>& entry,
                     const std::optional<at::Tensor>& weights, const std::optional<at::Tensor>& strata) {
  check_options(options);
  const auto x = checked_matrix(x_in, options.names);
  const int64_t n = x.size(0);
  const auto cause = checked_vector(cause_in, n, "cause");
  for (double c : span_of(cause))
    if (c != 0 && c != 1 && c != 2)
      throw InvalidArgument("cause must be 0 (censored), 1 (the event of interest) or 2 (any other event); it holds " +
                            std::to_string(c));
  CoxOptions breslow = options;
  breslow.ties = Ties::breslow;
  const auto data = checked_outcome({time, cause.eq(1), entry, weights, strata, {}}, n, breslow);
  CoxProblem problem(x, data, breslow);
  if (options.penalty.alpha == 0) check_estimable(problem.columns, n, 0, options);
  std::vector<char> competing, censored;
  for (int64_t i : problem.order.order) {
    competing.push_back(span_of(cause)[i] == 2);
    censored.push_back(span_of(cause)[i] == 0);
  }
  auto seen = chance_to_be_seen(problem, data, censored);
  for (size_t k = 0; k < seen.size(); ++k)
    for (int64_t i = problem.order.groups[k].begin; i < problem.order.groups[k].end; ++i)
      if (competing[i] && !(seen[k] > 0))
        throw InvalidArgument(
            "a subject with another event has no weight: nobody else was under observation shortly after it, so that "
            "the chance "
            "to have entered by then is 0. Leave the earliest entries out, or start everyone at a later time");
  auto likelihood =
      std::make_unique<FineGrayLikelihood>(problem.order, problem.weights, std::move(competing), std::move(seen));
  const FineGrayLikelihood& fine_gray = *likelihood;
  problem.likelihood = std::move(likelihood);
  CoxModel model(problem);
  CoxFit fit;
  std::vector<double> b(static_cast<size_t>(x.size(1)), 0.0);
  fit.log_likelihood_null = -model.total() * model.value(b);
  solve_into(model, problem.columns, breslow, b, fit);
  fit.score_test = std::nan("");
  fit.log_likelihood = -model.total() * model.value(b);
  cox_baseline(problem, data, fine_gray.hazard(), fine_gray.shift(), fit);
  if (fit.covariance.defined()) {
    Influence influence(problem, censored);
    const int64_t p = x.size(1);
    auto parts = at::from_blob(influence.values().data(), {n, p}, at::kDouble);
    double* value = parts.data_ptr<double>();
    for (int64_t i = 0; i < n; ++i)
      for (int64_t j = 0; j < p; ++j) value[i * p + j] *= problem.columns.scale[j];
    const auto moved = at::mm(parts, fit.covariance);
    fit.covariance = at::mm(moved.t(), moved);
  }
  finish_coefficients(problem.columns, b, fit);
  return fit;
}

}  // namespace vesalius::outcome
