// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include <vesalius/core/export.h>
#include <vesalius/outcome/dynamic_auc.h>

/// Brier's score of predicted risks by a time, with censoring.
namespace vesalius::outcome {

/// How scores at times become one number.
enum class Integration {
  trapezoid,  ///< over [t_1, t_k], divided by t_k − t_1: scikit-survival
  steps,  ///< over [0, t_k], each score holding until the next time and 0 before the first, divided by t_k: riskRegression
};

struct BrierCurve {
  at::Tensor brier, standard_error;          ///< float64 [k]; NaN where `reason` says why
  at::Tensor null;                           ///< of Kaplan-Meier's (Aalen-Johansen's) risk for everyone
  at::Tensor scaled, scaled_standard_error;  ///< 1 − brier / null (index of prediction accuracy)
  std::vector<std::string> reason;           ///< [k]
  double integrated = 0, integrated_standard_error = 0, integrated_null = 0;  ///< over the times that have a score
  double integrated_scaled = 0, integrated_scaled_standard_error = 0;
  at::Tensor influence;  ///< float64 [k, n] if kept
};

/// Graf's score (1999, doi 10.1002/(SICI)1097-0258(19990915/30)18:17/18<2529::AID-SIM274>3.0.CO;2-5), with competing events
/// Schoop 2011 (doi 10.1002/bimj.201000073): the mean of weighted squares of (event by t) − risk. O(n) a time after one sort.
/// @param status [n]: 0, 1, 2 as above  @param predicted [n, k] probability of the event by each of `times` [k], ascending; or
///   with `survival` that of none by then
VESALIUS_API BrierCurve brier_curve(const at::Tensor& time, const at::Tensor& status, const at::Tensor& predicted,
                                    const at::Tensor& times, const TimeOptions& options = {},
                                    Integration integration = Integration::trapezoid, bool survival = false,
                                    const std::optional<at::Tensor>& weights = std::nullopt);

}  // namespace vesalius::outcome
