// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <utility>

#include <ATen/core/Tensor.h>

#include <vesalius/core/export.h>
#include <vesalius/outcome/log_rank.h>

/// Survival without a model: Kaplan and Meier's curve, Nelson and Aalen's cumulative hazard, restricted means.
///
/// Everywhere `weights` [n] ≥ 0 count subjects (weight 2 is the subject twice), and a subject with an `entry` is at risk in
/// (entry, time] (left truncation). O(n log n), memory linear in n.
namespace vesalius::outcome {

/// How the interval around the curve is built: S ± z·se, or so in log S, or in log(−log S), which stays inside 0 to 1.
enum class CurveInterval { plain, log, log_log };

/// One row for each time observed, ascending.
struct SurvivalCurve {
  at::Tensor time, at_risk, events, censored;  ///< float64 [k]; weighted counts
  at::Tensor survival, standard_error;         ///< Kaplan-Meier 1958, Greenwood 1926
  at::Tensor lower, upper;                     ///< NaN where the curve is 0
  at::Tensor cumulative_hazard;                ///< Nelson-Aalen
};

/// @param time [n] ≥ 0  @param event [n] of 0 and 1  @param entry [n] < time
VESALIUS_API SurvivalCurve kaplan_meier(const at::Tensor& time, const at::Tensor& event, double confidence = 0.95,
                                        CurveInterval interval = CurveInterval::log,
                                        const std::optional<at::Tensor>& weights = std::nullopt,
                                        const std::optional<at::Tensor>& entry = std::nullopt);

/// First time at which `curve` [k] falls to 1 − p or below; where it is 1 − p exactly for a while, the middle of that while (as
/// R's quantile.survfit does). NaN if it never falls below, also where it ends on 1 − p.
VESALIUS_API double curve_quantile(const at::Tensor& time, const at::Tensor& curve, double p);

struct HazardCurve {
  at::Tensor time, at_risk, events, censored;  ///< float64 [k]
  at::Tensor cumulative_hazard, standard_error, lower, upper;
};

/// H(t) = Σ d/n with variance Σ d/n² (Nelson 1972, Aalen 1978). With `fleming_harrington` d tied events count one after the other,
/// Σ 1/n + 1/(n−1) + …, with squares alike (Fleming, Harrington 1984). The interval is plain, or symmetric in log H.
VESALIUS_API HazardCurve nelson_aalen(const at::Tensor& time, const at::Tensor& event, double confidence = 0.95,
                                      CurveInterval interval = CurveInterval::log, bool fleming_harrington = false,
                                      const std::optional<at::Tensor>& weights = std::nullopt,
                                      const std::optional<at::Tensor>& entry = std::nullopt);

/// Restricted mean survival time of each group, ∫₀^τ S(t) dt, and against the first group.
struct RestrictedMean {
  double tau = 0;
  at::Tensor groups;                        ///< int64 [k], ascending
  at::Tensor value, standard_error;         ///< float64 [k]
  at::Tensor difference, difference_error;  ///< float64 [k], to the first group; 0 and NaN for itself
  at::Tensor log_ratio, log_ratio_error;    ///< float64 [k]
  double chi_squared = 0, p = 0;            ///< that all are equal (Wald); NaN for one group
  int64_t degrees_of_freedom = 0;
};

/// Variance: Σ_{t ≤ τ} (∫_t^τ S)² d / (n (n − d)) (Royston, Parmar 2013, doi 10.1186/1471-2288-13-152; Uno 2014).
/// @param tau 0: the smallest of the groups' last times observed
/// @throws InvalidArgument tau after a group's last time observed while its curve is above 0
VESALIUS_API RestrictedMean restricted_mean(const at::Tensor& time, const at::Tensor& event, const at::Tensor& group,
                                            double tau = 0, const std::optional<at::Tensor>& weights = std::nullopt,
                                            const std::optional<at::Tensor>& entry = std::nullopt);

}  // namespace vesalius::outcome
