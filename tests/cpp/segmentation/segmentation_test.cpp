// SPDX-License-Identifier: Apache-2.0
#include "catch.h"

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>

#include <vesalius/core/error.h>
#include <vesalius/segmentation/metrics.h>
#include <vesalius/segmentation/model.h>
#include <vesalius/segmentation/region.h>
#include <vesalius/segmentation/threshold.h>

using namespace vesalius;

namespace {

/// A box of 10 on a background of 1.
Image hot_box() {
  at::Tensor voxels = at::full({12, 16, 16}, 1.0f);
  voxels.narrow(0, 4, 4).narrow(1, 5, 6).narrow(2, 5, 6).fill_(10.0f);
  return Image(voxels, Geometry{{12, 16, 16}, {3, 2, 2}});
}

Mask slab(int64_t first, int64_t count) {
  at::Tensor voxels = at::zeros({10, 4, 4}, at::kByte);
  voxels.narrow(0, first, count).fill_(1);
  return Mask(voxels, Geometry{{10, 4, 4}, {2.5, 1, 1}});
}

}  // namespace

TEST_CASE("the methods find a box", "[analytic]") {
  const Image image = hot_box();
  const auto voxels = [](const Mask& mask) { return mask.tensor().sum().item<int64_t>(); };
  CHECK(voxels(segmentation::percent_of_maximum(image)) == 4 * 6 * 6);
  CHECK(voxels(segmentation::otsu(image)) == 4 * 6 * 6);
  CHECK(voxels(segmentation::grow(image, {{5, 6, 6}}, 5.0)) == 4 * 6 * 6);
  const auto found = segmentation::contrast_threshold(image, nullptr, {});
  CHECK(found.background == Approx(1.0));
  CHECK(found.mean70 == Approx(10.0));
  CHECK(found.threshold == Approx(0.15 * 10 + 1));
  CHECK(voxels(found.mask) == 4 * 6 * 6);
}

TEST_CASE("measures of two slabs", "[analytic]") {
  const auto m = segmentation::evaluate(slab(2, 4), slab(3, 5), 1, 2.5);
  CHECK(m.dice == Approx(2.0 * 3 / 9));
  CHECK(m.jaccard == Approx(3.0 / 6));
  CHECK(m.volume_difference == Approx(-16 * 2.5));
  CHECK(m.hausdorff == Approx(5.0));  // the reference ends two slices of 2.5 mm later
  CHECK(segmentation::dice(slab(2, 4), slab(2, 4)) == 1);
  CHECK(std::isnan(segmentation::dice(slab(2, 4), slab(2, 4), 7)));
}

TEST_CASE("grids that differ are refused", "[mechanics]") {
  const Mask other(slab(2, 4).tensor(), Geometry{{10, 4, 4}, {2, 1, 1}});
  CHECK_THROWS_AS(segmentation::evaluate(slab(2, 4), other, 1), GeometryError);
  CHECK_THROWS_AS(segmentation::percent_of_maximum(hot_box(), &other), GeometryError);
}

TEST_CASE("a bundle comes back from disk and predicts", "[mechanics]") {
  const auto folder = std::filesystem::temp_directory_path() / ("vesalius_bundle_" + std::to_string(std::rand()));
  segmentation::Plan plan;
  plan.fraction = 0.5;
  plan.keep = segmentation::Keep::largest;
  segmentation::Model(plan, "# card").save(folder.string());
  const auto model = segmentation::Model::load(folder.string());
  CHECK(to_yaml(to_map(model.plan())) == to_yaml(to_map(plan)));
  const Mask mask = model.predict(hot_box());
  CHECK(mask.tensor().sum().item<int64_t>() == 4 * 6 * 6);
  CHECK(mask.names().at(1) == "lesion");
  std::ofstream(folder / "plan.yaml") << "method: otsu\nnonsense: 1\n";
  CHECK_THROWS_WITH(segmentation::Model::load(folder.string()), contains("plan.yaml") && contains("nonsense"));
  std::filesystem::remove_all(folder);
  CHECK_THROWS_AS(segmentation::Model::load(folder.string()), IoError);
}
