// SPDX-License-Identifier: Apache-2.0
#include <vesalius/radiomics/detail/statistics_kernel.h>

#include "radiomics/family.h"

namespace vesalius::radiomics {
namespace intensity_statistics {

using detail::Distribution;

Value mean(const Distribution& x) { return x.mean; }
Value variance(const Distribution& x) { return x.m2; }
// Sections 3.3.3 and 3.3.4: 0 where the variance is 0.
Value skewness(const Distribution& x) { return x.m2 > 0 ? x.m3 / std::pow(x.m2, 1.5) : 0.0; }
Value kurtosis(const Distribution& x) { return x.m2 > 0 ? x.m4 / (x.m2 * x.m2) - 3.0 : 0.0; }
Value median(const Distribution& x) { return x.median; }
Value minimum(const Distribution& x) { return x.min; }
Value percentile_10(const Distribution& x) { return x.p10; }
Value percentile_90(const Distribution& x) { return x.p90; }
Value maximum(const Distribution& x) { return x.max; }
Value interquartile_range(const Distribution& x) { return x.p75 - x.p25; }
Value range(const Distribution& x) { return x.max - x.min; }
Value mean_absolute_deviation(const Distribution& x) { return x.mean_deviation; }
Value robust_mean_absolute_deviation(const Distribution& x) { return x.robust_deviation; }
Value median_absolute_deviation(const Distribution& x) { return x.median_deviation; }
Value coefficient_of_variation(const Distribution& x) {
  return x.mean != 0 ? std::sqrt(x.m2) / x.mean : undefined("the mean intensity is 0");
}
Value quartile_coefficient_of_dispersion(const Distribution& x) {
  return x.p75 + x.p25 != 0 ? (x.p75 - x.p25) / (x.p75 + x.p25) : undefined("the quartiles add up to 0");
}
Value energy(const Distribution& x) { return x.sum_of_squares; }
Value root_mean_square(const Distribution& x) { return std::sqrt(x.sum_of_squares / x.n); }

constexpr Row<Distribution> kTable[] = {
    // {tag, IBSI code, title, unit, formula, section, PyRadiomics}, function
    {{"stat_mean", "Q4LE", "Mean intensity", "intensity", R"(\mu = \frac{1}{N_v} \sum_k X_{gl,k})", "3.3.1",
      "original_firstorder_Mean"},
     mean},
    {{"stat_var", "ECT3", "Intensity variance", "intensity2", R"(\sigma^2 = \frac{1}{N_v} \sum_k (X_{gl,k} - \mu)^2)",
      "3.3.2", "original_firstorder_Variance"},
     variance},
    {{"stat_skew", "KE2A", "Intensity skewness", "1",
      R"(\frac{1}{N_v} \sum_k (X_{gl,k} - \mu)^3 / \sigma^3,\ 0 \text{ if } \sigma = 0)", "3.3.3",
      "original_firstorder_Skewness"},
     skewness},
    {{"stat_kurt", "IPH6", "(Excess) intensity kurtosis", "1",
      R"(\frac{1}{N_v} \sum_k (X_{gl,k} - \mu)^4 / \sigma^4 - 3,\ 0 \text{ if } \sigma = 0)", "3.3.4", ""},
     kurtosis},
    {{"stat_median", "Y12H", "Median intensity", "intensity", R"(P_{50})", "3.3.5", "original_firstorder_Median"},
     median},
    {{"stat_min", "1GSF", "Minimum intensity", "intensity", R"(\min X_{gl})", "3.3.6", "original_firstorder_Minimum"},
     minimum},
    {{"stat_p10", "QG58", "10th intensity percentile", "intensity", R"(P_{10})", "3.3.7",
      "original_firstorder_10Percentile"},
     percentile_10},
    {{"stat_p90", "8DWT", "90th intensity percentile", "intensity", R"(P_{90})", "3.3.8",
      "original_firstorder_90Percentile"},
     percentile_90},
    {{"stat_max", "84IY", "Maximum intensity", "intensity", R"(\max X_{gl})", "3.3.9", "original_firstorder_Maximum"},
     maximum},
    {{"stat_iqr", "SALO", "Intensity interquartile range", "intensity", R"(P_{75} - P_{25})", "3.3.10",
      "original_firstorder_InterquartileRange"},
     interquartile_range},
    {{"stat_range", "2OJQ", "Intensity range", "intensity", R"(\max X_{gl} - \min X_{gl})", "3.3.11",
      "original_firstorder_Range"},
     range},
    {{"stat_mad", "4FUA", "Intensity-based mean absolute deviation", "intensity",
      R"(\frac{1}{N_v} \sum_k |X_{gl,k} - \mu|)", "3.3.12", "original_firstorder_MeanAbsoluteDeviation"},
     mean_absolute_deviation},
    {{"stat_rmad", "1128", "Intensity-based robust mean absolute deviation", "intensity",
      R"(\frac{1}{N_{10-90}} \sum_{P_{10} \le X_{gl,k} \le P_{90}} |X_{gl,k} - \mu_{10-90}|)", "3.3.13",
      "original_firstorder_RobustMeanAbsoluteDeviation"},
     robust_mean_absolute_deviation},
    {{"stat_medad", "N72L", "Intensity-based median absolute deviation", "intensity",
      R"(\frac{1}{N_v} \sum_k |X_{gl,k} - P_{50}|)", "3.3.14", ""},
     median_absolute_deviation},
    {{"stat_cov", "7TET", "Intensity-based coefficient of variation", "1", R"(\sigma / \mu)", "3.3.15", ""},
     coefficient_of_variation},
    {{"stat_qcod", "9S40", "Intensity-based quartile coefficient of dispersion", "1",
      R"((P_{75} - P_{25}) / (P_{75} + P_{25}))", "3.3.16", ""},
     quartile_coefficient_of_dispersion},
    {{"stat_energy", "N8CA", "Intensity-based energy", "intensity2", R"(\sum_k X_{gl,k}^2)", "3.3.17",
      "original_firstorder_Energy"},
     energy},
    {{"stat_rms", "5ZWQ", "Root mean square intensity", "intensity", R"(\sqrt{\frac{1}{N_v} \sum_k X_{gl,k}^2})",
      "3.3.18", "original_firstorder_RootMeanSquared"},
     root_mean_square},
};

std::vector<Distribution> prepare(const Roi& roi, const Variant&) { return {roi.distribution()}; }

}  // namespace intensity_statistics

Family make_intensity_statistics() {
  return make_family({"intensity_statistics", "Intensity-based statistics", "UHIW"}, intensity_statistics::kTable,
                     intensity_statistics::prepare);
}

}  // namespace vesalius::radiomics
