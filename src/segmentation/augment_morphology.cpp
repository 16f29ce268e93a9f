// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "segmentation/augment_kernels.h"

namespace vesalius::segmentation::detail {
namespace {

/// Voxels within `radius` of the mask: squared distances are built up an axis at a time; what is further than the ball
/// reaches is never looked at.
void dilate(std::vector<uint8_t>& mask, const Shape3& shape, double radius) {
  const auto [nz, ny, nx] = shape;
  const auto reach = static_cast<int64_t>(std::floor(radius));
  const auto limit = static_cast<int64_t>(std::floor(radius * radius + 1e-9));
  const auto far = static_cast<uint16_t>(std::min<int64_t>(limit + 1, 30000));
  const int64_t count = nz * ny * nx;
  std::vector<uint16_t> a(count, far), b(count, far);
  for (int64_t row = 0; row < nz * ny; ++row)  // along x: from the last voxel of the mask on either side
    for (int step = -1; step <= 1; step += 2) {
      int64_t since = reach + 1;
      for (int64_t i = 0; i < nx; ++i) {
        const int64_t at = row * nx + (step > 0 ? i : nx - 1 - i);
        since = mask[at] ? 0 : std::min(since + 1, reach + 1);
        if (since * since <= limit) a[at] = std::min(a[at], static_cast<uint16_t>(since * since));
      }
    }
  const auto along = [&](const std::vector<uint16_t>& from, std::vector<uint16_t>& to, int64_t n, int64_t stride,
                         int64_t outer, int64_t outer_stride) {
    for (int64_t o = 0; o < outer; ++o)
      for (int64_t i = 0; i < n; ++i) {
        uint16_t* out = to.data() + o * outer_stride + i * stride;
        for (int64_t k = std::max<int64_t>(0, i - reach); k <= std::min(n - 1, i + reach); ++k) {
          const uint16_t* in = from.data() + o * outer_stride + k * stride;
          const auto add = static_cast<uint16_t>((k - i) * (k - i));
          for (int64_t x = 0; x < stride; ++x) {
            const auto v = static_cast<uint16_t>(in[x] + add);
            out[x] = v < out[x] ? v : out[x];
          }
        }
      }
  };
  along(a, b, ny, nx, nz, ny * nx);
  std::fill(a.begin(), a.end(), far);
  along(b, a, nz, ny * nx, 1, 0);
  for (int64_t i = 0; i < count; ++i) mask[i] = a[i] <= limit;
}

void erode(std::vector<uint8_t>& mask, const Shape3& shape, double radius) {
  for (auto& m : mask) m = !m;
  dilate(mask, shape, radius);
  for (auto& m : mask) m = !m;
}

}  // namespace

void morphology(uint8_t* mask, const Shape3& shape, Morphology kind, double radius) {
  std::vector<uint8_t> work(mask, mask + shape[0] * shape[1] * shape[2]);
  for (auto& m : work) m = m != 0;
  if (kind == Morphology::dilate || kind == Morphology::close) dilate(work, shape, radius);
  if (kind != Morphology::dilate) erode(work, shape, radius);
  if (kind == Morphology::open) dilate(work, shape, radius);
  std::copy(work.begin(), work.end(), mask);
}

void remove_component(uint8_t* mask, const Shape3& shape, double choice, double limit) {
  const auto [nz, ny, nx] = shape;
  const int64_t count = nz * ny * nx;
  std::vector<int32_t> component(count, 0);
  std::vector<int64_t> sizes{0}, queue;
  for (int64_t seed = 0; seed < count; ++seed) {
    if (!mask[seed] || component[seed]) continue;
    const auto id = static_cast<int32_t>(sizes.size());
    queue.assign(1, seed);
    component[seed] = id;
    for (size_t next = 0; next < queue.size(); ++next) {
      const int64_t z = queue[next] / (ny * nx), y = queue[next] / nx % ny, x = queue[next] % nx;
      for (int64_t k = std::max<int64_t>(0, z - 1); k <= std::min(nz - 1, z + 1); ++k)
        for (int64_t j = std::max<int64_t>(0, y - 1); j <= std::min(ny - 1, y + 1); ++j)
          for (int64_t i = std::max<int64_t>(0, x - 1); i <= std::min(nx - 1, x + 1); ++i) {
            const int64_t at = (k * ny + j) * nx + i;
            if (!mask[at] || component[at]) continue;
            component[at] = id;
            queue.push_back(at);
          }
    }
    sizes.push_back(static_cast<int64_t>(queue.size()));
  }
  std::vector<int32_t> may_go;
  for (size_t id = 1; id < sizes.size(); ++id)
    if (static_cast<double>(sizes[id]) < limit * static_cast<double>(count)) may_go.push_back(static_cast<int32_t>(id));
  if (may_go.empty()) return;
  const auto n = static_cast<int64_t>(may_go.size());
  const int32_t chosen = may_go[std::min(n - 1, static_cast<int64_t>(choice * static_cast<double>(n)))];
  for (int64_t i = 0; i < count; ++i)
    if (component[i] == chosen) mask[i] = 0;
}

}  // namespace vesalius::segmentation::detail
