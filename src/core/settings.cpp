// SPDX-License-Identifier: Apache-2.0
#include <vesalius/core/settings.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>

#include <yaml-cpp/yaml.h>

#include <vesalius/core/checksum.h>

namespace vesalius {
namespace {

std::string write_double(double value) {
  if (std::isnan(value)) return ".nan";
  if (std::isinf(value)) return value > 0 ? ".inf" : "-.inf";
  char buffer[32];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;  // shortest that reads back the same
  std::string text(buffer, end);
  // "3" would be read as a whole number.
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

std::string write_text(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '\n')
      out += "\\n";
    else if (c == '\t')
      out += "\\t";
    else if (static_cast<unsigned char>(c) < ' ' || c == 0x7f)  // YAML folds or forbids them
      out += std::string("\\x") + "0123456789abcdef"[c >> 4] + "0123456789abcdef"[c & 15];
    else
      out += c;
  }
  return out + "\"";
}

struct Writer {
  std::string operator()(std::monostate) const { return "null"; }
  std::string operator()(bool value) const { return value ? "true" : "false"; }
  std::string operator()(int64_t value) const { return std::to_string(value); }
  std::string operator()(double value) const { return write_double(value); }
  std::string operator()(const std::string& value) const { return write_text(value); }
  template <class T>
  std::string operator()(const std::vector<T>& list) const {
    std::string out = "[";
    for (size_t i = 0; i < list.size(); ++i) out += (i ? ", " : "") + (*this)(list[i]);
    return out + "]";
  }
};

SettingValue read_scalar(const YAML::Node& node) {
  const std::string text = node.Scalar();
  if (node.Tag() == "!") return text;  // quoted
  if (text.empty() || text == "null" || text == "~") return std::monostate{};
  if (text == "true" || text == "false") return text == "true";
  if (text == ".nan" || text == ".inf" || text == "+.inf")
    return text == ".nan" ? std::numeric_limits<double>::quiet_NaN() : std::numeric_limits<double>::infinity();
  if (text == "-.inf") return -std::numeric_limits<double>::infinity();
  const char* begin = text.data() + (text[0] == '+');
  const char* end = text.data() + text.size();
  int64_t whole = 0;
  if (const auto r = std::from_chars(begin, end, whole); r.ec == std::errc{} && r.ptr == end) return whole;
  double number = 0;
  if (const auto r = std::from_chars(begin, end, number); r.ec == std::errc{} && r.ptr == end) return number;
  return text;
}

SettingValue read_list(const std::string& name, const YAML::Node& node) {
  std::vector<SettingValue> items;
  for (const auto& item : node) {
    if (!item.IsScalar()) throw FormatError("setting \"" + name + "\": lists hold plain values only");
    items.push_back(read_scalar(item));
  }
  const auto all = [&](auto&& test) { return std::all_of(items.begin(), items.end(), test); };
  if (all([](const auto& v) { return std::holds_alternative<int64_t>(v); })) {
    std::vector<int64_t> out;
    for (const auto& v : items) out.push_back(std::get<int64_t>(v));
    return out;
  }
  if (all([](const auto& v) { return std::holds_alternative<int64_t>(v) || std::holds_alternative<double>(v); })) {
    std::vector<double> out;
    for (const auto& v : items)
      out.push_back(std::holds_alternative<double>(v) ? std::get<double>(v) : double(std::get<int64_t>(v)));
    return out;
  }
  if (all([](const auto& v) { return std::holds_alternative<std::string>(v); })) {
    std::vector<std::string> out;
    for (const auto& v : items) out.push_back(std::get<std::string>(v));
    return out;
  }
  throw FormatError("setting \"" + name + "\": a list must hold only numbers or only text");
}

size_t edit_distance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); ++j)
      diagonal = std::exchange(row[j], std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1])}));
  }
  return row.back();
}

}  // namespace

std::string to_yaml(const SettingMap& map) {
  std::string out;
  for (const auto& [name, value] : map) out += name + ": " + std::visit(Writer{}, value) + "\n";
  return out;
}

SettingMap from_yaml(const std::string& text) {
  YAML::Node root;
  try {
    root = YAML::Load(text);
  } catch (const YAML::Exception& error) {
    throw FormatError(std::string("settings are not valid YAML: ") + error.what());
  }
  SettingMap map;
  std::set<std::string> names;
  if (root.IsNull()) return map;
  if (!root.IsMap()) throw FormatError("settings must be a YAML mapping of names to values");
  for (const auto& entry : root) {
    if (!entry.first.IsScalar()) throw FormatError("settings: every name must be plain text");
    const std::string name = entry.first.Scalar();
    if (!names.insert(name).second) throw FormatError("setting \"" + name + "\" is given twice");
    if (entry.second.IsMap())
      throw FormatError("setting \"" + name + "\" is a mapping; expected a plain value or a list");
    if (entry.second.IsSequence())
      map.emplace_back(name, read_list(name, entry.second));
    else if (entry.second.IsNull())
      map.emplace_back(name, std::monostate{});
    else
      map.emplace_back(name, read_scalar(entry.second));
  }
  return map;
}

std::string hash(const SettingMap& map) { return sha256(to_yaml(map)); }

namespace detail {

std::string did_you_mean(std::string_view name, const std::vector<std::string>& known) {
  const auto distance = [&](const std::string& other) { return edit_distance(std::string(name), other); };
  const auto nearest = std::ranges::min_element(known, {}, distance);
  if (nearest == known.end() || distance(*nearest) > std::max<size_t>(2, name.size() / 3)) return "";
  return " Did you mean \"" + *nearest + "\"?";
}

void unknown_setting(const std::string& name, const std::vector<std::string>& known) {
  std::string message = "there is no setting \"" + name + "\"." + did_you_mean(name, known);
  message += " Settings are:";
  for (const auto& k : known) message += " " + k;
  throw InvalidArgument(message);
}

void wrong_setting_type(const std::string& name, const std::string& expected, const SettingValue& got) {
  throw TypeMismatch("setting \"" + name + "\" must be " + expected + "; got " + std::visit(Writer{}, got));
}

}  // namespace detail
}  // namespace vesalius
