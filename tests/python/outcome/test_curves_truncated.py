# SPDX-License-Identifier: Apache-2.0
"""Left truncation, hazards, quantiles and restricted means against R's survival and lifelines; invariances and speed."""

import json
import pickle
import time as clock

import numpy as np
import pytest
from gold import FOLDER, check, load, values
from lifelines import KaplanMeierFitter, NelsonAalenFitter
from lifelines.utils import restricted_mean_survival_time
from sklearn.base import clone

import vesalius as vs
from vesalius.outcome import AalenJohansen, KaplanMeier, NelsonAalen, log_rank, restricted_mean, survival_array

GOLD = json.loads((FOLDER / "curves_gold.json").read_text())


def truncated():
    """Lung with the entries that curves.R makes."""
    X, y = load("lung")
    return X, y, np.minimum(np.arange(1, len(y) + 1) * 37 % 120, y["time"] - 1)


def test_left_truncation_equals_r():
    """Oracle: R's survfit(Surv(entry, time, event)): survival, errors, limits, numbers at risk, hazard with its error."""
    _, y, entry = truncated()
    gold = GOLD["truncated"]
    curve = KaplanMeier().fit(y, entry=entry)
    at = curve.at(gold["time"])
    for ours, theirs in [
        ("survival", "surv"),
        ("standard_error", "se"),
        ("lower", "lower"),
        ("upper", "upper"),
        ("cumulative_hazard", "cumhaz"),
    ]:
        check("lung, left-truncated", theirs, at[ours], gold[theirs], rel=1e-9)
    np.testing.assert_array_equal(
        curve.at_risk(gold["time"])["at_risk"], gold["n_risk"]
    )  # at the next time observed, as R
    hazard = NelsonAalen().fit(y, entry=entry).at(gold["time"])
    check("lung, left-truncated", "std_chaz", hazard["standard_error"], gold["std_chaz"], rel=1e-9)


def test_left_truncation_equals_lifelines():
    """Oracle: lifelines' KaplanMeierFitter and NelsonAalenFitter with entry."""
    _, y, entry = truncated()
    peer = KaplanMeierFitter().fit(y["time"], y["event"], entry=entry)
    at = y["time"][::9]
    np.testing.assert_allclose(KaplanMeier().fit(y, entry=entry).at(at)["survival"], peer.predict(at), rtol=1e-9)
    peer = NelsonAalenFitter(nelson_aalen_smoothing=False).fit(y["time"], y["event"], entry=entry)
    np.testing.assert_allclose(
        NelsonAalen().fit(y, entry=entry).at(at)["cumulative_hazard"], peer.predict(at), rtol=1e-9
    )


@pytest.mark.parametrize("ties, key", [("aalen", "nelson_aalen"), ("fleming_harrington", "fleming_harrington")])
def test_nelson_aalen_equals_r(ties, key):
    """Oracle: R's survfit(ctype=1 and 2): cumhaz and std.chaz; the limits by hand."""
    _, y = load("lung")
    gold = GOLD[key]
    at = NelsonAalen(ties=ties).fit(y).at(gold["time"])
    check("lung", f"{key}/cumhaz", at["cumulative_hazard"], gold["cumhaz"], rel=1e-9)
    check("lung", f"{key}/std_chaz", at["standard_error"], gold["std_chaz"], rel=1e-9)
    h, se = values(gold["cumhaz"]), values(gold["std_chaz"])
    np.testing.assert_allclose(at["lower"], h * np.exp(-1.959963985 * se / h), rtol=1e-8)
    np.testing.assert_allclose(
        NelsonAalen(ties=ties, interval="plain", confidence=0.9).fit(y).at(gold["time"])["upper"],
        h + 1.644853627 * se,
        rtol=1e-8,
    )


@pytest.mark.parametrize(
    "key, options", [("quantiles", {}), ("quantiles_loglog90", {"interval": "log_log", "confidence": 0.9})]
)
def test_quantiles_equal_r(key, options):
    """Oracle: R's quantile.survfit with its limits."""
    _, y = load("lung")
    gold = GOLD[key]
    curve = KaplanMeier(**options).fit(y)
    ours = np.array([curve.quantile(p) for p in gold["p"]])
    for j, name in enumerate(("quantile", "lower", "upper")):
        np.testing.assert_allclose(ours[:, j], values(gold[name]), rtol=1e-12)


