// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <deque>
#include <numeric>

#include <ATen/ops/cholesky_inverse.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/linalg_cholesky_ex.h>

#include <vesalius/core/error.h>
#include <vesalius/outcome/detail/cholesky.h>

#include "outcome/cox_model.h"

namespace vesalius::outcome {

namespace {

constexpr int64_t kSmall = 48;     // systems that are solved sooner here than LAPACK is called
constexpr double kSettled = 1e-7;  // step left, in standard errors: the next Newton step ends below rounding
constexpr double kStill = 1e-4;    // largest change of a linear predictor that such a step may make: separation makes 1
constexpr double kSpreadOut = 5.0;  // linear predictors this far apart: look whether they run away

double dot(const std::vector<double>& a, const std::vector<double>& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

/// Directions −B g, where B is the inverse of the last factor corrected by the steps since (Nocedal 1980, doi
/// 10.2307/2006193).
class Secants {
 public:
  void reset() { pairs_.clear(); }
  void add(std::vector<double> step, std::vector<double> change) {
    const double curvature = dot(step, change);
    if (!(curvature > 1e-14 * std::sqrt(dot(step, step) * dot(change, change)))) return;
    pairs_.push_back({std::move(step), std::move(change), 1 / curvature});
    if (pairs_.size() > kMemory) pairs_.pop_front();
  }
  std::vector<double> direction(const std::vector<double>& factor, const std::vector<double>& g) const {
    std::vector<double> d = g, alpha(pairs_.size());
    for (size_t k = pairs_.size(); k-- > 0;) {
      alpha[k] = pairs_[k].scale * dot(pairs_[k].step, d);
      for (size_t j = 0; j < d.size(); ++j) d[j] -= alpha[k] * pairs_[k].change[j];
    }
    detail::cholesky_solve(factor, static_cast<int64_t>(d.size()), d.data());
    for (size_t k = 0; k < pairs_.size(); ++k) {
      const double beta = pairs_[k].scale * dot(pairs_[k].change, d);
      for (size_t j = 0; j < d.size(); ++j) d[j] += (alpha[k] - beta) * pairs_[k].step[j];
    }
    for (double& v : d) v = -v;
    return d;
  }

 private:
  static constexpr size_t kMemory = 16;
  struct Pair {
    std::vector<double> step, change;
    double scale;
  };
  std::deque<Pair> pairs_;
};

/// How many gradients one Hessian costs, from the multiplications and how fast each kind runs.
double hessian_cost(int64_t p) {
  if (p <= 8) return 0;
  const double q = static_cast<double>(p);
  return (1.5 * q * q / 8 + 4 * q) / (4 * q + 40);
}

}  // namespace

int64_t factorise(std::vector<double>& a, int64_t n, double tolerance) {
  if (n <= kSmall) return detail::cholesky(a, n, tolerance);
  std::vector<double> diagonal(static_cast<size_t>(n));
  for (int64_t j = 0; j < n; ++j) diagonal[j] = a[j * n + j];
  auto matrix = at::from_blob(a.data(), {n, n}, at::kDouble);
  const auto [l, info] = at::linalg_cholesky_ex(matrix);
  matrix.copy_(l);
  const int64_t failed = info.item<int>();
  for (int64_t j = 0; j < (failed > 0 ? failed - 1 : n); ++j)
    if (!(a[j * n + j] * a[j * n + j] > tolerance * diagonal[j])) return j;
  return failed > 0 ? failed - 1 : -1;
}

std::vector<double> inverse_of_factor(const std::vector<double>& l, int64_t n) {
  if (n <= kSmall) return detail::cholesky_inverse(l, n);
  const auto out = at::cholesky_inverse(at::from_blob(const_cast<double*>(l.data()), {n, n}, at::kDouble)).contiguous();
  const auto values = span_of(out);
  return {values.begin(), values.end()};
}

CoxNewton solve_cox(CoxModel& model, std::vector<double>& b, const CoxOptions& options) {
  const int64_t q = static_cast<int64_t>(b.size());
  std::vector<int64_t> all(b.size());
  std::iota(all.begin(), all.end(), 0);
  std::vector<double> g(b.size()), next_g(b.size()), factor, candidate(b.size());
  const double hessian = hessian_cost(q);
  CoxNewton out;
  Secants secants;
  double value = model.value(b), before = 0;
  model.gradient(g);
  bool fresh = false, wanted = true;  // `fresh`: the factor is that of the Hessian at b
  for (;; ++out.iterations) {
    if (wanted) {
      model.hessian(all, factor);
      out.column = factorise(factor, q, out.iterations == 0 ? 1e-11 : 1e-15);
      if (out.column >= 0) {
        // at the start a matter of the columns alone; later the fit has run to where it is flat
        out.end = out.iterations == 0 ? CoxNewton::End::dependent : CoxNewton::End::diverging;
        return out;
      }
      secants.reset();
      fresh = true;
    }
    auto step = secants.direction(factor, g);
    const double decrement = -dot(g, step), left = std::sqrt(std::max(0.0, decrement) * model.total());
    if (out.iterations == 0) out.score = decrement;
    if (!fresh && left <= kSettled) {
      wanted = true, --out.iterations;  // the factor at the minimum gives the covariance
      continue;
    }
    const double violation =
        std::abs(*std::max_element(g.begin(), g.end(), [](double a, double c) { return std::abs(a) < std::abs(c); }));
    if (fresh && left <= kSettled && violation <= options.tolerance && model.reach(step) <= kStill) {
      for (int64_t j = 0; j < q; ++j) b[j] += step[j];
      model.value(b);
      break;
    }
    if (out.iterations >= options.max_iterations) return out;
    if ((model.spread() > kSpreadOut || model.rows() * q < 100000) && model.diverges(step)) {
      out.end = CoxNewton::End::diverging;
      return out;
    }
    double length = 1, next = 0;
    for (;; length *= 0.5) {
      for (int64_t j = 0; j < q; ++j) candidate[j] = b[j] + length * step[j];
      next = model.value(candidate);
      if (next <= value + 1e-13 * (1 + std::abs(value)) || length < 1e-8) break;
    }
    model.gradient(next_g);
    for (int64_t j = 0; j < q; ++j) step[j] *= length, g[j] = next_g[j] - g[j];
    secants.add(std::move(step), g);
    b.swap(candidate);
    g.swap(next_g);
    value = next;
    // Is the old factor worth keeping? At this rate the rest takes so many gradients.
    const double rate = before > 0 ? std::sqrt(std::max(decrement, 1e-300) / before) : 0.3;
    const double steps = rate < 0.9 ? std::log(std::max(left, 1e-300) / kSettled) / -std::log(rate) : 1e9;
    wanted = length < 1 || steps > 1.5 * hessian;
    before = wanted ? 0 : decrement;
    fresh = false;
  }
  out.end = CoxNewton::End::converged;
  out.inverse = inverse_of_factor(factor, q);
  return out;
}

void throw_cox(const CoxNewton& result, const CoxOptions& options) {
  if (result.end == CoxNewton::End::dependent) throw_dependent(options, result.column);
  if (result.end == CoxNewton::End::diverging)
    throw ConvergenceError(
        "the partial likelihood is monotone: some combination of the columns orders every event first in its risk set "
        "(separation), so that it grows without end and no finite estimate exists. Use firth=True, penalty=\"l2\" or "
        "fewer columns");
  throw ConvergenceError("Cox regression did not converge in " + std::to_string(options.max_iterations) +
                         " iterations: raise max_iterations, or use a penalty");
}

}  // namespace vesalius::outcome
