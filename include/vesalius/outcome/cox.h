// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include <ATen/core/Tensor.h>

#include <vesalius/outcome/elastic_net.h>

/// Cox's proportional hazards, plain and with elastic net.
///
/// Minimised is  −(1/Σw) · log partial likelihood + penalty.  The linear predictor is (x − mean)·coef, with the means of
/// the columns in the training data: curves come from its logarithmic cumulative hazard, so that no size or offset of
/// a column can overflow them. Computed on the CPU in float64: tensors of another device or type are copied.
namespace vesalius::outcome {

/// How subjects with events at one time are ordered: Efron 1977 (doi 10.1080/01621459.1977.10480613), Breslow 1974, or
/// Cox's discrete model, the exact conditional likelihood of which of those at risk had the events (R's "exact").
enum class Ties { efron, breslow, exact };

/// What happened to each of n subjects, or in each of n intervals (entry, time] of start–stop data.
struct CoxOutcome {
  at::Tensor time;                    ///< [n] ≥ 0
  at::Tensor event;                   ///< [n] of 0 and 1
  std::optional<at::Tensor> entry;    ///< [n] < time: at risk from just after this (left truncation)
  std::optional<at::Tensor> weights;  ///< [n] ≥ 0; not with exact ties
  std::optional<at::Tensor> strata;   ///< [n] of whole numbers: a baseline for each
  std::optional<at::Tensor> offset;   ///< [n], added to the linear predictor with coefficient 1
};

struct CoxOptions : FitOptions {
  Ties ties = Ties::efron;
  bool score_test = true;  ///< needs a Hessian at 0, a third of the work of a large fit
  /// Jeffreys' prior as penalty, ½ log det of the information (Firth 1993, doi 10.1093/biomet/80.1.27; Heinze, Schemper
  /// 2001, doi 10.1111/j.0006-341X.2001.00114.x): finite estimates also under separation. Not with exact ties.
  bool firth = false;
};

struct CoxFit {
  at::Tensor coef;        ///< float64 [p]
  at::Tensor mean;        ///< float64 [p], of the columns (weighted): the centre
  at::Tensor covariance;  ///< float64 [p, p]; undefined with a penalty
  double log_likelihood = 0, log_likelihood_null = 0;
  double score_test = 0;  ///< Rao's, of all coefficients at 0; NaN with a penalty or where not asked for
  int64_t iterations = 0;
  /// The baseline at the centre, for each stratum its observed times ascending, strata one after another.
  at::Tensor baseline_stratum;     ///< int64 [k]
  at::Tensor baseline_times;       ///< float64 [k]
  at::Tensor baseline_log_hazard;  ///< float64 [k], log of the cumulative hazard; −∞ before the first event
};

/// @param x [n, p]
/// @throws InvalidArgument no events; without a penalty constant or linearly dependent columns or n ≤ p; not finite
/// @throws ShapeError  @throws ConvergenceError the partial likelihood is monotone (no finite estimate), or too few iterations
VESALIUS_API CoxFit fit_cox(const at::Tensor& x, const CoxOutcome& outcome, const CoxOptions& options = {});
VESALIUS_API CoxFit fit_cox(const at::Tensor& x, const at::Tensor& time, const at::Tensor& event,
                            const CoxOptions& options = {}, const std::optional<at::Tensor>& weights = std::nullopt,
                            const std::optional<at::Tensor>& strata = std::nullopt);

/// Where the penalised likelihood of a Firth fit, maximised over the other coefficients, has dropped by `drop` (half the
/// quantile of chi-squared with one degree of freedom): float64 [p, 2].
VESALIUS_API at::Tensor cox_firth_intervals(const CoxFit& fit, const at::Tensor& x, const CoxOutcome& outcome,
                                            const CoxOptions& options, double drop);

/// Linear predictors [n] of x [n, p].
VESALIUS_API at::Tensor predict_cox(const CoxFit& fit, const at::Tensor& x);

/// Cumulative hazards float64 [n, times] at linear predictors [n]; NaN after the last time observed in the stratum.
VESALIUS_API at::Tensor cox_cumulative_hazard(const CoxFit& fit, const at::Tensor& linear_predictor,
                                              const at::Tensor& times,
                                              const std::optional<at::Tensor>& strata = std::nullopt);

}  // namespace vesalius::outcome
