// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <set>

#include <nlohmann/json.hpp>

#include <vesalius/core/error.h>
#include <vesalius/segmentation/planner.h>

#include "segmentation/fingerprint_json.h"
#include "segmentation/json_text.h"

/// nnU-Net v2's plans.json, field by field.
namespace vesalius::segmentation {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::pair<const char*, Normalisation> kSchemes[] = {
    {"ZScoreNormalization", Normalisation::zscore},
    {"CTNormalization", Normalisation::ct},
    {"NoNormalization", Normalisation::none},
    {"RescaleTo01Normalization", Normalisation::rescale_to_0_1},
    {"RGBTo01Normalization", Normalisation::rgb_to_0_1}};

Json network_json(const Configuration& c) {
  const std::string d = std::to_string(c.dimensions()) + "d";
  Json kwargs;
  kwargs["n_stages"] = c.features.size();
  kwargs["features_per_stage"] = c.features;
  kwargs["conv_op"] = "torch.nn.modules.conv.Conv" + d;
  kwargs["kernel_sizes"] = c.kernels;
  kwargs["strides"] = c.strides;
  kwargs[c.residual ? "n_blocks_per_stage" : "n_conv_per_stage"] = c.blocks;
  kwargs["n_conv_per_stage_decoder"] = c.decoder_convolutions;
  kwargs["conv_bias"] = true;
  kwargs["norm_op"] = "torch.nn.modules.instancenorm.InstanceNorm" + d;
  kwargs["norm_op_kwargs"] = {{"eps", 1e-5}, {"affine", true}};
  kwargs["dropout_op"] = nullptr;
  kwargs["dropout_op_kwargs"] = nullptr;
  kwargs["nonlin"] = "torch.nn.LeakyReLU";
  kwargs["nonlin_kwargs"] = {{"inplace", true}};
  return {{"network_class_name", std::string("dynamic_network_architectures.architectures.unet.") +
                                     (c.residual ? "ResidualEncoderUNet" : "PlainConvUNet")},
          {"arch_kwargs", kwargs},
          {"_kw_requires_import", {"conv_op", "norm_op", "dropout_op", "nonlin"}}};
}

Json resampling_json(bool segmentation, int64_t order) {
  return {{"is_seg", segmentation}, {"order", order}, {"order_z", 0}, {"force_separate_z", nullptr}};
}

Json configuration_json(const Configuration& c) {
  if (!c.previous_stage.empty()) return {{"inherits_from", "3d_fullres"}, {"previous_stage", c.previous_stage}};
  Json schemes = Json::array();
  for (const auto scheme : c.normalisation)
    for (const auto& [name, value] : kSchemes)
      if (value == scheme) schemes.push_back(name);
  Json out;
  out["data_identifier"] = c.data_identifier;
  out["preprocessor_name"] = "DefaultPreprocessor";
  out["batch_size"] = c.batch_size;
  out["patch_size"] = c.patch_size;
  out["median_image_size_in_voxels"] = c.median_size;
  out["spacing"] = c.spacing;
  out["normalization_schemes"] = schemes;
  out["use_mask_for_norm"] = c.use_mask_for_norm;
  for (const auto& [what, segmentation, order] :
       {std::tuple{"data", false, 3}, {"seg", true, 1}, {"probabilities", false, 1}}) {
    out[std::string("resampling_fn_") + what] = "resample_data_or_seg_to_shape";
    out[std::string("resampling_fn_") + what + "_kwargs"] = resampling_json(segmentation, order);
  }
  out["architecture"] = network_json(c);
  out["batch_dice"] = c.batch_dice;
  if (!c.next_stage.empty()) out["next_stage"] = c.next_stage;
  return out;
}

/// n_conv_per_stage may be one number for all stages.
std::vector<int64_t> per_stage(const Json& json, size_t stages) {
  if (json.is_number_integer()) return std::vector<int64_t>(stages, json.get<int64_t>());
  auto out = json.get<std::vector<int64_t>>();
  if (out.size() < stages)
    throw FormatError("plans: " + std::to_string(out.size()) + " numbers for " + std::to_string(stages) + " stages");
  out.resize(stages);
  return out;
}

/// Kernels and strides may be one number for all axes.
std::vector<std::vector<int64_t>> per_axis(const Json& json, size_t stages, size_t dimensions) {
  if (json.is_number_integer())
    return std::vector<std::vector<int64_t>>(stages, std::vector<int64_t>(dimensions, json.get<int64_t>()));
  std::vector<std::vector<int64_t>> out;
  for (const auto& stage : json)
    out.push_back(stage.is_number_integer() ? std::vector<int64_t>(dimensions, stage.get<int64_t>())
                                            : stage.get<std::vector<int64_t>>());
  for (const auto& stage : out)
    if (stage.size() != dimensions)
      throw FormatError("plans: a kernel or stride has " + std::to_string(stage.size()) + " axes, the patch " +
                        std::to_string(dimensions));
  if (out.size() != stages)
    throw FormatError("plans: " + std::to_string(out.size()) + " kernels or strides for " + std::to_string(stages) +
                      " stages");
  return out;
}

/// What leaves no trace in the weights' shapes must be what our networks do, or they would predict something else in silence.
void require_default_layers(const Json& kwargs, size_t dimensions) {
  const auto refuse = [](const char* what, const Json& got) {
    throw NotSupported(std::string("plans: ") + what + " is " + got.dump().substr(0, 200) +
                       "; known are nnU-Net's own: InstanceNorm (affine, eps 1e-5), then LeakyReLU (slope 0.01)");
  };
  const auto text = [](const Json& value) { return value.is_string() ? value.get<std::string>() : std::string(); };
  const std::string norm = ".InstanceNorm" + std::to_string(dimensions) + "d";
  if (kwargs.contains("norm_op") && !text(kwargs["norm_op"]).ends_with(norm)) refuse("norm_op", kwargs["norm_op"]);
  if (kwargs.contains("norm_op_kwargs") && kwargs["norm_op_kwargs"].is_object()) {
    const Json& norm_kwargs = kwargs["norm_op_kwargs"];
    if (norm_kwargs.value("eps", 1e-5) != 1e-5 || !norm_kwargs.value("affine", false))
      refuse("norm_op_kwargs", norm_kwargs);
  }
  if (kwargs.contains("nonlin") && !text(kwargs["nonlin"]).ends_with(".LeakyReLU")) refuse("nonlin", kwargs["nonlin"]);
  if (kwargs.contains("nonlin_kwargs") && kwargs["nonlin_kwargs"].is_object() &&
      kwargs["nonlin_kwargs"].value("negative_slope", 0.01) != 0.01)
    refuse("nonlin_kwargs", kwargs["nonlin_kwargs"]);
  if (kwargs.value("nonlin_first", false)) refuse("nonlin_first", kwargs["nonlin_first"]);
}

void read_network(const Json& json, Configuration& out) {
  if (!json.contains("architecture"))
    throw NotSupported(
        "plans: no \"architecture\"; plans made before nnU-Net 2.4 must be converted with nnU-Net first");
  const auto& net = json.at("architecture");
  const std::string name = net.at("network_class_name").get<std::string>();
  if (name.ends_with(".ResidualEncoderUNet"))
    out.residual = true;
  else if (!name.ends_with(".PlainConvUNet"))
    throw NotSupported("plans: the network " + name + "; known are PlainConvUNet and ResidualEncoderUNet");
  const auto& kwargs = net.at("arch_kwargs");
  const auto stages = kwargs.at("n_stages").get<size_t>();
  if (stages < 1 || stages > 20) throw FormatError("plans: n_stages " + std::to_string(stages));
  const size_t dimensions = out.patch_size.size();
  require_default_layers(kwargs, dimensions);
  out.features = per_stage(kwargs.at("features_per_stage"), stages);
  out.kernels = per_axis(kwargs.at("kernel_sizes"), stages, dimensions);
  out.strides = per_axis(kwargs.at("strides"), stages, dimensions);
  out.blocks = per_stage(kwargs.at(out.residual ? "n_blocks_per_stage" : "n_conv_per_stage"), stages);
  out.decoder_convolutions = per_stage(kwargs.at("n_conv_per_stage_decoder"), stages - 1);
}

void require_default_resampling(const Json& json) {
  for (const auto& [what, order] : {std::pair{"data", 3}, {"seg", 1}, {"probabilities", 1}}) {
    const std::string key = std::string("resampling_fn_") + what;
    const std::string function = json.at(key).get<std::string>();
    const auto& kwargs = json.at(key + "_kwargs");
    if (function != "resample_data_or_seg_to_shape" || kwargs.value("order", -1) != order ||
        kwargs.value("order_z", -1) != 0 || !kwargs.value("force_separate_z", Json()).is_null())
      throw NotSupported("plans: " + key + " is " + function + " " + kwargs.dump() +
                         "; only nnU-Net's default resampling is known");
  }
}

Configuration read_configuration(const std::string& name, const Json& all, int depth = 0) {
  const auto& json = all.at(name);
  if (json.contains("inherits_from")) {
    if (depth > 8) throw FormatError("plans: configurations inherit in a circle");
    Configuration out;
    Json merged = all.at(json.at("inherits_from").get<std::string>());
    while (merged.contains("inherits_from") && depth++ < 8) {
      Json base = all.at(merged.at("inherits_from").get<std::string>());
      merged.erase("inherits_from");
      base.update(merged);
      merged = base;
    }
    Json own = json;
    own.erase("inherits_from");
    merged.update(own);
    Json flat = Json::object();
    flat[name] = merged;
    return read_configuration(name, flat, depth + 1);
  }
  Configuration out;
  out.name = name;
  out.data_identifier = json.at("data_identifier");
  const std::string preprocessor = json.at("preprocessor_name");
  if (preprocessor != "DefaultPreprocessor")
    throw NotSupported("plans: the preprocessor " + preprocessor + "; known is DefaultPreprocessor");
  out.batch_size = json.at("batch_size");
  out.patch_size = json.at("patch_size").get<std::vector<int64_t>>();
  out.median_size = json.at("median_image_size_in_voxels").get<std::vector<double>>();
  out.spacing = json.at("spacing").get<std::vector<double>>();
  if ((out.patch_size.size() != 2 && out.patch_size.size() != 3) || out.spacing.size() != out.patch_size.size())
    throw FormatError("plans: patch_size and spacing of \"" + name + "\" must both have 2 or 3 axes");
  for (size_t d = 0; d < out.spacing.size(); ++d)
    if (!(out.spacing[d] > 0 && std::isfinite(out.spacing[d])) || out.patch_size[d] < 1 || out.patch_size[d] > 65536)
      throw FormatError("plans: spacing of \"" + name + "\" must be positive, and patch_size lie in 1..65536");
  for (const auto& scheme : json.at("normalization_schemes")) {
    bool known = false;
    for (const auto& [text, value] : kSchemes)
      if (scheme == text) {
        out.normalisation.push_back(value);
        known = true;
      }
    if (!known) throw NotSupported("plans: the normalisation " + scheme.dump());
  }
  out.use_mask_for_norm = json.at("use_mask_for_norm").get<std::vector<bool>>();
  require_default_resampling(json);
  read_network(json, out);
  out.batch_dice = json.value("batch_dice", false);
  out.previous_stage = json.value("previous_stage", "");
  out.next_stage =
      json.contains("next_stage") && json["next_stage"].is_string() ? json["next_stage"].get<std::string>() : "";
  return out;
}

}  // namespace

