// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "segmentation/augment_kernels.h"
#include "segmentation/wide.h"

namespace vesalius::segmentation::detail {
namespace {

/// log2 of a positive normal number: exponent and atanh series of the mantissa in [√½, √2); 2e-7 of relative error.
VESALIUS_BODY float log2_of(float x) {
  const int32_t bits = std::bit_cast<int32_t>(x);
  const int32_t e = (bits - 0x3F3504F3) >> 23;
  const float m = std::bit_cast<float>(bits - (e << 23));
  const float t = (m - 1.f) / (m + 1.f), s = t * t;
  return static_cast<float>(e) +
         t * (2.885390082f + s * (0.9617966939f + s * (0.5770780164f + s * (0.4121985831f + s * 0.3205989f))));
}

/// 2^y for −10⁵ < y ≤ 126; (almost) 0 below −126. The clamp is one of whole numbers: a comparison of floats would keep the
/// compiler from using wide registers.
VESALIUS_BODY float exp2_of(float y) {
  int32_t n = static_cast<int32_t>(y + 1024.5f) - 1024;
  n = n < -126 ? -126 : n;
  const float f = (y - static_cast<float>(n)) * 0.6931471806f;
  const float p =
      1.f +
      f * (1.f + f * (0.5f + f * (0.1666666667f +
                                  f * (0.04166666667f + f * (0.008333333f + f * (0.001388889f + f * 0.0001984127f))))));
  return p * std::bit_cast<float>((n + 127) << 23);
}

/// sin(π/2 · w) for −1 ≤ w ≤ 1.
VESALIUS_BODY float quarter_sine(float w) {
  const float s = w * w;
  return w * (1.570796327f +
              s * (-0.6459640975f +
                   s * (0.07969262625f + s * (-0.004681754135f + s * (0.0001604411848f + s * -3.598843e-6f)))));
}

constexpr int64_t kBlock = 256;  ///< normal numbers made at a time, of 64 counters

/// Normal numbers (Box and Muller) of counters first … first + 63 of Philox's stream `key`.
VESALIUS_BODY void normal_block_body(uint64_t first, uint64_t key, float* __restrict out) {
  uint32_t c0[64], c1[64], c2[64], c3[64];
  for (uint32_t i = 0; i < 64; ++i) {
    c0[i] = static_cast<uint32_t>(first) + i, c1[i] = static_cast<uint32_t>(first >> 32);
    c2[i] = c3[i] = 0;
  }
  uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    for (int i = 0; i < 64; ++i) {
      const uint64_t a = uint64_t{0xD2511F53u} * c0[i], b = uint64_t{0xCD9E8D57u} * c2[i];
      c0[i] = static_cast<uint32_t>(b >> 32) ^ c1[i] ^ k0;
      c1[i] = static_cast<uint32_t>(b);
      c2[i] = static_cast<uint32_t>(a >> 32) ^ c3[i] ^ k1;
      c3[i] = static_cast<uint32_t>(a);
    }
    k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
  }
  const auto pairs = [&](const uint32_t* u, const uint32_t* v, float* to) __attribute__((always_inline)) {
    for (int i = 0; i < 64; ++i) {
      // 0 < a < 1 of 23 bits, so that the logarithm is finite and not 0; −2 ≤ t < 2 quarters of a turn.
      const float a = (static_cast<float>(static_cast<int32_t>(u[i] >> 9)) + 0.5f) * 0x1.0p-23f;
      const float t = static_cast<float>(static_cast<int32_t>(v[i]) >> 8) * 0x1.0p-22f;
      const float radius = exp2_of(0.5f * log2_of(-1.386294361f * log2_of(a)));  // √(−2 ln a)
      // Without branches: |t| and the sign apart, and the sine beyond a quarter of a turn mirrored.
      const int32_t bits = std::bit_cast<int32_t>(t), sign = bits & INT32_MIN;
      const float absolute = std::bit_cast<float>(bits & INT32_MAX);
      const float beyond = std::bit_cast<float>(std::bit_cast<int32_t>(absolute - 1.f) & INT32_MAX);
      const float folded = std::bit_cast<float>(std::bit_cast<int32_t>(1.f - beyond) ^ sign);
      to[i] = radius * quarter_sine(folded);
      to[64 + i] = radius * quarter_sine(1.f - absolute);
    }
  };
  pairs(c0, c1, out);
  pairs(c2, c3, out + 128);
}
VESALIUS_WIDE(normal_block, (uint64_t first, uint64_t key, float* out), (first, key, out))

VESALIUS_BODY void add_scaled_body(float* __restrict x, const float* __restrict noise, float sigma, int64_t n) {
  for (int64_t i = 0; i < n; ++i) x[i] += sigma * noise[i];
}
VESALIUS_WIDE(add_scaled, (float* x, const float* noise, float sigma, int64_t n), (x, noise, sigma, n))

/// x · factor + shift, within [low, high].
VESALIUS_BODY void affine_body(float* __restrict x, int64_t n, float factor, float shift, float low, float high) {
  for (int64_t i = 0; i < n; ++i) {
    float v = x[i] * factor + shift;
    v = v < low ? low : v;
    x[i] = v > high ? high : v;
  }
}
VESALIUS_WIDE(affine, (float* x, int64_t n, float factor, float shift, float low, float high),
              (x, n, factor, shift, low, high))

/// (((x − low) · inverse) ^ exponent) · range + low.
VESALIUS_BODY void power_body(float* __restrict x, int64_t n, float low, float inverse, float exponent, float range) {
  for (int64_t i = 0; i < n; ++i) x[i] = exp2_of(exponent * log2_of((x[i] - low) * inverse)) * range + low;
}
VESALIUS_WIDE(power, (float* x, int64_t n, float low, float inverse, float exponent, float range),
              (x, n, low, inverse, exponent, range))

struct ChannelMoments {
  double sum = 0, squares = 0;
  float low = std::numeric_limits<float>::infinity(), high = -std::numeric_limits<float>::infinity();
};

VESALIUS_BODY void moments_of_body(const float* __restrict x, int64_t n, double* __restrict sums,
                                   double* __restrict squares, float* __restrict lows, float* __restrict highs) {
  typedef float Floats __attribute__((vector_size(32)));
  typedef float Half __attribute__((vector_size(16)));
  typedef double Doubles __attribute__((vector_size(32)));
  Doubles s0{}, s1{}, q0{}, q1{};
  Floats low, high;
  std::memcpy(&low, lows, 32), std::memcpy(&high, highs, 32);
  for (int64_t i = 0; i + 8 <= n; i += 8) {
    Floats v;
    Half a, b;
    std::memcpy(&v, x + i, 32), std::memcpy(&a, x + i, 16), std::memcpy(&b, x + i + 4, 16);
    low = v < low ? v : low;
    high = v > high ? v : high;
    const Doubles da = __builtin_convertvector(a, Doubles), db = __builtin_convertvector(b, Doubles);
    s0 += da, s1 += db;
    q0 += da * da, q1 += db * db;
  }
  s0 += s1, q0 += q1;
  std::memcpy(sums, &s0, 32), std::memcpy(squares, &q0, 32);
  std::memcpy(lows, &low, 32), std::memcpy(highs, &high, 32);
}
VESALIUS_WIDE(moments_of, (const float* x, int64_t n, double* sums, double* squares, float* lows, float* highs),
              (x, n, sums, squares, lows, highs))

ChannelMoments moments(const float* x, int64_t n) {
  ChannelMoments m;
  double sums[4], squares[4];
  float lows[8], highs[8];
  std::fill(lows, lows + 8, m.low), std::fill(highs, highs + 8, m.high);
  moments_of(x, n, sums, squares, lows, highs);
  for (int i = 0; i < 4; ++i) m.sum += sums[i], m.squares += squares[i];
  for (int i = 0; i < 8; ++i) m.low = std::min(m.low, lows[i]), m.high = std::max(m.high, highs[i]);
  for (int64_t i = n / 8 * 8; i < n; ++i) {
    m.sum += x[i], m.squares += double{x[i]} * x[i];
    m.low = std::min(m.low, x[i]), m.high = std::max(m.high, x[i]);
  }
  return m;
}

/// Unbiased, as torch's; 0 for one voxel.
double deviation(const ChannelMoments& m, int64_t n) {
  if (n < 2) return 0;
  return std::sqrt(std::max(0.0, (m.squares - m.sum * m.sum / double(n)) / double(n - 1)));
}

VESALIUS_BODY void zero_sum_body(const float* __restrict x, int64_t n, float* __restrict out) {
  typedef float Floats __attribute__((vector_size(32)));
  Floats sum{};
  for (int64_t i = 0; i + 8 <= n; i += 8) {
    Floats v;
    std::memcpy(&v, x + i, 32);
    sum += v * 0.f;
  }
  std::memcpy(out, &sum, 32);
}
VESALIUS_WIDE(zero_sum, (const float* x, int64_t n, float* out), (x, n, out))

/// out = w[0] · x + Σ w[k] · (before[k] + after[k]).
VESALIUS_BODY void weigh_body(const float* x, const float* const* before, const float* const* after, const float* w,
                              int64_t taps, int64_t n, float* __restrict out) {
  const float w0 = w[0];
  for (int64_t i = 0; i < n; ++i) out[i] = w0 * x[i];
  for (int64_t k = 1; k <= taps; ++k) {
    const float *a = before[k], *b = after[k];
    const float wk = w[k];
    for (int64_t i = 0; i < n; ++i) out[i] += wk * (a[i] + b[i]);
  }
}
VESALIUS_WIDE(weigh,
              (const float* x, const float* const* before, const float* const* after, const float* w, int64_t taps,
               int64_t n, float* out),
              (x, before, after, w, taps, n, out))

/// Index of `i` in 0 … n − 1 with the border mirrored about the outermost voxel, as often as needed.
int64_t reflected(int64_t i, int64_t n) {
  if (n == 1) return 0;
  const int64_t period = 2 * (n - 1);
  i = ((i % period) + period) % period;
  return i < n ? i : period - i;
}

/// Half of a normalised Gaussian: w[0] in the middle. Length: the odd number nearest to 6σ + ½.
std::vector<float> kernel(double sigma) {
  const double length = sigma * 6 + 0.5;
  double n = std::nearbyint(length);
  if (std::fmod(n, 2) == 0) n += length >= n ? 1 : -1;
  const auto half = static_cast<int64_t>(std::max(n, 1.0)) / 2;
  std::vector<double> w(half + 1);
  double sum = 0;
  for (int64_t k = 0; k <= half; ++k) {
    w[k] = sigma > 0 ? std::exp(-0.5 * double(k * k) / (sigma * sigma)) : (k == 0);
    sum += k == 0 ? w[k] : 2 * w[k];
  }
  std::vector<float> out;
  for (const double v : w) out.push_back(static_cast<float>(v / sum));
  return out;
}

constexpr int64_t kTaps = 64;

/// Along an axis whose neighbours are rows `stride` apart: `count` rows of `n` voxels, from `x` to `out`.
void blur_rows(const float* x, float* out, int64_t count, int64_t stride, int64_t n, const std::vector<float>& w) {
  const auto taps = static_cast<int64_t>(w.size()) - 1;
  const float *before[kTaps], *after[kTaps];
  for (int64_t i = 0; i < count; ++i) {
    for (int64_t k = 1; k <= taps; ++k) {
      before[k] = x + reflected(i - k, count) * stride;
      after[k] = x + reflected(i + k, count) * stride;
    }
    weigh(x + i * stride, before, after, w.data(), taps, n, out + i * stride);
  }
}

/// Within a row of `n`; `padded` holds n + 2 · taps.
void blur_row(const float* x, float* out, int64_t n, const std::vector<float>& w, std::vector<float>& padded) {
  const auto taps = static_cast<int64_t>(w.size()) - 1;
  for (int64_t k = 1; k <= taps; ++k) {
    padded[taps - k] = x[reflected(-k, n)];
    padded[taps + n - 1 + k] = x[reflected(n - 1 + k, n)];
  }
  std::copy(x, x + n, padded.begin() + taps);
  const float *before[kTaps], *after[kTaps];
  for (int64_t k = 1; k <= taps; ++k) before[k] = padded.data() + taps - k, after[k] = padded.data() + taps + k;
  weigh(padded.data() + taps, before, after, w.data(), taps, n, out);
}

/// Linear positions of `to` voxels in a grid of `from`: lower index and share of the upper one.
void linear_index(int64_t from, int64_t to, std::vector<int64_t>& index, std::vector<float>& share) {
  index.resize(to), share.resize(to);
  const float scale = static_cast<float>(from) / static_cast<float>(to);
  for (int64_t i = 0; i < to; ++i) {
    const float at = std::max(0.f, (static_cast<float>(i) + 0.5f) * scale - 0.5f);
    index[i] = std::min<int64_t>(static_cast<int64_t>(at), from - 1);
    share[i] = index[i] + 1 < from ? at - static_cast<float>(index[i]) : 0.f;
  }
}

VESALIUS_BODY void between_body(const float* __restrict a, const float* __restrict b, float share, int64_t n,
                                float* __restrict out) {
  const float rest = 1.f - share;
  for (int64_t i = 0; i < n; ++i) out[i] = rest * a[i] + share * b[i];
}
VESALIUS_WIDE(between, (const float* a, const float* b, float share, int64_t n, float* out), (a, b, share, n, out))

}  // namespace

