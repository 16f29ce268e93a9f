// SPDX-License-Identifier: Apache-2.0
#include <vesalius/outcome/kaplan_meier.h>

#include <cmath>
#include <limits>
#include <map>

#include <ATen/ops/empty.h>
#include <ATen/ops/special_gammaincc.h>
#include <ATen/ops/special_ndtri.h>

#include <vesalius/core/error.h>
#include <vesalius/outcome/detail/cholesky.h>
#include <vesalius/outcome/detail/cox_kernel.h>

#include "outcome/common.h"

namespace vesalius::outcome {

namespace {

constexpr double kNotANumber = std::numeric_limits<double>::quiet_NaN();

std::pair<double, double> interval_of(double s, double relative_se, double z, CurveInterval kind) {
  if (s == 0) return {kNotANumber, kNotANumber};
  switch (kind) {
    case CurveInterval::plain:
      return {std::max(0.0, s - z * s * relative_se), std::min(1.0, s + z * s * relative_se)};
    case CurveInterval::log:
      return {s * std::exp(-z * relative_se), std::min(1.0, s * std::exp(z * relative_se))};
    default: {
      if (s >= 1) return {1, 1};
      const double centre = std::log(-std::log(s)), half = z * relative_se / std::abs(std::log(s));
      return {std::exp(-std::exp(centre + half)), std::exp(-std::exp(centre - half))};
    }
  }
}

void check_times(const at::Tensor& time) {
  for (double t : span_of(time))
    if (t < 0) throw InvalidArgument("time must not be negative: follow-up starts at 0");
}

std::vector<int64_t> labels(const at::Tensor& t, int64_t n, const std::string& what) {
  const auto vector = checked_vector(t, n, what);
  std::vector<int64_t> out;
  for (double v : span_of(vector)) out.push_back(std::llround(v));
  return out;
}

/// Weighted sums of the test over one stratum.
void add_stratum(std::span<const double> time, std::span<const char> event, const std::vector<int64_t>& group,
                 double rho, const std::vector<int64_t>& members, std::vector<double>& observed,
                 std::vector<double>& expected, std::vector<double>& variance) {
  const int64_t k = static_cast<int64_t>(observed.size());
  std::vector<double> t, w(members.size(), 1.0);
  std::vector<char> e;
  for (int64_t i : members) t.push_back(time[i]), e.push_back(event[i]);
  const auto sorted = detail::risk_order(t, e, w, {});
  std::vector<double> at_risk(k, 0.0), deaths(k);
  for (int64_t i : members) ++at_risk[group[i]];
  double survival = 1;
  for (size_t g = sorted.groups.size(); g-- > 0;) {
    const auto& now = sorted.groups[g];
    std::fill(deaths.begin(), deaths.end(), 0.0);
    for (int64_t i = now.begin; i < now.events_end; ++i) ++deaths[group[members[sorted.order[i]]]];
    double n = 0;
    for (double r : at_risk) n += r;
    const double d = static_cast<double>(now.events());
    if (d > 0) {
      const double factor = std::pow(survival, rho), spread = n > 1 ? factor * factor * d * (n - d) / (n - 1) : 0.0;
      for (int64_t a = 0; a < k; ++a) {
        observed[a] += factor * deaths[a];
        expected[a] += factor * d * at_risk[a] / n;
        for (int64_t b = 0; b < k; ++b) variance[a * k + b] += spread * (at_risk[a] / n) * ((a == b) - at_risk[b] / n);
      }
      survival *= 1 - d / n;
    }
    for (int64_t i = now.begin; i < now.end; ++i) --at_risk[group[members[sorted.order[i]]]];
  }
}

}  // namespace

SurvivalCurve kaplan_meier(const at::Tensor& time_in, const at::Tensor& event_in, double confidence,
                           CurveInterval interval, const std::optional<at::Tensor>& weights) {
  if (!(confidence > 0 && confidence < 1))
    throw InvalidArgument("confidence must lie between 0 and 1; it is " + std::to_string(confidence));
  const auto time = checked_vector(time_in, -1, "time");
  const int64_t n = time.size(0);
  if (n == 0) throw InvalidArgument("time is empty");
  check_times(time);
  const auto event = checked_binary(event_in, n, "event");
  const auto w = checked_weights(weights, n);
  const auto sorted = detail::risk_order(span_of(time), event, w, {});
  const int64_t k = static_cast<int64_t>(sorted.groups.size());
  const double z = at::special_ndtri(tensor_of({0.5 + confidence / 2})).item<double>();
  std::vector<double> columns[9];
  double at_risk = 0, survival = 1, greenwood = 0, hazard = 0;
  for (double v : w) at_risk += v;
  for (int64_t g = k; g-- > 0;) {
    const auto& now = sorted.groups[g];
    double all = 0;
    for (int64_t i = now.begin; i < now.end; ++i) all += w[sorted.order[i]];
    const double d = now.event_weight;
    if (d > 0) {
      survival = d >= at_risk * (1 - 1e-14) ? 0.0 : survival * (1 - d / at_risk);
      greenwood += d / (at_risk * (at_risk - d));
      hazard += d / at_risk;
    }
    const double relative = std::sqrt(greenwood);
    const auto [low, high] = interval_of(survival, relative, z, interval);
    const double row[9] = {time.const_data_ptr<double>()[sorted.order[now.begin]], at_risk, d,    all - d, survival,
                           survival > 0 ? survival * relative : kNotANumber,       low,     high, hazard};
    for (int c = 0; c < 9; ++c) columns[c].push_back(row[c]);
    at_risk -= all;
  }
  return {tensor_of(columns[0]), tensor_of(columns[1]), tensor_of(columns[2]),
          tensor_of(columns[3]), tensor_of(columns[4]), tensor_of(columns[5]),
          tensor_of(columns[6]), tensor_of(columns[7]), tensor_of(columns[8])};
}

double curve_quantile(const at::Tensor& time_in, const at::Tensor& curve_in, double p) {
  if (!(p >= 0 && p <= 1)) throw InvalidArgument("a quantile lies between 0 and 1; it is " + std::to_string(p));
  const auto time = span_of(time_in), curve = span_of(curve_in);
  if (time.size() != curve.size()) throw ShapeError("time and curve must be of one length");
  const double level = 1 - p, tolerance = std::sqrt(std::numeric_limits<double>::epsilon());
  for (size_t i = 0; i < curve.size(); ++i) {
    if (!(curve[i] <= level + tolerance)) continue;
    if (curve[i] < level - tolerance) return time[i];
    for (size_t j = i + 1; j < curve.size(); ++j)
      if (curve[j] < level - tolerance) return 0.5 * (time[i] + time[j]);
    return kNotANumber;  // at the level to the end: where it would have left it nobody knows
  }
  return kNotANumber;
}

LogRank log_rank(const at::Tensor& time_in, const at::Tensor& event_in, const at::Tensor& group_in, double rho,
                 const std::optional<at::Tensor>& strata_in) {
  const auto time = checked_vector(time_in, -1, "time");
  const int64_t n = time.size(0);
  check_times(time);
  const auto event = checked_binary(event_in, n, "event");
  auto group = labels(group_in, n, "group");
  const auto strata = strata_in ? labels(*strata_in, n, "strata") : std::vector<int64_t>(static_cast<size_t>(n), 0);
  std::map<int64_t, int64_t> number;
  for (int64_t g : group) number[g] = 0;
  if (number.size() < 2)
    throw InvalidArgument("a log-rank test compares groups and needs at least 2; group holds " +
                          std::to_string(number.size()));
  std::vector<double> names;
  for (auto& [g, i] : number) i = static_cast<int64_t>(names.size()), names.push_back(static_cast<double>(g));
  for (auto& g : group) g = number[g];
  std::map<int64_t, std::vector<int64_t>> members;
  for (int64_t i = 0; i < n; ++i) members[strata[i]].push_back(i);

  const int64_t k = static_cast<int64_t>(names.size());
  std::vector<double> observed(k, 0.0), expected(k, 0.0), variance(static_cast<size_t>(k * k), 0.0);
  for (const auto& [stratum, rows] : members)
    add_stratum(span_of(time), event, group, rho, rows, observed, expected, variance);
  // Groups in which nothing could be expected say nothing; of the others the last follows from the rest.
  std::vector<int64_t> used;
  for (int64_t a = 0; a < k; ++a)
    if (expected[a] > 0) used.push_back(a);
  if (used.size() < 2)
    throw InvalidArgument("no event happened while two groups were at risk: there is nothing to compare");
  used.pop_back();
  const int64_t m = static_cast<int64_t>(used.size());
  std::vector<double> v(static_cast<size_t>(m * m)), u(static_cast<size_t>(m)), solved;
  for (int64_t a = 0; a < m; ++a) {
    u[a] = observed[used[a]] - expected[used[a]];
    for (int64_t b = 0; b < m; ++b) v[a * m + b] = variance[used[a] * k + used[b]];
  }
  if (detail::cholesky(v, m, 1e-12) >= 0)
    throw InvalidArgument("no event happened while two groups were at risk: there is nothing to compare");
  solved = u;
  detail::cholesky_solve(v, m, solved.data());
  LogRank out;
  for (int64_t a = 0; a < m; ++a) out.chi_squared += u[a] * solved[a];
  out.degrees_of_freedom = m;
  out.p = at::special_gammaincc(tensor_of({0.5 * static_cast<double>(m)}), tensor_of({0.5 * out.chi_squared}))
              .item<double>();
  out.groups = tensor_of(names).to(at::kLong);
  out.observed = tensor_of(observed);
  out.expected = tensor_of(expected);
  return out;
}

}  // namespace vesalius::outcome
