// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <vesalius/segmentation/dataset.h>
#include <vesalius/segmentation/fingerprint.h>

namespace vesalius::segmentation {

enum class Normalisation { zscore, ct, none, rescale_to_0_1, rgb_to_0_1 };
VESALIUS_API std::string to_string(Normalisation scheme);
/// By the channel's name, whatever its case: "CT", "noNorm", "zscore", "rescale_to_0_1", "rgb_to_0_1"; else z-score.
VESALIUS_API Normalisation normalisation_of_channel(const std::string& name);

/// Which networks are planned: nnU-Net's default, its residual-encoder presets, and a small one for two CPU cores.
enum class PlannerPreset { plain, resenc_m, resenc_l, resenc_xl, small };
VESALIUS_API std::string to_string(PlannerPreset preset);
VESALIUS_API void from_string(const std::string& text, PlannerPreset& out);

/// One network and how its data is prepared. Sizes and spacings are (z, y, x) after the plans' transposition, of 2 or 3
/// axes.
struct Configuration {
  std::string name;             ///< "2d", "3d_lowres", "3d_fullres", "3d_cascade_fullres"
  std::string data_identifier;  ///< configurations with the same share preprocessed data
  int64_t batch_size = 2;
  std::vector<int64_t> patch_size;
  std::vector<double> median_size;  ///< voxels
  std::vector<double> spacing;      ///< mm
  std::vector<Normalisation> normalisation;
  std::vector<bool> use_mask_for_norm;
  bool batch_dice = false;
  bool residual = false;                      ///< ResidualEncoderUNet; else PlainConvUNet
  std::vector<int64_t> features;              ///< a stage each
  std::vector<std::vector<int64_t>> kernels;  ///< a stage each
  std::vector<std::vector<int64_t>> strides;  ///< a stage each, the first 1
  std::vector<int64_t> blocks;                ///< encoder: convolutions (plain) or residual blocks a stage
  std::vector<int64_t> decoder_convolutions;  ///< a decoder stage each
  std::string previous_stage, next_stage;     ///< of the cascade
  int64_t dimensions() const { return static_cast<int64_t>(patch_size.size()); }
};

/// All configurations of a dataset; nnU-Net's plans.json both ways.
struct VESALIUS_API Plans {
  std::string dataset_name, plans_name, planner;
  std::array<int64_t, 3> transpose_forward{0, 1, 2}, transpose_backward{0, 1, 2};
  std::vector<double> original_median_spacing;
  std::vector<int64_t> original_median_shape;
  std::vector<ChannelStatistics> channels;
  std::vector<Configuration> configurations;

  /// @throws InvalidArgument that lists the names.
  const Configuration& configuration(const std::string& name) const;
  bool has(const std::string& name) const;
  std::string to_json() const;
  /// Reads nnU-Net v2's plans too. @throws FormatError that names the field; NotSupported for another preprocessor,
  ///   resampling or network than nnU-Net's defaults.
  static Plans from_json(const std::string& text);
};

struct PlannerOptions {
  PlannerPreset preset = PlannerPreset::plain;
  std::optional<double> memory_gb;  ///< target; default 8 (plain, M), 24 (L), 40 (XL), 0.25 (small)
  std::optional<Vec3> spacing;      ///< instead of the median, mm (z, y, x) before transposition
};

/// nnU-Net v2's rules (planning of topology, patch and batch by a budget of feature maps).
/// @throws InvalidArgument for a fingerprint without cases.
VESALIUS_API Plans plan(const Fingerprint& fingerprint, const std::string& dataset_name,
                        const std::vector<std::string>& channels, int64_t label_count, int64_t training_cases,
                        const PlannerOptions& options = {});
VESALIUS_API Plans plan(const Fingerprint& fingerprint, const Dataset& dataset, const PlannerOptions& options = {});

/// Elements of all convolutions' outputs for one sample: what the planner budgets with.
VESALIUS_API double feature_map_elements(const Configuration& configuration, int64_t heads);

}  // namespace vesalius::segmentation
