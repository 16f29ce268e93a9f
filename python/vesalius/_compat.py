# SPDX-License-Identifier: Apache-2.0
"""Loads torch, then the extension, and says what to do when the two don't fit."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def extension_folder() -> Path | None:
    """Where the compiled part lies: beside this file, or elsewhere in an editable install."""
    spec = importlib.util.find_spec(f"{__package__}._vesalius")
    return Path(spec.origin).parent if spec and spec.origin else None


def _built_for(folder: Path) -> str | None:
    """The torch minor version the extension was built for, read without loading it."""
    version = folder / "include" / "vesalius" / "core" / "version.h"
    if not version.exists():
        return None
    found = re.search(r'VESALIUS_TORCH_VERSION "([^"]+)"', version.read_text())
    return _minor(found.group(1)) if found else None


def _advice(built: str, torch_version: str) -> str:
    return (
        f"Vesalius was built for torch {built}, and torch {torch_version} is installed; their binary interfaces differ. "
        f"Either: pip install 'torch=={built}.*'  "
        "or rebuild against the torch you have: pip install --no-build-isolation --force-reinstall --no-deps vesalius"
    )


def load() -> None:
    try:
        import torch  # libtorch must be in the process before the extension is
    except ImportError as error:
        raise ImportError(
            "Vesalius runs on PyTorch, and torch can't be imported. Install it: pip install torch"
        ) from error

    folder = extension_folder()
    if folder is None:
        raise ImportError(
            f"the compiled part of Vesalius is not in {Path(__file__).parent}. If this is the source tree, build it first "
            "(`make`), or leave this folder: Python found the sources before the installed package."
        )
    built = _built_for(folder)
    if built and built != _minor(torch.__version__):
        raise ImportError(_advice(built, torch.__version__))
    from . import _vesalius

    if _minor(_vesalius.torch_version) != _minor(torch.__version__):
        raise ImportError(_advice(_minor(_vesalius.torch_version), torch.__version__))
    if torch.version.cuda:
        _vesalius.core.load_cuda_kernels()
