// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include <vesalius/core/monitor.h>
#include <vesalius/segmentation/augment.h>
#include <vesalius/segmentation/preprocess.h>

namespace vesalius::segmentation {

/// One case to draw patches from; tensors may be mapped from files, only what a patch covers is read.
struct SamplerCase {
  std::string id;
  at::Tensor image;               ///< float32 [c, z, y, x]
  at::Tensor labels;              ///< int16 [z, y, x], −1 outside the nonzero mask
  ForegroundLocations locations;  ///< by class; a class that holds −1 lists all annotated voxels
  at::Tensor previous;            ///< cascade: int16 [z, y, x] of the stage before; else undefined

  SamplerCase() = default;
  SamplerCase(std::string id_, at::Tensor image_, at::Tensor labels_, ForegroundLocations locations_,
              at::Tensor previous_ = {})
      : id(std::move(id_)),
        image(std::move(image_)),
        labels(std::move(labels_)),
        locations(std::move(locations_)),
        previous(std::move(previous_)) {}
  explicit SamplerCase(const CachedCase& cached, at::Tensor previous_ = {})
      : SamplerCase(cached.id, cached.image, cached.labels, cached.locations, std::move(previous_)) {}
};

struct PatchSamplerOptions {
  std::vector<int64_t> patch_size;  ///< what the network sees; 2 axes sample single slices
  int64_t batch_size = 2;
  double oversample_foreground = 0.33;  ///< sample j of a batch of B is forced iff j ≥ round(B · (1 − this))
  uint64_t seed = 0;
  std::vector<std::vector<int64_t>> regions{};  ///< labels become one-hot regions
  std::optional<int64_t> ignore_label{};
  std::vector<std::vector<double>> deep_supervision{};  ///< scales of each output; empty: one target
};

struct PatchBatch {
  int64_t epoch = 0, iteration = 0;
  at::Tensor image;                ///< float32 [b, c, …]
  std::vector<at::Tensor> labels;  ///< int16 [b, 1, …] (or uint8 [b, regions, …]), one an output of the network
  std::vector<std::string> keys;
};

/// Where a sample comes from.
struct PatchWindow {
  int64_t case_index = 0;
  bool forced = false;                                 ///< it had to hold foreground
  std::optional<std::vector<int64_t>> selected_class;  ///< the class it is centred on
  std::array<int64_t, 3> start{}, shape{};             ///< of the large patch; may reach beyond the volume
};

/// nnU-Net v2's patches. A batch is a function of (seed, epoch, iteration) alone: training can go on anywhere, with any
/// number of threads. Immutable and safe to use from several threads.
class VESALIUS_API PatchSampler {
 public:
  /// @param augmentation of the same patch; without it patches are cropped as they are.
  /// @throws InvalidArgument (no cases, sizes that make no sense), ShapeError and TypeMismatch that name the case.
  PatchSampler(std::vector<SamplerCase> cases, PatchSamplerOptions options,
               std::optional<Augmentation> augmentation = {});

  PatchBatch batch(int64_t epoch, int64_t iteration) const;
  PatchWindow window(int64_t epoch, int64_t iteration, int64_t sample) const;
  /// The large patch as it is: image float32 [c, …], labels int16 [1 or 2, …] (−1 outside; the previous stage second).
  std::pair<at::Tensor, at::Tensor> raw_sample(int64_t epoch, int64_t iteration, int64_t sample) const;

  const PatchSamplerOptions& options() const;
  const std::vector<SamplerCase>& cases() const;
  const std::optional<Augmentation>& augmentation() const;

 private:
  friend class PatchLoader;
  struct State;
  std::shared_ptr<const State> state_;
};

/// Batches first … last − 1 of the sampler in order, made ahead on threads. Step s is iteration s mod `iterations` of epoch
/// s div `iterations`. Destroying it midway stops and joins the threads.
class VESALIUS_API PatchLoader {
 public:
  /// @param threads 0: as many as cores, at most 8; @param prefetch batches made ahead, 0: threads / batch_size + 2.
  PatchLoader(const PatchSampler& sampler, int64_t first, int64_t last, int64_t iterations, int64_t threads = 0,
              int64_t prefetch = 0);
  ~PatchLoader();
  PatchLoader(const PatchLoader&) = delete;
  PatchLoader& operator=(const PatchLoader&) = delete;

  /// The next batch; nullopt after the last. What a thread threw is thrown here, at the batch it concerns.
  /// @throws Cancelled when the monitor says so while it waits.
  std::optional<PatchBatch> next(Monitor* monitor = nullptr);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace vesalius::segmentation
