// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

namespace vesalius::segmentation {

/// Instance norm over the spatial axes of `x` `[n, c, …]`, times `weight` plus `bias` (both may be undefined), then the leaky
/// ReLU of this slope (1: none). With gradients. In one pass over memory on the CPU.
at::Tensor norm_act(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, double eps, double slope);

}  // namespace vesalius::segmentation
