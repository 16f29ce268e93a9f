// SPDX-License-Identifier: Apache-2.0
#include <vesalius/outcome/ordinal.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/mm.h>

#include <vesalius/core/error.h>
#include <vesalius/outcome/detail/log_time_kernel.h>

#include "outcome/common.h"
#include "outcome/optimise.h"

namespace vesalius::outcome {

namespace {

using detail::Jet;

/// −log-likelihood / Σw in (ζ, b), for standardised columns. A level is an interval of a logistic variable: (ζ_{k−1} − η, ζ_k − η].
class OrdinalLoss {
 public:
  OrdinalLoss(at::Tensor x, std::vector<int64_t> y, std::vector<double> weights, int64_t levels)
      : x_(std::move(x)), y_(std::move(y)), w_(std::move(weights)), cuts_(levels - 1) {
    const double total = std::accumulate(w_.begin(), w_.end(), 0.0);
    for (double& w : w_) w /= total;
  }

  int64_t size() const { return cuts_ + x_.size(1); }
  int64_t cuts() const { return cuts_; }

  double evaluate(const std::vector<double>& b, std::vector<double>* g, std::vector<double>* h) {
    const int64_t n = static_cast<int64_t>(y_.size()), p = x_.size(1), m = size();
    for (int64_t k = 1; k < cuts_; ++k)
      if (!(b[k] > b[k - 1])) return std::numeric_limits<double>::infinity();
    std::vector<double> eta(n), slope(n, 0.0), curvature(n, 0.0);
    multiply(x_, false, std::vector<double>(b.begin() + cuts_, b.end()), eta);
    std::vector<double> mixed(g ? n * cuts_ : 0, 0.0);
    if (g) g->assign(m, 0.0), h->assign(m * m, 0.0);
    double sum = 0;
    for (int64_t i = 0; i < n; ++i) {
      if (w_[i] == 0) continue;
      const int64_t k = y_[i];
      const Jet low = Jet::variable(k > 0 ? b[k - 1] - eta[i] : 0.0, 0);
      const Jet high = Jet::variable(k < cuts_ ? b[k] - eta[i] : 0.0, 1);
      const Jet term = k == 0       ? detail::log_distribution(detail::Base::logistic, high, Jet())
                       : k == cuts_ ? detail::log_survival(detail::Base::logistic, low, Jet())
                                    : detail::log_interval(detail::Base::logistic, low, high, Jet());
      if (!std::isfinite(term.v)) return std::numeric_limits<double>::infinity();
      sum -= w_[i] * term.v;
      if (!g) continue;
      for (int a = 0; a < 2; ++a) {
        const int64_t row = k - 1 + a;
        if (row < 0 || row >= cuts_) continue;
        (*g)[row] -= w_[i] * term.g[a];
        slope[i] += w_[i] * term.g[a];
        for (int c = 0; c < 2; ++c) {
          const int64_t column = k - 1 + c;
          if (column < 0 || column >= cuts_) continue;
          const double second = -w_[i] * term.h[Jet::pair(a, c)];
          (*h)[row * m + column] += second;
          mixed[i * cuts_ + row] -= second;
          curvature[i] += second;
        }
      }
    }
    if (!g) return sum;
    std::vector<double> out(p), inner;
    multiply(x_, true, slope, out);
    std::copy(out.begin(), out.end(), g->begin() + cuts_);
    std::vector<int64_t> all(p);
    std::iota(all.begin(), all.end(), 0);
    weighted_crossproduct(x_, all, curvature.data(), inner);
    const auto cross = at::mm(x_.t(), at::from_blob(mixed.data(), {n, cuts_}, at::kDouble)).contiguous();
    const double* c = cross.const_data_ptr<double>();
    for (int64_t j = 0; j < p; ++j) {
      for (int64_t k = 0; k < p; ++k) (*h)[(cuts_ + j) * m + cuts_ + k] = inner[j * p + k];
      for (int64_t k = 0; k < cuts_; ++k) (*h)[(cuts_ + j) * m + k] = (*h)[k * m + cuts_ + j] = c[j * cuts_ + k];
    }
    return sum;
  }

