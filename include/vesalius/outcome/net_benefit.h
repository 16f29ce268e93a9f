// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include <vesalius/outcome/dynamic_auc.h>

namespace vesalius::outcome {

/// Decision curves with censoring.
struct NetBenefit {
  at::Tensor value, standard_error;            ///< float64 [k], per subject
  at::Tensor true_positives, false_positives;  ///< float64 [k], shares of all subjects
  std::vector<std::string> reason;             ///< [k]
  at::Tensor influence;                        ///< float64 [k, n] if kept
};

/// Net benefit of treating those with risk ≥ threshold: true positives − false positives · threshold / (1 − threshold), as shares of
/// all (Vickers and Elkin 2006); the events among them by time t from Kaplan-Meier (with competing events Aalen-Johansen) among them
/// (Vickers 2008, doi 10.1186/1472-6947-8-53). O(n) a threshold.
/// @param status [n]: 0, 1, 2 as in dynamic_auc.h  @param risk [n]  @param thresholds [k] in [0, 1)
VESALIUS_API NetBenefit net_benefit(const at::Tensor& time, const at::Tensor& status, const at::Tensor& risk, double t,
                                    const at::Tensor& thresholds, bool keep_influence = false,
                                    const std::optional<at::Tensor>& weights = std::nullopt);

}  // namespace vesalius::outcome
