// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <vector>

#include <vesalius/outcome/detail/cholesky.h>

/// Minimisers for smooth functions that need not be convex.
namespace vesalius::outcome {

struct OptimumLimits {
  int64_t max_iterations = 100;
  double tolerance = 1e-14;  ///< of Newton's decrement gᵀH⁻¹g / 2 over 1 + |f|, which is what f still has to fall
};

struct Optimum {
  bool converged = false;
  int64_t iterations = 0;
  double value = 0;
  std::vector<double> gradient, hessian;  ///< at the end; hessian by Newton only
};

/// Newton with the Hessian shifted until it is positive definite (Nocedal, Wright 2006, algorithm 3.3) and step halving.
/// `evaluate(b, g, h)` returns f, and fills the gradient and Hessian unless the pointers are null; it may return ∞ outside the domain.
template <class Evaluate>
Optimum minimise_newton(Evaluate&& evaluate, std::vector<double>& b, const OptimumLimits& limits) {
  const int64_t q = static_cast<int64_t>(b.size());
  Optimum out;
  std::vector<double> g(q), h(q * q), factor, step, candidate(q);
  out.value = evaluate(b, &g, &h);
  double shift = 0;
  bool last = false;
  for (; out.iterations < limits.max_iterations; ++out.iterations) {
    double diagonal = 0;
    for (int64_t j = 0; j < q; ++j) diagonal = std::max(diagonal, std::abs(h[j * q + j]));
    shift *= 0.1;
    if (shift < 1e-10 * diagonal) shift = 0;
    for (;;) {
      factor = h;
      for (int64_t j = 0; j < q; ++j) factor[j * q + j] += shift;
      if (detail::cholesky(factor, q, 1e-14) < 0) break;
      shift = std::max(10 * shift, 1e-8 * (diagonal + 1e-300));
      if (!(shift < 1e16 * (diagonal + 1e-300))) return out;
    }
    step = g;
    detail::cholesky_solve(factor, q, step.data());
    double decrement = 0;
    for (int64_t j = 0; j < q; ++j) decrement += g[j] * step[j];
    if (!(decrement >= 0)) return out;
    last = shift == 0 && decrement <= 2 * limits.tolerance * (1 + std::abs(out.value));
    double length = 1, next = 0;
    for (;; length *= 0.5) {
      for (int64_t j = 0; j < q; ++j) candidate[j] = b[j] - length * step[j];
      next = evaluate(candidate, nullptr, nullptr);
      if (next <= out.value - 1e-4 * length * decrement + 1e-14 * (1 + std::abs(out.value))) break;
      if (length < 1e-10) break;
    }
    if (length < 1e-10) {  // no way down: rounding at the optimum, or a bad direction
      if (decrement <= 1e-9 * (1 + std::abs(out.value)) && shift == 0) {
        last = true;
        candidate = b;
      } else {
        shift = std::max(100 * shift, 1e-4 * diagonal);
        if (!(shift < 1e16 * diagonal)) return out;
        continue;
      }
    }
    b = candidate;
    out.value = evaluate(b, &g, &h);
    if (last) {
      ++out.iterations;
      break;
    }
  }
  out.converged = last;
  out.gradient = g;
  out.hessian = h;
  return out;
}

/// BFGS with a line search for Wolfe's conditions (Nocedal, Wright 2006, algorithms 6.1 and 3.5), for few variables.
/// `evaluate(b, g)` returns f and fills the gradient.
template <class Evaluate>
Optimum minimise_bfgs(Evaluate&& evaluate, std::vector<double>& b, int64_t max_iterations, double tolerance) {
  const int64_t q = static_cast<int64_t>(b.size());
  Optimum out;
  std::vector<double> g(q), next_g(q), inverse(q * q, 0.0), direction(q), candidate(q), s(q), y(q), hy(q);
  const auto reset = [&] {
    std::fill(inverse.begin(), inverse.end(), 0.0);
    for (int64_t j = 0; j < q; ++j) inverse[j * q + j] = 1;
  };
  reset();
  out.value = evaluate(b, g);
  bool fresh = true;
  for (; out.iterations < max_iterations; ++out.iterations) {
    double largest = 0, slope = 0;
    for (double v : g) largest = std::max(largest, std::abs(v));
    if (largest <= tolerance) {
      out.converged = true;
      break;
    }
    for (int64_t i = 0; i < q; ++i) {
      direction[i] = 0;
      for (int64_t j = 0; j < q; ++j) direction[i] -= inverse[i * q + j] * g[j];
    }
    for (int64_t j = 0; j < q; ++j) slope += direction[j] * g[j];
    if (!(slope < 0)) {
      reset();
      if (fresh) break;
      fresh = true;
      continue;
    }
    double low = 0, high = 0, length = fresh ? std::min(1.0, 1 / largest) : 1, next = 0;
    bool found = false;
    for (int k = 0; k < 60; ++k) {  // bisection for sufficient decrease and curvature
      for (int64_t j = 0; j < q; ++j) candidate[j] = b[j] + length * direction[j];
      next = evaluate(candidate, next_g);
      double along = 0;
      for (int64_t j = 0; j < q; ++j) along += direction[j] * next_g[j];
      if (!(next <= out.value + 1e-4 * length * slope + 1e-15 * std::abs(out.value))) {
        high = length;
      } else if (along < 0.9 * slope) {
        low = length;
      } else {
        found = true;
        break;
      }
      length = high > 0 ? 0.5 * (low + high) : 2 * length;
    }
    if (!found) {
      if (fresh) {
        out.converged = largest <= 1e3 * tolerance;
        break;
      }
      reset();
      fresh = true;
      continue;
    }
    double sy = 0, yhy = 0;
    for (int64_t j = 0; j < q; ++j) s[j] = candidate[j] - b[j], y[j] = next_g[j] - g[j], sy += s[j] * y[j];
    b = candidate, g = next_g, out.value = next;
    if (sy > 1e-300) {
      for (int64_t i = 0; i < q; ++i) {
        hy[i] = 0;
        for (int64_t j = 0; j < q; ++j) hy[i] += inverse[i * q + j] * y[j];
      }
      for (int64_t j = 0; j < q; ++j) yhy += y[j] * hy[j];
      for (int64_t i = 0; i < q; ++i)
        for (int64_t j = 0; j < q; ++j)
          inverse[i * q + j] += (1 + yhy / sy) * s[i] * s[j] / sy - (hy[i] * s[j] + s[i] * hy[j]) / sy;
      fresh = false;
    }
  }
  out.gradient = g;
  return out;
}

}  // namespace vesalius::outcome
