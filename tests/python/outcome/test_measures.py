# SPDX-License-Identifier: Apache-2.0
"""Measures over time against scikit-survival, torchsurv, scikit-learn and their definitions; errors; invariances; bad input."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from gold import load
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, r2_score, root_mean_squared_error
from sksurv import metrics as sksurv
from torchsurv.metrics.auc import Auc

import vesalius as vs
from vesalius.outcome import CoxPH, metrics, survival_array


def data(n=300, seed=0, ties=True):
    """(event, time), risk, survival [n, 5], times: proportional hazards, a third censored, predictions that are a bit off."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    t, c = rng.exponential(10 * np.exp(-x)), rng.uniform(0, 30, n)
    time = np.minimum(t, c)
    if ties:
        time, x = np.ceil(time * 2) / 2, x.round(1)
    times = np.array([1.2, 3.0, 6.0, 9.5, 14.0])
    survival = np.exp(-np.exp(0.7 * x)[:, None] * times / 12)
    return (t <= c, time), x, survival, times


def array(y):
    return survival_array(*y)


# --- against peers -----------------------------------------------------------------------------------------------------------------


def test_uno_equals_scikit_survival():
    """Oracle: scikit-survival's concordance_index_ipcw, with and without tau, censoring from other subjects."""
    y, x, _, _ = data(seed=1)
    train = data(500, seed=2)[0]
    cut = y[1] < min(y[1].max(), train[1].max())
    y, x = (y[0][cut], y[1][cut]), x[cut]
    theirs = sksurv.concordance_index_ipcw(array(train), array(y), x)[0]
    assert metrics.concordance_index(y, x, weighting="uno", g="t", train=train).value == pytest.approx(
        theirs, rel=1e-12
    )
    theirs = sksurv.concordance_index_ipcw(array(train), array(y), x, tau=8.0)[0]
    ours = metrics.concordance_variants(y, x, tau=8.0, train=train)
    assert ours["estimate"]["uno, tau, G(t)"] == pytest.approx(theirs, rel=1e-12)
    assert (ours["reason"] == "").all() and ours["standard_error"].between(0.005, 0.05).all()
    assert ours["estimate"]["uno"] != ours["estimate"]["uno, G(t)"]


@pytest.mark.parametrize("ties", [True, False])
def test_auc_and_brier_equal_scikit_survival(ties):
    """Oracle: scikit-survival's cumulative_dynamic_auc with its mean, brier_score, integrated_brier_score."""
    y, x, survival, times = data(seed=3, ties=ties)
    train = data(500, seed=4)[0]
    usual = {"g": "t", "train": train}
    auc, mean = sksurv.cumulative_dynamic_auc(array(train), array(y), x, times)
    ours = metrics.cumulative_dynamic_auc(y, x, times, **usual)
    np.testing.assert_allclose(ours.table["auc"], auc, rtol=1e-12)
    assert ours.mean == pytest.approx(mean, rel=1e-12)
    np.testing.assert_allclose(
        metrics.cumulative_dynamic_auc(y, 1 - survival, times, **usual).table["auc"], auc, rtol=1e-12
    )
    brier = metrics.brier_curve(y, survival, times, **usual)
    np.testing.assert_allclose(
        brier.table["brier"], sksurv.brier_score(array(train), array(y), survival, times)[1], rtol=1e-12
    )
    assert brier.integrated == pytest.approx(
        sksurv.integrated_brier_score(array(train), array(y), survival, times), rel=1e-12
    )


def test_incident_auc_equals_torchsurv():
    """Oracle: torchsurv's incident/dynamic AUC at each event time; its mean over pairs is Harrell's C."""
    (event, time), x, _, _ = data(120, seed=5, ties=False)
    y, x = (event, 1.0 + np.argsort(np.argsort(time))), x.round(2)  # torchsurv computes in float32
    ours = metrics.incident_dynamic_auc(y, x).events
    theirs = Auc()(
        torch.tensor(x, dtype=torch.float64),
        torch.tensor(y[0]),
        torch.tensor(y[1]),
        auc_type="incident",
        new_time=torch.tensor(ours["time"].to_numpy()),
    )
    np.testing.assert_allclose(ours["auc"], theirs.numpy(), atol=1e-6)
    left = np.array([(y[1] > t).sum() for t in ours["time"]])
    assert np.average(ours["auc"], weights=left) == pytest.approx(metrics.concordance_index(y, x).value, rel=1e-12)


def test_average_precision_equals_scikit_learn():
    """Oracle: scikit-learn's average_precision_score, with ties and weights; error by numerical derivatives."""
    rng = np.random.default_rng(6)
    y, score = rng.integers(0, 2, 90), rng.integers(0, 20, 90) / 3
    w = rng.integers(1, 4, 90).astype(float)
    assert metrics.average_precision(y, score).value == pytest.approx(average_precision_score(y, score), rel=1e-12)
    weighted = metrics.average_precision(y, score, sample_weight=w)
    assert weighted.value == pytest.approx(average_precision_score(y, score, sample_weight=w), rel=1e-12)
    slope = derivative(lambda v: metrics.average_precision(y, score, sample_weight=v).value, w)
    assert weighted.standard_error == pytest.approx(np.sqrt(np.sum((w * slope) ** 2)), rel=1e-6)


