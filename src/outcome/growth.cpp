// SPDX-License-Identifier: Apache-2.0
#include <vesalius/outcome/growth.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>

#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>

#include <vesalius/core/error.h>
#include <vesalius/outcome/detail/cholesky.h>

#include "outcome/common.h"
#include "outcome/optimise.h"
#include "outcome/risk_table.h"

namespace vesalius::outcome {

namespace {

using Vector = std::vector<double>;
constexpr int64_t kRandomEffects = 2;  // random effects: intercept, slope

/// A q x q matrix, q ≤ 2.
struct Small {
  int64_t q = 1;
  std::array<double, kRandomEffects * kRandomEffects> v{};
  double& operator()(int64_t i, int64_t j) { return v[i * q + j]; }
  double operator()(int64_t i, int64_t j) const { return v[i * q + j]; }
};

Small product(const Small& a, const Small& b) {
  Small out{a.q, {}};
  for (int64_t i = 0; i < a.q; ++i)
    for (int64_t j = 0; j < a.q; ++j)
      for (int64_t k = 0; k < a.q; ++k) out(i, j) += a(i, k) * b(k, j);
  return out;
}
Small transposed(const Small& a) {
  Small out{a.q, {}};
  for (int64_t i = 0; i < a.q; ++i)
    for (int64_t j = 0; j < a.q; ++j) out(i, j) = a(j, i);
  return out;
}
double inverted(Small& a) {  // in place; returns the determinant
  if (a.q == 1) {
    const double d = a(0, 0);
    a(0, 0) = 1 / d;
    return d;
  }
  const double d = a(0, 0) * a(1, 1) - a(0, 1) * a(1, 0);
  std::swap(a(0, 0), a(1, 1));
  for (int k = 0; k < 4; ++k) a.v[k] *= (k == 1 || k == 2 ? -1 : 1) / d;
  return d;
}

/// Sums of one subject over its visits.
struct Visits {
  Small g;   // ZᵀZ
  Vector s;  // ZᵀX, [q, p]
  std::array<double, kRandomEffects> zy{};
};

/// The criterion −2 log L in θ, the lower triangle of Λ with D = σ² Λ Λᵀ (standardised units).
class GrowthCriterion {
 public:
  GrowthCriterion(const at::Tensor& x, const Vector& y, const Vector& time, const std::vector<int64_t>& subject,
                  int64_t subjects, int64_t q, bool restricted)
      : q_(q),
        p_(x.size(1)),
        n_(x.size(0)),
        restricted_(restricted),
        visits_(subjects),
        xx_(p_ * p_, 0.0),
        xy_(p_, 0.0) {
    for (auto& v : visits_) v.g.q = q, v.s.assign(q * p_, 0.0);
    const double* row = x.const_data_ptr<double>();
    for (int64_t i = 0; i < n_; ++i, row += p_) {
      auto& v = visits_[subject[i]];
      const double z[kRandomEffects] = {1, time[i]};
      for (int64_t a = 0; a < q; ++a) {
        for (int64_t b = 0; b < q; ++b) v.g(a, b) += z[a] * z[b];
        for (int64_t j = 0; j < p_; ++j) v.s[a * p_ + j] += z[a] * row[j];
        v.zy[a] += z[a] * y[i];
      }
      for (int64_t j = 0; j < p_; ++j) {
        xy_[j] += row[j] * y[i];
        for (int64_t k = 0; k <= j; ++k) xx_[j * p_ + k] += row[j] * row[k];
      }
      yy_ += y[i] * y[i];
    }
    for (int64_t j = 0; j < p_; ++j)
      for (int64_t k = 0; k < j; ++k) xx_[k * p_ + j] = xx_[j * p_ + k];
  }

