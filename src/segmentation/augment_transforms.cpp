// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include <ATen/ops/empty.h>

#include <vesalius/core/error.h>
#include <vesalius/segmentation/augment.h>

#include "segmentation/augment_kernels.h"

namespace vesalius::segmentation {
namespace {

using detail::Shape3;

/// A copy to work on, [c, z, y, x] or [c, y, x].
struct Channels {
  at::Tensor out;
  Shape3 shape{};
  int64_t count = 0;

  explicit Channels(const at::Tensor& image) {
    if (!image.defined() || (image.dim() != 3 && image.dim() != 4) || !at::isFloatingType(image.scalar_type()))
      throw ShapeError("a transform takes a float image [c, z, y, x] or [c, y, x]");
    out = at::empty(image.sizes(), at::kFloat);
    out.copy_(image);
    const auto sizes = image.sizes().slice(1);
    shape = sizes.size() == 3 ? Shape3{sizes[0], sizes[1], sizes[2]} : Shape3{1, sizes[0], sizes[1]};
    count = shape[0] * shape[1] * shape[2];
  }
  int64_t size() const { return out.size(0); }
  int axes() const { return static_cast<int>(out.dim()) - 1; }
  float* operator[](int64_t c) { return out.mutable_data_ptr<float>() + c * count; }
};

std::vector<double> one_each(const char* what, const std::vector<double>& values, int64_t count, const char* of) {
  if (static_cast<int64_t>(values.size()) == count) return values;
  if (values.size() == 1) return std::vector<double>(count, values[0]);
  throw InvalidArgument(std::string(what) + " has " + std::to_string(values.size()) +
                        " numbers; expected one, or one for each of the " + std::to_string(count) + " " + of);
}

Shape3 check_spatial(int64_t axes, const std::vector<int64_t>& patch, const transforms::Spatial& how) {
  if (static_cast<int64_t>(patch.size()) != axes)
    throw ShapeError("the patch has " + std::to_string(patch.size()) + " axes and the tensor " + std::to_string(axes));
  for (const int64_t n : patch)
    if (n < 1) throw InvalidArgument("every side of the patch must be at least 1");
  const size_t angles = axes == 3 && !how.dummy_2d ? 3 : 1;
  if (!how.angles.empty() && how.angles.size() != angles)
    throw InvalidArgument(std::to_string(how.angles.size()) + " angles; expected " + std::to_string(angles));
  if (!(how.scale > 0)) throw InvalidArgument("scale must be positive");
  for (const int64_t axis : how.mirror_axes)
    if (axis < 0 || axis >= axes) throw InvalidArgument("mirror axis " + std::to_string(axis) + " doesn't exist");
  return axes == 3 ? Shape3{patch[0], patch[1], patch[2]} : Shape3{1, patch[0], patch[1]};
}

std::vector<int64_t> sizes_of(int64_t channels, const std::vector<int64_t>& patch) {
  std::vector<int64_t> sizes{channels};
  sizes.insert(sizes.end(), patch.begin(), patch.end());
  return sizes;
}

}  // namespace

namespace transforms {

at::Tensor spatial_image(const at::Tensor& image, const std::vector<int64_t>& patch_size, const Spatial& how) {
  Channels in(image);
  const Shape3 patch = check_spatial(in.axes(), patch_size, how);
  at::Tensor out = at::empty(sizes_of(in.size(), patch_size), at::kFloat);
  std::vector<const float*> from;
  std::vector<float*> to;
  for (int64_t c = 0; c < in.size(); ++c) {
    from.push_back(in[c]);
    to.push_back(out.mutable_data_ptr<float>() + c * patch[0] * patch[1] * patch[2]);
  }
  detail::gather(detail::plan_gather(in.shape, {0, 0, 0}, in.shape, patch, in.axes(), how), in.shape, from, to, {}, {},
                 0);
  return out;
}

at::Tensor spatial_label(const at::Tensor& label, const std::vector<int64_t>& patch_size, const Spatial& how,
                         int64_t outside) {
  if (!label.defined() || (label.dim() != 3 && label.dim() != 4) || at::isFloatingType(label.scalar_type()))
    throw ShapeError("labels are whole numbers [c, z, y, x] or [c, y, x]");
  const at::Tensor in = label.to(at::kShort).contiguous();
  const int axes = static_cast<int>(in.dim()) - 1;
  const Shape3 patch = check_spatial(axes, patch_size, how);
  const Shape3 shape = axes == 3 ? Shape3{in.size(1), in.size(2), in.size(3)} : Shape3{1, in.size(1), in.size(2)};
  at::Tensor out = at::empty(sizes_of(in.size(0), patch_size), at::kShort);
  std::vector<const int16_t*> from;
  std::vector<int16_t*> to;
  for (int64_t c = 0; c < in.size(0); ++c) {
    from.push_back(in.const_data_ptr<int16_t>() + c * shape[0] * shape[1] * shape[2]);
    to.push_back(out.mutable_data_ptr<int16_t>() + c * patch[0] * patch[1] * patch[2]);
  }
  detail::gather(detail::plan_gather(shape, {0, 0, 0}, shape, patch, axes, how), shape, {}, {}, from, to,
                 static_cast<int16_t>(outside));
  return out;
}

at::Tensor gaussian_noise(const at::Tensor& image, double sigma, uint64_t seed) {
  Channels x(image);
  for (int64_t c = 0; c < x.size(); ++c) detail::add_noise(x[c], x.count, static_cast<float>(sigma), seed, c);
  return x.out;
}

at::Tensor gaussian_blur(const at::Tensor& image, const std::vector<double>& sigma) {
  Channels x(image);
  const auto each = one_each("sigma", sigma, x.axes(), "axes");
  for (const double s : each)
    if (!(s >= 0 && s <= 20)) throw InvalidArgument("sigma must lie between 0 and 20 voxels");
  const std::array<double, 3> all =
      x.axes() == 3 ? std::array<double, 3>{each[0], each[1], each[2]} : std::array<double, 3>{0, each[0], each[1]};
  for (int64_t c = 0; c < x.size(); ++c) detail::blur(x[c], x.shape, all);
  return x.out;
}

at::Tensor brightness(const at::Tensor& image, const std::vector<double>& factor) {
  Channels x(image);
  const auto each = one_each("factor", factor, x.size(), "channels");
  for (int64_t c = 0; c < x.size(); ++c) detail::multiply(x[c], x.count, static_cast<float>(each[c]));
  return x.out;
}

at::Tensor contrast(const at::Tensor& image, const std::vector<double>& factor) {
  Channels x(image);
  const auto each = one_each("factor", factor, x.size(), "channels");
  for (int64_t c = 0; c < x.size(); ++c) detail::contrast(x[c], x.count, static_cast<float>(each[c]));
  return x.out;
}

at::Tensor low_resolution(const at::Tensor& image, const std::vector<double>& scale) {
  Channels x(image);
  const auto each = one_each("scale", scale, x.axes(), "axes");
  Shape3 coarse = x.shape;
  for (int d = 0; d < x.axes(); ++d) {
    if (!(each[d] > 0 && each[d] <= 1)) throw InvalidArgument("scale must lie between 0 and 1");
    coarse[d + 3 - x.axes()] = detail::coarse_size(x.shape[d + 3 - x.axes()], each[d]);
  }
  for (int64_t c = 0; c < x.size(); ++c) detail::low_resolution(x[c], x.shape, coarse);
  return x.out;
}

at::Tensor gamma(const at::Tensor& image, const std::vector<double>& exponent, bool inverted) {
  Channels x(image);
  const auto each = one_each("exponent", exponent, x.size(), "channels");
  for (int64_t c = 0; c < x.size(); ++c) {
    if (!(each[c] > 0 && each[c] <= 100)) throw InvalidArgument("exponent must lie between 0 and 100");
    detail::gamma(x[c], x.count, static_cast<float>(each[c]), inverted);
  }
  return x.out;
}

namespace {

template <class Work>
at::Tensor on_mask(const at::Tensor& mask, const Work& work) {
  if (!mask.defined() || (mask.dim() != 2 && mask.dim() != 3)) throw ShapeError("a mask is [z, y, x] or [y, x]");
  const at::Tensor out = at::empty(mask.sizes(), at::kByte);
  out.copy_(mask.ne(0));
  work(out.mutable_data_ptr<uint8_t>(),
       mask.dim() == 3 ? Shape3{mask.size(0), mask.size(1), mask.size(2)} : Shape3{1, mask.size(0), mask.size(1)});
  return out;
}

}  // namespace

at::Tensor morphology(const at::Tensor& mask, Morphology kind, double radius) {
  if (!(radius >= 0 && radius <= 100)) throw InvalidArgument("radius must lie between 0 and 100 voxels");
  return on_mask(mask, [&](uint8_t* m, const Shape3& shape) { detail::morphology(m, shape, kind, radius); });
}

at::Tensor remove_component(const at::Tensor& mask, double choice, double limit) {
  return on_mask(mask, [&](uint8_t* m, const Shape3& shape) { detail::remove_component(m, shape, choice, limit); });
}

}  // namespace transforms

at::Tensor label_to_regions(const at::Tensor& label, const std::vector<std::vector<int64_t>>& regions,
                            std::optional<int64_t> ignore_label) {
  if (!label.defined() || label.dim() < 2 || label.size(0) != 1 || at::isFloatingType(label.scalar_type()))
    throw ShapeError("label_to_regions takes whole numbers [1, …]");
  std::vector<std::vector<int64_t>> sets = regions;
  if (ignore_label) sets.push_back({*ignore_label});
  std::vector<int64_t> sizes = label.sizes().vec();
  sizes[0] = static_cast<int64_t>(sets.size());
  at::Tensor out = at::empty(sizes, at::kByte);
  const at::Tensor in = label.to(at::kShort).contiguous();
  const int16_t* from = in.const_data_ptr<int16_t>();
  uint8_t* to = out.mutable_data_ptr<uint8_t>();
  for (const auto& set : sets) {
    std::vector<uint8_t> member(65536, 0);
    for (const int64_t value : set) member[static_cast<uint16_t>(value)] = 1;
    for (int64_t i = 0; i < in.numel(); ++i) to[i] = member[static_cast<uint16_t>(from[i])];
    to += in.numel();
  }
  return out;
}

std::vector<at::Tensor> deep_supervision_targets(const at::Tensor& target,
                                                 const std::vector<std::vector<double>>& scales) {
  std::vector<at::Tensor> out;
  if (!target.defined() || (target.dim() != 3 && target.dim() != 4))
    throw ShapeError("a target is [k, z, y, x] or [k, y, x]");
  const int64_t axes = target.dim() - 1;
  for (const auto& given : scales) {
    const auto scale = one_each("a scale", given, axes, "axes");
    at::Tensor t = target;
    for (int64_t d = 0; d < axes; ++d) {
      const int64_t n = target.size(d + 1);
      if (!(scale[d] > 0 && scale[d] <= 1)) throw InvalidArgument("scales of deep supervision lie between 0 and 1");
      if (scale[d] == 1.0) continue;
      const auto index = detail::nearest_index(n, detail::coarse_size(n, scale[d]));
      const at::Tensor pick = at::empty({static_cast<int64_t>(index.size())}, at::kLong);
      std::copy(index.begin(), index.end(), pick.mutable_data_ptr<int64_t>());
      t = t.index_select(d + 1, pick);
    }
    out.push_back(t);
  }
  return out;
}

}  // namespace vesalius::segmentation
