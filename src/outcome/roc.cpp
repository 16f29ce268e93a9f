// SPDX-License-Identifier: Apache-2.0
#include <vesalius/outcome/roc.h>

#include <cmath>
#include <limits>

#include <ATen/ops/empty.h>

#include <vesalius/core/error.h>
#include <vesalius/outcome/detail/order.h>
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

AveragePrecision average_precision(const at::Tensor& y, const at::Tensor& score,
                                   const std::optional<at::Tensor>& weights) {
  const auto positive = both_classes(y);
  const int64_t n = static_cast<int64_t>(positive.size());
  const auto tensor = checked_vector(score, n, "score");
  const auto w = checked_weights(weights, n);
  const auto ranks = detail::dense_ranks(span_of(tensor));
  AveragePrecision out;
  double all = 0, up = 0;
  std::vector<double> called(ranks.count + 1, 0.0), hits(ranks.count + 1, 0.0);  // by rank: weight of score ≥ that
  for (int64_t i = 0; i < n; ++i) {
    called[ranks.rank[i]] += w[i];
    hits[ranks.rank[i]] += positive[i] ? w[i] : 0.0;
    all += w[i], up += positive[i] ? w[i] : 0.0;
    out.positives += positive[i], out.negatives += !positive[i];
  }
  if (!(up > 0) || !(all > up)) throw InvalidArgument("one class has no weight: precision and recall need both");
  std::vector<double> own = hits;
  for (int64_t r = ranks.count; r-- > 0;) called[r] += called[r + 1], hits[r] += hits[r + 1];
  // AP = Σ own_r / up · hits_r / called_r.  A subject changes hits and called at its rank and all below.
  std::vector<double> by_hits(ranks.count + 1, 0.0), by_called(ranks.count + 1, 0.0);
  for (int64_t r = 0; r < ranks.count; ++r) {
    const double share = called[r] > 0 ? own[r] / up : 0.0, precision = called[r] > 0 ? hits[r] / called[r] : 0.0;
    out.value += share * precision;
    by_hits[r + 1] = by_hits[r] + (share > 0 ? share / called[r] : 0.0);
    by_called[r + 1] = by_called[r] + (share > 0 ? share * precision / called[r] : 0.0);
  }
  double variance = 0;
  for (int64_t i = 0; i < n; ++i) {
    const int64_t r = ranks.rank[i];
    double derivative = -by_called[r + 1];
    if (positive[i]) derivative += by_hits[r + 1] + (hits[r] / called[r] - out.value) / up;
    variance += w[i] * w[i] * derivative * derivative;
  }
  out.standard_error = out.positives < 2 || out.negatives < 2 ? kNaN : std::sqrt(variance);
  out.prevalence = up / all;
  return out;
}

}  // namespace vesalius::outcome
