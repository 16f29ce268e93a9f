# SPDX-License-Identifier: Apache-2.0
"""`python -m vesalius._verify STUDY MEGABYTES SECONDS`: a study's check in a process of its own, for HDF5 crashes on
some hostile files. Prints a JSON list of problems."""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path


def _used_address_space() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if Path("/proc/self/statm").exists() else 0
    return pages * resource.getpagesize()


def main(path: str, megabytes: int, seconds: int) -> None:
    from vesalius._vesalius import store

    # Torch's own libraries are mapped already and don't count.
    limit = _used_address_space() + megabytes * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        problems = store.verify_in_process(path)
    except MemoryError:
        problems = [f"more than {megabytes} MB of memory are asked for"]
    print(json.dumps(problems))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
