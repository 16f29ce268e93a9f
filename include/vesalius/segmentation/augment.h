// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include <vesalius/core/export.h>

namespace vesalius::segmentation {

/// Probabilities and ranges of nnU-Net v2's augmentation (Isensee et al. 2021, doi 10.1038/s41592-020-01008-z; the numbers
/// are those of nnunetv2 2.8), in the order in which the transforms act. "contrast-like" ranges (a, b) with a < 1 < b are
/// drawn as nnU-Net does: from (a, 1) or (1, b), each with probability ½.
struct VESALIUS_API AugmentationSettings {
  double p_rotation = 0.2;               ///< all axes at once
  std::vector<double> rotation_degrees;  ///< (least, most) about each axis; empty: by the patch (`resolved`)
  double p_scaling = 0.2;
  std::array<double, 2> scaling{0.7, 1.4};  ///< one factor for all axes; above 1 shrinks what is seen
  std::optional<bool> dummy_2d;             ///< rotate and scale slices only; unset: by the patch
  double p_noise = 0.1;
  std::array<double, 2> noise_sigma{0.0, 0.1};  ///< of Gaussian noise, one for all channels
  double p_blur = 0.2, p_blur_channel = 0.5;
  std::array<double, 2> blur_sigma{0.5, 1.0};  ///< voxels, drawn for each channel and axis
  double p_brightness = 0.15;
  std::array<double, 2> brightness{0.75, 1.25};  ///< factor, contrast-like, a channel each
  double p_contrast = 0.15;
  std::array<double, 2> contrast{0.75, 1.25};  ///< about the mean, contrast-like, clamped to the old range
  double p_low_resolution = 0.25, p_low_resolution_channel = 0.5;
  std::array<double, 2> low_resolution{0.5, 1.0};  ///< size of the coarse grid, one factor for all axes
  double p_gamma_inverted = 0.1, p_gamma = 0.3;
  std::array<double, 2> gamma{0.7, 1.5};            ///< contrast-like; mean and standard deviation are kept
  double p_mirror = 0.5;                            ///< of each axis by itself
  std::optional<std::vector<int64_t>> mirror_axes;  ///< of the patch; unset: all
  std::vector<int64_t> mask_channels;    ///< set to 0 where the label is −1 (z-score within the nonzero mask)
  std::vector<int64_t> previous_labels;  ///< cascade: labels of the previous stage that become channels
  double p_morphology = 0.4, p_morphology_label = 0.5;
  std::array<double, 2> morphology_radius{1.0, 8.0};  ///< voxels: dilate, erode, close or open by a ball
  double p_remove_component = 0.2, p_remove_component_label = 0.5;
  double remove_component_limit = 0.15;  ///< of the patch: larger components stay

  template <class Self, class Visitor>
  static void visit(Self& s, Visitor&& field) {
    field("p_rotation", s.p_rotation);
    field("rotation_degrees", s.rotation_degrees);
    field("p_scaling", s.p_scaling);
    field("scaling", s.scaling);
    field("dummy_2d", s.dummy_2d);
    field("p_noise", s.p_noise);
    field("noise_sigma", s.noise_sigma);
    field("p_blur", s.p_blur);
    field("p_blur_channel", s.p_blur_channel);
    field("blur_sigma", s.blur_sigma);
    field("p_brightness", s.p_brightness);
    field("brightness", s.brightness);
    field("p_contrast", s.p_contrast);
    field("contrast", s.contrast);
    field("p_low_resolution", s.p_low_resolution);
    field("p_low_resolution_channel", s.p_low_resolution_channel);
    field("low_resolution", s.low_resolution);
    field("p_gamma_inverted", s.p_gamma_inverted);
    field("p_gamma", s.p_gamma);
    field("gamma", s.gamma);
    field("p_mirror", s.p_mirror);
    field("mirror_axes", s.mirror_axes);
    field("mask_channels", s.mask_channels);
    field("previous_labels", s.previous_labels);
    field("p_morphology", s.p_morphology);
    field("p_morphology_label", s.p_morphology_label);
    field("morphology_radius", s.morphology_radius);
    field("p_remove_component", s.p_remove_component);
    field("p_remove_component_label", s.p_remove_component_label);
    field("remove_component_limit", s.remove_component_limit);
  }

