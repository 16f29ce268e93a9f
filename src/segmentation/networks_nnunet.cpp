// SPDX-License-Identifier: Apache-2.0
// nnU-Net's networks: Isensee et al. 2021 (doi 10.1038/s41592-020-01008-z) and 2024 (arXiv 2404.09556); children are named
// as its state dicts name them.
#include <ATen/ops/cat.h>

#include "segmentation/layers.h"

namespace vesalius::segmentation {
namespace {

/// What differs between the plain U-Net and the small one.
struct Style {
  Norm norm = Norm::instance;
  Activation activation = Activation::leaky_relu;
};

Style style_of(const NetworkSpec& spec) {
  return spec.kind == NetworkKind::small_unet ? Style{Norm::batch, Activation::relu} : Style{};
}

bool strided(const Sizes& stride) { return c10::multiply_integers(stride) != 1; }

/// ResNet-D's basic block (He et al. 2019): the skip pools, then projects by a 1×1 convolution.
class BasicBlock : public Layer {
 public:
  BasicBlock(int64_t in, int64_t out, const Sizes& kernel, const Sizes& stride) {
    const Sizes one = ones(static_cast<int64_t>(kernel.size()));
    conv1 = register_module(
        "conv1", std::make_shared<ConvNormAct>(in, out, kernel, stride, Norm::instance, Activation::leaky_relu));
    conv2 = register_module("conv2",
                            std::make_shared<ConvNormAct>(out, out, kernel, one, Norm::instance, Activation::none));
    if (!strided(stride) && in == out) return;
    skip = register_module("skip", std::make_shared<Chain>());
    if (strided(stride)) skip->push_back(std::make_shared<AveragePool>(stride));
    if (in != out)
      skip->push_back(
          std::make_shared<ConvNormAct>(in, out, one, one, Norm::instance, Activation::none, /*bias=*/false));
  }
  at::Tensor forward(const at::Tensor& x) override {
    const at::Tensor residual = skip ? (*skip)(x) : x;
    return activate((*conv2)((*conv1)(x)).add(residual), Activation::leaky_relu);
  }
  std::shared_ptr<ConvNormAct> conv1, conv2;
  std::shared_ptr<Chain> skip;
};

class ResidualStage : public Layer {
 public:
  ResidualStage(int64_t count, int64_t in, int64_t out, const Sizes& kernel, const Sizes& stride) {
    blocks = register_module("blocks", std::make_shared<Chain>());
    for (int64_t i = 0; i < count; ++i)
      blocks->push_back(std::make_shared<BasicBlock>(i ? out : in, out, kernel,
                                                     i ? ones(static_cast<int64_t>(kernel.size())) : stride));
  }
  at::Tensor forward(const at::Tensor& x) override { return (*blocks)(x); }
  std::shared_ptr<Chain> blocks;
};

class Encoder : public Layer {
 public:
  Encoder(const NetworkSpec& spec, bool residual) {
    const Style style = style_of(spec);
    int64_t in = spec.in_channels;
    if (residual) {
      stem_ = register_module("stem", std::make_shared<ConvStack>(1, in, spec.features_per_stage[0], spec.kernel(0),
                                                                  ones(spec.dimension), style.norm, style.activation));
      in = spec.features_per_stage[0];
    }
    stages_ = register_module("stages", std::make_shared<Chain>());
    for (int64_t s = 0; s < spec.stages(); ++s) {
      const int64_t out = spec.features_per_stage[s], count = spec.n_conv_per_stage[s];
      if (residual)
        stages_->push_back(std::make_shared<ResidualStage>(count, in, out, spec.kernel(s), spec.stride(s)));
      else
        stages_->push_back(std::make_shared<Chain>(std::vector<LayerPtr>{std::make_shared<ConvStack>(
            count, in, out, spec.kernel(s), spec.stride(s), style.norm, style.activation)}));
      in = out;
    }
  }
  std::vector<at::Tensor> skips(const at::Tensor& x) {
    std::vector<at::Tensor> out;
    at::Tensor y = stem_ ? (*stem_)(x) : x;
    for (size_t s = 0; s < stages_->size(); ++s) out.push_back(y = (*(*stages_)[s])(y));
    return out;
  }
  at::Tensor forward(const at::Tensor& x) override { return skips(x).back(); }

