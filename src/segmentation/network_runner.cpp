// SPDX-License-Identifier: Apache-2.0
// The one file of inference that sees torch::nn.
#include <sstream>

#include <ATen/ops/empty.h>
#include <torch/csrc/jit/serialization/import.h>
#include <torch/script.h>

#include <vesalius/core/error.h>
#include <vesalius/segmentation/network.h>

#include "segmentation/direct_conv.h"
#include "segmentation/layers.h"
#include "segmentation/network_model.h"

namespace vesalius::segmentation {
namespace {

constexpr int64_t kNamesShown = 5;

void list(std::string& message, const char* what, const std::vector<std::string>& names) {
  if (names.empty()) return;
  message += std::string("; ") + what + " (" + std::to_string(names.size()) + "): ";
  for (size_t i = 0; i < names.size() && i < kNamesShown; ++i) message += (i ? ", " : "") + names[i].substr(0, 120);
  if (names.size() > kNamesShown) message += ", …";
}

TensorMap own_tensors(const Network& network) {
  TensorMap out;
  for (const auto& item : network.named_parameters()) out[item.key()] = item.value();
  for (const auto& item : network.named_buffers()) out[item.key()] = item.value();
  return out;
}

std::string shape_of(const at::Tensor& t) {
  std::ostringstream out;
  out << t.sizes();
  return out.str();
}

}  // namespace

void check_weights(const NetworkSpec& spec, const TensorMap& given, const std::string& where) {
  // A hostile spec of impossible size is refused while it is built. Networks of the right size keep well within the budget,
  // and one that is a little off is built, so that the message below can list what doesn't fit.
  constexpr double kSlack = 1e7;
  double budget = kSlack;
  for (const auto& item : given) budget += 2 * static_cast<double>(item.second.numel());
  const std::shared_ptr<Network> network = [&] {
    const WeightBudget within(budget);
    try {
      return build_network(spec);
    } catch (const FormatError& why) {
      throw FormatError(where + ": " + to_string(spec.kind) + ": " + why.what());
    }
  }();
  std::vector<std::string> missing, extra, misshapen;
  const TensorMap own = own_tensors(*network);
  for (const auto& [name, tensor] : own) {
    const auto found = given.find(name);
    if (found == given.end())
      missing.push_back(name);
    else if (found->second.sizes() != tensor.sizes())
      misshapen.push_back(name + " " + shape_of(found->second) + " instead of " + shape_of(tensor));
    else if (at::isFloatingType(found->second.scalar_type()) != at::isFloatingType(tensor.scalar_type()))
      misshapen.push_back(name + " of another type");
  }
  for (const auto& item : given)
    if (!own.count(item.first)) extra.push_back(item.first);
  if (missing.empty() && extra.empty() && misshapen.empty()) return;
  std::string message = where + ": the weights don't fit the plan's " + to_string(spec.kind);
  list(message, "missing", missing);
  list(message, "not in the network", extra);
  list(message, "of another shape", misshapen);
  throw FormatError(message);
}

bool channels_last_pays(at::ScalarType type, const std::string& device) {
  return device.rfind("cuda", 0) == 0 ? type != at::kFloat : !direct_conv_available(type);
}

NetworkModel::Runner make_network_runner(const NetworkSpec& spec, const TensorMap& weights, const std::string& device,
                                         at::ScalarType type) {
  NetworkSpec plain = spec;
  plain.deep_supervision = false;
  const auto network = build_network(plain);
  const at::NoGradGuard guard;
  for (auto& [name, tensor] : own_tensors(*network)) tensor.copy_(weights.at(name));
  network->eval();
  network->to(at::Device(device), type);
  const auto format = spec.dimension == 3 ? at::MemoryFormat::ChannelsLast3d : at::MemoryFormat::ChannelsLast;
  const bool last = channels_last_pays(type, device);
  if (last)
    for (auto& p : network->parameters())
      if (p.dim() == spec.dimension + 2) p.set_data(p.contiguous(format));
  return [network, device, type, format, last](const at::Tensor& tiles) {
    const at::NoGradGuard no_gradients;
    at::Tensor x = tiles.to(at::Device(device), type);
    return (*network)(last ? x.contiguous(format) : x);
  };
}

NetworkModel::Runner make_script_runner(const std::string& file, const std::string& device, at::ScalarType type) {
  std::shared_ptr<torch::jit::Module> module;
  try {
    module = std::make_shared<torch::jit::Module>(torch::jit::load(file, at::Device(device)));
  } catch (const c10::Error& why) {
    throw FormatError(file + " is no TorchScript module: " + std::string(why.what_without_backtrace()).substr(0, 300));
  }
  module->eval();
  module->to(type);
  return [module, device, type](const at::Tensor& tiles) {
    const at::NoGradGuard no_gradients;
    const auto out = module->forward({tiles.to(at::Device(device), type)});
    if (out.isTensor()) return out.toTensor();
    if (out.isTensorList() && !out.toTensorVector().empty()) return out.toTensorVector()[0];
    if (out.isTuple() && !out.toTuple()->elements().empty() && out.toTuple()->elements()[0].isTensor())
      return out.toTuple()->elements()[0].toTensor();
    throw FormatError("the TorchScript module must give a tensor of logits, or a list with the full resolution first");
  };
}

}  // namespace vesalius::segmentation
