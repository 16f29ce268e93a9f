// SPDX-License-Identifier: Apache-2.0
#include <vesalius/outcome/cox.h>

#include <cmath>
#include <limits>

#include <ATen/ops/addmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/from_blob.h>

#include <vesalius/core/error.h>
#include <vesalius/outcome/detail/cox_kernel.h>
#include <vesalius/outcome/detail/newton_kernel.h>

#include "outcome/common.h"

namespace vesalius::outcome {

namespace {

/// Minus the log partial likelihood over Σw, for the solvers. x is standardised and in sorted order.
class CoxModel {
 public:
  CoxModel(at::Tensor x, const detail::RiskOrder& order, std::vector<double> weights, bool efron)
      : x_(std::move(x)),
        likelihood_(order, std::move(weights), efron),
        eta_(order.order.size()),
        residual_(eta_.size()) {
    for (double w : likelihood_.weights()) total_ += w;
  }

  double value(const std::vector<double>& b) {
    multiply(x_, false, b, eta_);
    return -likelihood_.evaluate(eta_) / total_;
  }

  void gradient(std::vector<double>& g) {
    likelihood_.expected(residual_);
    for (double& r : residual_) r /= total_;
    for (const auto& group : likelihood_.groups())
      for (int64_t i = group.begin; i < group.events_end; ++i) residual_[i] -= likelihood_.weights()[i] / total_;
    multiply(x_, true, residual_, g);
  }

  /// xᵀ diag(expected) x − Σ weight · mean meanᵀ: two matrix products instead of n outer products.
  void hessian(const std::vector<int64_t>& set, std::vector<double>& h) {
    const int64_t n = x_.size(0), p = x_.size(1), m = static_cast<int64_t>(set.size());
    likelihood_.expected(residual_);
    for (double& r : residual_) r /= total_;
    weighted_crossproduct(x_, set, residual_.data(), h);
    if (m == 0) return;
    at::Tensor chosen = x_;
    if (m != p) {
      chosen = at::empty({n, m}, at::kDouble);
      const double* from = x_.const_data_ptr<double>();
      double* to = chosen.data_ptr<double>();
      for (int64_t i = 0; i < n; ++i)
        for (int64_t k = 0; k < m; ++k) to[i * m + k] = from[i * p + set[k]];
    }
    if (m <= kFewColumns) return subtract_means(chosen, m, h);
    auto out = at::from_blob(h.data(), {m, m}, at::kDouble);
    auto rows = at::empty({kBlock, m}, at::kDouble);
    double* row = rows.data_ptr<double>();
    int64_t filled = 0;
    const auto flush = [&] {
      const auto block = rows.narrow(0, 0, filled);
      at::addmm_out(out, out, block.t(), block, 1, -1);
      filled = 0;
    };
    likelihood_.risk_means(chosen.const_data_ptr<double>(), m, [&](const std::vector<double>& mean, double weight) {
      const double root = std::sqrt(weight / total_);
      for (int64_t j = 0; j < m; ++j) row[filled * m + j] = root * mean[j];
      if (++filled == kBlock) flush();
    });
    if (filled > 0) flush();
  }

  bool diverges(const std::vector<double>& step) {
    std::vector<double> along(eta_.size());
    multiply(x_, false, step, along);
    return likelihood_.monotone(along);
  }

  double total() const { return total_; }
  const detail::PartialLikelihood& likelihood() const { return likelihood_; }

 private:
  /// With few columns the outer products are cheaper than their way through BLAS.
  void subtract_means(const at::Tensor& chosen, int64_t m, std::vector<double>& h) const {
    likelihood_.risk_means(chosen.const_data_ptr<double>(), m, [&](const std::vector<double>& mean, double weight) {
      for (int64_t k = 0; k < m; ++k) {
        const double factor = weight / total_ * mean[k];
        for (int64_t l = 0; l <= k; ++l) h[k * m + l] -= factor * mean[l];
      }
    });
    for (int64_t k = 0; k < m; ++k)
      for (int64_t l = 0; l < k; ++l) h[l * m + k] = h[k * m + l];
  }

