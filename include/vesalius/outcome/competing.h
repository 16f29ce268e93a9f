// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include <ATen/core/Tensor.h>

#include <vesalius/core/export.h>
#include <vesalius/outcome/kaplan_meier.h>

/// Competing risks without a model: Aalen and Johansen's cumulative incidence, Gray's test.
namespace vesalius::outcome {

/// One row for each time observed, ascending; one column for each cause.
struct CumulativeIncidence {
  at::Tensor time, at_risk, censored;                  ///< float64 [k]
  at::Tensor events;                                   ///< float64 [k, causes]
  at::Tensor survival;                                 ///< float64 [k], free of every cause
  at::Tensor incidence, standard_error, lower, upper;  ///< float64 [k, causes]
};

/// F_c(t) = Σ S(t_i−) d_ci / n_i. Variance of Aalen with the correction for ties that R's cmprsk uses (Gray 1988):
///   Σ_u S(u−)² c_u/n_u² [ d_cu (1 − (F(t) − F(u))/S(u))² + d_ou ((F(t) − F(u))/S(u))² ],  c = (n − d)/(n − 1).
/// Intervals in F, in log F, or in log(−log F) (Choudhury 2002, doi 10.1002/sim.1014).
/// @param cause [n]: 0 censored, 1 … causes
VESALIUS_API CumulativeIncidence aalen_johansen(const at::Tensor& time, const at::Tensor& cause, int64_t causes,
                                                double confidence = 0.95,
                                                CurveInterval interval = CurveInterval::log_log,
                                                const std::optional<at::Tensor>& weights = std::nullopt,
                                                const std::optional<at::Tensor>& entry = std::nullopt);

struct GrayTest {
  double chi_squared = 0, p = 0;
  int64_t degrees_of_freedom = 0;
  at::Tensor groups;      ///< int64 [k], ascending
  at::Tensor score;       ///< float64 [k − 1], of all groups but the last
  at::Tensor covariance;  ///< float64 [k − 1, k − 1]
};

/// That groups have the same cumulative incidence of `cause_of_interest` (Gray 1988, doi 10.1214/aos/1176350951), weighted
/// (1 − F(t−))^rho; with strata sums within them.  Weights count subjects. Not for left truncation.
VESALIUS_API GrayTest gray_test(const at::Tensor& time, const at::Tensor& cause, const at::Tensor& group,
                                int64_t cause_of_interest = 1, double rho = 0,
                                const std::optional<at::Tensor>& strata = std::nullopt,
                                const std::optional<at::Tensor>& weights = std::nullopt);

}  // namespace vesalius::outcome
