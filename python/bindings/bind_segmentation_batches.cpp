// SPDX-License-Identifier: Apache-2.0
#include "settings.h"

#include <vesalius/segmentation/patch_augment.h>
#include <vesalius/segmentation/batch_sampler.h>

using namespace vesalius;
using namespace vesalius::segmentation;

void bind_segmentation_batches(py::module_& m) {
  bind_settings<AugmentOptions>(m, "AugmentOptions",
                                R"(Probabilities and ranges of the augmentation; the defaults are nnU-Net v2's.

Angles in radians; `noise` a standard deviation; `blur` a sigma in voxels; `scaling` of the sampling grid (above 1 objects
shrink); `spatial_2d` turns within slices only; `masked_channels` are set to 0 outside the nonzero mask.)")
      .def_static("for_patch", &AugmentOptions::for_patch, py::arg("patch_size"),
                  "nnU-Net's choice for a patch of 2 or 3 axes.");
  py::class_<DrawnAugmentation>(m, "DrawnAugmentation", "What was drawn for one sample.")
      .def(py::init<>())
      .def_readwrite("angles", &DrawnAugmentation::angles)
      .def_readwrite("scale", &DrawnAugmentation::scale)
      .def_readwrite("mirror", &DrawnAugmentation::mirror)
      .def_readwrite("noise", &DrawnAugmentation::noise)
      .def_readwrite("noise_seed", &DrawnAugmentation::noise_seed)
      .def_readwrite("blur", &DrawnAugmentation::blur)
      .def_readwrite("brightness", &DrawnAugmentation::brightness)
      .def_readwrite("contrast", &DrawnAugmentation::contrast)
      .def_readwrite("low_resolution", &DrawnAugmentation::low_resolution)
      .def_readwrite("gamma_inverted", &DrawnAugmentation::gamma_inverted)
      .def_readwrite("gamma", &DrawnAugmentation::gamma);
  m.def("draw_augmentation", &draw_augmentation, py::arg("options"), py::arg("channels"), py::arg("seed"),
        py::arg("index"), py::arg("sample"));
  m.def(
      "apply_augmentation",
      [](const at::Tensor& image, const at::Tensor& labels, const Index3& start, const Index3& size,
         const Index3& patch, const DrawnAugmentation& drawn, const AugmentOptions& options) {
        const auto out = apply_augmentation(image, labels, start, size, patch, drawn, options);
        return std::make_pair(out.image, out.labels);
      },
      py::arg("image"), py::arg("labels"), py::arg("start"), py::arg("size"), py::arg("patch"), py::arg("drawn"),
      py::arg("options"), ReleaseGil());
  m.def("initial_patch_size", &initial_patch_size, py::arg("patch_size"), py::arg("options"));
  m.def("draw_patch_start", &draw_patch_start, py::arg("case"), py::arg("load"), py::arg("fit"), py::arg("foreground"),
        py::arg("has_ignore"), py::arg("seed"), py::arg("index"), py::arg("sample"));
  py::class_<BatchSampler>(m, "BatchSampler",
                           "Batches of patches, made ahead by threads. Batch i depends on i and the seed only.")
      .def(py::init([](std::vector<CachedCase> cases, std::vector<int64_t> patch, int64_t batch, double foreground,
                       uint64_t seed, bool augment, int64_t threads, int64_t prefetch,
                       const std::optional<AugmentOptions>& options, bool has_ignore) {
             const AugmentOptions chosen = options ? *options : AugmentOptions::for_patch(patch);
             return std::make_unique<BatchSampler>(
                 std::move(cases),
                 SamplerOptions{std::move(patch), batch, foreground, seed, augment, threads, prefetch}, chosen,
                 has_ignore);
           }),
           py::arg("cases"), py::kw_only(), py::arg("patch_size"), py::arg("batch_size") = 2,
           py::arg("foreground") = 0.33, py::arg("seed") = 0, py::arg("augment") = true, py::arg("threads") = 1,
           py::arg("prefetch") = 4, py::arg("augmentation") = py::none(), py::arg("has_ignore") = false)
      .def(
          "get",
          [](BatchSampler& self, int64_t index) {
            Batch batch;
            {
              py::gil_scoped_release release;
              batch = self.get(index);
            }
            return py::make_tuple(batch.image, batch.labels, batch.cases);
          },
          py::arg("index"),
          "Batch `index`: image float32 [b, c, …], labels int16 [b, …], and the cases' positions in the list.");
}
