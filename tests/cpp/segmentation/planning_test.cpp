// SPDX-License-Identifier: Apache-2.0
#include "catch.h"

#include <ATen/ops/one_hot.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randint.h>

#include <vesalius/core/error.h>
#include <vesalius/segmentation/planner.h>
#include <vesalius/segmentation/preprocess.h>

using namespace vesalius;
using namespace vesalius::segmentation;

namespace {

Fingerprint like_hippocampus() {
  Fingerprint print;
  print.spacings.assign(260, {1.0, 1.0, 1.0});
  print.shapes.assign(260, {36, 50, 35});
  print.channels.resize(1);
  return print;
}

}  // namespace

TEST_CASE("a plan without Python [oracle: nnunetv2 2.8.1, planner_oracle.json, Hippo_like]") {
  const Plans plans = plan(like_hippocampus(), "hippo", {"MRI"}, 3, 260);
  const Configuration& full = plans.configuration("3d_fullres");
  CHECK(full.patch_size == std::vector<int64_t>{40, 56, 40});
  CHECK(full.batch_size == 9);
  CHECK(full.features == std::vector<int64_t>{32, 64, 128, 256});
  CHECK(plans.configuration("2d").batch_size == 366);
  CHECK_FALSE(plans.has("3d_lowres"));
  CHECK(Plans::from_json(plans.to_json()).to_json() == plans.to_json());
  CHECK_THROWS_AS(plans.configuration("4d"), InvalidArgument);
}

TEST_CASE("labels come back through preprocessing [invariant]") {
  const Plans plans = plan(like_hippocampus(), "hippo", {"MRI"}, 3, 260);
  const Image image(at::rand({20, 24, 22}).add(1.0), Geometry{{20, 24, 22}});
  const at::Tensor labels = at::randint(0, 3, {20, 24, 22}, at::kShort);
  const Preprocessed made = preprocess_image(image, PreprocessPlan(plans, "3d_fullres"), labels);
  const at::Tensor logits = at::one_hot(made.labels.to(at::kLong), 3).permute({3, 0, 1, 2}).to(at::kFloat);
  LabelSet set;
  set.labels = {{"background", {0}}, {"anterior", {1}}, {"posterior", {2}}};
  const Mask back = restore_labels(logits, made.trace, set);
  CHECK(back.tensor().to(at::kShort).equal(labels));
}
