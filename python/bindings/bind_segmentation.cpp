// SPDX-License-Identifier: Apache-2.0
#include "settings.h"

#include <vesalius/segmentation/metrics.h>
#include <vesalius/segmentation/model.h>
#include <vesalius/segmentation/region.h>
#include <vesalius/segmentation/threshold.h>

using namespace vesalius;
using namespace vesalius::segmentation;

void bind_segmentation_bundles(py::module_& m, py::class_<Model>& model);
void bind_segmentation_planning(py::module_& m);
void bind_segmentation_augment(py::module_& m);

namespace {

py::dict to_dict(const Metrics& m) {
  using namespace pybind11::literals;
  return py::dict("dice"_a = m.dice, "jaccard"_a = m.jaccard, "volume_difference"_a = m.volume_difference,
                  "relative_volume_difference"_a = m.relative_volume_difference, "hausdorff"_a = m.hausdorff,
                  "hausdorff95"_a = m.hausdorff95, "average_surface_distance"_a = m.average_surface_distance,
                  "surface_dice"_a = m.surface_dice, "predicted_voxels"_a = m.predicted_voxels,
                  "reference_voxels"_a = m.reference_voxels);
}

void bind_metrics(py::module_& parent) {
  auto m = parent.def_submodule("metrics", "See vesalius.segmentation.metrics.");
  m.def(
      "evaluate",
      [](const Mask& p, const Mask& r, const std::vector<int64_t>& labels, double tolerance) {
        std::map<int64_t, Metrics> found;
        {
          py::gil_scoped_release release;
          found = evaluate_all(p, r, labels, tolerance);
        }
        std::map<int64_t, py::dict> out;
        for (const auto& [label, metrics] : found) out[label] = to_dict(metrics);
        return out;
      },
      py::arg("prediction"), py::arg("reference"), py::arg("labels"), py::arg("tolerance_mm"));
  m.def("dice", &dice, py::arg("prediction"), py::arg("reference"), py::arg("label"), ReleaseGil());
  m.def("jaccard", &jaccard, py::arg("prediction"), py::arg("reference"), py::arg("label"), ReleaseGil());
  m.def("hausdorff", &hausdorff, py::arg("prediction"), py::arg("reference"), py::arg("label"), py::arg("percent"),
        ReleaseGil());
  m.def("average_surface_distance", &average_surface_distance, py::arg("prediction"), py::arg("reference"),
        py::arg("label"), ReleaseGil());
  m.def(
      "surface_dice",
      [](const Mask& p, const Mask& r, double tolerance, int64_t label, bool by_area) {
        return surface_dice(p, r, tolerance, label, by_area ? SurfaceWeight::area : SurfaceWeight::voxel);
      },
      py::arg("prediction"), py::arg("reference"), py::arg("tolerance_mm"), py::arg("label"), py::arg("by_area"),
      ReleaseGil());
}

void bind_model(py::module_& m) {
  bind_settings<Plan>(m, "Plan", R"(What a model does: the fields of a bundle's plan.yaml.

``method`` is "threshold" (lower, upper), "otsu" (bins), "percent_of_maximum" (fraction) or "contrast_threshold"
(mean_weight, background_weight, shell_inner_mm, shell_outer_mm); ``smoothing_mm`` (a Gaussian's standard deviation) comes
before it, ``opening_mm``, ``keep`` ("all", "largest", "touching") and ``fill_holes`` after it; ``limit_mm`` bounds the two PET
methods' distance from the region; ``labels`` names the label.)");
  py::class_<Model> model(m, "Model", "See vesalius.segmentation.Model.");
  model
      .def(py::init([](const Plan& plan, const std::string& card) { return Model(plan, card); }), py::arg("plan"),
           py::kw_only(), py::arg("card") = "")
      .def_static(
          "load", [](const std::string& bundle, bool trusted) { return Model::load(bundle, trusted); },
          py::arg("bundle"), py::arg("trusted"), ReleaseGil())
      .def("save", &Model::save, py::arg("bundle"), py::kw_only(), py::arg("precision") = "float32", ReleaseGil(),
           "Writes plan.yaml, card.md and weights into a folder, which is made if needed.")
      .def("predict", py::overload_cast<const Image&, const Mask*>(&Model::predict, py::const_), py::arg("image"),
           py::arg("region"), ReleaseGil())
      .def_property_readonly("plan", &Model::plan)
      .def_property_readonly("card", &Model::card, "card.md: what the model is for, in Markdown.");
  bind_segmentation_bundles(m, model);
}

}  // namespace

void bind_segmentation_networks(py::module_& m);

void bind_segmentation(py::module_& parent) {
  auto m = parent.def_submodule("segmentation", "See vesalius.segmentation.");
  bind_segmentation_networks(m);
  m.def("threshold", &threshold, py::arg("image"), py::arg("lower"), py::arg("upper"), ReleaseGil());
  m.def("otsu_threshold", &otsu_threshold, py::arg("image"), py::arg("region"), py::arg("bins"), ReleaseGil());
  m.def("otsu", &otsu, py::arg("image"), py::arg("region"), py::arg("bins"), ReleaseGil());
  m.def(
      "percent_of_maximum",
      [](const Image& image, const Mask* region, double fraction, int64_t connectivity, double limit) {
        return percent_of_maximum(image, region, fraction, {connectivity, limit});
      },
      py::arg("image"), py::arg("region"), py::arg("fraction"), py::arg("connectivity"), py::arg("limit_mm"),
      ReleaseGil());
  py::class_<ContrastResult>(m, "ContrastResult", "What contrast_threshold found.")
      .def_property_readonly("mask", [](const ContrastResult& r) { return r.mask; })
      .def_readonly("threshold", &ContrastResult::threshold, "in the image's units")
      .def_readonly("mean70", &ContrastResult::mean70, "mean of the 70 % isocontour")
      .def_readonly("background", &ContrastResult::background, "mean of the background")
      .def_readonly("iterations", &ContrastResult::iterations);
  m.def(
      "contrast_threshold",
      [](const Image& image, const Mask* region, double mean_weight, double background_weight, double inner,
         double outer, int64_t iterations, int64_t connectivity, double limit) {
        ContrastOptions options;
        options.mean_weight = mean_weight, options.background_weight = background_weight;
        options.shell_inner_mm = inner, options.shell_outer_mm = outer;
        options.iterations = iterations, options.connectivity = connectivity, options.limit_mm = limit;
        return contrast_threshold(image, region, options);
      },
      py::arg("image"), py::arg("region"), py::arg("mean_weight"), py::arg("background_weight"),
      py::arg("shell_inner_mm"), py::arg("shell_outer_mm"), py::arg("iterations"), py::arg("connectivity"),
      py::arg("limit_mm"), ReleaseGil());
  m.def(
      "grow_from_points",
      [](const Image& image, const std::vector<Index3>& seeds, double lower, double upper, int64_t connectivity) {
        return grow(image, seeds, lower, upper, connectivity);
      },
      py::arg("image"), py::arg("seeds"), py::arg("lower"), py::arg("upper"), py::arg("connectivity"), ReleaseGil());
  m.def(
      "grow_from_mask",
      [](const Image& image, const Mask& seeds, double lower, double upper, int64_t connectivity) {
        return grow(image, seeds, lower, upper, connectivity);
      },
      py::arg("image"), py::arg("seeds"), py::arg("lower"), py::arg("upper"), py::arg("connectivity"), ReleaseGil());
  m.def("gradient_magnitude", &gradient_magnitude, py::arg("image"), py::arg("sigma_mm"), ReleaseGil());
  m.def("watershed", &watershed, py::arg("relief"), py::arg("markers"), py::arg("connectivity"), ReleaseGil());
  bind_metrics(m);
  bind_segmentation_planning(m);
  bind_model(m);
  bind_segmentation_augment(m);
}
