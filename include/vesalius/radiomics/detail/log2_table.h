// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

namespace vesalius::radiomics::detail {

/// Binary logarithms of counts: most are small, and entropies take one for each.
class Log2 {
 public:
  Log2() : table_(table().data()) {}
  double operator()(int64_t n) const { return n < kSize ? table_[n] : std::log2(static_cast<double>(n)); }

 private:
  static constexpr int64_t kSize = 2048;
  static const std::vector<double>& table() {
    static const std::vector<double> values = [] {
      std::vector<double> v(kSize, 0.0);
      for (int64_t n = 1; n < kSize; ++n) v[n] = std::log2(static_cast<double>(n));
      return v;
    }();
    return values;
  }
  const double* table_;
};

}  // namespace vesalius::radiomics::detail
