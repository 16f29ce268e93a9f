# SPDX-License-Identifier: Apache-2.0
"""Outcome prediction: survival and classification, with their measures."""

from __future__ import annotations

from . import metrics, validation
from ._data import survival_array
from ._logistic import LogisticRegression, LogisticRegressionCV
from ._selection import RedundancyFilter
from .validation import bootstrap_interval, nested_cross_validation, permutation_p_value, repeated_stratified_cv

__all__ = [
    "LogisticRegression",
    "LogisticRegressionCV",
    "RedundancyFilter",
    "bootstrap_interval",
    "metrics",
    "nested_cross_validation",
    "permutation_p_value",
    "repeated_stratified_cv",
    "survival_array",
    "validation",
]
