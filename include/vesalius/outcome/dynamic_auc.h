// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include <vesalius/core/export.h>
#include <vesalius/outcome/concordance.h>

/// Discrimination at a time: areas under ROC curves of censored outcomes.
namespace vesalius::outcome {

struct TimeOptions {
  CensoringOptions censoring;
  bool competing_are_controls =
      true;  ///< those with a competing event by t: controls (Blanche 2013's second definition)
  bool standard_error = true;
  bool keep_influence = false;
};

/// Inverse probabilities of censoring for the state at time t, float64 [n]: w / G(t_i−) for events by t, w / G(t) for those followed
/// beyond, 0 for those censored before. @throws InvalidArgument where G is 0 or not known
VESALIUS_API at::Tensor censoring_weights(const at::Tensor& time, const at::Tensor& status, double t,
                                          const CensoringOptions& censoring = {},
                                          const std::optional<at::Tensor>& weights = std::nullopt);

struct AucCurve {
  at::Tensor auc, standard_error;            ///< float64 [k]; NaN where `reason` says why
  at::Tensor cases, controls;                ///< float64 [k]: known ones by weight, without that of censoring
  std::vector<std::string> reason;           ///< [k]
  double mean = 0, mean_standard_error = 0;  ///< over the times, weighted by the fall of Kaplan and Meier's curve
  at::Tensor influence;                      ///< float64 [k, n] if kept: its sum of squares is the variance
};

/// Cumulative cases (event by t) against dynamic controls (event-free at t), weighted by inverse probabilities of censoring
/// (Uno 2007, doi 10.1198/016214507000000149; Hung and Chiang 2010). Standard errors hold the estimation of these (Blanche 2013,
/// doi 10.1002/sim.5958). One sort, then O(n) a time.
/// @param status [n]: 0 censored, 1 the event, 2 a competing event  @param risk [n], or [n, k] at each time
/// @param times [k] ascending
VESALIUS_API AucCurve cumulative_dynamic_auc(const at::Tensor& time, const at::Tensor& status, const at::Tensor& risk,
                                             const at::Tensor& times, const TimeOptions& options = {},
                                             const std::optional<at::Tensor>& weights = std::nullopt);

struct IncidentAuc {
  at::Tensor time, auc, pairs;  ///< float64 at each event time with someone left: the area there, and events there
  at::Tensor smooth, standard_error;  ///< float64 [k] at `times`
  std::vector<std::string> reason;    ///< [k]
};

/// Incident cases (event at t) against those event-free after t (Heagerty and Zheng 2005, doi 10.1111/j.0006-341X.2005.030814.x):
/// at each event the share of those left with lower risk; at `times` the mean over events within the bandwidth, by
/// Epanechnikov's kernel (Saha-Chaudhuri and Heagerty 2013, doi 10.1093/biostatistics/kxs021). No weights of censoring: within
/// those at risk they are equal.
VESALIUS_API IncidentAuc incident_dynamic_auc(const at::Tensor& time, const at::Tensor& event, const at::Tensor& risk,
                                              const at::Tensor& times, double bandwidth,
                                              const std::optional<at::Tensor>& weights = std::nullopt);

}  // namespace vesalius::outcome
