// SPDX-License-Identifier: Apache-2.0
#include "outcome/cox_lanes.h"

#include <algorithm>
#include <cmath>

#include <ATen/ops/amax.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/exp.h>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define VESALIUS_LANES_X86
#endif

namespace vesalius::outcome {

namespace lanes {

using detail::TimeGroup;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpsabi"
namespace plain {
#include "outcome/lanes_kernel.h"
}
#ifdef VESALIUS_LANES_X86
#pragma GCC push_options
#pragma GCC target("avx2,fma")
namespace avx2 {
#include "outcome/lanes_kernel.h"
}
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx2,fma,avx512f,avx512dq,avx512vl")
namespace avx512 {
#include "outcome/lanes_kernel.h"
}
#pragma GCC pop_options
#endif
#pragma GCC diagnostic pop

struct Kernel {
  decltype(&plain::predict) predict;
  decltype(&plain::accumulate) accumulate;
  decltype(&plain::reach) reach;
  decltype(&plain::residuals) residuals;
  decltype(&plain::exponentiate) exponentiate;
  decltype(&plain::log_of_products) log_of_products;
};

const Kernel& kernel() {
  static const Kernel chosen = [] {
#ifdef VESALIUS_LANES_X86
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
      return Kernel{avx512::predict,   avx512::accumulate,   avx512::reach,
                    avx512::residuals, avx512::exponentiate, avx512::log_of_products};
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
      return Kernel{avx2::predict,   avx2::accumulate,   avx2::reach,
                    avx2::residuals, avx2::exponentiate, avx2::log_of_products};
#endif
    return Kernel{plain::predict,   plain::accumulate,   plain::reach,
                  plain::residuals, plain::exponentiate, plain::log_of_products};
  }();
  return chosen;
}

}  // namespace lanes

namespace {

constexpr int64_t kRowsAtOnce = 64;         // stay in the cache while several sets of lanes pass over them
constexpr int64_t kBeyondCache = 24 << 20;  // bytes of columns from which a pass costs more than what is done in it
constexpr double kFar = 500;                // exp of linear predictors up to here is as good as shifted ones

}  // namespace

CoxLanes::CoxLanes(CoxProblem& problem, std::vector<double> slope)
    : problem_(problem), n_(problem.columns.x.size(0)), p_(problem.columns.x.size(1)), slope_(std::move(slope)) {
  width_ = n_ * p_ * 8 > kBeyondCache ? 2 * kWidth : kWidth;
  const int64_t sets = width_ / kWidth;
  const auto& likelihood = problem_.partial();
  for (const auto& g : problem_.order.groups)
    likelihood.for_terms(g, [&](double, double weight) { term_weight_.push_back(weight); });
  terms_ = static_cast<int64_t>(term_weight_.size());
  for (int64_t t = 0; t < terms_; ++t)
    if (term_weight_[t] != 1) odd_.push_back(t);
  eta_ = at::empty({sets, n_, kWidth}, at::kDouble);  // tensors are aligned to a cache line, as eight lanes want it
  b_ = at::empty({sets, p_, kWidth}, at::kDouble);
  g_ = at::empty({sets, p_, kWidth}, at::kDouble);
  sums_ = at::empty({sets, terms_, kWidth}, at::kDouble);
  hazard_ = at::empty({2, static_cast<int64_t>(problem_.order.groups.size()), kWidth}, at::kDouble);
}

void CoxLanes::gradients(const std::vector<const std::vector<double>*>& b, const std::vector<std::vector<double>*>& g) {
  const auto& run = lanes::kernel();
  const double* x = problem_.columns.x.const_data_ptr<double>();
  const double* offset = problem_.offset.empty() ? nullptr : problem_.offset.data();
  used_ = static_cast<int64_t>(b.size());
  const int64_t sets = (used_ + kWidth - 1) / kWidth;
  support_.clear();
  for (int64_t j = 0; j < p_; ++j)
    if (std::any_of(b.begin(), b.end(), [j](const auto* v) { return (*v)[j] != 0; })) support_.push_back(j);
  const int64_t m = static_cast<int64_t>(support_.size());
  double *b_of = b_.data_ptr<double>(), *g_of = g_.data_ptr<double>();
  std::fill_n(b_of, sets * m * kWidth, 0.0);
  linear_.assign(b.size(), 0.0);
  for (int64_t k = 0; k < used_; ++k)
    for (int64_t s = 0; s < m; ++s) {
      const double value = (*b[k])[support_[s]];
      b_of[((k / kWidth) * m + s) * kWidth + k % kWidth] = value;
      linear_[k] += slope_[support_[s]] * value;
    }
  if (offset)
    for (double& v : linear_)
      for (int64_t i = 0; i < n_; ++i) v += problem_.observed[i] * offset[i];
  double* eta = eta_.data_ptr<double>();
  for (int64_t i = 0; i < n_; i += kRowsAtOnce) {
    const int64_t rows = std::min(kRowsAtOnce, n_ - i);
    for (int64_t s = 0; s < sets; ++s)
      run.predict(x + i * p_, rows, p_, support_.data(), m, b_of + s * m * kWidth, offset ? offset + i : nullptr,
                  eta + (s * n_ + i) * kWidth);
  }
  shift_.assign(static_cast<size_t>(sets * kWidth), 0.0);
  fallback_.clear();
  for (int64_t s = 0; s < sets; ++s) {
    auto part = eta_.select(0, s);
    const double largest = run.reach(eta + s * n_ * kWidth, n_);
    if (largest > kFar) {
      const auto top = part.amax({0}, true);
      std::copy_n(top.const_data_ptr<double>(), kWidth, shift_.data() + s * kWidth);
      part.sub_(top);
    }
    if (largest <= kFar)
      run.exponentiate(eta + s * n_ * kWidth, n_);
    else
      part.exp_();
    if (problem_.order.leave.empty())
      run.residuals(problem_.order.groups.data(), static_cast<int64_t>(problem_.order.groups.size()),
                    problem_.weights.data(), problem_.observed.data(), problem_.total, problem_.partial().efron(),
                    eta + s * n_ * kWidth, sums_.data_ptr<double>() + s * terms_ * kWidth, hazard_.data_ptr<double>());
    else
      one_by_one(eta + s * n_ * kWidth, std::min(kWidth, used_ - s * kWidth));
  }
  std::fill_n(g_of, sets * p_ * kWidth, 0.0);
  for (int64_t i = 0; i < n_; i += kRowsAtOnce) {
    const int64_t rows = std::min(kRowsAtOnce, n_ - i);
    for (int64_t s = 0; s < sets; ++s)
      run.accumulate(x + i * p_, rows, p_, eta + (s * n_ + i) * kWidth, g_of + s * p_ * kWidth);
  }
  for (int64_t k = 0; k < used_; ++k)
    for (int64_t j = 0; j < p_; ++j) (*g[k])[j] = g_of[((k / kWidth) * p_ + j) * kWidth + k % kWidth];
}

/// With left truncation subjects leave the risk sets again: the walk of the likelihood itself, lane after lane.
void CoxLanes::one_by_one(double* risk, int64_t count) {
  auto& likelihood = static_cast<detail::PartialLikelihood&>(*problem_.likelihood);
  std::vector<double> lane(static_cast<size_t>(n_)), expected;
  for (int64_t l = 0; l < count; ++l) {
    for (int64_t i = 0; i < n_; ++i) lane[i] = risk[i * kWidth + l];
    likelihood.set_relative_risks(lane.data());
    likelihood.expected(expected);
    fallback_.push_back(likelihood.log_risk_sum());
    for (int64_t i = 0; i < n_; ++i) risk[i * kWidth + l] = (expected[i] - problem_.observed[i]) / problem_.total;
  }
}

std::vector<double> CoxLanes::log_likelihoods() {
  std::vector<double> out(linear_), sums(kWidth);
  double events = 0;
  for (double w : term_weight_) events += w;
  for (int64_t k = 0; k < used_; ++k) {
    const int64_t set = k / kWidth;
    if (!fallback_.empty()) {
      out[k] -= fallback_[k] + events * shift_[k];
      continue;
    }
    if (k % kWidth == 0) {
      const double* denominators = sums_.const_data_ptr<double>() + set * terms_ * kWidth;
      lanes::kernel().log_of_products(denominators, terms_, sums.data());
      for (int64_t t : odd_)
        for (int64_t l = 0; l < kWidth; ++l) sums[l] += (term_weight_[t] - 1) * std::log(denominators[t * kWidth + l]);
    }
    out[k] -= sums[k % kWidth] + events * shift_[k];
  }
  return out;
}

}  // namespace vesalius::outcome
