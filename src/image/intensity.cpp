// SPDX-License-Identifier: Apache-2.0
#include <vesalius/image/intensity.h>

#include <algorithm>
#include <cmath>

#include <ATen/ops/isfinite.h>
#include <ATen/ops/kthvalue.h>

#include <vesalius/core/error.h>

#include "image/taps.h"

namespace vesalius::image {
namespace {

/// The voxels that statistics are made of, float64 [n].
at::Tensor statistics_of(const char* what, const Image& image, const Mask* region) {
  at::Tensor values = detail::to_real(image.tensor());
  if (region) {
    image.geometry().require_same(region->geometry(), "the image", "the region");
    values = values.masked_select(region->tensor().to(values.device()).ne(0));
  } else {
    values = values.flatten();
  }
  values = values.detach().to(at::kDouble);
  if (values.numel() == 0) throw InvalidArgument(std::string(what) + ": the region is empty");
  const int64_t finite = at::isfinite(values).sum().item<int64_t>();
  if (finite != values.numel())
    throw InvalidArgument(
        std::string(what) + ": " + std::to_string(values.numel() - finite) + " of " + std::to_string(values.numel()) +
        " voxels are NaN or infinite; replace them (torch.nan_to_num) or leave them out of the region");
  return values;
}

Image linear(const Image& image, double slope, double intercept) {
  return image.with_tensor(detail::to_real(image.tensor()).mul(slope).add(intercept));
}

/// The smallest and largest value of a whole-number type (of 64 bits: what a float64 holds exactly).
std::pair<double, double> range_of(at::ScalarType type) {
  switch (type) {
    case at::kBool:
      return {0, 1};
    case at::kByte:
      return {0, 255};
    case at::kChar:
      return {-128, 127};
    case at::kShort:
      return {-32768, 32767};
    case at::kUInt16:
      return {0, 65535};
    case at::kInt:
      return {-2147483648.0, 2147483647.0};
    case at::kUInt32:
      return {0, 4294967295.0};
    default:
      return {-9007199254740992.0, 9007199254740992.0};
  }
}

/// The order statistic at a fraction of the way through, linear between two neighbours.
double quantile(const at::Tensor& values, double fraction) {
  const double position = fraction * double(values.numel() - 1);
  const auto whole = static_cast<int64_t>(position);
  const double low = std::get<0>(at::kthvalue(values, whole + 1)).item<double>();
  if (position == double(whole)) return low;
  const double high = std::get<0>(at::kthvalue(values, whole + 2)).item<double>();
  return low + (position - double(whole)) * (high - low);
}

}  // namespace

Image clip(const Image& image, double lower, double upper) {
  if (!(lower <= upper))
    throw InvalidArgument("clip: lower must not exceed upper; got " + std::to_string(lower) + " and " +
                          std::to_string(upper));
  const at::Tensor& voxels = image.tensor();
  if (!at::isIntegralType(voxels.scalar_type(), /*includeBool=*/true))
    return image.with_tensor(voxels.clamp(lower, upper));
  // Whole numbers between the bounds are those between ceil(lower) and floor(upper), as far as the type reaches.
  const auto [smallest, largest] = range_of(voxels.scalar_type());
  const double low = std::ceil(lower), high = std::floor(upper);
  if (low > high || low > largest || high < smallest)
    throw InvalidArgument("clip: no value of this image's type (" + std::string(c10::toString(voxels.scalar_type())) +
                          ") lies between " + std::to_string(lower) + " and " + std::to_string(upper) +
                          "; convert the voxels to float first");
  return image.with_tensor(
      voxels.clamp(static_cast<int64_t>(std::max(low, smallest)), static_cast<int64_t>(std::min(high, largest))));
}

Image zscore(const Image& image, const Mask* region) {
  const at::Tensor values = statistics_of("zscore", image, region);
  const double mean = values.mean().item<double>();
  const double deviation = std::sqrt(values.sub(mean).square().mean().item<double>());
  const at::Tensor real = detail::to_real(image.tensor());
  // Subtracted before divided: a large offset (CT at -1000) must not eat float32's digits.
  return image.with_tensor(real.sub(mean).div(deviation > 0 ? deviation : 1.0));
}

Image minmax(const Image& image, const Mask* region, double lower, double upper) {
  const at::Tensor values = statistics_of("minmax", image, region);
  const double low = values.min().item<double>(), high = values.max().item<double>();
  const double scale = high > low ? (upper - lower) / (high - low) : 0.0;
  return image.with_tensor(detail::to_real(image.tensor()).sub(low).mul(scale).add(lower));
}

Image percentile(const Image& image, double low, double high, const Mask* region) {
  if (!(0 <= low && low < high && high <= 100))
    throw InvalidArgument("percentile: 0 ≤ low < high ≤ 100 is expected; got " + std::to_string(low) + " and " +
                          std::to_string(high));
  const at::Tensor values = statistics_of("percentile", image, region);
  const double bottom = quantile(values, low / 100), top = quantile(values, high / 100);
  const double scale = top > bottom ? 1.0 / (top - bottom) : 0.0;
  return image.with_tensor(detail::to_real(image.tensor()).clamp(bottom, top).sub(bottom).mul(scale));
}

Image rescale(const Image& image, double slope, double intercept) {
  if (!std::isfinite(slope) || !std::isfinite(intercept))
    throw InvalidArgument("rescale: slope and intercept must be finite; got " + std::to_string(slope) + " and " +
                          std::to_string(intercept));
  return linear(image, slope, intercept);
}

Image gaussian(const Image& image, const Vec3& sigma_mm) {
  at::Tensor voxels = detail::to_real(image.tensor());
  for (int a = 0; a < 3; ++a) {
    if (!std::isfinite(sigma_mm[a]) || sigma_mm[a] < 0)
      throw InvalidArgument("gaussian: sigma is a number of mm, 0 or more; got " + std::to_string(sigma_mm[a]));
    const double sigma = sigma_mm[a] / image.geometry().spacing[a];
    const int64_t n = image.geometry().size[a];
    const auto radius = static_cast<int64_t>(std::min(4 * sigma + 0.5, double(1 << 20)));
    if (radius == 0 || n == 1) continue;
    detail::Taps taps;
    taps.width = 2 * radius + 1;
    std::vector<double> weight(taps.width);
    double sum = 0;
    for (int64_t k = -radius; k <= radius; ++k)
      sum += weight[k + radius] = std::exp(-0.5 * double(k * k) / (sigma * sigma));
    for (int64_t i = 0; i < n; ++i)
      for (int64_t k = -radius; k <= radius; ++k) {
        taps.index.push_back(std::clamp<int64_t>(i + k, 0, n - 1));
        taps.weight.push_back(weight[k + radius] / sum);
      }
    voxels = detail::apply_taps(voxels, voxels.dim() - 3 + a, taps);
  }
  return image.with_tensor(voxels);
}

}  // namespace vesalius::image
