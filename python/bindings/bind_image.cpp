// SPDX-License-Identifier: Apache-2.0
#include "bindings.h"

#include <vesalius/image/crop.h>
#include <vesalius/image/discretise.h>
#include <vesalius/image/resample.h>

using namespace vesalius;
using namespace vesalius::image;

namespace {

Interpolation interpolation_of(const std::string& text) {
  Interpolation out;
  from_string(text, out);
  return out;
}

}  // namespace

void bind_image(py::module_& parent) {
  auto m = parent.def_submodule("image", "See vesalius.image.");
  m.def("resampled_geometry", &resampled_geometry, py::arg("geometry"), py::arg("spacing"));
  m.def("resample_image", [](const Image& i, const Vec3& s, const std::string& how) { return resample(i, s, interpolation_of(how)); },
        py::arg("image"), py::arg("spacing"), py::arg("interpolation"), ReleaseGil());
  m.def("resample_mask", [](const Mask& i, const Vec3& s, const std::string& how, double threshold) { return resample(i, s, interpolation_of(how), threshold); },
        py::arg("mask"), py::arg("spacing"), py::arg("interpolation"), py::arg("threshold"), ReleaseGil());
  m.def("resample_image_like", [](const Image& i, const Geometry& g, const std::string& how, double outside) { return resample_like(i, g, interpolation_of(how), outside); },
        py::arg("image"), py::arg("geometry"), py::arg("interpolation"), py::arg("outside"), ReleaseGil());
  m.def("resample_mask_like", [](const Mask& i, const Geometry& g) { return resample_like(i, g); }, py::arg("mask"), py::arg("geometry"), ReleaseGil());

  m.def("bounding_box", [](const Mask& mask, int64_t label) {
          const Box box = bounding_box(mask, label);
          return std::make_tuple(box.start, box.count);
        }, py::arg("mask"), py::arg("label"), ReleaseGil());
  m.def("crop_to_mask", &crop_to_mask, py::arg("image"), py::arg("mask"), py::arg("label"), py::arg("margin_mm"), ReleaseGil());

  m.def("discretise_bin_number", &discretise_bin_number, py::arg("voxels"), py::arg("roi"), py::arg("bins"), ReleaseGil());
  m.def("discretise_bin_width", &discretise_bin_width, py::arg("voxels"), py::arg("roi"), py::arg("width"), py::arg("lower"), ReleaseGil());
}
