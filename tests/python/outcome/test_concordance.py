# SPDX-License-Identifier: Apache-2.0
"""Harrell's concordance against R, scikit-survival, lifelines and all pairs."""

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lifelines.utils import concordance_index as lifelines_concordance
from sksurv.metrics import concordance_index_censored

import vesalius as vs
from vesalius.outcome import CoxPH, survival_array
from vesalius.outcome.metrics import concordance_index

sys.path.insert(0, str(Path(__file__).parent))
from gold import GOLD, NAMES, check, load


@pytest.mark.parametrize("name", [n for n in NAMES if "harrell" in GOLD[n]])
def test_equals_r(name):
    """Oracle: R's survival::concordance: value, standard error, every pair count."""
    X, y = load(name)
    c = concordance_index(y, CoxPH().fit(X, y).predict(X), confidence=0.95)
    gold = GOLD[name]["harrell"]
    counts = [c.concordant, c.discordant, c.tied_risk, c.tied_time, c.tied_both]
    check(name, "harrell/counts", counts, rel=0, labels=list(gold["counts"]))
    check(name, "harrell/c", c.value, rel=1e-9)
    check(name, "harrell/se", c.standard_error)
    assert c.interval == pytest.approx((gold["c"] - 1.959964 * gold["se"], gold["c"] + 1.959964 * gold["se"]), abs=1e-6)


def all_pairs(event, time, risk, weight):
    """The definition, O(n²); the error by removing weight from one subject after another (numerical derivative)."""

    def counts(w):
        out = np.zeros(5)
        for i in range(len(time)):
            for j in range(len(time)):
                if event[i] and (time[i] < time[j] or (time[i] == time[j] and not event[j])):
                    out[0 if risk[i] > risk[j] else 1 if risk[i] < risk[j] else 2] += w[i] * w[j]
                elif i < j and event[i] and event[j] and time[i] == time[j]:
                    out[4 if risk[i] == risk[j] else 3] += w[i] * w[j]
        return out

    def c(w):
        k = counts(w)
        return (k[0] + k[2] / 2) / k[:3].sum()

    h = 1e-6
    slope = [(c(weight + h * e) - c(weight - h * e)) / (2 * h) for e in np.eye(len(time))]
    return counts(weight), c(weight), np.sqrt(np.sum((weight * slope) ** 2))


@settings(max_examples=40, deadline=None)
@given(st.integers(3, 12), st.integers(1, 5), st.integers(1, 4), st.booleans(), st.integers(0, 10**6))
def test_equals_all_pairs(n, times, risks, weighted, seed):
    """Oracle: the definition over all pairs, with ties of every kind and weights."""
    rng = np.random.default_rng(seed)
    event, time, risk = (
        rng.random(n) < 0.6,
        rng.integers(0, times + 1, n).astype(float),
        rng.integers(0, risks + 1, n).astype(float),
    )
    weight = rng.integers(1, 4, n).astype(float) if weighted else np.ones(n)
    event[0], time[0], time[1] = True, 0, 9
    counts, value, error = all_pairs(event, time, risk, weight)
    ours = concordance_index((event, time), risk, sample_weight=weight if weighted else None)
    np.testing.assert_allclose(
        [ours.concordant, ours.discordant, ours.tied_risk, ours.tied_time, ours.tied_both], counts, atol=1e-9
    )
    assert ours.value == pytest.approx(value) and ours.standard_error == pytest.approx(error, abs=1e-8)


def test_equals_peers():
    """Oracle: scikit-survival's pair counts and lifelines' value, run here."""
    rng = np.random.default_rng(0)
    event, time, risk = rng.random(800) < 0.4, rng.integers(1, 300, 800).astype(float), rng.normal(size=800).round(1)
    ours = concordance_index((event, time), risk)
    value, concordant, discordant, tied_risk, _ = concordance_index_censored(event, time, risk)
    assert (ours.value, ours.concordant, ours.discordant, ours.tied_risk) == (
        pytest.approx(value),
        concordant,
        discordant,
        tied_risk,
    )
    assert ours.value == pytest.approx(lifelines_concordance(time, -risk, event))


def test_invariances():
    """Invariant: reversed risks give 1 − C, monotone functions nothing new, rows in any order."""
    _, y = load("lung")
    risk = np.random.default_rng(1).normal(size=len(y))
    c = concordance_index(y, risk)
    assert concordance_index(y, -risk).value == pytest.approx(1 - c.value)
    assert concordance_index(y, np.exp(risk) * 7).value == c.value
    assert concordance_index(y[::-1], risk[::-1]).standard_error == pytest.approx(c.standard_error)


def test_bad_input():
    with pytest.raises(vs.InvalidArgument, match="no two of the 3 subjects"):
        concordance_index(survival_array([0, 0, 1], [1, 2, 3]), [1, 2, 3])
    with pytest.raises(vs.InvalidArgument, match="NaN"):
        concordance_index(survival_array([1, 0, 1], [1, 2, 3]), [1, np.nan, 3])
    with pytest.raises(vs.ShapeError, match="vector of 3"):
        concordance_index(survival_array([1, 0, 1], [1, 2, 3]), [1, 2])
