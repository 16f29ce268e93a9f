// SPDX-License-Identifier: Apache-2.0
#include "radiomics/autocorrelation.h"

#include <algorithm>
#include <array>
#include <vector>

#include <ATen/Parallel.h>

#include <vesalius/radiomics/detail/fft_kernel.h>
#include <vesalius/radiomics/detail/vectorised.h>

namespace vesalius::radiomics {
namespace {

using detail::ComplexLanes;
using detail::HalfZeroFft;
using detail::kLanes;
using detail::Lanes;
using detail::RealLanes;

constexpr int64_t kPair = 2 * kLanes;  // real lines that go through one transform: as its real and its imaginary part

/// A frequency along x: element `k` of the transform of one parity; `partner` is that of the opposite frequency.
struct Frequency {
  bool odd;
  int64_t k, partner;
  double weight;  // 2 where it stands for the opposite one, too; 0 where it fills up a block
};

/// Half of the frequencies along x, those of a block of eight always of one parity.
std::vector<Frequency> half_spectrum(int64_t h) {
  std::vector<Frequency> out;
  for (const bool odd : {false, true}) {
    for (int64_t k = 0; 2 * k + odd <= h; ++k) {
      const int64_t f = 2 * k + odd;
      out.push_back({odd, k, odd ? h - 1 - k : (h - k) % h, f == 0 || f == h ? 1.0 : 2.0});
    }
    while (out.size() % kLanes != 0) out.push_back({odd, 0, odd ? h - 1 : 0, 0.0});
  }
  return out;
}

/// What a thread needs for a transform.
struct Scratch {
  std::vector<ComplexLanes> a, b, out[3];
  explicit Scratch(int64_t n) : a(n), b(n) {
    for (auto& o : out) o.resize(n);
  }
};

/// Σ over pairs as Σ over frequencies (Parseval): Σ_lag w(lag) (f ⋆ g)(lag) = 1/N Σ W conj(F) G. W, the transform of 1 / distance
/// over all lags, is real and even along every axis. Lines along x are transformed first, of the three signals
/// x - μ, mask and (x - μ)². Then for eight frequencies at a time, which stay in the cache, those along y and z.
class PairSummer {
 public:
  PairSummer(const double* voxels, const bool* mask, const Index3& size, double mean, const Vec3& spacing)
      : voxels_(voxels),
        mask_(mask),
        size_(size),
        mean_(mean),
        spacing_(spacing),
        fft_{HalfZeroFft(size[0]), HalfZeroFft(size[1]), HalfZeroFft(size[2])},
        spectrum_(half_spectrum(fft_[2].half_period())),
        rows_(size[0] * size[1]) {
    for (int a = 0; a < 3; ++a) h_[a] = fft_[a].half_period(), longest_ = std::max(longest_, h_[a] + 1);
    for (int64_t r = 0; r < rows_; ++r) {
      const bool* row = mask + r * size[2];
      if (std::find(row, row + size[2], true) != row + size[2]) filled_.push_back(r);
    }
    lines_ = (h_[0] + 1) * (h_[1] + 1);
    lines_ = (lines_ + kPair - 1) / kPair * kPair;
  }

  PairSums run(int64_t memory) {
    const auto blocks = static_cast<int64_t>(spectrum_.size()) / kLanes;
    const int64_t block_bytes = 3 * rows_ * sizeof(ComplexLanes) + lines_ * sizeof(RealLanes);
    group_ = std::clamp<int64_t>(memory / block_bytes, 1, blocks);
    for (auto& s : signal_) s.resize(group_ * rows_);
    weight_.resize(group_ * lines_);
    for (auto& p : plane_) p.resize(size_[0] * h_[1]);
    half_w_.resize((h_[0] + 2) * (h_[1] + 2));
    w_.resize((h_[0] + 1) * (h_[1] + 2));
    std::array<double, 3> sums{};
    for (int64_t first = 0; first < blocks; first += group_) {
      const int64_t end = std::min(first + group_, blocks);
      transform_weights_along_x(first, end);
      transform_signals_along_x(first, end);
      for (int64_t block = first; block < end; ++block) {
        transform_weights(weight_.data() + (block - first) * lines_);
        for (const bool odd : {false, true}) {
          transform_signals_along_y((block - first) * rows_, odd);
          add_along_z(block, odd, sums);
        }
      }
    }
    // Halves left out in taking the signals of one transform apart: a quarter of a product.
    const double scale = 0.25 / (8.0 * static_cast<double>(h_[0] * h_[1] * h_[2]));
    PairSums out;
    out.products = scale * sums[0];
    out.weights = scale * sums[1];
    out.differences = 2 * (scale * sums[2] - out.products);
    return out;
  }

