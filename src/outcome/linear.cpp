// SPDX-License-Identifier: Apache-2.0
#include <vesalius/outcome/linear.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include <ATen/ops/empty.h>

#include <vesalius/core/error.h>
#include <vesalius/outcome/detail/cholesky.h>

#include "outcome/common.h"

namespace vesalius::outcome {

namespace {

/// Columns and y less their means over their standard deviations (without an intercept: over their root mean squares), and what the
/// least squares need of them.
struct LinearData {
  Standardised columns;
  std::vector<double> y, w;  // w sums to 1
  double mean = 0, scale = 1, total = 0;
  std::vector<double> gram, moment;  // XᵀWX, XᵀWy
  double square = 0;                 // yᵀWy
  int64_t rows = 0, free = 0;
  int64_t p() const { return static_cast<int64_t>(columns.scale.size()); }
};

LinearData linear_data(const at::Tensor& x_in, const at::Tensor& y_in, const LinearOptions& options,
                       const std::optional<at::Tensor>& weights) {
  check_options(options);
  const auto x = checked_matrix(x_in, options.names);
  LinearData out;
  out.rows = x.size(0);
  const auto y = checked_vector(y_in, out.rows, "y");
  out.w = checked_weights(weights, out.rows);
  out.free = options.fit_intercept ? 1 : 0;
  out.columns = standardise(x, out.w, options.fit_intercept, false);
  for (double w : out.w) out.total += w;
  out.y.assign(span_of(y).begin(), span_of(y).end());
  double reach = 0;
  for (int64_t i = 0; i < out.rows; ++i) out.mean += options.fit_intercept ? out.w[i] / out.total * out.y[i] : 0.0;
  double rest = 0, largest = 0;  // the mean of what is left corrects the rounding of the first
  for (int64_t i = 0; i < out.rows; ++i) {
    rest += out.w[i] / out.total * (out.y[i] - out.mean);
    largest = std::max(largest, std::abs(out.y[i]));
  }
  if (options.fit_intercept) out.mean += rest;
  for (int64_t i = 0; i < out.rows; ++i) reach = std::max(reach, std::abs(out.y[i] - out.mean));
  if (!(reach > 1e-14 * largest)) std::fill(out.y.begin(), out.y.end(), out.mean), reach = 0;  // constant
  if (reach > 0) {
    double square = 0;
    for (int64_t i = 0; i < out.rows; ++i) square += out.w[i] / out.total * std::pow((out.y[i] - out.mean) / reach, 2);
    out.scale = reach * std::sqrt(square);
    if (!(out.scale > 0)) out.scale = 1;
  }
  for (double& v : out.y) v = (v - out.mean) / out.scale;
  std::vector<double> weighted(out.rows);
  for (int64_t i = 0; i < out.rows; ++i) {
    out.w[i] /= out.total;
    weighted[i] = out.w[i] * out.y[i];
    out.square += weighted[i] * out.y[i];
  }
  std::vector<int64_t> all(out.p());
  std::iota(all.begin(), all.end(), 0);
  weighted_crossproduct(out.columns.x, all, out.w.data(), out.gram);
  out.moment.resize(out.p());
  multiply(out.columns.x, true, weighted, out.moment);
  return out;
}

/// ½ (yᵀWy − 2 mᵀb + bᵀGb) for the solver.
class LeastSquares {
 public:
  explicit LeastSquares(const LinearData& data) : data_(data) {}
  int64_t size() const { return data_.p(); }
  double value(const std::vector<double>& b) {
    const int64_t p = data_.p();
    slope_.resize(p);
    double sum = data_.square;
    for (int64_t j = 0; j < p; ++j) {
      slope_[j] = -data_.moment[j];
      for (int64_t k = 0; k < p; ++k) slope_[j] += data_.gram[j * p + k] * b[k];
      sum += b[j] * (slope_[j] - data_.moment[j]);
    }
    return 0.5 * std::max(0.0, sum);
  }
  void gradient(std::vector<double>& g) const { g = slope_; }
  void hessian(const std::vector<int64_t>& set, std::vector<double>& h) const {
    const int64_t m = static_cast<int64_t>(set.size()), p = data_.p();
    h.resize(m * m);
    for (int64_t i = 0; i < m; ++i)
      for (int64_t j = 0; j < m; ++j) h[i * m + j] = data_.gram[set[i] * p + set[j]];
  }

