// SPDX-License-Identifier: Apache-2.0
#include "outcome/over_time.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <vesalius/core/error.h>

#include "outcome/common.h"

namespace vesalius::outcome {

OverTime over_time(const at::Tensor& time_in, const at::Tensor& status_in, const at::Tensor& times_in,
                   const TimeOptions& options, const std::optional<at::Tensor>& weights) {
  const auto time = checked_vector(time_in, -1, "time");
  const int64_t n = time.size(0);
  check_follow_up(span_of(time));
  const auto status = checked_status(status_in, n);
  const auto w = checked_weights(weights, n);
  const auto times = checked_vector(times_in, -1, "times");
  if (times.size(0) < 1) throw InvalidArgument("times is empty: name at least one time to evaluate at");
  OverTime out;
  out.times.assign(span_of(times).begin(), span_of(times).end());
  for (size_t k = 1; k < out.times.size(); ++k)
    if (!(out.times[k] > out.times[k - 1]))
      throw InvalidArgument("times must ascend without repeats; " + number(out.times[k]) + " follows " +
                            number(out.times[k - 1]));
  out.cohort = detail::cohort_of(span_of(time), status, w);
  out.censoring = censoring_of(out.cohort, options.censoring);
  out.inverse.assign(n, 0.0);
  out.position.assign(n, 0);
  for (int64_t i = 0; i < n; ++i) {
    out.members += out.cohort.weight[i] > 0;
    if (!out.cohort.status[i] || out.cohort.weight[i] == 0) continue;
    if (i > 0 && out.cohort.time[i] == out.cohort.time[i - 1] && out.cohort.status[i - 1])
      out.position[i] = out.position[i - 1];
    else
      out.position[i] = out.censoring.position_of_event(out.cohort.time[i]);
    out.inverse[i] = out.cohort.weight[i] / out.censoring.curve.value(out.position[i]);
  }
  if (out.censoring.own && (options.standard_error || options.keep_influence))
    out.moves = detail::curve_influence(out.cohort, out.censoring.curve, true);
  return out;
}

std::string undefined_at(const OverTime& data, double t) {
  const auto& cohort = data.cohort;
  const int64_t upto = cohort.upto(t);
  for (int64_t i = upto; i-- > 0;)  // weights grow with time: the last event by t has the largest
    if (data.inverse[i] > 0) {
      if (std::isfinite(data.inverse[i])) break;
      return "the event at time " + number(cohort.time[i]) + " has no weight: the probability of being uncensored " +
             (data.censoring.left_limit ? "until" : "at") + " it is 0";
    }
  // Once all have had an event, all is known for ever.
  const bool all_known =
      upto == cohort.size() && std::all_of(cohort.status.begin(), cohort.status.end(), [](char s) { return s != 0; });
  if (data.censoring.own && all_known) return "";
  return out_of_support(data.censoring, t);
}

void add_censoring_influence(const OverTime& data, const std::vector<double>& load, std::span<double> out) {
  if (data.censoring.own) detail::add_curve_influence(data.cohort, data.moves, load, out);
}

namespace {

std::vector<int64_t> positions_of(const std::vector<char>& defined) {
  std::vector<int64_t> out;
  for (size_t k = 0; k < defined.size(); ++k)
    if (defined[k]) out.push_back(static_cast<int64_t>(k));
  return out;
}

}  // namespace

std::vector<double> trapezoid_weights(const std::vector<double>& times, const std::vector<char>& defined) {
  std::vector<double> out(times.size(), 0.0);
  const auto at = positions_of(defined);
  if (at.size() < 2) return out;
  const double length = times[at.back()] - times[at.front()];
  for (size_t j = 0; j + 1 < at.size(); ++j) {
    const double half = 0.5 * (times[at[j + 1]] - times[at[j]]) / length;
    out[at[j]] += half, out[at[j + 1]] += half;
  }
  return out;
}

std::vector<double> step_weights(const std::vector<double>& times, const std::vector<char>& defined) {
  std::vector<double> out(times.size(), 0.0);
  const auto at = positions_of(defined);
  if (at.empty() || !(times[at.back()] > 0)) return out;
  for (size_t j = 0; j + 1 < at.size(); ++j) out[at[j]] = (times[at[j + 1]] - times[at[j]]) / times[at.back()];
  return out;
}

void for_each_time(int64_t count, int64_t n, const std::function<void(int64_t, std::span<double>)>& row,
                   const std::function<void(int64_t, std::span<const double>)>& use) {
  constexpr int64_t kBlock = 16;
  std::vector<double> rows(static_cast<size_t>(std::min(count, kBlock) * n));
  for (int64_t first = 0; first < count; first += kBlock) {
    const int64_t end = std::min(count, first + kBlock);
    const auto of = [&](int64_t k) { return std::span<double>(rows.data() + (k - first) * n, static_cast<size_t>(n)); };
    at::parallel_for(first, end, 1, [&](int64_t from, int64_t to) {
      for (int64_t k = from; k < to; ++k) row(k, of(k));
    });
    for (int64_t k = first; k < end; ++k) use(k, of(k));
  }
}

at::Tensor censoring_weights(const at::Tensor& time, const at::Tensor& status, double t,
                             const CensoringOptions& censoring, const std::optional<at::Tensor>& weights) {
  const auto data = over_time(time, status, tensor_of({t}), {censoring}, weights);
  if (const auto reason = undefined_at(data, t); !reason.empty())
    throw InvalidArgument("no weights of censoring: " + reason);
  const auto& cohort = data.cohort;
  const int64_t n = cohort.size(), upto = cohort.upto(t);
  auto out = at::empty({n}, at::kDouble);
  for (int64_t i = 0; i < n; ++i)
    out.data_ptr<double>()[cohort.order[i]] = i < upto ? data.inverse[i] : cohort.weight[i] / data.censoring.at(t);
  return out;
}

}  // namespace vesalius::outcome
