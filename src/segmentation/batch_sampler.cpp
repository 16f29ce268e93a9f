// SPDX-License-Identifier: Apache-2.0
#include <vesalius/segmentation/batch_sampler.h>

#include <omp.h>

#include <algorithm>
#include <cmath>
#include <condition_variable>
#include <deque>
#include <exception>
#include <map>
#include <mutex>
#include <thread>

#include <ATen/ops/empty.h>

#include <vesalius/core/error.h>

#include "segmentation/batch_random.h"
#include "segmentation/statistics.h"

namespace vesalius::segmentation {
namespace {

constexpr uint64_t kCaseStream = 0x9e3779b97f4a7c15ull;  // apart from the augmentation's draws
constexpr uint64_t kPlaceStream = 0xc2b2ae3d27d4eb4full;

Index3 three(const std::vector<int64_t>& size) {
  return size.size() == 2 ? Index3{1, size[0], size[1]} : Index3{size[0], size[1], size[2]};
}

}  // namespace

Index3 draw_patch_start(const CachedCase& data, const Index3& load, const Index3& fit, bool foreground, bool has_ignore,
                        uint64_t seed, int64_t index, int64_t sample) {
  detail::BatchRandom random(seed ^ kPlaceStream, static_cast<uint64_t>(index), static_cast<uint32_t>(sample));
  Index3 low{}, high{};
  for (int a = 0; a < 3; ++a) {
    const int64_t n = data.labels.size(a);
    const int64_t pad = std::max(load[a] - fit[a], load[a] - n);
    low[a] = -(pad / 2) - (pad > 0 && pad % 2 ? 1 : 0);  // Python's -pad // 2 rounds down
    high[a] = n + pad / 2 + pad % 2 - load[a];
  }
  // Classes to centre on; with an ignore label the last one is "annotated at all", for all other patches.
  const auto& voxels = data.locations.voxels;
  const auto& classes = data.locations.classes;
  const auto is_annotated = [&](size_t k) { return !classes[k].empty() && classes[k][0] == -1; };
  std::vector<size_t> eligible;
  for (size_t k = 0; k < voxels.size(); ++k) {
    if (voxels[k].size(0) == 0) continue;
    if (foreground ? !is_annotated(k) : has_ignore && is_annotated(k)) eligible.push_back(k);
  }
  if (foreground && eligible.empty())
    for (size_t k = 0; k < voxels.size(); ++k)
      if (voxels[k].size(0) > 0) eligible.push_back(k);
  Index3 start{};
  if ((foreground || has_ignore) && !eligible.empty()) {
    const at::Tensor& chosen = voxels[eligible[random.below(static_cast<int64_t>(eligible.size()))]];
    const int32_t* voxel = chosen.const_data_ptr<int32_t>() + 3 * random.below(chosen.size(0));
    for (int a = 0; a < 3; ++a) start[a] = std::max(low[a], voxel[a] - load[a] / 2);
    return start;
  }
  for (int a = 0; a < 3; ++a) start[a] = low[a] + random.below(std::max<int64_t>(1, high[a] - low[a] + 1));
  return start;
}

struct BatchSampler::State {
  struct Pending {
    Batch batch;
    int64_t claimed = 0, finished = 0;
    std::exception_ptr failure;
  };

  std::vector<CachedCase> cases;
  SamplerOptions options;
  AugmentOptions augmentation;
  bool has_ignore = false;
  Index3 patch{}, load{};
  int64_t channels = 0;
  int64_t first_foreground = 0;

  std::mutex mutex;
  std::condition_variable work, ready;
  std::map<int64_t, std::shared_ptr<Pending>> pending;
  bool stop = false;
  std::vector<std::thread> threads;

  std::shared_ptr<Pending> add(int64_t index) {
    auto entry = std::make_shared<Pending>();
    entry->batch.index = index;
    const int64_t b = options.batch_size;
    std::vector<int64_t> image{b, channels}, labels{b};
    for (const int64_t n : options.patch_size) image.push_back(n), labels.push_back(n);
    entry->batch.image = at::empty(image, at::kFloat);
    entry->batch.labels = at::empty(labels, at::kShort);
    entry->batch.cases.assign(b, -1);
    pending[index] = entry;
    return entry;
  }

