// SPDX-License-Identifier: Apache-2.0
#include <vesalius/outcome/cox_residuals.h>

#include <algorithm>
#include <cmath>
#include <map>

#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>

#include <vesalius/core/error.h>
#include <vesalius/outcome/detail/cholesky.h>

#include "outcome/cox_model.h"
#include "outcome/crossproduct.h"

namespace vesalius::outcome {

namespace {

/// The problem at the estimate.
struct AtEstimate {
  AtEstimate(const CoxFit& fit, const at::Tensor& x_in, const CoxOutcome& outcome, const CoxOptions& options)
      : data(checked_outcome(outcome, x_in.size(0), options)),
        problem(checked_matrix(x_in, options.names), data, options) {
    if (options.ties == Ties::exact)
      throw NotSupported(
          "residuals, robust errors and tests of proportional hazards need ties=\"efron\" or \"breslow\"");
    if (fit.coef.size(0) != x_in.size(1))
      throw ShapeError("the model has " + std::to_string(fit.coef.size(0)) + " columns; X has " +
                       std::to_string(x_in.size(1)));
    std::vector<double> b(span_of(fit.coef).begin(), span_of(fit.coef).end());
    for (size_t j = 0; j < b.size(); ++j) b[j] *= problem.columns.scale[j];
    CoxModel(problem).value(b);
  }
  int64_t n() const { return problem.columns.x.size(0); }
  int64_t p() const { return problem.columns.x.size(1); }
  const double* x() const { return problem.columns.x.const_data_ptr<double>(); }

