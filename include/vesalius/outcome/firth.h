// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include <vesalius/core/export.h>

/// Logistic regression with Firth's correction: finite with separated classes, less biased in small samples.
///
/// Maximised is  log L(b) + ½ log det XᵀWX,  W = diag(w π (1 − π)) (Firth 1993, doi 10.1093/biomet/80.1.27; Heinze, Schemper 2002,
/// doi 10.1002/sim.1047). Weights count subjects.
namespace vesalius::outcome {

struct FirthOptions {
  bool fit_intercept = true;
  int64_t max_iterations = 200;
  double tolerance = 1e-10;  ///< largest modified score on standardised columns, over Σw
  double confidence = 0.95;
  bool profile = true;  ///< limits and p-values from the profile of the penalised likelihood (dearer), else none
  std::vector<std::string> names;
};

struct FirthFit {
  at::Tensor coef;  ///< float64 [p]
  double intercept = 0;
  at::Tensor covariance;  ///< float64 [p+1, p+1] ([p, p] without an intercept), (XᵀWX)⁻¹
  at::Tensor lower,
      upper;  ///< float64 [p+1]: where twice the penalised likelihood falls by χ²₁'s quantile; undefined without profile
  at::Tensor chi_squared;          ///< float64 [p+1]: penalised likelihood ratio of coefficient = 0
  double log_likelihood = 0;       ///< penalised
  double log_likelihood_null = 0;  ///< penalised, all columns in the determinant, their coefficients 0
  int64_t iterations = 0;
};

/// @param y [n] of 0 and 1
VESALIUS_API FirthFit fit_firth_logistic(const at::Tensor& x, const at::Tensor& y, const FirthOptions& options = {},
                                         const std::optional<at::Tensor>& weights = std::nullopt);

}  // namespace vesalius::outcome
