// SPDX-License-Identifier: Apache-2.0
#include <vesalius/segmentation/model.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <sstream>

#include <vesalius/core/error.h>
#include <vesalius/image/components.h>
#include <vesalius/image/intensity.h>
#include <vesalius/image/morphology.h>
#include <vesalius/segmentation/threshold.h>

#include "segmentation/network_model.h"

namespace vesalius::segmentation {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kPlanVersion = 1, kNetworkVersion = 2;
constexpr const char* kMethods[] = {"threshold", "otsu", "percent_of_maximum", "contrast_threshold"};
constexpr const char* kKeeps[] = {"all", "largest", "touching"};

template <class Enum, size_t N>
void parse(const char* what, const char* const (&names)[N], const std::string& text, Enum& out) {
  std::string list;
  for (size_t i = 0; i < N; ++i) {
    if (text == names[i]) {
      out = static_cast<Enum>(i);
      return;
    }
    list += (i ? ", " : "") + std::string(names[i]);
  }
  throw InvalidArgument(std::string(what) + " is one of " + list + "; got \"" + text.substr(0, 100) + "\"");
}

/// Whether a line of the plan starts with this key.
bool names_key(const std::string& text, const std::string& key) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);)
    if (line.rfind(key + ":", 0) == 0) return true;
  return false;
}

void require_amount(const char* field, double value, bool infinite = false) {
  if (std::isnan(value) || value < 0 || (!infinite && std::isinf(value)))
    throw InvalidArgument(std::string("plan: ") + field + " is 0 or more; got " + std::to_string(value));
}

}  // namespace

std::string to_string(Method method) { return kMethods[static_cast<int>(method)]; }
void from_string(const std::string& text, Method& out) { parse("method", kMethods, text, out); }
std::string to_string(Keep keep) { return kKeeps[static_cast<int>(keep)]; }
void from_string(const std::string& text, Keep& out) { parse("keep", kKeeps, text, out); }

void Plan::validate() const {
  if (version != kPlanVersion)
    throw InvalidArgument("plan: version " + std::to_string(version) + "; this Vesalius knows version 1");
  if (!(lower <= upper))
    throw InvalidArgument("plan: lower must not exceed upper; got " + std::to_string(lower) + " and " +
                          std::to_string(upper));
  if (!(fraction > 0 && fraction <= 1))
    throw InvalidArgument("plan: fraction lies in (0, 1]; got " + std::to_string(fraction));
  if (bins < 2 || bins > 65536) throw InvalidArgument("plan: bins lies in 2..65536; got " + std::to_string(bins));
  if (!std::isfinite(mean_weight) || !std::isfinite(background_weight))
    throw InvalidArgument("plan: weights must be finite");
  if (connectivity != 6 && connectivity != 18 && connectivity != 26)
    throw InvalidArgument("plan: connectivity is 6, 18 or 26; got " + std::to_string(connectivity));
  require_amount("smoothing_mm", smoothing_mm);
  require_amount("opening_mm", opening_mm);
  require_amount("shell_inner_mm", shell_inner_mm);
  require_amount("shell_outer_mm", shell_outer_mm);
  require_amount("limit_mm", limit_mm, true);
  if (!(shell_inner_mm < shell_outer_mm))
    throw InvalidArgument("plan: shell_inner_mm must be less than shell_outer_mm");
  if (labels.size() != 1)
    throw InvalidArgument("plan: labels names the one label that these methods make; got " +
                          std::to_string(labels.size()) + " names");
}

Model::Model(Plan plan, std::string card) : plan_(std::move(plan)), card_(std::move(card)) { plan_.validate(); }

Model::Model(NetworkPlan plan, std::map<std::string, TensorMap> weights, std::string card, const Model* previous)
    : card_(std::move(card)),
      network_(std::make_shared<NetworkModel>(std::move(plan), std::move(weights), "",
                                              previous ? previous->network_ : nullptr)) {}

namespace {

/// Refuses later versions before their unknown fields are complained of.
void require_known_version(const SettingMap& map, const std::string& file, int64_t newest) {
  for (const auto& [key, value] : map) {
    const auto* version = std::get_if<int64_t>(&value);
    if (key == "version" && version && *version > newest)
      throw NotSupported(file + " is of version " + std::to_string(*version) + "; this Vesalius reads up to " +
                         std::to_string(newest) + ". Update Vesalius");
  }
}

Plan classical_plan(const std::string& text, const std::string& file) {
  const SettingMap map = from_yaml(text);
  require_known_version(map, file, kPlanVersion);
  const bool named = std::any_of(map.begin(), map.end(), [](const auto& item) { return item.first == "method"; });
  if (!named) throw InvalidArgument("it names no method and no network");
  Plan plan = from_map<Plan>(map);
  plan.validate();
  return plan;
}

std::shared_ptr<const NetworkModel> load_network(const std::string& bundle, const std::string& text,
                                                 const std::string& file, bool trusted) {
  const SettingMap map = from_yaml(text);
  require_known_version(map, file, kNetworkVersion);
  return NetworkModel::load(bundle, from_map<NetworkPlan>(map), trusted);
}

}  // namespace

