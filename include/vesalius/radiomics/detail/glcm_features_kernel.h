// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <vector>

#include <vesalius/radiomics/detail/log2_table.h>

namespace vesalius::radiomics::detail {

/// Σ_k term(k, p_k) over a marginal or a diagonal p whose first element belongs to `first`.
template <class Term>
double over(const std::vector<double>& p, int64_t first, const Term& term) {
  double sum = 0;
  for (size_t k = 0; k < p.size(); ++k) sum += term(static_cast<double>(first + static_cast<int64_t>(k)), p[k]);
  return sum;
}

/// A symmetric, normalised co-occurrence matrix by what its features are made of, named as in IBSI 1, section 3.6. The
/// matrix itself is gone through once, the cells that aren't empty: all else is sums along it. Counts are whole numbers and stay
/// so as long as differences are taken.
struct Glcm {
  int64_t n = 0;                                    ///< N_g
  double n_pairs = 0;                               ///< Σ of the symmetric counts
  std::vector<double> p_row;                        ///< p_i. = p_.i, i = 1..N_g
  std::vector<double> p_minus;                      ///< p_{i-j,k}, k = 0..N_g - 1
  std::vector<double> p_plus;                       ///< p_{i+j,k}, k = 2..2 N_g
  double mu = 0;                                    ///< mean of p_i.
  double variance = 0, covariance = 0;              ///< Σ (i - μ)² p_ij, Σ (i - μ)(j - μ) p_ij
  double max = 0, squares = 0, ij = 0;              ///< max p_ij, Σ p_ij², Σ i j p_ij
  double hx = 0, hxy = 0, h_minus = 0, h_plus = 0;  ///< entropies of p_i., p_ij, p_{i-j}, p_{i+j}
};

/// Collects cells, each pair of levels once, and makes the matrix of them.
class GlcmSums {
 public:
  explicit GlcmSums(int64_t n) : n_(n), row_(n), minus_(n), plus_(2 * n - 1) {}

  /// `count` pairs (i, j) or (j, i), in 1..n; i ≠ j.
  void add(int64_t i, int64_t j, int64_t count) {
    row_[i - 1] += count, row_[j - 1] += count;
    minus_[std::abs(i - j)] += 2 * count, plus_[i + j - 2] += 2 * count;
    cell(count, 2, i * j);
  }
  /// `count` pairs (i, i): both ends are counted in the one cell.
  void add_equal(int64_t i, int64_t count) {
    row_[i - 1] += 2 * count, minus_[0] += 2 * count, plus_[2 * i - 2] += 2 * count;
    cell(2 * count, 1, i * i);
  }
  /// One-sided counts `[n + 1, n + 1]` with a row and a column for level 0, which are left out.
  void add_table(const uint32_t* counts) {
    const int64_t width = n_ + 1;
    for (int64_t i = 1; i <= n_; ++i) {
      if (const int64_t c = counts[i * width + i]; c != 0) add_equal(i, c);
      for (int64_t j = i + 1; j <= n_; ++j)
        if (const int64_t c = int64_t{counts[i * width + j]} + counts[j * width + i]; c != 0) add(i, j, c);
    }
  }

  /// Nothing if there are no pairs.
  std::optional<Glcm> finish() const {
    int64_t total = 0, first = 0;
    Whole second = 0;
    for (int64_t i = 1; i <= n_; ++i) {
      total += row_[i - 1], first += i * row_[i - 1];
      second += static_cast<Whole>(i * i) * row_[i - 1];
    }
    if (total == 0) return std::nullopt;
    Glcm g;
    g.n = n_;
    g.n_pairs = static_cast<double>(total);
    const double square = g.n_pairs * g.n_pairs;
    g.mu = static_cast<double>(first) / g.n_pairs;
    g.variance = static_cast<double>(total * second - static_cast<Whole>(first) * first) / square;
    g.covariance = static_cast<double>(total * products_ - static_cast<Whole>(first) * first) / square;
    g.ij = static_cast<double>(products_) / g.n_pairs;
    g.max = static_cast<double>(max_) / g.n_pairs;
    g.squares = squares_ / square;
    const double bits = std::log2(g.n_pairs);
    g.hxy = std::max(0.0, bits - logs_ / g.n_pairs);
    g.p_row = normalised(row_, total, g.hx);
    g.p_minus = normalised(minus_, total, g.h_minus);
    g.p_plus = normalised(plus_, total, g.h_plus);
    if (max_ == total) g.hxy = 0;
    return g;
  }

 private:
  __extension__ typedef __int128 Whole;

  void cell(int64_t count, int64_t times, int64_t product) {
    max_ = std::max(max_, count);
    const auto c = static_cast<double>(count);
    squares_ += static_cast<double>(times) * c * c;
    products_ += static_cast<Whole>(times * count) * product;
    logs_ += static_cast<double>(times) * c * log2_(count);
  }

  /// Shares of the total, and their Shannon entropy in bits; empty ones count nothing.
  std::vector<double> normalised(const std::vector<int64_t>& counts, int64_t total, double& entropy) const {
    std::vector<double> p(counts.size());
    const auto all = static_cast<double>(total);
    const double bits = log2_(total);
    entropy = 0;
    for (size_t k = 0; k < counts.size(); ++k) {
      if (counts[k] == 0) continue;
      p[k] = static_cast<double>(counts[k]) / all;
      entropy += p[k] * (bits - log2_(counts[k]));
    }
    return p;
  }

  int64_t n_;
  std::vector<int64_t> row_, minus_, plus_;
  int64_t max_ = 0;
  Whole products_ = 0;
  double squares_ = 0, logs_ = 0;
  Log2 log2_;
};

}  // namespace vesalius::radiomics::detail
