# SPDX-License-Identifier: Apache-2.0
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # study_cases.py, for the tests of this folder


@pytest.fixture
def path(tmp_path):
    return tmp_path / "study.h5"