void add_noise(float* x, int64_t count, float sigma, uint64_t seed, int64_t first) {
  float block[kBlock];
  // `first` starts a stream of its own for each channel: 2^40 counters apart.
  for (int64_t i = 0; i < count; i += kBlock) {
    normal_block((static_cast<uint64_t>(first) << 40) + static_cast<uint64_t>(i / 4), seed, block);
    add_scaled(x + i, block, sigma, std::min(kBlock, count - i));
  }
}

void multiply(float* x, int64_t count, float factor) {
  const float end = std::numeric_limits<float>::infinity();
  affine(x, count, factor, 0.f, -end, end);
}

void contrast(float* x, int64_t count, float factor) {
  if (count == 0) return;
  const ChannelMoments m = moments(x, count);
  const double mean = m.sum / double(count);
  affine(x, count, factor, static_cast<float>(mean * (1 - double{factor})), m.low, m.high);
}

void gamma(float* x, int64_t count, float exponent, bool inverted) {
  if (count == 0) return;
  if (inverted) multiply(x, count, -1.f);
  const ChannelMoments before = moments(x, count);
  const float range = before.high - before.low;
  power(x, count, before.low, 1.f / std::max(range, 1e-7f), exponent, range);
  const ChannelMoments after = moments(x, count);
  const double factor = deviation(before, count) / std::max(deviation(after, count), 1e-7);
  const double sign = inverted ? -1 : 1, end = std::numeric_limits<float>::infinity();
  affine(x, count, static_cast<float>(sign * factor),
         static_cast<float>(sign * (before.sum - after.sum * factor) / double(count)), static_cast<float>(-end),
         static_cast<float>(end));
}

