# SPDX-License-Identifier: Apache-2.0
"""What is done to a study as a whole: check, mend, pack. `vesalius.store` offers these functions."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from .._vesalius import store as _store
from ..errors import IoError

PathLike = str | os.PathLike[str]


def repair(path: PathLike) -> list[str]:
    """Makes the index anew from the case files.

    Returns what could not be taken over, one sentence each. Predictions are kept where the old index can be read.
    """
    return list(_store.repair(os.fspath(path)))


def pack(path: PathLike, out: PathLike) -> Path:
    """One self-contained file with everything, to be moved, sent and read; `unpack` it to write to it."""
    _store.pack(os.fspath(path), os.fspath(out))
    return Path(out)


def unpack(path: PathLike, out: PathLike) -> Path:
    """The reverse of `pack`."""
    _store.unpack(os.fspath(path), os.fspath(out))
    return Path(out)


@dataclass(frozen=True)
class VerifyReport:
    """What `verify` found."""

    path: Path
    problems: list[str]

    @property
    def ok(self) -> bool:
        return not self.problems

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        if self.ok:
            return f"{self.path}: all is well"
        return f"{self.path}: {len(self.problems)} problems\n" + "\n".join(f"  - {p}" for p in self.problems)


def verify(path: PathLike, *, megabytes: int = 4096, seconds: int = 600) -> VerifyReport:
    """Checks a study, for example one from a stranger, in a process of its own.

    Format version, checksums of all voxels, links and storage that lead out of the study's own files, tables that
    contradict each other. HDF5 1.10 crashes on some hostile files: such a crash is reported, not suffered.

    Parameters
    ----------
    megabytes, seconds
        What the checking process may use: memory besides its libraries, and time.
    """
    import json
    import signal
    import subprocess
    import sys

    path = Path(path)
    if not path.exists():
        raise IoError(f"there is no study {path}")
    command = [sys.executable, "-m", "vesalius._verify", os.path.abspath(path), str(megabytes), str(seconds)]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, [_package_parent(), os.environ.get("PYTHONPATH")])),
    }
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds + 60, env=environment, check=False
        )
    except subprocess.TimeoutExpired:
        return VerifyReport(path, [f"the check took more than {seconds} s"])
    if done.returncode == 0:
        return VerifyReport(path, [str(p) for p in json.loads(done.stdout.splitlines()[-1])])
    if done.returncode < 0:
        cause = signal.Signals(-done.returncode).name
        limit = f"; {seconds} s of processor time were used up" if cause == "SIGXCPU" else ""
        return VerifyReport(path, [f"reading it ended the checking process ({cause}{limit}): don't open this study"])
    last = (done.stderr.strip().splitlines() or ["no message"])[-1]
    return VerifyReport(path, [f"the check could not be finished: {last}"])


def _package_parent() -> str:
    """The folder that `import vesalius` found the package in, links unresolved."""
    return os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
