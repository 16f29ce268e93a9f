# SPDX-License-Identifier: Apache-2.0
"""Parametric survival against R's survreg, lifelines, scipy's distributions, identities between families, and numeric integration."""

import json
import pickle
import time as clock

import numpy as np
import pandas as pd
import pytest
from gold import FOLDER, check, load
from gold import GOLD as R
from lifelines import GeneralizedGammaRegressionFitter, WeibullFitter
from scipy import integrate, optimize, stats
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import vesalius as vs
from vesalius.outcome import ParametricSurvival, interval_array, survival_array

GOLD = json.loads((FOLDER / "parametric_gold.json").read_text())
NAMES = {"weibull": "weibull", "exponential": "exponential", "lognormal": "log_normal", "loglogistic": "log_logistic"}
FAMILIES = ("exponential", "weibull", "log_normal", "log_logistic", "generalised_gamma", "gompertz")
MODELS = [ParametricSurvival(family=f) for f in FAMILIES] + [
    ParametricSurvival(family="spline", spline_scale=s, df=d) for s, d in (("hazard", 3), ("odds", 2), ("normal", 4))
]
IDS = [m.family + (m.spline_scale if m.family == "spline" else "") for m in MODELS]


@pytest.mark.parametrize("dist", NAMES)
@pytest.mark.parametrize("name", [n for n in R if "aft_weibull" in R[n]])
def test_equals_survreg_on_all_data(name, dist):
    """Oracle: R's survreg: coefficients, scale, log-likelihood."""
    X, y = load(name)
    model = ParametricSurvival(family=NAMES[dist]).fit(X, y)
    gold = R[name][f"aft_{dist}"]
    # R stops at a relative change of 1e-9 of the log-likelihood; ours lies no lower
    check(
        name,
        f"aft_{dist}/coef",
        np.r_[model.intercept_, model.coef_],
        rel=1e-6,
        abs=2e-7,
        labels=["intercept", *X.columns],
    )
    check(name, f"aft_{dist}/scale", model.scale_[0])
    check(name, f"aft_{dist}/loglik", model.log_likelihood_, rel=1e-9)
    assert model.log_likelihood_ >= gold["loglik"] - 1e-7


@pytest.mark.parametrize("dist", NAMES)
def test_equals_survreg_in_full(dist):
    """Oracle: R's survreg at 1e-13: also the covariance (with log scale) and predicted quantiles."""
    X, y = load("lung")
    X = X[["age", "sex", "ph_ecog"]]
    gold = GOLD[dist]
    model = ParametricSurvival(family=NAMES[dist]).fit(X, y)
    order = [0, 2, 3, 4, 1] if dist != "exponential" else [0, 1, 2, 3]
    check(f"lung, survreg {dist}", "coef", np.r_[model.intercept_, model.coef_], gold["coef"])
    check(
        f"lung, survreg {dist}", "covariance", model.covariance_[np.ix_(order, order)], gold["var"], rel=1e-6, abs=1e-12
    )
    check(f"lung, survreg {dist}", "quantiles", model.predict_quantile(X[:3], [0.1, 0.5, 0.9]), gold["quantile"])
    check(f"lung, survreg {dist}", "loglik", model.log_likelihood_, gold["loglik"], rel=1e-10)


def visits():
    """The interval-censored times that parametric.R makes of lung: events, right, left and between visits."""
    X, y = load("lung")
    time, event = y["time"], y["event"]
    lower = np.floor(time / 90) * 90
    upper = lower + 90
    lower[lower == 0], upper[~event] = np.nan, np.nan
    lower[~event] = time[~event]
    exact = (np.arange(len(time)) < 20) & event
    lower[exact] = upper[exact] = time[exact]
    return X, interval_array(lower, upper)


@pytest.mark.parametrize("dist", ["weibull", "lognormal", "loglogistic"])
def test_interval_censoring_equals_survreg(dist):
    """Oracle: R's survreg(Surv(type="interval2"))."""
    X, y = visits()
    model = ParametricSurvival(family=NAMES[dist]).fit(X[["age", "sex"]], y)
    gold = GOLD[f"interval_{dist}"]
    check("lung, interval-censored", f"{dist} coef", np.r_[model.intercept_, model.coef_], gold["coef"])
    check("lung, interval-censored", f"{dist} scale", model.scale_[0], gold["scale"])
    check("lung, interval-censored", f"{dist} loglik", model.log_likelihood_, gold["loglik"], rel=1e-10)
    order = [0, 2, 3, 1]
    check(
        "lung, interval-censored", f"{dist} covariance", model.covariance_[np.ix_(order, order)], gold["var"], abs=1e-12
    )