  CoxData data;
  CoxProblem problem;
};

/// At each group of events: the mean of its terms' means, and Σ hazard · mean, whole and the part that a tied event is
/// not at risk for. Rows of zeros elsewhere.
struct GroupMeans {
  explicit GroupMeans(const AtEstimate& at) : slot(at.problem.order.groups.size(), -1) {
    const auto& likelihood = at.problem.partial();
    const auto& groups = likelihood.groups();
    const int64_t p = at.p();
    int64_t count = 0;
    for (size_t k = 0; k < groups.size(); ++k)
      if (groups[k].events() > 0) slot[k] = count++;
    for (auto* v : {&mean, &increment, &correction}) v->assign(static_cast<size_t>(count * p), 0.0);
    likelihood.risk_sums(at.x(), p,
                         [&](size_t k, double at_risk, double tied, const double* sum, const double* tied_sum) {
                           double *m = mean.data() + slot[k] * p, *inc = increment.data() + slot[k] * p,
                                  *cor = correction.data() + slot[k] * p;
                           const double weight_of_all = groups[k].event_weight;
                           likelihood.for_terms(groups[k], [&](double share, double weight) {
                             const double inverse = 1 / (at_risk - share * tied), hazard = weight * inverse;
                             for (int64_t j = 0; j < p; ++j) {
                               const double value = (sum[j] - (share > 0 ? share * tied_sum[j] : 0.0)) * inverse;
                               m[j] += weight / weight_of_all * value;
                               inc[j] += hazard * value;
                               cor[j] += share * hazard * value;
                             }
                           });
                         });
  }
  std::vector<int64_t> slot;
  std::vector<double> mean, increment, correction;
};

double risk_of(const CoxProblem& problem, int64_t i) {
  const double w = problem.weights[i];
  return w > 0 ? problem.partial().risks()[i] / w : 0.0;
}

/// Σ over events of g² V or the like: minus the Hessian with each group's part multiplied.
std::vector<double> information(const AtEstimate& at, const std::vector<double>& multiplier) {
  const auto& likelihood = at.problem.partial();
  std::vector<double> increment, correction, diagonal(static_cast<size_t>(at.n()), 0.0), out;
  likelihood.increments(increment, correction);
  for (size_t k = 0; k < increment.size(); ++k) increment[k] *= multiplier[k], correction[k] *= multiplier[k];
  likelihood.spread(increment, correction,
                    [&](int64_t i, double hazard) { diagonal[i] += likelihood.risks()[i] * hazard; });
  const int64_t p = at.p();
  Crossproduct sum(out, p);
  const auto add = [&](const double* row, double weight) {
    weight >= 0 ? sum.add(row, weight) : sum.subtract(row, -weight);
  };
  for (int64_t i = 0; i < at.n(); ++i) add(at.x() + i * p, diagonal[i]);
  std::vector<double> mean(static_cast<size_t>(p));
  likelihood.risk_sums(at.x(), p, [&](size_t k, double at_risk, double tied, const double* total, const double* part) {
    likelihood.for_terms(likelihood.groups()[k], [&](double share, double weight) {
      for (int64_t j = 0; j < p; ++j)
        mean[j] = (total[j] - (share > 0 ? share * part[j] : 0.0)) / (at_risk - share * tied);
      add(mean.data(), -weight * multiplier[k]);
    });
  });
  sum.finish();
  return out;
}

/// uᵀ M⁻¹ u; NaN where M is singular.
double quadratic(std::vector<double> m, const std::vector<double>& u) {
  const int64_t q = static_cast<int64_t>(u.size());
  if (factorise(m, q, 1e-13) >= 0) return std::nan("");
  auto solved = u;
  detail::cholesky_solve(m, q, solved.data());
  double out = 0;
  for (int64_t i = 0; i < q; ++i) out += u[i] * solved[i];
  return out;
}

}  // namespace

at::Tensor cox_martingale(const CoxFit& fit, const at::Tensor& x, const CoxOutcome& outcome,
                          const CoxOptions& options) {
  const AtEstimate at(fit, x, outcome, options);
  const auto& likelihood = at.problem.partial();
  std::vector<double> increment, correction, out(static_cast<size_t>(at.n()), 0.0);
  likelihood.increments(increment, correction);
  const auto& order = at.problem.order.order;
  likelihood.spread(increment, correction,
                    [&](int64_t i, double hazard) { out[order[i]] -= risk_of(at.problem, i) * hazard; });
  for (int64_t i = 0; i < at.n(); ++i) out[i] += at.data.event[i];
  return tensor_of(out);
}

at::Tensor cox_score_residuals(const CoxFit& fit, const at::Tensor& x_in, const CoxOutcome& outcome,
                               const CoxOptions& options) {
  const AtEstimate at(fit, x_in, outcome, options);
  const auto& likelihood = at.problem.partial();
  const auto& groups = likelihood.groups();
  const auto& order = at.problem.order;
  const int64_t n = at.n(), p = at.p();
  const GroupMeans means(at);
  std::vector<double> increment, correction, hazard_means(static_cast<size_t>(p));
  likelihood.increments(increment, correction);
  auto out = at::zeros({n, p}, at::kDouble);
  double* value = out.data_ptr<double>();
  double hazard = 0;
  const auto add = [&](int64_t i, double h, double sign, const double* less) {
    const double r = sign * risk_of(at.problem, i), *row = at.x() + i * p;
    double* to = value + order.order[i] * p;
    for (int64_t j = 0; j < p; ++j) to[j] += r * (hazard_means[j] - (less ? less[j] : 0.0) - row[j] * h);
  };
  for (size_t k = groups.size(); k-- > 0;) {  // earliest first
    const auto& g = groups[k];
    const int64_t slot = means.slot[k];
    hazard += increment[k];
    if (slot >= 0)
      for (int64_t j = 0; j < p; ++j) hazard_means[j] += means.increment[slot * p + j];
    for (int64_t i = g.begin; i < g.end; ++i) {
      const bool event = i < g.events_end;
      add(i, event ? hazard - correction[k] : hazard, 1, event ? means.correction.data() + slot * p : nullptr);
      if (!event) continue;
      double* to = value + order.order[i] * p;
      for (int64_t j = 0; j < p; ++j) to[j] += at.x()[i * p + j] - means.mean[slot * p + j];
    }
    if (!order.leave.empty())
      for (int64_t l = g.first_of_stratum ? g.begin : groups[k - 1].leave_end; l < g.leave_end; ++l)
        add(order.leave[l], hazard, -1, nullptr);
    if (g.first_of_stratum) hazard = 0, std::fill(hazard_means.begin(), hazard_means.end(), 0.0);
  }
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < p; ++j) value[i * p + j] *= at.problem.columns.scale[j];
  return out;
}

Schoenfeld cox_schoenfeld(const CoxFit& fit, const at::Tensor& x_in, const CoxOutcome& outcome,
                          const CoxOptions& options) {
  const AtEstimate at(fit, x_in, outcome, options);
  const auto& groups = at.problem.order.groups;
  const int64_t p = at.p();
  const GroupMeans means(at);
  std::vector<double> rows, residuals;
  for (size_t begin = 0; begin < groups.size();) {
    size_t end = begin + 1;
    while (end < groups.size() && !groups[end].first_of_stratum) ++end;
    for (size_t k = end; k-- > begin;)
      for (int64_t i = groups[k].begin; i < groups[k].events_end; ++i) {
        rows.push_back(static_cast<double>(at.problem.order.order[i]));
        for (int64_t j = 0; j < p; ++j)
          residuals.push_back((at.x()[i * p + j] - means.mean[means.slot[k] * p + j]) * at.problem.columns.scale[j]);
      }
    begin = end;
  }
  return {tensor_of(rows).to(at::kLong), tensor_of(residuals, static_cast<int64_t>(rows.size()), p)};
}