  /// What isn't set is filled in by nnU-Net's rules for this patch (2 or 3 axes): dummy 2D where the longest axis is more
  /// than 3 times the first; ±180° in dummy 2D, ±30° in 3D, in 2D ±180° or, for sides more than 1.5 apart, ±15°.
  AugmentationSettings resolved(const std::vector<int64_t>& patch_size) const;
  /// Nothing happens but the crop: every probability 0.
  static AugmentationSettings none();
};

/// What the random numbers depend on. The same key gives the same sample, whatever the threads, the order or the machine.
struct AugmentationKey {
  uint64_t seed = 0;
  int64_t epoch = 0, iteration = 0, sample = 0;
};

enum class Morphology { dilate, erode, close, open };

/// What was drawn for one sample; "a channel each" lists are empty where the transform isn't applied, and hold nullopt for
/// channels that it leaves.
struct AugmentationDraw {
  bool spatial = false;
  std::vector<double> angles;  ///< radians about each axis (3D), one angle (2D and dummy 2D)
  double scale = 1.0;
  std::vector<int64_t> mirror_axes;  ///< of the patch
  std::optional<double> noise_sigma;
  uint64_t noise_seed = 0;
  std::vector<std::optional<std::array<double, 3>>> blur_sigma;  ///< (z, y, x)
  std::vector<std::optional<double>> brightness, contrast, low_resolution, gamma_inverted, gamma;
  struct Operation {
    int64_t channel = 0;  ///< of the one-hot channels
    Morphology kind = Morphology::dilate;
    double radius = 1;
  };
  std::vector<Operation> morphology;  ///< in the order of application
  struct Removal {
    int64_t channel = 0;
    double choice = 0;  ///< 0 ≤ choice < 1 picks among the components that may go
  };
  std::vector<Removal> removals;
};

struct Augmented {
  at::Tensor image;  ///< float32 [c, …patch]; the cascade's one-hot channels last
  at::Tensor label;  ///< int16 [1, …patch], without −1
};

/// nnU-Net v2's augmentation on the CPU: one pass of interpolation straight from the large patch (or from the mapped volume,
/// whose window it reads) to the patch the network sees, mirrored on the way, then the intensity transforms in place.
class VESALIUS_API Augmentation {
 public:
  /// @param patch_size what the network sees, 2 or 3 axes.
  /// @throws InvalidArgument for probabilities outside [0, 1], ranges that are empty or impossible, axes that aren't there.
  Augmentation(const AugmentationSettings& settings, std::vector<int64_t> patch_size);

  const AugmentationSettings& settings() const { return settings_; }  ///< resolved
  const std::vector<int64_t>& patch_size() const { return patch_size_; }
  /// The patch to load so that rotated corners are there: the largest of the shapes rotated about each axis by the largest
  /// angle (at most 90°), over 0.85; nnU-Net's rule.
  std::vector<int64_t> initial_patch_size() const;

  AugmentationDraw draw(const AugmentationKey& key, int64_t channels) const;

  /// @param image float32 [c, …] of as many axes as the patch, of any size; @param label integer [1, …] or […];
  /// @param previous cascade: integer […]. @throws ShapeError, TypeMismatch, InvalidArgument (NaN or infinite voxels).
  Augmented operator()(const at::Tensor& image, const at::Tensor& label, const AugmentationKey& key,
                       const at::Tensor& previous = {}) const;
  Augmented apply(const at::Tensor& image, const at::Tensor& label, const AugmentationDraw& draw,
                  const at::Tensor& previous = {}) const;
  /// The same from a volume [c, z, y, x] that is read only where the patch lies: the large patch is the window of
  /// `window_shape` at `window_start`, which may reach beyond the volume (0 there, label −1 and then 0).
  Augmented apply_window(const at::Tensor& image, const at::Tensor& label, const std::array<int64_t, 3>& window_start,
                         const std::array<int64_t, 3>& window_shape, const AugmentationDraw& draw,
                         const at::Tensor& previous = {}) const;

