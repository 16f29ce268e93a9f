// SPDX-License-Identifier: Apache-2.0
#include <vesalius/segmentation/sliding_window.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <sstream>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include <vesalius/core/error.h>

#include "segmentation/tile_pipeline.h"

namespace vesalius::segmentation {
namespace {

struct Box {
  int64_t z, depth, y, height, x, width;
};

struct Tile {
  int64_t z, y, x;
};

/// scipy.ndimage.gaussian_filter of a delta, mode "constant": a kernel of radius int(4σ + 0.5) of unit sum, cut at the ends.
std::vector<double> blurred_delta(int64_t n) {
  const double sigma = static_cast<double>(n) / 8.0;
  const auto radius = static_cast<int64_t>(4.0 * sigma + 0.5);
  std::vector<double> kernel;
  double sum = 0;
  for (int64_t i = -radius; i <= radius; ++i) {
    kernel.push_back(std::exp(-0.5 / (sigma * sigma) * static_cast<double>(i * i)));
    sum += kernel.back();
  }
  std::vector<double> out(static_cast<size_t>(n), 0.0);
  for (int64_t i = 0; i < n; ++i) {
    const int64_t k = i - n / 2 + radius;
    if (k >= 0 && k <= 2 * radius) out[i] = kernel[k] / sum;
  }
  return out;
}

void validate(const at::Tensor& image, int64_t members, int64_t num_classes, const SlidingWindowOptions& o) {
  if (image.dim() != 4 || !at::isFloatingType(image.scalar_type()))
    throw ShapeError("sliding window: the image is float [c, z, y, x]; got " + std::to_string(image.dim()) + " axes");
  if (o.patch.size() != 2 && o.patch.size() != 3)
    throw InvalidArgument("sliding window: the patch has 2 or 3 axes; got " + std::to_string(o.patch.size()));
  for (const int64_t p : o.patch)
    if (p < 1) throw InvalidArgument("sliding window: the patch's sizes are positive; got " + std::to_string(p));
  if (!(o.step > 0 && o.step <= 1))
    throw InvalidArgument("sliding window: step lies in (0, 1]; got " + std::to_string(o.step));
  if (o.batch < 1 || members < 1 || num_classes < 1)
    throw InvalidArgument("sliding window: batch, members and classes are positive");
  for (const int64_t axis : o.mirror_axes)
    if (axis < 0 || axis >= static_cast<int64_t>(o.patch.size()))
      throw InvalidArgument("sliding window: mirror_axes lie in 0.." + std::to_string(o.patch.size() - 1) + "; got " +
                            std::to_string(axis));
  if (std::set<int64_t>(o.mirror_axes.begin(), o.mirror_axes.end()).size() != o.mirror_axes.size())
    throw InvalidArgument("sliding window: mirror_axes names an axis twice");
}

/// Sizes that broadcast would be added up in silence.
void require_logits(const std::vector<at::Tensor>& logits, const at::Tensor& tiles, int64_t members,
                    int64_t num_classes) {
  std::vector<int64_t> want = tiles.sizes().vec();
  want[1] = num_classes;
  for (const at::Tensor& one : logits)
    if (one.sizes() != want || static_cast<int64_t>(logits.size()) != members) {
      std::ostringstream text;
      text << "sliding window: of tiles " << tiles.sizes() << " the network makes " << one.sizes() << "; expected "
           << at::IntArrayRef(want) << ", logits of " << num_classes << " classes at full resolution";
      throw ShapeError(text.str());
    }
}

/// The mean over all flips of `axes` (of the patch).
std::vector<at::Tensor> with_mirroring(const TileNetwork& network, const at::Tensor& tiles,
                                       const std::vector<int64_t>& axes) {
  std::vector<at::Tensor> sum = network(tiles);
  const auto flips = int64_t{1} << axes.size();
  for (int64_t f = 1; f < flips; ++f) {
    std::vector<int64_t> flipped;
    for (size_t a = 0; a < axes.size(); ++a)
      if (f >> a & 1) flipped.push_back(axes[a] + 2);
    const auto outputs = network(tiles.flip(flipped));
    for (size_t m = 0; m < sum.size(); ++m) sum[m] = sum[m].add(outputs[m].flip(flipped));
  }
  if (flips > 1)
    for (at::Tensor& s : sum) s = s.div(static_cast<double>(flips));
  return sum;
}

/// Weighted sums of the planes `first … first + depth − 1`; planes in front leave when they are finished.
class Accumulator {
 public:
  Accumulator(int64_t members, int64_t classes, int64_t depth, int64_t y, int64_t x)
      : sum_(at::zeros({members, classes, depth, y, x}, at::kFloat)), weight_(at::zeros({depth, y, x}, at::kFloat)) {}

