# SPDX-License-Identifier: Apache-2.0
"""Writes docs/outcome-validation.md at the end of a session in which every outcome test ran and passed."""

import sys
from pathlib import Path

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER))

import gold  # noqa: E402
import validation  # noqa: E402

state = {"deselected": False, "files": set(), "failed": False}


def pytest_deselected(items):
    state["deselected"] = state["deselected"] or any(FOLDER in i.path.parents for i in items)


def pytest_collection_finish(session):
    state["files"] = {i.path.name for i in session.items if FOLDER in i.path.parents}
    state["deselected"] = state["deselected"] or any("::" in a for a in session.config.args)


def pytest_runtest_logreport(report):
    if "tests/python/outcome/" in report.nodeid and report.failed:
        state["failed"] = True


def pytest_sessionfinish(session, exitstatus):
    every = {p.name for p in FOLDER.glob("test_*.py")}
    whole = state["files"] == every and not state["deselected"] and not state["failed"] and exitstatus in (0, 1)
    if whole and not hasattr(session.config, "workerinput") and not session.config.option.collectonly:
        validation.write(gold.GOLD)
