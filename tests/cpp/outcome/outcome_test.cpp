// SPDX-License-Identifier: Apache-2.0
#include "catch.h"

#include <cmath>

#include <ATen/TensorOperators.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/rand.h>

#include <vesalius/core/error.h>
#include <vesalius/outcome/concordance.h>
#include <vesalius/outcome/cox.h>
#include <vesalius/outcome/detail/cholesky.h>
#include <vesalius/outcome/detail/concordance_kernel.h>
#include <vesalius/outcome/detail/roc_kernel.h>
#include <vesalius/outcome/kaplan_meier.h>
#include <vesalius/outcome/logistic.h>
#include <vesalius/outcome/roc.h>

using namespace vesalius;
using namespace vesalius::outcome;

namespace {

at::Tensor tensor(std::vector<double> values) {
  return at::from_blob(values.data(), {static_cast<int64_t>(values.size())}, at::kDouble).clone();
}

at::Tensor table(std::vector<double> values, int64_t columns) { return tensor(std::move(values)).view({-1, columns}); }

}  // namespace

TEST_CASE("Cholesky solves and names the dependent column", "[oracle: by hand]") {
  std::vector<double> a{4, 2, 2, 3};
  REQUIRE(outcome::detail::cholesky(a, 2, 1e-12) == -1);
  std::vector<double> x{8, 7};
  outcome::detail::cholesky_solve(a, 2, x.data());
  CHECK(x[0] == Approx(1.25));
  CHECK(x[1] == Approx(1.5));
  const auto inverse = outcome::detail::cholesky_inverse(a, 2);
  CHECK(inverse[0] == Approx(3.0 / 8));
  CHECK(inverse[1] == Approx(-2.0 / 8));
  std::vector<double> b{1, 2, 2, 4};
  CHECK(outcome::detail::cholesky(b, 2, 1e-12) == 1);
}

TEST_CASE("midranks share ties", "[oracle: by hand]") {
  CHECK(outcome::detail::midranks(std::vector<double>{3, 1, 3, 2}) == std::vector<double>{3.5, 1, 3.5, 2});
}

TEST_CASE("logistic regression on a 2x2 table is its log odds ratio", "[oracle: analytic]") {
  // 10 of 30 unexposed and 24 of 40 exposed: odds ratio 3, Woolf's standard error
  std::vector<double> x, y;
  for (int i = 0; i < 70; ++i) x.push_back(i >= 30), y.push_back(i < 10 || (i >= 30 && i < 54));
  const auto fit = fit_logistic(tensor(x).view({70, 1}), tensor(y));
  CHECK(fit.coef[0].item<double>() == Approx(std::log(3.0)).epsilon(1e-9));
  CHECK(fit.intercept == Approx(std::log(0.5)).epsilon(1e-9));
  CHECK(fit.covariance[1][1].item<double>() == Approx(1.0 / 10 + 1.0 / 20 + 1.0 / 24 + 1.0 / 16).epsilon(1e-9));
  LogisticOptions ridge;
  ridge.penalty = {1e9, 0};
  CHECK(std::abs(fit_logistic(tensor(x).view({70, 1}), tensor(y), ridge).coef[0].item<double>()) < 1e-7);
  ridge.penalty = {0.5, 1};
  CHECK(fit_logistic(tensor(x).view({70, 1}), tensor(y), ridge).coef[0].item<double>() == 0);
}

TEST_CASE("Cox with one binary column and no ties solves its score equation", "[oracle: analytic]") {
  // times 1..4 all events, x = 1 0 1 0: score 0 of  log-likelihood  2b − log(2e+2) − log(e+2) − log(e+1), e = exp(b)
  const auto fit = fit_cox(table({1, 0, 1, 0}, 1), tensor({1, 2, 3, 4}), tensor({1, 1, 1, 1}));
  const double e = std::exp(fit.coef[0].item<double>());
  CHECK(2 - e / (e + 1) - e / (e + 2) - e / (e + 1) == Approx(0).margin(1e-9));
  CHECK(fit.log_likelihood_null == Approx(-std::log(24.0)));
  CHECK(fit.baseline_times.size(0) == 4);
}

