// SPDX-License-Identifier: Apache-2.0
#include <vesalius/segmentation/threshold.h>

#include <algorithm>
#include <cmath>
#include <sstream>
#include <vector>

#include <vesalius/core/error.h>

#include "image/box.h"
#include "image/squared_distance.h"
#include "segmentation/checks.h"

namespace vesalius::segmentation {
namespace {

using detail::finite_voxels;
using detail::mask_of;
using detail::region_voxels;
using detail::touching;

/// A lesion's voxels and what its methods share.
struct Lesion {
  at::Tensor voxels;   // real, CPU
  at::Tensor seeds;    // bool
  at::Tensor allowed;  // bool; undefined: everywhere
  double maximum = 0;
  int64_t connectivity = 6;

  at::Tensor above(double threshold) const {
    at::Tensor chosen = voxels.ge(threshold);
    if (allowed.defined()) chosen = chosen.logical_and(allowed);
    return touching(chosen, seeds, connectivity);
  }
};

Lesion find_lesion(const char* what, const Image& image, const Mask* region, const PetOptions& options) {
  if (std::isnan(options.limit_mm) || options.limit_mm < 0)
    throw InvalidArgument(std::string(what) + ": limit_mm is 0 or more; got " + std::to_string(options.limit_mm));
  Lesion lesion;
  lesion.connectivity = options.connectivity;
  lesion.voxels = finite_voxels(what, image);
  if (region) {
    lesion.seeds = region_voxels(what, image, *region);
    lesion.maximum = lesion.voxels.masked_select(lesion.seeds).max().item<double>();
  } else {
    lesion.maximum = lesion.voxels.max().item<double>();
    lesion.seeds = lesion.voxels.eq(lesion.maximum);
  }
  if (!(lesion.maximum > 0)) {
    std::ostringstream text;
    text << what << ": the maximum in the region must be positive (SUV or counts); got " << lesion.maximum;
    throw InvalidArgument(text.str());
  }
  if (std::isfinite(options.limit_mm))
    lesion.allowed = image::detail::squared_distance(lesion.seeds, image.geometry().spacing)
                         .le(options.limit_mm * options.limit_mm * (1 + 1e-9));
  return lesion;
}

/// A fraction of a float32 maximum, compared with float32 voxels: the maximum itself must pass at 100 %.
double fraction_of(const Lesion& lesion, double fraction) {
  const double value = fraction * lesion.maximum;
  return lesion.voxels.scalar_type() == at::kFloat ? static_cast<double>(static_cast<float>(value)) : value;
}

double mean_of(const at::Tensor& voxels, const at::Tensor& chosen) {
  return voxels.masked_select(chosen).mean(at::kDouble).item<double>();
}

/// Mean of what surrounds the lesion, see ContrastOptions.
double background_of(const Lesion& lesion, const at::Tensor& mask, double threshold, const Vec3& spacing,
                     const ContrastOptions& options) {
  const double inner = options.shell_inner_mm, outer = options.shell_outer_mm;
  // The shell reaches no further than its outer radius around the lesion's box.
  const auto box = image::detail::box_of(mask);
  at::Tensor near = mask, voxels = lesion.voxels;
  for (int a = 0; a < 3; ++a) {
    const auto margin = static_cast<int64_t>(std::min(outer / spacing[a] + 2, double(mask.size(a))));
    const int64_t first = std::max<int64_t>(0, box.start[a] - margin);
    const int64_t count = std::min(mask.size(a), box.start[a] + box.count[a] + margin) - first;
    near = near.narrow(a, first, count);
    voxels = voxels.narrow(a, first, count);
  }
  const at::Tensor distance = image::detail::squared_distance(near, spacing);
  const at::Tensor shell = distance.ge(inner * inner * (1 - 1e-9)).logical_and(distance.le(outer * outer * (1 + 1e-9)));
  const at::Tensor chosen = shell.logical_and(voxels.lt(threshold));
  if (!chosen.any().item<bool>()) {
    std::ostringstream text;
    text << "contrast_threshold: no voxel below the threshold " << threshold << " lies between " << inner << " and "
         << outer << " mm from the lesion, so there is no background to measure; choose another shell";
    throw InvalidArgument(text.str());
  }
  return mean_of(voxels, chosen);
}

std::vector<double> histogram(const at::Tensor& values, double low, double high, int64_t bins) {
  std::vector<double> counts(bins, 0.0);
  const double scale = double(bins) / (high - low);
  const at::Tensor real = values.to(at::kDouble).contiguous();
  const double* data = real.const_data_ptr<double>();
  for (int64_t i = 0; i < real.numel(); ++i)
    counts[std::min<int64_t>(bins - 1, static_cast<int64_t>((data[i] - low) * scale))] += 1;
  return counts;
}

}  // namespace

Mask threshold(const Image& image, double lower, double upper) {
  if (!(lower <= upper))
    throw InvalidArgument("threshold: lower must not exceed upper; got " + std::to_string(lower) + " and " +
                          std::to_string(upper));
  const at::Tensor voxels = finite_voxels("threshold", image).to(at::kDouble);
  return mask_of(voxels.ge(lower).logical_and(voxels.le(upper)), image);
}

double otsu_threshold(const Image& image, const Mask* region, int64_t bins) {
  if (bins < 2 || bins > 65536)
    throw InvalidArgument("otsu: the number of bins lies in 2..65536; got " + std::to_string(bins));
  at::Tensor values = finite_voxels("otsu", image);
  if (region) values = values.masked_select(region_voxels("otsu", image, *region));
  const double low = values.min().item<double>(), high = values.max().item<double>();
  if (!(high > low))
    throw InvalidArgument("otsu: every voxel is " + std::to_string(low) + "; there is nothing to separate");
  const auto counts = histogram(values, low, high, bins);
  double total = 0, moment = 0;
  for (int64_t k = 0; k < bins; ++k) total += counts[k], moment += counts[k] * double(k);
  double below = 0, moment_below = 0, best = -1;
  int64_t first = 0, last = 0;
  for (int64_t k = 0; k + 1 < bins; ++k) {
    below += counts[k], moment_below += counts[k] * double(k);
    const double above = total - below;
    if (below == 0 || above == 0) continue;
    const double difference = moment_below / below - (moment - moment_below) / above;
    const double between = below * above * difference * difference;
    // Empty bins between two classes leave the variance as it is: take the middle of the gap.
    if (between > best * (1 + 1e-12)) best = between, first = k;
    if (between >= best * (1 - 1e-12)) last = k;
  }
  return low + (high - low) * (0.5 * double(first + last) + 1.0) / double(bins);
}

Mask otsu(const Image& image, const Mask* region, int64_t bins) {
  const double value = otsu_threshold(image, region, bins);
  return mask_of(finite_voxels("otsu", image).to(at::kDouble).gt(value), image);
}

Mask percent_of_maximum(const Image& image, const Mask* region, double fraction, const PetOptions& options) {
  if (!(fraction > 0 && fraction <= 1))
    throw InvalidArgument("percent_of_maximum: the fraction lies in (0, 1], such as 0.41; got " +
                          std::to_string(fraction));
  const Lesion lesion = find_lesion("percent_of_maximum", image, region, options);
  return mask_of(lesion.above(fraction_of(lesion, fraction)), image);
}

ContrastResult contrast_threshold(const Image& image, const Mask* region, const ContrastOptions& options) {
  if (!(options.shell_inner_mm >= 0 && options.shell_outer_mm > options.shell_inner_mm &&
        std::isfinite(options.shell_outer_mm)))
    throw InvalidArgument("contrast_threshold: 0 ≤ shell_inner_mm < shell_outer_mm is expected; got " +
                          std::to_string(options.shell_inner_mm) + " and " + std::to_string(options.shell_outer_mm));
  if (!std::isfinite(options.mean_weight) || !std::isfinite(options.background_weight) || options.iterations < 1)
    throw InvalidArgument("contrast_threshold: the weights must be finite and iterations at least 1");
  const Lesion lesion = find_lesion("contrast_threshold", image, region, options);
  ContrastResult result;
  result.mean70 = mean_of(lesion.voxels, lesion.above(fraction_of(lesion, 0.70)));

  // The lesion is a function of the threshold alone, so a threshold that comes again closes a cycle.
  std::vector<ContrastResult> visited;
  result.threshold = fraction_of(lesion, 0.41);
  at::Tensor mask = lesion.above(result.threshold);
  for (int64_t i = 1; i <= options.iterations; ++i) {
    result.background = background_of(lesion, mask, result.threshold, image.geometry().spacing, options);
    const double wanted = options.mean_weight * result.mean70 + options.background_weight * result.background;
    result.threshold = std::clamp(wanted, 0.01 * lesion.maximum, 0.99 * lesion.maximum);
    result.iterations = i;
    const auto same = std::find_if(visited.begin(), visited.end(), [&](const ContrastResult& seen) {
      return std::abs(seen.threshold - result.threshold) <= 1e-9 * lesion.maximum;
    });
    if (same != visited.end()) {
      const auto highest =
          std::max_element(same, visited.end(), [](const auto& a, const auto& b) { return a.threshold < b.threshold; });
      result.threshold = highest->threshold;
      result.background = highest->background;
      result.mask = mask_of(lesion.above(result.threshold), image);
      return result;
    }
    visited.push_back(result);
    mask = lesion.above(result.threshold);
  }
  throw ConvergenceError("contrast_threshold: the threshold still changed after " + std::to_string(options.iterations) +
                         " iterations (last " + std::to_string(result.threshold) +
                         "); allow more iterations or choose another shell");
}

}  // namespace vesalius::segmentation
