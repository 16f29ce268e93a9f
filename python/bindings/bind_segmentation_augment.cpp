// SPDX-License-Identifier: Apache-2.0
#include "monitor.h"
#include "settings.h"

#include <vesalius/segmentation/augment.h>
#include <vesalius/segmentation/sampler.h>

using namespace vesalius;
using namespace vesalius::segmentation;

namespace {

using Maybe = std::optional<at::Tensor>;
at::Tensor or_none(const Maybe& t) { return t ? *t : at::Tensor(); }

py::tuple pair_of(const Augmented& made) { return py::make_tuple(made.image, made.label); }

void bind_augmentation(py::module_& m) {
  bind_settings<AugmentationSettings>(m, "AugmentationSettings",
                                      R"(Probabilities and ranges of nnU-Net v2's augmentation.

Every field is a keyword with nnU-Net's default; see docs/segmentation-augmentation.md for the list in its order.)")
      .def("resolved", &AugmentationSettings::resolved, py::arg("patch_size"),
           "With rotation, dummy 2D and mirror axes filled in by nnU-Net's rules for this patch.")
      .def_static("none", &AugmentationSettings::none, "Every probability 0: only the crop.");
  py::class_<AugmentationDraw>(m, "AugmentationDraw", "What was drawn for one sample.")
      .def(py::init<>())
      .def_readwrite("spatial", &AugmentationDraw::spatial)
      .def_readwrite("angles", &AugmentationDraw::angles)
      .def_readwrite("scale", &AugmentationDraw::scale)
      .def_readwrite("mirror_axes", &AugmentationDraw::mirror_axes)
      .def_readwrite("noise_sigma", &AugmentationDraw::noise_sigma)
      .def_readwrite("noise_seed", &AugmentationDraw::noise_seed)
      .def_readwrite("blur_sigma", &AugmentationDraw::blur_sigma)
      .def_readwrite("brightness", &AugmentationDraw::brightness)
      .def_readwrite("contrast", &AugmentationDraw::contrast)
      .def_readwrite("low_resolution", &AugmentationDraw::low_resolution)
      .def_readwrite("gamma_inverted", &AugmentationDraw::gamma_inverted)
      .def_readwrite("gamma", &AugmentationDraw::gamma)
      .def_property(
          "morphology",
          [](const AugmentationDraw& d) {
            std::vector<std::tuple<int64_t, int, double>> out;
            for (const auto& o : d.morphology) out.emplace_back(o.channel, static_cast<int>(o.kind), o.radius);
            return out;
          },
          [](AugmentationDraw& d, const std::vector<std::tuple<int64_t, int, double>>& given) {
            d.morphology.clear();
            for (const auto& [channel, kind, radius] : given)
              d.morphology.push_back({channel, static_cast<Morphology>(kind), radius});
          },
          "(channel, 0 dilate / 1 erode / 2 close / 3 open, radius) in order.")
      .def_property(
          "removals",
          [](const AugmentationDraw& d) {
            std::vector<std::pair<int64_t, double>> out;
            for (const auto& r : d.removals) out.emplace_back(r.channel, r.choice);
            return out;
          },
          [](AugmentationDraw& d, const std::vector<std::pair<int64_t, double>>& given) {
            d.removals.clear();
            for (const auto& [channel, choice] : given) d.removals.push_back({channel, choice});
          },
          "(channel, choice in [0, 1)) in order.");
  py::class_<Augmentation>(m, "Augmentation", "The C++ side of vesalius.segmentation.augmentation.Augmentation.")
      .def(py::init<const AugmentationSettings&, std::vector<int64_t>>(), py::arg("settings"), py::arg("patch_size"))
      .def_property_readonly("settings", &Augmentation::settings)
      .def_property_readonly("patch_size", &Augmentation::patch_size)
      .def_property_readonly("initial_patch_size", &Augmentation::initial_patch_size)
      .def(
          "draw",
          [](const Augmentation& self, uint64_t seed, int64_t epoch, int64_t iteration, int64_t sample,
             int64_t channels) { return self.draw({seed, epoch, iteration, sample}, channels); },
          py::arg("seed"), py::arg("epoch"), py::arg("iteration"), py::arg("sample"), py::arg("channels"))
      .def(
          "apply",
          [](const Augmentation& self, const at::Tensor& image, const at::Tensor& label, const AugmentationDraw& draw,
             const Maybe& previous) {
            Augmented made;
            {
              const py::gil_scoped_release release;
              made = self.apply(image, label, draw, or_none(previous));
            }
            return pair_of(made);
          },
          py::arg("image"), py::arg("label"), py::arg("draw"), py::arg("previous") = py::none())
      .def(
          "apply_window",
          [](const Augmentation& self, const at::Tensor& image, const at::Tensor& label,
             const std::array<int64_t, 3>& start, const std::array<int64_t, 3>& shape, const AugmentationDraw& draw,
             const Maybe& previous) {
            Augmented made;
            {
              const py::gil_scoped_release release;
              made = self.apply_window(image, label, start, shape, draw, or_none(previous));
            }
            return pair_of(made);
          },
          py::arg("image"), py::arg("label"), py::arg("start"), py::arg("shape"), py::arg("draw"),
          py::arg("previous") = py::none());
}

transforms::Spatial spatial_of(std::vector<double> angles, double scale, std::vector<int64_t> mirror, bool dummy_2d) {
  return {std::move(angles), scale, std::move(mirror), dummy_2d};
}

void bind_transforms(py::module_& parent) {
  auto m = parent.def_submodule("transforms", "See vesalius.segmentation.augmentation.");
  m.def(
      "spatial_image",
      [](const at::Tensor& x, const std::vector<int64_t>& patch, std::vector<double> angles, double scale,
         std::vector<int64_t> mirror, bool dummy_2d) {
        return transforms::spatial_image(x, patch, spatial_of(std::move(angles), scale, std::move(mirror), dummy_2d));
      },
      ReleaseGil());
  m.def(
      "spatial_label",
      [](const at::Tensor& x, const std::vector<int64_t>& patch, std::vector<double> angles, double scale,
         std::vector<int64_t> mirror, bool dummy_2d, int64_t outside) {
        return transforms::spatial_label(x, patch, spatial_of(std::move(angles), scale, std::move(mirror), dummy_2d),
                                         outside);
      },
      ReleaseGil());
  m.def("gaussian_noise", &transforms::gaussian_noise, ReleaseGil());
  m.def("gaussian_blur", &transforms::gaussian_blur, ReleaseGil());
  m.def("brightness", &transforms::brightness, ReleaseGil());
  m.def("contrast", &transforms::contrast, ReleaseGil());
  m.def("low_resolution", &transforms::low_resolution, ReleaseGil());
  m.def("gamma", &transforms::gamma, ReleaseGil());
  m.def(
      "morphology",
      [](const at::Tensor& mask, int kind, double radius) {
        return transforms::morphology(mask, static_cast<Morphology>(kind), radius);
      },
      ReleaseGil());
  m.def("remove_component", &transforms::remove_component, ReleaseGil());
  m.def("label_to_regions", &label_to_regions, ReleaseGil());
  m.def("deep_supervision_targets", &deep_supervision_targets, ReleaseGil());
}

py::dict dict_of(const PatchBatch& batch, bool list) {
  py::dict out;
  out["image"] = batch.image;
  out["label"] = list ? py::object(py::cast(batch.labels)) : py::object(py::cast(batch.labels[0]));
  out["keys"] = batch.keys;
  out["epoch"] = batch.epoch;
  out["iteration"] = batch.iteration;
  return out;
}

void bind_sampler(py::module_& m) {
  py::class_<SamplerCase>(m, "SamplerCase", "One case to draw patches from.")
      .def(py::init([](std::string id, at::Tensor image, at::Tensor labels, std::vector<std::vector<int64_t>> classes,
                       std::vector<at::Tensor> locations, const Maybe& previous) {
             return SamplerCase(std::move(id), std::move(image), std::move(labels),
                                {std::move(classes), std::move(locations)}, or_none(previous));
           }),
           py::arg("id"), py::arg("image"), py::arg("labels"), py::arg("classes"), py::arg("locations"),
           py::arg("previous") = py::none())
      .def_readonly("id", &SamplerCase::id)
      .def_readonly("image", &SamplerCase::image)
      .def_readonly("labels", &SamplerCase::labels);
  py::class_<PatchSampler>(m, "PatchSampler", "The C++ side of vesalius.segmentation.sampling.PatchSampler.")
      .def(py::init([](std::vector<SamplerCase> cases, std::vector<int64_t> patch, int64_t batch, double oversample,
                       uint64_t seed, std::vector<std::vector<int64_t>> regions, std::optional<int64_t> ignore,
                       std::vector<std::vector<double>> scales, const Augmentation* augmentation) {
        return PatchSampler(std::move(cases),
                            {std::move(patch), batch, oversample, seed, std::move(regions), ignore, std::move(scales)},
                            augmentation ? std::optional<Augmentation>(*augmentation) : std::nullopt);
      }))
      .def(
          "batch",
          [](const PatchSampler& self, int64_t epoch, int64_t iteration) {
            PatchBatch batch;
            {
              const py::gil_scoped_release release;
              batch = self.batch(epoch, iteration);
            }
            return dict_of(batch, !self.options().deep_supervision.empty());
          },
          py::arg("epoch"), py::arg("iteration"))
      .def(
          "window",
          [](const PatchSampler& self, int64_t epoch, int64_t iteration, int64_t sample) {
            const PatchWindow w = self.window(epoch, iteration, sample);
            using namespace pybind11::literals;
            return py::dict("case"_a = self.cases()[w.case_index].id, "forced"_a = w.forced,
                            "class"_a = w.selected_class, "start"_a = w.start, "shape"_a = w.shape);
          },
          py::arg("epoch"), py::arg("iteration"), py::arg("sample"))
      .def("raw_sample", &PatchSampler::raw_sample, py::arg("epoch"), py::arg("iteration"), py::arg("sample"),
           ReleaseGil());
  py::class_<PatchLoader>(m, "PatchLoader", "Batches in order, made ahead on threads.")
      .def(py::init<const PatchSampler&, int64_t, int64_t, int64_t, int64_t, int64_t>(), py::arg("sampler"),
           py::arg("first"), py::arg("last"), py::arg("iterations"), py::arg("threads"), py::arg("prefetch"))
      .def(
          "next",
          [](PatchLoader& self, bool list) -> py::object {
            PyMonitor monitor{py::none()};
            std::optional<PatchBatch> batch;
            {
              const py::gil_scoped_release release;
              batch = self.next(&monitor);
            }
            return batch ? py::object(dict_of(*batch, list)) : py::object(py::none());
          },
          py::arg("list"));
}

}  // namespace

void bind_segmentation_augment(py::module_& m) {
  bind_augmentation(m);
  bind_transforms(m);
  bind_sampler(m);
}