 private:
  /// `work(scratch, i)` for each i in [0, n), on all threads where that pays.
  template <class Work>
  void each(int64_t n, int64_t elements, const Work& work) const {
    const int64_t grain = std::max<int64_t>(1, 4096 / std::max<int64_t>(elements, 1));
    at::parallel_for(0, n, grain, [&](int64_t begin, int64_t end) {
      Scratch scratch(longest_);
      detail::vectorised([&] {
        for (int64_t i = begin; i < end; ++i) work(scratch, i);
      });
    });
  }

  /// The frequencies of blocks [first, end) out of the transform of sixteen real lines: `take(frequency, block, lane)`.
  template <class Take>
  void each_frequency(int64_t first, int64_t end, bool odd, const Take& take) const {
    for (int64_t f = first * kLanes; f < end * kLanes; ++f)
      if (spectrum_[f].odd == odd) take(spectrum_[f], f / kLanes - first, f % kLanes);
  }
  bool needs(int64_t first, int64_t end, bool odd) const {
    return odd ? spectrum_[end * kLanes - 1].odd : !spectrum_[first * kLanes].odd;
  }

  void transform_weights_along_x(int64_t first, int64_t end) {
    const int64_t h = h_[2];
    each(lines_ / kPair, kPair * h, [&](Scratch& s, int64_t i) {
      ComplexLanes rest, *line = s.out[1].data();
      for (int64_t j = 0; j < kPair; ++j) {
        const int64_t at = i * kPair + j, z = at / (h_[1] + 1), y = at % (h_[1] + 1);
        const double dz = static_cast<double>(z) * spacing_[0], dy = static_cast<double>(y) * spacing_[1];
        (j < kLanes ? rest.re : rest.im)[j % kLanes] = dz * dz + dy * dy;
      }
      for (int64_t x = 0; x <= h; ++x) {
        const double dx = static_cast<double>(x) * spacing_[2];
        for (int j = 0; j < kLanes; ++j) {
          line[x].re[j] = 1 / std::sqrt(rest.re[j] + dx * dx);
          line[x].im[j] = 1 / std::sqrt(rest.im[j] + dx * dx);
        }
      }
      if (i == 0) line[0].re[0] = 0;  // k1 ≠ k2
      for (const bool odd : {false, true}) {
        if (!needs(first, end, odd)) continue;
        const double sign = odd ? -1 : 1;  // an even signal, folded: the second half of its period isn't 0
        const auto folded = [&](int64_t j) {
          return ComplexLanes{line[j].re + sign * line[h - j].re, line[j].im + sign * line[h - j].im};
        };
        ComplexLanes* c = s.out[0].data();
        fft_[2].run(odd, folded, s.a.data(), s.b.data(), c);
        each_frequency(first, end, odd, [&](const Frequency& f, int64_t block, int64_t lane) {
          double* to = reinterpret_cast<double*>(weight_.data() + block * lines_ + i * kPair) + lane;
          for (int j = 0; j < kLanes; ++j) {
            to[j * kLanes] = c[f.k].re[j];
            to[(j + kLanes) * kLanes] = c[f.k].im[j];
          }
        });
      }
    });
  }

