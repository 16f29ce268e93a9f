// SPDX-License-Identifier: Apache-2.0
#include "radiomics/autocorrelation.h"

#include <algorithm>
#include <array>
#include <vector>

#include <ATen/Parallel.h>

#include <vesalius/radiomics/detail/fft_kernel.h>
#include <vesalius/radiomics/detail/toeplitz_kernel.h>
#include <vesalius/radiomics/detail/vectorised.h>

namespace vesalius::radiomics {
namespace {

using detail::ComplexLanes;
using detail::HalfwayFft;
using detail::HalfZeroFft;
using detail::kLanes;
using detail::Lanes;
using detail::RealLanes;

constexpr ComplexLanes kZero{Lanes{}, Lanes{}};

/// What a thread needs for a transform.
struct Scratch {
  std::vector<ComplexLanes> a, b, out[3];
  std::vector<RealLanes> rows, lines[3];
  explicit Scratch(int64_t n) : a(n), b(n) {
    for (auto& o : out) o.resize(n);
  }
};

/// Σ over pairs as Σ over frequencies (Parseval): Σ_lag w(lag) (f ⋆ g)(lag) = 1/N Σ W conj(F) G. W, the transform of 1 / distance
/// over all lags, is real and even along every axis. Lines along x are transformed first, of the three signals x - μ,
/// mask and (x - μ)², for as many frequencies as the memory allows. Then for eight of them at a time, which stay in
/// the cache, those along y. Along z, where boxes are mostly short, the sum over pairs is made as such.
class PairSummer {
 public:
  PairSummer(const double* voxels, const bool* mask, const Index3& size, double mean, const Vec3& spacing,
             int64_t memory)
      : voxels_(voxels),
        mask_(mask),
        size_(size),
        mean_(mean),
        spacing_(spacing),
        direct_(size[0] <= detail::kMostDirect),
        fft_{HalfZeroFft(size[0]), HalfZeroFft(size[1])},
        h_{fft_[0].half_period(), fft_[1].half_period()},
        lags_(direct_ ? size[0] : h_[0] + 1),
        lines_((lags_ * (h_[1] + 1) + kLanes - 1) / kLanes * kLanes),
        place_(size[0] * size[1], -1) {
    for (int64_t r = 0; r < size[0] * size[1]; ++r) {
      const bool* row = mask + r * size[2];
      if (std::find(row, row + size[2], true) == row + size[2]) continue;
      place_[r] = static_cast<int64_t>(filled_.size());
      filled_.push_back(r);
    }
    plan(memory);
  }

  PairSums run() {
    const HalfwayFft along_x(size_[2], groups_);
    longest_ = std::max({h_[0] + 1, h_[1] + 1, (at_once_ * along_x.length() + kLanes) / kLanes * kLanes});
    for (auto& p : plane_) p.resize(size_[0] * h_[1]);
    half_w_.resize(lags_ * (h_[1] + 2));
    if (!direct_) w_.resize((h_[0] + 1) * (h_[1] + 2));
    std::array<double, 3> sums{};
    for (int64_t first = 0; first < groups_; first += at_once_) {
      const int64_t end = std::min(first + at_once_, groups_);
      const int64_t blocks = ((end - first) * along_x.length() + kLanes - 1) / kLanes;
      weight_.resize(blocks * lines_);
      for (auto& s : signal_) s.resize(blocks * rows());
      transform_weights_along_x(along_x, first, end);
      transform_signals_along_x(along_x, first, end);
      for (int64_t block = 0; block < blocks; ++block) {
        transform_weights(weight_.data() + block * lines_);
        for (const bool odd : {false, true}) {
          transform_signals_along_y(block * rows(), odd);
          add_along_z(odd, sums);
        }
      }
    }
    // Frequencies along x stand for their opposites, too.
    const double scale = 2.0 / static_cast<double>(along_x.period() * 2 * h_[1] * (direct_ ? 1 : 2 * h_[0]));
    PairSums out;
    out.products = scale * sums[0];
    out.weights = scale * sums[1];
    out.differences = 2 * (scale * sums[2] - out.products);
    return out;
  }

