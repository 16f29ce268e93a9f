# SPDX-License-Identifier: Apache-2.0
"""Loads torch, then the extension, and says what to do when the two don't fit."""

from __future__ import annotations

import importlib.machinery
import re
from pathlib import Path


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _built_for() -> str | None:
    """The torch minor version the extension was built for, read without loading it."""
    version = Path(__file__).with_name("include") / "vesalius" / "core" / "version.h"
    if not version.exists():
        return None
    found = re.search(r'VESALIUS_TORCH_VERSION "([^"]+)"', version.read_text())
    return found.group(1) if found else None


def load() -> None:
    try:
        import torch  # libtorch must be in the process before the extension is
    except ImportError as error:
        raise ImportError("Vesalius runs on PyTorch, and torch can't be imported. Install it: pip install torch") from error

    built = _built_for()
    advice = (
        f"Vesalius was built for torch {built and _minor(built)}, and torch {torch.__version__} is installed; their binary interfaces differ. "
        f"Either: pip install 'torch=={built and _minor(built)}.*'  "
        "or rebuild against the torch you have: pip install --no-build-isolation --force-reinstall --no-deps vesalius"
    )
    if built and _minor(built) != _minor(torch.__version__):
        raise ImportError(advice)
    try:
        from . import _vesalius
    except ImportError as error:
        here = Path(__file__).parent
        if not any(here.glob("_vesalius*" + suffix) for suffix in importlib.machinery.EXTENSION_SUFFIXES):
            raise ImportError(
                f"the compiled part of Vesalius is not in {here}. If this is the source tree, build it first (`make`), "
                "or leave this folder: Python found the sources before the installed package."
            ) from error
        raise ImportError(f"{error}\n{advice if built else ''}".strip()) from error
    if _minor(_vesalius.torch_version) != _minor(torch.__version__):
        raise ImportError(advice)
    if torch.version.cuda:
        _vesalius.core.load_cuda_kernels()
