// SPDX-License-Identifier: Apache-2.0
#include "segmentation/conv_winograd.h"

#include <ATen/Parallel.h>

// A tile is two planes of some pairs of output rows. For each of 4 × 4 combinations of its four input planes and of each pair's
// four input rows there is a packed block, which a convolution along x alone turns into sums of that combination; the outputs
// are combinations of the 16 sums.
#ifdef VESALIUS_DIRECT_CONV
namespace vesalius::segmentation::detail {
namespace {

constexpr int64_t kCombinations = 16, kVector = 16;
constexpr int64_t kPairPositions = 144;  // of one combination in a tile: three times three vectors
constexpr int64_t kWinogradChunk = 32;   // words of input channels packed at once
constexpr int64_t kGradientPairs = 264;  // positions of a combination in a tile of the weights' gradient (float32)
constexpr int64_t kWidePairs = 132;      // the same of a task with 16 or 32 output channels,
constexpr int64_t kWideChannels = 32;    // and its input channels
constexpr int64_t kPairChannels = 16;    // input channels of one of its tasks
constexpr int64_t kFewestChannels = 4;   // below, the combinations cost what they save

/// The kernel's index for each shift in ascending order.
std::array<int64_t, 3> by_shift(const Axis& axis) {
  std::array<int64_t, 3> out{};
  for (const Tap& t : axis.taps) out[t.shift - axis.low] = t.k;
  return out;
}

bool three_in_a_row(const Axis& a) {
  return a.taps.size() == 3 && a.reach == 2 && a.step == 1 && a.out_step == 1 && a.grid >= 2;
}

/// G g Gᵀ with G = [1 0 0; ½ ½ ½; ½ −½ ½; 0 0 1].
void transformed(const float (&g)[3][3], float (&u)[4][4]) {
  float half[4][3];
  for (int i = 0; i < 3; ++i) {
    half[0][i] = g[0][i];
    half[1][i] = 0.5f * (g[0][i] + g[1][i] + g[2][i]);
    half[2][i] = 0.5f * (g[0][i] - g[1][i] + g[2][i]);
    half[3][i] = g[2][i];
  }
  for (int a = 0; a < 4; ++a) {
    u[a][0] = half[a][0];
    u[a][1] = 0.5f * (half[a][0] + half[a][1] + half[a][2]);
    u[a][2] = 0.5f * (half[a][0] - half[a][1] + half[a][2]);
    u[a][3] = half[a][2];
  }
}

/// weight(out, in, k): block, combination, word of input channels, tap along x, output channel.
template <class T>
std::vector<Word<T>> transformed_weights(const float* weight, const std::array<int64_t, 3>& kernel, int64_t out_step,
                                         int64_t in_step, int64_t in_channels, const Axes& a,
                                         std::vector<Block>& blocks) {
  constexpr int64_t kPer = kChannelsPerWord<T>;
  const int64_t words = (in_channels + kPer - 1) / kPer;
  const auto taps = static_cast<int64_t>(a[2].taps.size());
  const auto kz = by_shift(a[0]), ky = by_shift(a[1]);
  int64_t size = 0;
  for (Block& b : blocks) {
    b.begin = size;
    size += kCombinations * words * taps * b.width;
  }
  std::vector<Word<T>> out(static_cast<size_t>(size), Word<T>{0});
  for (const Block& b : blocks)
    for (int64_t o = 0; o < b.count; ++o)
      for (int64_t c = 0; c < in_channels; ++c)
        for (int64_t t = 0; t < taps; ++t) {
          const float* from = weight + (b.first + o) * out_step + c * in_step + a[2].taps[t].k;
          float g[3][3], u[4][4];
          for (int i = 0; i < 3; ++i)
            for (int j = 0; j < 3; ++j) g[i][j] = from[(kz[i] * kernel[1] + ky[j]) * kernel[2]];
          transformed(g, u);
          for (int i = 0; i < kCombinations; ++i)
            set_weight(out[b.begin + ((i * words + c / kPer) * taps + t) * b.width + o], c % kPer, u[i / 4][i % 4]);
        }
  return out;
}

/// Where a tile's blocks lie.
struct PairTile {
  int64_t pairs, stride, block, channel;
  PairTile(const Axes& a, int64_t positions) {
    stride = a[2].grid + a[2].reach;
    const int64_t rows = (a[1].grid + 1) / 2;
    pairs = std::clamp<int64_t>(positions / stride, 1, rows);
    pairs = (rows + (rows + pairs - 1) / pairs - 1) / ((rows + pairs - 1) / pairs);
    block = pairs * stride;
    channel = kCombinations * block;
  }
};

/// One channel's combinations: to[4 a + b] at `block` apart, pair after pair.
template <class T>
struct Combiner {
  const Axes& a;
  const PairTile& tile;
  Buffer<T> lines;       // four planes' rows with their padding
  Buffer<float> planes;  // combinations of planes, row by row: [row][a][stride]
  Combiner(const Axes& axes, const PairTile& t)
      : a(axes), tile(t), lines(4 * t.stride), planes((2 * t.pairs + 2) * 4 * t.stride) {}

