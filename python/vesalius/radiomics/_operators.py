# SPDX-License-Identifier: Apache-2.0
"""What torch.compile and FakeTensor need to know of our operators."""

from __future__ import annotations

import torch


@torch.library.register_fake("vesalius::glcm_counts")  # type: ignore[untyped-decorator]
def _glcm(levels: torch.Tensor, offsets: torch.Tensor, n_levels: int) -> torch.Tensor:
    return levels.new_empty((offsets.shape[0], n_levels, n_levels), dtype=torch.int64)


@torch.library.register_fake("vesalius::run_counts")  # type: ignore[untyped-decorator]
def _runs(levels: torch.Tensor, offsets: torch.Tensor, n_levels: int, per_slice: bool) -> torch.Tensor:
    parts = levels.shape[0] if per_slice else 1
    return levels.new_empty((parts, offsets.shape[0], n_levels, max(levels.shape)), dtype=torch.int64)


@torch.library.register_fake("vesalius::zone_roots")  # type: ignore[untyped-decorator]
def _zones(levels: torch.Tensor, in_slice: bool) -> torch.Tensor:
    return torch.empty_like(levels)


@torch.library.register_fake("vesalius::border_distance")  # type: ignore[untyped-decorator]
def _distance(mask: torch.Tensor, in_slice: bool) -> torch.Tensor:
    return mask.new_empty(mask.shape, dtype=torch.int32)


@torch.library.register_fake("vesalius::neighbourhood_counts")  # type: ignore[untyped-decorator]
def _neighbourhoods(levels: torch.Tensor, n_levels: int, in_slice: bool, per_slice: bool) -> torch.Tensor:
    return levels.new_empty((levels.shape[0] if per_slice else 1, n_levels, 3, 27), dtype=torch.int64)
