// SPDX-License-Identifier: Apache-2.0
#include <vesalius/segmentation/region.h>

#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <vesalius/core/error.h>
#include <vesalius/image/intensity.h>

#include "image/taps.h"
#include "segmentation/checks.h"

namespace vesalius::segmentation {
namespace {

Mask grown_from(const Image& image, const at::Tensor& seeds, double lower, double upper, int64_t connectivity) {
  if (!(lower <= upper))
    throw InvalidArgument("grow: lower must not exceed upper; got " + std::to_string(lower) + " and " +
                          std::to_string(upper));
  const at::Tensor voxels = detail::finite_voxels("grow", image).to(at::kDouble);
  const at::Tensor inside = voxels.ge(lower).logical_and(voxels.le(upper));
  return detail::mask_of(detail::touching(inside, seeds, connectivity), image);
}

}  // namespace

Mask grow(const Image& image, const std::vector<Index3>& seeds, double lower, double upper, int64_t connectivity) {
  if (seeds.empty()) throw InvalidArgument("grow: at least one seed (z, y, x) is needed");
  const Index3& size = image.geometry().size;
  at::Tensor marked = at::zeros({size[0], size[1], size[2]}, at::kBool);
  for (const Index3& s : seeds) {
    for (int a = 0; a < 3; ++a)
      if (s[a] < 0 || s[a] >= size[a])
        throw InvalidArgument("grow: seed (" + std::to_string(s[0]) + ", " + std::to_string(s[1]) + ", " +
                              std::to_string(s[2]) +
                              ") (z, y, x) lies outside the image: " + image.geometry().to_string());
    marked.select(0, s[0]).select(0, s[1]).select(0, s[2]).fill_(true);
  }
  return grown_from(image, marked, lower, upper, connectivity);
}

Mask grow(const Image& image, const Mask& seeds, double lower, double upper, int64_t connectivity) {
  return grown_from(image, detail::region_voxels("grow", image, seeds), lower, upper, connectivity);
}

Image gradient_magnitude(const Image& image, double sigma_mm) {
  const at::Tensor voxels = image::gaussian(image, {sigma_mm, sigma_mm, sigma_mm}).tensor();
  at::Tensor square = at::zeros_like(voxels);
  for (int a = 0; a < 3; ++a) {
    const int64_t n = image.geometry().size[a];
    if (n == 1) continue;
    // numpy.gradient's scheme: (x[i+1] - x[i-1]) / 2h inside, one-sided at both ends.
    image::detail::Taps taps;
    taps.width = 2;
    for (int64_t i = 0; i < n; ++i) {
      const int64_t before = i > 0 ? i - 1 : 0, after = i + 1 < n ? i + 1 : n - 1;
      const double weight = 1.0 / (double(after - before) * image.geometry().spacing[a]);
      taps.index.insert(taps.index.end(), {before, after});
      taps.weight.insert(taps.weight.end(), {-weight, weight});
    }
    square = square.add(image::detail::apply_taps(voxels, voxels.dim() - 3 + a, taps).square());
  }
  return image.with_tensor(square.sqrt());
}

}  // namespace vesalius::segmentation
