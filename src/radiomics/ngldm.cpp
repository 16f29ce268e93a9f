// SPDX-License-Identifier: Apache-2.0
#include "radiomics/neighbourhoods.h"

namespace vesalius::radiomics {
namespace ngldm {

constexpr Row<SizeMatrix> kTable[] = {
    // {tag, IBSI code, title, unit, formula, section, PyRadiomics}, function
    {{"ngl_lde", "SODN", "Low dependence emphasis", "1", R"(\frac{1}{N_s} \sum_{ij} s_{ij} / j^2)", "3.11.1",
      "original_gldm_SmallDependenceEmphasis"},
     size_matrix::small_emphasis},
    {{"ngl_hde", "IMOQ", "High dependence emphasis", "1", R"(\frac{1}{N_s} \sum_{ij} j^2 s_{ij})", "3.11.2",
      "original_gldm_LargeDependenceEmphasis"},
     size_matrix::large_emphasis},
    {{"ngl_lgce", "TL9H", "Low grey level count emphasis", "1", R"(\frac{1}{N_s} \sum_{ij} s_{ij} / i^2)", "3.11.3",
      "original_gldm_LowGrayLevelEmphasis"},
     size_matrix::low_level_emphasis},
    {{"ngl_hgce", "OAE7", "High grey level count emphasis", "1", R"(\frac{1}{N_s} \sum_{ij} i^2 s_{ij})", "3.11.4",
      "original_gldm_HighGrayLevelEmphasis"},
     size_matrix::high_level_emphasis},
    {{"ngl_ldlge", "EQ3F", "Low dependence low grey level emphasis", "1",
      R"(\frac{1}{N_s} \sum_{ij} s_{ij} / (i^2 j^2))", "3.11.5", "original_gldm_SmallDependenceLowGrayLevelEmphasis"},
     size_matrix::small_low_emphasis},
    {{"ngl_ldhge", "JA6D", "Low dependence high grey level emphasis", "1",
      R"(\frac{1}{N_s} \sum_{ij} i^2 s_{ij} / j^2)", "3.11.6", "original_gldm_SmallDependenceHighGrayLevelEmphasis"},
     size_matrix::small_high_emphasis},
    {{"ngl_hdlge", "NBZI", "High dependence low grey level emphasis", "1",
      R"(\frac{1}{N_s} \sum_{ij} j^2 s_{ij} / i^2)", "3.11.7", "original_gldm_LargeDependenceLowGrayLevelEmphasis"},
     size_matrix::large_low_emphasis},
    {{"ngl_hdhge", "9QMG", "High dependence high grey level emphasis", "1", R"(\frac{1}{N_s} \sum_{ij} i^2 j^2 s_{ij})",
      "3.11.8", "original_gldm_LargeDependenceHighGrayLevelEmphasis"},
     size_matrix::large_high_emphasis},
    {{"ngl_glnu", "FP8K", "Grey level non-uniformity", "1", R"(\frac{1}{N_s} \sum_i (\sum_j s_{ij})^2)", "3.11.9",
      "original_gldm_GrayLevelNonUniformity"},
     size_matrix::level_non_uniformity},
    {{"ngl_glnu_norm", "5SPA", "Normalised grey level non-uniformity", "1",
      R"(\frac{1}{N_s^2} \sum_i (\sum_j s_{ij})^2)", "3.11.10", ""},
     size_matrix::level_non_uniformity_normalised},
    {{"ngl_dcnu", "Z87G", "Dependence count non-uniformity", "1", R"(\frac{1}{N_s} \sum_j (\sum_i s_{ij})^2)",
      "3.11.11", "original_gldm_DependenceNonUniformity"},
     size_matrix::size_non_uniformity},
    {{"ngl_dcnu_norm", "OKJI", "Normalised dependence count non-uniformity", "1",
      R"(\frac{1}{N_s^2} \sum_j (\sum_i s_{ij})^2)", "3.11.12", "original_gldm_DependenceNonUniformityNormalized"},
     size_matrix::size_non_uniformity_normalised},
    {{"ngl_dc_perc", "6XV8", "Dependence count percentage", "1", R"(N_s / N_v)", "3.11.13", ""},
     size_matrix::percentage},
    {{"ngl_gl_var", "1PFV", "Grey level variance", "1", R"(\sum_{ij} (i - \mu)^2 p_{ij},\ p_{ij} = s_{ij} / N_s)",
      "3.11.14", "original_gldm_GrayLevelVariance"},
     size_matrix::level_variance},
    {{"ngl_dc_var", "DNX2", "Dependence count variance", "1", R"(\sum_{ij} (j - \mu)^2 p_{ij})", "3.11.15",
      "original_gldm_DependenceVariance"},
     size_matrix::size_variance},
    {{"ngl_dc_entr", "FCBV", "Dependence count entropy", "1", R"(-\sum_{ij} p_{ij} \log_2 p_{ij})", "3.11.16",
      "original_gldm_DependenceEntropy"},
     size_matrix::entropy},
    {{"ngl_dc_energy", "CAS9", "Dependence count energy", "1", R"(\sum_{ij} p_{ij}^2)", "3.11.17", ""},
     size_matrix::energy},
};

/// A voxel's dependence is 1 plus the number of its neighbours of the same level (distance 1, α = 0).
std::vector<SizeMatrix> prepare(const Roi& roi, const Variant& variant) {
  return neighbour_matrices(roi, variant).dependences;
}

}  // namespace ngldm

Family make_ngldm() {
  return make_family({"ngldm", "Neighbouring grey level dependence", "REK0"}, ngldm::kTable, ngldm::prepare,
                     zone_variants, kThreeAggregations);
}

}  // namespace vesalius::radiomics