  Small factor(const Vector& theta) const {
    Small l{q_, {}};
    l(0, 0) = theta[0];
    if (q_ == 2) l(1, 0) = theta[1], l(1, 1) = theta[2];
    return l;
  }
  double freedom() const { return static_cast<double>(restricted_ ? n_ - p_ : n_); }
  const std::vector<Visits>& visits() const { return visits_; }
  const Vector& beta() const { return beta_; }
  const Vector& inverse() const { return inverse_; }  // (XᵀV⁻¹X)⁻¹, V relative to σ²
  double variance() const { return rest_ / freedom(); }

  /// Λ (I + ΛᵀGΛ)⁻¹ Λᵀ, so that V⁻¹ = I − Z K Zᵀ; the determinant is |V|.
  static Small shrink(const Small& l, const Small& g, double& determinant) {
    const Small lt = transposed(l);
    Small m = product(lt, product(g, l));
    for (int64_t a = 0; a < l.q; ++a) m(a, a) += 1;
    determinant = inverted(m);
    return product(l, product(m, lt));
  }

  double operator()(const Vector& theta, Vector& gradient) {
    const Small l = factor(theta);
    double log_v = 0, yvy = yy_;
    Vector xvx = xx_, xvy = xy_;
    for (const auto& v : visits_) {
      double d = 1;
      const Small k = shrink(l, v.g, d);
      log_v += std::log(d);
      for (int64_t a = 0; a < q_; ++a)
        for (int64_t b = 0; b < q_; ++b) {
          const double f = k(a, b);
          yvy -= v.zy[a] * f * v.zy[b];
          for (int64_t j = 0; j < p_; ++j) {
            const double left = f * v.s[a * p_ + j];
            xvy[j] -= left * v.zy[b];
            for (int64_t i = 0; i <= j; ++i) xvx[j * p_ + i] -= left * v.s[b * p_ + i];
          }
        }
    }
    for (int64_t j = 0; j < p_; ++j)
      for (int64_t i = 0; i < j; ++i) xvx[i * p_ + j] = xvx[j * p_ + i];
    auto chol = xvx;
    if (detail::cholesky(chol, p_, 1e-13) >= 0) return std::numeric_limits<double>::infinity();
    beta_ = xvy;
    detail::cholesky_solve(chol, p_, beta_.data());
    rest_ = yvy;
    for (int64_t j = 0; j < p_; ++j) rest_ -= beta_[j] * xvy[j];
    if (!(rest_ > 0)) return std::numeric_limits<double>::infinity();
    double log_x = 0;
    for (int64_t j = 0; j < p_; ++j) log_x += 2 * std::log(chol[j * p_ + j]);
    inverse_ = detail::cholesky_inverse(chol, p_);
    const double nu = freedom();
    slopes(l, gradient);
    // over n, so that the tolerance means the same whatever the size
    const double value = log_v + (restricted_ ? log_x : 0.0) + nu * (1 + std::log(2 * M_PI * rest_ / nu));
    for (double& g : gradient) g /= static_cast<double>(n_);
    return value / static_cast<double>(n_);
  }

