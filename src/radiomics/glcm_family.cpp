// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <mutex>

#include <ATen/Parallel.h>

#include <vesalius/core/device.h>
#include <vesalius/radiomics/detail/glcm_features_kernel.h>
#include <vesalius/radiomics/detail/radix_sort.h>
#include <vesalius/radiomics/detail/texture_kernel.h>
#include <vesalius/radiomics/detail/vectorised.h>
#include <vesalius/radiomics/glcm.h>

#include "radiomics/family.h"

namespace vesalius::radiomics {
namespace glcm {

using detail::Glcm;
using detail::over;
using Offset = std::array<int64_t, 3>;

// Sums over one marginal or one diagonal are written with it where the standard says that both are the same.
Value joint_maximum(const Glcm& g) { return g.max; }
Value joint_average(const Glcm& g) { return g.mu; }
Value joint_variance(const Glcm& g) { return g.variance; }
Value joint_entropy(const Glcm& g) { return g.hxy; }
double mean_difference(const Glcm& g) {
  return over(g.p_minus, 0, [](double k, double p) { return k * p; });
}
double mean_sum(const Glcm& g) {
  return over(g.p_plus, 2, [](double k, double p) { return k * p; });
}
Value difference_average(const Glcm& g) { return mean_difference(g); }
Value difference_variance(const Glcm& g) {
  const double mu = mean_difference(g);
  return over(g.p_minus, 0, [&](double k, double p) { return (k - mu) * (k - mu) * p; });
}
Value difference_entropy(const Glcm& g) { return g.h_minus; }
Value sum_average(const Glcm& g) { return mean_sum(g); }
Value sum_variance(const Glcm& g) {
  const double mu = mean_sum(g);
  return over(g.p_plus, 2, [&](double k, double p) { return (k - mu) * (k - mu) * p; });
}
Value sum_entropy(const Glcm& g) { return g.h_plus; }
Value angular_second_moment(const Glcm& g) { return g.squares; }
Value contrast(const Glcm& g) {
  return over(g.p_minus, 0, [](double k, double p) { return k * k * p; });
}
Value inverse_difference(const Glcm& g) {
  return over(g.p_minus, 0, [](double k, double p) { return p / (1 + k); });
}
Value inverse_difference_normalised(const Glcm& g) {
  const auto n = static_cast<double>(g.n);
  return over(g.p_minus, 0, [&](double k, double p) { return p / (1 + k / n); });
}
Value inverse_difference_moment(const Glcm& g) {
  return over(g.p_minus, 0, [](double k, double p) { return p / (1 + k * k); });
}
Value inverse_difference_moment_normalised(const Glcm& g) {
  const auto n = static_cast<double>(g.n);
  return over(g.p_minus, 0, [&](double k, double p) { return p / (1 + k / n * (k / n)); });
}
Value inverse_variance(const Glcm& g) {  // k = 0 is the diagonal itself
  return over(g.p_minus, 0, [](double k, double p) { return k > 0 ? p / (k * k) : 0; });
}
Value autocorrelation(const Glcm& g) { return g.ij; }
Value correlation(const Glcm& g) {
  if (g.variance == 0)
    return undefined("co-occurring voxels all have the same grey level: correlation divides by its variance");
  return g.covariance / g.variance;
}
double cluster(const Glcm& g, int power) {
  return over(g.p_plus, 2, [&](double k, double p) {
    const double d = k - 2 * g.mu;
    return (power == 2 ? d * d : power == 3 ? d * d * d : d * d * (d * d)) * p;
  });
}
Value cluster_tendency(const Glcm& g) { return cluster(g, 2); }
Value cluster_shade(const Glcm& g) { return cluster(g, 3); }
Value cluster_prominence(const Glcm& g) { return cluster(g, 4); }
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

/// The matrices of one dimension (3D, 2.5D, 2D) and distance: of each direction, and of all of them summed. Only those
/// that the settings ask for are made.
struct Matrices {
  std::vector<Glcm> each, merged;
};
void append(std::vector<Glcm>& list, const detail::GlcmSums& sums) {
  if (auto matrix = sums.finish()) list.push_back(std::move(*matrix));
}

/// Beyond so many cells a table isn't filled, but the pairs are sorted: work stays in proportion to the voxels.
int64_t most_cells(const Levels& levels) { return std::max<int64_t>(65536, 16 * levels.voxels); }

/// The table of one direction in slices [from, to), into `counts`; `other` is as long, or empty.
void count(const Levels& levels, const Offset& offset, int64_t from, int64_t to, int64_t limit,
           std::vector<uint32_t>& counts, std::vector<uint32_t>& other) {
  std::ranges::fill(counts, 0);
  std::ranges::fill(other, 0);
  levels.visit([&](const auto& box) {
    detail::vectorised([&] {
      detail::count_pairs(box, offset, from, to, limit, counts.data(), other.empty() ? counts.data() : other.data());
    });
  });
  for (size_t k = 0; k < other.size(); ++k) counts[k] += other[k];
}

void add_tables(const Levels& levels, std::span<const Offset> offsets, int64_t from, int64_t to, bool each, bool merged,
                Matrices& out) {
  const int64_t cells = (levels.n + 1) * (levels.n + 1), directions = static_cast<int64_t>(offsets.size());
  std::vector<uint32_t> sum(merged ? cells : 0);
  std::vector<std::vector<Glcm>> own(directions);
  std::mutex mutex;
  const int64_t grain = levels.voxels < 20000 ? directions : 1;
  at::parallel_for(0, directions, grain, [&](int64_t begin, int64_t end) {
    std::vector<uint32_t> counts(cells), other(cells <= 4096 && levels.voxels > cells ? cells : 0);
    for (int64_t d = begin; d < end; ++d) {
      count(levels, offsets[d], from, to, to, counts, other);
      if (each) {
        detail::GlcmSums sums(levels.n);
        sums.add_table(counts.data());
        append(own[d], sums);
      }
      if (!merged) continue;
      const std::lock_guard lock(mutex);
      for (int64_t k = 0; k < cells; ++k) sum[k] += counts[k];
    }
  });
  for (auto& list : own) std::ranges::move(list, std::back_inserter(out.each));
  if (!merged) return;
  detail::GlcmSums sums(levels.n);
  sums.add_table(sum.data());
  append(out.merged, sums);
}

void add_sorted(const Levels& levels, std::span<const Offset> offsets, int64_t from, int64_t to, bool each, bool merged,
                Matrices& out) {
  const int64_t width = levels.n + 1;
  std::vector<uint64_t> all;
  const auto finish = [&](std::vector<uint64_t>& pairs, std::vector<Glcm>& list) {
    detail::radix_sort(pairs);
    detail::GlcmSums sums(levels.n);
    for (size_t k = 0; k < pairs.size();) {
      const uint64_t key = pairs[k];
      int64_t count = 0;
      for (; k < pairs.size() && pairs[k] == key; ++k) ++count;
      const auto i = static_cast<int64_t>(key / width), j = static_cast<int64_t>(key % width);
      i == j ? sums.add_equal(i, count) : sums.add(i, j, count);
    }
    append(list, sums);
  };
  for (const Offset& offset : offsets) {
    std::vector<uint64_t> pairs;
    levels.visit([&](const auto& box) {
      detail::for_each_pair_row(box, offset, from, to, to, [&](const auto* p, const auto* q, int64_t n) {
        for (int64_t x = 0; x < n; ++x)
          if (p[x] != 0 && q[x] != 0)
            pairs.push_back(static_cast<uint64_t>(std::min(p[x], q[x])) * width + std::max(p[x], q[x]));
      });
    });
    if (merged) all.insert(all.end(), pairs.begin(), pairs.end());
    if (each) finish(pairs, out.each);
  }
  if (merged) finish(all, out.merged);
}

/// Counted on the image's device, where kernels for it are there.
void add_on_device(const Levels& levels, const at::Tensor& voxels, const at::Tensor& offsets, bool each, bool merged,
                   Matrices& out) {
  const at::Tensor counts = glcm_counts(voxels, offsets, levels.n).cpu().contiguous();
  const auto add = [&](const int64_t* c, std::vector<Glcm>& list) {
    detail::GlcmSums sums(levels.n);
    for (int64_t i = 1; i <= levels.n; ++i)
      for (int64_t j = i; j <= levels.n; ++j) {
        const int64_t there = c[(i - 1) * levels.n + j - 1], back = c[(j - 1) * levels.n + i - 1];
        if (i == j && there) sums.add_equal(i, there);
        if (i != j && there + back) sums.add(i, j, there + back);
      }
    append(list, sums);
  };
  const int64_t cells = levels.n * levels.n;
  for (int64_t d = 0; each && d < counts.size(0); ++d) add(counts.const_data_ptr<int64_t>() + d * cells, out.each);
  if (merged) add(counts.sum(0).contiguous().const_data_ptr<int64_t>(), out.merged);
}

Matrices make(const Roi& roi, int64_t distance, bool in_slice, bool by_slice, bool each, bool merged) {
  const Levels& levels = roi.levels();
  std::vector<Offset> offsets;
  for (const auto& [z, y, x] : detail::kDirections)
    if (!in_slice || z == 0) offsets.push_back({z * distance, y * distance, x * distance});
  Matrices out;
  const int64_t depth = levels.size[0], parts = by_slice ? depth : 1;
  const bool on_device = roi.device().is_cuda() && load_cuda_kernels();
  const at::Tensor moved = on_device ? levels.tensor().to(roi.device()) : at::Tensor();
  for (int64_t part = 0; part < parts; ++part) {
    if (by_slice && levels.of_slice[part] == 0) continue;
    const int64_t from = by_slice ? part : 0, to = by_slice ? part + 1 : depth;
    if (on_device)
      add_on_device(levels, moved.narrow(0, from, to - from), neighbour_offsets(distance, in_slice), each, merged, out);
    else if ((levels.n + 1) * (levels.n + 1) > most_cells(levels))
      add_sorted(levels, offsets, from, to, each, merged, out);
    else
      add_tables(levels, offsets, from, to, each, merged, out);
  }
  return out;
}

/// One matrix for each that the aggregation averages over (section 3.6, "Aggregating features"); empty ones are left out.
std::vector<Glcm> prepare(const Roi& roi, const Variant& variant) {
  struct Pair {
    Aggregation each, merged;
    const char* key;
  };
  constexpr Pair kPairs[] = {{Aggregation::averaged_3d, Aggregation::merged_3d, "glcm 3D "},
                             {Aggregation::direction_merged, Aggregation::merged_2_5d, "glcm 2.5D "},
                             {Aggregation::averaged_2d, Aggregation::slice_merged_2d, "glcm 2D "}};
  const auto* pair = std::ranges::find_if(
      kPairs, [&](const Pair& p) { return variant.aggregation == p.each || variant.aggregation == p.merged; });
  const auto asked = [&](Aggregation a) {
    return std::ranges::find(roi.settings().aggregation, to_string(a)) != roi.settings().aggregation.end() ||
           variant.aggregation == a;
  };
  const Matrices& matrices = roi.cached<Matrices>(pair->key + std::to_string(variant.distance), [&] {
    return make(roi, variant.distance, pair != kPairs, pair == kPairs + 2, asked(pair->each), asked(pair->merged));
  });
  return variant.aggregation == pair->each ? matrices.each : matrices.merged;
}

}  // namespace glcm

Family make_glcm() {
  return make_family({"glcm", "Grey level co-occurrence", "LFYI"}, glcm::kTable, glcm::prepare, texture_variants,
                     kSixAggregations, "no two voxels of the region are neighbours at this distance");
}

}  // namespace vesalius::radiomics
