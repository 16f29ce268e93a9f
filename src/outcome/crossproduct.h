// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include <ATen/core/Tensor.h>

namespace vesalius::outcome {

/// Σ ± w·row rowᵀ, gathered in blocks of rows that stay in the cache; only blocks on and under the diagonal are multiplied
/// (the wheel's BLAS shows no dsyrk). Few columns are summed here, four rows at once.
class Crossproduct {
 public:
  /// @param out [m, m] row-major, zeroed here and whole after finish()
  Crossproduct(std::vector<double>& out, int64_t m);
  void add(const double* row, double weight) { push(row, weight, 0); }
  void subtract(const double* row, double weight) { push(row, weight, 1); }
  void finish();

 private:
  static constexpr int64_t kRows = 256, kFewColumns = 16;
  struct Block {
    at::Tensor rows;
    double* data = nullptr;
    int64_t filled = 0;
  };
  void push(const double* row, double weight, int side);
  void push_few(const double* row, double weight);
  void flush(int side);

  std::vector<double>& out_;
  int64_t m_, width_;
  Block blocks_[2];
  std::vector<double> few_, few_sum_;  ///< of few columns: four rows of 16, and [16, 16]
  double few_weight_[4] = {0, 0, 0, 0};
  int64_t few_filled_ = 0;
};

}  // namespace vesalius::outcome
