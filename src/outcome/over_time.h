// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <vesalius/outcome/dynamic_auc.h>

#include "outcome/censoring.h"

namespace vesalius::outcome {

/// What every measure at times with censoring starts from. By place: subjects in order of time.
struct OverTime {
  detail::Cohort cohort;
  Censoring censoring;
  std::vector<double> times;
  std::vector<double> inverse;    ///< w / G at the subject's event; 0 if censored, infinite where G is 0
  std::vector<int64_t> position;  ///< of that G
  detail::CurveInfluence moves;   ///< of censoring's curve, where `censoring.own`
  int64_t members = 0;            ///< subjects of weight > 0
};

OverTime over_time(const at::Tensor& time, const at::Tensor& status, const at::Tensor& times,
                   const TimeOptions& options, const std::optional<at::Tensor>& weights);

/// "" if every subject's weight at t exists.
std::string undefined_at(const OverTime& data, double t);

/// Adds what the estimation of G does to Σ terms, terms being r_i by place with the position of their G in `load`.
void add_censoring_influence(const OverTime& data, const std::vector<double>& load, std::span<double> out);

/// Weights of scores at times so that their sum is the integral over those `defined`; all 0 if there is none.
std::vector<double> trapezoid_weights(const std::vector<double>& times, const std::vector<char>& defined);
std::vector<double> step_weights(const std::vector<double>& times, const std::vector<char>& defined);

/// Times by blocks: `row(k, influence)` in parallel, each on a row of its own; then `use(k, influence)` one after another.
void for_each_time(int64_t count, int64_t n, const std::function<void(int64_t, std::span<double>)>& row,
                   const std::function<void(int64_t, std::span<const double>)>& use);

}  // namespace vesalius::outcome
