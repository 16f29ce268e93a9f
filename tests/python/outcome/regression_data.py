# SPDX-License-Identifier: Apache-2.0
"""The data that regression.R makes by arithmetic, made again."""

import json

import numpy as np
import pandas as pd
from gold import FOLDER
from scipy.stats import norm

REGRESSION = json.loads((FOLDER / "regression_gold.json").read_text())


def made():
    """300 subjects: X, a score s, an ordered level 1 to 4, a kind 0 to 2, weights 1 to 3."""
    i = np.arange(1, 301)

    def noise(k):
        return (i * k) % 1009 / 1009 - 0.5

    X = pd.DataFrame({"a": noise(7919), "b": 10 * noise(104729) + 3, "c": (i % 2).astype(float)})
    s = (1.5 * X["a"] - 0.15 * X["b"] + 0.6 * X["c"] + 3 * noise(1299709)).to_numpy()
    level = np.searchsorted([-1, 0, 0.8], s, side="left") + 1
    return X, s, level, (level + (i * 31) % 5) % 3, i % 3 + 1


def visits():
    """60 subjects with 3 to 7 visits: X (month, age), score, subject."""
    m = np.arange(1, 61)
    subject = np.repeat(m, 3 + m % 5)
    k = np.arange(1, len(subject) + 1)
    number = pd.Series(subject).groupby(subject).cumcount().to_numpy() + 1
    month = number * 1.5 + (k * 7919) % 13 / 13
    age = 50 + (subject * 37) % 30.0

    def g(k, p, q):
        return norm.ppf((k * p % q + 0.5) / q)

    score = (
        40 + 3 * month - 0.2 * age + 6 * g(subject, 17, 61) + 1.1 * month * g(subject, 29, 61) + 2 * g(k, 7919, 1009)
    )
    return pd.DataFrame({"month": month, "age": age}), score, subject