def test_regression_errors():
    """Oracle: scikit-learn's values, the interval of a mean by hand, delta method by numerical derivatives."""
    rng = np.random.default_rng(7)
    y = rng.normal(size=80)
    guess = y + rng.normal(size=80) * 0.5
    mae, rmse = metrics.mean_absolute_error(y, guess), metrics.root_mean_squared_error(y, guess)
    errors = np.abs(y - guess)
    assert mae.value == pytest.approx(errors.mean()) and mae.standard_error == pytest.approx(
        errors.std(ddof=1) / np.sqrt(80)
    )
    assert rmse.value == pytest.approx(root_mean_squared_error(y, guess))
    assert metrics.r_squared(y, guess).value == pytest.approx(r2_score(y, guess))
    for measure in (metrics.mean_absolute_error, metrics.root_mean_squared_error, metrics.r_squared):
        slope = derivative(lambda v, m=measure: m(y, guess, sample_weight=v).value, np.ones(80))
        assert measure(y, guess).standard_error == pytest.approx(np.sqrt((slope**2).sum() * 80 / 79), rel=1e-5)
        for scale in (1e-200, 1e200):
            scaled = measure(y * scale, guess * scale)
            factor = 1 if measure is metrics.r_squared else scale
            assert scaled.value == pytest.approx(measure(y, guess).value * factor)


# --- against the definition --------------------------------------------------------------------------------------------------------


def td_pairs(y, curves, times):
    """Antolini's pairs by definition, O(n²): sums of the five kinds."""
    event, time = y
    column = np.searchsorted(times, time, side="right") - 1
    at = [np.ones(len(time)) if c < 0 else curves[:, c] for c in column]
    out = np.zeros(5)
    for i in np.flatnonzero(event):
        s = at[i]
        for j in range(len(time)):
            if time[i] < time[j] or (time[i] == time[j] and not event[j]):
                out[0 if s[i] < s[j] else 1 if s[i] > s[j] else 2] += 1
            elif i < j and time[i] == time[j]:
                out[4 if s[i] == s[j] else 3] += 1
    return out


@pytest.mark.parametrize("n, columns", [(40, 3), (40, 60), (900, 2), (900, 1)])
def test_antolini_equals_all_pairs(n, columns):
    """Oracle: the definition over all pairs, curves that cross, ties of every kind; both ways of counting (few and many events a
    column). With constant curves it is Harrell's."""
    rng = np.random.default_rng(8)
    event, time = rng.random(n) < 0.7, rng.integers(1, 40, n).astype(float)
    times = np.sort(rng.choice(np.arange(0, 41), min(columns, 40), replace=False)).astype(float)
    curves = np.sort(rng.integers(0, 9, (n, len(times))) / 8)[:, ::-1].copy()
    ours = metrics.concordance_td((event, time), curves, times)
    sums = td_pairs((event, time), curves, times)
    np.testing.assert_allclose([ours.concordant, ours.discordant, ours.tied_risk, ours.tied_time, ours.tied_both], sums)
    c, d, r, t, b = sums
    for ties, value in (
        ("half", (c + r / 2) / (c + d + r)),
        ("discordant", c / (c + d + r)),
        ("excluded", c / (c + d)),
        ("ishwaran", (c + r / 2 + t / 2 + b) / sums.sum()),
    ):
        assert metrics.concordance_td((event, time), curves, times, ties=ties).value == pytest.approx(value, rel=1e-12)
    if n == 40:
        w = rng.integers(1, 3, n).astype(float)

        def weighted(v):
            return metrics.concordance_td((event, time), curves, times, sample_weight=v)

        slope = derivative(lambda v: weighted(v).value, w)
        assert weighted(w).standard_error == pytest.approx(np.sqrt(np.sum((w * slope) ** 2)), rel=1e-6)
    constant = np.tile(curves[:, :1], (1, len(times)))
    harrell = metrics.concordance_index((event, time), -constant[:, 0])
    if times[0] <= time[event].min():
        again = metrics.concordance_td((event, time), constant, times)
        assert again.value == pytest.approx(harrell.value) and again.standard_error == pytest.approx(
            harrell.standard_error
        )


def test_gonen_heller_by_hand():
    """Oracle: equation 3 of the paper over all pairs; close to Harrell's where the model is true."""
    eta = np.random.default_rng(9).normal(size=50)
    total = sum(1 / (1 + np.exp(-abs(a - b))) for i, a in enumerate(eta) for b in eta[:i])
    assert metrics.concordance_probability(eta).value == pytest.approx(total / (50 * 49 / 2), rel=1e-12)
    (event, time), x, _, _ = data(1500, seed=10, ties=False)
    assert metrics.concordance_probability(x).value == pytest.approx(
        metrics.concordance_index((event, time), x).value, abs=0.02
    )