  void add(int64_t member, const at::Tensor& logits, const at::Tensor& weights, const Tile& t) {
    const int64_t d = weights.size(0), h = weights.size(1), w = weights.size(2), z = t.z - first_;
    sum_[member].narrow(1, z, d).narrow(2, t.y, h).narrow(3, t.x, w).addcmul_(logits, weights);
    if (member == 0) weight_.narrow(0, z, d).narrow(1, t.y, h).narrow(2, t.x, w).add_(weights);
  }

  /// Planes before `next` are finished: divided by their weights and handed over, less the padding.
  void release(int64_t next, const Box& inside, const PlaneConsumer& consumer) {
    const int64_t n = next - first_;
    if (n <= 0) return;
    const at::Tensor done = sum_.narrow(2, 0, n);
    done.div_(weight_.narrow(0, 0, n));
    const int64_t from = std::max(first_, inside.z), to = std::min(next, inside.z + inside.depth);
    if (to > from)
      consumer(from - inside.z, done.narrow(2, from - first_, to - from)
                                    .narrow(3, inside.y, inside.height)
                                    .narrow(4, inside.x, inside.width));
    move_up(sum_.mutable_data_ptr<float>(), sum_.size(0) * sum_.size(1), n);
    move_up(weight_.mutable_data_ptr<float>(), 1, n);
    first_ = next;
  }

 private:
  /// The planes from the n-th on come to the front, zeros behind them.
  void move_up(float* data, int64_t maps, int64_t n) const {
    const int64_t plane = weight_.size(1) * weight_.size(2), depth = weight_.size(0);
    for (int64_t m = 0; m < maps; ++m, data += depth * plane) {
      std::copy(data + n * plane, data + depth * plane, data);
      std::fill(data + (depth - n) * plane, data + depth * plane, 0.0f);
    }
  }

