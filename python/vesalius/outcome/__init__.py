# SPDX-License-Identifier: Apache-2.0
"""Outcome prediction: survival and classification, with their measures."""

from __future__ import annotations

from . import metrics, validation
from ._competing import AalenJohansen, GrayTest, gray_test
from ._cox import CoxPH
from ._cox_net import CoxNet, CoxNetCV
from ._curves import KaplanMeier, LogRank, NelsonAalen, RestrictedMean, log_rank, restricted_mean
from ._data import survival_array
from ._fine_gray import FineGray
from ._growth import GrowthCurve
from ._linear import LinearRegression, LinearRegressionCV
from ._logistic import LogisticRegression, LogisticRegressionCV
from ._multinomial import FirthLogisticRegression, MultinomialRegression
from ._ordinal import OrdinalRegression
from ._parametric import ParametricSurvival, interval_array
from ._selection import RedundancyFilter
from .validation import bootstrap_interval, nested_cross_validation, permutation_p_value, repeated_stratified_cv

__all__ = [
    "AalenJohansen",
    "CoxNet",
    "CoxNetCV",
    "CoxPH",
    "FineGray",
    "FirthLogisticRegression",
    "GrayTest",
    "GrowthCurve",
    "KaplanMeier",
    "LinearRegression",
    "LinearRegressionCV",
    "LogRank",
    "LogisticRegression",
    "LogisticRegressionCV",
    "MultinomialRegression",
    "NelsonAalen",
    "OrdinalRegression",
    "ParametricSurvival",
    "RedundancyFilter",
    "RestrictedMean",
    "bootstrap_interval",
    "gray_test",
    "interval_array",
    "log_rank",
    "metrics",
    "nested_cross_validation",
    "permutation_p_value",
    "repeated_stratified_cv",
    "restricted_mean",
    "survival_array",
    "validation",
]
