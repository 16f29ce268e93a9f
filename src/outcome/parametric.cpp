// SPDX-License-Identifier: Apache-2.0
#include <vesalius/outcome/parametric.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include <ATen/ops/from_blob.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>

#include <vesalius/core/error.h>

#include "outcome/common.h"
#include "outcome/optimise.h"
#include "outcome/parametric_data.h"
#include "outcome/parametric_model.h"

namespace vesalius::outcome {

namespace {

using detail::Jet;
using Vector = std::vector<double>;

/// −log likelihood / Σ weight of those not censored on the right, in internal units: log t less `shift` (times over `unit` for
/// Gompertz), standardised columns. Parameters: ancillary, then coefficients.
class ParametricLikelihood {
 public:
  ParametricLikelihood(const TimeData& data, const Standardised& columns, SurvivalFamily family, int64_t strata,
                       const Vector& knots)
      : data_(data),
        x_(columns.x),
        p_(static_cast<int64_t>(columns.scale.size())),
        family_(family),
        base_(base_of(family)),
        strata_(strata) {
    if (is_spline(family))
      q_ = static_cast<int64_t>(knots.size());
    else
      q_ = 1 + (has_scale(family) ? strata : 0) + (has_shape(family) || is_gompertz(family) ? 1 : 0);
    if (is_spline(family)) fill_basis(SplineBasis(knots));
  }

  int64_t ancillary() const { return q_; }
  int64_t size() const { return q_ + p_; }

  double operator()(const Vector& b, Vector* g, Vector* h) {
    const int64_t n = data_.size();
    eta_.assign(n, 0.0);
    if (p_ > 0) multiply(x_, false, Vector(b.begin() + q_, b.end()), eta_);
    if (g) {
      g->assign(size(), 0.0);
      h->assign(size() * size(), 0.0);
      slope_.assign(n, 0.0), curvature_.assign(n, 0.0), mixed_.assign(n * q_, 0.0);
    }
    double sum = 0;
    for (int64_t i = 0; i < n; ++i) {
      if (data_.weight[i] == 0) continue;
      const double w = data_.weight[i] / data_.informative;
      const Jet term = is_spline(family_) ? spline_term(i, b) : time_term(i, b);
      if (!std::isfinite(term.v)) return std::numeric_limits<double>::infinity();
      sum -= w * term.v;
      if (g) add(i, term, w, *g, *h);
    }
    if (g) finish(*g, *h);
    return sum;
  }

 private:
  Jet term_of(int64_t i, const Jet& low, const Jet& high, const Jet& log_slope, const Jet& entry,
              const Jet& shape) const {
    Jet out;
    switch (data_.kind[i]) {
      case TimeKind::none:
        out = detail::log_density(base_, low, shape) + log_slope - data_.log_time[i];
        break;
      case TimeKind::right:
        out = detail::log_survival(base_, low, shape);
        break;
      case TimeKind::left:
        out = detail::log_distribution(base_, high, shape);
        break;
      case TimeKind::interval:
        out = detail::log_interval(base_, low, high, shape);
        break;
    }
    if (data_.truncated(i)) out = out - detail::log_survival(base_, entry, shape);
    return out;
  }

  Jet time_term(int64_t i, const Vector& b) const {
    const Jet mu = Jet::variable(b[0] + eta_[i], 0);
    if (is_gompertz(family_)) {
      const Jet a = Jet::variable(b[1], 1);
      Jet low, high, slope, entry;
      if (data_.kind[i] != TimeKind::left) {
        const GompertzTime time(data_.low[i], mu, a);
        low = time.z, slope = time.log_slope;
      }
      if (data_.kind[i] == TimeKind::left || data_.kind[i] == TimeKind::interval)
        high = GompertzTime(data_.high[i], mu, a).z;
      if (data_.truncated(i)) entry = GompertzTime(data_.entry[i], mu, a).z;
      return term_of(i, low, high, slope, entry, Jet());
    }
    const Jet log_scale = has_scale(family_) ? Jet::variable(b[1 + data_.stratum_of(i)], 1) : Jet();
    const Jet shape = has_shape(family_) ? Jet::variable(b[q_ - 1], 2) : Jet();
    const Jet inverse = exp(-log_scale);
    const auto z = [&](double y) { return (Jet(y) - mu) * inverse; };
    return term_of(i, z(data_.low[i]), z(data_.high[i]), -log_scale, data_.truncated(i) ? z(data_.entry[i]) : Jet(),
                   shape);
  }

