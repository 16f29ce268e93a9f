// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

namespace vesalius::segmentation {

struct NormActOptions {
  double eps = 1e-5;
  double slope = 1.0;  ///< of the leaky ReLU after the norm; 1: none, 0: ReLU
  int64_t groups = 0;  ///< 0: instance norm; else group norm
};

/// Instance or group norm over the spatial axes of `x` `[n, c, …]`, times `weight` plus `bias` (both may be undefined), then the
/// leaky ReLU. With gradients (once). On the CPU in float32 and bfloat16 a kernel of ours; elsewhere ATen.
/// @param in_place without gradients, `x` may be overwritten.
at::Tensor norm_act(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                    const NormActOptions& options, bool in_place = false);
/// The same with a PReLU of one slope, a parameter, in place of `options.slope`.
at::Tensor norm_prelu(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, const at::Tensor& slope,
                      const NormActOptions& options, bool in_place = false);

}  // namespace vesalius::segmentation
