# SPDX-License-Identifier: Apache-2.0
"""Radiomics features as the Image Biomarker Standardisation Initiative (IBSI) defines them.

>>> settings = vs.radiomics.Settings(resample=(1, 1, 1), resegment=(-1000, 400), bin_width=25)
>>> features = vs.radiomics.extract(image, mask, settings)
>>> features["morph_volume"], features["RNU0"], features["original_shape_MeshVolume"]   # one and the same

The standard: Zwanenburg et al., Radiology 2020;295:328-338, doi 10.1148/radiol.2020191145, and its reference
manual, arXiv:1612.07003v11; "section" in the catalogue is a section of that manual. docs/ibsi.md lists every
reference value beside ours.
"""

from __future__ import annotations

from . import _operators as _operators
from ._batch import Batch, extract_batch
from ._catalogue import catalogue, columns, families, find_feature
from ._extract import extract, extract_channels, extract_labels, extract_slices, extract_study
from ._features import Features
from ._settings import Settings
from ._settings import _settings as _settings
from ._study import ExtractionError

__all__ = [
    "Batch",
    "ExtractionError",
    "Features",
    "Settings",
    "catalogue",
    "columns",
    "extract",
    "extract_batch",
    "extract_channels",
    "extract_labels",
    "extract_slices",
    "extract_study",
    "families",
    "find_feature",
]
