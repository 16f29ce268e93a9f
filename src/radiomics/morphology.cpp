// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include <vesalius/image/detail/marching_cubes_kernel.h>
#include <vesalius/radiomics/detail/convex_hull_kernel.h>
#include <vesalius/radiomics/detail/ellipsoid_kernel.h>
#include <vesalius/radiomics/detail/enclosing_ellipsoid_kernel.h>
#include <vesalius/radiomics/detail/enclosing_kernel.h>
#include <vesalius/radiomics/detail/vectorised.h>

#include "radiomics/autocorrelation.h"
#include "radiomics/family.h"

namespace vesalius::radiomics {
namespace morphology {

/// What the features are made of, in mm.
struct Shape {
  double volume = 0, area = 0;                    ///< of the mesh
  double voxel_volume = 0;                        ///< N_v times a voxel's
  double box_volume = 0, box_area = 0;            ///< of the mesh's axis-aligned bounding box
  double oriented_volume = 0, oriented_area = 0;  ///< of a small box in any direction around the mesh
  std::array<double, 3> enclosing{};              ///< semi-axes of the smallest ellipsoid around the mesh, ascending
  double hull_volume = 0, hull_area = 0, diameter = 0;
  std::array<double, 3> variances{};           ///< of the voxels' centres along the principal axes, largest first
  double centre_shift = 0;                     ///< NaN if the intensities add up to 0
  double n = 0, mean = 0, sum_of_squares = 0;  ///< of the intensity mask; squares about the mean
  PairSums pairs;
};

constexpr const char* kFlat = "the region is flat: one of its principal axes has no length";
constexpr const char* kOnePoint = "the region is one voxel: its principal axes have no length";
constexpr const char* kConstant = "all intensities are equal: the measure divides by their variance";

double sphere_area(const Shape& s) {
  return std::cbrt(36 * std::numbers::pi * s.volume * s.volume);
}  // of the same volume
double semi_axis(const Shape& s, int axis) { return 2 * std::sqrt(s.variances[axis]); }

Value volume(const Shape& s) { return s.volume; }
Value volume_by_counting(const Shape& s) { return s.voxel_volume; }
Value area(const Shape& s) { return s.area; }
Value surface_to_volume(const Shape& s) { return s.area / s.volume; }
Value compactness_1(const Shape& s) { return s.volume / (std::sqrt(std::numbers::pi) * std::pow(s.area, 1.5)); }
Value compactness_2(const Shape& s) { return 36 * std::numbers::pi * s.volume * s.volume / (s.area * s.area * s.area); }
Value spherical_disproportion(const Shape& s) { return s.area / sphere_area(s); }
Value sphericity(const Shape& s) { return sphere_area(s) / s.area; }
Value asphericity(const Shape& s) { return s.area / sphere_area(s) - 1; }
Value centre_of_mass_shift(const Shape& s) {
  return std::isnan(s.centre_shift) ? undefined("the intensities add up to 0: they have no centre of mass")
                                    : Value(s.centre_shift);
}
Value diameter(const Shape& s) { return s.diameter; }
Value major_axis(const Shape& s) { return 2 * semi_axis(s, 0); }
Value minor_axis(const Shape& s) { return 2 * semi_axis(s, 1); }
Value least_axis(const Shape& s) { return 2 * semi_axis(s, 2); }
Value elongation(const Shape& s) {
  return s.variances[0] > 0 ? Value(std::sqrt(s.variances[1] / s.variances[0])) : undefined(kOnePoint);
}
Value flatness(const Shape& s) {
  return s.variances[0] > 0 ? Value(std::sqrt(s.variances[2] / s.variances[0])) : undefined(kOnePoint);
}
Value volume_density_box(const Shape& s) { return s.volume / s.box_volume; }
Value area_density_box(const Shape& s) { return s.area / s.box_area; }
Value volume_density_ellipsoid(const Shape& s) {
  if (s.variances[2] == 0) return undefined(kFlat);
  return 3 * s.volume / (4 * std::numbers::pi * semi_axis(s, 0) * semi_axis(s, 1) * semi_axis(s, 2));
}
Value area_density_ellipsoid(const Shape& s) {
  if (s.variances[2] == 0) return undefined(kFlat);
  return s.area / detail::ellipsoid_area(semi_axis(s, 0), semi_axis(s, 1), semi_axis(s, 2));
}
Value volume_density_oriented_box(const Shape& s) { return s.volume / s.oriented_volume; }
Value area_density_oriented_box(const Shape& s) { return s.area / s.oriented_area; }
Value volume_density_enclosing(const Shape& s) {
  return 3 * s.volume / (4 * std::numbers::pi * s.enclosing[0] * s.enclosing[1] * s.enclosing[2]);
}
Value area_density_enclosing(const Shape& s) {
  return s.area / detail::ellipsoid_area(s.enclosing[2], s.enclosing[1], s.enclosing[0]);
}
Value volume_density_hull(const Shape& s) { return s.volume / s.hull_volume; }
Value area_density_hull(const Shape& s) { return s.area / s.hull_area; }
Value integrated_intensity(const Shape& s) { return s.volume * s.mean; }
Value moran(const Shape& s) {
  if (s.sum_of_squares == 0) return undefined(kConstant);
  return s.n / s.pairs.weights * s.pairs.products / s.sum_of_squares;
}
Value geary(const Shape& s) {
  if (s.sum_of_squares == 0) return undefined(kConstant);
  return (s.n - 1) / (2 * s.pairs.weights) * s.pairs.differences / s.sum_of_squares;
}

constexpr Row<Shape> kTable[] = {
    // {tag, IBSI code, title, unit, formula, section, PyRadiomics}, function
    {{"morph_volume", "RNU0", "Volume (mesh)", "mm3", R"(V = |\sum_k a_k \cdot (b_k \times c_k) / 6|)", "3.1.1",
      "original_shape_MeshVolume"},
     volume},
    {{"morph_vol_approx", "YEKZ", "Volume (voxel counting)", "mm3", R"(\sum_k V_k)", "3.1.2",
      "original_shape_VoxelVolume"},
     volume_by_counting},
    {{"morph_area_mesh", "C0JK", "Surface area (mesh)", "mm2", R"(A = \sum_k |(b_k - a_k) \times (c_k - a_k)| / 2)",
      "3.1.3", "original_shape_SurfaceArea"},
     area},
    {{"morph_av", "2PR5", "Surface to volume ratio", "1/mm", R"(A / V)", "3.1.4", "original_shape_SurfaceVolumeRatio"},
     surface_to_volume},
    {{"morph_comp_1", "SKGS", "Compactness 1", "1", R"(V / (\sqrt{\pi} A^{3/2}))", "3.1.5",
      "original_shape_Compactness1"},
     compactness_1},
    {{"morph_comp_2", "BQWJ", "Compactness 2", "1", R"(36 \pi V^2 / A^3)", "3.1.6", "original_shape_Compactness2"},
     compactness_2},
    {{"morph_sph_dispr", "KRCK", "Spherical disproportion", "1", R"(A / (36 \pi V^2)^{1/3})", "3.1.7",
      "original_shape_SphericalDisproportion"},
     spherical_disproportion},
    {{"morph_sphericity", "QCFX", "Sphericity", "1", R"((36 \pi V^2)^{1/3} / A)", "3.1.8", "original_shape_Sphericity"},
     sphericity},
    {{"morph_asphericity", "25C7", "Asphericity", "1", R"((A^3 / (36 \pi V^2))^{1/3} - 1)", "3.1.9", ""}, asphericity},
    {{"morph_com", "KLMA", "Centre of mass shift", "mm", R"(\|CoM_{geom} - CoM_{gl}\|)", "3.1.10", ""},
     centre_of_mass_shift},
    {{"morph_diam", "L0JK", "Maximum 3D diameter", "mm", R"(\max_{k_1, k_2} \|X_{vx,k_1} - X_{vx,k_2}\|)", "3.1.11",
      "original_shape_Maximum3DDiameter"},
     diameter},
    {{"morph_pca_maj_axis", "TDIC", "Major axis length", "mm", R"(4 \sqrt{\lambda_{major}})", "3.1.12",
      "original_shape_MajorAxisLength"},
     major_axis},
    {{"morph_pca_min_axis", "P9VJ", "Minor axis length", "mm", R"(4 \sqrt{\lambda_{minor}})", "3.1.13",
      "original_shape_MinorAxisLength"},
     minor_axis},
    {{"morph_pca_least_axis", "7J51", "Least axis length", "mm", R"(4 \sqrt{\lambda_{least}})", "3.1.14",
      "original_shape_LeastAxisLength"},
     least_axis},
    {{"morph_pca_elongation", "Q3CK", "Elongation", "1", R"(\sqrt{\lambda_{minor} / \lambda_{major}})", "3.1.15",
      "original_shape_Elongation"},
     elongation},
    {{"morph_pca_flatness", "N17B", "Flatness", "1", R"(\sqrt{\lambda_{least} / \lambda_{major}})", "3.1.16",
      "original_shape_Flatness"},
     flatness},
    {{"morph_vol_dens_aabb", "PBX1", "Volume density (axis-aligned bounding box)", "1", R"(V / V_{aabb})", "3.1.17",
      ""},
     volume_density_box},
    {{"morph_area_dens_aabb", "R59B", "Area density (axis-aligned bounding box)", "1", R"(A / A_{aabb})", "3.1.18", ""},
     area_density_box},
    {{"morph_vol_dens_ombb", "ZH1A", "Volume density (oriented minimum bounding box)", "1", R"(V / V_{ombb})", "3.1.19",
      ""},
     volume_density_oriented_box},
    {{"morph_area_dens_ombb", "IQYR", "Area density (oriented minimum bounding box)", "1", R"(A / A_{ombb})", "3.1.20",
      ""},
     area_density_oriented_box},
    {{"morph_vol_dens_aee", "6BDE", "Volume density (approximate enclosing ellipsoid)", "1",
      R"(3 V / (4 \pi a b c),\ a = 2 \sqrt{\lambda_{major}}, \ldots)", "3.1.21", ""},
     volume_density_ellipsoid},
    {{"morph_area_dens_aee", "RDD2", "Area density (approximate enclosing ellipsoid)", "1",
      R"(A / A_{aee},\ A_{aee} = 4 \pi a b \sum_{\nu=0}^{20} \frac{(\alpha\beta)^\nu}{1 - 4\nu^2} P_\nu(\frac{\alpha^2 + \beta^2}{2\alpha\beta}))",
      "3.1.22", ""},
     area_density_ellipsoid},
    {{"morph_vol_dens_mvee", "SWZ1", "Volume density (minimum volume enclosing ellipsoid)", "1", R"(V / V_{mvee})",
      "3.1.23", ""},
     volume_density_enclosing},
    {{"morph_area_dens_mvee", "BRI8", "Area density (minimum volume enclosing ellipsoid)", "1", R"(A / A_{mvee})",
      "3.1.24", ""},
     area_density_enclosing},
    {{"morph_vol_dens_conv_hull", "R3ER", "Volume density (convex hull)", "1", R"(V / V_{convex})", "3.1.25", ""},
     volume_density_hull},
    {{"morph_area_dens_conv_hull", "7T7F", "Area density (convex hull)", "1", R"(A / A_{convex})", "3.1.26", ""},
     area_density_hull},
    {{"morph_integ_int", "99N0", "Integrated intensity", "intensity mm3", R"(V \frac{1}{N_{v,gl}} \sum_k X_{gl,k})",
      "3.1.27", ""},
     integrated_intensity},
    {{"morph_moran_i", "N365", "Moran's I index", "1",
      R"(\frac{N}{\sum_{k_1 \ne k_2} w_{k_1 k_2}} \frac{\sum_{k_1 \ne k_2} w_{k_1 k_2} (X_{k_1} - \mu)(X_{k_2} - \mu)}{\sum_k (X_k - \mu)^2},\ w = 1 / \text{distance})",
      "3.1.28", ""},
     moran},
    {{"morph_geary_c", "NPT7", "Geary's C measure", "1",
      R"(\frac{N - 1}{2 \sum_{k_1 \ne k_2} w_{k_1 k_2}} \frac{\sum_{k_1 \ne k_2} w_{k_1 k_2} (X_{k_1} - X_{k_2})^2}{\sum_k (X_k - \mu)^2})",
      "3.1.29", ""},
     geary},
};

/// The directions across which the hull has most of its surface, and the image's axes: boxes are tried along them.
std::vector<detail::Vector3> chief_normals(std::vector<detail::Vector3> normals) {
  constexpr size_t kMost = 16;
  for (auto& n : normals)  // of a direction and its opposite one
    if (n[0] < 0 || (n[0] == 0 && (n[1] < 0 || (n[1] == 0 && n[2] < 0)))) n = {-n[0], -n[1], -n[2]};
  // Facets of more than three corners come as several triangles: equal normals but for their lengths (areas).
  using Key = std::array<int64_t, 3>;
  const auto key = [](const detail::Vector3& n) {
    const auto u = detail::unit3(n);
    return Key{std::llround(u[0] * 1e6), std::llround(u[1] * 1e6), std::llround(u[2] * 1e6)};
  };
  std::vector<std::pair<Key, detail::Vector3>> keyed;
  for (const auto& n : normals) keyed.emplace_back(key(n), n);
  std::ranges::stable_sort(keyed, {}, &std::pair<Key, detail::Vector3>::first);
  std::vector<detail::Vector3> out;
  for (size_t k = 0; k < keyed.size(); ++k) {
    if (k == 0 || keyed[k].first != keyed[k - 1].first) out.push_back({});
    for (int a = 0; a < 3; ++a) out.back()[a] += keyed[k].second[a];
  }
  const auto larger = [](const detail::Vector3& a, const detail::Vector3& b) {
    return std::pair{detail::dot3(a, a), a} > std::pair{detail::dot3(b, b), b};
  };
  const size_t kept = std::min(kMost, out.size());
  std::ranges::partial_sort(out, out.begin() + static_cast<std::ptrdiff_t>(kept), larger);
  out.resize(kept);
  for (const detail::Vector3& axis : {detail::Vector3{1, 0, 0}, {0, 1, 0}, {0, 0, 1}})
    if (std::ranges::none_of(out, [&](const auto& n) { return key(n) == key(axis); })) out.push_back(axis);
  return out;
}

void fill_hull(Shape& s, const Roi& roi) {
  const Vec3& spacing = roi.geometry().spacing;
  const auto in_mm = [&](const detail::Lattice& p) {
    return image::detail::Point{0.5 * p[0] * spacing[0], 0.5 * p[1] * spacing[1], 0.5 * p[2] * spacing[2]};
  };
  const detail::ConvexHull hull(detail::hull_candidates(roi.ranges().data(), roi.geometry().size));
  std::vector<detail::Vector3> normals;
  for (const auto& corners : hull.triangles()) {
    const image::detail::Triangle t{in_mm(corners[0]), in_mm(corners[1]), in_mm(corners[2])};
    normals.push_back(image::detail::cross(image::detail::subtract(t[1], t[0]), image::detail::subtract(t[2], t[0])));
    s.hull_area += 0.5 * std::sqrt(detail::dot3(normals.back(), normals.back()));
    s.hull_volume += image::detail::dot(t[0], image::detail::cross(t[1], t[2])) / 6;
  }
  s.hull_volume = std::abs(s.hull_volume);
  std::vector<detail::Vector3> corners;
  for (const auto& p : hull.vertices()) corners.push_back(in_mm(p));
  double longest = 0;
  detail::vectorised([&] {
    for (size_t i = 0; i < corners.size(); ++i) {
      const detail::Vector3 a = corners[i];
      for (size_t j = 0; j < i; ++j) {
        const double u = corners[j][0] - a[0], v = corners[j][1] - a[1], w = corners[j][2] - a[2];
        const double d = u * u + v * v + w * w;
        longest = d > longest ? d : longest;
      }
    }
  });
  s.diameter = std::sqrt(longest);
  const auto [a, b, c] = detail::small_box(corners, chief_normals(std::move(normals))).lengths;
  s.oriented_volume = a * b * c;
  s.oriented_area = 2 * (a * b + a * c + b * c);
  detail::vectorised([&] { s.enclosing = detail::enclosing_ellipsoid(corners); });
}

/// Sums of voxel indices are exact in int64; products of them with intensities are not, and needn't be.
void fill_moments(Shape& s, const Roi& roi) {
  const auto size = roi.geometry().size;
  const auto spacing = roi.geometry().spacing;
  const bool* inside = roi.morphological().const_data_ptr<bool>();
  const bool* counted = roi.intensity_mask().const_data_ptr<bool>();
  const double* x = roi.intensities().const_data_ptr<double>();
  int64_t n = 0;
  std::array<int64_t, 3> first{};
  std::array<std::array<int64_t, 3>, 3> second{};
  double weight = 0;
  std::array<double, 3> weighted{};
  const detail::RowRange* range = roi.ranges().data();
  for (int64_t z = 0; z < size[0]; ++z)
    for (int64_t y = 0; y < size[1]; ++y, ++range, inside += size[2], counted += size[2], x += size[2]) {
      int64_t row = 0, row_x = 0, row_xx = 0;
      double sum = 0, sum_x = 0;
      for (int64_t k = range->first; k < range->end; ++k) {
        row += inside[k], row_x += inside[k] ? k : 0, row_xx += inside[k] ? k * k : 0;
        const double v = counted[k] ? x[k] : 0;
        sum += v, sum_x += v * static_cast<double>(k);
      }
      n += row;
      first[0] += z * row, first[1] += y * row, first[2] += row_x;
      second[0][0] += z * z * row, second[0][1] += z * y * row, second[0][2] += z * row_x;
      second[1][1] += y * y * row, second[1][2] += y * row_x, second[2][2] += row_xx;
      weight += sum;
      weighted[0] += sum * static_cast<double>(z), weighted[1] += sum * static_cast<double>(y), weighted[2] += sum_x;
    }
  const auto count = static_cast<double>(n);
  s.voxel_volume = count * roi.geometry().voxel_volume();
  double covariance[9], shift = 0;
  for (int a = 0; a < 3; ++a) {
    for (int b = a; b < 3; ++b) {
      // Divided by n - 1: with n the digital phantom's axes are out of tolerance.
      const double c = n > 1 ? (second[a][b] - first[a] / count * first[b]) / (count - 1) : 0;
      covariance[3 * a + b] = covariance[3 * b + a] = c * spacing[a] * spacing[b];
    }
    const double d = (weighted[a] / weight - first[a] / count) * spacing[a];
    shift += d * d;
  }
  s.centre_shift = weight != 0 ? std::sqrt(shift) : std::nan("");
  const detail::Vector3 ascending = detail::eigenvalues3({{{covariance[0], covariance[1], covariance[2]},
                                                           {covariance[3], covariance[4], covariance[5]},
                                                           {covariance[6], covariance[7], covariance[8]}}});
  // A flat region's smallest variance comes out as ±1e-16 of the largest, or so: it is 0.
  for (int a = 0; a < 3; ++a) s.variances[a] = ascending[2 - a] > 1e-12 * ascending[2] ? ascending[2 - a] : 0;
}

void fill_autocorrelation(Shape& s, const Roi& roi) {
  const detail::Distribution& x = roi.distribution();
  s.n = x.n;
  s.mean = x.mean;
  if (x.min == x.max) return;
  s.sum_of_squares = x.m2 * x.n;
  const Index3 size{roi.geometry().size[0], roi.geometry().size[1], roi.geometry().size[2]};
  const int64_t memory = std::max<int64_t>(int64_t{1} << 20, 8 * roi.intensities().numel());
  s.pairs = pair_sums(roi.intensities().const_data_ptr<double>(), roi.intensity_mask().const_data_ptr<bool>(), size,
                      s.mean, roi.geometry().spacing, memory);
}

std::vector<Shape> prepare(const Roi& roi, const Variant&) {
  Shape s;
  const auto& size = roi.geometry().size;
  const auto& spacing = roi.geometry().spacing;
  const bool* mask = roi.morphological().const_data_ptr<bool>();
  const auto surface = image::detail::measure_surface(mask, size, spacing);
  s.volume = surface.volume;
  s.area = surface.area;
  // The mesh reaches half a voxel beyond the first and last voxel centre.
  const double z = size[0] * spacing[0], y = size[1] * spacing[1], x = size[2] * spacing[2];
  s.box_volume = z * y * x;
  s.box_area = 2 * (z * y + z * x + y * x);
  fill_hull(s, roi);
  fill_moments(s, roi);
  fill_autocorrelation(s, roi);
  return {s};
}

}  // namespace morphology

Family make_morphology() {
  return make_family({"morphology", "Morphology", "HCUG"}, morphology::kTable, morphology::prepare);
}

}  // namespace vesalius::radiomics
