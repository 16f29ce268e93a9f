// SPDX-License-Identifier: Apache-2.0
#include "segmentation/norm_act.h"

#include <ATen/ops/instance_norm.h>
#include <ATen/ops/leaky_relu.h>
#include <ATen/ops/relu.h>

namespace vesalius::segmentation {

at::Tensor norm_act(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, double eps, double slope) {
  const at::Tensor y = at::instance_norm(x, weight, bias, {}, {}, true, 0.1, eps, true);
  if (slope == 1.0) return y;
  return slope == 0.0 ? at::relu(y) : at::leaky_relu(y, slope);
}

}  // namespace vesalius::segmentation
