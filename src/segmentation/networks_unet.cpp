// SPDX-License-Identifier: Apache-2.0
// The residual U-Net (Kerfoot et al. 2019, doi 10.1007/978-3-030-12029-0_40) and the Attention U-Net (Oktay et al. 2018,
// arXiv 1804.03999); children are named as MONAI's state dicts name them.
#include <ATen/ops/cat.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/sigmoid.h>

#include "segmentation/layers.h"
#include "segmentation/norm_act.h"

namespace vesalius::segmentation {
namespace {

Sizes minus_one(Sizes stride) {
  for (int64_t& s : stride) --s;
  return stride;
}

/// MONAI's Convolution: child "conv", then "adn" with "N" (norm) and "A" (activation).
class AdnConv : public Layer {
 public:
  enum class Tail { none, instance_prelu, batch_relu };
  AdnConv(int64_t in, int64_t out, const Sizes& kernel, const Sizes& stride, Tail tail, bool transposed = false)
      : tail_(tail) {
    ConvOptions options{.stride = stride, .transposed = transposed};
    if (transposed) options.output_padding = minus_one(stride);
    conv_ = register_module("conv", std::make_shared<Conv>(in, out, kernel, options));
    if (tail == Tail::none) return;
    const bool batch = tail == Tail::batch_relu;
    auto adn = register_module("adn", std::make_shared<Chain>());
    adn->push_back("N", norm_ = std::make_shared<NormLayer>(batch ? Norm::batch : Norm::instance_plain, out));
    if (!batch) adn->push_back("A", prelu_ = std::make_shared<Prelu>());
  }
  at::Tensor forward(const at::Tensor& x) override {
    const at::Tensor y = (*conv_)(x);
    if (tail_ == Tail::none) return y;
    // On the CPU PReLU's one slope is known: one pass for norm and activation.
    if (prelu_ && y.device().is_cpu() && !norm_->tap && !prelu_->tap)
      return norm_prelu(y, {}, {}, prelu_->weight, {kNormEps, 1.0, 0}, /*in_place=*/!conv_->tap);
    return tail_ == Tail::batch_relu ? norm_->forward_activated(y, Activation::relu) : (*prelu_)((*norm_)(y));
  }

 private:
  Tail tail_;
  std::shared_ptr<Conv> conv_;
  std::shared_ptr<NormLayer> norm_;
  std::shared_ptr<Prelu> prelu_;
};
using Tail = AdnConv::Tail;

class ResidualUnit : public Layer {
 public:
  ResidualUnit(int64_t in, int64_t out, const Sizes& kernel, const Sizes& stride, int64_t units, bool last_plain) {
    const Sizes one = ones(static_cast<int64_t>(kernel.size()));
    conv_ = register_module("conv", std::make_shared<Chain>());
    for (int64_t u = 0; u < units; ++u)
      conv_->push_back("unit" + std::to_string(u),
                       std::make_shared<AdnConv>(u ? out : in, out, kernel, u ? one : stride,
                                                 last_plain && u + 1 == units ? Tail::none : Tail::instance_prelu));
    const bool strided = c10::multiply_integers(stride) != 1;
    if (strided || in != out)
      residual_ = register_module(
          "residual", std::make_shared<Conv>(in, out, strided ? kernel : one, ConvOptions{.stride = stride}));
  }
  at::Tensor forward(const at::Tensor& x) override { return (*conv_)(x).add(residual_ ? (*residual_)(x) : x); }

 private:
  std::shared_ptr<Chain> conv_;
  std::shared_ptr<Conv> residual_;
};

/// Concatenates its input with what its child "submodule" makes of it.
class Skip : public Layer {
 public:
  explicit Skip(const LayerPtr& submodule) : submodule_(register_module("submodule", submodule)) {}
  at::Tensor forward(const at::Tensor& x) override { return at::cat({x, (*submodule_)(x)}, 1); }

 private:
  LayerPtr submodule_;
};

class ResidualUNet : public Network {
 public:
  explicit ResidualUNet(const NetworkSpec& spec) : Network(spec) {
    model_ = register_module("model", block(spec.in_channels, spec.num_classes, 0));
  }

 protected:
  std::vector<at::Tensor> run(const at::Tensor& x) override { return {(*model_)(x)}; }

 private:
  LayerPtr down(int64_t in, int64_t level, const Sizes& stride) {
    const int64_t out = spec_.features_per_stage[level], units = spec_.n_conv_per_stage[level];
    const Sizes kernel = spec_.kernel(level);
    if (units > 0) return std::make_shared<ResidualUnit>(in, out, kernel, stride, units, false);
    return std::make_shared<AdnConv>(in, out, kernel, stride, Tail::instance_prelu);
  }
  std::shared_ptr<Layer> block(int64_t in, int64_t out, int64_t level) {
    const int64_t features = spec_.features_per_stage[level], last = spec_.stages() - 2;
    const Sizes stride = spec_.stride(level + 1), kernel = spec_.kernel(level);
    const bool top = level == 0, units = spec_.n_conv_per_stage[level] > 0;
    const LayerPtr below =
        level < last ? block(features, features, level + 1) : down(features, level + 1, ones(spec_.dimension));
    const int64_t wide = features + (level < last ? features : spec_.features_per_stage[level + 1]);
    LayerPtr up =
        std::make_shared<AdnConv>(wide, out, kernel, stride, top && !units ? Tail::none : Tail::instance_prelu, true);
    if (units)
      up = std::make_shared<Chain>(
          std::vector<LayerPtr>{up, std::make_shared<ResidualUnit>(out, out, kernel, ones(spec_.dimension), 1, top)});
    return std::make_shared<Chain>(std::vector<LayerPtr>{down(in, level, stride), std::make_shared<Skip>(below), up});
  }
  LayerPtr model_;
};

class ConvPair : public Layer {
 public:
  ConvPair(int64_t in, int64_t out, const Sizes& kernel, const Sizes& stride) {
    const Sizes one = ones(static_cast<int64_t>(kernel.size()));
    conv_ = register_module("conv", std::make_shared<Chain>(std::vector<LayerPtr>{
                                        std::make_shared<AdnConv>(in, out, kernel, stride, Tail::batch_relu),
                                        std::make_shared<AdnConv>(out, out, kernel, one, Tail::batch_relu)}));
  }
  at::Tensor forward(const at::Tensor& x) override { return (*conv_)(x); }

