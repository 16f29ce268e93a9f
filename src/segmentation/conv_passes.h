// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>

#include "segmentation/conv_kernel.h"

namespace vesalius::segmentation::detail {

/// Of a convolution `[samples, ic, in…] → [samples, oc, out…]` with weights `[oc, ic, kernel…]`; axes (z, y, x).
struct ConvShape {
  int64_t samples = 0, ic = 0, oc = 0;
  std::array<int64_t, 3> in{}, out{}, kernel{}, stride{}, padding{};
  bool winograd = true;  ///< allowed: it rounds sums of four inputs, which in bfloat16 shows
};

#ifdef VESALIUS_DIRECT_CONV
// T: float, or uint16_t that hold bfloat16; sums are float32. `bias` and `db` may be null. Results don't depend on the number
// of threads.

template <class T>
void conv_forward(const ConvShape& shape, const T* x, const float* weight, const float* bias, T* y);
/// Its transpose: with `bias` (of ic) a transposed convolution.
template <class T>
void conv_backward_data(const ConvShape& shape, const T* dy, const float* weight, const float* bias, T* dx);
template <class T>
void conv_backward_weight(const ConvShape& shape, const T* x, const T* dy, float* dw, float* db);
#endif

}  // namespace vesalius::segmentation::detail
