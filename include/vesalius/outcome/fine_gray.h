// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include <ATen/core/Tensor.h>

#include <vesalius/outcome/cox.h>

namespace vesalius::outcome {

/// Proportional subdistribution hazards for one of several competing events (Fine, Gray 1999, doi
/// 10.1080/01621459.1999.10474144), in O(n p²): those with a competing event stay at risk with weight G(t−)/G(T−), G the
/// Kaplan-Meier curve of censoring. Ties by Breslow, as cmprsk::crr.
///
/// Weights count in G too, as repeated rows would; each stratum has a baseline and a G of its own (Zhou et al. 2011, doi
/// 10.1111/j.1541-0420.2010.01493.x). With left truncation weights are those of Geskus 2011 (doi 10.1111/j.1541-0420.2010.01420.x).
///
/// The covariance is their sandwich, which counts that G is estimated (with left truncation the weights count as known); `score_test` is NaN. predict_cox and
/// cox_cumulative_hazard serve: the cumulative incidence is 1 − exp(−cumulative hazard).
/// @param entry [n] < time  @param weights [n] ≥ 0  @param strata [n] of whole numbers
/// @param time [n] ≥ 0  @param cause int-valued [n]: 0 censored, 1 the event of interest, 2 any other
/// @throws as fit_cox
VESALIUS_API CoxFit fit_fine_gray(const at::Tensor& x, const at::Tensor& time, const at::Tensor& cause,
                                  const CoxOptions& options = {}, const std::optional<at::Tensor>& entry = std::nullopt,
                                  const std::optional<at::Tensor>& weights = std::nullopt,
                                  const std::optional<at::Tensor>& strata = std::nullopt);

}  // namespace vesalius::outcome
