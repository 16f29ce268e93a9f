// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

namespace vesalius::radiomics::detail {

/// Ascending, linear in the number of keys: eleven bits at a time, as many times as the largest needs.
inline void radix_sort(std::vector<uint64_t>& keys) {
  if (keys.size() < 256) return std::sort(keys.begin(), keys.end());
  uint64_t used = 0;
  for (uint64_t k : keys) used |= k;
  std::vector<uint64_t> other(keys.size());
  for (int shift = 0; shift < 64 && used >> shift != 0; shift += 11) {
    std::array<size_t, 2048> place{};
    for (uint64_t k : keys) ++place[k >> shift & 2047];
    size_t before = 0;
    for (size_t& p : place) {
      const size_t n = p;
      p = before, before += n;
    }
    for (uint64_t k : keys) other[place[k >> shift & 2047]++] = k;
    keys.swap(other);
  }
}

}  // namespace vesalius::radiomics::detail
