// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include <vesalius/outcome/detail/cholesky.h>

/// Minimises  f(b) + Σ l1_j |b_j| + ½ Σ l2_j b_j²  for a smooth convex f, by Newton steps on a quadratic model
/// (proximal Newton; Lee, Sun, Saunders 2014, doi 10.1137/130921428) over the coordinates that the gradient
/// does not exclude; the quadratic is solved by coordinate descent (Friedman, Hastie, Tibshirani 2010,
/// doi 10.18637/jss.v033.i01) finished by an exact solve once the signs are settled.
///
/// A `Model` has
///   int64_t size();
///   double value(const std::vector<double>& b);                        f(b); the two below are at this b
///   void gradient(std::vector<double>& g);                              all coordinates
///   void hessian(const std::vector<int64_t>& set, std::vector<double>& h);   |set| x |set|, row-major
namespace vesalius::outcome::detail {

struct PenaltyTerms {
  std::vector<double> l1, l2;

  double value(const std::vector<double>& b) const {
    double sum = 0;
    for (size_t j = 0; j < b.size(); ++j) sum += l1[j] * std::abs(b[j]) + 0.5 * l2[j] * b[j] * b[j];
    return sum;
  }
  /// How far coordinate j is from its optimality (Karush-Kuhn-Tucker) condition, given f's gradient there.
  double violation(size_t j, double b, double g) const {
    const double slope = g + l2[j] * b;
    if (b != 0) return std::abs(slope + std::copysign(l1[j], b));
    return std::max(0.0, std::abs(slope) - l1[j]);
  }
};

struct SolverLimits {
  int64_t max_iterations = 100;
  double tolerance = 1e-9;  ///< largest violation of an optimality condition
};

struct SolverResult {
  int64_t iterations = 0;
  double violation = 0;
  bool converged = false;
};

inline double soft_threshold(double x, double amount) {
  return x > amount ? x - amount : x < -amount ? x + amount : 0.0;
}

/// The quadratic model on the chosen coordinates: ½ (b-b0)ᵀH(b-b0) + gᵀ(b-b0) + penalty(b). `slope` holds g + H(b-b0).
class QuadraticStep {
 public:
  QuadraticStep(const std::vector<double>& h, std::vector<double> slope, std::vector<double> b, std::vector<double> l1,
                std::vector<double> l2)
      : h_(h),
        slope_(std::move(slope)),
        b_(std::move(b)),
        l1_(std::move(l1)),
        l2_(std::move(l2)),
        n_(static_cast<int64_t>(b_.size())) {}

  const std::vector<double>& solve(double tolerance) {
    const bool smooth = std::all_of(l1_.begin(), l1_.end(), [](double v) { return v == 0; });
    if (smooth && exact(pattern())) return b_;
    std::vector<int8_t> signs = pattern();
    for (int64_t sweep = 0; sweep < kMaxSweeps; ++sweep) {
      if (coordinate_sweep() <= tolerance) break;
      auto now = pattern();
      const auto in = std::count_if(now.begin(), now.end(), [](int8_t s) { return s != 0; });
      // a solve lowers the model whatever the signs; where it is dear it waits until they have settled
      if (in <= kCheapSolve || now == signs) {
        blocked_ =
            true;  // each block takes a coordinate out: on to the solution of what is left, or the next sweep undoes it
        for (int64_t k = 0; k <= in && blocked_ && exact(now); ++k) now = pattern();
      }
      signs = std::move(now);
    }
    return b_;
  }

 private:
  static constexpr int64_t kMaxSweeps = 5000, kCheapSolve = 64;

  std::vector<int8_t> pattern() const {
    std::vector<int8_t> out(b_.size());
    for (int64_t j = 0; j < n_; ++j) out[j] = l1_[j] == 0 ? 2 : (b_[j] > 0) - (b_[j] < 0);
    return out;
  }

  void move(int64_t j, double delta) {
    b_[j] += delta;
    const double* row = h_.data() + j * n_;
    for (int64_t i = 0; i < n_; ++i) slope_[i] += delta * row[i];
  }

  /// One pass; returns the largest change of the slope that a coordinate's move caused in itself.
  double coordinate_sweep() {
    double largest = 0;
    for (int64_t j = 0; j < n_; ++j) {
      const double curvature = h_[j * n_ + j];
      if (!(curvature + l2_[j] > 0)) continue;
      const double target = soft_threshold(curvature * b_[j] - slope_[j], l1_[j]) / (curvature + l2_[j]);
      const double delta = target - b_[j];
      if (delta == 0) continue;
      move(j, delta);
      if (target == 0) b_[j] = 0;
      largest = std::max(largest, std::abs(delta) * (curvature + l2_[j]));
    }
    return largest;
  }