 private:
  int64_t rows() const { return static_cast<int64_t>(filled_.size()); }

  /// In how many groups frequencies along x are made, and how many of these at once: what costs least within `memory`.
  void plan(int64_t memory) {
    const double n = static_cast<double>(size_[2]), eights = static_cast<double>(rows()) / kLanes;
    const double lines = static_cast<double>(lines_) / kLanes, hy = static_cast<double>(h_[1]);
    const double along_z = direct_ ? 2.5 * static_cast<double>(size_[0] * size_[0]) : 6 * HalfZeroFft::cost(h_[0]);
    const double block_cost = 6 * static_cast<double>(size_[0]) * HalfZeroFft::cost(h_[1]) + 2 * hy * along_z;
    const int64_t block_bytes = 3 * rows() * sizeof(ComplexLanes) + lines_ * sizeof(RealLanes);
    double least = INFINITY;
    for (int64_t groups = 1; groups <= std::max<int64_t>(1, size_[2] / 4); ++groups) {
      const int64_t length = HalfZeroFft::quick_length(HalfwayFft::least_length(size_[2], groups));
      const auto blocks_of = [&](int64_t g) { return (g * length + kLanes - 1) / kLanes; };
      int64_t at_once = 1;
      while (at_once < groups && blocks_of(at_once + 1) * block_bytes <= memory) ++at_once;
      const bool fits = blocks_of(at_once) * block_bytes <= memory;
      const int64_t passes = (groups + at_once - 1) / at_once;
      const double blocks =
          static_cast<double>((passes - 1) * blocks_of(at_once) + blocks_of(groups - (passes - 1) * at_once));
      const double x_cost =
          static_cast<double>(passes) * (9 * eights + 14 * lines) * n +
          static_cast<double>(groups) * (3 * eights + lines) * (3 * n + HalfZeroFft::cost(length) + 6.0 * length);
      const double cost = (blocks * block_cost + x_cost) * (fits ? 1 : 1e3 * static_cast<double>(blocks_of(at_once)));
      if (cost < least) least = cost, groups_ = groups, at_once_ = at_once;
    }
  }

  /// `work(scratch, i)` for each i in [0, n), on all threads where that pays.
  template <class Work>
  void each(int64_t n, int64_t elements, const Work& work) const {
    const int64_t grain = std::max<int64_t>(1, 16384 / std::max<int64_t>(elements, 1));
    at::parallel_for(0, n, grain, [&](int64_t begin, int64_t end) {
      Scratch scratch(longest_);
      detail::vectorised([&] {
        for (int64_t i = begin; i < end; ++i) work(scratch, i);
      });
    });
  }

  /// Transforms of `kSignals` times eight lines, `in`, in groups [first, end), with their frequencies in the lanes: `put(signal,
  /// block, j, value)`, j being the line.
  template <int kSignals, class Put>
  static void along_x(const HalfwayFft& fft, int64_t first, int64_t end, const RealLanes* const (&in)[kSignals],
                      Scratch& s, const Put& put) {
    const int64_t length = fft.length(), count = (end - first) * length, blocks = (count + kLanes - 1) / kLanes;
    for (int64_t g = first; g < end; ++g) {
      ComplexLanes* out[kSignals];
      for (int t = 0; t < kSignals; ++t) out[t] = s.out[t].data() + (g - first) * length;
      fft.run(g, in, s.a.data(), s.b.data(), out);
    }
    for (int t = 0; t < kSignals; ++t) {
      ComplexLanes* out = s.out[t].data();
      for (int64_t i = count; i < blocks * kLanes; ++i) out[i] = kZero;
      for (int64_t block = 0; block < blocks; ++block) {
        Lanes re[kLanes], im[kLanes];
        for (int i = 0; i < kLanes; ++i) re[i] = out[block * kLanes + i].re, im[i] = out[block * kLanes + i].im;
        detail::transpose(re), detail::transpose(im);
        for (int j = 0; j < kLanes; ++j) put(t, block, j, ComplexLanes{re[j], im[j]});
      }
    }
  }

