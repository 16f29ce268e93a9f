// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include <vesalius/core/export.h>

namespace vesalius {

/// Three integers in index order (z, y, x).
using Index3 = std::array<int64_t, 3>;
/// Three numbers in (z, y, x) order: an index with fractions, a size in mm, or a physical point.
using Vec3 = std::array<double, 3>;
/// Rows and columns both in (z, y, x) order.
using Mat3 = std::array<Vec3, 3>;

/// Where a voxel grid lies in the patient.
///
/// Physical points are in DICOM's and ITK's LPS millimetres; every triple here is stored in (z, y, x)
/// order, as the tensor's dimensions are. The centre of voxel `i` lies at
/// `origin + direction · diag(spacing) · i`. A 2D image has `size[0] == 1`.
struct VESALIUS_API Geometry {
  Index3 size{1, 1, 1};                               ///< voxels
  Vec3 spacing{1.0, 1.0, 1.0};                        ///< mm between voxel centres
  Vec3 origin{0.0, 0.0, 0.0};                         ///< LPS mm, centre of the first voxel
  Mat3 direction{{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};  ///< columns: the index axes' unit vectors

  /// @throws GeometryError unless sizes and spacings are positive, all is finite, and the direction
  ///   is orthonormal to 1e-3 (left-handed is allowed). `what` names the image in the message.
  void validate(const std::string& what = "image") const;

  Vec3 to_physical(const Vec3& index) const;  ///< continuous voxel index → LPS mm
  Vec3 to_index(const Vec3& point) const;     ///< LPS mm → continuous voxel index

  int64_t voxels() const { return size[0] * size[1] * size[2]; }
  double voxel_volume() const { return spacing[0] * spacing[1] * spacing[2]; }  ///< mm³

  /// "" when both describe the same grid, else a sentence that says which part differs by how much.
  /// `tolerance` is relative to the spacing; directions are compared to 1e-3.
  std::string difference(const Geometry& other, double tolerance = 1e-2) const;
  bool same_as(const Geometry& other, double tolerance = 1e-2) const { return difference(other, tolerance).empty(); }
  /// @throws GeometryError with `difference`'s sentence when the grids differ.
  void require_same(const Geometry& other, const std::string& mine, const std::string& theirs,
                    double tolerance = 1e-2) const;

  /// The grid of `count` voxels that starts at `start` (which may be negative: padding).
  Geometry cropped(const Index3& start, const Index3& count) const;

  /// nibabel's affine: rows x, y, z, 1 in RAS mm; columns i (=x), j (=y), k (=z), 1.
  std::array<std::array<double, 4>, 4> affine_ras() const;
  static Geometry from_affine_ras(const std::array<std::array<double, 4>, 4>& affine, const Index3& size);

  bool operator==(const Geometry&) const = default;
  std::string to_string() const;
};

}  // namespace vesalius
