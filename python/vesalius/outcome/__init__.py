# SPDX-License-Identifier: Apache-2.0
"""Outcome prediction: survival and classification, with their measures."""

from __future__ import annotations

from . import metrics, validation
from ._competing import AalenJohansen, GrayTest, gray_test
from ._cox import CoxPH
from ._curves import KaplanMeier, LogRank, NelsonAalen, RestrictedMean, log_rank, restricted_mean
from ._data import survival_array
from ._fine_gray import FineGray
from ._logistic import LogisticRegression, LogisticRegressionCV
from ._selection import RedundancyFilter
from .validation import bootstrap_interval, nested_cross_validation, permutation_p_value, repeated_stratified_cv

__all__ = [
    "AalenJohansen",
    "GrayTest",
    "NelsonAalen",
    "RestrictedMean",
    "gray_test",
    "restricted_mean",
    "CoxPH",
    "FineGray",
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
