// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define VESALIUS_DIRECT_CONV 1
#include <immintrin.h>
#endif

/// The two products that a convolution and its gradients are made of, on packed rows; AVX-512, torch-free. A vector is 16
/// neighbouring voxels, so that few channels cost nothing extra and no layout but PyTorch's own is needed.
#ifdef VESALIUS_DIRECT_CONV
namespace vesalius::segmentation::detail {

/// Output channels together, and what 32 registers leave for vectors of voxels (or columns of the weights' gradient).
constexpr int kConvChannels = 8, kConvVectors = 3;

#define VESALIUS_AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,fma")))
#define VESALIUS_AVX512_BF16 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,fma,avx512bf16")))

/// out[o][v] += Σ_c Σ_t w[c][t][o] · x[c][offset[t] + v]. Channels lie `stride` apart.
template <int O, int V>
VESALIUS_AVX512 void conv_rows(const float* x, int64_t channels, int64_t stride, const int32_t* offset, int64_t taps,
                               const float* w, float* out, int64_t out_stride) {
  __m512 sum[O][V];
#pragma GCC unroll 8
  for (int o = 0; o < O; ++o)
#pragma GCC unroll 3
    for (int v = 0; v < V; ++v) sum[o][v] = _mm512_loadu_ps(out + o * out_stride + 16 * v);
  for (int64_t c = 0; c < channels; ++c, x += stride)
    for (int64_t t = 0; t < taps; ++t, w += O) {
      const float* p = x + offset[t];
      __m512 in[V];
#pragma GCC unroll 3
      for (int v = 0; v < V; ++v) in[v] = _mm512_loadu_ps(p + 16 * v);
#pragma GCC unroll 8
      for (int o = 0; o < O; ++o) {
        const __m512 weight = _mm512_set1_ps(w[o]);
#pragma GCC unroll 3
        for (int v = 0; v < V; ++v) sum[o][v] = _mm512_fmadd_ps(weight, in[v], sum[o][v]);
      }
    }
#pragma GCC unroll 8
  for (int o = 0; o < O; ++o)
#pragma GCC unroll 3
    for (int v = 0; v < V; ++v) _mm512_storeu_ps(out + o * out_stride + 16 * v, sum[o][v]);
}

/// The same on pairs of bfloat16 channels, float32 sums: `x` and `w` hold two channels a word.
template <int O, int V>
VESALIUS_AVX512_BF16 void conv_rows(const uint32_t* x, int64_t channels, int64_t stride, const int32_t* offset,
                                    int64_t taps, const uint32_t* w, float* out, int64_t out_stride) {
  __m512 sum[O][V];
#pragma GCC unroll 8
  for (int o = 0; o < O; ++o)
#pragma GCC unroll 3
    for (int v = 0; v < V; ++v) sum[o][v] = _mm512_loadu_ps(out + o * out_stride + 16 * v);
  for (int64_t c = 0; c < channels; ++c, x += stride)
    for (int64_t t = 0; t < taps; ++t, w += O) {
      const uint32_t* p = x + offset[t];
      __m512i in[V];
#pragma GCC unroll 3
      for (int v = 0; v < V; ++v) in[v] = _mm512_loadu_si512(p + 16 * v);
#pragma GCC unroll 8
      for (int o = 0; o < O; ++o) {
        const __m512i weight = _mm512_set1_epi32(static_cast<int>(w[o]));
#pragma GCC unroll 3
        for (int v = 0; v < V; ++v)
          sum[o][v] =
              _mm512_dpbf16_ps(sum[o][v], reinterpret_cast<__m512bh>(in[v]), reinterpret_cast<__m512bh>(weight));
      }
    }
#pragma GCC unroll 8
  for (int o = 0; o < O; ++o)
#pragma GCC unroll 3
    for (int v = 0; v < V; ++v) _mm512_storeu_ps(out + o * out_stride + 16 * v, sum[o][v]);
}

/// sum[o][c] (16 partial sums each) += Σ_v dy[o][v] · x[c][v] over `vectors` of 16 voxels.
template <int O, int C>
VESALIUS_AVX512 void correlate_rows(const float* dy, int64_t stride, const float* const* x, int64_t vectors,
                                    float* sums) {
  __m512 sum[O][C];
#pragma GCC unroll 8
  for (int o = 0; o < O; ++o)
#pragma GCC unroll 3
    for (int c = 0; c < C; ++c) sum[o][c] = _mm512_loadu_ps(sums + 16 * (o * C + c));
  const float* p[C];
  for (int c = 0; c < C; ++c) p[c] = x[c];
  for (int64_t v = 0; v < vectors; ++v) {
    __m512 in[C];
#pragma GCC unroll 3
    for (int c = 0; c < C; ++c) in[c] = _mm512_loadu_ps(p[c] + 16 * v);
#pragma GCC unroll 8
    for (int o = 0; o < O; ++o) {
      __m512 d = _mm512_loadu_ps(dy + o * stride + 16 * v);
      asm("" : "+v"(d));  // else the compiler loads it once for each product
#pragma GCC unroll 3
      for (int c = 0; c < C; ++c) sum[o][c] = _mm512_fmadd_ps(d, in[c], sum[o][c]);
    }
  }
#pragma GCC unroll 8
  for (int o = 0; o < O; ++o)
#pragma GCC unroll 3
    for (int c = 0; c < C; ++c) _mm512_storeu_ps(sums + 16 * (o * C + c), sum[o][c]);
}

/// The same on bfloat16: 32 voxels a vector.
template <int O, int C>
VESALIUS_AVX512_BF16 void correlate_rows(const uint16_t* dy, int64_t stride, const uint16_t* const* x, int64_t vectors,
                                         float* sums) {
  __m512 sum[O][C];
#pragma GCC unroll 8
  for (int o = 0; o < O; ++o)
#pragma GCC unroll 3
    for (int c = 0; c < C; ++c) sum[o][c] = _mm512_loadu_ps(sums + 16 * (o * C + c));
  const uint16_t* p[C];
  for (int c = 0; c < C; ++c) p[c] = x[c];
  for (int64_t v = 0; v < vectors; ++v) {
    __m512i in[C];
#pragma GCC unroll 3
    for (int c = 0; c < C; ++c) in[c] = _mm512_loadu_si512(p[c] + 32 * v);
#pragma GCC unroll 8
    for (int o = 0; o < O; ++o) {
      __m512i d = _mm512_loadu_si512(dy + o * stride + 32 * v);
      asm("" : "+v"(d));
#pragma GCC unroll 3
      for (int c = 0; c < C; ++c)
        sum[o][c] = _mm512_dpbf16_ps(sum[o][c], reinterpret_cast<__m512bh>(d), reinterpret_cast<__m512bh>(in[c]));
    }
  }
#pragma GCC unroll 8
  for (int o = 0; o < O; ++o)
#pragma GCC unroll 3
    for (int c = 0; c < C; ++c) _mm512_storeu_ps(sums + 16 * (o * C + c), sum[o][c]);
}

VESALIUS_AVX512 inline float as_float32(float v) { return v; }
VESALIUS_AVX512 inline float as_float32(uint16_t bfloat16) {
  const uint32_t bits = static_cast<uint32_t>(bfloat16) << 16;
  float out;
  std::memcpy(&out, &bits, 4);
  return out;
}

/// sums[c][t][v] (16 output channels each) += Σ_s x[c][s · step + t] · dy[s][v]: the weights' gradient with the gradient's
/// channels beside each other. Words: a voxel, or in bfloat16 two neighbouring ones. C · 3 · V registers of sums.
template <int C, int V>
VESALIUS_AVX512 void correlate_words(const float* x, int64_t stride, const float* dy, int64_t steps, float* sums) {
  __m512 sum[C * 3][V];
#pragma GCC unroll 24
  for (int i = 0; i < C * 3; ++i)
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) sum[i][v] = _mm512_loadu_ps(sums + 16 * (i * V + v));
  for (int64_t s = 0; s < steps; ++s, ++x, dy += 16 * V) {
    __m512 d[V];
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) d[v] = _mm512_loadu_ps(dy + 16 * v);
#pragma GCC unroll 8
    for (int c = 0; c < C; ++c)
#pragma GCC unroll 3
      for (int t = 0; t < 3; ++t) {
        const __m512 in = _mm512_set1_ps(x[c * stride + t]);
#pragma GCC unroll 2
        for (int v = 0; v < V; ++v) sum[c * 3 + t][v] = _mm512_fmadd_ps(in, d[v], sum[c * 3 + t][v]);
      }
  }
