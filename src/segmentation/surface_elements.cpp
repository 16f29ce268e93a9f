// SPDX-License-Identifier: Apache-2.0
#include "segmentation/surface_elements.h"

#include <bit>
#include <cmath>
#include <vector>

#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <vesalius/image/detail/marching_cubes_kernel.h>

namespace vesalius::segmentation::detail {
namespace {

/// The corners of a case that hang together along edges with the lowest one.
int first_part(int cube) {
  int part = cube & -cube;
  for (int before = 0; before != part;) {
    before = part;
    for (int c = 0; c < 8; ++c)
      if (part >> c & 1) part |= cube & (1 << (c ^ 1) | 1 << (c ^ 2) | 1 << (c ^ 4));
  }
  return part;
}

/// Area of one of the 256 cases, as in Nikolov et al.'s surface-distance: inside and outside are alike (the smaller of both is
/// looked at), and corners that touch across a face's diagonal are kept apart. (IBSI's mesh joins them, so the common table
/// of triangles is asked for each part alone, where there is nothing to choose.)
double case_area(int cube, const Vec3& spacing) {
  if (std::popcount(static_cast<unsigned>(cube)) > 4) cube = ~cube & 255;
  double area = 0;
  while (cube != 0) {
    const int part = first_part(cube);
    for (image::detail::Triangle triangle : image::detail::CubeTable::get().triangles(part)) {
      for (auto& point : triangle)
        for (int a = 0; a < 3; ++a) point[a] *= spacing[a];
      area += image::detail::triangle_area(triangle);
    }
    cube &= ~part;
  }
  return area;
}

/// Length of the contour in one of the 16 cases of a 2 × 2 neighbourhood; bit 0 of a corner is the second axis.
double case_length(int square, double first, double second) {
  const double cut = 0.5 * std::hypot(first, second);
  switch (std::popcount(static_cast<unsigned>(square))) {
    case 1:
    case 3:
      return cut;
    case 2:
      return square == 0b0011 || square == 0b1100 ? second : square == 0b0101 || square == 0b1010 ? first : 2 * cut;
    default:
      return 0;
  }
}

}  // namespace

SurfaceElements surface_elements(const at::Tensor& chosen, const std::array<bool, 3>& flat, const Vec3& spacing) {
  std::vector<int> axes;
  std::vector<int64_t> width(6, 0);
  for (int a = 0; a < 3; ++a) {
    if (flat[a]) continue;
    axes.push_back(a);
    width[2 * (2 - a)] = width[2 * (2 - a) + 1] = 1;
  }
  const at::Tensor padded = at::constant_pad_nd(chosen, width, 0).to(at::kInt);
  const int corners = 1 << axes.size();
  at::Tensor cases;
  for (int c = 0; c < corners; ++c) {
    at::Tensor corner = padded;
    for (size_t k = 0; k < axes.size(); ++k)
      corner = corner.narrow(axes[k], c >> (axes.size() - 1 - k) & 1, padded.size(axes[k]) - 1);
    corner = corner.mul(1 << c);
    cases = c == 0 ? corner : cases.add(corner);
  }
  std::vector<double> table(1 << corners);
  for (int i = 0; i < static_cast<int>(table.size()); ++i)
    table[i] = axes.size() == 3 ? case_area(i, spacing) : case_length(i, spacing[axes[0]], spacing[axes[1]]);
  SurfaceElements out;
  out.where = cases.ne(0).logical_and(cases.ne(static_cast<int64_t>(table.size()) - 1));
  out.area = at::tensor(table, at::kDouble).index_select(0, cases.flatten()).view(cases.sizes());
  return out;
}

}  // namespace vesalius::segmentation::detail
