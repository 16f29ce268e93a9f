// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include <ATen/core/Tensor.h>

#include <vesalius/outcome/elastic_net.h>

/// Linear regression, by least squares or with elastic net.
///
/// Minimised is  (1 / 2Σw) Σ w_i (y_i − b₀ − x_i·b)² + penalty: scikit-learn's ElasticNet with `standardise` off, and R's glmnet.
/// Weights count subjects.
namespace vesalius::outcome {

struct LinearOptions : FitOptions {
  bool fit_intercept = true;
};

struct LinearFit {
  at::Tensor coef;  ///< float64 [p]
  double intercept = 0;
  at::Tensor covariance;  ///< float64 [p+1, p+1], the intercept first ([p, p] without one); undefined with a penalty
  double sigma = 0;       ///< √(Σ w r² / (Σw − p − 1)); with a penalty √(Σ w r² / Σw)
  double degrees_of_freedom = 0;  ///< Σw − p − 1
  double r_squared = 0;           ///< about the mean; about 0 without an intercept
  double log_likelihood = 0;      ///< of the normal distribution, σ² = Σ w r² / Σw
  int64_t iterations = 0;
};

/// @throws InvalidArgument constant or dependent columns or n ≤ p without a penalty; y constant with a penalty path; not finite
VESALIUS_API LinearFit fit_linear(const at::Tensor& x, const at::Tensor& y, const LinearOptions& options = {},
                                  const std::optional<at::Tensor>& weights = std::nullopt);

struct LinearPath {
  at::Tensor alphas;     ///< float64 [k], descending
  at::Tensor coef;       ///< float64 [k, p]
  at::Tensor intercept;  ///< float64 [k]
  at::Tensor r_squared;  ///< float64 [k]
};

/// Fits at each of `alphas` (made if not given, as logistic_path does), each from the one before.
VESALIUS_API LinearPath linear_path(const at::Tensor& x, const at::Tensor& y, const LinearOptions& options,
                                    const std::optional<at::Tensor>& alphas = std::nullopt, int64_t count = 50,
                                    double min_ratio = 1e-3, const std::optional<at::Tensor>& weights = std::nullopt);

}  // namespace vesalius::outcome