  /// The rest of W's transform: half_w_ after y (planes z, frequencies), w_ after z. Two real lines go through one transform.
  void transform_weights(const RealLanes* weight) {
    const int64_t hz = h_[0], hy = h_[1], row = hy + 1, wide = hy + 2;
    const auto along = [&](int axis, int64_t lines, const auto& at, const auto& put) {
      const int64_t h = h_[axis];
      each((lines + 1) / 2, h * kLanes, [&](Scratch& s, int64_t i) {
        const int64_t u = 2 * i, v = std::min(2 * i + 1, lines - 1);
        for (const bool odd : {false, true}) {
          const double sign = odd ? -1 : 1;
          const auto folded = [&](int64_t j) {
            return ComplexLanes{at(u, j).v + sign * at(u, h - j).v, at(v, j).v + sign * at(v, h - j).v};
          };
          ComplexLanes* c = s.out[0].data();
          fft_[axis].run(odd, folded, s.a.data(), s.b.data(), c);
          for (int64_t k = 0; 2 * k + odd <= h; ++k) put(u, 2 * k + odd, c[k].re), put(v, 2 * k + odd, c[k].im);
        }
      });
    };
    along(
        1, hz + 1, [&](int64_t z, int64_t y) -> const RealLanes& { return weight[z * row + y]; },
        [&](int64_t z, int64_t f, const Lanes& value) { half_w_[z * wide + f].v = value; });
    along(
        0, hy + 1, [&](int64_t f, int64_t z) -> const RealLanes& { return half_w_[z * wide + f]; },
        [&](int64_t f, int64_t g, const Lanes& value) { w_[g * wide + f].v = value; });
  }

  /// Sixteen rows at a time. x - μ and the mask are the real and imaginary part of one transform, the squares of eight
  /// rows and of eight others those of another.
  void transform_signals_along_x(int64_t first, int64_t end) {
    const int64_t n = size_[2], groups = (static_cast<int64_t>(filled_.size()) + kPair - 1) / kPair;
    each(groups, kPair * n, [&](Scratch& s, int64_t i) {
      const int64_t count = std::min<int64_t>(kPair, filled_.size() - i * kPair);
      std::vector<ComplexLanes> lines(3 * n, ComplexLanes{Lanes{}, Lanes{}});
      for (int64_t r = 0; r < count; ++r) {
        const int64_t row = filled_[i * kPair + r];
        const double* x = voxels_ + row * n;
        const bool* inside = mask_ + row * n;
        ComplexLanes *own = lines.data() + (r / kLanes) * n, *square = lines.data() + 2 * n;
        const int64_t lane = r % kLanes;
        for (int64_t j = 0; j < n; ++j) {
          const double v = inside[j] ? x[j] - mean_ : 0;
          own[j].re[lane] = v;
          own[j].im[lane] = inside[j] ? 1 : 0;
          (r < kLanes ? square[j].re : square[j].im)[lane] = v * v;
        }
      }
      for (const bool odd : {false, true}) {
        if (!needs(first, end, odd)) continue;
        for (int t = 0; t < 3; ++t) {
          const ComplexLanes* from = lines.data() + t * n;
          if (t == 1 && count <= kLanes) continue;
          fft_[2].run(
              odd, [from, n](int64_t j) { return j < n ? from[j] : ComplexLanes{Lanes{}, Lanes{}}; }, s.a.data(),
              s.b.data(), s.out[t].data());
        }
        each_frequency(first, end, odd, [&](const Frequency& f, int64_t block, int64_t lane) {
          for (int64_t r = 0; r < count; r += kLanes) {
            const ComplexLanes* own = s.out[r / kLanes].data();
            const ComplexLanes &c = own[f.k], &d = own[f.partner], &e = s.out[2][f.k], &g = s.out[2][f.partner];
            const ComplexLanes x = real_part(c, d), m = imaginary_part(c, d);
            const ComplexLanes q = r == 0 ? real_part(e, g) : imaginary_part(e, g);
            for (int64_t j = 0; j < std::min<int64_t>(kLanes, count - r); ++j) {
              const int64_t to = block * rows_ + filled_[i * kPair + r + j];
              put(signal_[0][to], lane, x, j);
              put(signal_[1][to], lane, m, j);
              put(signal_[2][to], lane, q, j);
            }
          }
        });
      }
    });
  }
  // Twice the transforms of f and g, out of c and that at the opposite frequency, d, of f + i g.
  static ComplexLanes real_part(const ComplexLanes& c, const ComplexLanes& d) { return {c.re + d.re, c.im - d.im}; }
  static ComplexLanes imaginary_part(const ComplexLanes& c, const ComplexLanes& d) {
    return {c.im + d.im, d.re - c.re};
  }
  static void put(ComplexLanes& to, int64_t lane, const ComplexLanes& from, int64_t j) {
    to.re[lane] = from.re[j], to.im[lane] = from.im[j];
  }

