// SPDX-License-Identifier: Apache-2.0
#include "outcome/products.h"

#include <algorithm>

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

}  // namespace wide

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
