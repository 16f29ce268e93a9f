# SPDX-License-Identifier: Apache-2.0
"""`Features`: the values of one region, with what is known of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from .._vesalius import radiomics as _core
from ..errors import InvalidArgument, TypeMismatch
from ._catalogue import find_feature
from ._settings import _settings

if TYPE_CHECKING:
    import pandas as pd


_Columns = tuple[list[str], list[dict[str, str]], dict[str, int]]
_known: dict[str, _Columns] = {}


def _columns(core: _core.Features) -> _Columns:
    """Names, catalogue rows and positions, which depend on the settings alone: made once for all cases of a study."""
    found = _known.get(core.settings_hash)
    if found is None:
        pairs = core.columns
        names = [name for name, _ in pairs]
        found = names, [row for _, row in pairs], {name: i for i, name in enumerate(names)}
        if len(_known) > 100:
            _known.clear()
        _known[core.settings_hash] = found
    return found


class Features(Mapping[str, float]):
    """The features of one region: a mapping from name to value that also knows codes, units, settings.

    A key may be the column's name ("cm_joint_max"), IBSI's code ("GYBY") or PyRadiomics' name
    ("original_glcm_MaximumProbability"). Iteration gives the names.

    Attributes
    ----------
    names, codes, units : list of str
    values : numpy.ndarray
        float64; NaN where the standard defines no value, and then `reasons` says why.
    reasons : dict of str to str
    settings : Settings
        What the values were made with; `settings_hash` is its SHA-256.
    label : int
    morphological_voxels, intensity_voxels : int
        Voxels of the morphological mask (after interpolation) and of the intensity mask (after re-segmentation).
    """

    def __init__(self, core: _core.Features) -> None:
        if not isinstance(
            core, _core.Features
        ):  # torch's default_collate tries this, and makes a dict after a TypeError
            raise TypeMismatch(
                f"Features come from vesalius.radiomics.extract; they can't be made of a {type(core).__name__}"
            )
        names, rows, index = _columns(core)
        self.names = list(names)
        self.rows = list(rows)
        self.codes = [row["code"] for row in rows]
        self.units = [row["unit"] for row in rows]
        self.values: np.ndarray = np.asarray(core.values)  # type: ignore[assignment]  # an array, where Mapping has a method
        self.reasons = dict(core.reasons)
        self.settings = _settings(core.settings.to_dict())
        self.settings_hash = core.settings_hash
        self.label = core.label
        self.morphological_voxels = core.morphological_voxels
        self.intensity_voxels = core.intensity_voxels
        self._index = index

    def _find(self, key: object) -> int:
        if not isinstance(key, str):
            raise InvalidArgument(
                f"a feature is found by its name, IBSI code or PyRadiomics name; got {key!r}. By position: features.values[i]"
            )
        if key in self._index:
            return self._index[key]
        row = find_feature(key)  # raises for what no feature is called
        found = [i for i, r in enumerate(self.rows) if r["name"] == row["name"]]
        if len(found) == 1:
            return found[0]
        if not found:
            raise InvalidArgument(
                f'"{key}" ({row["title"]}) was not computed: add "{row["family"]}" to the setting "families"'
            )
        raise InvalidArgument(
            f'"{key}" was computed in several ways; say which: {", ".join(self.names[i] for i in found)}'
        )

    def __getitem__(self, key: str) -> float:
        try:
            return float(self.values[self._find(key)])
        except InvalidArgument as error:
            raise _MissingFeature(str(error)) from None

    def __contains__(self, key: object) -> bool:
        try:
            self._find(key)
        except InvalidArgument:
            return False
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def items(self) -> Any:
        return list(zip(self.names, self.values.tolist(), strict=True))

    def to_dict(self) -> dict[str, float]:
        """Values by name."""
        return dict(self.items())

    def to_series(self) -> pd.Series:
        """A pandas Series indexed by name."""
        import pandas as pd

        return pd.Series(self.values, index=self.names, name="value", dtype=float)

    def to_frame(self) -> pd.DataFrame:
        """One row a feature: value, unit, IBSI code, title, family, reason (for NaN); indexed by name."""
        import pandas as pd

        frame = pd.DataFrame(
            {
                "value": self.values,
                "unit": self.units,
                "code": self.codes,
                "title": [row["title"] for row in self.rows],
                "family": [row["family"] for row in self.rows],
                "reason": [self.reasons.get(name, "") for name in self.names],
            },
            index=self.names,
        )
        frame.index.name = "name"
        return frame

    def __repr__(self) -> str:
        return f"Features({len(self)} of label {self.label}, {self.morphological_voxels} voxels)"

    def _repr_html_(self) -> str:
        parts = [f"<p><b>{len(self)} features</b> of label {self.label}: {self.morphological_voxels} voxels</p>"]
        families: dict[str, list[int]] = {}
        for i, row in enumerate(self.rows):
            families.setdefault(row["family_title"], []).append(i)
        for title, indices in families.items():
            lines = []
            for i in indices:
                value = self.values[i]
                shown = (
                    f"{value:.6g}"
                    if np.isfinite(value)
                    else f"<i title='{escape(self.reasons.get(self.names[i], ''))}'>undefined</i>"
                )
                unit = "" if self.units[i] == "1" else escape(self.units[i])
                lines.append(
                    f"<tr><td>{escape(self.rows[i]['title'])}</td><td><code>{self.names[i]}</code></td>"
                    f"<td style='text-align:right'>{shown}</td><td>{unit}</td><td>{self.codes[i]}</td></tr>"
                )
            parts.append(
                f"<details><summary>{escape(title)} ({len(indices)})</summary><table>{''.join(lines)}</table></details>"
            )
        return "".join(parts)


class _MissingFeature(InvalidArgument, KeyError):
    """A key that no feature has: what a mapping must raise, and what the rest of Vesalius raises."""

    __str__ = Exception.__str__