@pytest.mark.parametrize("tau", [300, 700])
def test_restricted_means_equal_r(tau):
    """Oracle: R's print(survfit, rmean=tau) for each group; survRM2's difference and ratio written out in curves.R."""
    X, y = load("lung")
    gold = GOLD[f"rmean{tau}"]
    r = restricted_mean(y, X["sex"], tau=tau)
    check("lung", f"rmean{tau}/rmean", r.table["rmst"], gold["rmean"], rel=1e-9)
    check("lung", f"rmean{tau}/se", r.table["standard_error"], gold["se"], rel=1e-9)
    row = r.comparisons.iloc[0]
    ours = [row[c] for c in ("difference", "difference_se", "difference_p", "ratio", "ratio_lower", "ratio_upper")]
    theirs = [gold[c] for c in ("difference", "difference_se", "p", "ratio", "ratio_lower", "ratio_upper")]
    np.testing.assert_allclose(ours, theirs, rtol=1e-8)
    assert r.p == pytest.approx(gold["p"], rel=1e-8) and r.degrees_of_freedom == 1


def test_restricted_mean_equals_lifelines():
    """Oracle: lifelines' restricted_mean_survival_time; with entry the integral of the curve by its steps."""
    _, y, entry = truncated()
    peer = restricted_mean_survival_time(KaplanMeierFitter().fit(y["time"], y["event"]), t=400)
    assert restricted_mean(y, tau=400).table["rmst"].iloc[0] == pytest.approx(peer, rel=1e-9)
    table = KaplanMeier().fit(y, entry=entry).table_.query("time <= 400")
    by_steps = np.sum(np.diff(np.r_[0, table["time"], 400]) * np.r_[1, table["survival"]])
    assert restricted_mean(y, tau=400, entry=entry).table["rmst"].iloc[0] == pytest.approx(by_steps, rel=1e-9)


def test_invariances():
    """Invariant: another unit of time, rows in any order, whole weights as repeated rows, weights of 0 as absence; for every curve and
    test, with left truncation."""
    X, y, entry = truncated()
    group = X["sex"].to_numpy()
    rng = np.random.default_rng(0)
    w, order = rng.integers(0, 4, len(y)), rng.permutation(len(y))
    copies = np.repeat(np.arange(len(y)), w)
    scaled = survival_array(y["event"], y["time"] / 30.4375)
    at = np.array([40.0, 150, 380, 700])
    for model in (KaplanMeier(), NelsonAalen(), KaplanMeier(interval="log_log")):
        base = clone(model).fit(y, entry=entry).at(at).to_numpy()
        np.testing.assert_allclose(clone(model).fit(y[order], entry=entry[order]).at(at), base, rtol=1e-10)
        np.testing.assert_allclose(
            clone(model).fit(scaled, entry=entry / 30.4375).at(at / 30.4375 * (1 + 1e-12)), base, rtol=1e-10
        )
        weighted = clone(model).fit(y, sample_weight=w, entry=entry).at(at)
        np.testing.assert_allclose(weighted, clone(model).fit(y[copies], entry=entry[copies]).at(at), rtol=1e-10)
        np.testing.assert_allclose(pickle.loads(pickle.dumps(model.fit(y))).at(at), model.at(at))
    for options in (
        {},
        {"weight": "gehan"},
        {"weight": "tarone_ware"},
        {"weight": "modified_peto"},
        {"rho": 1, "gamma": 1},
    ):
        a = log_rank(y, group, sample_weight=w, entry=entry, strata=X["ph_ecog"] > 0, **options)
        b = log_rank(y[copies], group[copies], entry=entry[copies], strata=(X["ph_ecog"] > 0)[copies], **options)
        assert a.chi_squared == pytest.approx(b.chi_squared, rel=1e-10)
    a, b = (
        restricted_mean(y, group, tau=300, sample_weight=w, entry=entry),
        restricted_mean(y[copies], group[copies], tau=300, entry=entry[copies]),
    )
    np.testing.assert_allclose(a.comparisons, b.comparisons, rtol=1e-10)
    months = restricted_mean(scaled, group, tau=300 / 30.4375)
    np.testing.assert_allclose(months.table * 30.4375, restricted_mean(y, group, tau=300).table, rtol=1e-10)


