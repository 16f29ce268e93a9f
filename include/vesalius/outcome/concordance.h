// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include <ATen/core/Tensor.h>

#include <vesalius/core/export.h>

namespace vesalius::outcome {

/// Harrell's concordance of risks with survival times.
///
/// A pair is comparable when the earlier time is an event; at equal times an event comes before a censoring, and two
/// events are not comparable. C = (concordant + tied_risk / 2) / (concordant + discordant + tied_risk).
struct Concordance {
  double value = 0;
  double standard_error = 0;  ///< infinitesimal jackknife, as R's survival::concordance
  double concordant = 0, discordant = 0, tied_risk = 0;
  double tied_time = 0;  ///< two events at one time, different risks
  double tied_both = 0;  ///< two events at one time, equal risks
};

/// In O(n log n). @param risk [n], larger for earlier events  @throws InvalidArgument no comparable pair
VESALIUS_API Concordance concordance_index(const at::Tensor& time, const at::Tensor& event, const at::Tensor& risk,
                                           const std::optional<at::Tensor>& weights = std::nullopt);

}  // namespace vesalius::outcome
