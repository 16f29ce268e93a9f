// SPDX-License-Identifier: Apache-2.0
#include "catch.h"

#include <cmath>
#include <limits>

#include <ATen/ops/from_blob.h>
#include <ATen/ops/zeros.h>

#include <vesalius/core/error.h>
#include <vesalius/outcome/competing.h>
#include <vesalius/outcome/cox_frailty.h>
#include <vesalius/outcome/cox_path.h>
#include <vesalius/outcome/detail/cox_kernel.h>
#include <vesalius/outcome/detail/log_time_kernel.h>
#include <vesalius/outcome/growth.h>
#include <vesalius/outcome/linear.h>
#include <vesalius/outcome/parametric.h>

using namespace vesalius;
using namespace vesalius::outcome;
using vesalius::outcome::detail::Base;
using vesalius::outcome::detail::Jet;

namespace {

at::Tensor row(std::vector<double> values) {
  return at::from_blob(values.data(), {static_cast<int64_t>(values.size())}, at::kDouble).clone();
}

}  // namespace

TEST_CASE("Jets of log densities and survival agree with differences", "[oracle: central differences]") {
  const double h = 1e-4;
  for (Base base : {Base::extreme, Base::logistic, Base::normal, Base::gamma})
    for (double z : {-3.0, -0.4, 0.6, 2.5})
      for (double q : {-1.5, 0.02, 0.8}) {
        const auto f = [&](double a, double b, bool density) {
          const Jet x = Jet::variable(a, 0), shape = Jet::variable(b, 2);
          return density ? outcome::detail::log_density(base, x, shape) : outcome::detail::log_survival(base, x, shape);
        };
        for (bool density : {true, false}) {
          const Jet at = f(z, q, density), up = f(z + h, q, density), down = f(z - h, q, density);
          CHECK(at.g[0] == Approx((up.v - down.v) / (2 * h)).epsilon(1e-6).margin(1e-8));
          CHECK(at.h[Jet::pair(0, 0)] == Approx((up.g[0] - down.g[0]) / (2 * h)).epsilon(1e-6).margin(1e-8));
          CHECK(at.h[Jet::pair(2, 0)] == Approx((up.g[2] - down.g[2]) / (2 * h)).epsilon(1e-6).margin(1e-8));
          const Jet more = f(z, q + h, density), less = f(z, q - h, density);
          CHECK(at.g[2] == Approx((more.v - less.v) / (2 * h)).epsilon(1e-6).margin(1e-8));
          CHECK(at.h[Jet::pair(2, 2)] == Approx((more.g[2] - less.g[2]) / (2 * h)).epsilon(1e-5).margin(1e-7));
        }
      }
}

TEST_CASE("The normal's far tail", "[oracle: Abramowitz, Stegun 26.2: log Φ(−x) at 20 and 40]") {
  CHECK(outcome::detail::log_normal_cdf(Jet(-20.0)).v == Approx(-203.9171553710972).epsilon(1e-13));
  CHECK(outcome::detail::log_normal_cdf(Jet(-40.0)).v == Approx(-804.6084420137538).epsilon(1e-13));
}

TEST_CASE("An exponential without columns: events over time at risk", "[oracle: analytic]") {
  const double open = std::numeric_limits<double>::infinity();
  const auto lower = row({1, 2, 3, 4}), upper = row({1, 2, open, open}), entry = row({0, 1, 0, 2});
  ParametricOptions options;
  options.family = SurvivalFamily::exponential;
  const auto fit = fit_parametric({}, lower, upper, options, std::nullopt, entry);
  CHECK(std::exp(-fit.parameters.item<double>()) == Approx(2.0 / 7).epsilon(1e-10));
  CHECK(fit.log_likelihood == Approx(2 * std::log(2.0 / 7) - 2).epsilon(1e-10));
  const auto s = parametric_log_survival(fit, at::zeros({1}, at::kDouble), row({0, 3.5}));
  CHECK(s.const_data_ptr<double>()[0] == 0);
  CHECK(s.const_data_ptr<double>()[1] == Approx(-1).epsilon(1e-10));
  const auto median = parametric_quantile(fit, at::zeros({1}, at::kDouble), row({0.5}));
  CHECK(median.item<double>() == Approx(3.5 * std::log(2)).epsilon(1e-10));
  CHECK_THROWS_AS(fit_parametric({}, lower, row({open, open, open, open}), options), InvalidArgument);
}

TEST_CASE("Cumulative incidence of two causes by hand", "[oracle: by hand]") {
  const auto f = aalen_johansen(row({1, 2, 3, 4}), row({1, 2, 0, 1}), 2);
  const double* incidence = f.incidence.const_data_ptr<double>();
  CHECK(incidence[2] == Approx(0.25));
  CHECK(incidence[3] == Approx(0.25));
  CHECK(incidence[6] == Approx(0.75));
  CHECK_THROWS_AS(aalen_johansen(row({1}), row({3}), 2), InvalidArgument);
}

