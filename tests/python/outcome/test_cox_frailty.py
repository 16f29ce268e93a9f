# SPDX-License-Identifier: Apache-2.0
"""Gamma frailty against R's coxph with frailty(), the EM equations and the marginal likelihood."""

import json

import numpy as np
import pandas as pd
import pytest
from gold import FOLDER, check, differs
from scipy.special import gammaln

import vesalius as vs
from vesalius.outcome import CoxPH, survival_array

R = json.loads((FOLDER / "frailty_gold.json").read_text())
SOURCE = "R survival 3.5-3, frailty.R"


def table(name):
    d = pd.read_csv(FOLDER / f"{name}.csv")
    columns, cluster = (["age", "sex"], "id") if name == "kidney" else (["rx"], "litter")
    return d[columns], survival_array(d["status"] == 1, d["time"]), d[cluster]


@pytest.mark.parametrize("ties", ["efron", "breslow"])
@pytest.mark.parametrize("name", ["kidney", "rats"])
def test_estimates_equal_r(name, ties):
    """Oracle: R's coxph(... + frailty(cluster)), iterated to 1e-13: coefficients, variance of the frailties, marginal likelihood."""
    X, y, cluster = table(name)
    model = CoxPH(frailty="gamma", ties=ties).fit(X, y, cluster=cluster)
    gold, section = R[f"{name}_{ties}"], f"{name}, gamma frailty"
    check(section, f"{ties}/coef", model.coef_, gold["coef"], source=SOURCE, labels=X.columns)
    check(section, f"{ties}/theta", model.frailty_variance_, gold["theta"], source=SOURCE)
    check(section, f"{ties}/marginal", model.log_likelihood_, gold["marginal"], source=SOURCE, rel=1e-9)


def test_the_whole_matrix_equals_r():
    """Oracle: R's frailty(theta=0.5, sparse=FALSE): the full second derivatives, each log frailty, standard errors."""
    X, y, cluster = table("kidney")
    model = CoxPH(frailty="gamma", frailty_variance=0.5).fit(X, y, cluster=cluster)
    gold, section = R["kidney_half"], "kidney, gamma frailty"
    check(section, "theta=0.5/coef", model.coef_, gold["coef"], source=SOURCE, labels=X.columns)
    check(section, "theta=0.5/se", model.summary()["se"], gold["se"], source=SOURCE, labels=X.columns)
    check(section, "theta=0.5/log frailty", np.log(model.frailties_), gold["log_frailty"], source=SOURCE, abs=1e-9)
    check(section, "theta=0.5/marginal", model.log_likelihood_, gold["marginal"], source=SOURCE, rel=1e-9)


def test_r_gold_is_r_stopped_early():
    """Oracle: r_gold.json. R's default ends when the likelihood moves by less than 1e-5 of itself: the coefficients are those at
    theta = 0.41216, and the theta it names is the next it would have tried."""
    X, y, cluster = table("kidney")
    at = R["kidney_default"]["theta"]
    model = CoxPH(frailty="gamma", frailty_variance=at).fit(X, y, cluster=cluster)
    check("extra_kidney_frailty", "coef", model.coef_, labels=X.columns, rel=2e-5)
    best = CoxPH(frailty="gamma").fit(X, y, cluster=cluster)
    differs(
        "extra_kidney_frailty",
        "theta",
        best.frailty_variance_,
        within=1e-4,
        why="R stops early; iterated it agrees to 1e-6",
    )
    assert best.log_likelihood_ > R["kidney_default"]["marginal"]


def test_em_equations_and_the_maximum():
    """Oracle: the frailties' conditional means (d + ν)/(Λ + ν) given the fitted hazard (Breslow: exact); the marginal likelihood from
    its definition falls to both sides of the estimate."""
    X, y, cluster = table("rats")
    model = CoxPH(frailty="gamma", ties="breslow").fit(X, y, cluster=cluster)
    nu = 1 / model.frailty_variance_
    base = model.baseline_hazard()
    hazard = np.interp(y["time"], base["time"], base["cumulative_hazard"]) * np.exp(model.predict(X))
    d, total = (pd.Series(v).groupby(cluster.to_numpy()).sum() for v in (y["event"].astype(float), hazard))
    np.testing.assert_allclose(model.frailties_, (d + nu) / (total + nu), rtol=1e-7)
    assert model.frailties_.mean() == pytest.approx(1, abs=1e-8)

    def marginal(theta):
        at = CoxPH(frailty="gamma", ties="breslow", frailty_variance=theta).fit(X, y, cluster=cluster)
        v = 1 / theta
        risk = np.exp(at.predict(X)) * at.frailties_.loc[cluster].to_numpy()
        partial = sum(np.log(risk[i] / risk[y["time"] >= y["time"][i]].sum()) for i in np.flatnonzero(y["event"]))
        terms = d + v * np.log(v) - (v + d) * np.log(v + d) + gammaln(v + d) - gammaln(v)
        assert at.log_likelihood_ == pytest.approx(partial + v * np.log(at.frailties_).sum() + terms.sum(), rel=1e-10)
        return at.log_likelihood_

    best = model.frailty_variance_
    assert marginal(best) > max(marginal(0.9 * best), marginal(1.1 * best))


