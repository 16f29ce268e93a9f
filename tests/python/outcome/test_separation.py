# SPDX-License-Identifier: Apache-2.0
"""Whether an estimate exists, decided by linear programming, against what the models say."""

import numpy as np
import pytest
from scipy.optimize import linprog

import vesalius as vs
from vesalius.outcome import CoxPH, LogisticRegression


def recedes(rows: np.ndarray) -> bool:
    """Whether some direction has rows @ d >= 0, not all 0: then the likelihood has no maximum."""
    p = rows.shape[1]
    return -linprog(-rows.sum(axis=0), A_ub=-rows, b_ub=np.zeros(len(rows)), bounds=[(-1, 1)] * p).fun > 1e-6


def columns(rng, kind, n):
    p = int(rng.integers(1, 4))
    return rng.integers(0, 3, (n, p)).astype(float) if kind else rng.normal(size=(n, p))


@pytest.mark.parametrize("kind", [0, 1])
def test_logistic(kind):
    """Oracle: Albert and Anderson's condition (1984) by scipy's linear programming, small data, continuous and tied columns."""
    rng, seen = np.random.default_rng(kind), set()
    for _ in range(60):
        n = int(rng.integers(8, 40))
        X = columns(rng, kind, n)
        y = (rng.random(n) < 1 / (1 + np.exp(1 - 2 * X[:, 0]))).astype(int)
        A = np.column_stack([np.ones(n), X])
        if y.min() == y.max() or np.linalg.matrix_rank(A) < A.shape[1]:
            continue
        expected = recedes(A * (2 * y - 1)[:, None])
        try:
            LogisticRegression().fit(X, y)
            found = False
        except vs.ConvergenceError:
            found = True
        assert found == expected
        seen.add(found)
    assert seen == {True, False}


@pytest.mark.parametrize("kind", [0, 1])
def test_cox(kind):
    """Oracle: Bryson and Johnson's condition (1981) by scipy's linear programming (Breslow ties)."""
    rng, seen = np.random.default_rng(kind), set()
    for _ in range(60):
        n = int(rng.integers(8, 30))
        X = columns(rng, kind, n)
        time, event = np.ceil(10 * rng.exponential(np.exp(-X[:, 0]))), rng.random(n) < 0.3
        pairs = np.array(
            [X[i] - X[j] for i in np.flatnonzero(event) for j in np.flatnonzero(time >= time[i]) if i != j]
        )
        if not len(pairs) or np.linalg.matrix_rank(pairs) < X.shape[1]:
            continue
        try:
            CoxPH(ties="breslow").fit(X, (event, time))
            found = False
        except vs.ConvergenceError:
            found = True
        assert found == recedes(pairs)
        seen.add(found)
    assert seen == {True, False}
