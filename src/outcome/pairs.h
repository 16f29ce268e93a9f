// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <vector>

#include <vesalius/outcome/concordance.h>
#include <vesalius/outcome/detail/concordance_kernel.h>

namespace vesalius::outcome {

/// What pairs with their earlier event at each subject's time weigh; `out` stays empty if that is 1 for all. Returns why there
/// are no weights, or nothing.
std::string time_weights(const at::Tensor& time, const std::vector<char>& event, const std::vector<double>& weight,
                         const ConcordanceOptions& options, std::vector<double>& out);

/// @param survival [n, grid.size()], row-major
detail::PairCounts pair_counts_by_time(std::span<const double> time, std::span<const char> event,
                                       std::span<const double> weight, std::span<const double> time_weight,
                                       const double* survival, std::span<const double> grid);

}  // namespace vesalius::outcome