def test_invariances_and_predictions():
    """Invariant: rows in any order, labels of any kind, units of columns; a cluster's curve by its frailty, a new one's by the mean."""
    X, y, cluster = table("kidney")
    model = CoxPH(frailty="gamma").fit(X, y, cluster=cluster)
    order = np.random.default_rng(0).permutation(len(X))
    other = CoxPH(frailty="gamma").fit(
        X.iloc[order] * [1e4, 1e-3], y[order], cluster=[f"patient {i}" for i in cluster.iloc[order]]
    )
    np.testing.assert_allclose(other.coef_ * [1e4, 1e-3], model.coef_, rtol=1e-7)
    assert other.frailty_variance_ == pytest.approx(model.frailty_variance_, rel=1e-7)
    times = [30.0, 200.0]
    theta, base = model.frailty_variance_, model.baseline_hazard().set_index("time")["cumulative_hazard"]
    hazard = base.to_numpy()[np.searchsorted(base.index, times, side="right") - 1] * np.exp(model.predict(X))[:, None]
    np.testing.assert_allclose(
        model.predict_survival_function(X, times=times), (1 + theta * hazard) ** (-1 / theta), rtol=1e-10
    )
    own = model.frailties_.loc[cluster].to_numpy()[:, None]
    np.testing.assert_allclose(
        model.predict_survival_function(X, times=times, cluster=cluster), np.exp(-own * hazard), rtol=1e-10
    )
    new = model.predict_survival_function(X, times=times, cluster=np.full(len(X), -7))
    np.testing.assert_array_equal(new, model.predict_survival_function(X, times=times))
    tests = model.tests()
    assert list(tests.index) == ["wald", "frailty"] and 0 < tests.loc["frailty", "p"] < 0.05


def test_many_clusters_and_no_variance():
    """Invariant: 5,000 clusters: a made variance is found; without any it is 0, said so, and the fit is plain Cox's."""
    rng = np.random.default_rng(1)
    cluster = np.repeat(np.arange(5000), 4)
    x, u = rng.normal(size=(20000, 2)), rng.gamma(2.0, 0.5, 5000)
    time, censoring = rng.exponential(1 / (u[cluster] * np.exp(x @ [0.5, -0.3]))), rng.exponential(2, 20000)
    model = CoxPH(frailty="gamma").fit(x, (time <= censoring, np.minimum(time, censoring)), cluster=cluster)
    assert model.frailty_variance_ == pytest.approx(0.5, abs=0.06)
    np.testing.assert_allclose(model.coef_, [0.5, -0.3], atol=0.05)
    assert np.corrcoef(model.frailties_, u)[0, 1] > 0.6
    still = rng.exponential(np.exp(-x[:2000] @ [0.5, -0.3]))
    with pytest.warns(UserWarning, match="variance of the frailties is 0"):
        none = CoxPH(frailty="gamma").fit(x[:2000], (np.ones(2000), still), cluster=np.arange(2000) % 4)
    plain = CoxPH().fit(x[:2000], (np.ones(2000), still))
    assert none.frailty_variance_ == 0 and (none.frailties_ == 1).all()
    np.testing.assert_allclose(none.coef_, plain.coef_, rtol=1e-9)
    np.testing.assert_allclose(none.covariance_, plain.covariance_, rtol=1e-7)


@pytest.mark.parametrize(
    "options, fit, error, message",
    [
        ({}, {}, vs.InvalidArgument, "needs cluster="),
        ({"frailty": "gauss"}, {"cluster": True}, vs.InvalidArgument, "None or 'gamma'"),
        ({"ties": "exact"}, {"cluster": True}, vs.NotSupported, "efron"),
        ({"penalty": "l2"}, {"cluster": True}, vs.NotSupported, "penalty"),
        ({"firth": True}, {"cluster": True}, vs.NotSupported, "firth"),
        ({"robust": True}, {"cluster": True}, vs.InvalidArgument, "robust=True"),
        ({"frailty_variance": -1.0}, {"cluster": True}, vs.InvalidArgument, "positive"),
        ({}, {"cluster": "one"}, vs.InvalidArgument, "two clusters"),
        ({}, {"cluster": "short"}, vs.InvalidArgument, "one length"),
        ({}, {"cluster": "missing"}, vs.InvalidArgument, "missing labels"),
    ],
)
def test_bad_input(options, fit, error, message):
    X, y, cluster = table("kidney")
    kinds = {"one": np.zeros(len(X)), "short": cluster[:-1], "missing": cluster.where(cluster > 2)}
    if "cluster" in fit:
        fit = {"cluster": kinds.get(fit["cluster"], cluster)}
    with pytest.raises(error, match=message):
        CoxPH(**{"frailty": "gamma", **options}).fit(X, y, **fit)


def test_what_is_not_there_says_so():
    X, y, cluster = table("kidney")
    model = CoxPH(frailty="gamma").fit(X, y, cluster=cluster)
    with pytest.raises(vs.NotSupported, match="frailty"):
        model.residuals(X, y)
    with pytest.raises(vs.InvalidArgument, match="without a frailty"):
        CoxPH().fit(X, y).predict_survival_function(X, cluster=cluster)
    separated = (y["time"] < 50).astype(float) * y["event"]
    with pytest.raises(vs.ConvergenceError):
        CoxPH(frailty="gamma").fit(np.c_[X, separated * 1e3], y, cluster=cluster)
