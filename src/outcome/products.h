// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace vesalius::outcome {

/// Products of a tall matrix x [n, p] with a few vectors, each at the speed of one pass over x: MKL's dgemv has no vector
/// code for every processor, and its dgemm copies a thin operand.

/// out[k] [n] = x b[k] for count rows of b [count, p]; rows of out are `stride` apart.
void rows_times(const double* x, int64_t n, int64_t p, const double* b, int64_t count, double* out, int64_t stride);
/// out[k] [p] = xᵀ r[k] for count rows of r, `stride` apart; out [count, p].
void columns_times(const double* x, int64_t n, int64_t p, const double* r, int64_t count, int64_t stride, double* out);

/// out [16, 16] += Σ w rowᵀ row over four rows of 16, of which the first m count.
void add_outer_products(const double* rows, const double* w, int64_t m, double* out);

bool all_finite(const double* values, int64_t n);

/// One pass over the rows of x [n, p] each, by columns: the weighted mean, least and largest; Σ share d and Σ share d² of
/// d = (x − mean) inverse; and (x − mean) inverse itself into one row.
void add_means(const double* x, int64_t n, int64_t p, const double* share, double* mean, double* low, double* high);
void add_squares(const double* x, int64_t n, int64_t p, const double* share, const double* mean, const double* inverse,
                 double* first, double* second);
void scaled_rows(const double* x, int64_t n, int64_t p, const int64_t* order, const double* mean, const double* inverse,
                 double* out, int64_t stride);

}  // namespace vesalius::outcome
