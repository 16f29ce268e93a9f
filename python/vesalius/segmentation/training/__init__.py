# SPDX-License-Identifier: Apache-2.0
"""Training as nnU-Net v2 trains; every part can be replaced.

>>> import vesalius as vs
>>> result = vs.segmentation.train("data/", out="run/", preset="small", minutes=25)     # doctest: +SKIP
>>> result["dice"]                                                                       # doctest: +SKIP
"""

from __future__ import annotations

from .batches import Batches
from .bundles import write_bundle
from .cascade import CascadeCase
from .ensembles import find_best_configuration
from .evaluate import best_configuration, keep_largest, learn_postprocessing, summarise, validate_cases
from .run import train
from .schedule import poly_lr, split
from .settings import TrainingSettings, network_spec
from .trainer import Trainer
from .weights import load_pretrained

__all__ = [
    "Batches",
    "CascadeCase",
    "Trainer",
    "TrainingSettings",
    "best_configuration",
    "find_best_configuration",
    "keep_largest",
    "learn_postprocessing",
    "load_pretrained",
    "network_spec",
    "poly_lr",
    "split",
    "summarise",
    "train",
    "validate_cases",
    "write_bundle",
]
