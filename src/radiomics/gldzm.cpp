// SPDX-License-Identifier: Apache-2.0
#include "radiomics/zones.h"

namespace vesalius::radiomics {
namespace gldzm {

constexpr Row<SizeMatrix> kTable[] = {
    // {tag, IBSI code, title, unit, formula, section, PyRadiomics}, function
    {{"dzm_sde", "0GBI", "Small distance emphasis", "1", R"(\frac{1}{N_s} \sum_{ij} d_{ij} / j^2)", "3.9.1", ""},
     size_matrix::small_emphasis},
    {{"dzm_lde", "MB4I", "Large distance emphasis", "1", R"(\frac{1}{N_s} \sum_{ij} j^2 d_{ij})", "3.9.2", ""},
     size_matrix::large_emphasis},
    {{"dzm_lgze", "S1RA", "Low grey level zone emphasis", "1", R"(\frac{1}{N_s} \sum_{ij} d_{ij} / i^2)", "3.9.3", ""},
     size_matrix::low_level_emphasis},
    {{"dzm_hgze", "K26C", "High grey level zone emphasis", "1", R"(\frac{1}{N_s} \sum_{ij} i^2 d_{ij})", "3.9.4", ""},
     size_matrix::high_level_emphasis},
    {{"dzm_sdlge", "RUVG", "Small distance low grey level emphasis", "1",
      R"(\frac{1}{N_s} \sum_{ij} d_{ij} / (i^2 j^2))", "3.9.5", ""},
     size_matrix::small_low_emphasis},
    {{"dzm_sdhge", "DKNJ", "Small distance high grey level emphasis", "1",
      R"(\frac{1}{N_s} \sum_{ij} i^2 d_{ij} / j^2)", "3.9.6", ""},
     size_matrix::small_high_emphasis},
    {{"dzm_ldlge", "A7WM", "Large distance low grey level emphasis", "1", R"(\frac{1}{N_s} \sum_{ij} j^2 d_{ij} / i^2)",
      "3.9.7", ""},
     size_matrix::large_low_emphasis},
    {{"dzm_ldhge", "KLTH", "Large distance high grey level emphasis", "1", R"(\frac{1}{N_s} \sum_{ij} i^2 j^2 d_{ij})",
      "3.9.8", ""},
     size_matrix::large_high_emphasis},
    {{"dzm_glnu", "VFT7", "Grey level non-uniformity", "1", R"(\frac{1}{N_s} \sum_i (\sum_j d_{ij})^2)", "3.9.9", ""},
     size_matrix::level_non_uniformity},
    {{"dzm_glnu_norm", "7HP3", "Normalised grey level non-uniformity", "1",
      R"(\frac{1}{N_s^2} \sum_i (\sum_j d_{ij})^2)", "3.9.10", ""},
     size_matrix::level_non_uniformity_normalised},
    {{"dzm_zdnu", "V294", "Zone distance non-uniformity", "1", R"(\frac{1}{N_s} \sum_j (\sum_i d_{ij})^2)", "3.9.11",
      ""},
     size_matrix::size_non_uniformity},
    {{"dzm_zdnu_norm", "IATH", "Normalised zone distance non-uniformity", "1",
      R"(\frac{1}{N_s^2} \sum_j (\sum_i d_{ij})^2)", "3.9.12", ""},
     size_matrix::size_non_uniformity_normalised},
    {{"dzm_z_perc", "VIWW", "Zone percentage", "1", R"(N_s / N_v)", "3.9.13", ""}, size_matrix::percentage},
    {{"dzm_gl_var", "QK93", "Grey level variance", "1", R"(\sum_{ij} (i - \mu)^2 p_{ij},\ p_{ij} = d_{ij} / N_s)",
      "3.9.14", ""},
     size_matrix::level_variance},
    {{"dzm_zd_var", "7WT1", "Zone distance variance", "1", R"(\sum_{ij} (j - \mu)^2 p_{ij})", "3.9.15", ""},
     size_matrix::size_variance},
    {{"dzm_zd_entr", "GBDU", "Zone distance entropy", "1", R"(-\sum_{ij} p_{ij} \log_2 p_{ij})", "3.9.16", ""},
     size_matrix::entropy},
};

std::vector<SizeMatrix> prepare(const Roi& roi, const Variant& variant) {
  return zone_matrices(roi, variant).distances;
}

}  // namespace gldzm

Family make_gldzm() {
  return make_family({"gldzm", "Grey level distance zone", "VMDZ"}, gldzm::kTable, gldzm::prepare, zone_variants,
                     kThreeAggregations);
}

}  // namespace vesalius::radiomics
