// SPDX-License-Identifier: Apache-2.0
#include <vesalius/outcome/cox_path.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include <ATen/ops/amax.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include <vesalius/core/error.h>

#include "outcome/cox_model.h"
#include "outcome/crossproduct.h"
#include "outcome/products.h"

namespace vesalius::outcome {

namespace {

constexpr int64_t kTogether = 10;    // solutions refined at once
constexpr int64_t kRounds = 12;      // then one after another, with a line search
constexpr int64_t kEnough = 4;       // more rounds than these: the next solutions begin with a new Hessian
constexpr int64_t kSubsample = 100;  // rows a column for a Hessian: the secants correct it

struct Solution {
  std::vector<double> b, g, h;
  detail::PenaltyTerms penalty;
  double violation = 0;
};

double violation(const Solution& s) {
  double out = 0;
  for (size_t j = 0; j < s.b.size(); ++j) out = std::max(out, s.penalty.violation(j, s.b[j], s.g[j]));
  return out;
}

/// Broyden, Fletcher, Goldfarb, Shanno: h y-corrected for the step from one point to another.
void secant(std::vector<double>& h, const Solution& from, const Solution& to) {
  const size_t p = from.b.size();
  std::vector<double> s(p), y(p), hs(p, 0.0);
  double sy = 0, ss = 0, yy = 0, shs = 0;
  for (size_t j = 0; j < p; ++j) {
    s[j] = to.b[j] - from.b[j], y[j] = to.g[j] - from.g[j];
    sy += s[j] * y[j], ss += s[j] * s[j], yy += y[j] * y[j];
  }
  if (!(sy > 1e-8 * std::sqrt(ss * yy))) return;
  for (size_t i = 0; i < p; ++i)
    if (s[i] != 0)
      for (size_t j = 0; j < p; ++j) hs[j] += s[i] * h[i * p + j];
  for (size_t j = 0; j < p; ++j) shs += s[j] * hs[j];
  if (!(shs > 0)) return;
  for (size_t i = 0; i < p; ++i) {
    const double a = hs[i] / shs, c = y[i] / sy;
    for (size_t j = 0; j < p; ++j) h[i * p + j] += c * y[j] - a * hs[j];
  }
}

/// The minimum of the quadratic at `from` with this penalty.
std::vector<double> step(const Solution& from, const detail::PenaltyTerms& penalty, double tolerance) {
  const int64_t p = static_cast<int64_t>(from.b.size());
  std::vector<int64_t> set;
  for (int64_t j = 0; j < p; ++j)
    if (from.b[j] != 0 || penalty.l1[j] == 0 || std::abs(from.g[j]) > 0.5 * penalty.l1[j]) set.push_back(j);
  const int64_t m = static_cast<int64_t>(set.size());
  std::vector<double> h(static_cast<size_t>(m * m)), slope, at, l1, l2;
  for (int64_t a = 0; a < m; ++a) {
    slope.push_back(from.g[set[a]]), at.push_back(from.b[set[a]]);
    l1.push_back(penalty.l1[set[a]]), l2.push_back(penalty.l2[set[a]]);
    for (int64_t c = 0; c < m; ++c) h[a * m + c] = from.h[set[a] * p + set[c]];
  }
  detail::QuadraticStep quadratic(h, std::move(slope), std::move(at), std::move(l1), std::move(l2));
  const auto& target = quadratic.solve(tolerance);
  auto out = from.b;
  for (int64_t a = 0; a < m; ++a) out[set[a]] = target[a];
  return out;
}

class PathSolver {
 public:
  PathSolver(const at::Tensor& x, const CoxData& data, const CoxOptions& options)
      : options_(options), problem_(x, data, options), model_(problem_), n_(x.size(0)), p_(x.size(1)) {
    last_.b.assign(static_cast<size_t>(p_), 0.0);
    null_ = model_.value(last_.b);
    last_.g.resize(last_.b.size());
    model_.gradient(last_.g);
  }

  const Standardised& columns() const { return problem_.columns; }
  const std::vector<double>& gradient() const { return last_.g; }
  int64_t rounds() const { return rounds_; }
  double null_value() const { return null_; }

