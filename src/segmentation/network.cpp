// SPDX-License-Identifier: Apache-2.0
#include <vesalius/segmentation/network.h>

#include <vesalius/core/error.h>

#include "segmentation/layers.h"

namespace vesalius::segmentation {
namespace {

std::string sizes_text(c10::IntArrayRef sizes) {
  std::string out = "[";
  for (size_t i = 0; i < sizes.size(); ++i) out += (i ? ", " : "") + std::to_string(sizes[i]);
  return out + "]";
}

}  // namespace

std::vector<at::Tensor> Network::forward(const at::Tensor& x) {
  const std::string name = to_string(spec_.kind);
  if (!x.defined() || x.dim() != spec_.dimension + 2 || x.size(1) != spec_.in_channels)
    throw ShapeError(name + " takes [batch, " + std::to_string(spec_.in_channels) +
                     (spec_.dimension == 3 ? ", z, y, x]" : ", y, x]") + "; got " +
                     (x.defined() ? sizes_text(x.sizes()) : "no tensor"));
  const auto divisor = spec_.divisor();
  for (int64_t a = 0; a < spec_.dimension; ++a)
    if (x.size(a + 2) % divisor[a] || x.size(a + 2) == 0)
      throw ShapeError(name + " halves its input until its sizes must be multiples of " + sizes_text(divisor) +
                       "; got " + sizes_text(x.sizes().slice(2)) + ". Pad it");
  return run(x);
}

std::shared_ptr<Network> build_network(const NetworkSpec& given) {
  const NetworkSpec spec = given.completed();
  switch (spec.kind) {
    case NetworkKind::plain_unet:
    case NetworkKind::small_unet:
      return make_plain_unet(spec);
    case NetworkKind::residual_unet:
      return make_residual_unet(spec);
    case NetworkKind::unet:
      return make_unet(spec);
    case NetworkKind::segresnet:
      return make_segresnet(spec);
    case NetworkKind::attention_unet:
      return make_attention_unet(spec);
    case NetworkKind::vnet:
      return make_vnet(spec);
    case NetworkKind::resnet_classifier:
      return make_resnet_classifier(spec);
    case NetworkKind::efficientnet_classifier:
      return make_efficientnet(spec);
  }
  throw InvalidArgument("unknown kind of network");
}

}  // namespace vesalius::segmentation
