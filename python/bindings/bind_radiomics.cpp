// SPDX-License-Identifier: Apache-2.0
#include "monitor.h"
#include "settings.h"

#include <vesalius/radiomics/features.h>

using namespace vesalius;
using namespace vesalius::radiomics;

namespace {

py::dict row_to_dict(const FeatureRow& row) {
  py::dict out;
  out["name"] = row.name;
  out["code"] = row.code;
  out["title"] = row.title;
  out["family"] = row.family;
  out["family_title"] = row.family_title;
  out["family_code"] = row.family_code;
  out["unit"] = row.unit;
  out["aggregation"] = row.aggregation;
  out["formula"] = row.formula;
  out["reference"] = row.reference;
  out["pyradiomics"] = row.pyradiomics;
  return out;
}

/// (column name, catalogue row) of each column.
std::vector<std::pair<std::string, py::dict>> columns_to_python(const std::vector<Column>& columns) {
  std::vector<std::pair<std::string, py::dict>> out;
  for (const Column& column : columns) out.emplace_back(column.name, row_to_dict(*column.row));
  return out;
}

}  // namespace

void bind_radiomics(py::module_& parent) {
  auto m = parent.def_submodule("radiomics", "Radiomics features as the IBSI defines them.");
  bind_settings<Settings>(m, "Settings",
                          "How image and mask are processed before features are computed; see vesalius.radiomics.")
      .def("validate", &Settings::validate, "Raises InvalidArgument that names the setting which makes no sense.");

  py::class_<Features>(m, "Features")
      .def_property_readonly("columns", [](const Features& f) { return columns_to_python(f.columns); })
      .def_property_readonly("names",
                             [](const Features& f) {
                               std::vector<std::string> names;
                               for (const Column& column : f.columns) names.push_back(column.name);
                               return names;
                             })
      .def_readonly("values", &Features::values)
      .def_readonly("reasons", &Features::reasons)
      .def_readonly("settings", &Features::settings)
      .def_readonly("settings_hash", &Features::settings_hash)
      .def_readonly("label", &Features::label)
      .def_readonly("morphological_voxels", &Features::morphological_voxels)
      .def_readonly("intensity_voxels", &Features::intensity_voxels)
      .def("index_of", &Features::index_of, py::arg("name"));

  m.def("catalogue", [] {
    std::vector<py::dict> rows;
    for (const FeatureRow& row : catalogue()) rows.push_back(row_to_dict(row));
    return rows;
  });
  m.def("find_feature", [](const std::string& name) { return row_to_dict(find_feature(name)); }, py::arg("name"));
  m.def("families", &families);
  m.def("columns", [](const Settings& settings) { return columns_to_python(columns(settings)); }, py::arg("settings"));

  m.def(
      "extract",
      [](const Image& image, const Mask& mask, const Settings& settings, int64_t label, int64_t channel,
         const py::object& progress) {
        PyMonitor monitor(progress);
        py::gil_scoped_release release;
        return extract(image, mask, settings, label, &monitor, channel);
      },
      py::arg("image"), py::arg("mask"), py::arg("settings"), py::arg("label"), py::arg("channel"),
      py::arg("progress"));
  m.def(
      "extract_labels",
      [](const Image& image, const Mask& mask, const Settings& settings, const std::vector<int64_t>& labels,
         int64_t channel, const py::object& progress) {
        PyMonitor monitor(progress);
        py::gil_scoped_release release;
        return extract_labels(image, mask, settings, labels, &monitor, channel);
      },
      py::arg("image"), py::arg("mask"), py::arg("settings"), py::arg("labels"), py::arg("channel"),
      py::arg("progress"));
  m.def(
      "extract_channels",
      [](const Image& image, const Mask& mask, const Settings& settings, int64_t label,
         const std::vector<int64_t>& channels, const py::object& progress) {
        PyMonitor monitor(progress);
        py::gil_scoped_release release;
        return extract_channels(image, mask, settings, label, channels, &monitor);
      },
      py::arg("image"), py::arg("mask"), py::arg("settings"), py::arg("label"), py::arg("channels"),
      py::arg("progress"));
  m.def(
      "extract_slices",
      [](const Image& image, const Mask& mask, const Settings& settings, int64_t label, int64_t channel,
         const py::object& progress) {
        PyMonitor monitor(progress);
        py::gil_scoped_release release;
        return extract_slices(image, mask, settings, label, &monitor, channel);
      },
      py::arg("image"), py::arg("mask"), py::arg("settings"), py::arg("label"), py::arg("channel"),
      py::arg("progress"));
}
