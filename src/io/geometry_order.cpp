// SPDX-License-Identifier: Apache-2.0
// The one file where (x, y, z) of files and ITK becomes (z, y, x) of tensors, and back.
#include <cmath>
#include <sstream>

#include <vesalius/core/error.h>

#include "io/voxels.h"

namespace vesalius::io::detail {

Geometry geometry_from_steps(const std::array<std::array<double, 3>, 3>& axes_xyz,
                             const std::array<double, 3>& origin_xyz, const Index3& size_zyx, const std::string& path) {
  Geometry g;
  g.size = size_zyx;
  std::array<double, 3> length{};
  for (int axis = 0; axis < 3; ++axis) {
    const auto& step = axes_xyz[axis];
    length[axis] = std::hypot(step[0], step[1], step[2]);
    // An orientation is undefined, or a voxel has no size: nothing measured on it would mean anything.
    if (!std::isfinite(length[axis]) || length[axis] < 1e-9 || length[axis] > 1e9)
      throw GeometryError(path + ": the distance between voxels along " + "xyz"[axis] +
                          " must be a positive number of mm; found " + std::to_string(length[axis]));
    if (!std::isfinite(origin_xyz[axis])) throw GeometryError(path + ": the origin is not finite");
    g.spacing[2 - axis] = length[axis];
    g.origin[2 - axis] = origin_xyz[axis];
    for (int row = 0; row < 3; ++row) g.direction[2 - row][2 - axis] = step[row] / length[axis];
  }
  for (int a = 0; a < 3; ++a)
    for (int b = a + 1; b < 3; ++b) {
      double cosine = 0;
      for (int r = 0; r < 3; ++r) cosine += axes_xyz[a][r] / length[a] * (axes_xyz[b][r] / length[b]);
      if (std::abs(cosine) <= 1e-3) continue;
      std::ostringstream out;
      out << path << ": the axes " << "xyz"[a] << " and " << "xyz"[b] << " are "
          << std::acos(std::min(1.0, std::max(-1.0, cosine))) * 180 / M_PI
          << "° apart; expected 90° within 0.06°. A sheared or singular grid can't be kept as spacing and direction, "
             "and is not "
             "straightened in silence: resample it to a right-angled grid first";
      throw GeometryError(out.str());
    }
  g.validate(path);
  return g;
}

std::array<std::array<double, 3>, 3> steps_of(const Geometry& g) {
  std::array<std::array<double, 3>, 3> out{};
  for (int axis = 0; axis < 3; ++axis)
    for (int row = 0; row < 3; ++row) out[axis][row] = g.direction[2 - row][2 - axis] * g.spacing[2 - axis];
  return out;
}

std::array<double, 3> origin_xyz_of(const Geometry& g) { return {g.origin[2], g.origin[1], g.origin[0]}; }

}  // namespace vesalius::io::detail
