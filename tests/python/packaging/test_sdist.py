# SPDX-License-Identifier: Apache-2.0
"""The source archive holds what a build needs, and no data."""

import subprocess
import sys
import tarfile
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def sdist(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sdist")
    made = subprocess.run(
        [sys.executable, "-m", "build", "--sdist", "--no-isolation", "--outdir", folder, ROOT],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    archive = next(folder.glob("*.tar.gz"))
    with tarfile.open(archive) as tar:
        names = {PurePosixPath(*PurePosixPath(name).parts[1:]) for name in tar.getnames()}
        information = tar.extractfile(archive.name.removesuffix(".tar.gz") + "/PKG-INFO").read().decode()
    return names, information, archive.stat().st_size


def test_sdist_holds_every_source(sdist):
    """Mechanics: each file that CMake and pip read, or a build from it would fail."""
    names = {str(name) for name in sdist[0]}
    wanted = [
        *ROOT.glob("src/**/*.*"),
        *ROOT.glob("include/**/*.*"),
        *ROOT.glob("python/**/*.py*"),
        *ROOT.glob("python/bindings/*"),
    ]
    relative = {str(file.relative_to(ROOT)) for file in wanted if file.is_file() and "__pycache__" not in file.parts}
    relative |= {"CMakeLists.txt", "pyproject.toml", "LICENSE", ".ci/torch_pin.py", "tests/cpp/CMakeLists.txt"}
    assert not relative - names


def test_sdist_holds_no_data(sdist):
    """Mechanics: images of CC BY-NC may lie in tests/data; and megabytes don't belong in it."""
    names, _, size = sdist
    assert not [name for name in names if name.parts[0] in ("build", ".venv", "report") or "data" in name.parts[:-1]]
    assert size < 3e6


def test_sdist_leaves_the_choice_of_torch_to_the_build(sdist):
    """Mechanics: a range in the archive; the wheel made of it names the minor version (test_wheel.py)."""
    _, information, _ = sdist
    assert "Requires-Dist: torch<2.16,>=2.11" in information or "Requires-Dist: torch>=2.11,<2.16" in information
    assert "Dynamic: Requires-Dist" in information
