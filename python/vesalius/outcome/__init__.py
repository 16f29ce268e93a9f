# SPDX-License-Identifier: Apache-2.0
"""Outcome prediction: survival and classification, with their measures."""

from __future__ import annotations

from . import metrics, validation
from ._cox import CoxPH
from ._curves import KaplanMeier, LogRank, log_rank
from ._data import survival_array
from ._logistic import LogisticRegression, LogisticRegressionCV
from ._selection import RedundancyFilter
from .validation import bootstrap_interval, nested_cross_validation, permutation_p_value, repeated_stratified_cv

__all__ = [
    "CoxPH",
    "KaplanMeier",
    "LogRank",
    "LogisticRegression",
    "LogisticRegressionCV",
    "RedundancyFilter",
    "bootstrap_interval",
    "log_rank",
    "metrics",
    "nested_cross_validation",
    "permutation_p_value",
    "repeated_stratified_cv",
    "survival_array",
    "validation",
]
