// SPDX-License-Identifier: Apache-2.0
#include "segmentation/checks.h"

#include <sstream>

#include <ATen/ops/_unique.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/zeros.h>

#include <vesalius/core/error.h>

#include "image/labelling.h"
#include "image/taps.h"

namespace vesalius::segmentation::detail {

at::Tensor finite_voxels(const char* what, const Image& image) {
  if (image.tensor().dim() != 3) {
    std::ostringstream text;
    text << what << ": an image [z, y, x] is expected; this one has channels: " << image.tensor().sizes();
    throw ShapeError(text.str());
  }
  const at::Tensor voxels = image::detail::to_real(image.tensor().detach()).cpu().contiguous();
  // One pass for the usual case: a sum of finite float64 is finite unless something isn't.
  if (!at::isfinite(voxels.sum(at::kDouble)).item<bool>()) {
    const int64_t wrong = voxels.numel() - at::isfinite(voxels).sum().item<int64_t>();
    if (wrong > 0)
      throw InvalidArgument(std::string(what) + ": " + std::to_string(wrong) + " of " + std::to_string(voxels.numel()) +
                            " voxels are NaN or infinite; replace them first, for example with torch.nan_to_num");
  }
  return voxels;
}

at::Tensor region_voxels(const char* what, const Image& image, const Mask& region) {
  image.geometry().require_same(region.geometry(), "the image", "the region");
  at::Tensor chosen = region.tensor().ne(0).cpu().contiguous();
  if (!chosen.any().item<bool>()) throw InvalidArgument(std::string(what) + ": the region is empty: every voxel is 0");
  return chosen;
}

Mask mask_of(const at::Tensor& chosen, const Image& image) {
  return Mask(chosen.to(at::kByte).to(image.tensor().device()), image.geometry());
}

at::Tensor touching(const at::Tensor& chosen, const at::Tensor& seeds, int64_t connectivity) {
  const auto found = image::detail::label_components(chosen, connectivity);
  const at::Tensor touched = std::get<0>(at::_unique(found.labels.masked_select(seeds)));
  at::Tensor kept = at::zeros({static_cast<int64_t>(found.sizes.size()) + 1}, at::kBool);
  kept.index_fill_(0, touched.to(at::kLong), true);
  kept[0].fill_(false);
  return kept.index_select(0, found.labels.flatten()).view(chosen.sizes());
}

}  // namespace vesalius::segmentation::detail
