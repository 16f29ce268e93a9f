// SPDX-License-Identifier: Apache-2.0
#include "outcome/crossproduct.h"

#include <algorithm>
#include <cmath>

#include <ATen/ops/addmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include "outcome/products.h"

namespace vesalius::outcome {

Crossproduct::Crossproduct(std::vector<double>& out, int64_t m) : out_(out), m_(m) {
  out_.assign(static_cast<size_t>(m * m), 0.0);
  width_ = m < 192 ? m : std::max<int64_t>(128, (m + 7) / 8);
  if (m <= kFewColumns)
    few_.assign(4 * kFewColumns, 0.0), few_sum_.assign(kFewColumns * kFewColumns, 0.0);
  else
    for (Block& b : blocks_) b.rows = at::empty({kRows, m}, at::kDouble), b.data = b.rows.data_ptr<double>();
}

void Crossproduct::push(const double* row, double weight, int side) {
  if (m_ <= kFewColumns) return push_few(row, side == 0 ? weight : -weight);
  if (!(weight > 0)) return;
  Block& b = blocks_[side];
  const double root = std::sqrt(weight);
  double* to = b.data + b.filled * m_;
  for (int64_t j = 0; j < m_; ++j) to[j] = root * row[j];
  if (++b.filled == kRows) flush(side);
}

void Crossproduct::push_few(const double* row, double weight) {
  std::copy(row, row + m_, few_.begin() + few_filled_ * kFewColumns);
  few_weight_[few_filled_] = weight;
  if (++few_filled_ < 4) return;
  add_outer_products(few_.data(), few_weight_, m_, few_sum_.data());
  few_filled_ = 0;
}

void Crossproduct::flush(int side) {
  Block& b = blocks_[side];
  if (b.filled == 0) return;
  auto out = at::from_blob(out_.data(), {m_, m_}, at::kDouble);
  const auto rows = b.rows.narrow(0, 0, b.filled);
  for (int64_t j = 0; j < m_; j += width_) {
    const int64_t count = std::min(width_, m_ - j);
    auto part = out.narrow(0, j, count).narrow(1, 0, j + count);
    at::addmm_out(part, part, rows.narrow(1, j, count).t(), rows.narrow(1, 0, j + count), 1, side == 0 ? 1 : -1);
  }
  b.filled = 0;
}

void Crossproduct::finish() {
  if (m_ > kFewColumns) {
    flush(0), flush(1);
  } else {
    while (few_filled_ > 0) push_few(few_.data(), 0.0);
    for (int64_t k = 0; k < m_; ++k)
      for (int64_t l = 0; l <= k; ++l) out_[k * m_ + l] = few_sum_[k * kFewColumns + l];
  }
  for (int64_t k = 0; k < m_; ++k)
    for (int64_t l = 0; l < k; ++l) out_[l * m_ + k] = out_[k * m_ + l];
}

}  // namespace vesalius::outcome
