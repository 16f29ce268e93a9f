// SPDX-License-Identifier: Apache-2.0
#include <vesalius/outcome/brier.h>

#include <cmath>
#include <limits>

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>

#include <vesalius/core/error.h>

#include "outcome/common.h"
#include "outcome/over_time.h"

namespace vesalius::outcome {

namespace {

constexpr double kNoScore = std::numeric_limits<double>::quiet_NaN();
constexpr int64_t kTimesAtOnce = 8;  // a cache line of each row of predictions

/// What all times share: sums over the first places, and the risk of everyone, which is Kaplan-Meier's or Aalen-Johansen's.
struct Sums {
  std::vector<double> cases, others;  ///< [n + 1] Σ w / G of events asked about, and of competing ones
  std::vector<double> risk;           ///< [n + 1] of the event within those
};

Sums sums_of(const OverTime& data) {
  const auto& c = data.cohort;
  const int64_t n = c.size();
  Sums out{std::vector<double>(n + 1, 0.0), std::vector<double>(n + 1, 0.0), std::vector<double>(n + 1, 0.0)};
  for (int64_t i = 0; i < n; ++i) {
    out.cases[i + 1] = out.cases[i] + (c.status[i] == 1 ? data.inverse[i] : 0.0);
    out.others[i + 1] = out.others[i] + (c.status[i] == 2 ? data.inverse[i] : 0.0);
  }
  double survival = 1, risk = 0;
  for (int64_t i = 0; i < n;) {
    int64_t end = i;
    double asked = 0, any = 0;
    for (; end < n && c.time[end] == c.time[i]; ++end) {
      asked += c.status[end] == 1 ? c.weight[end] : 0.0;
      any += c.status[end] != 0 ? c.weight[end] : 0.0;
    }
    if (any > 0) {
      risk += survival * asked / c.at_risk[i];
      survival *= 1 - any / c.at_risk[i];
    }
    for (int64_t k = i; k < end; ++k) out.risk[k + 1] = risk;
    i = end;
  }
  return out;
}

struct Score {
  double brier = kNoScore, null = kNoScore, error = kNoScore, scaled_error = kNoScore;
};

/// One time; `risk` by place. With room for them, influences by place of the score and of the null model's.
Score score_at(const OverTime& data, const Sums& sums, double t, const double* risk, std::span<double> influence,
               std::span<double> null_influence) {
  const auto& cohort = data.cohort;
  const int64_t n = cohort.size(), upto = cohort.upto(t);
  const double survived = upto < n ? 1 / data.censoring.at(t) : 0.0, scale = 1 / cohort.total;
  const double p = sums.risk[upto], hit = (1 - p) * (1 - p), miss = p * p;
  Score out;
  out.null = scale * (sums.cases[upto] * hit + (sums.others[upto] + cohort.at_risk[upto] * survived) * miss);
  double sum = 0, late = 0;
  if (influence.empty()) {
    for (int64_t i = 0; i < upto; ++i) {
      const double distance = (cohort.status[i] == 1 ? 1.0 : 0.0) - risk[i];
      sum += data.inverse[i] * distance * distance;
    }
    for (int64_t i = upto; i < n; ++i) late += cohort.weight[i] * risk[i] * risk[i];
    out.brier = scale * (sum + survived * late);
    return out;
  }
  std::vector<double> load(data.censoring.curve.time.size() + 1, 0.0), null_load(load.size(), 0.0);
  for (int64_t i = 0; i < upto; ++i) {
    const bool is_case = cohort.status[i] == 1;
    const double distance = (is_case ? 1.0 : 0.0) - risk[i], weight = scale * data.inverse[i];
    influence[i] = weight * distance * distance;
    null_influence[i] = weight * (is_case ? hit : miss);
    sum += influence[i];
    load[data.position[i]] += influence[i];
    null_load[data.position[i]] += null_influence[i];
  }
  for (int64_t i = upto; i < n; ++i) {
    const double weight = scale * survived * cohort.weight[i];
    influence[i] = weight * risk[i] * risk[i];
    null_influence[i] = weight * miss;
    late += influence[i];
  }
  out.brier = sum + late;
  if (upto < n) {
    const int64_t now = data.censoring.curve.upto(t);
    load[now] += late;
    null_load[now] += scale * survived * cohort.at_risk[upto] * miss;
  }
  const double mean = scale * out.brier, null_mean = scale * out.null;
  double variance = 0, scaled_variance = 0;
  const double slope = out.null > 0 ? out.brier / out.null : 0.0;
  const auto finish = [&](int64_t i, double move, double null_move) {
    influence[i] += cohort.weight[i] * (move - mean);
    null_influence[i] += cohort.weight[i] * (null_move - null_mean);
    variance += influence[i] * influence[i];
    const double scaled = slope * null_influence[i] - influence[i];
    scaled_variance += scaled * scaled;
  };
  if (data.censoring.own) {
    const auto& moves = data.moves;
    std::vector<double> own, gone, null_own, null_gone;
    moves.terms(load, own, gone);
    moves.terms(null_load, null_own, null_gone);
    for (int64_t i = 0; i < n; ++i)
      finish(i, own[moves.fall[i]] - gone[moves.risk[i]], null_own[moves.fall[i]] - null_gone[moves.risk[i]]);
  } else {
    for (int64_t i = 0; i < n; ++i) finish(i, 0, 0);
  }
  if (data.members > 1) {
    const double factor = static_cast<double>(data.members) / static_cast<double>(data.members - 1);
    out.error = std::sqrt(factor * variance);
    if (out.null > 0) out.scaled_error = std::sqrt(factor * scaled_variance) / out.null;
  }
  return out;
}

/// Columns [first, end) of the predictions as risks, each by place.
void gather(const OverTime& data, const at::Tensor& predicted, bool survival, int64_t first, int64_t end,
            std::vector<double>& block) {
  const int64_t n = data.cohort.size(), width = predicted.size(1);
  const double* from = predicted.const_data_ptr<double>();
  at::parallel_for(0, n, 1 << 14, [&](int64_t begin, int64_t stop) {
    for (int64_t i = begin; i < stop; ++i) {
      const double* row = from + data.cohort.order[i] * width;
      for (int64_t k = first; k < end; ++k) block[(k - first) * n + i] = survival ? 1 - row[k] : row[k];
    }
  });
}

void check_predictions(const at::Tensor& predicted, int64_t n, int64_t times) {
  if (predicted.size(0) != n || predicted.size(1) != times)
    throw ShapeError("predictions must be [" + std::to_string(n) + ", " + std::to_string(times) +
                     "], a row for each subject and a column for each time; they are [" +
                     std::to_string(predicted.size(0)) + ", " + std::to_string(predicted.size(1)) + "]");
  double low = 0, high = 1;
  for (double p : span_of(predicted)) low = std::min(low, p), high = std::max(high, p);
  if (low < -1e-9 || high > 1 + 1e-9)
    throw InvalidArgument("predictions must be probabilities, 0 to 1; one is " + number(low < -1e-9 ? low : high) +
                          ". Of a risk score or a linear predictor make survival curves first");
}

}  // namespace

BrierCurve brier_curve(const at::Tensor& time, const at::Tensor& status, const at::Tensor& predicted_in,
                       const at::Tensor& times, const TimeOptions& options, Integration integration, bool survival,
                       const std::optional<at::Tensor>& weights) {
  const auto data = over_time(time, status, times, options, weights);
  const int64_t n = data.cohort.size(), count = static_cast<int64_t>(data.times.size());
  const auto predicted = checked_matrix(predicted_in, {});
  check_predictions(predicted, n, count);
  BrierCurve out;
  for (auto* tensor : {&out.brier, &out.standard_error, &out.null, &out.scaled, &out.scaled_standard_error})
    *tensor = at::full({count}, kNoScore, at::kDouble);
  if (options.keep_influence) out.influence = at::full({count, n}, kNoScore, at::kDouble);
  std::vector<char> defined;
  for (double t : data.times) {
    out.reason.push_back(undefined_at(data, t));
    defined.push_back(out.reason.back().empty());
  }
  const auto share = integration == Integration::trapezoid ? trapezoid_weights(data.times, defined)
                                                           : step_weights(data.times, defined);
  const auto sums = sums_of(data);
  const bool errors = options.standard_error || options.keep_influence;
  const size_t room = static_cast<size_t>(errors ? n * std::min(count, kTimesAtOnce) : 0);
  std::vector<double> block(static_cast<size_t>(n * std::min(count, kTimesAtOnce))), rows(room), null_rows(room),
      total(errors ? n : 0, 0.0), null_total(errors ? n : 0, 0.0);
  const auto row = [&](std::vector<double>& all, int64_t k) {
    return errors ? std::span<double>(all.data() + k * n, static_cast<size_t>(n)) : std::span<double>{};
  };
  double covered = 0;
  for (int64_t first = 0; first < count; first += kTimesAtOnce) {
    const int64_t end = std::min(count, first + kTimesAtOnce);
    gather(data, predicted, survival, first, end, block);
    at::parallel_for(first, end, 1, [&](int64_t from, int64_t to) {
      for (int64_t k = from; k < to; ++k) {
        if (!defined[k]) continue;
        const auto score = score_at(data, sums, data.times[k], block.data() + (k - first) * n, row(rows, k - first),
                                    row(null_rows, k - first));
        out.brier.data_ptr<double>()[k] = score.brier;
        out.null.data_ptr<double>()[k] = score.null;
        if (score.null > 0) out.scaled.data_ptr<double>()[k] = 1 - score.brier / score.null;
        out.standard_error.data_ptr<double>()[k] = score.error;
        out.scaled_standard_error.data_ptr<double>()[k] = score.scaled_error;
      }
    });
    for (int64_t k = first; k < end; ++k) {
      if (!defined[k]) continue;
      const auto l = row(rows, k - first), null_l = row(null_rows, k - first);
      if (share[k] != 0) {
        out.integrated += share[k] * out.brier.data_ptr<double>()[k];
        out.integrated_null += share[k] * out.null.data_ptr<double>()[k];
        covered += share[k];
        for (size_t i = 0; i < l.size(); ++i) total[i] += share[k] * l[i], null_total[i] += share[k] * null_l[i];
      }
      if (options.keep_influence)
        for (int64_t i = 0; i < n; ++i) out.influence.data_ptr<double>()[k * n + data.cohort.order[i]] = l[i];
    }
  }
  out.integrated_standard_error = out.integrated_scaled_standard_error = out.integrated_scaled = kNoScore;
  if (covered == 0) {
    out.integrated = out.integrated_null = kNoScore;
    return out;
  }
  if (out.integrated_null > 0) out.integrated_scaled = 1 - out.integrated / out.integrated_null;
  if (errors) {
    out.integrated_standard_error = error_of(total, data.members);
    if (out.integrated_null > 0) {
      for (int64_t i = 0; i < n; ++i)
        total[i] = (out.integrated * null_total[i] / out.integrated_null - total[i]) / out.integrated_null;
      out.integrated_scaled_standard_error = error_of(total, data.members);
    }
  }
  return out;
}

}  // namespace vesalius::outcome