 private:
  /// 2 (∂/∂D) Λ:  ∂/∂D = Σ [ W − (ν/r²) v vᵀ − U C Uᵀ ],  W = ZᵀV⁻¹Z, v = ZᵀV⁻¹(y − Xβ), U = ZᵀV⁻¹X, C = (XᵀV⁻¹X)⁻¹.
  void slopes(const Small& l, Vector& gradient) const {
    Small total{q_, {}};
    const double ratio = freedom() / rest_;
    Vector u(q_ * p_), cu(p_);
    for (const auto& s : visits_) {
      double d = 1;
      const Small k = shrink(l, s.g, d);
      const Small gk = product(s.g, k), gkg = product(gk, s.g);
      double v[kRandomEffects] = {0, 0};
      for (int64_t a = 0; a < q_; ++a) {
        v[a] = s.zy[a];
        for (int64_t j = 0; j < p_; ++j) u[a * p_ + j] = s.s[a * p_ + j];
        for (int64_t b = 0; b < q_; ++b) {
          v[a] -= gk(a, b) * s.zy[b];
          for (int64_t j = 0; j < p_; ++j) u[a * p_ + j] -= gk(a, b) * s.s[b * p_ + j];
        }
        for (int64_t j = 0; j < p_; ++j) v[a] -= u[a * p_ + j] * beta_[j];
      }
      for (int64_t a = 0; a < q_; ++a) {
        if (restricted_)
          for (int64_t i = 0; i < p_; ++i) {
            cu[i] = 0;
            for (int64_t j = 0; j < p_; ++j) cu[i] += inverse_[i * p_ + j] * u[a * p_ + j];
          }
        for (int64_t b = 0; b < q_; ++b) {
          double change = s.g(a, b) - gkg(a, b) - ratio * v[a] * v[b];
          for (int64_t i = 0; restricted_ && i < p_; ++i) change -= cu[i] * u[b * p_ + i];
          total(a, b) += change;
        }
      }
    }
    const Small out = product(total, l);
    gradient.assign(q_ == 1 ? 1 : 3, 2 * out(0, 0));
    if (q_ == 2) gradient[1] = 2 * out(1, 0), gradient[2] = 2 * out(1, 1);
  }

