// SPDX-License-Identifier: Apache-2.0
#include "radiomics/roi.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <ATen/Dispatch.h>
#include <ATen/ops/nonzero.h>
#include <ATen/ops/zeros.h>

#include <vesalius/core/error.h>
#include <vesalius/image/discretise.h>
#include <vesalius/image/resample.h>
#include <vesalius/radiomics/detail/vectorised.h>

namespace vesalius::radiomics {
namespace {

/// One pass over the labels; rows without the label cost a vectorised comparison.
template <class T>
std::optional<Box> scan(const T* voxels, int64_t nz, int64_t ny, int64_t nx, T label) {
  Index3 low{nz, ny, nx}, high{-1, -1, -1};
  for (int64_t z = 0; z < nz; ++z)
    for (int64_t y = 0; y < ny; ++y) {
      const T* row = voxels + (z * ny + y) * nx;
      T any = 0;
      for (int64_t x = 0; x < nx; ++x) any |= static_cast<T>(row[x] == label);
      if (any == 0) continue;
      low[0] = std::min(low[0], z), high[0] = z;
      low[1] = std::min(low[1], y), high[1] = std::max(high[1], y);
      int64_t first = 0, last = nx - 1;
      while (row[first] != label) ++first;
      while (row[last] != label) --last;
      low[2] = std::min(low[2], first), high[2] = std::max(high[2], last);
    }
  if (high[0] < 0) return std::nullopt;
  return Box{low, {high[0] - low[0] + 1, high[1] - low[1] + 1, high[2] - low[2] + 1}};
}

at::Tensor cropped(const at::Tensor& voxels, const Box& box) {
  at::Tensor out = voxels;
  for (int axis = 0; axis < 3; ++axis) out = out.narrow(axis, box.start[axis], box.count[axis]);
  return out;
}

/// The voxels of `box` on the grid `target`, interpolated from what lies around them in the image. `target` is the whole
/// image's new grid (IBSI 1, 2.4: aligned by the centres; it reaches less than half an old voxel beyond the outer
/// centres), so the part is what `image::resample` of all would give there. `voxels(box)` gives a part of the image.
template <class Voxels>
at::Tensor interpolated(const Voxels& voxels, const Geometry& old, const Geometry& target, const Box& box,
                        image::Interpolation interpolation) {
  // Taps of the interpolation; a cubic B-spline's prefilter falls below 1e-16 after 28 voxels.
  const int64_t reach = interpolation == image::Interpolation::cubic ? 32 : 3;
  Box source;
  for (int axis = 0; axis < 3; ++axis) {
    source.start[axis] = box.start[axis], source.count[axis] = box.count[axis];
    if (target.size[axis] == old.size[axis] && target.spacing[axis] == old.spacing[axis]) continue;
    const double ratio = target.spacing[axis] / old.spacing[axis];
    const double shift = 0.5 * (old.size[axis] - 1) - 0.5 * (target.size[axis] - 1) * ratio;
    const int64_t last = box.start[axis] + box.count[axis] - 1;
    const auto first_source = static_cast<int64_t>(std::floor(box.start[axis] * ratio + shift)) - reach;
    const auto last_source = static_cast<int64_t>(std::ceil(last * ratio + shift)) + reach;
    source.start[axis] = std::clamp<int64_t>(first_source, 0, old.size[axis] - 1);
    source.count[axis] =
        std::clamp<int64_t>(last_source, source.start[axis], old.size[axis] - 1) - source.start[axis] + 1;
  }
  const Image part(voxels(source).to(at::kDouble), old.cropped(source.start, source.count));
  return image::resample_like(part, target.cropped(box.start, box.count), interpolation).tensor();
}

/// The box on the grid `target` within one old voxel of `box`, as far as the grid goes.
Box on_new_grid(const Box& box, const Geometry& old, const Geometry& target) {
  Box out = box;
  for (int axis = 0; axis < 3; ++axis) {
    if (target.size[axis] == old.size[axis] && target.spacing[axis] == old.spacing[axis]) continue;
    const double ratio = target.spacing[axis] / old.spacing[axis];
    const double shift = 0.5 * (old.size[axis] - 1) - 0.5 * (target.size[axis] - 1) * ratio;
    const auto first = static_cast<int64_t>(std::floor((box.start[axis] - 1 - shift) / ratio));
    const auto last = static_cast<int64_t>(std::ceil((box.start[axis] + box.count[axis] - shift) / ratio));
    out.start[axis] = std::clamp<int64_t>(first, 0, target.size[axis] - 1);
    out.count[axis] = std::clamp<int64_t>(last, out.start[axis], target.size[axis] - 1) - out.start[axis] + 1;
  }
  return out;
}

bool holds(const Box& outer, const Box& inner) {
  for (int axis = 0; axis < 3; ++axis)
    if (inner.start[axis] < outer.start[axis] ||
        inner.start[axis] + inner.count[axis] > outer.start[axis] + outer.count[axis])
      return false;
  return true;
}

std::string range_text(double low, double high) {
  const auto number = [](double v) {
    char text[32];
    std::snprintf(text, sizeof text, "%.6g", v);
    return std::string(text);
  };
  return "[" + number(low) + ", " + number(high) + "]";
}

/// `voxels` of the image on the settings' grid: float64, contiguous, on the CPU. Interpolation between whole numbers
/// often gives halves, up to the last bits of its weights, which depend on what part of the image is interpolated:
/// values are rounded to 2⁻²⁰ first, so that halves are halves.
at::Tensor as_settings_say(const at::Tensor& voxels, const Settings& settings) {
  at::Tensor out = voxels.to(at::kCPU, at::kDouble).contiguous();
  if (!settings.round_intensities) return out;
  if (out.is_alias_of(voxels)) out = out.clone();
  constexpr double kFine = 1 << 20;
  double* v = out.mutable_data_ptr<double>();
  for (int64_t i = 0; i < out.numel(); ++i) v[i] = std::nearbyint(std::nearbyint(v[i] * kFine) / kFine);
  return out;
}

}  // namespace

std::optional<Box> box_of(const at::Tensor& labels, int64_t label) {
  if (!labels.is_cpu()) {
    const at::Tensor where = at::nonzero(labels.eq(label));
    if (where.size(0) == 0) return std::nullopt;
    const at::Tensor low = std::get<0>(where.min(0)).cpu(), high = std::get<0>(where.max(0)).cpu();
    Box box;
    for (int axis = 0; axis < 3; ++axis) {
      box.start[axis] = low[axis].item<int64_t>();
      box.count[axis] = high[axis].item<int64_t>() - box.start[axis] + 1;
    }
    return box;
  }
  const at::Tensor dense = labels.contiguous();
  std::optional<Box> box;
  AT_DISPATCH_INTEGRAL_TYPES_AND(at::kUInt16, dense.scalar_type(), "box_of", [&] {
    if (static_cast<int64_t>(static_cast<scalar_t>(label)) == label)
      detail::vectorised([&] {
        box = scan(dense.const_data_ptr<scalar_t>(), dense.size(0), dense.size(1), dense.size(2),
                   static_cast<scalar_t>(label));
      });
  });
  return box;
}

SharedGrid share_grid(const Image& image, const Settings& settings, const std::vector<Box>& boxes, double margin,
                      int64_t channel) {
  SharedGrid shared;
  if (!settings.resample || boxes.size() < 2) return shared;
  const Geometry grid = image::resampled_geometry(image.geometry(), *settings.resample);
  double alone = 0, together = 1;
  Index3 low = grid.size, high{};
  for (const Box& box : boxes) {
    const Box part = on_new_grid(box, image.geometry(), grid);
    double voxels = 1;
    for (int axis = 0; axis < 3; ++axis) {
      const auto around = static_cast<int64_t>(std::min(margin / grid.spacing[axis], 1e9));
      const int64_t first = std::max<int64_t>(part.start[axis] - around, 0);
      const int64_t end = std::min(part.start[axis] + part.count[axis] + around, grid.size[axis]);
      low[axis] = std::min(low[axis], first), high[axis] = std::max(high[axis], end);
      voxels *= static_cast<double>(end - first);
    }
    alone += voxels;
  }
  for (int axis = 0; axis < 3; ++axis) together *= static_cast<double>(high[axis] - low[axis]);
  if (together > alone) return shared;
  for (int axis = 0; axis < 3; ++axis)
    shared.box.start[axis] = low[axis], shared.box.count[axis] = high[axis] - low[axis];
  const at::Tensor all = image.tensor().dim() == 4 ? image.tensor().select(0, channel) : image.tensor();
  const auto part = [&](const Box& source) { return cropped(all, source); };
  try {
    shared.voxels =
        as_settings_say(interpolated(part, image.geometry(), grid, shared.box, settings.interpolation), settings);
  } catch (const InvalidArgument&) {  // `cubic` refuses NaN, which may lie between the regions and harm none of them
  }
  return shared;
}

namespace {

/// The image's device, once it is sure that there are voxels: Image() and Mask() hold no tensor.
at::Device device_of(const Image& image, const Mask& mask) {
  if (!image.tensor().defined() || !mask.tensor().defined())
    throw InvalidArgument("the image or the mask holds no voxels: it was made without a tensor; read one first");
  return image.tensor().device();
}

}  // namespace

Roi::Roi(const Image& image, const Mask& mask, const Settings& settings, int64_t label, int64_t channel,
         const Box* known, const SharedGrid* shared)
    : settings_(settings), shared_(shared), device_(device_of(image, mask)) {
  settings_.validate();
  if (channel < 0 || channel >= image.channels())
    throw InvalidArgument("channel " + std::to_string(channel) + " isn't there: the image has " +
                          std::to_string(image.channels()) + " channel(s), counted from 0");
  mask.geometry().require_same(image.geometry(), "the mask", "the image");
  const at::Tensor all = image.tensor().dim() == 4 ? image.tensor().select(0, channel) : image.tensor();
  if (all.is_complex())
    throw TypeMismatch("features are of real intensities; the image is complex: take its magnitude first");
  const std::optional<Box> box = known ? *known : box_of(mask.tensor(), label);
  if (!box) {
    mask.select(label);  // throws, with the labels that are there
    throw InvalidArgument("label " + std::to_string(label) + " isn't in the mask");
  }

  whole_ = all;
  whole_geometry_ = grid_ = image.geometry();
  place_ = *box;
  at::Tensor inside = cropped(mask.tensor(), *box).eq(label);
  if (settings_.resample) {
    grid_ = image::resampled_geometry(whole_geometry_, *settings_.resample);
    const Box part = on_new_grid(*box, whole_geometry_, grid_);
    const auto indicator = [&](const Box& source) { return cropped(mask.tensor(), source).eq(label); };
    inside = interpolated(indicator, whole_geometry_, grid_, part, settings_.mask_interpolation)
                 .ge(settings_.mask_threshold - 1e-9);
    const auto found = box_of(inside.to(at::kByte), 1);
    if (!found)
      throw InvalidArgument(
          "label " + std::to_string(label) + " vanishes when interpolated to " + grid_.to_string() +
          ": it is smaller than the new voxels. Use a finer setting \"resample\", or a lower \"mask_threshold\"");
    inside = cropped(inside, *found);
    for (int axis = 0; axis < 3; ++axis) place_.start[axis] = part.start[axis] + found->start[axis];
    place_.count = found->count;
  }
  geometry_ = grid_.cropped(place_.start, place_.count);
  intensities_ = intensities_in(place_);
  morphological_ = inside.to(at::kCPU).contiguous();

  if (morphological_.numel() > std::numeric_limits<int32_t>::max())
    throw InvalidArgument("the box of label " + std::to_string(label) + " has " +
                          std::to_string(morphological_.numel()) +
                          " voxels; more than 2147483647 aren't supported. Resample, or split the region");
  const int64_t broken = measure();
  if (broken > 0)
    throw InvalidArgument(
        std::to_string(broken) + " of " + std::to_string(morphological_voxels_) + " voxels of label " +
        std::to_string(label) + " are NaN or infinite. Repair the image or take them out of the mask" +
        (settings_.resample ? "; interpolation spreads such voxels, also from outside the mask" : ""));
  resegment();
}

at::Tensor Roi::intensities_in(const Box& box) const {
  if (shared_ && shared_->voxels.defined() && holds(shared_->box, box)) {
    Box inner = box;
    for (int axis = 0; axis < 3; ++axis) inner.start[axis] -= shared_->box.start[axis];
    return cropped(shared_->voxels, inner).contiguous();
  }
  const auto part = [&](const Box& source) { return cropped(whole_, source); };
  return as_settings_say(
      settings_.resample ? interpolated(part, whole_geometry_, grid_, box, settings_.interpolation) : part(box),
      settings_);
}

Surroundings Roi::surroundings(const Index3& margin) const {
  Box box;
  Surroundings out;
  for (int axis = 0; axis < 3; ++axis) {
    out.inner[axis] = std::min(margin[axis], place_.start[axis]);
    box.start[axis] = place_.start[axis] - out.inner[axis];
    const int64_t end = place_.start[axis] + place_.count[axis];
    box.count[axis] = end + std::min(margin[axis], grid_.size[axis] - end) - box.start[axis];
  }
  out.voxels = intensities_in(box);
  return out;
}

/// IBSI 1, section 2.6: by range, and by distance from the region's mean; both leave the morphological mask alone.
/// With both, the outlier limits are those of the voxels left by the range.
void Roi::resegment() {
  const int64_t n = intensities_.numel();
  const double* x = intensities_.const_data_ptr<double>();
  intensity_mask_ = morphological_;
  if (settings_.resegment || settings_.outlier_sigma) intensity_mask_ = morphological_.clone();
  const bool* inside = intensity_mask_.const_data_ptr<bool>();
  const auto limits = [&] {
    double low = INFINITY, high = -INFINITY;
    for (int64_t i = 0; i < n; ++i)
      if (inside[i]) low = std::min(low, x[i]), high = std::max(high, x[i]);
    return std::pair{low, high};
  };
  const auto keep = [&](double low, double high, const std::string& rule) {
    const auto [least, most] = limits();
    bool any = false, *kept = intensity_mask_.mutable_data_ptr<bool>();
    for (int64_t i = 0; i < n; ++i) any |= kept[i] = kept[i] && x[i] >= low && x[i] <= high;
    if (!any)
      throw InvalidArgument("no voxel is left after re-segmentation: " + rule + " keeps " + range_text(low, high) +
                            ", and the region's intensities are " + range_text(least, most) +
                            ". Check that the setting is in the image's units");
  };
  if (settings_.resegment) keep((*settings_.resegment)[0], (*settings_.resegment)[1], "the setting \"resegment\"");
  if (settings_.outlier_sigma) {
    double mean = 0, square = 0;
    int64_t count = 0;
    for (int64_t i = 0; i < n; ++i)
      if (inside[i]) mean += x[i], ++count;
    mean /= count;
    for (int64_t i = 0; i < n; ++i)
      if (inside[i]) square += (x[i] - mean) * (x[i] - mean);
    const double reach = *settings_.outlier_sigma * std::sqrt(square / count);
    keep(mean - reach, mean + reach, "the setting \"outlier_sigma\"");
  }
  voxels_.resize(morphological_voxels_);
  double* out = voxels_.data();
  for (size_t r = 0; r < ranges_.size(); ++r, x += place_.count[2], inside += place_.count[2])
    for (int64_t i = ranges_[r].first; i < ranges_[r].end; ++i)
      if (inside[i]) *out++ = x[i];
  voxels_.resize(out - voxels_.data());
}

/// Finds the rows' ranges and counts the region's voxels. Returns how many are NaN or infinite.
int64_t Roi::measure() {
  const int64_t nx = place_.count[2];
  const double* x = intensities_.const_data_ptr<double>();
  const bool* inside = morphological_.const_data_ptr<bool>();
  int64_t broken = 0;
  ranges_.resize(place_.count[0] * place_.count[1]);
  detail::vectorised([&] {
    for (auto& [first, end] : ranges_) {
      first = end = 0;
      int64_t voxels = 0;
      for (int64_t i = 0; i < nx; ++i) voxels += inside[i];
      if (voxels > 0) {
        end = static_cast<int32_t>(nx);
        while (!inside[first]) ++first;
        while (!inside[end - 1]) --end;
        morphological_voxels_ += voxels;
        for (int64_t i = first; i < end; ++i) broken += inside[i] && !(x[i] - x[i] == 0);
      }
      x += nx, inside += nx;
    }
  });
  return broken;
}

const Levels& Roi::levels() const {
  return cached<Levels>("levels", [&] { return make_levels(); });
}

/// As `image::discretise_bin_number` and `…_bin_width` (IBSI 1, section 2.7), which also says what is wrong with settings.
Levels Roi::make_levels() const {
  const double lowest = distribution().min, highest = distribution().max;
  const double range = highest - lowest;
  Levels levels;
  double lower = lowest, times = 1, divisor = 1;
  if (settings_.bin_count) {
    levels.n = *settings_.bin_count;
    if (levels.n < 1 || levels.n > image::kMaxBins || !std::isfinite(range))
      image::discretise_bin_number(intensities_, intensity_mask_, levels.n);
    // Multiplied before divided, as the formula is written: whole-number edges stay exact for whole-number intensities.
    times = static_cast<double>(levels.n), divisor = range;
  } else {
    divisor = *settings_.bin_width;
    if (settings_.resegment) lower = (*settings_.resegment)[0];
    const double most = std::floor((highest - lower) / divisor) + 1;
    if (!(divisor > 0) || !std::isfinite(divisor) || !std::isfinite(lower) || lowest < lower ||
        !(most <= image::kMaxBins))
      image::discretise_bin_width(intensities_, intensity_mask_, divisor, lower);
    levels.n = static_cast<int64_t>(most);
  }
  levels.size = {geometry_.size[0], geometry_.size[1], geometry_.size[2]};
  levels.ranges = ranges_;
  levels.voxels = static_cast<int64_t>(voxels_.size());
  if (levels.n < 256)
    levels.volume = detail::PaddedVolume<uint8_t>(levels.size);
  else if (levels.n < 65536)
    levels.volume = detail::PaddedVolume<uint16_t>(levels.size);
  else
    levels.volume = detail::PaddedVolume<uint32_t>(levels.size);
  const auto last = static_cast<double>(levels.n);
  const bool constant = settings_.bin_count && range == 0;
  levels.counts.assign(levels.n + 1, 0);
  levels.of_slice.assign(levels.size[0], 0);
  std::visit(
      [&]<class T>(detail::PaddedVolume<T>& volume) {
        const double* x = intensities_.const_data_ptr<double>();
        const bool* inside = intensity_mask_.const_data_ptr<bool>();
        const auto [nz, ny, nx] = levels.size;
        detail::vectorised([&, ny = ny, nx = nx, nz = nz] {
          for (int64_t r = 0; r < nz * ny; ++r, x += nx, inside += nx) {
            T* to = volume.first() + r / ny * volume.slice() + r % ny * volume.row();
            const auto [first, end] = ranges_[r];
            for (int64_t k = first; k < end; ++k) {
              // Outside the mask there may be anything, NaN too, which the comparison turns into 0.
              const double bin = constant ? 1 : std::floor((x[k] - lower) * times / divisor) + 1;
              to[k] = inside[k] && bin > 0 ? static_cast<T>(static_cast<int32_t>(bin < last ? bin : last)) : T{0};
            }
            for (int64_t k = first; k < end; ++k) ++levels.counts[to[k]];
            levels.of_slice[r / ny] += end - first;
            for (int64_t k = first; k < end; ++k) levels.of_slice[r / ny] -= to[k] == 0;
          }
        });
      },
      levels.volume);
  levels.counts[0] = 0;
  return levels;
}

at::Tensor Levels::tensor() const {
  at::Tensor out = at::zeros({size[0], size[1], size[2]}, at::kInt);
  int32_t* to = out.mutable_data_ptr<int32_t>();
  visit([&](const auto& box) {
    for (int64_t z = 0; z < box.nz; ++z)
      for (int64_t y = 0; y < box.ny; ++y, to += box.nx) std::copy_n(box.at(z, y), box.nx, to);
  });
  return out;
}

}  // namespace vesalius::radiomics
