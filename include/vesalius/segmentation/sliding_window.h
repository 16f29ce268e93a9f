// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <vector>

#include <ATen/core/Tensor.h>

#include <vesalius/core/export.h>
#include <vesalius/core/monitor.h>

/// Inference by overlapping tiles as nnU-Net v2 does it (Isensee et al. 2021, "Inference"), streamed: planes leave as soon as no
/// later tile covers them.
namespace vesalius::segmentation {

struct SlidingWindowOptions {
  std::vector<int64_t> patch;        ///< (z, y, x), or (y, x) for a 2D network, slice by slice
  double step = 0.5;                 ///< of the patch
  bool gaussian = true;              ///< weights with σ = patch/8; else equal ones
  std::vector<int64_t> mirror_axes;  ///< of the patch; the mean over all 2^n flips
  int64_t batch = 2;                 ///< tiles at once
  bool skip_constant = false;        ///< tiles whose voxels are all equal aren't computed: channel 0 wins there
  double background_logit = 10.0;    ///< of channel 0 in skipped tiles; the others get its negative
  bool full_batches = false;  ///< the last tile is repeated where a batch would be smaller: programs made for one size
};

/// Logits of tiles: `[b, c, …]` → one `[b, k, …]` a member of the ensemble.
using TileNetwork = std::function<std::vector<at::Tensor>(const at::Tensor&)>;
/// Finished planes: `[members, k, n, y, x]` float32 from plane `first` on, in ascending order; not kept by the caller.
using PlaneConsumer = std::function<void(int64_t first, const at::Tensor& planes)>;

/// Where tiles start along an axis: ceil((length − tile) / (tile · step)) + 1 of them, evenly spread, rounded half to even.
VESALIUS_API std::vector<int64_t> tile_starts(int64_t length, int64_t tile, double step);
/// A delta in the middle (tile // 2), blurred with σ = tile/8, largest 10, no zeros: float32 of the tile's shape.
VESALIUS_API at::Tensor gaussian_weights(const std::vector<int64_t>& tile);

/// @param image float `[c, z, y, x]`; padded with 0 where it is smaller than the patch.
/// @param members how many tensors the network gives.
/// @throws InvalidArgument for options that make no sense; ShapeError; Cancelled.
VESALIUS_API void sliding_window(const TileNetwork& network, const at::Tensor& image, int64_t members,
                                 int64_t num_classes, const SlidingWindowOptions& options,
                                 const PlaneConsumer& consumer, Monitor* monitor = nullptr);

/// The same with several networks that compute alike, such as one model on several devices: each has a thread, batches go to
/// whichever is free, and their sums are added in the order of one network, so that the result is the same bit for bit where
/// the networks' are.
VESALIUS_API void sliding_window(const std::vector<TileNetwork>& networks, const at::Tensor& image, int64_t members,
                                 int64_t num_classes, const SlidingWindowOptions& options,
                                 const PlaneConsumer& consumer, Monitor* monitor = nullptr);

}  // namespace vesalius::segmentation