  void run(const T* channel, int64_t z, int64_t y, int64_t pairs, float* to) const {
    for (int64_t r = 0; r < 2 * pairs + 2; ++r) {
      const int64_t iy = y + r + a[1].low;
      for (int64_t d = 0; d < 4; ++d) {
        const int64_t iz = z + d + a[0].low;
        T* line = lines.get() + d * tile.stride;
        if (iz >= 0 && iz < a[0].in && iy >= 0 && iy < a[1].in)
          pack_row(channel + (iz * a[1].in + iy) * a[2].in, a[2].in, 1, 0, a[2].low, tile.stride, line);
        else
          std::fill_n(line, tile.stride, T{0});
      }
      winograd_inputs(lines.get(), tile.stride, tile.stride, planes.get() + r * 4 * tile.stride, tile.stride);
    }
    for (int64_t j = 0; j < pairs; ++j)
      for (int64_t i = 0; i < 4; ++i)
        winograd_inputs(planes.get() + (2 * j * 4 + i) * tile.stride, 4 * tile.stride, tile.stride,
                        to + i * 4 * tile.block + j * tile.stride, tile.block);
  }
};

void combine_word(const Combiner<float>& combiner, const float* x, int64_t volume, int64_t, int64_t word, int64_t z,
                  int64_t y, int64_t pairs, float* to, float*) {
  combiner.run(x + word * volume, z, y, pairs, to);
}

void combine_word(const Combiner<uint16_t>& combiner, const uint16_t* x, int64_t volume, int64_t channels, int64_t word,
                  int64_t z, int64_t y, int64_t pairs, uint32_t* to, float* work) {
  const int64_t size = combiner.tile.channel;
  combiner.run(x + 2 * word * volume, z, y, pairs, work);
  if (2 * word + 1 < channels)
    combiner.run(x + (2 * word + 1) * volume, z, y, pairs, work + size);
  else
    std::fill_n(work + size, size, 0.0f);
  narrow_pairs(work, work + size, size, to);
}

/// Gᵀ m G.
void back_transformed(const float (&m)[4][4], float (&g)[3][3]) {
  float half[3][4];
  for (int b = 0; b < 4; ++b) {
    half[0][b] = m[0][b] + 0.5f * (m[1][b] + m[2][b]);
    half[1][b] = 0.5f * (m[1][b] - m[2][b]);
    half[2][b] = 0.5f * (m[1][b] + m[2][b]) + m[3][b];
  }
  for (int i = 0; i < 3; ++i) {
    g[i][0] = half[i][0] + 0.5f * (half[i][1] + half[i][2]);
    g[i][1] = 0.5f * (half[i][1] - half[i][2]);
    g[i][2] = 0.5f * (half[i][1] + half[i][2]) + half[i][3];
  }
}

void store_rows(const float* from, int64_t from_stride, int64_t n, float* to, int64_t to_stride) {
  for (int64_t i = 0; i < kCombinations; ++i) std::copy_n(from + i * from_stride, n, to + i * to_stride);
}
void store_rows(const float* from, int64_t from_stride, int64_t n, uint16_t* to, int64_t to_stride) {
  for (int64_t i = 0; i < kCombinations; ++i) narrow_row(from + i * from_stride, n, to + i * to_stride);
}

/// The gradient of the weights of some output and some input channels: combinations of the outputs' gradients times those of
/// the inputs, summed up over all tiles, and combined last.
template <class T>
struct PairGradient {
  const ConvShape& s;
  const Axes& a;
  const PairTile& tile;
  const T *x, *dy;
  static constexpr int64_t kLength = std::is_same_v<T, float> ? 16 : 32;  // voxels of a vector

