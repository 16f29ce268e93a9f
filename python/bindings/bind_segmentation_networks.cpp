// SPDX-License-Identifier: Apache-2.0
#include "settings.h"

#include <vesalius/segmentation/losses.h>
#include <vesalius/segmentation/network.h>

using namespace vesalius;
using namespace vesalius::segmentation;

namespace {

/// A Python callable `tap(input, output) -> tensor or None` seen from C++; it lives and dies under the GIL.
std::function<at::Tensor(const at::Tensor&, const at::Tensor&)> python_tap(const py::object& callable) {
  if (callable.is_none()) return nullptr;
  auto held = std::shared_ptr<py::object>(new py::object(callable), [](py::object* o) {
    const py::gil_scoped_acquire gil;
    delete o;
  });
  return [held](const at::Tensor& x, const at::Tensor& y) {
    const py::gil_scoped_acquire gil;
    const py::object given = (*held)(x, y);
    return given.is_none() ? y : given.cast<at::Tensor>();
  };
}

template <class Items>
py::list named(const Items& items) {
  py::list out;
  for (const auto& item : items) out.append(py::make_tuple(item.key(), item.value()));
  return out;
}

void bind_network(py::module_& m) {
  py::class_<Network, std::shared_ptr<Network>>(m, "Network", "The C++ side of vesalius.segmentation.networks.Network.")
      .def(py::init(&build_network), py::arg("spec"))
      .def_property_readonly("spec", &Network::spec)
      .def("forward", &Network::forward, py::arg("x"), ReleaseGil())
      .def("named_parameters", [](const Network& self) { return named(self.named_parameters()); })
      .def("named_buffers", [](const Network& self) { return named(self.named_buffers()); })
      .def("module_names",
           [](const Network& self) {
             std::vector<std::string> names;
             for (const auto& item : self.named_modules("", false)) names.push_back(item.key());
             return names;
           })
      .def("train",
           [](Network& self, const std::string& name, bool on) {
             if (name.empty()) return self.train(on);
             const auto modules = self.named_modules("", false);
             if (const auto* module = modules.find(name)) (*module)->train(on);
           })
      .def("set_tap", [](Network& self, const std::string& name, const py::object& callable) {
        const auto modules = self.named_modules("", false);
        const auto* module = modules.find(name);
        auto* layer = module ? dynamic_cast<Layer*>(module->get()) : nullptr;
        if (layer) layer->tap = python_tap(callable);
        return layer != nullptr;
      });
}

LossOptions options_of(bool regions, bool include_background, bool batch, std::optional<int64_t> ignore_label,
                       double smooth_numerator, double smooth_denominator) {
  return {regions, include_background, batch, ignore_label, smooth_numerator, smooth_denominator};
}

at::Tensor given(const std::optional<at::Tensor>& t) { return t ? *t : at::Tensor(); }

void bind_losses(py::module_& parent) {
  using Maybe = std::optional<at::Tensor>;
  auto m = parent.def_submodule("losses", "See vesalius.segmentation.losses.");
  py::class_<LossOptions>(m, "LossOptions")
      .def(py::init(&options_of), py::arg("regions"), py::arg("include_background"), py::arg("batch"),
           py::arg("ignore_label"), py::arg("smooth_numerator"), py::arg("smooth_denominator"));
  m.def(
      "soft_dice",
      [](const at::Tensor& x, const at::Tensor& t, const LossOptions& o, const Maybe& mask) {
        return soft_dice_loss(x, t, o, given(mask));
      },
      ReleaseGil());
  m.def(
      "generalised_dice",
      [](const at::Tensor& x, const at::Tensor& t, const LossOptions& o, const Maybe& mask) {
        return generalised_dice_loss(x, t, o, given(mask));
      },
      ReleaseGil());
  m.def(
      "cross_entropy",
      [](const at::Tensor& x, const at::Tensor& t, const LossOptions& o, const Maybe& mask, const Maybe& weight) {
        return cross_entropy_loss(x, t, o, given(mask), given(weight));
      },
      ReleaseGil());
  m.def(
      "focal",
      [](const at::Tensor& x, const at::Tensor& t, double gamma, const LossOptions& o, const Maybe& mask,
         const Maybe& alpha) { return focal_loss(x, t, gamma, o, given(mask), given(alpha)); },
      ReleaseGil());
  m.def(
      "tversky",
      [](const at::Tensor& x, const at::Tensor& t, double alpha, double beta, double gamma, const LossOptions& o,
         const Maybe& mask) { return tversky_loss(x, t, alpha, beta, gamma, o, given(mask)); },
      ReleaseGil());
  m.def(
      "boundary",
      [](const at::Tensor& x, const at::Tensor& distances, const LossOptions& o, const Maybe& mask) {
        return boundary_loss(x, distances, o, given(mask));
      },
      ReleaseGil());
  m.def("signed_distance_maps", &signed_distance_maps, ReleaseGil());
  m.def(
      "cldice",
      [](const at::Tensor& x, const at::Tensor& t, int64_t iterations, double smooth, const LossOptions& o,
         const Maybe& mask) { return cldice_loss(x, t, iterations, smooth, o, given(mask)); },
      ReleaseGil());
  m.def("deep_supervision_weights", &deep_supervision_weights);
  m.def("downsample_target", &downsample_target, ReleaseGil());
}

}  // namespace

void bind_segmentation_networks(py::module_& m) {
  bind_settings<NetworkSpec>(m, "NetworkSpec", "What `networks.build` builds; see vesalius.segmentation.networks.")
      .def("completed", &NetworkSpec::completed, "Every list filled in with the kind's defaults.")
      .def_property_readonly("divisor", [](const NetworkSpec& s) { return s.completed().divisor(); });
  m.def("residual_encoder_blocks", &residual_encoder_blocks);
  bind_network(m);
  bind_losses(m);
}
