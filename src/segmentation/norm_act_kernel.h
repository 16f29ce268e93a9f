// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

/// Instance norm and leaky ReLU on rows of voxels: the arithmetic, torch-free. Two layouts: a plane (one channel's voxels in a row)
/// and channels last (each voxel's channels in a row). Moments are of blocks, combined in float64 (Chan et al. 1983), so that
/// memory is read once for them.
namespace vesalius::segmentation::detail {

#define VESALIUS_INLINE inline __attribute__((always_inline))

VESALIUS_INLINE float widened(float v) { return v; }
VESALIUS_INLINE float widened(uint16_t bf16) {
  const uint32_t bits = static_cast<uint32_t>(bf16) << 16;
  float out;
  std::memcpy(&out, &bits, 4);
  return out;
}
VESALIUS_INLINE void narrow(float v, float& out) { out = v; }
/// Round to nearest, ties to even; NaN stays one.
VESALIUS_INLINE void narrow(float v, uint16_t& out) {
  uint32_t bits;
  std::memcpy(&bits, &v, 4);
  const uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  out = static_cast<uint16_t>(v != v ? 0x7fc0 : rounded);
}

/// Of one channel of one sample.
struct Moments {
  double count = 0, mean = 0, squares = 0;  ///< squares: Σ (x − mean)²
  VESALIUS_INLINE void add(double n, double m, double s) {
    const double all = count + n, delta = m - mean;
    mean += delta * n / all;
    squares += s + delta * delta * count * n / all;
    count = all;
  }
};

constexpr int64_t kPlaneBlock = 2048, kVoxelBlock = 32;

template <class T>
VESALIUS_INLINE void plane_moments(const T* x, int64_t n, Moments& out) {
  for (int64_t begin = 0; begin < n; begin += kPlaneBlock) {
    const int64_t len = std::min(kPlaneBlock, n - begin);
    const T* p = x + begin;
    float sum = 0, squares = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < len; ++i) sum += widened(p[i]);
    const float mean = sum / static_cast<float>(len);
#pragma omp simd reduction(+ : squares)
    for (int64_t i = 0; i < len; ++i) squares += (widened(p[i]) - mean) * (widened(p[i]) - mean);
    out.add(static_cast<double>(len), mean, squares);
  }
}

template <class T>
VESALIUS_INLINE void plane_apply(const T* x, T* y, int64_t n, float scale, float shift, float slope) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const float v = widened(x[i]) * scale + shift;
    narrow(v > 0 ? v : v * slope, y[i]);
  }
}

/// What the backward pass needs of a channel: x̂ = (x − mean) · rstd, the pre-activation x · scale + shift.
struct ChannelGradient {
  float mean, rstd, scale, shift;
  float mean_g = 0, mean_gx = 0;  ///< of weight · g and weight · g · x̂ over what is normalised together
};

template <class T>
VESALIUS_INLINE void plane_gradient_sums(const T* x, const T* dy, int64_t n, const ChannelGradient& c, float slope,
                                         double& sum_g, double& sum_gx) {
  for (int64_t begin = 0; begin < n; begin += kPlaneBlock) {
    const int64_t len = std::min(kPlaneBlock, n - begin);
    float g_sum = 0, gx_sum = 0;
#pragma omp simd reduction(+ : g_sum, gx_sum)
    for (int64_t i = begin; i < begin + len; ++i) {
      const float v = widened(x[i]), d = widened(dy[i]);
      const float g = v * c.scale + c.shift > 0 ? d : d * slope;
      g_sum += g;
      gx_sum += g * (v - c.mean) * c.rstd;
    }
    sum_g += g_sum;
    sum_gx += gx_sum;
  }
}

/// Σ dy · v over pre-activations v that aren't positive: the gradient of the slope.
template <class T>
VESALIUS_INLINE double plane_slope_sum(const T* x, const T* dy, int64_t n, const ChannelGradient& c) {
  double all = 0;
  for (int64_t begin = 0; begin < n; begin += kPlaneBlock) {
    const int64_t end = std::min(begin + kPlaneBlock, n);
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = begin; i < end; ++i) {
      const float v = widened(x[i]) * c.scale + c.shift;
      sum += v > 0 ? 0.0f : v * widened(dy[i]);
    }
    all += sum;
  }
  return all;
}

template <class T>
VESALIUS_INLINE void plane_gradient(const T* x, const T* dy, T* dx, int64_t n, const ChannelGradient& c, float slope) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const float v = widened(x[i]), d = widened(dy[i]);
    const float g = v * c.scale + c.shift > 0 ? d : d * slope;
    narrow(c.scale * g - c.rstd * (c.mean_g + (v - c.mean) * c.rstd * c.mean_gx), dx[i]);
  }
}

// Channels last: `channels` numbers a voxel. `work` holds 2 · channels floats.

template <class T>
VESALIUS_INLINE void rows_moments(const T* x, int64_t voxels, int64_t channels, float* work, Moments* out) {
  float *sum = work, *squares = work + channels;
  for (int64_t begin = 0; begin < voxels; begin += kVoxelBlock) {
    const int64_t len = std::min(kVoxelBlock, voxels - begin);
    const T* block = x + begin * channels;
    std::fill(work, work + 2 * channels, 0.0f);
    for (int64_t v = 0; v < len; ++v) {
      const T* p = block + v * channels;
#pragma omp simd
      for (int64_t c = 0; c < channels; ++c) sum[c] += widened(p[c]);
    }
    const float inverse = 1.0f / static_cast<float>(len);
#pragma omp simd
    for (int64_t c = 0; c < channels; ++c) sum[c] *= inverse;
    for (int64_t v = 0; v < len; ++v) {
      const T* p = block + v * channels;
#pragma omp simd
      for (int64_t c = 0; c < channels; ++c) squares[c] += (widened(p[c]) - sum[c]) * (widened(p[c]) - sum[c]);
    }
    for (int64_t c = 0; c < channels; ++c) out[c].add(static_cast<double>(len), sum[c], squares[c]);
  }
}

template <class T>
VESALIUS_INLINE void rows_apply(const T* x, T* y, int64_t voxels, int64_t channels, const float* scale,
                                const float* shift, float slope) {
  for (int64_t v = 0; v < voxels; ++v) {
    const T* p = x + v * channels;
    T* q = y + v * channels;
#pragma omp simd
    for (int64_t c = 0; c < channels; ++c) {
      const float value = widened(p[c]) * scale[c] + shift[c];
      narrow(value > 0 ? value : value * slope, q[c]);
    }
  }
}

#undef VESALIUS_INLINE

}  // namespace vesalius::segmentation::detail
