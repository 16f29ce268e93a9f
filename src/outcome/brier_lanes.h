// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace vesalius::outcome {

/// Brier's score at eight times side by side: what its kernel reads. Arrays by place (subjects in order of time) but for the
/// last, which are by time.
struct BrierLanes {
  int64_t n = 0;
  const double *weight = nullptr, *inverse = nullptr;  ///< inverse: scale · w / G at the subject's event, 0 if censored
  const int64_t* position = nullptr;                   ///< of that G
  const char* is_case = nullptr;
  const uint32_t *fall = nullptr, *at_risk = nullptr;
  const double* risk = nullptr;  ///< [n, 8]
  long long upto[8] = {};        ///< places known by then
  double late_weight[8] = {};    ///< scale / G(t)
  double hit[8] = {}, miss[8] = {}, mean[8] = {}, null_mean[8] = {}, slope[8] = {};
};

struct BrierKernel {
  bool (*loads)(const BrierLanes&, double* load, double* null_load, double* sum, double* late, double* null_late);
  void (*moves)(int64_t falls, const double* per_fall, const double* per_risk, const double* load, double* own,
                double* gone);
  void (*influences)(const BrierLanes&, const double* own, const double* gone, const double* null_own,
                     const double* null_gone, const double* share, double* variance, double* scaled_variance,
                     double* total, double* null_total, double* keep);
};
const BrierKernel& brier_kernel();

}  // namespace vesalius::outcome
