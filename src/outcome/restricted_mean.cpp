// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <limits>

#include <vesalius/core/error.h>
#include <vesalius/outcome/kaplan_meier.h>

#include "outcome/common.h"
#include "outcome/risk_table.h"

namespace vesalius::outcome {

namespace {

struct MeanArea {
  double value = 0, variance = 0;
};

/// ∫₀^τ S and its variance from one group's table.
MeanArea mean_area(const RiskTable& table, int64_t group, double tau) {
  std::vector<double> time, survival, spread;  // at the group's event times up to τ
  double s = 1;
  for (int64_t i = 0; i < table.rows && table.time[i] <= tau; ++i) {
    const double n = table.risk(i, group), d = table.left(i, group, 1);
    if (!(d > 0)) continue;
    const bool empty = table.empties[i * table.groups + group];
    s = empty ? 0.0 : s * (1 - d / n);
    time.push_back(table.time[i]);
    survival.push_back(s);
    spread.push_back(empty ? 0.0 : d / (n * (n - d)));
  }
  MeanArea out;
  double after = 0, until = tau;
  for (size_t i = time.size(); i-- > 0;) {
    after += survival[i] * (until - time[i]);
    out.variance += after * after * spread[i];
    until = time[i];
  }
  out.value = after + until;
  return out;
}

double last_time(const RiskTable& table, int64_t group, bool& at_zero) {
  double last = -1;
  at_zero = false;
  for (int64_t i = 0; i < table.rows; ++i) {
    if (table.left(i, group, 0) > 0 || table.left(i, group, 1) > 0) last = table.time[i];
    at_zero = at_zero || (table.empties[i * table.groups + group] && table.left(i, group, 1) > 0);
  }
  return last;
}

}  // namespace

RestrictedMean restricted_mean(const at::Tensor& time, const at::Tensor& event, const at::Tensor& group, double tau,
                               const std::optional<at::Tensor>& weights, const std::optional<at::Tensor>& entry) {
  if (!(tau >= 0) || !std::isfinite(tau))
    throw InvalidArgument("tau must be positive, or 0 for the smallest of the groups' last times; it is " +
                          std::to_string(tau));
  auto in = risk_input(time, event_kinds(event, -1), weights, entry);
  std::vector<int64_t> names;
  in.group = label_codes(group, static_cast<int64_t>(in.size()), "group", names);
  const int64_t k = in.groups = static_cast<int64_t>(names.size());
  const auto table = risk_table(in);
  double common = std::numeric_limits<double>::infinity();
  for (int64_t g = 0; g < k; ++g) {
    bool at_zero = false;
    const double last = last_time(table, g, at_zero);
    if (last < 0) throw InvalidArgument("group " + std::to_string(names[g]) + " has no subject with a weight above 0");
    common = std::min(common, last);
    if (tau > last && !at_zero)
      throw InvalidArgument("tau is " + std::to_string(tau) + ", but in group " + std::to_string(names[g]) +
                            " nobody was followed beyond " + std::to_string(last) +
                            ": survival after it is unknown. Use a smaller tau");
  }
  RestrictedMean out;
  out.tau = tau > 0 ? tau : common;
  const double nan = std::numeric_limits<double>::quiet_NaN();
  std::vector<double> value(k), se(k), difference(k), difference_error(k, nan), ratio(k), ratio_error(k, nan);
  std::vector<double> relative(k);
  for (int64_t g = 0; g < k; ++g) {
    const auto area = mean_area(table, g, out.tau);
    value[g] = area.value;
    se[g] = std::sqrt(area.variance);
    relative[g] = se[g] / value[g];
    difference[g] = value[g] - value[0];
    ratio[g] = std::log(value[g] / value[0]);
    if (g > 0) difference_error[g] = std::hypot(se[g], se[0]), ratio_error[g] = std::hypot(relative[g], relative[0]);
  }
  out.groups = tensor_of(std::vector<double>(names.begin(), names.end())).to(at::kLong);
  out.value = tensor_of(value);
  out.standard_error = tensor_of(se);
  out.difference = tensor_of(difference);
  out.difference_error = tensor_of(difference_error);
  out.log_ratio = tensor_of(ratio);
  out.log_ratio_error = tensor_of(ratio_error);
  out.degrees_of_freedom = k - 1;
  out.chi_squared = out.p = nan;
  if (k > 1) {  // the differences share the first group's variance
    std::vector<double> covariance(static_cast<size_t>(k * k), se[0] * se[0]);
    std::vector<int64_t> kept;
    for (int64_t g = 1; g < k; ++g) covariance[g * k + g] += se[g] * se[g], kept.push_back(g);
    const double q = quadratic_form(difference, covariance, kept);
    if (q >= 0) out.chi_squared = q, out.p = chi_squared_tail(q, k - 1);
  }
  return out;
}

}  // namespace vesalius::outcome
