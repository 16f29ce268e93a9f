// SPDX-License-Identifier: Apache-2.0
#include "segmentation/conv_passes.h"

#include <ATen/Parallel.h>

#include "segmentation/conv_tiles.h"
#include "segmentation/conv_winograd.h"

// A tile is some rows of one plane of the output. The input's rows that it needs are packed beside each other with their
// padding, one copy for each phase of a strided axis, so that a tap of the kernel is an offset and a row of outputs runs on
// into the next one: vectors are full whatever the row's length, and `reach` outputs a row are thrown away.
#ifdef VESALIUS_DIRECT_CONV
namespace vesalius::segmentation::detail {
namespace {

constexpr int64_t kConvLanes = 16;
constexpr int64_t kTileBytes = 384 * 1024;  // of packed input: a second-level cache keeps it
constexpr int64_t kPositions = 528;         // outputs of a tile: 8 rows of 64
constexpr int64_t kChunk = 32;              // words of input channels packed at once
constexpr int64_t kGradientChunk = 16;      // input channels of a task of the weights' gradient
constexpr int64_t kGradientBytes = 3200;    // of one channel's gradient in a tile: eight fit the first-level cache

/// How a tile's rows lie in the scratch of one channel.
struct Tile {
  int64_t rows, stride, block, channel;  ///< output rows; length of a row; of a phase's block; of a channel (words)
  std::vector<int32_t> offsets;          ///< of each tap
  std::vector<int64_t> kernel;           ///< its place among the kernel's