  /// One channel's gradients: combination after combination at to[i · stride].
  double combine(const T* channel, int64_t z, int64_t first, int64_t pairs, T* lines, float* planes, float* work, T* to,
                 int64_t stride) const {
    double sum = 0;
    for (int64_t r = 0; r < 2 * pairs; ++r) {
      for (int64_t p = 0; p < 2; ++p) {
        T* line = lines + p * tile.stride;
        const int64_t y = 2 * first + r;
        if (z + p < s.out[0] && y < s.out[1])
          pack_row(channel + ((z + p) * s.out[1] + y) * s.out[2], s.out[2], 1, 0, 0, tile.stride, line);
        else
          std::fill_n(line, tile.stride, T{0});
        sum += sum_of_row(line, s.out[2]);
      }
      winograd_gradients(lines, tile.stride, tile.stride, planes + r * 4 * tile.stride, tile.stride);
    }
    for (int64_t j = 0; j < pairs; ++j)
      for (int64_t i = 0; i < 4; ++i)
        winograd_gradients(planes + (2 * j * 4 + i) * tile.stride, 4 * tile.stride, tile.stride,
                           work + i * 4 * tile.block + j * tile.stride, tile.block);
    store_rows(work, tile.block, pairs * tile.stride, to, stride);
    return sum;
  }

  /// The same with V · 16 output channels beside each other, for three taps along x: sums without lanes to add up, so that more
  /// channels share what is packed.
  template <int C, int V>
  void run_wide(int64_t o0, int64_t c0, int64_t channels, float* dw, float* db) const {
    constexpr int64_t kPer = kChannelsPerWord<T>, kWide = V * kVector;
    const int64_t count = std::min(kWide, s.oc - o0), groups = (channels + C - 1) / C;
    const int64_t words = (tile.block + kPer - 1) / kPer, padded = (words + kVector - 1) / kVector * kVector;
    const int64_t in_volume = s.in[0] * s.in[1] * s.in[2], out_volume = s.out[0] * s.out[1] * s.out[2];
    const int64_t row = padded * kPer, all = groups * C * 3 * kWide;
    const Buffer<T> packed(groups * C * tile.channel + row + kReadBeyond), rows_of_16(kVector * kCombinations * row);
    const Buffer<Word<T>> gradient(kCombinations * padded * kWide);
    const Buffer<T> lines(2 * tile.stride);
    const Buffer<float> planes((2 * tile.pairs + 2) * 4 * tile.stride), work(tile.channel), sums(kCombinations * all);
    const Combiner<T> combiner(a, tile);
    std::vector<double> bias(static_cast<size_t>(kWide));

    const int64_t rows = (s.out[1] + 1) / 2;
    for (int64_t n = 0; n < s.samples; ++n)
      for (int64_t z = 0; z < s.out[0]; z += 2)
        for (int64_t first = 0; first < rows; first += tile.pairs) {
          const int64_t pairs = std::min(tile.pairs, rows - first), used = pairs * tile.stride;
          const int64_t steps = (used + kPer - 1) / kPer;
          for (int64_t v = 0; v < V; ++v) {
            for (int64_t o = v * kVector; o < std::min((v + 1) * kVector, count); ++o) {
              T* to = rows_of_16.get() + o % kVector * kCombinations * row;
              bias[o] += combine(dy + (n * s.oc + o0 + o) * out_volume, z, first, pairs, lines.get(), planes.get(),
                                 work.get(), to, row);
              if (used < row)
                for (int64_t i = 0; i < kCombinations; ++i) std::fill(to + i * row + used, to + (i + 1) * row, T{0});
            }
            for (int64_t i = 0; i < kCombinations; ++i)
              for (int64_t w = 0; w < steps; w += kVector)
                transpose_words(rows_of_16.get() + i * row + w * kPer, kCombinations * row / kPer,
                                gradient.get() + (i * padded + w) * kWide + v * kVector, kWide);
          }
          for (int64_t c = 0; c < channels; ++c) {
            combiner.run(x + (n * s.ic + c0 + c) * in_volume, z, 2 * first, pairs, work.get());
            store_rows(work.get(), tile.block, used, packed.get() + c * tile.channel, tile.block);
          }
          for (int64_t i = 0; i < kCombinations; ++i)
            for (int64_t g = 0; g < groups; ++g)
              correlate_words<C, V>(packed.get() + g * C * tile.channel + i * tile.block, tile.channel,
                                    gradient.get() + i * padded * kWide, steps,
                                    sums.get() + i * all + g * C * 3 * kWide);
        }
    const auto kz = by_shift(a[0]), ky = by_shift(a[1]), kx = by_shift(a[2]);
    const int64_t size = s.kernel[0] * s.kernel[1] * s.kernel[2];
    for (int64_t o = 0; o < count; ++o) {
      for (int64_t c = 0; c < channels; ++c)
        for (int64_t t = 0; t < 3; ++t) {
          float m[4][4], g[3][3];
          for (int64_t i = 0; i < kCombinations; ++i) m[i / 4][i % 4] = sums.get()[i * all + (c * 3 + t) * kWide + o];
          back_transformed(m, g);
          float* to = dw + ((o0 + o) * s.ic + c0 + c) * size + kx[t];
          for (int p = 0; p < 3; ++p)
            for (int q = 0; q < 3; ++q) to[(kz[p] * s.kernel[1] + ky[q]) * s.kernel[2]] = g[p][q];
        }
      if (db) db[o0 + o] = static_cast<float>(bias[o]);
    }
  }