 private:
  std::shared_ptr<ConvStack> stem_;
  std::shared_ptr<Chain> stages_;
};

class Decoder : public torch::nn::Module {
 public:
  explicit Decoder(const NetworkSpec& spec) {
    const Style style = style_of(spec);
    stages_ = register_module("stages", std::make_shared<Chain>());
    transpconvs_ = register_module("transpconvs", std::make_shared<Chain>());
    seg_layers_ = register_module("seg_layers", std::make_shared<Chain>());
    for (int64_t level = spec.stages() - 2; level >= 0; --level) {
      const int64_t below = spec.features_per_stage[level + 1], skip = spec.features_per_stage[level];
      const Sizes up = spec.stride(level + 1), one = ones(spec.dimension);
      transpconvs_->push_back(std::make_shared<Conv>(
          below, skip, up, ConvOptions{.stride = up, .transposed = true, .padding = filled(spec.dimension, 0)}));
      stages_->push_back(std::make_shared<ConvStack>(spec.n_conv_per_stage_decoder[spec.stages() - 2 - level], 2 * skip,
                                                     skip, spec.kernel(level), one, style.norm, style.activation));
      auto head = std::make_shared<Conv>(skip, spec.num_classes, one, ConvOptions{});
      // Every head is there, so that weights load with and without deep supervision; what has no output isn't trained.
      if (level > 0 && !spec.deep_supervision)
        for (const at::Tensor& p : head->parameters()) p.requires_grad_(false);
      seg_layers_->push_back(head);
    }
  }
  /// The heads' outputs, the full resolution first.
  std::vector<at::Tensor> decode(std::vector<at::Tensor> skips, bool all) {
    std::vector<at::Tensor> out;
    at::Tensor x = skips.back();
    for (size_t s = 0; s < stages_->size(); ++s) {
      skips.pop_back();
      x = (*(*stages_)[s])(at::cat({(*(*transpconvs_)[s])(x), skips.back()}, 1));
      if (all || s + 1 == stages_->size()) out.insert(out.begin(), (*(*seg_layers_)[s])(x));
    }
    return out;
  }

 private:
  std::shared_ptr<Chain> stages_, transpconvs_, seg_layers_;
};

class UNet : public Network {
 public:
  UNet(const NetworkSpec& spec, bool residual) : Network(spec) {
    encoder_ = register_module("encoder", std::make_shared<Encoder>(spec, residual));
    decoder_ = register_module("decoder", std::make_shared<Decoder>(spec));
    initialise_he(*this, spec.kind == NetworkKind::small_unet ? 0.0 : kLeakySlope);
    // Each residual branch starts as zero (Goyal et al. 2017, section 5.1).
    const at::NoGradGuard guard;
    for (const auto& module : modules(false))
      if (auto* block = dynamic_cast<BasicBlock*>(module.get())) {
        block->conv2->norm->weight.zero_();
        block->conv2->norm->bias.zero_();
      }
  }

 protected:
  std::vector<at::Tensor> run(const at::Tensor& x) override {
    return decoder_->decode(encoder_->skips(x), spec_.deep_supervision && is_training());
  }

 private:
  std::shared_ptr<Encoder> encoder_;
  std::shared_ptr<Decoder> decoder_;
};

}  // namespace

std::shared_ptr<Network> make_plain_unet(const NetworkSpec& spec) { return std::make_shared<UNet>(spec, false); }
std::shared_ptr<Network> make_residual_unet(const NetworkSpec& spec) { return std::make_shared<UNet>(spec, true); }
LayerPtr make_residual_encoder(const NetworkSpec& spec) {
  auto encoder = std::make_shared<Encoder>(spec, true);
  initialise_he(*encoder, kLeakySlope);
  return encoder;
}

}  // namespace vesalius::segmentation
