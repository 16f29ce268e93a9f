// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include <vesalius/radiomics/detail/vectorised.h>

namespace vesalius::radiomics::detail {

/// What the features of a distribution are made of (IBSI 1, sections 3.3 and 3.4), each moment about the mean and
/// divided by n.
struct Distribution {
  double n = 0, mean = 0, m2 = 0, m3 = 0, m4 = 0, sum_of_squares = 0;
  double min = 0, p10 = 0, p25 = 0, median = 0, p75 = 0, p90 = 0, max = 0;
  double mean_deviation = 0;    ///< from the mean, absolute
  double robust_deviation = 0;  ///< the same of the values within [p10, p90], from their mean
  double median_deviation = 0;  ///< from the median, absolute
};

/// Sums over the values. `each(f)` calls `f(value, weight)` for all; percentiles, min and max must be there already.
/// Passes of their own for mean and moments: the textbook one-pass formula cancels for CT-like offsets.
template <class Each>
void fill_moments(Distribution& d, const Each& each) {
  double sum = 0, robust_sum = 0, robust_n = 0;
  d.n = 0;
  each([&](double x, double w) {
    d.n += w;
    sum += w * x;
    if (x >= d.p10 && x <= d.p90) robust_sum += w * x, robust_n += w;
  });
  d.mean = d.min == d.max ? d.min : sum / d.n;  // exact for a constant region, so that its variance is 0
  const double robust_mean = d.min == d.max ? d.min : robust_sum / robust_n;
  double m2 = 0, m3 = 0, m4 = 0, squares = 0, mad = 0, rmad = 0, medad = 0;
  each([&](double x, double w) {
    const double c = x - d.mean, c2 = c * c;
    m2 += w * c2;
    m3 += w * c2 * c;
    m4 += w * c2 * c2;
    squares += w * x * x;
    mad += w * std::abs(c);
    medad += w * std::abs(x - d.median);
    if (x >= d.p10 && x <= d.p90) rmad += w * std::abs(x - robust_mean);
  });
  d.m2 = m2 / d.n, d.m3 = m3 / d.n, d.m4 = m4 / d.n;
  d.sum_of_squares = squares;
  d.mean_deviation = mad / d.n;
  d.median_deviation = medad / d.n;
  d.robust_deviation = robust_n > 0 ? rmad / robust_n : 0;  // p10 and p90 may both lie between two values
}

/// Percentiles interpolate linearly between order statistics (Hyndman and Fan's type 7, numpy's default, with which
/// the digital phantom's 90th percentile is IBSI's 4). `order(k)` gives the k-th smallest, asked in ascending k.
template <class Order>
void fill_percentiles(Distribution& d, int64_t n, const Order& order) {
  const auto percentile = [&](double p) {
    const double position = p * static_cast<double>(n - 1);
    const auto below = static_cast<int64_t>(position);
    const double low = order(below);
    const double part = position - static_cast<double>(below);
    return part > 0 ? low + part * (order(below + 1) - low) : low;
  };
  d.p10 = percentile(0.10);
  d.p25 = percentile(0.25);
  d.median = percentile(0.50);
  d.p75 = percentile(0.75);
  d.p90 = percentile(0.90);
}

/// Order statistics of plain values: which are the `ranks`-th smallest, ascending and counted from 0. Values are sorted into
/// a few thousand bins by size, and only the bins that hold a rank are looked at closely.
inline std::vector<double> select_ranks(std::span<const double> values, double least, double most,
                                        std::span<const int64_t> ranks) {
  constexpr int64_t kBins = 2048;
  const double scale = (kBins - 1) / (most - least);
  std::vector<double> out;
  if (!(scale > 0) || !std::isfinite(scale)) {  // equal values, or a range beyond double
    std::vector<double> work(values.begin(), values.end());
    for (int64_t rank : ranks) {
      std::nth_element(work.begin(), work.begin() + rank, work.end());
      out.push_back(work[rank]);
    }
    return out;
  }
  const auto bin_of = [&](double x) { return static_cast<int32_t>((x - least) * scale); };
  std::vector<int64_t> count(kBins, 0);
  for (double x : values) ++count[bin_of(x)];
  std::vector<int32_t> list_of(kBins, -1);
  std::vector<std::vector<double>> lists;
  const auto place = [&](int64_t rank) {  // the bin, and the rank in it
    int64_t bin = 0;
    for (; rank >= count[bin]; ++bin) rank -= count[bin];
    return std::pair{bin, rank};
  };
  for (int64_t rank : ranks) {
    const int64_t bin = place(rank).first;
    if (list_of[bin] >= 0) continue;
    list_of[bin] = static_cast<int32_t>(lists.size());
    lists.emplace_back().reserve(count[bin]);
  }
  for (double x : values)
    if (const int32_t list = list_of[bin_of(x)]; list >= 0) lists[list].push_back(x);
  for (int64_t rank : ranks) {
    const auto [bin, within] = place(rank);
    auto& list = lists[list_of[bin]];
    std::nth_element(list.begin(), list.begin() + within, list.end());
    out.push_back(list[within]);
  }
  return out;
}

/// Sums in eight lanes, which the processor adds up side by side; also more exact than one long sum.
template <int kSums, class Terms>
std::array<double, kSums> sum_terms(std::span<const double> values, const Terms& terms) {
  constexpr int64_t kWide = 8;
  double lanes[kSums][kWide] = {};
  const int64_t n = static_cast<int64_t>(values.size()), whole = n / kWide * kWide;
  for (int64_t i = 0; i < whole; i += kWide)
    for (int64_t k = 0; k < kWide; ++k) {
      double t[kSums];
      terms(values[i + k], t);
      for (int s = 0; s < kSums; ++s) lanes[s][k] += t[s];
    }
  for (int64_t i = whole; i < n; ++i) {
    double t[kSums];
    terms(values[i], t);
    for (int s = 0; s < kSums; ++s) lanes[s][0] += t[s];
  }
  std::array<double, kSums> out{};
  for (int s = 0; s < kSums; ++s)
    for (double v : lanes[s]) out[s] += v;
  return out;
}

/// Of plain values, at least one; linear in their number. Passes of their own for mean and moments: the textbook one-pass
/// formula cancels for CT-like offsets.
inline Distribution describe(std::span<const double> values) {
  Distribution d;
  const auto n = static_cast<int64_t>(values.size());
  d.n = static_cast<double>(n);
  double least = values[0], most = values[0];
  vectorised([&] {
    for (double x : values) least = x < least ? x : least, most = x > most ? x : most;
  });
  d.min = least, d.max = most;
  std::vector<int64_t> ranks;
  fill_percentiles(d, n, [&](int64_t k) {
    ranks.push_back(k);
    return 0.0;
  });
  const std::vector<double> selected = select_ranks(values, least, most, ranks);
  size_t next = 0;
  fill_percentiles(d, n, [&](int64_t) { return selected[next++]; });

  const bool constant = d.min == d.max;  // exact, so that its variance is 0
  vectorised([&] {
    const auto [sum, robust_sum, robust_n] = sum_terms<3>(values, [&](double x, double* t) {
      const bool robust = x >= d.p10 && x <= d.p90;
      t[0] = x, t[1] = robust ? x : 0.0, t[2] = robust ? 1.0 : 0.0;
    });
    d.mean = constant ? d.min : sum / d.n;
    const double robust_mean = constant ? d.min : robust_sum / robust_n;
    const auto sums = sum_terms<7>(values, [&](double x, double* t) {
      const double c = x - d.mean, c2 = c * c;
      t[0] = c2, t[1] = c2 * c, t[2] = c2 * c2, t[3] = x * x, t[4] = std::abs(c), t[5] = std::abs(x - d.median);
      t[6] = x >= d.p10 && x <= d.p90 ? std::abs(x - robust_mean) : 0.0;
    });
    d.m2 = sums[0] / d.n, d.m3 = sums[1] / d.n, d.m4 = sums[2] / d.n;
    d.sum_of_squares = sums[3];
    d.mean_deviation = sums[4] / d.n;
    d.median_deviation = sums[5] / d.n;
    d.robust_deviation = robust_n > 0 ? sums[6] / robust_n : 0;  // p10 and p90 may both lie between two values
  });
  return d;
}

/// Of levels 1, 2, … with their counts.
inline Distribution describe_counts(std::span<const int64_t> counts) {
  Distribution d;
  int64_t n = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] > 0 && n == 0) d.min = static_cast<double>(i + 1);
    if (counts[i] > 0) d.max = static_cast<double>(i + 1);
    n += counts[i];
  }
  fill_percentiles(d, n, [&](int64_t k) {
    size_t level = 0;
    for (int64_t seen = counts[0]; seen <= k; seen += counts[++level]) {
    }
    return static_cast<double>(level + 1);
  });
  fill_moments(d, [&](const auto& f) {
    for (size_t i = 0; i < counts.size(); ++i)
      if (counts[i]) f(static_cast<double>(i + 1), static_cast<double>(counts[i]));
  });
  return d;
}

}  // namespace vesalius::radiomics::detail
