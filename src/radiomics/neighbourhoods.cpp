// SPDX-License-Identifier: Apache-2.0
#include "radiomics/neighbourhoods.h"

#include <mutex>

#include <ATen/Parallel.h>

#include "radiomics/device_counts.h"

namespace vesalius::radiomics {
namespace {

using detail::Neighbourhoods;

Neighbourhoods look_around(const Levels& levels, int64_t from, int64_t to, bool in_slice) {
  Neighbourhoods out(levels.n);
  std::mutex mutex;
  const int64_t grain = std::max<int64_t>(1, 50000 / (levels.size[1] * levels.size[2]));
  at::parallel_for(from, to, grain, [&](int64_t begin, int64_t end) {
    const bool alone = begin == from && end == to;
    Neighbourhoods part(alone ? 0 : levels.n);
    levels.visit([&](const auto& box) {
      detail::vectorised([&] { detail::add_neighbourhoods(box, begin, end, in_slice, alone ? out : part); });
    });
    if (alone) return;
    const std::lock_guard lock(mutex);
    out.add(part);
  });
  return out;
}

void add(NeighbourMatrices& out, const Neighbourhoods& around, int64_t n, int64_t voxels) {
  SizeCounts dependence(n);
  dependence.add_voxels(voxels);
  Ngtdm tone;
  for (int64_t i = 1; i <= n; ++i) {
    double s = 0;
    for (int64_t k = 0; k < Neighbourhoods::kMost; ++k) {
      const int64_t at = i * Neighbourhoods::kMost + k;
      if (around.dependence[at] > 0) dependence.add(i, k + 1, around.dependence[at]);
      if (k > 0) s += static_cast<double>(around.differences[at]) / static_cast<double>(k);
    }
    if (around.number[i] == 0) continue;
    tone.levels.push_back({static_cast<double>(i), static_cast<double>(around.number[i]), s, 0});
    tone.n_vc += static_cast<double>(around.number[i]);
    tone.sum_s += s;
  }
  for (auto& level : tone.levels) level.p = level.n / tone.n_vc;
  if (!tone.levels.empty()) out.tones.push_back(std::move(tone));
  out.dependences.push_back(dependence.finish());
}

}  // namespace

const NeighbourMatrices& neighbour_matrices(const Roi& roi, const Variant& variant) {
  return roi.cached<NeighbourMatrices>("neighbours" + variant.suffix, [&] {
    const Levels& levels = roi.levels();
    const bool in_slice = variant.aggregation != Aggregation::merged_3d;
    const bool each = variant.aggregation == Aggregation::averaged_2d;
    NeighbourMatrices out;
    if (device_counts::wanted(roi)) {
      const auto found = device_counts::neighbourhoods(levels.tensor().to(roi.device()), levels.n, in_slice, each);
      for (size_t part = 0; part < found.size(); ++part)
        if (const int64_t voxels = each ? levels.of_slice[part] : levels.voxels)
          add(out, found[part], levels.n, voxels);
      return out;
    }
    for_each_part(levels, each, [&](int64_t from, int64_t to) {
      add(out, look_around(levels, from, to, in_slice), levels.n, each ? levels.of_slice[from] : levels.voxels);
    });
    return out;
  });
}

}  // namespace vesalius::radiomics
