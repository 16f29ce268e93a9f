# SPDX-License-Identifier: Apache-2.0
"""Fine and Gray with weights, strata and left truncation, and calibration with competing events, against R's finegray and cmprsk."""

import json
import warnings

import numpy as np
import pytest
from gold import FOLDER, check

import vesalius as vs
from vesalius.outcome import FineGray, metrics

R = json.loads((FOLDER / "fine_gray_gold.json").read_text())
SOURCE = "R survival 3.5-3, cmprsk 2.2-11, fine_gray.R"


def made():
    """The numbers of fine_gray.R: columns, (cause, time), group, entry."""
    i = np.arange(1, 301)

    def part(a, m):
        return ((i * a) % m + 0.5) / m

    x1, x2, group = part(7919, 307), ((i * 31) % 7 < 3).astype(float), (i * 17) % 3
    t1 = -np.log(part(104729, 311)) * np.exp(-0.8 * x1 + 0.4 * x2)
    t2 = -np.log(part(1299709, 313)) * 1.4 * np.exp(0.5 * x1 - 0.3 * group)
    censoring = 2.2 * part(15485863, 317) + 0.2 * group
    time = np.minimum(np.minimum(t1, t2), censoring)
    cause = np.where(time == censoring, 0, np.where(time == t1, 1, 2))
    return np.column_stack([x1, x2]), (cause, time), group, 0.25 * part(32452843, 331) * (i % 2)


def late():
    X, (cause, time), group, entry = made()
    keep = entry < time
    return X[keep], (cause[keep], time[keep]), group[keep], entry[keep]


def compare(model, key):
    for what, ours in {"coef": model.coef_, "se": model.summary()["se"]}.items():
        check("made Fine and Gray", f"{key}/{what}", ours, R[key][what], source=SOURCE, labels=["x1", "x2"])


def test_left_truncation_equals_r():
    """Oracle: R's finegray (weights of Geskus 2011) and coxph(cluster=id): coefficients, robust errors."""
    X, y, _, entry = late()
    compare(FineGray().fit(X, y, entry=entry), "entry")


def test_strata_equal_r():
    """Oracle: R's finegray with strata: censoring and baseline by group. Errors: R takes the weights as known, ours do not, 2 % apart."""
    X, y, group, entry = late()
    compare(FineGray().fit(X, y, strata=group, entry=entry), "both")
    X, y, group, _ = made()
    model = FineGray().fit(X, y, strata=group)
    check("made Fine and Gray", "strata/coef", model.coef_, R["strata"]["coef"], source=SOURCE, labels=["x1", "x2"])
    check("made Fine and Gray", "strata/loglik", model.log_likelihood_, R["strata"]["loglik"], source=SOURCE, rel=1e-9)
    np.testing.assert_allclose(model.summary()["se"], R["strata"]["se"], rtol=0.02)
    incidence = model.predict_cumulative_incidence(X[:3], times=[0.3, 0.8], strata=group[:3])
    assert ((incidence > 0) & (incidence < 1)).all().all() and (incidence[0.8] > incidence[0.3]).all()
    with pytest.raises(vs.InvalidArgument, match="say strata="):
        model.predict_cumulative_incidence(X[:3])


@pytest.mark.parametrize("with_strata", [False, True])
def test_errors_are_derivatives(with_strata):
    """Oracle: the infinitesimal jackknife by differences: Σ (w_i ∂b/∂w_i)² is the covariance, the estimation of G included
    (where Fine and Gray, and cmprsk, have 1/r for the 1/(r − d) of Kaplan and Meier's curve: some 1e-3 here)."""
    X, (cause, time), group, _ = made()
    X, cause, time, group = X[:90], cause[:90], time[:90], group[:90]
    strata = group if with_strata else None
    w = 1.0 + np.arange(90) % 3
    model = FineGray(tolerance=1e-12).fit(X, (cause, time), w, strata)
    moves, h = [], 1e-5
    for i in range(90):
        up, down = w.copy(), w.copy()
        up[i] += h
        down[i] -= h
        a, b = (FineGray(tolerance=1e-12).fit(X, (cause, time), v, strata).coef_ for v in (up, down))
        moves.append(w[i] * (a - b) / (2 * h))
    np.testing.assert_allclose(model.covariance_, np.transpose(moves) @ np.array(moves), rtol=3e-3)


