// SPDX-License-Identifier: Apache-2.0
#include <vesalius/outcome/concordance.h>

#include <cmath>

#include <vesalius/core/error.h>
#include <vesalius/outcome/detail/concordance_kernel.h>

#include "outcome/common.h"

namespace vesalius::outcome {

Concordance concordance_index(const at::Tensor& time_in, const at::Tensor& event_in, const at::Tensor& risk_in,
                              const std::optional<at::Tensor>& weights) {
  const auto time = checked_vector(time_in, -1, "time");
  const int64_t n = time.size(0);
  const auto event = checked_binary(event_in, n, "event");
  const auto risk = checked_vector(risk_in, n, "risk");
  const auto w = checked_weights(weights, n);
  const auto counts = detail::pair_counts(span_of(time), event, span_of(risk), w);
  Concordance out;
  for (int64_t i = 0; i < n; ++i) {  // every pair is seen from both its ends
    out.concordant += 0.5 * w[i] * counts.concordant[i];
    out.discordant += 0.5 * w[i] * counts.discordant[i];
    out.tied_risk += 0.5 * w[i] * counts.tied_risk[i];
  }
  out.tied_time = counts.tied_time;
  out.tied_both = counts.tied_both;
  const double pairs = out.concordant + out.discordant + out.tied_risk;
  if (!(pairs > 0))
    throw InvalidArgument("no two of the " + std::to_string(n) +
                          " subjects can be compared: concordance needs an event before another subject's time. " +
                          "Are there events, and is the event coded the right way round?");
  out.value = (out.concordant + 0.5 * out.tied_risk) / pairs;
  double variance = 0;  // Σ (w_i ∂C/∂w_i)², Therneau, Atkinson, "Concordance" (vignette of R's survival)
  for (int64_t i = 0; i < n; ++i) {
    const double own = counts.concordant[i] + counts.discordant[i] + counts.tied_risk[i];
    const double influence = w[i] * (counts.concordant[i] + 0.5 * counts.tied_risk[i] - out.value * own) / pairs;
    variance += influence * influence;
  }
  out.standard_error = std::sqrt(variance);
  return out;
}

}  // namespace vesalius::outcome
