// SPDX-License-Identifier: Apache-2.0
#include <vesalius/outcome/logistic.h>

#include <cmath>
#include <limits>

#include <ATen/ops/empty.h>

#include <vesalius/core/error.h>
#include <vesalius/outcome/detail/newton_kernel.h>

#include "outcome/common.h"

namespace vesalius::outcome {

namespace {

/// log(1 + exp(x)) without overflow.
double softplus(double x) { return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x)); }
double sigmoid(double x) { return x >= 0 ? 1 / (1 + std::exp(-x)) : std::exp(x) / (1 + std::exp(x)); }

/// The mean negative log-likelihood for the solver.
class LogisticModel {
 public:
  LogisticModel(at::Tensor x, std::vector<char> y, std::vector<double> weights)
      : x_(std::move(x)), y_(std::move(y)), w_(std::move(weights)), eta_(y_.size()), r_(y_.size()) {
    double total = 0;
    for (double w : w_) total += w;
    for (double& w : w_) w /= total;
  }

  int64_t size() const { return x_.size(1); }

  double value(const std::vector<double>& b) {
    multiply(x_, false, b, eta_);
    double sum = 0;
    for (size_t i = 0; i < y_.size(); ++i)
      if (w_[i] > 0) sum += w_[i] * (y_[i] ? softplus(-eta_[i]) : softplus(eta_[i]));
    return sum;
  }

  void gradient(std::vector<double>& g) {
    for (size_t i = 0; i < y_.size(); ++i) r_[i] = w_[i] * (sigmoid(eta_[i]) - y_[i]);
    multiply(x_, true, r_, g);
  }

  void hessian(const std::vector<int64_t>& set, std::vector<double>& h) {
    for (size_t i = 0; i < y_.size(); ++i) {
      const double p = sigmoid(eta_[i]);
      r_[i] = w_[i] * p * (1 - p);
    }
    weighted_crossproduct(x_, set, r_.data(), h);
  }

  /// Whether fitted probabilities are near 0 or 1 and x·step puts no observation further to the wrong side and some to the
  /// right: then the likelihood grows for ever (Albert, Anderson 1984).
  bool diverges(const std::vector<double>& step) {
    if (std::none_of(eta_.begin(), eta_.end(), [](double e) { return std::abs(e) > 8; })) return false;
    std::vector<double> along(y_.size());
    multiply(x_, false, step, along);
    double worst = 0, best = 0;
    for (size_t i = 0; i < y_.size(); ++i) {
      if (w_[i] == 0) continue;
      const double right = y_[i] ? along[i] : -along[i];
      worst = std::min(worst, right);
      best = std::max(best, right);
    }
    return best > 0 && worst > -1e-6 * best;
  }

 private:
  at::Tensor x_;
  std::vector<char> y_;
  std::vector<double> w_, eta_, r_;
};

struct Prepared {
  Standardised columns;
  std::vector<char> y;
  std::vector<double> weights;
  double total = 0, positive = 0;  // Σw, and of those with y = 1
  int64_t free = 0;
};

Prepared prepare(const at::Tensor& x_in, const at::Tensor& y, const LogisticOptions& options,
                 const std::optional<at::Tensor>& weights) {
  check_options(options);
  const auto x = checked_matrix(x_in, options.names);
  Prepared out;
  out.y = checked_binary(y, x.size(0), "y");
  out.weights = checked_weights(weights, x.size(0));
  for (size_t i = 0; i < out.y.size(); ++i) {
    out.total += out.weights[i];
    if (out.y[i]) out.positive += out.weights[i];
  }
  if (out.positive == 0 || out.positive == out.total)
    throw InvalidArgument("y holds one class only (" + std::to_string(out.y.size()) + " times " +
                          (out.positive == 0 ? "0" : "1") +
                          "): a model needs both. With rare classes use stratified folds");
  out.free = options.fit_intercept ? 1 : 0;
  out.columns = standardise(x, out.weights, options.fit_intercept, options.fit_intercept);
  return out;
}

std::vector<double> start(const Prepared& data) {
  std::vector<double> b(data.columns.scale.size() + data.free, 0.0);
  if (data.free) b[0] = std::log(data.positive / (data.total - data.positive));
  return b;
}

double null_value(const Prepared& data) {
  if (!data.free) return std::log(2.0);
  const double p = data.positive / data.total;
  return -(p * std::log(p) + (1 - p) * std::log1p(-p));
}

/// Coefficients of the columns as they came.
void unscale(const std::vector<double>& b, const Prepared& data, double* coef, double& intercept) {
  intercept = data.free ? b[0] : 0;
  for (size_t j = 0; j < data.columns.scale.size(); ++j) {
    coef[j] = data.columns.constant[j] ? 0 : b[j + data.free] / data.columns.scale[j];
    intercept -= coef[j] * data.columns.mean[j];
  }
}

