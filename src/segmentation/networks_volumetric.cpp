// SPDX-License-Identifier: Apache-2.0
// SegResNet (Myronenko 2018, arXiv 1810.11654) and V-Net (Milletari et al. 2016, arXiv 1606.04797); children are named as
// MONAI's state dicts name them.
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/feature_dropout.h>
#include <ATen/ops/relu.h>

#include "segmentation/layers.h"

namespace vesalius::segmentation {
namespace {

/// MONAI's bare convolution: a child "conv" without bias unless asked.
class NamedConv : public Layer {
 public:
  NamedConv(int64_t in, int64_t out, const Sizes& kernel, const Sizes& stride, bool bias = false)
      : conv_(register_module("conv",
                              std::make_shared<Conv>(in, out, kernel, ConvOptions{.stride = stride, .bias = bias}))) {}
  at::Tensor forward(const at::Tensor& x) override { return (*conv_)(x); }
  bool inner_tap() const { return static_cast<bool>(conv_->tap); }

 private:
  std::shared_ptr<Conv> conv_;
};

/// Pre-activation: norm, ReLU, convolution, twice.
class PreActBlock : public Layer {
 public:
  PreActBlock(int64_t features, const Sizes& kernel) {
    const Sizes one = ones(static_cast<int64_t>(kernel.size()));
    norm1_ = register_module("norm1", std::make_shared<NormLayer>(Norm::group8, features));
    norm2_ = register_module("norm2", std::make_shared<NormLayer>(Norm::group8, features));
    conv1_ = register_module("conv1", std::make_shared<NamedConv>(features, features, kernel, one));
    conv2_ = register_module("conv2", std::make_shared<NamedConv>(features, features, kernel, one));
  }
  at::Tensor forward(const at::Tensor& x) override {
    const at::Tensor y = (*conv1_)(norm1_->forward_activated(x, Activation::relu));
    // Without gradients nobody else holds the convolution's output, unless a hook does.
    const at::Tensor z =
        (*conv2_)(norm2_->forward_activated(y, Activation::relu, !conv1_->tap && !conv1_->inner_tap()));
    return !at::GradMode::is_enabled() && !conv2_->tap && !conv2_->inner_tap() ? z.add_(x) : z.add(x);
  }

 private:
  std::shared_ptr<NormLayer> norm1_, norm2_;
  std::shared_ptr<NamedConv> conv1_, conv2_;
};

class SegResNet : public Network {
 public:
  explicit SegResNet(const NetworkSpec& spec) : Network(spec) {
    const int64_t n = spec.stages(), d = spec.dimension;
    const auto& f = spec.features_per_stage;
    const Sizes one = ones(d), two = filled(d, 2);
    init_ = register_module("convInit", std::make_shared<NamedConv>(spec.in_channels, f[0], spec.kernel(0), one));
    down_ = register_module("down_layers", std::make_shared<Chain>());
    up_ = register_module("up_layers", std::make_shared<Chain>());
    upsample_ = register_module("up_samples", std::make_shared<Chain>());
    for (int64_t s = 0; s < n; ++s) {
      auto stage = std::make_shared<Chain>();
      stage->push_back(s ? std::make_shared<NamedConv>(f[s - 1], f[s], spec.kernel(s), two) : nullptr);
      for (int64_t i = 0; i < spec.n_conv_per_stage[s]; ++i)
        stage->push_back(std::make_shared<PreActBlock>(f[s], spec.kernel(s)));
      down_->push_back(stage);
    }
    for (int64_t s = n - 2; s >= 0; --s) {
      upsample_->push_back(std::make_shared<Chain>(std::vector<LayerPtr>{
          std::make_shared<NamedConv>(f[s + 1], f[s], one, one), std::make_shared<Upsample>(two)}));
      auto stage = std::make_shared<Chain>();
      for (int64_t i = 0; i < spec.n_conv_per_stage_decoder[n - 2 - s]; ++i)
        stage->push_back(std::make_shared<PreActBlock>(f[s], spec.kernel(s)));
      up_->push_back(stage);
    }
    auto norm = std::make_shared<NormLayer>(Norm::group8, f[0]);
    final_ = register_module("conv_final",
                             std::make_shared<Chain>(std::vector<LayerPtr>{
                                 norm, std::make_shared<Act>(Activation::relu),
                                 std::make_shared<NamedConv>(f[0], spec.num_classes, one, one, /*bias=*/true)}));
  }

