// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <vesalius/segmentation/model.h>
#include <vesalius/segmentation/network_plan.h>
#include <vesalius/segmentation/safetensors.h>
#include <vesalius/segmentation/sliding_window.h>

namespace vesalius::segmentation {

/// A bundle's network(s): plan, weights of each fold, and in a cascade the stage before it. Torch-free of nn: the header is
/// cheap.
class NetworkModel {
 public:
  /// One fold's network on a device and in a type: logits of a batch of tiles.
  using Runner = std::function<at::Tensor(const at::Tensor&)>;

  NetworkModel(NetworkPlan plan, std::map<std::string, TensorMap> weights, std::string folder,
               std::shared_ptr<const NetworkModel> previous);
  /// @throws NotSupported for a plan (or that of a stage before it) whose weights are a program, unless it is `trusted`.
  static std::shared_ptr<const NetworkModel> load(const std::string& folder, NetworkPlan plan, bool trusted,
                                                  int depth = 0);
  void save(const std::string& folder, const std::string& precision) const;

  Prediction predict(const Image& image, const PredictOptions& options, Monitor* monitor) const;
  /// Mean logits of the folds `[k, z, y, x]` on the prepared grid.
  at::Tensor logits(const Image& image, const PredictOptions& options, Monitor* monitor) const;
  at::Tensor prepared(const Image& image, const PredictOptions& options, Monitor* monitor) const;

  const NetworkPlan& plan() const { return plan_; }
  const std::map<std::string, TensorMap>& weights() const { return weights_; }

 private:
  struct Input {
    Preprocessed data;
    at::Tensor image;  ///< with the previous stage's one-hot labels
  };
  Input prepare(const Image& image, const PredictOptions& options, Monitor* monitor) const;
  std::vector<Runner> runners(const PredictOptions& options, const std::string& device) const;
  /// The folds on each device: their mean, or each `apart`.
  std::vector<TileNetwork> networks(const PredictOptions& options, bool apart) const;
  Runner make_runner(const std::string& fold, const std::string& device, at::ScalarType type) const;
  Mask postprocessed(Mask mask) const;

  NetworkPlan plan_;
  std::map<std::string, TensorMap> weights_;  ///< by fold
  std::string folder_;                        ///< where TorchScript and AOTInductor files lie
  std::shared_ptr<const NetworkModel> previous_;
  mutable std::mutex mutex_;
  mutable std::map<std::string, Runner> made_;  ///< by fold, device and type
};

/// The tensors of `given` in a network, every name and shape checked. @throws FormatError that lists what is missing, extra or
///   misshapen.
void check_weights(const NetworkSpec& spec, const TensorMap& given, const std::string& where);
NetworkModel::Runner make_network_runner(const NetworkSpec& spec, const TensorMap& weights, const std::string& device,
                                         at::ScalarType type);
NetworkModel::Runner make_script_runner(const std::string& file, const std::string& device, at::ScalarType type);
NetworkModel::Runner make_package_runner(const std::string& file, const std::string& device);

/// Whether convolutions of this type and device are quicker with channels last (measured; docs/segmentation-networks.md).
bool channels_last_pays(at::ScalarType type, const std::string& device);

std::string read_bundle_text(const std::string& path);
void write_bundle_text(const std::string& path, const std::string& text);

}  // namespace vesalius::segmentation