  Tile(const Axes& a, const std::array<int64_t, 3>& size, int64_t wanted_rows, int64_t channels, int64_t bytes_each) {
    const int64_t copies = static_cast<int64_t>(a[0].taps.size() * a[1].phases.size() * a[2].phases.size());
    stride = a[2].grid + a[2].reach;
    rows = std::clamp<int64_t>(wanted_rows, 1, std::max<int64_t>(a[1].grid, 1));
    while (rows > 1 && channels * copies * (rows + a[1].reach) * stride * bytes_each > kTileBytes) --rows;
    // equal tiles rather than a short last one
    const int64_t count = (a[1].grid + rows - 1) / rows;
    rows = (a[1].grid + count - 1) / std::max<int64_t>(count, 1);
    block = (rows + a[1].reach) * stride;
    channel = copies * block;
    for (size_t z = 0; z < a[0].taps.size(); ++z)
      for (const Tap& y : a[1].taps)
        for (const Tap& x : a[2].taps) {
          const int64_t copy =
              (static_cast<int64_t>(z) * static_cast<int64_t>(a[1].phases.size()) + a[1].phase_index(y.phase)) *
                  static_cast<int64_t>(a[2].phases.size()) +
              a[2].phase_index(x.phase);
          offsets.push_back(static_cast<int32_t>(copy * block + (y.shift - a[1].low) * stride + x.shift - a[2].low));
          kernel.push_back((a[0].taps[z].k * size[1] + y.k) * size[2] + x.k);
        }
  }
  int64_t count(const Axes& a) const { return (a[1].grid + rows - 1) / rows; }
};

/// visit(source row or null, phase of x, destination) for every packed row of a channel's tile.
template <class T, class Visit>
void for_each_packed_row(const Axes& a, const Tile& tile, const T* channel, int64_t z, int64_t y, int64_t rows,
                         const Visit& visit) {
  int64_t at = 0;
  for (const Tap& tz : a[0].taps) {
    const int64_t iz = a[0].step * (z + tz.shift) + tz.phase;
    const bool inside = iz >= 0 && iz < a[0].in;
    for (const int64_t py : a[1].phases)
      for (const int64_t px : a[2].phases) {
        for (int64_t j = 0; j < rows + a[1].reach; ++j) {
          const int64_t iy = a[1].step * (y + j + a[1].low) + py;
          visit(inside && iy >= 0 && iy < a[1].in ? channel + (iz * a[1].in + iy) * a[2].in : nullptr, px,
                at + j * tile.stride);
        }
        at += tile.block;
      }
  }
}

template <class T>
void pack_plain(const Axes& a, const Tile& tile, const T* channel, int64_t z, int64_t y, int64_t rows, T* to) {
  for_each_packed_row(a, tile, channel, z, y, rows, [&](const T* row, int64_t phase, int64_t at) {
    if (row)
      pack_row(row, a[2].in, a[2].step, phase, a[2].low, tile.stride, to + at);
    else
      std::fill_n(to + at, tile.stride, T{0});
  });
}

void pack_words(const Axes& a, const Tile& tile, const float* x, int64_t volume, int64_t, int64_t word, int64_t z,
                int64_t y, int64_t rows, float* to, float*) {
  pack_plain(a, tile, x + word * volume, z, y, rows, to);
}

void pack_words(const Axes& a, const Tile& tile, const uint16_t* x, int64_t volume, int64_t channels, int64_t word,
                int64_t z, int64_t y, int64_t rows, uint32_t* to, uint16_t* lines) {
  const int64_t other = 2 * word + 1 < channels ? volume : 0;
  uint16_t *low = lines, *high = lines + tile.stride;
  for_each_packed_row(a, tile, x + 2 * word * volume, z, y, rows, [&](const uint16_t* row, int64_t phase, int64_t at) {
    if (!row) {
      std::fill_n(to + at, tile.stride, 0u);
      return;
    }
    pack_row(row, a[2].in, a[2].step, phase, a[2].low, tile.stride, low);
    if (other) pack_row(row + volume, a[2].in, a[2].step, phase, a[2].low, tile.stride, high);
    interleave(low, other ? high : nullptr, tile.stride, to + at);
  });
}

/// weight(out, in, k) as the kernel reads them: block, word of input channels, tap, output channel.
template <class T>
std::vector<Word<T>> packed_weights(const float* weight, int64_t out_step, int64_t in_step, int64_t in_channels,
                                    const Tile& tile, std::vector<Block>& blocks) {
  const int64_t words = (in_channels + kChannelsPerWord<T> - 1) / kChannelsPerWord<T>;
  const auto taps = static_cast<int64_t>(tile.kernel.size());
  int64_t size = 0;
  for (Block& b : blocks) {
    b.begin = size;
    size += words * taps * b.width;
  }
  std::vector<Word<T>> out(static_cast<size_t>(size), Word<T>{0});
  for (const Block& b : blocks)
    for (int64_t c = 0; c < in_channels; ++c)
      for (int64_t t = 0; t < taps; ++t) {
        Word<T>* to = out.data() + b.begin + (c / kChannelsPerWord<T> * taps + t) * b.width;
        const float* from = weight + b.first * out_step + c * in_step + tile.kernel[t];
        for (int64_t o = 0; o < b.count; ++o) set_weight(to[o], c % kChannelsPerWord<T>, from[o * out_step]);
      }
  return out;
}

/// y[out_step · o + out_first] = bias + Σ weight · x, over one grid of outputs.
template <class T>
void convolve_grid(const Axes& a, const std::array<int64_t, 3>& kernel, int64_t samples, const T* x,
                   int64_t in_channels, const float* weight, int64_t out_step, int64_t in_step, int64_t out_channels,
                   const float* bias, T* y, bool allow_winograd) {
  if (a[0].grid < 1 || a[1].grid < 1 || a[2].grid < 1) return;
  if (allow_winograd && winograd_serves<T>(a, in_channels, out_channels))
    return convolve_winograd<T>(a, kernel, samples, x, in_channels, weight, out_step, in_step, out_channels, bias, y);
  const int64_t words = (in_channels + kChannelsPerWord<T> - 1) / kChannelsPerWord<T>, chunk = std::min(words, kChunk);
  const int64_t row = a[2].grid + a[2].reach;
  const Tile tile(a, kernel, (kPositions + row - 1) / row, chunk, sizeof(Word<T>));
  std::vector<Block> blocks = blocks_of(out_channels);
  const auto weights = packed_weights<T>(weight, out_step, in_step, in_channels, tile, blocks);
  const int64_t in_volume = a[0].in * a[1].in * a[2].in, out_volume = a[0].out * a[1].out * a[2].out;
  const int64_t most = (tile.rows * tile.stride + kConvLanes - 1) / kConvLanes * kConvLanes, tiles = tile.count(a);
  const auto taps = static_cast<int64_t>(tile.offsets.size());

  at::parallel_for(0, samples * a[0].grid * tiles, 1, [&](int64_t begin, int64_t end) {
    const Buffer<Word<T>> packed(chunk * tile.channel + most + kReadBeyond);
    const Buffer<T> lines(2 * tile.stride);
    const Buffer<float> sums((static_cast<int64_t>(blocks.size()) * kConvChannels) * most);
    for (int64_t task = begin; task < end; ++task) {
      const int64_t y0 = task % tiles * tile.rows, z = task / tiles % a[0].grid, s = task / tiles / a[0].grid;
      const int64_t rows = std::min(tile.rows, a[1].grid - y0),
                    vectors = (rows * tile.stride + kConvLanes - 1) / kConvLanes;
      for (const Block& b : blocks)
        for (int64_t o = 0; o < b.width; ++o)
          std::fill_n(sums.get() + (b.first + o) * most, vectors * kConvLanes,
                      bias && o < b.count ? bias[b.first + o] : 0.0f);
      for (int64_t w0 = 0; w0 < words && taps > 0; w0 += chunk) {
        const int64_t count = std::min(chunk, words - w0);
        for (int64_t w = 0; w < count; ++w)
          pack_words(a, tile, x + s * in_channels * in_volume, in_volume, in_channels, w0 + w, z, y0, rows,
                     packed.get() + w * tile.channel, lines.get());
        for (const Block& b : blocks) {
          const Word<T>* own = weights.data() + b.begin + w0 * taps * b.width;
          float* to = sums.get() + b.first * most;
          rows_of_block(b, packed.get(), count, tile.channel, tile.offsets.data(), taps, own, vectors, to, most);
        }
      }
      const int64_t oz = a[0].out_step * z + a[0].out_first;
      for (int64_t o = 0; o < out_channels; ++o)
        for (int64_t r = 0; r < rows; ++r) {
          const int64_t oy = a[1].out_step * (y0 + r) + a[1].out_first;
          unpack_row(sums.get() + o * most + r * tile.stride, a[2].grid, a[2].out_step,
                     y + (s * out_channels + o) * out_volume + (oz * a[1].out + oy) * a[2].out + a[2].out_first);
        }
    }
  });
}

/// The gradient of the weights of some output and some input channels: one task, so that its sums have one order.
template <class T>
struct GradientTask {
  const ConvShape& s;
  const Axes& a;
  const Tile& tile;
  const T *x, *dy;
  static constexpr int64_t kLength = std::is_same_v<T, float> ? 16 : 32;  // voxels of a vector

