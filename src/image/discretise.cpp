// SPDX-License-Identifier: Apache-2.0
#include <vesalius/image/discretise.h>

#include <cmath>
#include <sstream>

#include <ATen/ops/isfinite.h>
#include <ATen/ops/zeros.h>

#include <vesalius/core/error.h>

namespace vesalius::image {
namespace {

struct Region {
  at::Tensor where;   // [n] flat positions
  at::Tensor values;  // [n] float64
};

Region region_values(const at::Tensor& voxels, const at::Tensor& roi) {
  if (roi.scalar_type() != at::kBool)
    throw TypeMismatch(std::string("discretise: the region is a bool tensor; got ") + c10::toString(roi.scalar_type()) +
                       ". Mask.select(label) makes one");
  if (voxels.sizes() != roi.sizes()) {
    std::ostringstream text;
    text << "discretise: voxels " << voxels.sizes() << " and region " << roi.sizes() << " must have the same shape";
    throw ShapeError(text.str());
  }
  if (voxels.device() != roi.device())
    throw InvalidArgument("discretise: voxels are on " + voxels.device().str() + " and the region is on " +
                          roi.device().str());
  if (voxels.is_complex()) throw TypeMismatch("discretise: real voxels are expected");
  Region region;
  region.where = roi.flatten().nonzero().flatten();
  if (region.where.numel() == 0) throw InvalidArgument("discretise: the region is empty");
  region.values = voxels.flatten().index_select(0, region.where).to(at::kDouble);
  const int64_t finite = at::isfinite(region.values).sum().item<int64_t>();
  if (finite != region.values.numel())
    throw InvalidArgument("discretise: " + std::to_string(region.values.numel() - finite) + " of " +
                          std::to_string(region.values.numel()) +
                          " voxels in the region are NaN or infinite; replace "
                          "them or leave them out of the region");
  return region;
}

at::Tensor spread(const at::Tensor& bins, const Region& region, const at::Tensor& like) {
  at::Tensor out = at::zeros({like.numel()}, like.options().dtype(at::kInt));
  out.index_copy_(0, region.where, bins.to(at::kInt));
  return out.view(like.sizes());
}

}  // namespace

at::Tensor discretise_bin_number(const at::Tensor& voxels, const at::Tensor& roi, int64_t bins) {
  if (bins < 1 || bins > kMaxBins)
    throw InvalidArgument("discretise: the number of bins lies in 1.." + std::to_string(kMaxBins) + "; got " +
                          std::to_string(bins));
  const Region region = region_values(voxels, roi);
  const double lowest = region.values.min().item<double>(), highest = region.values.max().item<double>();
  const double range = highest - lowest;
  if (!std::isfinite(range))
    throw InvalidArgument("discretise: the region's intensities span more than a float64 can hold");
  if (range == 0) return spread(region.values.mul(0).add(1), region, roi);
  // Multiplied before divided, as the formula is written: whole-number edges stay exact for whole-number intensities.
  at::Tensor bin = region.values.sub(lowest).mul(double(bins)).div(range).floor().add(1);
  bin.masked_fill_(region.values.eq(highest), double(bins));
  return spread(bin.clamp_max(double(bins)), region, roi);
}

at::Tensor discretise_bin_width(const at::Tensor& voxels, const at::Tensor& roi, double width, double lower) {
  if (!std::isfinite(width) || width <= 0)
    throw InvalidArgument("discretise: the bin width must be positive and finite; got " + std::to_string(width));
  if (!std::isfinite(lower))
    throw InvalidArgument("discretise: the lower edge of the first bin must be finite; got " + std::to_string(lower));
  const Region region = region_values(voxels, roi);
  const int64_t below = region.values.lt(lower).sum().item<int64_t>();
  if (below > 0) {
    std::ostringstream text;
    text << "discretise: " << below << " of " << region.values.numel()
         << " voxels in the region lie below the first bin's edge " << lower << " (the lowest is "
         << region.values.min().item<double>() << "); lower the edge or leave them out (re-segmentation)";
    throw InvalidArgument(text.str());
  }
  const at::Tensor bin = region.values.sub(lower).div(width).floor().add(1);
  const double most = bin.max().item<double>();
  if (most > double(kMaxBins)) {
    std::ostringstream text;
    text << "discretise: a bin width of " << width << " from " << lower << " to " << region.values.max().item<double>()
         << " makes " << most << " bins, more than " << kMaxBins << "; is the width in the image's units?";
    throw InvalidArgument(text.str());
  }
  return spread(bin, region, roi);
}

}  // namespace vesalius::image
