// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

/// Symmetric positive definite systems of the size of a regression: row-major, n x n, in place.
namespace vesalius::outcome::detail {

/// Σ a b in four sums, which run side by side where one would wait for itself.
inline double inner(const double* a, const double* b, int64_t n) {
  double sum[4] = {0, 0, 0, 0}, rest = 0;
  int64_t k = 0;
  for (; k + 4 <= n; k += 4)
    for (int64_t l = 0; l < 4; ++l) sum[l] += a[k + l] * b[k + l];
  for (; k < n; ++k) rest += a[k] * b[k];
  return ((sum[0] + sum[1]) + (sum[2] + sum[3])) + rest;
}

/// A = L Lᵀ into the lower triangle. Returns -1, or the first column whose pivot fell under
/// `tolerance` times its diagonal: on a matrix of crossproducts, that column depends linearly on those before.
inline int64_t cholesky(std::vector<double>& a, int64_t n, double tolerance) {
  for (int64_t j = 0; j < n; ++j) {
    double* row_j = a.data() + j * n;
    const double diagonal = row_j[j];
    const double pivot = diagonal - inner(row_j, row_j, j);
    if (!(pivot > tolerance * diagonal) || !(pivot > 0)) return j;
    const double root = std::sqrt(pivot);
    row_j[j] = root;
    for (int64_t i = j + 1; i < n; ++i) {
      double* row_i = a.data() + i * n;
      row_i[j] = (row_i[j] - inner(row_i, row_j, j)) / root;
    }
  }
  return -1;
}

/// x = (L Lᵀ)⁻¹ x
inline void cholesky_solve(const std::vector<double>& l, int64_t n, double* x) {
  for (int64_t i = 0; i < n; ++i) {
    x[i] = (x[i] - inner(l.data() + i * n, x, i)) / l[i * n + i];
  }
  for (int64_t i = n - 1; i >= 0; --i) {
    x[i] /= l[i * n + i];
    for (int64_t k = 0; k < i; ++k) x[k] -= l[i * n + k] * x[i];  // along the row, as it lies in memory
  }
}

/// (L Lᵀ)⁻¹ as a full symmetric matrix.
inline std::vector<double> cholesky_inverse(const std::vector<double>& l, int64_t n) {
  std::vector<double> inverse(static_cast<size_t>(n * n), 0.0), column(static_cast<size_t>(n));
  for (int64_t j = 0; j < n; ++j) {
    std::fill(column.begin(), column.end(), 0.0);
    column[j] = 1;
    cholesky_solve(l, n, column.data());
    for (int64_t i = 0; i < n; ++i) inverse[i * n + j] = column[i];
  }
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < i; ++j)
      inverse[i * n + j] = inverse[j * n + i] = 0.5 * (inverse[i * n + j] + inverse[j * n + i]);
  return inverse;
}

}  // namespace vesalius::outcome::detail
