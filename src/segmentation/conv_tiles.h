// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <memory>
#include <new>
#include <type_traits>
#include <vector>

#include "segmentation/conv_passes.h"

/// What the direct convolutions and Winograd's share: axes, blocks of output channels, scratch.
#ifdef VESALIUS_DIRECT_CONV
namespace vesalius::segmentation::detail {

constexpr int64_t kReadBeyond = 128;  // words read beyond a tile's end

template <class T>
using Word = std::conditional_t<std::is_same_v<T, float>, float, uint32_t>;
template <class T>
constexpr int64_t kChannelsPerWord = std::is_same_v<T, float> ? 1 : 2;

template <class W>
class Buffer {
 public:
  explicit Buffer(int64_t n) : data_(new (std::align_val_t{64}) W[static_cast<size_t>(n)]()) {}
  W* get() const { return data_.get(); }

 private:
  struct Free {
    void operator()(W* p) const { ::operator delete[](p, std::align_val_t{64}); }
  };
  std::unique_ptr<W[], Free> data_;
};

/// Kernel position `k` reads input step · (o + shift) + phase.
struct Tap {
  int64_t k, shift, phase;
};

/// Outputs o = 0 … grid − 1 of an axis lie at out_step · o + out_first.
struct Axis {
  int64_t in = 0, step = 1, grid = 0, out = 0, out_step = 1, out_first = 0;
  std::vector<Tap> taps;
  std::vector<int64_t> phases;  ///< that some tap reads
  int64_t low = 0, reach = 0;   ///< least shift; how much more the greatest is

  void finish() {
    int64_t high = 0;
    for (const Tap& t : taps) {
      low = &t == taps.data() ? t.shift : std::min(low, t.shift);
      high = &t == taps.data() ? t.shift : std::max(high, t.shift);
      if (std::find(phases.begin(), phases.end(), t.phase) == phases.end()) phases.push_back(t.phase);
    }
    reach = high - low;
  }
  int64_t phase_index(int64_t phase) const { return std::find(phases.begin(), phases.end(), phase) - phases.begin(); }
};
using Axes = std::array<Axis, 3>;

inline Axis forward_axis(const ConvShape& s, int a) {
  Axis out;
  out.in = s.in[a];
  out.step = s.stride[a];
  out.grid = out.out = s.out[a];
  for (int64_t k = 0; k < s.kernel[a]; ++k) {
    const int64_t at = k - s.padding[a];
    const int64_t shift = at >= 0 ? at / out.step : -((-at + out.step - 1) / out.step);
    out.taps.push_back({k, shift, at - shift * out.step});
  }
  out.finish();
  return out;
}

/// Inputs r, r + stride, …: input s·m + r is output m + (r + padding − k)/s by each k that makes it whole.
inline Axis backward_axis(const ConvShape& s, int a, int64_t r) {
  const int64_t stride = s.stride[a];
  Axis out;
  out.in = s.out[a];
  out.out = s.in[a];
  out.grid = (s.in[a] - r + stride - 1) / stride;
  out.out_step = stride;
  out.out_first = r;
  for (int64_t k = 0; k < s.kernel[a]; ++k)
    if ((r + s.padding[a] - k) % stride == 0) out.taps.push_back({k, (r + s.padding[a] - k) / stride, 0});
  out.finish();
  return out;
}

/// Output channels `first … first + width − 1`, of which `count` are there.
struct Block {
  int64_t first, width, count, begin;  ///< begin: of its weights, in words
};

inline std::vector<Block> blocks_of(int64_t channels) {
  std::vector<Block> out;
  for (int64_t first = 0; first < channels; first += kConvChannels) {
    const int64_t count = std::min<int64_t>(kConvChannels, channels - first);
    out.push_back({first, count > 4 ? 8 : count > 2 ? 4 : 2, count, 0});
  }
  return out;
}

inline void set_weight(float& word, int64_t, float v) { word = v; }
inline void set_weight(uint32_t& word, int64_t half, float v) {
  word |= static_cast<uint32_t>(to_bfloat16(v)) << (16 * half);
}

template <int O, class W>
void rows_of_block(const W* x, int64_t channels, int64_t stride, const int32_t* offsets, int64_t taps, const W* w,
                   int64_t vectors, float* out, int64_t out_stride) {
  int64_t v = 0;
  while (v < vectors) {
    const int64_t left = vectors - v;
    const W* from = x + v * int64_t{16};
    float* to = out + v * int64_t{16};
    if (left == 1) {
      conv_rows<O, 1>(from, channels, stride, offsets, taps, w, to, out_stride);
      v += 1;
    } else if (left == 2 || left == 4) {
      conv_rows<O, 2>(from, channels, stride, offsets, taps, w, to, out_stride);
      v += 2;
    } else {
      conv_rows<O, kConvVectors>(from, channels, stride, offsets, taps, w, to, out_stride);
      v += kConvVectors;
    }
  }
}

/// The same with as many output channels as the block has.
template <class W>
void rows_of_block(const Block& b, const W* x, int64_t channels, int64_t stride, const int32_t* offsets, int64_t taps,
                   const W* w, int64_t vectors, float* out, int64_t out_stride) {
  if (b.width == 8)
    rows_of_block<8>(x, channels, stride, offsets, taps, w, vectors, out, out_stride);
  else if (b.width == 4)
    rows_of_block<4>(x, channels, stride, offsets, taps, w, vectors, out, out_stride);
  else
    rows_of_block<2>(x, channels, stride, offsets, taps, w, vectors, out, out_stride);
}

}  // namespace vesalius::segmentation::detail
#endif