  at::Tensor sum_, weight_;
  int64_t first_ = 0;
};

/// Tiles that are computed together; then planes before `release` are finished (0: none are).
struct Batch {
  std::vector<Tile> tiles;
  bool constant = false;  ///< not computed: background
  int64_t release = 0;
};

/// The tile of `t` in `padded`, without the first spatial axis in 2D.
at::Tensor cut_tile(const at::Tensor& padded, const Tile& t, const at::Tensor& weights, bool flat) {
  const at::Tensor tile =
      padded.narrow(1, t.z, weights.size(0)).narrow(2, t.y, weights.size(1)).narrow(3, t.x, weights.size(2));
  return flat ? tile.squeeze(1) : tile;
}

bool is_constant(const at::Tensor& tile) {
  const at::Tensor flat = tile.flatten(1);
  return flat.amax({1}).eq(flat.amin({1})).all().item<bool>();
}

/// In 3D a batch never reaches over tiles whose planes differ, so that finished planes can leave; in 2D as many slices as a
/// batch holds wait together.
std::vector<Batch> plan_batches(const at::Tensor& padded, const at::Tensor& weights, const SlidingWindowOptions& o,
                                bool flat) {
  const auto z_starts = tile_starts(padded.size(1), weights.size(0), flat ? 1.0 : o.step);
  const auto y_starts = tile_starts(padded.size(2), weights.size(1), o.step);
  const auto x_starts = tile_starts(padded.size(3), weights.size(2), o.step);
  const int64_t together = flat ? std::min<int64_t>(o.batch, padded.size(1)) : 1;
  std::vector<Batch> out;
  Batch waiting;
  const auto flush = [&] {
    if (!waiting.tiles.empty()) out.push_back(std::move(waiting));
    waiting = {};
  };
  int64_t held = 0;
  for (size_t i = 0; i < z_starts.size(); ++i) {
    for (const int64_t y : y_starts)
      for (const int64_t x : x_starts) {
        const Tile t{z_starts[i], y, x};
        if (o.skip_constant && is_constant(cut_tile(padded, t, weights, flat))) {
          Batch background;
          background.tiles = {t};
          background.constant = true;
          out.push_back(std::move(background));
          continue;
        }
        waiting.tiles.push_back(t);
        if (static_cast<int64_t>(waiting.tiles.size()) == o.batch) flush();
      }
    const bool last = i + 1 == z_starts.size();
    if (++held < together && !last) continue;
    held = 0;
    flush();
    out.back().release = last ? padded.size(1) : z_starts[i + 1];
  }
  return out;
}

}  // namespace

std::vector<int64_t> tile_starts(int64_t length, int64_t tile, double step) {
  const double stride = std::max(static_cast<double>(tile) * step, 1.0);  // tiles lie on whole voxels
  const auto count = static_cast<int64_t>(std::ceil(static_cast<double>(length - tile) / stride)) + 1;
  std::vector<int64_t> starts;
  const double spread = count > 1 ? static_cast<double>(length - tile) / static_cast<double>(count - 1) : 0.0;
  for (int64_t i = 0; i < count; ++i) starts.push_back(std::llrint(spread * static_cast<double>(i)));
  return starts;
}

at::Tensor gaussian_weights(const std::vector<int64_t>& tile) {
  constexpr double kLargest = 10.0;
  at::Tensor out = at::zeros({1}, at::kDouble).add_(1.0);
  for (const int64_t n : tile) {
    const auto line = blurred_delta(n);
    at::Tensor axis = at::empty({n}, at::kDouble);
    std::copy(line.begin(), line.end(), axis.mutable_data_ptr<double>());
    out = out.unsqueeze(-1).mul(axis);
  }
  out = out.squeeze(0).view(tile);
  out = out.div(out.max()).mul(kLargest).to(at::kFloat);
  const at::Tensor zero = out.eq(0);
  if (zero.any().item<bool>()) out.masked_fill_(zero, out.masked_select(zero.logical_not()).min());
  return out;
}

void sliding_window(const TileNetwork& network, const at::Tensor& image, int64_t members, int64_t num_classes,
                    const SlidingWindowOptions& o, const PlaneConsumer& consumer, Monitor* monitor) {
  sliding_window(std::vector<TileNetwork>{network}, image, members, num_classes, o, consumer, monitor);
}

void sliding_window(const std::vector<TileNetwork>& networks, const at::Tensor& image, int64_t members,
                    int64_t num_classes, const SlidingWindowOptions& o, const PlaneConsumer& consumer,
                    Monitor* monitor) {
  validate(image, members, num_classes, o);
  if (networks.empty()) throw InvalidArgument("sliding window: at least one network, or device, is needed");
  const at::NoGradGuard no_gradients;
  const bool flat = o.patch.size() == 2;
  // Pad to the patch, half on each side (the smaller half in front).
  const int64_t depth = flat ? 1 : o.patch[0], height = o.patch[flat ? 0 : 1], width = o.patch[flat ? 1 : 2];
  const auto missing = [](int64_t have, int64_t want) { return std::max<int64_t>(0, want - have); };
  const int64_t dz = missing(image.size(1), depth), dy = missing(image.size(2), height),
                dx = missing(image.size(3), width);
  const at::Tensor padded =
      dz + dy + dx == 0 ? image
                        : at::constant_pad_nd(image, {dx / 2, dx - dx / 2, dy / 2, dy - dy / 2, dz / 2, dz - dz / 2});
  const Box inside{dz / 2, image.size(1), dy / 2, image.size(2), dx / 2, image.size(3)};

  at::Tensor weights = o.gaussian ? gaussian_weights(o.patch) : at::zeros(o.patch, at::kFloat).add_(1.0);
  weights = weights.view({depth, height, width});
  const auto batches = plan_batches(padded, weights, o, flat);
  Accumulator sums(members, num_classes, flat ? std::min<int64_t>(o.batch, padded.size(1)) : depth, padded.size(2),
                   padded.size(3));
  int64_t total = 0, done = 0;
  for (const Batch& batch : batches) total += static_cast<int64_t>(batch.tiles.size());

  const auto cut = [&](int64_t i) {
    const Batch& batch = batches[static_cast<size_t>(i)];
    if (batch.constant) return at::Tensor();
    std::vector<at::Tensor> tiles;
    for (const Tile& t : batch.tiles) tiles.push_back(cut_tile(padded, t, weights, flat));
    while (o.full_batches && static_cast<int64_t>(tiles.size()) < o.batch) tiles.push_back(tiles.back());
    return at::stack(tiles);
  };
  const auto compute = [&](const TileNetwork& network, const at::Tensor& tiles) {
    if (!tiles.defined()) return std::vector<at::Tensor>();
    auto logits = with_mirroring(network, tiles, o.mirror_axes);
    require_logits(logits, tiles, members, num_classes);
    return logits;
  };
  at::Tensor background;
  if (o.skip_constant) {
    background = at::zeros({num_classes, depth, height, width}, at::kFloat).fill_(-o.background_logit);
    background[0].fill_(o.background_logit);
  }
  const auto add = [&](int64_t i, const std::vector<at::Tensor>& logits) {
    const Batch& batch = batches[static_cast<size_t>(i)];
    for (int64_t m = 0; m < members; ++m)
      for (size_t t = 0; t < batch.tiles.size(); ++t) {
        const at::Tensor own = batch.constant ? background : logits[static_cast<size_t>(m)][static_cast<int64_t>(t)];
        sums.add(m, flat && !batch.constant ? own.unsqueeze(1) : own, weights, batch.tiles[t]);
      }
    done += static_cast<int64_t>(batch.tiles.size());
    step(monitor, done, total, "tiles");
    if (batch.release > 0) sums.release(batch.release, inside, consumer);
  };
  detail::run_batches(networks, static_cast<int64_t>(batches.size()), cut, compute, add, monitor);
}

}  // namespace vesalius::segmentation
