// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

namespace vesalius::outcome::detail {

/// Whole numbers in the order of doubles: the sign bit flipped, negative ones reversed; −0 is 0.
inline uint64_t sortable(double value) {
  const auto bits = std::bit_cast<uint64_t>(value + 0.0);
  return bits >> 63 ? ~bits : bits | (uint64_t{1} << 63);
}

/// Indices that put `keys` in ascending order, equal ones as in `initial` (0, 1, … if empty). Radix sort by 11 bits;
/// digits that all keys share (doubles that were float32, whole days) cost nothing.
inline std::vector<uint32_t> ascending(std::span<const double> keys, std::vector<uint32_t> initial = {}) {
  constexpr int kBits = 11, kPasses = 6, kBuckets = 1 << kBits;
  const size_t n = keys.size();
  if (initial.empty()) {
    initial.resize(n);
    std::iota(initial.begin(), initial.end(), uint32_t{0});
  }
  if (n < 512) {
    std::stable_sort(initial.begin(), initial.end(), [&](uint32_t a, uint32_t b) { return keys[a] < keys[b]; });
    return initial;
  }
  struct Item {
    uint64_t key;
    uint32_t index;
  };
  std::vector<Item> from(n), to(n);
  std::vector<uint32_t> counts(static_cast<size_t>(kPasses) * kBuckets, 0);
  for (size_t i = 0; i < n; ++i) {
    const uint64_t key = sortable(keys[initial[i]]);
    from[i] = {key, initial[i]};
    for (int pass = 0; pass < kPasses; ++pass) ++counts[pass * kBuckets + (key >> (pass * kBits) & (kBuckets - 1))];
  }
  for (int pass = 0; pass < kPasses; ++pass) {
    uint32_t* bucket = counts.data() + pass * kBuckets;
    const int shift = pass * kBits;
    if (bucket[from[0].key >> shift & (kBuckets - 1)] == n) continue;
    std::exclusive_scan(bucket, bucket + kBuckets, bucket, uint32_t{0});
    for (const Item& item : from) to[bucket[item.key >> shift & (kBuckets - 1)]++] = item;
    from.swap(to);
  }
  for (size_t i = 0; i < n; ++i) initial[i] = from[i].index;
  return initial;
}

/// Ranks 0, 1, … of the different values; `count` of them. Equal values have equal ranks.
struct DenseRanks {
  std::vector<uint32_t> rank, order;
  int64_t count = 0;
};

inline DenseRanks dense_ranks(std::span<const double> values) {
  DenseRanks out{std::vector<uint32_t>(values.size()), ascending(values)};
  for (size_t i = 0; i < values.size(); ++i) {
    if (i == 0 || values[out.order[i]] != values[out.order[i - 1]]) ++out.count;
    out.rank[out.order[i]] = static_cast<uint32_t>(out.count - 1);
  }
  return out;
}

}  // namespace vesalius::outcome::detail
