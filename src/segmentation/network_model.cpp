// SPDX-License-Identifier: Apache-2.0
#include "segmentation/network_model.h"

#include <algorithm>
#include <filesystem>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/isin.h>

#include <vesalius/core/error.h>
#include <vesalius/image/components.h>
#include <vesalius/segmentation/sliding_window.h>

#include "segmentation/label_text.h"
#include "segmentation/result_painter.h"

namespace vesalius::segmentation {
namespace {

namespace fs = std::filesystem;
constexpr int kMaxCascade = 4;  // of a cascade

at::ScalarType type_of(const std::string& precision) {
  if (precision == "float32") return at::kFloat;
  if (precision == "bfloat16") return at::kBFloat16;
  if (precision == "float16") return at::kHalf;
  throw InvalidArgument("precision is float32, bfloat16 or float16; got \"" + precision.substr(0, 40) + "\"");
}

/// As it is kept on disk.
at::Tensor narrowed(const at::Tensor& tensor, at::ScalarType type, const std::string& name) {
  if (tensor.scalar_type() != at::kFloat || type == at::kFloat) return tensor;
  const at::Tensor out = tensor.to(type);
  if (at::isfinite(tensor).ne(at::isfinite(out)).any().item<bool>())
    throw InvalidArgument(name +
                          " holds a weight too large for float16; save it with precision \"bfloat16\" or \"float32\"");
  return out;
}

/// As it is computed with: 16 bits are a way of keeping weights only.
at::Tensor widened(const at::Tensor& tensor) {
  const bool narrow = tensor.scalar_type() == at::kHalf || tensor.scalar_type() == at::kBFloat16;
  return narrow ? tensor.to(at::kFloat) : tensor;
}

/// Collects planes into `[members, k, z, y, x]`.
class Collector {
 public:
  Collector(int64_t members, int64_t classes, const at::Tensor& image)
      : all_(at::empty({members, classes, image.size(1), image.size(2), image.size(3)}, at::kFloat)) {}
  void operator()(int64_t first, const at::Tensor& planes) { all_.narrow(2, first, planes.size(2)).copy_(planes); }
  const at::Tensor& all() const { return all_; }

 private:
  at::Tensor all_;
};

}  // namespace

NetworkModel::NetworkModel(NetworkPlan plan, std::map<std::string, TensorMap> weights, std::string folder,
                           std::shared_ptr<const NetworkModel> previous)
    : plan_(std::move(plan)), weights_(std::move(weights)), folder_(std::move(folder)), previous_(std::move(previous)) {
  plan_.validate();
  if (plan_.previous_stage.empty() != (previous_ == nullptr))
    throw InvalidArgument("a cascade's model needs the stage before it (plan: previous_stage), and only a cascade's");
  if (plan_.weights != "safetensors") return;
  for (const auto& fold : plan_.folds) {
    const auto found = weights_.find(fold);
    if (found == weights_.end()) throw FormatError("the plan names fold " + fold + ", and it has no weights");
    check_weights(plan_.network, found->second, "fold " + fold);
  }
  if (weights_.size() != plan_.folds.size())
    throw FormatError("there are weights of " + std::to_string(weights_.size()) + " folds; the plan names " +
                      std::to_string(plan_.folds.size()));
}

std::shared_ptr<const NetworkModel> NetworkModel::load(const std::string& folder, NetworkPlan plan, bool trusted,
                                                       int depth) {
  plan.validate();  // before a name of it becomes a path
  if (plan.weights != "safetensors" && !trusted)
    throw NotSupported((fs::path(folder) / "plan.yaml").string() + " holds a program (" + plan.weights +
                       "), which can do whatever its author likes; load it with trusted=True if you trust them");
  if (depth >= kMaxCascade) throw FormatError(folder + ": a cascade has at most 4 stages");
  std::map<std::string, TensorMap> weights;
  if (plan.weights == "safetensors") {
    const std::string file = (fs::path(folder) / "weights.safetensors").string();
    for (auto& [name, tensor] : read_safetensors(file).tensors) {
      const auto slash = name.find('/');
      if (name.rfind("fold_", 0) != 0 || slash == std::string::npos)
        throw FormatError(file + ": tensors are named fold_<fold>/<parameter>; got \"" + name.substr(0, 100) + "\"");
      weights[name.substr(5, slash - 5)][name.substr(slash + 1)] = widened(tensor);
    }
  }
  std::shared_ptr<const NetworkModel> previous;
  if (!plan.previous_stage.empty()) {
    const fs::path below = fs::path(folder) / plan.previous_stage;
    const std::string file = (below / "plan.yaml").string();
    previous = load(below.string(), from_map<NetworkPlan>(from_yaml(read_bundle_text(file))), trusted, depth + 1);
  }
  return std::make_shared<NetworkModel>(std::move(plan), std::move(weights), folder, previous);
}

void NetworkModel::save(const std::string& folder, const std::string& precision) const {
  const at::ScalarType type = type_of(precision);
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) throw IoError("can't make the folder " + folder + ": " + error.message());
  if (plan_.weights == "safetensors") {
    TensorMap all;
    for (const auto& [fold, tensors] : weights_)
      for (const auto& [name, tensor] : tensors)
        all["fold_" + fold + "/" + name] = narrowed(tensor, type, "fold_" + fold + "/" + name);
    write_safetensors((fs::path(folder) / "weights.safetensors").string(), all, {{"format", "pt"}});
  } else if (fs::weakly_canonical(folder) != fs::weakly_canonical(folder_)) {
    const std::string suffix = plan_.weights == "torchscript" ? ".pt" : ".pt2";
    for (const auto& fold : plan_.folds) {
      const std::string name = "fold_" + fold + suffix;
      fs::copy_file(fs::path(folder_) / name, fs::path(folder) / name, fs::copy_options::overwrite_existing, error);
      if (error) throw IoError("can't copy " + (fs::path(folder_) / name).string() + ": " + error.message());
    }
  }
  if (previous_) previous_->save((fs::path(folder) / plan_.previous_stage).string(), precision);
  write_bundle_text((fs::path(folder) / "plan.yaml").string(), to_yaml(to_map(plan_)));
}

