// SPDX-License-Identifier: Apache-2.0
#include "bindings.h"

#include <vesalius/io/dicom.h>
#include <vesalius/io/read.h>
#include <vesalius/io/write.h>

#include "monitor.h"

using namespace vesalius;

namespace {

io::ReadOptions options_from(const std::string& series, const std::string& on_problem, bool suv) {
  io::ReadOptions options;
  options.series = series;
  options.on_problem = io::on_problem_from(on_problem);
  options.suv = suv;
  return options;
}

/// Runs `work(Monitor*)` without the GIL.
template <class Work>
auto monitored(const py::object& progress, Work&& work) {
  PyMonitor monitor(progress);
  py::gil_scoped_release release;
  return work(&monitor);
}

}  // namespace

void bind_io(py::module_& parent) {
  auto m = parent.def_submodule("io", "Reading and writing images and masks.");

  py::class_<io::FileInfo>(m, "FileInfo")
      .def_readonly("path", &io::FileInfo::path)
      .def_readonly("format", &io::FileInfo::format)
      .def_readonly("dtype", &io::FileInfo::dtype)
      .def_readonly("shape", &io::FileInfo::shape)
      .def_readonly("geometry", &io::FileInfo::geometry)
      .def_readonly("problems", &io::FileInfo::problems)
      .def_readonly("metadata", &io::FileInfo::metadata);

  py::class_<io::SeriesInfo>(m, "SeriesInfo")
      .def_readonly("uid", &io::SeriesInfo::uid)
      .def_readonly("description", &io::SeriesInfo::description)
      .def_readonly("modality", &io::SeriesInfo::modality)
      .def_readonly("files", &io::SeriesInfo::files)
      .def_readonly("size", &io::SeriesInfo::size)
      .def_readonly("spacing", &io::SeriesInfo::spacing)
      .def_readonly("time_points", &io::SeriesInfo::time_points)
      .def_readonly("problems", &io::SeriesInfo::problems);

  m.def(
      "read_image",
      [](const std::string& path, const std::string& series, const std::string& on_problem, bool suv,
         const py::object& progress) {
        const auto options = options_from(series, on_problem, suv);
        return monitored(progress, [&](Monitor* monitor) { return io::read_image(path, options, monitor); });
      },
      py::arg("path"), py::kw_only(), py::arg("series") = "", py::arg("on_problem") = "error", py::arg("suv") = false,
      py::arg("progress") = py::none());
  m.def(
      "read_mask",
      [](const std::string& path, const std::optional<Image>& like, const std::vector<std::string>& rois,
         const std::vector<std::string>& segments, const std::optional<Image>& grid, const std::string& series,
         const std::string& on_problem, const py::object& progress) {
        io::MaskOptions options{rois, segments, options_from(series, on_problem, false), std::nullopt};
        if (grid) options.grid = grid->geometry();
        return monitored(
            progress, [&](Monitor* monitor) { return io::read_mask(path, like ? &*like : nullptr, options, monitor); });
      },
      py::arg("path"), py::arg("like") = py::none(), py::kw_only(), py::arg("rois") = std::vector<std::string>{},
      py::arg("segments") = std::vector<std::string>{}, py::arg("grid") = py::none(), py::arg("series") = "",
      py::arg("on_problem") = "error", py::arg("progress") = py::none());
  m.def(
      "info",
      [](const std::string& path, const py::object& progress) {
        return monitored(progress, [&](Monitor* monitor) { return io::info(path, monitor); });
      },
      py::arg("path"), py::kw_only(), py::arg("progress") = py::none());
  m.def(
      "list_dicom_series",
      [](const std::string& folder, const py::object& progress) {
        return monitored(progress, [&](Monitor* monitor) { return io::list_dicom_series(folder, monitor); });
      },
      py::arg("folder"), py::kw_only(), py::arg("progress") = py::none());
  m.def("write_image", &io::write_image, py::arg("image"), py::arg("path"), ReleaseGil());
  m.def("write_mask", &io::write_mask, py::arg("mask"), py::arg("path"), ReleaseGil());
}
