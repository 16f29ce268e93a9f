// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "io/source.h"

/// Headers of "name: value" lines, and the numbers in them.
namespace vesalius::io::detail {

/// Lines from the file's beginning, at most 1 MB of them.
class HeaderLines {
 public:
  explicit HeaderLines(const FileSource& file);
  /// The next line without its end; false at the end of what there is.
  bool next(std::string& line);
  /// The byte behind the last line read.
  int64_t offset() const { return static_cast<int64_t>(at_); }

 private:
  std::string text_;
  size_t at_ = 0;
};

/// @throws FormatError naming `path` and `field` unless the whole of `text` is one number (or `count` numbers).
int64_t whole_number(const std::string& text, const std::string& path, const std::string& field);
std::vector<int64_t> whole_numbers(const std::string& text, const std::string& path, const std::string& field);
std::vector<double> real_numbers(const std::string& text, const std::string& path, const std::string& field);
std::vector<std::string> words(const std::string& text);

/// The byte at which line `count` after `offset` begins.
int64_t skip_lines(const FileSource& file, int64_t offset, int64_t count);

}  // namespace vesalius::io::detail