 private:
  AugmentationSettings settings_;
  std::vector<int64_t> patch_size_;
};

/// The transforms by themselves, on float32 [c, …] with 2 or 3 axes after the channels; each returns a new tensor.
/// Numbers "a channel each" may also be one for all.
namespace transforms {

struct Spatial {
  std::vector<double> angles;  ///< radians: one about each axis in 3D, one in 2D; empty: none
  double scale = 1.0;
  std::vector<int64_t> mirror_axes;  ///< of the patch
  bool dummy_2d = false;             ///< 3D patch, slices turned by the one angle
};
/// Linear interpolation about the centre, zeros outside. With no angle and scale 1 it is a crop at ⌊n/2⌋ − ⌊patch/2⌋.
VESALIUS_API at::Tensor spatial_image(const at::Tensor& image, const std::vector<int64_t>& patch_size,
                                      const Spatial& how);
/// Labels: the largest of the linearly interpolated indicators, outside counts as `outside`; ties go to the nearest voxel's.
VESALIUS_API at::Tensor spatial_label(const at::Tensor& label, const std::vector<int64_t>& patch_size,
                                      const Spatial& how, int64_t outside = -1);
VESALIUS_API at::Tensor gaussian_noise(const at::Tensor& image, double sigma, uint64_t seed);
/// Separable; kernel of the odd length nearest to 6σ + ½, reflected at the border. @param sigma voxels, an axis each.
VESALIUS_API at::Tensor gaussian_blur(const at::Tensor& image, const std::vector<double>& sigma);
VESALIUS_API at::Tensor brightness(const at::Tensor& image, const std::vector<double>& factor);
/// (x − mean) · factor + mean, clamped to the channel's range.
VESALIUS_API at::Tensor contrast(const at::Tensor& image, const std::vector<double>& factor);
/// Nearest to round(n · scale), linear back. @param scale an axis each.
VESALIUS_API at::Tensor low_resolution(const at::Tensor& image, const std::vector<double>& scale);
/// ((x − min) / range)^gamma · range + min with mean and standard deviation restored; of −x with `inverted`.
VESALIUS_API at::Tensor gamma(const at::Tensor& image, const std::vector<double>& exponent, bool inverted);
/// A 0/1 mask [z, y, x] or [y, x] by the ball of all voxels within `radius`; beyond the border there is no mask for
/// dilation, and all mask for erosion.
VESALIUS_API at::Tensor morphology(const at::Tensor& mask, Morphology kind, double radius);
/// Takes the component (touching by faces, edges or corners) number ⌊choice · n⌋ of the n smaller than limit · voxels away.
VESALIUS_API at::Tensor remove_component(const at::Tensor& mask, double choice, double limit);

}  // namespace transforms

/// One channel a region; the ignore label, where there is one, is the last.
/// @param label integer [1, …]. @returns uint8 [regions (+ 1), …].
VESALIUS_API at::Tensor label_to_regions(const at::Tensor& label, const std::vector<std::vector<int64_t>>& regions,
                                         std::optional<int64_t> ignore_label = {});
/// Targets for each output of a deeply supervised network: nearest voxel at round(n · scale) voxels.
/// @param target [k, …]; @param scales a list of one number an axis for each output, such as {{1, 1, 1}, {1, .5, .5}}.
VESALIUS_API std::vector<at::Tensor> deep_supervision_targets(const at::Tensor& target,
                                                              const std::vector<std::vector<double>>& scales);

}  // namespace vesalius::segmentation
