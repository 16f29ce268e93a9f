// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>
#include <utility>
#include <vector>

namespace vesalius::radiomics::detail {

/// Eight numbers that are worked on at once, one of each of eight transforms. GCC's and clang's vectors: they become
/// whatever registers the function around them is compiled for.
inline constexpr int kLanes = 8;
typedef double Lanes __attribute__((vector_size(8 * kLanes)));
// Aligned whatever the registers: what one function allocates, another with wider vectors works on.
struct alignas(64) RealLanes {
  Lanes v;
};
struct alignas(64) ComplexLanes {
  Lanes re, im;
};

/// Fourier transforms of signals that are 0 in the second half of their period 2H, eight at a time: as for
/// correlations that mustn't wrap around. The even frequencies are the transform of length H of the signal, the odd
/// ones that of the signal times exp(-iπj/H): so half the work of a plain transform of length 2H, that on zeros, isn't done.
/// Mixed radix 2, 3, 4, 5, autosorting (Stockham; see Van Loan, Computational frameworks for the FFT, 1992, section 1.7).
class HalfZeroFft {
 public:
  /// Any H ≥ `valid` that is quick.
  explicit HalfZeroFft(int64_t valid) {
    length_ = quick_length(valid);
    factors_ = factors_of(length_);
    int64_t n = length_;
    for (int r : factors_) {
      const int64_t m = n / r;
      for (int64_t p = 0; p < m; ++p)
        for (int j = 1; j < r; ++j) push(twiddles_, -2 * std::numbers::pi * static_cast<double>(p * j % n) / n);
      n = m;
    }
    for (int64_t j = 0; j < length_; ++j) push(half_, -std::numbers::pi * static_cast<double>(j) / length_);
  }

  int64_t half_period() const { return length_; }
  size_t stages() const { return factors_.size(); }

  static int64_t quick_length(int64_t least) {
    int64_t best = least;
    double lowest = INFINITY;
    for (int64_t n = least; n <= 2 * least; ++n) {
      const double c = cost(n);
      if (c < lowest) lowest = c, best = n;
    }
    return best;
  }
  /// Operations of a transform of length n: those of a butterfly with its twiddles, for each element of each stage.
  static double cost(int64_t n) {
    if (n == 1) return 1;
    const auto factors = factors_of(n);
    if (factors.empty()) return INFINITY;
    double each = 2;
    for (int r : factors) each += r == 2 ? 6 : r == 3 ? 9.5 : r == 4 ? 9 : 13;
    return each * static_cast<double>(n);
  }

  /// The frequencies 2k + parity, k = 0 … H - 1, into `out`. `load(j)` gives element j of the signal, j = 0 … H - 1. `a` and
  /// `b` are scratch of H elements each; `out` may not be one of them.
  template <class Load>
  void run(bool odd, const Load& load, ComplexLanes* a, ComplexLanes* b, ComplexLanes* out) const {
    const double* w = twiddles_.data();
    int64_t n = length_, s = 1;
    const size_t stages = factors_.size();
    if (stages == 0) {
      out[0] = load(0);
      return;
    }
    const auto turned = [&](int64_t j) {
      const ComplexLanes v = load(j);
      const double c = half_[2 * j], d = half_[2 * j + 1];
      return ComplexLanes{v.re * c - v.im * d, v.re * d + v.im * c};
    };
    if (odd)
      stage(factors_[0], turned, stages == 1 ? out : a, n, s, w);
    else
      stage(factors_[0], load, stages == 1 ? out : a, n, s, w);
    for (size_t k = 1; k < stages; ++k) {
      const ComplexLanes* from = a;
      stage(factors_[k], [from](int64_t j) { return from[j]; }, k + 1 == stages ? out : b, n, s, w);
      std::swap(a, b);
    }
  }

 private:
  static void push(std::vector<double>& list, double angle) {
    list.push_back(std::cos(angle));
    list.push_back(std::sin(angle));
  }
  /// Fours first: the first stage has most twiddles to load, the last none.
  static std::vector<int> factors_of(int64_t n) {
    std::vector<int> out;
    for (int r : {4, 5, 3, 2})
      while (n % r == 0) out.push_back(r), n /= r;
    return n == 1 ? out : std::vector<int>{};
  }

