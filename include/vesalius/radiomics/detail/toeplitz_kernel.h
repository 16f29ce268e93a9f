// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>

#include <vesalius/radiomics/detail/fft_kernel.h>

namespace vesalius::radiomics::detail {

/// Up to so many elements, forms over a symmetric Toeplitz matrix are quicker pair by pair than by Fourier transforms.
inline constexpr int64_t kMostDirect = 48;

/// Re Σ_jk w(|j - k|) conj(a_j) b_k for (a, b) = (f, f), (m, m) and (q, m); elements are `stride` apart, those of w `wide`; n ≤
/// kMostDirect. The matrix maps signals that are even about their middle to such, and odd ones to odd ones: each half
/// is a form of half the size.
inline std::array<RealLanes, 3> toeplitz_forms(const ComplexLanes* f, const ComplexLanes* m, const ComplexLanes* q,
                                               int64_t stride, const RealLanes* w, int64_t wide, int64_t n) {
  constexpr int64_t kHalf = kMostDirect / 2 + 1;
  ComplexLanes even[3][kHalf], odd[3][kHalf];
  RealLanes weight[kMostDirect];
  for (int64_t k = 0; k < n; ++k) weight[k].v = w[k * wide].v;
  const int64_t half = n / 2, size = (n + 1) / 2;
  const ComplexLanes* const signals[3] = {f, m, q};
  for (int t = 0; t < 3; ++t) {
    for (int64_t k = 0; k < half; ++k) {
      const ComplexLanes &a = signals[t][k * stride], &b = signals[t][(n - 1 - k) * stride];
      even[t][k] = {a.re + b.re, a.im + b.im}, odd[t][k] = {a.re - b.re, a.im - b.im};
    }
    if (size == half) continue;
    // The middle one is even, and is met once where others are met twice.
    const ComplexLanes& middle = signals[t][half * stride];
    even[t][half] = middle, odd[t][half] = {Lanes{}, Lanes{}};
  }
  Lanes ff{}, mm{}, qm{};
  for (int64_t j = 0; j < size; ++j) {
    Lanes fe_re{}, fe_im{}, me_re{}, me_im{}, fo_re{}, fo_im{}, mo_re{}, mo_im{};
    for (int64_t k = 0; k < size; ++k) {
      const Lanes near = weight[j < k ? k - j : j - k].v, far = weight[n - 1 - j - k].v;
      const Lanes plus = near + far, minus = near - far;
      fe_re += plus * even[0][k].re, fe_im += plus * even[0][k].im;
      me_re += plus * even[1][k].re, me_im += plus * even[1][k].im;
      fo_re += minus * odd[0][k].re, fo_im += minus * odd[0][k].im;
      mo_re += minus * odd[1][k].re, mo_im += minus * odd[1][k].im;
    }
    ff += even[0][j].re * fe_re + even[0][j].im * fe_im + odd[0][j].re * fo_re + odd[0][j].im * fo_im;
    mm += even[1][j].re * me_re + even[1][j].im * me_im + odd[1][j].re * mo_re + odd[1][j].im * mo_im;
    qm += even[2][j].re * me_re + even[2][j].im * me_im + odd[2][j].re * mo_re + odd[2][j].im * mo_im;
  }
  return {RealLanes{0.5 * ff}, RealLanes{0.5 * mm}, RealLanes{0.5 * qm}};
}

}  // namespace vesalius::radiomics::detail