def test_weights_and_strata_equal_survreg():
    """Oracle: R's survreg with case weights (row number mod 3, plus 1), and with a scale for each sex."""
    X, y = load("lung")
    w = np.arange(1, len(y) + 1) % 3 + 1
    model = ParametricSurvival().fit(X[["age", "sex"]], y, sample_weight=w)
    check("lung, survreg weights", "coef", np.r_[model.intercept_, model.coef_], GOLD["weights"]["coef"])
    check("lung, survreg weights", "loglik", model.log_likelihood_, GOLD["weights"]["loglik"])
    model = ParametricSurvival().fit(X[["age"]], y, strata=X["sex"])
    check("lung, survreg strata", "coef", np.r_[model.intercept_, model.coef_], GOLD["strata"]["coef"])
    check("lung, survreg strata", "scale", model.scale_, GOLD["strata"]["scale"])
    curves = model.predict_survival_function(X[["age"]][:2], times=[100], strata=[1, 2])
    assert curves.shape == (2, 1)
    with pytest.raises(vs.InvalidArgument, match="scale for each of its 2 strata"):
        model.predict_survival_function(X[["age"]], times=[100])


def log_density(model, t, eta=0.0):
    """scipy's density of the fitted family at linear predictor intercept + eta."""
    mu, f = model.intercept_ + eta, model.family
    if f == "gompertz":
        a = model.shape_
        return mu + a * t - np.exp(mu) * np.expm1(a * t) / a
    s = model.scale_[0]
    if f in ("exponential", "weibull"):
        return stats.weibull_min(1 / s, scale=np.exp(mu)).logpdf(t)
    if f == "log_normal":
        return stats.lognorm(s, scale=np.exp(mu)).logpdf(t)
    if f == "log_logistic":
        return stats.fisk(1 / s, scale=np.exp(mu)).logpdf(t)
    q = model.shape_  # Prentice: Q⁻² exp(Q w) is gamma(Q⁻²)
    a = q**-2
    return (
        stats.gamma(a).logpdf(a * np.exp(q * (np.log(t) - mu) / s))
        + np.log(a * np.abs(q) / s / t)
        + q * (np.log(t) - mu) / s
    )


@pytest.mark.parametrize("model", MODELS[:6], ids=IDS[:6])
def test_distribution_equals_scipy(model):
    """Oracle: scipy's densities: they integrate to the survival predicted, and give the log-likelihood of the events."""
    X, y = load("lung")
    X = X[["age", "sex"]]
    model = clone(model).fit(X, y)
    at = X.iloc[:1]
    eta = float((at.to_numpy() @ model.coef_)[0])
    # each time integrated from the one before; what is left beyond the last is small
    for t in (50.0, 300.0, 900.0):
        died = integrate.quad(
            lambda u: np.exp(log_density(model, u, eta)), 0, t, epsabs=1e-13, epsrel=1e-12, limit=400
        )[0]
        assert model.predict_survival_function(at, times=[t]).iloc[0, 0] == pytest.approx(1 - died, abs=1e-9)
        hazard = np.exp(log_density(model, t, eta)) / (1 - died)
        assert model.predict_hazard_function(at, times=[t]).iloc[0, 0] == pytest.approx(hazard, rel=1e-7)
    total = 0.0
    predictor = X.to_numpy() @ model.coef_
    for i in range(len(y)):
        if y["event"][i]:
            total += log_density(model, y["time"][i], predictor[i])
        else:
            total -= model.predict_cumulative_hazard_function(X.iloc[[i]], times=[y["time"][i]]).iloc[0, 0]
    assert model.log_likelihood_ == pytest.approx(total, rel=1e-9)


@pytest.mark.parametrize("model", MODELS, ids=IDS)
def test_quantiles_invert_survival(model):
    """Invariant: S at the quantile of p is 1 − p; hazards are the slope of −log S."""
    X, y = load("lung")
    X = X[["age", "sex"]]
    model = clone(model).fit(X, y)
    p = [0.01, 0.25, 0.5, 0.8]
    q = model.predict_quantile(X[:5], p)
    for i in range(5):
        s = model.predict_survival_function(X.iloc[[i]], times=np.minimum(q.iloc[i], 1e9)).to_numpy()[0]
        np.testing.assert_allclose(s, 1 - np.array(p), rtol=1e-9)
    h = 1e-3
    slope = (
        model.predict_cumulative_hazard_function(X[:5], times=[300 + h]).to_numpy()
        - model.predict_cumulative_hazard_function(X[:5], times=[300 - h]).to_numpy()
    ) / (2 * h)
    np.testing.assert_allclose(model.predict_hazard_function(X[:5], times=[300]), slope, rtol=1e-5)
    np.testing.assert_allclose(model.predict_median(X[:5]), q[0.5])
    assert (model.predict_survival_function(X[:5], times=[0]) == 1).all().all()