  /// With the signs fixed the model is smooth: one linear system over the coordinates that are in. Goes to its solution
  /// or, if a coordinate would change its sign on the way, to where the first does. False where nothing moved.
  bool exact(const std::vector<int8_t>& signs) {
    std::vector<int64_t> in;
    for (int64_t j = 0; j < n_; ++j)
      if (signs[j] != 0 && h_[j * n_ + j] + l2_[j] > 0) in.push_back(j);
    const int64_t m = static_cast<int64_t>(in.size());
    if (m == 0) return false;
    std::vector<double> a(static_cast<size_t>(m * m)), slope(static_cast<size_t>(m));
    for (int64_t r = 0; r < m; ++r) {
      const int64_t j = in[r];
      for (int64_t c = 0; c <= r; ++c) a[r * m + c] = h_[j * n_ + in[c]];
      a[r * m + r] += l2_[j];
      slope[r] = slope_[j] + l2_[j] * b_[j] + (signs[j] == 2 ? 0.0 : l1_[j] * signs[j]);
    }
    const int64_t dependent = cholesky(a, m, 1e-12);
    std::vector<double> delta(slope);
    double limit = 1;
    if (dependent < 0) {
      cholesky_solve(a, m, delta.data());
      for (double& d : delta) d = -d;
    } else {
      delta = flat_direction(a, in, dependent);
      double down = 0, curvature = 0;
      for (int64_t r = 0; r <= dependent; ++r) {
        down += delta[r] * slope[r];
        for (int64_t c = 0; c <= dependent; ++c) curvature += delta[r] * delta[c] * h_[in[r] * n_ + in[c]];
        curvature += delta[r] * delta[r] * l2_[in[r]];
      }
      if (down > 0)
        for (double& d : delta) d = -d;
      limit = curvature > 0 ? std::abs(down) / curvature : std::numeric_limits<double>::infinity();
    }
    return move_along(in, signs, delta, limit);
  }

  /// Where column r depends on those before it: one of it less its combination of them, along which the quadratic is
  /// flat and only the penalty speaks. `a` holds the factor of the columns before.
  std::vector<double> flat_direction(const std::vector<double>& a, const std::vector<int64_t>& in, int64_t r) const {
    const int64_t m = static_cast<int64_t>(in.size());
    std::vector<double> factor(static_cast<size_t>(r * r)), delta(static_cast<size_t>(r));
    for (int64_t i = 0; i < r; ++i) {
      for (int64_t k = 0; k <= i; ++k) factor[i * r + k] = a[i * m + k];
      delta[i] = -h_[in[r] * n_ + in[i]];
    }
    cholesky_solve(factor, r, delta.data());
    delta.resize(static_cast<size_t>(m), 0.0);
    delta[r] = 1;
    return delta;
  }

  bool move_along(const std::vector<int64_t>& in, const std::vector<int8_t>& signs, const std::vector<double>& delta,
                  double limit) {
    int64_t blocked = -1;
    for (size_t r = 0; r < in.size(); ++r) {
      const double b = b_[in[r]];
      if (signs[in[r]] == 2 || delta[r] == 0 || (b > 0) == (delta[r] > 0)) continue;
      if (-b / delta[r] < limit) limit = -b / delta[r], blocked = static_cast<int64_t>(r);
    }
    if (!std::isfinite(limit)) return false;
    for (size_t r = 0; r < in.size(); ++r)
      if (delta[r] != 0) move(in[r], limit * delta[r]);
    blocked_ = blocked >= 0;
    if (blocked_) b_[in[blocked]] = 0;
    return true;
  }

  const std::vector<double>& h_;
  std::vector<double> slope_, b_, l1_, l2_;
  int64_t n_;
  bool blocked_ = false;
};

/// Runs from `b` and leaves the minimum there.
template <class Model>
SolverResult minimise(Model& model, const PenaltyTerms& penalty, std::vector<double>& b, const SolverLimits& limits) {
  const size_t p = b.size();
  SolverResult result;
  std::vector<double> g(p), h, candidate;
  std::vector<int64_t> set;
  std::vector<char> in_set(p, 0);
  double objective = model.value(b) + penalty.value(b);
  for (; result.iterations < limits.max_iterations; ++result.iterations) {
    model.gradient(g);
    result.violation = 0;
    for (size_t j = 0; j < p; ++j) {
      result.violation = std::max(result.violation, penalty.violation(j, b[j], g[j]));
      // 0.8: those about to enter are taken along; whoever is left out is checked again at every step
      if (b[j] != 0 || penalty.l1[j] == 0 || std::abs(g[j]) > 0.8 * penalty.l1[j]) in_set[j] = 1;
    }
    if (result.violation <= limits.tolerance) {
      result.converged = true;
      return result;
    }
    set.clear();
    for (size_t j = 0; j < p; ++j)
      if (in_set[j]) set.push_back(static_cast<int64_t>(j));
    model.hessian(set, h);
    std::vector<double> slope, at, l1, l2;
    for (int64_t j : set)
      slope.push_back(g[j]), at.push_back(b[j]), l1.push_back(penalty.l1[j]), l2.push_back(penalty.l2[j]);
    QuadraticStep step(h, std::move(slope), std::move(at), std::move(l1), std::move(l2));
    const auto& target = step.solve(std::min(0.1 * limits.tolerance, 1e-3 * result.violation));

    std::vector<double> direction(p, 0.0);
    double decrease = -penalty.value(b);
    candidate = b;
    for (size_t k = 0; k < set.size(); ++k) {
      candidate[set[k]] = target[k];
      direction[set[k]] = target[k] - b[set[k]];
      decrease += g[set[k]] * direction[set[k]];
    }
    decrease += penalty.value(candidate);
    double length = 1;
    double next = model.value(candidate) + penalty.value(candidate);
    // below rounding of the objective the full step is right: Newton's model is then exact to the last digits
    const double noise = 1e-14 * (1 + std::abs(objective));
    while (!(next <= objective + 1e-4 * length * decrease + noise) && length > 1e-10) {
      length *= 0.5;
      for (size_t j = 0; j < p; ++j) candidate[j] = b[j] + length * direction[j];
      next = model.value(candidate) + penalty.value(candidate);
    }
    if (length <= 1e-10) {  // no descent left: as near as doubles come
      model.value(b);
      result.converged = result.violation <= 1e3 * limits.tolerance;
      return result;
    }
    b.swap(candidate);
    objective = next;
  }
  return result;
}

}  // namespace vesalius::outcome::detail