bool all_finite(const float* x, int64_t count) {
  float lanes[8];
  zero_sum(x, count, lanes);
  float sum = 0;
  for (const float lane : lanes) sum += lane;
  for (int64_t i = count / 8 * 8; i < count; ++i) sum += x[i] * 0.f;
  return sum == 0.f;
}

void blur(float* x, const Shape3& shape, const std::array<double, 3>& sigma) {
  const auto [nz, ny, nx] = shape;
  std::array<std::vector<float>, 3> w;
  for (int d = 0; d < 3; ++d) w[d] = shape[d] > 1 ? kernel(sigma[d]) : std::vector<float>{1.f};
  std::vector<float> volume, plane(ny * nx), padded(nx + 2 * static_cast<int64_t>(w[2].size()));
  const float* from = x;
  if (w[0].size() > 1) {
    volume.resize(nz * ny * nx);
    blur_rows(x, volume.data(), nz, ny * nx, ny * nx, w[0]);
    from = volume.data();
  }
  for (int64_t z = 0; z < nz; ++z) {
    blur_rows(from + z * ny * nx, plane.data(), ny, nx, nx, w[1]);
    for (int64_t y = 0; y < ny; ++y) blur_row(plane.data() + y * nx, x + (z * ny + y) * nx, nx, w[2], padded);
  }
}