def numeric(model, X, y, entry=None, weight=1.0):
    """Negative log-likelihood as a function of (intercept, ancillary, coef), written out with scipy and incomplete gamma functions."""
    time, event = y["time"], y["event"]
    z = np.asarray(X, dtype=float)

    def value(b):
        copy = clone(model)
        copy.intercept_ = b[0]
        copy.scale_ = np.exp(b[1:2])
        copy.shape_ = b[2] if model.family == "generalised_gamma" else b[1]
        eta = z @ b[3 if model.family == "generalised_gamma" else 2 :]

        def log_s(t):
            if model.family == "gompertz":
                return -np.exp(b[0] + eta) * np.expm1(b[1] * t) / b[1]
            a = b[2] ** -2
            w = a * np.exp(b[2] * (np.log(t) - b[0] - eta) / np.exp(b[1]))
            return np.log(stats.gamma(a).sf(w) if b[2] > 0 else stats.gamma(a).cdf(w))

        terms = np.where(event, log_density(copy, time, eta), log_s(time))
        if entry is not None:
            terms = terms - np.where(entry > 0, log_s(np.maximum(entry, 1e-9)), 0)
        return -np.sum(weight * terms)

    return value


@pytest.mark.parametrize("family", ["gompertz", "generalised_gamma"])
@pytest.mark.parametrize("truncated", [False, True])
def test_optimum_equals_scipy(family, truncated):
    """Oracle: scipy.optimize on the likelihood written out (scipy's incomplete gamma), censored and left-truncated; the covariance is the
    inverse of its Hessian by differences."""
    X, y = load("lung")
    X = (X[["age", "sex"]] - X[["age", "sex"]].mean()) / 10
    y = survival_array(y["event"], y["time"] / 365.25)
    entry = np.minimum(np.arange(1, len(y) + 1) * 37 % 120, y["time"] * 365.25 - 1) / 365.25 if truncated else None
    model = ParametricSurvival(family=family).fit(X, y, entry=entry)
    f = numeric(model, X, y, entry)
    ours = model.parameters_.to_numpy()
    assert -f(ours) == pytest.approx(model.log_likelihood_, rel=1e-10)
    found = optimize.minimize(f, ours + 0.05, method="BFGS", options={"gtol": 1e-7})
    np.testing.assert_allclose(found.x, ours, atol=2e-4)
    assert f(ours) <= found.fun + 1e-9
    step = 1e-4 * np.eye(len(ours))
    hessian = np.array(
        [[(f(ours + a + b) - f(ours + a - b) - f(ours - a + b) + f(ours - a - b)) / 4e-8 for b in step] for a in step]
    )
    np.testing.assert_allclose(np.linalg.inv(hessian), model.covariance_, rtol=2e-3, atol=1e-4)


def test_generalised_gamma_equals_lifelines():
    """Oracle: lifelines' GeneralizedGammaRegressionFitter (µ on the columns, log σ and the shape alone), run here; it stops early."""
    X, y = load("gbsg2")
    X = X[["age", "pnodes"]] / 10
    table = X.assign(T=y["time"] / 365.25, E=y["event"])
    peer = GeneralizedGammaRegressionFitter().fit(
        table, "T", "E", regressors={"mu_": "age + pnodes", "sigma_": "1", "lambda_": "1"}
    )
    ours = ParametricSurvival(family="generalised_gamma").fit(X, (y["event"], y["time"] / 365.25))
    assert peer.log_likelihood_ - 1e-6 <= ours.log_likelihood_ <= peer.log_likelihood_ + 0.01
    theirs = [
        peer.params_[k] for k in (("mu_", "Intercept"), ("mu_", "age"), ("mu_", "pnodes"), ("lambda_", "Intercept"))
    ]
    np.testing.assert_allclose([ours.intercept_, *ours.coef_, ours.shape_], theirs, rtol=0.02, atol=0.005)


