// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

#include <vesalius/image/resample.h>

/// A linear map along one axis of a tensor: each output is a weighted sum of `width` inputs. Interpolation on
/// parallel grids and Gaussian smoothing are three such passes.
namespace vesalius::image::detail {

struct Taps {
  int64_t width = 0;           ///< inputs an output
  std::vector<int64_t> index;  ///< [outputs × width]
  std::vector<double> weight;  ///< [outputs × width]
  int64_t outputs() const { return width ? static_cast<int64_t>(index.size()) / width : 0; }
};

/// Points of a line: `first + step · i` in units of the `n` input voxels' indices, clamped to 0..n-1. For `cubic` the
/// inputs are B-spline coefficients (see `prefilter`).
Taps interpolation_taps(int64_t n, int64_t outputs, double first, double step, Interpolation interpolation);

/// `tensor` (float or double; any type where each output is one input of weight 1) mapped along `dim`.
/// CUDA tensors and tensors that need a gradient go through ATen.
at::Tensor apply_taps(const at::Tensor& tensor, int64_t dim, const Taps& taps);

/// Cubic B-spline coefficients along `dim` (Unser 1999, box 2), mirrored about the end samples.
at::Tensor prefilter(const at::Tensor& tensor, int64_t dim);

/// float64 as it is, everything else real as float32. @throws TypeMismatch for complex numbers.
at::Tensor to_real(const at::Tensor& tensor);

/// Index reflected about 0 and n - 1.
inline int64_t mirrored(int64_t i, int64_t n) {
  if (n == 1) return 0;
  const int64_t period = 2 * n - 2;
  i = (i % period + period) % period;
  return i < n ? i : period - i;
}

/// Weights of a cubic B-spline at the samples floor(x) - 1 … floor(x) + 2, for t = x - floor(x).
inline void cubic_weights(double t, double* w) {
  const double u = 1.0 - t;
  w[0] = u * u * u / 6.0;
  w[1] = 2.0 / 3.0 - t * t * (2.0 - t) / 2.0;
  w[2] = 2.0 / 3.0 - u * u * (2.0 - u) / 2.0;
  w[3] = t * t * t / 6.0;
}

/// The same continuous index twice gives the same voxel, whatever the last bit says: within 1e-9 of a whole or a half
/// index counts as that; halves go up, as in ITK and scipy.
inline double snapped(double x) {
  const double doubled = std::round(2.0 * x);
  return std::abs(2.0 * x - doubled) < 2e-9 ? doubled / 2.0 : x;
}

}  // namespace vesalius::image::detail
