// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <limits>

#include <ATen/ops/empty.h>

#include <vesalius/core/error.h>

#include "outcome/common.h"
#include "outcome/parametric_model.h"

namespace vesalius::outcome {

namespace {

using detail::Jet;

/// The fitted distribution of one subject.
class Fitted {
 public:
  explicit Fitted(const ParametricFit& fit)
      : family_(fit.family),
        base_(base_of(fit.family)),
        strata_(fit.strata),
        theta_(span_of(fit.ancillary).begin(), span_of(fit.ancillary).end()),
        spline_(std::vector<double>(span_of(fit.knots).begin(), span_of(fit.knots).end())),
        values_(theta_.size()),
        slopes_(theta_.size()) {}

  detail::Base base() const { return base_; }
  Jet shape() const { return has_shape(family_) ? Jet(theta_.back()) : Jet(); }

  struct Point {
    double z, log_slope;  ///< log dz/d log t
  };
  Point at(double log_time, double eta, int64_t stratum) {
    if (is_spline(family_)) {
      spline_.at(log_time, values_.data(), slopes_.data());
      double z = eta, slope = 0;
      for (size_t j = 0; j < theta_.size(); ++j) z += theta_[j] * values_[j], slope += theta_[j] * slopes_[j];
      return {z, std::log(slope)};
    }
    if (is_gompertz(family_)) {
      const GompertzTime time(std::exp(log_time), Jet(theta_[0] + eta), Jet(theta_[1]));
      return {time.z.v, time.log_slope.v};
    }
    const double log_scale = has_scale(family_) ? theta_[1 + stratum] : 0;
    return {(log_time - theta_[0] - eta) * std::exp(-log_scale), -log_scale};
  }

  /// log t at which z is reached; ∞ if never, NaN where the spline turns down before.
  double inverse(double z, double eta, int64_t stratum) {
    const double infinity = std::numeric_limits<double>::infinity();
    if (std::isinf(z)) return z;
    if (is_gompertz(family_)) {
      const double a = theta_[1], ratio = a * std::exp(z - theta_[0] - eta);  // H = r (eᵃᵗ − 1)/a
      if (ratio <= -1) return infinity;
      return std::abs(ratio) < 1e-300 ? z - theta_[0] - eta : std::log(std::log1p(ratio) / a);
    }
    if (!is_spline(family_)) {
      const double log_scale = has_scale(family_) ? theta_[1 + stratum] : 0;
      return theta_[0] + eta + z * std::exp(log_scale);
    }
    return solve(z, eta, stratum);
  }

 private:
  double solve(double z, double eta, int64_t stratum) {
    const auto value = [&](double y) { return at(y, eta, stratum).z - z; };
    double low = 0, high = 0, step = 1;
    while (value(low) > 0 && step < 1e6) low -= step, step *= 2;
    for (step = 1; value(high) < 0 && step < 1e6;) high += step, step *= 2;
    if (value(low) > 0 || value(high) < 0) return std::numeric_limits<double>::quiet_NaN();
    for (int i = 0; i < 200 && high - low > 1e-15 * (1 + std::abs(low)); ++i) {
      double middle = 0.5 * (low + high);
      if (i % 2 == 0) {  // Newton's step where it stays inside
        const auto p = at(middle, eta, stratum);
        const double next = middle - (p.z - z) / std::exp(p.log_slope);
        if (next > low && next < high) middle = next;
      }
      (value(middle) < 0 ? low : high) = middle;
    }
    return 0.5 * (low + high);
  }

