# SPDX-License-Identifier: Apache-2.0
"""Concordance, AUC and Brier against R: r_gold.json, and r_measures.json (made by r_measures.R beside it)."""

import json
from functools import cache

import numpy as np
import pandas as pd
import pytest
from gold import FOLDER, GOLD, NAMES, check, later, load, values

from vesalius.outcome import CoxPH, metrics

SOURCE = "r_measures.R"
R = json.loads((FOLDER / "r_measures.json").read_text())


@cache
def cox(name):
    X, y = load(name)
    return X, y, CoxPH().fit(X, y)


@pytest.mark.parametrize("name", [n for n in NAMES if "uno_tau80" in GOLD[n]])
def test_uno_equals_r(name):
    """Oracle: R's survival::concordance(timewt="n/G2"), truncated (value and standard error) and not."""
    X, y, model = cox(name)
    gold, risk = GOLD[name]["uno_tau80"], model.predict(X)
    ours = metrics.concordance_index(y, risk, weighting="uno", tau=later(gold["tau"])[0])
    check(name, "uno_tau80/c", ours.value, rel=1e-9)
    check(name, "uno_tau80/se", ours.standard_error, rel=1e-6)
    check(name, "uno_notau", metrics.concordance_index(y, risk, weighting="uno").value, rel=1e-9)


@pytest.mark.parametrize("name", [n for n in NAMES if "score" in GOLD[n]])
def test_score_equals_risk_regression(name):
    """Oracle: riskRegression::Score of the Cox model: AUC, Brier, null Brier at five times, integrated Brier."""
    X, y, model = cox(name)
    gold = GOLD[name]["score"]
    times = later(gold["times"])
    auc = metrics.cumulative_dynamic_auc(y, model.predict(X), times)
    survival = model.predict_survival_function(X, times=times)
    brier = metrics.brier_curve(y, survival, integration="steps")
    check(name, "score/auc", auc.table["auc"], rel=1e-9)
    check(name, "score/brier", brier.table["brier"], rel=1e-8)
    check(name, "score/brier_null", brier.table["null"], rel=1e-9)
    upto = [metrics.brier_curve(y, survival.iloc[:, :k], integration="steps").integrated for k in range(2, 6)]
    check(name, "score/ibs", [0.0, *upto], rel=1e-8)


@pytest.mark.parametrize("name", R["concordance"])
def test_every_weighting_equals_r(name):
    """Oracle: R's survival::concordance with every timewt, ymax, weights, left truncation: value, error, pair sums."""
    X, y = load(name)
    gold = R["concordance"][name]
    x = X[gold["column"]].to_numpy(float)
    row = np.arange(1, len(x) + 1)
    for key, expected in gold.items():
        if key in ("column", "tau", "outx", "two"):
            continue
        what, *more = key.split()
        settings = {"start": y["time"] * (row % 4) / 5} if what == "start" else {"weighting": what}
        if "tau" in more:
            settings["tau"] = later(gold["tau"])[0]
        if "weights" in more:
            settings["sample_weight"] = 1 + row % 3
        ours = metrics.concordance_index(y, x, **settings)
        sums = [ours.concordant, ours.discordant, ours.tied_risk, ours.tied_time, ours.tied_both]
        recorded = f"concordance of {gold['column']}, {key}"
        check(name, f"{recorded}, c", ours.value, expected["c"], rel=1e-9, source=SOURCE)
        check(name, f"{recorded}, se", ours.standard_error, expected["se"], rel=1e-8, source=SOURCE)
        np.testing.assert_allclose(sums, expected["counts"], rtol=1e-9, atol=1e-9, err_msg=key)
    variants = metrics.concordance_variants(y, x)
    assert variants["estimate"]["harrell, tied risks left out"] == pytest.approx(gold["outx"], rel=1e-9)
    two = gold["two"]
    signs, z = two["signs"], X[two["column"]].to_numpy(float)
    test = metrics.concordance_test(y, signs[0] * x, signs[1] * z)
    (a, c), (_, b) = two["var"]
    assert [test.a, test.b] == pytest.approx(two["c"], rel=1e-9)
    assert test.standard_error == pytest.approx(np.sqrt(a + b - 2 * c), rel=1e-8)


def test_pec():
    """Oracle: pec::cindex, the ways with ties whose definition is plain."""
    X, y = load("lung")
    variants = metrics.concordance_variants(y, X["ph_ecog"])["estimate"]
    for name, key in (
        ("harrell", "P--"),
        ("harrell, tied risks left out", "---"),
        ("harrell, equal in both are right", "P-M"),
    ):
        assert variants[name] == pytest.approx(R["pec"][key], rel=1e-9)


