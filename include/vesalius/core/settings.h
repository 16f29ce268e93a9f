// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <vesalius/core/error.h>
#include <vesalius/core/export.h>

/// Settings are plain structs. Each lists its fields once,
///
///   template <class Self, class Visitor> static void visit(Self& self, Visitor&& field) {
///     field("bin_width", self.bin_width);
///     …
///   }
///
/// and YAML, hash, Python keywords and equality follow from that list. An enum field needs
/// `std::string to_string(E)` and `void from_string(const std::string&, E&)` beside it.
namespace vesalius {

/// A field's value as it crosses to YAML or Python; monostate is "not set".
using SettingValue = std::variant<std::monostate, bool, int64_t, double, std::string, std::vector<int64_t>,
                                  std::vector<double>, std::vector<std::string>>;
/// Fields in the order of their declaration.
using SettingMap = std::vector<std::pair<std::string, SettingValue>>;

/// Numbers are written with 17 significant digits at most: reading gives the same bits.
VESALIUS_API std::string to_yaml(const SettingMap& map);
/// @throws FormatError for text that is not one flat YAML mapping of scalars and lists of scalars.
///   Nothing in it is executed; tags and anchors have no effect.
VESALIUS_API SettingMap from_yaml(const std::string& text);
/// SHA-256 of the canonical YAML.
VESALIUS_API std::string hash(const SettingMap& map);

namespace detail {

/// " Did you mean …?", or nothing where no known name is near (edit distance).
VESALIUS_API std::string did_you_mean(std::string_view name, const std::vector<std::string>& known);
[[noreturn]] VESALIUS_API void unknown_setting(const std::string& name, const std::vector<std::string>& known);
[[noreturn]] VESALIUS_API void wrong_setting_type(const std::string& name, const std::string& expected,
                                                  const SettingValue& got);

template <class T>
struct IsOptional : std::false_type {};
template <class T>
struct IsOptional<std::optional<T>> : std::true_type {};
template <class T>
struct IsArray : std::false_type {};
template <class T, size_t N>
struct IsArray<std::array<T, N>> : std::true_type {};

template <class T>
SettingValue to_value(const T& value) {
  if constexpr (IsOptional<T>::value) {
    return value ? to_value(*value) : SettingValue{};
  } else if constexpr (IsArray<T>::value) {
    return std::vector<typename T::value_type>(value.begin(), value.end());
  } else if constexpr (std::is_enum_v<T>) {
    return to_string(value);
  } else {
    return value;
  }
}

/// Reads `value` into `out`; whole numbers serve as doubles, one number as a list of one.
template <class T>
void from_value(const std::string& name, const SettingValue& value, T& out) {
  if constexpr (IsOptional<T>::value) {
    if (std::holds_alternative<std::monostate>(value)) {
      out.reset();
    } else {
      typename T::value_type inner{};
      from_value(name, value, inner);
      out = inner;
    }
  } else if constexpr (std::is_enum_v<T>) {
    if (const auto* text = std::get_if<std::string>(&value)) return from_string(*text, out);
    wrong_setting_type(name, "text", value);
  } else if constexpr (IsArray<T>::value) {
    std::vector<typename T::value_type> list;
    from_value(name, value, list);
    if (list.size() != out.size()) wrong_setting_type(name, std::to_string(out.size()) + " values", value);
    std::copy(list.begin(), list.end(), out.begin());
  } else if constexpr (std::is_same_v<T, double>) {
    if (const auto* number = std::get_if<double>(&value))
      out = *number;
    else if (const auto* whole = std::get_if<int64_t>(&value))
      out = static_cast<double>(*whole);
    else
      wrong_setting_type(name, "a number", value);
  } else if constexpr (std::is_same_v<T, std::vector<double>>) {
    if (const auto* list = std::get_if<std::vector<double>>(&value))
      out = *list;
    else if (const auto* whole = std::get_if<std::vector<int64_t>>(&value))
      out.assign(whole->begin(), whole->end());
    else if (const auto* number = std::get_if<double>(&value))
      out = {*number};
    else if (const auto* one = std::get_if<int64_t>(&value))
      out = {static_cast<double>(*one)};
    else
      wrong_setting_type(name, "a list of numbers", value);
  } else if constexpr (std::is_same_v<T, std::vector<int64_t>> || std::is_same_v<T, std::vector<std::string>>) {
    if (const auto* list = std::get_if<T>(&value))
      out = *list;
    else if (const auto* one = std::get_if<typename T::value_type>(&value))
      out = {*one};
    else if (const auto* empty = std::get_if<std::vector<int64_t>>(&value); empty && empty->empty())
      out = T{};
    else
      wrong_setting_type(name, std::is_same_v<T, std::vector<int64_t>> ? "a list of whole numbers" : "a list of text",
                         value);
  } else {
    if (const auto* same = std::get_if<T>(&value))
      out = *same;
    else
      wrong_setting_type(name,
                         std::is_same_v<T, bool>      ? "true or false"
                         : std::is_same_v<T, int64_t> ? "a whole number"
                                                      : "text",
                         value);
  }
}

}  // namespace detail

template <class Settings>
SettingMap to_map(const Settings& settings) {
  SettingMap map;
  Settings::visit(settings,
                  [&](const char* name, const auto& field) { map.emplace_back(name, detail::to_value(field)); });
  return map;
}

/// Defaults, overridden by what `map` names. @throws InvalidArgument for a name that is no field (with the
/// nearest one), TypeMismatch for a value of the wrong kind.
template <class Settings>
Settings from_map(const SettingMap& map, Settings settings = {}) {
  std::vector<std::string> known;
  Settings::visit(settings, [&](const char* name, auto&) { known.emplace_back(name); });
  for (const auto& [name, value] : map) {
    bool found = false;
    Settings::visit(settings, [&, &key = name, &given = value](const char* field_name, auto& field) {
      if (key != field_name) return;
      detail::from_value(key, given, field);
      found = true;
    });
    if (!found) detail::unknown_setting(name, known);
  }
  return settings;
}

}  // namespace vesalius
