// SPDX-License-Identifier: Apache-2.0
#include "outcome/parametric_data.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include <vesalius/core/error.h>
#include <vesalius/outcome/detail/cholesky.h>

namespace vesalius::outcome {

namespace {

/// One limit: NaN is refused, ∞ allowed.
std::vector<double> limit_of(const at::Tensor& t, int64_t n, const std::string& what) {
  auto v = t.detach().to(at::TensorOptions().dtype(at::kDouble).device(at::kCPU)).contiguous();
  if (v.dim() != 1 || (n >= 0 && v.size(0) != n))
    throw ShapeError(what + " must be a vector" + (n >= 0 ? " of " + std::to_string(n) : std::string()) +
                     ", one for each subject");
  std::vector<double> out(span_of(v).begin(), span_of(v).end());
  const auto bad = std::count_if(out.begin(), out.end(), [](double x) { return std::isnan(x); });
  if (bad) throw InvalidArgument(what + " has " + std::to_string(bad) + " values that are NaN");
  return out;
}

TimeKind kind_of(double low, double high) {
  const bool open = !(high < std::numeric_limits<double>::infinity());
  if (low < 0 || high < 0) throw InvalidArgument("times must not be negative: follow-up starts at 0");
  if (high < low)
    throw InvalidArgument("an interval's lower limit must not exceed its upper limit; one is from " +
                          std::to_string(low) + " to " + std::to_string(high));
  if (std::isinf(low)) throw InvalidArgument("a lower limit is infinite");
  if (low == high) {
    if (low == 0)
      throw InvalidArgument(
          "an event at time 0 has no logarithm: a parametric model needs times above 0. Add half of the smallest unit "
          "of time "
          "(0.5 days, say), or give it as an interval from 0 to that unit");
    return TimeKind::none;
  }
  if (open) return TimeKind::right;
  return low == 0 ? TimeKind::left : TimeKind::interval;
}

}  // namespace

TimeData time_data(const at::Tensor& lower, const at::Tensor& upper, const std::optional<at::Tensor>& weights,
                   const std::optional<at::Tensor>& entry_in, const std::optional<at::Tensor>& strata, bool linear) {
  const auto low = limit_of(lower, -1, "the lower limit");
  const int64_t n = static_cast<int64_t>(low.size());
  if (n == 0) throw InvalidArgument("there are no subjects");
  const auto high = limit_of(upper, n, "the upper limit");
  TimeData out;
  out.weight = checked_weights(weights, n);
  double centre = 0;
  for (int64_t i = 0; i < n; ++i) {
    out.kind.push_back(kind_of(low[i], high[i]));
    if (out.kind[i] == TimeKind::right && low[i] == 0)
      out.weight[i] = 0;  // known to have an event some time: says nothing
    if (out.kind[i] == TimeKind::right) continue;
    out.informative += out.weight[i];
    const double middle = out.kind[i] == TimeKind::left ? high[i] : 0.5 * (low[i] + high[i]);
    centre += out.weight[i] * (linear ? middle : std::log(middle));
  }
  if (!(out.informative > 0))
    throw InvalidArgument("there are no events: all " + std::to_string(n) +
                          " subjects are censored on the right, which no parametric model can be fitted to");
  out.shift = linear ? 0 : centre / out.informative;
  out.unit = linear ? centre / out.informative : 1;
  const auto inner = [&](double t) { return linear ? t / out.unit : (t > 0 ? std::log(t) - out.shift : 0.0); };
  for (int64_t i = 0; i < n; ++i) {
    const auto kind = out.kind[i];
    out.low.push_back(inner(low[i]));
    out.high.push_back(kind == TimeKind::right ? out.low[i] : inner(high[i]));
    out.log_time.push_back(kind == TimeKind::none ? (linear ? std::log(out.low[i]) : out.low[i]) : 0.0);
    if (kind == TimeKind::none) out.log_unit += out.weight[i] * (linear ? std::log(out.unit) : out.shift);
  }
  if (entry_in) {
    const auto entry = limit_of(*entry_in, n, "entry");
    for (int64_t i = 0; i < n; ++i) {
      const double until = out.kind[i] == TimeKind::left ? high[i] : low[i];
      if (!(entry[i] >= 0) || !(entry[i] < until || (entry[i] == until && out.kind[i] == TimeKind::interval)))
        throw InvalidArgument("entry must be at least 0 and before the time; a subject enters at " +
                              std::to_string(entry[i]) + " and leaves at " + std::to_string(until));
      if (out.kind[i] == TimeKind::left && entry[i] > 0)
        throw InvalidArgument(
            "a subject seen from entry on cannot have had the event before it: give the interval (entry, upper]");
      out.has_entry.push_back(entry[i] > 0);
      out.entry.push_back(inner(entry[i]));
    }
  }
  if (strata) {
    double largest = 0;
    const auto codes = checked_vector(*strata, n, "strata");
    for (double s : span_of(codes)) {
      if (s < 0 || s != std::floor(s)) throw InvalidArgument("strata must be numbered from 0");
      out.stratum.push_back(static_cast<int64_t>(s));
      largest = std::max(largest, s);
    }
    out.strata = static_cast<int64_t>(largest) + 1;
    std::vector<double> events(out.strata, 0.0);
    for (int64_t i = 0; i < n; ++i)
      if (out.kind[i] != TimeKind::right) events[out.stratum[i]] += out.weight[i];
    for (int64_t s = 0; s < out.strata; ++s)
      if (!(events[s] > 0))
        throw InvalidArgument("stratum " + std::to_string(s) +
                              " has no events, so no scale of its own: merge it with another");
  }
  return out;
}

std::vector<double> spline_knots(const TimeData& data, const ParametricOptions& options) {
  std::vector<double> times;
  for (int pass = 0; pass < 2 && times.empty(); ++pass)
    for (int64_t i = 0; i < data.size(); ++i)
      if (data.weight[i] > 0 && (data.kind[i] == TimeKind::none || (pass == 1 && data.kind[i] != TimeKind::right)))
        times.push_back(data.typical(i) + data.shift);
  std::sort(times.begin(), times.end());
  std::vector<double> out{times.front()};
  const int64_t inner = options.knots.empty() ? options.inner_knots : static_cast<int64_t>(options.knots.size());
  if (inner < 0) throw InvalidArgument("the number of inner knots must not be negative");
  for (int64_t k = 1; k <= inner; ++k) {
    if (!options.knots.empty()) {
      out.push_back(options.knots[k - 1]);
      continue;
    }
    const double at = static_cast<double>(k) / static_cast<double>(inner + 1) * static_cast<double>(times.size() - 1);
    const auto i = static_cast<size_t>(at);
    const double rest = at - static_cast<double>(i);
    out.push_back(times[i] + (rest > 0 ? rest * (times[i + 1] - times[i]) : 0.0));
  }
  out.push_back(times.back());
  for (size_t k = 1; k < out.size(); ++k)
    if (!(out[k] > out[k - 1]))
      throw InvalidArgument("a spline with " + std::to_string(inner) +
                            " inner knots needs them ascending between the first and last of the " +
                            std::to_string(times.size()) +
                            " uncensored times, and these do not differ enough: use fewer knots");
  return out;
}

void check_independent(const Standardised& columns, const std::vector<double>& weights, const FitOptions& options) {
  const int64_t p = static_cast<int64_t>(columns.scale.size());
  std::vector<int64_t> all(p);
  std::iota(all.begin(), all.end(), 0);
  std::vector<double> gram;
  weighted_crossproduct(columns.x, all, weights.data(), gram);
  const int64_t bad = detail::cholesky(gram, p, 1e-11);
  if (bad >= 0) throw_dependent(options, bad);
}

}  // namespace vesalius::outcome
