// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <ATen/ops/zeros.h>

#include <vesalius/segmentation/network.h>

// The layers that the networks are made of, for two and three spatial axes alike (the kernel's length says which).
namespace vesalius::segmentation {

using Sizes = std::vector<int64_t>;
using LayerPtr = std::shared_ptr<Layer>;

enum class Activation { none, relu, leaky_relu, elu, silu };
/// instance_plain has no parameters (MONAI's default).
enum class Norm { none, instance, instance_plain, batch, group8 };

struct ConvOptions {
  Sizes stride = {};
  bool bias = true, transposed = false;
  Sizes padding = {};         ///< empty: (kernel − 1) / 2
  Sizes output_padding = {};  ///< of a transposed one
  int64_t groups = 1;
};

/// While it lives, the convolutions that this thread builds may hold so many weights together: a plan from a file is refused
/// before its network takes the memory. @throws FormatError from the convolution that goes beyond it.
class WeightBudget {
 public:
  explicit WeightBudget(double weights);
  ~WeightBudget();
  WeightBudget(const WeightBudget&) = delete;
  WeightBudget& operator=(const WeightBudget&) = delete;
  static void take(const Sizes& shape);

 private:
  double before_;
};

/// Weights as torch.nn.Conv's default: uniform within 1/√fan_in.
class Conv : public Layer {
 public:
  Conv(int64_t in, int64_t out, Sizes kernel, ConvOptions options);
  at::Tensor forward(const at::Tensor& x) override;
  /// He et al. 2015 for a leaky ReLU of this slope: normal, variance 2 / ((1 + slope²) fan_in); bias 0.
  void initialise_he(double slope);
  /// He for fan_out, as EfficientNet.
  void initialise_fan_out();
  at::Tensor weight, bias;

 private:
  int64_t fan_in() const;
  ConvOptions options_;
};

class NormLayer : public Layer {
 public:
  NormLayer(Norm kind, int64_t features);
  at::Tensor forward(const at::Tensor& x) override;
  /// The norm and an activation after it; in one pass where there is a kernel for it.
  at::Tensor forward_activated(const at::Tensor& x, Activation activation, bool in_place = false);
  at::Tensor weight, bias, running_mean, running_var, num_batches_tracked;

 private:
  Norm kind_;
};

class Prelu : public Layer {
 public:
  explicit Prelu(int64_t parameters = 1);
  at::Tensor forward(const at::Tensor& x) override;
  at::Tensor weight;
};

class Linear : public Layer {
 public:
  Linear(int64_t in, int64_t out);
  at::Tensor forward(const at::Tensor& x) override;
  at::Tensor weight, bias;
};

/// Children in a row, named "0", "1", … or as given; a null child takes a number and does nothing.
class Chain : public Layer {
 public:
  Chain() = default;
  explicit Chain(const std::vector<LayerPtr>& layers);
  void push_back(const LayerPtr& layer) { push_back(std::to_string(layers_.size()), layer); }
  void push_back(const std::string& name, const LayerPtr& layer);
  at::Tensor forward(const at::Tensor& x) override;
  const LayerPtr& operator[](size_t i) const { return layers_[i]; }
  size_t size() const { return layers_.size(); }

 private:
  std::vector<LayerPtr> layers_;
};

class Act : public Layer {
 public:
  explicit Act(Activation kind) : kind_(kind) {}
  at::Tensor forward(const at::Tensor& x) override;

 private:
  Activation kind_;
};

/// Average pooling, kernel and stride the same.
class AveragePool : public Layer {
 public:
  explicit AveragePool(Sizes stride) : stride_(std::move(stride)) {}
  at::Tensor forward(const at::Tensor& x) override;

 private:
  Sizes stride_;
};

/// Linear interpolation, align_corners false.
class Upsample : public Layer {
 public:
  explicit Upsample(Sizes factor) : factor_(std::move(factor)) {}
  at::Tensor forward(const at::Tensor& x) override;

 private:
  Sizes factor_;
};

/// conv → norm → activation, children "conv" and "norm" (nnU-Net's names).
class ConvNormAct : public Layer {
 public:
  ConvNormAct(int64_t in, int64_t out, const Sizes& kernel, const Sizes& stride, Norm norm, Activation activation,
              bool bias = true);
  at::Tensor forward(const at::Tensor& x) override;
  std::shared_ptr<Conv> conv;
  std::shared_ptr<NormLayer> norm;

 private:
  Activation activation_;
};

/// Child "convs": so many ConvNormAct, the first with the stride.
class ConvStack : public Layer {
 public:
  ConvStack(int64_t count, int64_t in, int64_t out, const Sizes& kernel, const Sizes& stride, Norm norm,
            Activation activation);
  at::Tensor forward(const at::Tensor& x) override { return (*convs)(x); }
  std::shared_ptr<Chain> convs;
};

at::Tensor activate(const at::Tensor& x, Activation kind);
/// Slope of nnU-Net's leaky ReLU.
inline constexpr double kLeakySlope = 0.01;
inline constexpr double kNormEps = 1e-5;
inline Sizes ones(int64_t dimension) { return Sizes(static_cast<size_t>(dimension), 1); }
inline Sizes filled(int64_t dimension, int64_t value) { return Sizes(static_cast<size_t>(dimension), value); }
/// Every Conv under `module`.
void initialise_he(torch::nn::Module& module, double slope);

std::shared_ptr<Network> make_plain_unet(const NetworkSpec& spec);
std::shared_ptr<Network> make_residual_unet(const NetworkSpec& spec);
std::shared_ptr<Network> make_unet(const NetworkSpec& spec);
std::shared_ptr<Network> make_segresnet(const NetworkSpec& spec);
std::shared_ptr<Network> make_attention_unet(const NetworkSpec& spec);
std::shared_ptr<Network> make_vnet(const NetworkSpec& spec);
std::shared_ptr<Network> make_resnet_classifier(const NetworkSpec& spec);
std::shared_ptr<Network> make_efficientnet(const NetworkSpec& spec);
/// The encoder of residual_unet as (stem, stages), for the classifier.
LayerPtr make_residual_encoder(const NetworkSpec& spec);

}  // namespace vesalius::segmentation
