# SPDX-License-Identifier: Apache-2.0
"""Start-stop data, exact ties, residuals, robust errors, tests of proportional hazards, Fine and Gray, against R."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from vesalius.outcome import CoxPH, FineGray, survival_array

sys.path.insert(0, str(Path(__file__).parent))
from gold import FOLDER, GOLD, NAMES, check, load

WITH_COX = [n for n in NAMES if "coxph_efron" in GOLD[n]]


@pytest.mark.parametrize("name", WITH_COX)
def test_residuals_robust_errors_and_zph_equal_r(name):
    """Oracle: R's residuals(type="martingale"), coxph(robust=TRUE) and cox.zph(terms=FALSE)."""
    X, y = load(name)
    model = CoxPH(robust=True).fit(X, y)
    check(name, "martingale_first10", model.residuals(X, y)[:10], abs=1e-9)
    check(name, "robust_se", model.summary()["se"], labels=X.columns)
    table = model.proportional_hazards(X, y)
    rows = [*range(len(X.columns)), len(X.columns)]
    gold = GOLD[name]["zph"]
    check(name, "zph/chisq", table["chi_squared"].iloc[rows], labels=gold["names"])
    check(name, "zph/p", table["p"].iloc[rows], labels=gold["names"], abs=1e-12)


def heart():
    table = pd.read_csv(FOLDER / "r_heart.csv")
    y = np.array(
        list(zip(table["event"] == 1, table["start"], table["stop"], strict=True)),
        dtype=[("event", bool), ("start", float), ("stop", float)],
    )
    return table[["age", "year", "surgery", "transplant"]], y, table


def test_start_stop_equals_r():
    """Oracle: R's coxph(Surv(start, stop, event) ~ age + year + surgery + transplant, heart)."""
    X, y, _ = heart()
    model = CoxPH().fit(X, y)
    check("extra_heart_startstop", "coef", model.coef_, labels=X.columns)
    check("extra_heart_startstop", "loglik", [model.log_likelihood_null_, model.log_likelihood_], rel=1e-9)
    other = CoxPH().fit(X, (y["event"], y["stop"]), entry=y["start"])
    np.testing.assert_array_equal(other.coef_, model.coef_)


def test_exact_ties_equal_r():
    """Oracle: R's coxph(ties="exact") on its own lung."""
    table = pd.read_csv(FOLDER / "r_lung.csv").dropna(subset=["age", "sex"])
    y = survival_array(table["status"] == 2, table["time"])
    model = CoxPH(ties="exact").fit(table[["age", "sex"]], y)
    check("extra_lung_exact", "coef", model.coef_, labels=["age", "sex"])
    check("extra_lung_exact", "loglik", [model.log_likelihood_null_, model.log_likelihood_], rel=1e-9)


@pytest.mark.parametrize("cause", [1, 2])
def test_fine_gray_equals_r(cause):
    """Oracle: R's cmprsk::crr, its coefficient, sandwich error and log-likelihood."""
    table = pd.read_csv(FOLDER / "bmt.csv")
    X, y = table.iloc[:, 2:], (table["event"], table["time"])
    model = FineGray(cause=cause).fit(X, y)
    check("bmt", f"finegray_cause{cause}/coef", model.coef_, labels=X.columns)
    check("bmt", f"finegray_cause{cause}/se", model.summary()["se"], labels=X.columns)
    check("bmt", f"finegray_cause{cause}/loglik", model.log_likelihood_, rel=1e-9)
