// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <span>
#include <vector>

#include <vesalius/outcome/detail/log_time_kernel.h>
#include <vesalius/outcome/parametric.h>

/// The transformed time z of each family, and a natural cubic spline in log t.
namespace vesalius::outcome {

inline bool is_spline(SurvivalFamily f) {
  return f == SurvivalFamily::spline_hazard || f == SurvivalFamily::spline_odds || f == SurvivalFamily::spline_normal;
}
inline bool is_gompertz(SurvivalFamily f) { return f == SurvivalFamily::gompertz; }
inline bool has_shape(SurvivalFamily f) { return f == SurvivalFamily::generalised_gamma; }
inline bool has_scale(SurvivalFamily f) { return !is_spline(f) && !is_gompertz(f) && f != SurvivalFamily::exponential; }

inline detail::Base base_of(SurvivalFamily f) {
  switch (f) {
    case SurvivalFamily::log_logistic:
    case SurvivalFamily::spline_odds:
      return detail::Base::logistic;
    case SurvivalFamily::log_normal:
    case SurvivalFamily::spline_normal:
      return detail::Base::normal;
    case SurvivalFamily::generalised_gamma:
      return detail::Base::gamma;
    default:
      return detail::Base::extreme;
  }
}

/// 1, x and  (x − k_j)³₊ − λ_j (x − k_first)³₊ − (1 − λ_j)(x − k_last)³₊,  λ_j = (k_last − k_j)/(k_last − k_first), for the inner knots
/// k_j: linear outside the boundary knots.
class SplineBasis {
 public:
  explicit SplineBasis(std::vector<double> knots) : knots_(std::move(knots)) {}
  int64_t size() const { return static_cast<int64_t>(knots_.size()); }

  void at(double x, double* values, double* slopes) const {
    values[0] = 1, slopes[0] = 0;
    values[1] = x, slopes[1] = 1;
    const double first = knots_.front(), last = knots_.back();
    const auto cube = [](double d) { return d > 0 ? d * d * d : 0.0; };
    const auto square = [](double d) { return d > 0 ? 3 * d * d : 0.0; };
    for (size_t j = 1; j + 1 < knots_.size(); ++j) {
      const double share = (last - knots_[j]) / (last - first);
      values[j + 1] = cube(x - knots_[j]) - share * cube(x - first) - (1 - share) * cube(x - last);
      slopes[j + 1] = square(x - knots_[j]) - share * square(x - first) - (1 - share) * square(x - last);
    }
  }

 private:
  std::vector<double> knots_;
};

/// E(x) = (eˣ − 1)/x with two derivatives, for Gompertz's cumulative hazard.
inline detail::Jet log_exponential_mean(const detail::Jet& x) {
  double f = 0, d1 = 0, d2 = 0;
  if (std::abs(x.v) < 1) {
    double term = 1, p0 = 1, p1 = 0, p2 = 0;  // xᵏ/(k+1)!
    for (int k = 0; k < 20; ++k) {
      f += term * p0, d1 += term * p1, d2 += term * p2;
      p2 = x.v * p2 + 2 * p1, p1 = x.v * p1 + p0, p0 *= x.v;
      term /= k + 2;
    }
    return detail::chain(x, std::log(f), d1 / f, d2 / f - (d1 / f) * (d1 / f));
  }
  // log((eˣ − 1)/x): slope eˣ/(eˣ − 1) − 1/x, curvature 1/x² − eˣ/(eˣ − 1)²
  const double m = -std::expm1(-std::abs(x.v)), e = std::exp(-std::abs(x.v));
  const double value = (x.v > 0 ? x.v : 0.0) + std::log(m / std::abs(x.v));
  const double slope = (x.v > 0 ? 1 / m : -e / m) - 1 / x.v;
  return detail::chain(x, value, slope, 1 / (x.v * x.v) - e / (m * m));
}

/// z and log(dz/d log t) of Gompertz's distribution, µ the log rate, a the shape.
struct GompertzTime {
  detail::Jet z, log_slope;
  GompertzTime(double t, const detail::Jet& mu, const detail::Jet& a) {
    const detail::Jet x = a * t, mean = log_exponential_mean(x);
    z = mu + std::log(t) + mean;
    log_slope = x - mean;
  }
};

}  // namespace vesalius::outcome
