// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <vector>

#include <ATen/core/Tensor.h>

#include <vesalius/outcome/cox.h>
#include <vesalius/outcome/detail/cox_kernel.h>

#include "outcome/common.h"

/// What the fits, paths and residuals of the Cox family share.
namespace vesalius::outcome {

/// A checked outcome; vectors not given are empty, but for the weights.
struct CoxData {
  std::vector<double> time, entry, weights, offset;
  std::vector<char> event;
  std::vector<int64_t> strata;
  int64_t size() const { return static_cast<int64_t>(time.size()); }
};
CoxData checked_outcome(const CoxOutcome& outcome, int64_t n, const CoxOptions& options);

/// Standardised columns in sorted order, weights and the likelihood on them.
struct CoxProblem {
  CoxProblem(const at::Tensor& x, const CoxData& data, const CoxOptions& options);
  CoxProblem(const CoxProblem&) = delete;
  CoxProblem& operator=(const CoxProblem&) = delete;

  detail::RiskOrder order;
  Standardised columns;
  std::vector<double> weights, observed, offset;  ///< sorted; observed = weight of the event; offset may be empty
  std::unique_ptr<detail::RiskModel> likelihood;
  double total = 0;  ///< Σw
  /// The likelihood as what the baseline and residuals need (Breslow's increments with exact ties).
  const detail::PartialLikelihood& partial() const;
};

/// Minus the log partial likelihood over Σw, for the solvers (see elastic_net_kernel.h, newton_kernel.h).
class CoxModel {
 public:
  explicit CoxModel(const CoxProblem& problem)
      : problem_(problem), eta_(problem.weights.size()), residual_(problem.weights.size()) {}

  int64_t size() const { return problem_.columns.x.size(1); }
  int64_t rows() const { return problem_.columns.x.size(0); }
  double total() const { return problem_.total; }
  double value(const std::vector<double>& b);
  void gradient(std::vector<double>& g);
  void hessian(const std::vector<int64_t>& set, std::vector<double>& h);
  bool diverges(const std::vector<double>& step);
  double reach(const std::vector<double>& step);  ///< largest change of a linear predictor
  double spread() const;                          ///< of the linear predictors of the last value
  const std::vector<double>& eta() const { return eta_; }

 private:
  const CoxProblem& problem_;
  std::vector<double> eta_, residual_;
};

/// Newton's method with factors that are kept while they serve and corrected by secants (L-BFGS): for many columns a
/// Hessian costs as much as hundreds of gradients.
struct CoxNewton {
  enum class End { converged, dependent, diverging, exhausted } end = End::exhausted;
  int64_t column = -1, iterations = 0;
  double score = 0;             ///< gᵀH⁻¹g at the start
  std::vector<double> inverse;  ///< of the Hessian at the minimum
};
CoxNewton solve_cox(CoxModel& model, std::vector<double>& b, const CoxOptions& options);

/// a = L Lᵀ into the lower triangle; −1, or a column that depends on those before it. LAPACK's where it is worth it.
int64_t factorise(std::vector<double>& a, int64_t n, double tolerance);
std::vector<double> inverse_of_factor(const std::vector<double>& l, int64_t n);

[[noreturn]] void throw_cox(const CoxNewton& result, const CoxOptions& options);

/// Newton or, with a penalty, proximal Newton from b to the minimum; fills covariance, score test and iterations.
void solve_into(CoxModel& model, const Standardised& columns, const CoxOptions& options, std::vector<double>& b,
                CoxFit& fit);
/// The same with Firth's penalty.
void solve_firth(const CoxProblem& problem, const CoxOptions& options, std::vector<double>& b, CoxFit& fit);
/// Baseline at the centre of the columns from its increments times exp(−shift), at the last evaluation.
void cox_baseline(const CoxProblem& problem, const CoxData& data, const std::vector<double>& increments, double shift,
                  CoxFit& fit);
/// Coefficients of standardised columns as those of the columns as they came.
void finish_coefficients(const Standardised& columns, const std::vector<double>& b, CoxFit& fit);

}  // namespace vesalius::outcome
