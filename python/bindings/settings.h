// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "bindings.h"

#include <vesalius/core/settings.h>

/// Python's value → a setting's. Integers stay whole; sequences become lists of one kind.
vesalius::SettingValue setting_from_python(const std::string& name, const py::handle& value);
vesalius::SettingMap settings_from_python(const py::dict& dict);
py::object setting_to_python(const vesalius::SettingValue& value);

/// Binds a settings struct by its `visit` list: keyword constructor, attributes, `to_dict`, `to_yaml`,
/// `from_yaml` (text), `hash`, `replace`, equality, repr, pickling.
template <class Settings>
py::class_<Settings> bind_settings(py::module_& m, const char* name, const char* doc) {
  using vesalius::from_map;
  using vesalius::to_map;
  py::class_<Settings> cls(m, name, doc);
  cls.def(py::init([](const py::kwargs& kwargs) { return from_map<Settings>(settings_from_python(kwargs)); }));
  Settings defaults;
  Settings::visit(defaults, [&](const char* field, auto&) {
    const std::string key = field;
    cls.def_property(
        field,
        [key](const Settings& self) {
          for (const auto& [k, v] : to_map(self))
            if (k == key) return setting_to_python(v);
          return py::object(py::none());
        },
        [key](Settings& self, const py::object& value) {
          self = from_map<Settings>({{key, setting_from_python(key, value)}}, self);
        });
  });
  const auto to_dict = [](const Settings& self) {
    py::dict out;
    for (const auto& [k, v] : to_map(self)) out[py::str(k)] = setting_to_python(v);
    return out;
  };
  cls.def("to_dict", to_dict, "The fields by name, in order.");
  cls.def(
      "to_yaml", [](const Settings& self) { return vesalius::to_yaml(to_map(self)); },
      "YAML text that `from_yaml` reads back without loss.");
  cls.def_static(
      "from_yaml", [](const std::string& text) { return from_map<Settings>(vesalius::from_yaml(text)); },
      py::arg("text"),
      "Settings from YAML text (`path.read_text()` for a file); what it doesn't name keeps its default.");
  cls.def(
      "hash", [](const Settings& self) { return vesalius::hash(to_map(self)); },
      "SHA-256 of the canonical YAML; goes into provenance.");
  cls.def(
      "replace",
      [](const Settings& self, const py::kwargs& kwargs) {
        return from_map<Settings>(settings_from_python(kwargs), self);
      },
      "A copy with some fields changed.");
  cls.def("__eq__", [](const Settings& a, const py::object& b) {
    return py::isinstance<Settings>(b) && to_map(a) == to_map(b.cast<const Settings&>());
  });
  cls.def("__hash__", [](const Settings& self) { return py::hash(py::str(vesalius::hash(to_map(self)))); });
  cls.def("__repr__", [to_dict, n = std::string(name)](const Settings& self) {
    std::string out = n + "(";
    const char* separator = "";
    for (const auto& [k, v] : to_dict(self)) {
      out += separator + std::string(py::str(k)) + "=" + std::string(py::repr(v));
      separator = ", ";
    }
    return out + ")";
  });
  cls.def(py::pickle([to_dict](const Settings& self) { return to_dict(self); },
                     [](const py::dict& state) { return from_map<Settings>(settings_from_python(state)); }));
  return cls;
}
