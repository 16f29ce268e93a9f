// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <cstdlib>
#include <type_traits>

#include <vesalius/radiomics/detail/fft_kernel.h>

namespace vesalius::radiomics::detail {

/// Up to so many elements, forms over a symmetric Toeplitz matrix are quicker pair by pair than by Fourier transforms.
inline constexpr int64_t kMostDirect = 64;

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
  // Two rows of the matrix at a time, as what they are multiplied with is the same.
  const auto add_rows = [&]<int kRows>(int64_t j, std::integral_constant<int, kRows>) {
    ComplexLanes sums[kRows][4] = {};
    for (int64_t k = 0; k < size; ++k)
      for (int r = 0; r < kRows; ++r) {
        const Lanes near = weight[std::abs(j + r - k)].v, far = weight[n - 1 - j - r - k].v;
        const Lanes plus = near + far, minus = near - far;
        for (int t = 0; t < 2; ++t) {
          sums[r][t].re += plus * even[t][k].re, sums[r][t].im += plus * even[t][k].im;
          sums[r][t + 2].re += minus * odd[t][k].re, sums[r][t + 2].im += minus * odd[t][k].im;
        }
      }
    for (int r = 0; r < kRows; ++r) {
      const auto product = [&](int t, int u) {
        const ComplexLanes &e = even[t][j + r], &o = odd[t][j + r], &p = sums[r][u], &q = sums[r][u + 2];
        return RealLanes{e.re * p.re + e.im * p.im + o.re * q.re + o.im * q.im};
      };
      ff += product(0, 0).v, mm += product(1, 1).v, qm += product(2, 1).v;
    }
  };
  int64_t j = 0;
  for (; j + 1 < size; j += 2) add_rows(j, std::integral_constant<int, 2>());
  if (j < size) add_rows(j, std::integral_constant<int, 1>());
  return {RealLanes{0.5 * ff}, RealLanes{0.5 * mm}, RealLanes{0.5 * qm}};
}

}  // namespace vesalius::radiomics::detail
