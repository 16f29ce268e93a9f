// SPDX-License-Identifier: Apache-2.0
#include <vesalius/image/resample.h>

#include <algorithm>
#include <cmath>
#include <sstream>

#include <ATen/ops/full.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include <vesalius/core/error.h>

#include "image/box.h"
#include "image/oblique.h"
#include "image/taps.h"

namespace vesalius::image {
namespace {

constexpr double kMaxVoxels = 4294967296.0;  // 2^32: 16 GiB of float32
constexpr int64_t kSplineReach = 16;         // the spline's memory: |pole|^16 < 1e-9

/// Where the points of a new grid lie on one axis of the old one.
struct AxisMap {
  double first = 0;
  double step = 1;
  bool same = false;
};

std::array<AxisMap, 3> centred_maps(const Geometry& from, const Geometry& to) {
  std::array<AxisMap, 3> maps;
  for (int a = 0; a < 3; ++a) {
    maps[a].step = to.spacing[a] / from.spacing[a];
    maps[a].first = 0.5 * double(from.size[a] - 1) - 0.5 * double(to.size[a] - 1) * maps[a].step;
    maps[a].same = from.size[a] == to.size[a] && from.spacing[a] == to.spacing[a];
  }
  return maps;
}

void require_finite(const at::Tensor& voxels) {
  if (!at::isFloatingType(voxels.scalar_type())) return;
  const at::Tensor finite = at::isfinite(voxels);
  if (finite.all().item<bool>()) return;
  throw InvalidArgument("cubic interpolation of an image with " +
                        std::to_string(voxels.numel() - finite.sum().item<int64_t>()) +
                        " NaN or infinite voxels would spread them along whole lines; replace them first, for example "
                        "with torch.nan_to_num, or use Interpolation::linear");
}

/// The axes that shrink most come first: less to do for the others.
std::array<int, 3> by_ratio(const std::array<AxisMap, 3>& maps) {
  std::array<int, 3> order{0, 1, 2};
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return maps[a].step > maps[b].step; });
  return order;
}

at::Tensor resampled(at::Tensor voxels, const std::array<AxisMap, 3>& maps, const Index3& size,
                     Interpolation interpolation) {
  const auto offset = voxels.dim() - 3;
  if (interpolation != Interpolation::nearest) voxels = detail::to_real(voxels);
  if (interpolation == Interpolation::cubic) require_finite(voxels);
  for (const int a : by_ratio(maps)) {
    if (maps[a].same) continue;
    const auto taps =
        detail::interpolation_taps(voxels.size(offset + a), size[a], maps[a].first, maps[a].step, interpolation);
    if (interpolation == Interpolation::cubic) voxels = detail::prefilter(voxels, offset + a);
    voxels = detail::apply_taps(voxels, offset + a, taps);
  }
  return voxels;
}

/// The part of the new grid that a label's box can reach, and the maps onto that box alone. Far from the label its
/// interpolated indicator is 0, so that a small tumour in a large image costs little.
struct Part {
  Index3 start{}, count{};          // of the new grid
  Index3 box_start{}, box_count{};  // of the old grid
  std::array<AxisMap, 3> maps;
};

Part part_around(const detail::Box& box, const std::array<AxisMap, 3>& maps, const Geometry& from, const Index3& size,
                 Interpolation interpolation) {
  Part part;
  part.maps = maps;
  const int64_t margin = interpolation == Interpolation::cubic ? kSplineReach : 1;
  for (int a = 0; a < 3; ++a) {
    const int64_t low = std::max<int64_t>(0, box.start[a] - margin);
    const int64_t high = std::min<int64_t>(from.size[a] - 1, box.start[a] + box.count[a] - 1 + margin);
    part.box_start[a] = low;
    part.box_count[a] = high - low + 1;
    part.start[a] = 0;
    part.count[a] = size[a];
    if (maps[a].same) {
      part.start[a] = low;
      part.count[a] = part.box_count[a];
      part.maps[a] = {0, 1, true};
      continue;
    }
    // At the image's own border the edge continues: there everything further out belongs to the part too.
    if (low > 0)
      part.start[a] = std::clamp<int64_t>(std::ceil((double(low) - maps[a].first) / maps[a].step), 0, size[a] - 1);
    int64_t last = size[a] - 1;
    if (high < from.size[a] - 1)
      last = std::clamp<int64_t>(std::floor((double(high) - maps[a].first) / maps[a].step), part.start[a], size[a] - 1);
    part.count[a] = last - part.start[a] + 1;
    part.maps[a].first = maps[a].first + maps[a].step * double(part.start[a]) - double(low);
    part.maps[a].same = false;
  }
  return part;
}