def test_d_calibration():
    """Oracle: the counts by hand for a few subjects; invariant: uniform for the truth, rejected for curves that are wrong."""
    d = metrics.d_calibration(([1, 1, 0, 0], [1, 2, 3, 4]), [0.05, 0.95, 0.5, 0.0], bins=4)
    np.testing.assert_allclose(d.counts, [1 + 0.5 + 1, 0.5, 0, 1])
    assert d.chi_squared == pytest.approx(((d.counts - 1) ** 2).sum()) and d.degrees_of_freedom == 3
    rng = np.random.default_rng(11)
    t, c = rng.exponential(10, 3000), rng.exponential(20, 3000)
    y = (t <= c, np.minimum(t, c))
    assert metrics.d_calibration(y, np.exp(-y[1] / 10)).p > 0.01
    assert metrics.d_calibration(y, np.exp(-y[1] / 14)).p < 1e-6
    grid = np.linspace(0, 80, 4001)
    curves = np.tile(np.exp(-grid / 10), (3000, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        again = metrics.d_calibration(y, curves, grid)
    np.testing.assert_allclose(again.counts, metrics.d_calibration(y, np.exp(-y[1] / 10)).counts, atol=0.5)


def test_net_benefit_of_classes():
    """Oracle: Vickers and Elkin's formula by hand; standard error that of a mean."""
    rng = np.random.default_rng(12)
    y, p = rng.integers(0, 2, 200), rng.random(200)
    table = metrics.decision_curve(y, p, [0.0, 0.2, 0.55]).table
    for k, t in enumerate([0.0, 0.2, 0.55]):
        each = (p >= t) * np.where(y == 1, 1.0, -t / (1 - t))
        assert table["net_benefit"][k] == pytest.approx(each.mean())
        assert table["standard_error"][k] == pytest.approx(each.std(ddof=1) / np.sqrt(200))
    assert table["treat_all"][0] == pytest.approx(y.mean()) == table["net_benefit"][0]
    assert table["advantage"][0] == pytest.approx(0, abs=1e-15)
    single = metrics.net_benefit(y, p, 0.2)
    assert (float(single), single.interval) == (table["net_benefit"][1], (table["lower"][1], table["upper"][1]))


# --- errors ------------------------------------------------------------------------------------------------------------------------


def derivative(function, weights, h=1e-5):
    """Of a number by each weight, numerically."""
    out = np.empty(len(weights))
    for i in range(len(weights)):
        up, down = weights.copy(), weights.copy()
        up[i] += h
        down[i] -= h
        out[i] = (function(up) - function(down)) / (2 * h)
    return out


def test_errors_are_derivatives():
    """Oracle: the infinitesimal jackknife by numerical derivatives of the estimates by each weight, censoring's curve, Kaplan-
    Meier's and the null model's included."""
    (event, time), x, survival, times = data(60, seed=13)
    times = times[:3]
    n, ones = 60, np.ones(60)
    y = (event, time)
    codes = np.where(event, 1 + (np.arange(n) % 3 == 0), 0)
    factor = np.sqrt(n / (n - 1))

    def se(values):
        return factor * np.sqrt((derivative(values, ones) ** 2).sum())

    auc = metrics.cumulative_dynamic_auc(y, x, times)
    competing = metrics.cumulative_dynamic_auc((codes, time), x, times, cause=1)
    brier = metrics.brier_curve(y, survival[:, :3], times)
    benefit = metrics.decision_curve(y, 1 - survival[:, 1], [0.3], time=times[1]).table

    def weighted_auc(v, **kwargs):
        return metrics.cumulative_dynamic_auc(
            kwargs.pop("y", y), x, times, sample_weight=v, standard_error=False, **kwargs
        )

    def weighted_brier(v):
        return metrics.brier_curve(y, survival[:, :3], times, sample_weight=v, standard_error=False)

    assert auc.standard_error == pytest.approx(se(lambda v: weighted_auc(v).mean), rel=1e-6)
    for k in range(3):
        assert auc.table["standard_error"][k] == pytest.approx(
            se(lambda v, k=k: weighted_auc(v).table["auc"][k]), rel=1e-6
        )
        assert competing.table["standard_error"][k] == pytest.approx(
            se(lambda v, k=k: weighted_auc(v, y=(codes, time), cause=1).table["auc"][k]), rel=1e-6
        )
        for column, error in (("brier", "standard_error"), ("scaled", "scaled_standard_error")):
            assert brier.table[error][k] == pytest.approx(
                se(lambda v, k=k, c=column: weighted_brier(v).table[c][k]), rel=1e-6
            )
    assert brier.standard_error == pytest.approx(se(lambda v: weighted_brier(v).integrated), rel=1e-6)
    assert brier.scaled_standard_error == pytest.approx(se(lambda v: weighted_brier(v).integrated_scaled), rel=1e-6)
    assert benefit["standard_error"][0] == pytest.approx(
        se(
            lambda v: metrics.decision_curve(y, 1 - survival[:, 1], [0.3], time=times[1], sample_weight=v).table[
                "net_benefit"
            ][0]
        ),
        rel=1e-6,
    )
    smooth = metrics.incident_dynamic_auc(y, x, [4.0], bandwidth=5.0)
    slope = derivative(
        lambda v: metrics.incident_dynamic_auc(y, x, [4.0], bandwidth=5.0, sample_weight=v).table["auc"][0], ones
    )
    assert smooth.table["standard_error"][0] == pytest.approx(np.sqrt((slope**2).sum()), rel=1e-6)


def test_influence_gives_the_error_of_a_difference():
    """Oracle: the bootstrap of the difference of two models' scores."""
    y, x, survival, times = data(250, seed=14)
    other = np.exp(-np.exp(0.2 * x)[:, None] * times / 12)
    kept = [metrics.brier_curve(y, s, times, influence=True) for s in (survival, other)]
    difference = kept[0].influence - kept[1].influence
    error = np.sqrt((difference**2).sum(axis=1))
    drawn = []
    for b in range(300):
        rows = np.random.default_rng(b).integers(0, 250, 250)
        again = (y[0][rows], y[1][rows])
        drawn.append(
            [
                metrics.brier_curve(again, s[rows], times, standard_error=False).table["brier"].to_numpy()
                for s in (survival, other)
            ]
        )
    spread = np.std([a - b for a, b in drawn], axis=0)
    np.testing.assert_allclose(error, spread, rtol=0.15)


# --- bootstrap ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "weighting, g", [("harrell", "t-"), ("uno", "t-"), ("n/G", "t"), ("S/G", "t-"), ("peto", "t-"), ("I", "t-")]
)
def test_bootstrap_counts_like_copies(weighting, g):
    """Oracle: the same draws as copied rows, one by one through concordance_index."""
    from vesalius._vesalius import outcome as core

    (event, time), x, _, _ = data(70, seed=15)
    settings_ = {"weighting": weighting, "g": g, "tau": 8.0}
    boot = metrics.bootstrap_concordance((event, time), x, replicates=20, seed=3, **settings_)
    order = np.lexsort((event, -time))  # the core counts by place: latest first, censored before events
    # places of equal time and kind are in order of their index
    expected = []
    for b in range(20):
        rows = np.repeat(order, core.multiplicities(70, 3, b).numpy())
        expected.append(metrics.concordance_index((event[rows], time[rows]), x[rows], **settings_).value)
    np.testing.assert_allclose(np.sort(boot.replicates), np.sort(expected), rtol=1e-9)


def test_bootstrap_interval_and_threads():
    """Oracle: the asymptotic interval at n = 1000. Invariant: neither threads nor a repeat change anything; two models share draws."""
    (event, time), x, _, _ = data(1000, seed=16)
    y = (event, time)
    c = metrics.concordance_index(y, x)
    threads = torch.get_num_threads()
    results = []
    for count in (1, 2):
        torch.set_num_threads(count)
        results.append(metrics.bootstrap_concordance(y, x, replicates=400, seed=1))
    torch.set_num_threads(threads)
    np.testing.assert_array_equal(results[0].replicates, results[1].replicates)
    for method in ("bca", "percentile"):
        boot = metrics.bootstrap_concordance(y, x, replicates=1000, method=method)
        np.testing.assert_allclose(boot.interval, c.interval, atol=0.004)
        assert boot.value == c.value and boot.standard_error == pytest.approx(c.standard_error, rel=0.1)
    noise = x + np.random.default_rng(0).normal(size=1000)
    pair = metrics.bootstrap_concordance(y, x, versus=noise, replicates=500)
    test = metrics.concordance_test(y, x, noise)
    assert pair.value == pytest.approx(test.difference) and pair.standard_error == pytest.approx(
        test.standard_error, rel=0.15
    )


def test_bootstrap_of_other_measures():
    """Oracle: DeLong's error of an AUC; the jackknife's of a Brier score."""
    rng = np.random.default_rng(17)
    y = rng.integers(0, 2, 400)
    score = y + rng.normal(size=400)
    a, boot = metrics.roc_auc(y, score), metrics.bootstrap_auc(y, score, replicates=800)
    assert boot.value == pytest.approx(a.value) and boot.standard_error == pytest.approx(a.standard_error, rel=0.1)
    outcome, _, survival, times = data(200, seed=18)
    brier = metrics.brier_curve(outcome, survival, times)
    boot = metrics.bootstrap_measure(metrics.brier_curve, outcome, survival, times, replicates=300)
    assert boot.value == pytest.approx(brier.integrated) and boot.standard_error == pytest.approx(
        brier.standard_error, rel=0.15
    )
    with pytest.warns(UserWarning, match="left out"):
        few = metrics.bootstrap_concordance(([1, 0, 0], [1, 2, 3]), [3, 2, 1], replicates=200)
    assert few.lost > 0 and few.lost + len(few.replicates) == 200


# --- invariances -------------------------------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(st.integers(20, 60), st.floats(-6, 6), st.integers(0, 10**6))
def test_invariances(n, power, seed):
    """Invariant: the unit of time, the order of rows, and duplicated rows as weights change nothing."""
    y, x, survival, times = data(n, seed)
    rng = np.random.default_rng(seed)
    scale = 10.0**power
    shuffled = rng.permutation(n)
    w = rng.integers(1, 4, n)
    copies = np.repeat(np.arange(n), w)

    def all_measures(event, time, risk, curves, unit=1.0, weight=None):
        at = times[:3] * unit
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            c = [
                metrics.concordance_index((event, time), risk, weighting=k, tau=8 * unit, sample_weight=weight).value
                for k in ("harrell", "uno", "S/G", "peto")
            ]
            auc = metrics.cumulative_dynamic_auc((event, time), risk, at, sample_weight=weight)
            brier = metrics.brier_curve((event, time), curves[:, :3], at, sample_weight=weight)
            curve = metrics.decision_curve(
                (event, time), 1 - curves[:, 1], [0.1, 0.4], time=at[1], sample_weight=weight
            )
            td = metrics.concordance_td((event, time), curves[:, :3], at, sample_weight=weight).value
        return np.array(
            [*c, td, *auc.table["auc"], auc.mean, *brier.table["brier"], *brier.table["scaled"], brier.integrated,
             *curve.table["net_benefit"]]
        )  # fmt: skip

    first = y[0] & (y[1] < y[1].max())
    if not first.any() or y[1][first].min() > 8:
        return
    plain = all_measures(*y, x, survival)
    np.testing.assert_allclose(all_measures(y[0], y[1] * scale, x, survival, scale), plain, rtol=1e-9, atol=1e-12)
    s = shuffled
    np.testing.assert_allclose(all_measures(y[0][s], y[1][s], x[s], survival[s]), plain, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(
        all_measures(*y, x, survival, weight=w.astype(float)),
        all_measures(y[0][copies], y[1][copies], x[copies], survival[copies]),
        rtol=1e-9,
        atol=1e-12,
    )


def test_tensors_and_frames():
    """Mechanics: torch tensors, DataFrames and structured arrays say the same; times may come as columns."""
    X, y = load("lung")
    model = CoxPH().fit(X, y)
    frame = model.predict_survival_function(X, times=[100.0, 300.0])
    brier = metrics.brier_curve(y, frame)
    table = pd.DataFrame({"event": y["event"], "time": y["time"]})
    again = metrics.brier_curve(table, torch.tensor(frame.to_numpy()), [100, 300])
    pd.testing.assert_frame_equal(brier.table, again.table)
    risk = model.predict(X)
    pair = (torch.tensor(y["event"].copy()), torch.tensor(y["time"].copy()))
    assert metrics.concordance_index(pair, torch.tensor(risk)).value == metrics.concordance_index(y, risk).value
    assert metrics.concordance_td(y, frame).value > 0.5


# --- by group ----------------------------------------------------------------------------------------------------------------------


def test_by_group():
    """Oracle: the measure on each group alone; gaps by hand; groups where it doesn't exist are NaN and say why."""
    (event, time), x, _, _ = data(300, seed=20)
    groups = np.array(["a", "b", "c"])[np.random.default_rng(0).choice(3, 300, p=[0.5, 0.3, 0.2])].astype(object)
    groups[0], event[:2] = "alone", [True, False]
    groups[1:4] = "no events"
    event[1:4] = False
    result = metrics.by_group(metrics.concordance_index, (event, time), x, groups=groups)
    a, b = (metrics.concordance_index((event[groups == g], time[groups == g]), x[groups == g]) for g in "ab")
    assert result.reference == "a" and result.table.loc["b", "value"] == b.value
    gap = result.gaps.loc["b"]
    assert gap["difference"] == pytest.approx(b.value - a.value)
    assert gap["standard_error"] == pytest.approx(np.hypot(a.standard_error, b.standard_error))
    for name, reason in (("alone", "no two of the 1 subjects"), ("no events", "Are there events")):
        assert np.isnan(result.table.loc[name, "value"]) and reason in result.table.loc[name, "reason"]
        assert np.isnan(result.gaps.loc[name, "difference"]) and reason in result.gaps.loc[name, "reason"]
    assert (result.gaps["p_holm"].dropna() >= result.gaps["p"].dropna()).all()
    assert result.widest_gap == pytest.approx(result.table["value"].max() - result.table["value"].min())
    y = (x + np.random.default_rng(1).normal(size=300) > 0).astype(int)
    y[groups == "no events"] = 0
    auc = metrics.by_group(metrics.roc_auc, y, x, groups=groups, reference="b")
    assert "one class" in auc.table.loc["no events", "reason"] and np.isnan(auc.table.loc["alone", "value"])
    mae = metrics.by_group(metrics.mean_absolute_error, x, x + 1, groups=groups)
    assert mae.table["value"].to_numpy() == pytest.approx(np.ones(5)) and np.isnan(
        mae.table.loc["alone", "standard_error"]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        over = metrics.by_group(metrics.cumulative_dynamic_auc, (event, time), x, groups=groups, times=[3.0, 6.0])
    assert over.table.loc["a", "value"] > 0.5 and "had the event" in over.table.loc["no events", "reason"]
    with pytest.raises(vs.InvalidArgument, match="one of the groups"):
        metrics.by_group(metrics.roc_auc, y, x, groups=groups, reference="z")
    with pytest.raises(vs.InvalidArgument, match="standard_error"):
        metrics.by_group(lambda a, b, confidence: 1.0, y, x, groups=groups)
    with pytest.warns(UserWarning, match="no group"):
        metrics.by_group(metrics.mean_absolute_error, x, x, groups=[None, *groups[1:]])


# --- bad input ---------------------------------------------------------------------------------------------------------------------


def test_times_outside_the_support():
    """Mechanics: NaN and a reason, one warning, never an exception; the other times are as without them."""
    y, x, survival, times = data(100, seed=21)
    beyond = np.array([1e-3, 6.0, 1e6])
    curves = np.column_stack([survival[:, 0], survival[:, 2], survival[:, 4]])
    with pytest.warns(UserWarning, match="NaN at 2 of 3 times"):
        auc = metrics.cumulative_dynamic_auc(y, x, beyond)
    assert auc.table["auc"].isna().tolist() == [True, False, True]
    assert "had the event" in auc.table["reason"][0] and "beyond" in auc.table["reason"][2]
    assert auc.table["auc"][1] == metrics.cumulative_dynamic_auc(y, x, [6.0]).table["auc"][0] and auc.mean > 0.5
    with pytest.warns(UserWarning, match="NaN at 1 of 3 times"):
        brier = metrics.brier_curve(y, curves, beyond)
    assert brier.table["brier"].isna().tolist() == [False, False, True]
    assert brier.integrated == pytest.approx(metrics.brier_curve(y, curves[:, :2], beyond[:2]).integrated)
    short = (y[0], np.minimum(y[1], 5.0))
    with pytest.warns(UserWarning, match="no weight"):
        assert (
            metrics.brier_curve(y, survival, times, train=short).table["brier"].isna().tolist()
            == [False] * 2 + [True] * 3
        )
    c = metrics.concordance_index(y, x, weighting="uno", train=short)
    assert np.isnan(c.value) and "Truncate with tau" in c.reason
    assert metrics.concordance_index(y, x, weighting="uno", train=short, tau=4.0).value > 0.5
    with pytest.warns(UserWarning, match="followed beyond"):
        assert metrics.decision_curve(y, 1 - survival[:, 0], [0.1], time=1e5).table["net_benefit"].isna().all()
    with pytest.warns(UserWarning, match="incident AUC is NaN"):
        metrics.incident_dynamic_auc(y, x, [1e5])
    censored = (np.zeros(4, bool), np.arange(1.0, 5))
    with pytest.warns(UserWarning, match="had the event"):
        assert np.isnan(float(metrics.cumulative_dynamic_auc(censored, [1, 2, 3, 4], [2.0])))


def test_everyone_known():
    """Oracle: without censoring AUC(t) and Brier(t) are those of two classes, also after the last event."""
    rng = np.random.default_rng(22)
    time, x = rng.exponential(size=80), rng.normal(size=80)
    y, p = (np.ones(80, bool), time), rng.random(80)
    state = time <= 1.0
    auc, brier = metrics.cumulative_dynamic_auc(y, x, [1.0]), metrics.brier_curve(y, p[:, None], [1.0], predicts="risk")
    assert auc.table["auc"][0] == pytest.approx(metrics.roc_auc(state, x).value)
    assert auc.table["standard_error"][0] == pytest.approx(metrics.roc_auc(state, x).standard_error, rel=0.02)
    two = metrics.brier_score(state, p)
    assert brier.table["brier"][0] == pytest.approx(two.value) and brier.table["scaled"][0] == pytest.approx(two.scaled)
    assert brier.table["standard_error"][0] == pytest.approx(two.standard_error)
    after = metrics.brier_curve(y, p[:, None], [time.max() + 1], predicts="risk")
    assert after.table["brier"][0] == pytest.approx(((1 - p) ** 2).mean())


def test_ties_everywhere():
    """Mechanics: equal risks are a half, equal times leave nothing to compare."""
    (event, time), x, _, times = data(60, seed=23)
    same = np.ones(60)
    variants = metrics.concordance_variants((event, time), same, tau=5.0)
    ties = variants["ties"].isin(["half"])
    assert (variants["estimate"][ties] == 0.5).all() and (variants["standard_error"][ties] < 1e-15).all()
    assert np.isnan(variants["estimate"]["harrell, tied risks left out"])
    assert metrics.cumulative_dynamic_auc((event, time), same, times[:2]).table["auc"].to_numpy() == pytest.approx(
        np.full(2, 0.5)
    )
    with pytest.raises(vs.InvalidArgument, match="no two"):
        metrics.concordance_index((np.ones(5, bool), np.full(5, 3.0)), [1, 2, 3, 4, 5])
    zero = metrics.concordance_index((np.ones(3, bool), [0.0, 0.0, 1.0]), [3, 2, 1])
    assert zero.value == 1


Y = (np.array([1, 0, 1, 1]), np.array([1.0, 2.0, 3.0, 4.0]))
CALLS = [
    (lambda y: metrics.concordance_index(y, [1, 2, 3, 4], weighting="uno")),
    (lambda y: metrics.concordance_variants(y, [1, 2, 3, 4])),
    (lambda y: metrics.concordance_td(y, np.full((4, 1), 0.5), [1.0])),
    (lambda y: metrics.concordance_test(y, [1, 2, 3, 4], [1, 2, 3, 4])),
    (lambda y: metrics.cumulative_dynamic_auc(y, [1, 2, 3, 4], [2.5])),
    (lambda y: metrics.incident_dynamic_auc(y, [1, 2, 3, 4])),
    (lambda y: metrics.brier_curve(y, np.full((4, 1), 0.5), [2.5])),
    (lambda y: metrics.survival_calibration(y, [0.1, 0.2, 0.3, 0.4], 2.5)),
    (lambda y: metrics.d_calibration(y, [0.1, 0.2, 0.3, 0.4])),
    (lambda y: metrics.decision_curve(y, [0.1, 0.2, 0.3, 0.4], time=2.5)),
    (lambda y: metrics.bootstrap_concordance(y, [1, 2, 3, 4], replicates=3)),
]  # fmt: skip


@pytest.mark.parametrize("call", CALLS)
def test_bad_outcomes(call):
    """Mechanics: every measure of survival refuses what is no outcome, and says what to do."""
    event, time = Y
    for bad, message in (
        ((np.array([1, 2, 1, 1]), time), "holds 2"),
        ((event, np.array([1, 2, np.nan, 4])), "NaN"),
        ((event, np.array([1, 2, np.inf, 4])), "NaN or infinite"),
        ((event, -time), "negative"),
        ((event, np.array(["a", "b", "c", "d"])), "numbers"),
        ((event[:3], time), "one length"),
    ):
        with pytest.raises(vs.Error, match=message):
            call(bad)


def test_bad_predictions():
    """Mechanics: typed errors that say what was expected."""
    y = Y
    for call, message in (
        (lambda: metrics.concordance_index(y, [1, 2, 3]), "vector of 4"),
        (lambda: metrics.concordance_index(y, ["a", "b", "c", "d"]), "must be numbers"),
        (lambda: metrics.concordance_index(y, [1, 2, np.inf, 4]), "NaN or infinity"),
        (lambda: metrics.concordance_index(y, [1, 2, 3, 4], weighting="own"), "weighting must be one of"),
        (lambda: metrics.concordance_index(y, [1, 2, 3, 4], weighting="uno", g="T"), "t-"),
        (lambda: metrics.concordance_index(y, [1, 2, 3, 4], start=[0, 0, 3, 0]), "start must lie before time"),
        (lambda: metrics.concordance_index(y, [1, 2, 3, 4], start=[0, 0, 0, 0], weighting="uno"), "left truncation"),
        (lambda: metrics.concordance_td(y, np.ones((4, 2)), [2.0, 1.0]), "ascend"),
        (lambda: metrics.concordance_td(y, np.ones((4, 2))), "name the times"),
        (lambda: metrics.concordance_td(y, np.ones((4, 2)), [1, 2], ties="some"), "ties must be"),
        (lambda: metrics.cumulative_dynamic_auc(y, [1, 2, 3, 4], []), "times"),
        (lambda: metrics.cumulative_dynamic_auc(y, [1, 2, 3, 4], [2, 2]), "ascend without repeats"),
        (lambda: metrics.cumulative_dynamic_auc(y, np.ones((4, 3)), [1, 2]), r"\[4, 2\]"),
        (lambda: metrics.cumulative_dynamic_auc(y, [1, 2, 3, 4], [2], cause=3), "no event of cause 3"),
        (lambda: metrics.brier_curve(y, np.full((4, 1), 1.2), [2.0]), "0 to 1"),
        (lambda: metrics.brier_curve(y, np.full((4, 1), 0.2), [2.0], cause=1), "predicts='risk'"),
        (lambda: metrics.brier_curve(y, np.full((3, 1), 0.2), [2.0]), r"must be \[4, 1\]"),
        (lambda: metrics.brier_curve(y, np.full((4, 1), 0.2), [2.0], integration="sum"), "integration"),
        (lambda: metrics.brier_curve(y, np.full((4, 1), 0.2), [2.0], sample_weight=[0] * 4), "zero"),
        (lambda: metrics.decision_curve([0, 1], [0.1, 1.2]), "0 to 1"),
        (lambda: metrics.decision_curve([0, 1], [0.1, 0.2], [1.0]), "below 1"),
        (lambda: metrics.survival_calibration(y, [0.1] * 4, -1), "positive"),
        (lambda: metrics.d_calibration(y, [0.1] * 4, bins=1), "at least 2"),
        (lambda: metrics.bootstrap_concordance(y, [1, 2, 3, 4], replicates=0), "at least 1"),
        (lambda: metrics.bootstrap_concordance(y, [1, 2, 3, 4], method="best"), "bca"),
        (lambda: metrics.bootstrap_auc([1, 1], [1, 2]), "one class"),
        (lambda: metrics.average_precision([1, 1], [1, 2]), "one class"),
        (lambda: metrics.root_mean_squared_error([1, 2], [1, np.nan]), "NaN"),
        (lambda: metrics.mean_absolute_error([1, 2], [1]), "one length"),
        (lambda: metrics.r_squared([1, 1], [1, 2]), "constant"),
        (lambda: metrics.concordance_probability([1.0]), "two subjects"),
    ):  # fmt: skip
        with pytest.raises(vs.Error, match=message):
            call()


def test_nobody():
    """Mechanics: no subjects is an error of ours, whatever is asked; one subject has values without errors."""
    empty = (np.array([], bool), np.array([]))
    for call in (
        lambda: metrics.concordance_index(empty, []),
        lambda: metrics.cumulative_dynamic_auc(empty, [], [1.0]),
        lambda: metrics.incident_dynamic_auc(empty, []),
        lambda: metrics.brier_curve(empty, np.zeros((0, 1)), [1.0]),
        lambda: metrics.survival_calibration(empty, [], 1.0),
        lambda: metrics.d_calibration(empty, []),
        lambda: metrics.decision_curve(empty, [], time=1.0),
        lambda: metrics.bootstrap_concordance(empty, []),
    ):
        with pytest.raises(vs.InvalidArgument):
            call()
    alone = metrics.brier_curve((np.array([True]), np.array([3.0])), [[0.4]], [2.0])
    assert alone.table["brier"][0] == pytest.approx(0.36) and np.isnan(alone.table["standard_error"][0])
    with pytest.raises(vs.InvalidArgument, match="NaN"):
        metrics.brier_curve((np.array([True]), np.array([3.0])), [[np.nan]], [2.0])


@pytest.mark.parametrize("n, columns", [(300, 5), (20_000, 19)])
def test_scores_are_the_same_without_errors(n, columns):
    """Invariant: leaving out the errors changes no score (another way through memory)."""
    y, x, _, _ = data(n, seed=25)
    times = np.linspace(0.6, 20, columns)
    survival = np.exp(-np.exp(0.7 * x)[:, None] * times / 12)
    a, b = (metrics.brier_curve(y, survival, times, standard_error=e) for e in (True, False))
    for column in ("brier", "null", "scaled"):
        np.testing.assert_allclose(a.table[column], b.table[column], rtol=1e-12)
    assert a.integrated == pytest.approx(b.integrated, rel=1e-12) and np.isnan(b.standard_error)
    risk = metrics.brier_curve(y, 1 - survival, times, predicts="risk", standard_error=False)
    np.testing.assert_allclose(risk.table["brier"], b.table["brier"], rtol=1e-12)


def test_survival_calibration_edges():
    """Mechanics: what can't be said is NaN with a warning; a perfect model is near 1, 0 and 0."""
    (event, time), x, _, _ = data(3000, seed=24, ties=False)
    truth = 1 - np.exp(-np.exp(x) * 5 / 10)
    c = metrics.survival_calibration((event, time), truth, 5.0, replicates=30)
    assert c.ratio_interval[0] < 1 < c.ratio_interval[1] and c.slope_interval[0] < 1 < c.slope_interval[1]
    assert c.intercept_interval[0] < 0 < c.intercept_interval[1] and c.cox_slope == pytest.approx(1, abs=0.1)
    assert c.distance.ici < 0.03 and c.distance.ici_interval[0] < c.distance.ici < c.distance.ici_interval[1] + 0.01
    assert ((c.curve["lower"] < c.curve["observed"]) & (c.curve["observed"] < c.curve["upper"])).all()
    worse = metrics.survival_calibration((event, time), truth**2, 5.0)
    assert worse.ratio > 1.2 and worse.distance.ici > 0.05
    with pytest.warns(UserWarning, match="Cox slope"):
        flat = metrics.survival_calibration((event, time), np.full(3000, 0.3), 5.0)
    assert np.isnan(flat.cox_slope) and np.isnan(flat.distance.ici) and np.isfinite(flat.ratio)
    with pytest.warns(UserWarning, match="followed beyond"):
        assert np.isnan(metrics.survival_calibration((event, time), truth, 1e4).ratio)
    codes = np.where(event, 1 + (np.arange(3000) % 2), 0)
    competing = metrics.survival_calibration((codes, time), truth / 2, 5.0, cause=1)
    assert competing.ratio == pytest.approx(1, abs=0.15) and competing.distance.ici < 0.06
