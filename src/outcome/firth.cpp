// SPDX-License-Identifier: Apache-2.0
#include <vesalius/outcome/firth.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

#include <ATen/ops/mm.h>

#include <vesalius/core/error.h>
#include <vesalius/outcome/detail/cholesky.h>

#include "outcome/common.h"
#include "outcome/risk_table.h"

namespace vesalius::outcome {

namespace {

/// The penalised likelihood of standardised columns (the intercept's ones first).
class FirthLikelihood {
 public:
  FirthLikelihood(at::Tensor x, std::vector<char> y, std::vector<double> w)
      : x_(std::move(x)),
        y_(std::move(y)),
        w_(std::move(w)),
        n_(x_.size(0)),
        q_(x_.size(1)),
        all_(q_),
        eta_(n_),
        pi_(n_),
        v_(n_) {
    std::iota(all_.begin(), all_.end(), 0);
  }

  int64_t size() const { return q_; }
  const std::vector<double>& factor() const { return factor_; }  ///< of XᵀWX, by Cholesky

  /// Penalised log-likelihood; −∞ where the information is singular.
  double value(const std::vector<double>& b) {
    multiply(x_, false, b, eta_);
    double sum = 0;
    for (int64_t i = 0; i < n_; ++i) {
      const double e = std::exp(-std::abs(eta_[i])), p = eta_[i] >= 0 ? 1 / (1 + e) : e / (1 + e);
      pi_[i] = p;
      v_[i] = w_[i] * e / ((1 + e) * (1 + e));
      const double wrong = y_[i] ? -eta_[i] : eta_[i];
      if (w_[i] > 0) sum -= w_[i] * (std::max(wrong, 0.0) + std::log1p(e));
    }
    weighted_crossproduct(x_, all_, v_.data(), factor_);
    information_ = factor_;
    if (detail::cholesky(factor_, q_, 1e-13) >= 0) return -std::numeric_limits<double>::infinity();
    for (int64_t j = 0; j < q_; ++j) sum += std::log(factor_[j * q_ + j]);
    return sum;
  }

  /// Xᵀ (w (y − π) + h (½ − π)), h the hat values, at the b of the last value().
  void score(std::vector<double>& u) {
    std::vector<double> r(n_), row(q_);
    const double* x = x_.const_data_ptr<double>();
    for (int64_t i = 0; i < n_; ++i, x += q_) {
      double hat = 0;  // v xᵀ (L Lᵀ)⁻¹ x = v |L⁻¹ x|²
      for (int64_t j = 0; j < q_; ++j) {
        double s = x[j];
        for (int64_t k = 0; k < j; ++k) s -= factor_[j * q_ + k] * row[k];
        row[j] = s / factor_[j * q_ + j];
        hat += row[j] * row[j];
      }
      r[i] = w_[i] * (y_[i] - pi_[i]) + v_[i] * hat * (0.5 - pi_[i]);
    }
    u.resize(q_);
    multiply(x_, true, r, u);
  }

  /// Maximises over the coordinates that are not `fixed` (−1: none). Returns the value; counts iterations.
  double maximise(std::vector<double>& b, int64_t fixed, const FirthOptions& options, int64_t& iterations) {
    const int64_t m = q_ - (fixed >= 0);
    double current = value(b);
    std::vector<double> u, step(m), inner(m * m), candidate;
    std::vector<int64_t> free;
    for (int64_t j = 0; j < q_; ++j)
      if (j != fixed) free.push_back(j);
    double total = 0;
    for (double w : w_) total += w;
    for (iterations = 0; iterations < options.max_iterations; ++iterations) {
      score(u);
      double largest = 0;
      for (int64_t a = 0; a < m; ++a) {
        step[a] = u[free[a]];
        largest = std::max(largest, std::abs(step[a]));
        for (int64_t c = 0; c < m; ++c) inner[a * m + c] = information_[free[a] * q_ + free[c]];
      }
      if (m == 0 || largest <= options.tolerance * std::max(1.0, total)) return current;
      if (detail::cholesky(inner, m, 1e-14) >= 0) break;
      detail::cholesky_solve(inner, m, step.data());
      double longest = 0;
      for (double s : step) longest = std::max(longest, std::abs(s));
      double length = std::min(1.0, 5 / longest), next = 0;  // far steps leave where the information is known
      for (;; length *= 0.5) {
        candidate = b;
        for (int64_t a = 0; a < m; ++a) candidate[free[a]] += length * step[a];
        next = value(candidate);
        if (next >= current - 1e-12 * (1 + std::abs(current)) || length < 1e-8) break;
      }
      if (length < 1e-8) {
        value(b);
        if (largest <= 1e4 * options.tolerance * std::max(1.0, total)) return current;
        break;
      }
      b = candidate;
      current = next;
    }
    throw ConvergenceError("Firth's logistic regression did not converge in " + std::to_string(options.max_iterations) +
                           " iterations: raise max_iterations");
  }

