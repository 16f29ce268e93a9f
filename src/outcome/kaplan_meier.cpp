// SPDX-License-Identifier: Apache-2.0
#include <vesalius/outcome/kaplan_meier.h>

#include <array>
#include <cmath>
#include <limits>

#include <vesalius/core/error.h>

#include "outcome/common.h"
#include "outcome/curve_interval.h"
#include "outcome/risk_table.h"

namespace vesalius::outcome {

namespace {

constexpr double kNotANumber = std::numeric_limits<double>::quiet_NaN();

template <size_t N>
std::array<at::Tensor, N> tensors_of(const std::array<std::vector<double>, N>& columns) {
  std::array<at::Tensor, N> out;
  for (size_t c = 0; c < N; ++c) out[c] = tensor_of(columns[c]);
  return out;
}

}  // namespace

std::pair<double, double> curve_interval(double s, double relative_se, double z, CurveInterval kind) {
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

SurvivalCurve kaplan_meier(const at::Tensor& time, const at::Tensor& event, double confidence, CurveInterval interval,
                           const std::optional<at::Tensor>& weights, const std::optional<at::Tensor>& entry) {
  const double z = two_sided_normal(confidence);
  const auto table = risk_table(risk_input(time, event_kinds(event, -1), weights, entry));
  std::array<std::vector<double>, 9> columns;
  double survival = 1, greenwood = 0, hazard = 0;
  for (int64_t i = 0; i < table.rows; ++i) {
    const double n = table.risk(i, 0), d = table.left(i, 0, 1);
    if (d > 0) {
      survival = table.empties[i] ? 0.0 : survival * (1 - d / n);
      greenwood += d / (n * (n - d));
      hazard += d / n;
    }
    const double relative = std::sqrt(greenwood);
    const auto [low, high] = curve_interval(survival, relative, z, interval);
    const double row[9] = {
        table.time[i], n,    d,     table.left(i, 0, 0), survival, survival > 0 ? survival * relative : kNotANumber,
        low,           high, hazard};
    for (int c = 0; c < 9; ++c) columns[c].push_back(row[c]);
  }
  const auto t = tensors_of(columns);
  return {t[0], t[1], t[2], t[3], t[4], t[5], t[6], t[7], t[8]};
}

HazardCurve nelson_aalen(const at::Tensor& time, const at::Tensor& event, double confidence, CurveInterval interval,
                         bool fleming_harrington, const std::optional<at::Tensor>& weights,
                         const std::optional<at::Tensor>& entry) {
  if (interval == CurveInterval::log_log)
    throw InvalidArgument("a cumulative hazard has plain or log intervals; log_log is for curves that end at 1");
  const double z = two_sided_normal(confidence);
  const auto in = risk_input(time, event_kinds(event, -1), weights, entry);
  const auto table = risk_table(in);
  std::array<std::vector<double>, 8> columns;
  double hazard = 0, variance = 0;
  for (int64_t i = 0; i < table.rows; ++i) {
    const double n = table.risk(i, 0), d = table.left(i, 0, 1);
    if (d > 0 && fleming_harrington) {
      // weights count subjects: d of them one after the other, and what is over of a fractional one at the end
      for (double gone = 0; gone < d; gone += 1) {
        const double part = std::min(1.0, d - gone);
        hazard += part / (n - gone);
        variance += part / ((n - gone) * (n - gone));
      }
    } else if (d > 0) {
      hazard += d / n;
      variance += d / (n * n);
    }
    const double se = std::sqrt(variance);
    double low = hazard - z * se, high = hazard + z * se;
    if (interval == CurveInterval::log) {
      low = hazard > 0 ? hazard * std::exp(-z * se / hazard) : 0.0;
      high = hazard > 0 ? hazard * std::exp(z * se / hazard) : kNotANumber;
    }
    const double row[8] = {table.time[i], n, d, table.left(i, 0, 0), hazard, se, std::max(0.0, low), high};
    for (int c = 0; c < 8; ++c) columns[c].push_back(row[c]);
  }
  const auto t = tensors_of(columns);
  return {t[0], t[1], t[2], t[3], t[4], t[5], t[6], t[7]};
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

}  // namespace vesalius::outcome
