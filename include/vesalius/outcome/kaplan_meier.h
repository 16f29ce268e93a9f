// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <utility>

#include <ATen/core/Tensor.h>

#include <vesalius/core/export.h>

/// Survival without a model: Kaplan-Meier's curve and the log-rank tests.
namespace vesalius::outcome {

/// How the interval around the curve is built: S ± z·se, or so in log S, or in log(−log S), which stays inside 0 to 1.
enum class CurveInterval { plain, log, log_log };

/// One row for each time observed, ascending.
struct SurvivalCurve {
  at::Tensor time, at_risk, events, censored;  ///< float64 [k]; weighted counts
  at::Tensor survival, standard_error;         ///< Kaplan-Meier 1958, Greenwood 1926
  at::Tensor lower, upper;                     ///< NaN where the curve is 0
  at::Tensor cumulative_hazard;                ///< Nelson-Aalen
};

/// @param time [n] ≥ 0  @param event [n] of 0 and 1
VESALIUS_API SurvivalCurve kaplan_meier(const at::Tensor& time, const at::Tensor& event, double confidence = 0.95,
                                        CurveInterval interval = CurveInterval::log,
                                        const std::optional<at::Tensor>& weights = std::nullopt);

/// First time at which `curve` [k] falls to 1 − p or below; where it is 1 − p exactly for a while, the middle of that while (as
/// R's quantile.survfit does). NaN if it never falls below, also where it ends on 1 − p.
VESALIUS_API double curve_quantile(const at::Tensor& time, const at::Tensor& curve, double p);

struct LogRank {
  double chi_squared = 0, p = 0;
  int64_t degrees_of_freedom = 0;
  at::Tensor groups;              ///< int64 [k], ascending
  at::Tensor observed, expected;  ///< float64 [k], weighted as the test is
};

/// Log-rank test of `group` [n] of whole numbers; each event time counts S(t−)^rho, S of all together (Harrington, Fleming 1982,
/// doi 10.1093/biomet/69.3.553): rho = 0 is the log-rank, rho = 1 Peto-Peto's. With strata the sums are within them.
VESALIUS_API LogRank log_rank(const at::Tensor& time, const at::Tensor& event, const at::Tensor& group, double rho = 0,
                              const std::optional<at::Tensor>& strata = std::nullopt);

}  // namespace vesalius::outcome