  detail::PenaltyTerms terms(double alpha) const {
    CoxOptions options = options_;
    options.penalty.alpha = alpha;
    return penalty_terms(options, problem_.columns, 0);
  }

  /// Solutions at these strengths, and the mean log-likelihood of each relative to the null model's.
  std::vector<std::vector<double>> solve(const std::vector<double>& alphas, std::vector<double>& gain) {
    const bool together = options_.ties != Ties::exact && p_ <= 400 && n_ >= 4 * p_;
    std::vector<std::vector<double>> out;
    if (together) {
      if (last_.h.empty() || slow_) last_.h = subsampled_hessian();
      refine(alphas, out);
    } else {
      for (double alpha : alphas) out.push_back(one(alpha, last_.b));
    }
    gains(out, gain);
    return out;
  }

 private:
  std::vector<double> one(double alpha, std::vector<double> b) {
    const auto result = detail::minimise(model_, terms(alpha), b,
                                         {std::max<int64_t>(options_.max_iterations, 100), options_.tolerance});
    rounds_ += result.iterations;
    if (!result.converged)
      throw ConvergenceError("penalised Cox regression did not converge in " + std::to_string(result.iterations) +
                             " iterations at alpha = " + std::to_string(alpha) + ": end the path at a larger one");
    last_.b = b;
    return b;
  }

  void refine(const std::vector<double>& alphas, std::vector<std::vector<double>>& out) {
    std::vector<Solution> all;
    for (double alpha : alphas) {
      Solution s;
      s.penalty = terms(alpha);
      s.b = step(last_, s.penalty, 1e-3 * options_.tolerance + 1e-9);
      s.g.resize(s.b.size());
      all.push_back(std::move(s));
    }
    std::vector<Solution*> open;
    for (auto& s : all) open.push_back(&s);
    gradients(open);
    auto shared = last_.h;  // the curvature is nearly the same all along: what one step shows serves all
    const Solution* before = &last_;
    for (auto& s : all) {
      secant(shared, *before, s);
      s.violation = violation(s);
      before = &s;
    }
    for (size_t k = 0; k < all.size(); ++k) {
      all[k].h = shared;
      secant(all[k].h, k == 0 ? last_ : all[k - 1], all[k]);
    }
    int64_t taken = 0;
    for (int64_t round = 0; round < kRounds; ++round) {
      open.erase(std::remove_if(open.begin(), open.end(),
                                [&](const Solution* s) { return s->violation <= options_.tolerance; }),
                 open.end());
      if (open.empty()) break;
      ++taken;
      std::vector<Solution> previous;
      for (Solution* s : open) {
        previous.push_back({s->b, s->g, {}, {}, s->violation});
        s->b = step(*s, s->penalty, 1e-2 * options_.tolerance);
      }
      gradients(open);
      for (size_t k = 0; k < open.size(); ++k) secant(shared, previous[k], *open[k]);
      for (size_t k = 0; k < open.size(); ++k) {
        open[k]->h = shared;
        secant(open[k]->h, previous[k], *open[k]);
        open[k]->violation = violation(*open[k]);
      }
    }
    slow_ = taken > kEnough;
    for (size_t k = 0; k < all.size(); ++k)
      if (all[k].violation > options_.tolerance) {
        all[k].b = one(alphas[k], all[k].b);
        model_.value(all[k].b);
        model_.gradient(all[k].g);
      }
    for (auto& s : all) out.push_back(s.b);
    last_ = std::move(all.back());
  }

  /// Exact gradients of all of these: X b and Xᵀ r as products of matrices.
  void gradients(const std::vector<Solution*>& of) {
    ++rounds_;
    const int64_t k = static_cast<int64_t>(of.size());
    std::vector<double> b, g(static_cast<size_t>(k * p_));
    for (const Solution* s : of) b.insert(b.end(), s->b.begin(), s->b.end());
    auto eta = at::empty({k, n_}, at::kDouble);
    const double* x = problem_.columns.x.const_data_ptr<double>();
    rows_times(x, n_, p_, b.data(), k, eta.data_ptr<double>(), n_);
    if (!problem_.offset.empty())
      eta.add_(at::from_blob(const_cast<double*>(problem_.offset.data()), {n_}, at::kDouble));
    eta.sub_(eta.amax({1}, true)).exp_();
    auto& likelihood = static_cast<detail::PartialLikelihood&>(*problem_.likelihood);
    for (int64_t i = 0; i < k; ++i) {
      double* row = eta.data_ptr<double>() + i * n_;
      likelihood.set_relative_risks(row);
      likelihood.expected(expected_);
      for (int64_t s = 0; s < n_; ++s) row[s] = (expected_[s] - problem_.observed[s]) / problem_.total;
    }
    columns_times(x, n_, p_, eta.const_data_ptr<double>(), k, n_, g.data());
    for (int64_t i = 0; i < k; ++i) std::copy(g.begin() + i * p_, g.begin() + (i + 1) * p_, of[i]->g.begin());
  }

