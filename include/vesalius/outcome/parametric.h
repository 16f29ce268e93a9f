// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include <vesalius/core/export.h>

/// Parametric survival models, by maximum likelihood, with any censoring and left truncation.
///
/// Each is  S(t | x) = S₀(z),  z an increasing function of log t, S₀ a fixed distribution (µ = intercept + x·coef):
///   accelerated failure time  z = (log t − µ)/σ;  S₀ = exp(−eᶻ): exponential (σ = 1), weibull;  1/(1 + eᶻ): log_logistic;
///     Φ(−z): log_normal;  generalised_gamma with a shape Q (Prentice 1974): Q = 1 is weibull, Q = 0 log_normal
///   gompertz       hazard exp(µ + a t), proportional hazards
///   spline_hazard  log H(t) = s(log t) + x·coef;  spline_odds  log odds of death;  spline_normal  −Φ⁻¹(S):
///     s a natural cubic spline (Royston, Parmar 2002, doi 10.1002/sim.1203)
/// A positive coefficient lengthens life in the accelerated failure time models and shortens it in the others.
namespace vesalius::outcome {

enum class SurvivalFamily {
  exponential,
  weibull,
  log_normal,
  log_logistic,
  generalised_gamma,
  gompertz,
  spline_hazard,
  spline_odds,
  spline_normal
};

struct ParametricOptions {
  SurvivalFamily family = SurvivalFamily::weibull;
  /// Of a spline, the inner ones, in log t, ascending; none: `inner_knots` quantiles of the uncensored log times.
  std::vector<double> knots;
  int64_t inner_knots = 1;
  int64_t max_iterations = 200;
  std::vector<std::string> names;  ///< of the columns, for messages
};

/// Parameters in this order: intercept, log σ of each stratum (scale), shape; or intercept (log rate), shape a; or the spline's
/// γ₀ (constant), γ₁ (log t), γ₂ … (its basis functions); then the coefficients.
struct ParametricFit {
  SurvivalFamily family = SurvivalFamily::weibull;
  at::Tensor coef;        ///< float64 [p]
  at::Tensor mean;        ///< float64 [p], of the columns; predictions are made from there
  at::Tensor ancillary;   ///< float64 [q], at x = mean; the first is the intercept
  at::Tensor parameters;  ///< float64 [q + p], at x = 0
  at::Tensor covariance;  ///< float64 [q + p, q + p], of `parameters`
  at::Tensor knots;       ///< float64, boundary knots included, in log t; empty but for splines
  int64_t strata = 1;
  double log_likelihood = 0;
  int64_t iterations = 0;
};

/// @param x [n, p], or undefined or without columns for none
/// @param lower, upper [n]: the event is in (lower, upper]; lower = upper an event seen, upper = ∞ censored on the right, lower = 0
///   on the left
/// @param entry [n] ≥ 0: left truncation  @param strata [n] of 0 … s − 1: a scale of its own for each (accelerated failure time)
/// @throws InvalidArgument all censored on the right; times that are not positive; constant or dependent columns; n ≤ p
/// @throws ConvergenceError no finite estimate, or too few iterations
VESALIUS_API ParametricFit fit_parametric(const at::Tensor& x, const at::Tensor& lower, const at::Tensor& upper,
                                          const ParametricOptions& options = {},
                                          const std::optional<at::Tensor>& weights = std::nullopt,
                                          const std::optional<at::Tensor>& entry = std::nullopt,
                                          const std::optional<at::Tensor>& strata = std::nullopt);

/// x·coef less its value at the means, [n].
VESALIUS_API at::Tensor parametric_linear_predictor(const ParametricFit& fit, const at::Tensor& x);

/// log S(t), float64 [n, times], at centred linear predictors [n]; 0 at t = 0.
VESALIUS_API at::Tensor parametric_log_survival(const ParametricFit& fit, const at::Tensor& linear_predictor,
                                                const at::Tensor& times,
                                                const std::optional<at::Tensor>& strata = std::nullopt);
/// Hazard, [n, times].
VESALIUS_API at::Tensor parametric_hazard(const ParametricFit& fit, const at::Tensor& linear_predictor,
                                          const at::Tensor& times,
                                          const std::optional<at::Tensor>& strata = std::nullopt);
/// The times by which a share p has had the event, [n, shares]; ∞ where that never happens (Gompertz with a < 0).
VESALIUS_API at::Tensor parametric_quantile(const ParametricFit& fit, const at::Tensor& linear_predictor,
                                            const at::Tensor& shares,
                                            const std::optional<at::Tensor>& strata = std::nullopt);

}  // namespace vesalius::outcome