#pragma GCC unroll 24
  for (int i = 0; i < C * 3; ++i)
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) _mm512_storeu_ps(sums + 16 * (i * V + v), sum[i][v]);
}

template <int C, int V>
VESALIUS_AVX512_BF16 void correlate_words(const uint16_t* x, int64_t stride, const uint32_t* dy, int64_t steps,
                                          float* sums) {
  __m512 sum[C * 3][V];
#pragma GCC unroll 24
  for (int i = 0; i < C * 3; ++i)
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) sum[i][v] = _mm512_loadu_ps(sums + 16 * (i * V + v));
  for (int64_t s = 0; s < steps; ++s, x += 2, dy += 16 * V) {
    __m512i d[V];
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) d[v] = _mm512_loadu_si512(dy + 16 * v);
#pragma GCC unroll 8
    for (int c = 0; c < C; ++c)
#pragma GCC unroll 3
      for (int t = 0; t < 3; ++t) {
        int two;
        std::memcpy(&two, x + c * stride + t, 4);
        const __m512i in = _mm512_set1_epi32(two);
#pragma GCC unroll 2
        for (int v = 0; v < V; ++v)
          sum[c * 3 + t][v] =
              _mm512_dpbf16_ps(sum[c * 3 + t][v], reinterpret_cast<__m512bh>(in), reinterpret_cast<__m512bh>(d[v]));
      }
  }
