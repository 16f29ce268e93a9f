// SPDX-License-Identifier: Apache-2.0
#include <vesalius/outcome/log_rank.h>

#include <cmath>

#include <vesalius/core/error.h>

#include "outcome/common.h"
#include "outcome/risk_table.h"

namespace vesalius::outcome {

namespace {

double weight_of(const LogRankOptions& o, double n, double survival, double modified) {
  switch (o.weight) {
    case LogRankWeight::gehan:
      return n;
    case LogRankWeight::tarone_ware:
      return std::sqrt(n);
    case LogRankWeight::peto:
      return survival;
    case LogRankWeight::modified_peto:
      return modified;
    default:
      return std::pow(survival, o.rho) * std::pow(1 - survival, o.gamma);
  }
}

/// Weighted sums of the test over one stratum.
void add_stratum(const RiskTable& table, const LogRankOptions& options, std::vector<double>& observed,
                 std::vector<double>& expected, std::vector<double>& variance) {
  const int64_t k = table.groups;
  double survival = 1, modified = 1;
  for (int64_t i = 0; i < table.rows; ++i) {
    double n = 0, d = 0;
    bool empties = true;
    for (int64_t a = 0; a < k; ++a) {
      n += table.risk(i, a), d += table.left(i, a, 1);
      empties = empties && (table.empties[i * k + a] || table.risk(i, a) == 0);
    }
    if (!(d > 0)) continue;
    modified *= 1 - d / (n + 1);
    const double factor = weight_of(options, n, survival, modified);
    const double spread = n > 1 ? factor * factor * d * std::max(0.0, n - d) / (n - 1) : 0.0;
    for (int64_t a = 0; a < k; ++a) {
      const double share = table.risk(i, a) / n;
      if (share == 0) continue;
      observed[a] += factor * table.left(i, a, 1);
      expected[a] += factor * d * share;
      for (int64_t b = 0; b < k; ++b) variance[a * k + b] += spread * share * ((a == b) - table.risk(i, b) / n);
    }
    survival = empties ? 0.0 : survival * (1 - d / n);
  }
}

}  // namespace

LogRank log_rank(const at::Tensor& time, const at::Tensor& event, const at::Tensor& group,
                 const LogRankOptions& options, const std::optional<at::Tensor>& strata_in,
                 const std::optional<at::Tensor>& weights, const std::optional<at::Tensor>& entry) {
  if (!(options.rho >= 0 && options.gamma >= 0))
    throw InvalidArgument("rho and gamma must not be negative; they are " + std::to_string(options.rho) + " and " +
                          std::to_string(options.gamma));
  auto in = risk_input(time, event_kinds(event, -1), weights, entry);
  const int64_t n = static_cast<int64_t>(in.size());
  std::vector<int64_t> names, levels;
  in.group = label_codes(group, n, "group", names);
  if (names.size() < 2)
    throw InvalidArgument("a log-rank test compares groups and needs at least 2; group holds " +
                          std::to_string(names.size()));
  const int64_t k = in.groups = static_cast<int64_t>(names.size());
  std::vector<std::vector<int64_t>> members(1);
  if (strata_in) {
    const auto strata = label_codes(*strata_in, n, "strata", levels);
    members.resize(levels.size());
    for (int64_t i = 0; i < n; ++i) members[strata[i]].push_back(i);
  } else {
    for (int64_t i = 0; i < n; ++i) members[0].push_back(i);
  }
  std::vector<double> observed(k, 0.0), expected(k, 0.0), variance(static_cast<size_t>(k * k), 0.0), u(k);
  for (const auto& rows : members) add_stratum(risk_table(in, rows), options, observed, expected, variance);
  // Groups in which nothing could be expected say nothing; of the others the last follows from the rest.
  std::vector<int64_t> used;
  for (int64_t a = 0; a < k; ++a) {
    u[a] = observed[a] - expected[a];
    if (expected[a] > 0) used.push_back(a);
  }
  LogRank out;
  if (used.size() >= 2) {
    used.pop_back();
    out.chi_squared = quadratic_form(u, variance, used);
  }
  if (used.empty() || out.chi_squared < 0 || (used.size() == 1 && !(variance[used[0] * k + used[0]] > 0)))
    throw InvalidArgument("no event happened while two groups were at risk: there is nothing to compare");
  out.degrees_of_freedom = static_cast<int64_t>(used.size());
  out.p = chi_squared_tail(out.chi_squared, out.degrees_of_freedom);
  out.groups = tensor_of(std::vector<double>(names.begin(), names.end())).to(at::kLong);
  out.observed = tensor_of(observed);
  out.expected = tensor_of(expected);
  out.covariance = tensor_of(variance, k, k);
  return out;
}

LogRank log_rank(const at::Tensor& time, const at::Tensor& event, const at::Tensor& group, double rho,
                 const std::optional<at::Tensor>& strata) {
  return log_rank(time, event, group, LogRankOptions{LogRankWeight::fleming_harrington, rho, 0}, strata);
}

}  // namespace vesalius::outcome
