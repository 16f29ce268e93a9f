# SPDX-License-Identifier: Apache-2.0
"""Aalen-Johansen and Gray's test against R's cmprsk, lifelines and the product-limit identity."""

import json
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from gold import FOLDER, check
from gold import GOLD as R
from hypothesis import given, settings
from hypothesis import strategies as st
from lifelines import AalenJohansenFitter
from sksurv.nonparametric import cumulative_incidence_competing_risks

import vesalius as vs
from vesalius.outcome import AalenJohansen, KaplanMeier, gray_test, log_rank

GOLD = json.loads((FOLDER / "curves_gold.json").read_text())


def bmt():
    table = pd.read_csv(FOLDER / "bmt.csv")
    return table, (table["event"].to_numpy(), table["time"].to_numpy())


def made():
    """The numbers that curves.R makes by arithmetic: three groups, two causes, ties everywhere."""
    i = np.arange(1, 401)
    time = 1 + (i * 7919) % 97 // 3
    return time.astype(float), i * 104729 % 11 % 3, i * 31 % 7 % 3, i * 17 % 5 % 2


def test_incidence_and_variance_equal_cmprsk():
    """Oracle: R's cmprsk::cuminc and timepoints: estimate and variance of both causes."""
    _, y = bmt()
    curve = AalenJohansen().fit(y)
    gold = R["bmt"]["aalen_johansen"]
    for c in (1, 2):
        at = curve.at(gold["time"], cause=c)
        check("bmt", f"aalen_johansen/est/1 {c}", at["incidence"])
        check("bmt", f"aalen_johansen/var/1 {c}", at["standard_error"] ** 2)


def test_ties_equal_cmprsk():
    """Oracle: the same on numbers with ties everywhere."""
    time, cause, *_ = made()
    gold = GOLD["cuminc_made"]
    curve = AalenJohansen().fit((cause, time))
    for c in (1, 2):
        at = curve.at(gold["time"], cause=c)
        check("made competing risks", f"incidence {c}", at["incidence"], gold["est"][c - 1])
        check("made competing risks", f"variance {c}", at["standard_error"] ** 2, gold["var"][c - 1])


def test_gray_equals_cmprsk():
    """Oracle: R's cmprsk::cuminc(group): two groups; three groups with ties; strata with rho = 1."""
    table, y = bmt()
    for c in (1, 2):
        g = gray_test(y, table["dis_1"], cause=c)
        check(
            "bmt",
            f"gray/cause {c}",
            [g.chi_squared, g.p],
            [GOLD["gray_bmt"]["stat"][c - 1], GOLD["gray_bmt"]["p"][c - 1]],
        )
        assert g.degrees_of_freedom == 1
    time, cause, group, stratum = made()
    for key, options in (("gray_made", {}), ("gray_made_strata_rho1", {"strata": stratum, "rho": 1})):
        for c in (1, 2):
            g = gray_test((cause, time), group, cause=c, **options)
            check(
                "made competing risks",
                f"{key}/cause {c}",
                [g.chi_squared, g.p],
                [GOLD[key]["stat"][c - 1], GOLD[key]["p"][c - 1]],
            )


def test_equals_peers():
    """Oracle: lifelines' AalenJohansenFitter (no ties: it breaks them at random) and scikit-survival's cumulative incidence."""
    rng = np.random.default_rng(3)
    time, cause = rng.exponential(3, 300), rng.integers(0, 3, 300)
    ours = AalenJohansen().fit((cause, time))
    peer = AalenJohansenFitter(calculate_variance=False).fit(time, cause, event_of_interest=2)
    at = np.sort(time)[[10, 80, 150, 250]]
    np.testing.assert_allclose(ours.at(at, cause=2)["incidence"], peer.predict(at), rtol=1e-9)
    x, y = cumulative_incidence_competing_risks(cause, time)
    np.testing.assert_allclose(ours.table_[["incidence_1", "incidence_2"]].to_numpy().T, y[1:], rtol=1e-9)
    np.testing.assert_array_equal(ours.table_["time"], x)


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 60), st.integers(1, 4), st.integers(1, 20), st.booleans(), st.integers(0, 10**6))
def test_incidences_and_survival_add_to_one(n, causes, times, truncated, seed):
    """Invariant: Σ F_c + S = 1 with S Kaplan-Meier's of any cause; one cause alone has Greenwood-like variance of 1 − S."""
    rng = np.random.default_rng(seed)
    time, cause, w = (
        rng.integers(1, times + 1, n).astype(float),
        rng.integers(0, causes + 1, n),
        rng.integers(1, 4, n).astype(float),
    )
    cause[0] = 1
    entry = time * rng.random(n) * 0.99 if truncated else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of a curve that falls to 0 while others enter later
        curve = AalenJohansen().fit((cause, time), sample_weight=w, entry=entry).table_
        km = KaplanMeier().fit((cause > 0, time), sample_weight=w, entry=entry).table_
    total = curve.filter(like="incidence_").sum(axis=1) + curve["survival"]
    np.testing.assert_allclose(total, 1, atol=1e-12)
    np.testing.assert_allclose(curve["survival"], km["survival"], atol=1e-12)


