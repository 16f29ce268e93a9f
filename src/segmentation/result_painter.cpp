// SPDX-License-Identifier: Apache-2.0
#include "segmentation/result_painter.h"

#include <algorithm>
#include <cmath>
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

float surprise(float p) { return p > 0 ? -p * std::log(p) : 0.0f; }

/// Logits `[k, n]` to probabilities in place: of classes (softmax) or of regions (each by itself).
void to_probabilities(float* p, int64_t classes, int64_t n, bool regions, float* work) {
  if (regions) {
    for (int64_t i = 0; i < classes * n; ++i) p[i] = 1.0f / (1.0f + std::exp(-p[i]));
    return;
  }
  float *highest = work, *sum = work + n;
  std::copy(p, p + n, highest);
  std::fill(sum, sum + n, 0.0f);
  for (int64_t k = 1; k < classes; ++k)
    for (int64_t x = 0; x < n; ++x) highest[x] = std::max(highest[x], p[k * n + x]);
  for (int64_t k = 0; k < classes; ++k)
    for (int64_t x = 0; x < n; ++x) sum[x] += p[k * n + x] = std::exp(p[k * n + x] - highest[x]);
  for (int64_t k = 0; k < classes; ++k)
    for (int64_t x = 0; x < n; ++x) p[k * n + x] /= sum[x];
}

/// −Σ p log p over classes (nats); of regions, the mean of each one's binary entropy.
float entropy_at(const float* p, int64_t classes, int64_t n, bool regions) {
  float sum = 0;
  for (int64_t k = 0; k < classes; ++k) sum += surprise(p[k * n]) + (regions ? surprise(1 - p[k * n]) : 0.0f);
  return regions ? sum / static_cast<float>(classes) : sum;
}

}  // namespace

/// One row of every class; `own` of every member, too.
struct ResultPainter::Rows {
  std::vector<float> line, mean, own, average, work, label;
  Rows(int64_t nx, int64_t mx, int64_t classes, int64_t members)
      : line(static_cast<size_t>(nx)),
        mean(static_cast<size_t>(classes * mx)),
        own(static_cast<size_t>(members > 1 ? members * classes * mx : 0)),
        average(own.empty() ? 0 : mean.size()),
        work(static_cast<size_t>(2 * mx)),
        label(static_cast<size_t>(mx)) {}
};

ResultPainter::ResultPainter(const PreprocessTrace& trace, const LabelSet& labels, const PaintOptions& options)
    : trace_(trace), labels_(labels), options_(options), regions_(labels.has_regions()), classes_(labels.heads()) {
  trace.validate();
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
  if (options.probabilities) {
    probabilities_ = at::zeros({classes_, n[0], n[1], n[2]}, at::kFloat);
    if (!regions_) probabilities_[0].fill_(1);
  }
  if (options.entropy) entropy_ = at::zeros({n[0], n[1], n[2]}, at::kFloat);
  if (options.disagreement) disagreement_ = at::zeros({n[0], n[1], n[2]}, at::kFloat);
}

void ResultPainter::planes(int64_t first, const at::Tensor& logits) {
  const bool fits = logits.dim() == 5 && logits.size(0) == options_.members && logits.size(1) == classes_ &&
                    logits.size(3) == trace_.shape[1] && logits.size(4) == trace_.shape[2] && logits.stride(4) == 1 &&
                    logits.scalar_type() == at::kFloat && first == seen_ && first + logits.size(2) <= trace_.shape[0];
  if (!fits) throw ShapeError("planes of logits come in ascending order, on the prepared grid");
  seen_ = first + logits.size(2);
  const int64_t begin = next_row_;
  while (next_row_ < trace_.crop_shape[0] && z_[next_row_].low < seen_ && z_[next_row_].high < seen_) ++next_row_;
  const int64_t ny = trace_.crop_shape[1];
  if (next_row_ > begin)
    at::parallel_for(begin * ny, next_row_ * ny, 16, [&](int64_t from, int64_t to) {
      Rows rows(trace_.shape[2], trace_.crop_shape[2], classes_, options_.members);
      for (int64_t r = from; r < to; ++r) run(r / ny, r % ny, logits, rows);
    });
  // What no later row needs goes; a copy, so that the caller's planes can.
  int64_t keep = seen_;
  for (int64_t z = next_row_; z < trace_.crop_shape[0]; ++z) keep = std::min({keep, z_[z].low, z_[z].high});
  keep = std::max(keep, kept_first_);
  if (keep >= first)
    kept_ = logits.narrow(2, keep - first, seen_ - keep).clone(at::MemoryFormat::Contiguous);
  else
    kept_ = at::cat({kept_.narrow(2, keep - kept_first_, first - keep), logits}, 2);
  kept_first_ = keep;
}

void ResultPainter::run(int64_t z, int64_t y, const at::Tensor& logits, Rows& rows) const {
  interpolate(z, y, logits, rows);
  if (out_.scalar_type() == at::kByte)
    decide(z, y, rows, out_.mutable_data_ptr<uint8_t>());
  else
    decide(z, y, rows, out_.mutable_data_ptr<int16_t>());
  if (options_.probabilities || options_.entropy || options_.disagreement) estimate(z, y, rows);
}

