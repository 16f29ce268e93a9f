// SPDX-License-Identifier: Apache-2.0
#include <vesalius/segmentation/network_spec.h>

#include <algorithm>
#include <cmath>

#include <vesalius/core/error.h>

namespace vesalius::segmentation {
namespace {

using List = std::vector<int64_t>;

constexpr const char* kKinds[] = {"plain_unet", "residual_unet",     "unet",
                                  "segresnet",  "attention_unet",    "vnet",
                                  "small_unet", "resnet_classifier", "efficientnet_classifier"};
constexpr int64_t kMaxStages = 16, kMaxFeatures = 1 << 16, kMaxKernel = 64;

struct Defaults {
  List features = {}, kernels = {3}, strides = {}, encoder = {2}, decoder = {2};
};

Defaults defaults(const NetworkSpec& spec) {
  switch (spec.kind) {
    case NetworkKind::residual_unet:
    case NetworkKind::resnet_classifier:
      return {.features = {32, 64, 128, 256, 320}, .encoder = {}, .decoder = {1}};
    case NetworkKind::unet:
      return {.features = {16, 32, 64, 128, 256}, .decoder = {1}};
    case NetworkKind::segresnet:
      return {.features = {8, 16, 32, 64}, .encoder = {1, 2, 2, 4}, .decoder = {1}};
    case NetworkKind::attention_unet:
      return {.features = {16, 32, 64, 128, 256}};
    case NetworkKind::vnet:
      return {.features = {16, 32, 64, 128, 256}, .kernels = {5}, .encoder = {1, 1, 2, 3, 2}, .decoder = {2, 2, 1, 1}};
    case NetworkKind::small_unet:
      return {.features = {16, 24, 32, 48, 64}, .decoder = {1}};
    case NetworkKind::efficientnet_classifier:  // B0, table 1 of the paper
      return {.features = {32, 16, 24, 40, 80, 112, 192, 320, 1280},
              .kernels = {3, 3, 3, 5, 3, 5, 5, 3, 1},
              .strides = {2, 1, 2, 2, 2, 1, 2, 1, 1},
              .encoder = {1, 1, 2, 2, 3, 3, 4, 1, 1},
              .decoder = {1}};
    case NetworkKind::plain_unet:
      break;
  }
  return {.features = {32, 64, 128, 256, 320}};
}

[[noreturn]] void refuse(const NetworkSpec& spec, const std::string& what) {
  throw InvalidArgument("network " + to_string(spec.kind) + ": " + what);
}

void require_range(const NetworkSpec& spec, const char* field, const List& list, int64_t low, int64_t high) {
  for (const int64_t value : list)
    if (value < low || value > high)
      refuse(spec, std::string(field) + " lies in " + std::to_string(low) + ".." + std::to_string(high) + "; got " +
                       std::to_string(value));
}

List per_stage(const NetworkSpec& spec, const char* field, const List& list, int64_t stages) {
  if (list.size() == 1) return List(static_cast<size_t>(stages), list[0]);
  if (static_cast<int64_t>(list.size()) != stages)
    refuse(spec, std::string(field) + " has one number, or one for each of " + std::to_string(stages) +
                     " stages; got " + std::to_string(list.size()));
  return list;
}

List per_axis(const NetworkSpec& spec, const char* field, const List& list, int64_t stages) {
  const int64_t d = spec.dimension, n = static_cast<int64_t>(list.size());
  if (n == stages * d) return list;
  if (n != 1 && n != stages)
    refuse(spec, std::string(field) + " has one number, one for each of " + std::to_string(stages) + " stages, or " +
                     std::to_string(stages * d) + " (one an axis); got " + std::to_string(n));
  List out;
  for (int64_t s = 0; s < stages; ++s)
    for (int64_t a = 0; a < d; ++a) out.push_back(list[n == 1 ? 0 : static_cast<size_t>(s)]);
  return out;
}

}  // namespace

std::string to_string(NetworkKind kind) { return kKinds[static_cast<int>(kind)]; }

void from_string(const std::string& text, NetworkKind& out) {
  std::string list;
  for (size_t i = 0; i < std::size(kKinds); ++i) {
    if (text == kKinds[i]) {
      out = static_cast<NetworkKind>(i);
      return;
    }
    list += (i ? ", " : "") + std::string(kKinds[i]);
  }
  throw InvalidArgument("kind of network is one of " + list + "; got \"" + text.substr(0, 100) + "\"");
}

std::vector<int64_t> residual_encoder_blocks(int64_t stages) {
  std::vector<int64_t> blocks{1, 3, 4};
  while (static_cast<int64_t>(blocks.size()) < stages) blocks.push_back(6);
  blocks.resize(static_cast<size_t>(stages));
  return blocks;
}

NetworkSpec NetworkSpec::completed() const {
  NetworkSpec out = *this;
  if (dimension != 2 && dimension != 3) refuse(*this, "dimension is 2 or 3; got " + std::to_string(dimension));
  require_range(*this, "in_channels", {in_channels}, 1, kMaxFeatures);
  require_range(*this, "num_classes", {num_classes}, 1, kMaxFeatures);
  const Defaults given = defaults(*this);
  if (out.features_per_stage.empty()) out.features_per_stage = given.features;
  const int64_t n = out.stages();
  if (n < 2 || n > kMaxStages)
    refuse(*this, "features_per_stage has 2 to " + std::to_string(kMaxStages) + " stages; got " + std::to_string(n));
  require_range(*this, "features_per_stage", out.features_per_stage, 1, kMaxFeatures);
  out.kernel_sizes = per_axis(*this, "kernel_sizes", kernel_sizes.empty() ? given.kernels : kernel_sizes, n);
  require_range(*this, "kernel_sizes", out.kernel_sizes, 1, kMaxKernel);
  for (const int64_t k : out.kernel_sizes)
    if (k % 2 == 0) refuse(*this, "kernel_sizes are odd; got " + std::to_string(k));
  List steps = strides.empty() ? given.strides : strides;
  if (steps.empty()) {
    steps.assign(static_cast<size_t>(n), 2);
    steps[0] = 1;
  }
  out.strides = per_axis(*this, "strides", steps, n);
  require_range(*this, "strides", out.strides, 1, kMaxKernel);
  if (!is_classifier())
    for (int64_t a = 0; a < dimension; ++a)
      if (out.strides[a] != 1) refuse(*this, "the first stage's stride is 1; got " + std::to_string(out.strides[a]));
  List encoder = n_conv_per_stage.empty() ? given.encoder : n_conv_per_stage;
  if (encoder.empty()) encoder = residual_encoder_blocks(n);
  out.n_conv_per_stage = per_stage(*this, "n_conv_per_stage", encoder, n);
  require_range(*this, "n_conv_per_stage", out.n_conv_per_stage, kind == NetworkKind::unet ? 0 : 1, 64);
  out.n_conv_per_stage_decoder =
      per_stage(*this, "n_conv_per_stage_decoder",
                n_conv_per_stage_decoder.empty() ? given.decoder : n_conv_per_stage_decoder, n - 1);
  require_range(*this, "n_conv_per_stage_decoder", out.n_conv_per_stage_decoder, 1, 64);
  if (!(dropout >= 0 && dropout < 1)) refuse(*this, "dropout lies in [0, 1); got " + std::to_string(dropout));
  if (deep_supervision && kind != NetworkKind::plain_unet && kind != NetworkKind::residual_unet &&
      kind != NetworkKind::small_unet)
    refuse(*this, "deep_supervision is for plain_unet, residual_unet and small_unet");
  if (kind == NetworkKind::vnet) {
    if (out.activation.empty()) out.activation = "elu";
    if (out.activation != "elu" && out.activation != "prelu")
      refuse(*this, "activation is elu or prelu; got \"" + activation + "\"");
    if (out.features_per_stage[0] % in_channels)
      refuse(*this, "its first stage's features are a multiple of in_channels; got " +
                        std::to_string(out.features_per_stage[0]) + " and " + std::to_string(in_channels));
  } else if (!activation.empty()) {
    refuse(*this, "activation is set for vnet only; leave it empty");
  }
  const bool doubling = kind == NetworkKind::vnet || kind == NetworkKind::segresnet;
  if (doubling)
    for (int64_t s = 1; s < n; ++s)
      if (out.features_per_stage[s] != 2 * out.features_per_stage[s - 1])
        refuse(*this, "features_per_stage double from stage to stage; got " +
                          std::to_string(out.features_per_stage[s - 1]) + " and then " +
                          std::to_string(out.features_per_stage[s]));
  if (doubling || kind == NetworkKind::unet || kind == NetworkKind::attention_unet)
    for (int64_t i = 0; i < dimension; ++i)
      for (int64_t s = doubling ? 1 : n; s < n; ++s)
        if (out.strides[s * dimension + i] != 2) refuse(*this, "strides are 1, 2, 2, …");
  if (kind == NetworkKind::segresnet && out.features_per_stage[0] % 8)
    refuse(*this, "features_per_stage are multiples of 8 (group norm of 8 groups); got " +
                      std::to_string(out.features_per_stage[0]));
  return out;
}

std::vector<int64_t> NetworkSpec::divisor() const {
  // No image is that long; without the bound sixteen strides of 64 would overflow, to 0.
  constexpr int64_t kLongest = int64_t{1} << 40;
  std::vector<int64_t> out(static_cast<size_t>(dimension), 1);
  if (is_classifier()) return out;
  for (int64_t s = 0; s < stages(); ++s)
    for (int64_t a = 0; a < dimension; ++a) out[a] = std::min(out[a] * strides[s * dimension + a], kLongest);
  return out;
}

}  // namespace vesalius::segmentation
