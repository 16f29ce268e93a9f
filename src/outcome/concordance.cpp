// SPDX-License-Identifier: Apache-2.0
#include <vesalius/outcome/concordance.h>

#include <cmath>
#include <limits>

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>

#include <vesalius/core/error.h>
#include <vesalius/outcome/detail/concordance_kernel.h>

#include "outcome/censoring.h"
#include "outcome/common.h"
#include "outcome/pairs.h"

namespace vesalius::outcome {

namespace {

/// What every measure of pairs starts from.
struct PairInput {
  at::Tensor time;
  std::vector<char> event;
  std::vector<double> weight;
  int64_t n = 0;
};

PairInput pair_input(const at::Tensor& time, const at::Tensor& event, const std::optional<at::Tensor>& weights) {
  PairInput out;
  out.time = checked_vector(time, -1, "time");
  out.n = out.time.size(0);
  out.event = checked_binary(event, out.n, "event");
  out.weight = checked_weights(weights, out.n);
  return out;
}

PairSums undefined_sums(int64_t n, std::string reason) {
  constexpr double kNothing = std::numeric_limits<double>::quiet_NaN();
  return {at::full({detail::kPairKinds}, kNothing, at::kDouble),
          at::full({n, detail::kPairKinds}, kNothing, at::kDouble), std::move(reason)};
}

PairSums as_tensors(const detail::PairCounts& counts) {
  const int64_t n = static_cast<int64_t>(counts.of.size());
  PairSums out{at::empty({detail::kPairKinds}, at::kDouble), at::empty({n, detail::kPairKinds}, at::kDouble), ""};
  std::copy(counts.sum.begin(), counts.sum.end(), out.sums.data_ptr<double>());
  if (n > 0) std::copy_n(counts.of.front().data(), n * detail::kPairKinds, out.derivative.data_ptr<double>());
  return out;
}

std::optional<at::Tensor> checked_start(const std::optional<at::Tensor>& start, const PairInput& input,
                                        const ConcordanceOptions& options) {
  if (!start) return std::nullopt;
  const auto out = checked_vector(*start, input.n, "start");
  const auto begins = span_of(out), ends = span_of(input.time);
  for (int64_t i = 0; i < input.n; ++i)
    if (!(begins[i] < ends[i]))
      throw InvalidArgument("start must lie before time; row " + std::to_string(i) + " starts at " + number(begins[i]) +
                            " and ends at " + number(ends[i]));
  if (options.weighting != PairWeighting::n)
    throw InvalidArgument(
        "left truncation goes with unweighted pairs (Harrell) only: leave out start, or the weighting");
  return out;
}

}  // namespace

std::string time_weights(const at::Tensor& time, const std::vector<char>& event, const std::vector<double>& weight,
                         const ConcordanceOptions& options, std::vector<double>& out) {
  out.clear();
  if (options.tau && std::isnan(*options.tau)) throw InvalidArgument("tau is NaN");
  if (options.weighting == PairWeighting::n && !options.tau) return "";
  const auto t = span_of(time);
  const auto counts = [&](double at) {
    return !options.tau || (options.tau_included ? at <= *options.tau : at < *options.tau);
  };
  out.assign(t.size(), 0.0);
  if (options.weighting == PairWeighting::n) {
    for (size_t i = 0; i < t.size(); ++i) out[i] = event[i] && counts(t[i]);
    return "";
  }
  check_follow_up(t);
  const auto cohort = detail::cohort_of(t, event, weight);
  const auto censoring = censoring_of(cohort, options.censoring);
  const auto survival = detail::product_limit(cohort, false);
  const int64_t n = cohort.size();
  for (int64_t i = 0, place = 0; i < n;) {
    const double now = cohort.time[i];
    int64_t end = i;
    while (end < n && cohort.time[end] == now) ++end;
    if (cohort.status[i] && counts(now)) {
      const double g = censoring.at_event(now);
      while (place < static_cast<int64_t>(survival.time.size()) && survival.time[place] < now) ++place;
      const double s = survival.value(place), share = cohort.total / cohort.at_risk[i];
      double u = 1;
      switch (options.weighting) {
        case PairWeighting::n_over_g2:
          u = 1 / (g * g);
          break;
        case PairWeighting::n_over_g:
          u = 1 / g;
          break;
        case PairWeighting::s:
          u = s * share;
          break;
        case PairWeighting::s_over_g:
          u = s * share / g;
          break;
        case PairWeighting::inverse_at_risk:
          u = 1 / cohort.at_risk[i];
          break;
        default:
          break;
      }
      const bool uses_g = options.weighting == PairWeighting::n_over_g2 ||
                          options.weighting == PairWeighting::n_over_g || options.weighting == PairWeighting::s_over_g;
      if (uses_g && (!(g > 0) || (now > censoring.reach && censoring.at(now) > 0)))
        return "the event at time " + number(now) + " has no weight: " +
               (g > 0 ? "it is beyond the last training time, " + number(censoring.reach)
                      : "the probability of being uncensored " +
                            std::string(options.censoring.left_limit ? "until" : "at") + " it is 0") +
               ". Truncate with tau, at a time that others were followed beyond";
      for (int64_t k = i; k < end; ++k)
        if (cohort.status[k]) out[cohort.order[k]] = u;
    }
    i = end;
  }
  return "";
}

PairSums pair_sums(const at::Tensor& time_in, const at::Tensor& event_in, const at::Tensor& risk_in,
                   const ConcordanceOptions& options, const std::optional<at::Tensor>& weights,
                   const std::optional<at::Tensor>& start_in) {
  const auto input = pair_input(time_in, event_in, weights);
  const auto risk = checked_vector(risk_in, input.n, "risk");
  const auto start = checked_start(start_in, input, options);
  std::vector<double> u;
  if (auto reason = time_weights(input.time, input.event, input.weight, options, u); !reason.empty())
    return undefined_sums(input.n, std::move(reason));
  const auto order = detail::pair_order(span_of(input.time), input.event, span_of(risk));
  return as_tensors(detail::pair_counts(span_of(input.time), input.event, order, input.weight, u,
                                        start ? span_of(*start) : std::span<const double>{}));
}

PairSums pair_sums_by_time(const at::Tensor& time_in, const at::Tensor& event_in, const at::Tensor& survival_in,
                           const at::Tensor& times_in, const ConcordanceOptions& options,
                           const std::optional<at::Tensor>& weights) {
  const auto input = pair_input(time_in, event_in, weights);
  const auto survival = checked_matrix(survival_in, {});
  const auto grid = checked_vector(times_in, survival.size(1), "times");
  if (survival.size(0) != input.n)
    throw ShapeError("survival must be [" + std::to_string(input.n) + ", times], a row for each subject; it has " +
                     std::to_string(survival.size(0)) + " rows");
  const auto at = span_of(grid);
  for (size_t k = 1; k < at.size(); ++k)
    if (!(at[k] > at[k - 1])) throw InvalidArgument("times must ascend");
  std::vector<double> u;
  if (auto reason = time_weights(input.time, input.event, input.weight, options, u); !reason.empty())
    return undefined_sums(input.n, std::move(reason));
  return as_tensors(
      pair_counts_by_time(span_of(input.time), input.event, input.weight, u, survival.const_data_ptr<double>(), at));
}

Concordance concordance_index(const at::Tensor& time_in, const at::Tensor& event_in, const at::Tensor& risk_in,
                              const std::optional<at::Tensor>& weights, const ConcordanceOptions& options,
                              const std::optional<at::Tensor>& start_in) {
  const auto input = pair_input(time_in, event_in, weights);
  const auto risk = checked_vector(risk_in, input.n, "risk");
  const auto start = checked_start(start_in, input, options);
  const auto& w = input.weight;
  Concordance out;
  std::vector<double> u;
  out.reason = time_weights(input.time, input.event, w, options, u);
  if (!out.reason.empty()) {
    constexpr double kNothing = std::numeric_limits<double>::quiet_NaN();
    out.value = out.standard_error = out.concordant = out.discordant = out.tied_risk = out.tied_time = out.tied_both =
        kNothing;
    return out;
  }
  const auto order = detail::pair_order(span_of(input.time), input.event, span_of(risk));
  const auto counts = detail::pair_counts(span_of(input.time), input.event, order, w, u,
                                          start ? span_of(*start) : std::span<const double>{});
  out.concordant = counts.sum[detail::kConcordant];
  out.discordant = counts.sum[detail::kDiscordant];
  out.tied_risk = counts.sum[detail::kTiedRisk];
  out.tied_time = counts.sum[detail::kTiedTime];
  out.tied_both = counts.sum[detail::kTiedBoth];
  const double pairs = out.concordant + out.discordant + out.tied_risk;
  if (!(pairs > 0))
    throw InvalidArgument("no two of the " + std::to_string(input.n) +
                          " subjects can be compared: concordance needs an event before another subject's time" +
                          (options.tau ? ", up to tau = " + number(*options.tau) : "") +
                          ". Are there events, and is the event coded the right way round?");
  out.value = (out.concordant + 0.5 * out.tied_risk) / pairs;
  double variance = 0;  // Σ (w_i ∂C/∂w_i)², Therneau, Atkinson, "Concordance" (vignette of R's survival)
  for (int64_t i = 0; i < input.n; ++i) {
    const auto& own = counts.of[i];
    const double all = own[detail::kConcordant] + own[detail::kDiscordant] + own[detail::kTiedRisk];
    const double influence = w[i] * (own[detail::kConcordant] + 0.5 * own[detail::kTiedRisk] - out.value * all) / pairs;
    variance += influence * influence;
  }
  out.standard_error = std::sqrt(variance);
  return out;
}

ConcordanceProbability gonen_heller(const at::Tensor& linear_predictor) {
  const auto tensor = checked_vector(linear_predictor, -1, "linear predictor");
  const auto eta = span_of(tensor);
  const int64_t n = static_cast<int64_t>(eta.size());
  if (n < 2) throw InvalidArgument("a concordance probability needs at least two subjects");
  std::vector<double> mean(n);
  at::parallel_for(0, n, 64, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      double sum = 0;  // of a pair the larger predictor is the earlier with probability 1 / (1 + exp(−|difference|))
      for (int64_t j = 0; j < n; ++j) sum += 1 / (1 + std::exp(-std::abs(eta[i] - eta[j])));
      mean[i] = (sum - 0.5) / static_cast<double>(n - 1);
    }
  });
  ConcordanceProbability out;
  for (double m : mean) out.value += m / static_cast<double>(n);
  double variance = 0;  // of a U-statistic of two: 4 / n · variance of the means of its kernel
  for (double m : mean) variance += (m - out.value) * (m - out.value);
  out.standard_error = n > 2 ? 2 * std::sqrt(variance / static_cast<double>(n - 1) / static_cast<double>(n))
                             : std::numeric_limits<double>::quiet_NaN();
  return out;
}

}  // namespace vesalius::outcome