  /// By how much the mean log-likelihood of each is above the null model's.
  void gains(const std::vector<std::vector<double>>& of, std::vector<double>& gain) {
    if (options_.ties == Ties::exact) {
      for (const auto& b : of) gain.push_back(null_ - model_.value(b));
      return;
    }
    const int64_t k = static_cast<int64_t>(of.size());
    std::vector<double> b;
    for (const auto& solution : of) b.insert(b.end(), solution.begin(), solution.end());
    auto eta = at::empty({k, n_}, at::kDouble);
    rows_times(problem_.columns.x.const_data_ptr<double>(), n_, p_, b.data(), k, eta.data_ptr<double>(), n_);
    if (!problem_.offset.empty())
      eta.add_(at::from_blob(const_cast<double*>(problem_.offset.data()), {n_}, at::kDouble));
    eta.sub_(eta.amax({1}, true));
    const auto risk = eta.exp();
    auto& likelihood = static_cast<detail::PartialLikelihood&>(*problem_.likelihood);
    for (int64_t i = 0; i < k; ++i) {
      const double* row = eta.const_data_ptr<double>() + i * n_;
      likelihood.set_relative_risks(risk.const_data_ptr<double>() + i * n_);
      double value = -likelihood.log_risk_sum();
      for (int64_t s = 0; s < n_; ++s) value += problem_.observed[s] * row[s];
      gain.push_back(null_ + value / problem_.total);
    }
  }

  /// At the last solution, from every so manieth subject and every so manieth risk set.
  std::vector<double> subsampled_hessian() {
    const int64_t stride = std::max<int64_t>(1, n_ / std::max<int64_t>(2000, kSubsample * p_));
    std::vector<double> h, weight;
    model_.value(last_.b);
    problem_.likelihood->diagonal(weight);
    const double* x = problem_.columns.x.const_data_ptr<double>();
    Crossproduct sum(h, p_);
    double all = 0, taken = 0;
    for (int64_t i = 0; i < n_; ++i) all += weight[i], taken += i % stride == 0 ? weight[i] : 0.0;
    for (int64_t i = 0; i < n_; i += stride) sum.add(x + i * p_, weight[i] * all / taken / problem_.total);
    // the means count as much as the subjects, so that what is left stays a covariance
    int64_t seen = 0;
    double mass = 0;
    std::vector<double> kept, rows;
    problem_.likelihood->rows(x, p_, [&](const double* row, double w) {
      if (seen++ % stride != 0) return;
      rows.insert(rows.end(), row, row + p_);
      kept.push_back(w), mass += w;
    });
    for (size_t k = 0; k < kept.size(); ++k)
      sum.subtract(rows.data() + static_cast<int64_t>(k) * p_, kept[k] * all / mass / problem_.total);
    sum.finish();
    return h;
  }

