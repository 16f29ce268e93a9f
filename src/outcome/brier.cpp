// SPDX-License-Identifier: Apache-2.0
#include <vesalius/outcome/brier.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>

#include <vesalius/core/error.h>

#include "outcome/brier_lanes.h"
#include "outcome/common.h"
#include "outcome/over_time.h"

namespace vesalius::outcome {

namespace {

constexpr double kNoScore = std::numeric_limits<double>::quiet_NaN();
constexpr int64_t kTimesAtOnce = 8;

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

[[noreturn]] void throw_no_probability(const at::Tensor& predicted) {
  const auto finite = checked_matrix(predicted, {});  // says where the NaN are
  for (double p : span_of(finite))
    if (p < -1e-9 || p > 1 + 1e-9)
      throw InvalidArgument("predictions must be probabilities, 0 to 1; one is " + number(p) +
                            ". Of a risk score or a linear predictor make survival curves first");
  throw InvalidArgument("predictions must be probabilities, 0 to 1");
}

/// What eight times give, with room for their work.
struct Block {
  double brier[kTimesAtOnce], null[kTimesAtOnce], error[kTimesAtOnce], scaled_error[kTimesAtOnce];
  std::vector<double> total, null_total;  ///< [n] by place: influences times their share in the integral
  std::vector<double> kept;               ///< [n, 8] influences, where asked for
  std::vector<double> load, null_load, own, gone, null_own, null_gone;  ///< [falls + 1, 8]
};

/// Predictions as risks by place, [n, 8] for each block of times [firsts, ends). Rows lie at random in memory: each is read
/// once, for all blocks, and asked for ahead.
void gather(const OverTime& data, const at::Tensor& predicted, bool survival, std::span<const int64_t> firsts,
            std::span<const int64_t> ends, std::vector<std::vector<double>>& risks) {
  constexpr int64_t kAhead = 12, kLine = 8;
  const int64_t n = data.cohort.size(), width = predicted.size(1);
  const double* from = predicted.const_data_ptr<double>();
  const double flip = survival ? 1.0 : 0.0, sign = survival ? -1.0 : 1.0;
  at::parallel_for(0, n, 1 << 14, [&](int64_t begin, int64_t stop) {
    for (int64_t i = begin; i < stop; ++i) {
      if (i + kAhead < stop) {
        const double* later = from + data.cohort.order[i + kAhead] * width;
        for (int64_t k = firsts.front(); k < ends.back(); k += kLine) __builtin_prefetch(later + k);
      }
      for (size_t b = 0; b < firsts.size(); ++b) {
        const double* row = from + data.cohort.order[i] * width + firsts[b];
        double* to = risks[b].data() + i * kTimesAtOnce;
        if (ends[b] - firsts[b] == kTimesAtOnce)
          for (int64_t l = 0; l < kTimesAtOnce; ++l) to[l] = flip + sign * row[l];
        else
          for (int64_t l = 0; l < ends[b] - firsts[b]; ++l) to[l] = flip + sign * row[l];
      }
    }
  });
}

/// Times [first, end) with errors; `risk` by place [n, 8]. False if one of them is no probability.
bool scores_with_errors(const OverTime& data, const Sums& sums, const std::vector<double>& inverse,
                        const std::vector<char>& is_case, const std::vector<double>& risk, int64_t first, int64_t end,
                        const std::vector<double>& share, bool keep, Block& out) {
  const auto& cohort = data.cohort;
  const auto& kernel = brier_kernel();
  const int64_t n = cohort.size(), falls = static_cast<int64_t>(data.censoring.curve.time.size());
  BrierLanes d;
  d.n = n, d.weight = cohort.weight.data(), d.inverse = inverse.data(), d.position = data.position.data();
  d.is_case = is_case.data(), d.fall = data.moves.fall.data(), d.at_risk = data.moves.risk.data(), d.risk = risk.data();
  double part[kTimesAtOnce] = {}, sum[kTimesAtOnce], late[kTimesAtOnce], null_late[kTimesAtOnce];
  for (int64_t l = 0; l < kTimesAtOnce; ++l) {
    const double t = data.times[std::min(first + l, end - 1)];
    d.upto[l] = cohort.upto(t);
    d.late_weight[l] = d.upto[l] < n ? 1 / data.censoring.at(t) / cohort.total : 0.0;
    const double p = sums.risk[d.upto[l]];
    d.hit[l] = (1 - p) * (1 - p), d.miss[l] = p * p;
    out.null[l] = null_score(data, sums, t);
    if (first + l < end) part[l] = share[first + l];
  }
  const size_t room = static_cast<size_t>((falls + 1) * kTimesAtOnce);
  out.load.assign(room, 0.0), out.null_load.assign(room, 0.0);
  if (!kernel.loads(d, out.load.data(), out.null_load.data(), sum, late, null_late)) return false;
  for (int64_t l = 0; l < kTimesAtOnce; ++l) {
    out.brier[l] = sum[l];
    d.mean[l] = sum[l] / cohort.total, d.null_mean[l] = out.null[l] / cohort.total;
    d.slope[l] = out.null[l] > 0 ? sum[l] / out.null[l] : 0.0;
    if (d.upto[l] == n) continue;
    const int64_t now = data.censoring.curve.upto(data.times[std::min(first + l, end - 1)]);
    out.load[now * kTimesAtOnce + l] += late[l], out.null_load[now * kTimesAtOnce + l] += null_late[l];
  }
  if (data.censoring.own) {
    for (auto* v : {&out.own, &out.gone, &out.null_own, &out.null_gone}) v->resize(room);
    const auto &per_fall = data.moves.per_fall, &per_risk = data.moves.per_risk;
    kernel.moves(falls, per_fall.data(), per_risk.data(), out.load.data(), out.own.data(), out.gone.data());
    kernel.moves(falls, per_fall.data(), per_risk.data(), out.null_load.data(), out.null_own.data(),
                 out.null_gone.data());
  }
  out.total.resize(n), out.null_total.resize(n), out.kept.resize(keep ? risk.size() : 0);
  double variance[kTimesAtOnce], scaled_variance[kTimesAtOnce];
  kernel.influences(d, data.censoring.own ? out.own.data() : nullptr, out.gone.data(), out.null_own.data(),
                    out.null_gone.data(), part, variance, scaled_variance, out.total.data(), out.null_total.data(),
                    keep ? out.kept.data() : nullptr);
  const double factor = static_cast<double>(data.members) / static_cast<double>(data.members - 1);
  for (int64_t l = 0; l < kTimesAtOnce; ++l) {
    out.error[l] = data.members > 1 ? std::sqrt(factor * variance[l]) : kNoScore;
    out.scaled_error[l] =
        data.members > 1 && out.null[l] > 0 ? std::sqrt(factor * scaled_variance[l]) / out.null[l] : kNoScore;
  }
  return true;
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

/// All times with errors; returns the share of the integral that has a score. A time without one must not touch the sums:
/// its share is 0, and what isn't finite in its lane stays there.
double with_errors(const OverTime& data, const Sums& sums, const at::Tensor& predicted, bool survival,
                   const std::vector<double>& share, const std::vector<char>& defined, bool keep, BrierCurve& out,
                   std::vector<double>& total, std::vector<double>& null_total) {
  const int64_t n = data.cohort.size(), count = static_cast<int64_t>(data.times.size());
  std::vector<double> inverse(data.inverse);
  std::vector<char> is_case(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) inverse[i] /= data.cohort.total, is_case[i] = data.cohort.status[i] == 1;
  for (int64_t k = 0; k < count; ++k)
    for (int64_t i = 0; i < n && !defined[k]; ++i) {
      const double p = predicted.const_data_ptr<double>()[i * count + k];
      if (!(p >= -1e-9 && p <= 1 + 1e-9)) throw_no_probability(predicted);
    }
  // blocks hold defined times only
  std::vector<int64_t> firsts;
  for (int64_t k = 0; k < count; ++k)
    if (defined[k] && (firsts.empty() || k >= firsts.back() + kTimesAtOnce || !defined[k - 1])) firsts.push_back(k);
  std::vector<int64_t> ends;
  for (int64_t first : firsts) {
    int64_t end = first;
    while (end < count && end < first + kTimesAtOnce && defined[end]) ++end;
    ends.push_back(end);
  }
  const size_t at_once = static_cast<size_t>(std::clamp(at::get_num_threads(), 1, 4));  // memory is 16 n numbers each
  std::vector<Block> blocks(std::min(firsts.size(), at_once));
  std::vector<std::vector<double>> risks(blocks.size());
  for (auto& risk : risks) risk.resize(static_cast<size_t>(n * kTimesAtOnce));
  double covered = 0;
  for (size_t from = 0; from < firsts.size(); from += at_once) {
    const size_t some = std::min(firsts.size() - from, at_once);
    gather(data, predicted, survival, std::span(firsts).subspan(from, some), std::span(ends).subspan(from, some),
           risks);
    std::atomic<bool> right{true};
    at::parallel_for(0, static_cast<int64_t>(some), 1, [&](int64_t begin, int64_t stop) {
      for (int64_t b = begin; b < stop; ++b)
        if (!scores_with_errors(data, sums, inverse, is_case, risks[b], firsts[from + b], ends[from + b], share, keep,
                                blocks[b]))
          right = false;
    });
    if (!right) throw_no_probability(predicted);
    for (size_t b = 0; b < some; ++b) {
      const auto& block = blocks[b];
      for (int64_t k = firsts[from + b]; k < ends[from + b]; ++k) {
        const int64_t l = k - firsts[from + b];
        out.brier.data_ptr<double>()[k] = block.brier[l];
        out.null.data_ptr<double>()[k] = block.null[l];
        if (block.null[l] > 0) out.scaled.data_ptr<double>()[k] = 1 - block.brier[l] / block.null[l];
        out.standard_error.data_ptr<double>()[k] = block.error[l];
        out.scaled_standard_error.data_ptr<double>()[k] = block.scaled_error[l];
        if (share[k] != 0) {
          out.integrated += share[k] * block.brier[l], out.integrated_null += share[k] * block.null[l];
          covered += share[k];
        }
        if (keep)
          for (int64_t i = 0; i < n; ++i)
            out.influence.data_ptr<double>()[k * n + data.cohort.order[i]] = block.kept[i * kTimesAtOnce + l];
      }
      for (int64_t i = 0; i < n; ++i) total[i] += block.total[i], null_total[i] += block.null_total[i];
    }
  }
  return covered;
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
  std::vector<double> total(errors ? n : 0, 0.0), null_total(errors ? n : 0, 0.0);
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
  if (errors)
    covered =
        with_errors(data, sums, predicted, survival, share, defined, options.keep_influence, out, total, null_total);
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
