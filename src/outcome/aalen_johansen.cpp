// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <limits>

#include <ATen/ops/empty.h>

#include <vesalius/core/error.h>
#include <vesalius/outcome/competing.h>

#include "outcome/common.h"
#include "outcome/competing_events.h"
#include "outcome/curve_interval.h"
#include "outcome/risk_table.h"

namespace vesalius::outcome {

std::vector<int64_t> competing_kinds(const at::Tensor& cause_in, int64_t causes) {
  if (causes < 1) throw InvalidArgument("there must be at least one cause; causes is " + std::to_string(causes));
  const auto cause = checked_vector(cause_in, -1, "event");
  std::vector<int64_t> out;
  for (double c : span_of(cause)) {
    if (c != std::floor(c) || c < 0 || c > static_cast<double>(causes))
      throw InvalidArgument("event must be 0 for censored or the number of a cause, 1 to " + std::to_string(causes) +
                            "; it holds " + std::to_string(c));
    out.push_back(static_cast<int64_t>(c));
  }
  return out;
}

namespace {

/// Σ of the two kinds of terms of the variance, as a quadratic in F(t): with A = 1 + F(u)/S(u) for the cause's own events, F(u)/S(u)
/// for the others', and B = 1/S(u), each term is (A − F(t) B)².
struct VarianceSums {
  double aa = 0, ab = 0, bb = 0;
  void add(double a, double b, double term) { aa += a * a * term, ab += a * b * term, bb += b * b * term; }
  double at(double f) const { return std::max(0.0, aa - 2 * f * ab + f * f * bb); }
};

}  // namespace

CumulativeIncidence aalen_johansen(const at::Tensor& time, const at::Tensor& cause, int64_t causes, double confidence,
                                   CurveInterval interval, const std::optional<at::Tensor>& weights,
                                   const std::optional<at::Tensor>& entry) {
  const double z = two_sided_normal(confidence);
  auto in = risk_input(time, competing_kinds(cause, causes), weights, entry);
  in.kinds = causes + 1;
  const auto table = risk_table(in);
  const int64_t k = table.rows;
  CumulativeIncidence out;
  out.events = at::empty({k, causes}, at::kDouble);
  out.incidence = at::empty({k, causes}, at::kDouble);
  out.standard_error = at::empty({k, causes}, at::kDouble);
  out.lower = at::empty({k, causes}, at::kDouble);
  out.upper = at::empty({k, causes}, at::kDouble);
  double *events = out.events.data_ptr<double>(), *incidence = out.incidence.data_ptr<double>(),
         *error = out.standard_error.data_ptr<double>(), *low = out.lower.data_ptr<double>(),
         *high = out.upper.data_ptr<double>();
  std::vector<double> at_risk, censored, survival, f(causes, 0.0);
  std::vector<VarianceSums> sums(causes);
  double before = 1;
  for (int64_t i = 0; i < k; ++i) {
    const double n = table.risk(i, 0), d = table.events(i, 0);
    const double after = d > 0 ? (table.empties[i] ? 0.0 : before * (1 - d / n)) : before;
    for (int64_t c = 0; c < causes; ++c) {
      const double own = table.left(i, 0, c + 1), other = d - own;
      if (own > 0) f[c] += before * own / n;
      const double b = after > 0 ? 1 / after : 0, a = b * f[c], unit = before * before / (n * n);
      const auto tied = [n](double m) { return m > 1 ? 1 - (m - 1) / (n - 1) : 1.0; };
      if (other > 0 && after > 0) sums[c].add(a, b, unit * other * tied(other));
      if (own > 0) sums[c].add(1 + a, b, unit * own * tied(own));
      const double se = std::sqrt(sums[c].at(f[c]));
      const auto [l, h] = curve_interval(f[c], f[c] > 0 ? se / f[c] : 0, z, interval);
      const int64_t at = i * causes + c;
      events[at] = own, incidence[at] = f[c], error[at] = se, low[at] = l, high[at] = h;
    }
    before = after;
    at_risk.push_back(n), censored.push_back(table.left(i, 0, 0)), survival.push_back(after);
  }
  out.time = tensor_of(table.time);
  out.at_risk = tensor_of(at_risk);
  out.censored = tensor_of(censored);
  out.survival = tensor_of(survival);
  return out;
}

}  // namespace vesalius::outcome
