// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <vesalius/core/export.h>

namespace vesalius::outcome {

/// alpha · ( l1_ratio · ‖b‖₁ + ½ (1 − l1_ratio) · ‖b‖₂² ), added to the mean negative log-likelihood: the
/// objective of glmnet, whose lambda is `alpha` here and whose alpha is `l1_ratio`. alpha = 0: no penalty.
struct ElasticNet {
  double alpha = 0;
  double l1_ratio = 0;
};

/// What the regressions share.
struct FitOptions {
  ElasticNet penalty;
  /// The penalty applies to coefficients of columns divided by their standard deviation (1/n), as in glmnet;
  /// coefficients are given back for the columns as they came.
  bool standardise = true;
  int64_t max_iterations = 100;
  double tolerance = 1e-9;         ///< largest violation of an optimality condition, on standardised columns
  std::vector<std::string> names;  ///< of the columns, for messages; may be empty
};

}  // namespace vesalius::outcome
