// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>

#include <xtensor/xbuilder.hpp>
#include <xtensor/xmath.hpp>
#include <xtensor/xtensor.hpp>
#include <xtensor/xview.hpp>

namespace vesalius::radiomics::detail {

template <class Expression>
double total(const Expression& expression) {
  return xt::sum(expression, xt::evaluation_strategy::immediate)();
}

/// Shannon's, in bits; empty cells count nothing.
template <class Array>
double entropy(const Array& p) {
  double sum = 0;
  for (double v : p)
    if (v > 0) sum -= v * std::log2(v);
  return sum;
}

/// A symmetric, normalised co-occurrence matrix with its marginals and diagonals, named as in IBSI 1, section 3.6.
struct Glcm {
  double n = 0;                             ///< N_g
  xt::xtensor<double, 2> p;                 ///< p_ij
  xt::xtensor<double, 1> p_row, i;          ///< p_i. = p_.i; the levels 1..N_g
  xt::xtensor<double, 1> p_minus, k_minus;  ///< p_{i-j,k}, k = 0..N_g - 1
  xt::xtensor<double, 1> p_plus, k_plus;    ///< p_{i+j,k}, k = 2..2 N_g
  double mu = 0, hx = 0, hxy = 0;           ///< mean of p_i., entropy of p_i., entropy of p_ij

  /// From one-sided counts `[n, n]`; nothing if there are none.
  static std::optional<Glcm> from_counts(const int64_t* counts, int64_t n) {
    double sum = 0;
    for (int64_t c = 0; c < n * n; ++c) sum += static_cast<double>(counts[c]);
    if (sum == 0) return std::nullopt;
    const auto size = static_cast<size_t>(n);
    Glcm g;
    g.n = static_cast<double>(n);
    g.p = xt::empty<double>({size, size});
    g.p_row = xt::zeros<double>({size});
    g.p_minus = xt::zeros<double>({size});
    g.p_plus = xt::zeros<double>({2 * size - 1});
    g.i = xt::arange<double>(1, g.n + 1);
    g.k_minus = xt::arange<double>(0, g.n);
    g.k_plus = xt::arange<double>(2, 2 * g.n + 1);
    for (int64_t i = 0; i < n; ++i)
      for (int64_t j = 0; j < n; ++j) {
        const double p = static_cast<double>(counts[i * n + j] + counts[j * n + i]) / (2 * sum);
        g.p(i, j) = p;
        g.p_row(i) += p;
        g.p_minus(std::abs(i - j)) += p;
        g.p_plus(i + j) += p;
      }
    g.mu = total(g.i * g.p_row);
    g.hx = entropy(g.p_row);
    g.hxy = entropy(g.p);
    return g;
  }
};

}  // namespace vesalius::radiomics::detail
