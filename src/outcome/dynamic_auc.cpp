// SPDX-License-Identifier: Apache-2.0
#include <vesalius/outcome/dynamic_auc.h>

#include <cmath>
#include <limits>

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>

#include <vesalius/core/error.h>
#include <vesalius/outcome/detail/concordance_kernel.h>

#include "outcome/common.h"
#include "outcome/over_time.h"

namespace vesalius::outcome {

namespace {

constexpr double kNoArea = std::numeric_limits<double>::quiet_NaN();

/// Subjects in ascending order of risk, as places of the cohort, with the end of each one's run of equal risks.
struct ByRisk {
  std::vector<uint32_t> place;
  std::vector<char> last_of_run;
};

ByRisk by_risk(const detail::Cohort& cohort, const double* risk, int64_t stride) {
  const int64_t n = cohort.size();
  std::vector<double> values(n);
  for (int64_t i = 0; i < n; ++i) values[i] = risk[cohort.order[i] * stride];
  ByRisk out{detail::ascending(values), std::vector<char>(n, 1)};
  for (int64_t i = 0; i + 1 < n; ++i) out.last_of_run[i] = values[out.place[i]] != values[out.place[i + 1]];
  return out;
}

struct Area {
  double value = kNoArea, cases = 0, controls = 0;
};

/// One time. Weights by place: cases w / G at their event; controls after t w (their common 1 / G cancels unless there are
/// competing events), controls by a competing event w / G at it.
Area area_at(const OverTime& data, double t, const ByRisk& sorted, bool competing_are_controls,
             std::span<double> influence) {
  const auto& cohort = data.cohort;
  const int64_t n = cohort.size(), upto = cohort.upto(t);
  const double survived = upto < n ? 1 / data.censoring.at(t) : 0.0;
  Area out;
  double all_cases = 0, all_controls = cohort.at_risk[upto] * survived;
  for (int64_t i = 0; i < upto; ++i) {
    if (cohort.status[i] == 1) all_cases += data.inverse[i], out.cases += cohort.weight[i];
    if (cohort.status[i] == 2 && competing_are_controls)
      all_controls += data.inverse[i], out.controls += cohort.weight[i];
  }
  out.controls += cohort.at_risk[upto];
  if (!(all_cases > 0) || !(all_controls > 0)) return out;
  const auto case_weight = [&](uint32_t i) { return i < upto && cohort.status[i] == 1 ? data.inverse[i] : 0.0; };
  const auto control_weight = [&](uint32_t i) {
    return i >= upto ? cohort.weight[i] * survived
                     : (competing_are_controls && cohort.status[i] == 2 ? data.inverse[i] : 0.0);
  };
  double below = 0, right = 0, cases_below = 0;  // controls of lower risk; concordant weight; cases of lower risk
  for (int64_t begin = 0; begin < n;) {
    int64_t end = begin;
    double cases = 0, controls = 0;
    do {
      cases += case_weight(sorted.place[end]);
      controls += control_weight(sorted.place[end]);
    } while (!sorted.last_of_run[end++]);
    right += cases * (below + 0.5 * controls);
    if (!influence.empty()) {
      const double of_case = (below + 0.5 * controls) / all_controls,
                   of_control = (all_cases - cases_below - 0.5 * cases) / all_cases;
      for (int64_t k = begin; k < end; ++k) {  // shares that are in the right order, less their mean later
        const uint32_t i = sorted.place[k];
        influence[i] = case_weight(i) > 0 ? of_case : of_control;
      }
    }
    below += controls;
    cases_below += cases;
    begin = end;
  }
  out.value = right / (all_cases * all_controls);
  if (influence.empty()) return out;
  std::vector<double> load(data.censoring.curve.time.size() + 1, 0.0);
  double late = 0;
  for (int64_t i = 0; i < n; ++i) {
    const double weight = i < upto && cohort.status[i] == 1 ? data.inverse[i] / all_cases
                                                            : control_weight(static_cast<uint32_t>(i)) / all_controls;
    influence[i] = weight * (influence[i] - out.value);
    if (i < upto)
      load[data.position[i]] += influence[i];
    else
      late += influence[i];
  }
  if (upto < n) load[data.censoring.curve.upto(t)] += late;
  add_censoring_influence(data, load, influence);
  return out;
}

}  // namespace

AucCurve cumulative_dynamic_auc(const at::Tensor& time, const at::Tensor& status, const at::Tensor& risk_in,
                                const at::Tensor& times, const TimeOptions& options,
                                const std::optional<at::Tensor>& weights) {
  const auto data = over_time(time, status, times, options, weights);
  const int64_t n = data.cohort.size(), k_count = static_cast<int64_t>(data.times.size());
  const bool changes = risk_in.dim() == 2;
  const auto risk = changes ? checked_matrix(risk_in, {}) : checked_vector(risk_in, n, "risk");
  if (changes && (risk.size(0) != n || risk.size(1) != k_count))
    throw ShapeError("risk must be [" + std::to_string(n) + "] or [" + std::to_string(n) + ", " +
                     std::to_string(k_count) + "], a column for each time; it is [" + std::to_string(risk.size(0)) +
                     ", " + std::to_string(risk.size(1)) + "]");
  AucCurve out;
  for (auto* tensor : {&out.auc, &out.standard_error, &out.cases, &out.controls})
    *tensor = at::full({k_count}, kNoArea, at::kDouble);
  if (options.keep_influence) out.influence = at::full({k_count, n}, kNoArea, at::kDouble);
  for (double t : data.times) out.reason.push_back(undefined_at(data, t));
  const bool errors = options.standard_error || options.keep_influence;
  double *auc = out.auc.data_ptr<double>(), *se = out.standard_error.data_ptr<double>();
  // The weights of the mean are the falls of S between the times that have an area (scikit-survival's definition).
  const auto survival = detail::product_limit(data.cohort, false);
  const double* values = risk.const_data_ptr<double>();
  const ByRisk once = changes ? ByRisk{} : by_risk(data.cohort, values, 1);
  const auto compute = [&](int64_t k, std::span<double> influence) {
    if (!out.reason[k].empty()) return;
    const auto area = area_at(data, data.times[k], changes ? by_risk(data.cohort, values + k, k_count) : once,
                              options.competing_are_controls, influence);
    auc[k] = area.value;
    out.cases.data_ptr<double>()[k] = area.cases;
    out.controls.data_ptr<double>()[k] = area.controls;
    if (std::isnan(area.value))
      out.reason[k] = area.cases > 0 ? "nobody is known to be event-free after time " + number(data.times[k])
                                     : "nobody is known to have had the event by time " + number(data.times[k]);
  };
  if (!errors)
    at::parallel_for(0, k_count, 1, [&](int64_t from, int64_t to) {
      for (int64_t k = from; k < to; ++k) compute(k, {});
    });
  // mean = Σ auc_k (S_{k−1} − S_k) / (1 − S_K)
  std::vector<double> total(errors ? n : 0, 0.0);
  double before = 1, sum = 0;
  std::vector<double> load(survival.time.size() + 1, 0.0);  // of S, for the error of the weights
  int64_t last = -1;
  const auto accumulate = [&](int64_t k, std::span<const double> l) {
    if (std::isnan(auc[k])) return;
    const int64_t position = survival.upto(data.times[k]);
    const double s = survival.value(position), fall = before - s;
    sum += auc[k] * fall;
    if (errors) {
      for (int64_t i = 0; i < n; ++i) total[i] += fall * l[i];
      // ∂/∂S_{k−1} gains auc_k, ∂/∂S_k loses it; −S is what `load` is about
      if (last >= 0) load[last] -= before * auc[k];
      load[position] += s * auc[k];
      if (options.standard_error) se[k] = error_of(l, data.members);
      if (options.keep_influence)
        for (int64_t i = 0; i < n; ++i) out.influence.data_ptr<double>()[k * n + data.cohort.order[i]] = l[i];
    }
    before = s, last = position;
  };
  if (errors)
    for_each_time(k_count, n, compute, accumulate);
  else
    for (int64_t k = 0; k < k_count; ++k) accumulate(k, {});
  out.mean = last < 0 || before >= 1 ? kNoArea : sum / (1 - before);
  out.mean_standard_error = kNoArea;
  if (errors && !std::isnan(out.mean)) {
    load[last] -= before * out.mean;  // of 1 / (1 − S_K)
    for (double& v : load) v /= 1 - before;
    for (double& v : total) v /= 1 - before;
    detail::add_curve_influence(data.cohort, detail::curve_influence(data.cohort, survival, false), load, total);
    out.mean_standard_error = error_of(total, data.members);
  }
  return out;
}

IncidentAuc incident_dynamic_auc(const at::Tensor& time_in, const at::Tensor& event_in, const at::Tensor& risk_in,
                                 const at::Tensor& times_in, double bandwidth,
                                 const std::optional<at::Tensor>& weights) {
  if (!(bandwidth > 0) || !std::isfinite(bandwidth))
    throw InvalidArgument("bandwidth must be a positive time; it is " + number(bandwidth));
  const auto time_tensor = checked_vector(time_in, -1, "time");
  const auto time = span_of(time_tensor);
  check_follow_up(time);
  const int64_t n = time_tensor.size(0);
  const auto event = checked_binary(event_in, n, "event");
  const auto risk = checked_vector(risk_in, n, "risk");
  const auto times = checked_vector(times_in, -1, "times");
  const auto w = checked_weights(weights, n);
  const auto pairs = detail::pair_order(time, event, span_of(risk));
  // Per event: weight of those left with lower risk and of all left. Left means followed beyond the time, or censored at it.
  struct Case {
    double time, area, left;
    uint32_t subject;
  };
  std::vector<Case> cases;  // latest first
  detail::RankSums<double> sums(pairs.ranks);
  for (int64_t i = 0; i < n;) {
    int64_t end = i;
    while (end < n && time[pairs.order[end]] == time[pairs.order[i]] &&
           event[pairs.order[end]] == event[pairs.order[i]])
      ++end;
    for (int64_t k = i; event[pairs.order[i]] && k < end; ++k) {
      const uint32_t s = pairs.order[k];
      const double left = sums.total().pool;
      if (left > 0 && w[s] > 0)
        cases.push_back(
            {time[s], (sums.below(pairs.rank[s]).pool + 0.5 * sums.at(pairs.rank[s]).pool) / left, left, s});
    }
    for (int64_t k = i; k < end; ++k) sums.add_pool(pairs.rank[pairs.order[k]], w[pairs.order[k]]);
    i = end;
  }
  std::vector<double> at, area, count;
  for (size_t c = cases.size(); c > 0;) {
    double sum = 0, weight = 0, many = 0;
    const double t = cases[c - 1].time;
    for (; c > 0 && cases[c - 1].time == t; --c)
      sum += w[cases[c - 1].subject] * cases[c - 1].area, weight += w[cases[c - 1].subject], ++many;
    at.push_back(t), area.push_back(sum / weight), count.push_back(many);
  }
  IncidentAuc out{tensor_of(at), tensor_of(area), tensor_of(count), {}, {}, {}};
  std::vector<double> smooth, errors;
  for (double t : span_of(times)) {
    double kernel_sum = 0, mean = 0;
    std::vector<double> kernel(cases.size());
    int64_t used = 0;
    for (size_t c = 0; c < cases.size(); ++c) {
      const double u = (cases[c].time - t) / bandwidth;
      kernel[c] = std::abs(u) < 1 ? w[cases[c].subject] * (1 - u * u) : 0.0;
      used += kernel[c] > 0;
      kernel_sum += kernel[c];
      mean += kernel[c] * cases[c].area;
    }
    if (!(kernel_sum > 0)) {
      out.reason.push_back("no event with anybody left after it lies within " + number(bandwidth) + " of time " +
                           number(t));
      smooth.push_back(kNoArea), errors.push_back(kNoArea);
      continue;
    }
    mean /= kernel_sum;
    // Influence: a case by its own kernel; one of those left by every case before its time.
    std::vector<double> influence(n, 0.0);
    detail::RankSums<double> before(pairs.ranks);
    double centre = 0;
    size_t c = cases.size();
    for (int64_t i = n;
         i > 0;) {  // earliest first; at one time events, then censorings, which those events compare with
      int64_t begin = i - 1;
      const uint32_t first = pairs.order[i - 1];
      while (begin > 0 && time[pairs.order[begin - 1]] == time[first] && event[pairs.order[begin - 1]] == event[first])
        --begin;
      for (int64_t k = begin; k < i; ++k) {
        const uint32_t s = pairs.order[k];
        const double above =
            before.total().events - before.below(pairs.rank[s]).events - 0.5 * before.at(pairs.rank[s]).events;
        influence[s] += w[s] * (above - centre) / kernel_sum;
      }
      for (; event[first] && c > 0 && cases[c - 1].time == time[first]; --c) {
        const auto& now = cases[c - 1];
        if (!(kernel[c - 1] > 0)) continue;
        influence[now.subject] += kernel[c - 1] * (now.area - mean) / kernel_sum;
        before.add_event(pairs.rank[now.subject], kernel[c - 1] / now.left);
        centre += kernel[c - 1] * now.area / now.left;
      }
      i = begin;
    }
    double variance = 0;
    for (double l : influence) variance += l * l;
    smooth.push_back(mean);
    errors.push_back(used > 1 ? std::sqrt(variance) : kNoArea);
    out.reason.emplace_back();
  }
  out.smooth = tensor_of(smooth);
  out.standard_error = tensor_of(errors);
  return out;
}

}  // namespace vesalius::outcome
