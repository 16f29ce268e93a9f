// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include <ATen/ops/empty.h>

#include <vesalius/core/error.h>
#include <vesalius/outcome/cox.h>
#include <vesalius/outcome/detail/cholesky.h>

#include "outcome/cox_model.h"

namespace vesalius::outcome {

namespace {

constexpr double kMost = 2.5e8;  // products of columns held at once: 2 GB

/// l(b) + ½ log det I(b), Jeffreys' prior on the partial likelihood, and its slope.
class Penalised {
 public:
  explicit Penalised(const CoxProblem& problem)
      : problem_(problem), model_(problem), n_(problem.columns.x.size(0)), p_(problem.columns.x.size(1)), all_(p_) {
    std::iota(all_.begin(), all_.end(), 0);
  }

  int64_t size() const { return p_; }

  /// −∞ where the information is singular. Leaves its factor for the rest.
  double value(const std::vector<double>& b) {
    const double likelihood = -model_.total() * model_.value(b);
    model_.hessian(all_, factor_);
    for (double& v : factor_) v *= model_.total();
    information_ = factor_;
    column_ = factorise(factor_, p_, 1e-15);
    if (column_ >= 0 || !std::isfinite(likelihood)) return -std::numeric_limits<double>::infinity();
    double half = 0;  // of the columns as they came, whose information is larger by their scales
    for (int64_t j = 0; j < p_; ++j) half += std::log(factor_[j * p_ + j]) + std::log(problem_.columns.scale[j]);
    return likelihood + half;
  }

  /// At the last value: U_j + ½ tr(I⁻¹ ∂I/∂b_j). The trace is Σ over event terms of E[(x−m)ᵀI⁻¹(x−m) (x−m)_j], E the mean
  /// over the risk set, written out in sums of q = xᵀI⁻¹x, x, q x and x xᵀ.
  std::vector<double> slope() {
    std::vector<double> g(static_cast<size_t>(p_));
    model_.gradient(g);
    for (double& v : g) v *= -model_.total();
    const auto inverse = inverse_of_factor(factor_, p_);
    const auto& likelihood = problem_.partial();
    const int64_t width = 1 + 2 * p_ + p_ * p_;
    const auto products = augmented(inverse, width);
    std::vector<double> mean(static_cast<size_t>(width)), am(static_cast<size_t>(p_));
    likelihood.risk_sums(products.data(), width,
                         [&](size_t k, double at_risk, double tied, const double* sum, const double* tied_sum) {
                           likelihood.for_terms(likelihood.groups()[k], [&](double share, double weight) {
                             const double scale = 1 / (at_risk - share * tied);
                             for (int64_t j = 0; j < width; ++j)
                               mean[j] = scale * (sum[j] - (share > 0 ? share * tied_sum[j] : 0.0));
                             const double *m = mean.data() + 1, *qx = m + p_, *xx = qx + p_;
                             double mam = 0;
                             for (int64_t i = 0; i < p_; ++i) {
                               am[i] = 0;
                               for (int64_t j = 0; j < p_; ++j) am[i] += inverse[i * p_ + j] * m[j];
                               mam += m[i] * am[i];
                             }
                             for (int64_t j = 0; j < p_; ++j) {
                               double cross = 0;
                               for (int64_t i = 0; i < p_; ++i) cross += xx[j * p_ + i] * am[i];
                               g[j] += 0.5 * weight * (qx[j] - m[j] * mean[0] - 2 * cross + 2 * m[j] * mam);
                             }
                           });
                         });
    return g;
  }

  /// Newton's step for the coordinates but `fixed`, with the information of the likelihood.
  std::vector<double> step(const std::vector<double>& g, int64_t fixed) const {
    auto out = g;
    if (fixed < 0) {
      detail::cholesky_solve(factor_, p_, out.data());
      return out;
    }
    std::vector<double> sub, part;
    for (int64_t i = 0; i < p_; ++i) {
      if (i == fixed) continue;
      part.push_back(g[i]);
      for (int64_t j = 0; j < p_; ++j)
        if (j != fixed) sub.push_back(information_[i * p_ + j]);
    }
    out.assign(g.size(), 0.0);
    const int64_t m = p_ - 1;
    if (m == 0 || factorise(sub, m, 1e-15) >= 0) return out;
    detail::cholesky_solve(sub, m, part.data());
    for (int64_t i = 0, k = 0; i < p_; ++i)
      if (i != fixed) out[i] = part[k++];
    return out;
  }

