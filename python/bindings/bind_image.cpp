// SPDX-License-Identifier: Apache-2.0
#include "bindings.h"

#include <vesalius/image/components.h>
#include <vesalius/image/crop.h>
#include <vesalius/image/discretise.h>
#include <vesalius/image/distance.h>
#include <vesalius/image/intensity.h>
#include <vesalius/image/morphology.h>
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
  m.def(
      "resample_image",
      [](const Image& i, const Vec3& s, const std::string& how) { return resample(i, s, interpolation_of(how)); },
      py::arg("image"), py::arg("spacing"), py::arg("interpolation"), ReleaseGil());
  m.def(
      "resample_mask",
      [](const Mask& i, const Vec3& s, const std::string& how, double threshold) {
        return resample(i, s, interpolation_of(how), threshold);
      },
      py::arg("mask"), py::arg("spacing"), py::arg("interpolation"), py::arg("threshold"), ReleaseGil());
  m.def(
      "resample_image_like",
      [](const Image& i, const Geometry& g, const std::string& how, double outside) {
        return resample_like(i, g, interpolation_of(how), outside);
      },
      py::arg("image"), py::arg("geometry"), py::arg("interpolation"), py::arg("outside"), ReleaseGil());
  m.def(
      "resample_mask_like", [](const Mask& i, const Geometry& g) { return resample_like(i, g); }, py::arg("mask"),
      py::arg("geometry"), ReleaseGil());

  m.def(
      "bounding_box",
      [](const Mask& mask, int64_t label) {
        const Box box = bounding_box(mask, label);
        return std::make_tuple(box.start, box.count);
      },
      py::arg("mask"), py::arg("label"), ReleaseGil());
  m.def("crop_to_mask", &crop_to_mask, py::arg("image"), py::arg("mask"), py::arg("label"), py::arg("margin_mm"),
        ReleaseGil());

  m.def("discretise_bin_number", &discretise_bin_number, py::arg("voxels"), py::arg("roi"), py::arg("bins"),
        ReleaseGil());
  m.def("discretise_bin_width", &discretise_bin_width, py::arg("voxels"), py::arg("roi"), py::arg("width"),
        py::arg("lower"), ReleaseGil());

  m.def("clip", &clip, py::arg("image"), py::arg("lower"), py::arg("upper"), ReleaseGil());
  m.def("zscore", &zscore, py::arg("image"), py::arg("region"), ReleaseGil());
  m.def("minmax", &minmax, py::arg("image"), py::arg("region"), py::arg("lower"), py::arg("upper"), ReleaseGil());
  m.def("percentile", &percentile, py::arg("image"), py::arg("low"), py::arg("high"), py::arg("region"), ReleaseGil());
  m.def("rescale", &rescale, py::arg("image"), py::arg("slope"), py::arg("intercept"), ReleaseGil());
  m.def("gaussian", &gaussian, py::arg("image"), py::arg("sigma_mm"), ReleaseGil());

  m.def(
      "connected_components",
      [](const Mask& mask, int64_t label, int64_t connectivity) {
        auto found = connected_components(mask, label, connectivity);
        return std::make_pair(std::move(found.labels), std::move(found.sizes));
      },
      py::arg("mask"), py::arg("label"), py::arg("connectivity"), ReleaseGil());
  m.def("largest_component", &largest_component, py::arg("mask"), py::arg("label"), py::arg("connectivity"),
        ReleaseGil());
  m.def("keep_touching", &keep_touching, py::arg("mask"), py::arg("seeds"), py::arg("label"), py::arg("connectivity"),
        ReleaseGil());
  m.def("remove_small", &remove_small, py::arg("mask"), py::arg("minimum_mm3"), py::arg("label"),
        py::arg("connectivity"), ReleaseGil());

  m.def("distance_transform", &distance_transform, py::arg("mask"), py::arg("label"), py::arg("signed"), ReleaseGil());
  m.def("dilate", &dilate, py::arg("mask"), py::arg("radius_mm"), py::arg("label"), ReleaseGil());
  m.def("erode", &erode, py::arg("mask"), py::arg("radius_mm"), py::arg("label"), ReleaseGil());
  m.def("open", &image::open, py::arg("mask"), py::arg("radius_mm"), py::arg("label"), ReleaseGil());
  m.def("close", &image::close, py::arg("mask"), py::arg("radius_mm"), py::arg("label"), ReleaseGil());
  m.def("fill_holes", &fill_holes, py::arg("mask"), py::arg("label"), py::arg("per_slice"), ReleaseGil());
}