#pragma GCC unroll 24
  for (int i = 0; i < C * 3; ++i)
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) _mm512_storeu_ps(sums + 16 * (i * V + v), sum[i][v]);
}

/// to[j][i] = from[i][j], 16 × 16 words of four bytes.
VESALIUS_AVX512 inline void transpose_words(const void* from, int64_t from_stride, void* to, int64_t to_stride) {
  const auto* in = static_cast<const float*>(from);
  auto* out = static_cast<float*>(to);
  __m512 r[16], t[16];
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i) r[i] = _mm512_loadu_ps(in + i * from_stride);
#pragma GCC unroll 8
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
    t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
  }
  const auto low = [](__m512 a, __m512 b) VESALIUS_AVX512 {
    return _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(a), _mm512_castps_pd(b)));
  };
  const auto high = [](__m512 a, __m512 b) VESALIUS_AVX512 {
    return _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(a), _mm512_castps_pd(b)));
  };
#pragma GCC unroll 4
  for (int i = 0; i < 16; i += 4) {
    r[i] = low(t[i], t[i + 2]);
    r[i + 1] = high(t[i], t[i + 2]);
    r[i + 2] = low(t[i + 1], t[i + 3]);
    r[i + 3] = high(t[i + 1], t[i + 3]);
  }
#pragma GCC unroll 2
  for (int h = 0; h < 16; h += 8)
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      t[h + i] = _mm512_shuffle_f32x4(r[h + i], r[h + i + 4], 0x88);
      t[h + i + 4] = _mm512_shuffle_f32x4(r[h + i], r[h + i + 4], 0xdd);
    }
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) {
    _mm512_storeu_ps(out + i * to_stride, _mm512_shuffle_f32x4(t[i], t[i + 8], 0x88));
    _mm512_storeu_ps(out + (i + 8) * to_stride, _mm512_shuffle_f32x4(t[i], t[i + 8], 0xdd));
  }
}

/// A packed row: to[j] = from[step · (j + first)], 0 where that lies outside `0 … n − 1`.
template <class T>
VESALIUS_AVX512 void pack_row(const T* from, int64_t n, int64_t step, int64_t phase, int64_t first, int64_t count,
                              T* to) {
  int64_t begin = 0;
  while (begin < count && step * (begin + first) + phase < 0) to[begin++] = 0;
  int64_t end = n > phase ? (n - 1 - phase) / step + 1 - first : 0;  // the first j beyond the row
  end = end < begin ? begin : end > count ? count : end;
  const T* source = from + step * first + phase;
  if (step == 1)
    std::memcpy(to + begin, source + begin, static_cast<size_t>(end - begin) * sizeof(T));
  else if (step == 2)
    for (int64_t j = begin; j < end; ++j) to[j] = source[2 * j];
  else
    for (int64_t j = begin; j < end; ++j) to[j] = source[step * j];
  for (int64_t j = end; j < count; ++j) to[j] = 0;
}

/// Two channels' rows, word by word; `high` may be null.
VESALIUS_AVX512 inline void interleave(const uint16_t* low, const uint16_t* high, int64_t count, uint32_t* to) {
  if (!high) {
    for (int64_t j = 0; j < count; ++j) to[j] = low[j];
    return;
  }
  for (int64_t j = 0; j < count; ++j) to[j] = low[j] | static_cast<uint32_t>(high[j]) << 16;
}