/// Newton without penalty; leaves b and gives the inverse of the mean Hessian.
std::vector<double> unpenalised(LogisticModel& model, std::vector<double>& b, int64_t free,
                                const LogisticOptions& options, int64_t& iterations) {
  auto result = detail::newton(model, b, options.max_iterations, options.tolerance);
  iterations = result.iterations;
  switch (result.end) {
    case detail::NewtonEnd::converged:
      return std::move(result.inverse);
    case detail::NewtonEnd::dependent:
      throw_dependent(options, result.column - free);
    case detail::NewtonEnd::diverging:
      throw ConvergenceError(
          "the columns of X separate the classes (wholly or in part): the likelihood grows without end and no finite "
          "estimate exists. Use penalty=\"l2\", FirthLogisticRegression, or fewer columns");
    default:
      throw ConvergenceError("logistic regression did not converge in " + std::to_string(options.max_iterations) +
                             " iterations: raise max_iterations, or use a penalty");
  }
}

/// cov(b) for the columns as they came: b_j = s_j / scale_j, b_0 = s_0 − Σ s_j mean_j / scale_j.
at::Tensor covariance_of(const std::vector<double>& inverse, const Prepared& data) {
  const int64_t q = static_cast<int64_t>(data.columns.scale.size()) + data.free;
  std::vector<double> t(static_cast<size_t>(q * q), 0.0), left(static_cast<size_t>(q * q), 0.0),
      out(static_cast<size_t>(q * q), 0.0);
  if (data.free) t[0] = 1;
  for (int64_t j = data.free; j < q; ++j) {
    t[j * q + j] = 1 / data.columns.scale[j - data.free];
    if (data.free) t[j] = -data.columns.mean[j - data.free] / data.columns.scale[j - data.free];
  }
  for (int64_t i = 0; i < q; ++i)
    for (int64_t k = 0; k < q; ++k)
      if (t[i * q + k] != 0)
        for (int64_t j = 0; j < q; ++j) left[i * q + j] += t[i * q + k] * inverse[k * q + j] / data.total;
  for (int64_t j = 0; j < q; ++j)
    for (int64_t k = 0; k < q; ++k)
      if (t[j * q + k] != 0)
        for (int64_t i = 0; i < q; ++i) out[i * q + j] += left[i * q + k] * t[j * q + k];
  return tensor_of(out, q, q);
}

void penalised(LogisticModel& model, const Prepared& data, const LogisticOptions& options, std::vector<double>& b,
               int64_t& iterations) {
  const auto result = detail::minimise(model, penalty_terms(options, data.columns, data.free), b,
                                       {options.max_iterations, options.tolerance});
  iterations = result.iterations;
  if (!result.converged)
    throw ConvergenceError("penalised logistic regression did not converge in " + std::to_string(result.iterations) +
                           " iterations (an optimality condition is off by " + std::to_string(result.violation) +
                           "): raise max_iterations or alpha");
}

std::vector<double> path_alphas(LogisticModel& model, const Prepared& data, const LogisticOptions& options,
                                int64_t count, double min_ratio) {
  if (count < 1 || !(min_ratio > 0 && min_ratio < 1))
    throw InvalidArgument("a path needs at least one alpha, and min_ratio between 0 and 1");
  auto b = start(data);
  std::vector<double> g(b.size());
  model.value(b);
  model.gradient(g);
  double largest = 0;
  for (size_t j = data.free; j < b.size(); ++j)
    largest = std::max(largest, std::abs(g[j]) * (options.standardise ? 1.0 : data.columns.scale[j - data.free]));
  // Ridge has no alpha that empties the model; glmnet takes the l1_ratio 0.001 for it.
  const double top = std::max(largest, 1e-300) / std::max(options.penalty.l1_ratio, 1e-3);
  std::vector<double> out;
  for (int64_t k = 0; k < count; ++k)
    out.push_back(top * std::pow(min_ratio, count > 1 ? static_cast<double>(k) / static_cast<double>(count - 1) : 0.0));
  return out;
}

/// Calls `visit(k, b, deviance ratio)` for each alpha.
template <class Visit>
void follow(LogisticModel& model, const Prepared& data, LogisticOptions options, const std::vector<double>& alphas,
            Visit&& visit) {
  auto b = start(data);
  const double null = null_value(data);
  double ratio = 0;
  int64_t iterations = 0;
  for (size_t k = 0; k < alphas.size(); ++k) {
    options.penalty.alpha = alphas[k];
    if (ratio < 0.999) {
      penalised(model, data, options, b, iterations);
      ratio = 1 - model.value(b) / null;
    }
    visit(static_cast<int64_t>(k), b, ratio);
  }
}

