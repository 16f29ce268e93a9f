# SPDX-License-Identifier: Apache-2.0
"""Checkpoints that a killed process can't spoil, and that hold no code."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from ...errors import FormatError, IoError

VERSION = 1


def save(path: Path, state: dict[str, Any]) -> None:
    """Writes beside its place, makes it lasting, renames; the checkpoint before stays as ``<name>.previous``."""
    part = path.with_suffix(".part")
    try:
        with open(part, "wb") as file:
            torch.save({"version": VERSION, **state}, file)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            os.replace(path, path.with_suffix(".previous"))
        os.replace(part, path)
    except OSError as why:
        part.unlink(missing_ok=True)
        raise IoError(f"can't write the checkpoint {path}: {why}. Is the disk full?") from why


def load(path: Path, *, device: str | torch.device = "cpu") -> dict[str, Any]:
    """A checkpoint's tensors and numbers; nothing in it is executed (``weights_only``).

    Raises
    ------
    FormatError
        for a file that was cut short or isn't a checkpoint of this version.
    """
    try:
        state = torch.load(path, map_location=device, weights_only=True)
    except FileNotFoundError as why:
        raise IoError(f"there is no checkpoint {path}") from why
    except Exception as why:
        raise FormatError(f"{path} is no checkpoint, or was cut short: {str(why).splitlines()[0][:200]}") from why
    if not isinstance(state, dict) or state.get("version") != VERSION:
        raise FormatError(f"{path} is no checkpoint of version {VERSION}")
    return state


def latest(folder: Path, *, device: str | torch.device = "cpu") -> dict[str, Any] | None:
    """The newest checkpoint of a folder that can be read, or None where there is none."""
    failures = []
    for name in ("checkpoint_latest.pt", "checkpoint_latest.previous"):
        path = folder / name
        if path.exists():
            try:
                return load(path, device=device)
            except FormatError as why:
                failures.append(str(why))
    if failures:
        raise FormatError("; ".join(failures) + ". Delete the folder to start anew")
    return None
