// SPDX-License-Identifier: Apache-2.0
#include <vesalius/outcome/cox_frailty.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include <vesalius/core/error.h>
#include <vesalius/outcome/detail/cholesky.h>

#include "outcome/cox_model.h"

namespace vesalius::outcome {

namespace {

constexpr double kNoVariance = 1e-4;   // θ below which nothing is told from 0
constexpr double kNoBound = 1e4;       // θ above which the marginal likelihood has no maximum
constexpr double kSettledStep = 1e-7;  // Newton's step in standard errors whose next one is below rounding

double sum_of_products(const std::vector<double>& a, const std::vector<double>& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

/// ψ(v + d) − ψ(v)
double digamma_rise(double v, double d) {
  double out = 0;
  if (d < 1e4 && d == std::floor(d)) {
    for (double k = 0; k < d; ++k) out += 1 / (v + k);
    return out;
  }
  const auto digamma = [](double x) {  // Abramowitz, Stegun 6.3.18, from 10 on
    double below = 0;
    for (; x < 10; ++x) below += 1 / x;
    const double s = 1 / (x * x);
    return std::log(x) - 0.5 / x - s * (1.0 / 12 - s * (1.0 / 120 - s * (1.0 / 252 - s / 240))) - below;
  };
  return digamma(v + d) - digamma(v);
}

/// What a cluster with d events adds to the penalised log-likelihood to make it the marginal one, at ν = 1/θ; 0 at θ = 0.
double marginal_term(double v, double d) {
  double out = d - v * std::log1p(d / v);
  if (d < 1e4 && d == std::floor(d)) {
    for (double k = 0; k < d; ++k) out += std::log1p((k - d) / (v + d));
    return out;
  }
  return out + std::lgamma(v + d) - std::lgamma(v) - d * std::log(v + d);
}

/// Minus the penalised log-likelihood in (coefficients of standardised columns, log frailties).
class Frailty {
 public:
  Frailty(CoxProblem& problem, std::vector<int64_t> cluster, int64_t clusters, const CoxOptions& options)
      : problem_(problem),
        model_(problem),
        options_(options),
        cluster_(std::move(cluster)),
        base_(problem.offset.empty() ? std::vector<double>(problem.weights.size(), 0.0) : problem.offset),
        p_(problem.columns.x.size(1)),
        m_(clusters),
        events_(static_cast<size_t>(clusters), 0.0) {
    for (size_t i = 0; i < cluster_.size(); ++i) events_[cluster_[i]] += problem_.observed[i];
  }

  std::vector<double> at;  ///< [p + clusters]
  int64_t iterations = 0;

  /// The minimum at θ, from where `at` is.
  void solve(double theta) {
    v_ = 1 / theta;
    double value = value_at(at);
    std::vector<double> g, next(at.size());
    for (int64_t left = options_.max_iterations;; --left, ++iterations) {
      gradient(g);
      precondition();
      auto step = solve_system(g, 1e-9);
      const double size = std::sqrt(std::max(0.0, sum_of_products(g, step)));
      std::vector<double> columns(step.begin(), step.begin() + p_);
      for (double& c : columns) c = -c;
      if (model_.spread() > 5 && model_.diverges(columns)) stop(CoxNewton::End::diverging);
      if (left == 0) stop(CoxNewton::End::exhausted);
      double length = 1, after = 0;
      for (;; length *= 0.5) {
        for (size_t j = 0; j < at.size(); ++j) next[j] = at[j] - length * step[j];
        after = value_at(next);
        if (after <= value + 1e-13 * (1 + std::abs(value)) || length < 1e-8) break;
      }
      at.swap(next), value = after;
      if (size <= kSettledStep && length == 1) break;
    }
  }

  /// The derivative of the marginal log-likelihood by θ, at its solution.
  double slope() const {
    double out = 0;
    for (int64_t c = 0; c < m_; ++c) out += at[p_ + c] + digamma_rise(v_, events_[c]) - std::log1p(events_[c] / v_);
    return -v_ * v_ * out;
  }

  double marginal() const {
    double out = likelihood_;
    for (int64_t c = 0; c < m_; ++c) out += v_ * at[p_ + c] + marginal_term(v_, events_[c]);
    return out;
  }

  /// Rows and columns of the coefficients in the inverse of the Hessian.
  std::vector<double> covariance() {
    std::vector<double> out(static_cast<size_t>(p_ * p_)), unit(at.size());
    precondition();
    for (int64_t j = 0; j < p_; ++j) {
      std::fill(unit.begin(), unit.end(), 0.0);
      unit[j] = 1;
      const auto column = solve_system(unit, 1e-12);
      for (int64_t k = 0; k < p_; ++k) out[j * p_ + k] = column[k];
    }
    for (int64_t j = 0; j < p_; ++j)
      for (int64_t k = 0; k < j; ++k) out[j * p_ + k] = out[k * p_ + j] = 0.5 * (out[j * p_ + k] + out[k * p_ + j]);
    return out;
  }

 private:
  const detail::PartialLikelihood& partial() const { return problem_.partial(); }

  [[noreturn]] void stop(CoxNewton::End end) const {
    CoxNewton result;
    result.end = end;
    throw_cox(result, options_);
  }

  double value_at(const std::vector<double>& z) {
    problem_.offset = base_;
    for (size_t i = 0; i < cluster_.size(); ++i) problem_.offset[i] += z[p_ + cluster_[i]];
    const std::vector<double> b(z.begin(), z.begin() + p_);
    likelihood_ = -problem_.total * model_.value(b);
    double out = -likelihood_;
    for (int64_t c = 0; c < m_; ++c) out += v_ * (std::exp(z[p_ + c]) - z[p_ + c]);
    return out;
  }

  void gradient(std::vector<double>& g) {
    partial().expected(expected_);
    residual_ = expected_;
    for (size_t i = 0; i < residual_.size(); ++i) residual_[i] -= problem_.observed[i];
    down(residual_, g);
    for (int64_t c = 0; c < m_; ++c) g[p_ + c] += v_ * std::expm1(at[p_ + c]);
  }

  /// [X Z]ᵀ r
  void down(const std::vector<double>& r, std::vector<double>& out) const {
    std::vector<double> columns(static_cast<size_t>(p_));
    multiply(problem_.columns.x, true, r, columns);
    out.assign(at.size(), 0.0);
    std::copy(columns.begin(), columns.end(), out.begin());
    for (size_t i = 0; i < cluster_.size(); ++i) out[p_ + cluster_[i]] += r[i];
  }

  /// The Hessian without what couples coefficients and frailties, and frailties among each other.
  void precondition() {
    std::vector<int64_t> every(static_cast<size_t>(p_));
    std::iota(every.begin(), every.end(), 0);
    model_.hessian(every, factor_);
    for (double& h : factor_) h *= problem_.total;
    const int64_t column = factorise(factor_, p_, 1e-11);
    if (column >= 0) throw_dependent(options_, column);
    partial().expected(expected_);
    diagonal_.assign(static_cast<size_t>(m_), 0.0);
    for (int64_t c = 0; c < m_; ++c) diagonal_[c] = v_ * std::exp(at[p_ + c]);
    for (size_t i = 0; i < cluster_.size(); ++i) diagonal_[cluster_[i]] += expected_[i];
  }

  std::vector<double> preconditioned(const std::vector<double>& r) const {
    auto out = r;
    detail::cholesky_solve(factor_, p_, out.data());
    for (int64_t c = 0; c < m_; ++c) out[p_ + c] /= diagonal_[c];
    return out;
  }

  std::vector<double> hessian_times(const std::vector<double>& z) {
    std::vector<double> along(cluster_.size()), curved, out;
    multiply(problem_.columns.x, false, std::vector<double>(z.begin(), z.begin() + p_), along);
    for (size_t i = 0; i < cluster_.size(); ++i) along[i] += z[p_ + cluster_[i]];
    partial().curvature_times(along, curved);
    down(curved, out);
    for (int64_t c = 0; c < m_; ++c) out[p_ + c] += v_ * std::exp(at[p_ + c]) * z[p_ + c];
    return out;
  }

  /// H⁻¹ r by conjugate gradients.
  std::vector<double> solve_system(const std::vector<double>& right, double tolerance) {
    std::vector<double> x(right.size(), 0.0), r = right, z = preconditioned(r), d = z;
    double rz = sum_of_products(r, z);
    const double enough = tolerance * tolerance * rz;
    for (size_t k = 0; k < 10 * right.size() + 100 && rz > enough && rz > 0; ++k) {
      const auto hd = hessian_times(d);
      const double curvature = sum_of_products(d, hd);
      if (!(curvature > 0)) break;
      const double length = rz / curvature;
      for (size_t j = 0; j < x.size(); ++j) x[j] += length * d[j], r[j] -= length * hd[j];
      z = preconditioned(r);
      const double next = sum_of_products(r, z);
      for (size_t j = 0; j < d.size(); ++j) d[j] = z[j] + next / rz * d[j];
      rz = next;
    }
    return x;
  }

  CoxProblem& problem_;
  CoxModel model_;
  const CoxOptions& options_;
  std::vector<int64_t> cluster_;
  std::vector<double> base_;
  int64_t p_, m_;
  std::vector<double> events_, expected_, residual_, factor_, diagonal_;
  double v_ = 1, likelihood_ = 0;
};

/// θ where the marginal likelihood is largest, 0 if that is at the edge: the root of its slope.
double best_variance(Frailty& frailty) {
  const auto slope = [&](double log_theta) {
    frailty.solve(std::exp(log_theta));
    return frailty.slope() * std::exp(log_theta);
  };
  double low = 0, high = 0, low_slope = slope(0.0), high_slope = low_slope;
  while (low_slope < 0) {
    high = low, high_slope = low_slope;
    if (std::exp(low) < kNoVariance) return 0;
    low_slope = slope(low -= 1.5);
  }
  while (high_slope > 0) {
    low = high, low_slope = high_slope;
    if (std::exp(high) > kNoBound)
      throw ConvergenceError(
          "the variance of the frailties has no maximum: clusters differ without bound, or nearly each has its own "
          "events "
          "only. Use larger clusters, or give frailty_variance=");
    high_slope = slope(high += 1.5);
  }
  for (int step = 0; step < 100 && high - low > 1e-9; ++step) {  // Illinois: the secant, the end that stays halved
    double next = (low * high_slope - high * low_slope) / (high_slope - low_slope);
    if (!(next > low && next < high)) next = 0.5 * (low + high);
    const double value = slope(next);
    if (value > 0) {
      if (next - low < 1e-10) return std::exp(next);
      low = next, low_slope = value, high_slope *= 0.5;
    } else {
      if (high - next < 1e-10) return std::exp(next);
      high = next, high_slope = value, low_slope *= 0.5;
    }
  }
  return std::exp(0.5 * (low + high));
}

void check_frailty(const CoxOptions& options, const std::optional<double>& variance) {
  if (options.ties == Ties::exact)
    throw NotSupported("frailties need ties=\"efron\" or \"breslow\"; exact ties count subjects as if they were alike");
  if (options.firth || options.penalty.alpha > 0)
    throw NotSupported("a frailty goes with neither firth=True nor a penalty on the coefficients");
  if (variance && !(*variance > 0 && std::isfinite(*variance)))
    throw InvalidArgument("the variance of the frailties must be positive and finite; it is " +
                          std::to_string(*variance));
}

}  // namespace

CoxFrailty fit_cox_frailty(const at::Tensor& x_in, const CoxOutcome& outcome, const at::Tensor& cluster_in,
                           const CoxOptions& options, std::optional<double> variance) {
  check_options(options);
  check_frailty(options, variance);
  const auto x = checked_matrix(x_in, options.names);
  const int64_t n = x.size(0), p = x.size(1);
  const auto data = checked_outcome(outcome, n, options);
  const auto codes = checked_vector(cluster_in, n, "cluster");
  CoxProblem problem(x, data, options);
  check_estimable(problem.columns, n, 0, options);
  std::vector<int64_t> cluster;
  int64_t clusters = 0;
  for (int64_t i : problem.order.order) {
    cluster.push_back(std::llround(span_of(codes)[i]));
    if (cluster.back() < 0) throw InvalidArgument("cluster must be numbers from 0 on");
    clusters = std::max(clusters, cluster.back() + 1);
  }
  if (clusters < 2)
    throw InvalidArgument("a frailty needs two clusters or more: with one there is nothing for it to vary between");
  CoxFrailty out;
  std::vector<double> b(static_cast<size_t>(p), 0.0);
  {
    CoxModel model(problem);
    CoxOptions plain = options;
    plain.score_test = false;
    out.fit.log_likelihood_null = -model.total() * model.value(b);
    solve_into(model, problem.columns, plain, b, out.fit);
    out.log_likelihood_without = -model.total() * model.value(b);
  }
  Frailty frailty(problem, std::move(cluster), clusters, options);
  frailty.at = b;
  frailty.at.resize(static_cast<size_t>(p + clusters), 0.0);
  out.variance = variance ? *variance : best_variance(frailty);
  std::vector<double> ones(static_cast<size_t>(clusters), 1.0);
  if (out.variance > 0) {
    frailty.solve(out.variance);
    out.fit.log_likelihood = frailty.marginal();
    b.assign(frailty.at.begin(), frailty.at.begin() + p);
    for (int64_t c = 0; c < clusters; ++c) ones[c] = std::exp(frailty.at[p + c]);
    auto covariance = frailty.covariance();
    for (int64_t i = 0; i < p; ++i)
      for (int64_t j = 0; j < p; ++j) covariance[i * p + j] /= problem.columns.scale[i] * problem.columns.scale[j];
    out.fit.covariance = tensor_of(covariance, p, p);
  } else {
    problem.offset = data.offset.empty() ? std::vector<double>{} : problem.offset;
    CoxModel model(problem);
    if (!data.offset.empty())
      for (int64_t i = 0; i < n; ++i) problem.offset[i] = data.offset[problem.order.order[i]];
    model.value(b);
    out.fit.log_likelihood = out.log_likelihood_without;
  }
  out.fit.iterations += frailty.iterations;
  out.fit.score_test = std::numeric_limits<double>::quiet_NaN();
  out.frailty = tensor_of(ones);
  std::vector<double> increments, correction;
  problem.partial().increments(increments, correction);
  cox_baseline(problem, data, increments, problem.partial().shift(), out.fit);
  finish_coefficients(problem.columns, b, out.fit);
  return out;
}

}  // namespace vesalius::outcome
