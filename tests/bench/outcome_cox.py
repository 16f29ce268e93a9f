# SPDX-License-Identifier: Apache-2.0
"""The Cox family beside R's survival and glmnet (through Rscript, where it is), scikit-survival and lifelines: CPU-seconds in one run.

    OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 python tests/bench/outcome_cox.py [--quick | --large | --only-large]

Every side gets the same arrays, is timed without reading them, and the results are compared. --large adds n = 100,000 with
1,000 columns, which none of the others ends.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from lifelines import CoxPHFitter
from sksurv.linear_model import CoxnetSurvivalAnalysis, CoxPHSurvivalAnalysis

from vesalius.outcome import CoxNet, CoxPH, survival_array

warnings.filterwarnings("ignore")

R_COX = """
suppressMessages(library(survival))
a <- commandArgs(TRUE); n <- as.integer(a[2]); p <- as.integer(a[3])
x <- matrix(readBin(file.path(a[1], "x"), "double", n * p), n, p)
t <- readBin(file.path(a[1], "t"), "double", n); e <- readBin(file.path(a[1], "e"), "double", n)
y <- Surv(t, e)
s <- system.time(f <- coxph(y ~ x))
cat(s[["user.self"]] + s[["sys.self"]], f$coefficients)
"""
R_PATH = """
suppressMessages({library(survival); library(glmnet)})
a <- commandArgs(TRUE); n <- as.integer(a[2]); p <- as.integer(a[3])
x <- matrix(readBin(file.path(a[1], "x"), "double", n * p), n, p)
t <- readBin(file.path(a[1], "t"), "double", n); e <- readBin(file.path(a[1], "e"), "double", n)
s <- system.time(f <- glmnet(x, Surv(t, e), family = "cox", alpha = 0.9))
cat(s[["user.self"]] + s[["sys.self"]], length(f$lambda))
"""


def survival(n: int, p: int, seed: int = 0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p))
    t = rng.exponential(np.exp(-X[:, : min(p, 10)] @ np.full(min(p, 10), 0.2)))
    c = rng.exponential(1.5, n)
    return X, survival_array(t <= c, np.maximum(1e-4, np.round(np.minimum(t, c), 4)))  # glmnet takes no time of 0


def cpu(function, repeats: int):
    best, result = np.inf, None
    for _ in range(repeats):
        start = time.process_time()
        result = function()
        best = min(best, time.process_time() - start)
    return best, result


def in_r(script: str, X, y, limit: float):
    """(CPU-seconds, numbers printed), or None without R or beyond the limit."""
    if shutil.which("Rscript") is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        X.T.tofile(Path(folder) / "x")
        y["time"].astype(float).tofile(Path(folder) / "t")
        y["event"].astype(float).tofile(Path(folder) / "e")
        try:
            done = subprocess.run(
                ["Rscript", "-e", script, folder, str(X.shape[0]), str(X.shape[1])],
                capture_output=True,
                text=True,
                timeout=limit,
                check=True,
            )
        except (subprocess.TimeoutExpired, subprocess.CalledProcessError) as error:
            print("   R:", type(error).__name__, str(getattr(error, "stderr", ""))[-200:])
            return None
    numbers = [float(v) for v in done.stdout.split()]
    return numbers[0], np.array(numbers[1:])


def show(what: str, ours: float, others: dict[str, float | None]) -> None:
    known = {k: v for k, v in others.items() if v is not None}
    ratio = f"{min(known.values()) / ours:6.1f} x" if known else "     -"
    text = "  ".join(f"{k} {v:.3f}" if v is not None else f"{k} -" for k, v in others.items())
    print(f"{what:40s} vesalius {ours:.3f}  {text}  | faster than the fastest: {ratio}", flush=True)


def bench_cox(n: int, p: int, peers: tuple[str, ...], limit: float) -> dict:
    X, y = survival(n, p)
    ours, coef = cpu(lambda: CoxPH().fit(X, y).coef_, 3 if n * p < 5e7 else 1)
    others: dict[str, float | None] = {}
    if "R" in peers:
        result = in_r(R_COX, X, y, limit)
        others["coxph"] = None if result is None else result[0]
        if result is not None:
            assert np.allclose(result[1], coef, atol=1e-6)
    if "sksurv" in peers:
        others["scikit-survival"], other = cpu(lambda: CoxPHSurvivalAnalysis(ties="efron").fit(X, y).coef_, 1)
        assert np.allclose(other, coef, atol=1e-4)
    if "lifelines" in peers:
        frame = pd.DataFrame(X, columns=[f"x{j}" for j in range(p)]).assign(t=y["time"], e=y["event"])
        others["lifelines"], other = cpu(lambda: CoxPHFitter().fit(frame, "t", "e").params_.to_numpy(), 1)
        assert np.allclose(other, coef, atol=1e-4)
    show(f"Cox, Efron, n={n}, p={p}", ours, others)
    return {"n": n, "p": p, "vesalius": ours, **others}


def bench_path(n: int, p: int) -> dict:
    X, y = survival(n, p)
    ours, net = cpu(lambda: CoxNet(l1_ratio=0.9).fit(X, y), 3)
    others: dict[str, float | None] = {}
    others["scikit-survival"], peer = cpu(lambda: CoxnetSurvivalAnalysis(l1_ratio=0.9).fit(X, y), 1)
    result = in_r(R_PATH, X, y, 120)
    others["glmnet"] = None if result is None else result[0]
    steps = f"{len(net.alphas_)}, {len(peer.alphas_)}, {int(result[1][0]) if result else '-'}"
    show(f"elastic-net path, n={n}, p={p} ({steps} alphas)", ours, others)
    return {"n": n, "p": p, "vesalius": ours, **others}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes only")
    parser.add_argument("--large", action="store_true", help="also n=100,000 with 1,000 columns (800 MB)")
    parser.add_argument("--only-large", action="store_true", help="that alone")
    parser.add_argument("--json", help="write the numbers there")
    arguments = parser.parse_args()
    every = ("R", "sksurv", "lifelines")
    rows = []
    if arguments.only_large:
        bench_cox(100_000, 1000, (), 0)
        return
    sizes = [(1000, 10)] if arguments.quick else [(10_000, 10), (10_000, 100), (100_000, 10), (100_000, 100)]
    for n, p in sizes:
        rows.append(bench_cox(n, p, every, 120))
    if not arguments.quick:
        rows.append(bench_cox(10_000, 1000, ("R",), 300))
    if arguments.large:
        rows.append(bench_cox(100_000, 1000, (), 0))
    for n in (2000,) if arguments.quick else (10_000, 100_000):
        rows.append(bench_path(n, 100))
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
