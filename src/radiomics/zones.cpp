// SPDX-License-Identifier: Apache-2.0
#include "radiomics/zones.h"

#include "radiomics/device_counts.h"

namespace vesalius::radiomics {

const ZoneMatrices& zone_matrices(const Roi& roi, const Variant& variant) {
  return roi.cached<ZoneMatrices>("zones" + variant.suffix, [&] {
    const Levels& levels = roi.levels();
    const bool in_slice = variant.aggregation != Aggregation::merged_3d;
    const bool each = variant.aggregation == Aggregation::averaged_2d;
    ZoneMatrices out;
    if (device_counts::wanted(roi)) {
      const auto found = device_counts::zones(levels.tensor().to(roi.device()), roi.morphological().to(roi.device()),
                                              levels.n, in_slice, each);
      for (size_t part = 0; part < found.sizes.size(); ++part)
        if (!found.sizes[part].empty()) {
          out.sizes.push_back(found.sizes[part].finish());
          out.distances.push_back(found.distances[part].finish());
        }
      return out;
    }
    SizeCounts sizes(levels.n), distances(levels.n);
    const auto flush = [&] {
      if (!sizes.empty()) out.sizes.push_back(sizes.finish()), out.distances.push_back(distances.finish());
      if (each) sizes = distances = SizeCounts(levels.n);
    };
    for_each_part(levels, in_slice, [&](int64_t from, int64_t to) {
      const int64_t voxels = in_slice ? levels.of_slice[from] : levels.voxels;
      sizes.add_voxels(voxels), distances.add_voxels(voxels);
      levels.visit([&](const auto& box) {
        detail::vectorised([&] {
          const auto distance = detail::border_distance(roi.morphological().const_data_ptr<bool>(), levels.size,
                                                        levels.ranges.data(), from, to, in_slice);
          detail::for_each_zone(box, from, to, in_slice, distance, [&](int64_t level, int64_t size, int64_t nearest) {
            sizes.add(level, size);
            distances.add(level, nearest);
          });
        });
      });
      if (each) flush();
    });
    if (!each) flush();
    return out;
  });
}

}  // namespace vesalius::radiomics
