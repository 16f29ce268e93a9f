// SPDX-License-Identifier: Apache-2.0
#include <vesalius/radiomics/detail/statistics_kernel.h>

#include "radiomics/family.h"

namespace vesalius::radiomics {
namespace intensity_histogram {

/// Counts n_i of the levels 1..N_g, their distribution, and the gradient of section 3.4.20.
struct Histogram {
  std::vector<int64_t> counts;
  std::vector<double> gradient;
  detail::Distribution x;
};

Value mean(const Histogram& h) { return h.x.mean; }
Value variance(const Histogram& h) { return h.x.m2; }
Value skewness(const Histogram& h) { return h.x.m2 > 0 ? h.x.m3 / std::pow(h.x.m2, 1.5) : 0.0; }
Value kurtosis(const Histogram& h) { return h.x.m2 > 0 ? h.x.m4 / (h.x.m2 * h.x.m2) - 3.0 : 0.0; }
Value median(const Histogram& h) { return h.x.median; }
Value minimum(const Histogram& h) { return h.x.min; }
Value percentile_10(const Histogram& h) { return h.x.p10; }
Value percentile_90(const Histogram& h) { return h.x.p90; }
Value maximum(const Histogram& h) { return h.x.max; }

/// Of several highest bins the one nearest to the mean, then the lower.
Value mode(const Histogram& h) {
  size_t best = 0;
  for (size_t i = 1; i < h.counts.size(); ++i) {
    const auto off = [&](size_t k) { return std::abs(static_cast<double>(k + 1) - h.x.mean); };
    if (h.counts[i] > h.counts[best] || (h.counts[i] == h.counts[best] && off(i) < off(best))) best = i;
  }
  return static_cast<double>(best + 1);
}

Value interquartile_range(const Histogram& h) { return h.x.p75 - h.x.p25; }
Value range(const Histogram& h) { return h.x.max - h.x.min; }
Value mean_absolute_deviation(const Histogram& h) { return h.x.mean_deviation; }
Value robust_mean_absolute_deviation(const Histogram& h) { return h.x.robust_deviation; }
Value median_absolute_deviation(const Histogram& h) { return h.x.median_deviation; }
Value coefficient_of_variation(const Histogram& h) { return std::sqrt(h.x.m2) / h.x.mean; }
Value quartile_coefficient_of_dispersion(const Histogram& h) { return (h.x.p75 - h.x.p25) / (h.x.p75 + h.x.p25); }

Value entropy(const Histogram& h) {
  double sum = 0;
  for (int64_t n : h.counts)
    if (n > 0) sum += n / h.x.n * std::log2(n / h.x.n);
  return 0.0 - sum;  // not -sum: one level gives 0, not -0
}

Value uniformity(const Histogram& h) {
  double sum = 0;
  for (int64_t n : h.counts) sum += (n / h.x.n) * (n / h.x.n);
  return sum;
}

constexpr const char* kOneBin = "a histogram of one bin has no gradient";
Value maximum_gradient(const Histogram& h) {
  return h.gradient.empty() ? undefined(kOneBin) : Value(*std::ranges::max_element(h.gradient));
}
Value maximum_gradient_level(const Histogram& h) {
  return h.gradient.empty() ? undefined(kOneBin)
                            : Value(1.0 + (std::ranges::max_element(h.gradient) - h.gradient.begin()));
}
Value minimum_gradient(const Histogram& h) {
  return h.gradient.empty() ? undefined(kOneBin) : Value(*std::ranges::min_element(h.gradient));
}
Value minimum_gradient_level(const Histogram& h) {
  return h.gradient.empty() ? undefined(kOneBin)
                            : Value(1.0 + (std::ranges::min_element(h.gradient) - h.gradient.begin()));
}

constexpr Row<Histogram> kTable[] = {
    // {tag, IBSI code, title, unit, formula, section, PyRadiomics}, function
    {{"ih_mean", "X6K6", "Mean discretised intensity", "1", R"(\mu = \sum_i i\, p_i)", "3.4.1", ""}, mean},
    {{"ih_var", "CH89", "Discretised intensity variance", "1", R"(\sigma^2 = \sum_i (i - \mu)^2 p_i)", "3.4.2", ""},
     variance},
    {{"ih_skew", "88K1", "Discretised intensity skewness", "1",
      R"(\sum_i (i - \mu)^3 p_i / \sigma^3,\ 0 \text{ if } \sigma = 0)", "3.4.3", ""},
     skewness},
    {{"ih_kurt", "C3I7", "(Excess) discretised intensity kurtosis", "1",
      R"(\sum_i (i - \mu)^4 p_i / \sigma^4 - 3,\ 0 \text{ if } \sigma = 0)", "3.4.4", ""},
     kurtosis},
    {{"ih_median", "WIFQ", "Median discretised intensity", "1", R"(P_{50})", "3.4.5", ""}, median},
    {{"ih_min", "1PR8", "Minimum discretised intensity", "1", R"(\min X_d)", "3.4.6", ""}, minimum},
    {{"ih_p10", "GPMT", "10th discretised intensity percentile", "1", R"(P_{10})", "3.4.7", ""}, percentile_10},
    {{"ih_p90", "OZ0C", "90th discretised intensity percentile", "1", R"(P_{90})", "3.4.8", ""}, percentile_90},
    {{"ih_max", "3NCY", "Maximum discretised intensity", "1", R"(\max X_d)", "3.4.9", ""}, maximum},
    {{"ih_mode", "AMMC", "Intensity histogram mode", "1", R"(\arg\max_i n_i)", "3.4.10", ""}, mode},
    {{"ih_iqr", "WR0O", "Discretised intensity interquartile range", "1", R"(P_{75} - P_{25})", "3.4.11", ""},
     interquartile_range},
    {{"ih_range", "5Z3W", "Discretised intensity range", "1", R"(\max X_d - \min X_d)", "3.4.12", ""}, range},
    {{"ih_mad", "D2ZX", "Intensity histogram mean absolute deviation", "1", R"(\sum_i |i - \mu|\, p_i)", "3.4.13", ""},
     mean_absolute_deviation},
    {{"ih_rmad", "WRZB", "Intensity histogram robust mean absolute deviation", "1",
      R"(\frac{1}{N_{10-90}} \sum_{P_{10} \le X_{d,k} \le P_{90}} |X_{d,k} - \mu_{10-90}|)", "3.4.14", ""},
     robust_mean_absolute_deviation},
    {{"ih_medad", "4RNL", "Intensity histogram median absolute deviation", "1", R"(\sum_i |i - P_{50}|\, p_i)",
      "3.4.15", ""},
     median_absolute_deviation},
    {{"ih_cov", "CWYJ", "Intensity histogram coefficient of variation", "1", R"(\sigma / \mu)", "3.4.16", ""},
     coefficient_of_variation},
    {{"ih_qcod", "SLWD", "Intensity histogram quartile coefficient of dispersion", "1",
      R"((P_{75} - P_{25}) / (P_{75} + P_{25}))", "3.4.17", ""},
     quartile_coefficient_of_dispersion},
    {{"ih_entropy", "TLU2", "Discretised intensity entropy", "1", R"(-\sum_i p_i \log_2 p_i)", "3.4.18",
      "original_firstorder_Entropy"},
     entropy},
    {{"ih_uniformity", "BJ5W", "Discretised intensity uniformity", "1", R"(\sum_i p_i^2)", "3.4.19",
      "original_firstorder_Uniformity"},
     uniformity},
    {{"ih_max_grad", "12CE", "Maximum histogram gradient", "1", R"(\max H',\ H'_i = (n_{i+1} - n_{i-1}) / 2)", "3.4.20",
      ""},
     maximum_gradient},
    {{"ih_max_grad_g", "8E6O", "Maximum histogram gradient intensity", "1", R"(\arg\max_i H'_i)", "3.4.21", ""},
     maximum_gradient_level},
    {{"ih_min_grad", "VQB3", "Minimum histogram gradient", "1", R"(\min H')", "3.4.22", ""}, minimum_gradient},
    {{"ih_min_grad_g", "RHQZ", "Minimum histogram gradient intensity", "1", R"(\arg\min_i H'_i)", "3.4.23", ""},
     minimum_gradient_level},
};

std::vector<Histogram> prepare(const Roi& roi, const Variant&) {
  Histogram h;
  const Levels& levels = roi.levels();
  h.counts.assign(levels.counts.begin() + 1, levels.counts.end());  // 0 is outside
  h.x = detail::describe_counts(h.counts);
  const int64_t n = levels.n;
  const auto& c = h.counts;
  for (int64_t i = 0; i < n && n > 1; ++i)
    h.gradient.push_back(i == 0 ? c[1] - c[0] : i == n - 1 ? c[n - 1] - c[n - 2] : 0.5 * (c[i + 1] - c[i - 1]));
  return {h};
}

}  // namespace intensity_histogram

Family make_intensity_histogram() {
  return make_family({"intensity_histogram", "Intensity histogram", "ZVCW"}, intensity_histogram::kTable,
                     intensity_histogram::prepare);
}

}  // namespace vesalius::radiomics
