// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <span>
#include <vector>

#include <ATen/core/Tensor.h>

/// Who is at risk when: what every curve and test without a model counts.
namespace vesalius::outcome {

/// Subjects under observation in (entry, time], in groups, each leaving by a kind: 0 censored, 1 … causes.
struct RiskInput {
  std::vector<double> time, weight, entry;  ///< entry is empty where all are observed from the start
  std::vector<int64_t> kind, group;         ///< group is empty where there is one
  int64_t kinds = 2, groups = 1;
  size_t size() const { return time.size(); }
};

/// Weighted counts at each time observed, ascending.
struct RiskTable {
  int64_t rows = 0, groups = 1, kinds = 2;
  std::vector<double> time;     ///< [rows]
  std::vector<double> at_risk;  ///< [rows, groups]
  std::vector<double> count;    ///< [rows, groups, kinds]
  std::vector<char> empties;  ///< [rows, groups]: all at risk have an event now (told by heads, not by rounded weights)

  double risk(int64_t row, int64_t group) const { return at_risk[row * groups + group]; }
  double left(int64_t row, int64_t group, int64_t kind) const { return count[(row * groups + group) * kinds + kind]; }
  /// Events of any cause.
  double events(int64_t row, int64_t group) const {
    double sum = 0;
    for (int64_t k = 1; k < kinds; ++k) sum += left(row, group, k);
    return sum;
  }
};

/// One sort; sums from the last time backwards, so that small risk sets are exact.
RiskTable risk_table(const RiskInput& in);
/// The same over some of the subjects.
RiskTable risk_table(const RiskInput& in, const std::vector<int64_t>& members);

/// Checks: time ≥ 0 and finite, entry < time, weights ≥ 0; kinds are given as they are. Weight 0 leaves a subject out.
RiskInput risk_input(const at::Tensor& time, std::vector<int64_t> kind, const std::optional<at::Tensor>& weights,
                     const std::optional<at::Tensor>& entry);
/// `event` of 0 and 1 as kinds.
std::vector<int64_t> event_kinds(const at::Tensor& event, int64_t n);
/// Whole numbers as 0 … m − 1; `names` gets what they were, ascending.
std::vector<int64_t> label_codes(const at::Tensor& labels, int64_t n, const std::string& what,
                                 std::vector<int64_t>& names);

/// z with P(|Z| ≤ z) = confidence. @throws InvalidArgument unless confidence lies in (0, 1)
double two_sided_normal(double confidence);
/// P(χ² > x).
double chi_squared_tail(double x, int64_t degrees_of_freedom);
/// uᵀ V⁻¹ u over the coordinates kept; −1 where V is singular.
double quadratic_form(const std::vector<double>& u, const std::vector<double>& v, const std::vector<int64_t>& kept);

}  // namespace vesalius::outcome
