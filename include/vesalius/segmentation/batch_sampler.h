// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include <vesalius/core/export.h>
#include <vesalius/segmentation/patch_augment.h>
#include <vesalius/segmentation/preprocess.h>

namespace vesalius::segmentation {

struct SamplerOptions {
  std::vector<int64_t> patch_size;  ///< 2 or 3 axes; with 2, a patch is one slice
  int64_t batch_size = 2;
  double foreground = 0.33;  ///< the last round(B · 0.33) samples of a batch are centred on a labelled voxel
  uint64_t seed = 0;
  bool augment = true;
  int64_t threads = 1;
  int64_t prefetch = 4;  ///< batches made ahead
};

struct Batch {
  int64_t index = -1;
  at::Tensor image;   ///< float32 [b, c, patch]
  at::Tensor labels;  ///< int16 [b, patch]
  std::vector<int64_t> cases;
};

/// Batches of patches as nnU-Net v2 draws them (facts, section 9). Batch i depends on i, the seed and the cases only, so a run
/// that goes on after a stop sees the same batches; threads make them ahead.
class VESALIUS_API BatchSampler {
 public:
  /// @throws InvalidArgument for no cases, or options that make no sense.
  BatchSampler(std::vector<CachedCase> cases, SamplerOptions options, AugmentOptions augmentation,
               bool has_ignore = false);
  ~BatchSampler();
  BatchSampler(const BatchSampler&) = delete;
  BatchSampler& operator=(const BatchSampler&) = delete;

  /// Batch `index`; asking for them in order is fast. @throws what making it threw.
  Batch get(int64_t index);
  const SamplerOptions& options() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Where a patch of `load` voxels starts in a case. @param fit what the network sees of it (nnU-Net lets random patches
///   reach over the border by half the difference).
VESALIUS_API Index3 draw_patch_start(const CachedCase& data, const Index3& load, const Index3& fit, bool foreground,
                                     bool has_ignore, uint64_t seed, int64_t index, int64_t sample);

}  // namespace vesalius::segmentation
