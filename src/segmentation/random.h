// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>

namespace vesalius::segmentation::detail {

/// Philox 4×32-10 (Salmon et al. 2011, doi 10.1145/2063384.2063405): number `counter` of the stream `key`.
inline std::array<uint32_t, 4> philox(uint64_t counter, uint64_t key) {
  uint32_t c0 = static_cast<uint32_t>(counter), c1 = static_cast<uint32_t>(counter >> 32), c2 = 0, c3 = 0;
  uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t{0xD2511F53u} * c0, b = uint64_t{0xCD9E8D57u} * c2;
    c0 = static_cast<uint32_t>(b >> 32) ^ c1 ^ k0;
    c1 = static_cast<uint32_t>(b);
    c2 = static_cast<uint32_t>(a >> 32) ^ c3 ^ k1;
    c3 = static_cast<uint32_t>(a);
    k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
  }
  return {c0, c1, c2, c3};
}

/// SplitMix64's finaliser: a key from parts, one after another.
inline uint64_t mix(uint64_t key, uint64_t part) {
  uint64_t z = key + 0x9E3779B97F4A7C15ull * (part + 1);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  return z ^ (z >> 31);
}

/// Draws in order from one stream.
class Stream {
 public:
  explicit Stream(uint64_t key) : key_(key) {}

  uint64_t bits() {
    const auto r = philox(counter_++, key_);
    return (uint64_t{r[0]} << 32) | r[1];
  }
  /// [0, 1) of 53 bits.
  double uniform() { return static_cast<double>(bits() >> 11) * 0x1.0p-53; }
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  bool chance(double p) { return uniform() < p; }
  /// 0 … count − 1; the bias of the product is below count · 2⁻⁶⁴.
  int64_t below(int64_t count) {
    return static_cast<int64_t>((static_cast<unsigned __int128>(bits()) * static_cast<uint64_t>(count)) >> 64);
  }

 private:
  uint64_t key_, counter_ = 0;
};

}  // namespace vesalius::segmentation::detail
