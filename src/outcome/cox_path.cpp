// SPDX-License-Identifier: Apache-2.0
#include <vesalius/outcome/cox_path.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include <vesalius/core/error.h>

#include "outcome/cox_lanes.h"
#include "outcome/cox_model.h"
#include "outcome/crossproduct.h"
#include "outcome/products.h"

namespace vesalius::outcome {

namespace {

constexpr int64_t kRounds = 12;     // then alone, with a line search
constexpr int64_t kEnough = 5;      // more rounds than these: whoever comes next begins with a new Hessian
constexpr int64_t kSubsample = 20;  // rows a column for a Hessian: the secants correct it
constexpr int64_t kFewEvents = 50;  // a subsample has at least as many

/// A point with the gradient there.
struct Point {
  std::vector<double> b, g;
};

/// One strength: where it is, where it was, and where it goes next.
struct Solution {
  double alpha = 0, violation = 0, gain = 0;
  detail::PenaltyTerms penalty;
  Point at, before;
  std::vector<double> next;
  int64_t rounds = 0;
  bool closed = false;
};

double violation(const Solution& s) {
  double out = 0;
  for (size_t j = 0; j < s.at.b.size(); ++j) out = std::max(out, s.penalty.violation(j, s.at.b[j], s.at.g[j]));
  return out;
}

/// Broyden, Fletcher, Goldfarb, Shanno: h y-corrected for the step from one point to another.
void secant(std::vector<double>& h, const Point& from, const Point& to) {
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
std::vector<double> step(const Point& from, const std::vector<double>& hessian, const detail::PenaltyTerms& penalty,
                         double tolerance) {
  const int64_t p = static_cast<int64_t>(from.b.size());
  std::vector<int64_t> set;
  for (int64_t j = 0; j < p; ++j)
    if (from.b[j] != 0 || penalty.l1[j] == 0 || std::abs(from.g[j]) > 0.5 * penalty.l1[j]) set.push_back(j);
  const int64_t m = static_cast<int64_t>(set.size());
  std::vector<double> h(static_cast<size_t>(m * m)), slope, at, l1, l2;
  for (int64_t a = 0; a < m; ++a) {
    slope.push_back(from.g[set[a]]), at.push_back(from.b[set[a]]);
    l1.push_back(penalty.l1[set[a]]), l2.push_back(penalty.l2[set[a]]);
    for (int64_t c = 0; c < m; ++c) h[a * m + c] = hessian[set[a] * p + set[c]];
  }
  detail::QuadraticStep quadratic(h, std::move(slope), std::move(at), std::move(l1), std::move(l2));
  const auto& target = quadratic.solve(tolerance);
  auto out = from.b;
  for (int64_t a = 0; a < m; ++a) out[set[a]] = target[a];
  return out;
}

/// The log-likelihood of the saturated model over Σw: each event takes its own risk set of those tied with it.
double saturated(const CoxProblem& problem, const CoxOptions& options) {
  double out = 0;
  if (options.ties == Ties::breslow)
    for (const auto& g : problem.order.groups)
      if (g.events() > 0) out -= g.event_weight * std::log(g.event_weight);
  return out / problem.total;
}

class PathSolver {
 public:
  PathSolver(const at::Tensor& x, const CoxData& data, const CoxOptions& options)
      : options_(options), problem_(x, data, options), model_(problem_), n_(x.size(0)), p_(x.size(1)) {
    origin_.b.assign(static_cast<size_t>(p_), 0.0);
    null_ = model_.value(origin_.b);
    // what is expected and what is observed, in one pass over the columns
    std::vector<double> rows, products(static_cast<size_t>(2 * p_));
    problem_.likelihood->expected(rows);
    rows.insert(rows.end(), problem_.observed.begin(), problem_.observed.end());
    columns_times(problem_.columns.x.const_data_ptr<double>(), n_, p_, rows.data(), 2, n_, products.data());
    observed_.assign(products.begin() + p_, products.end());
    for (int64_t j = 0; j < p_; ++j) origin_.g.push_back((products[j] - observed_[j]) / problem_.total);
  }

  const Standardised& columns() const { return problem_.columns; }
  const std::vector<double>& gradient() const { return origin_.g; }
  int64_t rounds() const { return rounds_; }
  /// The null deviance over Σw.
  double room() const { return 2 * null_ + 2 * saturated(problem_, options_); }

  detail::PenaltyTerms terms(double alpha) const {
    CoxOptions options = options_;
    options.penalty.alpha = alpha;
    return penalty_terms(options, problem_.columns, 0);
  }

  /// done(coefficients, mean log-likelihood above the null model's) from the strongest on, until it returns true.
  template <class Done>
  void solve(const std::vector<double>& alphas, Done&& done) {
    if (options_.ties != Ties::exact && p_ <= 400 && n_ >= 4 * p_) return solve_together(alphas, done);
    std::vector<double> b = origin_.b;
    for (double alpha : alphas) {
      alone(alpha, b);
      if (done(b, null_ - model_.value(b))) return;
    }
  }

 private:
  void alone(double alpha, std::vector<double>& b) {
    const auto result = detail::minimise(model_, terms(alpha), b,
                                         {std::max<int64_t>(options_.max_iterations, 100), options_.tolerance});
    rounds_ += result.iterations;
    if (!result.converged)
      throw ConvergenceError("penalised Cox regression did not converge in " + std::to_string(result.iterations) +
                             " iterations at alpha = " + std::to_string(alpha) + ": end the path at a larger one");
  }

  /// Several strengths are always under way, each a step of Newton's with the curvature that all of them have shown so
  /// far: it is nearly the same all along. Where one is done the next begins from the furthest.
  template <class Done>
  void solve_together(const std::vector<double>& alphas, Done&& done) {
    CoxLanes lanes(problem_, observed_);
    std::vector<Solution> all(alphas.size());
    std::vector<Solution*> open;
    auto shared = subsampled_hessian(origin_.b);
    const Point* furthest = &origin_;
    bool slow = false;
    for (size_t begun = 0, told = 0; told < all.size();) {
      if (slow && begun < all.size()) shared = subsampled_hessian(furthest->b), slow = false;
      for (; static_cast<int64_t>(open.size()) < lanes.width() && begun < all.size(); ++begun) {
        Solution& s = all[begun];
        s.alpha = alphas[begun], s.penalty = terms(s.alpha);
        s.next = step(*furthest, shared, s.penalty, 1e-3 * options_.tolerance + 1e-9);
        if (furthest == &origin_ && s.next == origin_.b) {  // before the first column enters
          s.at = origin_, s.closed = true;
          continue;
        }
        open.push_back(&s);
      }
      if (!open.empty()) evaluate(lanes, open);
      for (Solution* s : open) secant(shared, behind(all, s), s->at);
      std::vector<double> likelihoods;
      for (size_t k = 0; k < open.size(); ++k) {
        Solution& s = *open[k];
        s.violation = violation(s);
        if (s.violation <= options_.tolerance) {
          if (likelihoods.empty()) likelihoods = lanes.log_likelihoods();
          s.gain = null_ + likelihoods[k] / problem_.total;
          s.closed = true;
        } else if (s.rounds >= kRounds) {
          alone(s.alpha, s.at.b);
          s.gain = null_ - model_.value(s.at.b);
          model_.gradient(s.at.g);
          s.closed = true;
        } else {
          auto own = shared;
          secant(own, behind(all, &s), s.at);
          s.next = step(s.at, own, s.penalty, 1e-2 * options_.tolerance);
        }
        slow = slow || (s.closed && s.rounds > kEnough);
      }
      if (!open.empty()) furthest = &open.back()->at;
      open.erase(std::remove_if(open.begin(), open.end(), [](const Solution* s) { return s->closed; }), open.end());
      for (; told < all.size() && all[told].closed; ++told)
        if (done(all[told].at.b, all[told].gain)) return;
    }
  }

  /// What the step to where a solution is was made from; at first the stronger neighbour shows the curvature between.
  const Point& behind(const std::vector<Solution>& all, const Solution* s) const {
    if (s->rounds > 1) return s->before;
    return s == all.data() ? origin_ : (s - 1)->at;
  }

  void evaluate(CoxLanes& lanes, const std::vector<Solution*>& open) {
    ++rounds_;
    std::vector<const std::vector<double>*> b;
    std::vector<std::vector<double>*> g;
    for (Solution* s : open) {
      s->before = std::move(s->at);
      s->at.b = std::move(s->next);
      s->at.g.resize(s->at.b.size());
      ++s->rounds;
      b.push_back(&s->at.b), g.push_back(&s->at.g);
    }
    lanes.gradients(b, g);
  }

  /// The information of every so manieth subject alone, times as much as there are more events.
  std::vector<double> subsampled_hessian(const std::vector<double>& b) const {
    const int64_t least = std::max<int64_t>(2000, kSubsample * p_), rows = std::clamp(n_ / 10, least, 5 * least);
    int64_t stride = std::max<int64_t>(1, n_ / rows);
    const auto events = [&] {
      int64_t count = 0;
      for (int64_t i = 0; i < n_; i += stride) count += problem_.observed[i] > 0;
      return count;
    };
    while (stride > 1 && events() < kFewEvents) stride /= 2;
    const double* x = problem_.columns.x.const_data_ptr<double>();
    std::vector<double> risk(static_cast<size_t>(n_ / stride + 1)), hazard(risk.size(), 0.0), sum(b.size()),
        mean(b.size()), h;
    double top = -std::numeric_limits<double>::infinity();
    for (int64_t i = 0; i < n_; i += stride) {
      double eta = problem_.offset.empty() ? 0.0 : problem_.offset[i];
      for (int64_t j = 0; j < p_; ++j) eta += x[i * p_ + j] * b[j];
      risk[i / stride] = eta;
      top = std::max(top, eta);
    }
    double all = 0, seen = 0, at_risk = 0;
    for (double v : problem_.observed) all += v;
    for (int64_t i = 0; i < n_; i += stride) seen += problem_.observed[i];
    Crossproduct out(h, p_);
    const double scale = seen > 0 ? all / seen / problem_.total : 0.0;
    for (const auto& g : problem_.order.groups) {
      if (g.first_of_stratum) at_risk = 0, std::fill(sum.begin(), sum.end(), 0.0);
      const int64_t first = (g.begin + stride - 1) / stride * stride;
      for (int64_t i = first; i < g.end; i += stride) {
        double& r = risk[i / stride];
        r = problem_.weights[i] * std::exp(r - top);
        at_risk += r;
        for (int64_t j = 0; j < p_; ++j) sum[j] += r * x[i * p_ + j];
      }
      double weight = 0;
      for (int64_t i = first; i < g.events_end; i += stride) weight += problem_.observed[i];
      if (!(weight > 0 && at_risk > 0)) continue;
      for (int64_t j = 0; j < p_; ++j) mean[j] = sum[j] / at_risk;
      out.subtract(mean.data(), scale * weight);
      hazard[first / stride] = weight / at_risk;
    }
    double cumulative = 0;
    for (size_t k = problem_.order.groups.size(); k-- > 0;) {
      const auto& g = problem_.order.groups[k];
      const int64_t first = (g.begin + stride - 1) / stride * stride;
      if (first < g.end) cumulative += hazard[first / stride];
      for (int64_t i = first; i < g.end; i += stride) out.add(x + i * p_, scale * risk[i / stride] * cumulative);
      if (g.first_of_stratum) cumulative = 0;
    }
    out.finish();
    for (int64_t j = 0; j < p_; ++j) h[j * p_ + j] *= 1 + 1e-6;
    return h;
  }

  const CoxOptions& options_;
  CoxProblem problem_;
  CoxModel model_;
  int64_t n_, p_, rounds_ = 0;
  double null_ = 0;
  Point origin_;
  std::vector<double> observed_;  ///< sums of the columns over the events
};

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
  const double room = solver.room();
  std::vector<double> coef, ratio;
  solver.solve(alphas, [&](const std::vector<double>& b, double gain) {
    for (size_t j = 0; j < b.size(); ++j)
      coef.push_back(solver.columns().constant[j] ? 0.0 : b[j] / solver.columns().scale[j]);
    ratio.push_back(2 * gain / room);
    const size_t done = ratio.size();
    return !alphas_in && done >= 5 &&
           (ratio[done - 1] - ratio[done - 5] < 1e-3 * ratio[done - 1] || ratio[done - 1] > 0.99);
  });
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
