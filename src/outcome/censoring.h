// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include <vesalius/outcome/concordance.h>
#include <vesalius/outcome/detail/product_limit.h>

/// Inverse probabilities of censoring, as every measure over time weighs with.
namespace vesalius::outcome {

/// 0, 1 or 2 as chars. @throws InvalidArgument for any other value
std::vector<char> checked_status(const at::Tensor& status, int64_t n);
void check_follow_up(std::span<const double> time);

struct Censoring {
  detail::ProductLimit curve;
  bool own = true;         ///< estimated from the cohort itself, so that subjects move it
  bool left_limit = true;  ///< at times of events
  double reach = 0;        ///< beyond it nothing is known of the curve

  int64_t position_of_event(double t) const { return left_limit ? curve.before(t) : curve.upto(t); }
  double at_event(double t) const { return curve.value(position_of_event(t)); }
  double at(double t) const { return curve.value(curve.upto(t)); }
};

/// @param cohort that the curve is estimated from unless options name other subjects
Censoring censoring_of(const detail::Cohort& cohort, const CensoringOptions& options);

/// "" if weights at t exist: someone was followed beyond t. Else what is wrong.
std::string out_of_support(const Censoring& censoring, double t);
std::string number(double value);

/// √(Σ l²) of influences, times √(m / (m − 1)) as for a mean's standard error; m counts subjects of weight > 0.
double error_of(std::span<const double> influence, int64_t members);

}  // namespace vesalius::outcome
