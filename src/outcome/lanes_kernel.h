// SPDX-License-Identifier: Apache-2.0
// No include guard: cox_lanes.cpp includes this once for each instruction set, each time in a namespace of its own. (GCC
// lowers vectors before it clones functions for targets, so that target_clones would leave the slowest code in all of them.)

#include "outcome/lanes_types.h"

/// eta [rows, 8] = x [rows, p] b, where b [m, 8] are the coefficients of the columns in `set`; plus the offset if there is one.
inline void predict(const double* x, int64_t rows, int64_t p, const int64_t* set, int64_t m, const double* b,
                    const double* offset, double* eta) {
  int64_t i = 0;
#ifdef __AVX512F__  // registers for eight sums that don't wait for each other
  for (; i + 8 <= rows; i += 8) {
    const double *x0 = x + i * p, *x1 = x0 + p, *x2 = x1 + p, *x3 = x2 + p, *x4 = x3 + p, *x5 = x4 + p, *x6 = x5 + p,
                 *x7 = x6 + p;
    Lanes a0{}, a1{}, a2{}, a3{}, a4{}, a5{}, a6{}, a7{};
    for (int64_t k = 0; k < m; ++k) {
      const Lanes v = in(b + 8 * k);
      const int64_t j = set[k];
      a0 += x0[j] * v, a1 += x1[j] * v, a2 += x2[j] * v, a3 += x3[j] * v;
      a4 += x4[j] * v, a5 += x5[j] * v, a6 += x6[j] * v, a7 += x7[j] * v;
    }
    double* to = eta + 8 * i;
    out(to) = a0, out(to + 8) = a1, out(to + 16) = a2, out(to + 24) = a3;
    out(to + 32) = a4, out(to + 40) = a5, out(to + 48) = a6, out(to + 56) = a7;
  }
#endif
  for (; i + 4 <= rows; i += 4) {
    const double *x0 = x + i * p, *x1 = x0 + p, *x2 = x1 + p, *x3 = x2 + p;
    Lanes a0{}, a1{}, a2{}, a3{};
    for (int64_t k = 0; k < m; ++k) {
      const Lanes v = in(b + 8 * k);
      const int64_t j = set[k];
      a0 += x0[j] * v, a1 += x1[j] * v, a2 += x2[j] * v, a3 += x3[j] * v;
    }
    double* to = eta + 8 * i;
    out(to) = a0, out(to + 8) = a1, out(to + 16) = a2, out(to + 24) = a3;
  }
  for (; i < rows; ++i) {
    Lanes a{};
    for (int64_t k = 0; k < m; ++k) a += x[i * p + set[k]] * in(b + 8 * k);
    out(eta + 8 * i) = a;
  }
  if (offset)
    for (i = 0; i < rows; ++i) out(eta + 8 * i) += offset[i];
}

/// g [p, 8] += xᵀ r, r [rows, 8]
inline void accumulate(const double* x, int64_t rows, int64_t p, const double* r, double* g) {
  int64_t i = 0;
  for (; i + 8 <= rows; i += 8) {
    const double *x0 = x + i * p, *x1 = x0 + p, *x2 = x1 + p, *x3 = x2 + p, *x4 = x3 + p, *x5 = x4 + p, *x6 = x5 + p,
                 *x7 = x6 + p;
    const double* from = r + 8 * i;
    const Lanes r0 = in(from), r1 = in(from + 8), r2 = in(from + 16), r3 = in(from + 24), r4 = in(from + 32),
                r5 = in(from + 40), r6 = in(from + 48), r7 = in(from + 56);
    for (int64_t j = 0; j < p; ++j) {
      Lanes a = in(g + 8 * j), b = x4[j] * r4;
      a += x0[j] * r0, b += x5[j] * r5;
      a += x1[j] * r1, b += x6[j] * r6;
      a += x2[j] * r2, b += x7[j] * r7;
      a += x3[j] * r3;
      out(g + 8 * j) = a + b;
    }
  }
  for (; i < rows; ++i)
    for (int64_t j = 0; j < p; ++j) out(g + 8 * j) += x[i * p + j] * in(r + 8 * i);
}

