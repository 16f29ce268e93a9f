# SPDX-License-Identifier: Apache-2.0
"""Prints the requirements in pyproject.toml, one a line: requirements.py [build] [run] [EXTRA…]."""

import sys
from pathlib import Path

try:
    import tomllib
except ImportError:  # Python 3.10
    from pip._vendor import tomli as tomllib

project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())
lists = dict(project["project"]["optional-dependencies"])
# cmake and ninja: the distribution's may be too old for nvcc's C++20 (Debian 12: 3.25 and nvcc 13).
lists["build"] = [*project["build-system"]["requires"], "cmake>=3.25", "ninja"]
lists["run"] = next(entry["requirements"] for entry in project["tool"]["dynamic-metadata"] if "requirements" in entry)
print("\n".join(line for name in sys.argv[1:] for line in lists[name]))