at::Tensor narrowed(at::Tensor tensor, const Index3& start, const Index3& count) {
  for (int a = 0; a < 3; ++a) tensor = tensor.narrow(a, start[a], count[a]);
  return tensor;
}

/// Index of `from` at index i of `to`, when the axes are parallel; false when they are not.
bool parallel_maps(const Geometry& from, const Geometry& to, std::array<AxisMap, 3>& maps) {
  const Vec3 zero = from.to_index(to.to_physical({0, 0, 0}));
  for (int a = 0; a < 3; ++a) {
    Vec3 last{};
    last[a] = double(to.size[a]);
    const Vec3 end = from.to_index(to.to_physical(last));
    for (int b = 0; b < 3; ++b)
      if (b != a && std::abs(end[b] - zero[b]) > 1e-6) return false;
    maps[a].first = zero[a];
    maps[a].step = (end[a] - zero[a]) / double(to.size[a]);
    maps[a].same = from.size[a] == to.size[a] && std::abs(maps[a].first) < 1e-9 && std::abs(maps[a].step - 1) < 1e-12;
  }
  return true;
}

at::Tensor with_outside(at::Tensor voxels, const std::array<AxisMap, 3>& maps, const Geometry& from, double outside) {
  const auto offset = voxels.dim() - 3;
  for (int a = 0; a < 3; ++a) {
    if (maps[a].same) continue;
    std::vector<int64_t> beyond;
    for (int64_t i = 0; i < voxels.size(offset + a); ++i) {
      const double x = detail::snapped(maps[a].first + maps[a].step * double(i));
      if (x < -0.5 || x > double(from.size[a]) - 0.5) beyond.push_back(i);
    }
    if (!beyond.empty())
      voxels = voxels.index_fill(offset + a, at::tensor(beyond, at::kLong).to(voxels.device()), outside);
  }
  return voxels;
}

}  // namespace

std::string to_string(Interpolation interpolation) {
  switch (interpolation) {
    case Interpolation::nearest:
      return "nearest";
    case Interpolation::cubic:
      return "cubic";
    default:
      return "linear";
  }
}

void from_string(const std::string& text, Interpolation& out) {
  if (text == "nearest")
    out = Interpolation::nearest;
  else if (text == "linear")
    out = Interpolation::linear;
  else if (text == "cubic")
    out = Interpolation::cubic;
  else
    throw InvalidArgument("interpolation is one of nearest, linear, cubic; got \"" + text + "\"");
}

