# SPDX-License-Identifier: Apache-2.0
"""Outcome prediction: survival and classification, with their measures."""

from __future__ import annotations

from . import metrics
from ._data import survival_array
from ._logistic import LogisticRegression, LogisticRegressionCV

__all__ = ["LogisticRegression", "LogisticRegressionCV", "metrics", "survival_array"]
