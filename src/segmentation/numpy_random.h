// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <numeric>
#include <random>
#include <utility>
#include <vector>

namespace vesalius::segmentation::detail {

/// The draws of numpy's RandomState (legacy, MT19937) that nnU-Net uses, so that fingerprints and splits are the same.
/// A seed below 2^32 initialises numpy's generator as it does std::mt19937.
class NumpyRandom {
 public:
  explicit NumpyRandom(uint32_t seed) : generator_(seed) {}

  /// 0..limit, each alike: draws masked to the next power of two, rejected above `limit`.
  uint32_t below_or_equal(uint32_t limit) {
    if (limit == 0) return 0;
    uint32_t mask = limit;
    for (int shift = 1; shift < 32; shift *= 2) mask |= mask >> shift;
    uint32_t value;
    while ((value = static_cast<uint32_t>(generator_()) & mask) > limit) {
    }
    return value;
  }

  /// np.random.permutation(count): Fisher and Yates from the end.
  std::vector<int32_t> permutation(int64_t count) {
    std::vector<int32_t> order(count);
    std::iota(order.begin(), order.end(), 0);
    for (int64_t i = count - 1; i > 0; --i) std::swap(order[i], order[below_or_equal(static_cast<uint32_t>(i))]);
    return order;
  }

 private:
  std::mt19937 generator_;
};

}  // namespace vesalius::segmentation::detail
