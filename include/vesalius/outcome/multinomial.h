// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include <ATen/core/Tensor.h>

#include <vesalius/outcome/elastic_net.h>

/// Multinomial (softmax) regression, plain or with elastic net.
///
/// P(Y = k) ∝ exp(b₀_k + x·b_k). Minimised is −(1/Σw) · log-likelihood + penalty, the intercepts free. Without a penalty level 0 is the
/// reference, its coefficients 0 (R's nnet::multinom); with one every level has coefficients (R's glmnet), intercepts sum to 0.
namespace vesalius::outcome {

struct MultinomialFit {
  at::Tensor coef;       ///< float64 [levels, p]
  at::Tensor intercept;  ///< float64 [levels]
  at::Tensor
      covariance;  ///< without a penalty: float64 [(levels − 1)(p + 1)]², level by level from 1, the intercept first; else undefined
  double log_likelihood = 0, log_likelihood_null = 0;
  int64_t iterations = 0;
};

/// @param y [n] of levels 0, 1 … m − 1, all of them present
/// @throws InvalidArgument fewer than two levels; without a penalty constant or dependent columns, n ≤ p
/// @throws ConvergenceError the columns separate levels, or too few iterations
VESALIUS_API MultinomialFit fit_multinomial(const at::Tensor& x, const at::Tensor& y, const FitOptions& options = {},
                                            const std::optional<at::Tensor>& weights = std::nullopt);

}  // namespace vesalius::outcome