  template <class Load>
  static void stage(int radix, const Load& load, ComplexLanes* out, int64_t& n, int64_t& s, const double*& w) {
    switch (radix) {
      case 2:
        return step<2>(load, out, n, s, w);
      case 3:
        return step<3>(load, out, n, s, w);
      case 4:
        return step<4>(load, out, n, s, w);
      default:
        return step<5>(load, out, n, s, w);
    }
  }

  template <int r, class Load>
  static void step(const Load& load, ComplexLanes* out, int64_t& n, int64_t& s, const double*& w) {
    const int64_t m = n / r;
    for (int64_t p = 0; p < m; ++p, w += 2 * (r - 1))
      for (int64_t q = 0; q < s; ++q) {
        ComplexLanes v[r];
        for (int k = 0; k < r; ++k) v[k] = load(q + s * (p + k * m));
        butterfly(v);
        ComplexLanes* to = out + q + s * r * p;
        to[0] = v[0];
        for (int j = 1; j < r; ++j) {
          const double c = w[2 * j - 2], d = w[2 * j - 1];
          to[s * j] = {v[j].re * c - v[j].im * d, v[j].re * d + v[j].im * c};
        }
      }
    n = m;
    s *= r;
  }

  static ComplexLanes plus(const ComplexLanes& a, const ComplexLanes& b) { return {a.re + b.re, a.im + b.im}; }
  static ComplexLanes minus(const ComplexLanes& a, const ComplexLanes& b) { return {a.re - b.re, a.im - b.im}; }

  static void butterfly(ComplexLanes (&v)[2]) {
    const ComplexLanes a = v[0];
    v[0] = plus(a, v[1]), v[1] = minus(a, v[1]);
  }
  static void butterfly(ComplexLanes (&v)[3]) {
    constexpr double kSine = 0.86602540378443864676;  // sin 60°
    const ComplexLanes sum = plus(v[1], v[2]), difference = minus(v[1], v[2]);
    const ComplexLanes middle{v[0].re - 0.5 * sum.re, v[0].im - 0.5 * sum.im};
    const ComplexLanes side{kSine * difference.im, -kSine * difference.re};  // -i sin 60° (v1 - v2)
    v[0] = plus(v[0], sum), v[1] = plus(middle, side), v[2] = minus(middle, side);
  }
  static void butterfly(ComplexLanes (&v)[4]) {
    const ComplexLanes a = plus(v[0], v[2]), b = minus(v[0], v[2]), c = plus(v[1], v[3]), d = minus(v[1], v[3]);
    v[0] = plus(a, c), v[2] = minus(a, c);
    v[1] = {b.re + d.im, b.im - d.re}, v[3] = {b.re - d.im, b.im + d.re};
  }
  static void butterfly(ComplexLanes (&v)[5]) {
    constexpr double kC1 = 0.30901699437494742410, kC2 = -0.80901699437494742410;  // cos 72°, cos 144°
    constexpr double kS1 = 0.95105651629515357212, kS2 = 0.58778525229247312917;   // sin 72°, sin 144°
    const ComplexLanes p1 = plus(v[1], v[4]), m1 = minus(v[1], v[4]), p2 = plus(v[2], v[3]), m2 = minus(v[2], v[3]);
    const ComplexLanes a{v[0].re + kC1 * p1.re + kC2 * p2.re, v[0].im + kC1 * p1.im + kC2 * p2.im};
    const ComplexLanes b{v[0].re + kC2 * p1.re + kC1 * p2.re, v[0].im + kC2 * p1.im + kC1 * p2.im};
    const ComplexLanes c{kS1 * m1.im + kS2 * m2.im, -(kS1 * m1.re + kS2 * m2.re)};
    const ComplexLanes d{kS2 * m1.im - kS1 * m2.im, -(kS2 * m1.re - kS1 * m2.re)};
    v[0] = plus(v[0], plus(p1, p2));
    v[1] = plus(a, c), v[4] = minus(a, c), v[2] = plus(b, d), v[3] = minus(b, d);
  }