  SurvivalFamily family_;
  detail::Base base_;
  int64_t strata_;
  std::vector<double> theta_;
  SplineBasis spline_;
  std::vector<double> values_, slopes_;
};

/// z with log S₀(z) = value, by bisection (Newton inside): once for all subjects.
double base_quantile(detail::Base base, const Jet& shape, double log_survival) {
  const double infinity = std::numeric_limits<double>::infinity();
  if (log_survival == 0) return -infinity;
  if (std::isinf(log_survival)) return infinity;
  // near 1 the logarithm of the complement tells more
  const bool early = log_survival > -0.5;
  const double target = early ? std::log(-std::expm1(log_survival)) : log_survival;
  const auto value = [&](double z) {
    return early ? detail::log_distribution(base, Jet(z), shape).v - target
                 : target - detail::log_survival(base, Jet(z), shape).v;
  };
  double low = -1, high = 1;
  while (value(low) > 0 && low > -1e8) low *= 2;
  while (value(high) < 0 && high < 1e8) high *= 2;
  for (int i = 0; i < 200 && high - low > 1e-16 * std::max(std::abs(low), std::abs(high)); ++i) {
    const double middle = 0.5 * (low + high);
    (value(middle) < 0 ? low : high) = middle;
  }
  return 0.5 * (low + high);
}

struct Rows {
  at::Tensor eta, columns;
  std::vector<int64_t> stratum;
};

Rows rows_of(const ParametricFit& fit, const at::Tensor& eta, const at::Tensor& columns, const std::string& what,
             const std::optional<at::Tensor>& strata) {
  Rows out{checked_vector(eta, -1, "linear_predictor"), checked_vector(columns, -1, what), {}};
  if (fit.strata > 1 && !strata)
    throw InvalidArgument("the model has a scale for each of its strata: say strata, one for each row");
  if (strata) {
    const auto codes = checked_vector(*strata, out.eta.size(0), "strata");
    for (double s : span_of(codes)) {
      if (s < 0 || s >= static_cast<double>(fit.strata)) throw InvalidArgument("a stratum was not seen in training");
      out.stratum.push_back(static_cast<int64_t>(s));
    }
  }
  return out;
}

template <class Value>
at::Tensor each(const Rows& rows, Value&& value) {
  const int64_t n = rows.eta.size(0), m = rows.columns.size(0);
  auto out = at::empty({n, m}, at::kDouble);
  double* to = out.data_ptr<double>();
  const double *eta = rows.eta.const_data_ptr<double>(), *column = rows.columns.const_data_ptr<double>();
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < m; ++j)
      *to++ = value(column[j], eta[i], rows.stratum.empty() ? int64_t{0} : rows.stratum[i], j);
  return out;
}

void check_not_negative(const at::Tensor& times) {
  for (double t : span_of(times))
    if (t < 0) throw InvalidArgument("times must not be negative; one is " + std::to_string(t));
}

}  // namespace

at::Tensor parametric_linear_predictor(const ParametricFit& fit, const at::Tensor& x_in) {
  const auto x = checked_matrix(x_in, {});
  const int64_t n = x.size(0), p = x.size(1);
  if (p != fit.coef.size(0))
    throw ShapeError("X has " + std::to_string(p) + " columns and the model " + std::to_string(fit.coef.size(0)));
  auto out = at::empty({n}, at::kDouble);
  const double *row = x.const_data_ptr<double>(), *mean = fit.mean.const_data_ptr<double>(),
               *coef = fit.coef.const_data_ptr<double>();
  for (int64_t i = 0; i < n; ++i, row += p) {
    double sum = 0;
    for (int64_t j = 0; j < p; ++j) sum += (row[j] - mean[j]) * coef[j];
    out.data_ptr<double>()[i] = sum;
  }
  return out;
}

at::Tensor parametric_log_survival(const ParametricFit& fit, const at::Tensor& eta, const at::Tensor& times,
                                   const std::optional<at::Tensor>& strata) {
  const auto rows = rows_of(fit, eta, times, "times", strata);
  check_not_negative(rows.columns);
  Fitted fitted(fit);
  return each(rows, [&](double t, double e, int64_t s, int64_t) {
    if (t == 0) return 0.0;
    return detail::log_survival(fitted.base(), Jet(fitted.at(std::log(t), e, s).z), fitted.shape()).v;
  });
}

at::Tensor parametric_hazard(const ParametricFit& fit, const at::Tensor& eta, const at::Tensor& times,
                             const std::optional<at::Tensor>& strata) {
  const auto rows = rows_of(fit, eta, times, "times", strata);
  check_not_negative(rows.columns);
  Fitted fitted(fit);
  return each(rows, [&](double t, double e, int64_t s, int64_t) {
    const double y = std::log(std::max(t, 1e-300));  // at 0 the limit
    const auto p = fitted.at(y, e, s);
    return std::exp(detail::log_density(fitted.base(), Jet(p.z), fitted.shape()).v + p.log_slope - y -
                    detail::log_survival(fitted.base(), Jet(p.z), fitted.shape()).v);
  });
}

at::Tensor parametric_quantile(const ParametricFit& fit, const at::Tensor& eta, const at::Tensor& shares,
                               const std::optional<at::Tensor>& strata) {
  const auto rows = rows_of(fit, eta, shares, "p", strata);
  Fitted fitted(fit);
  std::vector<double> z;
  for (double p : span_of(rows.columns)) {
    if (!(p >= 0 && p <= 1)) throw InvalidArgument("a quantile lies between 0 and 1; it is " + std::to_string(p));
    z.push_back(base_quantile(fitted.base(), fitted.shape(), std::log1p(-p)));
  }
  return each(rows, [&](double, double e, int64_t s, int64_t j) { return std::exp(fitted.inverse(z[j], e, s)); });
}

}  // namespace vesalius::outcome
