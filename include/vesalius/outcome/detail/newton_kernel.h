// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <vector>

#include <vesalius/outcome/detail/cholesky.h>

/// Newton's method with step halving for a smooth convex function without penalty. A `Model` is that of
/// elastic_net_kernel.h and has besides
///   bool diverges(const std::vector<double>& step);   whether the function falls without end in this direction
namespace vesalius::outcome::detail {

enum class NewtonEnd { converged, dependent, diverging, exhausted };

struct NewtonResult {
  NewtonEnd end = NewtonEnd::exhausted;
  int64_t column = -1;  ///< dependent: the first column that is
  int64_t iterations = 0;
  double first_decrement = 0;   ///< gᵀH⁻¹g at the start: the score test, over the scale of the function
  std::vector<double> inverse;  ///< converged: of the Hessian at the minimum
};

template <class Model>
NewtonResult newton(Model& model, std::vector<double>& b, int64_t max_iterations, double tolerance) {
  const int64_t q = static_cast<int64_t>(b.size());
  std::vector<int64_t> all(q);
  std::iota(all.begin(), all.end(), 0);
  std::vector<double> g(q), h, step, candidate(q);
  NewtonResult out;
  double value = model.value(b);
  bool last = false;
  for (; out.iterations <= max_iterations; ++out.iterations) {
    model.gradient(g);
    model.hessian(all, h);
    out.column = cholesky(h, q, out.iterations == 0 ? 1e-11 : 1e-15);
    if (out.column >= 0) {
      // at the start a matter of the columns alone; later the fit has run to where it is flat
      out.end = out.iterations == 0 ? NewtonEnd::dependent : NewtonEnd::diverging;
      return out;
    }
    if (last) break;
    step = g;
    cholesky_solve(h, q, step.data());
    if (out.iterations == 0)
      for (int64_t j = 0; j < q; ++j) out.first_decrement += g[j] * step[j];
    double violation = 0, largest = 0;
    for (double& v : step) v = -v, largest = std::max(largest, std::abs(v));
    for (double v : g) violation = std::max(violation, std::abs(v));
    if (violation <= 1e-2 * tolerance && largest <= 1e-9) break;
    if (model.diverges(step)) {
      out.end = NewtonEnd::diverging;
      return out;
    }
    double length = 1, next = 0;
    for (;; length *= 0.5) {
      for (int64_t j = 0; j < q; ++j) candidate[j] = b[j] + length * step[j];
      next = model.value(candidate);
      if (next <= value + 1e-13 * (1 + std::abs(value)) || length < 1e-8) break;
    }
    b.swap(candidate);
    value = next;
    // Quadratic convergence: a short full step from here was the last that counts. Where the likelihood is nearly flat
    // (separation) the gradient is as small, and the steps are long.
    last = violation <= tolerance && length == 1 && largest <= 1e-4;
  }
  if (out.iterations > max_iterations) return out;
  out.end = NewtonEnd::converged;
  out.inverse = cholesky_inverse(h, q);
  return out;
}

}  // namespace vesalius::outcome::detail