  /// plane_[signal]: frequencies 2k + odd along y, for each z.
  void transform_signals_along_y(int64_t at, bool odd) {
    const int64_t n = size_[1];
    each(3 * size_[0], h_[1] * kLanes, [&](Scratch& s, int64_t i) {
      const int64_t t = i % 3, z = i / 3;
      const ComplexLanes* from = signal_[t].data() + at + z * n;
      fft_[1].run(
          odd, [from, n](int64_t j) { return j < n ? from[j] : ComplexLanes{Lanes{}, Lanes{}}; }, s.a.data(),
          s.b.data(), plane_[t].data() + z * h_[1]);
    });
  }

  void add_along_z(int64_t block, bool odd_y, std::array<double, 3>& sums) {
    const int64_t n = size_[0], hz = h_[0], hy = h_[1], wide = hy + 2;
    std::vector<std::array<RealLanes, 3>> part(hy);
    each(hy, 6 * hz * kLanes, [&](Scratch& s, int64_t k) {
      const int64_t f = 2 * k + odd_y, place = std::min(f, 2 * hy - f);
      Lanes xx{}, mm{}, qm{};
      for (const bool odd : {false, true}) {
        for (int t = 0; t < 3; ++t) {
          const ComplexLanes* from = plane_[t].data() + k;
          fft_[0].run(
              odd, [from, n, hy](int64_t j) { return j < n ? from[j * hy] : ComplexLanes{Lanes{}, Lanes{}}; },
              s.a.data(), s.b.data(), s.out[t].data());
        }
        const ComplexLanes *x = s.out[0].data(), *m = s.out[1].data(), *q = s.out[2].data();
        for (int64_t j = 0; j < hz; ++j) {
          const int64_t g = 2 * j + odd;
          const Lanes w = w_[std::min(g, 2 * hz - g) * wide + place].v;
          xx += w * (x[j].re * x[j].re + x[j].im * x[j].im);
          mm += w * (m[j].re * m[j].re + m[j].im * m[j].im);
          qm += w * (q[j].re * m[j].re + q[j].im * m[j].im);
        }
      }
      part[k] = {RealLanes{xx}, RealLanes{mm}, RealLanes{qm}};
    });
    for (const auto& p : part)  // in the same order whatever the threads
      for (int t = 0; t < 3; ++t)
        for (int j = 0; j < kLanes; ++j) sums[t] += spectrum_[block * kLanes + j].weight * p[t].v[j];
  }

  const double* voxels_;
  const bool* mask_;
  Index3 size_;
  double mean_;
  Vec3 spacing_;
  HalfZeroFft fft_[3];
  std::vector<Frequency> spectrum_;
  int64_t rows_, lines_ = 0, longest_ = 1, group_ = 1;
  Index3 h_{};
  std::vector<int64_t> filled_;          // rows with voxels of the mask
  std::vector<ComplexLanes> signal_[3];  // [block, row], eight frequencies along x each
  std::vector<ComplexLanes> plane_[3];   // [z, frequency along y]
  std::vector<RealLanes> weight_, half_w_, w_;
};

}  // namespace

PairSums pair_sums(const double* voxels, const bool* mask, const Index3& size, double mean, const Vec3& spacing,
                   int64_t memory) {
  return PairSummer(voxels, mask, size, mean, spacing).run(memory);
}

}  // namespace vesalius::radiomics
