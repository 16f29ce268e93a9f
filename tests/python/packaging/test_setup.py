# SPDX-License-Identifier: Apache-2.0
"""What `.ci/setup` says on a machine that it can't serve. (That it serves one is what `make test` itself shows.)"""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def machine(tmp_path):
    """A copy of the set-up and a PATH with the shell's own tools only; add(name, script) puts another there."""
    shutil.copytree(ROOT / ".ci", tmp_path / "repo" / ".ci")
    shutil.copy(ROOT / "pyproject.toml", tmp_path / "repo")
    path = tmp_path / "bin"
    path.mkdir()
    for tool in ("bash", "dirname", "sed", "cut", "cat", "env", "sha256sum"):
        (path / tool).symlink_to(shutil.which(tool))
    (path / "python3").symlink_to(sys.executable)

    def add(name: str, script: str) -> None:
        (path / name).write_text(f"#!{shutil.which('bash')}\n{script}\n")
        (path / name).chmod(0o755)

    def setup() -> subprocess.CompletedProcess:
        return subprocess.run(
            ["bash", ".ci/setup", "test"],
            cwd=tmp_path / "repo",
            env={"PATH": str(path)},
            capture_output=True,
            text=True,
            timeout=60,
        )

    return add, setup


def test_without_apt_the_packages_are_named(machine):
    """Mechanics."""
    _, setup = machine
    result = setup()
    assert result.returncode == 1
    assert (
        "no apt" in result.stderr
        and "libinsighttoolkit5-dev" in result.stderr
        and "VESALIUS_SKIP_SYSTEM" in result.stderr
    )


def test_without_rights_the_command_to_ask_for_is_given(machine):
    """Mechanics: nothing is installed, the user isn't root, and there is no sudo."""
    add, setup = machine
    add("dpkg-query", "exit 1")
    add("apt-get", "exit 1")
    add("id", "echo 1000")
    result = setup()
    assert result.returncode == 1
    assert "nor has sudo" in result.stderr and "apt-get install g++ make git" in result.stderr