def test_weights_are_repeated_rows():
    """Invariant: whole weights give the coefficients, likelihood and incidence of repeated rows; 0 leaves a row out; also with entries
    and strata. Strata that are all one change nothing, nor do entries before every time."""
    X, (cause, time), group, entry = late()
    w = np.arange(len(X)) % 4
    rows = np.repeat(np.arange(len(X)), w)
    for options in ({}, {"strata": group}, {"entry": entry}, {"strata": group, "entry": entry}):
        a = FineGray().fit(X, (cause, time), sample_weight=w, **options)
        b = FineGray().fit(X[rows], (cause[rows], time[rows]), **{k: v[rows] for k, v in options.items()})
        np.testing.assert_allclose(a.coef_, b.coef_, rtol=1e-8)
        assert a.log_likelihood_ == pytest.approx(b.log_likelihood_, rel=1e-10)
        of = {"strata": group[:5]} if "strata" in options else {}
        np.testing.assert_allclose(
            a.predict_cumulative_incidence(X[:5], times=[0.4, 0.9], **of),
            b.predict_cumulative_incidence(X[:5], times=[0.4, 0.9], **of),
            rtol=1e-8,
        )
    plain = FineGray().fit(X, (cause, time))
    same = FineGray().fit(X, (cause, time), np.ones(len(X)), np.full(len(X), "all"))
    np.testing.assert_allclose(same.covariance_, plain.covariance_, rtol=1e-12)
    np.testing.assert_allclose(FineGray().fit(X, (cause, time), entry=-np.ones(len(X))).coef_, plain.coef_, rtol=1e-12)


def test_calibration_with_competing_events_equals_r():
    """Oracle: cmprsk::crr on the spline of log(−log(1 − risk)) and predict.crr (Austin et al. 2022): smooth curve, ICI, E50, slope."""
    X, y, _, _ = made()
    risk = np.minimum(0.95, 0.1 + 0.6 * X[:, 0] ** 2 + 0.1 * X[:, 1])
    c = metrics.survival_calibration(y, risk, 0.5, cause=1, replicates=20)
    gold = R["calibration"]
    ours = np.interp(risk[:20], *c.smooth[["predicted", "observed"]].to_numpy().T)
    np.testing.assert_allclose(ours, gold["observed"], atol=2e-4)  # the curve is shown at 100 points
    section = "made Fine and Gray"
    check(section, "calibration/ici", c.distance.ici, gold["ici"], source=SOURCE)
    check(section, "calibration/e50", c.distance.e50, gold["e50"], source=SOURCE)
    check(section, "calibration/slope", c.cox_slope, gold["slope"], source=SOURCE)
    half = (c.cox_slope_interval[1] - c.cox_slope_interval[0]) / 2 / 1.959963984540054
    check(section, "calibration/slope se", half, gold["se"], source=SOURCE)
    assert c.distance.ici_interval[0] < c.distance.ici < c.distance.ici_interval[1]


def test_bad_input():
    X, (cause, time), group, entry = late()
    for fit, message in [
        ({"entry": time}, "enter at or after"),
        ({"sample_weight": -np.ones(len(X))}, "[Nn]egative"),
        ({"strata": group[:-1]}, "strata must be"),
    ]:
        with pytest.raises(ValueError, match=message):
            FineGray().fit(X, (cause, time), **fit)
    # the first to enter has its event before anyone else is seen
    alone = np.r_[np.full(1, 0.0), np.full(len(X) - 1, 0.05)]
    early = np.r_[0.01, np.maximum(time[1:], 0.06)]
    with pytest.raises(vs.InvalidArgument, match="has no weight"), warnings.catch_warnings():
        FineGray().fit(X, (np.r_[2, cause[1:]], early), entry=alone)