void ResultPainter::interpolate(int64_t z, int64_t y, const at::Tensor& logits, Rows& rows) const {
  const int64_t nx = trace_.shape[2], mx = trace_.crop_shape[2], first = seen_ - logits.size(2);
  const detail::LinearTap &tz = z_[z], &ty = y_[y];
  const auto wa = static_cast<float>(tz.low_weight * ty.low_weight),
             wb = static_cast<float>(tz.low_weight * ty.high_weight),
             wc = static_cast<float>(tz.high_weight * ty.low_weight),
             wd = static_cast<float>(tz.high_weight * ty.high_weight);
  float* line = rows.line.data();
  for (int64_t m = 0; m < options_.members; ++m)
    for (int64_t k = 0; k < classes_; ++k) {
      const auto source = [&](int64_t pz, int64_t py) {
        const at::Tensor& from = pz < first ? kept_ : logits;
        return from.const_data_ptr<float>() + m * from.stride(0) + k * from.stride(1) +
               (pz - (pz < first ? kept_first_ : first)) * from.stride(2) + py * from.stride(3);
      };
      const float *a = source(tz.low, ty.low), *b = source(tz.low, ty.high), *c = source(tz.high, ty.low),
                  *d = source(tz.high, ty.high);
      float* value = options_.members > 1 ? rows.own.data() + (m * classes_ + k) * mx : rows.mean.data() + k * mx;
      for (int64_t x = 0; x < nx; ++x) line[x] = wa * a[x] + wb * b[x] + wc * c[x] + wd * d[x];
      for (int64_t x = 0; x < mx; ++x)
        value[x] = static_cast<float>(x_[x].low_weight) * line[x_[x].low] +
                   static_cast<float>(x_[x].high_weight) * line[x_[x].high];
    }
  if (options_.members == 1) return;
  std::fill(rows.mean.begin(), rows.mean.end(), 0.0f);
  for (int64_t m = 0; m < options_.members; ++m)
    for (int64_t i = 0; i < classes_ * mx; ++i) rows.mean[i] += rows.own[m * classes_ * mx + i];
  for (float& v : rows.mean) v /= static_cast<float>(options_.members);
}

template <class Label>
void ResultPainter::decide(int64_t z, int64_t y, Rows& rows, Label* out) const {
  const int64_t mx = trace_.crop_shape[2];
  // as floats: the comparison and the choice then vectorise
  float *label = rows.label.data(), *best = rows.work.data();
  std::fill(label, label + mx, 0.0f);
  for (int64_t k = 0; k < classes_; ++k) {
    const float* value = rows.mean.data() + k * mx;
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

void ResultPainter::estimate(int64_t z, int64_t y, Rows& rows) const {
  const int64_t mx = trace_.crop_shape[2], volume = out_.numel(), row = classes_ * mx;
  const RowPlace place = row_place(trace_, z, y);
  float* p = rows.mean.data();
  to_probabilities(p, classes_, mx, regions_, rows.work.data());
  if (options_.probabilities) {
    float* to = probabilities_.mutable_data_ptr<float>() + place.base;
    for (int64_t k = 0; k < classes_; ++k)
      for (int64_t x = 0; x < mx; ++x) to[k * volume + x * place.step] = p[k * mx + x];
  }
  if (options_.entropy) {
    float* to = entropy_.mutable_data_ptr<float>() + place.base;
    for (int64_t x = 0; x < mx; ++x) to[x * place.step] = entropy_at(p + x, classes_, mx, regions_);
  }
  if (!options_.disagreement) return;
  // Mutual information: the entropy of the folds' mean less the mean of their entropies (Gal et al. 2017).
  const auto share = 1.0f / static_cast<float>(options_.members);
  float* to = disagreement_.mutable_data_ptr<float>() + place.base;
  float* entropies = rows.label.data();
  std::fill(entropies, entropies + mx, 0.0f);
  std::fill(rows.average.begin(), rows.average.end(), 0.0f);
  for (int64_t m = 0; m < options_.members; ++m) {
    float* own = rows.own.data() + m * row;
    to_probabilities(own, classes_, mx, regions_, rows.work.data());
    for (int64_t i = 0; i < row; ++i) rows.average[i] += share * own[i];
    for (int64_t x = 0; x < mx; ++x) entropies[x] += share * entropy_at(own + x, classes_, mx, regions_);
  }
  for (int64_t x = 0; x < mx; ++x)
    to[x * place.step] = std::max(0.0f, entropy_at(rows.average.data() + x, classes_, mx, regions_) - entropies[x]);
}

Mask ResultPainter::finish() const {
  if (next_row_ != trace_.crop_shape[0]) throw InvalidArgument("not all planes of logits came");
  std::map<int64_t, std::string> names;
  for (const auto& [name, numbers] : labels_.labels)
    if (numbers.size() == 1 && numbers[0] != 0) names[numbers[0]] = name;
  return Mask(out_, trace_.geometry, names);
}

}  // namespace vesalius::segmentation
