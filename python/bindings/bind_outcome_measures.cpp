// SPDX-License-Identifier: Apache-2.0
#include "bind_outcome.h"

#include <vesalius/outcome/brier.h>
#include <vesalius/outcome/concordance.h>
#include <vesalius/outcome/dynamic_auc.h>
#include <vesalius/outcome/loess.h>
#include <vesalius/outcome/net_benefit.h>
#include <vesalius/outcome/roc.h>

using namespace vesalius::outcome;

namespace {

using MaybeTensor = std::optional<at::Tensor>;

py::object maybe(const at::Tensor& t) { return t.defined() ? py::cast(t) : py::object(py::none()); }

void bind_concordance(py::module_& m) {
  py::enum_<PairWeighting>(m, "PairWeighting")
      .value("n", PairWeighting::n)
      .value("n_over_g2", PairWeighting::n_over_g2)
      .value("n_over_g", PairWeighting::n_over_g)
      .value("s", PairWeighting::s)
      .value("s_over_g", PairWeighting::s_over_g)
      .value("inverse_at_risk", PairWeighting::inverse_at_risk);
  py::class_<CensoringOptions>(m, "CensoringOptions")
      .def(py::init([](bool left_limit, MaybeTensor time, MaybeTensor event) {
             return CensoringOptions{left_limit, std::move(time), std::move(event)};
           }),
           py::kw_only(), py::arg("left_limit") = true, py::arg("train_time") = MaybeTensor{},
           py::arg("train_event") = MaybeTensor{});
  py::class_<ConcordanceOptions>(m, "ConcordanceOptions")
      .def(py::init(
               [](PairWeighting weighting, std::optional<double> tau, bool tau_included, CensoringOptions censoring) {
                 return ConcordanceOptions{weighting, tau, tau_included, std::move(censoring)};
               }),
           py::kw_only(), py::arg("weighting") = PairWeighting::n, py::arg("tau") = std::optional<double>{},
           py::arg("tau_included") = true, py::arg_v("censoring", CensoringOptions{}, "..."));
  py::class_<PairSums>(m, "PairSums")
      .def_readonly("sums", &PairSums::sums)
      .def_readonly("derivative", &PairSums::derivative)
      .def_readonly("reason", &PairSums::reason);
  py::class_<Concordance>(m, "Concordance")
      .def_readonly("value", &Concordance::value)
      .def_readonly("standard_error", &Concordance::standard_error)
      .def_readonly("concordant", &Concordance::concordant)
      .def_readonly("discordant", &Concordance::discordant)
      .def_readonly("tied_risk", &Concordance::tied_risk)
      .def_readonly("tied_time", &Concordance::tied_time)
      .def_readonly("tied_both", &Concordance::tied_both)
      .def_readonly("reason", &Concordance::reason);
  py::class_<ConcordanceProbability>(m, "ConcordanceProbability")
      .def_readonly("value", &ConcordanceProbability::value)
      .def_readonly("standard_error", &ConcordanceProbability::standard_error);
  m.def("concordance_index", &concordance_index, py::arg("time"), py::arg("event"), py::arg("risk"),
        py::arg("weights") = MaybeTensor{}, py::arg_v("options", ConcordanceOptions{}, "..."),
        py::arg("start") = MaybeTensor{}, ReleaseGil());
  m.def("pair_sums", &pair_sums, py::arg("time"), py::arg("event"), py::arg("risk"),
        py::arg_v("options", ConcordanceOptions{}, "..."), py::arg("weights") = MaybeTensor{},
        py::arg("start") = MaybeTensor{}, ReleaseGil());
  m.def("pair_sums_by_time", &pair_sums_by_time, py::arg("time"), py::arg("event"), py::arg("survival"),
        py::arg("times"), py::arg_v("options", ConcordanceOptions{}, "..."), py::arg("weights") = MaybeTensor{},
        ReleaseGil());
  m.def("bootstrap_concordance", &bootstrap_concordance, py::arg("time"), py::arg("event"), py::arg("risk"),
        py::arg("replicates"), py::arg("seed"), py::arg_v("options", ConcordanceOptions{}, "..."), ReleaseGil());
  m.def("multiplicities", &bootstrap_multiplicities, py::arg("n"), py::arg("seed"), py::arg("replicate"), ReleaseGil());
  m.def("gonen_heller", &gonen_heller, py::arg("linear_predictor"), ReleaseGil());
}

void bind_over_time(py::module_& m) {
  py::class_<TimeOptions>(m, "TimeOptions")
      .def(py::init(
               [](CensoringOptions censoring, bool competing_are_controls, bool standard_error, bool keep_influence) {
                 return TimeOptions{std::move(censoring), competing_are_controls, standard_error, keep_influence};
               }),
           py::kw_only(), py::arg_v("censoring", CensoringOptions{}, "..."), py::arg("competing_are_controls") = true,
           py::arg("standard_error") = true, py::arg("keep_influence") = false);
  py::class_<AucCurve>(m, "AucCurve")
      .def_readonly("auc", &AucCurve::auc)
      .def_readonly("standard_error", &AucCurve::standard_error)
      .def_readonly("cases", &AucCurve::cases)
      .def_readonly("controls", &AucCurve::controls)
      .def_readonly("reason", &AucCurve::reason)
      .def_readonly("mean", &AucCurve::mean)
      .def_readonly("mean_standard_error", &AucCurve::mean_standard_error)
      .def_property_readonly("influence", [](const AucCurve& c) { return maybe(c.influence); });
  m.def("cumulative_dynamic_auc", &cumulative_dynamic_auc, py::arg("time"), py::arg("status"), py::arg("risk"),
        py::arg("times"), py::arg_v("options", TimeOptions{}, "..."), py::arg("weights") = MaybeTensor{}, ReleaseGil());
  m.def("censoring_weights", &censoring_weights, py::arg("time"), py::arg("status"), py::arg("t"),
        py::arg_v("censoring", CensoringOptions{}, "..."), py::arg("weights") = MaybeTensor{}, ReleaseGil());
  py::class_<IncidentAuc>(m, "IncidentAuc")
      .def_readonly("time", &IncidentAuc::time)
      .def_readonly("auc", &IncidentAuc::auc)
      .def_readonly("events", &IncidentAuc::pairs)
      .def_readonly("smooth", &IncidentAuc::smooth)
      .def_readonly("standard_error", &IncidentAuc::standard_error)
      .def_readonly("reason", &IncidentAuc::reason);
  m.def("incident_dynamic_auc", &incident_dynamic_auc, py::arg("time"), py::arg("event"), py::arg("risk"),
        py::arg("times"), py::arg("bandwidth"), py::arg("weights") = MaybeTensor{}, ReleaseGil());
  py::enum_<Integration>(m, "Integration")
      .value("trapezoid", Integration::trapezoid)
      .value("steps", Integration::steps);
  py::class_<BrierCurve>(m, "BrierCurve")
      .def_readonly("brier", &BrierCurve::brier)
      .def_readonly("standard_error", &BrierCurve::standard_error)
      .def_readonly("null", &BrierCurve::null)
      .def_readonly("scaled", &BrierCurve::scaled)
      .def_readonly("scaled_standard_error", &BrierCurve::scaled_standard_error)
      .def_readonly("reason", &BrierCurve::reason)
      .def_readonly("integrated", &BrierCurve::integrated)
      .def_readonly("integrated_standard_error", &BrierCurve::integrated_standard_error)
      .def_readonly("integrated_null", &BrierCurve::integrated_null)
      .def_readonly("integrated_scaled", &BrierCurve::integrated_scaled)
      .def_readonly("integrated_scaled_standard_error", &BrierCurve::integrated_scaled_standard_error)
      .def_property_readonly("influence", [](const BrierCurve& c) { return maybe(c.influence); });
  m.def("brier_curve", &brier_curve, py::arg("time"), py::arg("status"), py::arg("predicted"), py::arg("times"),
        py::arg_v("options", TimeOptions{}, "..."), py::arg("integration") = Integration::trapezoid,
        py::arg("survival") = false, py::arg("weights") = MaybeTensor{}, ReleaseGil());
  py::class_<NetBenefit>(m, "NetBenefit")
      .def_readonly("value", &NetBenefit::value)
      .def_readonly("standard_error", &NetBenefit::standard_error)
      .def_readonly("true_positives", &NetBenefit::true_positives)
      .def_readonly("false_positives", &NetBenefit::false_positives)
      .def_readonly("reason", &NetBenefit::reason)
      .def_property_readonly("influence", [](const NetBenefit& b) { return maybe(b.influence); });
  m.def("net_benefit", &net_benefit, py::arg("time"), py::arg("status"), py::arg("risk"), py::arg("t"),
        py::arg("thresholds"), py::arg("keep_influence") = false, py::arg("weights") = MaybeTensor{}, ReleaseGil());
}

}  // namespace

void bind_outcome_measures(py::module_& m) {
  bind_concordance(m);
  bind_over_time(m);
  py::class_<AveragePrecision>(m, "AveragePrecision")
      .def_readonly("value", &AveragePrecision::value)
      .def_readonly("standard_error", &AveragePrecision::standard_error)
      .def_readonly("prevalence", &AveragePrecision::prevalence)
      .def_readonly("positives", &AveragePrecision::positives)
      .def_readonly("negatives", &AveragePrecision::negatives);
  m.def("average_precision", &average_precision, py::arg("y"), py::arg("score"), py::arg("weights") = MaybeTensor{},
        ReleaseGil());
  m.def("loess", &loess, py::arg("x"), py::arg("y"), py::arg("at"), py::arg("span") = 0.75, py::arg("degree") = 2,
        ReleaseGil());
}
