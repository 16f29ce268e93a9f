// SPDX-License-Identifier: Apache-2.0
#include <vesalius/outcome/multinomial.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>

#include <vesalius/core/error.h>

#include "outcome/common.h"
#include "outcome/optimise.h"

namespace vesalius::outcome {

namespace {

/// −log-likelihood / Σw. Coordinates: intercepts of levels 1 … m − 1 (that of level 0 is 0), then coefficients, level by level from
/// `first`: 1 with level 0 as the reference, 0 with all.
class SoftmaxLoss {
 public:
  SoftmaxLoss(at::Tensor x, std::vector<int64_t> y, std::vector<double> weights, int64_t levels, int64_t first)
      : x_(std::move(x)),
        y_(std::move(y)),
        w_(std::move(weights)),
        n_(x_.size(0)),
        p_(x_.size(1)),
        m_(levels),
        first_(first),
        probability_(n_ * m_) {
    const double total = std::accumulate(w_.begin(), w_.end(), 0.0);
    for (double& w : w_) w /= total;
  }

  int64_t size() const { return m_ - 1 + (m_ - first_) * p_; }

  double value(const std::vector<double>& b) {
    auto coef = at::zeros({p_, m_}, at::kDouble);
    double* c = coef.data_ptr<double>();
    for (int64_t k = first_; k < m_; ++k)
      for (int64_t j = 0; j < p_; ++j) c[j * m_ + k] = b[m_ - 1 + (k - first_) * p_ + j];
    const auto eta = at::mm(x_, coef);
    const double* row = eta.const_data_ptr<double>();
    double sum = 0;
    std::vector<double> e(m_);
    for (int64_t i = 0; i < n_; ++i, row += m_) {
      double top = -1e308, total = 0;
      for (int64_t k = 0; k < m_; ++k) e[k] = row[k] + (k > 0 ? b[k - 1] : 0.0), top = std::max(top, e[k]);
      const double own = e[y_[i]] - top;
      for (int64_t k = 0; k < m_; ++k) e[k] = std::exp(e[k] - top), total += e[k];
      for (int64_t k = 0; k < m_; ++k) probability_[i * m_ + k] = e[k] / total;
      if (w_[i] > 0) sum += w_[i] * (std::log(total) - own);
    }
    return sum;
  }

  void gradient(std::vector<double>& g) const {
    g.assign(size(), 0.0);
    auto rest = at::empty({n_, m_}, at::kDouble);
    double* r = rest.data_ptr<double>();
    for (int64_t i = 0; i < n_; ++i)
      for (int64_t k = 0; k < m_; ++k) {
        r[i * m_ + k] = w_[i] * (probability_[i * m_ + k] - (y_[i] == k));
        if (k > 0) g[k - 1] += r[i * m_ + k];
      }
    const auto product = at::mm(x_.t(), rest).contiguous();
    const double* v = product.const_data_ptr<double>();
    for (int64_t k = first_; k < m_; ++k)
      for (int64_t j = 0; j < p_; ++j) g[m_ - 1 + (k - first_) * p_ + j] = v[j * m_ + k];
  }

  /// H between levels a and b: zᵀ diag(w p_a (1{a = b} − p_b)) z, z the columns chosen (and a one for the intercept).
  void hessian(const std::vector<int64_t>& set, std::vector<double>& h) const {
    const int64_t s = static_cast<int64_t>(set.size());
    h.assign(s * s, 0.0);
    std::vector<std::vector<int64_t>> places(m_), columns(m_);  // in the set, and in (1, x)
    for (int64_t i = 0; i < s; ++i) {
      const bool intercept = set[i] < m_ - 1;
      const int64_t rest = set[i] - (m_ - 1), level = intercept ? set[i] + 1 : rest / p_ + first_;
      places[level].push_back(i);
      columns[level].push_back(intercept ? 0 : rest % p_ + 1);
    }
    const double* x = x_.const_data_ptr<double>();
    const auto gather = [&](const std::vector<int64_t>& chosen, const double* factor) {
      const int64_t c = static_cast<int64_t>(chosen.size());
      auto out = at::empty({n_, c}, at::kDouble);
      double* to = out.data_ptr<double>();
      for (int64_t i = 0; i < n_; ++i)
        for (int64_t k = 0; k < c; ++k)
          *to++ = (factor ? factor[i] : 1.0) * (chosen[k] == 0 ? 1.0 : x[i * p_ + chosen[k] - 1]);
      return out;
    };
    std::vector<double> factor(n_);
    for (int64_t a = 0; a < m_; ++a) {
      if (places[a].empty()) continue;
      const auto left = gather(columns[a], nullptr);
      for (int64_t b = 0; b <= a; ++b) {
        if (places[b].empty()) continue;
        for (int64_t i = 0; i < n_; ++i)
          factor[i] = w_[i] * probability_[i * m_ + a] * ((a == b) - probability_[i * m_ + b]);
        const auto block = at::mm(left.t(), gather(columns[b], factor.data())).contiguous();
        const double* v = block.const_data_ptr<double>();
        for (int64_t i : places[a])
          for (int64_t j : places[b]) h[i * s + j] = h[j * s + i] = *v++;
      }
    }
  }

