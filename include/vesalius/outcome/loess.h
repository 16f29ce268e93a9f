// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <vesalius/core/export.h>

namespace vesalius::outcome {

/// Cleveland's locally weighted regression (1979, doi 10.1080/01621459.1979.10481038) of y on x, at the points `at`: the nearest ⌊span·n⌋
/// subjects, tricube weights, a polynomial of degree 0 to 2; each point by itself (R's surface = "direct"). O(span·n) a point.
/// @return float64 [m] like `at`; where fewer different x are near than the degree needs, of a lower degree
VESALIUS_API at::Tensor loess(const at::Tensor& x, const at::Tensor& y, const at::Tensor& at, double span = 0.75,
                              int64_t degree = 2);

}  // namespace vesalius::outcome
