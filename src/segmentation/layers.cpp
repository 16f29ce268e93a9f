// SPDX-License-Identifier: Apache-2.0
#include "segmentation/layers.h"

#include <cmath>
#include <limits>
#include <utility>

#include <ATen/autocast_mode.h>
#include <ATen/ops/avg_pool2d.h>
#include <ATen/ops/avg_pool3d.h>
#include <ATen/ops/batch_norm.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/conv3d.h>
#include <ATen/ops/conv_transpose2d.h>
#include <ATen/ops/conv_transpose3d.h>
#include <ATen/ops/elu.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/leaky_relu.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mkldnn_convolution.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/prelu.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/upsample_bilinear2d.h>
#include <ATen/ops/upsample_trilinear3d.h>

#include <vesalius/core/error.h>

#include "segmentation/direct_conv.h"
#include "segmentation/norm_act.h"

namespace vesalius::segmentation {
namespace {

constexpr int64_t kGroups = 8;

/// PyTorch 2.15 sends a float32 3D convolution of one sample to its slow own path where channels × voxels is small.
bool leaves_onednn(const at::Tensor& x, const at::Tensor& weight) {
  return x.dim() == 5 && x.size(0) == 1 && x.device().is_cpu() && x.scalar_type() == at::kFloat &&
         weight.scalar_type() == at::kFloat && !at::autocast::is_autocast_enabled(at::kCPU) &&
         x.numel() < (int64_t{1} << 16) && x.numel() > 0;
}

thread_local double weights_left = std::numeric_limits<double>::infinity();

}  // namespace

WeightBudget::WeightBudget(double weights) : before_(std::exchange(weights_left, weights)) {}
WeightBudget::~WeightBudget() { weights_left = before_; }

void WeightBudget::take(const Sizes& shape) {
  double count = 1;
  for (const int64_t n : shape) count *= static_cast<double>(n);
  weights_left -= count;
  if (weights_left < 0) throw FormatError("the network of this plan has far more weights than the file");
}

at::Tensor activate(const at::Tensor& x, Activation kind) {
  switch (kind) {
    case Activation::none:
      return x;
    case Activation::relu:
      return at::relu(x);
    case Activation::leaky_relu:
      return at::leaky_relu(x, kLeakySlope);
    case Activation::elu:
      return at::elu(x);
    case Activation::silu:
      return at::silu(x);
  }
  return x;
}

Conv::Conv(int64_t in, int64_t out, Sizes kernel, ConvOptions options) : options_(std::move(options)) {
  const auto dimension = kernel.size();
  if (options_.stride.empty()) options_.stride = Sizes(dimension, 1);
  if (options_.output_padding.empty()) options_.output_padding = Sizes(dimension, 0);
  if (options_.padding.empty())
    for (const int64_t k : kernel) options_.padding.push_back((k - 1) / 2);
  Sizes shape{options_.transposed ? in : out, (options_.transposed ? out : in) / options_.groups};
  shape.insert(shape.end(), kernel.begin(), kernel.end());
  WeightBudget::take(shape);
  const double bound = 1.0 / std::sqrt(static_cast<double>(shape[1] * c10::multiply_integers(kernel)));
  weight = register_parameter("weight", at::empty(shape).uniform_(-bound, bound));
  if (options_.bias) bias = register_parameter("bias", at::empty({out}).uniform_(-bound, bound));
}

int64_t Conv::fan_in() const { return weight.numel() / weight.size(0); }

void Conv::initialise_he(double slope) {
  const at::NoGradGuard guard;
  weight.normal_(0.0, std::sqrt(2.0 / ((1 + slope * slope) * static_cast<double>(fan_in()))));
  if (bias.defined()) bias.zero_();
}

void Conv::initialise_fan_out() {
  const at::NoGradGuard guard;
  // as torch's fan_out: weight.size(0) × receptive field, groups not divided out
  const auto fan_out = static_cast<double>(weight.numel() / weight.size(1));
  weight.normal_(0.0, std::sqrt(2.0 / fan_out));
  if (bias.defined()) bias.zero_();
}

at::Tensor Conv::forward(const at::Tensor& x) {
  const ConvOptions& o = options_;
  const Sizes dilation(o.stride.size(), 1);
  const DirectConvOptions direct{o.stride, o.padding, o.output_padding, o.transposed};
  if (direct_conv_serves(x, weight, o.groups, direct)) return direct_conv(x, weight, bias, direct);
  if (o.transposed)
    return o.stride.size() == 2
               ? at::conv_transpose2d(x, weight, bias, o.stride, o.padding, o.output_padding, o.groups, dilation)
               : at::conv_transpose3d(x, weight, bias, o.stride, o.padding, o.output_padding, o.groups, dilation);
  if (o.stride.size() == 2) return at::conv2d(x, weight, bias, o.stride, o.padding, dilation, o.groups);
  if (leaves_onednn(x, weight))
    return at::mkldnn_convolution(x.contiguous(x.suggest_memory_format()), weight, bias, o.padding, o.stride, dilation,
                                  o.groups);
  return at::conv3d(x, weight, bias, o.stride, o.padding, dilation, o.groups);
}

NormLayer::NormLayer(Norm kind, int64_t features) : kind_(kind) {
  if (kind == Norm::instance_plain || kind == Norm::none) return;
  weight = register_parameter("weight", at::ones({features}));
  bias = register_parameter("bias", at::zeros({features}));
  if (kind != Norm::batch) return;
  running_mean = register_buffer("running_mean", at::zeros({features}));
  running_var = register_buffer("running_var", at::ones({features}));
  num_batches_tracked = register_buffer("num_batches_tracked", at::zeros({}, at::kLong));
}

at::Tensor NormLayer::forward(const at::Tensor& x) {
  switch (kind_) {
    case Norm::none:
      return x;
    case Norm::instance:
    case Norm::instance_plain:
      return norm_act(x, weight, bias, {kNormEps, 1.0, 0});
    case Norm::group8:
      return norm_act(x, weight, bias, {kNormEps, 1.0, kGroups});
    case Norm::batch:
      if (is_training()) num_batches_tracked.add_(1);
      return at::batch_norm(x, weight, bias, running_mean, running_var, is_training(), 0.1, kNormEps, true);
  }
  return x;
}

at::Tensor NormLayer::forward_activated(const at::Tensor& x, Activation activation, bool in_place) {
  const bool fused = kind_ == Norm::instance || kind_ == Norm::instance_plain || kind_ == Norm::group8;
  if (fused && !tap && (activation == Activation::leaky_relu || activation == Activation::relu))
    return norm_act(x, weight, bias,
                    {kNormEps, activation == Activation::relu ? 0.0 : kLeakySlope, kind_ == Norm::group8 ? kGroups : 0},
                    in_place);
  return activate((*this)(x), activation);
}

Prelu::Prelu(int64_t parameters) { weight = register_parameter("weight", at::zeros({parameters}).fill_(0.25)); }
at::Tensor Prelu::forward(const at::Tensor& x) { return at::prelu(x, weight.to(x.scalar_type())); }

Linear::Linear(int64_t in, int64_t out) {
  const double bound = 1.0 / std::sqrt(static_cast<double>(in));
  weight = register_parameter("weight", at::empty({out, in}).uniform_(-bound, bound));
  bias = register_parameter("bias", at::empty({out}).uniform_(-bound, bound));
}
at::Tensor Linear::forward(const at::Tensor& x) { return at::linear(x, weight, bias); }

Chain::Chain(const std::vector<LayerPtr>& layers) {
  for (const auto& layer : layers) push_back(layer);
}
void Chain::push_back(const std::string& name, const LayerPtr& layer) {
  layers_.push_back(layer);
  if (layer) register_module(name, layer);
}
at::Tensor Chain::forward(const at::Tensor& x) {
  at::Tensor y = x;
  for (const auto& layer : layers_)
    if (layer) y = (*layer)(y);
  return y;
}

at::Tensor Act::forward(const at::Tensor& x) { return activate(x, kind_); }

at::Tensor AveragePool::forward(const at::Tensor& x) {
  return stride_.size() == 2 ? at::avg_pool2d(x, stride_, stride_) : at::avg_pool3d(x, stride_, stride_);
}

at::Tensor Upsample::forward(const at::Tensor& x) {
  Sizes size;
  for (size_t a = 0; a < factor_.size(); ++a) size.push_back(x.size(static_cast<int64_t>(a) + 2) * factor_[a]);
  return factor_.size() == 2 ? at::upsample_bilinear2d(x, size, false) : at::upsample_trilinear3d(x, size, false);
}

ConvNormAct::ConvNormAct(int64_t in, int64_t out, const Sizes& kernel, const Sizes& stride, Norm norm_kind,
                         Activation activation, bool bias)
    : activation_(activation) {
  conv = register_module("conv", std::make_shared<Conv>(in, out, kernel, ConvOptions{.stride = stride, .bias = bias}));
  norm = register_module("norm", std::make_shared<NormLayer>(norm_kind, out));
}
at::Tensor ConvNormAct::forward(const at::Tensor& x) {
  // Nobody else holds the convolution's output, unless a hook does.
  return norm->forward_activated((*conv)(x), activation_, /*in_place=*/!conv->tap);
}

ConvStack::ConvStack(int64_t count, int64_t in, int64_t out, const Sizes& kernel, const Sizes& stride, Norm norm,
                     Activation activation) {
  convs = register_module("convs", std::make_shared<Chain>());
  for (int64_t i = 0; i < count; ++i)
    convs->push_back(std::make_shared<ConvNormAct>(
        i ? out : in, out, kernel, i ? ones(static_cast<int64_t>(kernel.size())) : stride, norm, activation));
}

void initialise_he(torch::nn::Module& module, double slope) {
  for (const auto& child : module.modules(/*include_self=*/false))
    if (auto* conv = dynamic_cast<Conv*>(child.get())) conv->initialise_he(slope);
}

}  // namespace vesalius::segmentation
