// SPDX-License-Identifier: Apache-2.0
#include "monitor.h"
#include "settings.h"

#include <vesalius/segmentation/model.h>
#include <vesalius/segmentation/network_plan.h>
#include <vesalius/segmentation/safetensors.h>
#include <vesalius/segmentation/sliding_window.h>

using namespace vesalius;
using namespace vesalius::segmentation;

namespace {

using Weights = std::map<std::string, TensorMap>;

void bind_options(py::module_& m) {
  py::class_<PredictOptions>(m, "PredictOptions", "See vesalius.segmentation.Model.predict.")
      .def(py::init<>())
      .def_readwrite("mirroring", &PredictOptions::mirroring)
      .def_readwrite("step", &PredictOptions::step)
      .def_readwrite("batch", &PredictOptions::batch)
      .def_readwrite("precision", &PredictOptions::precision)
      .def_readwrite("device", &PredictOptions::device)
      .def_readwrite("devices", &PredictOptions::devices)
      .def_readwrite("skip_background", &PredictOptions::skip_background)
      .def_readwrite("folds", &PredictOptions::folds)
      .def_readwrite("probabilities", &PredictOptions::probabilities)
      .def_readwrite("entropy", &PredictOptions::entropy)
      .def_readwrite("disagreement", &PredictOptions::disagreement);
  py::class_<Prediction>(m, "Prediction", "A mask, and what else was asked for: images on the same grid, or None.")
      .def_readonly("mask", &Prediction::mask)
      .def_readonly("probabilities", &Prediction::probabilities, "float32 [classes or regions, z, y, x]")
      .def_readonly("entropy", &Prediction::entropy, "nats [z, y, x]")
      .def_readonly("disagreement", &Prediction::disagreement, "nats [z, y, x]");
}

/// A Python callable of tiles seen from C++ threads that don't hold the GIL.
TileNetwork python_network(const py::object& callable) {
  auto held = std::shared_ptr<py::object>(new py::object(callable), [](py::object* o) {
    const py::gil_scoped_acquire gil;
    delete o;
  });
  return [held](const at::Tensor& tiles) {
    const py::gil_scoped_acquire gil;
    return std::vector<at::Tensor>{(*held)(tiles).cast<at::Tensor>()};
  };
}

}  // namespace

void bind_segmentation_bundles(py::module_& m, py::class_<Model>& model) {
  bind_options(m);
  bind_settings<NetworkPlan>(m, "NetworkPlan", "plan.yaml of a network's bundle; see vesalius.segmentation.Model.")
      .def_static("from_plans", &NetworkPlan::from_plans, py::arg("plans"), py::arg("configuration"), py::arg("labels"),
                  py::arg("channels"), "Of the planner's plans: one configuration.")
      .def_static("from_nnunet", &NetworkPlan::from_nnunet, py::arg("plans_json"), py::arg("dataset_json"),
                  py::arg("configuration"), "Of the text of nnU-Net's plans.json and dataset.json.")
      .def("validate", &NetworkPlan::validate)
      .def("preprocess", &NetworkPlan::preprocess)
      .def("label_set", &NetworkPlan::label_set)
      .def_property_readonly("spec", [](const NetworkPlan& p) { return p.network; }, "The NetworkSpec.");
  m.def(
      "network_model",
      [](const NetworkPlan& plan, const Weights& weights, const std::string& card, const Model* previous) {
        return Model(plan, weights, card, previous);
      },
      py::arg("plan"), py::arg("weights"), py::arg("card"), py::arg("previous"), ReleaseGil());
  model
      .def(
          "predict_network",
          [](const Model& self, const Image& image, const PredictOptions& options, const py::object& progress) {
            PyMonitor monitor(progress);
            const py::gil_scoped_release release;
            return self.predict(image, options, &monitor);
          },
          py::arg("image"), py::arg("options"), py::arg("progress"))
      .def(
          "logits",
          [](const Model& self, const Image& image, const PredictOptions& options) {
            return self.logits(image, options);
          },
          py::arg("image"), py::arg("options"), ReleaseGil())
      .def_property_readonly("has_network", &Model::has_network)
      .def_property_readonly("network_plan", &Model::network_plan)
      .def_property_readonly("weights", &Model::weights);
  m.def(
      "read_safetensors",
      [](const std::string& path) {
        SafeTensors read;
        {
          const py::gil_scoped_release release;
          read = read_safetensors(path);
        }
        return py::make_tuple(read.tensors, read.metadata);
      },
      py::arg("path"));
  m.def("write_safetensors", &write_safetensors, py::arg("path"), py::arg("tensors"),
        py::arg("metadata") = std::map<std::string, std::string>{}, ReleaseGil());
  m.def("gaussian_weights", &gaussian_weights, py::arg("tile"));
  m.def("tile_starts", &tile_starts, py::arg("length"), py::arg("tile"), py::arg("step"));
  m.def(
      "sliding_window",
      [](const py::object& network, const at::Tensor& image, int64_t num_classes, const std::vector<int64_t>& patch,
         double step, bool gaussian, const std::vector<int64_t>& mirror_axes, int64_t batch, bool skip_constant,
         const py::object& progress) {
        const TileNetwork tiles = python_network(network);
        PyMonitor monitor(progress);
        const py::gil_scoped_release release;
        at::Tensor out;
        sliding_window(
            tiles, image, 1, num_classes,
            {.patch = patch,
             .step = step,
             .gaussian = gaussian,
             .mirror_axes = mirror_axes,
             .batch = batch,
             .skip_constant = skip_constant},
            [&](int64_t first, const at::Tensor& planes) {
              if (!out.defined()) out = planes.new_empty({num_classes, image.size(1), image.size(2), image.size(3)});
              out.narrow(1, first, planes.size(2)).copy_(planes[0]);
            },
            &monitor);
        return out;
      },
      py::arg("network"), py::arg("image"), py::arg("num_classes"), py::arg("patch"), py::arg("step"),
      py::arg("gaussian"), py::arg("mirror_axes"), py::arg("batch"), py::arg("skip_constant"), py::arg("progress"));
}
