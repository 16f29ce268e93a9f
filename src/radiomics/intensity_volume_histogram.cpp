// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include <vesalius/image/discretise.h>

#include "radiomics/family.h"

namespace vesalius::radiomics {
namespace intensity_volume_histogram {

/// Discretised intensities, sorted, and the range of which fractions are taken. Level i stands for the intensity
/// `offset + step · i`.
struct Volume {
  std::vector<int64_t> levels;
  int64_t low = 0, high = 0;  ///< the ends of G
  double offset = 0, step = 1;
};

/// ν: the share of voxels at least as intense as `percent` of the range.
Value volume_at(const Volume& v, int64_t percent) {
  if (v.high == v.low)
    return undefined(
        "all intensities are equal, and the setting \"resegment\" gives no range: there are no fractions of it");
  const int64_t level = v.low + (percent * (v.high - v.low) + 99) / 100;
  const auto at_least = v.levels.end() - std::ranges::lower_bound(v.levels, level);
  return static_cast<double>(at_least) / static_cast<double>(v.levels.size());
}

/// The least level that at most `percent` of the voxels reach. Where more of them have the highest, it is the one above.
Value intensity_at(const Volume& v, int64_t percent) {
  const auto n = static_cast<int64_t>(v.levels.size());
  const int64_t allowed = percent * n / 100;  // fewer than n: there is a highest voxel that is too many
  const int64_t level = std::max(v.low, v.levels[n - 1 - allowed] + 1);
  return v.offset + v.step * static_cast<double>(level);
}

Value volume_10(const Volume& v) { return volume_at(v, 10); }
Value volume_90(const Volume& v) { return volume_at(v, 90); }
Value intensity_10(const Volume& v) { return intensity_at(v, 10); }
Value intensity_90(const Volume& v) { return intensity_at(v, 90); }
Value volume_difference(const Volume& v) {
  const Value ten = volume_10(v);
  return ten.reason ? ten : Value(ten.value - volume_90(v).value);
}
Value intensity_difference(const Volume& v) { return intensity_10(v).value - intensity_90(v).value; }

constexpr Row<Volume> kTable[] = {
    // {tag, IBSI code, title, unit, formula, section, PyRadiomics}, function
    {{"ivh_v10", "BC2M", "Volume fraction at 10% intensity", "1",
      R"(V_{10} = \max \{\nu_i : \gamma_i \ge 0.1\},\ \nu_i = 1 - \frac{1}{N_v} \sum_k [X_{d,k} < i],\ \gamma_i = \frac{i - \min G}{\max G - \min G})",
      "3.5.1", ""},
     volume_10},
    {{"ivh_v90", "BC2M", "Volume fraction at 90% intensity", "1", R"(V_{90})", "3.5.1", ""}, volume_90},
    {{"ivh_i10", "GBPN", "Intensity at 10% volume", "intensity", R"(I_{10} = \min \{i : \nu_i \le 0.1\})", "3.5.2", ""},
     intensity_10},
    {{"ivh_i90", "GBPN", "Intensity at 90% volume", "intensity", R"(I_{90})", "3.5.2", ""}, intensity_90},
    {{"ivh_diff_v10_v90", "DDTU", "Volume fraction difference between 10% and 90% intensity", "1", R"(V_{10} - V_{90})",
      "3.5.3", ""},
     volume_difference},
    {{"ivh_diff_i10_i90", "CNV2", "Intensity difference between 10% and 90% volume", "intensity", R"(I_{10} - I_{90})",
      "3.5.4", ""},
     intensity_difference},
};

constexpr double kWhole = 9007199254740992.0;  // 2^53: beyond it every double is whole, and levels may overflow

/// The finite ends of the re-segmentation range, else the region's.
std::pair<double, double> range_of(const Roi& roi) {
  auto [low, high] = std::ranges::minmax(roi.voxels());
  if (const auto& given = roi.settings().resegment) {
    if (std::abs((*given)[0]) < kWhole) low = (*given)[0];
    if (std::abs((*given)[1]) < kWhole) high = (*given)[1];
  }
  return {low, high};
}

std::vector<int64_t> levels_of(const at::Tensor& bins) {
  std::vector<int64_t> levels;
  const int32_t* bin = bins.const_data_ptr<int32_t>();
  for (int64_t i = 0; i < bins.numel(); ++i)
    if (bin[i] > 0) levels.push_back(bin[i]);
  return levels;
}

/// Section 3.5's three cases. Of fixed bin size, intensities are those of the bins' centres, and so are the ends of G.
std::vector<Volume> prepare(const Roi& roi, const Variant&) {
  Volume v;
  const Settings& settings = roi.settings();
  const auto [low, high] = range_of(roi);
  const bool whole =
      std::ranges::all_of(roi.voxels(), [](double x) { return x == std::round(x) && std::abs(x) < kWhole; });
  if (settings.ivh_bin_width && !settings.ivh_bin_count) {
    const double width = *settings.ivh_bin_width;
    v.levels = levels_of(image::discretise_bin_width(roi.intensities(), roi.intensity_mask(), width, low).contiguous());
    v.step = width, v.offset = low - 0.5 * width;
    v.low = 1;
    // The bins that the range fills; without one, those up to the highest voxel's.
    const bool given = settings.resegment && high == (*settings.resegment)[1];
    v.high = given ? std::max<int64_t>(1, static_cast<int64_t>(std::ceil((high - low) / width - 1e-9)))
                   : *std::ranges::max_element(v.levels);
  } else if (settings.ivh_bin_count || !whole) {
    v.high = settings.ivh_bin_count.value_or(1000);
    v.low = 1;
    v.levels = levels_of(image::discretise_bin_number(roi.intensities(), roi.intensity_mask(), v.high).contiguous());
  } else {
    v.levels.assign(roi.voxels().begin(), roi.voxels().end());
    v.low = static_cast<int64_t>(std::ceil(low));
    v.high = static_cast<int64_t>(std::floor(high));
  }
  std::ranges::sort(v.levels);
  return {v};
}

}  // namespace intensity_volume_histogram

Family make_intensity_volume_histogram() {
  return make_family({"intensity_volume_histogram", "Intensity-volume histogram", "P88C"},
                     intensity_volume_histogram::kTable, intensity_volume_histogram::prepare);
}

}  // namespace vesalius::radiomics