def risks(x, scale, times):
    """The formula of r_measures.R."""
    u = (x - x.mean()) / x.std(ddof=1)
    return 1 - np.exp(-np.exp(u / 2)[:, None] * np.asarray(times) / scale)


def check_score(y, x, gold, auc_rtol, brier_rtol, **kwargs):
    predicted = risks(x, gold["scale"], gold["times"])
    auc = metrics.cumulative_dynamic_auc(y, predicted, gold["times"], **kwargs)
    brier = metrics.brier_curve(y, predicted, gold["times"], predicts="risk", integration="steps", **kwargs)
    for table, column, key, rtol in (
        (auc.table, "auc", "auc", 1e-9),
        (auc.table, "standard_error", "auc_se", auc_rtol),
        (brier.table, "brier", "brier", 1e-9),
        (brier.table, "standard_error", "brier_se", brier_rtol),
        (brier.table, "null", "null", 1e-9),
        (brier.table, "scaled", "ipa", 1e-9),
    ):
        np.testing.assert_allclose(table[column], gold[key], rtol=rtol, atol=1e-12, err_msg=key)
    assert brier.integrated == pytest.approx(np.atleast_1d(gold["ibs"])[-1], rel=1e-9)


@pytest.mark.parametrize("name", R["score"])
def test_score_of_given_risks(name):
    """Oracle: riskRegression::Score(se.fit=TRUE). Its errors are those here wherever nobody is censored yet, and differ by up to
    1e-3 after, where ours are the exact derivative (test_errors_are_derivatives)."""
    X, y = load(name)
    gold = R["score"][name]
    check_score(y, X[gold["column"]].to_numpy(float), gold, 1e-5, 2e-3)


def test_score_with_competing_events():
    """Oracle: riskRegression::Score with Hist(time, event), competing events among the controls; errors as above."""
    gold = R["competing"]
    data = pd.DataFrame(gold["data"])
    check_score((data["event"], data["time"]), data["x"].to_numpy(), gold, 2e-4, 3e-2, cause=1)


def test_calibration_of_survival():
    """Oracle: R: coxph on rms::rcs (Austin 2020) for the curve and ICI; weighted glm for intercept and slope; Kaplan-Meier."""
    gold = R["calibration"]
    X, y = load("gbsg2")
    predicted = risks(X[gold["column"]].to_numpy(float), gold["scale"], [gold["time"]])[:, 0]
    ours = metrics.survival_calibration(y, predicted, gold["time"])
    assert [ours.distance.ici, ours.distance.e50, ours.distance.e90] == pytest.approx(
        [gold["ici"], gold["e50"], gold["e90"]], rel=1e-7
    )
    assert ours.cox_slope == pytest.approx(gold["cox_slope"], rel=1e-7)
    assert ours.cox_slope_interval[1] - ours.cox_slope == pytest.approx(1.959964 * gold["cox_slope_se"], rel=1e-6)
    assert [ours.slope, ours.intercept, ours.ratio] == pytest.approx(
        [gold["slope"], gold["intercept"], gold["ratio"]], rel=1e-7
    )
    binary = R["binary"]
    two_class = metrics.calibration(binary["y"], binary["p"])
    assert two_class.distance.ici == pytest.approx(binary["ici"], rel=1e-9)
    at = np.interp(two_class.smooth["predicted"], *np.unique(np.c_[binary["p"], binary["loess"]], axis=0).T)
    np.testing.assert_allclose(two_class.smooth["observed"], np.clip(at, 0, 1), rtol=1e-9)


def test_net_benefit_of_survival():
    """Oracle: Vickers 2008 by R's survfit among those above the threshold."""
    gold, given = R["net_benefit"], R["calibration"]
    X, y = load("gbsg2")
    predicted = risks(X[given["column"]].to_numpy(float), given["scale"], [given["time"]])[:, 0]
    ours = metrics.decision_curve(y, predicted, gold["thresholds"], time=given["time"]).table
    np.testing.assert_allclose(ours["net_benefit"], gold["value"], rtol=1e-9)
    competing = R["competing"]
    data = pd.DataFrame(competing["data"])
    for t, cif in zip(competing["times"], values(competing["cif"]["value"])):
        share = metrics.decision_curve(
            (data["event"], data["time"]), (data["x"] > 0.3).to_numpy(float), [0.5], time=t, cause=1
        )
        assert share.table["true_positives"][0] == pytest.approx(cif * competing["cif"]["share"], rel=1e-9)
