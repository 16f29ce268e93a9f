// SPDX-License-Identifier: Apache-2.0
#include <vesalius/outcome/cox.h>

#include <cmath>
#include <limits>

#include <ATen/ops/empty.h>

#include <vesalius/core/error.h>

#include "outcome/cox_model.h"

namespace vesalius::outcome {

void solve_into(CoxModel& model, const Standardised& columns, const CoxOptions& options, std::vector<double>& b,
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
  auto result = solve_cox(model, b, options);
  fit.iterations = result.iterations;
  fit.score_test = result.score * model.total();
  if (result.end != CoxNewton::End::converged) throw_cox(result, options);
  for (int64_t i = 0; i < p; ++i)
    for (int64_t j = 0; j < p; ++j) result.inverse[i * p + j] /= model.total() * columns.scale[i] * columns.scale[j];
  fit.covariance = tensor_of(result.inverse, p, p);
}

CoxFit fit_cox(const at::Tensor& x_in, const CoxOutcome& outcome, const CoxOptions& options) {
  check_options(options);
  const auto x = checked_matrix(x_in, options.names);
  const auto data = checked_outcome(outcome, x.size(0), options);
  const CoxProblem problem(x, data, options);
  if (options.penalty.alpha == 0) check_estimable(problem.columns, x.size(0), 0, options);
  CoxModel model(problem);
  CoxFit fit;
  std::vector<double> b(static_cast<size_t>(x.size(1)), 0.0);
  if (options.firth) {
    solve_firth(problem, options, b, fit);
    model.value(b);
  } else {
    fit.log_likelihood_null = -model.total() * model.value(b);
    solve_into(model, problem.columns, options, b, fit);
    fit.log_likelihood = -model.total() * model.value(b);
  }
  std::vector<double> increments, correction;
  problem.partial().increments(increments, correction);
  cox_baseline(problem, data, increments, problem.partial().shift(), fit);
  finish_coefficients(problem.columns, b, fit);
  return fit;
}

CoxFit fit_cox(const at::Tensor& x, const at::Tensor& time, const at::Tensor& event, const CoxOptions& options,
               const std::optional<at::Tensor>& weights, const std::optional<at::Tensor>& strata) {
  return fit_cox(x, CoxOutcome{time, event, std::nullopt, weights, strata, std::nullopt}, options);
}

}  // namespace vesalius::outcome
