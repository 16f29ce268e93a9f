// SPDX-License-Identifier: Apache-2.0
// Mutates bundles, plans, data sets' descriptions and prepared cases, and uses what still opens. Anything but a result or a
// vesalius::Error (another exception, a signal, a sanitizer's report) is a failure, and the files that did it stay behind.
//
//   fuzz_bundle SECONDS SEED
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <random>
#include <string>

#include <unistd.h>

#include <ATen/ops/rand.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/zeros.h>

#include <vesalius/core/error.h>
#include <vesalius/segmentation/model.h>
#include <vesalius/segmentation/network.h>
#include <vesalius/segmentation/network_plan.h>
#include <vesalius/segmentation/safetensors.h>
#include <vesalius/segmentation/sampler.h>

#include "fuzz.h"

namespace fs = std::filesystem;
using namespace vesalius;
using namespace vesalius::segmentation;
using vesalius::fuzz::Bytes;

namespace {

Bytes read(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void write(const fs::path& path, const Bytes& bytes) {
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<int64_t>(bytes.size()));
}

NetworkPlan small_plan(bool cascade) {
  NetworkPlan plan;
  plan.network.features_per_stage = {2, 4};
  plan.network.num_classes = 3;
  plan.network.in_channels = cascade ? 3 : 1;
  plan.spacing = {1, 1, 1};
  plan.patch_size = {4, 4, 4};
  plan.channels = {"CT"};
  plan.normalisation = {"zscore"};
  plan.use_mask_for_norm = {0};
  plan.label_names = {"background", "a", "b"};
  plan.label_values = {"0", "1", "2"};
  plan.keep_largest = {"1 2"};
  if (cascade) plan.previous_stage = "first";
  return plan;
}

Model small_model(bool cascade) {
  const NetworkPlan plan = small_plan(cascade);
  TensorMap weights;
  const auto network = build_network(plan.network);
  for (const auto& item : network->named_parameters()) weights[item.key()] = item.value().detach();
  const Model previous = cascade ? small_model(false) : Model(Plan{});
  return Model(plan, {{"0", weights}}, "# card", cascade ? &previous : nullptr);
}

const LabelSet& labels_of() {
  static const LabelSet set = [] {
    LabelSet s;
    s.labels = {{"background", {0}}, {"a", {1}}, {"b", {2}}};
    return s;
  }();
  return set;
}

Image small_image() { return Image(at::rand({6, 7, 5}).add(1.0), Geometry{{6, 7, 5}}); }

/// What a network costs grows with these; a fuzzer's runs are short.
bool quick(const NetworkPlan& plan) {
  int64_t voxels = 1;
  for (const int64_t n : plan.patch_size) voxels *= n;
  const bool fine = std::all_of(plan.spacing.begin(), plan.spacing.end(), [](double s) { return s > 0.3; });
  const auto& f = plan.network.features_per_stage;
  return voxels <= 4096 && fine && std::all_of(f.begin(), f.end(), [](int64_t n) { return n <= 64; }) &&
         plan.tile_step > 0.2;
}

void use_bundle(const fs::path& folder) {
  const Model model = Model::load(folder.string());
  if (model.has_network() && !quick(model.network_plan())) return;
  model.predict(small_image(), PredictOptions());
}

void use_case(const fs::path& folder) {
  const CachedCase one = CachedCase::open(folder.string(), "one");
  restore_labels(at::zeros({3, one.trace.shape[0], one.trace.shape[1], one.trace.shape[2]}), one.trace, labels_of());
  const PatchSampler sampler({SamplerCase(one)}, {.patch_size = {4, 4, 4}},
                             Augmentation(AugmentationSettings(), {4, 4, 4}));
  for (int64_t i = 0; i < 3; ++i) sampler.batch(0, i);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: %s SECONDS SEED\n", argv[0]);
    return 2;
  }
  const double seconds = std::atof(argv[1]);
  std::mt19937_64 random(std::strtoull(argv[2], nullptr, 10));
  const fs::path root = fs::temp_directory_path() / ("vesalius-fuzz-" + std::to_string(::getpid()));
  const fs::path bundle = root / "bundle", cases = root / "cases", set = root / "set";
  for (const auto& folder : {bundle, cases, set / "images"}) fs::create_directories(folder);

