# SPDX-License-Identifier: Apache-2.0
"""Progress bars and TensorBoard."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ...errors import NotSupported


class Stages:
    """One tqdm bar after the other for the steps before training."""

    def __init__(self, enabled: bool) -> None:
        self.enabled = enabled and int(os.environ.get("RANK", "0")) == 0
        self.bar: Any = None

    def stage(self, name: str) -> Any:
        """What a function takes as its ``progress``."""
        self.close()
        if not self.enabled:
            return None
        from tqdm.auto import tqdm

        self.bar = tqdm(desc=name, unit="case")

        def report(done: int, total: int, what: str) -> None:
            self.bar.total = total
            self.bar.update(done - self.bar.n)

        return report

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None


def epoch_bar(name: str, epochs: int, done: int, *, enabled: bool) -> Any:
    """tqdm over epochs."""
    from tqdm.auto import tqdm

    return tqdm(total=epochs, initial=done, unit="epoch", desc=name, disable=not enabled)


def tensorboard(folder: Path) -> Any:
    """A ``SummaryWriter`` in the folder.

    Raises
    ------
    NotSupported
        where the package tensorboard isn't installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as why:
        raise NotSupported("tensorboard=True needs the package tensorboard: pip install tensorboard") from why
    return SummaryWriter(str(folder))