TEST_CASE("Kaplan-Meier's first table", "[oracle: by hand]") {
  const auto curve = kaplan_meier(tensor({1, 2, 2, 3}), tensor({1, 1, 0, 0}));
  CHECK(curve.survival[0].item<double>() == 0.75);
  CHECK(curve.survival[1].item<double>() == Approx(0.5));
  CHECK(curve.at_risk[2].item<double>() == 1);
  CHECK(curve.cumulative_hazard[2].item<double>() == Approx(1.0 / 4 + 1.0 / 3));
}

TEST_CASE("log-rank of two groups without overlap", "[oracle: by hand]") {
  // deaths a a b b at 1 2 3 4: O − E in a is 2 − (1/2 + 1/3), V = 1/4 + 2/9
  const auto test = log_rank(tensor({1, 2, 3, 4}), tensor({1, 1, 1, 1}), tensor({0, 0, 1, 1}));
  CHECK(test.chi_squared == Approx(std::pow(2 - 5.0 / 6, 2) / (1.0 / 4 + 2.0 / 9)));
  CHECK(test.degrees_of_freedom == 1);
  CHECK(test.p == Approx(std::erfc(std::sqrt(test.chi_squared / 2))));
}

TEST_CASE("concordance counts every kind of pair", "[oracle: by hand]") {
  const auto c = concordance_index(tensor({1, 2, 2, 2, 3}), tensor({1, 1, 1, 0, 0}), tensor({5, 1, 3, 1, 3}));
  CHECK(c.concordant == 4 + 1);  // subject 0 with all; 2 with 3
  CHECK(c.tied_risk == 2);       // 1 with 3; 2 with 4
  CHECK(c.discordant == 1);      // 1 with 4
  CHECK(c.tied_time == 1);       // 1 with 2
  CHECK(c.value == Approx((5 + 1.0) / 8));
}

TEST_CASE("AUC of a perfect and a useless score", "[oracle: analytic]") {
  const auto y = tensor({0, 0, 1, 1});
  CHECK(roc_auc(y, tensor({1, 2, 3, 4})).auc[0].item<double>() == 1);
  CHECK(roc_auc(y, tensor({7, 7, 7, 7})).auc[0].item<double>() == 0.5);
  const auto curve = roc_curve(y, tensor({1, 3, 3, 4}));
  CHECK(curve.thresholds.size(0) == 4);
}

TEST_CASE("bad input is named", "[mechanics]") {
  const auto x = at::rand({10, 2}, at::kDouble);
  const auto t = tensor({1, 2, 3, 4, 5, 6, 7, 8, 9, 10});
  const auto e = tensor({1, 0, 1, 0, 1, 0, 1, 0, 1, 0});
  CHECK_THROWS_AS(fit_cox(x, t.narrow(0, 0, 5), e), ShapeError);
  CHECK_THROWS_WITH(fit_cox(x, t, e * 2), contains("must be 0 or 1"));
  CHECK_THROWS_WITH(fit_cox(x, t, e * 0), contains("no subject has an event"));
  CHECK_THROWS_WITH(fit_cox(x / 0, t, e), contains("NaN or infinity"));
  CHECK_THROWS_AS(fit_logistic(x, e * 0), InvalidArgument);
  LogisticOptions options;
  options.names = {"a", "b"};
  CHECK_THROWS_WITH(fit_logistic(x * tensor({1, 0}), e, options), contains("\"b\" is constant"));
  options.penalty = {-1, 0};
  CHECK_THROWS_WITH(fit_logistic(x, e, options), contains("alpha"));
  CHECK_THROWS_AS(kaplan_meier(t - 5, e), InvalidArgument);
  CHECK_THROWS_AS(log_rank(t, e, e * 0), InvalidArgument);
}