  /// Variables: z at the lower time, then its slope (an event) or z at the upper time, then z at entry.
  Jet spline_term(int64_t i, const Vector& b) const {
    const double* rows = basis_.data() + i * 3 * q_;
    double u[3] = {eta_[i], data_.kind[i] == TimeKind::none ? 0.0 : eta_[i], eta_[i]};
    for (int64_t a = 0; a < 3; ++a)
      for (int64_t j = 0; j < q_; ++j) u[a] += rows[a * q_ + j] * b[j];
    const Jet first = Jet::variable(u[0], 0), second = Jet::variable(u[1], 1), entry = Jet::variable(u[2], 2);
    if (data_.kind[i] == TimeKind::none) {
      if (!(u[1] > 0)) return Jet(-std::numeric_limits<double>::infinity());
      return term_of(i, first, first, log(second), entry, Jet());
    }
    return term_of(i, first, second, Jet(), entry, Jet());
  }

  void fill_basis(const SplineBasis& spline) {
    basis_.assign(static_cast<size_t>(data_.size() * 3 * q_), 0.0);
    Vector unused(q_);
    for (int64_t i = 0; i < data_.size(); ++i) {
      double* rows = basis_.data() + i * 3 * q_;
      const auto kind = data_.kind[i];
      if (kind != TimeKind::left) spline.at(data_.low[i], rows, kind == TimeKind::none ? rows + q_ : unused.data());
      if (kind == TimeKind::left || kind == TimeKind::interval) spline.at(data_.high[i], rows + q_, unused.data());
      if (data_.truncated(i)) spline.at(data_.entry[i], rows + 2 * q_, unused.data());
    }
  }

  /// Row `a` of what the variables are of the ancillary parameters: index and factor.
  template <class Visit>
  void design(int64_t i, int a, Visit&& visit) const {
    if (is_spline(family_)) {
      const double* row = basis_.data() + (i * 3 + a) * q_;
      for (int64_t j = 0; j < q_; ++j)
        if (row[j] != 0) visit(j, row[j]);
    } else if (a == 0) {
      visit(0, 1.0);
    } else if (a == 1 && is_gompertz(family_)) {
      visit(1, 1.0);
    } else if (a == 1 && has_scale(family_)) {
      visit(1 + data_.stratum_of(i), 1.0);
    } else if (a == 2 && has_shape(family_)) {
      visit(q_ - 1, 1.0);
    }
  }

  bool on_columns(int64_t i, int a) const {
    if (!is_spline(family_)) return a == 0;
    return a != 1 || data_.kind[i] != TimeKind::none;
  }

  void add(int64_t i, const Jet& term, double w, Vector& g, Vector& h) {
    for (int a = 0; a < 3; ++a) {
      const double first = -w * term.g[a];
      if (on_columns(i, a)) slope_[i] += first;
      design(i, a, [&](int64_t j, double f) { g[j] += f * first; });
      for (int c = 0; c < 3; ++c) {
        const double second = -w * term.h[Jet::pair(a, c)];
        if (second == 0) continue;
        if (on_columns(i, a) && on_columns(i, c)) curvature_[i] += second;
        if (on_columns(i, a)) design(i, c, [&](int64_t j, double f) { mixed_[i * q_ + j] += f * second; });
        design(i, a, [&](int64_t j, double f) {
          design(i, c, [&](int64_t k, double e) { h[j * size() + k] += f * e * second; });
        });
      }
    }
  }

  void finish(Vector& g, Vector& h) {
    if (p_ == 0) return;
    const int64_t n = data_.size(), m = size();
    Vector out(p_), inner;
    multiply(x_, true, slope_, out);
    std::copy(out.begin(), out.end(), g.begin() + q_);
    std::vector<int64_t> all(p_);
    for (int64_t j = 0; j < p_; ++j) all[j] = j;
    weighted_crossproduct(x_, all, curvature_.data(), inner);
    const auto cross = at::mm(x_.t(), at::from_blob(mixed_.data(), {n, q_}, at::kDouble)).contiguous();
    const double* c = cross.const_data_ptr<double>();
    for (int64_t j = 0; j < p_; ++j) {
      for (int64_t k = 0; k < p_; ++k) h[(q_ + j) * m + q_ + k] = inner[j * p_ + k];
      for (int64_t k = 0; k < q_; ++k) h[(q_ + j) * m + k] = h[k * m + q_ + j] = c[j * q_ + k];
    }
  }

