// SPDX-License-Identifier: Apache-2.0
#include "catch.h"

#include <cmath>

#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/zeros.h>

#include <vesalius/core/error.h>
#include <vesalius/image/components.h>
#include <vesalius/image/crop.h>
#include <vesalius/image/discretise.h>
#include <vesalius/image/distance.h>
#include <vesalius/image/intensity.h>
#include <vesalius/image/morphology.h>
#include <vesalius/image/resample.h>

using namespace vesalius;

namespace {

Image ramp(int64_t n, double spacing) {
  Geometry g{{1, 1, n}, {1, 1, spacing}};
  return Image(at::arange(n, at::kDouble).view({1, 1, n}), g);
}

Mask cube(int64_t size, int64_t first, int64_t count, const Vec3& spacing) {
  at::Tensor voxels = at::zeros({size, size, size}, at::kByte);
  voxels.narrow(0, first, count).narrow(1, first, count).narrow(2, first, count).fill_(1);
  return Mask(voxels, Geometry{{size, size, size}, spacing});
}

}  // namespace

TEST_CASE("IBSI's grid: ceil(n s / s') voxels around the same centre", "[analytic]") {
  const Geometry out = image::resampled_geometry(Geometry{{60, 201, 204}, {3, 0.977, 0.977}}, {2, 2, 2});
  CHECK(out.size == Index3{90, 99, 100});
  const Geometry in{{60, 201, 204}, {3, 0.977, 0.977}};
  const Vec3 before = in.to_physical({29.5, 100, 101.5}), after = out.to_physical({44.5, 49, 49.5});
  for (int a = 0; a < 3; ++a) CHECK(after[a] == Approx(before[a]));
  // 0.1 + 0.2 must not make an extra voxel.
  CHECK(image::resampled_geometry(Geometry{{1, 1, 10}, {1, 1, 0.1 + 0.2}}, {0, 0, 0.3}).size[2] == 10);
}

TEST_CASE("a ramp halved in spacing is a ramp with flat ends", "[analytic]") {
  const Image out = image::resample(ramp(4, 1), {0, 0, 0.5});
  const double expected[] = {0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3};
  REQUIRE(out.tensor().numel() == 8);
  for (int i = 0; i < 8; ++i) CHECK(out.tensor().flatten()[i].item<double>() == Approx(expected[i]).margin(1e-12));
}

TEST_CASE("the spline passes through the voxels", "[invariant]") {
  const Image in(at::rand({5, 6, 7}, at::kDouble), Geometry{{5, 6, 7}});
  // Every third point of the finer grid is a voxel of the old one.
  const Image out = image::resample(in, {1.0 / 3, 1.0 / 3, 1.0 / 3}, image::Interpolation::cubic);
  const at::Tensor at_voxels = out.tensor().slice(0, 1, {}, 3).slice(1, 1, {}, 3).slice(2, 1, {}, 3);
  CHECK(at_voxels.sub(in.tensor()).abs().max().item<double>() < 1e-12);
}

TEST_CASE("impossible grids say why", "[mechanics]") {
  CHECK_THROWS_WITH(image::resample(ramp(4, 1), {1, 1, -2}), contains("positive mm"));
  CHECK_THROWS_WITH(image::resample(ramp(4, 1), {1e-4, 1e-4, 1e-4}), contains("Is the spacing in mm"));
  image::Interpolation how;
  CHECK_THROWS_AS(image::from_string("lanczos", how), InvalidArgument);
}

TEST_CASE("discretisation at its edges", "[analytic]") {
  const at::Tensor x = at::arange(11, at::kDouble), roi = at::ones({11}, at::kBool);
  const at::Tensor bins = image::discretise_bin_number(x, roi, 5);
  const int expected[] = {1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 5};
  for (int i = 0; i < 11; ++i) CHECK(bins[i].item<int>() == expected[i]);
  CHECK(image::discretise_bin_width(x, roi, 5, 0)[10].item<int>() == 3);
  CHECK_THROWS_AS(image::discretise_bin_width(x, roi, 1e-12, 0), InvalidArgument);
  CHECK_THROWS_AS(image::discretise_bin_number(x, roi.logical_not(), 5), InvalidArgument);
}

TEST_CASE("distances and balls know the spacing", "[analytic]") {
  const Mask one = cube(9, 4, 1, {2, 1, 0.5});
  const at::Tensor d = image::distance_transform(one).tensor();
  CHECK(d[4][4][4].item<float>() == 0);
  CHECK(d[0][0][0].item<float>() == Approx(std::sqrt(64 + 16 + 4.0)));
  // A ball of 1 mm: 1 voxel along z, 3 along y, 5 along x, and what lies between in the y-x plane.
  CHECK(image::dilate(one, 1.0).tensor().sum().item<int64_t>() == 1 * (5 + 2 * 1));
  CHECK(image::erode(image::dilate(one, 1.0), 1.0).tensor().sum().item<int64_t>() == 1);
}

TEST_CASE("components by size, and what touches the seeds", "[analytic]") {
  at::Tensor voxels = at::zeros({1, 3, 8}, at::kByte);
  voxels[0][0][0].fill_(1);
  voxels[0][1][1].fill_(1);  // a corner neighbour in the plane
  voxels[0][2].narrow(0, 4, 4).fill_(1);
  const Mask mask(voxels, Geometry{{1, 3, 8}});
  CHECK(image::connected_components(mask, 1, 6).sizes == std::vector<int64_t>{4, 1, 1});
  CHECK(image::connected_components(mask, 1, 18).sizes == std::vector<int64_t>{4, 2});
  CHECK(image::largest_component(mask).tensor().sum().item<int64_t>() == 4);
  CHECK_THROWS_AS(image::largest_component(mask, 2), InvalidArgument);
}

TEST_CASE("crop widens by mm and stops at the border", "[analytic]") {
  const Mask mask = cube(10, 1, 3, {2, 1, 1});
  const auto [image, cut] = image::crop_to_mask(Image(at::ones({10, 10, 10}), mask.geometry()), mask, 1, 2.0);
  CHECK(cut.geometry().size == Index3{5, 6, 6});
  CHECK(cut.geometry().origin == Vec3{0, 0, 0});
}

TEST_CASE("statistics refuse NaN with their number", "[mechanics]") {
  Image image = ramp(5, 1);
  image.tensor()[0][0][2].fill_(std::nan(""));
  CHECK_THROWS_WITH(image::zscore(image), contains("1 of 5 voxels"));
  CHECK(image::clip(image, 0, 1).tensor()[0][0][4].item<double>() == 1);
}