  /// Goes uphill from b to the maximum over the coordinates but `fixed`. @return its value
  double maximise(std::vector<double>& b, int64_t fixed, const CoxOptions& options, int64_t* iterations = nullptr) {
    double best = value(b);
    if (column_ >= 0 && fixed < 0) throw_dependent(options, column_);
    const int64_t most = std::max<int64_t>(options.max_iterations, 100);
    for (int64_t i = 0; i < most; ++i) {
      const auto g = slope();
      auto d = step(g, fixed);
      double gain = 0, largest = 0;
      for (int64_t j = 0; j < p_; ++j) gain += g[j] * d[j], largest = std::max(largest, std::abs(d[j]));
      if (iterations) *iterations = i;
      if (gain < 1e-17 * (1 + std::abs(best))) return best;
      const double cap = largest > 2 ? 2 / largest : 1;  // in standard deviations of a column: no leap into the flat
      std::vector<double> next(b);
      double length = cap, reached = 0;
      for (;; length *= 0.5) {
        for (int64_t j = 0; j < p_; ++j) next[j] = b[j] + length * d[j];
        reached = value(next);
        if (reached >= best - 1e-13 * (1 + std::abs(best)) || length < 1e-7) break;
      }
      b = next;
      best = reached;
      if (length < 1e-7) return best;
    }
    throw ConvergenceError("Firth's likelihood did not converge in " + std::to_string(most) +
                           " iterations: raise max_iterations, or leave nearly collinear columns out");
  }

  std::vector<double> inverse() const { return inverse_of_factor(factor_, p_); }

 private:
  std::vector<double> augmented(const std::vector<double>& inverse, int64_t width) const {
    const double* x = problem_.columns.x.const_data_ptr<double>();
    std::vector<double> out(static_cast<size_t>(n_ * width));
    for (int64_t i = 0; i < n_; ++i) {
      const double* row = x + i * p_;
      double *to = out.data() + i * width, q = 0;
      for (int64_t a = 0; a < p_; ++a)
        for (int64_t c = 0; c < p_; ++c) {
          const double product = row[a] * row[c];
          q += inverse[a * p_ + c] * product;
          to[1 + 2 * p_ + a * p_ + c] = product;
        }
      to[0] = q;
      for (int64_t j = 0; j < p_; ++j) to[1 + j] = row[j], to[1 + p_ + j] = q * row[j];
    }
    return out;
  }

  const CoxProblem& problem_;
  CoxModel model_;
  int64_t n_, p_, column_ = -1;
  std::vector<int64_t> all_;
  std::vector<double> factor_, information_;
};

void check_firth(const CoxOptions& options, int64_t n, int64_t p) {
  if (options.ties == Ties::exact) throw NotSupported("Firth's correction needs ties=\"efron\" or \"breslow\"");
  if (options.penalty.alpha > 0) throw InvalidArgument("firth=True is a penalty already: say penalty=None");
  if (static_cast<double>(n) * static_cast<double>(p) * static_cast<double>(p) > kMost)
    throw NotSupported("Firth's correction is for small data: " + std::to_string(n) + " subjects with " +
                       std::to_string(p) + " columns are too many. Use penalty=\"l2\"");
}

}  // namespace

void solve_firth(const CoxProblem& problem, const CoxOptions& options, std::vector<double>& b, CoxFit& fit) {
  const int64_t p = static_cast<int64_t>(b.size());
  check_firth(options, problem.columns.x.size(0), p);
  Penalised penalised(problem);
  fit.log_likelihood_null = penalised.value(b);
  fit.log_likelihood = penalised.maximise(b, -1, options, &fit.iterations);
  fit.score_test = std::numeric_limits<double>::quiet_NaN();
  auto inverse = penalised.inverse();
  for (int64_t i = 0; i < p; ++i)
    for (int64_t j = 0; j < p; ++j) inverse[i * p + j] /= problem.columns.scale[i] * problem.columns.scale[j];
  fit.covariance = tensor_of(inverse, p, p);
}

at::Tensor cox_firth_intervals(const CoxFit& fit, const at::Tensor& x_in, const CoxOutcome& outcome,
                               const CoxOptions& options, double drop) {
  const auto x = checked_matrix(x_in, options.names);
  const auto data = checked_outcome(outcome, x.size(0), options);
  check_firth(options, x.size(0), x.size(1));
  const CoxProblem problem(x, data, options);
  Penalised penalised(problem);
  const int64_t p = x.size(1);
  std::vector<double> best(span_of(fit.coef).begin(), span_of(fit.coef).end()), out;
  for (int64_t j = 0; j < p; ++j) best[j] *= problem.columns.scale[j];
  const double top = penalised.value(best);
  const auto covariance = penalised.inverse();
  for (int64_t j = 0; j < p; ++j)
    for (const double side : {-1.0, 1.0}) {
      auto b = best;
      const auto miss = [&](double at) {  // above 0: still inside
        b[j] = at;
        return penalised.maximise(b, j, options) - (top - drop);
      };
      double inside = best[j], width = std::sqrt(2 * drop * covariance[j * p + j]), outside = inside + side * width;
      for (int step = 0; step < 40 && miss(outside) > 0; ++step) inside = outside, outside += side * (width *= 1.6);
      for (int step = 0; step < 60 && std::abs(outside - inside) > 1e-10 * (1 + std::abs(outside)); ++step) {
        const double middle = 0.5 * (inside + outside);
        (miss(middle) > 0 ? inside : outside) = middle;
      }
      out.push_back(0.5 * (inside + outside) / problem.columns.scale[j]);
    }
  return tensor_of(out, p, 2);
}

}  // namespace vesalius::outcome
