# SPDX-License-Identifier: Apache-2.0
"""Start-stop data, exact ties, residuals, robust errors, tests of proportional hazards, Fine and Gray, against R."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import vesalius as vs
from vesalius.outcome import CoxPH, FineGray, survival_array

sys.path.insert(0, str(Path(__file__).parent))
from gold import FOLDER, GOLD, NAMES, check, load

WITH_COX = [n for n in NAMES if "coxph_efron" in GOLD[n]]


@pytest.mark.parametrize("name", WITH_COX)
def test_residuals_robust_errors_and_zph_equal_r(name):
    """Oracle: R's residuals(type="martingale"), coxph(robust=TRUE) and cox.zph(terms=FALSE)."""
    X, y = load(name)
    model = CoxPH(robust=True).fit(X, y)
    check(name, "martingale_first10", model.residuals(X, y)[:10], abs=1e-9)
    check(name, "robust_se", model.summary()["se"], labels=X.columns)
    table = model.proportional_hazards(X, y)
    rows = [*range(len(X.columns)), len(X.columns)]
    gold = GOLD[name]["zph"]
    check(name, "zph/chisq", table["chi_squared"].iloc[rows], labels=gold["names"])
    check(name, "zph/p", table["p"].iloc[rows], labels=gold["names"], abs=1e-12)


def heart():
    table = pd.read_csv(FOLDER / "r_heart.csv")
    y = np.array(
        list(zip(table["event"] == 1, table["start"], table["stop"], strict=True)),
        dtype=[("event", bool), ("start", float), ("stop", float)],
    )
    return table[["age", "year", "surgery", "transplant"]], y, table


def test_start_stop_equals_r():
    """Oracle: R's coxph(Surv(start, stop, event) ~ age + year + surgery + transplant, heart)."""
    X, y, _ = heart()
    model = CoxPH().fit(X, y)
    check("extra_heart_startstop", "coef", model.coef_, labels=X.columns)
    check("extra_heart_startstop", "loglik", [model.log_likelihood_null_, model.log_likelihood_], rel=1e-9)
    other = CoxPH().fit(X, (y["event"], y["stop"]), entry=y["start"])
    np.testing.assert_array_equal(other.coef_, model.coef_)


def test_exact_ties_equal_r():
    """Oracle: R's coxph(ties="exact") on its own lung."""
    table = pd.read_csv(FOLDER / "r_lung.csv").dropna(subset=["age", "sex"])
    y = survival_array(table["status"] == 2, table["time"])
    model = CoxPH(ties="exact").fit(table[["age", "sex"]], y)
    check("extra_lung_exact", "coef", model.coef_, labels=["age", "sex"])
    check("extra_lung_exact", "loglik", [model.log_likelihood_null_, model.log_likelihood_], rel=1e-9)


@pytest.mark.parametrize("cause", [1, 2])
def test_fine_gray_equals_r(cause):
    """Oracle: R's cmprsk::crr, its coefficient, sandwich error and log-likelihood."""
    table = pd.read_csv(FOLDER / "bmt.csv")
    X, y = table.iloc[:, 2:], (table["event"], table["time"])
    model = FineGray(cause=cause).fit(X, y)
    check("bmt", f"finegray_cause{cause}/coef", model.coef_, labels=X.columns)
    check("bmt", f"finegray_cause{cause}/se", model.summary()["se"], labels=X.columns)
    check("bmt", f"finegray_cause{cause}/loglik", model.log_likelihood_, rel=1e-9)


def test_zph_transforms_and_start_stop_residuals():
    """Invariant: sums that must vanish at the estimate, with strata and entries; the transforms differ but in time."""
    X, y, table = heart()
    strata = table["surgery"].to_numpy()
    X = X.drop(columns="surgery")
    model = CoxPH(ties="breslow").fit(X, y, strata=strata)
    kinds = {k: model.residuals(X, y, k, strata=strata) for k in ("martingale", "score", "schoenfeld", "dfbeta")}
    assert abs(kinds["martingale"].sum()) < 1e-8
    assert np.abs(kinds["score"].sum() / kinds["score"].abs().sum()).max() < 1e-9
    assert np.abs(kinds["schoenfeld"].sum() / kinds["schoenfeld"].abs().sum()).max() < 1e-9
    np.testing.assert_allclose(kinds["dfbeta"], kinds["score"] @ model.covariance_)
    p = [model.proportional_hazards(X, y, strata=strata, transform=t)["p"] for t in ("km", "rank", "identity", "log")]
    assert all(((q > 0) & (q <= 1)).all() for q in p)


def test_clusters_and_split_rows():
    """Invariant: a subject's row cut in two at any time changes nothing; robust errors by subject neither, with cluster."""
    X, y = load("lung")
    whole = CoxPH(robust=True).fit(X, y)
    cut = y["time"] / 3
    entry = np.r_[np.full(len(y), -np.inf), cut]
    stop, event = np.r_[cut, y["time"]], np.r_[np.zeros(len(y), bool), y["event"]]
    twice, who = pd.concat([X, X], ignore_index=True), np.r_[np.arange(len(y)), np.arange(len(y))]
    split = CoxPH().fit(twice, (event, stop), entry=entry, cluster=who)
    np.testing.assert_allclose(split.coef_, whole.coef_, rtol=1e-9)
    np.testing.assert_allclose(split.summary()["se"], whole.summary()["se"], rtol=1e-8)
    np.testing.assert_allclose(split.naive_covariance_, whole.naive_covariance_, rtol=1e-8)
    m = split.residuals(twice, (event, stop), entry=entry).to_numpy()
    np.testing.assert_allclose(m[: len(y)] + m[len(y) :], whole.residuals(X, y), atol=1e-9)


