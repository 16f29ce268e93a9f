// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <mutex>
#include <numbers>

#include <ATen/Parallel.h>

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
  const detail::BallMeans means(around.voxels.const_data_ptr<double>(), whole,
                                detail::ball_rows(radius, spacing, whole));

  const bool* mask = roi.intensity_mask().const_data_ptr<bool>();
  const double* x = roi.intensities().const_data_ptr<double>();
  const double highest = roi.distribution().max;
  const auto rows = static_cast<int64_t>(roi.ranges().size());
  std::mutex mutex;
  Peaks peaks;
  at::parallel_for(0, rows, std::max<int64_t>(1, 20000 / size[2]), [&](int64_t begin, int64_t end) {
    detail::BallMeans::Scratch scratch;
    std::vector<double> mean(size[2]);
    Peaks own;
    detail::vectorised([&] {
      for (int64_t r = begin; r < end; ++r) {
        const auto [first, last] = roi.ranges()[r];
        if (first == last) continue;
        means.row(around.inner[0] + r / size[1], around.inner[1] + r % size[1], around.inner[2] + first, last - first,
                  mean.data(), scratch);
        for (int64_t k = first; k < last; ++k) {
          if (!mask[r * size[2] + k]) continue;
          own.global = std::max(own.global, mean[k - first]);
          if (x[r * size[2] + k] == highest) own.local = std::max(own.local, mean[k - first]);
        }
      }
    });
    const std::lock_guard lock(mutex);
    peaks.global = std::max(peaks.global, own.global), peaks.local = std::max(peaks.local, own.local);
  });
  return {peaks};
}

}  // namespace local_intensity

Family make_local_intensity() {
  return make_family({"local_intensity", "Local intensity", "9ST6"}, local_intensity::kTable, local_intensity::prepare);
}

}  // namespace vesalius::radiomics
