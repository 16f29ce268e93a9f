// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <numbers>

#include <vesalius/radiomics/detail/local_intensity_kernel.h>

#include "radiomics/family.h"

namespace vesalius::radiomics {
namespace local_intensity {

/// Mean intensities in balls of 1 cm³ (IBSI 1, section 3.2).
struct Peaks {
  double local = -INFINITY;   ///< the highest around a voxel with the region's highest intensity
  double global = -INFINITY;  ///< the highest around any voxel of the region
};

Value local_peak(const Peaks& p) { return p.local; }
Value global_peak(const Peaks& p) { return p.global; }

constexpr Row<Peaks> kTable[] = {
    // {tag, IBSI code, title, unit, formula, section, PyRadiomics}, function
    {{"loc_peak_loc", "VJGA", "Local intensity peak", "intensity",
      R"(\max_{k : X_{gl,k} = \max X_{gl}} \overline{X}_k,\ \overline{X}_k \text{ the mean within } (\tfrac{3}{4 \pi})^{1/3} \text{ cm of } k)",
      "3.2.1", ""},
     local_peak},
    {{"loc_peak_glob", "0F91", "Global intensity peak", "intensity", R"(\max_k \overline{X}_k)", "3.2.2", ""},
     global_peak},
};

/// Centres are voxels of the intensity mask; the balls take in the image around it.
std::vector<Peaks> prepare(const Roi& roi, const Variant&) {
  const double radius = 10 * std::cbrt(3 / (4 * std::numbers::pi));  // mm
  const auto& size = roi.geometry().size;
  const auto& spacing = roi.geometry().spacing;
  Index3 margin{};
  for (int axis = 0; axis < 3; ++axis) margin[axis] = static_cast<int64_t>(std::min(radius / spacing[axis], 1e9));
  const Surroundings around = roi.surroundings(margin);
  const Index3 whole{around.voxels.size(0), around.voxels.size(1), around.voxels.size(2)};
  detail::BallMeans means(around.voxels.const_data_ptr<double>(), whole, detail::ball_rows(radius, spacing, whole));

  const bool* mask = roi.intensity_mask().const_data_ptr<bool>();
  const double* x = roi.intensities().const_data_ptr<double>();
  const double highest = *std::ranges::max_element(roi.voxels());
  std::vector<double> mean(size[2]);
  Peaks peaks;
  for (int64_t z = 0; z < size[0]; ++z)
    for (int64_t y = 0; y < size[1]; ++y) {
      const int64_t row = (z * size[1] + y) * size[2];
      const bool *begin = mask + row, *end = begin + size[2];
      const bool* first = std::find(begin, end, true);
      if (first == end) continue;
      while (!end[-1]) --end;
      const int64_t from = first - begin, n = end - first;
      means.row(around.inner[0] + z, around.inner[1] + y, around.inner[2] + from, n, mean.data());
      for (int64_t i = 0; i < n; ++i) {
        if (!first[i]) continue;
        peaks.global = std::max(peaks.global, mean[i]);
        if (x[row + from + i] == highest) peaks.local = std::max(peaks.local, mean[i]);
      }
    }
  return {peaks};
}

}  // namespace local_intensity

Family make_local_intensity() {
  return make_family({"local_intensity", "Local intensity", "9ST6"}, local_intensity::kTable, local_intensity::prepare);
}

}  // namespace vesalius::radiomics
