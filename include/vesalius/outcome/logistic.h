// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include <ATen/core/Tensor.h>

#include <vesalius/outcome/elastic_net.h>

/// Logistic regression, plain and with elastic net.
///
/// Minimised is  (1/Σw) Σ w_i [ log(1 + exp(η_i)) − y_i η_i ] + penalty,  η = intercept + x·coef; the intercept is
/// never penalised. All tensors on the CPU; anything is turned into float64.
namespace vesalius::outcome {

struct LogisticOptions : FitOptions {
  bool fit_intercept = true;
};

struct LogisticFit {
  at::Tensor coef;  ///< float64 [p]
  double intercept = 0;
  at::Tensor covariance;  ///< float64 [p+1, p+1], the intercept first ([p, p] without one); undefined with a penalty
  double log_likelihood = 0;       ///< Σ w log-likelihood
  double log_likelihood_null = 0;  ///< of the intercept alone
  int64_t iterations = 0;
};

/// @param x [n, p]  @param y [n] of 0 and 1  @param weights [n] ≥ 0, or nothing for ones
/// @throws InvalidArgument one class only, constant or linearly dependent columns without a penalty, n ≤ p without a
///   penalty, values that are not finite   @throws ShapeError
/// @throws ConvergenceError the classes are separated (no finite estimate exists), or too few iterations
VESALIUS_API LogisticFit fit_logistic(const at::Tensor& x, const at::Tensor& y, const LogisticOptions& options = {},
                                      const std::optional<at::Tensor>& weights = std::nullopt);

struct LogisticPath {
  at::Tensor alphas;          ///< float64 [k], descending
  at::Tensor coef;            ///< float64 [k, p]
  at::Tensor intercept;       ///< float64 [k]
  at::Tensor deviance_ratio;  ///< float64 [k], 1 − deviance / null deviance
};

/// Fits at each of `alphas` (made if not given: `count` from the smallest that leaves no coefficient, equally spaced in
/// the logarithm, down to `min_ratio` of it), each starting from the one before. As glmnet does, the path is not
/// followed further once 99.9 % of the deviance is explained: the last solution is repeated.
VESALIUS_API LogisticPath logistic_path(const at::Tensor& x, const at::Tensor& y, const LogisticOptions& options,
                                        const std::optional<at::Tensor>& alphas = std::nullopt, int64_t count = 50,
                                        double min_ratio = 1e-3,
                                        const std::optional<at::Tensor>& weights = std::nullopt);

/// Mean deviance of the observations left out, float64 [folds, alphas]; `fold` [n] numbers each observation's fold from 0.
VESALIUS_API at::Tensor logistic_cross_validation(const at::Tensor& x, const at::Tensor& y, const at::Tensor& fold,
                                                  const at::Tensor& alphas, const LogisticOptions& options,
                                                  const std::optional<at::Tensor>& weights = std::nullopt);

}  // namespace vesalius::outcome
