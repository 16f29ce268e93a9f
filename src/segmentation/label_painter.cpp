// SPDX-License-Identifier: Apache-2.0
#include "segmentation/label_painter.h"

#include <algorithm>
#include <limits>

#include <ATen/Parallel.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/zeros.h>

#include <vesalius/core/error.h>

namespace vesalius::segmentation {
namespace {

/// Where a transposed row of the cropped image lies in the image as given.
struct RowPlace {
  int64_t base, step;
};

RowPlace row_place(const PreprocessTrace& t, int64_t z, int64_t y) {
  const Index3& n = t.geometry.size;
  const Index3 stride{n[1] * n[2], n[2], 1};
  const auto s = [&](int a) { return stride[t.transpose[a]]; };
  return {(z + t.crop_start[0]) * s(0) + (y + t.crop_start[1]) * s(1) + t.crop_start[2] * s(2), s(2)};
}

}  // namespace

LabelPainter::LabelPainter(const PreprocessTrace& trace, const LabelSet& labels)
    : trace_(trace), labels_(labels), regions_(labels.has_regions()), classes_(labels.heads()) {
  values_ = regions_ ? labels.regions_class_order : labels.values();
  if (static_cast<int64_t>(values_.size()) != classes_)
    throw InvalidArgument("labels: " + std::to_string(classes_) + " outputs and " + std::to_string(values_.size()) +
                          " numbers to paint");
  const int64_t separate = separate_axis(trace.new_spacing, trace.spacing);
  z_ = detail::axis_taps(trace.shape[0], trace.crop_shape[0], separate == 0);
  y_ = detail::axis_taps(trace.shape[1], trace.crop_shape[1], separate == 1);
  x_ = detail::axis_taps(trace.shape[2], trace.crop_shape[2], separate == 2);
  const bool wide = *std::max_element(values_.begin(), values_.end()) > 255;
  const Index3& n = trace.geometry.size;
  out_ = at::zeros({n[0], n[1], n[2]}, wide ? at::kShort : at::kByte);
}

void LabelPainter::planes(int64_t first, const at::Tensor& logits) {
  const bool fits = logits.dim() == 4 && logits.size(0) == classes_ && logits.size(2) == trace_.shape[1] &&
                    logits.size(3) == trace_.shape[2] && first + logits.size(1) <= trace_.shape[0] &&
                    first == (window_.defined() ? window_first_ + window_.size(1) : 0);
  if (!fits) throw ShapeError("planes of logits come in ascending order, on the prepared grid");
  window_ = window_.defined() && window_.size(1) > 0 ? at::cat({window_, logits}, 1) : logits.contiguous();
  const int64_t last = first + logits.size(1) - 1;
  const int64_t begin = next_row_;
  while (next_row_ < trace_.crop_shape[0] && z_[next_row_].low <= last && z_[next_row_].high <= last) ++next_row_;
  if (next_row_ > begin) {
    at::parallel_for(begin * trace_.crop_shape[1], next_row_ * trace_.crop_shape[1], 16, [&](int64_t from, int64_t to) {
      std::vector<float> buffers(static_cast<size_t>(trace_.shape[2] + 3 * trace_.crop_shape[2]));
      for (int64_t r = from; r < to; ++r) {
        const int64_t z = r / trace_.crop_shape[1], y = r % trace_.crop_shape[1];
        if (out_.scalar_type() == at::kByte)
          row(z, y, buffers, out_.mutable_data_ptr<uint8_t>());
        else
          row(z, y, buffers, out_.mutable_data_ptr<int16_t>());
      }
    });
  }
  // What no later row needs goes; a copy, so that the caller's planes can.
  int64_t keep = last + 1;
  for (int64_t z = next_row_; z < trace_.crop_shape[0]; ++z) keep = std::min({keep, z_[z].low, z_[z].high});
  keep = std::max(keep, window_first_);
  window_ = window_.narrow(1, keep - window_first_, last + 1 - keep).clone();
  window_first_ = keep;
}

template <class Label>
void LabelPainter::row(int64_t z, int64_t y, std::vector<float>& buffers, Label* out) const {
  const int64_t ny = trace_.shape[1], nx = trace_.shape[2], mx = trace_.crop_shape[2], planes = window_.size(1);
  float* line = buffers.data();
  float* value = line + nx;
  float* best = value + mx;
  float* label = best + mx;  // as floats: the comparison and the choice then vectorise
  const detail::LinearTap &tz = z_[z], &ty = y_[y];
  const float* data = window_.const_data_ptr<float>();
  std::fill(label, label + mx, 0.0f);
  for (int64_t k = 0; k < classes_; ++k) {
    const float* map = data + k * planes * ny * nx;
    const auto source = [&](int64_t pz, int64_t py) { return map + ((pz - window_first_) * ny + py) * nx; };
    const float *a = source(tz.low, ty.low), *b = source(tz.low, ty.high), *c = source(tz.high, ty.low),
                *d = source(tz.high, ty.high);
    const auto wa = static_cast<float>(tz.low_weight * ty.low_weight), wb = static_cast<float>(tz.low_weight * ty.high_weight),
               wc = static_cast<float>(tz.high_weight * ty.low_weight), wd = static_cast<float>(tz.high_weight * ty.high_weight);
    for (int64_t x = 0; x < nx; ++x) line[x] = wa * a[x] + wb * b[x] + wc * c[x] + wd * d[x];
    for (int64_t x = 0; x < mx; ++x)
      value[x] = static_cast<float>(x_[x].low_weight) * line[x_[x].low] + static_cast<float>(x_[x].high_weight) * line[x_[x].high];
    const auto painted = static_cast<float>(values_[k]);
    if (regions_) {
      for (int64_t x = 0; x < mx; ++x) label[x] = value[x] > 0 ? painted : label[x];
    } else if (k == 0) {
      std::copy(value, value + mx, best);
      std::fill(label, label + mx, painted);
    } else {
      for (int64_t x = 0; x < mx; ++x) {
        label[x] = value[x] > best[x] ? painted : label[x];
        best[x] = std::max(value[x], best[x]);
      }
    }
  }
  const RowPlace place = row_place(trace_, z, y);
  for (int64_t x = 0; x < mx; ++x) out[place.base + x * place.step] = static_cast<Label>(label[x]);
}

Mask LabelPainter::finish() const {
  if (next_row_ != trace_.crop_shape[0]) throw InvalidArgument("not all planes of logits came");
  std::map<int64_t, std::string> names;
  for (const auto& [name, numbers] : labels_.labels)
    if (numbers.size() == 1 && numbers[0] != 0) names[numbers[0]] = name;
  return Mask(out_, trace_.geometry, names);
}

}  // namespace vesalius::segmentation
