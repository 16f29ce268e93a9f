// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include <ATen/core/Tensor.h>

#include <vesalius/core/export.h>

/// The area under the receiver operating characteristic and its covariance.
namespace vesalius::outcome {

struct RocAuc {
  at::Tensor auc;         ///< float64 [models]
  at::Tensor covariance;  ///< float64 [models, models], DeLong's
  int64_t positives = 0, negatives = 0;
};

/// AUC of each row of `scores` and DeLong's covariance between them (DeLong, DeLong, Clarke-Pearson 1988,
/// doi 10.2307/2531595), by midranks in O(n log n) (Sun, Xu 2014, doi 10.1109/LSP.2014.2337313).
/// @param y [n] of 0 and 1  @param scores [n] or [models, n], larger for 1. Covariances are NaN with one positive or negative.
VESALIUS_API RocAuc roc_auc(const at::Tensor& y, const at::Tensor& scores);

struct RocCurve {
  at::Tensor false_positive_rate, true_positive_rate;  ///< float64 [k], from (0, 0) to (1, 1)
  at::Tensor thresholds;  ///< float64 [k], descending, infinity first: score ≥ threshold is called positive
};

/// One point for each different score.
VESALIUS_API RocCurve roc_curve(const at::Tensor& y, const at::Tensor& score);

struct AveragePrecision {
  double value = 0, standard_error = 0;  ///< infinitesimal jackknife
  double prevalence = 0;                 ///< what a score that knows nothing has
  int64_t positives = 0, negatives = 0;
};

/// Area under the precision-recall curve as the mean over positives of the precision at their score, equal scores together
/// (scikit-learn's average_precision_score; no interpolation between points). O(n log n). @param weights [n] ≥ 0
VESALIUS_API AveragePrecision average_precision(const at::Tensor& y, const at::Tensor& score,
                                                const std::optional<at::Tensor>& weights = std::nullopt);

}  // namespace vesalius::outcome
