// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

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

/// Of plain values, at least one; linear in their number.
inline Distribution describe(std::span<const double> values) {
  Distribution d;
  std::vector<double> work(values.begin(), values.end());
  const auto [least, most] = std::minmax_element(work.begin(), work.end());
  d.min = *least, d.max = *most;
  // Each selection leaves everything before it smaller: the next looks at the rest only.
  int64_t sorted = 0;
  fill_percentiles(d, static_cast<int64_t>(work.size()), [&](int64_t k) {
    if (k >= sorted) {
      std::nth_element(work.begin() + sorted, work.begin() + k, work.end());
      sorted = k + 1;
    }
    return work[k];
  });
  fill_moments(d, [&](const auto& f) {
    for (double x : values) f(x, 1.0);
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
