// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include <vesalius/core/error.h>
#include <vesalius/outcome/competing.h>

#include "outcome/common.h"
#include "outcome/competing_events.h"
#include "outcome/risk_table.h"

namespace vesalius::outcome {

namespace {

/// Gray's score and its variance over one stratum. In his notation, for group k: Ŝ_k free of every cause, F̂_k of the cause of
/// interest, R_k = n_k (1 − F̂_k(t−))/Ŝ_k(t−) at risk for it, and h_k = n_k / Ŝ_k(t−). The score of group i is
/// Σ w (d_i − d R_i / ΣR); its variance comes from writing it as a sum over every group's two counting processes, with
/// c_ik(t) = ∫₀^t a_ik dΛ, a_ik = w h_i (1{i = k} − h_k / Σh), each term (a_ik − q c_ik(t) + q c_ik(∞))².
class GrayStratum {
 public:
  GrayStratum(int64_t groups, double rho)
      : g_(groups),
        rho_(rho),
        before_(groups, 1.0),
        after_(groups, 1.0),
        f_before_(groups, 0.0),
        f_(groups, 0.0),
        a_(groups * groups, 0.0),
        c_(groups * groups, 0.0),
        cross_(groups * groups, 0.0),
        square_(groups, 0.0) {}

  void run(const RiskTable& table, int64_t cause, std::vector<double>& score, std::vector<double>& variance) {
    for (int64_t row = 0; row < table.rows; ++row) {
      double own = 0, any = 0;
      for (int64_t k = 0; k < g_; ++k) own += table.left(row, k, cause), any += table.events(row, k);
      if (any > 0) step(table, row, cause, own, score, variance);
    }
    // what depends on c at the end of follow-up
    for (int64_t i = 0; i < g_; ++i)
      for (int64_t j = 0; j < g_; ++j)
        for (int64_t k = 0; k < g_; ++k)
          variance[i * g_ + j] += c_[i * g_ + k] * c_[j * g_ + k] * square_[k] + c_[i * g_ + k] * cross_[j * g_ + k] +
                                  c_[j * g_ + k] * cross_[i * g_ + k];
  }

 private:
  void step(const RiskTable& table, int64_t row, int64_t cause, double own, std::vector<double>& score,
            std::vector<double>& variance) {
    double h = 0, r = 0;
    for (int64_t k = 0; k < g_; ++k) {
      const double n = table.risk(row, k);
      if (!(n > 0)) continue;
      after_[k] = table.empties[row * g_ + k] ? 0.0 : before_[k] * (1 - table.events(row, k) / n);
      f_[k] = f_before_[k] + before_[k] * table.left(row, k, cause) / n;
      h += n / before_[k];
      r += n * (1 - f_before_[k]) / before_[k];
    }
    const double pooled = pooled_ + own / h, weight = std::pow(1 - pooled_, rho_);
    std::fill(a_.begin(), a_.end(), 0.0);
    for (int64_t i = 0; i < g_; ++i) {
      const double n = table.risk(row, i);
      if (!(n > 0)) continue;
      const double hi = n / before_[i];
      for (int64_t k = 0; k < g_; ++k) {
        if (!(table.risk(row, k) > 0)) continue;
        a_[i * g_ + k] = weight * hi * ((i == k) - table.risk(row, k) / before_[k] / h);
        c_[i * g_ + k] += a_[i * g_ + k] * own / (h * (1 - pooled_));
      }
      score[i] += weight * (table.left(row, i, cause) - own * n * (1 - f_before_[i]) / before_[i] / r);
    }
    for (int64_t k = 0; k < g_; ++k) {
      const double n = table.risk(row, k), s = before_[k];
      if (!(n > 0)) continue;
      if (own > 0) {
        const double q = after_[k] > 0 ? 1 - (1 - pooled) / after_[k] : 1;
        const double tied = own > 1 ? 1 - (own - 1) / (h * s - 1) : 1;
        add(k, 1.0, q, tied * s * own / (h * n), variance);
      }
      const double other = table.events(row, k) - table.left(row, k, cause);
      if (other > 0 && after_[k] > 0) {
        const double tied = other > 1 ? 1 - (other - 1) / (n - 1) : 1;
        add(k, 0.0, -(1 - pooled) / after_[k], tied * s * s * other / (n * n), variance);
      }
    }
    pooled_ = pooled;
    before_ = after_;
    f_before_ = f_;
  }

