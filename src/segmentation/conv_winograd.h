// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "segmentation/conv_tiles.h"

#ifdef VESALIUS_DIRECT_CONV
namespace vesalius::segmentation::detail {

/// Kernels of three voxels along z and y, stride 1, enough channels: F(2, 3) along both axes does with 48 products for each
/// pair of channels where 108 are needed (Lavin and Gray 2016).
template <class T>
bool winograd_serves(const Axes& axes, int64_t in_channels, int64_t out_channels);
/// As `convolve_grid`.
template <class T>
void convolve_winograd(const Axes& axes, const std::array<int64_t, 3>& kernel, int64_t samples, const T* x,
                       int64_t in_channels, const float* weight, int64_t out_step, int64_t in_step,
                       int64_t out_channels, const float* bias, T* y);
template <class T>
void weight_gradient_winograd(const ConvShape& shape, const Axes& axes, const T* x, const T* dy, float* dw, float* db);

}  // namespace vesalius::segmentation::detail
#endif
