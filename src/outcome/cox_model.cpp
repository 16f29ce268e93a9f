// SPDX-License-Identifier: Apache-2.0
#include "outcome/cox_model.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <vesalius/core/error.h>
#include <vesalius/outcome/detail/cox_exact_kernel.h>

#include "outcome/crossproduct.h"

namespace vesalius::outcome {

namespace {

std::vector<double> optional_vector(const std::optional<at::Tensor>& v, int64_t n, const char* what) {
  if (!v) return {};
  const auto checked = checked_vector(*v, n, what);
  const auto values = span_of(checked);
  return {values.begin(), values.end()};
}

std::vector<double> gathered(const std::vector<double>& values, const std::vector<int64_t>& order) {
  std::vector<double> out;
  out.reserve(order.size());
  for (int64_t i : order) out.push_back(values[i]);
  return out;
}

void check_times(const CoxData& data) {
  int64_t negative = 0, reversed = 0, first = -1;
  for (int64_t i = 0; i < data.size(); ++i) {
    negative += data.time[i] < 0;
    if (!data.entry.empty() && !(data.entry[i] < data.time[i])) {
      if (reversed++ == 0) first = i;
    }
  }
  if (negative) throw InvalidArgument("time must not be negative: follow-up starts at 0");
  if (reversed)
    throw InvalidArgument(std::to_string(reversed) + " subjects enter at or after their time (row " +
                          std::to_string(first) + ": entry " + std::to_string(data.entry[first]) + ", time " +
                          std::to_string(data.time[first]) +
                          "): each needs entry < time. Leave intervals of no length out");
}

}  // namespace

CoxData checked_outcome(const CoxOutcome& outcome, int64_t n, const CoxOptions& options) {
  CoxData out;
  out.time = optional_vector(outcome.time, n, "time");
  out.event = checked_binary(outcome.event, n, "event");
  out.entry = optional_vector(outcome.entry, n, "entry");
  out.offset = optional_vector(outcome.offset, n, "offset");
  out.weights = checked_weights(outcome.weights, n);
  for (double s : optional_vector(outcome.strata, n, "strata")) out.strata.push_back(std::llround(s));
  check_times(out);
  if (n == 1) throw InvalidArgument("X has one subject (n_samples = 1): a Cox model compares subjects and needs more");
  bool any = false;
  for (int64_t i = 0; i < n; ++i) any = any || (out.event[i] && out.weights[i] > 0);
  if (!any)
    throw InvalidArgument(
        "no subject has an event: a Cox model compares those with an event to those still at risk. Is the event coded "
        "the other way round?");
  if (options.ties == Ties::exact && outcome.weights)
    for (double w : out.weights)
      if (w != 1)
        throw InvalidArgument("exact ties count subjects, so that weights mean nothing there: use efron or breslow");
  return out;
}

CoxProblem::CoxProblem(const at::Tensor& x, const CoxData& data, const CoxOptions& options)
    : order(detail::risk_order(data.time, data.event, data.weights, data.strata, data.entry)),
      columns(standardise(x, data.weights, true, false, &order.order)),
      weights(gathered(data.weights, order.order)) {
  if (!data.offset.empty()) offset = gathered(data.offset, order.order);
  observed.assign(weights.size(), 0.0);
  for (const auto& g : order.groups)
    for (int64_t i = g.begin; i < g.events_end; ++i) observed[i] = weights[i];
  for (double w : weights) total += w;
  if (options.ties == Ties::exact)
    likelihood = std::make_unique<detail::ExactLikelihood>(order, weights);
  else
    likelihood = std::make_unique<detail::PartialLikelihood>(order, weights, options.ties == Ties::efron);
}

const detail::PartialLikelihood& CoxProblem::partial() const {
  return dynamic_cast<const detail::PartialLikelihood&>(*likelihood);
}

double CoxModel::value(const std::vector<double>& b) {
  if (std::all_of(b.begin(), b.end(), [](double v) { return v == 0; }))
    std::fill(eta_.begin(), eta_.end(), 0.0);
  else
    multiply(problem_.columns.x, false, b, eta_);
  for (size_t i = 0; i < problem_.offset.size(); ++i) eta_[i] += problem_.offset[i];
  return -problem_.likelihood->evaluate(eta_) / problem_.total;
}

void CoxModel::gradient(std::vector<double>& g) {
  problem_.likelihood->expected(residual_);
  for (size_t i = 0; i < residual_.size(); ++i) residual_[i] = (residual_[i] - problem_.observed[i]) / problem_.total;
  multiply(problem_.columns.x, true, residual_, g);
}

void CoxModel::hessian(const std::vector<int64_t>& set, std::vector<double>& h) {
  const int64_t n = rows(), p = size(), m = static_cast<int64_t>(set.size());
  h.clear();
  if (m == 0) return;
  const double* x = problem_.columns.x.const_data_ptr<double>();
  std::vector<double> chosen;
  if (m != p) {
    chosen.resize(static_cast<size_t>(n * m));
    for (int64_t i = 0; i < n; ++i)
      for (int64_t k = 0; k < m; ++k) chosen[i * m + k] = x[i * p + set[k]];
    x = chosen.data();
  }
  problem_.likelihood->diagonal(residual_);
  Crossproduct sum(h, m);
  for (int64_t i = 0; i < n; ++i) sum.add(x + i * m, residual_[i] / problem_.total);
  problem_.likelihood->rows(x, m, [&](const double* row, double weight) {
    if (weight >= 0)
      sum.subtract(row, weight / problem_.total);
    else
      sum.add(row, -weight / problem_.total);
  });
  sum.finish();
}

bool CoxModel::diverges(const std::vector<double>& step) {
  std::vector<double> along(eta_.size());
  multiply(problem_.columns.x, false, step, along);
  return problem_.likelihood->monotone(along);
}

double CoxModel::reach(const std::vector<double>& step) {
  std::vector<double> along(eta_.size());
  multiply(problem_.columns.x, false, step, along);
  double out = 0;
  for (double a : along) out = std::max(out, std::abs(a));
  return out;
}

double CoxModel::spread() const {
  const auto [low, high] = std::minmax_element(eta_.begin(), eta_.end());
  return *high - *low;
}

void cox_baseline(const CoxProblem& problem, const CoxData& data, const std::vector<double>& increments, double shift,
                  CoxFit& fit) {
  std::vector<double> times, hazards, strata;
  const auto& groups = problem.order.groups;
  for (size_t begin = 0; begin < groups.size();) {
    size_t end = begin + 1;
    while (end < groups.size() && !groups[end].first_of_stratum) ++end;
    double cumulative = 0;
    for (size_t k = end; k-- > begin;) {
      cumulative += increments[k];
      const int64_t subject = problem.order.order[groups[k].begin];
      times.push_back(data.time[subject]);
      hazards.push_back(std::log(cumulative) - shift);
      strata.push_back(data.strata.empty() ? 0.0 : static_cast<double>(data.strata[subject]));
    }
    begin = end;
  }
  fit.baseline_times = tensor_of(times);
  fit.baseline_log_hazard = tensor_of(hazards);
  fit.baseline_stratum = tensor_of(strata).to(at::kLong);
}

void finish_coefficients(const Standardised& columns, const std::vector<double>& b, CoxFit& fit) {
  std::vector<double> coef(b.size());
  for (size_t j = 0; j < b.size(); ++j) coef[j] = columns.constant[j] ? 0.0 : b[j] / columns.scale[j];
  fit.coef = tensor_of(coef);
  fit.mean = tensor_of(columns.mean);
}

}  // namespace vesalius::outcome
