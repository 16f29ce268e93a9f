# SPDX-License-Identifier: Apache-2.0
"""Reading in a process of its own, so that a decoder's crash, hang or hunger ends there.

The worker hands back raw voxels and JSON (no pickle): what it sends is data even if a hostile file took it over.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from . import errors
from ._vesalius.core import Geometry, Image


def read_isolated(path: str, timeout: float, memory: int, **options: Any) -> Image:
    import numpy as np
    import torch

    with tempfile.TemporaryDirectory(prefix="vesalius-") as folder:
        job = {
            "path": os.path.abspath(path),
            "folder": folder,
            "memory": memory,
            "cpu": int(timeout) + 1,
            "options": options,
        }
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
        try:
            done = subprocess.run(
                [sys.executable, "-c", "from vesalius._io_isolated import worker; worker()"],
                input=json.dumps(job),
                text=True,
                errors="replace",
                capture_output=True,
                timeout=timeout,
                env=environment,
            )
        except subprocess.TimeoutExpired:
            raise errors.FormatError(
                f"{path}: reading it took more than {timeout:g} s and was stopped (isolate=True)"
            ) from None
        answer_file = Path(folder, "answer.json")
        if not answer_file.exists():
            how = f"signal {-done.returncode}" if done.returncode < 0 else f"exit code {done.returncode}"
            last = done.stderr.strip().splitlines()[-1:] or [""]
            raise errors.FormatError(
                f"{path}: the process that read it ended with {how} (isolate=True). {last[0]}".rstrip()
            )
        answer = json.loads(answer_file.read_text())
        if "error" in answer:
            raise getattr(errors, answer["error"], errors.FormatError)(answer["message"])
        voxels = np.load(Path(folder, "voxels.npy"), allow_pickle=False)
    geometry = Geometry(
        answer["size"], spacing=answer["spacing"], origin=answer["origin"], direction=answer["direction"]
    )
    return Image(torch.from_numpy(voxels), geometry, metadata={**answer["metadata"], "path": path})


def worker() -> None:
    """The other side: reads a job from stdin, leaves its answer in the job's folder."""
    import resource

    import numpy as np

    from . import io

    job = json.load(sys.stdin)
    folder = Path(job["folder"])
    # torch's libraries take address space of their own: what is limited is what comes on top.
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + job["memory"]
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CPU, (job["cpu"], job["cpu"] + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        image = io.read_image(job["path"], **job["options"])
        np.save(folder / "voxels.npy", image.numpy(), allow_pickle=False)
        g = image.geometry
        answer = {
            "size": g.size,
            "spacing": g.spacing,
            "origin": g.origin,
            "direction": g.direction,
            "metadata": dict(image.metadata),
        }
    except errors.Error as error:
        answer = {"error": type(error).__name__, "message": str(error)}
    except MemoryError:
        answer = {
            "error": "IoError",
            "message": f"{job['path']}: reading it took more than {job['memory']} bytes (isolate=True)",
        }
    (folder / "answer.tmp").write_text(json.dumps(answer))
    os.replace(folder / "answer.tmp", folder / "answer.json")
