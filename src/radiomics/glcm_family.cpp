// SPDX-License-Identifier: Apache-2.0
#include <vesalius/radiomics/detail/glcm_features_kernel.h>

#include <vesalius/core/device.h>
#include <vesalius/radiomics/glcm.h>

#include "radiomics/family.h"

namespace vesalius::radiomics {
namespace glcm {

using detail::Glcm;
using detail::total;

// Sums over one marginal or one diagonal are written with it where the standard says that both are the same.
Value joint_maximum(const Glcm& g) { return xt::amax(g.p)(); }
Value joint_average(const Glcm& g) { return g.mu; }
Value joint_variance(const Glcm& g) { return total(xt::square(g.i - g.mu) * g.p_row); }
Value joint_entropy(const Glcm& g) { return g.hxy; }
Value difference_average(const Glcm& g) { return total(g.k_minus * g.p_minus); }
Value difference_variance(const Glcm& g) {
  return total(xt::square(g.k_minus - total(g.k_minus * g.p_minus)) * g.p_minus);
}
Value difference_entropy(const Glcm& g) { return detail::entropy(g.p_minus); }
Value sum_average(const Glcm& g) { return total(g.k_plus * g.p_plus); }
Value sum_variance(const Glcm& g) { return total(xt::square(g.k_plus - total(g.k_plus * g.p_plus)) * g.p_plus); }
Value sum_entropy(const Glcm& g) { return detail::entropy(g.p_plus); }
Value angular_second_moment(const Glcm& g) { return total(xt::square(g.p)); }
Value contrast(const Glcm& g) { return total(xt::square(g.k_minus) * g.p_minus); }
Value inverse_difference(const Glcm& g) { return total(g.p_minus / (1.0 + g.k_minus)); }
Value inverse_difference_normalised(const Glcm& g) { return total(g.p_minus / (1.0 + g.k_minus / g.n)); }
Value inverse_difference_moment(const Glcm& g) { return total(g.p_minus / (1.0 + xt::square(g.k_minus))); }
Value inverse_difference_moment_normalised(const Glcm& g) {
  return total(g.p_minus / (1.0 + xt::square(g.k_minus / g.n)));
}
Value inverse_variance(const Glcm& g) {
  using namespace xt::placeholders;  // k = 0 is the diagonal itself
  return total(xt::view(g.p_minus, xt::range(1, _)) / xt::square(xt::view(g.k_minus, xt::range(1, _))));
}
Value autocorrelation(const Glcm& g) { return total(xt::view(g.i, xt::all(), xt::newaxis()) * g.i * g.p); }
Value correlation(const Glcm& g) {
  const double variance = total(xt::square(g.i - g.mu) * g.p_row);
  if (variance == 0)
    return undefined("co-occurring voxels all have the same grey level: correlation divides by its variance");
  const auto centred = xt::eval(g.i - g.mu);
  return total(xt::view(centred, xt::all(), xt::newaxis()) * centred * g.p) / variance;
}
Value cluster_tendency(const Glcm& g) { return total(xt::pow<2>(g.k_plus - 2 * g.mu) * g.p_plus); }
Value cluster_shade(const Glcm& g) { return total(xt::pow<3>(g.k_plus - 2 * g.mu) * g.p_plus); }
Value cluster_prominence(const Glcm& g) { return total(xt::pow<4>(g.k_plus - 2 * g.mu) * g.p_plus); }
// p symmetric: HXY1 = -ΣΣ p_ij log2(p_i. p_.j) = 2 HX, and HXY2 = -ΣΣ p_i. p_.j log2(p_i. p_.j) = 2 HX.
Value information_correlation_1(const Glcm& g) {
  if (g.hx == 0)
    return undefined("co-occurring voxels all have the same grey level: the measure divides by their entropy");
  return (g.hxy - 2 * g.hx) / g.hx;
}
Value information_correlation_2(const Glcm& g) { return std::sqrt(1 - std::exp(-2 * std::max(0.0, 2 * g.hx - g.hxy))); }

constexpr Row<Glcm> kTable[] = {
    // {tag, IBSI code, title, unit, formula, section, PyRadiomics}, function
    {{"cm_joint_max", "GYBY", "Joint maximum", "1", R"(\max p_{ij})", "3.6.1", "original_glcm_MaximumProbability"},
     joint_maximum},
    {{"cm_joint_avg", "60VM", "Joint average", "1", R"(\mu = \sum_{ij} i\, p_{ij})", "3.6.2",
      "original_glcm_JointAverage"},
     joint_average},
    {{"cm_joint_var", "UR99", "Joint variance", "1", R"(\sum_{ij} (i - \mu)^2 p_{ij})", "3.6.3",
      "original_glcm_SumSquares"},
     joint_variance},
    {{"cm_joint_entr", "TU9B", "Joint entropy", "1", R"(-\sum_{ij} p_{ij} \log_2 p_{ij})", "3.6.4",
      "original_glcm_JointEntropy"},
     joint_entropy},
    {{"cm_diff_avg", "TF7R", "Difference average", "1", R"(\mu_{-} = \sum_k k\, p_{i-j,k})", "3.6.5",
      "original_glcm_DifferenceAverage"},
     difference_average},
    {{"cm_diff_var", "D3YU", "Difference variance", "1", R"(\sum_k (k - \mu_{-})^2 p_{i-j,k})", "3.6.6",
      "original_glcm_DifferenceVariance"},
     difference_variance},
    {{"cm_diff_entr", "NTRS", "Difference entropy", "1", R"(-\sum_k p_{i-j,k} \log_2 p_{i-j,k})", "3.6.7",
      "original_glcm_DifferenceEntropy"},
     difference_entropy},
    {{"cm_sum_avg", "ZGXS", "Sum average", "1", R"(\mu_{+} = \sum_k k\, p_{i+j,k})", "3.6.8",
      "original_glcm_SumAverage"},
     sum_average},
    {{"cm_sum_var", "OEEB", "Sum variance", "1", R"(\sum_k (k - \mu_{+})^2 p_{i+j,k})", "3.6.9", ""}, sum_variance},
    {{"cm_sum_entr", "P6QZ", "Sum entropy", "1", R"(-\sum_k p_{i+j,k} \log_2 p_{i+j,k})", "3.6.10",
      "original_glcm_SumEntropy"},
     sum_entropy},
    {{"cm_energy", "8ZQL", "Angular second moment", "1", R"(\sum_{ij} p_{ij}^2)", "3.6.11",
      "original_glcm_JointEnergy"},
     angular_second_moment},
    {{"cm_contrast", "ACUI", "Contrast", "1", R"(\sum_{ij} (i - j)^2 p_{ij})", "3.6.12", "original_glcm_Contrast"},
     contrast},
    {{"cm_dissimilarity", "8S9J", "Dissimilarity", "1", R"(\sum_{ij} |i - j|\, p_{ij})", "3.6.13", ""},
     difference_average},
    {{"cm_inv_diff", "IB1Z", "Inverse difference", "1", R"(\sum_{ij} p_{ij} / (1 + |i - j|))", "3.6.14",
      "original_glcm_Id"},
     inverse_difference},
    {{"cm_inv_diff_norm", "NDRX", "Normalised inverse difference", "1", R"(\sum_{ij} p_{ij} / (1 + |i - j| / N_g))",
      "3.6.15", "original_glcm_Idn"},
     inverse_difference_normalised},
    {{"cm_inv_diff_mom", "WF0Z", "Inverse difference moment", "1", R"(\sum_{ij} p_{ij} / (1 + (i - j)^2))", "3.6.16",
      "original_glcm_Idm"},
     inverse_difference_moment},
    {{"cm_inv_diff_mom_norm", "1QCO", "Normalised inverse difference moment", "1",
      R"(\sum_{ij} p_{ij} / (1 + (i - j)^2 / N_g^2))", "3.6.17", "original_glcm_Idmn"},
     inverse_difference_moment_normalised},
    {{"cm_inv_var", "E8JP", "Inverse variance", "1", R"(2 \sum_{i} \sum_{j > i} p_{ij} / (i - j)^2)", "3.6.18",
      "original_glcm_InverseVariance"},
     inverse_variance},
    {{"cm_corr", "NI2N", "Correlation", "1", R"(\sum_{ij} (i - \mu)(j - \mu) p_{ij} / \sigma^2)", "3.6.19",
      "original_glcm_Correlation"},
     correlation},
    {{"cm_auto_corr", "QWB0", "Autocorrelation", "1", R"(\sum_{ij} i\, j\, p_{ij})", "3.6.20",
      "original_glcm_Autocorrelation"},
     autocorrelation},
    {{"cm_clust_tend", "DG8W", "Cluster tendency", "1", R"(\sum_{ij} (i + j - 2\mu)^2 p_{ij})", "3.6.21",
      "original_glcm_ClusterTendency"},
     cluster_tendency},
    {{"cm_clust_shade", "7NFM", "Cluster shade", "1", R"(\sum_{ij} (i + j - 2\mu)^3 p_{ij})", "3.6.22",
      "original_glcm_ClusterShade"},
     cluster_shade},
    {{"cm_clust_prom", "AE86", "Cluster prominence", "1", R"(\sum_{ij} (i + j - 2\mu)^4 p_{ij})", "3.6.23",
      "original_glcm_ClusterProminence"},
     cluster_prominence},
    {{"cm_info_corr1", "R8DG", "Information correlation 1", "1", R"((HXY - HXY_1) / HX)", "3.6.24",
      "original_glcm_Imc1"},
     information_correlation_1},
    {{"cm_info_corr2", "JN9H", "Information correlation 2", "1", R"(\sqrt{1 - \exp(-2 (HXY_2 - HXY))})", "3.6.25",
      "original_glcm_Imc2"},
     information_correlation_2},
};

/// One matrix for each that the aggregation averages over (section 3.6, "Aggregating features"); empty ones are left out.
std::vector<Glcm> prepare(const Roi& roi, const Variant& variant) {
  Levels levels = roi.levels();
  if (roi.device().is_cuda() && load_cuda_kernels()) levels.voxels = levels.voxels.to(roi.device());
  const bool in_slice =
      variant.aggregation != Aggregation::averaged_3d && variant.aggregation != Aggregation::merged_3d;
  const at::Tensor offsets = neighbour_offsets(variant.distance, in_slice);
  std::vector<Glcm> matrices;
  const auto add = [&](at::Tensor counts, bool merge) {  // counts [directions, n, n]
    if (merge) counts = counts.sum(0, /*keepdim=*/true);
    counts = counts.cpu().contiguous();
    const int64_t cells = levels.n * levels.n;
    for (int64_t d = 0; d < counts.size(0); ++d)
      if (auto matrix = Glcm::from_counts(counts.const_data_ptr<int64_t>() + d * cells, levels.n))
        matrices.push_back(std::move(*matrix));
  };
  switch (variant.aggregation) {
    case Aggregation::averaged_2d:
    case Aggregation::slice_merged_2d:
      for (int64_t z = 0; z < levels.voxels.size(0); ++z)
        add(glcm_counts(levels.voxels.narrow(0, z, 1), offsets, levels.n),
            variant.aggregation == Aggregation::slice_merged_2d);
      break;
    case Aggregation::direction_merged:  // slices are summed by counting them together
    case Aggregation::averaged_3d:
      add(glcm_counts(levels.voxels, offsets, levels.n), false);
      break;
    case Aggregation::merged_2_5d:
    case Aggregation::merged_3d:
      add(glcm_counts(levels.voxels, offsets, levels.n), true);
      break;
  }
  return matrices;
}

}  // namespace glcm

Family make_glcm() {
  return make_family({"glcm", "Grey level co-occurrence", "LFYI"}, glcm::kTable, glcm::prepare, texture_variants,
                     kSixAggregations, "no two voxels of the region are neighbours at this distance");
}

}  // namespace vesalius::radiomics