  const CoxOptions& options_;
  CoxProblem problem_;
  CoxModel model_;
  int64_t n_, p_, rounds_ = 0;
  double null_ = 0;
  bool slow_ = false;
  Solution last_;
  std::vector<double> expected_;
};

/// The log-likelihood of the saturated model over Σw: each event takes its own risk set of those tied with it.
double saturated(const CoxData& data, const CoxOptions& options) {
  const auto order = detail::risk_order(data.time, data.event, data.weights, data.strata, data.entry);
  double out = 0, total = 0;
  for (double w : data.weights) total += w;
  if (options.ties == Ties::breslow)
    for (const auto& g : order.groups)
      if (g.events() > 0) out -= g.event_weight * std::log(g.event_weight);
  return out / total;
}

}  // namespace

CoxPath cox_path(const at::Tensor& x_in, const CoxOutcome& outcome, const CoxOptions& options,
                 const std::optional<at::Tensor>& alphas_in, int64_t count, double min_ratio) {
  check_options(options);
  const auto x = checked_matrix(x_in, options.names);
  const auto data = checked_outcome(outcome, x.size(0), options);
  PathSolver solver(x, data, options);
  std::vector<double> alphas;
  if (alphas_in) {
    const auto given = checked_vector(*alphas_in, -1, "alphas");
    alphas.assign(span_of(given).begin(), span_of(given).end());
    if (alphas.empty() || std::any_of(alphas.begin(), alphas.end(), [](double a) { return !(a > 0); }))
      throw InvalidArgument("alphas must be positive numbers");
    std::sort(alphas.begin(), alphas.end(), std::greater<>());
  } else {
    if (count < 1 || !(min_ratio > 0 && min_ratio < 1))
      throw InvalidArgument("n_alphas must be at least 1 and alpha_min_ratio between 0 and 1");
    const auto unit = solver.terms(1.0);
    double top = 0;
    for (size_t j = 0; j < unit.l1.size(); ++j) {
      // with a ridge alone nothing ever leaves: from where a share of a thousandth would, as glmnet
      const double scale = std::max(unit.l1[j], 1e-3 * (unit.l1[j] + std::sqrt(unit.l2[j])));
      top = std::max(top, std::abs(solver.gradient()[j]) / scale);
    }
    if (!(top > 0)) throw InvalidArgument("no column says anything about the outcome: all are constant");
    for (int64_t k = 0; k < count; ++k)
      alphas.push_back(top *
                       std::pow(min_ratio, count > 1 ? static_cast<double>(k) / static_cast<double>(count - 1) : 0.0));
  }
  const double room = 2 * solver.null_value() + 2 * saturated(data, options);
  CoxPath path;
  std::vector<double> coef, ratio;
  bool ended = false;
  for (size_t begin = 0; begin < alphas.size() && !ended; begin += kTogether) {
    const std::vector<double> part(alphas.begin() + static_cast<int64_t>(begin),
                                   alphas.begin() + static_cast<int64_t>(std::min(alphas.size(), begin + kTogether)));
    std::vector<double> gain;
    const auto solutions = solver.solve(part, gain);
    for (size_t k = 0; k < solutions.size() && !ended; ++k) {
      for (size_t j = 0; j < solutions[k].size(); ++j)
        coef.push_back(solver.columns().constant[j] ? 0.0 : solutions[k][j] / solver.columns().scale[j]);
      ratio.push_back(2 * gain[k] / room);
      const size_t done = ratio.size();
      ended = !alphas_in && done >= 5 &&
              (ratio[done - 1] - ratio[done - 5] < 1e-3 * ratio[done - 1] || ratio[done - 1] > 0.99);
    }
  }
  const int64_t k = static_cast<int64_t>(ratio.size());
  alphas.resize(ratio.size());
  return {tensor_of(alphas), tensor_of(coef, k, x.size(1)), tensor_of(solver.columns().mean), tensor_of(ratio),
          solver.rounds()};
}

at::Tensor cox_log_likelihoods(const at::Tensor& x_in, const CoxOutcome& outcome, const CoxOptions& options,
                               const at::Tensor& coef_in) {
  const auto x = checked_matrix(x_in, options.names);
  const auto data = checked_outcome(outcome, x.size(0), options);
  const CoxProblem problem(x, data, options);
  CoxModel model(problem);
  const int64_t p = x.size(1);
  const auto coef = checked_matrix(coef_in, {});
  if (coef.size(1) != p)
    throw ShapeError("coef has " + std::to_string(coef.size(1)) + " columns and X " + std::to_string(p));
  std::vector<double> out, b(static_cast<size_t>(p));
  for (int64_t k = 0; k < coef.size(0); ++k) {
    for (int64_t j = 0; j < p; ++j) b[j] = span_of(coef)[k * p + j] * problem.columns.scale[j];
    out.push_back(-model.total() * model.value(b));
  }
  return tensor_of(out);
}

}  // namespace vesalius::outcome
