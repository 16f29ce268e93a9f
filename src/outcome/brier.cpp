// SPDX-License-Identifier: Apache-2.0
#include <vesalius/outcome/brier.h>

#include <atomic>
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
constexpr int64_t kTimesAtOnce = 16;  // two cache lines of each row of predictions

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

/// Of everyone's risk at t.
double null_score(const OverTime& data, const Sums& sums, double t) {
  const int64_t upto = data.cohort.upto(t);
  const double p = sums.risk[upto], survived = upto < data.cohort.size() ? 1 / data.censoring.at(t) : 0.0;
  return (sums.cases[upto] * (1 - p) * (1 - p) + (sums.others[upto] + data.cohort.at_risk[upto] * survived) * p * p) /
         data.cohort.total;
}

struct Score {
  double brier = kNoScore, null = kNoScore, error = kNoScore, scaled_error = kNoScore;
};

/// One time; `risk` by place. Fills the influences by place of the score and of the null model's.
Score score_at(const OverTime& data, const Sums& sums, double t, const double* risk, std::span<double> influence,
               std::span<double> null_influence) {
  const auto& cohort = data.cohort;
  const int64_t n = cohort.size(), upto = cohort.upto(t);
  const double survived = upto < n ? 1 / data.censoring.at(t) : 0.0, scale = 1 / cohort.total;
  const double p = sums.risk[upto], hit = (1 - p) * (1 - p), miss = p * p;
  Score out;
  out.null = null_score(data, sums, t);
  double sum = 0, late = 0;
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

/// Columns [first, end) of the predictions as risks, each by place; false if one is no probability.
bool gather(const OverTime& data, const at::Tensor& predicted, bool survival, int64_t first, int64_t end,
            std::vector<double>& block) {
  const int64_t n = data.cohort.size(), width = predicted.size(1);
  const double* from = predicted.const_data_ptr<double>();
  std::atomic<bool> right{true};
  at::parallel_for(0, n, 1 << 14, [&](int64_t begin, int64_t stop) {
    bool all = true;
    for (int64_t i = begin; i < stop; ++i) {
      const double* row = from + data.cohort.order[i] * width;
      for (int64_t k = first; k < end; ++k) {
        const double p = row[k];
        all &= p >= -1e-9 && p <= 1 + 1e-9;
        block[(k - first) * n + i] = survival ? 1 - p : p;
      }
    }
    if (!all) right = false;
  });
  return right;
}

/// Scores alone, all times of a row of predictions at once as they lie in memory; false if one is no probability.
bool scores_by_row(const OverTime& data, const at::Tensor& predicted, bool survival, std::vector<double>& scores) {
  constexpr int64_t kChunk = 1 << 13;  // sums of chunks: the same however many threads there are
  const auto& cohort = data.cohort;
  const int64_t n = cohort.size(), width = predicted.size(1), chunks = (n + kChunk - 1) / kChunk;
  struct Subject {
    double inverse, weight;
    int32_t known;  // the first time that is not before the subject's
    bool is_case;
  };
  std::vector<Subject> subjects(n);
  std::vector<double> survived(width);
  for (int64_t k = 0; k < width; ++k) {
    const double g = data.censoring.at(data.times[k]);
    survived[k] = g > 0 ? 1 / g : 0.0;
  }
  int32_t known = 0;
  for (int64_t i = 0; i < n; ++i) {
    while (known < width && data.times[known] < cohort.time[i]) ++known;
    subjects[cohort.order[i]] = {data.inverse[i], cohort.weight[i], known, cohort.status[i] == 1};
  }
  std::vector<double> sums(static_cast<size_t>(chunks * width), 0.0);
  std::atomic<bool> right{true};
  const double* from = predicted.const_data_ptr<double>();
  at::parallel_for(0, chunks, 1, [&](int64_t first, int64_t last) {
    bool all = true;
    for (int64_t c = first; c < last; ++c) {
      double* sum = sums.data() + c * width;
      for (int64_t i = c * kChunk; i < std::min(n, (c + 1) * kChunk); ++i) {
        const double* row = from + i * width;
        const auto& s = subjects[i];
        for (int64_t k = 0; k < width; ++k) all &= row[k] >= -1e-9 && row[k] <= 1 + 1e-9;
        const double flip = survival ? 1.0 : 0.0, sign = survival ? -1.0 : 1.0, target = s.is_case ? 1.0 : 0.0;
        for (int64_t k = 0; k < s.known; ++k) {
          const double p = flip + sign * row[k];
          sum[k] += s.weight * survived[k] * p * p;
        }
        if (s.inverse != 0)
          for (int64_t k = s.known; k < width; ++k) {
            const double distance = target - (flip + sign * row[k]);
            sum[k] += s.inverse * distance * distance;
          }
      }
    }
    if (!all) right = false;
  });
  scores.assign(width, 0.0);
  for (int64_t c = 0; c < chunks; ++c)
    for (int64_t k = 0; k < width; ++k) scores[k] += sums[c * width + k] / cohort.total;
  return right;
}

[[noreturn]] void throw_no_probability(const at::Tensor& predicted) {
  const auto finite = checked_matrix(predicted, {});  // says where the NaN are
  for (double p : span_of(finite))
    if (p < -1e-9 || p > 1 + 1e-9)
      throw InvalidArgument("predictions must be probabilities, 0 to 1; one is " + number(p) +
                            ". Of a risk score or a linear predictor make survival curves first");
  throw InvalidArgument("predictions must be probabilities, 0 to 1");
}

at::Tensor checked_predictions(const at::Tensor& in, int64_t n, int64_t times) {
  if (in.dim() != 2 || in.size(0) != n || in.size(1) != times) {
    std::string shape;
    for (int64_t d = 0; d < in.dim(); ++d) shape += (d ? ", " : "") + std::to_string(in.size(d));
    throw ShapeError("predictions must be [" + std::to_string(n) + ", " + std::to_string(times) +
                     "], a row for each subject and a column for each time; they are [" + shape + "]");
  }
  if (in.is_complex()) throw TypeMismatch("predictions must be real; they are complex");
  return in.detach().to(at::TensorOptions().dtype(at::kDouble).device(at::kCPU)).contiguous();
}

}  // namespace

