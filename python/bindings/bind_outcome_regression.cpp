// SPDX-License-Identifier: Apache-2.0
#include "bind_outcome.h"
#include "bindings.h"

#include <vesalius/outcome/firth.h>
#include <vesalius/outcome/growth.h>
#include <vesalius/outcome/linear.h>
#include <vesalius/outcome/multinomial.h>
#include <vesalius/outcome/ordinal.h>

using namespace vesalius::outcome;
using OptionalTensor = std::optional<at::Tensor>;

namespace {

py::object tensor_or_none(const at::Tensor& t) { return t.defined() ? py::cast(t) : py::object(py::none()); }

template <class Options>
void set_options(Options& out, double alpha, double l1_ratio, bool standardise, int64_t max_iterations,
                 double tolerance, const std::vector<std::string>& names) {
  out.penalty = {alpha, l1_ratio};
  out.standardise = standardise;
  out.max_iterations = max_iterations;
  out.tolerance = tolerance;
  out.names = names;
}

void bind_linear(py::module_& m) {
  py::class_<LinearOptions>(m, "LinearOptions")
      .def(py::init([](double alpha, double l1_ratio, bool standardise, int64_t max_iterations, double tolerance,
                       const std::vector<std::string>& names, bool fit_intercept) {
             LinearOptions out;
             set_options(out, alpha, l1_ratio, standardise, max_iterations, tolerance, names);
             out.fit_intercept = fit_intercept;
             return out;
           }),
           py::kw_only(), py::arg("alpha") = 0.0, py::arg("l1_ratio") = 0.0, py::arg("standardise") = true,
           py::arg("max_iterations") = 100, py::arg("tolerance") = 1e-9, py::arg("names") = std::vector<std::string>{},
           py::arg("fit_intercept") = true);
  py::class_<LinearFit>(m, "LinearFit")
      .def_readonly("coef", &LinearFit::coef)
      .def_readonly("intercept", &LinearFit::intercept)
      .def_property_readonly("covariance", [](const LinearFit& f) { return tensor_or_none(f.covariance); })
      .def_readonly("sigma", &LinearFit::sigma)
      .def_readonly("degrees_of_freedom", &LinearFit::degrees_of_freedom)
      .def_readonly("r_squared", &LinearFit::r_squared)
      .def_readonly("log_likelihood", &LinearFit::log_likelihood)
      .def_readonly("iterations", &LinearFit::iterations);
  py::class_<LinearPath>(m, "LinearPath")
      .def_readonly("alphas", &LinearPath::alphas)
      .def_readonly("coef", &LinearPath::coef)
      .def_readonly("intercept", &LinearPath::intercept)
      .def_readonly("r_squared", &LinearPath::r_squared);
  m.def("fit_linear", &fit_linear, py::arg("x"), py::arg("y"), py::arg("options"),
        py::arg("weights") = OptionalTensor{}, ReleaseGil());
  m.def("linear_path", &linear_path, py::arg("x"), py::arg("y"), py::arg("options"),
        py::arg("alphas") = OptionalTensor{}, py::arg("count") = 50, py::arg("min_ratio") = 1e-3,
        py::arg("weights") = OptionalTensor{}, ReleaseGil());
}

void bind_levels(py::module_& m) {
  py::class_<FitOptions>(m, "FitOptions")
      .def(py::init([](double alpha, double l1_ratio, bool standardise, int64_t max_iterations, double tolerance,
                       const std::vector<std::string>& names) {
             FitOptions out;
             set_options(out, alpha, l1_ratio, standardise, max_iterations, tolerance, names);
             return out;
           }),
           py::kw_only(), py::arg("alpha") = 0.0, py::arg("l1_ratio") = 0.0, py::arg("standardise") = true,
           py::arg("max_iterations") = 100, py::arg("tolerance") = 1e-9, py::arg("names") = std::vector<std::string>{});
  py::class_<OrdinalFit>(m, "OrdinalFit")
      .def_readonly("coef", &OrdinalFit::coef)
      .def_readonly("thresholds", &OrdinalFit::thresholds)
      .def_readonly("mean", &OrdinalFit::mean)
      .def_readonly("centred", &OrdinalFit::centred)
      .def_property_readonly("covariance", [](const OrdinalFit& f) { return tensor_or_none(f.covariance); })
      .def_readonly("log_likelihood", &OrdinalFit::log_likelihood)
      .def_readonly("log_likelihood_null", &OrdinalFit::log_likelihood_null)
      .def_readonly("iterations", &OrdinalFit::iterations);
  m.def("fit_ordinal", &fit_ordinal, py::arg("x"), py::arg("y"), py::arg("options"),
        py::arg("weights") = OptionalTensor{}, ReleaseGil());
  m.def("ordinal_probabilities", &ordinal_probabilities, py::arg("linear_predictor"), py::arg("thresholds"),
        ReleaseGil());
  py::class_<MultinomialFit>(m, "MultinomialFit")
      .def_readonly("coef", &MultinomialFit::coef)
      .def_readonly("intercept", &MultinomialFit::intercept)
      .def_property_readonly("covariance", [](const MultinomialFit& f) { return tensor_or_none(f.covariance); })
      .def_readonly("log_likelihood", &MultinomialFit::log_likelihood)
      .def_readonly("log_likelihood_null", &MultinomialFit::log_likelihood_null)
      .def_readonly("iterations", &MultinomialFit::iterations);
  m.def("fit_multinomial", &fit_multinomial, py::arg("x"), py::arg("y"), py::arg("options"),
        py::arg("weights") = OptionalTensor{}, ReleaseGil());
}

void bind_firth(py::module_& m) {
  py::class_<FirthOptions>(m, "FirthOptions")
      .def(py::init([](bool fit_intercept, int64_t max_iterations, double tolerance, double confidence, bool profile,
                       const std::vector<std::string>& names) {
             return FirthOptions{fit_intercept, max_iterations, tolerance, confidence, profile, names};
           }),
           py::kw_only(), py::arg("fit_intercept") = true, py::arg("max_iterations") = 200,
           py::arg("tolerance") = 1e-10, py::arg("confidence") = 0.95, py::arg("profile") = true,
           py::arg("names") = std::vector<std::string>{});
  py::class_<FirthFit>(m, "FirthFit")
      .def_readonly("coef", &FirthFit::coef)
      .def_readonly("intercept", &FirthFit::intercept)
      .def_readonly("covariance", &FirthFit::covariance)
      .def_property_readonly("lower", [](const FirthFit& f) { return tensor_or_none(f.lower); })
      .def_property_readonly("upper", [](const FirthFit& f) { return tensor_or_none(f.upper); })
      .def_property_readonly("chi_squared", [](const FirthFit& f) { return tensor_or_none(f.chi_squared); })
      .def_readonly("log_likelihood", &FirthFit::log_likelihood)
      .def_readonly("log_likelihood_null", &FirthFit::log_likelihood_null)
      .def_readonly("iterations", &FirthFit::iterations);
  m.def("fit_firth_logistic", &fit_firth_logistic, py::arg("x"), py::arg("y"), py::arg("options"),
        py::arg("weights") = OptionalTensor{}, ReleaseGil());
}

void bind_growth(py::module_& m) {
  py::class_<GrowthOptions>(m, "GrowthOptions")
      .def(py::init([](bool slope, bool restricted, int64_t max_iterations, double tolerance,
                       const std::vector<std::string>& names) {
             return GrowthOptions{slope, restricted, max_iterations, tolerance, names};
           }),
           py::kw_only(), py::arg("slope") = true, py::arg("restricted") = true, py::arg("max_iterations") = 500,
           py::arg("tolerance") = 1e-8, py::arg("names") = std::vector<std::string>{});
  py::class_<GrowthFit>(m, "GrowthFit")
      .def(py::init([](const at::Tensor& coef, const at::Tensor& covariance, const at::Tensor& random, double sigma,
                       const at::Tensor& subjects, const at::Tensor& effects, const at::Tensor& uncertainty,
                       const at::Tensor& leverage) {
             GrowthFit f;
             f.coef = coef, f.covariance = covariance, f.random = random, f.sigma = sigma, f.subjects = subjects;
             f.effects = effects, f.uncertainty = uncertainty, f.leverage = leverage;
             return f;
           }),
           "What predictions need.", py::arg("coef"), py::arg("covariance"), py::arg("random"), py::arg("sigma"),
           py::arg("subjects"), py::arg("effects"), py::arg("uncertainty"), py::arg("leverage"))
      .def_readonly("coef", &GrowthFit::coef)
      .def_readonly("covariance", &GrowthFit::covariance)
      .def_readonly("random", &GrowthFit::random)
      .def_readonly("sigma", &GrowthFit::sigma)
      .def_readonly("log_likelihood", &GrowthFit::log_likelihood)
      .def_readonly("singular", &GrowthFit::singular)
      .def_readonly("iterations", &GrowthFit::iterations)
      .def_readonly("subjects", &GrowthFit::subjects)
      .def_readonly("effects", &GrowthFit::effects)
      .def_readonly("uncertainty", &GrowthFit::uncertainty)
      .def_readonly("leverage", &GrowthFit::leverage);
  m.def("fit_growth", &fit_growth, py::arg("x"), py::arg("y"), py::arg("time"), py::arg("subject"), py::arg("options"),
        ReleaseGil());
  m.def(
      "predict_growth",
      [](const GrowthFit& fit, const at::Tensor& x, const at::Tensor& time, const OptionalTensor& subject) {
        GrowthPrediction p;
        {
          py::gil_scoped_release release;
          p = predict_growth(fit, x, time, subject);
        }
        return py::make_tuple(p.value, p.standard_error);
      },
      py::arg("fit"), py::arg("x"), py::arg("time"), py::arg("subject") = OptionalTensor{});
}

}  // namespace

void bind_outcome_regression(py::module_& m) {
  bind_linear(m);
  bind_levels(m);
  bind_firth(m);
  bind_growth(m);
}
