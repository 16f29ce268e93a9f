// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include <vesalius/core/export.h>

/// Linear growth curves: a score over visits, each subject with an intercept (and slope) of its own (Laird, Ware 1982).
///
///   y_ij = x_ij·β + z_ij·b_i + e_ij,  b_i ~ N(0, D), e_ij ~ N(0, σ²),  z = 1 or (1, time).
/// Fitted by restricted or plain maximum likelihood, the criterion profiled over β and σ² (Bates, Mächler, Bolker, Walker 2015,
/// doi 10.18637/jss.v067.i01). One pass over the subjects for each evaluation: linear in visits.
namespace vesalius::outcome {

struct GrowthOptions {
  bool slope = true;       ///< a random slope in time, else an intercept only
  bool restricted = true;  ///< REML
  int64_t max_iterations = 500;
  double tolerance = 1e-8;         ///< of the criterion's gradient, over the number of visits
  std::vector<std::string> names;  ///< of the columns
};

struct GrowthFit {
  at::Tensor coef;            ///< float64 [p + 1], the intercept first
  at::Tensor covariance;      ///< float64 [p + 1, p + 1], of coef
  at::Tensor random;          ///< float64 [q, q], D
  double sigma = 0;           ///< √ of the residual variance
  double log_likelihood = 0;  ///< restricted or not
  bool singular = false;      ///< D has no full rank: the data show no such variation between subjects
  int64_t iterations = 0;
  // For each subject, in the order of `subjects`: what predictions need.
  at::Tensor subjects;     ///< int64 [m], the labels ascending
  at::Tensor effects;      ///< float64 [m, q], b̂ (best linear unbiased prediction)
  at::Tensor uncertainty;  ///< float64 [m, q, q], var(b̂ − b) given β
  at::Tensor leverage;     ///< float64 [m, q, p + 1], how b̂ answers to β
};

/// @param x [n, p] columns without an intercept, that of `time` among them if its mean slope is wanted  @param time [n]
/// @param subject [n] of whole numbers
/// @throws InvalidArgument one visit each (or as many random effects as visits); constant or dependent columns
VESALIUS_API GrowthFit fit_growth(const at::Tensor& x, const at::Tensor& y, const at::Tensor& time,
                                  const at::Tensor& subject, const GrowthOptions& options = {});

struct GrowthPrediction {
  at::Tensor value;           ///< float64 [n]
  at::Tensor standard_error;  ///< float64 [n], of the subject's curve there; add σ² for a measurement
};

/// @param subject [n]: labels seen in training get their own curve, others (or none) the population's, with D in the error
VESALIUS_API GrowthPrediction predict_growth(const GrowthFit& fit, const at::Tensor& x, const at::Tensor& time,
                                             const std::optional<at::Tensor>& subject = std::nullopt);

}  // namespace vesalius::outcome
