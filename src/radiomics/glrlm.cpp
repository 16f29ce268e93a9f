// SPDX-License-Identifier: Apache-2.0
#include <ATen/Parallel.h>

#include <vesalius/radiomics/glcm.h>

#include "radiomics/device_counts.h"
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

/// The matrices of one dimension (3D, 2.5D, 2D): of each direction, and of all of them summed.
struct Matrices {
  std::vector<SizeMatrix> each, merged;
};

SizeCounts runs_along(const Levels& levels, std::span<const int64_t> counts, int64_t voxels,
                      const std::array<int64_t, 3>& offset, int64_t from, int64_t to) {
  SizeCounts out(levels.n);
  out.add_voxels(voxels);
  const auto add = out.adder();
  levels.visit(
      [&](const auto& box) { detail::vectorised([&] { detail::for_each_long_run(box, offset, from, to, add); }); });
  out.add_singles(counts);
  return out;
}

std::vector<int64_t> counts_of_slice(const Levels& levels, int64_t z) {
  std::vector<int64_t> counts(levels.n + 1);
  levels.visit([&](const auto& box) {
    for (int64_t y = 0; y < box.ny; ++y)
      for (int64_t x = box.range(z, y).first; x < box.range(z, y).end; ++x) ++counts[box.at(z, y)[x]];
  });
  counts[0] = 0;
  return counts;
}

/// Merged matrices stand for as many voxels as there are in each of them, so that the run percentage stays below 1.
Matrices make(const Roi& roi, bool in_slice, bool by_slice) {
  const Levels& levels = roi.levels();
  const int64_t directions = in_slice ? 4 : 13;
  Matrices out;
  const auto finish = [&](const std::vector<SizeCounts>& runs) {
    SizeCounts all(levels.n);
    for (const SizeCounts& r : runs) {
      out.each.push_back(r.finish());
      all.add(r);
    }
    out.merged.push_back(all.finish());
  };
  if (device_counts::wanted(roi)) {
    const at::Tensor voxels = levels.tensor().to(roi.device());
    for (const auto& runs : device_counts::runs(voxels, neighbour_offsets(1, in_slice), levels.n, by_slice))
      if (!runs.front().empty()) finish(runs);
    return out;
  }
  for_each_part(levels, by_slice, [&](int64_t from, int64_t to) {
    const std::vector<int64_t> counts = by_slice ? counts_of_slice(levels, from) : levels.counts;
    const int64_t voxels = by_slice ? levels.of_slice[from] : levels.voxels;
    std::vector<SizeCounts> runs(directions, SizeCounts(0));
    at::parallel_for(0, directions, voxels < 20000 ? directions : 1, [&](int64_t begin, int64_t end) {
      for (int64_t d = begin; d < end; ++d)
        runs[d] = runs_along(levels, counts, voxels, detail::kDirections[d], from, to);
    });
    finish(runs);
  });
  return out;
}

std::vector<SizeMatrix> prepare(const Roi& roi, const Variant& variant) {
  const auto a = variant.aggregation;
  const bool in_slice = a != Aggregation::averaged_3d && a != Aggregation::merged_3d;
  const bool by_slice = a == Aggregation::averaged_2d || a == Aggregation::slice_merged_2d;
  const Matrices& matrices = roi.cached<Matrices>(by_slice   ? "glrlm 2D"
                                                  : in_slice ? "glrlm 2.5D"
                                                             : "glrlm 3D",
                                                  [&] { return make(roi, in_slice, by_slice); });
  const bool merged = a == Aggregation::merged_3d || a == Aggregation::merged_2_5d || a == Aggregation::slice_merged_2d;
  return merged ? matrices.merged : matrices.each;
}

}  // namespace glrlm

Family make_glrlm() {
  return make_family({"glrlm", "Grey level run length", "TP0I"}, glrlm::kTable, glrlm::prepare, run_variants,
                     kSixAggregations);
}

}  // namespace vesalius::radiomics
