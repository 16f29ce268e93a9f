# SPDX-License-Identifier: Apache-2.0
"""Whole prepared cases through a network under training: tiles with Gaussian weights, mirrored or not."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import torch


def tile_starts(size: int, tile: int, step: float = 0.5) -> list[int]:
    """nnU-Net's: ``ceil((L - t) / (t * step)) + 1`` starts, evenly from the first to the last voxel."""
    if size <= tile:
        return [0]
    count = math.ceil((size - tile) / (tile * step)) + 1
    return [round(v) for v in np.linspace(0, size - tile, count).tolist()]


def gaussian_weights(patch: Sequence[int]) -> torch.Tensor:
    """Of a Gaussian with sigma an eighth of the patch, largest 1, nowhere 0."""
    out = torch.ones(1)
    for n in patch:
        x = torch.arange(n, dtype=torch.float64) - n // 2
        out = out[..., None] * torch.exp(-0.5 * (x / (n / 8)) ** 2)
    out = (out[0] / out.max()).float()
    return out.clamp(min=float(out[out > 0].min()))


@torch.no_grad()
def predict_prepared(
    network: torch.nn.Module,
    image: torch.Tensor,
    patch: Sequence[int],
    classes: int,
    *,
    device: torch.device,
    mirror: bool = False,
    batch: int = 2,
    autocast: torch.dtype | None = None,
) -> torch.Tensor:
    """Logits float32 [classes, z, y, x] of a prepared image [c, z, y, x]; a 2D network runs slice by slice."""
    flat = len(patch) == 2
    tile = (1, *patch) if flat else tuple(patch)
    size = image.shape[1:]
    before = [max(0, t - n) // 2 for t, n in zip(tile, size, strict=True)]
    after = [max(0, t - n) - b for t, n, b in zip(tile, size, before, strict=True)]
    padded = torch.nn.functional.pad(image, [v for b, a in zip(before[::-1], after[::-1], strict=True) for v in (b, a)])
    weight = gaussian_weights(tile if not flat else patch).to(device).reshape(tile)
    total = torch.zeros(classes, *padded.shape[1:])
    seen = torch.zeros(padded.shape[1:])
    places = list(itertools.product(*[tile_starts(n, t) for n, t in zip(padded.shape[1:], tile, strict=True)]))
    axes = [2, 3] if flat else [2, 3, 4]
    flips: list[tuple[int, ...]] = [()]
    if mirror:
        flips = [c for r in range(len(axes) + 1) for c in itertools.combinations(axes, r)]
    was_training = network.training
    network.eval()
    try:
        for i in range(0, len(places), batch):
            here = places[i : i + batch]
            boxes = [(slice(None), *(slice(s, s + t) for s, t in zip(p, tile, strict=True))) for p in here]
            x = torch.stack([padded[box] for box in boxes]).to(device)
            if flat:
                x = x[:, :, 0]
            y = torch.zeros((), device=device)
            for flip in flips:
                with torch.autocast(device.type, autocast or torch.bfloat16, enabled=autocast is not None):
                    out = network(x.flip(flip) if flip else x)
                out = out[0] if isinstance(out, (list, tuple)) else out
                y = y + (out.flip(flip) if flip else out).float() / len(flips)
            if flat:
                y = y[:, :, None]
            y = (y * weight).cpu()
            for k, box in enumerate(boxes):
                total[box] += y[k]
                seen[box[1:]] += weight.cpu()
    finally:
        network.train(was_training)
    total /= seen
    whole = (slice(None), *(slice(b, b + n) for b, n in zip(before, size, strict=True)))
    return total[whole].contiguous()