Geometry resampled_geometry(const Geometry& geometry, const Vec3& spacing) {
  Geometry out = geometry;
  Vec3 first{};
  double voxels = 1;
  for (int a = 0; a < 3; ++a) {
    if (!std::isfinite(spacing[a]) || spacing[a] < 0) {
      std::ostringstream text;
      text << "resample: the new spacing must be positive mm, or 0 to keep an axis; got (z, y, x) = (" << spacing[0]
           << ", " << spacing[1] << ", " << spacing[2] << ")";
      throw InvalidArgument(text.str());
    }
    if (spacing[a] > 0 && spacing[a] != geometry.spacing[a]) {
      const double extent = double(geometry.size[a]) * geometry.spacing[a] / spacing[a];
      const double whole = std::round(extent);
      const double count = std::abs(extent - whole) < 1e-6 ? whole : std::ceil(extent);
      out.size[a] = static_cast<int64_t>(std::clamp(count, 1.0, 1e15));
      out.spacing[a] = spacing[a];
      first[a] = 0.5 * double(geometry.size[a] - 1) - 0.5 * double(out.size[a] - 1) * spacing[a] / geometry.spacing[a];
    }
    voxels *= double(out.size[a]);
  }
  if (voxels > kMaxVoxels) {
    std::ostringstream text;
    text << "resample: the new grid would have " << out.size[0] << " × " << out.size[1] << " × " << out.size[2]
         << " voxels (z, y, x), more than 2^32; the image has " << geometry.to_string() << ". Is the spacing in mm?";
    throw InvalidArgument(text.str());
  }
  out.origin = geometry.to_physical(first);
  return out;
}

Image resample(const Image& image, const Vec3& spacing, Interpolation interpolation) {
  const Geometry to = resampled_geometry(image.geometry(), spacing);
  const auto maps = centred_maps(image.geometry(), to);
  return Image(resampled(image.tensor(), maps, to.size, interpolation), to, image.metadata());
}

Mask resample(const Mask& mask, const Vec3& spacing, Interpolation interpolation, double threshold) {
  if (!(threshold > 0 && threshold <= 1))
    throw InvalidArgument("resample: a mask's threshold lies in (0, 1]; got " + std::to_string(threshold));
  const Geometry& from = mask.geometry();
  const Geometry to = resampled_geometry(from, spacing);
  const auto maps = centred_maps(from, to);
  if (interpolation == Interpolation::nearest)
    return Mask(resampled(mask.tensor(), maps, to.size, interpolation), to, mask.names(), mask.metadata());

  at::Tensor labels = at::zeros({to.size[0], to.size[1], to.size[2]}, mask.tensor().options());
  at::Tensor best;  // only needed where labels compete
  const auto present = mask.labels();
  if (present.size() > 1) best = at::zeros(labels.sizes(), labels.options().dtype(at::kDouble));
  for (const int64_t label : present) {
    const at::Tensor indicator = mask.tensor().eq(label);
    const Part part = part_around(detail::box_of(indicator), maps, from, to.size, interpolation);
    at::Tensor inside = narrowed(indicator, part.box_start, part.box_count).to(at::kDouble);
    inside = resampled(inside, part.maps, part.count, interpolation);
    // 1e-9: sums of weights that are 0.5 on paper must count as 0.5.
    at::Tensor chosen = inside.ge(threshold - 1e-9);
    if (best.defined()) {
      at::Tensor other = narrowed(best, part.start, part.count);
      chosen = chosen.logical_and(inside.gt(other.add(1e-9)));
      other.copy_(at::where(chosen, inside, other));
    }
    narrowed(labels, part.start, part.count).masked_fill_(chosen, label);
  }
  return Mask(labels, to, mask.names(), mask.metadata());
}

Image resample_like(const Image& image, const Geometry& geometry, Interpolation interpolation, double outside) {
  geometry.validate("the geometry to resample to");
  std::array<AxisMap, 3> maps;
  if (parallel_maps(image.geometry(), geometry, maps)) {
    const at::Tensor voxels = resampled(image.tensor(), maps, geometry.size, interpolation);
    return Image(with_outside(voxels, maps, image.geometry(), outside), geometry, image.metadata());
  }
  if (interpolation == Interpolation::cubic) require_finite(image.tensor());
  return Image(detail::resample_oblique(image, geometry, interpolation, outside), geometry, image.metadata());
}

Mask resample_like(const Mask& mask, const Geometry& geometry) {
  const Image out = resample_like(static_cast<const Image&>(mask), geometry, Interpolation::nearest, 0.0);
  return Mask(out.tensor(), geometry, mask.names(), mask.metadata());
}

}  // namespace vesalius::image
