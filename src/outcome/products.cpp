// SPDX-License-Identifier: Apache-2.0
#include "outcome/products.h"

#include <algorithm>
#include <bit>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#define VESALIUS_WIDE __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define VESALIUS_WIDE
#endif

namespace vesalius::outcome {

namespace wide {

constexpr int64_t kLanes = 8;

VESALIUS_WIDE void dots(const double* __restrict x, int64_t p, const double* __restrict b, int64_t count,
                        double* __restrict out, int64_t stride) {
  for (int64_t k = 0; k < count; ++k) {
    const double* __restrict v = b + k * p;
    double sum[kLanes] = {0, 0, 0, 0, 0, 0, 0, 0}, rest = 0;
    int64_t j = 0;
    for (; j + kLanes <= p; j += kLanes)
      for (int64_t l = 0; l < kLanes; ++l) sum[l] += x[j + l] * v[j + l];
    for (; j < p; ++j) rest += x[j] * v[j];
    for (double s : sum) rest += s;
    out[k * stride] = rest;
  }
}

/// out += r0 x0 + r1 x1 + r2 x2 + r3 x3
VESALIUS_WIDE void add_four(const double* __restrict x, int64_t p, const double* __restrict r, int64_t count,
                            int64_t stride, double* __restrict out) {
  const double* __restrict x0 = x, * __restrict x1 = x + p, * __restrict x2 = x + 2 * p, * __restrict x3 = x + 3 * p;
  for (int64_t k = 0; k < count; ++k) {
    const double r0 = r[k * stride], r1 = r[k * stride + 1], r2 = r[k * stride + 2], r3 = r[k * stride + 3];
    double* __restrict to = out + k * p;
    for (int64_t j = 0; j < p; ++j) to[j] += (r0 * x0[j] + r1 * x1[j]) + (r2 * x2[j] + r3 * x3[j]);
  }
}

template <int64_t width>
inline void outer(const double* __restrict rows, const double* __restrict w, int64_t m, double* __restrict out) {
  for (int64_t k = 0; k < m; ++k) {
    const double f0 = w[0] * rows[k], f1 = w[1] * rows[16 + k], f2 = w[2] * rows[32 + k], f3 = w[3] * rows[48 + k];
    double* __restrict to = out + 16 * k;
    for (int64_t l = 0; l < width; ++l)
      to[l] += (f0 * rows[l] + f1 * rows[16 + l]) + (f2 * rows[32 + l] + f3 * rows[48 + l]);
  }
}

VESALIUS_WIDE void outer_products(const double* __restrict rows, const double* __restrict w, int64_t m,
                                  double* __restrict out) {
  if (m <= 8)
    outer<8>(rows, w, m, out);
  else
    outer<16>(rows, w, m, out);
}

VESALIUS_WIDE bool finite(const double* __restrict values, int64_t n) {
  constexpr uint64_t kExponent = 0x7ff0000000000000u;
  uint64_t bad = 0;
  for (int64_t i = 0; i < n; ++i) bad |= (std::bit_cast<uint64_t>(values[i]) & kExponent) == kExponent;
  return bad == 0;
}

VESALIUS_WIDE void means(const double* __restrict x, int64_t n, int64_t p, const double* __restrict share,
                         double* __restrict mean, double* __restrict low, double* __restrict high) {
  for (int64_t i = 0; i < n; ++i) {
    const double* __restrict row = x + i * p;
    for (int64_t j = 0; j < p; ++j) {
      mean[j] += share[i] * row[j];
      low[j] = row[j] < low[j] ? row[j] : low[j];
      high[j] = row[j] > high[j] ? row[j] : high[j];
    }
  }
}

VESALIUS_WIDE void squares(const double* __restrict x, int64_t n, int64_t p, const double* __restrict share,
                           const double* __restrict mean, const double* __restrict inverse, double* __restrict first,
                           double* __restrict second) {
  for (int64_t i = 0; i < n; ++i) {
    const double* __restrict row = x + i * p;
    for (int64_t j = 0; j < p; ++j) {
      const double d = (row[j] - mean[j]) * inverse[j], part = share[i] * d;
      first[j] += part;
      second[j] += part * d;
    }
  }
}

VESALIUS_WIDE void scaled(const double* __restrict x, int64_t n, int64_t p, const int64_t* __restrict order,
                          const double* __restrict mean, const double* __restrict inverse, double* __restrict out,
                          int64_t stride) {
  for (int64_t i = 0; i < n; ++i) {
    const double* __restrict row = x + (order ? order[i] : i) * p;
    double* __restrict to = out + i * stride;
    for (int64_t j = 0; j < p; ++j) to[j] = (row[j] - mean[j]) * inverse[j];
  }
}

}  // namespace wide

bool all_finite(const double* values, int64_t n) { return wide::finite(values, n); }

void add_means(const double* x, int64_t n, int64_t p, const double* share, double* mean, double* low, double* high) {
  wide::means(x, n, p, share, mean, low, high);
}

void add_squares(const double* x, int64_t n, int64_t p, const double* share, const double* mean, const double* inverse,
                 double* first, double* second) {
  wide::squares(x, n, p, share, mean, inverse, first, second);
}

void scaled_rows(const double* x, int64_t n, int64_t p, const int64_t* order, const double* mean, const double* inverse,
                 double* out, int64_t stride) {
  wide::scaled(x, n, p, order, mean, inverse, out, stride);
}

void add_outer_products(const double* rows, const double* w, int64_t m, double* out) {
  wide::outer_products(rows, w, m, out);
}

void rows_times(const double* x, int64_t n, int64_t p, const double* b, int64_t count, double* out, int64_t stride) {
  for (int64_t i = 0; i < n; ++i) wide::dots(x + i * p, p, b, count, out + i, stride);
}

void columns_times(const double* x, int64_t n, int64_t p, const double* r, int64_t count, int64_t stride, double* out) {
  std::fill(out, out + count * p, 0.0);
  int64_t i = 0;
  for (; i + 4 <= n; i += 4) wide::add_four(x + i * p, p, r + i, count, stride, out);
  for (; i < n; ++i)
    for (int64_t k = 0; k < count; ++k)
      for (int64_t j = 0; j < p; ++j) out[k * p + j] += r[k * stride + i] * x[i * p + j];
}

}  // namespace vesalius::outcome
