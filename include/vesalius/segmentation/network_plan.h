// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include <vesalius/core/settings.h>
#include <vesalius/segmentation/network_spec.h>
#include <vesalius/segmentation/planner.h>
#include <vesalius/segmentation/preprocess.h>

namespace vesalius::segmentation {

/// `plan.yaml` of a network's bundle, version 2: one flat mapping, as version 1 of the classical methods is.
///
/// A network's fields are `network` (its kind) and `network_…` (the other fields of NetworkSpec). Sizes, spacings and axes are
/// (z, y, x) after transposition; a patch of two axes is a 2D network, slice by slice.
struct NetworkPlan {
  int64_t version = 2;
  std::string name = "model";
  NetworkSpec network;
  /// "safetensors": weights.safetensors, tensors "fold_<fold>/<parameter>"; "torchscript": fold_<fold>.pt;
  /// "aotinductor": fold_<fold>.pt2, made for this patch and device.
  std::string weights = "safetensors";
  std::array<int64_t, 3> transpose_forward{0, 1, 2};
  std::vector<double> spacing;
  std::vector<int64_t> patch_size;
  std::vector<std::string> channels;       ///< names
  std::vector<std::string> normalisation;  ///< of each channel: zscore, ct, none, rescale_to_0_1, rgb_to_0_1
  std::vector<int64_t> use_mask_for_norm;  ///< of each channel: 0 or 1
  std::vector<double> intensity_mean, intensity_median, intensity_std, intensity_min, intensity_max,
      intensity_percentile_00_5, intensity_percentile_99_5;  ///< of the training's foreground, a channel each
  std::vector<std::string> label_names;                      ///< background first
  std::vector<std::string> label_values;  ///< "0", "1", … ; a region's numbers with blanks between: "1 2"
  std::vector<int64_t> regions_class_order;
  std::optional<int64_t> ignore_label;
  std::vector<std::string> folds{"0"};
  std::vector<int64_t> mirror_axes;  ///< of the patch
  double tile_step = 0.5;
  /// Post-processing: of each of these labels or sets of labels ("1", "1 2") only the largest component stays (26 neighbours).
  std::vector<std::string> keep_largest;
  /// Cascade: the folder inside this bundle whose segmentation goes into the network as one more channel a label.
  std::string previous_stage;

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("version", self.version);
    field("name", self.name);
    NetworkSpec::visit(self.network, [&](const char* name, auto& value) {
      const std::string key = std::string(name) == "kind" ? "network" : "network_" + std::string(name);
      field(key.c_str(), value);
    });
    field("weights", self.weights);
    field("transpose_forward", self.transpose_forward);
    field("spacing", self.spacing);
    field("patch_size", self.patch_size);
    field("channels", self.channels);
    field("normalisation", self.normalisation);
    field("use_mask_for_norm", self.use_mask_for_norm);
    field("intensity_mean", self.intensity_mean);
    field("intensity_median", self.intensity_median);
    field("intensity_std", self.intensity_std);
    field("intensity_min", self.intensity_min);
    field("intensity_max", self.intensity_max);
    field("intensity_percentile_00_5", self.intensity_percentile_00_5);
    field("intensity_percentile_99_5", self.intensity_percentile_99_5);
    field("label_names", self.label_names);
    field("label_values", self.label_values);
    field("regions_class_order", self.regions_class_order);
    field("ignore_label", self.ignore_label);
    field("folds", self.folds);
    field("mirror_axes", self.mirror_axes);
    field("tile_step", self.tile_step);
    field("keep_largest", self.keep_largest);
    field("previous_stage", self.previous_stage);
  }

  /// From the planner's plans, or nnU-Net's. @param previous_labels of a cascade's last stage: how many labels the one
  ///   before it makes (its one-hot channels). @throws InvalidArgument for no such configuration.
  VESALIUS_API static NetworkPlan from_plans(const Plans& plans, const std::string& configuration,
                                             const LabelSet& labels, const std::vector<std::string>& channels);
  /// Of nnU-Net's plans.json and dataset.json. @throws FormatError, NotSupported.
  VESALIUS_API static NetworkPlan from_nnunet(const std::string& plans_json, const std::string& dataset_json,
                                              const std::string& configuration);

  VESALIUS_API PreprocessPlan preprocess() const;
  VESALIUS_API LabelSet label_set() const;
  /// @throws InvalidArgument that names the first field that makes no sense.
  VESALIUS_API void validate() const;
};

}  // namespace vesalius::segmentation