TEST_CASE("A line through points", "[oracle: by hand]") {
  const auto fit = fit_linear(row({0, 1, 2, 3}).view({4, 1}), row({1, 3, 4, 8}));
  CHECK(fit.intercept == Approx(0.7));
  CHECK(fit.coef.item<double>() == Approx(2.2));
  CHECK(fit.sigma == Approx(std::sqrt(0.9)));
}

TEST_CASE("Cox's curvature times a vector", "[oracle: central differences of the expected events]") {
  const std::vector<double> time{3, 1, 2, 2, 5, 4, 2, 6}, weight{1, 2, 1, 1, 0.5, 1, 3, 1},
      entry{0, 0, 1, 0, 2, 3, 0.5, 1};
  const std::vector<char> event{1, 1, 1, 1, 0, 1, 1, 0};
  const std::vector<int64_t> stratum{0, 0, 0, 1, 1, 0, 0, 1};
  for (bool truncated : {false, true})
    for (bool efron : {false, true}) {
      const auto order = outcome::detail::risk_order(
          time, event, weight, stratum, truncated ? std::span<const double>(entry) : std::span<const double>());
      std::vector<double> w, eta, v, up(8), down(8), high, low, curved;
      for (int64_t i : order.order) w.push_back(weight[i]), eta.push_back(0.3 * i - 1), v.push_back(i % 3 - 0.7);
      outcome::detail::PartialLikelihood likelihood(order, w, efron);
      const double h = 1e-5;
      for (int i = 0; i < 8; ++i) up[i] = eta[i] + h * v[i], down[i] = eta[i] - h * v[i];
      likelihood.evaluate(up);
      likelihood.expected(high);
      likelihood.evaluate(down);
      likelihood.expected(low);
      likelihood.evaluate(eta);
      likelihood.curvature_times(v, curved);
      for (int i = 0; i < 8; ++i) CHECK(curved[i] == Approx((high[i] - low[i]) / (2 * h)).epsilon(1e-6).margin(1e-8));
    }
}

TEST_CASE("A gamma frailty of a given variance", "[oracle: the EM equations (d + 1/θ) / (Λ + 1/θ)]") {
  const auto x = row({0, 1, 1, 0, 0, 1, 1, 0}).view({8, 1}), time = row({1, 2, 3, 4, 5, 6, 7, 8});
  const auto event = row({1, 1, 0, 1, 1, 0, 1, 1}), cluster = row({0, 0, 1, 1, 2, 2, 3, 3});
  CoxOptions options;
  options.ties = Ties::breslow;
  const auto fit = fit_cox_frailty(x, CoxOutcome{time, event, {}, {}, {}, {}}, cluster, options, 0.5);
  const double* base = fit.fit.baseline_log_hazard.const_data_ptr<double>();
  const double b = fit.fit.coef.item<double>(), mean = fit.fit.mean.item<double>();
  for (int c = 0; c < 4; ++c) {
    double events = 0, hazard = 0;
    for (int i = 2 * c; i < 2 * c + 2; ++i) {
      events += event.const_data_ptr<double>()[i];
      hazard += std::exp(base[i] + b * (x.const_data_ptr<double>()[i] - mean));
    }
    CHECK(fit.frailty.const_data_ptr<double>()[c] == Approx((events + 2) / (hazard + 2)).epsilon(1e-8));
  }
  CHECK_THROWS_AS(
      fit_cox_frailty(x, CoxOutcome{time, event, {}, {}, {}, {}}, row(std::vector<double>(8, 0.0)), options),
      InvalidArgument);
}

TEST_CASE("A path beside offsets that no exponential holds", "[oracle: fit_cox at each strength, another solver]") {
  std::vector<double> x, time, event, offset;
  for (int i = 0; i < 64; ++i) {
    x.push_back(std::sin(1.7 * i)), x.push_back(std::cos(2.3 * i));
    time.push_back(1 + (i * 37) % 64 + 0.4 * x[2 * i]);
    event.push_back(i % 4 != 0);
    offset.push_back(i % 2 ? 700.0 : -100.0 - 3 * (i % 5));
  }
  const CoxOutcome outcome{row(time), row(event), {}, {}, {}, row(offset)};
  CoxOptions options;
  options.penalty = {1, 0.5};
  options.tolerance = 1e-10;
  const auto path = cox_path(row(x).view({64, 2}), outcome, options, row({0.1, 0.03, 0.01, 0.001}));
  for (int k = 0; k < 4; ++k) {
    options.penalty.alpha = path.alphas.const_data_ptr<double>()[k];
    const auto one = fit_cox(row(x).view({64, 2}), outcome, options);
    for (int j = 0; j < 2; ++j)
      CHECK(path.coef.const_data_ptr<double>()[2 * k + j] ==
            Approx(one.coef.const_data_ptr<double>()[j]).epsilon(1e-6).margin(1e-8));
  }
}
