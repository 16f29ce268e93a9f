// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

namespace vesalius::outcome::detail {

/// Steele, Lea, Flood's SplitMix64 (2014, doi 10.1145/2660193.2660195): each replicate has a stream of its own, so that which thread
/// draws it changes nothing.
class Stream {
 public:
  Stream(uint64_t seed, uint64_t replicate)
      : state_(mix(seed + 0x9e3779b97f4a7c15ULL) ^ mix(replicate * 0xd1342543de82ef95ULL + 1)) {}
  uint64_t next() { return mix(state_ += 0x9e3779b97f4a7c15ULL); }
  /// Below n, by the high half of a product (Lemire 2019); the bias is below n / 2^64.
  uint64_t below(uint64_t n) { return static_cast<uint64_t>(static_cast<unsigned __int128>(next()) * n >> 64); }

 private:
  static uint64_t mix(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }
  uint64_t state_;
};

/// How often each of n is drawn in n draws with replacement.
inline void multiplicities(uint64_t seed, uint64_t replicate, std::vector<int32_t>& out) {
  std::fill(out.begin(), out.end(), 0);
  Stream stream(seed, replicate);
  const uint64_t n = out.size();
  for (uint64_t i = 0; i < n; ++i) ++out[stream.below(n)];
}

}  // namespace vesalius::outcome::detail
