# SPDX-License-Identifier: Apache-2.0
"""A study's tables: clinical data, outcomes, features, and what a model is fitted to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .._vesalius import store as _store
from ..errors import InvalidArgument
from ._cases import Cases
from ._values import Cell, case_id

if TYPE_CHECKING:
    import pandas as pd

    from ..radiomics import Features


def _numbers(name: str, column: pd.Series) -> np.ndarray:
    try:
        return column.to_numpy(dtype=np.float64)
    except (TypeError, ValueError):
        raise InvalidArgument(
            f"outcome {name!r} must hold numbers; it holds {column.iloc[0]!r}: set numbers with study.set_outcome"
        ) from None


def _events(name: str, column: pd.Series) -> np.ndarray:
    """Truth values; a 2 (R's "dead", or a competing event) would become one in silence."""
    values = _numbers(name, column)
    other = sorted(set(values[(values != 0) & (values != 1)].tolist()))
    if other:
        raise InvalidArgument(
            f"outcome {name!r} must be 0 (censored) or 1 (event), or False and True; it holds {', '.join(f'{v:g}' for v in other[:5])}. "
            "Recode it with study.set_outcome; for competing events take study.outcomes and a model of vesalius.outcome for them"
        )
    return values != 0


class Tables(Cases):
    """What `Study` does with all cases at once."""

    def _index(self, ids: Sequence[Any]) -> pd.Index:
        import pandas as pd

        # by the whole study, so that the rows of every table find each other
        if any(time_point for _, time_point in self.cases):
            return pd.MultiIndex.from_tuples([(c.subject, c.time_point) for c in ids], names=["subject", "time_point"])
        return pd.Index([c.subject for c in ids], name="subject", dtype=object)

    def _frame(self, ids: Sequence[Any], records: Sequence[Sequence[tuple[str, Cell]]]) -> pd.DataFrame:
        import pandas as pd

        columns = list(dict.fromkeys(name for record in records for name, _ in record))
        rows = [dict(record) for record in records]
        return pd.DataFrame(
            {c: pd.Series([row.get(c) for row in rows]).infer_objects().to_numpy() for c in columns},
            index=self._index(ids),
        )

    @property
    def clinical(self) -> pd.DataFrame:
        """Clinical data: one row a case, indexed by subject (and time point, where there are any)."""
        cases = self._study.cases()
        return self._frame([c.id for c in cases], [c.clinical for c in cases])

    @property
    def outcomes(self) -> pd.DataFrame:
        """Outcomes: one row a case."""
        cases = self._study.cases()
        return self._frame([c.id for c in cases], [c.outcome for c in cases])

    @property
    def inventory(self) -> pd.DataFrame:
        """Every image and mask: case, kind, name, shape, type, checksums and the file it was read from."""
        import pandas as pd

        rows = [
            {
                "subject": c.id.subject,
                "time_point": c.id.time_point or None,
                "kind": kind,
                "name": v.name,
                "shape": tuple(v.shape),
                "dtype": v.dtype,
                "sha256": v.sha256,
                "source_path": v.source.path,
                "source_sha256": v.source.sha256,
                "added": c.added,
            }
            for c in self._study.cases()
            for kind, voxels in (("image", c.images), ("mask", c.masks))
            for v in voxels
        ]
        return pd.DataFrame(rows)

    # Features

    def add_features(
        self,
        subject: str,
        features: Features,
        *,
        time_point: str | None = None,
        image: str = "image",
        mask: str = "mask",
        label: int = 1,
    ) -> None:
        """Stores what `radiomics.extract` gave for a case; replaces what it had under the same settings.

        `image`, `mask` and `label` say what they were computed from. Features lose their place when that image or
        mask is replaced by another.
        """
        values = _store.FeatureValues()
        values.names, values.codes = [str(n) for n in features.names], [str(c or "") for c in features.codes]
        values.values = np.asarray(features.values, dtype=np.float64).tolist()
        values.settings_yaml, values.settings_hash = features.settings.to_yaml(), features.settings.hash()
        values.image, values.mask, values.label = image, mask, int(label)
        self._study.add_features(case_id(subject, time_point), values)

    def has_features(
        self,
        subject: str,
        settings: Any,
        *,
        time_point: str | None = None,
        image: str = "image",
        mask: str = "mask",
        label: int = 1,
    ) -> bool:
        """Whether the case has features under `settings` (or their hash), made from the image and mask it holds now."""
        return bool(self._study.has_features(case_id(subject, time_point), self._set(settings, image, mask, label)))

    @staticmethod
    def _set(settings: Any, image: str, mask: str, label: int) -> str:
        values = _store.FeatureValues()
        values.settings_hash = settings if isinstance(settings, str) else settings.hash()
        values.image, values.mask, values.label = image, mask, int(label)
        return str(_store.Study.feature_set(values))

    @property
    def feature_sets(self) -> list[str]:
        """The sets of features: each the hash of its settings, followed by image, mask and label where they are not the
        default ("image", "mask", 1)."""
        return list(self._study.feature_sets())

    def _feature_table(self, features: Any) -> Any:
        sets = self.feature_sets
        if features is None:
            if len(sets) == 1:
                return self._study.features(sets[0])
            if not sets:
                raise InvalidArgument(
                    f"{self._study.path} holds no features yet: vesalius.radiomics.extract_study(study, settings) computes them"
                )
            raise InvalidArgument(
                f"{self._study.path} holds {len(sets)} sets of features; say which by features=, the settings or the beginning of a name: {', '.join(sets)}"
            )
        wanted = features if isinstance(features, str) else features.hash()
        found = [wanted] if wanted in sets else [s for s in sets if s.startswith(wanted)]
        if len(found) != 1:
            raise InvalidArgument(
                f"{len(found)} sets of features in {self._study.path} begin with {wanted!r}; there are {', '.join(sets) or 'none'}"
            )
        return self._study.features(found[0])

    def features(self, features: Any = None) -> pd.DataFrame:
        """The features: cases by features, float64; NaN where a case lacks one.

        Parameters
        ----------
        features
            Which set, where there are several: settings, or the beginning of a set's name.

        Returns
        -------
        DataFrame
            Empty where none were computed yet. ``attrs`` has "set", "settings" (YAML), "codes" (by name), "image", "mask", "label".
        """
        import pandas as pd

        if features is None and not self.feature_sets:
            return pd.DataFrame(index=self._index([]))
        table = self._feature_table(features)
        frame = pd.DataFrame(np.array(table.values), index=self._index(table.cases), columns=list(table.names))
        frame.attrs.update(
            set=table.set,
            settings=table.settings_yaml,
            codes=dict(zip(table.names, table.codes, strict=True)),
            image=table.image,
            mask=table.mask,
            label=table.label,
        )
        return frame

    # What a model is fitted to

    def table(
        self, outcome: str | tuple[str, str] | None = None, *, features: Any = None, clinical: Sequence[str] = ()
    ) -> tuple[pd.DataFrame, np.ndarray]:
        """Features and outcome of every case that has both.

        Parameters
        ----------
        outcome
            A column of `outcomes`; or ("event", "time"), the columns of a survival outcome; or a prefix: "os" is
            ("os_event", "os_time"). None takes ("event", "time") if they are there, else the only column.
        features
            Which set of features, as in `features`.
        clinical
            Clinical columns to put after the features.

        Returns
        -------
        X : DataFrame [cases, features]
            ``attrs["left_out"]`` names the cases without features or outcome; a warning says how many.
        y : numpy array [cases]
            For survival the structured array of scikit-survival: fields "event" (bool) and "time" (float64). Else the
            column: bool, int64, float64, or object for classes named by text.
        """
        import warnings

        if features is None:
            self._feature_table(None)  # says what to do where there are none, or several
        outcomes = self.outcomes
        event_time = self._survival_columns(outcome, list(outcomes.columns))
        columns = list(event_time) if event_time else [self._outcome_column(outcome, list(outcomes.columns))]
        known = outcomes[columns].dropna()
        X = self.features(features)
        clinic = self.clinical
        missing = [c for c in clinical if c not in clinic.columns]
        if missing:
            raise InvalidArgument(
                f"no clinical column {missing[0]!r} in {self._study.path}; there are {', '.join(map(repr, clinic.columns)) or 'none'}"
            )
        twice = [c for c in clinical if c in X.columns]
        if twice:
            raise InvalidArgument(f"{twice[0]!r} is the name of a feature and of a clinical column; rename the latter")
        attrs = dict(X.attrs)
        rows = [i for i in outcomes.index if i in X.index and i in known.index]
        left_out = [i for i in outcomes.index if i not in set(rows)]
        X = X.loc[rows]
        for column in clinical:
            X[column] = clinic.loc[rows, column]
        X.attrs.update(attrs, left_out=left_out)
        if left_out:
            named = ", ".join(map(str, left_out[:5])) + (", …" if len(left_out) > 5 else "")
            warnings.warn(
                f"{len(left_out)} of {len(outcomes)} cases lack features or outcome and are left out: {named}",
                stacklevel=2,
            )
        known = known.loc[rows]
        if event_time:
            event, time = event_time
            y = np.empty(len(rows), dtype=[("event", bool), ("time", np.float64)])
            y["event"] = _events(event, known[event])
            y["time"] = _numbers(time, known[time])
            return X, y
        return X, known[columns[0]].infer_objects().to_numpy(copy=True)

    def _survival_columns(self, outcome: str | tuple[str, str] | None, columns: list[str]) -> tuple[str, str] | None:
        if outcome is None:
            return ("event", "time") if {"event", "time"} <= set(columns) else None
        if isinstance(outcome, str):
            pair = (f"{outcome}_event", f"{outcome}_time")
            return pair if outcome not in columns and set(pair) <= set(columns) else None
        event, time = outcome
        self._outcome_column(event, columns)
        self._outcome_column(time, columns)
        return event, time

    def _outcome_column(self, outcome: Any, columns: list[str]) -> str:
        if outcome is None and len(columns) == 1:
            return columns[0]
        if outcome in columns:
            return str(outcome)
        listed = ", ".join(map(repr, columns)) or "none (add them with study.set_outcome)"
        asked = "say which outcome" if outcome is None else f"no outcome {outcome!r}"
        raise InvalidArgument(f"{asked} of {self._study.path}; there are {listed}")