def test_one_cause_is_the_log_rank_world():
    """Invariant: without competing events F = 1 − S; the test then asks what the log-rank test asks (both small or both large)."""
    table, (event, time) = bmt()
    one = (event == 1).astype(int)
    curve = AalenJohansen().fit((one, time))
    np.testing.assert_allclose(
        curve.table_["incidence_1"], 1 - KaplanMeier().fit((one, time)).table_["survival"], atol=1e-12
    )
    assert gray_test((one, time), table["dis_1"]).chi_squared == pytest.approx(
        log_rank((one, time), table["dis_1"]).chi_squared, rel=0.1
    )


def test_invariances():
    """Invariant: rows in any order, another unit, whole weights as repeated rows; pickle."""
    time, cause, group, stratum = made()
    rng = np.random.default_rng(0)
    w, order = rng.integers(0, 3, len(time)), rng.permutation(len(time))
    copies = np.repeat(np.arange(len(time)), w)
    a, b = AalenJohansen().fit((cause, time), sample_weight=w), AalenJohansen().fit((cause[copies], time[copies]))
    np.testing.assert_allclose(a.at([3, 9, 20]), b.at([3, 9, 20]), rtol=1e-10)
    np.testing.assert_allclose(pickle.loads(pickle.dumps(a)).table_, a.table_)
    base = gray_test((cause, time), group, strata=stratum).chi_squared
    assert gray_test((cause[order], time[order] / 7), group[order], strata=stratum[order]).chi_squared == pytest.approx(
        base
    )
    weighted = gray_test((cause, time), group, sample_weight=w).chi_squared
    assert weighted == pytest.approx(gray_test((cause[copies], time[copies]), group[copies]).chi_squared, rel=1e-10)


def test_bad_input():
    _, (event, time) = bmt()
    for bad, message in [
        (event + 0.5, "whole numbers"),
        (event - 1, "whole numbers"),
        (np.full(len(time), np.nan), "NaN"),
    ]:
        with pytest.raises(vs.InvalidArgument, match=message):
            AalenJohansen().fit((bad, time))
    with pytest.raises(vs.TypeMismatch, match="whole numbers"):
        AalenJohansen().fit((np.array(["a"] * len(time)), time))
    with pytest.raises(vs.InvalidArgument, match="negative"):
        AalenJohansen().fit((event, -time))
    with pytest.raises(vs.TypeMismatch, match="event"):
        AalenJohansen().fit(time)
    with pytest.raises(vs.InvalidArgument, match="nobody had cause 3"):
        gray_test((event, time), time > 5, cause=3)
    with pytest.raises(vs.InvalidArgument, match="at least 2"):
        gray_test((event, time), np.ones(len(time)))
    with pytest.raises(vs.InvalidArgument, match="nothing to compare"):
        gray_test(([1, 1, 0], [3.0, 4, 1]), [1, 1, 2])
    with pytest.raises(vs.InvalidArgument, match="cause must be one of"):
        AalenJohansen().fit((event, time)).at([1], cause=9)
    with pytest.raises(vs.InvalidArgument, match="fit the curve first"):
        AalenJohansen().at([1])
    nobody = AalenJohansen().fit((np.zeros(3, int), [1.0, 2, 3])).at([2])
    assert nobody["incidence"].item() == 0
