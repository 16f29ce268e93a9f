// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

namespace vesalius::segmentation {

/// Instance norm over the spatial axes of `x` `[n, c, …]`, times `weight` plus `bias` (both may be undefined), then the leaky
/// ReLU of this slope (1: none). With gradients (once). On the CPU in float32 and bfloat16 a kernel of ours; elsewhere ATen.
/// @param in_place without gradients, `x` may be overwritten.
at::Tensor norm_act(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, double eps, double slope,
                    bool in_place = false);

}  // namespace vesalius::segmentation
