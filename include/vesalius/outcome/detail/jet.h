// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cmath>

/// A value with its gradient and Hessian in three variables: the derivatives of a log-likelihood's terms, exact, from
/// their formulas alone (forward differentiation; Griewank, Walther 2008, doi 10.1137/1.9780898717761).
namespace vesalius::outcome::detail {

struct Jet {
  static constexpr int kVariables = 3;
  static constexpr int kPairs = 6;  ///< (0,0) (1,0) (1,1) (2,0) (2,1) (2,2)

  double v = 0;
  std::array<double, kVariables> g{};
  std::array<double, kPairs> h{};

  Jet() = default;
  Jet(double value) : v(value) {}  // NOLINT(google-explicit-constructor): numbers mix with jets in formulas
  static Jet variable(double value, int index) {
    Jet out(value);
    out.g[index] = 1;
    return out;
  }
  static constexpr int pair(int a, int b) { return a >= b ? a * (a + 1) / 2 + b : b * (b + 1) / 2 + a; }
};

/// f(x), given f, f' and f'' there.
inline Jet chain(const Jet& x, double f, double first, double second) {
  Jet out(f);
  for (int a = 0; a < Jet::kVariables; ++a) {
    out.g[a] = first * x.g[a];
    for (int b = 0; b <= a; ++b) out.h[Jet::pair(a, b)] = first * x.h[Jet::pair(a, b)] + second * x.g[a] * x.g[b];
  }
  return out;
}

/// f(x, y), given f and its partial derivatives there.
inline Jet chain(const Jet& x, const Jet& y, double f, double fx, double fy, double fxx, double fxy, double fyy) {
  Jet out(f);
  for (int a = 0; a < Jet::kVariables; ++a) {
    out.g[a] = fx * x.g[a] + fy * y.g[a];
    for (int b = 0; b <= a; ++b) {
      const int ab = Jet::pair(a, b);
      out.h[ab] = fx * x.h[ab] + fy * y.h[ab] + fxx * x.g[a] * x.g[b] + fyy * y.g[a] * y.g[b] +
                  fxy * (x.g[a] * y.g[b] + x.g[b] * y.g[a]);
    }
  }
  return out;
}

inline Jet operator+(const Jet& x, const Jet& y) { return chain(x, y, x.v + y.v, 1, 1, 0, 0, 0); }
inline Jet operator-(const Jet& x, const Jet& y) { return chain(x, y, x.v - y.v, 1, -1, 0, 0, 0); }
inline Jet operator*(const Jet& x, const Jet& y) { return chain(x, y, x.v * y.v, y.v, x.v, 0, 1, 0); }
inline Jet operator-(const Jet& x) { return chain(x, -x.v, -1, 0); }
inline Jet exp(const Jet& x) {
  const double e = std::exp(x.v);
  return chain(x, e, e, e);
}
inline Jet log(const Jet& x) { return chain(x, std::log(x.v), 1 / x.v, -1 / (x.v * x.v)); }

/// log(1 + eˣ).
inline Jet softplus(const Jet& x) {
  const double e = std::exp(-std::abs(x.v)), p = x.v >= 0 ? 1 / (1 + e) : e / (1 + e);
  return chain(x, std::max(x.v, 0.0) + std::log1p(e), p, e / ((1 + e) * (1 + e)));
}

/// log(1 − eˣ) for x < 0 (Mächler 2012, log1mexp).
inline Jet log1mexp(const Jet& x) {
  const double m = std::expm1(-x.v);  // e⁻ˣ − 1 > 0
  const double f = x.v > -0.6931471805599453 ? std::log(-std::expm1(x.v)) : std::log1p(-std::exp(x.v));
  return chain(x, f, -1 / m, std::isfinite(m) ? -(1 + m) / m / m : 0.0);
}

}  // namespace vesalius::outcome::detail
