# SPDX-License-Identifier: Apache-2.0
"""Measures of survival beside R, scikit-survival, lifelines and torchsurv, in one run: CPU seconds (wall seconds), least of the runs.

python tests/bench/outcome_measures.py [--quick]

On a busy machine set OMP_NUM_THREADS=1. Ours with standard errors unless said; scikit-survival and lifelines give none. R by Rscript
where it is installed, its seconds measured inside R (user + system). Values are compared: a row is only printed if they agree.
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
import torch
from lifelines.utils import concordance_index as lifelines_concordance
from sksurv import metrics as sksurv
from torchsurv.metrics.auc import Auc
from torchsurv.metrics.brier_score import BrierScore
from torchsurv.stats.ipcw import get_ipcw

from vesalius.outcome import metrics, survival_array

warnings.filterwarnings("ignore")


def measure(function, repeats=3):
    best_cpu = best_wall = np.inf
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        result = function()
        best_cpu, best_wall = min(best_cpu, time.process_time() - cpu), min(best_wall, time.perf_counter() - wall)
    return best_cpu, best_wall, result


def row(what, ours, peers, r=None, rtol=1e-6):
    """One line: ours, each peer, and how many times faster than the fastest peer we are."""
    cpu, wall, value = measure(ours, 5)
    text, fastest = [f"vesalius {cpu:.4f} ({wall:.4f})"], np.inf
    for name, function in peers.items():
        their_cpu, their_wall, theirs = measure(function, 1)
        if theirs is not None:
            np.testing.assert_allclose(
                theirs, value, rtol=rtol if name != "torchsurv" else 1e-3, err_msg=f"{what}: {name}"
            )
        text.append(f"{name} {their_cpu:.3f} ({their_wall:.3f})")
        fastest = min(fastest, their_cpu)
    if r is not None:
        np.testing.assert_allclose(r["value"], value, rtol=rtol, err_msg=f"{what}: R")
        text.append(f"R {r['seconds']:.3f}")
        fastest = min(fastest, r["seconds"])
    times = f"  {fastest / cpu:.0f} x" if np.isfinite(fastest) else ""
    print(f"{what:44s} {'  '.join(text)}{times}", flush=True)


def survival(n, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    t, c = rng.exponential(np.exp(-0.7 * x)), rng.exponential(1.5, n)
    return (t <= c, np.round(np.minimum(t, c), 4)), x.round(3)


R_SCRIPT = """
suppressMessages(library(survival)); a <- commandArgs(TRUE); d <- read.csv(a[1])
seconds <- function(f) { best <- Inf; for (i in 1:3) { gc(FALSE); s <- system.time(v <- f()); best <- min(best, s[[1]] + s[[2]]) }; list(seconds = best, value = v) }
y <- Surv(d$time, d$event)
r <- list(harrell = seconds(function() concordance(y ~ x, data = d, reverse = TRUE)$concordance),
          uno = seconds(function() concordance(y ~ x, data = d, reverse = TRUE, timewt = "n/G2")$concordance))
cat(sprintf('{"harrell": {"seconds": %.4f, "value": %.15g}, "uno": {"seconds": %.4f, "value": %.15g}}', r$harrell$seconds, r$harrell$value,
            r$uno$seconds, r$uno$value))
