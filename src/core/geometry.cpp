// SPDX-License-Identifier: Apache-2.0
#include <vesalius/core/geometry.h>

#include <algorithm>
#include <cmath>
#include <sstream>

#include <vesalius/core/error.h>

namespace vesalius {
namespace {

constexpr double kDirectionTolerance = 1e-3;

Mat3 inverse(const Mat3& m) {
  const auto cofactor = [&](int r, int c) {
    const int r1 = (r + 1) % 3, r2 = (r + 2) % 3, c1 = (c + 1) % 3, c2 = (c + 2) % 3;
    return m[r1][c1] * m[r2][c2] - m[r1][c2] * m[r2][c1];
  };
  const double determinant = m[0][0] * cofactor(0, 0) + m[0][1] * cofactor(0, 1) + m[0][2] * cofactor(0, 2);
  Mat3 out{};
  for (int r = 0; r < 3; ++r)
    for (int c = 0; c < 3; ++c) out[c][r] = cofactor(r, c) / determinant;
  return out;
}

template <class T>
std::string triple(const T& v) {
  std::ostringstream out;
  out.precision(6);
  out << "(" << v[0] << ", " << v[1] << ", " << v[2] << ")";
  return out.str();
}

}  // namespace

void Geometry::validate(const std::string& what) const {
  for (int a = 0; a < 3; ++a) {
    if (size[a] < 1)
      throw GeometryError(what + ": every size must be at least 1 voxel, got (z, y, x) = " + triple(size));
    if (!std::isfinite(spacing[a]) || spacing[a] <= 0)
      throw GeometryError(what + ": spacing must be positive and finite (mm), got (z, y, x) = " + triple(spacing));
    if (!std::isfinite(origin[a]))
      throw GeometryError(what + ": origin must be finite (LPS mm), got (z, y, x) = " + triple(origin));
  }
  for (int c = 0; c < 3; ++c) {
    for (int d = c; d < 3; ++d) {
      double dot = 0;
      for (int r = 0; r < 3; ++r) dot += direction[r][c] * direction[r][d];
      // Written so that NaN fails too.
      if (!(std::abs(dot - (c == d ? 1.0 : 0.0)) <= kDirectionTolerance))
        throw GeometryError(what + ": the direction's columns must be orthonormal unit vectors, got rows (z, y, x) " +
                            triple(direction[0]) + " " + triple(direction[1]) + " " + triple(direction[2]));
    }
  }
}

Vec3 Geometry::to_physical(const Vec3& index) const {
  Vec3 point = origin;
  for (int r = 0; r < 3; ++r)
    for (int c = 0; c < 3; ++c) point[r] += direction[r][c] * spacing[c] * index[c];
  return point;
}

Vec3 Geometry::to_index(const Vec3& point) const {
  const Mat3 back = inverse(direction);
  Vec3 index{};
  for (int r = 0; r < 3; ++r) {
    for (int c = 0; c < 3; ++c) index[r] += back[r][c] * (point[c] - origin[c]);
    index[r] /= spacing[r];
  }
  return index;
}

std::string Geometry::difference(const Geometry& other, double tolerance) const {
  if (size != other.size)
    return "sizes differ: " + triple(size) + " against " + triple(other.size) + " voxels (z, y, x)";
  double spacing_off = 0, direction_off = 0;
  for (int a = 0; a < 3; ++a) {
    spacing_off = std::max(spacing_off, std::abs(spacing[a] - other.spacing[a]) / spacing[a]);
    for (int b = 0; b < 3; ++b)
      direction_off = std::max(direction_off, std::abs(direction[a][b] - other.direction[a][b]));
  }
  if (!(spacing_off <= tolerance))
    return "spacings differ by " + std::to_string(100 * spacing_off) + " %: " + triple(spacing) + " against " +
           triple(other.spacing) + " mm (z, y, x)";
  const double smallest = std::min({spacing[0], spacing[1], spacing[2]});
  double origin_off = 0;
  for (int a = 0; a < 3; ++a) origin_off = std::max(origin_off, std::abs(origin[a] - other.origin[a]));
  if (!(origin_off <= tolerance * smallest))
    return "origins differ by " + std::to_string(origin_off) + " mm: " + triple(origin) + " against " +
           triple(other.origin) + " (z, y, x)";
  if (!(direction_off <= kDirectionTolerance))
    return "directions differ by " + std::to_string(direction_off) + ": rows " + triple(direction[0]) + " " +
           triple(direction[1]) + " " + triple(direction[2]) + " against " + triple(other.direction[0]) + " " +
           triple(other.direction[1]) + " " + triple(other.direction[2]);
  return "";
}

void Geometry::require_same(const Geometry& other, const std::string& mine, const std::string& theirs,
                            double tolerance) const {
  const std::string how = difference(other, tolerance);
  if (!how.empty())
    throw GeometryError(mine + " and " + theirs + " are not on the same grid: " + how +
                        ". Resample one onto the other first (vesalius.image.resample_like)");
}

Geometry Geometry::cropped(const Index3& start, const Index3& count) const {
  Geometry out = *this;
  out.size = count;
  out.origin = to_physical({double(start[0]), double(start[1]), double(start[2])});
  return out;
}

std::array<std::array<double, 4>, 4> Geometry::affine_ras() const {
  std::array<std::array<double, 4>, 4> out{};
  for (int r = 0; r < 3; ++r) {
    const int from = 2 - r;                  // row x of the affine is our last physical axis
    const double sign = r < 2 ? -1.0 : 1.0;  // L→R and P→A change sign, S stays
    for (int c = 0; c < 3; ++c) out[r][c] = sign * direction[from][2 - c] * spacing[2 - c];
    out[r][3] = sign * origin[from];
  }
  out[3][3] = 1.0;
  return out;
}

Geometry Geometry::from_affine_ras(const std::array<std::array<double, 4>, 4>& affine, const Index3& size) {
  Geometry out;
  out.size = size;
  for (int c = 0; c < 3; ++c) {
    double length = 0;
    for (int r = 0; r < 3; ++r) length += affine[r][c] * affine[r][c];
    length = std::sqrt(length);
    out.spacing[2 - c] = length;
    for (int r = 0; r < 3; ++r) out.direction[2 - r][2 - c] = (r < 2 ? -1.0 : 1.0) * affine[r][c] / length;
  }
  for (int r = 0; r < 3; ++r) out.origin[2 - r] = (r < 2 ? -1.0 : 1.0) * affine[r][3];
  out.validate("affine");
  return out;
}

std::string Geometry::to_string() const {
  return "size " + triple(size) + ", spacing " + triple(spacing) + " mm, origin " + triple(origin) +
         " LPS mm (z, y, x)";
}

}  // namespace vesalius
