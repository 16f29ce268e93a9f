// SPDX-License-Identifier: Apache-2.0
#include "catch.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/from_blob.h>

#include <vesalius/core/error.h>
#include <vesalius/outcome/brier.h>
#include <vesalius/outcome/concordance.h>
#include <vesalius/outcome/detail/order.h>
#include <vesalius/outcome/dynamic_auc.h>
#include <vesalius/outcome/loess.h>
#include <vesalius/outcome/net_benefit.h>
#include <vesalius/outcome/roc.h>

using namespace vesalius::outcome;

namespace {

at::Tensor numbers(std::vector<double> values) {
  return at::from_blob(values.data(), {static_cast<int64_t>(values.size())}, at::kDouble).clone();
}

}  // namespace

TEST_CASE("radix sort orders doubles as std::stable_sort does", "[oracle: std::stable_sort]") {
  std::vector<double> keys;
  uint64_t state = 1;
  for (int i = 0; i < 3000; ++i) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    const double v = static_cast<double>(static_cast<int64_t>(state >> 33) % 700 - 350);
    keys.push_back(i % 3 ? v : v * 1e-200);
  }
  keys[7] = -0.0, keys[8] = 0.0, keys[9] = -INFINITY, keys[10] = INFINITY;
  std::vector<uint32_t> expected(keys.size());
  std::iota(expected.begin(), expected.end(), 0u);
  std::stable_sort(expected.begin(), expected.end(), [&](uint32_t a, uint32_t b) { return keys[a] < keys[b]; });
  CHECK(vesalius::outcome::detail::ascending(keys) == expected);
}

TEST_CASE("Uno's weights by hand", "[oracle: by hand]") {
  // G: one of three at risk censored at 2 (the event there has left), so that G(3-) = 2/3
  const auto time = numbers({1, 2, 2, 3, 4}), event = numbers({1, 1, 0, 1, 0}), risk = numbers({5, 1, 3, 2, 4});
  ConcordanceOptions options;
  options.weighting = PairWeighting::n_over_g2;
  const auto c = concordance_index(time, event, risk, std::nullopt, options);
  CHECK(std::abs(c.concordant - 4) < 1e-12);              // the event at 1 against four
  CHECK(std::abs(c.discordant - (3 + 9.0 / 4)) < 1e-12);  // at 2: three; at 3: one of weight (3/2)²
  options.tau = 2.0;
  CHECK(std::abs(concordance_index(time, event, risk, std::nullopt, options).discordant - 3) < 1e-12);
  options.tau_included = false;
  CHECK(concordance_index(time, event, risk, std::nullopt, options).discordant == 0);
}

TEST_CASE("AUC and Brier at a time by hand", "[oracle: by hand]") {
  const auto time = numbers({1, 2, 2, 3, 4}), event = numbers({1, 1, 0, 1, 0}), risk = numbers({5, 1, 3, 2, 4});
  const auto auc = cumulative_dynamic_auc(time, event, risk, numbers({0.5, 2.5, 9}));
  CHECK(auc.auc[1].item<double>() == 0.5);  // the case of risk 5 above 2 and 4, that of 1 below both
  CHECK(std::isnan(auc.auc[0].item<double>()));
  CHECK(auc.reason[0].find("had the event") != std::string::npos);
  CHECK(auc.reason[2].find("beyond") != std::string::npos);
  const auto p = numbers({0.9, 0.5, 0.5, 0.2, 0.1}).view({5, 1});
  const auto brier = brier_curve(time, event, p, numbers({2.5}));
  CHECK(std::abs(brier.brier[0].item<double>() - (0.01 + 0.25 + 1.5 * (0.04 + 0.01)) / 5) < 1e-12);
  CHECK(std::abs(brier.null[0].item<double>() - 0.24) < 1e-12);  // Kaplan-Meier's 0.6 · 0.4
  const auto same = brier_curve(time, event, p * -1 + 1, numbers({2.5}), {}, Integration::trapezoid, true);
  CHECK(std::abs(same.brier[0].item<double>() - brier.brier[0].item<double>()) < 1e-12);
}

TEST_CASE("net benefit, average precision, loess by hand", "[oracle: by hand]") {
  const auto benefit =
      net_benefit(numbers({1, 1, 3, 3}), numbers({1, 0, 0, 1}), numbers({0.9, 0.8, 0.7, 0.1}), 2, numbers({0.5}));
  // above 0.5: an event at 1, one censored at 1, one beyond: Kaplan-Meier 2/3 there, so 1/4 hits and 1/2 alarms
  CHECK(std::abs(benefit.true_positives[0].item<double>() - 0.25) < 1e-12);
  CHECK(std::abs(benefit.value[0].item<double>() + 0.25) < 1e-12);
  CHECK(std::abs(average_precision(numbers({1, 0, 1}), numbers({3, 2, 1})).value - (1 + 2.0 / 3) / 2) < 1e-12);
  const auto x = numbers({0, 1, 2, 3, 4, 5, 6, 7});
  CHECK((loess(x, x * x - 3 * x, x, 0.75, 2) - (x * x - 3 * x)).abs().max().item<double>() < 1e-10);
}

TEST_CASE("bootstrap draws are the same however they are counted", "[invariant]") {
  const auto count = bootstrap_multiplicities(1000, 5, 3);
  CHECK(count.sum().item<int64_t>() == 1000);
  CHECK(at::equal(count, bootstrap_multiplicities(1000, 5, 3)));
  CHECK(!at::equal(count, bootstrap_multiplicities(1000, 5, 4)));
  CHECK(!at::equal(count, bootstrap_multiplicities(1000, 6, 3)));
}

TEST_CASE("measures refuse what makes no sense", "[mechanics]") {
  const auto time = numbers({1, 2}), event = numbers({1, 0}), risk = numbers({2, 1});
  CHECK_THROWS_AS(cumulative_dynamic_auc(time, numbers({3, 0}), risk, numbers({1})), vesalius::InvalidArgument);
  CHECK_THROWS_AS(cumulative_dynamic_auc(time * -1, event, risk, numbers({1})), vesalius::InvalidArgument);
  CHECK_THROWS_AS(brier_curve(time, event, risk.view({2, 1}), numbers({1})), vesalius::InvalidArgument);
  CHECK_THROWS_AS(concordance_index(time, event, risk, std::nullopt, {}, numbers({1, 0})), vesalius::InvalidArgument);
  CHECK_THROWS_AS(gonen_heller(numbers({1})), vesalius::InvalidArgument);
}
