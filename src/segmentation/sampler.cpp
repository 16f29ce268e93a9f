// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <sstream>

#include <ATen/ops/empty.h>

#include <vesalius/core/error.h>
#include <vesalius/segmentation/sampler.h>

#include "segmentation/random.h"
#include "segmentation/sampler_state.h"

namespace vesalius::segmentation {
namespace {

using Index = std::array<int64_t, 3>;

std::string shown(at::IntArrayRef sizes) {
  std::ostringstream out;
  out << sizes;
  return out.str();
}

Index three_axes(const std::vector<int64_t>& sizes) {
  return sizes.size() == 3 ? Index{sizes[0], sizes[1], sizes[2]} : Index{1, sizes[0], sizes[1]};
}

/// The list of all annotated voxels (datasets with an ignore label) is marked by −1.
bool is_annotated(const std::vector<int64_t>& numbers) {
  return std::find(numbers.begin(), numbers.end(), -1) != numbers.end();
}

void check_case(const SamplerCase& one, int64_t channels, bool cascade) {
  const std::string name = "case \"" + one.id + "\": ";
  if (!one.image.defined() || one.image.dim() != 4 || one.image.numel() == 0)
    throw ShapeError(name + "the image must be [c, z, y, x] with voxels in it" +
                     (one.image.defined() ? ", not " + shown(one.image.sizes()) : ""));
  if (!one.labels.defined() || one.labels.sizes() != one.image.sizes().slice(1))
    throw ShapeError(name + "the labels are " + (one.labels.defined() ? shown(one.labels.sizes()) : "missing") +
                     " and the image " + shown(one.image.sizes()) + "; expected [z, y, x] on the same grid");
  if (one.image.scalar_type() != at::kFloat || one.labels.scalar_type() != at::kShort)
    throw TypeMismatch(name + "the image is " + c10::toString(one.image.scalar_type()) + " and the labels " +
                       c10::toString(one.labels.scalar_type()) + "; expected float32 and int16");
  if (!one.image.device().is_cpu() || !one.labels.device().is_cpu())
    throw InvalidArgument(name + "image and labels must be on the CPU");
  if (one.image.size(0) != channels)
    throw ShapeError(name + "has " + std::to_string(one.image.size(0)) + " channels; the first case has " +
                     std::to_string(channels));
  if (one.locations.classes.size() != one.locations.voxels.size())
    throw InvalidArgument(name + "locations need one list of voxels for each class");
  for (const auto& voxels : one.locations.voxels)
    if (!voxels.defined() || voxels.dim() != 2 || voxels.size(1) != 3 || voxels.scalar_type() != at::kInt)
      throw ShapeError(name + "locations are int32 [n, 3] (z, y, x), one tensor a class");
  if (cascade && (!one.previous.defined() || one.previous.sizes() != one.labels.sizes() ||
                  one.previous.scalar_type() != at::kShort))
    throw ShapeError(name + "the cascade needs the previous stage's labels, int16 on the image's grid");
}

void put_sample(PatchBatch& batch, int64_t sample, const at::Tensor& image, const at::Tensor& label,
                const PatchSamplerOptions& options) {
  batch.image.select(0, sample).copy_(image);
  const at::Tensor target =
      options.regions.empty() ? label : label_to_regions(label, options.regions, options.ignore_label);
  if (options.deep_supervision.empty()) {
    batch.labels[0].select(0, sample).copy_(target);
    return;
  }
  const auto targets = deep_supervision_targets(target, options.deep_supervision);
  for (size_t i = 0; i < targets.size(); ++i) batch.labels[i].select(0, sample).copy_(targets[i]);
}

}  // namespace

PatchSampler::PatchSampler(std::vector<SamplerCase> cases, PatchSamplerOptions options,
                           std::optional<Augmentation> augmentation) {
  if (cases.empty()) throw InvalidArgument("there are no cases to draw patches from");
  if (options.batch_size < 1)
    throw InvalidArgument("batch_size is " + std::to_string(options.batch_size) + "; expected at least 1");
  if (!(options.oversample_foreground >= 0 && options.oversample_foreground <= 1))
    throw InvalidArgument("oversample_foreground is a share of the batch, between 0 and 1");
  if (augmentation && augmentation->patch_size() != options.patch_size)
    throw InvalidArgument("the augmentation makes patches of " + shown(augmentation->patch_size()) +
                          ", the sampler of " + shown(options.patch_size));
  // Without augmentation: the same crop with nothing drawn.
  const bool augmented = augmentation.has_value();
  const Augmentation crop = augmented ? *augmentation : Augmentation(AugmentationSettings::none(), options.patch_size);
  const bool cascade = !crop.settings().previous_labels.empty();
  for (auto& one : cases) {
    check_case(one, cases[0].image.size(0), cascade);
    one.image = one.image.contiguous();
    one.labels = one.labels.contiguous();
    if (one.previous.defined()) one.previous = one.previous.contiguous();
    for (auto& voxels : one.locations.voxels) voxels = voxels.contiguous();
  }
  auto state = std::make_shared<State>(State{std::move(cases), std::move(options), augmented, crop, {}, {}, 0});
  state->patch = three_axes(state->options.patch_size);
  state->load = augmented ? three_axes(crop.initial_patch_size()) : state->patch;
  state->first_forced = static_cast<int64_t>(
      std::nearbyint(double(state->options.batch_size) * (1 - state->options.oversample_foreground)));
  state_ = std::move(state);
}

const PatchSamplerOptions& PatchSampler::options() const { return state_->options; }
const std::vector<SamplerCase>& PatchSampler::cases() const { return state_->cases; }
const std::optional<Augmentation>& PatchSampler::augmentation() const {
  static const std::optional<Augmentation> none;
  return state_->augmented ? state_->augmentation : none;
}

PatchWindow PatchSampler::window(int64_t epoch, int64_t iteration, int64_t sample) const {
  return state_->window(epoch, iteration, sample);
}

PatchWindow PatchSampler::State::window(int64_t epoch, int64_t iteration, int64_t sample) const {
  if (epoch < 0 || iteration < 0 || sample < 0 || sample >= options.batch_size)
    throw InvalidArgument("epoch and iteration count from 0, and a batch has samples 0 to " +
                          std::to_string(options.batch_size - 1));
  uint64_t key = detail::mix(0, options.seed);
  for (const int64_t part : {epoch, iteration, sample}) key = detail::mix(key, static_cast<uint64_t>(part));
  detail::Stream random(detail::mix(key, 1000));  // apart from the augmentation's streams
  PatchWindow out;
  out.case_index = random.below(static_cast<int64_t>(cases.size()));
  out.forced = sample >= first_forced;
  out.shape = load;
  const SamplerCase& one = cases[out.case_index];
  Index low{}, high{};
  for (int d = 0; d < 3; ++d) {
    const int64_t n = one.labels.size(d);
    const int64_t pad = std::max(load[d] - patch[d], load[d] - n);  // ≥ 0: a smaller case is padded on both sides
    low[d] = -(pad / 2 + pad % 2);
    high[d] = n + pad / 2 + pad % 2 - load[d];
  }
  const auto& [classes, voxels] = one.locations;
  int64_t annotated = -1;
  std::vector<int64_t> present;
  bool has_ignore = false;
  for (size_t k = 0; k < classes.size(); ++k) {
    has_ignore = has_ignore || is_annotated(classes[k]);
    if (voxels[k].size(0) == 0) continue;
    if (is_annotated(classes[k]))
      annotated = static_cast<int64_t>(k);
    else
      present.push_back(static_cast<int64_t>(k));
  }
  int64_t chosen = -1;
  if (out.forced && !present.empty())
    chosen = present[random.below(static_cast<int64_t>(present.size()))];
  else if (out.forced || has_ignore)
    chosen = annotated;  // nothing but background is annotated; or: patches start from what somebody annotated
  if (chosen >= 0) {
    out.selected_class = classes[chosen];
    const int32_t* voxel = voxels[chosen].const_data_ptr<int32_t>() + 3 * random.below(voxels[chosen].size(0));
    for (int d = 0; d < 3; ++d) out.start[d] = std::max(low[d], voxel[d] - load[d] / 2);
  } else {
    for (int d = 0; d < 3; ++d) out.start[d] = low[d] + random.below(high[d] - low[d] + 1);
  }
  return out;
}

PatchBatch PatchSampler::State::empty_batch(int64_t epoch, int64_t iteration) const {
  PatchBatch batch;
  batch.epoch = epoch, batch.iteration = iteration;
  const int64_t b = options.batch_size;
  std::vector<int64_t> sizes{
      b, cases[0].image.size(0) + static_cast<int64_t>(augmentation->settings().previous_labels.size())};
  sizes.insert(sizes.end(), options.patch_size.begin(), options.patch_size.end());
  batch.image = at::empty(sizes, at::kFloat);
  const bool regions = !options.regions.empty();
  sizes[1] = regions ? static_cast<int64_t>(options.regions.size()) + options.ignore_label.has_value() : 1;
  const at::ScalarType type = regions ? at::kByte : at::kShort;
  if (options.deep_supervision.empty()) {
    batch.labels.push_back(at::empty(sizes, type));
  } else {
    // The sizes are those of the targets themselves.
    const std::vector<int64_t> one(sizes.begin() + 1, sizes.end());
    for (const auto& target : deep_supervision_targets(at::empty(one, type), options.deep_supervision)) {
      std::vector<int64_t> all{b};
      for (const int64_t n : target.sizes()) all.push_back(n);
      batch.labels.push_back(at::empty(all, type));
    }
  }
  batch.keys.resize(b);
  return batch;
}

void PatchSampler::State::make(PatchBatch& batch, int64_t sample) const {
  const PatchWindow where = window(batch.epoch, batch.iteration, sample);
  const SamplerCase& one = cases[where.case_index];
  batch.keys[sample] = one.id;
  const AugmentationDraw drawn =
      augmentation->draw({options.seed, batch.epoch, batch.iteration, sample}, one.image.size(0));
  try {
    const Augmented made =
        augmentation->apply_window(one.image, one.labels, where.start, where.shape, drawn, one.previous);
    put_sample(batch, sample, made.image, made.label, options);
  } catch (const InvalidArgument& why) {
    throw InvalidArgument("case \"" + one.id + "\" (epoch " + std::to_string(batch.epoch) + ", iteration " +
                          std::to_string(batch.iteration) + "): " + why.what());
  }
}

PatchBatch PatchSampler::batch(int64_t epoch, int64_t iteration) const {
  PatchBatch batch = state_->empty_batch(epoch, iteration);
  for (int64_t j = 0; j < state_->options.batch_size; ++j) state_->make(batch, j);
  return batch;
}

std::pair<at::Tensor, at::Tensor> PatchSampler::raw_sample(int64_t epoch, int64_t iteration, int64_t sample) const {
  const PatchWindow where = window(epoch, iteration, sample);
  const SamplerCase& one = state_->cases[where.case_index];
  const bool flat = state_->options.patch_size.size() == 2;
  std::vector<int64_t> image{one.image.size(0)}, label{one.previous.defined() ? 2 : 1};
  for (int d = flat ? 1 : 0; d < 3; ++d) image.push_back(where.shape[d]), label.push_back(where.shape[d]);
  std::pair<at::Tensor, at::Tensor> out{at::empty(image, at::kFloat), at::empty(label, at::kShort)};
  out.first.zero_();
  out.second.fill_(-1);
  std::array<int64_t, 3> from{}, to{}, size{};
  for (int d = 0; d < 3; ++d) {
    from[d] = std::max<int64_t>(where.start[d], 0);
    to[d] = from[d] - where.start[d];
    size[d] = std::min(where.start[d] + where.shape[d], one.labels.size(d)) - from[d];
    if (size[d] <= 0) return out;
  }
  const auto paste = [&](at::Tensor target, const at::Tensor& source) {
    at::Tensor a = flat ? target.unsqueeze(1) : target, b = source.dim() == 3 ? source.unsqueeze(0) : source;
    for (int d = 0; d < 3; ++d) a = a.narrow(d + 1, to[d], size[d]), b = b.narrow(d + 1, from[d], size[d]);
    a.copy_(b);
  };
  paste(out.first, one.image);
  paste(out.second.narrow(0, 0, 1), one.labels);
  if (one.previous.defined()) paste(out.second.narrow(0, 1, 1), one.previous);
  return out;
}

}  // namespace vesalius::segmentation
