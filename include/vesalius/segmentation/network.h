// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include <torch/nn/module.h>

#include <vesalius/core/export.h>
#include <vesalius/segmentation/network_spec.h>

/// A network header (docs/architecture.md): it includes torch::nn's Module, about 10 s to compile.
namespace vesalius::segmentation {

/// A step of a network that takes a tensor and gives one. `tap`, when set, sees its output and may replace it: Python's
/// forward hooks, Grad-CAM.
class VESALIUS_API Layer : public torch::nn::Module {
 public:
  at::Tensor operator()(const at::Tensor& x) {
    at::Tensor y = forward(x);
    return tap ? tap(x, y) : y;
  }
  virtual at::Tensor forward(const at::Tensor& x) = 0;
  std::function<at::Tensor(const at::Tensor& input, const at::Tensor& output)> tap;
};

/// A torch::nn::Module with a spec. Parameters are named as nnU-Net's (plain_unet, residual_unet), MONAI's (unet, segresnet,
/// attention_unet, vnet) or torchvision's (efficientnet_classifier in 2D) state dict names them; docs/segmentation-networks.md.
class VESALIUS_API Network : public torch::nn::Module {
 public:
  explicit Network(NetworkSpec spec) : spec_(std::move(spec)) {}

  /// Logits `[batch, num_classes, …]`, the full resolution first; more than one in train mode with deep supervision.
  /// @param x `[batch, in_channels, (z,) y, x]`, each axis a multiple of `spec().divisor()`.
  /// @throws ShapeError for another shape.
  std::vector<at::Tensor> forward(const at::Tensor& x);
  /// The full resolution only.
  at::Tensor operator()(const at::Tensor& x) { return forward(x)[0]; }

  const NetworkSpec& spec() const { return spec_; }

 protected:
  virtual std::vector<at::Tensor> run(const at::Tensor& x) = 0;
  NetworkSpec spec_;
};

/// A network with freshly drawn weights (torch's default generator; `at::manual_seed`), on the CPU, float32, in train mode.
/// @throws InvalidArgument as `NetworkSpec::completed`.
VESALIUS_API std::shared_ptr<Network> build_network(const NetworkSpec& spec);

}  // namespace vesalius::segmentation