  small_model(true).save(bundle.string());
  Fingerprint print;
  print.spacings.assign(20, {1.0, 1.0, 1.0});
  print.shapes.assign(20, {36, 50, 35});
  print.channels.resize(1);
  const Plans plans = plan(print, "toy", {"MRI"}, 3, 20);
  const std::string described =
      R"({"channel_names": {"0": "MRI"}, "labels": {"background": 0, "whole": [1, 2], "core": [2]}, )"
      R"("regions_class_order": [1, 2], "numTraining": 1, "file_ending": ".nii.gz", )"
      R"("dataset": {"a": {"images": ["images/a.nii.gz"], "label": "images/b.nii.gz"}}})";
  const std::string plans_text = plans.to_json(), print_text = print.to_json();
  write(set / "plans.json", Bytes(plans_text.begin(), plans_text.end()));
  write(set / "dataset.json", Bytes(described.begin(), described.end()));
  write(set / "fingerprint.json", Bytes(print_text.begin(), print_text.end()));
  const Preprocessed made =
      preprocess_image(small_image(), PreprocessPlan(plans, "3d_fullres"), at::randint(0, 3, {6, 7, 5}, at::kShort));
  CachedCase::save(cases.string(), "one", made, foreground_locations(made.labels, labels_of()));

  const auto text = [](const fs::path& path) {
    const Bytes bytes = read(path);
    return std::string(bytes.begin(), bytes.end());
  };
  const auto use_plans = [&] {
    const Plans found = Plans::from_json(text(set / "plans.json"));
    found.to_json();
    for (const auto& c : found.configurations) {
      PreprocessPlan prepared(found, c.name);
      if (c.spacing.size() == 3 && c.spacing[0] > 0.3 && c.spacing[1] > 0.3 && c.spacing[2] > 0.3)
        preprocess_image(small_image(), prepared);
    }
    NetworkPlan::from_nnunet(text(set / "plans.json"), text(set / "dataset.json"), "3d_fullres").validate();
  };
  const auto use_set = [&] {
    Fingerprint::from_json(text(set / "fingerprint.json"));
    LabelSet::from_json(text(set / "dataset.json")).validate();
    Dataset::open(set.string());
  };
  struct Target {
    fs::path file;
    std::function<void()> use;
  };
  std::vector<Target> targets;
  for (const char* name : {"plan.yaml", "first/plan.yaml", "weights.safetensors", "card.md"})
    targets.push_back({bundle / name, [&] { use_bundle(bundle); }});
  for (const char* name : {"one.json", "one.image.npy", "one.labels.npy", "one.locations.npy"})
    targets.push_back({cases / name, [&] { use_case(cases); }});
  for (const char* name : {"plans.json", "dataset.json"}) targets.push_back({set / name, use_plans});
  for (const char* name : {"fingerprint.json", "dataset.json"}) targets.push_back({set / name, use_set});

  std::map<std::string, int64_t> outcomes;
  int64_t runs = 0;
  const auto start = std::chrono::steady_clock::now();
  const auto elapsed = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(); };
  for (; elapsed() < seconds; ++runs) {
    const Target& target = targets[random() % targets.size()];
    const Bytes good = read(target.file);
    Bytes bytes = good;
    fuzz::mutate(bytes, random, 4000);
    // A file may be mapped by a case of the run before: a new one in its place, never the old one cut.
    fs::remove(target.file);
    write(target.file, bytes);
    const double before = elapsed();
    try {
      target.use();
      ++outcomes["used"];
    } catch (const Error& error) {
      ++outcomes[dynamic_cast<const FormatError*>(&error) ? "FormatError" : "other Error"];
    } catch (const std::exception& error) {
      std::fprintf(stderr, "FAILED after %ld runs: %s: an exception that is none of ours: %s\n",
                   static_cast<long>(runs), target.file.c_str(), error.what());
      return 1;
    }
    if (elapsed() - before > 10) {
      std::fprintf(stderr, "FAILED after %ld runs: %s took %.1f s\n", static_cast<long>(runs), target.file.c_str(),
                   elapsed() - before);
      return 1;
    }
    fs::remove(target.file);
    write(target.file, good);
  }
  std::printf("%ld runs over %zu files in %.0f s:", static_cast<long>(runs), targets.size(), elapsed());
  for (const auto& [name, count] : outcomes) std::printf(" %s %ld", name.c_str(), static_cast<long>(count));
  std::printf("\n");
  fs::remove_all(root);
  return 0;
}