 protected:
  std::vector<at::Tensor> run(const at::Tensor& x) override {
    at::Tensor y = (*init_)(x);
    std::vector<at::Tensor> skips;
    for (size_t s = 0; s < down_->size(); ++s) skips.push_back(y = (*(*down_)[s])(y));
    for (size_t s = 0; s < up_->size(); ++s) {
      skips.pop_back();
      y = (*(*up_)[s])((*(*upsample_)[s])(y).add(skips.back()));
    }
    return {(*final_)(y)};
  }

 private:
  std::shared_ptr<NamedConv> init_;
  std::shared_ptr<Chain> down_, up_, upsample_, final_;
};

LayerPtr vnet_activation(const NetworkSpec& spec, int64_t features) {
  if (spec.activation == "prelu") return std::make_shared<Prelu>(features);
  return std::make_shared<Act>(Activation::elu);
}

class ConvBatch : public Layer {
 public:
  ConvBatch(int64_t in, int64_t out, const Sizes& kernel) {
    conv_ = register_module("conv", std::make_shared<Conv>(in, out, kernel, ConvOptions{.bias = false}));
    auto adn = register_module("adn", std::make_shared<Chain>());
    adn->push_back("N", norm_ = std::make_shared<NormLayer>(Norm::batch, out));
  }
  at::Tensor forward(const at::Tensor& x) override { return (*norm_)((*conv_)(x)); }

 private:
  std::shared_ptr<Conv> conv_;
  std::shared_ptr<NormLayer> norm_;
};

class ConvUnit : public Layer {
 public:
  ConvUnit(const NetworkSpec& spec, int64_t features, const Sizes& kernel) {
    act_ = register_module("act_function", vnet_activation(spec, features));
    conv_ = register_module("conv_block", std::make_shared<ConvBatch>(features, features, kernel));
  }
  at::Tensor forward(const at::Tensor& x) override { return (*act_)((*conv_)(x)); }

 private:
  LayerPtr act_;
  std::shared_ptr<ConvBatch> conv_;
};

std::shared_ptr<Chain> units(const NetworkSpec& spec, int64_t features, int64_t level, int64_t count) {
  auto chain = std::make_shared<Chain>();
  for (int64_t i = 0; i < count; ++i) chain->push_back(std::make_shared<ConvUnit>(spec, features, spec.kernel(level)));
  return chain;
}

class VNetIn : public Layer {
 public:
  explicit VNetIn(const NetworkSpec& spec) : repeats_(spec.features_per_stage[0] / spec.in_channels) {
    act_ = register_module("act_function", vnet_activation(spec, spec.features_per_stage[0]));
    conv_ = register_module("conv_block",
                            std::make_shared<ConvBatch>(spec.in_channels, spec.features_per_stage[0], spec.kernel(0)));
  }
  at::Tensor forward(const at::Tensor& x) override {
    Sizes repeat(static_cast<size_t>(x.dim()), 1);
    repeat[1] = repeats_;
    return (*act_)((*conv_)(x).add(x.repeat(repeat)));
  }

 private:
  int64_t repeats_;
  LayerPtr act_;
  std::shared_ptr<ConvBatch> conv_;
};

class VNetDown : public Layer {
 public:
  VNetDown(const NetworkSpec& spec, int64_t level, double dropout) : dropout_(dropout) {
    const int64_t in = spec.features_per_stage[level - 1], out = spec.features_per_stage[level];
    const Sizes two = filled(spec.dimension, 2);
    conv_ =
        register_module("down_conv", std::make_shared<Conv>(in, out, two, ConvOptions{.stride = two, .bias = false}));
    norm_ = register_module("bn1", std::make_shared<NormLayer>(Norm::batch, out));
    act1_ = register_module("act_function1", vnet_activation(spec, out));
    act2_ = register_module("act_function2", vnet_activation(spec, out));
    ops_ = register_module("ops", units(spec, out, level, spec.n_conv_per_stage[level]));
  }
  at::Tensor forward(const at::Tensor& x) override {
    const at::Tensor down = (*act1_)((*norm_)((*conv_)(x)));
    const at::Tensor y = dropout_ > 0 ? at::feature_dropout(down, dropout_, is_training()) : down;
    return (*act2_)((*ops_)(y).add(down));
  }

