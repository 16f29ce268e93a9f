# SPDX-License-Identifier: Apache-2.0
"""Losses of segmentation networks: C++ functions (``vesalius/segmentation/losses.h``) as ``nn.Module``s.

Logits are ``[b, c, …]``. Targets are whole-number labels ``[b, …]`` or ``[b, 1, …]`` (softmax), or with ``regions=True`` 0/1 of the
logits' shape (sigmoid). Every loss takes ``mask`` (0 where a voxel doesn't count) and gives a scalar, lowest where the
prediction is the target.

>>> loss = DeepSupervision(DiceCE(batch_dice=True, ignore_label=3))      # nnU-Net's          # doctest: +SKIP
>>> loss(network(images), labels).backward()                                                 # doctest: +SKIP

Raises ShapeError for shapes that don't fit, InvalidArgument for labels that are no channel, TypeMismatch for labels that are
floating-point numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from .. import _check
from .._vesalius.segmentation import losses as _c
from ..errors import InvalidArgument

__all__ = [
    "Boundary",
    "ClDice",
    "CrossEntropy",
    "DeepSupervision",
    "DiceCE",
    "Focal",
    "FocalTversky",
    "GeneralisedDice",
    "Loss",
    "SoftDice",
    "Sum",
    "Tversky",
    "downsample_target",
    "signed_distance_maps",
]

Tensor = torch.Tensor


class Loss(nn.Module):
    """What the losses share.

    Parameters
    ----------
    regions : bool
        Overlapping regions (a sigmoid a channel) instead of classes.
    include_background : bool
        Overlap losses: whether channel 0 counts (regions: it always does).
    batch_dice : bool
        Overlap losses: sums over the whole batch instead of each sample.
    ignore_label : int, optional
        Its voxels count nowhere (classes only; regions take a mask).
    smooth : float or (numerator, denominator)
    """

    def __init__(
        self,
        *,
        regions: bool = False,
        include_background: bool = False,
        batch_dice: bool = False,
        ignore_label: int | None = None,
        smooth: float | tuple[float, float] = 1e-5,
    ) -> None:
        super().__init__()
        numerator, denominator = smooth if isinstance(smooth, tuple) else (smooth, smooth)
        self.settings: dict[str, Any] = {
            "regions": regions,
            "include_background": include_background,
            "batch": batch_dice,
            "ignore_label": ignore_label,
            "smooth_numerator": float(numerator),
            "smooth_denominator": float(denominator),
        }

    def _options(self) -> _c.LossOptions:
        return _c.LossOptions(**self.settings)

    def __call__(self, logits: Tensor, target: Tensor, mask: Tensor | None = None) -> Any:
        _check.tensor(
            logits,
            f"the logits of {type(self).__name__}",
            "several outputs of a network with deep supervision in train mode go into losses.DeepSupervision(loss)"
            if hasattr(logits, "__len__") and not hasattr(logits, "shape")
            else "",
        )
        _check.tensor(target, "the target")
        if mask is not None:
            _check.tensor(mask, "the mask")
        return super().__call__(logits, target, mask)

    def extra_repr(self) -> str:
        return ", ".join(f"{key}={value}" for key, value in self.settings.items() if value not in (None, False))

    def forward(self, logits: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
        raise NotImplementedError


class SoftDice(Loss):
    """``1 - (2 Σ p g + s) / (Σ p + Σ g + s)``, mean over channels and samples (Milletari et al. 2016).

    nnU-Net's is the same less 1. MONAI's ``DiceLoss``.
    """

    def forward(self, logits: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
        return _c.soft_dice(logits, target, self._options(), mask)


class GeneralisedDice(Loss):
    """Classes weighted by ``1 / (Σ g)²`` (Sudre et al. 2017, doi 10.1007/978-3-319-67558-9_28)."""

    def forward(self, logits: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
        return _c.generalised_dice(logits, target, self._options(), mask)


class CrossEntropy(Loss):
    """Softmax cross-entropy, or binary cross-entropy for regions; mean over the voxels that count.

    Parameters
    ----------
    weight : of each channel
    """

    weight: Tensor | None

    def __init__(
        self,
        weight: Sequence[float] | Tensor | None = None,
        *,
        regions: bool = False,
        ignore_label: int | None = None,
    ) -> None:
        super().__init__(regions=regions, ignore_label=ignore_label)
        self.register_buffer("weight", None if weight is None else torch.as_tensor(weight, dtype=torch.float32))

    def forward(self, logits: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
        return _c.cross_entropy(logits, target, self._options(), mask, self.weight)


class Focal(Loss):
    """``-(1 - p_t)^gamma log p_t`` (Lin et al. 2017, arXiv 1708.02002), mean over voxels and channels as MONAI's.

    Parameters
    ----------
    gamma : float
    alpha : weight of each channel
    """

    alpha: Tensor | None

    def __init__(
        self,
        gamma: float = 2.0,
        alpha: Sequence[float] | Tensor | None = None,
        *,
        regions: bool = False,
        ignore_label: int | None = None,
    ) -> None:
        super().__init__(regions=regions, ignore_label=ignore_label)
        self.gamma = float(gamma)
        self.register_buffer("alpha", None if alpha is None else torch.as_tensor(alpha, dtype=torch.float32))

    def forward(self, logits: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
        return _c.focal(logits, target, self.gamma, self._options(), mask, self.alpha)


class Tversky(Loss):
    """``1 - (TP + s) / (TP + alpha FP + beta FN + s)`` (Salehi et al. 2017, arXiv 1706.05721); options as `Loss`.

    Parameters
    ----------
    alpha, beta : float
        Weights of false positives and false negatives.
    """

    def __init__(
        self,
        alpha: float = 0.5,
        beta: float = 0.5,
        *,
        regions: bool = False,
        include_background: bool = False,
        batch_dice: bool = False,
        ignore_label: int | None = None,
        smooth: float | tuple[float, float] = 1e-5,
    ) -> None:
        super().__init__(
            regions=regions,
            include_background=include_background,
            batch_dice=batch_dice,
            ignore_label=ignore_label,
            smooth=smooth,
        )
        self.alpha, self.beta, self.gamma = float(alpha), float(beta), 1.0

    def forward(self, logits: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
        return _c.tversky(logits, target, self.alpha, self.beta, self.gamma, self._options(), mask)


class FocalTversky(Tversky):
    """The Tversky loss of each channel to the power `gamma` (Abraham and Khan 2018, arXiv 1810.07842: 0.75); options as `Loss`."""

    def __init__(self, alpha: float = 0.3, beta: float = 0.7, gamma: float = 0.75, **options: Any) -> None:
        super().__init__(alpha, beta, **options)
        self.gamma = float(gamma)


class Boundary(Loss):
    """Mean of ``p φ``, φ the signed distance (mm) to each class's boundary (Kervadec et al. 2019, arXiv 1812.07032).

    The target is labels, whose maps are then computed on the CPU, or the maps themselves (floating-point, of the logits'
    shape; `signed_distance_maps`). Use it in a sum with an overlap loss.

    Parameters
    ----------
    spacing : (z, y, x) or (y, x)
    """

    def __init__(
        self, spacing: Sequence[float], *, include_background: bool = False, ignore_label: int | None = None
    ) -> None:
        super().__init__(include_background=include_background)
        self.spacing, self.ignore_label = [float(s) for s in spacing], ignore_label

    def forward(self, logits: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
        if not target.is_floating_point():
            if self.ignore_label is not None:
                counts = target != self.ignore_label
                mask = counts if mask is None else counts & (mask.reshape(counts.shape) != 0)
                target = torch.where(counts, target, torch.zeros_like(target))
            target = signed_distance_maps(target, logits.shape[1], self.spacing)
        return _c.boundary(logits, target, self._options(), mask)


class ClDice(Loss):
    """Soft centreline Dice (Shit et al. 2021, arXiv 2003.07311), as MONAI's ``SoftclDiceLoss``.

    Parameters
    ----------
    iterations : int
        At least the radius in voxels of the widest tube.
    smooth : float
    """

    def __init__(
        self,
        iterations: int = 3,
        smooth: float = 1.0,
        *,
        regions: bool = False,
        include_background: bool = False,
        ignore_label: int | None = None,
    ) -> None:
        super().__init__(regions=regions, include_background=include_background, ignore_label=ignore_label)
        self.iterations, self.smooth = int(iterations), float(smooth)

    def forward(self, logits: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
        return _c.cldice(logits, target, self.iterations, self.smooth, self._options(), mask)


class Sum(nn.Module):
    """``Σ weight · loss``.

    Parameters
    ----------
    losses : modules called as ``loss(logits, target, mask)``
    weights : one each; 1 by default
    """

    def __init__(self, losses: Sequence[nn.Module], weights: Sequence[float] | None = None) -> None:
        super().__init__()
        self.losses = nn.ModuleList(losses)
        self.weights = [1.0] * len(losses) if weights is None else [float(w) for w in weights]
        if not losses or len(self.weights) != len(losses):
            raise InvalidArgument(f"a sum of losses has a weight each; got {len(losses)} and {len(self.weights)}")

    def forward(self, logits: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
        terms = [w * loss(logits, target, mask) for w, loss in zip(self.weights, self.losses, strict=True)]
        return torch.stack(terms).sum()


class DiceCE(Sum):
    """Soft Dice plus cross-entropy, nnU-Net's loss (plus 1: its Dice goes from -1 to 0, ours from 0 to 1).

    Parameters
    ----------
    dice_weight, ce_weight : float
    class_weight : of each channel in the cross-entropy
    """

    def __init__(
        self,
        *,
        regions: bool = False,
        include_background: bool = False,
        batch_dice: bool = False,
        ignore_label: int | None = None,
        smooth: float | tuple[float, float] = 1e-5,
        dice_weight: float = 1.0,
        ce_weight: float = 1.0,
        class_weight: Sequence[float] | Tensor | None = None,
    ) -> None:
        dice = SoftDice(
            regions=regions,
            include_background=include_background,
            batch_dice=batch_dice,
            ignore_label=ignore_label,
            smooth=smooth,
        )
        entropy = CrossEntropy(class_weight, regions=regions, ignore_label=ignore_label)
        super().__init__([dice, entropy], [dice_weight, ce_weight])


class DeepSupervision(nn.Module):
    """A loss over the list of logits that a network with deep supervision gives, the full resolution first.

    Parameters
    ----------
    loss : module called as ``loss(logits, target, mask)``
    weights : of each output; by default nnU-Net's, 1/2ⁱ with the last 0, divided by their sum

    A single tensor is taken as a list of one. The target (and the mask) is brought to each output's grid by the nearest
    voxel, or is a list too.
    """

    def __init__(self, loss: nn.Module, weights: Sequence[float] | None = None) -> None:
        super().__init__()
        self.loss = loss
        self.weights = None if weights is None else [float(w) for w in weights]

    def forward(
        self,
        outputs: Tensor | Sequence[Tensor],
        target: Tensor | Sequence[Tensor],
        mask: Tensor | Sequence[Tensor] | None = None,
    ) -> Tensor:
        outputs = [outputs] if isinstance(outputs, Tensor) else list(outputs)
        if len(outputs) == 1:
            weights = [1.0]
        else:
            weights = self.weights or _c.deep_supervision_weights(len(outputs))
        if len(weights) < len(outputs):
            raise InvalidArgument(f"deep supervision: {len(weights)} weights for {len(outputs)} outputs")
        terms = []
        for i, (weight, logits) in enumerate(zip(weights, outputs, strict=False)):
            if weight == 0:
                continue
            size = list(logits.shape[2:])
            here = downsample_target(target, size) if isinstance(target, Tensor) else target[i]
            kept = downsample_target(mask, size) if isinstance(mask, Tensor) else mask and mask[i]
            terms.append(weight * self.loss(logits, here, kept))
        return torch.stack(terms).sum()


def signed_distance_maps(labels: Tensor, num_classes: int, spacing: Sequence[float]) -> Tensor:
    """mm to each class's nearest voxel outside of it, minus mm to the nearest other voxel inside: ``[b, c, …]``, float32.

    0 everywhere for a class that is absent or fills the image.
    """
    return _c.signed_distance_maps(labels, num_classes, [float(s) for s in spacing])


def downsample_target(target: Tensor, size: Sequence[int]) -> Tensor:
    """Labels ``[b, (1,) …]`` or regions ``[b, c, …]`` on another grid by the nearest voxel (torch's "nearest-exact")."""
    return _c.downsample_target(target, [int(s) for s in size])
