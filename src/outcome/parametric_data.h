// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <vector>

#include <ATen/core/Tensor.h>

#include <vesalius/outcome/parametric.h>

#include "outcome/common.h"

namespace vesalius::outcome {

enum class TimeKind : char { none, right, left, interval };

/// Times as the parametric likelihood takes them: in logarithms less `shift`, or over `unit` for Gompertz.
struct TimeData {
  std::vector<TimeKind> kind;
  std::vector<double> low, high, entry;  ///< internal; high is low for an event; entry is empty where none is
  std::vector<double> log_time;          ///< internal log t, for densities
  std::vector<double> weight;
  std::vector<char> has_entry;
  std::vector<int64_t> stratum;
  int64_t strata = 1;
  double shift = 0, unit = 1;
  double log_unit = 0;     ///< Σ w log(unit) over events seen: what densities of internal times are too large by
  double informative = 0;  ///< Σ w of those not censored on the right
  int64_t size() const { return static_cast<int64_t>(kind.size()); }
  bool truncated(int64_t i) const { return !has_entry.empty() && has_entry[i]; }
  int64_t stratum_of(int64_t i) const { return stratum.empty() ? 0 : stratum[i]; }
  /// A log time near the event, for a start.
  double typical(int64_t i) const {
    if (kind[i] == TimeKind::left) return high[i];
    return kind[i] == TimeKind::interval ? 0.5 * (low[i] + high[i]) : low[i];
  }
};

TimeData time_data(const at::Tensor& lower, const at::Tensor& upper, const std::optional<at::Tensor>& weights,
                   const std::optional<at::Tensor>& entry, const std::optional<at::Tensor>& strata, bool linear);

/// Boundary and inner knots in log t. @throws InvalidArgument too few different times
std::vector<double> spline_knots(const TimeData& data, const ParametricOptions& options);

/// @throws InvalidArgument naming a column that depends on those before it
void check_independent(const Standardised& columns, const std::vector<double>& weights, const FitOptions& options);

}  // namespace vesalius::outcome