  const TimeData& data_;
  at::Tensor x_;
  int64_t p_, q_ = 0;
  SurvivalFamily family_;
  detail::Base base_;
  int64_t strata_;
  Vector basis_;  // splines: [n, 3, q]
  Vector eta_, slope_, curvature_, mixed_;
};

struct TimeSolution {
  Vector b;
  Optimum end;
};

TimeSolution solve_times(const TimeData& data, const Standardised& columns, SurvivalFamily family, int64_t strata,
                         const Vector& knots, const ParametricOptions& options);

/// Parameters of a simpler family as a start.
Vector start_of(const TimeData& data, const Standardised& columns, SurvivalFamily family, int64_t strata,
                const Vector& knots, const ParametricOptions& options) {
  const int64_t p = static_cast<int64_t>(columns.scale.size());
  const auto simpler = [&](SurvivalFamily f, int64_t s) { return solve_times(data, columns, f, s, {}, options); };
  if (is_spline(family)) {
    const auto base = base_of(family);
    const auto from = simpler(base == detail::Base::extreme    ? SurvivalFamily::weibull
                              : base == detail::Base::logistic ? SurvivalFamily::log_logistic
                                                               : SurvivalFamily::log_normal,
                              1);
    Vector b(knots.size() + p, 0.0);
    const double inverse = std::exp(-from.b[1]);
    b[0] = -from.b[0] * inverse, b[1] = inverse;
    for (int64_t j = 0; j < p; ++j) b[knots.size() + j] = -from.b[2 + j] * inverse;
    return b;
  }
  if (has_shape(family)) {
    const auto weibull = simpler(SurvivalFamily::weibull, strata), normal = simpler(SurvivalFamily::log_normal, strata);
    const bool first = weibull.end.value < normal.end.value;
    Vector b = first ? weibull.b : normal.b;
    b.insert(b.begin() + 1 + strata, first ? 1.0 : 0.0);
    return b;
  }
  if (is_gompertz(family)) {
    Vector b(2 + p, 0.0);
    double total = 0;
    for (int64_t i = 0; i < data.size(); ++i) {
      const double end = data.kind[i] == TimeKind::left ? 0.5 * data.high[i] : data.low[i];
      total += data.weight[i] * (end - (data.truncated(i) ? data.entry[i] : 0));
    }
    b[0] = std::log(data.informative / total);
    return b;
  }
  Vector b(1 + (has_scale(family) ? strata : 0) + p, 0.0);
  double mean = 0, square = 0, total = 0;
  for (int64_t i = 0; i < data.size(); ++i) {
    const double y = data.typical(i), w = data.weight[i];
    mean += w * y, square += w * y * y, total += w;
  }
  mean /= total;
  b[0] = mean;
  const double spread = std::sqrt(std::max(1e-4, square / total - mean * mean));
  for (int64_t s = 0; has_scale(family) && s < strata; ++s)
    b[1 + s] = std::log(spread * (base_of(family) == detail::Base::logistic ? 0.55 : 1));
  return b;
}

TimeSolution solve_times(const TimeData& data, const Standardised& columns, SurvivalFamily family, int64_t strata,
                         const Vector& knots, const ParametricOptions& options) {
  ParametricLikelihood likelihood(data, columns, family, strata, knots);
  TimeSolution out;
  out.b = start_of(data, columns, family, strata, knots, options);
  out.end = minimise_newton([&](const Vector& b, Vector* g, Vector* h) { return likelihood(b, g, h); }, out.b,
                            {options.max_iterations});
  return out;
}

[[noreturn]] void throw_flat(const ParametricOptions& options, int64_t column) {
  throw ConvergenceError(
      column >= 0
          ? "no finite estimate exists: the likelihood grows for ever along " + column_name(options.names, column) +
                " (a group without events, or columns that order the times). Merge such groups or use fewer columns"
          : "no finite estimate exists: the likelihood does not determine the distribution's parameters. Use a family "
            "with fewer "
            "parameters (weibull, exponential), or fewer knots");
}

[[noreturn]] void throw_no_scale() {
  throw ConvergenceError(
      "the scale goes to 0: the times are explained without rest (all alike, or as many columns as events), so that "
      "the "
      "likelihood has no maximum. Use fewer columns, or family=\"exponential\"");
}

/// Whether the information determines every parameter; names the one that it does not.
void check_information(const TimeSolution& solution, SurvivalFamily family, int64_t q, int64_t strata,
                       const ParametricOptions& options) {
  if (has_scale(family))
    for (int64_t s = 0; s < strata; ++s)
      if (solution.b[1 + s] < -16) throw_no_scale();
  Vector h = solution.end.hessian;
  const int64_t m = static_cast<int64_t>(solution.b.size());
  // the ancillary parameters come first: a column that is flat given them is named
  const int64_t bad = detail::cholesky(h, m, 1e-9);
  if (bad >= 0) throw_flat(options, bad - q);
  for (int64_t j = q; j < m; ++j) {
    const double pivot = h[j * m + j] * h[j * m + j];
    if (pivot < 1e-9 * std::min(1.0, h[0] * h[0])) throw_flat(options, j - q);
  }
}

}  // namespace

ParametricFit fit_parametric(const at::Tensor& x_in, const at::Tensor& lower, const at::Tensor& upper,
                             const ParametricOptions& options, const std::optional<at::Tensor>& weights,
                             const std::optional<at::Tensor>& entry, const std::optional<at::Tensor>& strata) {
  if (options.max_iterations < 1) throw InvalidArgument("max_iterations must be positive");
  auto data = time_data(lower, upper, weights, entry, strata, is_gompertz(options.family));
  const int64_t n = data.size();
  const bool empty = !x_in.defined() || (x_in.dim() == 2 && x_in.size(1) == 0);
  const at::Tensor x = empty ? at::zeros({n, 0}, at::kDouble) : checked_matrix(x_in, options.names);
  if (x.size(0) != n)
    throw ShapeError("X has " + std::to_string(x.size(0)) + " rows and the times " + std::to_string(n) +
                     ": they must be of one length");
  if (data.strata > 1 && !has_scale(options.family))
    throw InvalidArgument(
        "strata give each a scale: only the families weibull, log_normal, log_logistic and generalised_gamma have one");
  Standardised columns;
  if (!empty) {
    columns = standardise(x, data.weight, true, false);
    FitOptions check;
    check.names = options.names;
    check_estimable(columns, n, 1, check);
    check_independent(columns, data.weight, check);
  } else {
    columns.x = x;
  }
  const int64_t p = static_cast<int64_t>(columns.scale.size());
  const Vector knots = is_spline(options.family) ? spline_knots(data, options) : Vector{};
  Vector inner = knots;  // in internal log time
  for (double& k : inner) k -= data.shift;
  const auto solution = solve_times(data, columns, options.family, data.strata, inner, options);
  const int64_t m = static_cast<int64_t>(solution.b.size()), q = m - p;
  if (!solution.end.converged && solution.end.iterations >= options.max_iterations && !solution.end.hessian.empty()) {
    check_information(solution, options.family, q, data.strata, options);
    throw ConvergenceError("the parametric model did not converge in " + std::to_string(options.max_iterations) +
                           " iterations: raise max_iterations, or use a family with fewer parameters");
  }
  if (!solution.end.converged) {
    if (has_scale(options.family) &&
        *std::min_element(solution.b.begin() + 1, solution.b.begin() + 1 + data.strata) < -5)
      throw_no_scale();
    throw_flat(options, -1);
  }
  check_information(solution, options.family, q, data.strata, options);

  // Back to the units of the data: b_out = T b, covariance T H⁻¹ Tᵀ / Σw.
  Vector centred(m * m, 0.0), shifted;
  for (int64_t j = 0; j < m; ++j) centred[j * m + j] = 1;
  for (int64_t j = 0; j < p; ++j) centred[(q + j) * m + q + j] = 1 / columns.scale[j];
  Vector offset(m, 0.0);
  if (is_spline(options.family)) {
    centred[1] = -data.shift;  // γ₀ + γ₁ (log t − shift)
  } else if (is_gompertz(options.family)) {
    offset[0] = -std::log(data.unit);
    centred[1 * m + 1] = 1 / data.unit;
  } else {
    offset[0] = data.shift;
  }
  shifted = centred;
  for (int64_t j = 0; j < p; ++j) shifted[q + j] = -columns.mean[j] / columns.scale[j];
  const auto apply = [&](const Vector& t) {
    Vector out = offset;
    for (int64_t i = 0; i < m; ++i)
      for (int64_t j = 0; j < m; ++j) out[i] += t[i * m + j] * solution.b[j];
    return out;
  };
  Vector h = solution.end.hessian;
  detail::cholesky(h, m, 0);
  auto inverse = detail::cholesky_inverse(h, m);
  const auto t = tensor_of(shifted, m, m);
  ParametricFit fit;
  fit.family = options.family;
  fit.covariance = at::mm(at::mm(t, tensor_of(inverse, m, m)), t.t()).mul_(1 / data.informative);
  const Vector at_mean = apply(centred), at_zero = apply(shifted);
  fit.ancillary = tensor_of(Vector(at_mean.begin(), at_mean.begin() + q));
  fit.parameters = tensor_of(at_zero);
  fit.coef = tensor_of(Vector(at_zero.begin() + q, at_zero.end()));
  fit.mean = tensor_of(columns.mean);
  fit.knots = tensor_of(knots);
  fit.strata = data.strata;
  fit.iterations = solution.end.iterations;
  // internal densities are of t / e^shift (or t / unit)
  fit.log_likelihood = -data.informative * solution.end.value - data.log_unit;
  return fit;
}

}  // namespace vesalius::outcome