 private:
  std::shared_ptr<Chain> conv_;
};

/// The additive gate of the paper's equation 1 on the grid of the skip.
class AttentionGate : public torch::nn::Module {
 public:
  AttentionGate(int64_t dimension, int64_t features, int64_t inner) {
    const Sizes one = ones(dimension);
    const auto branch = [&](int64_t in, int64_t out) {
      return std::make_shared<Chain>(std::vector<LayerPtr>{std::make_shared<AdnConv>(in, out, one, one, Tail::none),
                                                           std::make_shared<NormLayer>(Norm::batch, out)});
    };
    from_gate_ = register_module("W_g", branch(features, inner));
    from_skip_ = register_module("W_x", branch(features, inner));
    psi_ = register_module("psi", branch(inner, 1));
  }
  at::Tensor operator()(const at::Tensor& gate, const at::Tensor& skip) {
    const at::Tensor sum = at::relu((*from_gate_)(gate).add((*from_skip_)(skip)));
    return skip.mul(at::sigmoid((*psi_)(sum)));
  }

 private:
  std::shared_ptr<Chain> from_gate_, from_skip_, psi_;
};

class UpConv : public Layer {
 public:
  UpConv(int64_t in, int64_t out, const Sizes& kernel, const Sizes& stride)
      : up_(register_module("up", std::make_shared<AdnConv>(in, out, kernel, stride, Tail::batch_relu, true))) {}
  at::Tensor forward(const at::Tensor& x) override { return (*up_)(x); }

 private:
  std::shared_ptr<AdnConv> up_;
};

class AttentionLevel : public Layer {
 public:
  AttentionLevel(const NetworkSpec& spec, int64_t level, const LayerPtr& submodule) {
    const int64_t in = spec.features_per_stage[level], out = spec.features_per_stage[level + 1];
    const Sizes kernel = spec.kernel(level), stride = spec.stride(level + 1);
    attention_ =
        register_module("attention", std::make_shared<AttentionGate>(spec.dimension, in, std::max<int64_t>(1, in / 2)));
    upconv_ = register_module("upconv", std::make_shared<UpConv>(out, in, kernel, stride));
    merge_ = register_module("merge", std::make_shared<AdnConv>(2 * in, in, filled(spec.dimension, 3),
                                                                ones(spec.dimension), Tail::instance_prelu));
    submodule_ = register_module("submodule", submodule);
  }
  at::Tensor forward(const at::Tensor& x) override {
    const at::Tensor lower = (*upconv_)((*submodule_)(x));
    return (*merge_)(at::cat({(*attention_)(lower, x), lower}, 1));
  }

 private:
  std::shared_ptr<AttentionGate> attention_;
  std::shared_ptr<UpConv> upconv_;
  std::shared_ptr<AdnConv> merge_;
  LayerPtr submodule_;
};

class AttentionUNet : public Network {
 public:
  explicit AttentionUNet(const NetworkSpec& spec) : Network(spec) {
    const Sizes one = ones(spec.dimension);
    LayerPtr below;
    for (int64_t level = spec.stages() - 2; level >= 0; --level) {
      LayerPtr pair = std::make_shared<ConvPair>(spec.features_per_stage[level], spec.features_per_stage[level + 1],
                                                 spec.kernel(level), spec.stride(level + 1));
      if (below) pair = std::make_shared<Chain>(std::vector<LayerPtr>{pair, below});
      below = std::make_shared<AttentionLevel>(spec, level, pair);
    }
    model_ = register_module(
        "model",
        std::make_shared<Chain>(std::vector<LayerPtr>{
            std::make_shared<ConvPair>(spec.in_channels, spec.features_per_stage[0], spec.kernel(0), one), below,
            std::make_shared<AdnConv>(spec.features_per_stage[0], spec.num_classes, one, one, Tail::none)}));
  }

 protected:
  std::vector<at::Tensor> run(const at::Tensor& x) override { return {(*model_)(x)}; }

 private:
  std::shared_ptr<Chain> model_;
};

}  // namespace

std::shared_ptr<Network> make_unet(const NetworkSpec& spec) { return std::make_shared<ResidualUNet>(spec); }
std::shared_ptr<Network> make_attention_unet(const NetworkSpec& spec) { return std::make_shared<AttentionUNet>(spec); }

}  // namespace vesalius::segmentation
