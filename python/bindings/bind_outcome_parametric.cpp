// SPDX-License-Identifier: Apache-2.0
#include "bind_outcome.h"
#include "bindings.h"

#include <vesalius/outcome/parametric.h>

using namespace vesalius::outcome;
using OptionalTensor = std::optional<at::Tensor>;

void bind_outcome_parametric(py::module_& m) {
  py::enum_<SurvivalFamily>(m, "SurvivalFamily")
      .value("exponential", SurvivalFamily::exponential)
      .value("weibull", SurvivalFamily::weibull)
      .value("log_normal", SurvivalFamily::log_normal)
      .value("log_logistic", SurvivalFamily::log_logistic)
      .value("generalised_gamma", SurvivalFamily::generalised_gamma)
      .value("gompertz", SurvivalFamily::gompertz)
      .value("spline_hazard", SurvivalFamily::spline_hazard)
      .value("spline_odds", SurvivalFamily::spline_odds)
      .value("spline_normal", SurvivalFamily::spline_normal);
  py::class_<ParametricOptions>(m, "ParametricOptions")
      .def(py::init([](SurvivalFamily family, const std::vector<double>& knots, int64_t inner_knots,
                       int64_t max_iterations, const std::vector<std::string>& names) {
             return ParametricOptions{family, knots, inner_knots, max_iterations, names};
           }),
           py::kw_only(), py::arg("family") = SurvivalFamily::weibull, py::arg("knots") = std::vector<double>{},
           py::arg("inner_knots") = 1, py::arg("max_iterations") = 200, py::arg("names") = std::vector<std::string>{});
  py::class_<ParametricFit>(m, "ParametricFit")
      .def(py::init([](SurvivalFamily family, const at::Tensor& coef, const at::Tensor& mean,
                       const at::Tensor& ancillary, const at::Tensor& knots, int64_t strata) {
             ParametricFit fit;
             fit.family = family, fit.coef = coef, fit.mean = mean, fit.ancillary = ancillary, fit.knots = knots;
             fit.strata = strata;
             return fit;
           }),
           "What predictions need.", py::arg("family"), py::arg("coef"), py::arg("mean"), py::arg("ancillary"),
           py::arg("knots"), py::arg("strata") = 1)
      .def_readonly("family", &ParametricFit::family)
      .def_readonly("coef", &ParametricFit::coef)
      .def_readonly("mean", &ParametricFit::mean)
      .def_readonly("ancillary", &ParametricFit::ancillary)
      .def_readonly("parameters", &ParametricFit::parameters)
      .def_readonly("covariance", &ParametricFit::covariance)
      .def_readonly("knots", &ParametricFit::knots)
      .def_readonly("strata", &ParametricFit::strata)
      .def_readonly("log_likelihood", &ParametricFit::log_likelihood)
      .def_readonly("iterations", &ParametricFit::iterations);
  m.def(
      "fit_parametric",
      [](const OptionalTensor& x, const at::Tensor& lower, const at::Tensor& upper, const ParametricOptions& options,
         const OptionalTensor& weights, const OptionalTensor& entry, const OptionalTensor& strata) {
        return fit_parametric(x.value_or(at::Tensor()), lower, upper, options, weights, entry, strata);
      },
      py::arg("x"), py::arg("lower"), py::arg("upper"), py::arg("options"), py::arg("weights") = OptionalTensor{},
      py::arg("entry") = OptionalTensor{}, py::arg("strata") = OptionalTensor{}, ReleaseGil());
  m.def("parametric_linear_predictor", &parametric_linear_predictor, py::arg("fit"), py::arg("x"), ReleaseGil());
  m.def("parametric_log_survival", &parametric_log_survival, py::arg("fit"), py::arg("linear_predictor"),
        py::arg("times"), py::arg("strata") = OptionalTensor{}, ReleaseGil());
  m.def("parametric_hazard", &parametric_hazard, py::arg("fit"), py::arg("linear_predictor"), py::arg("times"),
        py::arg("strata") = OptionalTensor{}, ReleaseGil());
  m.def("parametric_quantile", &parametric_quantile, py::arg("fit"), py::arg("linear_predictor"), py::arg("shares"),
        py::arg("strata") = OptionalTensor{}, ReleaseGil());
}
