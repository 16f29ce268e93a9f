# SPDX-License-Identifier: Apache-2.0
"""Which cases a fold holds out: nnU-Net's random folds, whole persons together, or folds given."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...errors import FormatError, InvalidArgument
from .schedule import FOLDS, split

#: The group (a person, a hospital) of each case, the JSON file of such a mapping, or a function of the case's id.
Groups = Mapping[str, Any] | str | os.PathLike[str] | Callable[[str], Any]


def _json(path: str | os.PathLike[str], what: str) -> Any:
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as why:
        raise FormatError(f"{os.fspath(path)} is no {what}: {why}") from why


@dataclasses.dataclass(frozen=True)
class Splits:
    """``folds``: pairs of training and validation cases; ``groups``: cases of one group are never on both sides. Neither: random."""

    folds: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = ()
    groups: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @classmethod
    def make(cls, ids: Sequence[str], splits: Any = None, groups: Groups | None = None) -> Splits:
        """From `train`'s arguments.

        Raises
        ------
        InvalidArgument
            for both at once, cases that aren't there, cases on both sides, empty sides.
        FormatError
            for a file that isn't nnU-Net's splits_final.json.
        """
        if splits is not None and groups is not None:
            raise InvalidArgument("give splits= or groups=, not both")
        if groups is not None:
            if isinstance(groups, (str, os.PathLike)):
                groups = _json(groups, "JSON of case to group")
            get: Any = groups.get if isinstance(groups, Mapping) else groups
            if not callable(get):
                raise FormatError(f"groups is a mapping from a case's id to its group; got {type(groups).__name__}")
            found = {i: get(i) for i in ids}
            if lost := [i for i, g in found.items() if g is None]:
                raise InvalidArgument(f"groups= says nothing of {len(lost)} cases: {', '.join(lost[:5])}")
            return cls(groups={i: str(g) for i, g in found.items()})
        if splits is None:
            return cls()
        if isinstance(splits, (str, os.PathLike)):
            splits = _json(splits, "splits_final.json")
        try:
            folds = tuple((tuple(map(str, f["train"])), tuple(map(str, f["val"]))) for f in splits)
        except (KeyError, TypeError) as why:
            raise FormatError('splits is a list of {"train": [ids], "val": [ids]}, as in nnU-Net') from why
        for number, (train, held) in enumerate(folds):
            unknown = sorted({*train, *held} - set(ids))
            if unknown:
                raise InvalidArgument(f"fold {number} of splits names {unknown[0]}, which isn't a case of the data set")
            if both := sorted(set(train) & set(held)):
                raise InvalidArgument(f"fold {number} of splits has {both[0]} in train and in val")
            if not train or not held:
                raise InvalidArgument(f"fold {number} of splits has no case in {'val' if train else 'train'}")
        return cls(folds=folds)

    def of(self, ids: Sequence[str], fold: int | str) -> tuple[list[str], list[str]]:
        """Training and validation cases among `ids`."""
        if fold == "all":
            return split(ids, "all")
        if self.groups:
            train, held = split(sorted({self.groups[i] for i in ids}), fold)
            names = sorted(ids)
            return [i for i in names if self.groups[i] in train], [i for i in names if self.groups[i] in held]
        if self.folds:
            if not 0 <= int(fold) < len(self.folds):
                raise InvalidArgument(f"fold {fold} is not among the {len(self.folds)} of splits")
            train_, held_ = self.folds[int(fold)]
            return [i for i in train_ if i in ids], [i for i in held_ if i in ids]
        return split(ids, fold)

    def count(self, ids: Sequence[str]) -> int:
        """How many folds there are, each case being held out in one of them."""
        return len(self.folds) or min(FOLDS, len({self.groups[i] for i in ids} if self.groups else ids))

    def to_json(self) -> str:
        folds = [{"train": list(t), "val": list(v)} for t, v in self.folds]
        return json.dumps({"folds": folds, "groups": dict(self.groups)}, indent=1)

    @classmethod
    def from_json(cls, text: str) -> Splits:
        content = json.loads(text)
        return cls(tuple((tuple(f["train"]), tuple(f["val"])) for f in content["folds"]), content["groups"])

    @classmethod
    def of_run(cls, folder: Path, given: Splits, *, asked: bool) -> Splits:
        """Those that a run began with; others than these are refused.

        Raises
        ------
        InvalidArgument
        """
        path = folder / "splits.json"
        if not path.is_file():
            return given
        known = cls.from_json(path.read_text(encoding="utf-8"))
        if asked and known != given:
            raise InvalidArgument(f"the run in {folder} has other splits ({path}); choose another folder for these")
        return known
