# SPDX-License-Identifier: Apache-2.0
"""The study: images, masks, clinical data, outcomes, features and predictions of a cohort, with where they came from.

On disk a study is ``study.h5``, the index, and one file a case in ``study.cases/``; ``docs/study-format.md`` describes
both field by field, and h5py reads them without Vesalius. Every change is on disk when its call returns, and a process
killed at any moment leaves a study that opens.
"""

from ._maintenance import VerifyReport, pack, repair, unpack, verify
from ._study import Study

__all__ = ["Study", "VerifyReport", "pack", "repair", "unpack", "verify"]