 private:
  const LinearData& data_;
  std::vector<double> slope_;
};

detail::PenaltyTerms linear_penalty(const LinearOptions& options, const LinearData& data) {
  auto terms = penalty_terms(options, data.columns, 0);
  for (double& v : terms.l1) v /= data.scale;  // y is in units of its standard deviation
  return terms;
}

void linear_penalised(const LinearData& data, const LinearOptions& options, std::vector<double>& b,
                      int64_t& iterations) {
  LeastSquares model(data);
  const auto result =
      detail::minimise(model, linear_penalty(options, data), b, {options.max_iterations, options.tolerance});
  iterations = result.iterations;
  if (!result.converged)
    throw ConvergenceError("penalised linear regression did not converge in " + std::to_string(result.iterations) +
                           " iterations (an optimality condition is off by " + std::to_string(result.violation) +
                           "): raise max_iterations or alpha");
}

std::vector<double> residuals(const LinearData& data, const std::vector<double>& b) {
  std::vector<double> out(data.rows);
  multiply(data.columns.x, false, b, out);
  for (int64_t i = 0; i < data.rows; ++i) out[i] = data.y[i] - out[i];
  return out;
}

void to_given_units(const LinearData& data, const std::vector<double>& b, double* coef, double& intercept) {
  intercept = data.free ? data.mean : 0;
  for (int64_t j = 0; j < data.p(); ++j) {
    coef[j] = data.columns.constant[j] ? 0.0 : b[j] * data.scale / data.columns.scale[j];
    intercept -= coef[j] * data.columns.mean[j];
  }
}

/// σ² (XᵀWX)⁻¹ for the columns as they came, the intercept first.
at::Tensor linear_covariance(const LinearData& data, const std::vector<double>& inverse, double variance) {
  const int64_t p = data.p(), q = p + data.free;
  std::vector<double> out(q * q);
  const auto inner = [&](int64_t j, int64_t k) {
    return inverse[j * p + k] / (data.columns.scale[j] * data.columns.scale[k]);
  };
  for (int64_t j = 0; j < p; ++j)
    for (int64_t k = 0; k < p; ++k) out[(j + data.free) * q + k + data.free] = variance * inner(j, k);
  if (data.free) {
    double corner = 1;
    for (int64_t j = 0; j < p; ++j) {
      double side = 0;
      for (int64_t k = 0; k < p; ++k) side -= inner(j, k) * data.columns.mean[k];
      out[j + 1] = out[(j + 1) * q] = variance * side;
      corner -= data.columns.mean[j] * side;
    }
    out[0] = variance * corner;
  }
  return tensor_of(out, q, q);
}

}  // namespace

LinearFit fit_linear(const at::Tensor& x, const at::Tensor& y, const LinearOptions& options,
                     const std::optional<at::Tensor>& weights) {
  const auto data = linear_data(x, y, options, weights);
  const int64_t p = data.p();
  std::vector<double> b(p, 0.0), inverse;
  LinearFit fit;
  if (options.penalty.alpha > 0) {
    linear_penalised(data, options, b, fit.iterations);
  } else {
    check_estimable(data.columns, data.rows, data.free, options);
    auto factor = data.gram;
    const int64_t bad = detail::cholesky(factor, p, 1e-11);
    if (bad >= 0) throw_dependent(options, bad);
    b = data.moment;
    detail::cholesky_solve(factor, p, b.data());
    for (fit.iterations = 1; fit.iterations <= 2;
         ++fit.iterations) {  // the residuals correct what squaring the columns lost
      auto rest = residuals(data, b);
      for (int64_t i = 0; i < data.rows; ++i) rest[i] *= data.w[i];
      std::vector<double> step(p);
      multiply(data.columns.x, true, rest, step);
      detail::cholesky_solve(factor, p, step.data());
      for (int64_t j = 0; j < p; ++j) b[j] += step[j];
    }
    inverse = detail::cholesky_inverse(factor, p);
  }
  const auto rest = residuals(data, b);
  double square = 0, about = 0;
  for (int64_t i = 0; i < data.rows; ++i)
    square += data.w[i] * rest[i] * rest[i], about += data.w[i] * data.y[i] * data.y[i];
  fit.r_squared = about > 0 ? 1 - square / about : std::numeric_limits<double>::quiet_NaN();
  const double mean_square = square * data.scale * data.scale;
  fit.degrees_of_freedom = data.total - static_cast<double>(p + data.free);
  fit.log_likelihood = -0.5 * data.total * (std::log(2 * M_PI * mean_square) + 1);
  fit.sigma = std::sqrt(mean_square);
  if (!inverse.empty()) {
    const double variance = fit.degrees_of_freedom > 0 ? mean_square * data.total / fit.degrees_of_freedom
                                                       : std::numeric_limits<double>::quiet_NaN();
    fit.sigma = std::sqrt(variance);
    fit.covariance = linear_covariance(data, inverse, variance / data.total);
  }
  fit.coef = at::empty({p}, at::kDouble);
  to_given_units(data, b, fit.coef.data_ptr<double>(), fit.intercept);
  return fit;
}

LinearPath linear_path(const at::Tensor& x, const at::Tensor& y, const LinearOptions& options_in,
                       const std::optional<at::Tensor>& alphas_in, int64_t count, double min_ratio,
                       const std::optional<at::Tensor>& weights) {
  auto options = options_in;
  const auto data = linear_data(x, y, options, weights);
  const int64_t p = data.p();
  std::vector<double> alphas;
  if (alphas_in) {
    const auto given = checked_vector(*alphas_in, -1, "alphas");
    alphas.assign(span_of(given).begin(), span_of(given).end());
    for (size_t k = 0; k < alphas.size(); ++k)
      if (!(alphas[k] > 0) || (k > 0 && alphas[k] > alphas[k - 1]))
        throw InvalidArgument("alphas must be positive and descending");
    if (alphas.empty()) throw InvalidArgument("alphas is empty");
  } else {
    if (count < 1 || !(min_ratio > 0 && min_ratio < 1))
      throw InvalidArgument("a path needs at least one alpha, and min_ratio between 0 and 1");
    double largest = 0;
    for (int64_t j = 0; j < p; ++j)
      largest = std::max(largest, std::abs(data.moment[j]) * (options.standardise ? 1.0 : data.columns.scale[j]));
    const double top = std::max(largest * data.scale, 1e-300) / std::max(options.penalty.l1_ratio, 1e-3);
    for (int64_t k = 0; k < count; ++k)
      alphas.push_back(top *
                       std::pow(min_ratio, count > 1 ? static_cast<double>(k) / static_cast<double>(count - 1) : 0.0));
  }
  const int64_t k = static_cast<int64_t>(alphas.size());
  LinearPath out{tensor_of(alphas), at::empty({k, p}, at::kDouble), at::empty({k}, at::kDouble),
                 at::empty({k}, at::kDouble)};
  std::vector<double> b(p, 0.0);
  LeastSquares model(data);
  int64_t iterations = 0;
  for (int64_t i = 0; i < k; ++i) {
    options.penalty.alpha = alphas[i];
    linear_penalised(data, options, b, iterations);
    to_given_units(data, b, out.coef.data_ptr<double>() + i * p, out.intercept.data_ptr<double>()[i]);
    out.r_squared.data_ptr<double>()[i] = data.square > 0 ? 1 - 2 * model.value(b) / data.square : 0.0;
  }
  return out;
}

}  // namespace vesalius::outcome