  int64_t length_ = 1;
  std::vector<int> factors_;
  std::vector<double> twiddles_, half_;
};

/// Fourier transforms of real signals of `valid` elements at the frequencies half way between whole ones, k + ½, over a
/// period P ≥ 2 valid - 1. Products of such transforms belong to correlations that change their sign where they wrap around, which
/// those of these signals don't. None of the frequencies is its own opposite: k = 0 … P/2 - 1 and their conjugates are
/// all. They are made in `groups` groups, k = r + 2 groups · i in group r, each by a transform of length P / (2 groups): who has
/// little memory makes one after the other, and has little more work.
class HalfwayFft {
 public:
  HalfwayFft(int64_t valid, int64_t groups)
      : valid_(valid), groups_(groups), fft_(least_length(valid, groups)), period_(2 * groups * length()) {
    for (int64_t t = 0; t < 2 * period_; ++t) {
      const double angle = -std::numbers::pi * static_cast<double>(t) / static_cast<double>(period_);
      turns_.push_back(std::cos(angle)), turns_.push_back(std::sin(angle));
    }
  }

  static int64_t least_length(int64_t valid, int64_t groups) { return (2 * valid - 1 + 2 * groups - 1) / (2 * groups); }
  int64_t period() const { return period_; }
  int64_t length() const { return fft_.half_period(); }  ///< frequencies of a group
  /// k of element i of a group.
  int64_t frequency(int64_t group, int64_t i) const { return group + 2 * groups_ * i; }

  /// Of `kSignals` times eight signals, `in`, one group, each into its `out`; `a`, `b` are scratch of `length()` elements each.
  template <int kSignals>
  void run(int64_t group, const RealLanes* const (&in)[kSignals], ComplexLanes* a, ComplexLanes* b,
           ComplexLanes* const (&out)[kSignals]) const {
    const int64_t n = length(), around = 2 * period_, step = 2 * group + 1, far = step * n % around;
    const double* turns = turns_.data();
    for (int64_t i = 0, start = 0; i < n; ++i) {  // what is a whole number of lengths apart is added up
      Lanes re[kSignals] = {}, im[kSignals] = {};
      for (int64_t j = i, turn = start; j < valid_; j += n) {
        for (int s = 0; s < kSignals; ++s)
          re[s] += in[s][j].v * turns[2 * turn], im[s] += in[s][j].v * turns[2 * turn + 1];
        turn += far;
        turn = turn >= around ? turn - around : turn;
      }
      for (int s = 0; s < kSignals; ++s) out[s][i] = {re[s], im[s]};
      start += step;
      start = start >= around ? start - around : start;
    }
    for (int s = 0; s < kSignals; ++s) {
      const ComplexLanes* folded =
          out[s];  // read to its end before the last stage writes, except where there is but one
      if (fft_.stages() < 2) {
        std::copy(folded, folded + n, b);
        folded = b;
      }
      fft_.run(false, [folded](int64_t k) { return folded[k]; }, a, b, out[s]);
    }
  }

 private:
  int64_t valid_, groups_;
  HalfZeroFft fft_;
  int64_t period_;
  std::vector<double> turns_;  // exp(-iπ t/P), t = 0 … 2P - 1
};

/// Eight vectors of eight, rows for columns.
inline void transpose(Lanes (&v)[kLanes]) {
  Lanes t[kLanes];
  for (int i = 0; i < kLanes; i += 2) {
    t[i] = __builtin_shufflevector(v[i], v[i + 1], 0, 8, 2, 10, 4, 12, 6, 14);
    t[i + 1] = __builtin_shufflevector(v[i], v[i + 1], 1, 9, 3, 11, 5, 13, 7, 15);
  }
  for (const int i : {0, 1, 4, 5}) {
    v[i] = __builtin_shufflevector(t[i], t[i + 2], 0, 1, 8, 9, 4, 5, 12, 13);
    v[i + 2] = __builtin_shufflevector(t[i], t[i + 2], 2, 3, 10, 11, 6, 7, 14, 15);
  }
  for (int i = 0; i < 4; ++i) {
    t[i] = __builtin_shufflevector(v[i], v[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
    t[i + 4] = __builtin_shufflevector(v[i], v[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
  }
  for (int i = 0; i < kLanes; ++i) v[i] = t[i];
}

/// 1 / √a for a > 0, to the last bits, without the slow division and root: an estimate from the exponent, and two steps of
/// the series of 1 / √(1 - e).
inline RealLanes inverse_root(const Lanes& a) {
  typedef uint64_t Bits __attribute__((vector_size(8 * kLanes)));
  Lanes y = (Lanes)(0x5FE6EB50C7B537A9ull - ((Bits)a >> 1));
  for (int i = 0; i < 2; ++i) {
    const Lanes e = 1 - a * y * y;
    y += y * e * (0.5 + e * (0.375 + e * 0.3125));
  }
  return {y};
}

}  // namespace vesalius::radiomics::detail
