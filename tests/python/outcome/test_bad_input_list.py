# SPDX-License-Identifier: Apache-2.0
"""The list of bad input, every survival model against every entry: a typed error that names the trouble, or a fit that is finite where
the model is defined. What is fitted is listed here, so that nothing is by accident."""

import re
import warnings

import numpy as np
import pandas as pd
import pytest

from vesalius.errors import Error
from vesalius.outcome import CoxNet, CoxNetCV, CoxPH, FineGray, ParametricSurvival

N = 60
RNG = np.random.default_rng(0)
X = pd.DataFrame(RNG.normal(size=(N, 3)), columns=list("abc"))
TIME = np.round(RNG.exponential(np.exp(-0.5 * X["a"].to_numpy())), 2) + 0.01
EVENT = RNG.random(N) < 0.7
CAUSE = np.where(EVENT, 1 + np.arange(N) % 2, 0)
FOURTH = np.arange(N) == 3

MODELS = {
    "cox": lambda: CoxPH(),
    "exact": lambda: CoxPH(ties="exact"),
    "firth": lambda: CoxPH(firth=True),
    "ridge": lambda: CoxPH(penalty="l2"),
    "frailty": lambda: CoxPH(frailty="gamma"),
    "net": lambda: CoxNet(n_alphas=5),
    "net_cv": lambda: CoxNetCV(n_alphas=5, cv=3),
    "fine_gray": lambda: FineGray(),
    "weibull": lambda: ParametricSurvival(),
    "spline": lambda: ParametricSurvival(family="spline"),
    "gompertz": lambda: ParametricSurvival(family="gompertz"),
    "generalised_gamma": lambda: ParametricSurvival(family="generalised_gamma"),
}
PENALISED = {"ridge", "net", "net_cv"}
COX = {"cox", "exact", "firth", "frailty", "fine_gray"} | PENALISED
ALL = set(MODELS)

# name: what changes, which models may fit, a word of the others' messages
CASES = {
    "no events": ({"event": np.zeros(N, bool), "cause": np.zeros(N, int)}, set(), "event"),
    "all events": ({"event": np.ones(N, bool), "cause": 1 + np.arange(N) % 2}, ALL, ""),
    "one subject": ({"rows": 1}, set(), "subject|event|two|censored"),
    "negative time": ({"time": np.where(FOURTH, -1.0, TIME)}, set(), "negative"),
    "time 0": ({"time": np.where(np.arange(N) < 9, 0.0, TIME)}, COX, "0"),
    "NaN time": ({"time": np.where(FOURTH, np.nan, TIME)}, set(), "NaN"),
    "infinite time": ({"time": np.where(FOURTH, np.inf, TIME)}, set(), "infinite"),
    "NaN column": ({"X": X.assign(a=X["a"].where(~FOURTH))}, set(), "NaN"),
    "infinite column": ({"X": X.assign(a=X["a"].where(~FOURTH, np.inf))}, set(), "infinity"),
    "constant": ({"X": X.assign(d=1.0)}, PENALISED, "constant"),
    "collinear": ({"X": X.assign(d=X["a"] - 2 * X["b"])}, PENALISED, "collinear"),
    "strings": ({"X": X.assign(d="left")}, set(), "not numbers"),
    "event 2": ({"event": EVENT + 1, "cause": CAUSE + 0.5}, set(), "1/0|whole numbers"),
    "fewer subjects than columns": ({"X": pd.DataFrame(RNG.normal(size=(N, 80)))}, PENALISED, "80 columns"),
    "ties everywhere": ({"time": np.ones(N)}, COX, ""),
    "clusters of one": ({"cluster": np.arange(N)}, ALL, ""),
}


def fit(name, X=X, event=EVENT, time=TIME, cause=CAUSE, cluster=None, rows=N, **parameters):
    model = MODELS[name]().set_params(**parameters)
    if name == "fine_gray":
        return model.fit(X[:rows], (cause[:rows], time[:rows]))
    if name == "frailty":
        labels = np.arange(N) // 4 if cluster is None else cluster
        return model.fit(X[:rows], (event[:rows], time[:rows]), cluster=labels[:rows])
    return model.fit(X[:rows], (event[:rows], time[:rows]))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", MODELS)
def test_every_model_says_what_is_wrong(name, case):
    """Mechanics: see above."""
    change, may_fit, message = CASES[case]
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            model = fit(name, **change)
        except Error as error:
            text = str(error)
            if name not in may_fit:
                assert re.search(message, text), text
            else:  # a fit is allowed, not promised: then it says why not
                assert len(text) > 40 and case not in ("all events",), text
            return
    assert name in may_fit, f"{name} fitted: {model.coef_}"
    assert np.isfinite(model.coef_).all(), [str(w.message) for w in said]


@pytest.mark.parametrize("name", ["cox", "exact", "frailty"])
def test_separation_offers_a_way_out(name):
    """Mechanics: a column that orders all events: an error that names Firth or a penalty, never a large number."""
    with pytest.raises(Error, match="firth=True|penalty"):
        fit(name, X=X.assign(d=np.where(EVENT, -TIME, -99.0)))


@pytest.mark.parametrize("name", sorted(ALL - {"net", "net_cv", "firth"}))
def test_too_few_iterations(name):
    """Mechanics: one iteration is not enough, and that is an error."""
    with pytest.raises(Error, match="converge"):
        fit(name, max_iterations=1)