 private:
  at::Tensor x_;
  std::vector<int64_t> y_;
  std::vector<double> w_;
  int64_t n_, p_, m_, first_;
  std::vector<double> probability_;
};

}  // namespace

MultinomialFit fit_multinomial(const at::Tensor& x_in, const at::Tensor& y_in, const FitOptions& options,
                               const std::optional<at::Tensor>& weights) {
  check_options(options);
  const auto x = checked_matrix(x_in, options.names);
  const int64_t n = x.size(0), p = x.size(1);
  const auto w = checked_weights(weights, n);
  const auto given = checked_vector(y_in, n, "y");
  std::vector<int64_t> y;
  int64_t m = 0;
  for (double v : span_of(given)) {
    if (v != std::floor(v) || v < 0)
      throw InvalidArgument("y must hold levels numbered from 0; it holds " + std::to_string(v));
    y.push_back(static_cast<int64_t>(v));
    m = std::max(m, y.back() + 1);
  }
  std::vector<double> counts(m, 0.0);
  for (int64_t i = 0; i < n; ++i) counts[y[i]] += w[i];
  if (m < 2) throw InvalidArgument("y holds one class only: a model needs at least two");
  for (int64_t k = 0; k < m; ++k)
    if (!(counts[k] > 0))
      throw InvalidArgument("class " + std::to_string(k) + " has no subject (with a weight above 0)");
  const double total = std::accumulate(w.begin(), w.end(), 0.0);
  const auto columns = standardise(x, w, true, false);
  const bool penalised = options.penalty.alpha > 0;
  const int64_t first = penalised ? 0 : 1;
  SoftmaxLoss loss(columns.x, y, w, m, first);
  const int64_t q = loss.size();
  std::vector<double> b(q, 0.0), inverse;
  MultinomialFit fit;
  for (int64_t k = 0; k < m; ++k) {
    if (k > 0) b[k - 1] = std::log(counts[k] / counts[0]);
    fit.log_likelihood_null += counts[k] * std::log(counts[k] / total);
  }
  if (penalised) {
    detail::PenaltyTerms terms;
    const auto one = penalty_terms(options, columns, 0);
    terms.l1.assign(m - 1, 0.0);
    terms.l2.assign(m - 1, 0.0);
    for (int64_t k = 0; k < m; ++k) {
      terms.l1.insert(terms.l1.end(), one.l1.begin(), one.l1.end());
      terms.l2.insert(terms.l2.end(), one.l2.begin(), one.l2.end());
    }
    const auto result = detail::minimise(loss, terms, b, {options.max_iterations, options.tolerance});
    fit.iterations = result.iterations;
    if (!result.converged)
      throw ConvergenceError("penalised multinomial regression did not converge in " +
                             std::to_string(result.iterations) + " iterations (an optimality condition is off by " +
                             std::to_string(result.violation) + "): raise max_iterations or alpha");
  } else {
    check_estimable(columns, n, 1, options);
    std::vector<int64_t> all(p), every(q);
    std::iota(all.begin(), all.end(), 0);
    std::iota(every.begin(), every.end(), 0);
    std::vector<double> gram;
    weighted_crossproduct(columns.x, all, w.data(), gram);
    const int64_t dependent = detail::cholesky(gram, p, 1e-11);
    if (dependent >= 0) throw_dependent(options, dependent);
    auto end = minimise_newton(
        [&](const std::vector<double>& at, std::vector<double>* g, std::vector<double>* h) {
          const double value = loss.value(at);
          if (g) loss.gradient(*g), loss.hessian(every, *h);
          return value;
        },
        b, {options.max_iterations});
    fit.iterations = end.iterations;
    const double rarest = *std::min_element(counts.begin(), counts.end()) / total;
    bool flat = end.hessian.empty() || end.value < 1e-7 || detail::cholesky(end.hessian, q, 1e-9) >= 0;
    for (int64_t j = 0; !flat && j < q; ++j) flat = end.hessian[j * q + j] * end.hessian[j * q + j] < 1e-8 * rarest;
    if (flat)
      throw ConvergenceError(
          "the columns of X separate the classes (wholly or in part): the likelihood grows without end and no finite "
          "estimate exists. "
          "Use penalty=\"l2\" or fewer columns");
    if (!end.converged)
      throw ConvergenceError("multinomial regression did not converge in " + std::to_string(options.max_iterations) +
                             " iterations: raise max_iterations, or use a penalty");
    inverse = detail::cholesky_inverse(end.hessian, q);
  }
  fit.log_likelihood = -total * loss.value(b);
  fit.coef = at::zeros({m, p}, at::kDouble);
  fit.intercept = at::zeros({m}, at::kDouble);
  double *coef = fit.coef.data_ptr<double>(), *intercept = fit.intercept.data_ptr<double>();
  for (int64_t k = 0; k < m; ++k) {
    if (k > 0) intercept[k] = b[k - 1];
    for (int64_t j = 0; j < p && k >= first; ++j) {
      coef[k * p + j] = columns.constant[j] ? 0.0 : b[m - 1 + (k - first) * p + j] / columns.scale[j];
      intercept[k] -= coef[k * p + j] * columns.mean[j];
    }
  }
  if (penalised) {
    double mean = 0;
    for (int64_t k = 0; k < m; ++k) mean += intercept[k] / static_cast<double>(m);
    for (int64_t k = 0; k < m; ++k) intercept[k] -= mean;
  } else {
    std::vector<double> t(q * q, 0.0);
    for (int64_t k = 1; k < m; ++k) {
      const int64_t row = (k - 1) * (p + 1), from = m - 1 + (k - 1) * p;
      t[row * q + k - 1] = 1;
      for (int64_t j = 0; j < p; ++j) {
        t[row * q + from + j] = -columns.mean[j] / columns.scale[j];
        t[(row + 1 + j) * q + from + j] = 1 / columns.scale[j];
      }
    }
    const auto map = tensor_of(t, q, q);
    fit.covariance = at::mm(at::mm(map, tensor_of(inverse, q, q)), map.t()).mul_(1 / total);
  }
  return fit;
}

}  // namespace vesalius::outcome
