// SPDX-License-Identifier: Apache-2.0
// Classifiers: nnU-Net's residual encoder with a linear head, and EfficientNet (Tan and Le 2019, arXiv 1905.11946, table 1;
// children named as torchvision's).
#include <ATen/ops/dropout.h>

#include "segmentation/layers.h"

namespace vesalius::segmentation {
namespace {

/// The mean over the spatial axes.
at::Tensor pooled(const at::Tensor& x) { return x.flatten(2).mean(2); }

class ResnetClassifier : public Network {
 public:
  explicit ResnetClassifier(const NetworkSpec& spec) : Network(spec) {
    encoder_ = register_module("encoder", make_residual_encoder(spec));
    head_ = register_module("head", std::make_shared<Linear>(spec.features_per_stage.back(), spec.num_classes));
  }

 protected:
  std::vector<at::Tensor> run(const at::Tensor& x) override {
    return {(*head_)(at::dropout(pooled((*encoder_)(x)), spec_.dropout, is_training()))};
  }

 private:
  LayerPtr encoder_;
  std::shared_ptr<Linear> head_;
};

/// A convolution without bias, batch norm, SiLU; children "0" and "1".
class ConvBatchSilu : public Layer {
 public:
  ConvBatchSilu(int64_t in, int64_t out, const Sizes& kernel, const Sizes& stride, int64_t groups, bool activated)
      : activated_(activated) {
    conv_ = register_module(
        "0", std::make_shared<Conv>(in, out, kernel, ConvOptions{.stride = stride, .bias = false, .groups = groups}));
    norm_ = register_module("1", std::make_shared<NormLayer>(Norm::batch, out));
  }
  at::Tensor forward(const at::Tensor& x) override {
    return norm_->forward_activated((*conv_)(x), activated_ ? Activation::silu : Activation::none);
  }

 private:
  bool activated_;
  std::shared_ptr<Conv> conv_;
  std::shared_ptr<NormLayer> norm_;
};

class SqueezeExcite : public Layer {
 public:
  SqueezeExcite(int64_t features, int64_t squeezed, int64_t dimension) {
    fc1_ = register_module("fc1", std::make_shared<Conv>(features, squeezed, ones(dimension), ConvOptions{}));
    fc2_ = register_module("fc2", std::make_shared<Conv>(squeezed, features, ones(dimension), ConvOptions{}));
  }
  at::Tensor forward(const at::Tensor& x) override {
    Sizes axes;
    for (int64_t a = 2; a < x.dim(); ++a) axes.push_back(a);
    const at::Tensor mean = x.mean(axes, /*keepdim=*/true);
    return x.mul((*fc2_)(activate((*fc1_)(mean), Activation::silu)).sigmoid());
  }

 private:
  std::shared_ptr<Conv> fc1_, fc2_;
};

/// Mobile inverted bottleneck: expand, depthwise, squeeze-and-excite, project.
class MBConv : public Layer {
 public:
  MBConv(int64_t in, int64_t out, int64_t expand, const Sizes& kernel, const Sizes& stride)
      : residual_(in == out && c10::multiply_integers(stride) == 1) {
    const Sizes one = ones(static_cast<int64_t>(kernel.size()));
    const int64_t wide = in * expand;
    block_ = register_module("block", std::make_shared<Chain>());
    if (expand != 1) block_->push_back(std::make_shared<ConvBatchSilu>(in, wide, one, one, 1, true));
    block_->push_back(std::make_shared<ConvBatchSilu>(wide, wide, kernel, stride, wide, true));
    block_->push_back(
        std::make_shared<SqueezeExcite>(wide, std::max<int64_t>(1, in / 4), static_cast<int64_t>(kernel.size())));
    block_->push_back(std::make_shared<ConvBatchSilu>(wide, out, one, one, 1, false));
  }
  at::Tensor forward(const at::Tensor& x) override { return residual_ ? (*block_)(x).add(x) : (*block_)(x); }

 private:
  bool residual_;
  std::shared_ptr<Chain> block_;
};

class EfficientNet : public Network {
 public:
  explicit EfficientNet(const NetworkSpec& spec) : Network(spec) {
    const auto& f = spec.features_per_stage;
    const int64_t n = spec.stages();
    features_ = register_module("features", std::make_shared<Chain>());
    features_->push_back(
        std::make_shared<ConvBatchSilu>(spec.in_channels, f[0], spec.kernel(0), spec.stride(0), 1, true));
    for (int64_t s = 1; s < n - 1; ++s) {
      auto stage = std::make_shared<Chain>();
      for (int64_t i = 0; i < spec.n_conv_per_stage[s]; ++i)
        stage->push_back(std::make_shared<MBConv>(i ? f[s] : f[s - 1], f[s], s == 1 ? 1 : 6, spec.kernel(s),
                                                  i ? ones(spec.dimension) : spec.stride(s)));
      features_->push_back(stage);
    }
    features_->push_back(
        std::make_shared<ConvBatchSilu>(f[n - 2], f[n - 1], spec.kernel(n - 1), spec.stride(n - 1), 1, true));
    auto classifier = register_module("classifier", std::make_shared<Chain>());
    classifier->push_back("1", head_ = std::make_shared<Linear>(f[n - 1], spec.num_classes));
    for (const auto& child : modules(false))
      if (auto* conv = dynamic_cast<Conv*>(child.get())) conv->initialise_fan_out();
    const at::NoGradGuard guard;
    head_->bias.zero_();
  }

 protected:
  std::vector<at::Tensor> run(const at::Tensor& x) override {
    return {(*head_)(at::dropout(pooled((*features_)(x)), spec_.dropout, is_training()))};
  }

 private:
  std::shared_ptr<Chain> features_;
  std::shared_ptr<Linear> head_;
};

}  // namespace

std::shared_ptr<Network> make_resnet_classifier(const NetworkSpec& spec) {
  return std::make_shared<ResnetClassifier>(spec);
}
std::shared_ptr<Network> make_efficientnet(const NetworkSpec& spec) { return std::make_shared<EfficientNet>(spec); }

}  // namespace vesalius::segmentation