def test_offset_is_a_coefficient_of_one():
    """Invariant: the estimate's own linear predictor as offset leaves coefficients of 0, and the same likelihood."""
    X, y = load("lung")
    model = CoxPH().fit(X, y)
    again = CoxPH().fit(X, y, offset=model.predict(X))
    np.testing.assert_allclose(again.coef_ * X.std(), 0, atol=1e-9)
    assert again.log_likelihood_ == pytest.approx(model.log_likelihood_, rel=1e-12)


def test_exact_ties_by_all_subsets():
    """Oracle: the conditional likelihood over all subsets, with ties everywhere; the information by differences."""
    from itertools import combinations

    rng = np.random.default_rng(2)
    X, y = rng.normal(size=(12, 2)), survival_array(rng.random(12) < 0.8, rng.integers(1, 4, 12).astype(float))

    def likelihood(b):
        lp, total = X @ b, 0.0
        for t in np.unique(y["time"][y["event"]]):
            risk, dead = np.flatnonzero(y["time"] >= t), np.flatnonzero(y["event"] & (y["time"] == t))
            total += lp[dead].sum() - np.log(sum(np.exp(lp[list(c)].sum()) for c in combinations(risk, len(dead))))
        return total

    model = CoxPH(ties="exact").fit(X, y)
    assert model.log_likelihood_ == pytest.approx(likelihood(model.coef_), rel=1e-10)
    h = 1e-4 * np.eye(2)
    slope = [(likelihood(model.coef_ + e) - likelihood(model.coef_ - e)) / 2e-4 for e in h]
    np.testing.assert_allclose(slope, 0, atol=1e-6)
    information = [
        [
            -(likelihood(model.coef_ + a + b) - likelihood(model.coef_ + a - b) - likelihood(model.coef_ - a + b)
              + likelihood(model.coef_ - a - b)) / 4e-8
            for b in h
        ]
        for a in h
    ]  # fmt: skip
    np.testing.assert_allclose(model.covariance_, np.linalg.inv(information), rtol=1e-5)


def test_many_columns_take_the_other_way():
    """Invariant: with secants and kept factors (many columns) the optimum is plain Newton's to 1e-9 of a standard error."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(900, 150)) @ (np.eye(150) + 0.05 * rng.normal(size=(150, 150)))
    y = survival_array(rng.random(900) < 0.7, np.round(rng.exponential(np.exp(-X[:, :20] @ np.full(20, 0.3))), 2))
    model = CoxPH(ties="breslow").fit(X, y)
    score = model.residuals(X, y, "score").to_numpy()
    step = score.sum(axis=0) @ model.covariance_
    assert np.abs(step / model.summary()["se"]).max() < 1e-8
    order = np.argsort(-y["time"], kind="stable")
    Z, w, t = X[order], np.exp(X[order] @ model.coef_), y["time"][order]
    information = np.zeros((150, 150))
    for i in np.flatnonzero(y["event"][order]):
        risk = t >= t[i]
        m = w[risk] @ Z[risk] / w[risk].sum()
        information += (Z[risk] * w[risk, None]).T @ Z[risk] / w[risk].sum() - np.outer(m, m)
    np.testing.assert_allclose(model.covariance_, np.linalg.inv(information), rtol=1e-6, atol=1e-10)


@pytest.mark.parametrize(
    "change, error, message",
    [
        ({"entry": "after"}, vs.InvalidArgument, "enter at or after their time"),
        ({"entry": "short"}, vs.ShapeError, "one number for each"),
        ({"entry": "nan"}, vs.InvalidArgument, "NaN or infinite"),
        ({"cluster": [1, 2]}, vs.InvalidArgument, "cluster 2"),
        ({"offset": [np.nan] * 223}, vs.InvalidArgument, "offset has 223 values"),
    ],
)
def test_bad_start_stop(change, error, message):
    X, y = load("lung")
    entry = {"after": y["time"], "short": y["time"][:-1] - 1, "nan": np.full(len(y), np.nan)}
    change = {k: entry.get(v, v) if isinstance(v, str) else v for k, v in change.items()}
    with pytest.raises(error, match=message):
        CoxPH().fit(X, y, **change)


def test_what_is_not_there_says_so():
    X, y = load("lung")
    exact = CoxPH(ties="exact").fit(X, y)
    with pytest.raises(vs.NotSupported, match="efron"):
        exact.residuals(X, y)
    with pytest.raises(vs.InvalidArgument, match="weights mean nothing"):
        CoxPH(ties="exact").fit(X, y, sample_weight=np.arange(len(X)) + 1.0)
    with pytest.raises(vs.InvalidArgument, match="kind must be"):
        CoxPH().fit(X, y).residuals(X, y, "pearson")
    with pytest.raises(vs.InvalidArgument, match="no subject has the event 3"):
        FineGray(cause=3).fit(X, (y["event"].astype(int), y["time"]))
    with pytest.raises(vs.InvalidArgument, match="whole numbers"):
        FineGray().fit(X, (y["event"] + 0.5, y["time"]))


def test_fine_gray_without_competitors_is_cox():
    """Invariant: nobody with another event: Cox by Breslow, whatever the censoring; and every subject at risk by hand."""
    X, y = load("lung")
    ours = FineGray().fit(X, (y["event"].astype(int), y["time"]))
    cox = CoxPH(ties="breslow", robust=True).fit(X, y)
    np.testing.assert_allclose(ours.coef_, cox.coef_, rtol=1e-9)
    np.testing.assert_allclose(ours.covariance_, cox.covariance_, rtol=1e-8)
    incidence = ours.predict_cumulative_incidence(X.iloc[:3], times=[100, 500])
    np.testing.assert_allclose(1 - incidence, cox.predict_survival_function(X.iloc[:3], times=[100, 500]), rtol=1e-9)
