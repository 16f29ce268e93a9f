// SPDX-License-Identifier: Apache-2.0
#include "radiomics/size_matrix.h"

namespace vesalius::radiomics {
namespace ngtdm {

/// For each level that occurs in a voxel with a neighbour: how often (n_i, as the share p_i), and Σ |i - mean of the
/// neighbours| (s_i). N_{v,c} is the number of such voxels.
struct Ngtdm {
  struct Level {
    double i, n, s, p;
  };
  std::vector<Level> levels;
  double n_vc = 0, sum_s = 0;
};

template <class Term>
double over_pairs(const Ngtdm& m, const Term& term) {
  double sum = 0;
  for (const auto& a : m.levels)
    for (const auto& b : m.levels) sum += term(a, b);
  return sum;
}
using Level = Ngtdm::Level;

double sum_ps(const Ngtdm& m) {
  double sum = 0;
  for (const Level& a : m.levels) sum += a.p * a.s;
  return sum;
}

Value coarseness(const Ngtdm& m) {
  return sum_ps(m) > 0 ? std::min(1e6, 1 / sum_ps(m)) : 1e6;
}  // the manual's stand-in for 1/0
Value contrast(const Ngtdm& m) {
  const auto n = static_cast<double>(m.levels.size());
  if (n < 2) return 0.0;
  return over_pairs(m, [](const Level& a, const Level& b) { return a.p * b.p * (a.i - b.i) * (a.i - b.i); }) /
         (n * (n - 1)) * m.sum_s / m.n_vc;
}
Value busyness(const Ngtdm& m) {
  if (m.levels.size() < 2) return 0.0;
  const double scale = over_pairs(m, [](const Level& a, const Level& b) { return std::abs(a.i * a.p - b.i * b.p); });
  return scale > 0 ? Value(sum_ps(m) / scale)
                   : undefined("i p_i is the same for all levels: busyness divides by its differences");
}
Value complexity(const Ngtdm& m) {
  return over_pairs(m, [](const Level& a,
                          const Level& b) { return std::abs(a.i - b.i) * (a.p * a.s + b.p * b.s) / (a.p + b.p); }) /
         m.n_vc;
}
Value strength(const Ngtdm& m) {
  if (m.sum_s == 0) return 0.0;
  return over_pairs(m, [](const Level& a, const Level& b) { return (a.p + b.p) * (a.i - b.i) * (a.i - b.i); }) /
         m.sum_s;
}

constexpr Row<Ngtdm> kTable[] = {
    // {tag, IBSI code, title, unit, formula, section, PyRadiomics}, function
    {{"ngt_coarseness", "QCDE", "Coarseness", "1", R"(1 / \sum_i p_i s_i)", "3.10.1", "original_ngtdm_Coarseness"},
     coarseness},
    {{"ngt_contrast", "65HE", "Contrast", "1",
      R"(\frac{1}{N_{g,p} (N_{g,p} - 1)} \sum_{ij} p_i p_j (i - j)^2 \frac{1}{N_{v,c}} \sum_i s_i)", "3.10.2",
      "original_ngtdm_Contrast"},
     contrast},
    {{"ngt_busyness", "NQ30", "Busyness", "1", R"(\sum_i p_i s_i / \sum_{ij} |i p_i - j p_j|)", "3.10.3",
      "original_ngtdm_Busyness"},
     busyness},
    {{"ngt_complexity", "HDEZ", "Complexity", "1",
      R"(\frac{1}{N_{v,c}} \sum_{ij} |i - j| \frac{p_i s_i + p_j s_j}{p_i + p_j})", "3.10.4",
      "original_ngtdm_Complexity"},
     complexity},
    {{"ngt_strength", "1X9X", "Strength", "1", R"(\sum_{ij} (p_i + p_j)(i - j)^2 / \sum_i s_i)", "3.10.5",
      "original_ngtdm_Strength"},
     strength},
};

std::vector<Ngtdm> prepare(const Roi& roi, const Variant& variant) {
  const Levels& levels = roi.levels();
  const bool in_slice = variant.aggregation != Aggregation::merged_3d;
  std::vector<Ngtdm> out;
  std::vector<double> n(levels.n + 1), s(levels.n + 1);
  const auto flush = [&] {
    Ngtdm m;
    for (int64_t i = 1; i <= levels.n; ++i) {
      if (n[i] == 0) continue;
      m.levels.push_back({static_cast<double>(i), n[i], s[i], 0});
      m.n_vc += n[i];
      m.sum_s += s[i];
    }
    for (Level& level : m.levels) level.p = level.n / m.n_vc;
    if (!m.levels.empty()) out.push_back(std::move(m));
    n.assign(levels.n + 1, 0), s.assign(levels.n + 1, 0);
  };
  for_each_part(levels, in_slice, [&](const detail::PaddedLevels& padded, int64_t) {
    detail::for_each_neighbourhood(padded, in_slice, [&](int64_t level, int64_t count, int64_t sum, int64_t) {
      if (count == 0) return;
      n[level] += 1;
      s[level] += std::abs(static_cast<double>(level) - static_cast<double>(sum) / static_cast<double>(count));
    });
    if (variant.aggregation == Aggregation::averaged_2d) flush();
  });
  flush();
  return out;
}

}  // namespace ngtdm

Family make_ngtdm() {
  return make_family({"ngtdm", "Neighbourhood grey tone difference", "IPET"}, ngtdm::kTable, ngtdm::prepare,
                     zone_variants, kThreeAggregations, "no voxel of the region has a neighbour in it");
}

}  // namespace vesalius::radiomics
