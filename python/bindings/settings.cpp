// SPDX-License-Identifier: Apache-2.0
#include "settings.h"

#include <vesalius/core/error.h>

using vesalius::SettingMap;
using vesalius::SettingValue;

namespace {

SettingValue list_from_python(const std::string& name, const py::sequence& sequence) {
  bool whole = true, numbers = true, text = true;
  for (const auto& item : sequence) {
    const bool is_bool = py::isinstance<py::bool_>(item);
    const bool is_whole = !is_bool && PyIndex_Check(item.ptr());
    whole = whole && is_whole;
    numbers = numbers && !is_bool && (is_whole || PyNumber_Check(item.ptr()));
    text = text && py::isinstance<py::str>(item);
  }
  if (whole) return sequence.cast<std::vector<int64_t>>();
  if (numbers) return sequence.cast<std::vector<double>>();
  if (text) return sequence.cast<std::vector<std::string>>();
  throw vesalius::TypeMismatch("setting \"" + name + "\": a list must hold only numbers or only text");
}

}  // namespace

SettingValue setting_from_python(const std::string& name, const py::handle& value) {
  if (value.is_none()) return std::monostate{};
  if (py::isinstance<py::bool_>(value)) return value.cast<bool>();
  if (py::isinstance<py::str>(value)) return value.cast<std::string>();
  if (PyIndex_Check(value.ptr())) return py::int_(py::reinterpret_borrow<py::object>(value)).cast<int64_t>();
  if (py::isinstance<py::sequence>(value) || py::hasattr(value, "__array__"))
    return list_from_python(name, py::list(py::reinterpret_borrow<py::object>(value)));
  if (PyNumber_Check(value.ptr())) return py::float_(py::reinterpret_borrow<py::object>(value)).cast<double>();
  throw vesalius::TypeMismatch("setting \"" + name + "\" can't be " + std::string(py::repr(value)) +
                               "; expected None, a number, text or a list of these");
}

SettingMap settings_from_python(const py::dict& dict) {
  SettingMap map;
  for (const auto& [key, value] : dict) {
    const auto name = py::str(key).cast<std::string>();
    map.emplace_back(name, setting_from_python(name, value));
  }
  return map;
}

py::object setting_to_python(const SettingValue& value) {
  return std::visit(
      [](const auto& v) -> py::object {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, std::monostate>)
          return py::none();
        else if constexpr (std::is_same_v<T, std::vector<double>> || std::is_same_v<T, std::vector<int64_t>> ||
                           std::is_same_v<T, std::vector<std::string>>)
          return py::tuple(py::cast(v));
        else
          return py::cast(v);
      },
      value);
}
