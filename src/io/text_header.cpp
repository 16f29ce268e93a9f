// SPDX-License-Identifier: Apache-2.0
#include "io/text_header.h"

#include <charconv>
#include <cmath>
#include <limits>
#include <sstream>

#include <vesalius/core/error.h>

namespace vesalius::io::detail {
namespace {

constexpr int64_t kMostHeader = int64_t{1} << 20;

double real_number(const std::string& word, const std::string& path, const std::string& field) {
  double value = 0;
  const char* from = word.data() + (word.size() > 1 && word[0] == '+' ? 1 : 0);
  const char* end = word.data() + word.size();
  const std::string low = lower(word);
  if (low == "nan" || low == "-nan" || low == "+nan") return std::numeric_limits<double>::quiet_NaN();
  const auto [next, failure] = std::from_chars(from, end, value);
  if (failure != std::errc() || next != end)
    throw FormatError(path + ": \"" + field + "\" should be a number, found \"" + printable(word) + "\"");
  return value;
}

}  // namespace

HeaderLines::HeaderLines(const FileSource& file) {
  const auto head = file.head(kMostHeader);
  text_.assign(head.begin(), head.end());
}

bool HeaderLines::next(std::string& line) {
  if (at_ >= text_.size()) return false;
  const size_t end = text_.find('\n', at_);
  line = text_.substr(at_, end == std::string::npos ? end : end - at_);
  at_ = end == std::string::npos ? text_.size() : end + 1;
  if (!line.empty() && line.back() == '\r') line.pop_back();
  return true;
}

std::vector<std::string> words(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> out;
  for (std::string word; in >> word;) out.push_back(word);
  return out;
}

int64_t whole_number(const std::string& text, const std::string& path, const std::string& field) {
  const std::string word = trim(text);
  int64_t value = 0;
  const auto [next, failure] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (failure != std::errc() || next != word.data() + word.size())
    throw FormatError(path + ": \"" + field + "\" should be a whole number, found \"" + printable(word) + "\"");
  return value;
}

std::vector<int64_t> whole_numbers(const std::string& text, const std::string& path, const std::string& field) {
  std::vector<int64_t> out;
  for (const auto& word : words(text)) out.push_back(whole_number(word, path, field));
  return out;
}

std::vector<double> real_numbers(const std::string& text, const std::string& path, const std::string& field) {
  std::vector<double> out;
  for (const auto& word : words(text)) out.push_back(real_number(word, path, field));
  return out;
}

int64_t skip_lines(const FileSource& file, int64_t offset, int64_t count) {
  std::vector<char> block(1 << 16);
  while (count > 0) {
    const int64_t got = file.read_some(offset, block.data(), static_cast<int64_t>(block.size()));
    if (got == 0) throw FormatError(file.path() + ": truncated: the header says to skip lines that aren't there");
    int64_t i = 0;
    while (i < got && count > 0)
      if (block[static_cast<size_t>(i++)] == '\n') --count;
    offset += i;
  }
  return offset;
}

}  // namespace vesalius::io::detail
