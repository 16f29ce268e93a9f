// SPDX-License-Identifier: Apache-2.0
#include "image/squared_distance.h"

#include <algorithm>
#include <limits>
#include <vector>

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

namespace vesalius::image::detail {
namespace {

constexpr double kFar = std::numeric_limits<double>::infinity();

/// Along x: distance to the nearest true voxel of the row, by one sweep each way.
void nearest_in_row(const bool* sites, double* out, int64_t n, double spacing) {
  double steps = kFar;
  for (int64_t x = 0; x < n; ++x) {
    steps = sites[x] ? 0 : steps + 1;
    out[x] = steps;
  }
  steps = kFar;
  for (int64_t x = n - 1; x >= 0; --x) {
    steps = sites[x] ? 0 : steps + 1;
    const double distance = std::min(out[x], steps) * spacing;
    out[x] = distance * distance;
  }
}

/// min over j of line[j] + (spacing (i - j))², by the lower envelope of these parabolas
/// (Felzenszwalb and Huttenlocher 2012, algorithm 1); infinite ones take no part.
class Envelope {
 public:
  explicit Envelope(int64_t n) : apex_(n), from_(n), value_(n) {}

  void transform(double* line, int64_t n, double spacing) {
    const double square = spacing * spacing;
    int64_t k = -1;
    for (int64_t j = 0; j < n; ++j) {
      if (line[j] == kFar) continue;
      double cut = -kFar;
      while (k >= 0) {
        const double a = double(apex_[k]), b = double(j);
        cut = ((line[j] - value_[k]) / square + b * b - a * a) / (2 * (b - a));
        if (cut > from_[k]) break;
        --k;
        cut = -kFar;
      }
      ++k;
      apex_[k] = j, from_[k] = cut, value_[k] = line[j];
    }
    if (k < 0) return;
    int64_t current = 0;
    for (int64_t i = 0; i < n; ++i) {
      while (current < k && from_[current + 1] < double(i)) ++current;
      const double d = double(i - apex_[current]) * spacing;
      line[i] = value_[current] + d * d;
    }
  }

 private:
  std::vector<int64_t> apex_;
  std::vector<double> from_, value_;
};

/// All lines along an axis of `n` voxels, `inner` apart; a block of neighbours at a time, for the cache's sake.
void transform_axis(double* data, int64_t outer, int64_t n, int64_t inner, double spacing) {
  if (n == 1) return;
  constexpr int64_t kBlock = 16;
  const int64_t blocks = (inner + kBlock - 1) / kBlock;
  at::parallel_for(0, outer * blocks, 1 + 4096 / (n * kBlock), [&](int64_t begin, int64_t end) {
    Envelope envelope(n);
    std::vector<double> buffer(n * kBlock);
    for (int64_t b = begin; b < end; ++b) {
      const int64_t first = (b % blocks) * kBlock, count = std::min(kBlock, inner - first);
      double* start = data + (b / blocks) * n * inner + first;
      for (int64_t i = 0; i < n; ++i)
        for (int64_t j = 0; j < count; ++j) buffer[j * n + i] = start[i * inner + j];
      for (int64_t j = 0; j < count; ++j) envelope.transform(buffer.data() + j * n, n, spacing);
      for (int64_t i = 0; i < n; ++i)
        for (int64_t j = 0; j < count; ++j) start[i * inner + j] = buffer[j * n + i];
    }
  });
}

}  // namespace

at::Tensor squared_distance(const at::Tensor& sites, const Vec3& spacing) {
  const at::Tensor in = sites.to(at::kBool).cpu().contiguous();
  const int64_t nz = in.size(0), ny = in.size(1), nx = in.size(2);
  at::Tensor out = at::empty({nz, ny, nx}, at::kDouble);
  const bool* from = in.const_data_ptr<bool>();
  double* to = out.mutable_data_ptr<double>();
  at::parallel_for(0, nz * ny, 1 + 16384 / nx, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) nearest_in_row(from + row * nx, to + row * nx, nx, spacing[2]);
  });
  transform_axis(to, nz, ny, nx, spacing[1]);
  transform_axis(to, 1, nz, ny * nx, spacing[0]);
  return out;
}

}  // namespace vesalius::image::detail