  void make(Batch& batch, int64_t sample) {
    const int64_t index = batch.index;
    detail::BatchRandom random(options.seed ^ kCaseStream, static_cast<uint64_t>(index), static_cast<uint32_t>(sample));
    const int64_t chosen = random.below(static_cast<int64_t>(cases.size()));
    const CachedCase& data = cases[chosen];
    const Index3 start =
        draw_patch_start(data, load, patch, sample >= first_foreground, has_ignore, options.seed, index, sample);
    DrawnAugmentation drawn;
    if (options.augment) drawn = draw_augmentation(augmentation, channels, options.seed, index, sample);
    const AugmentedSample made = apply_augmentation(data.image, data.labels, start, load, patch, drawn, augmentation);
    const int64_t voxels = patch[0] * patch[1] * patch[2];
    std::copy_n(made.image.const_data_ptr<float>(), channels * voxels,
                batch.image.mutable_data_ptr<float>() + sample * channels * voxels);
    std::copy_n(made.labels.const_data_ptr<int16_t>(), voxels,
                batch.labels.mutable_data_ptr<int16_t>() + sample * voxels);
    batch.cases[sample] = chosen;
  }

  void run() {
    omp_set_num_threads(1);
    std::unique_lock lock(mutex);
    for (;;) {
      std::shared_ptr<Pending> entry;
      for (auto& [index, one] : pending)
        if (one->claimed < options.batch_size) {
          entry = one;
          break;
        }
      if (stop) return;
      if (!entry) {
        work.wait(lock);
        continue;
      }
      const int64_t sample = entry->claimed++;
      lock.unlock();
      std::exception_ptr failure;
      try {
        make(entry->batch, sample);
      } catch (...) {
        failure = std::current_exception();
      }
      lock.lock();
      if (failure) entry->failure = failure;
      if (++entry->finished == options.batch_size) ready.notify_all();
    }
  }
};

BatchSampler::BatchSampler(std::vector<CachedCase> cases, SamplerOptions options, AugmentOptions augmentation,
                           bool has_ignore)
    : state_(std::make_unique<State>()) {
  if (cases.empty()) throw InvalidArgument("a sampler needs at least one prepared case");
  if ((options.patch_size.size() != 2 && options.patch_size.size() != 3) || options.batch_size < 1 ||
      options.threads < 1 || options.prefetch < 1 || !(options.foreground >= 0 && options.foreground <= 1))
    throw InvalidArgument(
        "a sampler needs a patch of 2 or 3 axes, batch_size, threads and prefetch of at least 1, and "
        "foreground in 0..1");
  State& s = *state_;
  s.channels = cases[0].image.size(0);
  for (const auto& one : cases)
    if (one.image.size(0) != s.channels)
      throw InvalidArgument("case " + one.id + " has " + std::to_string(one.image.size(0)) +
                            " channels; the first has " + std::to_string(s.channels));
  s.patch = three(options.patch_size);
  s.load = options.augment ? three(initial_patch_size(options.patch_size, augmentation)) : s.patch;
  if (options.patch_size.size() == 2) s.load[0] = 1;
  s.first_foreground = static_cast<int64_t>(detail::round_even(double(options.batch_size) * (1 - options.foreground)));
  s.cases = std::move(cases);
  s.options = std::move(options);
  s.augmentation = std::move(augmentation);
  s.has_ignore = has_ignore;
  for (int64_t t = 0; t < s.options.threads; ++t) s.threads.emplace_back([&s] { s.run(); });
}

BatchSampler::~BatchSampler() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stop = true;
  }
  state_->work.notify_all();
  for (auto& thread : state_->threads) thread.join();
}

Batch BatchSampler::get(int64_t index) {
  if (index < 0) throw InvalidArgument("batches are counted from 0");
  State& s = *state_;
  std::unique_lock lock(s.mutex);
  // What isn't within reach of this index was asked for by another order: forget it.
  std::erase_if(s.pending,
                [&](const auto& entry) { return entry.first < index || entry.first > index + s.options.prefetch; });
  for (int64_t i = index; i <= index + s.options.prefetch; ++i)
    if (!s.pending.count(i)) s.add(i);
  s.work.notify_all();
  const auto entry = s.pending.at(index);
  s.ready.wait(lock, [&] { return entry->finished == s.options.batch_size; });
  s.pending.erase(index);
  if (entry->failure) std::rethrow_exception(entry->failure);
  return entry->batch;
}

const SamplerOptions& BatchSampler::options() const { return state_->options; }

}  // namespace vesalius::segmentation
