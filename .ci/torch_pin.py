# SPDX-License-Identifier: Apache-2.0
"""Runtime dependencies of a build: the listed ones and torch, pinned to the minor version that was built for.

Called by scikit-build-core ([[tool.dynamic-metadata]] in pyproject.toml). torch isn't imported, its version is read.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_state = "sdist"


def build_state(state: str) -> None:
    global _state
    _state = state


def _installed_minor() -> str | None:
    spec = importlib.util.find_spec("torch")
    if spec is None or not spec.submodule_search_locations:
        return None
    version = Path(spec.submodule_search_locations[0]) / "version.py"
    found = re.search(r"__version__ = ['\"](\d+\.\d+)", version.read_text())
    return found.group(1) if found else None


def dynamic_metadata(settings: Mapping[str, Any], _project: Mapping[str, Any]) -> dict[str, Any]:
    minor = None if _state == "sdist" else _installed_minor()
    torch = f"torch=={minor}.*" if minor else settings["torch"]
    return {"dependencies": [torch, *settings["requirements"]]}


def dynamic_wheel(_settings: Mapping[str, Any]) -> dict[str, bool]:
    return {"dependencies": True}
