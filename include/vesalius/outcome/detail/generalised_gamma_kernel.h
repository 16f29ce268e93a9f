// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>

#include <vesalius/outcome/detail/jet.h>

/// The standardised log-time w of the generalised gamma distribution with shape Q (Prentice 1974, doi 10.1093/biomet/61.3.539):
/// with a = Q⁻², density  f(w) = |Q| aᵃ exp(a (Qw − e^{Qw})) / Γ(a)  = exp(E(w, Q) − s(Q)) / √2π,
///   E(w, Q) = −w² φ(Qw),   φ(x) = (eˣ − 1 − x)/x²,   s(Q) = log Γ(a) − (a − ½) log a + a − ½ log 2π  (Stirling's error).
/// Written so nothing cancels as Q → 0, where it is normal; Q = 1 is Weibull's. Survival is the integral of f: one
/// quadrature gives it and its derivatives in Q, which the incomplete gamma function has not in closed form.
namespace vesalius::outcome::detail {

struct Derivatives {
  double f, first, second;
};

/// φ, φ', φ''.
inline Derivatives exponential_remainder(double x) {
  if (std::abs(x) < 1) {
    double f = 0, d1 = 0, d2 = 0, term = 0.5;  // xᵏ/(k+2)!
    double p0 = 1, p1 = 0, p2 = 0;             // xᵏ and its derivatives
    for (int k = 0; k < 20; ++k) {
      f += term * p0, d1 += term * p1, d2 += term * p2;
      p2 = x * p2 + 2 * p1, p1 = x * p1 + p0, p0 *= x;
      term /= k + 3;
    }
    return {f, d1, d2};
  }
  const double e = std::exp(x), x2 = x * x;
  return {(e - 1 - x) / x2, (e * (x - 2) + x + 2) / (x2 * x), (e * (x2 - 4 * x + 6) - 2 * x - 6) / (x2 * x2)};
}

/// Stirling's error of log Γ(a) and its derivatives in a.
inline Derivatives stirling_error(double a) {
  if (a < 12) {  // s(a) = s(a + 1) + (a + ½) log(1 + 1/a) − 1
    const auto next = stirling_error(a + 1);
    const double l = std::log1p(1 / a), r = 1 / (a * (a + 1));
    return {next.f + (a + 0.5) * l - 1, next.first + l - (a + 0.5) * r,
            next.second - 2 * r + (a + 0.5) * (2 * a + 1) * r * r};
  }
  constexpr double kTerms[] = {1. / 12,   -1. / 360,      1. / 1260, -1. / 1680,
                               1. / 1188, -691. / 360360, 1. / 156,  -3617. / 122400};
  double f = 0, d1 = 0, d2 = 0, power = 1 / a;
  for (int k = 0; k < 8; ++k) {
    const double m = 2 * k + 1, term = kTerms[k] * power;
    f += term, d1 -= m * term / a, d2 += m * (m + 1) * term / (a * a);
    power /= a * a;
  }
  return {f, d1, d2};
}

/// s(Q).
inline Jet stirling_error_of_shape(const Jet& q) {
  const double x = q.v;
  if (x * x < 1. / 12) {
    constexpr double kTerms[] = {1. / 12,   -1. / 360,      1. / 1260, -1. / 1680,
                                 1. / 1188, -691. / 360360, 1. / 156,  -3617. / 122400};
    double f = 0, d1 = 0, d2 = 0;
    for (int k = 0; k < 8; ++k) {
      const double m = 4 * k + 2;
      f += kTerms[k] * std::pow(x, m);
      d1 += kTerms[k] * m * std::pow(x, m - 1);
      d2 += kTerms[k] * m * (m - 1) * std::pow(x, m - 2);
    }
    return chain(q, f, d1, d2);
  }
  const double a = 1 / (x * x), a1 = -2 * a / x, a2 = 6 * a * a;
  const auto s = stirling_error(a);
  return chain(q, s.f, s.first * a1, s.second * a1 * a1 + s.first * a2);
}

struct Exponent {
  double e, w, q, ww, wq, qq;  ///< E and its partial derivatives
};

inline Exponent gamma_exponent(double w, double q) {
  const auto p = exponential_remainder(q * w);
  const double x = q * w, w2 = w * w;
  return {-w2 * p.f,
          -w * (2 * p.f + x * p.first),
          -w2 * w * p.first,
          -(2 * p.f + 4 * x * p.first + x * x * p.second),
          -w2 * (3 * p.first + x * p.second),
          -w2 * w2 * p.second};
}

/// log f(w).
inline Jet generalised_gamma_log_density(const Jet& w, const Jet& q) {
  const auto e = gamma_exponent(w.v, q.v);
  return chain(w, q, e.e - 0.9189385332046727, e.w, e.q, e.ww, e.wq, e.qq) - stirling_error_of_shape(q);
}

/// log ∫ f from w outwards: `side` 1 to ∞, −1 to −∞. Meant for the side away from 0, where the integrand falls and is log-concave.
inline Jet generalised_gamma_log_tail(const Jet& w, const Jet& q, int side) {
  constexpr int kNodes = 8;  // Gauss-Legendre, the positive half of 16
  constexpr double kX[kNodes] = {0.0950125098376374401853193, 0.2816035507792589132304605, 0.4580167776572273863424194,
                                 0.6178762444026437484466718, 0.7554044083550030338951012, 0.8656312023878317438804679,
                                 0.9445750230732325760779884, 0.9894009349916499325961542};
  constexpr double kW[kNodes] = {0.1894506104550684962853967, 0.1826034150449235888667637, 0.1691565193950025381893121,
                                 0.1495959888165767320815017, 0.1246289712555338720524763, 0.0951585116824927848099251,
                                 0.0622535239386478928628438, 0.0271524594117540948517806};
  constexpr double kNegligible = -42;
  const auto at = gamma_exponent(w.v, q.v);
  const auto fallen = [&](double s) { return gamma_exponent(w.v + side * s, q.v).e - at.e; };
  double reach = 1;
  while (fallen(reach) > kNegligible && reach < 1e100) reach *= 2;
  double low = 0;
  if (fallen(reach) < 2 * kNegligible) {  // not much further than needed, or the nodes are wasted
    double high = reach;
    for (int i = 0; i < 60 && high - low > 0.1 * high; ++i) {
      const double middle = 0.5 * (low + high), value = fallen(middle);
      (value < kNegligible ? high : low) = middle;
    }
    reach = high;
  }
  double sum = 0, first = 0, second = 0;
  // panels that widen away from w: near it the integrand may bend over a length of 1/|Q|, far out it falls over |Q|
  constexpr int kPanels = 7;
  constexpr double kRatio = 0.4;
  double from = 0;
  for (int panel = 1; panel <= kPanels; ++panel) {
    const double until = reach * std::pow(kRatio, kPanels - panel), half = 0.5 * (until - from),
                 middle = 0.5 * (until + from);
    from = until;
    for (int k = 0; k < 2 * kNodes; ++k) {
      const double s = middle + half * (k < kNodes ? kX[k] : -kX[k - kNodes]);
      const auto e = gamma_exponent(w.v + side * s, q.v);
      const double weight = half * kW[k % kNodes] * std::exp(e.e - at.e);
      if (!(weight > 0)) continue;
      sum += weight, first += weight * e.q, second += weight * (e.qq + e.q * e.q);
    }
  }
  first /= sum, second /= sum;
  const double slope = -side / sum;
  return chain(w, q, at.e + std::log(sum) - 0.9189385332046727, slope, first, slope * (at.w - slope),
               slope * (at.q - first), second - first * first) -
         stirling_error_of_shape(q);
}

}  // namespace vesalius::outcome::detail
