// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include <vesalius/core/settings.h>

namespace vesalius::segmentation {

/// plain_unet, residual_unet: nnU-Net's (Isensee et al. 2021, doi 10.1038/s41592-020-01008-z; residual encoders: Isensee et al.
/// 2024, arXiv 2404.09556). unet: the residual U-Net of Kerfoot et al. 2019 as MONAI builds it. segresnet: Myronenko 2018
/// (arXiv 1810.11654) without its autoencoder branch. attention_unet: Oktay et al. 2018 (arXiv 1804.03999). vnet: Milletari et
/// al. 2016 (arXiv 1606.04797). small_unet: batch norm, ReLU, few channels, for video. The classifiers: residual_unet's
/// encoder, pooled, with a linear head; EfficientNet (Tan and Le 2019, arXiv 1905.11946).
enum class NetworkKind {
  plain_unet,
  residual_unet,
  unet,
  segresnet,
  attention_unet,
  vnet,
  small_unet,
  resnet_classifier,
  efficientnet_classifier
};

VESALIUS_API std::string to_string(NetworkKind kind);
VESALIUS_API void from_string(const std::string& text, NetworkKind& out);

/// What `build_network` builds; flat, so that it is YAML and Python keywords too. Sizes are in (z, y, x) order.
///
/// Lists of kernels and strides are one number for all, one a stage, or `dimension` numbers a stage, stage after stage.
/// An empty list is the kind's default. The first stage's stride is 1 in segmentation networks.
struct NetworkSpec {
  NetworkKind kind = NetworkKind::plain_unet;
  int64_t dimension = 3;  ///< 2 or 3 spatial axes
  int64_t in_channels = 1;
  int64_t num_classes = 2;  ///< output channels: classes with background, or regions
  std::vector<int64_t> features_per_stage;
  std::vector<int64_t> kernel_sizes;
  std::vector<int64_t> strides;
  std::vector<int64_t> n_conv_per_stage;  ///< convolutions or residual blocks (unet: residual units, 0 for none)
  std::vector<int64_t> n_conv_per_stage_decoder;  ///< one fewer than stages
  bool deep_supervision = false;                  ///< plain_unet, residual_unet, small_unet
  double dropout = 0.0;                           ///< vnet's two lower levels, classifiers' head
  std::string activation;                         ///< vnet: elu or prelu; elsewhere the kind's own

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("kind", self.kind);
    field("dimension", self.dimension);
    field("in_channels", self.in_channels);
    field("num_classes", self.num_classes);
    field("features_per_stage", self.features_per_stage);
    field("kernel_sizes", self.kernel_sizes);
    field("strides", self.strides);
    field("n_conv_per_stage", self.n_conv_per_stage);
    field("n_conv_per_stage_decoder", self.n_conv_per_stage_decoder);
    field("deep_supervision", self.deep_supervision);
    field("dropout", self.dropout);
    field("activation", self.activation);
  }

  /// Every list filled in: kernels and strides with `dimension` numbers a stage, the rest one a stage.
  /// @throws InvalidArgument that names the field that makes no sense.
  VESALIUS_API NetworkSpec completed() const;

  int64_t stages() const { return static_cast<int64_t>(features_per_stage.size()); }
  /// Of a completed spec.
  std::vector<int64_t> kernel(int64_t stage) const { return axes(kernel_sizes, stage); }
  std::vector<int64_t> stride(int64_t stage) const { return axes(strides, stage); }
  /// What each axis of the input must be a multiple of (product of strides; 1 for classifiers). Of a completed spec.
  VESALIUS_API std::vector<int64_t> divisor() const;
  bool is_classifier() const {
    return kind == NetworkKind::resnet_classifier || kind == NetworkKind::efficientnet_classifier;
  }

 private:
  std::vector<int64_t> axes(const std::vector<int64_t>& list, int64_t stage) const {
    return {list.begin() + stage * dimension, list.begin() + (stage + 1) * dimension};
  }
};

/// nnU-Net's residual encoder blocks per stage: 1, 3, 4, 6, 6, 6, … (its presets M, L and XL differ in the planner's budget).
VESALIUS_API std::vector<int64_t> residual_encoder_blocks(int64_t stages);

}  // namespace vesalius::segmentation