void low_resolution(float* x, const Shape3& shape, const Shape3& coarse) {
  const auto [nz, ny, nx] = shape;
  const auto [cz, cy, cx] = coarse;
  std::array<std::vector<int64_t>, 3> pick, index;
  std::array<std::vector<float>, 3> share;
  for (int d = 0; d < 3; ++d) {
    pick[d] = nearest_index(shape[d], coarse[d]);
    linear_index(coarse[d], shape[d], index[d], share[d]);
  }
  std::vector<int64_t> left(nx), right(nx);  // the voxels of the fine grid that a row is mixed from
  for (int64_t i = 0; i < nx; ++i) {
    left[i] = pick[2][index[2][i]];
    right[i] = pick[2][std::min(index[2][i] + 1, cx - 1)];
  }
  // Coarse rows, already linear along x; then y and z are mixed row by row.
  std::vector<float> rows(cz * cy * nx);
  for (int64_t z = 0; z < cz; ++z)
    for (int64_t y = 0; y < cy; ++y) {
      const float* from = x + (pick[0][z] * ny + pick[1][y]) * nx;
      float* to = rows.data() + (z * cy + y) * nx;
      for (int64_t i = 0; i < nx; ++i) to[i] = (1.f - share[2][i]) * from[left[i]] + share[2][i] * from[right[i]];
    }
  std::vector<float> low(nx), high(nx);
  for (int64_t z = 0; z < nz; ++z)
    for (int64_t y = 0; y < ny; ++y) {
      const int64_t z0 = index[0][z], z1 = std::min(z0 + 1, cz - 1), y0 = index[1][y], y1 = std::min(y0 + 1, cy - 1);
      const auto row = [&](int64_t a, int64_t b) { return rows.data() + (a * cy + b) * nx; };
      float* out = x + (z * ny + y) * nx;
      if (nz == 1) {
        between(row(z0, y0), row(z0, y1), share[1][y], nx, out);
        continue;
      }
      between(row(z0, y0), row(z0, y1), share[1][y], nx, low.data());
      between(row(z1, y0), row(z1, y1), share[1][y], nx, high.data());
      between(low.data(), high.data(), share[0][z], nx, out);
    }
}

int64_t coarse_size(int64_t n, double scale) {
  return std::max<int64_t>(1, static_cast<int64_t>(std::nearbyint(static_cast<double>(n) * scale)));
}

std::vector<int64_t> nearest_index(int64_t from, int64_t to) {
  std::vector<int64_t> out(to);
  const float scale = static_cast<float>(from) / static_cast<float>(to);
  for (int64_t i = 0; i < to; ++i)
    out[i] = std::min(static_cast<int64_t>((static_cast<float>(i) + 0.5f) * scale), from - 1);
  return out;
}

}  // namespace vesalius::segmentation::detail