"""


def in_r(y, x):
    if shutil.which("Rscript") is None:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "d.csv"
        np.savetxt(table, np.c_[y[1], y[0], x], delimiter=",", header="time,event,x", comments="", fmt="%.6f")
        script = Path(folder) / "bench.R"
        script.write_text(R_SCRIPT)
        return json.loads(subprocess.run(["Rscript", script, table], capture_output=True, check=True, text=True).stdout)


def bench_concordance(n, slow):
    y, x = survival(n)
    structured, r = survival_array(*y), in_r(y, x)
    peers = {"lifelines": lambda: lifelines_concordance(y[1], -x, y[0])}
    if slow:
        peers["scikit-survival"] = lambda: sksurv.concordance_index_censored(y[0], y[1], x)[0]
    row(f"Harrell's C with error, n={n}", lambda: metrics.concordance_index(y, x).value, peers, r.get("harrell"))
    row(f"Uno's C with error, n={n}", lambda: metrics.concordance_index(y, x, weighting="uno").value, {}, r.get("uno"))
    peers = (
        {"scikit-survival": lambda: sksurv.concordance_index_ipcw(structured, structured, x, tau=1.5)[0]}
        if slow
        else {}
    )
    row(
        f"Uno's C, tau, G(t), n={n}",
        lambda: metrics.concordance_index(y, x, weighting="uno", tau=1.5, tau_included=False, g="t").value,
        peers,
    )
    row(
        f"all variants in one call, n={n}",
        lambda: metrics.concordance_variants(y, x, tau=1.5)["estimate"]["harrell"],
        {},
    )


def bench_over_time(n, slow):
    y, x = survival(n)
    structured = survival_array(*y)
    times = np.quantile(y[1][y[0]], np.linspace(0.05, 0.9, 20))
    curves = np.exp(-np.exp(0.6 * x)[:, None] * times)
    usual = {"g": "t"}
    event, follow_up = torch.tensor(y[0]), torch.tensor(y[1])
    at = torch.tensor(times)
    peers = {"scikit-survival": lambda: sksurv.cumulative_dynamic_auc(structured, structured, x, times)[0]}
    if slow:

        def torchsurv_auc():
            w, w_new = get_ipcw(event, follow_up), get_ipcw(event, follow_up, at)
            Auc()(torch.tensor(x), event, follow_up, new_time=at, weight=w, weight_new_time=w_new)

        peers["torchsurv"] = torchsurv_auc
    row(
        f"AUC(t) at 20 times with errors, n={n}",
        lambda: metrics.cumulative_dynamic_auc(y, x, times, **usual).table["auc"].to_numpy(),
        peers,
    )
    row(
        f"AUC(t) at 20 times, n={n}",
        lambda: metrics.cumulative_dynamic_auc(y, x, times, standard_error=False, **usual).table["auc"].to_numpy(),
        {"scikit-survival": peers["scikit-survival"]},
    )
    peers = {"scikit-survival": lambda: sksurv.brier_score(structured, structured, curves, times)[1]}
    if slow:

        def torchsurv_brier():
            w, w_new = get_ipcw(event, follow_up), get_ipcw(event, follow_up, at)
            BrierScore()(torch.tensor(curves), event, follow_up, new_time=at, weight=w, weight_new_time=w_new)

        peers["torchsurv"] = torchsurv_brier
    row(
        f"Brier, null, IPA at 20 times with errors, n={n}",
        lambda: metrics.brier_curve(y, curves, times, **usual).table["brier"].to_numpy(),
        peers,
    )
    row(
        f"Brier, null, IPA at 20 times, n={n}",
        lambda: metrics.brier_curve(y, curves, times, standard_error=False, **usual).table["brier"].to_numpy(),
        {"scikit-survival": peers["scikit-survival"]},
    )
    row(f"Antolini's C of 20 columns, n={n}", lambda: metrics.concordance_td(y, curves, times).value, {})


def bench_bootstrap(n):
    y, x = survival(n)

    def ours(**kwargs):
        return metrics.bootstrap_concordance(y, x, replicates=1000, **kwargs).standard_error

    row(f"1000 bootstrap replicates of Harrell's C, n={n}", ours, {})
    row(f"1000 bootstrap replicates of Uno's C, n={n}", lambda: ours(weighting="uno", tau=1.5), {})
    rng = np.random.default_rng(0)
    label, score = rng.random(n) < 0.3, rng.normal(size=n)
    row(f"1000 bootstrap replicates of an AUC, n={n}", lambda: metrics.bootstrap_auc(label, score).standard_error, {})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="n = 10,000 only")
    quick = parser.parse_args().quick
    print(f"CPU seconds (wall seconds), least of the runs; {torch.get_num_threads()} threads")
    for n in (10_000,) if quick else (10_000, 100_000):
        bench_concordance(n, slow=n <= 10_000)
        bench_over_time(n, slow=n <= 10_000)
    bench_bootstrap(10_000)


if __name__ == "__main__":
    main()