  template <int O>
  void run(const Block& b, int64_t c0, int64_t channels, float* dw, float* db) const {
    constexpr int64_t kColumns = kConvVectors;
    const auto taps = static_cast<int64_t>(tile.offsets.size());
    const int64_t columns = channels * taps, groups = (columns + kColumns - 1) / kColumns;
    const int64_t most = (tile.rows * tile.stride + kLength - 1) / kLength * kLength;
    const int64_t in_volume = s.in[0] * s.in[1] * s.in[2], out_volume = s.out[0] * s.out[1] * s.out[2];
    const Buffer<T> packed(channels * tile.channel + most + kReadBeyond), gradient(O * most);
    const Buffer<float> sums(groups * kColumns * O * kConvLanes);
    std::vector<const T*> sources(static_cast<size_t>(groups * kColumns), packed.get());
    for (int64_t i = 0; i < columns; ++i) sources[i] = packed.get() + i / taps * tile.channel + tile.offsets[i % taps];
    double bias[O] = {};

    for (int64_t n = 0; n < s.samples; ++n)
      for (int64_t z = 0; z < s.out[0]; ++z)
        for (int64_t y0 = 0; y0 < s.out[1]; y0 += tile.rows) {
          const int64_t rows = std::min(tile.rows, s.out[1] - y0);
          const int64_t vectors = (rows * tile.stride + kLength - 1) / kLength;
          for (int64_t o = 0; o < b.count; ++o) {
            const T* from = dy + ((n * s.oc + b.first + o) * out_volume + (z * s.out[1] + y0) * s.out[2]);
            T* to = gradient.get() + o * most;
            for (int64_t r = 0; r < rows; ++r)
              pack_row(from + r * s.out[2], s.out[2], 1, 0, 0, tile.stride, to + r * tile.stride);
            std::fill(to + rows * tile.stride, to + vectors * kLength, T{0});
            if (db) bias[o] += sum_of_row(to, rows * tile.stride);
          }
          for (int64_t c = 0; c < channels; ++c)
            pack_plain(a, tile, x + (n * s.ic + c0 + c) * in_volume, z, y0, rows, packed.get() + c * tile.channel);
          for (int64_t g = 0; g < groups; ++g)
            correlate_rows<O, kColumns>(gradient.get(), most, sources.data() + g * kColumns, vectors,
                                        sums.get() + g * kColumns * O * kConvLanes);
        }
    const int64_t size = s.kernel[0] * s.kernel[1] * s.kernel[2];
    for (int64_t o = 0; o < b.count; ++o) {
      for (int64_t i = 0; i < columns; ++i) {
        const float* lanes = sums.get() + ((i / kColumns * O + o) * kColumns + i % kColumns) * kConvLanes;
        float sum = 0;
        for (int64_t l = 0; l < kConvLanes; ++l) sum += lanes[l];
        dw[((b.first + o) * s.ic + c0 + i / taps) * size + tile.kernel[i % taps]] = sum;
      }
      if (db) db[b.first + o] = static_cast<float>(bias[o]);
    }
  }
};

}  // namespace

template <class T>
void conv_forward(const ConvShape& s, const T* x, const float* weight, const float* bias, T* y) {
  const int64_t size = s.kernel[0] * s.kernel[1] * s.kernel[2];
  const Axes axes{forward_axis(s, 0), forward_axis(s, 1), forward_axis(s, 2)};
  convolve_grid<T>(axes, s.kernel, s.samples, x, s.ic, weight, s.ic * size, size, s.oc, bias, y, s.winograd);
}

template <class T>
void conv_backward_data(const ConvShape& s, const T* dy, const float* weight, const float* bias, T* dx) {
  const int64_t size = s.kernel[0] * s.kernel[1] * s.kernel[2];
  for (int64_t z = 0; z < s.stride[0]; ++z)
    for (int64_t y = 0; y < s.stride[1]; ++y)
      for (int64_t x = 0; x < s.stride[2]; ++x) {
        const Axes axes{backward_axis(s, 0, z), backward_axis(s, 1, y), backward_axis(s, 2, x)};
        convolve_grid<T>(axes, s.kernel, s.samples, dy, s.oc, weight, size, s.ic * size, s.ic, bias, dx, s.winograd);
      }
}

template <class T>
void conv_backward_weight(const ConvShape& s, const T* x, const T* dy, float* dw, float* db) {
  const Axes axes{forward_axis(s, 0), forward_axis(s, 1), forward_axis(s, 2)};
  if (s.winograd && winograd_serves<T>(axes, s.ic, s.oc)) return weight_gradient_winograd<T>(s, axes, x, dy, dw, db);
  const int64_t chunk = std::min(s.ic, kGradientChunk), row = s.out[2] + axes[2].reach;
  const Tile tile(axes, s.kernel, std::max<int64_t>(1, kGradientBytes / static_cast<int64_t>(sizeof(T)) / row), chunk,
                  sizeof(T));
  const GradientTask<T> task{s, axes, tile, x, dy};
  const auto blocks = blocks_of(s.oc);
  const int64_t chunks = (s.ic + chunk - 1) / chunk;
  at::parallel_for(0, static_cast<int64_t>(blocks.size()) * chunks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const Block& b = blocks[i / chunks];
      const int64_t c0 = i % chunks * chunk, channels = std::min(chunk, s.ic - c0);
      float* own = c0 == 0 ? db : nullptr;
      if (b.width == 8)
        task.template run<8>(b, c0, channels, dw, own);
      else if (b.width == 4)
        task.template run<4>(b, c0, channels, dw, own);
      else
        task.template run<2>(b, c0, channels, dw, own);
    }
  });
}

template void conv_forward(const ConvShape&, const float*, const float*, const float*, float*);
template void conv_forward(const ConvShape&, const uint16_t*, const float*, const float*, uint16_t*);
template void conv_backward_data(const ConvShape&, const float*, const float*, const float*, float*);
template void conv_backward_data(const ConvShape&, const uint16_t*, const float*, const float*, uint16_t*);
template void conv_backward_weight(const ConvShape&, const float*, const float*, float*, float*);
template void conv_backward_weight(const ConvShape&, const uint16_t*, const uint16_t*, float*, float*);

}  // namespace vesalius::segmentation::detail
#endif