/// exp of eta [n, 8] in place, for |eta| up to 500: 2^k times the series of what is left, to the last digit but one.
inline void exponentiate(double* eta, int64_t n) {
  constexpr double kRound = 6755399441055744.0;  // 1.5 · 2^52: the whole number stands in the last bits of the sum
  constexpr double kInverse = 1.4426950408889634, kHigh = 6.93147180369123816490e-01, kLow = 1.90821492927058770002e-10;
  for (int64_t i = 0; i < n; ++i) {
    const Lanes x = in(eta + 8 * i), t = x * kInverse + kRound, k = t - kRound, r = (x - k * kHigh) - k * kLow;
    Lanes s = r * (1.0 / 479001600) + 1.0 / 39916800;
    s = s * r + 1.0 / 3628800;
    s = s * r + 1.0 / 362880;
    s = s * r + 1.0 / 40320;
    s = s * r + 1.0 / 5040;
    s = s * r + 1.0 / 720;
    s = s * r + 1.0 / 120;
    s = s * r + 1.0 / 24;
    s = s * r + 1.0 / 6;
    s = s * r + 0.5;
    s = s * r + 1.0;
    s = s * r + 1.0;
    out(eta + 8 * i) = reinterpret_cast<Lanes>(reinterpret_cast<LaneBits>(s) + (reinterpret_cast<LaneBits>(t) << 52));
  }
}

/// The largest |eta|.
inline double reach(const double* eta, int64_t n) {
  Lanes high{}, low{};
  for (int64_t i = 0; i < n; ++i) {
    const Lanes v = in(eta + 8 * i);
    high = v > high ? v : high;
    low = v < low ? v : low;
  }
  double most = 0;
  for (int l = 0; l < 8; ++l) most = most > high[l] ? most : high[l];
  for (int l = 0; l < 8; ++l) most = most > -low[l] ? most : -low[l];
  return most;
}

/// risk [n, 8] holds exp(eta) and becomes (expected − observed) / total; `sums` gets the denominators of all event terms,
/// `hazard` [2, groups, 8] is room. No left truncation.
inline void residuals(const TimeGroup* groups, int64_t count, const double* weight, const double* observed,
                      double total, bool efron, double* risk, double* sums, double* hazard) {
  Lanes at_risk{};
  double *whole = hazard, *part = hazard + 8 * count;
  for (int64_t k = 0; k < count; ++k) {
    const TimeGroup& g = groups[k];
    if (g.first_of_stratum) at_risk = Lanes{};
    for (int64_t i = g.begin; i < g.end; ++i) {
      const Lanes r = weight[i] * in(risk + 8 * i);
      out(risk + 8 * i) = r;
      at_risk += r;
    }
    const int64_t d = g.events();
    if (d == 0) continue;
    Lanes increment{}, correction{};
    if (!efron || d == 1) {
      increment = g.event_weight / at_risk;
      out(sums) = at_risk, sums += 8;
    } else {
      Lanes tied{};
      for (int64_t i = g.begin; i < g.events_end; ++i) tied += in(risk + 8 * i);
      for (int64_t l = 0; l < d; ++l) {
        const double share = static_cast<double>(l) / static_cast<double>(d);
        const Lanes left = at_risk - share * tied, h = (g.event_weight / static_cast<double>(d)) / left;
        increment += h;
        correction += share * h;
        out(sums) = left, sums += 8;
      }
    }
    out(whole + 8 * k) = increment, out(part + 8 * k) = correction;
  }
  Lanes cumulative{};
  const double share_of_one = 1 / total;
  for (int64_t k = count; k-- > 0;) {
    const TimeGroup& g = groups[k];
    const bool any = g.events() > 0;
    if (any) cumulative += in(whole + 8 * k);
    for (int64_t i = g.begin; i < g.events_end; ++i)
      out(risk + 8 * i) = (in(risk + 8 * i) * (cumulative - in(part + 8 * k)) - observed[i]) * share_of_one;
    for (int64_t i = any ? g.events_end : g.begin; i < g.end; ++i)
      out(risk + 8 * i) = in(risk + 8 * i) * cumulative * share_of_one;
    if (g.first_of_stratum) cumulative = Lanes{};
  }
}

/// to[l] = Σ log sums[., l] of numbers that are neither 0 nor infinite: exponents are counted, the rest is multiplied.
inline void log_of_products(const double* sums, int64_t terms, double* to) {
  constexpr long long kFraction = 0x000fffffffffffff, kOne = 0x3ff0000000000000;
  Lanes product = Lanes{} + 1.0;
  LaneBits exponents{};
  for (int64_t t = 0; t < terms; ++t) {
    const LaneBits bits = reinterpret_cast<LaneBits>(static_cast<Lanes>(in(sums + 8 * t)));
    exponents += bits >> 52;
    product *= reinterpret_cast<Lanes>((bits & kFraction) | kOne);
    if (t % 256 == 255) {
      const LaneBits whole = reinterpret_cast<LaneBits>(product);
      exponents += (whole >> 52) - 1023;
      product = reinterpret_cast<Lanes>((whole & kFraction) | kOne);
    }
  }
  for (int l = 0; l < 8; ++l)
    to[l] = __builtin_log(product[l]) + 0.69314718055994530942 * static_cast<double>(exponents[l] - 1023 * terms);
}
