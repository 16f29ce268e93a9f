// SPDX-License-Identifier: Apache-2.0
#include "bindings.h"

#include <pybind11/numpy.h>

#include <vesalius/store/study.h>

using namespace vesalius;
using namespace vesalius::store;

namespace {

void bind_structs(py::module_& m) {
  py::class_<CaseId>(m, "CaseId", "A subject, and which examination where there are several.")
      .def(py::init<std::string, std::string>(), py::arg("subject"), py::arg("time_point") = "")
      .def_readonly("subject", &CaseId::subject)
      .def_readonly("time_point", &CaseId::time_point);
  py::class_<Source>(m, "Source", "The file that voxels were read from.")
      .def(py::init<std::string, std::string>(), py::arg("path") = "", py::arg("sha256") = "")
      .def_readonly("path", &Source::path)
      .def_readonly("sha256", &Source::sha256);
  py::class_<VoxelInfo>(m, "VoxelInfo", "What is stored under one name of a case, without its voxels.")
      .def_readonly("name", &VoxelInfo::name)
      .def_readonly("sha256", &VoxelInfo::sha256, "of the voxels")
      .def_readonly("content_sha256", &VoxelInfo::content, "of voxels and geometry")
      .def_readonly("dtype", &VoxelInfo::dtype)
      .def_readonly("shape", &VoxelInfo::shape)
      .def_readonly("source", &VoxelInfo::source);
  py::class_<CaseInfo>(m, "CaseInfo", "A case as the index knows it.")
      .def_readonly("id", &CaseInfo::id)
      .def_readonly("key", &CaseInfo::key)
      .def_readonly("added", &CaseInfo::added)
      .def_readonly("software", &CaseInfo::software)
      .def_readonly("images", &CaseInfo::images)
      .def_readonly("masks", &CaseInfo::masks)
      .def_readonly("clinical", &CaseInfo::clinical)
      .def_readonly("outcome", &CaseInfo::outcome);
  py::class_<NewCase>(m, "NewCase", "What a new case holds.")
      .def(py::init<>())
      .def_readwrite("images", &NewCase::images)
      .def_readwrite("masks", &NewCase::masks)
      .def_readwrite("clinical", &NewCase::clinical)
      .def_readwrite("outcome", &NewCase::outcome)
      .def_readwrite("image_sources", &NewCase::image_sources)
      .def_readwrite("mask_sources", &NewCase::mask_sources);
  py::class_<FeatureValues>(m, "FeatureValues", "Features of one case under one group of settings.")
      .def(py::init<>())
      .def_readwrite("names", &FeatureValues::names)
      .def_readwrite("codes", &FeatureValues::codes)
      .def_readwrite("values", &FeatureValues::values)
      .def_readwrite("settings_yaml", &FeatureValues::settings_yaml)
      .def_readwrite("settings_hash", &FeatureValues::settings_hash)
      .def_readwrite("image", &FeatureValues::image)
      .def_readwrite("mask", &FeatureValues::mask)
      .def_readwrite("label", &FeatureValues::label);
  py::class_<FeatureTable>(m, "FeatureTable", "Features of all cases that were made with the same settings.")
      .def_readonly("set", &FeatureTable::set)
      .def_readonly("settings_yaml", &FeatureTable::settings_yaml)
      .def_readonly("settings_hash", &FeatureTable::settings_hash)
      .def_readonly("image", &FeatureTable::image)
      .def_readonly("mask", &FeatureTable::mask)
      .def_readonly("label", &FeatureTable::label)
      .def_readonly("names", &FeatureTable::names)
      .def_readonly("codes", &FeatureTable::codes)
      .def_readonly("cases", &FeatureTable::cases)
      .def_readonly("computed", &FeatureTable::computed)
      .def_readonly("software", &FeatureTable::software)
      .def_property_readonly(
          "values",
          [](const FeatureTable& t) { return py::array_t<double>({t.cases.size(), t.names.size()}, t.values.data()); },
          "float64 [cases, features]");
  py::class_<Predictions>(m, "Predictions", "Values by case, and what is said about them.")
      .def(py::init<>())
      .def_readwrite("about", &Predictions::about)
      .def_readwrite("rows", &Predictions::rows);
}

}  // namespace

void bind_store(py::module_& parent) {
  auto m = parent.def_submodule("store", "The study file; use vesalius.store.");
  bind_structs(m);
  py::class_<Study>(m, "Study", "The study in C++; vesalius.Study is what to use.")
      .def(py::init<const std::string&, const std::string&>(), py::arg("path"), py::arg("mode") = "a", ReleaseGil())
      .def("close", &Study::close, ReleaseGil())
      .def_property_readonly("closed", &Study::closed)
      .def_property_readonly("path", &Study::path)
      .def_property_readonly("mode", &Study::mode)
      .def_property_readonly("packed", &Study::packed)
      .def("add", &Study::add, py::arg("id"), py::arg("content"), py::arg("overwrite") = false, ReleaseGil())
      .def("add_image", &Study::add_image, py::arg("id"), py::arg("name"), py::arg("image"), py::arg("source"),
           py::arg("overwrite") = false, ReleaseGil())
      .def("add_mask", &Study::add_mask, py::arg("id"), py::arg("name"), py::arg("mask"), py::arg("source"),
           py::arg("overwrite") = false, ReleaseGil())
      .def("set_clinical", &Study::set_clinical, py::arg("id"), py::arg("values"), ReleaseGil())
      .def("set_outcome", &Study::set_outcome, py::arg("id"), py::arg("values"), ReleaseGil())
      .def("remove", &Study::remove, py::arg("id"), ReleaseGil())
      .def("cases", &Study::cases, ReleaseGil())
      .def("contains", &Study::contains, py::arg("id"), ReleaseGil())
      .def("image", &Study::image, py::arg("id"), py::arg("name") = "image", py::arg("verify") = true, ReleaseGil())
      .def("mask", &Study::mask, py::arg("id"), py::arg("name") = "mask", py::arg("verify") = true, ReleaseGil())
      .def("add_features", &Study::add_features, py::arg("id"), py::arg("features"), ReleaseGil())
      .def("has_features", &Study::has_features, py::arg("id"), py::arg("set"), ReleaseGil())
      .def("feature_sets", &Study::feature_sets, ReleaseGil())
      .def("features", &Study::features, py::arg("set"), ReleaseGil())
      .def_static("feature_set", &Study::feature_set, py::arg("features"))
      .def("add_predictions", &Study::add_predictions, py::arg("name"), py::arg("predictions"),
           py::arg("overwrite") = false, ReleaseGil())
      .def("prediction_names", &Study::prediction_names, ReleaseGil())
      .def("predictions", &Study::predictions, py::arg("name"), ReleaseGil())
      .def("begin_batch", &Study::begin_batch, ReleaseGil())
      .def("end_batch", &Study::end_batch, ReleaseGil())
      .def("provenance", &Study::provenance, ReleaseGil())
      .def("problems", &Study::problems);
  m.def("repair", &repair, py::arg("path"), ReleaseGil());
  m.def("pack", &pack, py::arg("path"), py::arg("out"), ReleaseGil());
  m.def("unpack", &unpack, py::arg("packed"), py::arg("out"), ReleaseGil());
  m.def("verify_in_process", &verify_in_process, py::arg("path"), ReleaseGil());
}
