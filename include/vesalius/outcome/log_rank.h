// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include <ATen/core/Tensor.h>

#include <vesalius/core/export.h>

/// Tests that groups survive alike.
namespace vesalius::outcome {

/// What an event time counts, n at risk, S of all groups together just before:
///   fleming_harrington  S^rho (1 − S)^gamma; rho = gamma = 0 is the log-rank test (Fleming, Harrington 1991)
///   gehan               n (Gehan 1965, the generalised Wilcoxon)
///   tarone_ware         √n (Tarone, Ware 1977)
///   peto                S (Peto, Peto 1972; R's survdiff(rho=1))
///   modified_peto       S̃ = Π (1 − d/(n + 1)) up to and with the time (Andersen 1982; lifelines calls this "peto")
enum class LogRankWeight { fleming_harrington, gehan, tarone_ware, peto, modified_peto };

struct LogRankOptions {
  LogRankWeight weight = LogRankWeight::fleming_harrington;
  double rho = 0, gamma = 0;
};

struct LogRank {
  double chi_squared = 0, p = 0;
  int64_t degrees_of_freedom = 0;
  at::Tensor groups;              ///< int64 [k], ascending
  at::Tensor observed, expected;  ///< float64 [k], weighted as the test is
  at::Tensor covariance;          ///< float64 [k, k], of observed − expected
};

/// @param group [n] of whole numbers  @param strata [n] of whole numbers: sums are within them  @param weights [n] count subjects
/// @param entry [n] < time: left truncation
/// @throws InvalidArgument fewer than two groups; no event while two groups were at risk
VESALIUS_API LogRank log_rank(const at::Tensor& time, const at::Tensor& event, const at::Tensor& group,
                              const LogRankOptions& options, const std::optional<at::Tensor>& strata = std::nullopt,
                              const std::optional<at::Tensor>& weights = std::nullopt,
                              const std::optional<at::Tensor>& entry = std::nullopt);

/// The test with weights S(t−)^rho (Harrington, Fleming 1982, doi 10.1093/biomet/69.3.553).
VESALIUS_API LogRank log_rank(const at::Tensor& time, const at::Tensor& event, const at::Tensor& group, double rho = 0,
                              const std::optional<at::Tensor>& strata = std::nullopt);

}  // namespace vesalius::outcome