def test_fractional_weights():
    """Invariant: weights times a constant leave the curve (not its error); a curve of tiny weights ends on 0 where the last dies."""
    _, y = load("lung")
    y["event"][np.argmax(y["time"])] = True
    w = np.random.default_rng(1).random(len(y)) * 1e-3
    a, b = KaplanMeier().fit(y, sample_weight=w).table_, KaplanMeier().fit(y, sample_weight=w * 1e5).table_
    np.testing.assert_allclose(a["survival"], b["survival"], rtol=1e-9)
    assert a["survival"].iloc[-1] == 0


def test_bad_input():
    X, y, entry = truncated()
    late = np.where(np.arange(len(y)) == 3, y["time"][3], entry)
    for fit in (KaplanMeier().fit, NelsonAalen().fit, restricted_mean):
        with pytest.raises(vs.InvalidArgument, match="1 subjects leave observation"):
            fit(y, entry=late)
        with pytest.raises(vs.InvalidArgument, match="NaN"):
            fit(y, entry=np.full(len(y), np.nan))
        with pytest.raises(vs.ShapeError, match="entry must be a vector of 223"):
            fit(y, entry=[1, 2])
        with pytest.raises(vs.TypeMismatch, match="sample_weight must be numbers"):
            fit(y, sample_weight=["a"] * len(y))
        with pytest.raises(vs.InvalidArgument, match="negative|not be negative|≥ 0"):
            fit(y, sample_weight=-np.ones(len(y)))
        with pytest.raises(vs.InvalidArgument, match="event == 2"):
            fit((y["event"] + 1, y["time"]))
    with pytest.raises(vs.InvalidArgument, match="nobody was followed beyond"):
        restricted_mean(y, X["sex"], tau=5000)
    with pytest.raises(vs.InvalidArgument, match="tau must be a positive"):
        restricted_mean(y, tau=-1)
    with pytest.raises(vs.InvalidArgument, match="weight must be one of"):
        log_rank(y, X["sex"], weight="wilcoxon")
    with pytest.raises(vs.InvalidArgument, match="rho and gamma belong"):
        log_rank(y, X["sex"], weight="gehan", rho=1)
    with pytest.raises(vs.InvalidArgument, match="missing labels"):
        log_rank(y, np.where(X["sex"] == 1, np.nan, 1.0))
    with pytest.warns(UserWarning, match="one member"):
        log_rank(y, np.arange(len(y)) == 5)
    with pytest.warns(UserWarning, match="others enter later"):
        KaplanMeier().fit(([1, 1, 1, 0], [2, 5, 6, 7]), entry=[0, 3, 3, 3])
    nothing = KaplanMeier().fit((np.zeros(3, bool), [1.0, 2, 3]))
    assert (
        nothing.at([3])["survival"].item() == 1
        and np.isnan(nothing.median[0])
        and np.isnan(nothing.at([4])["survival"].item())
    )
    one = KaplanMeier().fit(([True], [2.0]))
    assert one.at([3])["survival"].item() == 0 and one.median[0] == 2


def test_hundred_thousand_subjects():
    """Mechanics: a second at most for each at n = 100,000 (CPU time of one thread)."""
    rng = np.random.default_rng(0)
    n = 100_000
    t, group, cause = rng.exponential(5, n), rng.integers(0, 3, n), rng.integers(0, 3, n)
    y, entry = survival_array(cause > 0, t), t * rng.random(n) * 0.9
    for run in (
        lambda: KaplanMeier().fit(y, entry=entry),
        lambda: NelsonAalen().fit(y),
        lambda: log_rank(y, group, entry=entry, weight="gehan"),
        lambda: restricted_mean(y, group, tau=5.0),
        lambda: AalenJohansen().fit((cause, t)),
        lambda: vs.outcome.gray_test((cause, t), group),
    ):
        start = clock.process_time()
        run()
        assert clock.process_time() - start < 1
