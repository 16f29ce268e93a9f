# SPDX-License-Identifier: Apache-2.0
"""What torch.compile and FakeTensor need to know of our operators."""

from __future__ import annotations

import torch


@torch.library.register_fake("vesalius::glcm_counts")  # type: ignore[untyped-decorator]
def _(levels: torch.Tensor, offsets: torch.Tensor, n_levels: int) -> torch.Tensor:
    return levels.new_empty((offsets.shape[0], n_levels, n_levels), dtype=torch.int64)
