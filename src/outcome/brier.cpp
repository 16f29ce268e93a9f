// SPDX-License-Identifier: Apache-2.0
#include <vesalius/outcome/brier.h>

#include <cmath>
#include <limits>

#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>

#include <vesalius/core/error.h>

#include "outcome/common.h"
#include "outcome/over_time.h"

namespace vesalius::outcome {

namespace {

constexpr double kNoScore = std::numeric_limits<double>::quiet_NaN();

/// Score of one time: mean of w / G · (y − p)², and, if asked, each subject's influence by place.
double brier_at(const OverTime& data, double t, const double* risk, int64_t stride, bool same_for_all,
                std::span<double> influence) {
  const auto& cohort = data.cohort;
  const int64_t n = cohort.size(), upto = cohort.upto(t);
  const auto predicted = [&](int64_t i) { return same_for_all ? *risk : risk[cohort.order[i] * stride]; };
  const double survived = upto < n ? 1 / data.censoring.at(t) : 0.0;
  double sum = 0;
  const auto term = [&](int64_t i) {
    if (i < upto) {
      const double distance = (cohort.status[i] == 1 ? 1.0 : 0.0) - predicted(i);
      return data.inverse[i] * distance * distance;
    }
    const double p = predicted(i);
    return cohort.weight[i] * survived * p * p;
  };
  if (influence.empty()) {
    for (int64_t i = 0; i < n; ++i) sum += term(i);
    return sum / cohort.total;
  }
  std::vector<double> load(data.censoring.curve.time.size() + 1, 0.0);
  for (int64_t i = 0; i < n; ++i) {
    const double r = term(i) / cohort.total;
    influence[i] = r;
    sum += r;
    if (i < upto) load[data.position[i]] += r;
  }
  double late = 0;
  for (int64_t i = upto; i < n; ++i) late += influence[i];
  if (upto < n) load[data.censoring.curve.upto(t)] += late;
  for (int64_t i = 0; i < n; ++i) influence[i] -= cohort.weight[i] / cohort.total * sum;
  add_censoring_influence(data, load, influence);
  return sum;
}

/// Risk of the event by t for everyone: the mean of those known to have had it, which is Kaplan-Meier's or Aalen-Johansen's.
double marginal_risk(const OverTime& data, double t) {
  double value = 1, risk = 0;
  const auto& c = data.cohort;
  for (int64_t i = 0; i < c.size() && c.time[i] <= t;) {
    int64_t end = i;
    double asked = 0, any = 0;
    for (; end < c.size() && c.time[end] == c.time[i]; ++end) {
      asked += c.status[end] == 1 ? c.weight[end] : 0.0;
      any += c.status[end] != 0 ? c.weight[end] : 0.0;
    }
    if (any > 0) {
      risk += value * asked / c.at_risk[i];
      value *= 1 - any / c.at_risk[i];
    }
    i = end;
  }
  return risk;
}

}  // namespace

BrierCurve brier_curve(const at::Tensor& time, const at::Tensor& status, const at::Tensor& risk_in,
                       const at::Tensor& times, const TimeOptions& options, Integration integration,
                       const std::optional<at::Tensor>& weights) {
  const auto data = over_time(time, status, times, options, weights);
  const int64_t n = data.cohort.size(), k_count = static_cast<int64_t>(data.times.size());
  const auto risk = checked_matrix(risk_in, {});
  if (risk.size(0) != n || risk.size(1) != k_count)
    throw ShapeError("predictions must be [" + std::to_string(n) + ", " + std::to_string(k_count) +
                     "], a row for each subject and a column for each time; they are [" + std::to_string(risk.size(0)) +
                     ", " + std::to_string(risk.size(1)) + "]");
  for (double p : span_of(risk))
    if (p < -1e-9 || p > 1 + 1e-9)
      throw InvalidArgument("predictions must be probabilities, 0 to 1; one is " + number(p) +
                            ". Of a risk score or a linear predictor make survival curves first");
  BrierCurve out;
  for (auto* tensor : {&out.brier, &out.standard_error, &out.null, &out.scaled, &out.scaled_standard_error})
    *tensor = at::full({k_count}, kNoScore, at::kDouble);
  if (options.keep_influence) out.influence = at::full({k_count, n}, kNoScore, at::kDouble);
  std::vector<char> defined;
  for (double t : data.times) {
    out.reason.push_back(undefined_at(data, t));
    defined.push_back(out.reason.back().empty());
  }
  const auto share = integration == Integration::trapezoid ? trapezoid_weights(data.times, defined)
                                                           : step_weights(data.times, defined);
  double *brier = out.brier.data_ptr<double>(), *null = out.null.data_ptr<double>(),
         *scaled = out.scaled.data_ptr<double>();
  const double* predicted = risk.const_data_ptr<double>();
  out.integrated = out.integrated_null = 0;
  const bool errors = options.standard_error || options.keep_influence;
  std::vector<double> total(errors ? n : 0, 0.0), total_null(errors ? n : 0, 0.0);
  const auto score = [&](int64_t k, std::span<double> influence) {
    if (!defined[k]) return;
    brier[k] = brier_at(data, data.times[k], predicted + k, k_count, false, influence);
  };
  const auto score_null = [&](int64_t k, std::span<double> influence) {
    if (!defined[k]) return;
    const double p = marginal_risk(data, data.times[k]);
    null[k] = brier_at(data, data.times[k], &p, 0, true, influence);
  };
  if (!errors) {
    for (int64_t k = 0; k < k_count; ++k) score(k, {}), score_null(k, {});
  } else {
    // rows 2k: model, 2k + 1: null
    std::vector<double> of_model(n);
    double* se = out.standard_error.data_ptr<double>();
    double* scaled_se = out.scaled_standard_error.data_ptr<double>();
    for_each_time(
        2 * k_count, n, [&](int64_t row, std::span<double> l) { row % 2 ? score_null(row / 2, l) : score(row / 2, l); },
        [&](int64_t row, std::span<const double> l) {
          const int64_t k = row / 2;
          if (!defined[k]) return;
          auto& sum = row % 2 ? total_null : total;
          if (share[k] != 0)
            for (int64_t i = 0; i < n; ++i) sum[i] += share[k] * l[i];
          if (row % 2 == 0) {
            se[k] = error_of(l, data.members);
            std::copy(l.begin(), l.end(), of_model.begin());
            if (options.keep_influence)
              for (int64_t i = 0; i < n; ++i) out.influence.data_ptr<double>()[k * n + data.cohort.order[i]] = l[i];
            return;
          }
          if (null[k] > 0) {
            for (int64_t i = 0; i < n; ++i) of_model[i] = (brier[k] * l[i] / null[k] - of_model[i]) / null[k];
            scaled_se[k] = error_of(of_model, data.members);
          }
        });
  }
  double covered = 0;
  for (int64_t k = 0; k < k_count; ++k)
    if (null[k] > 0) scaled[k] = 1 - brier[k] / null[k];
  for (int64_t k = 0; k < k_count; ++k)
    if (share[k] != 0)
      out.integrated += share[k] * brier[k], out.integrated_null += share[k] * null[k], covered += share[k];
  out.integrated_standard_error = out.integrated_scaled_standard_error = out.integrated_scaled = kNoScore;
  if (covered == 0) {
    out.integrated = out.integrated_null = kNoScore;
  } else {
    if (out.integrated_null > 0) out.integrated_scaled = 1 - out.integrated / out.integrated_null;
    if (errors) {
      out.integrated_standard_error = error_of(total, data.members);
      if (out.integrated_null > 0) {
        for (int64_t i = 0; i < n; ++i)
          total[i] = (out.integrated * total_null[i] / out.integrated_null - total[i]) / out.integrated_null;
        out.integrated_scaled_standard_error = error_of(total, data.members);
      }
    }
  }
  return out;
}

}  // namespace vesalius::outcome
