// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <random>
#include <string>
#include <vector>

/// What the fuzzers share.
namespace vesalius::fuzz {

using Bytes = std::vector<char>;

/// One to six changes: bits, bytes, runs, cuts, hostile words, repeats. Headers are where the trouble is: three of four changes
/// fall into the first `header` bytes.
inline void mutate(Bytes& bytes, std::mt19937_64& random, size_t header = 1500) {
  const auto below = [&](size_t n) { return static_cast<size_t>(random() % std::max<size_t>(n, 1)); };
  static const char* kWords[] = {"-1",         "0",       "99999999999", "nan",
                                 "inf",        "1e308",   "%n%s",        "../../etc/passwd",
                                 "4294967295", "(0,0,0)", "2147483648"};
  const size_t times = 1 + below(6);
  for (size_t t = 0; t < times && !bytes.empty(); ++t) {
    const size_t span = below(4) ? std::min<size_t>(bytes.size(), header) : bytes.size(), at = below(span);
    switch (below(9)) {
      case 0:
        bytes[at] ^= static_cast<char>(1 << below(8));
        break;
      case 1:
        bytes[at] = static_cast<char>(random());
        break;
      case 2:
        bytes[at] = below(2) ? '\xff' : '\0';
        break;
      case 3:
        for (size_t i = at; i < std::min(at + 4, bytes.size()); ++i) bytes[i] = below(2) ? '\xff' : '\x7f';
        break;
      case 4:
        bytes.resize(at);
        break;
      case 5:
        bytes.erase(bytes.begin() + static_cast<int64_t>(at),
                    bytes.begin() + static_cast<int64_t>(std::min(at + 1 + below(16), bytes.size())));
        break;
      case 6: {
        const std::string word = kWords[below(std::size(kWords))];
        bytes.insert(bytes.begin() + static_cast<int64_t>(at), word.begin(), word.end());
        break;
      }
      case 7: {  // a number of a text header becomes another one
        size_t from = at;
        while (from < bytes.size() && !(bytes[from] >= '0' && bytes[from] <= '9')) ++from;
        size_t to = from;
        while (to < bytes.size() && bytes[to] >= '0' && bytes[to] <= '9') ++to;
        const std::string word = kWords[below(std::size(kWords))];
        bytes.erase(bytes.begin() + static_cast<int64_t>(from), bytes.begin() + static_cast<int64_t>(to));
        bytes.insert(bytes.begin() + static_cast<int64_t>(from), word.begin(), word.end());
        break;
      }
      default: {
        const size_t from = below(bytes.size()), length = std::min(below(64), bytes.size() - from);
        const Bytes part(bytes.begin() + static_cast<int64_t>(from),
                         bytes.begin() + static_cast<int64_t>(from + length));
        bytes.insert(bytes.begin() + static_cast<int64_t>(at), part.begin(), part.end());
      }
    }
  }
}

}  // namespace vesalius::fuzz
