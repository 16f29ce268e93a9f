// SPDX-License-Identifier: Apache-2.0
#include <vesalius/outcome/roc.h>

#include <limits>

#include <ATen/ops/empty.h>

#include <vesalius/core/error.h>
#include <vesalius/outcome/detail/roc_kernel.h>

#include "outcome/common.h"

namespace vesalius::outcome {

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

std::vector<char> both_classes(const at::Tensor& y) {
  auto out = checked_binary(y, -1, "y");
  const auto up = std::count(out.begin(), out.end(), 1);
  if (up == 0 || up == static_cast<std::ptrdiff_t>(out.size()))
    throw InvalidArgument(
        "y holds one class only: the area under the ROC curve compares positives with negatives and needs both");
  return out;
}

}  // namespace

RocAuc roc_auc(const at::Tensor& y, const at::Tensor& scores) {
  const auto positive = both_classes(y);
  const int64_t n = static_cast<int64_t>(positive.size());
  if (scores.dim() < 1 || scores.dim() > 2 || scores.size(-1) != n)
    throw ShapeError("scores must be [" + std::to_string(n) + "] or [models, " + std::to_string(n) +
                     "], one for each y");
  const int64_t models = scores.dim() == 1 ? 1 : scores.size(0);
  std::vector<detail::Placements> parts;
  for (int64_t m = 0; m < models; ++m) {
    const auto row = checked_vector(scores.dim() == 1 ? scores : scores.select(0, m), n, "scores");
    parts.push_back(detail::placements(span_of(row), positive));
  }
  RocAuc out{at::empty({models}, at::kDouble), at::empty({models, models}, at::kDouble)};
  out.positives = static_cast<int64_t>(parts[0].positive.size());
  out.negatives = n - out.positives;
  double* covariance = out.covariance.data_ptr<double>();
  for (int64_t a = 0; a < models; ++a) {
    out.auc.data_ptr<double>()[a] = parts[a].auc;
    for (int64_t b = 0; b < models; ++b)
      covariance[a * models + b] =
          out.positives < 2 || out.negatives < 2
              ? kNaN
              : detail::covariance(parts[a].positive, parts[a].auc, parts[b].positive, parts[b].auc) /
                        static_cast<double>(out.positives) +
                    detail::covariance(parts[a].negative, parts[a].auc, parts[b].negative, parts[b].auc) /
                        static_cast<double>(out.negatives);
  }
  return out;
}

RocCurve roc_curve(const at::Tensor& y, const at::Tensor& score) {
  const auto positive = both_classes(y);
  const auto values_tensor = checked_vector(score, static_cast<int64_t>(positive.size()), "score");
  const auto values = span_of(values_tensor);
  std::vector<int64_t> order(values.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return values[a] > values[b]; });
  const double up = static_cast<double>(std::count(positive.begin(), positive.end(), 1)),
               down = static_cast<double>(positive.size()) - up;
  std::vector<double> fpr{0}, tpr{0}, thresholds{std::numeric_limits<double>::infinity()};
  int64_t hits = 0, alarms = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    ++(positive[order[i]] ? hits : alarms);
    if (i + 1 < order.size() && values[order[i + 1]] == values[order[i]]) continue;
    fpr.push_back(static_cast<double>(alarms) / down);
    tpr.push_back(static_cast<double>(hits) / up);
    thresholds.push_back(values[order[i]]);
  }
  return {tensor_of(fpr), tensor_of(tpr), tensor_of(thresholds)};
}

}  // namespace vesalius::outcome
