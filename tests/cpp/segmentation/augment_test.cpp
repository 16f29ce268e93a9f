// SPDX-License-Identifier: Apache-2.0
#include "catch.h"

#include <limits>

#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>

#include <vesalius/core/error.h>
#include <vesalius/segmentation/augment.h>
#include <vesalius/segmentation/sampler.h>

#include "segmentation/random.h"

using namespace vesalius;
using namespace vesalius::segmentation;

namespace {

std::vector<SamplerCase> two_cases() {
  std::vector<SamplerCase> cases;
  for (int k = 0; k < 2; ++k) {
    at::Tensor image = at::full({1, 12, 14, 16}, float(k + 1)), labels = at::zeros({12, 14, 16}, at::kShort);
    labels.narrow(0, 4, 3).narrow(1, 5, 3).narrow(2, 6, 3).fill_(1);
    at::Tensor voxels = at::zeros({1, 3}, at::kInt);
    voxels.fill_(6);
    cases.emplace_back("case" + std::to_string(k), image, labels, ForegroundLocations{{{1}}, {voxels}});
  }
  return cases;
}

}  // namespace

TEST_CASE("Philox gives the published numbers", "[oracle]") {
  // Random123's known answers for philox4x32-10.
  CHECK(segmentation::detail::philox(0, 0) == std::array<uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
}

TEST_CASE("A loader gives the sampler's batches in order and stops", "[invariant]") {
  const PatchSampler sampler(two_cases(), {{8, 8, 8}, 2}, Augmentation(AugmentationSettings{}, {8, 8, 8}));
  PatchLoader loader(sampler, 3, 9, 4, 3);
  for (int64_t step = 3; step < 9; ++step) {
    const auto batch = loader.next();
    REQUIRE(batch);
    CHECK(batch->epoch == step / 4);
    CHECK(batch->iteration == step % 4);
    const PatchBatch again = sampler.batch(step / 4, step % 4);
    CHECK(at::equal(batch->image, again.image));
    CHECK(at::equal(batch->labels[0], again.labels[0]));
    CHECK(batch->keys == again.keys);
  }
  CHECK_FALSE(loader.next());
  const PatchLoader dropped(sampler, 0, 1000000, 250, 4);  // destroyed while its threads work
}

TEST_CASE("A broken case throws at its batch", "[mechanics]") {
  auto cases = two_cases();
  cases[0].image.fill_(std::numeric_limits<float>::quiet_NaN());
  cases.pop_back();
  const PatchSampler sampler(cases, {{8, 8, 8}, 2});
  PatchLoader loader(sampler, 0, 3, 4, 2);
  CHECK_THROWS_AS(loader.next(), InvalidArgument);
  CHECK_THROWS_AS(sampler.batch(0, 0), InvalidArgument);
  CHECK_THROWS_AS(PatchSampler({}, {{8, 8, 8}, 2}), InvalidArgument);
  CHECK_THROWS_AS(PatchLoader(sampler, 3, 1, 4), InvalidArgument);
}