def test_families_are_special_cases():
    """Invariant: Q = 1 is weibull and Q → 0 log-normal in likelihood and curve; splines with df = 1 are weibull, log-logistic, log-normal;
    one more parameter never fits worse."""
    X, y = load("lung")
    X = X[["age", "sex"]]
    fits = {f: ParametricSurvival(family=f).fit(X, y) for f in FAMILIES}
    times = [30.0, 200, 700]
    for scale, family in (("hazard", "weibull"), ("odds", "log_logistic"), ("normal", "log_normal")):
        line = ParametricSurvival(family="spline", spline_scale=scale, df=1).fit(X, y)
        assert line.log_likelihood_ == pytest.approx(fits[family].log_likelihood_, rel=1e-12)
        np.testing.assert_allclose(
            line.predict_survival_function(X, times=times),
            fits[family].predict_survival_function(X, times=times),
            rtol=1e-9,
        )
        np.testing.assert_allclose(line.coef_, -fits[family].coef_ / fits[family].scale_[0], rtol=1e-7)
        more = [
            ParametricSurvival(family="spline", spline_scale=scale, df=d).fit(X, y).log_likelihood_ for d in (1, 2, 4)
        ]
        assert more[0] <= more[1] + 1e-9 and more[0] <= more[2] + 1e-9
    full = fits["generalised_gamma"]
    assert full.log_likelihood_ >= max(fits["weibull"].log_likelihood_, fits["log_normal"].log_likelihood_) - 1e-9
    assert fits["weibull"].log_likelihood_ >= fits["exponential"].log_likelihood_
    for shape, family in ((1.0, "weibull"), (0.0, "log_normal"), (1e-12, "log_normal")):
        limit, other = clone(full).fit(X, y), fits[family]
        limit.ancillary_ = np.r_[other.ancillary_, shape]
        limit.coef_ = other.coef_
        np.testing.assert_allclose(
            limit.predict_survival_function(X, times=times), other.predict_survival_function(X, times=times), rtol=1e-9
        )
    flat = clone(fits["gompertz"]).fit(X, y)
    flat.ancillary_, flat.coef_ = np.r_[-fits["exponential"].ancillary_[0], 1e-12], -fits["exponential"].coef_
    np.testing.assert_allclose(
        flat.predict_survival_function(X, times=times),
        fits["exponential"].predict_survival_function(X, times=times),
        rtol=1e-9,
    )


@pytest.mark.parametrize("q", [-2.0, -0.4, -0.05, 0.05, 0.3, 1.5, 4.0])
def test_generalised_gamma_tails(q):
    """Oracle: scipy's regularised incomplete gamma functions, far into both tails, for small and large shapes."""
    model = ParametricSurvival(family="generalised_gamma").fit(*load("lung"))
    model.coef_, model.ancillary_ = np.zeros_like(model.coef_), np.array([0.0, 0.0, q])
    w = np.array([-6.0, -2.5, -0.7, 0.0, 0.4, 1.9, 5.0])
    X = load("lung")[0][:1]
    ours = -model.predict_cumulative_hazard_function(X, times=np.exp(w)).to_numpy()[0]
    a = q**-2
    u = a * np.exp(q * w)
    tail, other = (
        (stats.gamma(a).logsf(u), stats.gamma(a).logcdf(u))
        if q > 0
        else (stats.gamma(a).logcdf(u), stats.gamma(a).logsf(u))
    )
    known = tail > -600
    np.testing.assert_allclose(ours[known], tail[known], rtol=2e-9, atol=1e-13)
    assert np.isfinite(other[3])


@pytest.mark.parametrize("model", MODELS, ids=IDS)
def test_affine_invariance(model):
    """Invariant: X·diag(s) + c gives the same curves to 1e-10, sizes from 1e-5 to 1e9; another unit of time the same at that time."""
    X, y = load("whas500")
    X = X.iloc[:, :6]
    scale = np.logspace(-5, 9, X.shape[1])
    moved = X * scale + scale * 5
    times = np.array([10.0, 400, 1200])
    a = clone(model).fit(X, y).predict_survival_function(X, times=times)
    b = clone(model).fit(moved, y).predict_survival_function(moved, times=times)
    np.testing.assert_allclose(a, b, atol=1e-10)
    c = (
        clone(model)
        .fit(X, survival_array(y["event"], y["time"] * 86400))
        .predict_survival_function(X, times=times * 86400)
    )
    np.testing.assert_allclose(a, c, atol=1e-10)


