# SPDX-License-Identifier: Apache-2.0
"""Kaplan-Meier and log-rank against R's survival, lifelines and scikit-survival."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from lifelines import KaplanMeierFitter
from lifelines.statistics import multivariate_logrank_test
from lifelines.utils import median_survival_times
from sksurv.nonparametric import kaplan_meier_estimator

import vesalius as vs
from vesalius.outcome import KaplanMeier, log_rank, survival_array

sys.path.insert(0, str(Path(__file__).parent))
from gold import GOLD, NAMES, check, later, load, values


@pytest.mark.parametrize("name", NAMES)
def test_kaplan_meier_equals_r(name):
    """Oracle: R's survfit: survival, Greenwood error, cumulative hazard, median; and the curve of censoring."""
    _, y = load(name)
    gold = GOLD[name]["km"]
    curve = KaplanMeier().fit(y)
    at = curve.at(np.minimum(later(gold["time"]), y["time"].max()))
    labels = [f"t={t:g}" for t in values(gold["time"])]
    check(name, "km/surv", at["survival"], rel=1e-9, labels=labels)
    check(name, "km/se", at["standard_error"], rel=1e-9, labels=labels)
    check(name, "km/cumhaz", at["cumulative_hazard"], rel=1e-9, labels=labels)
    check(name, "km/median", curve.median[0], rel=1e-9)
    censoring = KaplanMeier().fit((~y["event"], y["time"])).at(np.minimum(later(gold["time"]), y["time"].max()))
    check(name, "km_censoring/surv", censoring["survival"], rel=1e-9, labels=labels)


@pytest.mark.parametrize("name", [n for n in NAMES if "peto" in GOLD[n]])
def test_log_rank_equals_r(name):
    """Oracle: R's survdiff, rho 0 and 1."""
    X, y = load(name)
    group = X.iloc[:, 0] > X.iloc[:, 0].median()
    check(name, "logrank_x1_gt_median/chisq", log_rank(y, group).chi_squared)
    check(name, "peto/chisq", log_rank(y, group, rho=1).chi_squared)


def test_intervals_equal_peers():
    """Oracle: lifelines (log_log limits, median's interval, at-risk table) and scikit-survival (log-log)."""
    _, y = load("lung")
    ours = KaplanMeier(interval="log_log").fit(y)
    peer = KaplanMeierFitter().fit(y["time"], y["event"])
    np.testing.assert_allclose(ours.table_["survival"], peer.survival_function_.iloc[1:, 0], rtol=1e-9)
    limits = peer.confidence_interval_.iloc[1:]
    known = ours.table_["survival"] > 0
    np.testing.assert_allclose(ours.table_.loc[known, ["lower", "upper"]], limits[known.to_numpy()], atol=1e-9)
    np.testing.assert_allclose(ours.median[1:], median_survival_times(peer.confidence_interval_).to_numpy()[0])
    table = peer.event_table.iloc[1:]
    np.testing.assert_array_equal(
        ours.table_[["at_risk", "events", "censored"]], table[["at_risk", "observed", "censored"]]
    )
    *_, limits = kaplan_meier_estimator(y["event"], y["time"], conf_type="log-log")
    np.testing.assert_allclose(ours.table_["lower"][known], limits[0][known], atol=1e-6)


def test_log_limits_by_hand():
    """Oracle: S·exp(∓1.96·√Σ d/(n(n−d))), R's default, on eight subjects; plain limits likewise."""
    y = survival_array([1, 1, 0, 1, 1, 0, 1, 0], [1, 2, 2, 3, 3, 4, 5, 6])
    s1, v1 = 7 / 8, 1 / 56
    s3, v3 = 7 / 8 * 6 / 7 * 3 / 5, 1 / 56 + 1 / 42 + 2 / 15
    log = KaplanMeier(interval="log").fit(y).at([1, 3, 3.5])
    plain = KaplanMeier(interval="plain", confidence=0.9).fit(y).at([3])
    for row, s, v in ((0, s1, v1), (1, s3, v3), (2, s3, v3)):
        expected = [
            s,
            s * np.sqrt(v),
            s * np.exp(-1.959963985 * np.sqrt(v)),
            min(1, s * np.exp(1.959963985 * np.sqrt(v))),
        ]
        np.testing.assert_allclose(log.iloc[row, :4], expected, rtol=1e-8)
    np.testing.assert_allclose(
        plain.iloc[0, 2:4], [s3 - 1.644853627 * s3 * np.sqrt(v3), s3 + 1.644853627 * s3 * np.sqrt(v3)], rtol=1e-8
    )
    risk = KaplanMeier().fit(y).at_risk([0, 2, 2.5, 7])
    assert (
        risk["at_risk"].tolist() == [8, 7, 5, 0]
        and risk["events"].tolist() == [0, 2, 2, 5]
        and risk["censored"].tolist() == [0, 1, 1, 3]
    )