std::string Plans::to_json() const {
  Json out;
  out["dataset_name"] = dataset_name;
  out["plans_name"] = plans_name;
  out["original_median_spacing_after_transp"] = original_median_spacing;
  out["original_median_shape_after_transp"] = original_median_shape;
  out["image_reader_writer"] = "SimpleITKIO";
  out["transpose_forward"] = transpose_forward;
  out["transpose_backward"] = transpose_backward;
  Json all = Json::object();
  for (const auto& c : configurations) all[c.name] = configuration_json(c);
  out["configurations"] = all;
  out["experiment_planner_used"] = planner;
  out["label_manager"] = "LabelManager";
  out["foreground_intensity_properties_per_channel"] = detail::statistics_to_json(channels);
  return out.dump(2);
}

Plans Plans::from_json(const std::string& text) {
  try {
    const Json json = detail::parse_json(text);
    Plans out;
    out.dataset_name = json.value("dataset_name", "");
    out.plans_name = json.value("plans_name", "");
    out.planner = json.value("experiment_planner_used", "");
    out.transpose_forward = json.at("transpose_forward").get<std::array<int64_t, 3>>();
    out.transpose_backward = json.at("transpose_backward").get<std::array<int64_t, 3>>();
    if (std::set<int64_t>(out.transpose_forward.begin(), out.transpose_forward.end()) != std::set<int64_t>{0, 1, 2})
      throw FormatError("plans: transpose_forward must be a permutation of 0, 1, 2");
    out.original_median_spacing = json.value("original_median_spacing_after_transp", std::vector<double>{});
    out.original_median_shape = json.value("original_median_shape_after_transp", std::vector<int64_t>{});
    out.channels = detail::statistics_from_json(json.at("foreground_intensity_properties_per_channel"));
    const auto& all = json.at("configurations");
    for (const auto& [name, value] : all.items()) out.configurations.push_back(read_configuration(name, all));
    return out;
  } catch (const nlohmann::json::exception& why) {
    throw FormatError(std::string("plans: ") + why.what());
  }
}

}  // namespace vesalius::segmentation
