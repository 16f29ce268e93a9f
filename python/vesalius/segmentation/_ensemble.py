# SPDX-License-Identifier: Apache-2.0
"""Models of different configurations whose probabilities are averaged, as nnU-Net's ensembles are."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from .._vesalius.core import Image, Mask
from .._vesalius.segmentation import LabelSet, NetworkPlan
from ..errors import FormatError, InvalidArgument
from ._model import Model

__all__ = ["Ensemble", "EnsemblePrediction"]

_FILE = "ensemble.json"
_VERSION = 1


@dataclasses.dataclass(frozen=True)
class EnsemblePrediction:
    """A mask, and the mean probabilities float32 [classes or regions, z, y, x] on the image's grid."""

    mask: Mask
    probabilities: Image


class Ensemble(Model):
    """Several networks of the same labels; the mean of their probabilities decides (softmax, or sigmoid of regions).

    On disk a folder with ``ensemble.json`` and a bundle for each member; `Model.load` opens it too. C++ opens the members.

    >>> both = Ensemble({"2d": Model.load("2d/"), "3d_fullres": Model.load("3d/")})     # doctest: +SKIP
    >>> mask = both.predict(image)                                                      # doctest: +SKIP

    Parameters
    ----------
    members : mapping from a name (a folder's) to a `Model`
    keep_largest : sequence
        Labels, or sets of labels, of which only the largest component stays: ``[[1, 2], [1]]``.

    Raises
    ------
    InvalidArgument
        for members that aren't networks, or whose labels or channels differ.
    """

    def __init__(self, members: Mapping[str, Model], *, keep_largest: Sequence[Sequence[int]] = ()) -> None:
        if len(members) < 2:
            raise InvalidArgument(f"an ensemble has two members or more; got {len(members)}")
        self.members = dict(members)
        self.keep_largest = [[int(n) for n in step] for step in keep_largest]
        plans = []
        for name, member in self.members.items():
            if not isinstance(member.plan, NetworkPlan) or isinstance(member, Ensemble):
                raise InvalidArgument(f"the ensemble's member {name} is {type(member).__name__} without a network")
            if not name or Path(name).name != name or name.startswith("."):
                raise InvalidArgument(f"a member's name is that of a folder inside the bundle; got {name!r}")
            plans.append(member.plan)
        for name, plan in zip(self.members, plans, strict=True):
            for field in ("label_names", "label_values", "regions_class_order", "channels"):
                mine, first = getattr(plan, field), getattr(plans[0], field)
                if mine != first:
                    raise InvalidArgument(
                        f"the ensemble's members differ: {name} has {field} {list(mine)}, the first {list(first)}"
                    )
        self._core = next(iter(self.members.values()))._core  # channels, to read files with

    def predict(
        self,
        image: Image | str | os.PathLike[str],
        *,
        output: str | os.PathLike[str] | None = None,
        probabilities: bool = False,
        **options: Any,
    ) -> Any:
        """The mask on the image's grid; of a folder the paths of the masks. Options as `Model.predict`'s.

        Returns
        -------
        Mask; `EnsemblePrediction` with `probabilities`.

        Raises
        ------
        InvalidArgument
            for ``folds``, ``entropy``, ``disagreement`` and ``region``, which are single models'.
        """
        for name in ("folds", "entropy", "disagreement", "region"):
            if options.get(name):
                raise InvalidArgument(f"{name} is not for ensembles; ask one of .members")
        if not isinstance(image, Image):
            return super().predict(image, output=output, probabilities=probabilities, **options)
        mean: torch.Tensor | None = None
        names: Mapping[Any, str] = {}
        for member in self.members.values():
            found = member.predict(image, probabilities=True, **options)
            names = found.mask.names
            part = found.probabilities.tensor
            mean = part if mean is None else mean.add_(part)
            del found, part
        assert mean is not None
        mean.div_(len(self.members))
        voxels = labels_of(mean, self.labels)
        for numbers in self.keep_largest:
            from .training.evaluate import keep_largest

            voxels = keep_largest(voxels, numbers)
        mask = Mask(voxels, image.geometry, names=names, metadata={"model": " + ".join(self.members)})
        if output is not None:
            from ..io import write_mask

            write_mask(mask, os.fspath(output))
        return EnsemblePrediction(mask, Image(mean, image.geometry)) if probabilities else mask

    @property
    def labels(self) -> LabelSet:
        plan = next(iter(self.members.values())).plan
        assert isinstance(plan, NetworkPlan)
        return plan.label_set()

    @property
    def card(self) -> str:
        return f"# Ensemble of {', '.join(self.members)}\n\nThe mean of their probabilities.\n"

    def save(self, bundle: str | os.PathLike[str], **options: Any) -> None:
        """Writes the members' bundles into the folder, and ``ensemble.json`` last."""
        folder = Path(bundle)
        folder.mkdir(parents=True, exist_ok=True)
        for name, member in self.members.items():
            member.save(folder / name, **options)
        (folder / "card.md").write_text(self.card, encoding="utf-8")
        part = folder / f"{_FILE}.part"
        content = {"version": _VERSION, "members": list(self.members), "keep_largest": self.keep_largest}
        part.write_text(json.dumps(content, indent=1), encoding="utf-8")
        os.replace(part, folder / _FILE)

    @classmethod
    def load(cls, bundle: str | os.PathLike[str], *, trusted: bool = False) -> Ensemble:
        """The ensemble of a folder that `save` wrote.

        Raises
        ------
        FormatError
            for an ``ensemble.json`` that makes no sense; what `Model.load` raises for a member.
        """
        file = Path(bundle) / _FILE
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            names = [str(name) for name in content["members"]]
            kept = [[int(n) for n in step] for step in content["keep_largest"]]
            # "" and ".." are this folder and the one above: opened again and again, or a way out
            if content["version"] != _VERSION or any(not n or n[0] == "." or Path(n).name != n for n in names):
                raise ValueError(f"version {content['version']}, members {names}")
            if any((Path(bundle) / n / _FILE).exists() for n in names):
                raise ValueError("a member is an ensemble itself")
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as why:
            raise FormatError(f"{file} is no ensemble of version {_VERSION}: {why}") from why
        return cls({n: Model.load(Path(bundle) / n, trusted=trusted) for n in names}, keep_largest=kept)

    def __repr__(self) -> str:
        return f"Ensemble({', '.join(self.members)})"

    def __reduce__(self) -> Any:
        return _rebuild, (self.members, self.keep_largest)


def _rebuild(members: dict[str, Model], keep_largest: list[list[int]]) -> Ensemble:
    return Ensemble(members, keep_largest=keep_largest)


def labels_of(probabilities: torch.Tensor, labels: LabelSet) -> torch.Tensor:
    """Labels uint8 (int16 above 255) from probabilities [k, z, y, x]: the largest, or each region above a half painted in order."""
    kind = torch.uint8 if max(labels.values()) < 256 else torch.int16
    if not labels.has_regions:
        return probabilities.argmax(0).to(kind)
    out = torch.zeros(probabilities.shape[1:], dtype=kind)
    for k, value in enumerate(labels.regions_class_order):
        out[probabilities[k] > 0.5] = value
    return out
