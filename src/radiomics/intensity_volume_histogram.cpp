// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include <vesalius/image/discretise.h>
#include <vesalius/radiomics/detail/vectorised.h>

#include "radiomics/family.h"

namespace vesalius::radiomics {
namespace intensity_volume_histogram {

/// Discretised intensities, and the range of which fractions are taken. Level i stands for the intensity
/// `offset + step · i`.
struct Volume {
  int64_t n = 0;
  int64_t low = 0, high = 0;  ///< the ends of G
  double offset = 0, step = 1;
  double at_least_10 = 0, at_least_90 = 0;       ///< voxels with at least 10 and 90 % of G
  int64_t reached_by_10 = 0, reached_by_90 = 0;  ///< the highest level that more than 10 and 90 % of the voxels reach
  double area = 0;                               ///< under ν(γ)
};

constexpr const char* kNoRange =
    "all intensities are equal, and the setting \"resegment\" gives no range: there are no fractions of it";

/// The least level with at least `percent` of the range.
int64_t level_at(const Volume& v, int64_t percent) { return v.low + (percent * (v.high - v.low) + 99) / 100; }

/// ν: the share of voxels at least as intense as a share of the range.
Value volume_at(const Volume& v, double at_least) {
  return v.high == v.low ? undefined(kNoRange) : Value(at_least / static_cast<double>(v.n));
}

/// The least level that at most so many of the voxels reach. Where more of them have the highest, it is the one above.
Value intensity_at(const Volume& v, int64_t reached) {
  return v.offset + v.step * static_cast<double>(std::max(v.low, reached + 1));
}

Value volume_10(const Volume& v) { return volume_at(v, v.at_least_10); }
Value volume_90(const Volume& v) { return volume_at(v, v.at_least_90); }
Value intensity_10(const Volume& v) { return intensity_at(v, v.reached_by_10); }
Value intensity_90(const Volume& v) { return intensity_at(v, v.reached_by_90); }
Value volume_difference(const Volume& v) {
  const Value ten = volume_10(v);
  return ten.reason ? ten : Value(ten.value - volume_90(v).value);
}
Value intensity_difference(const Volume& v) { return intensity_10(v).value - intensity_90(v).value; }

Value area(const Volume& v) { return v.high == v.low ? undefined(kNoRange) : Value(v.area); }

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
    {{"ivh_auc", "9CMM", "Area under the intensity-volume histogram curve", "1",
      R"(\sum_i \tfrac{1}{2} (\nu_i + \nu_{i+1}) (\gamma_{i+1} - \gamma_i))", "3.5.5", ""},
     area},
};

constexpr double kWhole = 9007199254740992.0;  // 2^53: beyond it every double is whole, and levels may overflow

/// The finite ends of the re-segmentation range, else the region's.
std::pair<double, double> range_of(const Roi& roi) {
  double low = roi.distribution().min, high = roi.distribution().max;
  if (const auto& given = roi.settings().resegment) {
    if (std::abs((*given)[0]) < kWhole) low = (*given)[0];
    if (std::abs((*given)[1]) < kWhole) high = (*given)[1];
  }
  return {low, high};
}

/// As `image::discretise_bin_number`, which says what is wrong with a setting.
std::vector<int64_t> numbered(const Roi& roi, int64_t bins) {
  const double low = roi.distribution().min, high = roi.distribution().max, range = high - low;
  if (bins < 1 || bins > image::kMaxBins || !std::isfinite(range))
    image::discretise_bin_number(roi.intensities(), roi.intensity_mask(), bins);
  std::vector<int64_t> levels(roi.voxels().size(), 1);
  if (range == 0) return levels;
  const auto n = static_cast<double>(bins);
  const double* x = roi.voxels().data();
  detail::vectorised([&] {
    for (size_t k = 0; k < levels.size(); ++k) {
      const double bin = std::floor((x[k] - low) * n / range) + 1;
      levels[k] = static_cast<int32_t>(bin < n ? bin : n);
    }
  });
  return levels;
}

/// As `image::discretise_bin_width`.
std::vector<int64_t> sized(const Roi& roi, double width, double lower) {
  const double most = std::floor((roi.distribution().max - lower) / width) + 1;
  if (!(width > 0) || !std::isfinite(width) || !std::isfinite(lower) || roi.distribution().min < lower ||
      !(most <= image::kMaxBins))
    image::discretise_bin_width(roi.intensities(), roi.intensity_mask(), width, lower);
  std::vector<int64_t> levels(roi.voxels().size());
  for (size_t k = 0; k < levels.size(); ++k)
    levels[k] = static_cast<int64_t>(std::floor((roi.voxels()[k] - lower) / width)) + 1;
  return levels;
}

/// Fills what the features are made of; `levels` are left in another order.
void measure(Volume& v, std::vector<int64_t>& levels) {
  v.n = static_cast<int64_t>(levels.size());
  const int64_t ten = level_at(v, 10), ninety = level_at(v, 90);
  int64_t at_least_10 = 0, at_least_90 = 0, on_low = 0, on_high = 0;
  double levels_reached = 0;
  detail::vectorised([&] {
    for (const int64_t level : levels) {
      at_least_10 += level >= ten, at_least_90 += level >= ninety;
      levels_reached += static_cast<double>(std::clamp<int64_t>(level - v.low + 1, 0, v.high - v.low + 1));
      on_low += level >= v.low, on_high += level >= v.high;
    }
  });
  v.at_least_10 = static_cast<double>(at_least_10), v.at_least_90 = static_cast<double>(at_least_90);
  // Σ ν over the levels of G counts each voxel once for each level that it reaches; the ends count half (trapezoids).
  if (v.high > v.low)
    v.area = (levels_reached - 0.5 * static_cast<double>(on_low + on_high)) / static_cast<double>(v.n) /
             static_cast<double>(v.high - v.low);
  const auto select = [&](int64_t percent) {
    const int64_t rank =
        v.n - 1 - percent * v.n / 100;  // fewer than all may reach it: there is a highest that is too many
    std::ranges::nth_element(levels, levels.begin() + rank);
    return levels[rank];
  };
  const auto [least, most] = std::ranges::minmax(levels);
  if (most - least > 65536) {
    v.reached_by_10 = select(10), v.reached_by_90 = select(90);
    return;
  }
  std::vector<int64_t> count(most - least + 1);
  for (const int64_t level : levels) ++count[level - least];
  const auto find = [&, least = least](int64_t percent) {
    int64_t rank = v.n - 1 - percent * v.n / 100, level = 0;
    for (; rank >= count[level]; ++level) rank -= count[level];
    return least + level;
  };
  v.reached_by_10 = find(10), v.reached_by_90 = find(90);
}

/// Section 3.5's three cases. Of fixed bin size, intensities are those of the bins' centres, and so are the ends of G.
std::vector<Volume> prepare(const Roi& roi, const Variant&) {
  Volume v;
  const Settings& settings = roi.settings();
  const auto [low, high] = range_of(roi);
  const bool whole =
      std::ranges::all_of(roi.voxels(), [](double x) { return x == std::round(x) && std::abs(x) < kWhole; });
  std::vector<int64_t> levels;
  if (settings.ivh_bin_width && !settings.ivh_bin_count) {
    const double width = *settings.ivh_bin_width;
    levels = sized(roi, width, low);
    v.step = width, v.offset = low - 0.5 * width;
    v.low = 1;
    // The bins that the range fills; without one, those up to the highest voxel's.
    const bool given = settings.resegment && high == (*settings.resegment)[1];
    v.high = given ? std::max<int64_t>(1, static_cast<int64_t>(std::ceil((high - low) / width - 1e-9)))
                   : std::ranges::max(levels);
  } else if (settings.ivh_bin_count || !whole) {
    v.high = settings.ivh_bin_count.value_or(1000);
    v.low = 1;
    levels = numbered(roi, v.high);
  } else {
    levels.assign(roi.voxels().begin(), roi.voxels().end());
    v.low = static_cast<int64_t>(std::ceil(low));
    v.high = static_cast<int64_t>(std::floor(high));
  }
  measure(v, levels);
  return {v};
}

}  // namespace intensity_volume_histogram

Family make_intensity_volume_histogram() {
  return make_family({"intensity_volume_histogram", "Intensity-volume histogram", "P88C"},
                     intensity_volume_histogram::kTable, intensity_volume_histogram::prepare);
}

}  // namespace vesalius::radiomics
