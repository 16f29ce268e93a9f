# SPDX-License-Identifier: Apache-2.0
"""Builds C++ projects against the installed package."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import vesalius

Build = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def cmake() -> Build:
    """cmake(source, build, *options, prefix=…) configures; the result has the output of both streams."""

    def configure(source: Path, build: Path, *options: str, prefix: str = vesalius.cmake_prefix_path):
        return subprocess.run(
            [
                "cmake",
                "-G",
                "Ninja",
                "-S",
                source,
                "-B",
                build,
                f"-DCMAKE_PREFIX_PATH={prefix}",
                f"-DPython_EXECUTABLE={sys.executable}",
                "-DCMAKE_BUILD_TYPE=Release",
                "-DCMAKE_CXX_FLAGS_RELEASE=-O0",
                *options,
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            env={**os.environ, "CCACHE_NOHASHDIR": "1"},
        )

    return configure


@pytest.fixture(scope="session")
def build_cpp(cmake: Build) -> Callable[..., Path]:
    """build_cpp(source, build, target) → the program."""

    def build(source: Path, folder: Path, target: str, *options: str, **where: str) -> Path:
        configured = cmake(source, folder, *options, **where)
        assert configured.returncode == 0, configured.stdout
        built = subprocess.run(
            ["cmake", "--build", folder, "--target", target],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
        )
        assert built.returncode == 0, built.stdout
        return folder / target

    return build
