// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <vesalius/core/error.h>
#include <vesalius/segmentation/preprocess.h>

#include "segmentation/resize.h"

/// From a network's output back to the image as it was given, a row at a time: neither classes × volume of the result nor
/// a resampled copy is ever held.
namespace vesalius::segmentation {
namespace {

struct Taps {
  std::vector<detail::LinearTap> z, y, x;
};

Taps taps_of(const PreprocessTrace& t) {
  const int64_t separate = separate_axis(t.new_spacing, t.spacing);
  return {detail::axis_taps(t.shape[0], t.crop_shape[0], separate == 0),
          detail::axis_taps(t.shape[1], t.crop_shape[1], separate == 1),
          detail::axis_taps(t.shape[2], t.crop_shape[2], separate == 2)};
}

void check_logits(const at::Tensor& logits, const PreprocessTrace& t) {
  t.validate();
  if (logits.dim() != 4 || logits.size(1) != t.shape[0] || logits.size(2) != t.shape[1] || logits.size(3) != t.shape[2])
    throw ShapeError("the output must be [classes, " + std::to_string(t.shape[0]) + ", " + std::to_string(t.shape[1]) +
                     ", " + std::to_string(t.shape[2]) + "], the shape the image was prepared to; it has " +
                     std::to_string(logits.dim()) + " axes or another size");
}

/// float32 and contiguous; halves are widened row by row instead, so that the whole is never copied.
at::Tensor readable(const at::Tensor& logits) {
  const at::Tensor cpu = logits.detach().cpu();
  const auto type = cpu.scalar_type();
  return (type == at::kFloat || type == at::kHalf || type == at::kBFloat16 ? cpu : cpu.to(at::kFloat)).contiguous();
}

/// One row of one class on the new grid; `line` holds the mixture of up to four rows of the old one.
template <class T>
void resampled_row(const T* map, const PreprocessTrace& t, const detail::LinearTap& z, const detail::LinearTap& y,
                   const std::vector<detail::LinearTap>& x_taps, std::vector<float>& line, float* out) {
  const int64_t ny = t.shape[1], nx = t.shape[2];
  std::fill(line.begin(), line.end(), 0.0f);
  const auto add = [&](int64_t iz, double wz, int64_t iy, double wy) {
    const auto w = static_cast<float>(wz * wy);
    if (w == 0) return;
    const T* row = map + (iz * ny + iy) * nx;
    for (int64_t x = 0; x < nx; ++x) line[x] += w * static_cast<float>(row[x]);
  };
  add(z.low, z.low_weight, y.low, y.low_weight);
  add(z.low, z.low_weight, y.high, y.high_weight);
  add(z.high, z.high_weight, y.low, y.low_weight);
  add(z.high, z.high_weight, y.high, y.high_weight);
  const auto n = static_cast<int64_t>(x_taps.size());
  for (int64_t x = 0; x < n; ++x)
    out[x] = static_cast<float>(x_taps[x].low_weight) * line[x_taps[x].low] +
             static_cast<float>(x_taps[x].high_weight) * line[x_taps[x].high];
}

/// visit(z, y, rows): all classes' values of a row of the cropped image, rows[k * nx + x].
template <class T, class Visit>
void for_each_row_of(const at::Tensor& logits, const PreprocessTrace& t, int64_t first, int64_t count,
                     const Visit& visit) {
  const Taps taps = taps_of(t);
  const int64_t classes = logits.size(0), volume = t.shape[0] * t.shape[1] * t.shape[2];
  const T* maps = logits.const_data_ptr<T>();
  at::parallel_for(0, count * t.crop_shape[1], 8, [&](int64_t begin, int64_t end) {
    std::vector<float> line(t.shape[2]), rows(classes * t.crop_shape[2]);
    for (int64_t r = begin; r < end; ++r) {
      const int64_t z = first + r / t.crop_shape[1], y = r % t.crop_shape[1];
      for (int64_t k = 0; k < classes; ++k)
        resampled_row(maps + k * volume, t, taps.z[z], taps.y[y], taps.x, line, rows.data() + k * t.crop_shape[2]);
      visit(z, y, rows);
    }
  });
}

template <class Visit>
void for_each_row(const at::Tensor& logits, const PreprocessTrace& t, int64_t first, int64_t count,
                  const Visit& visit) {
  if (logits.scalar_type() == at::kHalf)
    for_each_row_of<at::Half>(logits, t, first, count, visit);
  else if (logits.scalar_type() == at::kBFloat16)
    for_each_row_of<at::BFloat16>(logits, t, first, count, visit);
  else
    for_each_row_of<float>(logits, t, first, count, visit);
}

/// Where a transposed, cropped row lies in the image as given.
struct Place {
  int64_t base, step;
};

Place place_of(const PreprocessTrace& t, int64_t z, int64_t y) {
  const Index3& n = t.geometry.size;
  const Index3 stride{n[1] * n[2], n[2], 1};
  const auto s = [&](int a) { return stride[t.transpose[a]]; };
  return {(z + t.crop_start[0]) * s(0) + (y + t.crop_start[1]) * s(1) + t.crop_start[2] * s(2), s(2)};
}

template <class L>
void paint(const at::Tensor& logits, const PreprocessTrace& t, const LabelSet& set, L* out) {
  const bool regions = set.has_regions();
  const int64_t classes = logits.size(0), nx = t.crop_shape[2];
  const auto values = set.values();
  for_each_row(logits, t, 0, t.crop_shape[0], [&](int64_t z, int64_t y, const std::vector<float>& rows) {
    const Place place = place_of(t, z, y);
    for (int64_t x = 0; x < nx; ++x) {
      int64_t label = 0;
      if (regions) {
        for (int64_t k = 0; k < classes; ++k)
          if (rows[k * nx + x] > 0) label = set.regions_class_order[k];
      } else {
        int64_t best = 0;
        for (int64_t k = 1; k < classes; ++k)
          if (rows[k * nx + x] > rows[best * nx + x]) best = k;
        label = values[best];
      }
      out[place.base + x * place.step] = static_cast<L>(label);
    }
  });
}

void check_heads(const at::Tensor& logits, const LabelSet& set) {
  if (logits.size(0) != set.heads())
    throw ShapeError("the output has " + std::to_string(logits.size(0)) + " classes; the labels have " +
                     std::to_string(set.heads()));
  if (set.has_regions() && set.regions_class_order.size() != set.foreground().size())
    throw InvalidArgument("regions need regions_class_order with one number a region");
}

}  // namespace

at::Tensor resample_logits_slab(const at::Tensor& logits, const PreprocessTrace& t, int64_t first, int64_t count) {
  check_logits(logits, t);
  if (first < 0 || count < 1 || first + count > t.crop_shape[0])
    throw InvalidArgument("a slab lies in 0.." + std::to_string(t.crop_shape[0]) + "; got " + std::to_string(first) +
                          " + " + std::to_string(count));
  const at::Tensor in = readable(logits);
  const int64_t classes = in.size(0), ny = t.crop_shape[1], nx = t.crop_shape[2];
  at::Tensor out = at::empty({classes, count, ny, nx}, at::kFloat);
  float* to = out.mutable_data_ptr<float>();
  for_each_row(in, t, first, count, [&](int64_t z, int64_t y, const std::vector<float>& rows) {
    for (int64_t k = 0; k < classes; ++k)
      std::copy_n(rows.data() + k * nx, nx, to + ((k * count + z - first) * ny + y) * nx);
  });
  return out;
}

Mask restore_labels(const at::Tensor& logits, const PreprocessTrace& t, const LabelSet& set) {
  check_logits(logits, t);
  check_heads(logits, set);
  const at::Tensor in = readable(logits);
  const auto values = set.values();
  const auto& painted = set.has_regions() ? set.regions_class_order : values;
  const bool wide = std::any_of(painted.begin(), painted.end(), [](int64_t v) { return v > 255; });
  const Index3& n = t.geometry.size;
  at::Tensor out = at::zeros({n[0], n[1], n[2]}, wide ? at::kShort : at::kByte);
  if (wide)
    paint(in, t, set, out.mutable_data_ptr<int16_t>());
  else
    paint(in, t, set, out.mutable_data_ptr<uint8_t>());
  std::map<int64_t, std::string> names;
  for (const auto& [name, numbers] : set.labels)
    if (numbers.size() == 1 && numbers[0] != 0) names[numbers[0]] = name;
  return Mask(out, t.geometry, names);
}

Image restore_probabilities(const at::Tensor& logits, const PreprocessTrace& t, const LabelSet& set) {
  check_logits(logits, t);
  check_heads(logits, set);
  const at::Tensor in = readable(logits);
  const int64_t classes = in.size(0), nx = t.crop_shape[2], volume = t.geometry.voxels();
  const bool regions = set.has_regions();
  const Index3& n = t.geometry.size;
  at::Tensor out = at::zeros({classes, n[0], n[1], n[2]}, at::kFloat);
  if (!regions) out[0].fill_(1);
  float* to = out.mutable_data_ptr<float>();
  for_each_row(in, t, 0, t.crop_shape[0], [&](int64_t z, int64_t y, const std::vector<float>& rows) {
    const Place place = place_of(t, z, y);
    for (int64_t x = 0; x < nx; ++x) {
      float* voxel = to + place.base + x * place.step;
      if (regions) {
        for (int64_t k = 0; k < classes; ++k) voxel[k * volume] = 1.0f / (1.0f + std::exp(-rows[k * nx + x]));
        continue;
      }
      float highest = -std::numeric_limits<float>::infinity(), sum = 0;
      for (int64_t k = 0; k < classes; ++k) highest = std::max(highest, rows[k * nx + x]);
      for (int64_t k = 0; k < classes; ++k) sum += voxel[k * volume] = std::exp(rows[k * nx + x] - highest);
      for (int64_t k = 0; k < classes; ++k) voxel[k * volume] /= sum;
    }
  });
  return Image(out, t.geometry);
}

}  // namespace vesalius::segmentation
