// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include <ATen/core/Tensor.h>

#include <vesalius/outcome/cox.h>

namespace vesalius::outcome {

/// Elastic-net fits over a sequence of strengths.
struct CoxPath {
  at::Tensor alphas;          ///< float64 [k], descending
  at::Tensor coef;            ///< float64 [k, p], for the columns as they came
  at::Tensor mean;            ///< float64 [p], the columns' means
  at::Tensor deviance_ratio;  ///< float64 [k], 1 − deviance / null deviance, of the saturated model as glmnet has it
  int64_t rounds = 0;         ///< how often all the gradients were taken
};

/// Fits at each of `alphas` (made if not given: `count` from the smallest that leaves no coefficient, equally spaced in the
/// logarithm, down to `min_ratio` of it). Alphas that are made stop early where the share of the deviance grew by less than a
/// thousandth of itself over four steps, or is above 0.99: glmnet's rule for Cox.
///
/// Every solution fulfils its optimality conditions to options.tolerance. With more subjects than columns several
/// solutions are refined together: one product of matrices gives the gradients of all.
VESALIUS_API CoxPath cox_path(const at::Tensor& x, const CoxOutcome& outcome, const CoxOptions& options,
                              const std::optional<at::Tensor>& alphas = std::nullopt, int64_t count = 100,
                              double min_ratio = 1e-4);

/// Log partial likelihoods float64 [k] of `coef` [k, p] on these data.
VESALIUS_API at::Tensor cox_log_likelihoods(const at::Tensor& x, const CoxOutcome& outcome, const CoxOptions& options,
                                            const at::Tensor& coef);

}  // namespace vesalius::outcome