  /// Adds term · (own·a_ik − q c_ik(t) + q c_ik(∞))², the last part kept until c_ik(∞) is known.
  void add(int64_t k, double own, double q, double term, std::vector<double>& variance) {
    square_[k] += q * q * term;
    for (int64_t i = 0; i < g_; ++i) {
      const double left = own * a_[i * g_ + k] - q * c_[i * g_ + k];
      cross_[i * g_ + k] += left * q * term;
      for (int64_t j = 0; j < g_; ++j)
        variance[i * g_ + j] += left * (own * a_[j * g_ + k] - q * c_[j * g_ + k]) * term;
    }
  }

  int64_t g_;
  double rho_, pooled_ = 0;
  std::vector<double> before_, after_, f_before_, f_;  // each group's Ŝ(t−), Ŝ(t), F̂(t−), F̂(t)
  std::vector<double> a_, c_, cross_, square_;
};

}  // namespace

GrayTest gray_test(const at::Tensor& time, const at::Tensor& cause, const at::Tensor& group, int64_t cause_of_interest,
                   double rho, const std::optional<at::Tensor>& strata_in, const std::optional<at::Tensor>& weights) {
  int64_t causes = cause_of_interest;
  const auto checked = checked_vector(cause, -1, "event");
  for (double c : span_of(checked)) causes = std::max(causes, static_cast<int64_t>(std::ceil(c)));
  auto in = risk_input(time, competing_kinds(cause, causes), weights, std::nullopt);
  const int64_t n = static_cast<int64_t>(in.size());
  in.kinds = causes + 1;
  if (cause_of_interest < 1) throw InvalidArgument("cause_of_interest must be 1 or more; 0 is censored");
  std::vector<int64_t> names, levels;
  in.group = label_codes(group, n, "group", names);
  const int64_t k = in.groups = static_cast<int64_t>(names.size());
  if (k < 2)
    throw InvalidArgument("Gray's test compares groups and needs at least 2; group holds " + std::to_string(k));
  std::vector<std::vector<int64_t>> members(1);
  if (strata_in) {
    const auto strata = label_codes(*strata_in, n, "strata", levels);
    members.resize(levels.size());
    for (int64_t i = 0; i < n; ++i) members[strata[i]].push_back(i);
  } else {
    for (int64_t i = 0; i < n; ++i) members[0].push_back(i);
  }
  std::vector<double> score(k, 0.0), variance(static_cast<size_t>(k * k), 0.0);
  for (const auto& rows : members) GrayStratum(k, rho).run(risk_table(in, rows), cause_of_interest, score, variance);
  std::vector<int64_t> kept;
  for (int64_t i = 0; i + 1 < k; ++i) kept.push_back(i);
  GrayTest out;
  out.chi_squared = quadratic_form(score, variance, kept);
  if (!(out.chi_squared >= 0) || !(variance[0] > 0))
    throw InvalidArgument("no event of cause " + std::to_string(cause_of_interest) +
                          " happened while two groups were at risk: there is nothing to compare");
  out.degrees_of_freedom = k - 1;
  out.p = chi_squared_tail(out.chi_squared, k - 1);
  out.groups = tensor_of(std::vector<double>(names.begin(), names.end())).to(at::kLong);
  std::vector<double> inner;
  for (int64_t i : kept)
    for (int64_t j : kept) inner.push_back(variance[i * k + j]);
  out.score = tensor_of(std::vector<double>(score.begin(), score.end() - 1));
  out.covariance = tensor_of(inner, k - 1, k - 1);
  return out;
}

}  // namespace vesalius::outcome
