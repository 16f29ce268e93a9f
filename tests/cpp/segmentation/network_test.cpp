// SPDX-License-Identifier: Apache-2.0
#include "catch.h"

#include <filesystem>
#include <fstream>

#include <ATen/Context.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/instance_norm.h>
#include <ATen/ops/leaky_relu.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>

#include <vesalius/core/error.h>
#include <vesalius/segmentation/losses.h>
#include <vesalius/segmentation/model.h>
#include <vesalius/segmentation/network.h>
#include <vesalius/segmentation/network_plan.h>
#include <vesalius/segmentation/safetensors.h>

using namespace vesalius;
using namespace vesalius::segmentation;

namespace {

NetworkPlan toy_plan() {
  NetworkPlan plan;
  plan.network.features_per_stage = {4, 8};
  plan.network.num_classes = 3;
  plan.spacing = {1, 1, 1};
  plan.patch_size = {8, 8, 8};
  plan.channels = {"MR"};
  plan.normalisation = {"zscore"};
  plan.use_mask_for_norm = {0};
  plan.label_names = {"background", "a", "b"};
  plan.label_values = {"0", "1", "2"};
  return plan;
}

TensorMap weights_of(const NetworkSpec& spec) {
  TensorMap out;
  for (const auto& item : build_network(spec)->named_parameters()) out[item.key()] = item.value().detach();
  return out;
}

}  // namespace

TEST_CASE("a network trains in C++ alone", "[invariant]") {
  at::manual_seed(1);
  const auto net = build_network({.dimension = 2, .features_per_stage = {4, 8}, .deep_supervision = false});
  const at::Tensor x = at::randn({4, 1, 16, 16}), target = x.squeeze(1).gt(0.3).to(at::kLong);
  double first = 0, last = 0;
  for (int step = 0; step < 15; ++step) {
    const at::Tensor loss = soft_dice_loss((*net)(x), target).add(segmentation::cross_entropy_loss((*net)(x), target));
    for (auto& p : net->parameters()) p.mutable_grad() = at::Tensor();
    loss.backward();
    const at::NoGradGuard guard;
    for (auto& p : net->parameters())
      if (p.grad().defined()) p.sub_(p.grad(), 0.05);
    (step ? last : first) = loss.item<double>();
  }
  CHECK(last < 0.9 * first);
}

TEST_CASE("a bundle goes to disk and back and predicts the same", "[invariant]") {
  const auto folder = std::filesystem::temp_directory_path() / "vesalius_network_test";
  std::filesystem::remove_all(folder);
  at::manual_seed(2);
  const NetworkPlan plan = toy_plan();
  const Model model(plan, {{"0", weights_of(plan.network)}}, "# Toy\n");
  const Image image(at::randn({9, 12, 17}), Geometry{{9, 12, 17}, {1.5, 1, 1}});
  const Mask expected = model.predict(image);
  model.save(folder.string());
  const Model back = Model::load(folder.string());
  CHECK(back.card() == "# Toy\n");
  CHECK(back.predict(image).tensor().equal(expected.tensor()));
  PredictOptions options;
  options.probabilities = options.entropy = true;
  const Prediction all = back.predict(image, options);
  CHECK(all.probabilities->tensor().argmax(0).to(at::kByte).equal(expected.tensor()));
  CHECK(all.entropy->geometry() == image.geometry());

  std::ofstream(folder / "weights.safetensors", std::ios::app) << "more";
  CHECK_THROWS_AS(Model::load(folder.string()), FormatError);
  std::filesystem::remove_all(folder);
}

TEST_CASE("weights of another network are refused by name", "[mechanics]") {
  NetworkPlan plan = toy_plan();
  TensorMap weights = weights_of(plan.network);
  weights.erase("decoder.seg_layers.0.bias");
  CHECK_THROWS_WITH(Model(plan, {{"0", weights}}), contains("decoder.seg_layers.0.bias"));
}