@pytest.mark.parametrize("model", MODELS, ids=IDS)
def test_invariances(model):
    """Invariant: rows in any order; whole weights as repeated rows (covariance too); pickle; entry 0 is none."""
    X, y = load("lung")
    X = X[["age", "sex"]]
    rng = np.random.default_rng(0)
    w, order = rng.integers(0, 4, len(y)), rng.permutation(len(y))
    w[[np.argmin(np.where(y["event"], y["time"], np.inf)), np.argmax(np.where(y["event"], y["time"], 0))]] = (
        1  # boundary knots stay
    )
    base = clone(model).fit(X, y)
    turned = clone(model).fit(X.iloc[order], y[order], entry=np.zeros(len(y)))
    np.testing.assert_allclose(turned.parameters_, base.parameters_, rtol=1e-6, atol=1e-9)
    assert turned.log_likelihood_ == pytest.approx(base.log_likelihood_, rel=1e-12)
    fixed = {} if model.family != "spline" else {"knots": np.atleast_1d(base.knots_[1:-1])}
    a = clone(model).set_params(**fixed).fit(X, y, sample_weight=w)
    b = clone(model).set_params(**fixed).fit(X.iloc[np.repeat(np.arange(len(y)), w)], np.repeat(y, w))
    assert a.log_likelihood_ == pytest.approx(b.log_likelihood_, rel=1e-10)
    np.testing.assert_allclose(a.parameters_, b.parameters_, rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(a.covariance_, b.covariance_, rtol=1e-4, atol=1e-9)
    copy = pickle.loads(pickle.dumps(base))
    np.testing.assert_array_equal(
        copy.predict_survival_function(X, times=[100, 500]), base.predict_survival_function(X, times=[100, 500])
    )


@pytest.mark.parametrize("model", MODELS, ids=IDS)
def test_intervals_narrow_to_events(model):
    """Invariant: intervals of ±ε around the events give the fit of the events (their likelihood is density · 2ε); one of (0, u] is a
    left-censored one."""
    X, y = load("lung")
    X, t, e = X[["age", "sex"]], y["time"], y["event"]
    if model.family == "spline":
        model = clone(model).set_params(knots=np.log([120.0, 300.0, 500.0][: model.df - 1]))
    exact = clone(model).fit(X, y)
    eps = 1e-3 * t
    near = clone(model).fit(X, interval_array(np.where(e, t - eps, t), np.where(e, t + eps, np.inf)))
    times = [50.0, 200, 600]
    np.testing.assert_allclose(
        near.predict_survival_function(X, times=times),
        exact.predict_survival_function(X, times=times),
        atol=2e-3 if model.family == "spline" else 1e-5,
    )


def test_without_columns_and_peers():
    """Oracle: lifelines' WeibullFitter without columns, with entry; the exponential rate by hand, events over time at risk."""
    _, y = load("lung")
    entry = np.minimum(np.arange(1, len(y) + 1) * 37 % 120, y["time"] - 1)
    ours = ParametricSurvival().fit(None, y, entry=entry)
    peer = WeibullFitter().fit(y["time"], y["event"], entry=entry)
    assert ours.log_likelihood_ >= peer.log_likelihood_ - 1e-6
    np.testing.assert_allclose([np.exp(ours.intercept_), 1 / ours.scale_[0]], [peer.lambda_, peer.rho_], rtol=1e-3)
    rate = y["event"].sum() / (y["time"] - entry).sum()
    flat = ParametricSurvival(family="exponential").fit(None, y, entry=entry)
    assert np.exp(-flat.intercept_) == pytest.approx(rate, rel=1e-9)
    assert flat.summary().loc["(intercept)", "se"] == pytest.approx(y["event"].sum() ** -0.5, rel=1e-9)
    assert flat.aic_ == pytest.approx(2 - 2 * flat.log_likelihood_)


def test_in_scikit_learn():
    """Mechanics: Pipeline, GridSearchCV over families, cross_validate, clone."""
    X, y = load("lung")
    search = GridSearchCV(
        make_pipeline(StandardScaler(), ParametricSurvival()),
        {"parametricsurvival__family": ["weibull", "log_normal", "spline"]},
        cv=3,
    ).fit(X, y)
    assert 0.55 < search.best_score_ < 0.75
    assert cross_validate(ParametricSurvival(family="gompertz"), X, y, cv=3)["test_score"].shape == (3,)


def test_bad_input():
    X, y = load("lung")
    x = X[["age", "sex"]]
    n = len(y)
    fit = ParametricSurvival().fit
    for bad, message in [
        ((np.zeros(n, bool), y["time"]), "no events"),
        ((y["event"], np.where(np.arange(n) == 3, 0, y["time"])), "event at time 0|above 0"),
        ((y["event"], -y["time"]), "negative"),
        ((y["event"], np.where(np.arange(n) == 3, np.nan, y["time"])), "NaN"),
        ((y["event"], np.where(np.arange(n) == 3, np.inf, y["time"])), "infinite"),
        ((y["event"] + 1, y["time"]), "event == 2"),
        (y[:5], "one length"),
        (interval_array(y["time"], y["time"] - 1), "lower limit"),
    ]:
        with pytest.raises(vs.InvalidArgument, match=message):
            fit(x, bad)
    zero = np.where(np.arange(n) == np.flatnonzero(~y["event"])[0], 0.0, y["time"])
    left_out = zero > 0
    a, b = fit(x, (y["event"], zero)), ParametricSurvival().fit(x[left_out], y[left_out])
    np.testing.assert_allclose(a.coef_, b.coef_, rtol=1e-6)  # censored at 0 says nothing
    with pytest.raises(vs.InvalidArgument, match="constant"):
        fit(x.assign(one=1.0), y)
    with pytest.raises(vs.InvalidArgument, match="collinear"):
        fit(x.assign(twice=x["age"] * 2 + x["sex"]), y)
    with pytest.raises(vs.InvalidArgument, match="NaN"):
        fit(x.assign(gap=np.where(x["age"] > 60, np.nan, 1)), y)
    with pytest.raises(vs.TypeMismatch, match="not numbers"):
        fit(x.assign(word="a"), y)
    with pytest.raises(vs.InvalidArgument, match="columns and 2 subjects"):
        fit(np.arange(10.0).reshape(2, 5), y[:2])
    for family in FAMILIES:
        with pytest.raises(vs.ConvergenceError, match="no finite estimate|scale goes to 0"):
            ParametricSurvival(family=family).fit(x.assign(saved=(~y["event"]).astype(float))[["saved"]], y)
    with pytest.raises(vs.ConvergenceError, match="scale goes to 0"):
        fit(None, (np.ones(5, bool), np.full(5, 7.0)))
    with pytest.raises((vs.ConvergenceError, vs.InvalidArgument)):
        fit(None, ([True], [7.0]))
    with pytest.raises(vs.InvalidArgument, match="use fewer knots"):
        ParametricSurvival(family="spline", df=4).fit(None, (np.ones(6, bool), [3.0, 3, 3, 4, 4, 4]))
    with pytest.raises(vs.InvalidArgument, match="strata give each a scale"):
        ParametricSurvival(family="gompertz").fit(x, y, strata=X["sex"])
    for options, message in [
        ({"family": "gamma"}, "family must be"),
        ({"df": 0, "family": "spline"}, "df must be"),
        ({"spline_scale": "x"}, "spline_scale"),
    ]:
        with pytest.raises(vs.InvalidArgument, match=message):
            ParametricSurvival(**options).fit(x, y)
    with pytest.raises(vs.ConvergenceError, match="raise max_iterations"):
        ParametricSurvival(max_iterations=1).fit(x, y)
    with pytest.raises(vs.InvalidArgument, match="neither"):
        interval_array([np.nan], [np.nan])
    with pytest.warns(UserWarning, match="extrapolated"):
        fit(x, y).predict_survival_function(x, times=[1e5])
    with pytest.raises(vs.InvalidArgument, match="between 0 and 1"):
        fit(x, y).predict_quantile(x, 1.5)
    with pytest.raises(vs.InvalidArgument, match="entry must be"):
        fit(x, y, entry=y["time"])


def test_hundred_thousand_subjects():
    """Mechanics: n = 100,000 with 10 columns in about a second (generalised gamma: its survival is a quadrature; a few)."""
    rng = np.random.default_rng(0)
    n = 100_000
    X = rng.normal(size=(n, 10))
    t = np.exp(1 + 0.3 * X[:, 0] + 0.5 * np.log(rng.exponential(size=n)))
    c = rng.exponential(6, n)
    y = survival_array(t <= c, np.minimum(t, c))
    for model, limit in (
        (ParametricSurvival(), 2),
        (ParametricSurvival(family="spline"), 4),
        (ParametricSurvival(family="generalised_gamma"), 20),
    ):
        start = clock.process_time()
        model.fit(pd.DataFrame(X), y)
        assert clock.process_time() - start < limit
        assert abs(model.coef_[0] + 0.6 if model.family == "spline" else model.coef_[0] - 0.3) < 0.02
