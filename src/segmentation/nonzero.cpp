// SPDX-License-Identifier: Apache-2.0
#include "segmentation/nonzero.h"

#include <cstdint>
#include <vector>

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

namespace vesalius::segmentation::detail {
namespace {

/// Fills what can't be reached from the box's sides. Voxels outside the box are all 0, so a side is the outside.
void fill_holes(uint8_t* mask, const Index3& n) {
  constexpr uint8_t kOutside = 2;
  const int64_t stride[3] = {n[1] * n[2], n[2], 1};
  std::vector<int64_t> stack;
  const auto push = [&](int64_t i) {
    if (mask[i] == 0) {
      mask[i] = kOutside;
      stack.push_back(i);
    }
  };
  for (int64_t z = 0; z < n[0]; ++z)
    for (int64_t y = 0; y < n[1]; ++y) {
      const bool face = z == 0 || z == n[0] - 1 || y == 0 || y == n[1] - 1;
      const int64_t row = z * stride[0] + y * stride[1];
      if (face) {
        for (int64_t x = 0; x < n[2]; ++x) push(row + x);
      } else {
        push(row);
        push(row + n[2] - 1);
      }
    }
  while (!stack.empty()) {
    const int64_t i = stack.back();
    stack.pop_back();
    const int64_t at[3] = {i / stride[0], i / stride[1] % n[1], i % n[2]};
    for (int a = 0; a < 3; ++a) {
      if (at[a] > 0) push(i - stride[a]);
      if (at[a] < n[a] - 1) push(i + stride[a]);
    }
  }
  const int64_t voxels = n[0] * n[1] * n[2];
  for (int64_t i = 0; i < voxels; ++i) mask[i] = mask[i] != kOutside;
}

}  // namespace

NonzeroBox nonzero_box(const at::Tensor& image) {
  const int64_t channels = image.size(0);
  const Index3 n{image.size(1), image.size(2), image.size(3)};
  const float* voxels = image.const_data_ptr<float>();
  const int64_t slice = n[1] * n[2], volume = n[0] * slice;

  // Per slice: first and last row and column that aren't all 0.
  std::vector<Index3> low(n[0], {1, n[1], n[2]}), high(n[0], {0, -1, -1});
  at::parallel_for(0, n[0], 1, [&](int64_t begin, int64_t end) {
    for (int64_t z = begin; z < end; ++z)
      for (int64_t c = 0; c < channels; ++c)
        for (int64_t y = 0; y < n[1]; ++y) {
          const float* row = voxels + c * volume + z * slice + y * n[2];
          int64_t first = 0, last = n[2] - 1;
          while (first < n[2] && row[first] == 0.0f) ++first;
          if (first == n[2]) continue;
          while (row[last] == 0.0f) --last;
          low[z] = {0, std::min(low[z][1], y), std::min(low[z][2], first)};
          high[z] = {1, std::max(high[z][1], y), std::max(high[z][2], last)};
        }
  });
  NonzeroBox box;
  Index3 first{n[0], n[1], n[2]}, last{-1, -1, -1};
  for (int64_t z = 0; z < n[0]; ++z) {
    if (!high[z][0]) continue;
    first = {std::min(first[0], z), std::min(first[1], low[z][1]), std::min(first[2], low[z][2])};
    last = {z, std::max(last[1], high[z][1]), std::max(last[2], high[z][2])};
  }
  if (last[0] < 0) {
    box.count = n;
    box.mask = at::zeros({n[0], n[1], n[2]}, at::kBool);
    return box;
  }
  box.start = first;
  for (int a = 0; a < 3; ++a) box.count[a] = last[a] - first[a] + 1;
  box.mask = at::empty({box.count[0], box.count[1], box.count[2]}, at::kBool);
  auto* mask = reinterpret_cast<uint8_t*>(box.mask.mutable_data_ptr<bool>());
  at::parallel_for(0, box.count[0], 1, [&](int64_t begin, int64_t end) {
    for (int64_t z = begin; z < end; ++z)
      for (int64_t y = 0; y < box.count[1]; ++y) {
        uint8_t* out = mask + (z * box.count[1] + y) * box.count[2];
        std::fill(out, out + box.count[2], uint8_t{0});
        for (int64_t c = 0; c < channels; ++c) {
          const float* row = voxels + c * volume + (z + first[0]) * slice + (y + first[1]) * n[2] + first[2];
          for (int64_t x = 0; x < box.count[2]; ++x) out[x] |= row[x] != 0.0f;
        }
      }
  });
  fill_holes(mask, box.count);
  return box;
}

}  // namespace vesalius::segmentation::detail
