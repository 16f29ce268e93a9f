// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include <vesalius/core/export.h>
#include <vesalius/core/geometry.h>

/// nnU-Net's augmentation list on the CPU. Rotation, scaling, mirroring and cropping are one gather from the case as it lies
/// on disk. What is drawn depends on (seed, index of the batch, sample) only, not on threads.
namespace vesalius::segmentation {

/// Probabilities and ranges; the defaults are nnU-Net v2's for isotropic 3D patches.
struct AugmentOptions {
  bool spatial_2d = false;  ///< rotate and scale within slices: 2D networks, and thick slices ("dummy 2D")
  double p_rotation = 0.2;
  std::array<double, 2> rotation{-0.5235987755982988, 0.5235987755982988};  ///< radians; each axis drawn
  double p_scaling = 0.2;
  std::array<double, 2> scaling{0.7, 1.4};  ///< of the sampling grid: above 1 objects shrink
  double p_noise = 0.1;
  std::array<double, 2> noise{0.0, 0.1};  ///< standard deviation
  double p_blur = 0.2, p_blur_channel = 0.5;
  std::array<double, 2> blur{0.5, 1.0};  ///< sigma in voxels, an axis each
  double p_brightness = 0.15;
  std::array<double, 2> brightness{0.75, 1.25};
  double p_contrast = 0.15;
  std::array<double, 2> contrast{0.75, 1.25};
  double p_low_resolution = 0.25, p_low_resolution_channel = 0.5;
  std::array<double, 2> low_resolution{0.5, 1.0};
  double p_gamma_inverted = 0.1, p_gamma = 0.3;
  std::array<double, 2> gamma{0.7, 1.5};
  double p_mirror = 0.5;
  std::vector<int64_t> mirror_axes{0, 1, 2};
  std::vector<int64_t> masked_channels;  ///< set to 0 outside the nonzero mask at the end

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("spatial_2d", self.spatial_2d);
    field("p_rotation", self.p_rotation);
    field("rotation", self.rotation);
    field("p_scaling", self.p_scaling);
    field("scaling", self.scaling);
    field("p_noise", self.p_noise);
    field("noise", self.noise);
    field("p_blur", self.p_blur);
    field("p_blur_channel", self.p_blur_channel);
    field("blur", self.blur);
    field("p_brightness", self.p_brightness);
    field("brightness", self.brightness);
    field("p_contrast", self.p_contrast);
    field("contrast", self.contrast);
    field("p_low_resolution", self.p_low_resolution);
    field("p_low_resolution_channel", self.p_low_resolution_channel);
    field("low_resolution", self.low_resolution);
    field("p_gamma_inverted", self.p_gamma_inverted);
    field("p_gamma", self.p_gamma);
    field("gamma", self.gamma);
    field("p_mirror", self.p_mirror);
    field("mirror_axes", self.mirror_axes);
    field("masked_channels", self.masked_channels);
  }

  /// nnU-Net's choice for a patch of 2 or 3 axes: ±30°, or in-plane ±180° where max / first > 3, or ±15° for oblong 2D.
  VESALIUS_API static AugmentOptions for_patch(const std::vector<int64_t>& patch);
};

/// What was drawn for one sample. Empty lists: not done; 0 in a list: not for this channel.
struct DrawnAugmentation {
  std::array<double, 3> angles{0, 0, 0};  ///< radians about axes 0, 1, 2 (2D: the last)
  double scale = 1.0;
  std::array<bool, 3> mirror{false, false, false};
  double noise = 0.0;
  uint64_t noise_seed = 0;
  std::vector<std::array<double, 3>> blur;  ///< a channel each: sigma of each axis
  std::vector<double> brightness, contrast, low_resolution, gamma_inverted, gamma;
};

VESALIUS_API DrawnAugmentation draw_augmentation(const AugmentOptions& options, int64_t channels, uint64_t seed,
                                            int64_t index, int64_t sample);

/// Image float32 [c, patch] and labels int16 [patch].
struct AugmentedSample {
  at::Tensor image, labels;
};

/// @param image float32 [c, z, y, x], labels int16 [z, y, x]: a whole case.
/// @param start, size the box that is seen: what lies outside it or the case is 0, labels -1 (and 0 in the end).
/// @param patch what is made, centred in the box.
VESALIUS_API AugmentedSample apply_augmentation(const at::Tensor& image, const at::Tensor& labels, const Index3& start,
                                                const Index3& size, const Index3& patch, const DrawnAugmentation& drawn,
                                                const AugmentOptions& options);

/// The box to load so that a rotated patch finds its corners: nnU-Net's rule (facts, section 9).
VESALIUS_API std::vector<int64_t> initial_patch_size(const std::vector<int64_t>& patch, const AugmentOptions& options);

}  // namespace vesalius::segmentation