  template <int O>
  void run(const Block& b, int64_t c0, int64_t channels, float* dw, float* db) const {
    constexpr int64_t kColumns = kConvVectors;
    const auto taps = static_cast<int64_t>(a[2].taps.size());
    const int64_t columns = channels * taps, groups = (columns + kColumns - 1) / kColumns;
    const int64_t most = (tile.block + kLength - 1) / kLength * kLength, all = groups * kColumns * O * kVector;
    const int64_t in_volume = s.in[0] * s.in[1] * s.in[2], out_volume = s.out[0] * s.out[1] * s.out[2];
    const Buffer<T> packed(channels * tile.channel + most + kReadBeyond), gradient(kCombinations * O * most);
    const Buffer<T> lines(2 * tile.stride);
    const Buffer<float> planes((2 * tile.pairs + 2) * 4 * tile.stride), work(tile.channel), sums(kCombinations * all);
    const Combiner<T> combiner(a, tile);
    std::vector<const T*> sources(static_cast<size_t>(groups * kColumns), packed.get());
    for (int64_t i = 0; i < columns; ++i)
      sources[i] = packed.get() + i / taps * tile.channel + (a[2].taps[i % taps].shift - a[2].low);
    std::vector<const T*> shifted(sources.size());
    double bias[O] = {};

    const int64_t rows = (s.out[1] + 1) / 2;
    for (int64_t n = 0; n < s.samples; ++n)
      for (int64_t z = 0; z < s.out[0]; z += 2)
        for (int64_t first = 0; first < rows; first += tile.pairs) {
          const int64_t pairs = std::min(tile.pairs, rows - first), used = pairs * tile.stride;
          const int64_t vectors = (used + kLength - 1) / kLength;
          for (int64_t o = 0; o < b.count; ++o) {
            T* to = gradient.get() + o * most;
            bias[o] += combine(dy + (n * s.oc + b.first + o) * out_volume, z, first, pairs, lines.get(), planes.get(),
                               work.get(), to, O * most);
            for (int64_t i = 0; i < kCombinations; ++i)
              std::fill(to + i * O * most + used, to + i * O * most + vectors * kLength, T{0});
          }
          for (int64_t c = 0; c < channels; ++c) {
            combiner.run(x + (n * s.ic + c0 + c) * in_volume, z, 2 * first, pairs, work.get());
            store_rows(work.get(), tile.block, used, packed.get() + c * tile.channel, tile.block);
          }
          for (int64_t i = 0; i < kCombinations; ++i) {
            for (size_t k = 0; k < sources.size(); ++k) shifted[k] = sources[k] + i * tile.block;
            for (int64_t g = 0; g < groups; ++g)
              correlate_rows<O, kColumns>(gradient.get() + i * O * most, most, shifted.data() + g * kColumns, vectors,
                                          sums.get() + i * all + g * kColumns * O * kVector);
          }
        }
    const auto kz = by_shift(a[0]), ky = by_shift(a[1]);
    const int64_t size = s.kernel[0] * s.kernel[1] * s.kernel[2];
    for (int64_t o = 0; o < b.count; ++o) {
      for (int64_t i = 0; i < columns; ++i) {
        float m[4][4], g[3][3];
        for (int64_t k = 0; k < kCombinations; ++k) {
          const float* own = sums.get() + k * all + ((i / kColumns * O + o) * kColumns + i % kColumns) * kVector;
          float sum = 0;
          for (int64_t l = 0; l < kVector; ++l) sum += own[l];
          m[k / 4][k % 4] = sum;
        }
        back_transformed(m, g);
        float* to = dw + ((b.first + o) * s.ic + c0 + i / taps) * size + a[2].taps[i % taps].k;
        for (int p = 0; p < 3; ++p)
          for (int q = 0; q < 3; ++q) to[(kz[p] * s.kernel[1] + ky[q]) * s.kernel[2]] = g[p][q];
      }
      if (db) db[b.first + o] = static_cast<float>(bias[o]);
    }
  }
};

}  // namespace

template <class T>
bool winograd_serves(const Axes& a, int64_t in_channels, int64_t out_channels) {
  return three_in_a_row(a[0]) && three_in_a_row(a[1]) && a[2].step == 1 && a[2].out_step == 1 && !a[2].taps.empty() &&
         in_channels >= kFewestChannels && out_channels >= kFewestChannels;
}

template <class T>
void convolve_winograd(const Axes& a, const std::array<int64_t, 3>& kernel, int64_t samples, const T* x,
                       int64_t in_channels, const float* weight, int64_t out_step, int64_t in_step,
                       int64_t out_channels, const float* bias, T* y) {
  const int64_t words = (in_channels + kChannelsPerWord<T> - 1) / kChannelsPerWord<T>;
  const int64_t chunk = std::min(words, kWinogradChunk);
  const PairTile tile(a, kPairPositions);
  std::vector<Block> blocks = blocks_of(out_channels);
  const auto weights = transformed_weights<T>(weight, kernel, out_step, in_step, in_channels, a, blocks);
  const auto taps = static_cast<int64_t>(a[2].taps.size());
  std::vector<int32_t> offsets;
  for (const Tap& t : a[2].taps) offsets.push_back(static_cast<int32_t>(t.shift - a[2].low));
  const int64_t in_volume = a[0].in * a[1].in * a[2].in, out_volume = a[0].out * a[1].out * a[2].out;
  const int64_t most = (tile.block + kVector - 1) / kVector * kVector;
  const int64_t rows = (a[1].grid + 1) / 2, tiles = (rows + tile.pairs - 1) / tile.pairs, planes = (a[0].grid + 1) / 2;

  at::parallel_for(0, samples * planes * tiles, 1, [&](int64_t begin, int64_t end) {
    const Buffer<Word<T>> packed(chunk * tile.channel + most + kReadBeyond);
    const Combiner<T> combiner(a, tile);
    const Buffer<float> work(std::is_same_v<T, float> ? 1 : 2 * tile.channel), lines(4 * a[2].grid);
    const int64_t block_sums = kCombinations * kConvChannels * most;
    const Buffer<float> sums(static_cast<int64_t>(blocks.size()) * block_sums);
    for (int64_t task = begin; task < end; ++task) {
      const int64_t first = task % tiles * tile.pairs, z = 2 * (task / tiles % planes), s = task / tiles / planes;
      const int64_t pairs = std::min(tile.pairs, rows - first);
      const int64_t vectors = (pairs * tile.stride + kVector - 1) / kVector;
      std::fill_n(sums.get(), static_cast<int64_t>(blocks.size()) * block_sums, 0.0f);
      for (int64_t w0 = 0; w0 < words; w0 += chunk) {
        const int64_t count = std::min(chunk, words - w0);
        for (int64_t w = 0; w < count; ++w)
          combine_word(combiner, x + s * in_channels * in_volume, in_volume, in_channels, w0 + w, z, 2 * first, pairs,
                       packed.get() + w * tile.channel, work.get());
        for (size_t b = 0; b < blocks.size(); ++b)
          for (int64_t i = 0; i < kCombinations; ++i)
            rows_of_block(blocks[b], packed.get() + i * tile.block, count, tile.channel, offsets.data(), taps,
                          weights.data() + blocks[b].begin + (i * words + w0) * taps * blocks[b].width, vectors,
                          sums.get() + static_cast<int64_t>(b) * block_sums + i * kConvChannels * most, most);
      }
      for (int64_t o = 0; o < out_channels; ++o)
        for (int64_t j = 0; j < pairs; ++j) {
          winograd_outputs(sums.get() + o / kConvChannels * block_sums + o % kConvChannels * most + j * tile.stride,
                           kConvChannels * most, a[2].grid, bias ? bias[o] : 0.0f, lines.get(), a[2].grid);
          for (int64_t p = 0; p < 2 && z + p < a[0].grid; ++p)
            for (int64_t q = 0; q < 2 && 2 * (first + j) + q < a[1].grid; ++q)
              unpack_row(
                  lines.get() + (2 * p + q) * a[2].grid, a[2].grid, 1,
                  y + (s * out_channels + o) * out_volume + ((z + p) * a[1].out + 2 * (first + j) + q) * a[2].out);
        }
    }
  });
}

template <class T>
void weight_gradient_winograd(const ConvShape& s, const Axes& a, const T* x, const T* dy, float* dw, float* db) {
  if (s.oc > kConvChannels && a[2].taps.size() == 3 && a[2].reach == 2) {
    const PairTile tile(a, kWidePairs * static_cast<int64_t>(sizeof(float) / sizeof(T)));
    const PairGradient<T> task{s, a, tile, x, dy};
    const int64_t wide = s.oc > kVector ? 2 * kVector : kVector, blocks = (s.oc + wide - 1) / wide;
    const int64_t chunk = std::min(s.ic, kWideChannels), chunks = (s.ic + chunk - 1) / chunk;
    at::parallel_for(0, blocks * chunks, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t o0 = i / chunks * wide, c0 = i % chunks * chunk, channels = std::min(chunk, s.ic - c0);
        float* own = c0 == 0 ? db : nullptr;
        if (wide == kVector)
          task.template run_wide<8, 1>(o0, c0, channels, dw, own);
        else
          task.template run_wide<4, 2>(o0, c0, channels, dw, own);
      }
    });
    return;
  }
  const int64_t chunk = std::min(s.ic, kPairChannels);
  const PairTile tile(a, kGradientPairs * static_cast<int64_t>(sizeof(float) / sizeof(T)));
  const PairGradient<T> task{s, a, tile, x, dy};
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

template bool winograd_serves<float>(const Axes&, int64_t, int64_t);
template bool winograd_serves<uint16_t>(const Axes&, int64_t, int64_t);
template void convolve_winograd(const Axes&, const std::array<int64_t, 3>&, int64_t, const float*, int64_t,
                                const float*, int64_t, int64_t, int64_t, const float*, float*);
template void convolve_winograd(const Axes&, const std::array<int64_t, 3>&, int64_t, const uint16_t*, int64_t,
                                const float*, int64_t, int64_t, int64_t, const float*, uint16_t*);
template void weight_gradient_winograd(const ConvShape&, const Axes&, const float*, const float*, float*, float*);
template void weight_gradient_winograd(const ConvShape&, const Axes&, const uint16_t*, const uint16_t*, float*, float*);

}  // namespace vesalius::segmentation::detail
#endif
