# SPDX-License-Identifier: Apache-2.0
"""Measures of prediction, each with its uncertainty.

Every measure is a small object that is also a number: ``float(roc_auc(y, score))``.
"""

from __future__ import annotations

from ._common import binary, vector
from ._common import interval as _interval
from ._smooth import Distance
from .bootstrap import Bootstrap, bootstrap_auc, bootstrap_concordance, bootstrap_measure
from .brier import BrierOverTime, BrierScore, brier_curve, brier_score
from .calibration import Calibration, calibration
from .concordance import (
    Concordance,
    ConcordanceProbability,
    ConcordanceTest,
    concordance_index,
    concordance_probability,
    concordance_td,
    concordance_test,
    concordance_variants,
)
from .groups import ByGroup, by_group
from .net_benefit import DecisionCurve, NetBenefit, decision_curve, net_benefit
from .over_time import AucOverTime, IncidentAuc, cumulative_dynamic_auc, incident_dynamic_auc
from .regression import PredictionError, mean_absolute_error, r_squared, root_mean_squared_error
from .roc import AveragePrecision, DelongTest, RocAuc, RocCurve, average_precision, delong_test, roc_auc, roc_curve
from .survival_calibration import DCalibration, SurvivalCalibration, d_calibration, survival_calibration

__all__ = [
    "AucOverTime",
    "AveragePrecision",
    "Bootstrap",
    "BrierOverTime",
    "BrierScore",
    "ByGroup",
    "Calibration",
    "Concordance",
    "ConcordanceProbability",
    "ConcordanceTest",
    "DCalibration",
    "DecisionCurve",
    "DelongTest",
    "Distance",
    "IncidentAuc",
    "NetBenefit",
    "PredictionError",
    "RocAuc",
    "RocCurve",
    "SurvivalCalibration",
    "average_precision",
    "bootstrap_auc",
    "bootstrap_concordance",
    "bootstrap_measure",
    "brier_curve",
    "brier_score",
    "by_group",
    "calibration",
    "concordance_index",
    "concordance_probability",
    "concordance_td",
    "concordance_test",
    "concordance_variants",
    "cumulative_dynamic_auc",
    "d_calibration",
    "decision_curve",
    "delong_test",
    "incident_dynamic_auc",
    "mean_absolute_error",
    "net_benefit",
    "r_squared",
    "roc_auc",
    "roc_curve",
    "root_mean_squared_error",
    "survival_calibration",
]
