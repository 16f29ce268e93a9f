// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>

namespace vesalius::segmentation::detail {

/// Philox4x32-10 (Salmon et al. 2011, doi 10.1145/2063384.2063405): random numbers as a function of key and counter.
class BatchRandom {
 public:
  BatchRandom(uint64_t seed, uint64_t index, uint32_t sample)
      : key_{static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)},
        counter_{0, sample, static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32)} {}

  uint32_t bits() {
    if (used_ == 4) {
      block_ = rounds(counter_, key_);
      ++counter_[0];
      used_ = 0;
    }
    return block_[used_++];
  }
  /// [0, 1) with 53 bits.
  double uniform() {
    const uint64_t high = bits() >> 5, low = bits() >> 6;
    return double(high * 67108864 + low) / 9007199254740992.0;
  }
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  /// 0..count-1
  int64_t below(int64_t count) {
    const auto n = static_cast<int64_t>(uniform() * double(count));
    return n < count ? n : count - 1;
  }

 private:
  static std::array<uint32_t, 4> rounds(std::array<uint32_t, 4> c, std::array<uint32_t, 2> k) {
    for (int r = 0; r < 10; ++r) {
      const uint64_t a = uint64_t{0xD2511F53} * c[0], b = uint64_t{0xCD9E8D57} * c[2];
      c = {static_cast<uint32_t>(b >> 32) ^ c[1] ^ k[0], static_cast<uint32_t>(b),
           static_cast<uint32_t>(a >> 32) ^ c[3] ^ k[1], static_cast<uint32_t>(a)};
      k[0] += 0x9E3779B9;
      k[1] += 0xBB67AE85;
    }
    return c;
  }
  std::array<uint32_t, 2> key_;
  std::array<uint32_t, 4> counter_, block_{};
  int used_ = 4;
};

}  // namespace vesalius::segmentation::detail