Model Model::load(const std::string& bundle, bool trusted) {
  const fs::path folder(bundle), file = folder / "plan.yaml";
  std::error_code error;
  if (!fs::is_directory(folder, error))
    throw IoError("a model is a folder with plan.yaml in it; there is no folder " + bundle);
  if (!fs::is_regular_file(file, error))
    throw FormatError("a model is a folder with plan.yaml in it; " + bundle + " has none");
  const std::string text = read_bundle_text(file);
  const fs::path card_file = folder / "card.md";
  const std::string card = fs::is_regular_file(card_file, error) ? read_bundle_text(card_file) : "";
  try {
    if (!names_key(text, "network")) return Model(classical_plan(text, file), card);
    Model model{Plan(), card};
    model.network_ = load_network(bundle, text, file, trusted);
    return model;
  } catch (const NotSupported&) {
    throw;
  } catch (const Error& why) {
    throw FormatError(file.string() + ": " + why.what());
  }
}

void Model::save(const std::string& bundle, const std::string& precision) const {
  std::error_code error;
  fs::create_directories(bundle, error);
  if (error) throw IoError("can't make the folder " + bundle + ": " + error.message());
  write_bundle_text(fs::path(bundle) / "card.md", card_);
  if (network_)
    network_->save(bundle, precision);
  else
    write_bundle_text(fs::path(bundle) / "plan.yaml", to_yaml(to_map(plan_)));
}

Prediction Model::predict(const Image& image, const PredictOptions& options, Monitor* monitor) const {
  if (network_) return network_->predict(image, options, monitor);
  if (options.probabilities || options.entropy || options.disagreement)
    throw InvalidArgument("model \"" + plan_.name + "\" is a classical method: it makes a mask only");
  Prediction out;
  out.mask = predict(image);
  return out;
}

at::Tensor Model::logits(const Image& image, const PredictOptions& options, Monitor* monitor) const {
  network_plan();
  return network_->logits(image, options, monitor);
}

const NetworkPlan& Model::network_plan() const {
  if (!network_) throw InvalidArgument("model \"" + plan_.name + "\" is a classical method and has no network");
  return network_->plan();
}

const std::map<std::string, TensorMap>& Model::weights() const {
  network_plan();
  return network_->weights();
}

Mask Model::predict(const Image& image, const Mask* region) const {
  if (network_) {
    if (region) throw InvalidArgument("a network segments the whole image; region is for classical methods");
    return network_->predict(image, PredictOptions(), nullptr).mask;
  }
  const Plan& p = plan_;
  if (p.keep == Keep::touching && !region)
    throw InvalidArgument("model \"" + p.name + "\" keeps what touches a region, so predict needs one (region=)");
  if (region) image.geometry().require_same(region->geometry(), "the image", "the region");
  const Image smooth =
      p.smoothing_mm > 0 ? image::gaussian(image, {p.smoothing_mm, p.smoothing_mm, p.smoothing_mm}) : image;
  ContrastOptions options;
  options.connectivity = p.connectivity;
  options.limit_mm = p.limit_mm;
  options.mean_weight = p.mean_weight;
  options.background_weight = p.background_weight;
  options.shell_inner_mm = p.shell_inner_mm;
  options.shell_outer_mm = p.shell_outer_mm;

  Mask mask;
  switch (p.method) {
    case Method::threshold:
      mask = threshold(smooth, p.lower, p.upper);
      break;
    case Method::otsu:
      mask = otsu(smooth, region, p.bins);
      break;
    case Method::percent_of_maximum:
      mask = percent_of_maximum(smooth, region, p.fraction, options);
      break;
    case Method::contrast_threshold:
      mask = contrast_threshold(smooth, region, options).mask;
      break;
  }
  const auto empty = [&] { return mask.labels().empty(); };
  if (p.opening_mm > 0 && !empty()) mask = image::open(mask, p.opening_mm);
  if (p.keep == Keep::largest && !empty()) mask = image::largest_component(mask, 1, p.connectivity);
  if (p.keep == Keep::touching && !empty()) mask = image::keep_touching(mask, *region, 1, p.connectivity);
  if (p.fill_holes && !empty()) mask = image::fill_holes(mask);
  return Mask(mask.tensor(), mask.geometry(), {{1, p.labels[0]}}, {{"model", p.name}});
}

}  // namespace vesalius::segmentation