NetworkModel::Runner NetworkModel::make_runner(const std::string& fold, const std::string& device,
                                               at::ScalarType type) const {
  const std::string key = fold + "|" + device + "|" + c10::toString(type);
  const std::lock_guard lock(mutex_);
  auto& runner = made_[key];
  if (runner) return runner;
  if (plan_.weights == "safetensors")
    runner = make_network_runner(plan_.network, weights_.at(fold), device, type);
  else if (plan_.weights == "torchscript")
    runner = make_script_runner((fs::path(folder_) / ("fold_" + fold + ".pt")).string(), device, type);
  else if (type != at::kFloat)
    throw InvalidArgument(
        "an AOTInductor package computes in the precision that it was compiled for; leave precision at "
        "float32, the type of the tiles that it is given");
  else
    runner = make_package_runner((fs::path(folder_) / ("fold_" + fold + ".pt2")).string(), device);
  return runner;
}

std::vector<NetworkModel::Runner> NetworkModel::runners(const PredictOptions& options,
                                                        const std::string& device) const {
  const at::ScalarType type = type_of(options.precision);
  std::vector<Runner> out;
  const auto& folds = options.folds.empty() ? plan_.folds : options.folds;
  for (const auto& fold : folds) {
    if (std::find(plan_.folds.begin(), plan_.folds.end(), fold) == plan_.folds.end()) {
      std::string list;
      for (const auto& f : plan_.folds) list += (list.empty() ? "" : ", ") + f;
      throw InvalidArgument("the model has no fold " + fold + "; it has " + list);
    }
    out.push_back(make_runner(fold, device, type));
  }
  return out;
}

NetworkModel::Input NetworkModel::prepare(const Image& image, const PredictOptions& options, Monitor* monitor) const {
  const auto channels = static_cast<int64_t>(plan_.channels.size());
  if (image.channels() != channels) {
    std::string list;
    for (const auto& c : plan_.channels) list += (list.empty() ? "" : ", ") + c;
    throw ShapeError("model \"" + plan_.name + "\" takes an image of " + std::to_string(channels) + " channels (" +
                     list + "); got " + std::to_string(image.channels()));
  }
  const Image here = image.tensor().device().is_cpu() ? image : image.to("cpu");
  if (!previous_) {
    Input in{preprocess_image(here, plan_.preprocess()), {}};
    in.image = in.data.image;
    return in;
  }
  PredictOptions first = options;
  first.probabilities = first.entropy = first.disagreement = false;
  first.folds.clear();
  const Mask before = previous_->predict(here, first, monitor).mask;
  Input in{preprocess_image(here, plan_.preprocess(), before.tensor().to(at::kShort)), {}};
  std::vector<at::Tensor> parts{in.data.image};
  for (const int64_t label : plan_.label_set().values())  // every label, as nnU-Net does, also where regions are learnt
    if (label != 0) parts.push_back(in.data.labels.eq(label).unsqueeze(0).to(at::kFloat));
  in.image = at::cat(parts);
  return in;
}

