// SPDX-License-Identifier: Apache-2.0
#include "bind_outcome.h"

#include <vesalius/outcome/cox.h>
#include <vesalius/outcome/cox_frailty.h>
#include <vesalius/outcome/cox_path.h>
#include <vesalius/outcome/cox_residuals.h>
#include <vesalius/outcome/fine_gray.h>

using namespace vesalius::outcome;
using OptionalTensor = std::optional<at::Tensor>;

namespace {

py::object or_none(const at::Tensor& t) { return t.defined() ? py::cast(t) : py::object(py::none()); }
at::Tensor or_undefined(const py::handle& h) { return h.is_none() ? at::Tensor() : h.cast<at::Tensor>(); }

void bind_inputs(py::module_& m) {
  py::enum_<Ties>(m, "Ties").value("efron", Ties::efron).value("breslow", Ties::breslow).value("exact", Ties::exact);
  py::class_<CoxOutcome>(m, "CoxOutcome")
      .def(py::init([](const at::Tensor& time, const at::Tensor& event, const OptionalTensor& entry,
                       const OptionalTensor& weights, const OptionalTensor& strata, const OptionalTensor& offset) {
             return CoxOutcome{time, event, entry, weights, strata, offset};
           }),
           py::arg("time"), py::arg("event"), py::kw_only(), py::arg("entry") = OptionalTensor{},
           py::arg("weights") = OptionalTensor{}, py::arg("strata") = OptionalTensor{},
           py::arg("offset") = OptionalTensor{});
  py::class_<CoxOptions>(m, "CoxOptions")
      .def(py::init([](double alpha, double l1_ratio, bool standardise, int64_t max_iterations, double tolerance,
                       const std::vector<std::string>& names, Ties ties, bool score_test, bool firth) {
             CoxOptions out;
             out.penalty = {alpha, l1_ratio};
             out.standardise = standardise;
             out.max_iterations = max_iterations;
             out.tolerance = tolerance;
             out.names = names;
             out.ties = ties;
             out.score_test = score_test;
             out.firth = firth;
             return out;
           }),
           py::kw_only(), py::arg("alpha") = 0.0, py::arg("l1_ratio") = 0.0, py::arg("standardise") = true,
           py::arg("max_iterations") = 100, py::arg("tolerance") = 1e-9, py::arg("names") = std::vector<std::string>{},
           py::arg("ties") = Ties::efron, py::arg("score_test") = true, py::arg("firth") = false)
      .def_readwrite("ties", &CoxOptions::ties);
}

void bind_fit(py::module_& m) {
  py::class_<CoxFit>(m, "CoxFit")
      .def_readonly("coef", &CoxFit::coef)
      .def_readonly("mean", &CoxFit::mean)
      .def_property_readonly("covariance", [](const CoxFit& f) { return or_none(f.covariance); })
      .def_readonly("log_likelihood", &CoxFit::log_likelihood)
      .def_readonly("log_likelihood_null", &CoxFit::log_likelihood_null)
      .def_readonly("score_test", &CoxFit::score_test)
      .def_readonly("iterations", &CoxFit::iterations)
      .def_readonly("baseline_stratum", &CoxFit::baseline_stratum)
      .def_readonly("baseline_times", &CoxFit::baseline_times)
      .def_readonly("baseline_log_hazard", &CoxFit::baseline_log_hazard)
      .def(py::pickle(
          [](const CoxFit& f) {
            return py::make_tuple(f.coef, f.mean, or_none(f.covariance), f.log_likelihood, f.log_likelihood_null,
                                  f.score_test, f.iterations, f.baseline_stratum, f.baseline_times,
                                  f.baseline_log_hazard);
          },
          [](const py::tuple& t) {
            return CoxFit{t[0].cast<at::Tensor>(), t[1].cast<at::Tensor>(), or_undefined(t[2]),
                          t[3].cast<double>(),     t[4].cast<double>(),     t[5].cast<double>(),
                          t[6].cast<int64_t>(),    t[7].cast<at::Tensor>(), t[8].cast<at::Tensor>(),
                          t[9].cast<at::Tensor>()};
          }));
  m.def("fit_cox", py::overload_cast<const at::Tensor&, const CoxOutcome&, const CoxOptions&>(&fit_cox), py::arg("x"),
        py::arg("outcome"), py::arg("options"), ReleaseGil());
  m.def("cox_firth_intervals", &cox_firth_intervals, py::arg("fit"), py::arg("x"), py::arg("outcome"),
        py::arg("options"), py::arg("drop"), ReleaseGil());
  m.def("predict_cox", &predict_cox, py::arg("fit"), py::arg("x"), ReleaseGil());
  m.def("cox_cumulative_hazard", &cox_cumulative_hazard, py::arg("fit"), py::arg("linear_predictor"), py::arg("times"),
        py::arg("strata") = OptionalTensor{}, ReleaseGil());
}

void bind_frailty(py::module_& m) {
  py::class_<CoxFrailty>(m, "CoxFrailty")
      .def_readonly("fit", &CoxFrailty::fit)
      .def_readonly("variance", &CoxFrailty::variance)
      .def_readonly("log_likelihood_without", &CoxFrailty::log_likelihood_without)
      .def_readonly("frailty", &CoxFrailty::frailty);
  m.def("fit_cox_frailty", &fit_cox_frailty, py::arg("x"), py::arg("outcome"), py::arg("cluster"), py::arg("options"),
        py::arg("variance") = std::optional<double>{}, ReleaseGil());
}

void bind_path(py::module_& m) {
  py::class_<CoxPath>(m, "CoxPath")
      .def_readonly("alphas", &CoxPath::alphas)
      .def_readonly("coef", &CoxPath::coef)
      .def_readonly("mean", &CoxPath::mean)
      .def_readonly("deviance_ratio", &CoxPath::deviance_ratio)
      .def_readonly("rounds", &CoxPath::rounds);
  m.def("cox_path", &cox_path, py::arg("x"), py::arg("outcome"), py::arg("options"),
        py::arg("alphas") = OptionalTensor{}, py::arg("count") = 100, py::arg("min_ratio") = 1e-4, ReleaseGil());
  m.def("cox_log_likelihoods", &cox_log_likelihoods, py::arg("x"), py::arg("outcome"), py::arg("options"),
        py::arg("coef"), ReleaseGil());
}

void bind_fine_gray(py::module_& m) {
  m.def("fit_fine_gray", &fit_fine_gray, py::arg("x"), py::arg("time"), py::arg("cause"), py::arg("options"),
        py::arg("entry") = OptionalTensor{}, py::arg("weights") = OptionalTensor{},
        py::arg("strata") = OptionalTensor{}, ReleaseGil());
}

void bind_residuals(py::module_& m) {
  const auto with_data = [&m](const char* name, auto function) {
    m.def(name, function, py::arg("fit"), py::arg("x"), py::arg("outcome"), py::arg("options"), ReleaseGil());
  };
  py::class_<Schoenfeld>(m, "Schoenfeld")
      .def_readonly("row", &Schoenfeld::row)
      .def_readonly("residual", &Schoenfeld::residual);
  py::class_<ProportionalHazardsTest>(m, "ProportionalHazardsTest")
      .def_readonly("chi_squared", &ProportionalHazardsTest::chi_squared)
      .def_readonly("global_", &ProportionalHazardsTest::global);
  with_data("cox_martingale", &cox_martingale);
  with_data("cox_score_residuals", &cox_score_residuals);
  with_data("cox_schoenfeld", &cox_schoenfeld);
  m.def("cox_proportional_hazards", &cox_proportional_hazards, py::arg("fit"), py::arg("x"), py::arg("outcome"),
        py::arg("options"), py::arg("rows"), py::arg("values"), ReleaseGil());
  m.def("cox_robust_covariance", &cox_robust_covariance, py::arg("fit"), py::arg("x"), py::arg("outcome"),
        py::arg("options"), py::arg("cluster") = OptionalTensor{}, ReleaseGil());
}

}  // namespace

void bind_outcome_cox(py::module_& m) {
  bind_inputs(m);
  bind_fit(m);
  bind_frailty(m);
  bind_residuals(m);
  bind_fine_gray(m);
  bind_path(m);
}