std::vector<double> checked_alphas(const at::Tensor& alphas) {
  const auto vector = checked_vector(alphas, -1, "alphas");
  const auto values = span_of(vector);
  for (size_t k = 0; k < values.size(); ++k)
    if (!(values[k] > 0) || (k > 0 && values[k] > values[k - 1]))
      throw InvalidArgument("alphas must be positive and descending");
  if (values.empty()) throw InvalidArgument("alphas is empty");
  return {values.begin(), values.end()};
}

}  // namespace

LogisticFit fit_logistic(const at::Tensor& x, const at::Tensor& y, const LogisticOptions& options,
                         const std::optional<at::Tensor>& weights) {
  const auto data = prepare(x, y, options, weights);
  LogisticModel model(data.columns.x, data.y, data.weights);
  auto b = start(data);
  LogisticFit fit;
  if (options.penalty.alpha == 0) {
    check_estimable(data.columns, static_cast<int64_t>(data.y.size()), data.free, options);
    fit.covariance = covariance_of(unpenalised(model, b, data.free, options, fit.iterations), data);
  } else {
    penalised(model, data, options, b, fit.iterations);
  }
  fit.log_likelihood = -data.total * model.value(b);
  fit.log_likelihood_null = -data.total * null_value(data);
  fit.coef = at::empty({static_cast<int64_t>(data.columns.scale.size())}, at::kDouble);
  unscale(b, data, fit.coef.data_ptr<double>(), fit.intercept);
  return fit;
}

LogisticPath logistic_path(const at::Tensor& x, const at::Tensor& y, const LogisticOptions& options,
                           const std::optional<at::Tensor>& alphas, int64_t count, double min_ratio,
                           const std::optional<at::Tensor>& weights) {
  const auto data = prepare(x, y, options, weights);
  LogisticModel model(data.columns.x, data.y, data.weights);
  const auto chosen = alphas ? checked_alphas(*alphas) : path_alphas(model, data, options, count, min_ratio);
  const int64_t k = static_cast<int64_t>(chosen.size()), p = static_cast<int64_t>(data.columns.scale.size());
  LogisticPath path{tensor_of(chosen), at::empty({k, p}, at::kDouble), at::empty({k}, at::kDouble),
                    at::empty({k}, at::kDouble)};
  follow(model, data, options, chosen, [&](int64_t i, const std::vector<double>& b, double ratio) {
    unscale(b, data, path.coef.data_ptr<double>() + i * p, path.intercept.data_ptr<double>()[i]);
    path.deviance_ratio.data_ptr<double>()[i] = ratio;
  });
  return path;
}

at::Tensor logistic_cross_validation(const at::Tensor& x_in, const at::Tensor& y_in, const at::Tensor& fold,
                                     const at::Tensor& alphas, const LogisticOptions& options,
                                     const std::optional<at::Tensor>& weights) {
  const auto x = checked_matrix(x_in, options.names);
  const int64_t n = x.size(0), p = x.size(1);
  const auto y = checked_binary(y_in, n, "y");
  const auto w = checked_weights(weights, n);
  const auto chosen = checked_alphas(alphas);
  const auto folds = checked_vector(fold, n, "fold");
  const double* number = folds.const_data_ptr<double>();
  const int64_t count = 1 + static_cast<int64_t>(*std::max_element(number, number + n));
  auto out = at::empty({count, static_cast<int64_t>(chosen.size())}, at::kDouble);
  const double* values = x.const_data_ptr<double>();
  for (int64_t f = 0; f < count; ++f) {
    std::vector<double> kept, kept_y, kept_w, coef(p);
    std::vector<int64_t> left;
    for (int64_t i = 0; i < n; ++i) {
      if (static_cast<int64_t>(number[i]) == f) {
        left.push_back(i);
      } else {
        kept.insert(kept.end(), values + i * p, values + (i + 1) * p);
        kept_y.push_back(y[i]);
        kept_w.push_back(w[i]);
      }
    }
    if (left.empty() || kept_y.empty())
      throw InvalidArgument("fold " + std::to_string(f) +
                            " leaves out none or all: number the folds from 0 without gaps");
    const auto data =
        prepare(tensor_of(kept, static_cast<int64_t>(kept_y.size()), p), tensor_of(kept_y), options, tensor_of(kept_w));
    LogisticModel model(data.columns.x, data.y, data.weights);
    follow(model, data, options, chosen, [&](int64_t k, const std::vector<double>& b, double) {
      double intercept = 0, sum = 0, total = 0;
      unscale(b, data, coef.data(), intercept);
      for (int64_t i : left) {
        double eta = intercept;
        for (int64_t j = 0; j < p; ++j) eta += coef[j] * values[i * p + j];
        sum += w[i] * 2 * softplus(y[i] ? -eta : eta);
        total += w[i];
      }
      out.data_ptr<double>()[f * static_cast<int64_t>(chosen.size()) + k] = total > 0 ? sum / total : 0.0;
    });
  }
  return out;
}

}  // namespace vesalius::outcome