  // What the elastic net's solver asks for.
  double value(const std::vector<double>& b) {
    at_ = b;
    fresh_ = false;
    return evaluate(b, nullptr, nullptr);
  }
  void gradient(std::vector<double>& g) {
    refresh();
    g = g_;
  }
  void hessian(const std::vector<int64_t>& set, std::vector<double>& h) {
    refresh();
    const int64_t k = static_cast<int64_t>(set.size()), m = size();
    h.resize(k * k);
    for (int64_t i = 0; i < k; ++i)
      for (int64_t j = 0; j < k; ++j) h[i * k + j] = h_[set[i] * m + set[j]];
  }

 private:
  void refresh() {
    if (!fresh_) evaluate(at_, &g_, &h_);
    fresh_ = true;
  }

  at::Tensor x_;
  std::vector<int64_t> y_;
  std::vector<double> w_;
  int64_t cuts_;
  std::vector<double> at_, g_, h_;
  bool fresh_ = false;
};

std::vector<int64_t> levels_of(const at::Tensor& y_in, int64_t n, const std::vector<double>& weights, int64_t& levels,
                               std::vector<double>& counts) {
  const auto y = checked_vector(y_in, n, "y");
  std::vector<int64_t> out;
  levels = 0;
  for (double v : span_of(y)) {
    if (v != std::floor(v) || v < 0)
      throw InvalidArgument("y must hold levels numbered from 0; it holds " + std::to_string(v));
    out.push_back(static_cast<int64_t>(v));
    levels = std::max(levels, out.back() + 1);
  }
  counts.assign(levels, 0.0);
  for (int64_t i = 0; i < n; ++i) counts[out[i]] += weights[i];
  if (levels < 2) throw InvalidArgument("y holds one level only: an ordinal model needs at least two");
  for (int64_t k = 0; k < levels; ++k)
    if (!(counts[k] > 0))
      throw InvalidArgument("level " + std::to_string(k) +
                            " has no subject (with a weight above 0): number the levels that are there");
  return out;
}

}  // namespace

OrdinalFit fit_ordinal(const at::Tensor& x_in, const at::Tensor& y_in, const FitOptions& options,
                       const std::optional<at::Tensor>& weights) {
  check_options(options);
  const auto x = checked_matrix(x_in, options.names);
  const int64_t n = x.size(0), p = x.size(1);
  const auto w = checked_weights(weights, n);
  int64_t levels = 0;
  std::vector<double> counts;
  const auto y = levels_of(y_in, n, w, levels, counts);
  const auto columns = standardise(x, w, true, false);
  const int64_t cuts = levels - 1, m = cuts + p;
  OrdinalLoss loss(columns.x, y, w, levels);
  const double total = std::accumulate(w.begin(), w.end(), 0.0);
  std::vector<double> b(m, 0.0);
  OrdinalFit fit;
  double below = 0;
  for (int64_t k = 0; k < levels; ++k) {
    fit.log_likelihood_null += counts[k] * std::log(counts[k] / total);
    below += counts[k];
    if (k < cuts) b[k] = std::log(below / (total - below));
  }
  std::vector<double> inverse;
  if (options.penalty.alpha > 0) {
    const auto result =
        detail::minimise(loss, penalty_terms(options, columns, cuts), b, {options.max_iterations, options.tolerance});
    fit.iterations = result.iterations;
    if (!result.converged)
      throw ConvergenceError("penalised ordinal regression did not converge in " + std::to_string(result.iterations) +
                             " iterations (an optimality condition is off by " + std::to_string(result.violation) +
                             "): raise max_iterations or alpha");
  } else {
    check_estimable(columns, n, cuts, options);
    std::vector<int64_t> all(p);
    std::iota(all.begin(), all.end(), 0);
    std::vector<double> gram;
    weighted_crossproduct(columns.x, all, w.data(), gram);
    const int64_t dependent = detail::cholesky(gram, p, 1e-11);
    if (dependent >= 0) throw_dependent(options, dependent);
    auto end = minimise_newton([&](const std::vector<double>& at, std::vector<double>* g,
                                   std::vector<double>* h) { return loss.evaluate(at, g, h); },
                               b, {options.max_iterations});
    fit.iterations = end.iterations;
    const bool flat = end.hessian.empty() || detail::cholesky(end.hessian, m, 1e-9) >= 0 || (end.value < 1e-7) ||
                      std::any_of(b.begin() + cuts, b.end(), [](double v) { return std::abs(v) > 1e3; });
    bool small = false;
    for (int64_t j = 0; !flat && j < m; ++j) small = small || end.hessian[j * m + j] * end.hessian[j * m + j] < 1e-9;
    if (flat || small)
      throw ConvergenceError(
          "the columns of X separate the levels (wholly or in part): the likelihood grows without end and no finite "
          "estimate exists. "
          "Use penalty=\"l2\", merge levels or use fewer columns");
    if (!end.converged)
      throw ConvergenceError("ordinal regression did not converge in " + std::to_string(options.max_iterations) +
                             " iterations: raise max_iterations, or use a penalty");
    inverse = detail::cholesky_inverse(end.hessian, m);
  }
  fit.log_likelihood = -total * loss.value(b);
  std::vector<double> coef(p), thresholds(b.begin(), b.begin() + cuts);
  double shift = 0;
  for (int64_t j = 0; j < p; ++j) {
    coef[j] = columns.constant[j] ? 0.0 : b[cuts + j] / columns.scale[j];
    shift += coef[j] * columns.mean[j];
  }
  fit.centred = tensor_of(thresholds);
  for (double& t : thresholds) t += shift;
  fit.coef = tensor_of(coef);
  fit.thresholds = tensor_of(thresholds);
  fit.mean = tensor_of(columns.mean);
  if (!inverse.empty()) {  // (coef, ζ) = T (ζ centred, b standardised)
    std::vector<double> t(m * m, 0.0);
    for (int64_t j = 0; j < p; ++j) t[j * m + cuts + j] = 1 / columns.scale[j];
    for (int64_t k = 0; k < cuts; ++k) {
      t[(p + k) * m + k] = 1;
      for (int64_t j = 0; j < p; ++j) t[(p + k) * m + cuts + j] = columns.mean[j] / columns.scale[j];
    }
    const auto map = tensor_of(t, m, m);
    fit.covariance = at::mm(at::mm(map, tensor_of(inverse, m, m)), map.t()).mul_(1 / total);
  }
  return fit;
}

at::Tensor ordinal_probabilities(const at::Tensor& predictor_in, const at::Tensor& thresholds_in) {
  const auto predictor = checked_vector(predictor_in, -1, "linear_predictor");
  const auto thresholds = checked_vector(thresholds_in, -1, "thresholds");
  const int64_t n = predictor.size(0), cuts = thresholds.size(0);
  auto out = at::empty({n, cuts + 1}, at::kDouble);
  double* to = out.data_ptr<double>();
  const auto zeta = span_of(thresholds);
  for (double eta : span_of(predictor))
    for (int64_t k = 0; k <= cuts; ++k) {
      const Jet low(k > 0 ? zeta[k - 1] - eta : 0.0), high(k < cuts ? zeta[k] - eta : 0.0);
      *to++ = std::exp(k == 0      ? detail::log_distribution(detail::Base::logistic, high, Jet()).v
                       : k == cuts ? detail::log_survival(detail::Base::logistic, low, Jet()).v
                                   : detail::log_interval(detail::Base::logistic, low, high, Jet()).v);
    }
  return out;
}

}  // namespace vesalius::outcome
