// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <limits>

#include <vesalius/outcome/detail/generalised_gamma_kernel.h>
#include <vesalius/outcome/detail/jet.h>

/// Distributions of a transformed time z: the smallest extreme value (S = exp(−eᶻ)), the logistic (S = 1/(1 + eᶻ)), the normal
/// (S = Φ(−z)) and the generalised gamma with a shape. Every parametric survival model here is one of these with z some increasing
/// function of log t.
namespace vesalius::outcome::detail {

enum class Base { extreme, logistic, normal, gamma };

/// log Φ(x) with derivatives r = φ/Φ and −r (x + r); for x far below 0 by Laplace's asymptotic series.
inline Jet log_normal_cdf(const Jet& x) {
  constexpr double kHalfLog2Pi = 0.9189385332046727;
  if (x.v > -12) {
    const double c = 0.5 * std::erfc(-x.v * 0.7071067811865476);
    const double r = std::exp(-0.5 * x.v * x.v - kHalfLog2Pi) / c;
    const double f = x.v > 5 ? std::log1p(-0.5 * std::erfc(x.v * 0.7071067811865476)) : std::log(c);
    return chain(x, f, r, -r * (x.v + r));
  }
  double rest = 0, term = 1;  // 1 − rest = 1 − 1/x² + 3/x⁴ − …
  for (int k = 1; k < 30; ++k) {
    const double next = -term * (2 * k - 1) / (x.v * x.v);
    if (std::abs(next) >= std::abs(term)) break;
    term = next;
    rest -= term;
  }
  const double r = -x.v / (1 - rest);
  return chain(x, -0.5 * x.v * x.v - kHalfLog2Pi - std::log(-x.v) + std::log1p(-rest), r,
               -r * (-x.v * rest / (1 - rest)));
}

/// log f(z), log S(z) and log F(z); `shape` is used by gamma only.
inline Jet log_density(Base base, const Jet& z, const Jet& shape) {
  switch (base) {
    case Base::extreme:
      return z - exp(z);
    case Base::logistic:
      return z - softplus(z) * 2.0;
    case Base::normal:
      return z * z * -0.5 - 0.9189385332046727;
    default:
      return generalised_gamma_log_density(z, shape);
  }
}

inline Jet log_survival(Base base, const Jet& z, const Jet& shape) {
  switch (base) {
    case Base::extreme:
      return -exp(z);
    case Base::logistic:
      return -softplus(z);
    case Base::normal:
      return log_normal_cdf(-z);
    default:
      return z.v >= 0 ? generalised_gamma_log_tail(z, shape, 1) : log1mexp(generalised_gamma_log_tail(z, shape, -1));
  }
}

inline Jet log_distribution(Base base, const Jet& z, const Jet& shape) {
  switch (base) {
    case Base::extreme:  // log(1 − exp(−eᶻ)); for z far below 0 it is z
      return z.v < -36 ? z : log1mexp(-exp(z));
    case Base::logistic:
      return -softplus(-z);
    case Base::normal:
      return log_normal_cdf(z);
    default:
      return z.v < 0 ? generalised_gamma_log_tail(z, shape, -1) : log1mexp(generalised_gamma_log_tail(z, shape, 1));
  }
}

/// log P(low < Z ≤ high), from the side on which neither probability is near 1.
inline Jet log_interval(Base base, const Jet& low, const Jet& high, const Jet& shape) {
  if (low.v + high.v > 0) {
    const Jet a = log_survival(base, low, shape), b = log_survival(base, high, shape);
    return a + log1mexp(b - a);
  }
  const Jet a = log_distribution(base, high, shape), b = log_distribution(base, low, shape);
  return a + log1mexp(b - a);
}

}  // namespace vesalius::outcome::detail