at::Tensor NetworkModel::prepared(const Image& image, const PredictOptions& options, Monitor* monitor) const {
  return prepare(image, options, monitor).image;
}

namespace {

SlidingWindowOptions window_options(const NetworkPlan& plan, const PredictOptions& options) {
  SlidingWindowOptions o;
  o.patch = plan.patch_size;
  o.step = options.step > 0 ? options.step : plan.tile_step;
  if (options.mirroring) o.mirror_axes = plan.mirror_axes;
  const auto& devices = options.devices.empty() ? std::vector<std::string>{options.device} : options.devices;
  const bool cpu = std::all_of(devices.begin(), devices.end(), [](const auto& d) { return d.rfind("cpu", 0) == 0; });
  o.batch = options.batch != 0 ? options.batch : cpu ? 1 : 2;
  o.skip_constant = options.skip_background;
  o.full_batches = plan.weights == "aotinductor";
  return o;
}

TileNetwork ensemble(const std::vector<NetworkModel::Runner>& runners, bool apart) {
  return [runners, apart](const at::Tensor& tiles) {
    std::vector<at::Tensor> out;
    for (const auto& runner : runners) {
      at::Tensor logits = runner(tiles).to(at::kFloat);
      if (apart || out.empty())
        out.push_back(logits);
      else
        out[0] = out[0].add(logits);
    }
    if (!apart && runners.size() > 1) out[0] = out[0].div(static_cast<double>(runners.size()));
    return out;
  };
}

}  // namespace

std::vector<TileNetwork> NetworkModel::networks(const PredictOptions& options, bool apart) const {
  const auto& devices = options.devices.empty() ? std::vector<std::string>{options.device} : options.devices;
  std::vector<TileNetwork> out;
  for (const auto& device : devices) out.push_back(ensemble(runners(options, device), apart));
  // One tile is cut and copied while another is computed.
  if (out.size() == 1 && devices[0].rfind("cuda", 0) == 0) out.push_back(out[0]);
  return out;
}

at::Tensor NetworkModel::logits(const Image& image, const PredictOptions& options, Monitor* monitor) const {
  const auto ready = networks(options, false);
  const Input in = prepare(image, options, monitor);
  Collector collect(1, plan_.network.num_classes, in.image);
  sliding_window(ready, in.image, 1, plan_.network.num_classes, window_options(plan_, options), std::ref(collect),
                 monitor);
  return collect.all()[0];
}

Mask NetworkModel::postprocessed(Mask mask) const {
  for (const auto& text : plan_.keep_largest) {
    const auto numbers = numbers_of(text);
    at::Tensor inside = mask.tensor().eq(numbers[0]);
    for (size_t i = 1; i < numbers.size(); ++i) inside = inside.logical_or(mask.tensor().eq(numbers[i]));
    if (!inside.any().item<bool>()) continue;
    constexpr int64_t kConnectivity = 26;
    const Mask kept = image::largest_component(Mask(inside, mask.geometry()), 1, kConnectivity);
    mask.tensor().masked_fill_(inside.logical_and(kept.tensor().eq(0)), 0);
  }
  return mask;
}

Prediction NetworkModel::predict(const Image& image, const PredictOptions& options, Monitor* monitor) const {
  const at::NoGradGuard no_gradients;
  const auto folds = options.folds.empty() ? plan_.folds.size() : options.folds.size();
  const bool apart = options.disagreement;
  if (apart && folds < 2) throw InvalidArgument("disagreement compares folds; this model has one");
  const auto ready = networks(options, apart);
  const auto members = apart ? static_cast<int64_t>(folds) : int64_t{1};
  const Input in = prepare(image, options, monitor);
  ResultPainter painter(in.data.trace, plan_.label_set(), {members, options.probabilities, options.entropy, apart});
  sliding_window(
      ready, in.image, members, plan_.network.num_classes, window_options(plan_, options),
      [&](int64_t first, const at::Tensor& planes) { painter.planes(first, planes); }, monitor);

  Prediction out;
  if (options.probabilities) out.probabilities = Image(painter.probabilities(), image.geometry());
  if (options.entropy) out.entropy = Image(painter.entropy(), image.geometry());
  if (apart) out.disagreement = Image(painter.disagreement(), image.geometry());
  Mask mask = postprocessed(painter.finish());
  out.mask = Mask(mask.tensor().to(image.tensor().device()), mask.geometry(), mask.names(), {{"model", plan_.name}});
  return out;
}

}  // namespace vesalius::segmentation
