# SPDX-License-Identifier: Apache-2.0
"""The committed stubs say what the extension has, and the package passes mypy."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_stubs_are_current(tmp_path):
    """Regression: made again from the installed extension, they are what is committed. If not: `make stubs`."""
    subprocess.run([sys.executable, ROOT / ".ci/stubs.py", tmp_path], check=True, timeout=300)
    made, committed = (
        {str(file.relative_to(folder)): file.read_text() for file in folder.rglob("*.pyi")}
        for folder in (tmp_path / "_vesalius", ROOT / "python/vesalius/_vesalius")
    )
    assert made.keys() == committed.keys()
    stale = [name for name in made if made[name] != committed[name]]
    assert not stale, f"{stale} differ from the extension: run `make stubs`"


def test_package_passes_mypy():
    """Mechanics: strict, as pyproject.toml sets it."""
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", ROOT / "pyproject.toml"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert checked.returncode == 0, checked.stdout
