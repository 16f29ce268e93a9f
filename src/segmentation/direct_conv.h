// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include <ATen/core/Tensor.h>

/// Convolutions of two and three axes on the CPU in PyTorch's own layout, with gradients (once). oneDNN, as PyTorch calls it,
/// reorders every input, output and gradient, and leaves registers empty where channels are few; docs/segmentation-networks.md.
namespace vesalius::segmentation {

struct DirectConvOptions {
  std::vector<int64_t> stride, padding, output_padding;
  bool transposed = false;
};

/// Whether this processor has kernels of ours for a type: AVX-512; bfloat16: its own instructions and no AMX, where oneDNN is
/// the better.
bool direct_conv_available(at::ScalarType type);
/// Whether they serve here: on the CPU, rows that are long enough, no groups.
bool direct_conv_serves(const at::Tensor& x, const at::Tensor& weight, int64_t groups,
                        const DirectConvOptions& options);
/// As at::conv3d, conv_transpose3d and the 2D ones. Under autocast on the CPU `x` is cast, and weights, which are rounded as
/// they are packed, get float32 gradients.
at::Tensor direct_conv(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                       const DirectConvOptions& options);

}  // namespace vesalius::segmentation
