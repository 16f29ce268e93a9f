// SPDX-License-Identifier: Apache-2.0
#include "radiomics/device_counts.h"

#include <cstdlib>

#include <ATen/ops/_unique2.h>
#include <ATen/ops/full.h>
#include <ATen/ops/nonzero.h>

#include <vesalius/core/device.h>
#include <vesalius/radiomics/texture.h>

namespace vesalius::radiomics::device_counts {
namespace {

/// How often each (part, level, size) comes, all int64 [n] on the device: sorted and counted there.
std::vector<SizeCounts> tabulated(const at::Tensor& part, const at::Tensor& level, const at::Tensor& size,
                                  int64_t parts, int64_t n_levels, int64_t most) {
  std::vector<SizeCounts> out(parts, SizeCounts(n_levels));
  if (part.numel() == 0) return out;
  const at::Tensor key = part.mul(n_levels + 1).add(level).mul(most + 1).add(size);
  const auto [distinct, inverse, counts] =
      at::_unique2(key, /*sorted=*/true, /*return_inverse=*/false, /*return_counts=*/true);
  const at::Tensor keys = distinct.cpu(), times = counts.cpu();
  for (int64_t i = 0; i < keys.numel(); ++i) {
    const int64_t k = keys.const_data_ptr<int64_t>()[i], rest = k / (most + 1);
    out[rest / (n_levels + 1)].add(rest % (n_levels + 1), k % (most + 1), times.const_data_ptr<int64_t>()[i]);
  }
  return out;
}

}  // namespace

bool wanted(const Roi& roi) {
  if (roi.device().is_cuda()) return load_cuda_kernels();
  return std::getenv("VESALIUS_TEXTURE_OPERATORS") != nullptr;  // for the tests: this path without a GPU
}

std::vector<int64_t> voxels_of(const at::Tensor& levels, bool per_slice) {
  const at::Tensor inside = levels.ne(0);
  const at::Tensor sums = (per_slice ? inside.sum({1, 2}) : inside.sum().unsqueeze(0)).to(at::kLong).cpu().contiguous();
  return {sums.const_data_ptr<int64_t>(), sums.const_data_ptr<int64_t>() + sums.numel()};
}

std::vector<std::vector<SizeCounts>> runs(const at::Tensor& levels, const at::Tensor& offsets, int64_t n_levels,
                                          bool per_slice) {
  const at::Tensor counts = run_counts(levels, offsets, n_levels, per_slice);
  const at::Tensor where = at::nonzero(counts);
  const at::Tensor times = counts.masked_select(counts.ne(0)).cpu();  // in nonzero's order
  const at::Tensor places = where.cpu().contiguous();
  std::vector<std::vector<SizeCounts>> out(counts.size(0),
                                           std::vector<SizeCounts>(counts.size(1), SizeCounts(n_levels)));
  const int64_t* p = places.const_data_ptr<int64_t>();
  for (int64_t i = 0; i < times.numel(); ++i, p += 4)
    out[p[0]][p[1]].add(p[2] + 1, p[3] + 1, times.const_data_ptr<int64_t>()[i]);
  const std::vector<int64_t> voxels = voxels_of(levels, per_slice);
  for (size_t part = 0; part < out.size(); ++part)
    for (SizeCounts& direction : out[part]) direction.add_voxels(voxels[part]);
  return out;
}

Zones zones(const at::Tensor& levels, const at::Tensor& mask, int64_t n_levels, bool in_slice, bool per_slice) {
  const int64_t parts = per_slice ? levels.size(0) : 1;
  const at::Tensor roots = zone_roots(levels, in_slice).flatten();
  const at::Tensor inside = roots.ge(0);
  const at::Tensor members = roots.masked_select(inside).to(at::kLong);
  const at::Tensor near = border_distance(mask, in_slice).flatten().masked_select(inside).to(at::kLong);
  const auto [zone, of_voxel, size] =
      at::_unique2(members, /*sorted=*/true, /*return_inverse=*/true, /*return_counts=*/true);
  const at::Tensor distance =
      at::full({zone.numel()}, INT64_MAX, zone.options()).scatter_reduce(0, of_voxel, near, "amin");
  const at::Tensor level = levels.flatten().index_select(0, zone).to(at::kLong);
  const at::Tensor part = zone.floor_divide(per_slice ? levels.size(1) * levels.size(2) : levels.numel());
  Zones out{tabulated(part, level, size, parts, n_levels, levels.numel()),
            tabulated(part, level, distance, parts, n_levels, levels.numel())};
  const std::vector<int64_t> voxels = voxels_of(levels, per_slice);
  for (int64_t i = 0; i < parts; ++i) out.sizes[i].add_voxels(voxels[i]), out.distances[i].add_voxels(voxels[i]);
  return out;
}

std::vector<detail::Neighbourhoods> neighbourhoods(const at::Tensor& levels, int64_t n_levels, bool in_slice,
                                                   bool per_slice) {
  const at::Tensor counts = neighbourhood_counts(levels, n_levels, in_slice, per_slice).cpu().contiguous();
  const int64_t* table = counts.const_data_ptr<int64_t>();
  std::vector<detail::Neighbourhoods> out;
  for (int64_t part = 0; part < counts.size(0); ++part) {
    detail::Neighbourhoods& around = out.emplace_back(n_levels);
    for (int64_t level = 1; level <= n_levels; ++level, table += 3 * 27)
      for (int64_t k = 0; k < 27; ++k) {
        const int64_t at = level * detail::Neighbourhoods::kMost + k;
        if (k > 0) around.number[level] += table[k];
        around.differences[at] += table[27 + k];
        around.dependence[at] += table[2 * 27 + k];
      }
  }
  return out;
}

}  // namespace vesalius::radiomics::device_counts