ProportionalHazardsTest cox_proportional_hazards(const CoxFit& fit, const at::Tensor& x_in, const CoxOutcome& outcome,
                                                 const CoxOptions& options, const at::Tensor& rows_in,
                                                 const at::Tensor& values_in) {
  const AtEstimate at(fit, x_in, outcome, options);
  const auto& groups = at.problem.order.groups;
  const int64_t p = at.p();
  const auto rows = checked_vector(rows_in, -1, "rows"), values = checked_vector(values_in, rows.size(0), "values");
  std::vector<double> g(static_cast<size_t>(at.n()), 0.0), once(groups.size(), 0.0), twice(groups.size(), 0.0);
  for (int64_t k = 0; k < rows.size(0); ++k) g[static_cast<size_t>(span_of(rows)[k])] = span_of(values)[k];
  const GroupMeans means(at);
  std::vector<double> u(static_cast<size_t>(2 * p), 0.0);
  for (size_t k = 0; k < groups.size(); ++k) {
    if (groups[k].events() == 0) continue;
    once[k] = g[at.problem.order.order[groups[k].begin]];
    twice[k] = once[k] * once[k];
    for (int64_t i = groups[k].begin; i < groups[k].events_end; ++i)
      for (int64_t j = 0; j < p; ++j)
        u[p + j] += at.problem.weights[i] * once[k] * (at.x()[i * p + j] - means.mean[means.slot[k] * p + j]);
  }
  const auto plain = information(at, std::vector<double>(groups.size(), 1.0)), mixed = information(at, once),
             squared = information(at, twice);
  const auto block = [&](const std::vector<int64_t>& set) {
    const int64_t q = static_cast<int64_t>(set.size());
    std::vector<double> m(static_cast<size_t>(q * q)), part;
    for (int64_t a = 0; a < q; ++a) {
      part.push_back(u[set[a]]);
      for (int64_t c = 0; c < q; ++c) {
        const auto& from = set[a] < p && set[c] < p ? plain : set[a] >= p && set[c] >= p ? squared : mixed;
        m[a * q + c] = from[(set[a] % p) * p + set[c] % p];
      }
    }
    return quadratic(std::move(m), part);
  };
  std::vector<int64_t> set;
  for (int64_t j = 0; j < p; ++j) set.push_back(j);
  std::vector<double> chi;
  for (int64_t j = 0; j < p; ++j) {
    set.push_back(p + j);
    chi.push_back(block(set));
    set.pop_back();
  }
  for (int64_t j = 0; j < p; ++j) set.push_back(p + j);
  return {tensor_of(chi), block(set)};
}

at::Tensor cox_robust_covariance(const CoxFit& fit, const at::Tensor& x, const CoxOutcome& outcome,
                                 const CoxOptions& options, const std::optional<at::Tensor>& cluster) {
  if (!fit.covariance.defined())
    throw InvalidArgument("robust errors need a fit without a penalty: bootstrap penalised estimates instead");
  auto score = cox_score_residuals(fit, x, outcome, options);
  const int64_t n = score.size(0), p = score.size(1);
  const auto weights = checked_weights(outcome.weights, n);
  double* value = score.data_ptr<double>();
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < p; ++j) value[i * p + j] *= weights[i];
  if (cluster) {
    const auto labels = checked_vector(*cluster, n, "cluster");
    std::map<double, int64_t> slot;
    for (double c : span_of(labels)) slot.emplace(c, static_cast<int64_t>(slot.size()));
    auto sums = at::zeros({static_cast<int64_t>(slot.size()), p}, at::kDouble);
    double* to = sums.data_ptr<double>();
    for (int64_t i = 0; i < n; ++i) {
      const int64_t s = slot[span_of(labels)[i]];
      for (int64_t j = 0; j < p; ++j) to[s * p + j] += value[i * p + j];
    }
    score = sums;
  }
  const auto influence = at::mm(score, fit.covariance);
  return at::mm(influence.t(), influence);
}

}  // namespace vesalius::outcome
