// SPDX-License-Identifier: Apache-2.0
#include "bind_outcome.h"
#include "bindings.h"

#include <vesalius/outcome/logistic.h>
#include <vesalius/outcome/roc.h>

using namespace vesalius::outcome;
using OptionalTensor = std::optional<at::Tensor>;

namespace {

template <class Options>
Options options_of(double alpha, double l1_ratio, bool standardise, int64_t max_iterations, double tolerance,
                   const std::vector<std::string>& names) {
  Options out;
  out.penalty = {alpha, l1_ratio};
  out.standardise = standardise;
  out.max_iterations = max_iterations;
  out.tolerance = tolerance;
  out.names = names;
  return out;
}

template <class Options>
py::class_<Options> bind_options(py::module_& m, const char* name) {
  return py::class_<Options>(m, name).def(py::init(&options_of<Options>), py::kw_only(), py::arg("alpha") = 0.0,
                                          py::arg("l1_ratio") = 0.0, py::arg("standardise") = true,
                                          py::arg("max_iterations") = 100, py::arg("tolerance") = 1e-9,
                                          py::arg("names") = std::vector<std::string>{});
}

void bind_logistic(py::module_& m) {
  bind_options<LogisticOptions>(m, "LogisticOptions").def_readwrite("fit_intercept", &LogisticOptions::fit_intercept);
  py::class_<LogisticFit>(m, "LogisticFit")
      .def_readonly("coef", &LogisticFit::coef)
      .def_readonly("intercept", &LogisticFit::intercept)
      .def_property_readonly(
          "covariance",
          [](const LogisticFit& f) { return f.covariance.defined() ? py::cast(f.covariance) : py::object(py::none()); })
      .def_readonly("log_likelihood", &LogisticFit::log_likelihood)
      .def_readonly("log_likelihood_null", &LogisticFit::log_likelihood_null)
      .def_readonly("iterations", &LogisticFit::iterations);
  py::class_<LogisticPath>(m, "LogisticPath")
      .def_readonly("alphas", &LogisticPath::alphas)
      .def_readonly("coef", &LogisticPath::coef)
      .def_readonly("intercept", &LogisticPath::intercept)
      .def_readonly("deviance_ratio", &LogisticPath::deviance_ratio);
  m.def("fit_logistic", &fit_logistic, py::arg("x"), py::arg("y"), py::arg("options"),
        py::arg("weights") = OptionalTensor{}, ReleaseGil());
  m.def("logistic_path", &logistic_path, py::arg("x"), py::arg("y"), py::arg("options"),
        py::arg("alphas") = OptionalTensor{}, py::arg("count") = 50, py::arg("min_ratio") = 1e-3,
        py::arg("weights") = OptionalTensor{}, ReleaseGil());
  m.def("logistic_cross_validation", &logistic_cross_validation, py::arg("x"), py::arg("y"), py::arg("fold"),
        py::arg("alphas"), py::arg("options"), py::arg("weights") = OptionalTensor{}, ReleaseGil());
}

void bind_roc(py::module_& m) {
  py::class_<RocAuc>(m, "RocAuc")
      .def_readonly("auc", &RocAuc::auc)
      .def_readonly("covariance", &RocAuc::covariance)
      .def_readonly("positives", &RocAuc::positives)
      .def_readonly("negatives", &RocAuc::negatives);
  m.def("roc_auc", &roc_auc, py::arg("y"), py::arg("scores"), ReleaseGil());
  m.def(
      "roc_curve",
      [](const at::Tensor& y, const at::Tensor& score) {
        RocCurve c;
        {
          py::gil_scoped_release release;
          c = roc_curve(y, score);
        }
        return py::make_tuple(c.false_positive_rate, c.true_positive_rate, c.thresholds);
      },
      py::arg("y"), py::arg("score"));
}

}  // namespace

void bind_outcome(py::module_& parent) {
  auto m = parent.def_submodule("outcome", "Regressions, survival curves and measures; use vesalius.outcome.");
  bind_logistic(m);
  bind_roc(m);
  bind_outcome_cox(m);
  bind_outcome_curves(m);
  bind_outcome_measures(m);
  bind_outcome_parametric(m);
  bind_outcome_regression(m);
}
