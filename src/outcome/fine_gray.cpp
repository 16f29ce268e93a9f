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

/// Kaplan-Meier's curve of censoring just before each group's time; groups run from late to early.
std::vector<double> censoring_before(const std::vector<TimeGroup>& groups, const std::vector<char>& censored) {
  std::vector<double> out(groups.size());
  double curve = 1;
  for (size_t k = groups.size(); k-- > 0;) {
    out[k] = curve;
    double count = 0;
    for (int64_t i = groups[k].begin; i < groups[k].end; ++i) count += censored[i];
    curve *= 1 - count / static_cast<double>(groups[k].end);  // all from the start of the order to here are at risk
  }
  return out;
}

/// Fine and Gray's η + ψ for each subject, section 4 there: its part of the score, and what it does to it by way of G.
class Influence {
 public:
  Influence(const CoxProblem& problem, const std::vector<char>& censored)
      : likelihood_(dynamic_cast<const FineGrayLikelihood&>(*problem.likelihood)),
        groups_(problem.order.groups),
        censored_(censored),
        x_(problem.columns.x.const_data_ptr<double>()),
        n_(problem.columns.x.size(0)),
        p_(problem.columns.x.size(1)),
        hazard_(likelihood_.increments()),
        mean_(groups_.size() * static_cast<size_t>(p_)),
        out_(static_cast<size_t>(n_ * p_)) {
    size_t k = 0;
    likelihood_.rows(x_, p_, [&](const double* row, double) {
      while (groups_[k].events() == 0) ++k;
      std::copy(row, row + p_, mean_.begin() + static_cast<int64_t>(k++) * p_);
    });
    own();
    lingering();
    censoring();
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
      const double* mean = mean_.data() + static_cast<int64_t>(k) * p_;
      cumulative += hazard_[k];
      for (int64_t j = 0; j < p_; ++j) sum[j] += hazard_[k] * mean[j];
      for (int64_t i = groups_[k].begin; i < groups_[k].end; ++i) {
        add(i, likelihood_.risks()[i], sum, cumulative);
        if (i < groups_[k].events_end)
          for (int64_t j = 0; j < p_; ++j) out_[i * p_ + j] += x_[i * p_ + j] - mean[j];
      }
    }
  }

  void lingering() {
    std::vector<double> sum(static_cast<size_t>(p_));
    double later = 0;
    for (size_t k = 0; k < groups_.size(); ++k) {
      const double g = likelihood_.censoring()[k];
      for (int64_t i = groups_[k].begin; i < groups_[k].end; ++i)
        if (likelihood_.competing()[i]) add(i, likelihood_.risks()[i] / g, sum, later);
      later += g * hazard_[k];
      for (int64_t j = 0; j < p_; ++j) sum[j] += g * hazard_[k] * mean_[k * p_ + j];
    }
  }

  /// q(u) = Σ over s ≥ u of G(s−) dΛ(s) Σ over competing before u of (x − mean(s)) risk/G, at the times of censorings.
  void censoring() {
    const size_t p = static_cast<size_t>(p_);
    std::vector<double> q(groups_.size() * p), before(p), later(p), sum(p);
    double before_total = 0, later_total = 0;
    for (size_t k = groups_.size(); k-- > 0;) {  // those before, from early to late
      for (size_t j = 0; j < p; ++j) q[k * p + j] = before[j];
      // kept in q until the second pass knows what comes later
      before_at_.push_back(before_total);
      for (int64_t i = groups_[k].begin; i < groups_[k].end; ++i) {
        if (!likelihood_.competing()[i]) continue;
        const double r = likelihood_.risks()[i] / likelihood_.censoring()[k];
        before_total += r;
        for (size_t j = 0; j < p; ++j) before[j] += r * x_[i * p_ + static_cast<int64_t>(j)];
      }
    }
    for (size_t k = 0; k < groups_.size(); ++k) {
      const double weight = likelihood_.censoring()[k] * hazard_[k], mass = before_at_[groups_.size() - 1 - k];
      later_total += weight;
      for (size_t j = 0; j < p; ++j) {
        later[j] += weight * mean_[k * p + j];
        q[k * p + j] = q[k * p + j] * later_total - mass * later[j];
      }
    }
    for (size_t k = groups_.size(); k-- > 0;) {
      const double at_risk = static_cast<double>(groups_[k].end);
      double count = 0;
      for (int64_t i = groups_[k].begin; i < groups_[k].end; ++i) count += censored_[i];
      for (size_t j = 0; j < p; ++j) sum[j] += q[k * p + j] * count / (at_risk * at_risk);
      for (int64_t i = groups_[k].begin; i < groups_[k].end; ++i)
        for (size_t j = 0; j < p; ++j)
          out_[i * p_ + static_cast<int64_t>(j)] += (censored_[i] ? q[k * p + j] / at_risk : 0.0) - sum[j];
    }
  }

  const FineGrayLikelihood& likelihood_;
  const std::vector<TimeGroup>& groups_;
  const std::vector<char>& censored_;
  const double* x_;
  int64_t n_, p_;
  std::vector<double> hazard_, mean_, before_at_, out_;
};

}  // namespace

CoxFit fit_fine_gray(const at::Tensor& x_in, const at::Tensor& time, const at::Tensor& cause_in,
                     const CoxOptions& options) {
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
  const auto data = checked_outcome({time, cause.eq(1), {}, {}, {}, {}}, n, breslow);
  CoxProblem problem(x, data, breslow);
  if (options.penalty.alpha == 0) check_estimable(problem.columns, n, 0, options);
  std::vector<char> competing, censored;
  for (int64_t i : problem.order.order) {
    competing.push_back(span_of(cause)[i] == 2);
    censored.push_back(span_of(cause)[i] == 0);
  }
  auto likelihood = std::make_unique<FineGrayLikelihood>(problem.order, std::move(competing),
                                                         censoring_before(problem.order.groups, censored));
  const FineGrayLikelihood& fine_gray = *likelihood;
  problem.likelihood = std::move(likelihood);
  CoxModel model(problem);
  CoxFit fit;
  std::vector<double> b(static_cast<size_t>(x.size(1)), 0.0);
  fit.log_likelihood_null = -model.total() * model.value(b);
  solve_into(model, problem.columns, breslow, b, fit);
  fit.score_test = std::nan("");
  fit.log_likelihood = -model.total() * model.value(b);
  cox_baseline(problem, data, fine_gray.increments(), fine_gray.shift(), fit);
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