 private:
  at::Tensor x_;
  std::vector<char> y_;
  std::vector<double> w_;
  int64_t n_, q_;
  std::vector<int64_t> all_;
  std::vector<double> eta_, pi_, v_, factor_, information_;
};

/// Where f, falling from f(0) > 0, crosses 0 on the side of `step`; regula falsi (Illinois) after doubling.
double crossing(const std::function<double(double)>& f, double at_zero, double step) {
  double near = 0, far = step, f_near = at_zero, f_far = f(far);
  for (int i = 0; f_far > 0 && i < 60; ++i) near = far, f_near = f_far, far *= 2, f_far = f(far);
  if (f_far > 0) return std::copysign(std::numeric_limits<double>::infinity(), step);
  for (int i = 0; i < 100 && std::abs(far - near) > 1e-10 * std::abs(far); ++i) {
    const double middle = (near * f_far - far * f_near) / (f_far - f_near), value = f(middle);
    if (std::abs(value) < 1e-10) return middle;
    if (value > 0) {
      near = middle, f_near = value, f_far *= 0.5;
    } else {
      far = middle, f_far = value, f_near *= 0.5;
    }
  }
  return 0.5 * (near + far);
}

}  // namespace

FirthFit fit_firth_logistic(const at::Tensor& x_in, const at::Tensor& y_in, const FirthOptions& options,
                            const std::optional<at::Tensor>& weights) {
  if (options.max_iterations < 1 || !(options.tolerance > 0))
    throw InvalidArgument("max_iterations and tolerance must be positive");
  const double z = two_sided_normal(options.confidence);
  const auto x = checked_matrix(x_in, options.names);
  const int64_t n = x.size(0), p = x.size(1), free = options.fit_intercept ? 1 : 0, q = p + free;
  const auto y = checked_binary(y_in, n, "y");
  const auto w = checked_weights(weights, n);
  double positive = 0, total = 0;
  for (int64_t i = 0; i < n; ++i) positive += w[i] * y[i], total += w[i];
  if (positive == 0 || positive == total)
    throw InvalidArgument("y holds one class only: a model needs both. With rare classes use stratified folds");
  const auto columns = standardise(x, w, options.fit_intercept, options.fit_intercept);
  FitOptions check;
  check.names = options.names;
  check_estimable(columns, n, free, check);
  std::vector<int64_t> all(q);
  std::iota(all.begin(), all.end(), 0);
  std::vector<double> gram;
  weighted_crossproduct(columns.x, all, w.data(), gram);
  const int64_t dependent = detail::cholesky(gram, q, 1e-11);
  if (dependent >= 0) throw_dependent(check, dependent - free);

  FirthLikelihood likelihood(columns.x, y, w);
  FirthFit fit;
  std::vector<double> b(q, 0.0);
  if (free) b[0] = std::log((positive + 0.5) / (total - positive + 0.5));
  fit.log_likelihood = likelihood.maximise(b, -1, options, fit.iterations);
  const auto inverse = detail::cholesky_inverse(likelihood.factor(), q);
  double log_scales = 0;  // log det XᵀWX / 2 of the columns as they came
  for (double s : columns.scale) log_scales += std::log(s);

  // Given units: T maps standardised parameters.
  std::vector<double> t(q * q, 0.0), at_zero(q, 0.0);
  if (free) t[0] = 1;
  for (int64_t j = free; j < q; ++j) {
    t[j * q + j] = 1 / columns.scale[j - free];
    if (free) t[j] = -columns.mean[j - free] / columns.scale[j - free];
  }
  for (int64_t i = 0; i < q; ++i)
    for (int64_t j = 0; j < q; ++j) at_zero[i] += t[i * q + j] * b[j];
  const auto map = tensor_of(t, q, q);
  fit.covariance = at::mm(at::mm(map, tensor_of(inverse, q, q)), map.t());
  fit.intercept = free ? at_zero[0] : 0;
  fit.coef = tensor_of(std::vector<double>(at_zero.begin() + free, at_zero.end()));
  {
    // the null model keeps the determinant of all columns
    std::vector<double> null(q, 0.0);
    double mean = free ? std::log(positive / (total - positive)) : 0;
    if (free)
      for (int i = 0; i < 50; ++i) {  // in the intercept alone, by Newton on its modified score
        null[0] = mean;
        likelihood.value(null);
        std::vector<double> u;
        likelihood.score(u);
        const double pi = 1 / (1 + std::exp(-mean)), step = u[0] / (total * pi * (1 - pi));
        mean += step;
        if (std::abs(step) < 1e-13) break;
      }
    null.assign(q, 0.0);
    if (free) null[0] = mean;
    fit.log_likelihood_null = likelihood.value(null) + log_scales;
    fit.log_likelihood += log_scales;
  }
  if (!options.profile) return fit;

  std::vector<double> lower(q), upper(q), chi(q);
  const double drop = 0.5 * z * z;
  for (int64_t j = 0; j < q; ++j) {
    // The intercept at x = 0 is profiled in columns that are not centred: there it is a coordinate.
    const bool intercept = free && j == 0;
    Standardised raw;
    if (intercept) {
      raw.x = columns.x.clone();
      double* v = raw.x.data_ptr<double>();
      for (int64_t i = 0; i < n; ++i)
        for (int64_t k = 1; k < q; ++k) v[i * q + k] += columns.mean[k - 1] / columns.scale[k - 1];
    }
    FirthLikelihood own(intercept ? raw.x : columns.x, y, w);
    std::vector<double> top = b;
    if (intercept) top[0] = at_zero[0];
    const double scale = intercept ? 1 : columns.scale[j - free];
    const double best = own.value(top), se = std::sqrt(inverse[j * q + j] + 0.0);
    const double width = intercept ? std::sqrt(fit.covariance.const_data_ptr<double>()[0]) : se;
    std::vector<double> warm = top;
    int64_t unused = 0;
    const auto above = [&](double offset) {  // half the fall that is left
      warm[j] = top[j] + offset;
      return own.maximise(warm, j, options, unused) - best + drop;
    };
    lower[j] = (top[j] + crossing(above, drop, -z * width)) / scale;
    warm = top;
    upper[j] = (top[j] + crossing(above, drop, z * width)) / scale;
    warm = top;
    chi[j] = std::max(0.0, 2 * (drop - above(-top[j])));
  }
  fit.lower = tensor_of(lower);
  fit.upper = tensor_of(upper);
  fit.chi_squared = tensor_of(chi);
  return fit;
}

}  // namespace vesalius::outcome
