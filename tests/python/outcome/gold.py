# SPDX-License-Identifier: Apache-2.0
"""The data sets and R's values for them; see tests/data/outcome/SOURCE.md. `check` compares and records: see validation.py."""

import json
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd

from vesalius.outcome import survival_array

sys.path.insert(0, str(Path(__file__).parent))
import validation

FOLDER = Path(__file__).parents[2] / "data" / "outcome"
GOLD = {k: v for k, v in json.loads((FOLDER / "r_gold.json").read_text()).items() if k != "versions"}
NAMES = [k for k, v in GOLD.items() if "n" in v]


def load(name: str) -> tuple[pd.DataFrame, np.ndarray]:
    if name.startswith("deepsurv_"):
        with h5py.File(FOLDER / "deepsurv_train.h5") as file:
            group = file[name.split("_")[1]]
            x = pd.DataFrame(group["x"][:].astype(float))
            return x.set_axis([f"x{j}" for j in x.columns], axis=1), survival_array(
                group["e"][:], group["t"][:].astype(float)
            )
    path = FOLDER / f"{name}.csv"
    table = pd.read_csv(path if path.exists() else f"{path}.gz")
    return table.iloc[:, 2:], survival_array(table["event"] == 1, table["time"])


def values(entry) -> np.ndarray:
    """R writes one number without brackets, and NA as a word."""
    return np.array([np.nan if v == "NA" else v for v in np.atleast_1d(np.asarray(entry, dtype=object))], dtype=float)


def later(times) -> np.ndarray:
    """R's file has 15 digits: a hair later, so as to be at the time and not just before it."""
    return values(times) * (1 + 1e-12) + 1e-12


def check(section: str, quantity: str, ours: Any, reference: Any = None, **options: Any) -> None:
    """Asserts |ours − R| ≤ abs + rel·|R| and writes both into docs/outcome-validation.md. Without `reference` it is
    GOLD[section][quantity], slashes between keys. Options: rel=1e-6, abs=0, source="R 4.2.2", labels (of the values)."""
    validation.record(GOLD, section, quantity, ours, reference, **options)


def differs(
    section: str, quantity: str, ours: Any, reference: Any = None, *, within: float, why: str, **options: Any
) -> None:
    """Where R has another definition or rounds: asserts |ours − R| ≤ within; the page shows both and says why."""
    validation.record(GOLD, section, quantity, ours, reference, rel=0.0, abs=within, why=why, **options)
