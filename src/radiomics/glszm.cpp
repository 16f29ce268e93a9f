// SPDX-License-Identifier: Apache-2.0
#include "radiomics/zones.h"

namespace vesalius::radiomics {
namespace glszm {

constexpr Row<SizeMatrix> kTable[] = {
    // {tag, IBSI code, title, unit, formula, section, PyRadiomics}, function
    {{"szm_sze", "5QRC", "Small zone emphasis", "1", R"(\frac{1}{N_s} \sum_{ij} s_{ij} / j^2)", "3.8.1",
      "original_glszm_SmallAreaEmphasis"},
     size_matrix::small_emphasis},
    {{"szm_lze", "48P8", "Large zone emphasis", "1", R"(\frac{1}{N_s} \sum_{ij} j^2 s_{ij})", "3.8.2",
      "original_glszm_LargeAreaEmphasis"},
     size_matrix::large_emphasis},
    {{"szm_lgze", "XMSY", "Low grey level zone emphasis", "1", R"(\frac{1}{N_s} \sum_{ij} s_{ij} / i^2)", "3.8.3",
      "original_glszm_LowGrayLevelZoneEmphasis"},
     size_matrix::low_level_emphasis},
    {{"szm_hgze", "5GN9", "High grey level zone emphasis", "1", R"(\frac{1}{N_s} \sum_{ij} i^2 s_{ij})", "3.8.4",
      "original_glszm_HighGrayLevelZoneEmphasis"},
     size_matrix::high_level_emphasis},
    {{"szm_szlge", "5RAI", "Small zone low grey level emphasis", "1", R"(\frac{1}{N_s} \sum_{ij} s_{ij} / (i^2 j^2))",
      "3.8.5", "original_glszm_SmallAreaLowGrayLevelEmphasis"},
     size_matrix::small_low_emphasis},
    {{"szm_szhge", "HW1V", "Small zone high grey level emphasis", "1", R"(\frac{1}{N_s} \sum_{ij} i^2 s_{ij} / j^2)",
      "3.8.6", "original_glszm_SmallAreaHighGrayLevelEmphasis"},
     size_matrix::small_high_emphasis},
    {{"szm_lzlge", "YH51", "Large zone low grey level emphasis", "1", R"(\frac{1}{N_s} \sum_{ij} j^2 s_{ij} / i^2)",
      "3.8.7", "original_glszm_LargeAreaLowGrayLevelEmphasis"},
     size_matrix::large_low_emphasis},
    {{"szm_lzhge", "J17V", "Large zone high grey level emphasis", "1", R"(\frac{1}{N_s} \sum_{ij} i^2 j^2 s_{ij})",
      "3.8.8", "original_glszm_LargeAreaHighGrayLevelEmphasis"},
     size_matrix::large_high_emphasis},
    {{"szm_glnu", "JNSA", "Grey level non-uniformity", "1", R"(\frac{1}{N_s} \sum_i (\sum_j s_{ij})^2)", "3.8.9",
      "original_glszm_GrayLevelNonUniformity"},
     size_matrix::level_non_uniformity},
    {{"szm_glnu_norm", "Y1RO", "Normalised grey level non-uniformity", "1",
      R"(\frac{1}{N_s^2} \sum_i (\sum_j s_{ij})^2)", "3.8.10", "original_glszm_GrayLevelNonUniformityNormalized"},
     size_matrix::level_non_uniformity_normalised},
    {{"szm_zsnu", "4JP3", "Zone size non-uniformity", "1", R"(\frac{1}{N_s} \sum_j (\sum_i s_{ij})^2)", "3.8.11",
      "original_glszm_SizeZoneNonUniformity"},
     size_matrix::size_non_uniformity},
    {{"szm_zsnu_norm", "VB3A", "Normalised zone size non-uniformity", "1",
      R"(\frac{1}{N_s^2} \sum_j (\sum_i s_{ij})^2)", "3.8.12", "original_glszm_SizeZoneNonUniformityNormalized"},
     size_matrix::size_non_uniformity_normalised},
    {{"szm_z_perc", "P30P", "Zone percentage", "1", R"(N_s / N_v)", "3.8.13", "original_glszm_ZonePercentage"},
     size_matrix::percentage},
    {{"szm_gl_var", "BYLV", "Grey level variance", "1", R"(\sum_{ij} (i - \mu)^2 p_{ij},\ p_{ij} = s_{ij} / N_s)",
      "3.8.14", "original_glszm_GrayLevelVariance"},
     size_matrix::level_variance},
    {{"szm_zs_var", "3NSA", "Zone size variance", "1", R"(\sum_{ij} (j - \mu)^2 p_{ij})", "3.8.15",
      "original_glszm_ZoneVariance"},
     size_matrix::size_variance},
    {{"szm_zs_entr", "GU8N", "Zone size entropy", "1", R"(-\sum_{ij} p_{ij} \log_2 p_{ij})", "3.8.16",
      "original_glszm_ZoneEntropy"},
     size_matrix::entropy},
};

std::vector<SizeMatrix> prepare(const Roi& roi, const Variant& variant) { return zone_matrices(roi, variant).sizes; }

}  // namespace glszm

Family make_glszm() {
  return make_family({"glszm", "Grey level size zone", "9SAK"}, glszm::kTable, glszm::prepare, zone_variants,
                     kThreeAggregations);
}

}  // namespace vesalius::radiomics