  /// W is twice the real part of the transform of 1 / distance over the lags from 0 on, that at 0 taken once.
  void transform_weights_along_x(const HalfwayFft& fft, int64_t first, int64_t end) {
    const int64_t n = size_[2];
    each(lines_ / kLanes, kLanes * n, [&](Scratch& s, int64_t i) {
      s.rows.resize(n);
      Lanes rest;
      for (int64_t j = 0; j < kLanes; ++j) {
        const int64_t at = i * kLanes + j, z = at / (h_[1] + 1), y = at % (h_[1] + 1);
        const double dz = static_cast<double>(z) * spacing_[0], dy = static_cast<double>(y) * spacing_[1];
        rest[j] = dz * dz + dy * dy;
      }
      for (int64_t x = 0; x < n; ++x) {
        const double dx = static_cast<double>(x) * spacing_[2];
        s.rows[x].v = (x == 0 ? 1.0 : 2.0) * detail::inverse_root(rest + dx * dx).v;
      }
      if (i == 0) s.rows[0].v[0] = 0;  // k1 ≠ k2
      const RealLanes* const in[1] = {s.rows.data()};
      along_x(fft, first, end, in, s, [&](int, int64_t block, int64_t j, const ComplexLanes& value) {
        weight_[block * lines_ + i * kLanes + j].v = value.re;
      });
    });
  }

  /// The rest of W's transform: half_w_ after y (planes z, frequencies), w_ after z. Two real lines go through one transform.
  void transform_weights(const RealLanes* weight) {
    const int64_t hy = h_[1], row = hy + 1, wide = hy + 2;
    const auto along = [&](int axis, int64_t lines, const auto& at, const auto& put) {
      const int64_t h = h_[axis];
      each((lines + 1) / 2, h * kLanes, [&](Scratch& s, int64_t i) {
        const int64_t u = 2 * i, v = std::min(2 * i + 1, lines - 1);
        for (const bool odd : {false, true}) {
          const double sign = odd ? -1 : 1;
          const auto folded = [&](int64_t j) {  // an even signal: the second half of its period isn't 0
            return ComplexLanes{at(u, j).v + sign * at(u, h - j).v, at(v, j).v + sign * at(v, h - j).v};
          };
          ComplexLanes* c = s.out[0].data();
          fft_[axis].run(odd, folded, s.a.data(), s.b.data(), c);
          for (int64_t k = 0; 2 * k + odd <= h; ++k) put(u, 2 * k + odd, c[k].re), put(v, 2 * k + odd, c[k].im);
        }
      });
    };
    along(
        1, lags_, [&](int64_t z, int64_t y) -> const RealLanes& { return weight[z * row + y]; },
        [&](int64_t z, int64_t f, const Lanes& value) { half_w_[z * wide + f].v = value; });
    if (direct_) return;
    along(
        0, hy + 1, [&](int64_t f, int64_t z) -> const RealLanes& { return half_w_[z * wide + f]; },
        [&](int64_t f, int64_t g, const Lanes& value) { w_[g * wide + f].v = value; });
  }

  /// Eight rows at a time.
  void transform_signals_along_x(const HalfwayFft& fft, int64_t first, int64_t end) {
    const int64_t n = size_[2], wide = (n + kLanes - 1) / kLanes * kLanes;
    each((rows() + kLanes - 1) / kLanes, 3 * kLanes * n, [&](Scratch& s, int64_t i) {
      const int64_t from = i * kLanes, count = std::min<int64_t>(kLanes, rows() - from);
      const double mean = mean_;
      for (auto& l : s.lines) l.resize(wide);
      s.rows.assign(2 * wide, RealLanes{Lanes{}});
      double *values = reinterpret_cast<double*>(s.rows.data()), *inside = values + kLanes * wide;
      for (int64_t r = 0; r < count; ++r, values += wide, inside += wide) {
        const double* x = voxels_ + filled_[from + r] * n;
        const bool* in = mask_ + filled_[from + r] * n;
        for (int64_t j = 0; j < n; ++j) values[j] = in[j] ? x[j] - mean : 0;
        for (int64_t j = 0; j < n; ++j) inside[j] = in[j];
      }
      for (int64_t x = 0; x < wide; x += kLanes) {
        Lanes v[kLanes], m[kLanes];
        for (int r = 0; r < kLanes; ++r) {
          v[r] = s.rows[(r * wide + x) / kLanes].v;
          m[r] = s.rows[wide + (r * wide + x) / kLanes].v;
        }
        detail::transpose(v), detail::transpose(m);
        for (int k = 0; k < kLanes; ++k) {
          s.lines[0][x + k].v = v[k];
          s.lines[1][x + k].v = m[k];
          s.lines[2][x + k].v = v[k] * v[k];
        }
      }
      const RealLanes* const in[3] = {s.lines[0].data(), s.lines[1].data(), s.lines[2].data()};
      along_x(fft, first, end, in, s, [&](int t, int64_t block, int64_t j, const ComplexLanes& value) {
        if (j < count) signal_[t][block * rows() + from + j] = value;
      });
    });
  }