  static constexpr int64_t kBlock = 1024, kFewColumns = 24;
  at::Tensor x_;
  detail::PartialLikelihood likelihood_;
  std::vector<double> eta_, residual_;
  double total_ = 0;
};

at::Tensor sorted_rows(const at::Tensor& x, const std::vector<int64_t>& order) {
  auto out = at::empty_like(x);
  const int64_t p = x.size(1);
  const double* from = x.const_data_ptr<double>();
  double* to = out.data_ptr<double>();
  for (size_t i = 0; i < order.size(); ++i)
    std::copy(from + order[i] * p, from + (order[i] + 1) * p, to + static_cast<int64_t>(i) * p);
  return out;
}

std::vector<int64_t> whole_numbers(const std::optional<at::Tensor>& strata, int64_t n) {
  std::vector<int64_t> out;
  if (!strata) return out;
  const auto vector = checked_vector(*strata, n, "strata");
  for (double s : span_of(vector)) out.push_back(std::llround(s));
  return out;
}

/// Baseline at the centre of the columns, from the sums of the last evaluation.
void baseline(const detail::PartialLikelihood& likelihood, std::span<const double> time,
              const std::vector<int64_t>& stratum, const std::vector<int64_t>& order, CoxFit& fit) {
  std::vector<double> expected, increment;
  likelihood.expected(expected, &increment);
  const auto& groups = likelihood.groups();
  std::vector<double> times, hazards, strata;
  for (size_t begin = 0; begin < groups.size();) {
    size_t end = begin + 1;
    while (end < groups.size() && !groups[end].first_of_stratum) ++end;
    double cumulative = 0;
    for (size_t k = end; k-- > begin;) {
      cumulative += increment[k];
      const int64_t subject = order[groups[k].begin];
      times.push_back(time[subject]);
      hazards.push_back(std::log(cumulative) - likelihood.shift());
      strata.push_back(stratum.empty() ? 0.0 : static_cast<double>(stratum[subject]));
    }
    begin = end;
  }
  fit.baseline_times = tensor_of(times);
  fit.baseline_log_hazard = tensor_of(hazards);
  fit.baseline_stratum = tensor_of(strata).to(at::kLong);
}

void solve(CoxModel& model, const Standardised& columns, const CoxOptions& options, std::vector<double>& b,
           CoxFit& fit) {
  const int64_t p = static_cast<int64_t>(b.size());
  if (options.penalty.alpha > 0) {
    const auto result =
        detail::minimise(model, penalty_terms(options, columns, 0), b, {options.max_iterations, options.tolerance});
    fit.iterations = result.iterations;
    fit.score_test = std::numeric_limits<double>::quiet_NaN();
    if (!result.converged)
      throw ConvergenceError("penalised Cox regression did not converge in " + std::to_string(result.iterations) +
                             " iterations: raise max_iterations or alpha");
    return;
  }
  auto result = detail::newton(model, b, options.max_iterations, options.tolerance);
  fit.iterations = result.iterations;
  fit.score_test = result.first_decrement * model.total();
  if (result.end == detail::NewtonEnd::dependent) throw_dependent(options, result.column);
  if (result.end == detail::NewtonEnd::diverging)
    throw ConvergenceError(
        "the partial likelihood is monotone: some combination of the columns orders every event first in its risk set "
        "(separation), so that it grows "
        "without end and no finite estimate exists. Use penalty=\"l2\" or fewer columns");
  if (result.end == detail::NewtonEnd::exhausted)
    throw ConvergenceError("Cox regression did not converge in " + std::to_string(options.max_iterations) +
                           " iterations: raise max_iterations, or use a penalty");
  for (int64_t i = 0; i < p; ++i)
    for (int64_t j = 0; j < p; ++j) result.inverse[i * p + j] /= model.total() * columns.scale[i] * columns.scale[j];
  fit.covariance = tensor_of(result.inverse, p, p);
}

}  // namespace

CoxFit fit_cox(const at::Tensor& x_in, const at::Tensor& time_in, const at::Tensor& event_in, const CoxOptions& options,
               const std::optional<at::Tensor>& weights_in, const std::optional<at::Tensor>& strata_in) {
  check_options(options);
  const auto x = checked_matrix(x_in, options.names);
  const int64_t n = x.size(0), p = x.size(1);
  const auto time_tensor = checked_vector(time_in, n, "time");
  const auto time = span_of(time_tensor);
  const auto event = checked_binary(event_in, n, "event");
  const auto weights = checked_weights(weights_in, n);
  const auto strata = whole_numbers(strata_in, n);
  if (std::any_of(time.begin(), time.end(), [](double t) { return t < 0; }))
    throw InvalidArgument("time must not be negative: follow-up starts at 0");
  bool any = false;
  for (int64_t i = 0; i < n; ++i) any = any || (event[i] && weights[i] > 0);
  if (!any)
    throw InvalidArgument(
        "no subject has an event: a Cox model compares those with an event to those still at risk. Is the event coded "
        "the other way round?");

  const auto columns = standardise(x, weights, true, false);
  if (options.penalty.alpha == 0) check_estimable(columns, n, 0, options);
  const auto order = detail::risk_order(time, event, weights, strata);
  std::vector<double> sorted_weights;
  for (int64_t i : order.order) sorted_weights.push_back(weights[i]);
  CoxModel model(sorted_rows(columns.x, order.order), order, std::move(sorted_weights), options.ties == Ties::efron);

  CoxFit fit;
  std::vector<double> b(static_cast<size_t>(p), 0.0);
  fit.log_likelihood_null = -model.total() * model.value(b);
  solve(model, columns, options, b, fit);
  fit.log_likelihood = -model.total() * model.value(b);
  baseline(model.likelihood(), time, strata, order.order, fit);
  for (int64_t j = 0; j < p; ++j) b[j] = columns.constant[j] ? 0.0 : b[j] / columns.scale[j];
  fit.coef = tensor_of(b);
  fit.mean = tensor_of(columns.mean);
  return fit;
}

at::Tensor predict_cox(const CoxFit& fit, const at::Tensor& x_in) {
  const auto x = checked_matrix(x_in, {});
  const int64_t p = fit.coef.size(0);
  if (x.size(1) != p)
    throw ShapeError("the model has " + std::to_string(p) + " columns; X has " + std::to_string(x.size(1)));
  auto out = at::empty({x.size(0)}, at::kDouble);
  const double *value = x.const_data_ptr<double>(), *coef = fit.coef.const_data_ptr<double>(),
               *mean = fit.mean.const_data_ptr<double>();
  for (int64_t i = 0; i < x.size(0); ++i) {
    double sum = 0;  // the difference first: offsets of 1e9 would eat the digits of a sum
    for (int64_t j = 0; j < p; ++j) sum += (value[i * p + j] - mean[j]) * coef[j];
    out.data_ptr<double>()[i] = sum;
  }
  return out;
}

at::Tensor cox_cumulative_hazard(const CoxFit& fit, const at::Tensor& predictor_in, const at::Tensor& times_in,
                                 const std::optional<at::Tensor>& strata_in) {
  const auto predictor_tensor = checked_vector(predictor_in, -1, "linear_predictor");
  const auto predictor = span_of(predictor_tensor);
  const int64_t n = static_cast<int64_t>(predictor.size());
  const auto times_tensor = checked_vector(times_in, -1, "times");
  const auto times = span_of(times_tensor);
  const auto strata = whole_numbers(strata_in, n);
  const auto known = span_of(fit.baseline_times), log_hazard = span_of(fit.baseline_log_hazard);
  const int64_t* stratum = fit.baseline_stratum.const_data_ptr<int64_t>();
  const int64_t* stratum_end = stratum + fit.baseline_stratum.numel();
  auto out = at::empty({n, static_cast<int64_t>(times.size())}, at::kDouble);
  double* value = out.data_ptr<double>();
  for (int64_t i = 0; i < n; ++i) {
    const int64_t wanted = strata.empty() ? stratum[0] : strata[i];
    const auto [first, last] = std::equal_range(stratum, stratum_end, wanted);
    if (first == last) throw InvalidArgument("stratum " + std::to_string(wanted) + " was not in the training data");
    const auto begin = known.begin() + (first - stratum), end = known.begin() + (last - stratum);
    for (double t : times) {
      const auto after = std::upper_bound(begin, end, t);
      *value++ = t > *(end - 1)   ? std::numeric_limits<double>::quiet_NaN()
                 : after == begin ? 0.0
                                  : std::exp(log_hazard[static_cast<size_t>(after - known.begin() - 1)] + predictor[i]);
    }
  }
  return out;
}

}  // namespace vesalius::outcome