/// Rounded to nearest, ties to even.
VESALIUS_AVX512 inline uint16_t to_bfloat16(float v) {
  uint32_t bits;
  std::memcpy(&bits, &v, 4);
  return static_cast<uint16_t>(v != v ? 0x7fc0 : (bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

VESALIUS_AVX512 inline void unpack_row(const float* from, int64_t count, int64_t step, float* to) {
  if (step == 1)
    std::memcpy(to, from, static_cast<size_t>(count) * sizeof(float));
  else
    for (int64_t j = 0; j < count; ++j) to[step * j] = from[j];
}
VESALIUS_AVX512 inline void unpack_row(const float* from, int64_t count, int64_t step, uint16_t* to) {
  if (step == 1)
    for (int64_t j = 0; j < count; ++j) to[j] = to_bfloat16(from[j]);
  else
    for (int64_t j = 0; j < count; ++j) to[step * j] = to_bfloat16(from[j]);
}

// Winograd's minimal filtering F(2, 3) along two axes (Lavin and Gray 2016, arXiv 1509.09308): with
// Bᵀ = [1 0 −1 0; 0 1 1 0; 0 −1 1 0; 0 1 0 −1] and Aᵀ = [1 1 1 0; 0 1 −1 −1].

/// to[a][i] = Σ_d Bᵀ[a][d] · from[d][i]
template <class T>
VESALIUS_AVX512 void winograd_inputs(const T* from, int64_t from_stride, int64_t n, float* to, int64_t to_stride) {
  const T *d0 = from, *d1 = from + from_stride, *d2 = d1 + from_stride, *d3 = d2 + from_stride;
  float *a0 = to, *a1 = to + to_stride, *a2 = a1 + to_stride, *a3 = a2 + to_stride;
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const float v0 = as_float32(d0[i]), v1 = as_float32(d1[i]), v2 = as_float32(d2[i]), v3 = as_float32(d3[i]);
    a0[i] = v0 - v2;
    a1[i] = v1 + v2;
    a2[i] = v2 - v1;
    a3[i] = v1 - v3;
  }
}

/// The same of gradients of two outputs: to[a][i] = Σ_q A[a][q] · from[q][i].
template <class T>
VESALIUS_AVX512 void winograd_gradients(const T* from, int64_t from_stride, int64_t n, float* to, int64_t to_stride) {
  const T *d0 = from, *d1 = from + from_stride;
  float *a0 = to, *a1 = to + to_stride, *a2 = a1 + to_stride, *a3 = a2 + to_stride;
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const float v0 = as_float32(d0[i]), v1 = as_float32(d1[i]);
    a0[i] = v0;
    a1[i] = v0 + v1;
    a2[i] = v0 - v1;
    a3[i] = -v1;
  }
}

/// Sums m[4 a + b][i] to the outputs (p, q) at to[2 p + q][i], and the bias.
VESALIUS_AVX512 inline void winograd_outputs(const float* m, int64_t stride, int64_t n, float bias, float* to,
                                             int64_t to_stride) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    float p0[4], p1[4];
#pragma GCC unroll 4
    for (int b = 0; b < 4; ++b) {
      const float m0 = m[b * stride + i], m1 = m[(4 + b) * stride + i], m2 = m[(8 + b) * stride + i],
                  m3 = m[(12 + b) * stride + i];
      p0[b] = m0 + m1 + m2;
      p1[b] = m1 - m2 - m3;
    }
    to[i] = p0[0] + p0[1] + p0[2] + bias;
    to[to_stride + i] = p0[1] - p0[2] - p0[3] + bias;
    to[2 * to_stride + i] = p1[0] + p1[1] + p1[2] + bias;
    to[3 * to_stride + i] = p1[1] - p1[2] - p1[3] + bias;
  }
}

/// Two rows of numbers to words of bfloat16 pairs.
VESALIUS_AVX512_BF16 inline void narrow_pairs(const float* low, const float* high, int64_t n, uint32_t* to) {
  int64_t i = 0;
  const auto narrowed = [&](const float* from, __mmask16 mask) VESALIUS_AVX512_BF16 {
    return _mm512_cvtepu16_epi32(reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(mask, from))));
  };
  for (; i < n; i += 16) {
    const auto mask = static_cast<__mmask16>(n - i >= 16 ? 0xffff : (1u << (n - i)) - 1);
    const __m512i pair = _mm512_or_si512(narrowed(low + i, mask), _mm512_slli_epi32(narrowed(high + i, mask), 16));
    _mm512_mask_storeu_epi32(to + i, mask, pair);
  }
}

VESALIUS_AVX512_BF16 inline void narrow_row(const float* from, int64_t n, uint16_t* to) {
  for (int64_t i = 0; i < n; i += 16) {
    const auto mask = static_cast<__mmask16>(n - i >= 16 ? 0xffff : (1u << (n - i)) - 1);
    _mm256_mask_storeu_epi16(to + i, mask,
                             reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(mask, from + i))));
  }
}

VESALIUS_AVX512 inline float sum_of_row(const float* x, int64_t n) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < n; ++i) sum += x[i];
  return sum;
}
VESALIUS_AVX512 inline float sum_of_row(const uint16_t* x, int64_t n) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < n; ++i) {
    const uint32_t bits = static_cast<uint32_t>(x[i]) << 16;
    float v;
    std::memcpy(&v, &bits, 4);
    sum += v;
  }
  return sum;
}

}  // namespace vesalius::segmentation::detail
#endif
