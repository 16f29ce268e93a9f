// SPDX-License-Identifier: Apache-2.0
#include "radiomics/autocorrelation.h"

#include <cmath>

#include <ATen/ops/empty.h>
#include <ATen/ops/fft_fft.h>
#include <ATen/ops/fft_rfft.h>
#include <ATen/ops/real.h>

namespace vesalius::radiomics {
namespace {

/// The next length without a prime factor above 5, which FFTs are quick for.
int64_t smooth_length(int64_t n) {
  for (;; ++n) {
    int64_t rest = n;
    for (int64_t prime : {2, 3, 5})
      while (rest % prime == 0) rest /= prime;
    if (rest == 1) return n;
  }
}

/// A signal that is even about 0, given from 0 to the middle of its period.
at::Tensor whole_period(const at::Tensor& half, int64_t axis, int64_t length) {
  at::Tensor index = at::empty({length}, at::kLong);
  int64_t* i = index.mutable_data_ptr<int64_t>();
  for (int64_t k = 0; k < length; ++k) i[k] = std::min(k, length - k);
  return half.index_select(axis, index);
}

/// Along one axis of a signal that is even about 0, given from 0 to the middle: its whole period's transform, which is
/// real and even, too, from 0 to the middle.
at::Tensor even_transform(const at::Tensor& half, int64_t axis, int64_t length) {
  return at::real(at::fft_rfft(whole_period(half, axis, length), std::nullopt, axis));
}

/// The transform of 1 / distance over all lags (0 at lag 0: k1 ≠ k2), as `rfftn` lays it out. The distance is even along
/// every axis: an eighth of it says all.
at::Tensor inverse_distance_transform(const std::array<int64_t, 3>& length, const Vec3& spacing) {
  at::Tensor weights = at::empty({length[0] / 2 + 1, length[1] / 2 + 1, length[2] / 2 + 1}, at::kDouble);
  double* out = weights.mutable_data_ptr<double>();
  const auto square = [&](int axis, int64_t lag) {
    return (static_cast<double>(lag) * spacing[axis]) * (static_cast<double>(lag) * spacing[axis]);
  };
  for (int64_t z = 0; z < weights.size(0); ++z)
    for (int64_t y = 0; y < weights.size(1); ++y) {
      const double rest = square(0, z) + square(1, y);
      for (int64_t x = 0; x < weights.size(2); ++x) *out++ = 1 / std::sqrt(rest + square(2, x));
    }
  weights.view(-1)[0] = 0;
  for (int axis = 2; axis >= 0; --axis) weights = even_transform(weights, axis, length[axis]);
  for (int axis = 0; axis < 2; ++axis) weights = whole_period(weights, axis, length[axis]);
  return weights;
}

}  // namespace

PairSums pair_sums(const at::Tensor& centred, const at::Tensor& mask, const Vec3& spacing) {
  // Twice the box, so that no pair wraps around onto another.
  std::array<int64_t, 3> length{};
  for (int axis = 0; axis < 3; ++axis) length[axis] = smooth_length(2 * centred.size(axis) - 1);
  // Axis by axis, each padded only when its turn comes: lines of zeros needn't be transformed.
  const auto transform = [&](const at::Tensor& t) {
    return at::fft_fft(at::fft_fft(at::fft_rfft(t, length[2], 2), length[1], 1), length[0], 0);
  };

  // Σ_lag w(lag) (f ⋆ g)(lag) = 1/N Σ_frequency W conj(F) G (Parseval); W is real as w is even. The half spectrum stands
  // for both halves, but for its first column and, with an even length, its last.
  at::Tensor weights =
      inverse_distance_transform(length, spacing).mul(2.0 / static_cast<double>(length[0] * length[1] * length[2]));
  weights.select(2, 0).mul_(0.5);
  if (length[2] % 2 == 0) weights.select(2, weights.size(2) - 1).mul_(0.5);
  const auto sum = [&](const at::Tensor& f, const at::Tensor& g) {
    return at::real(f.conj().mul(g)).mul(weights).sum().item<double>();
  };
  const at::Tensor x = transform(centred), m = transform(mask);
  PairSums out;
  out.weights = sum(m, m);
  out.products = sum(x, x);
  out.differences = 2 * (sum(transform(centred.square()), m) - out.products);
  return out;
}

}  // namespace vesalius::radiomics
