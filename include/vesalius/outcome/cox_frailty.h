// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include <ATen/core/Tensor.h>

#include <vesalius/outcome/cox.h>

namespace vesalius::outcome {

/// A Cox fit in which subjects of one cluster (centre, family, patient with several lesions) share a factor of their hazard.
struct CoxFrailty {
  /// Of a cluster with frailty 1. The covariance counts that frailties are estimated (not that their variance is);
  /// log_likelihood is the marginal one, log_likelihood_null that of no columns and no frailty; no score test.
  CoxFit fit;
  double variance = 0;                ///< θ, of the frailties; their mean is 1
  double log_likelihood_without = 0;  ///< with the columns, without frailty: θ = 0
  at::Tensor frailty;                 ///< float64 [clusters], what is expected of each given its data
};

/// Gamma frailty by penalised likelihood: for a given θ the partial likelihood less (1/θ) Σ (exp ω − ω) is maximised over
/// coefficients and log frailties ω, which is where EM ends; θ maximises the marginal likelihood that comes with it
/// (Therneau, Grambsch, Pankratz 2003, doi 10.1198/1061860031365; R's coxph with frailty()). O(n p) a step of conjugate gradients.
/// @param cluster int64 [n], 0 … clusters − 1
/// @param variance θ, where it is known
/// @throws as fit_cox  @throws NotSupported exact ties, Firth, a penalty
VESALIUS_API CoxFrailty fit_cox_frailty(const at::Tensor& x, const CoxOutcome& outcome, const at::Tensor& cluster,
                                        const CoxOptions& options = {}, std::optional<double> variance = std::nullopt);

}  // namespace vesalius::outcome
