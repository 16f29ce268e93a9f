// SPDX-License-Identifier: Apache-2.0
#include "bind_outcome.h"
#include "bindings.h"

#include <vesalius/outcome/competing.h>
#include <vesalius/outcome/kaplan_meier.h>
#include <vesalius/outcome/log_rank.h>

using namespace vesalius::outcome;
using OptionalTensor = std::optional<at::Tensor>;

namespace {

void bind_log_rank(py::module_& m) {
  py::enum_<LogRankWeight>(m, "LogRankWeight")
      .value("fleming_harrington", LogRankWeight::fleming_harrington)
      .value("gehan", LogRankWeight::gehan)
      .value("tarone_ware", LogRankWeight::tarone_ware)
      .value("peto", LogRankWeight::peto)
      .value("modified_peto", LogRankWeight::modified_peto);
  py::class_<LogRank>(m, "LogRank")
      .def_readonly("chi_squared", &LogRank::chi_squared)
      .def_readonly("p", &LogRank::p)
      .def_readonly("degrees_of_freedom", &LogRank::degrees_of_freedom)
      .def_readonly("groups", &LogRank::groups)
      .def_readonly("observed", &LogRank::observed)
      .def_readonly("expected", &LogRank::expected)
      .def_readonly("covariance", &LogRank::covariance);
  m.def(
      "log_rank",
      [](const at::Tensor& time, const at::Tensor& event, const at::Tensor& group, double rho,
         const OptionalTensor& strata, LogRankWeight weight, double gamma, const OptionalTensor& weights,
         const OptionalTensor& entry) {
        return log_rank(time, event, group, LogRankOptions{weight, rho, gamma}, strata, weights, entry);
      },
      py::arg("time"), py::arg("event"), py::arg("group"), py::arg("rho") = 0.0, py::arg("strata") = OptionalTensor{},
      py::arg("weight") = LogRankWeight::fleming_harrington, py::arg("gamma") = 0.0,
      py::arg("weights") = OptionalTensor{}, py::arg("entry") = OptionalTensor{}, ReleaseGil());
}

void bind_competing(py::module_& m) {
  py::class_<CumulativeIncidence>(m, "CumulativeIncidence")
      .def_readonly("time", &CumulativeIncidence::time)
      .def_readonly("at_risk", &CumulativeIncidence::at_risk)
      .def_readonly("censored", &CumulativeIncidence::censored)
      .def_readonly("events", &CumulativeIncidence::events)
      .def_readonly("survival", &CumulativeIncidence::survival)
      .def_readonly("incidence", &CumulativeIncidence::incidence)
      .def_readonly("standard_error", &CumulativeIncidence::standard_error)
      .def_readonly("lower", &CumulativeIncidence::lower)
      .def_readonly("upper", &CumulativeIncidence::upper);
  m.def("aalen_johansen", &aalen_johansen, py::arg("time"), py::arg("cause"), py::arg("causes"),
        py::arg("confidence") = 0.95, py::arg("interval") = CurveInterval::log_log,
        py::arg("weights") = OptionalTensor{}, py::arg("entry") = OptionalTensor{}, ReleaseGil());
  py::class_<GrayTest>(m, "GrayTest")
      .def_readonly("chi_squared", &GrayTest::chi_squared)
      .def_readonly("p", &GrayTest::p)
      .def_readonly("degrees_of_freedom", &GrayTest::degrees_of_freedom)
      .def_readonly("groups", &GrayTest::groups)
      .def_readonly("score", &GrayTest::score)
      .def_readonly("covariance", &GrayTest::covariance);
  m.def("gray_test", &gray_test, py::arg("time"), py::arg("cause"), py::arg("group"), py::arg("cause_of_interest") = 1,
        py::arg("rho") = 0.0, py::arg("strata") = OptionalTensor{}, py::arg("weights") = OptionalTensor{},
        ReleaseGil());
}

}  // namespace

void bind_outcome_curves(py::module_& m) {
  py::enum_<CurveInterval>(m, "CurveInterval")
      .value("plain", CurveInterval::plain)
      .value("log", CurveInterval::log)
      .value("log_log", CurveInterval::log_log);
  py::class_<SurvivalCurve>(m, "SurvivalCurve")
      .def_readonly("time", &SurvivalCurve::time)
      .def_readonly("at_risk", &SurvivalCurve::at_risk)
      .def_readonly("events", &SurvivalCurve::events)
      .def_readonly("censored", &SurvivalCurve::censored)
      .def_readonly("survival", &SurvivalCurve::survival)
      .def_readonly("standard_error", &SurvivalCurve::standard_error)
      .def_readonly("lower", &SurvivalCurve::lower)
      .def_readonly("upper", &SurvivalCurve::upper)
      .def_readonly("cumulative_hazard", &SurvivalCurve::cumulative_hazard);
  m.def("kaplan_meier", &kaplan_meier, py::arg("time"), py::arg("event"), py::arg("confidence") = 0.95,
        py::arg("interval") = CurveInterval::log, py::arg("weights") = OptionalTensor{},
        py::arg("entry") = OptionalTensor{}, ReleaseGil());
  m.def("curve_quantile", &curve_quantile, py::arg("time"), py::arg("curve"), py::arg("p"), ReleaseGil());
  py::class_<HazardCurve>(m, "HazardCurve")
      .def_readonly("time", &HazardCurve::time)
      .def_readonly("at_risk", &HazardCurve::at_risk)
      .def_readonly("events", &HazardCurve::events)
      .def_readonly("censored", &HazardCurve::censored)
      .def_readonly("cumulative_hazard", &HazardCurve::cumulative_hazard)
      .def_readonly("standard_error", &HazardCurve::standard_error)
      .def_readonly("lower", &HazardCurve::lower)
      .def_readonly("upper", &HazardCurve::upper);
  m.def("nelson_aalen", &nelson_aalen, py::arg("time"), py::arg("event"), py::arg("confidence") = 0.95,
        py::arg("interval") = CurveInterval::log, py::arg("fleming_harrington") = false,
        py::arg("weights") = OptionalTensor{}, py::arg("entry") = OptionalTensor{}, ReleaseGil());
  py::class_<RestrictedMean>(m, "RestrictedMean")
      .def_readonly("tau", &RestrictedMean::tau)
      .def_readonly("groups", &RestrictedMean::groups)
      .def_readonly("value", &RestrictedMean::value)
      .def_readonly("standard_error", &RestrictedMean::standard_error)
      .def_readonly("difference", &RestrictedMean::difference)
      .def_readonly("difference_error", &RestrictedMean::difference_error)
      .def_readonly("log_ratio", &RestrictedMean::log_ratio)
      .def_readonly("log_ratio_error", &RestrictedMean::log_ratio_error)
      .def_readonly("chi_squared", &RestrictedMean::chi_squared)
      .def_readonly("p", &RestrictedMean::p)
      .def_readonly("degrees_of_freedom", &RestrictedMean::degrees_of_freedom);
  m.def("restricted_mean", &restricted_mean, py::arg("time"), py::arg("event"), py::arg("group"), py::arg("tau") = 0.0,
        py::arg("weights") = OptionalTensor{}, py::arg("entry") = OptionalTensor{}, ReleaseGil());
  bind_log_rank(m);
  bind_competing(m);
}
