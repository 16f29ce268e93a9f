// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <optional>
#include <vector>

#include <vesalius/segmentation/sampler.h>

namespace vesalius::segmentation {

/// What a sampler and its loaders share; never changed after it is made.
struct PatchSampler::State {
  std::vector<SamplerCase> cases;
  PatchSamplerOptions options;
  bool augmented = false;
  std::optional<Augmentation> augmentation;  ///< always there; without augmentation it crops
  std::array<int64_t, 3> patch{}, load{};
  int64_t first_forced = 0;

  PatchWindow window(int64_t epoch, int64_t iteration, int64_t sample) const;
  PatchBatch empty_batch(int64_t epoch, int64_t iteration) const;
  void make(PatchBatch& batch, int64_t sample) const;
};

}  // namespace vesalius::segmentation