  int64_t q_, p_, n_;
  bool restricted_;
  std::vector<Visits> visits_;
  Vector xx_, xy_, beta_, inverse_;
  double yy_ = 0, rest_ = 1;
};

}  // namespace

GrowthFit fit_growth(const at::Tensor& x_in, const at::Tensor& y_in, const at::Tensor& time_in,
                     const at::Tensor& subject_in, const GrowthOptions& options) {
  if (options.max_iterations < 1 || !(options.tolerance > 0))
    throw InvalidArgument("max_iterations and tolerance must be positive");
  const auto x = checked_matrix(x_in, options.names);
  const int64_t n = x.size(0), p = x.size(1), q = options.slope ? 2 : 1;
  const auto y_given = checked_vector(y_in, n, "y"), time_given = checked_vector(time_in, n, "time");
  std::vector<int64_t> names;
  const auto subject = label_codes(subject_in, n, "subject", names);
  const int64_t m = static_cast<int64_t>(names.size());
  if (m < 2) throw InvalidArgument("a growth curve needs at least two subjects; subject holds one");
  if (n <= m * q)
    throw InvalidArgument("there are " + std::to_string(n) + " visits and " + std::to_string(m * q) +
                          " random effects (" + std::to_string(q) + " for each of " + std::to_string(m) +
                          " subjects): they cannot be told from the residuals. " +
                          (q == 2 && n > m ? "Use a random intercept only" : "Each subject needs more than one visit"));
  const auto columns = standardise(x, Vector(n, 1.0), true, true);
  FitOptions check;
  check.names = options.names;
  check_estimable(columns, n, 1, check);
  std::vector<int64_t> all(p + 1);
  std::iota(all.begin(), all.end(), 0);
  Vector gram, ones(n, 1.0);
  weighted_crossproduct(columns.x, all, ones.data(), gram);
  const int64_t dependent = detail::cholesky(gram, p + 1, 1e-11);
  if (dependent >= 0) throw_dependent(check, dependent - 1);

  // y and time over their standard deviations about their means
  const auto standard = [&](const at::Tensor& t, double& mean, double& scale, const char* what) {
    Vector v(span_of(t).begin(), span_of(t).end());
    mean = std::accumulate(v.begin(), v.end(), 0.0) / static_cast<double>(n);
    scale = 0;
    for (double& e : v) e -= mean, scale = std::max(scale, std::abs(e));
    if (!(scale > 0)) throw InvalidArgument(std::string(what) + " is constant: there is nothing to fit a curve to");
    double square = 0;
    for (double e : v) square += (e / scale) * (e / scale);
    scale *= std::sqrt(square / static_cast<double>(n));
    for (double& e : v) e /= scale;
    return v;
  };
  double y_mean = 0, y_scale = 1, t_mean = 0, t_scale = 1;
  const auto y = standard(y_given, y_mean, y_scale, "y");
  Vector time(n, 0.0);
  if (options.slope) time = standard(time_given, t_mean, t_scale, "time");

  GrowthCriterion criterion(columns.x, y, time, subject, m, q, options.restricted);
  Vector theta = q == 1 ? Vector{1.0} : Vector{1.0, 0.0, 0.5}, unused;
  const auto end = minimise_bfgs(criterion, theta, options.max_iterations, options.tolerance);
  if (!end.converged)
    throw ConvergenceError("the growth curve did not converge in " + std::to_string(end.iterations) +
                           " iterations: raise max_iterations, or use a random intercept only");
  const double value = criterion(theta, unused) * static_cast<double>(n);
  const double variance = criterion.variance();
  if (!(variance > 1e-20))
    throw ConvergenceError("the columns explain y without rest: there is no residual variance to estimate");
  const Small l = criterion.factor(theta), d = product(l, transposed(l));

  GrowthFit fit;
  fit.iterations = end.iterations;
  fit.sigma = std::sqrt(variance) * y_scale;
  fit.singular = std::abs(l(0, 0)) < 1e-4 || (q == 2 && std::abs(l(1, 1)) < 1e-4);
  const int64_t k = p + 1;
  // given units: β = T β_s · y_scale (+ y's mean), b = B b_s · y_scale
  Vector t(k * k, 0.0), beta(k, 0.0);
  t[0] = 1;
  double log_scales = 0;
  for (int64_t j = 0; j < p; ++j) {
    t[(j + 1) * k + j + 1] = 1 / columns.scale[j];
    t[j + 1] = -columns.mean[j] / columns.scale[j];
    log_scales += std::log(columns.scale[j]);
  }
  for (int64_t i = 0; i < k; ++i)
    for (int64_t j = 0; j < k; ++j) beta[i] += y_scale * t[i * k + j] * criterion.beta()[j];
  beta[0] += y_mean;
  const auto map = tensor_of(t, k, k);
  fit.coef = tensor_of(beta);
  fit.covariance =
      at::mm(at::mm(map, tensor_of(criterion.inverse(), k, k)), map.t()).mul_(variance * y_scale * y_scale);
  // the criterion of y in its own unit, and of the columns in theirs (restricted: + log|XᵀV⁻¹X|)
  const double nu = criterion.freedom();
  fit.log_likelihood = -0.5 * (value + 2 * nu * std::log(y_scale) + (options.restricted ? 2 * log_scales : 0.0));
  Small b{q, {}};
  b(0, 0) = 1;
  if (q == 2) b(0, 1) = -t_mean / t_scale, b(1, 1) = 1 / t_scale;
  const double unit = variance * y_scale * y_scale;
  const Small given = product(b, product(d, transposed(b)));
  Vector random(q * q), effects, uncertainty, leverage;
  for (int64_t i = 0; i < q * q; ++i) random[i] = given.v[i] * unit;
  fit.random = tensor_of(random, q, q);
  for (const auto& v : criterion.visits()) {
    double determinant = 1;
    // b̂ = K Zᵀ(y − Xβ): D ZᵀV⁻¹ = K Zᵀ; var(b̂ − b | β) = σ² K
    const Small shrunk = GrowthCriterion::shrink(l, v.g, determinant), bk = product(b, shrunk);
    double r[kRandomEffects] = {0, 0};
    for (int64_t a = 0; a < q; ++a) {
      r[a] = v.zy[a];
      for (int64_t j = 0; j < k; ++j) r[a] -= v.s[a * k + j] * criterion.beta()[j];
    }
    const Small error = product(bk, transposed(b));
    for (int64_t a = 0; a < q; ++a) {
      double sum = 0;
      for (int64_t c = 0; c < q; ++c) sum += bk(a, c) * r[c], uncertainty.push_back(error(a, c) * unit);
      effects.push_back(sum * y_scale);
      // in standardised columns, then through the inverse of T on the right: b̂ answers to β in given units
      Vector m_row(k, 0.0);
      for (int64_t j = 0; j < k; ++j)
        for (int64_t c = 0; c < q; ++c) m_row[j] += bk(a, c) * v.s[c * k + j];
      // β_s = T⁻¹ β: the intercept takes mean_j β_j, the others scale_j β_j
      for (int64_t j = 1; j < k; ++j) m_row[j] = m_row[j] * columns.scale[j - 1] + m_row[0] * columns.mean[j - 1];
      leverage.insert(leverage.end(), m_row.begin(), m_row.end());
    }
  }
  fit.subjects = tensor_of(Vector(names.begin(), names.end())).to(at::kLong);
  fit.effects = tensor_of(effects, m, q);
  fit.uncertainty = tensor_of(uncertainty).view({m, q, q});
  fit.leverage = tensor_of(leverage).view({m, q, k});
  return fit;
}

GrowthPrediction predict_growth(const GrowthFit& fit, const at::Tensor& x_in, const at::Tensor& time_in,
                                const std::optional<at::Tensor>& subject_in) {
  const auto x = checked_matrix(x_in, {});
  const int64_t n = x.size(0), p = x.size(1), k = p + 1, q = fit.random.size(0);
  if (k != fit.coef.size(0))
    throw ShapeError("X has " + std::to_string(p) + " columns and the model " + std::to_string(fit.coef.size(0) - 1));
  const auto time = checked_vector(time_in, n, "time");
  std::vector<int64_t> place(n, -1);
  if (subject_in) {
    const auto labels = checked_vector(*subject_in, n, "subject");
    const auto* from = fit.subjects.const_data_ptr<int64_t>();
    const auto* until = from + fit.subjects.size(0);
    for (int64_t i = 0; i < n; ++i) {
      const auto label = static_cast<int64_t>(span_of(labels)[i]);
      const auto* found = std::lower_bound(from, until, label);
      if (found != until && *found == label) place[i] = found - from;
    }
  }
  GrowthPrediction out{at::empty({n}, at::kDouble), at::empty({n}, at::kDouble)};
  const double *row = x.const_data_ptr<double>(), *beta = fit.coef.const_data_ptr<double>(),
               *c = fit.covariance.const_data_ptr<double>(), *random = fit.random.const_data_ptr<double>();
  Vector direction(k);
  for (int64_t i = 0; i < n; ++i, row += p) {
    direction[0] = 1;
    std::copy(row, row + p, direction.begin() + 1);
    const double z[kRandomEffects] = {1, span_of(time)[i]};
    double value = 0, variance = 0;
    for (int64_t j = 0; j < k; ++j) value += direction[j] * beta[j];
    const double* error = place[i] >= 0 ? fit.uncertainty.const_data_ptr<double>() + place[i] * q * q : random;
    for (int64_t a = 0; a < q; ++a) {
      for (int64_t b = 0; b < q; ++b) variance += z[a] * error[a * q + b] * z[b];
      if (place[i] < 0) continue;
      value += z[a] * fit.effects.const_data_ptr<double>()[place[i] * q + a];
      const double* answer = fit.leverage.const_data_ptr<double>() + (place[i] * q + a) * k;
      for (int64_t j = 0; j < k; ++j) direction[j] -= z[a] * answer[j];
    }
    for (int64_t j = 0; j < k; ++j)
      for (int64_t l = 0; l < k; ++l) variance += direction[j] * c[j * k + l] * direction[l];
    out.value.data_ptr<double>()[i] = value;
    out.standard_error.data_ptr<double>()[i] = std::sqrt(std::max(0.0, variance));
  }
  return out;
}

}  // namespace vesalius::outcome
