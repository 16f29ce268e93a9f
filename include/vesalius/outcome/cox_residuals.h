// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include <ATen/core/Tensor.h>

#include <vesalius/outcome/cox.h>

/// Residuals of a Cox model on the data it was fitted to, and what is made of them. Not for exact ties.
///
/// Sources: Therneau, Grambsch, Fleming 1990 (doi 10.1093/biomet/77.1.147); Lin, Wei 1989 (doi
/// 10.1080/01621459.1989.10478874); Grambsch, Therneau 1994 (doi 10.1093/biomet/81.3.515).
namespace vesalius::outcome {

/// Events less those expected, float64 [n].
VESALIUS_API at::Tensor cox_martingale(const CoxFit& fit, const at::Tensor& x, const CoxOutcome& outcome,
                                       const CoxOptions& options);

/// Each subject's part of the score, float64 [n, p], in the units of the columns; Σ weight · part = 0 at the estimate.
VESALIUS_API at::Tensor cox_score_residuals(const CoxFit& fit, const at::Tensor& x, const CoxOutcome& outcome,
                                            const CoxOptions& options);

/// For each event its columns less their mean over the risk set.
struct Schoenfeld {
  at::Tensor row;       ///< int64 [events], of the subjects; by stratum, then time
  at::Tensor residual;  ///< float64 [events, p]
};
VESALIUS_API Schoenfeld cox_schoenfeld(const CoxFit& fit, const at::Tensor& x, const CoxOutcome& outcome,
                                       const CoxOptions& options);

/// Score tests that coefficient j is b_j + θ_j g(t): at `rows` (of events, as Schoenfeld's) g is `values`.
struct ProportionalHazardsTest {
  at::Tensor chi_squared;  ///< float64 [p], one degree of freedom each
  double global = 0;       ///< of all together, p degrees of freedom
};
VESALIUS_API ProportionalHazardsTest cox_proportional_hazards(const CoxFit& fit, const at::Tensor& x,
                                                              const CoxOutcome& outcome, const CoxOptions& options,
                                                              const at::Tensor& rows, const at::Tensor& values);

/// Sandwich covariance float64 [p, p]: Σ over clusters of (Σ w·score·V)ᵀ(…); each subject its own cluster if not given.
VESALIUS_API at::Tensor cox_robust_covariance(const CoxFit& fit, const at::Tensor& x, const CoxOutcome& outcome,
                                              const CoxOptions& options,
                                              const std::optional<at::Tensor>& cluster = std::nullopt);

}  // namespace vesalius::outcome
