# SPDX-License-Identifier: Apache-2.0
"""The demo and the notebooks run as they stand in the repository."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parents[3]


def test_demo_end_to_end(tmp_path):
    """All 51 patients, fewer repeats than `make demo`; interrupted by nothing, it goes on from its own study the second time."""
    command = [
        sys.executable,
        str(ROOT / "examples/sarcoma/run.py"),
        "--study",
        "study.h5",
        "--report",
        "report",
        "--repeats",
        "2",
        "--permutations",
        "4",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "report" / "index.html").read_text()
    for needed in ("51 patients", "95 % interval", "volume alone", "permutation", "Valli", "SHA-256"):
        assert needed in page
    for picture in re.findall(r"src='([^']+)'", page):
        assert (tmp_path / "report" / picture).stat().st_size > 5_000
    auc = re.search(r"radiomics: AUC (\d\.\d\d)", done.stdout)
    assert auc and 0.3 < float(auc.group(1)) < 1.0
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert again.returncode == 0, again.stderr
    assert re.search(r"radiomics: AUC (\d\.\d\d)", again.stdout).group(0) == auc.group(0)


def test_hippocampus_example(tmp_path):
    """The trained bundle on five cases it never saw. Oracle: the expert's contours, by the Dice that training reached on all
    40 held-out cases (0.89 and 0.87), less the spread of five cases."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples/hippocampus/run.py"), "--output", "out"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(tmp_path / "out" / "measures.csv")
    assert len(table) == 10 and len(list((tmp_path / "out").glob("*.nii.gz"))) == 5
    dice = table.groupby("part")["Dice"]
    assert dice.mean()["anterior"] > 0.86 and dice.mean()["posterior"] > 0.84 and dice.min().min() > 0.75
    assert table["95 % Hausdorff (mm)"].mean() < 2
    assert (tmp_path / "out" / "first_case.png").stat().st_size > 20_000


@pytest.mark.parametrize("notebook", sorted(p.name for p in (ROOT / "notebooks").glob("*.ipynb")))
def test_notebook_runs(notebook):
    """Every code cell, in order, in one process, from the notebook's own folder."""
    cells = json.loads((ROOT / "notebooks" / notebook).read_text())["cells"]
    source = "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    done = subprocess.run(
        [sys.executable, "-c", source],
        cwd=ROOT / "notebooks",
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "MPLBACKEND": "Agg"},
    )
    assert done.returncode == 0, done.stderr
