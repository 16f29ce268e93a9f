// SPDX-License-Identifier: Apache-2.0
#include "radiomics/autocorrelation.h"

#include <cmath>

#include <ATen/ops/empty.h>
#include <ATen/ops/fft_rfftn.h>
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

/// 1 / distance at every lag, negative ones wrapped around; 0 at lag 0 (k1 ≠ k2).
at::Tensor inverse_distance(const std::array<int64_t, 3>& length, const Vec3& spacing) {
  at::Tensor weights = at::empty({length[0], length[1], length[2]}, at::kDouble);
  double* out = weights.mutable_data_ptr<double>();
  const auto square = [&](int axis, int64_t i) {
    const double lag = static_cast<double>(std::min(i, length[axis] - i)) * spacing[axis];
    return lag * lag;
  };
  for (int64_t z = 0; z < length[0]; ++z)
    for (int64_t y = 0; y < length[1]; ++y) {
      const double rest = square(0, z) + square(1, y);
      for (int64_t x = 0; x < length[2]; ++x) *out++ = 1 / std::sqrt(rest + square(2, x));
    }
  weights.view(-1)[0] = 0;
  return weights;
}

}  // namespace

PairSums pair_sums(const at::Tensor& centred, const at::Tensor& mask, const Vec3& spacing) {
  // Twice the box, so that no pair wraps around onto another.
  std::array<int64_t, 3> length{};
  for (int axis = 0; axis < 3; ++axis) length[axis] = smooth_length(2 * centred.size(axis) - 1);
  const std::vector<int64_t> shape(length.begin(), length.end()), axes{0, 1, 2};
  const auto transform = [&](const at::Tensor& t) { return at::fft_rfftn(t, shape, axes); };

  // Σ_lag w(lag) (f ⋆ g)(lag) = 1/N Σ_frequency W conj(F) G (Parseval); W is real as w is even. The half spectrum stands
  // for both halves, but for its first column and, with an even length, its last.
  at::Tensor weights = at::real(transform(inverse_distance(length, spacing))).mul(2.0 / static_cast<double>(length[0] * length[1] * length[2]));
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