 private:
  double dropout_;
  std::shared_ptr<Conv> conv_;
  std::shared_ptr<NormLayer> norm_;
  LayerPtr act1_, act2_;
  std::shared_ptr<Chain> ops_;
};

class VNetUp : public torch::nn::Module {
 public:
  VNetUp(const NetworkSpec& spec, int64_t in, int64_t out, int64_t level, double dropout, double skip_dropout)
      : dropout_(dropout), skip_dropout_(skip_dropout) {
    const Sizes two = filled(spec.dimension, 2);
    const int64_t step = spec.stages() - 2 - level;
    conv_ = register_module(
        "up_conv",
        std::make_shared<Conv>(in, out / 2, two,
                               ConvOptions{.stride = two, .transposed = true, .padding = filled(spec.dimension, 0)}));
    norm_ = register_module("bn1", std::make_shared<NormLayer>(Norm::batch, out / 2));
    act1_ = register_module("act_function1", vnet_activation(spec, out / 2));
    act2_ = register_module("act_function2", vnet_activation(spec, out));
    ops_ = register_module("ops", units(spec, out, level, spec.n_conv_per_stage_decoder[step]));
  }
  at::Tensor operator()(const at::Tensor& x, const at::Tensor& skip) {
    const at::Tensor below = dropout_ > 0 ? at::feature_dropout(x, dropout_, is_training()) : x;
    const at::Tensor beside = skip_dropout_ > 0 ? at::feature_dropout(skip, skip_dropout_, is_training()) : skip;
    const at::Tensor both = at::cat({(*act1_)((*norm_)((*conv_)(below))), beside}, 1);
    return (*act2_)((*ops_)(both).add(both));
  }

 private:
  double dropout_, skip_dropout_;
  std::shared_ptr<Conv> conv_;
  std::shared_ptr<NormLayer> norm_;
  LayerPtr act1_, act2_;
  std::shared_ptr<Chain> ops_;
};

class VNetOut : public Layer {
 public:
  explicit VNetOut(const NetworkSpec& spec) {
    const int64_t in = 2 * spec.features_per_stage[0], out = spec.num_classes;
    act_ = register_module("act_function1", vnet_activation(spec, out));
    conv_ = register_module("conv_block", std::make_shared<ConvBatch>(in, out, spec.kernel(0)));
    head_ = register_module("conv2", std::make_shared<Conv>(out, out, ones(spec.dimension), ConvOptions{}));
  }
  at::Tensor forward(const at::Tensor& x) override { return (*head_)((*act_)((*conv_)(x))); }

 private:
  LayerPtr act_;
  std::shared_ptr<ConvBatch> conv_;
  std::shared_ptr<Conv> head_;
};

class VNet : public Network {
 public:
  explicit VNet(const NetworkSpec& spec) : Network(spec) {
    const auto& f = spec.features_per_stage;
    const int64_t n = spec.stages();
    in_ = register_module("in_tr", std::make_shared<VNetIn>(spec));
    for (int64_t s = 1; s < n; ++s)
      down_.push_back(register_module("down_tr" + std::to_string(2 * f[s - 1]),
                                      std::make_shared<VNetDown>(spec, s, s >= n - 2 ? spec.dropout : 0.0)));
    // The deepest goes from f[n-1] to f[n-1], each above it to half its input; the paper's skips are dropped out too.
    int64_t from = f[n - 1];
    for (int64_t level = n - 2; level >= 0; --level) {
      const int64_t to = 2 * f[level];
      up_.push_back(register_module(
          "up_tr" + std::to_string(to),
          std::make_shared<VNetUp>(spec, from, to, level, level >= n - 3 ? spec.dropout : 0.0, spec.dropout)));
      from = to;
    }
    out_ = register_module("out_tr", std::make_shared<VNetOut>(spec));
  }

 protected:
  std::vector<at::Tensor> run(const at::Tensor& x) override {
    std::vector<at::Tensor> skips{(*in_)(x)};
    for (const auto& down : down_) skips.push_back((*down)(skips.back()));
    at::Tensor y = skips.back();
    for (const auto& up : up_) {
      skips.pop_back();
      y = (*up)(y, skips.back());
    }
    return {(*out_)(y)};
  }

 private:
  std::shared_ptr<VNetIn> in_;
  std::vector<std::shared_ptr<VNetDown>> down_;
  std::vector<std::shared_ptr<VNetUp>> up_;
  std::shared_ptr<VNetOut> out_;
};

}  // namespace

std::shared_ptr<Network> make_segresnet(const NetworkSpec& spec) { return std::make_shared<SegResNet>(spec); }
std::shared_ptr<Network> make_vnet(const NetworkSpec& spec) { return std::make_shared<VNet>(spec); }

}  // namespace vesalius::segmentation
