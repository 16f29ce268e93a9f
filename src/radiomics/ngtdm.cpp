// SPDX-License-Identifier: Apache-2.0
#include "radiomics/neighbourhoods.h"

namespace vesalius::radiomics {
namespace ngtdm {

using Level = Ngtdm::Level;

/// Σ_i term(i)
template <class Term>
double over_levels(const Ngtdm& m, const Term& term) {
  double sum = 0;
  for (const Level& a : m.levels) sum += term(a);
  return sum;
}

double sum_ps(const Ngtdm& m) {
  return over_levels(m, [](const Level& a) { return a.p * a.s; });
}

Value coarseness(const Ngtdm& m) {
  return sum_ps(m) > 0 ? std::min(1e6, 1 / sum_ps(m)) : 1e6;
}  // the manual's stand-in for 1/0
/// Σ_ij p_i p_j (i - j)² = 2 Σ_i p_i (i - μ)², as the p add up to 1.
Value contrast(const Ngtdm& m) {
  const auto n = static_cast<double>(m.levels.size());
  if (n < 2) return 0.0;
  const double mu = over_levels(m, [](const Level& a) { return a.p * a.i; });
  const double pairs = 2 * over_levels(m, [&](const Level& a) { return a.p * (a.i - mu) * (a.i - mu); });
  return pairs / (n * (n - 1)) * m.sum_s / m.n_vc;
}
/// Σ_ij |x_i - x_j| = 2 Σ_k (2k + 1 - n) x_(k) with x = i p_i in order.
Value busyness(const Ngtdm& m) {
  if (m.levels.size() < 2) return 0.0;
  std::vector<double> x;
  for (const Level& a : m.levels) x.push_back(a.i * a.p);
  std::ranges::sort(x);
  double scale = 0;
  for (size_t k = 0; k + 1 < x.size(); ++k)  // each gap lies between k + 1 values and the rest
    scale += 2 * (x[k + 1] - x[k]) * static_cast<double>((k + 1) * (x.size() - k - 1));
  return scale > 0 ? Value(sum_ps(m) / scale)
                   : undefined("i p_i is the same for all levels: busyness divides by its differences");
}
/// Σ_ij |i - j| (p_i s_i + p_j s_j) / (p_i + p_j) = 2 Σ_p Σ_i p_i s_i / (p_i + p) Σ_{j: p_j = p} |i - j|. The innermost sum
/// follows from how many such j lie below i and what they add up to: work goes with the distinct p, which are few where
/// levels are many, as their counts add up to the voxels'.
Value complexity(const Ngtdm& m) {
  std::vector<double> distinct;
  for (const Level& a : m.levels) distinct.push_back(a.n);
  std::ranges::sort(distinct);
  distinct.erase(std::ranges::unique(distinct).begin(), distinct.end());
  double sum = 0;
  for (const double n : distinct) {
    double count = 0, total = 0;
    for (const Level& a : m.levels)
      if (a.n == n) ++count, total += a.i;
    double below = 0, total_below = 0;
    for (const Level& a : m.levels) {  // ascending
      const double apart = a.i * (2 * below - count) + total - 2 * total_below;
      sum += a.n * a.s / (a.n + n) * apart;
      if (a.n == n) ++below, total_below += a.i;
    }
  }
  return 2 * sum / m.n_vc;
}
/// Σ_ij (p_i + p_j)(i - j)² = 2 Σ_i p_i Σ_j (i - j)², the inner sum by the mean of the levels and their spread.
Value strength(const Ngtdm& m) {
  if (m.sum_s == 0) return 0.0;
  const auto n = static_cast<double>(m.levels.size());
  const double mean = over_levels(m, [](const Level& a) { return a.i; }) / n;
  const double spread = over_levels(m, [&](const Level& a) { return (a.i - mean) * (a.i - mean); });
  const double pairs =
      2 * over_levels(m, [&](const Level& a) { return a.p * (spread + n * (a.i - mean) * (a.i - mean)); });
  return pairs / m.sum_s;
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

std::vector<Ngtdm> prepare(const Roi& roi, const Variant& variant) { return neighbour_matrices(roi, variant).tones; }

}  // namespace ngtdm

Family make_ngtdm() {
  return make_family({"ngtdm", "Neighbourhood grey tone difference", "IPET"}, ngtdm::kTable, ngtdm::prepare,
                     zone_variants, kThreeAggregations, "no voxel of the region has a neighbour in it");
}

}  // namespace vesalius::radiomics