def test_median_on_a_flat_half():
    """Oracle: R's quantile.survfit takes the middle where the curve is exactly one half."""
    assert KaplanMeier().fit(survival_array([1, 1, 1, 1], [1, 2, 4, 5])).median[0] == 3
    assert np.isnan(KaplanMeier().fit(survival_array([1, 0, 0], [1, 2, 3])).median[0])


def test_edges():
    """Mechanics: before the first time 1, after the last NaN unless all have died; weights are repeated subjects; time 0."""
    y = survival_array([1, 0], [2, 5])
    at = KaplanMeier().fit(y).at([1, 5, 6])
    assert at["survival"].iloc[0] == 1 and at["survival"].iloc[1] == 0.5 and np.isnan(at["survival"].iloc[2])
    assert KaplanMeier().fit(survival_array([1, 1], [0, 5])).at([0, 9])["survival"].tolist() == [0.5, 0]
    _, lung = load("lung")
    w = np.arange(len(lung)) % 4
    a, b = KaplanMeier().fit(lung, sample_weight=w).table_, KaplanMeier().fit(np.repeat(lung, w)).table_
    pd.testing.assert_frame_equal(a.query("events + censored > 0").reset_index(drop=True), b, rtol=1e-9)


def test_log_rank_of_three_groups_and_strata():
    """Oracle: lifelines for k groups; scipy for p; strata as sums over strata by hand of two groups."""
    X, y = load("gbsg2")
    group = pd.qcut(X["age"], 3, labels=["young", "middle", "old"]).astype(str)
    ours = log_rank(y, group)
    peer = multivariate_logrank_test(y["time"], group, y["event"])
    assert ours.chi_squared == pytest.approx(peer.test_statistic, rel=1e-9) and ours.p == pytest.approx(
        peer.p_value, rel=1e-8
    )
    assert ours.degrees_of_freedom == 2 and ours.table["observed"].sum() == pytest.approx(ours.table["expected"].sum())
    assert ours.table.loc["old", "observed"] == y["event"][group == "old"].sum()
    treated, stratum = X["horTh_yes"], X["menostat_Post"]
    parts = [log_rank(y[stratum == s], treated[stratum == s]) for s in (0, 1)]
    u = sum(p.table["observed"].iloc[0] - p.table["expected"].iloc[0] for p in parts)
    v = sum((p.table["observed"].iloc[0] - p.table["expected"].iloc[0]) ** 2 / p.chi_squared for p in parts)
    assert log_rank(y, treated, strata=stratum).chi_squared == pytest.approx(u**2 / v, rel=1e-9)


def test_bad_input():
    _, y = load("lung")
    with pytest.raises(vs.InvalidArgument, match="at least 2"):
        log_rank(y, np.ones(len(y)))
    with pytest.raises(vs.InvalidArgument, match="223 subjects and group 3"):
        log_rank(y, [1, 2, 3])
    with pytest.raises(vs.InvalidArgument, match="nothing to compare"):
        log_rank(survival_array([0, 0, 0], [1, 2, 3]), [1, 2, 2])
    with pytest.raises(vs.InvalidArgument, match="negative"):
        KaplanMeier().fit((np.array([True]), np.array([-1.0])))
    with pytest.raises(vs.InvalidArgument, match="interval"):
        KaplanMeier(interval="wald").fit(y)
    with pytest.raises(vs.InvalidArgument, match="confidence"):
        KaplanMeier(confidence=95).fit(y)
    with pytest.raises(vs.InvalidArgument, match="fit the curve first"):
        KaplanMeier().at([1])
