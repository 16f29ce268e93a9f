// SPDX-License-Identifier: Apache-2.0
// train DATASET BUNDLE [STEPS [PRESET]]: trains nnU-Net's network for a folder of images and labels (nnU-Net's raw format, or
// images/ and labels/) and writes it as a bundle, which examples/cpp/segmentation and Python predict with. The loop is short to
// be read and changed; `vesalius train` adds folds, validation, checkpoints, mixed precision and several devices.

#include <cmath>
#include <filesystem>
#include <iostream>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <ATen/ops/zeros.h>
#include <torch/nn/utils/clip_grad.h>
#include <torch/optim/adamw.h>

#include <vesalius/core/error.h>
#include <vesalius/segmentation/dataset.h>
#include <vesalius/segmentation/fingerprint.h>
#include <vesalius/segmentation/losses.h>
#include <vesalius/segmentation/model.h>
#include <vesalius/segmentation/network.h>
#include <vesalius/segmentation/network_plan.h>
#include <vesalius/segmentation/planner.h>
#include <vesalius/segmentation/preprocess.h>
#include <vesalius/segmentation/sampler.h>

namespace seg = vesalius::segmentation;

namespace {

/// Without the cases that are broken; says what is wrong with them.
seg::Dataset usable(seg::Dataset data) {
  std::set<std::string> broken;
  for (const auto& problem : seg::check_dataset(data)) {
    std::cerr << (problem.fatal ? "left out: " : "note: ") << problem.message << '\n';
    if (problem.fatal && problem.id.empty()) throw vesalius::InvalidArgument(problem.message);
    if (problem.fatal) broken.insert(problem.id);
  }
  std::erase_if(data.cases, [&](const auto& entry) { return broken.count(entry.id) > 0; });
  return data;
}

seg::PatchSampler make_sampler(const seg::Dataset& data, const seg::Configuration& configuration,
                               const std::string& prepared) {
  std::vector<seg::SamplerCase> cases;
  for (const auto& entry : data.cases) cases.emplace_back(seg::CachedCase::open(prepared, entry.id));
  seg::AugmentationSettings settings;  // nnU-Net's list
  for (size_t c = 0; c < configuration.use_mask_for_norm.size(); ++c)
    if (configuration.use_mask_for_norm[c]) settings.mask_channels.push_back(static_cast<int64_t>(c));
  seg::PatchSamplerOptions options;
  options.patch_size = configuration.patch_size;
  options.batch_size = configuration.batch_size;
  options.ignore_label = data.labels.ignore;
  if (data.labels.has_regions()) options.regions = data.labels.foreground();
  return {std::move(cases), options, seg::Augmentation(settings, configuration.patch_size)};
}

/// Dice and cross-entropy at every resolution that the decoder gives, as nnU-Net weighs them.
at::Tensor loss_of(const std::vector<at::Tensor>& outputs, const at::Tensor& target, const seg::LossOptions& options) {
  const auto weights = seg::deep_supervision_weights(static_cast<int64_t>(outputs.size()));
  at::Tensor loss = at::zeros({}, outputs[0].options());
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (outputs.size() > 1 && weights[i] == 0) continue;
    const at::Tensor here = seg::downsample_target(target, outputs[i].sizes().slice(2).vec());
    const at::Tensor both =
        seg::soft_dice_loss(outputs[i], here, options) + seg::cross_entropy_loss(outputs[i], here, options);
    loss = loss + both * (outputs.size() > 1 ? weights[i] : 1.0);
  }
  return loss;
}

void train(const std::string& folder, const std::string& bundle, int64_t steps, seg::PlannerPreset preset) {
  const seg::Dataset data = usable(seg::Dataset::open(folder));
  if (data.labels.has_regions() && data.labels.ignore)
    throw vesalius::NotSupported("this example learns regions without an ignore label only");
  seg::PlannerOptions planning;
  planning.preset = preset;
  const seg::Plans plans = seg::plan(seg::fingerprint(data), data, planning);
  const auto& configuration = plans.configuration(plans.has("3d_fullres") ? "3d_fullres" : "2d");
  const std::string prepared = (std::filesystem::path(bundle) / ".." / "prepared").lexically_normal().string();
  seg::preprocess_dataset(data, {plans, configuration.name}, prepared);

  at::manual_seed(0);
  seg::NetworkPlan plan = seg::NetworkPlan::from_plans(plans, configuration.name, data.labels, data.channels);
  seg::NetworkSpec spec = plan.network;
  spec.deep_supervision = true;
  const auto network = seg::build_network(spec);
  constexpr double kRate = 2e-3, kLargestGradient = 12;
  torch::optim::AdamW optimizer(network->parameters(), torch::optim::AdamWOptions(kRate).weight_decay(1e-2));

  seg::LossOptions losses;
  losses.batch = configuration.batch_dice;
  losses.regions = data.labels.has_regions();
  losses.ignore_label = data.labels.ignore;
  const seg::PatchSampler sampler = make_sampler(data, configuration, prepared);
  seg::PatchLoader loader(sampler, 0, steps, steps);  // makes batches ahead on threads
  double mean = 0;
  constexpr int64_t kReport = 10;
  for (int64_t step = 0; const auto batch = loader.next(); ++step) {
    const double rate = kRate * std::pow(1 - static_cast<double>(step) / static_cast<double>(steps), 0.9);
    for (auto& group : optimizer.param_groups()) group.options().set_lr(rate);
    optimizer.zero_grad();
    const at::Tensor target = losses.regions ? batch->labels[0].to(at::kFloat) : batch->labels[0].to(at::kLong);
    const at::Tensor loss = loss_of(network->forward(batch->image), target, losses);
    const double value = loss.item<double>();
    if (!std::isfinite(value)) throw vesalius::ConvergenceError("the loss is NaN in step " + std::to_string(step));
    loss.backward();
    torch::nn::utils::clip_grad_norm_(network->parameters(), kLargestGradient);
    optimizer.step();
    mean += value / kReport;
    if ((step + 1) % kReport == 0)
      std::cout << "step " << step + 1 << " loss " << std::exchange(mean, 0.0) << std::endl;
  }

  std::map<std::string, at::Tensor> weights;
  for (const auto& item : network->named_parameters()) weights[item.key()] = item.value().detach();
  for (const auto& item : network->named_buffers()) weights[item.key()] = item.value();
  plan.folds = {"all"};
  seg::Model(plan, {{"all", weights}}, "# " + plan.name + "\n\nTrained by examples/cpp/training.\n").save(bundle);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::cerr << "usage: train DATASET BUNDLE [STEPS [plain|resenc_m|resenc_l|resenc_xl|small]]\n";
    return 2;
  }
  try {
    auto preset = seg::PlannerPreset::small;
    if (argc > 4) seg::from_string(argv[4], preset);
    train(argv[1], argv[2], argc > 3 ? std::stoll(argv[3]) : 1000, preset);
  } catch (const std::exception& error) {
    std::cerr << "train: " << error.what() << '\n';
    return 1;
  }
}
