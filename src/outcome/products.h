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

}  // namespace vesalius::outcome
