// SPDX-License-Identifier: Apache-2.0
#include "catch.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/zeros.h>

#include <vesalius/core/error.h>
#include <vesalius/radiomics/features.h>
#include <vesalius/radiomics/glcm.h>

using namespace vesalius;
using namespace vesalius::radiomics;

namespace {

Geometry cube(int64_t n) { return Geometry{{n, n, n}, {1, 1, 1}, {0, 0, 0}}; }

/// Stops the work as soon as it is asked.
class Stop : public Monitor {
 public:
  bool cancelled() override { return true; }
};

}  // namespace

TEST_CASE("features from C++", "[oracle: by hand]") {
  const Image image(at::arange(216, at::kFloat).reshape({6, 6, 6}), cube(6));
  at::Tensor labels = at::zeros({6, 6, 6}, at::kByte);
  labels.narrow(0, 2, 2).narrow(1, 2, 2).narrow(2, 2, 2).fill_(1);
  const Mask mask(labels, cube(6));
  const Features f = extract(image, mask);
  CHECK(f.at("stat_mean") == Approx(86 + 21.5));
  CHECK(f.at("Q4LE") == f.at("original_firstorder_Mean"));
  CHECK(f.at("morph_vol_approx") == 8);
  CHECK(f.columns.size() == catalogue().size());
  CHECK(f.settings_hash == hash(to_map(Settings{})));
  CHECK_THROWS_WITH(f.at("stat_maen"), contains("stat_mean"));
  CHECK_THROWS_AS(extract(image, mask, {}, 2), InvalidArgument);
  Stop stop;
  CHECK_THROWS_AS(extract(image, mask, {}, 1, &stop), Cancelled);
}

TEST_CASE("the catalogue finds by every name", "[mechanics]") {
  for (const auto& row : catalogue()) {
    CHECK(&find_feature(row.name) == &row);
    if (row.name.starts_with("ivh_v") || row.name.starts_with("ivh_i"))  // IBSI's one code for two fractions
      CHECK_THROWS_AS(find_feature(row.code), InvalidArgument);
    else
      CHECK(&find_feature(row.code) == &row);
    if (!row.pyradiomics.empty()) CHECK(&find_feature(row.pyradiomics) == &row);
  }
}

TEST_CASE("wrong levels are refused", "[mechanics]") {
  const auto offsets = neighbour_offsets();
  CHECK(offsets.size(0) == 13);
  CHECK(neighbour_offsets(1, true).size(0) == 4);
  CHECK_THROWS_AS(glcm_counts(at::arange(8, at::kInt).reshape({2, 2, 2}), offsets, 6), InvalidArgument);
  CHECK_THROWS_AS(glcm_counts(at::arange(8, at::kFloat).reshape({2, 2, 2}), offsets, 8), TypeMismatch);
  CHECK_THROWS_AS(glcm_counts(at::arange(8, at::kInt), offsets, 8), ShapeError);
}
