// SPDX-License-Identifier: Apache-2.0
#include "catch.h"

#include <cmath>
#include <limits>

#include <ATen/ops/add.h>
#include <ATen/ops/arange.h>

#include <vesalius/core/error.h>
#include <vesalius/core/image.h>
#include <vesalius/core/mask.h>

using namespace vesalius;

namespace {

/// Oblique and left-handed: rotated about x by 30°, one axis mirrored.
Geometry oblique() {
  const double c = std::cos(0.5), s = std::sin(0.5);
  Geometry g{{4, 5, 6}, {2.5, 0.7, 0.8}, {-30.0, 12.0, 7.0}};
  g.direction = {{{c, -s, 0}, {s, c, 0}, {0, 0, -1}}};
  return g;
}

}  // namespace

TEST_CASE("index to physical and back is the identity", "[invariant]") {
  const Geometry g = oblique();
  const Vec3 index{1.25, 3.5, 0.75};
  const Vec3 back = g.to_index(g.to_physical(index));
  for (int a = 0; a < 3; ++a) CHECK(back[a] == Approx(index[a]).margin(1e-12));
}

TEST_CASE("affine_ras and from_affine_ras are inverse", "[invariant]") {
  const Geometry g = oblique();
  CHECK(Geometry::from_affine_ras(g.affine_ras(), g.size).difference(g, 1e-9).empty());
}

TEST_CASE("impossible geometries are refused by name", "[mechanics]") {
  Geometry g = oblique();
  g.spacing[1] = 0;
  CHECK_THROWS_AS(g.validate(), GeometryError);
  g = oblique();
  g.direction[0] = {0, 0, 0};
  CHECK_THROWS_AS(g.validate(), GeometryError);
  g = oblique();
  g.origin[2] = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_AS(g.validate(), GeometryError);
}

TEST_CASE("difference says which part differs", "[mechanics]") {
  const Geometry g = oblique();
  Geometry h = g;
  CHECK(g.difference(h).empty());
  h.origin[0] += 1.5;
  CHECK(g.difference(h).find("origins differ by 1.5") == 0);
  h = g;
  h.spacing[2] *= 1.1;
  CHECK(g.difference(h).find("spacings differ by 10") == 0);
}

TEST_CASE("crop, pad and reorient keep every voxel at its physical point", "[invariant]") {
  const Geometry g = oblique();
  const Image image(at::arange(4 * 5 * 6).reshape({4, 5, 6}), g);
  const auto check = [&](const Image& other) {
    // The voxel with value v was at index (v / 30, v / 6 % 5, v % 6).
    const auto& size = other.geometry().size;
    for (int64_t z = 0; z < size[0]; ++z)
      for (int64_t y = 0; y < size[1]; ++y)
        for (int64_t x = 0; x < size[2]; ++x) {
          const auto v = other.tensor()[z][y][x].item<int64_t>();
          if (v < 0) continue;
          const Vec3 was = g.to_physical({double(v / 30), double(v / 6 % 5), double(v % 6)});
          const Vec3 is = other.geometry().to_physical({double(z), double(y), double(x)});
          for (int a = 0; a < 3; ++a) REQUIRE(is[a] == Approx(was[a]).margin(1e-9));
        }
  };
  check(crop(image, {1, 2, 0}, {2, 2, 5}));
  check(pad(image, {1, 0, 2}, {0, 3, 1}, -1));
  for (const char* orientation : {"LPS", "RAS", "SLP", "AIR", "PIR"}) {
    const Image turned = reorient(image, orientation);
    CHECK(orientation_of(turned.geometry()) == orientation);
    check(turned);
  }
  CHECK_THROWS_AS(reorient(image, "LRS"), InvalidArgument);
  CHECK_THROWS_AS(crop(image, {0, 0, 0}, {5, 5, 6}), InvalidArgument);
}

TEST_CASE("images and masks check their tensors", "[mechanics]") {
  const Geometry g{{2, 3, 4}};
  CHECK_THROWS_AS(Image(at::arange(24), g), ShapeError);
  CHECK_THROWS_AS(Image(at::arange(24).reshape({4, 3, 2}), g), ShapeError);
  CHECK(Image(at::arange(48).reshape({2, 2, 3, 4}), g).channels() == 2);
  const at::Tensor labels = at::arange(24).reshape({2, 3, 4});
  CHECK_THROWS_AS(Mask(labels.to(at::kFloat), g), TypeMismatch);
  const Mask mask(labels.remainder(3), g, {{1, "femur"}});
  CHECK((mask.labels() == std::vector<int64_t>{1, 2}));
  CHECK(mask.label_of("femur") == 1);
  CHECK_THROWS_AS(mask.select(7), InvalidArgument);
  CHECK_THROWS_AS(mask.label_of("tibia"), InvalidArgument);
  CHECK_THROWS_AS(Mask::from_image(Image(labels.to(at::kFloat).add(0.5), g)), TypeMismatch);
  CHECK(Mask::from_image(Image(labels.to(at::kFloat), g)).tensor().scalar_type() == at::kInt);
}
