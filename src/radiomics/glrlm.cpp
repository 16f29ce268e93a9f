// SPDX-License-Identifier: Apache-2.0
#include <vesalius/radiomics/glcm.h>

#include "radiomics/size_matrix.h"

namespace vesalius::radiomics {
namespace glrlm {

constexpr Row<SizeMatrix> kTable[] = {
    // {tag, IBSI code, title, unit, formula, section, PyRadiomics}, function
    {{"rlm_sre", "22OV", "Short runs emphasis", "1", R"(\frac{1}{N_s} \sum_{ij} r_{ij} / j^2)", "3.7.1",
      "original_glrlm_ShortRunEmphasis"},
     size_matrix::small_emphasis},
    {{"rlm_lre", "W4KF", "Long runs emphasis", "1", R"(\frac{1}{N_s} \sum_{ij} j^2 r_{ij})", "3.7.2",
      "original_glrlm_LongRunEmphasis"},
     size_matrix::large_emphasis},
    {{"rlm_lgre", "V3SW", "Low grey level run emphasis", "1", R"(\frac{1}{N_s} \sum_{ij} r_{ij} / i^2)", "3.7.3",
      "original_glrlm_LowGrayLevelRunEmphasis"},
     size_matrix::low_level_emphasis},
    {{"rlm_hgre", "G3QZ", "High grey level run emphasis", "1", R"(\frac{1}{N_s} \sum_{ij} i^2 r_{ij})", "3.7.4",
      "original_glrlm_HighGrayLevelRunEmphasis"},
     size_matrix::high_level_emphasis},
    {{"rlm_srlge", "HTZT", "Short run low grey level emphasis", "1", R"(\frac{1}{N_s} \sum_{ij} r_{ij} / (i^2 j^2))",
      "3.7.5", "original_glrlm_ShortRunLowGrayLevelEmphasis"},
     size_matrix::small_low_emphasis},
    {{"rlm_srhge", "GD3A", "Short run high grey level emphasis", "1", R"(\frac{1}{N_s} \sum_{ij} i^2 r_{ij} / j^2)",
      "3.7.6", "original_glrlm_ShortRunHighGrayLevelEmphasis"},
     size_matrix::small_high_emphasis},
    {{"rlm_lrlge", "IVPO", "Long run low grey level emphasis", "1", R"(\frac{1}{N_s} \sum_{ij} j^2 r_{ij} / i^2)",
      "3.7.7", "original_glrlm_LongRunLowGrayLevelEmphasis"},
     size_matrix::large_low_emphasis},
    {{"rlm_lrhge", "3KUM", "Long run high grey level emphasis", "1", R"(\frac{1}{N_s} \sum_{ij} i^2 j^2 r_{ij})",
      "3.7.8", "original_glrlm_LongRunHighGrayLevelEmphasis"},
     size_matrix::large_high_emphasis},
    {{"rlm_glnu", "R5YN", "Grey level non-uniformity", "1", R"(\frac{1}{N_s} \sum_i (\sum_j r_{ij})^2)", "3.7.9",
      "original_glrlm_GrayLevelNonUniformity"},
     size_matrix::level_non_uniformity},
    {{"rlm_glnu_norm", "OVBL", "Normalised grey level non-uniformity", "1",
      R"(\frac{1}{N_s^2} \sum_i (\sum_j r_{ij})^2)", "3.7.10", "original_glrlm_GrayLevelNonUniformityNormalized"},
     size_matrix::level_non_uniformity_normalised},
    {{"rlm_rlnu", "W92Y", "Run length non-uniformity", "1", R"(\frac{1}{N_s} \sum_j (\sum_i r_{ij})^2)", "3.7.11",
      "original_glrlm_RunLengthNonUniformity"},
     size_matrix::size_non_uniformity},
    {{"rlm_rlnu_norm", "IC23", "Normalised run length non-uniformity", "1",
      R"(\frac{1}{N_s^2} \sum_j (\sum_i r_{ij})^2)", "3.7.12", "original_glrlm_RunLengthNonUniformityNormalized"},
     size_matrix::size_non_uniformity_normalised},
    {{"rlm_r_perc", "9ZK5", "Run percentage", "1", R"(N_s / N_v)", "3.7.13", "original_glrlm_RunPercentage"},
     size_matrix::percentage},
    {{"rlm_gl_var", "8CE5", "Grey level variance", "1", R"(\sum_{ij} (i - \mu)^2 p_{ij},\ p_{ij} = r_{ij} / N_s)",
      "3.7.14", "original_glrlm_GrayLevelVariance"},
     size_matrix::level_variance},
    {{"rlm_rl_var", "SXLW", "Run length variance", "1", R"(\sum_{ij} (j - \mu)^2 p_{ij})", "3.7.15",
      "original_glrlm_RunVariance"},
     size_matrix::size_variance},
    {{"rlm_rl_entr", "HJ9O", "Run entropy", "1", R"(-\sum_{ij} p_{ij} \log_2 p_{ij})", "3.7.16",
      "original_glrlm_RunEntropy"},
     size_matrix::entropy},
};

/// Merged matrices stand for as many voxels as there are in each of them, so that the run percentage stays below 1.
std::vector<SizeMatrix> prepare(const Roi& roi, const Variant& variant) {
  const Levels& levels = roi.levels();
  const bool in_slice =
      variant.aggregation != Aggregation::averaged_3d && variant.aggregation != Aggregation::merged_3d;
  const at::Tensor offsets = neighbour_offsets(1, in_slice);
  const int64_t directions = offsets.size(0);
  const bool by_direction = variant.aggregation == Aggregation::averaged_2d ||
                            variant.aggregation == Aggregation::direction_merged ||
                            variant.aggregation == Aggregation::averaged_3d;
  const bool by_slice =
      variant.aggregation == Aggregation::averaged_2d || variant.aggregation == Aggregation::slice_merged_2d;
  std::vector<SizeMatrix> out;
  std::vector<SizeCounts> matrices(by_direction ? directions : 1, SizeCounts(levels.n));
  const auto flush = [&] {
    for (auto& counts : matrices) {
      if (!counts.empty()) out.push_back(counts.finish());
      counts = SizeCounts(levels.n);
    }
  };
  for_each_part(levels, in_slice, [&](const detail::PaddedLevels& padded, int64_t) {
    for (int64_t d = 0; d < directions; ++d) {
      SizeCounts& counts = matrices[by_direction ? d : 0];
      counts.add_voxels(static_cast<int64_t>(padded.inside.size()));
      detail::for_each_run(padded, padded.box.step(offsets.const_data_ptr<int64_t>() + 3 * d),
                           [&](int64_t level, int64_t length) { counts.add(level, length); });
    }
    if (by_slice) flush();
  });
  flush();
  return out;
}

}  // namespace glrlm

Family make_glrlm() {
  return make_family({"glrlm", "Grey level run length", "TP0I"}, glrlm::kTable, glrlm::prepare, run_variants,
                     kSixAggregations);
}

}  // namespace vesalius::radiomics
