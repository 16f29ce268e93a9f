# SPDX-License-Identifier: Apache-2.0
"""Cox regression and concordance beside lifelines and scikit-survival, in one run: CPU-seconds and wall seconds.

python tests/bench/outcome.py [--quick]
"""

from __future__ import annotations

import argparse
import time
import warnings

import numpy as np
import pandas as pd
from lifelines import CoxPHFitter
from lifelines.utils import concordance_index as lifelines_concordance
from sksurv.linear_model import CoxnetSurvivalAnalysis, CoxPHSurvivalAnalysis
from sksurv.metrics import concordance_index_censored

from vesalius.outcome import CoxPH, LogisticRegressionCV, metrics, survival_array

warnings.filterwarnings("ignore")


def measure(function, repeats=3):
    """The least CPU and wall seconds of some runs, and the last result."""
    best_cpu = best_wall = np.inf
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        result = function()
        best_cpu, best_wall = min(best_cpu, time.process_time() - cpu), min(best_wall, time.perf_counter() - wall)
    return best_cpu, best_wall, result


def row(what, candidates):
    results = {name: measure(f, repeats) for name, (f, repeats) in candidates.items()}
    text = "  ".join(f"{name} {cpu:.3f} ({wall:.3f})" for name, (cpu, wall, _) in results.items())
    print(f"{what:42s} {text}", flush=True)
    return {name: r[2] for name, r in results.items()}


def survival(n, p, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p))
    t = rng.exponential(np.exp(-X[:, : min(p, 10)] @ np.full(min(p, 10), 0.2)))
    c = rng.exponential(1.5, n)
    return X, survival_array(t <= c, np.round(np.minimum(t, c), 4))


def bench_cox(n, p):
    X, y = survival(n, p)
    frame = pd.DataFrame(X, columns=[f"x{j}" for j in range(p)]).assign(t=y["time"], e=y["event"])
    candidates = {"vesalius": (lambda: CoxPH().fit(X, y).coef_, 3)}
    if n * p <= 10**6:
        candidates["scikit-survival"] = (lambda: CoxPHSurvivalAnalysis(ties="efron").fit(X, y).coef_, 1)
        candidates["lifelines"] = (lambda: CoxPHFitter().fit(frame, "t", "e").params_.to_numpy(), 1)
    result = row(f"Cox, Efron, n={n}, p={p}", candidates)
    for name, coef in result.items():
        assert np.allclose(coef, result["vesalius"], atol=1e-4), name


def bench_lasso(n):
    X, y = survival(n, 100)
    candidates = {
        "vesalius": (lambda: CoxPH(penalty="l1", alpha=0.01, ties="breslow").fit(X, y).coef_, 3),
        "scikit-survival": (lambda: CoxnetSurvivalAnalysis(l1_ratio=1.0, alphas=[0.01]).fit(X, y).coef_, 1),
    }
    row(f"lasso Cox at one alpha, n={n}, p=100", candidates)


def bench_concordance(n):
    X, y = survival(n, 1)
    risk = X[:, 0].round(3)
    candidates = {
        "vesalius": (lambda: metrics.concordance_index(y, risk).value, 5),
        "lifelines": (lambda: lifelines_concordance(y["time"], -risk, y["event"]), 1),
        "scikit-survival": (lambda: concordance_index_censored(y["event"], y["time"], risk)[0], 1),
    }
    result = row(f"Harrell's concordance, n={n}", candidates)
    assert max(result.values()) - min(result.values()) < 1e-9


def bench_classification():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(51, 12)) @ rng.normal(size=(12, 90)) + 0.4 * rng.normal(size=(51, 90))
    y = rng.permutation(51) < 19
    row("elastic-net logistic CV, n=51, p=90", {"vesalius": (lambda: LogisticRegressionCV().fit(X, y).alpha_, 5)})
    score = rng.normal(size=100_000)
    label = score + rng.normal(size=100_000) > 0
    row("AUC with DeLong interval, n=100000", {"vesalius": (lambda: metrics.roc_auc(label, score).value, 5)})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes only")
    quick = parser.parse_args().quick
    print("least of the runs: CPU seconds (wall seconds); on a busy machine set OMP_NUM_THREADS=1")
    for n, p in ((1000, 10),) if quick else ((10_000, 10), (10_000, 100), (100_000, 100)):
        bench_cox(n, p)
    bench_lasso(2000 if quick else 10_000)
    for n in (10_000,) if quick else (10_000, 100_000):
        bench_concordance(n)
    bench_classification()


if __name__ == "__main__":
    main()