BrierCurve brier_curve(const at::Tensor& time, const at::Tensor& status, const at::Tensor& predicted_in,
                       const at::Tensor& times, const TimeOptions& options, Integration integration, bool survival,
                       const std::optional<at::Tensor>& weights) {
  const auto data = over_time(time, status, times, options, weights);
  const int64_t n = data.cohort.size(), count = static_cast<int64_t>(data.times.size());
  const auto predicted = checked_predictions(predicted_in, n, count);
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
  std::vector<double> block(room), rows(room), null_rows(room), total(errors ? n : 0, 0.0),
      null_total(errors ? n : 0, 0.0);
  const auto row = [&](std::vector<double>& all, int64_t k) {
    return std::span<double>(all.data() + k * n, static_cast<size_t>(n));
  };
  double covered = 0;
  if (!errors) {
    std::vector<double> scores;
    if (!scores_by_row(data, predicted, survival, scores)) throw_no_probability(predicted);
    for (int64_t k = 0; k < count; ++k) {
      if (!defined[k]) continue;
      const double null = null_score(data, sums, data.times[k]);
      out.brier.data_ptr<double>()[k] = scores[k];
      out.null.data_ptr<double>()[k] = null;
      if (null > 0) out.scaled.data_ptr<double>()[k] = 1 - scores[k] / null;
      if (share[k] != 0)
        out.integrated += share[k] * scores[k], out.integrated_null += share[k] * null, covered += share[k];
    }
  }
  for (int64_t first = 0; errors && first < count; first += kTimesAtOnce) {
    const int64_t end = std::min(count, first + kTimesAtOnce);
    if (!gather(data, predicted, survival, first, end, block)) throw_no_probability(predicted);
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