  /// plane_[signal]: frequencies 2k + odd along y, for each z.
  void transform_signals_along_y(int64_t at, bool odd) {
    const int64_t n = size_[1];
    each(3 * size_[0], h_[1] * kLanes, [&](Scratch& s, int64_t i) {
      const int64_t t = i % 3, z = i / 3;
      const ComplexLanes* from = signal_[t].data() + at;
      const int64_t* place = place_.data() + z * n;
      fft_[1].run(
          odd, [from, place, n](int64_t j) { return j < n && place[j] >= 0 ? from[place[j]] : kZero; }, s.a.data(),
          s.b.data(), plane_[t].data() + z * h_[1]);
    });
  }

  void add_along_z(bool odd_y, std::array<double, 3>& sums) {
    const int64_t n = size_[0], hz = h_[0], hy = h_[1], wide = hy + 2;
    part_.resize(hy);
    each(hy, direct_ ? 3 * n * n * kLanes : 6 * hz * kLanes, [&](Scratch& s, int64_t k) {
      const int64_t f = 2 * k + odd_y, place = std::min(f, 2 * hy - f);
      if (direct_) {
        part_[k] = detail::toeplitz_forms(plane_[0].data() + k, plane_[1].data() + k, plane_[2].data() + k, hy,
                                          half_w_.data() + place, wide, n);
        return;
      }
      Lanes xx{}, mm{}, qm{};
      for (const bool odd : {false, true}) {
        for (int t = 0; t < 3; ++t) {
          const ComplexLanes* from = plane_[t].data() + k;
          fft_[0].run(
              odd, [from, n, hy](int64_t j) { return j < n ? from[j * hy] : kZero; }, s.a.data(), s.b.data(),
              s.out[t].data());
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
      part_[k] = {RealLanes{xx}, RealLanes{mm}, RealLanes{qm}};
    });
    for (const auto& p : part_)  // in the same order whatever the threads
      for (int t = 0; t < 3; ++t)
        for (int j = 0; j < kLanes; ++j) sums[t] += p[t].v[j];
  }

  const double* voxels_;
  const bool* mask_;
  Index3 size_;
  double mean_;
  Vec3 spacing_;
  bool direct_;
  HalfZeroFft fft_[2];           // along z, y
  std::array<int64_t, 2> h_;     // their half periods
  int64_t lags_, lines_;         // of the weights: along z; along z and y, in eights
  std::vector<int64_t> place_;   // of each row among those with voxels of the mask, or -1
  std::vector<int64_t> filled_;  // those rows
  int64_t groups_ = 1, at_once_ = 1, longest_ = 1;
  std::vector<ComplexLanes> signal_[3];  // [block, filled row], eight frequencies along x each
  std::vector<ComplexLanes> plane_[3];   // [z, frequency along y]
  std::vector<RealLanes> weight_, half_w_, w_;
  std::vector<std::array<RealLanes, 3>> part_;
};

}  // namespace

PairSums pair_sums(const double* voxels, const bool* mask, const Index3& size, double mean, const Vec3& spacing,
                   int64_t memory) {
  return PairSummer(voxels, mask, size, mean, spacing, memory).run();
}

}  // namespace vesalius::radiomics
