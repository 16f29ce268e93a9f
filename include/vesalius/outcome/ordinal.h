// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include <ATen/core/Tensor.h>

#include <vesalius/outcome/elastic_net.h>

/// Proportional odds: regression of an ordered score (McCullagh 1980), plain or with elastic net.
///
/// log odds of (Y ≤ k) = ζ_k − x·b, ζ ascending; one b for every k. Minimised is −(1/Σw) · log-likelihood + penalty on b.
namespace vesalius::outcome {

struct OrdinalFit {
  at::Tensor coef;        ///< float64 [p]; positive: higher levels
  at::Tensor thresholds;  ///< float64 [levels − 1], ζ at x = 0
  at::Tensor mean;        ///< float64 [p], of the columns
  at::Tensor centred;     ///< float64 [levels − 1], ζ at x = mean
  at::Tensor covariance;  ///< float64 [p + levels − 1]², the coefficients first; undefined with a penalty
  double log_likelihood = 0, log_likelihood_null = 0;
  int64_t iterations = 0;
};

/// @param y [n] of levels 0, 1 … m − 1, all of them present
/// @throws InvalidArgument fewer than two levels; without a penalty constant or dependent columns, n ≤ p
/// @throws ConvergenceError the columns separate the levels, or too few iterations
VESALIUS_API OrdinalFit fit_ordinal(const at::Tensor& x, const at::Tensor& y, const FitOptions& options = {},
                                    const std::optional<at::Tensor>& weights = std::nullopt);

/// Probabilities of the levels, float64 [n, levels].
VESALIUS_API at::Tensor ordinal_probabilities(const at::Tensor& linear_predictor, const at::Tensor& thresholds);

}  // namespace vesalius::outcome
