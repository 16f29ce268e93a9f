// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include <ATen/core/Tensor.h>

#include <vesalius/core/export.h>

/// Concordance of predictions with survival: the share of comparable pairs that are in the right order. All in float64.
namespace vesalius::outcome {

/// What a pair weighs, by the time t of its earlier event (names of R's survival::concordance). G is the product limit of
/// censoring, S that of the event, from the left; r those at risk.
enum class PairWeighting {
  n,                ///< 1: Harrell 1982
  n_over_g2,        ///< 1 / G²: Uno 2011, doi 10.1002/sim.4154
  n_over_g,         ///< 1 / G
  s,                ///< S n / r: Peto and Wilcoxon's weights
  s_over_g,         ///< S n / (G r): Schemper 2009, doi 10.1002/sim.3645
  inverse_at_risk,  ///< 1 / r
};

/// The distribution of censoring: from the subjects themselves, or others (those a model was trained on).
struct CensoringOptions {
  bool left_limit = true;  ///< at the time of an event: G(t−), as R; or G(t), as scikit-survival
  std::optional<at::Tensor> train_time, train_event;
};

struct ConcordanceOptions {
  PairWeighting weighting = PairWeighting::n;
  std::optional<double> tau;  ///< pairs whose earlier event is later than this don't count
  bool tau_included = true;   ///< with an event at tau itself counting, as R's ymax; or not, as scikit-survival's tau
  CensoringOptions censoring;
};

/// Sums over pairs by kind: concordant, discordant, tied_risk (comparable, equal risks), tied_time (two events at one time),
/// tied_both (the same with equal risks). NaN with a reason where the weights don't exist.
struct PairSums {
  at::Tensor sums;        ///< float64 [5]
  at::Tensor derivative;  ///< float64 [n, 5], by each subject's weight
  std::string reason;     ///< empty if there is nothing to say
};

/// In O(n log n).
/// @param risk [n], larger for earlier events  @param weights [n] ≥ 0, pairs multiply them
/// @param start [n] left truncation: a subject is in pairs with events in (start, time]; with PairWeighting::n only
VESALIUS_API PairSums pair_sums(const at::Tensor& time, const at::Tensor& event, const at::Tensor& risk,
                                const ConcordanceOptions& options = {},
                                const std::optional<at::Tensor>& weights = std::nullopt,
                                const std::optional<at::Tensor>& start = std::nullopt);

/// The same with predictions that depend on time: at each event the subjects' survival at that time are compared (Antolini 2005,
/// doi 10.1002/sim.2427), lower for the one who has the event being concordant.
/// @param survival [n, k] at `times` [k], ascending, each holding until the next; 1 before the first
VESALIUS_API PairSums pair_sums_by_time(const at::Tensor& time, const at::Tensor& event, const at::Tensor& survival,
                                        const at::Tensor& times, const ConcordanceOptions& options = {},
                                        const std::optional<at::Tensor>& weights = std::nullopt);

/// Harrell's, or with options weighted, concordance of risks with survival times.
///
/// A pair is comparable when the earlier time is an event; at equal times an event comes before a censoring, and two
/// events are not comparable. C = (concordant + tied_risk / 2) / (concordant + discordant + tied_risk).
struct Concordance {
  double value = 0;
  double standard_error = 0;  ///< infinitesimal jackknife with weights of time held fixed, as R's survival::concordance
  double concordant = 0, discordant = 0, tied_risk = 0;
  double tied_time = 0;  ///< two events at one time, different risks
  double tied_both = 0;  ///< two events at one time, equal risks
  std::string reason;    ///< why the value is NaN
};

/// In O(n log n). @param risk [n], larger for earlier events  @throws InvalidArgument no comparable pair
VESALIUS_API Concordance concordance_index(const at::Tensor& time, const at::Tensor& event, const at::Tensor& risk,
                                           const std::optional<at::Tensor>& weights = std::nullopt,
                                           const ConcordanceOptions& options = {},
                                           const std::optional<at::Tensor>& start = std::nullopt);

/// Concordances of subjects drawn with replacement, float64 [models, replicates]; one draw serves all models. Multiplicities on
/// the sorted order: no replicate sorts. Weights of time are estimated anew in each. The same for any number of threads.
/// @param risk [n] or [models, n]  NaN where a replicate has no comparable pair
VESALIUS_API at::Tensor bootstrap_concordance(const at::Tensor& time, const at::Tensor& event, const at::Tensor& risk,
                                              int64_t replicates, uint64_t seed,
                                              const ConcordanceOptions& options = {});

/// How often each of n subjects is drawn in the replicate, int32 [n]: what bootstrap_concordance counts with.
VESALIUS_API at::Tensor bootstrap_multiplicities(int64_t n, uint64_t seed, int64_t replicate);

struct ConcordanceProbability {
  double value = 0, standard_error = 0;  ///< the error leaves out that of the coefficients
};

/// Gönen and Heller's concordance probability of a proportional-hazards model from its linear predictor (2005,
/// doi 10.1093/biomet/92.4.965, eq. 3): no outcome enters, hence no censoring. O(n²). Pairs with equal predictors count a half.
VESALIUS_API ConcordanceProbability gonen_heller(const at::Tensor& linear_predictor);

}  // namespace vesalius::outcome
