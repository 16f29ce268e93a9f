# SPDX-License-Identifier: Apache-2.0
"""The data sets and R's values for them; see tests/data/outcome/SOURCE.md."""

import json
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from vesalius.outcome import survival_array

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
