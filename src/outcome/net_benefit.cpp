// SPDX-License-Identifier: Apache-2.0
#include <vesalius/outcome/net_benefit.h>

#include <cmath>
#include <limits>

#include <ATen/ops/full.h>

#include <vesalius/core/error.h>

#include "outcome/censoring.h"
#include "outcome/common.h"

namespace vesalius::outcome {

namespace {

/// Those of `cohort` with risk ≥ threshold, in the same order; `place` are their places there.
detail::Cohort positives_of(const detail::Cohort& cohort, std::span<const double> risk, double threshold,
                            std::vector<int64_t>& place) {
  detail::Cohort out;
  place.clear();
  for (int64_t i = 0; i < cohort.size(); ++i) {
    if (!(risk[cohort.order[i]] >= threshold)) continue;
    place.push_back(i);
    out.order.push_back(cohort.order[i]);
    out.time.push_back(cohort.time[i]);
    out.weight.push_back(cohort.weight[i]);
    out.status.push_back(cohort.status[i]);
  }
  out.at_risk.assign(out.order.size() + 1, 0.0);
  for (size_t i = out.order.size(); i-- > 0;) out.at_risk[i] = out.at_risk[i + 1] + out.weight[i];
  out.total = out.at_risk[0];
  return out;
}

}  // namespace

NetBenefit net_benefit(const at::Tensor& time_in, const at::Tensor& status_in, const at::Tensor& risk_in, double t,
                       const at::Tensor& thresholds_in, bool keep_influence, const std::optional<at::Tensor>& weights) {
  constexpr double kNothing = std::numeric_limits<double>::quiet_NaN();
  const auto time = checked_vector(time_in, -1, "time");
  const int64_t n = time.size(0);
  check_follow_up(span_of(time));
  const auto status = checked_status(status_in, n);
  const auto risk = checked_vector(risk_in, n, "risk");
  const auto w = checked_weights(weights, n);
  const auto thresholds_tensor = checked_vector(thresholds_in, -1, "thresholds");
  const auto thresholds = span_of(thresholds_tensor);
  for (double p : thresholds)
    if (!(p >= 0 && p < 1))
      throw InvalidArgument("thresholds are probabilities from 0 to below 1; one is " + number(p));
  const auto cohort = detail::cohort_of(span_of(time), status, w);
  const int64_t count = static_cast<int64_t>(thresholds.size());
  int64_t members = 0;
  for (double v : w) members += v > 0;
  NetBenefit out;
  for (auto* tensor : {&out.value, &out.standard_error, &out.true_positives, &out.false_positives})
    *tensor = at::full({count}, kNothing, at::kDouble);
  if (keep_influence) out.influence = at::full({count, n}, kNothing, at::kDouble);
  std::vector<int64_t> place;
  for (int64_t k = 0; k < count; ++k) {
    const auto positive = positives_of(cohort, span_of(risk), thresholds[k], place);
    const int64_t m = positive.size(), upto = positive.upto(t);
    const double odds = thresholds[k] / (1 - thresholds[k]);
    const auto curve = detail::product_limit(positive, true);
    const bool all_known = std::all_of(positive.status.begin(), positive.status.end(), [](char s) { return s != 0; });
    if (m > 0 && positive.total > 0 && upto == m && !all_known) {
      out.reason.push_back("among those with risk >= " + number(thresholds[k]) + " nobody is followed beyond time " +
                           number(t) + " (the last: " + number(positive.time.back()) + ")");
      continue;
    }
    out.reason.emplace_back();
    double hits = 0, alarms = 0;
    std::vector<double> own(m, 0.0), load(curve.time.size() + 1, 0.0);
    const double survived = upto < m ? 1 / curve.value(curve.upto(t)) : 0.0;
    for (int64_t i = 0; i < m; ++i) {
      if (i < upto && !positive.status[i]) continue;
      const int64_t position = i < upto ? curve.before(positive.time[i]) : curve.upto(t);
      const double weight = positive.weight[i] * (i < upto ? 1 / curve.value(position) : survived) / cohort.total;
      const bool hit = i < upto && positive.status[i] == 1;
      (hit ? hits : alarms) += weight;
      own[i] = hit ? weight : -odds * weight;
      load[position] += own[i];
    }
    const double value = hits - odds * alarms;
    out.value.data_ptr<double>()[k] = value;
    out.true_positives.data_ptr<double>()[k] = hits;
    out.false_positives.data_ptr<double>()[k] = alarms;
    detail::add_curve_influence(positive, detail::curve_influence(positive, curve, true), load, own);
    std::vector<double> influence(n);
    for (int64_t i = 0; i < n; ++i) influence[i] = -cohort.weight[i] / cohort.total * value;
    for (int64_t i = 0; i < m; ++i) influence[place[i]] += own[i];
    out.standard_error.data_ptr<double>()[k] = error_of(influence, members);
    if (keep_influence)
      for (int64_t i = 0; i < n; ++i) out.influence.data_ptr<double>()[k * n + cohort.order[i]] = influence[i];
  }
  return out;
}

}  // namespace vesalius::outcome
