// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include <ATen/core/Tensor.h>

#include "outcome/cox_model.h"

namespace vesalius::outcome {

/// Gradients of minus the mean log partial likelihood (Breslow's or Efron's) at many coefficients in two passes over the
/// columns: eight linear predictors lie side by side and are walked through the risk sets together.
class CoxLanes {
 public:
  static constexpr int64_t kWidth = 8;
  /// @param slope xᵀ observed [p]
  CoxLanes(CoxProblem& problem, std::vector<double> slope);

  /// How many coefficients are worth taking at once.
  int64_t width() const { return width_; }
  /// g[k] at b[k]
  void gradients(const std::vector<const std::vector<double>*>& b, const std::vector<std::vector<double>*>& g);
  /// Log partial likelihoods at the last b.
  std::vector<double> log_likelihoods();

 private:
  void one_by_one(double* risk, int64_t count);

  CoxProblem& problem_;
  int64_t n_, p_, width_, terms_ = 0, used_ = 0;
  std::vector<double> slope_, term_weight_, linear_, shift_, fallback_;
  std::vector<int64_t> support_, odd_;      ///< odd_: terms that count otherwise than once
  at::Tensor eta_, sums_, hazard_, b_, g_;  ///< [sets, n, 8], [sets, terms, 8], [2, groups, 8], [sets, p, 8] twice
};

}  // namespace vesalius::outcome
