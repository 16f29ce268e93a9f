// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include <ATen/core/Tensor.h>

#include <vesalius/core/export.h>

/// Losses of segmentation networks, compositions of ATen operators: gradients by autograd, any device.
///
/// Logits are `[b, c, …]`. Targets are whole-number labels `[b, …]` or `[b, 1, …]` (softmax over the channels, each voxel has one
/// class), or with `regions` 0/1 of the logits' shape (a sigmoid a channel, regions may overlap). Every loss is a scalar, at its
/// lowest where the prediction is the target. Errors: ShapeError for shapes that don't fit, InvalidArgument for labels that are
/// no channel, TypeMismatch for labels that are no whole numbers.
namespace vesalius::segmentation {

struct LossOptions {
  bool regions = false;
  /// Overlap losses: whether channel 0 counts. Regions have no background: it always counts there.
  bool include_background = false;
  /// Overlap losses: sums run over the whole batch (nnU-Net's batch_dice), not over each sample.
  bool batch = false;
  /// This label's voxels count nowhere. Regions take a mask instead.
  std::optional<int64_t> ignore_label;
  double smooth_numerator = 1e-5, smooth_denominator = 1e-5;
};

/// 1 − (2 Σ p g + s) / (Σ p + Σ g + s), mean over channels (and samples): Milletari et al. 2016, Drozdzal et al. 2016.
/// @param mask `[b, …]` or `[b, 1, …]`, 0 where a voxel doesn't count; may be undefined, here and below.
VESALIUS_API at::Tensor soft_dice_loss(const at::Tensor& logits, const at::Tensor& target,
                                       const LossOptions& options = {}, const at::Tensor& mask = {});
/// Sudre et al. 2017 (doi 10.1007/978-3-319-67558-9_28): classes weighted by 1 / (Σ g)²; an absent class gets the sample's
/// largest weight.
VESALIUS_API at::Tensor generalised_dice_loss(const at::Tensor& logits, const at::Tensor& target,
                                              const LossOptions& options = {}, const at::Tensor& mask = {});
/// Softmax cross-entropy, or binary cross-entropy with `regions`; mean over the voxels that count.
/// @param weight of each class, or undefined.
VESALIUS_API at::Tensor cross_entropy_loss(const at::Tensor& logits, const at::Tensor& target,
                                           const LossOptions& options = {}, const at::Tensor& mask = {},
                                           const at::Tensor& weight = {});
/// Lin et al. 2017 (arXiv 1708.02002): −(1 − p_t)^γ log p_t. Mean over voxels and channels, as MONAI's (a factor 1/c below the
/// mean over voxels). @param alpha weight of each channel, or undefined.
VESALIUS_API at::Tensor focal_loss(const at::Tensor& logits, const at::Tensor& target, double gamma = 2.0,
                                   const LossOptions& options = {}, const at::Tensor& mask = {},
                                   const at::Tensor& alpha = {});
/// (1 − (TP + s) / (TP + α FP + β FN + s))^γ: Salehi et al. 2017 (arXiv 1706.05721) for γ = 1, focal Tversky (Abraham and Khan
/// 2018, arXiv 1810.07842, whose exponent is called 1/γ) else.
VESALIUS_API at::Tensor tversky_loss(const at::Tensor& logits, const at::Tensor& target, double alpha = 0.5,
                                     double beta = 0.5, double gamma = 1.0, const LossOptions& options = {},
                                     const at::Tensor& mask = {});
/// Mean over voxels and channels of p φ, φ the signed distance to the class's boundary (Kervadec et al. 2019, arXiv 1812.07032).
/// @param distances `signed_distance_maps` of the target, `[b, c, …]`.
VESALIUS_API at::Tensor boundary_loss(const at::Tensor& logits, const at::Tensor& distances,
                                      const LossOptions& options = {}, const at::Tensor& mask = {});
/// φ of each class `[b, c, …]`, float32 on the labels' device: mm to the nearest voxel of the class outside of it, minus mm to
/// the nearest voxel that is not in it inside; 0 everywhere for a class that fills the image or is absent.
/// @param spacing (z, y, x) or (y, x).
VESALIUS_API at::Tensor signed_distance_maps(const at::Tensor& labels, int64_t num_classes,
                                             const std::vector<double>& spacing);
/// 1 − centreline Dice by soft skeletons (Shit et al. 2021, arXiv 2003.07311), summed over channels as MONAI does.
/// @param iterations at least the radius in voxels of the widest tube.
VESALIUS_API at::Tensor cldice_loss(const at::Tensor& logits, const at::Tensor& target, int64_t iterations = 3,
                                    double smooth = 1.0, const LossOptions& options = {}, const at::Tensor& mask = {});

/// Σ wᵢ loss(logitsᵢ, target at logitsᵢ's size): nnU-Net's weights 1/2ⁱ with the last 0, divided by their sum.
VESALIUS_API std::vector<double> deep_supervision_weights(int64_t outputs);
/// `target` (labels or regions) by the nearest voxel on a coarser grid, as deep supervision compares it.
VESALIUS_API at::Tensor downsample_target(const at::Tensor& target, const std::vector<int64_t>& size);

}  // namespace vesalius::segmentation
