# SPDX-License-Identifier: Apache-2.0
"""The study: images, masks, clinical data, outcomes, features and predictions of a cohort, with where they came from.

On disk a study is ``study.h5``, the index, and one file a case in ``study.cases/``; ``docs/study-format.md`` describes
both field by field, and h5py reads them without Vesalius. Every change is on disk when its call returns, and a process
killed at any moment leaves a study that opens.
"""

from __future__ import annotations

import contextlib
import math
import numbers
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ._maintenance import VerifyReport, pack, repair, unpack, verify
from ._vesalius import store as _store
from ._vesalius.core import Image, Mask, sha256_file
from .errors import InvalidArgument, IoError, TypeMismatch

if TYPE_CHECKING:
    import pandas as pd

    from .radiomics import Features

__all__ = ["Study", "VerifyReport", "pack", "repair", "unpack", "verify"]

PathLike = str | os.PathLike[str]
Cell = bool | int | float | str | None
#: An image or a mask, or the path of one.
Voxels = Image | Mask | str | os.PathLike[str]


def _cell(name: str, value: Any) -> Cell:
    """A table's cell as the study holds it; None, NaN, NaT and pandas.NA are "not known"."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bool | str):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return None if math.isnan(value) else float(value)
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    raise TypeMismatch(
        f"{name!r} can't hold {value!r} ({type(value).__name__}); a cell is a number, text, a truth value, a date or None"
    )


def _record(values: Mapping[str, Any] | None) -> list[tuple[str, Cell]]:
    return [(str(name), _cell(str(name), value)) for name, value in (values or {}).items()]


def _id(subject: str, time_point: str | None) -> Any:
    if not isinstance(subject, str):
        raise TypeMismatch(f"a subject's name is text; it was {subject!r} ({type(subject).__name__})")
    return _store.CaseId(subject, "" if time_point is None else str(time_point))


def _named(voxels: Any, default: str) -> dict[str, Any]:
    if voxels is None:
        return {}
    return dict(voxels) if isinstance(voxels, Mapping) else {default: voxels}


def _source(path: str) -> Any:
    try:
        return _store.Source(path, sha256_file(path) if os.path.isfile(path) else "")
    except IoError:
        return _store.Source(path, "")


class Study:
    """A study on disk.

    Parameters
    ----------
    path
        The index, such as ``study.h5``. The cases lie beside it in ``study.cases/``.
    mode
        ``"r"`` reads; ``"a"`` reads and writes, and makes the study where there is none; ``"w"`` starts it anew.

    Raises
    ------
    IoError
        There is none (``"r"``), another process writes to it (it is named), or the disk refuses.
    FormatError
        The file is no study, or cut off; the message says how to repair it.
    NotSupported
        It was written by a newer Vesalius.

    Notes
    -----
    One writer at a time, any number of readers; a reader sees the study as it was when it opened it. Methods may be
    called from several threads. Use it in a ``with`` statement: leaving lets the writer's lock go.

    Examples
    --------
    >>> with vs.Study("study.h5") as study:
    ...     study.add("patient-01", image=image, mask=mask, outcome={"time": 412, "event": True})
    ...     X, y = study.table()
    """

    def __init__(self, path: PathLike, mode: str = "a") -> None:
        self._study = _store.Study(os.fspath(path), mode)

    # Opening and closing

    def __enter__(self) -> Study:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Lets the writer's lock go; later calls raise InvalidArgument."""
        self._study.close()

    @property
    def path(self) -> Path:
        return Path(self._study.path)

    @property
    def mode(self) -> str:
        return str(self._study.mode)

    @property
    def packed(self) -> bool:
        """Whether this is one self-contained file, made by `pack`."""
        return bool(self._study.packed)

    @property
    def problems(self) -> list[str]:
        """Case files that could not be read when the index had to be made anew at opening."""
        return list(self._study.problems())

    def __repr__(self) -> str:
        if self._study.closed:
            return f"Study({str(self.path)!r}, closed)"
        return (
            f"Study({str(self.path)!r}, mode={self.mode!r}, {len(self)} cases, {len(self.feature_sets)} feature sets)"
        )

    def _repr_html_(self) -> str:
        from html import escape

        rows = "".join(
            f"<tr><td>{escape(c.id.subject)}</td><td>{escape(c.id.time_point)}</td>"
            f"<td>{escape(', '.join(f'{v.name} {tuple(v.shape)}' for v in c.images))}</td>"
            f"<td>{escape(', '.join(v.name for v in c.masks))}</td></tr>"
            for c in self._study.cases()[:20]
        )
        more = f"<p>… and {len(self) - 20} more</p>" if len(self) > 20 else ""
        head = "<tr><th>subject</th><th>time point</th><th>images</th><th>masks</th></tr>"
        return f"<p><b>{escape(repr(self))}</b></p><table>{head}{rows}</table>{more}"

    # Cases

    def add(
        self,
        subject: str,
        *,
        image: Voxels | Mapping[str, Voxels] | None = None,
        mask: Voxels | Mapping[str, Voxels] | None = None,
        time_point: str | None = None,
        clinical: Mapping[str, Any] | None = None,
        outcome: Mapping[str, Any] | None = None,
        overwrite: bool = False,
    ) -> None:
        """Adds a case. On return it is on disk.

        Parameters
        ----------
        subject
            Any text but the empty one.
        image, mask
            An image and a mask, paths of files to read them from (their checksum goes into provenance), or dicts of
            several by name. One alone is called "image" or "mask". A mask must lie on the grid of one of the images.
        time_point
            Which examination, in a longitudinal study.
        clinical, outcome
            Numbers, text, truth values, dates by column; None and NaN are "not known". An outcome is
            ``{"time": 412, "event": True}``, or one number or class by name such as ``{"lung_metastasis": 1}``.
        overwrite
            Replace a case that is there; its features go unless its voxels and geometry are the same.

        Raises
        ------
        InvalidArgument
            The subject is there already, or a name is unfit.
        GeometryError
            A mask lies on no image's grid.
        TypeMismatch
            A column holds numbers for other subjects and text here, or the other way round.
        IoError
            The disk refuses; what was stored before is unchanged.
        """
        new = _store.NewCase()
        images, image_sources = self._load(_named(image, "image"), None)
        first = next(iter(images.values()), None)
        masks, mask_sources = self._load(_named(mask, "mask"), first, masks=True)
        new.images, new.masks = images, masks
        new.image_sources, new.mask_sources = image_sources, mask_sources
        new.clinical, new.outcome = _record(clinical), _record(outcome)
        self._study.add(_id(subject, time_point), new, overwrite)

    @staticmethod
    def _load(
        voxels: Mapping[str, Any], like: Image | None, *, masks: bool = False
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        loaded: dict[str, Any] = {}
        sources: dict[str, Any] = {}
        expected = Mask if masks else Image
        for name, value in voxels.items():
            if isinstance(value, str | os.PathLike):
                from . import io

                path = os.fspath(value)
                loaded[name] = io.read_mask(path, like=like) if masks else io.read_image(path)
                sources[name] = _source(path)
            elif isinstance(value, expected):
                loaded[name] = value
                if "path" in value.metadata:  # set by who read it
                    sources[name] = _source(value.metadata["path"])
            else:
                raise TypeMismatch(
                    f"{'mask' if masks else 'image'} {name!r} is a {type(value).__name__}; a vesalius.{expected.__name__} or the path of a file is expected"
                )
        return loaded, sources

    def add_image(
        self,
        subject: str,
        image: Voxels,
        *,
        name: str = "image",
        time_point: str | None = None,
        overwrite: bool = False,
    ) -> None:
        """One more image of a case that is there."""
        loaded, sources = self._load({name: image}, None)
        self._study.add_image(
            _id(subject, time_point), name, loaded[name], sources.get(name, _store.Source()), overwrite
        )

    def add_mask(
        self, subject: str, mask: Voxels, *, name: str = "mask", time_point: str | None = None, overwrite: bool = False
    ) -> None:
        """One more mask of a case that is there, on the grid of one of its images."""
        loaded, sources = self._load({name: mask}, None, masks=True)
        self._study.add_mask(
            _id(subject, time_point), name, loaded[name], sources.get(name, _store.Source()), overwrite
        )

    def set_clinical(self, subject: str, values: Mapping[str, Any], *, time_point: str | None = None) -> None:
        """Sets the named columns of a case; None takes a value away."""
        self._study.set_clinical(_id(subject, time_point), _record(values))

    def set_outcome(self, subject: str, values: Mapping[str, Any], *, time_point: str | None = None) -> None:
        """Sets the named outcomes of a case; None takes a value away."""
        self._study.set_outcome(_id(subject, time_point), _record(values))

    def remove(self, subject: str, *, time_point: str | None = None) -> None:
        """Takes a case out of the study, and its files off the disk."""
        self._study.remove(_id(subject, time_point))

    @contextlib.contextmanager
    def batch(self) -> Iterator[Study]:
        """Within it the index is written once, at the end: quicker for thousands of cases and as safe, for every case's
        own file is still on disk when its call returns."""
        self._study.begin_batch()
        try:
            yield self
        finally:
            self._study.end_batch()

    @property
    def cases(self) -> list[tuple[str, str | None]]:
        """(subject, time point) in the order they were added; the time point is None in a cross-sectional study."""
        return [(c.id.subject, c.id.time_point or None) for c in self._study.cases()]

    @property
    def subjects(self) -> list[str]:
        """Each subject once, in the order they were added."""
        return list(dict.fromkeys(subject for subject, _ in self.cases))

    def time_points(self, subject: str) -> list[str | None]:
        """The time points of a subject."""
        return [t for s, t in self.cases if s == subject]

    def __contains__(self, subject: object) -> bool:
        return any(s == subject or (s, t) == subject for s, t in self.cases)

    def __len__(self) -> int:
        return len(self.cases)

    def __iter__(self) -> Iterator[tuple[str, str | None]]:
        return iter(self.cases)

    def image(self, subject: str, *, name: str = "image", time_point: str | None = None, verify: bool = True) -> Image:
        """The image stored under `name`, compared with its checksum unless `verify` is false.

        Raises InvalidArgument, which lists what there is, and FormatError for a file that was cut off or changed.
        """
        return self._study.image(_id(subject, time_point), name, verify)

    def mask(self, subject: str, *, name: str = "mask", time_point: str | None = None, verify: bool = True) -> Mask:
        """The mask stored under `name`, as `image`."""
        return self._study.mask(_id(subject, time_point), name, verify)

    def images(self, subject: str, *, time_point: str | None = None) -> list[str]:
        """The names of a case's images."""
        return [v.name for v in self._info(subject, time_point).images]

    def masks(self, subject: str, *, time_point: str | None = None) -> list[str]:
        """The names of a case's masks."""
        return [v.name for v in self._info(subject, time_point).masks]

    def has_image(self, subject: str, *, name: str = "image", time_point: str | None = None) -> bool:
        return name in self.images(subject, time_point=time_point)

    def has_mask(self, subject: str, *, name: str = "mask", time_point: str | None = None) -> bool:
        return name in self.masks(subject, time_point=time_point)

    def _info(self, subject: str, time_point: str | None) -> Any:
        for info in self._study.cases():
            if info.id.subject == subject and (time_point is None or info.id.time_point == time_point):
                return info
        raise InvalidArgument(
            f"no case {subject!r}{f' at time point {time_point!r}' if time_point else ''} in {self.path}; it holds {len(self)} cases"
        )

    # Tables

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
        self._study.add_features(_id(subject, time_point), values)

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
        return bool(self._study.has_features(_id(subject, time_point), self._set(settings, image, mask, label)))

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
                    f"{self.path} holds no features yet: vesalius.radiomics.extract_study(study, settings) computes them"
                )
            raise InvalidArgument(
                f"{self.path} holds {len(sets)} sets of features; say which by features=, the settings or the beginning of a name: {', '.join(sets)}"
            )
        wanted = features if isinstance(features, str) else features.hash()
        found = [wanted] if wanted in sets else [s for s in sets if s.startswith(wanted)]
        if len(found) != 1:
            raise InvalidArgument(
                f"{len(found)} sets of features in {self.path} begin with {wanted!r}; there are {', '.join(sets) or 'none'}"
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
                f"no clinical column {missing[0]!r} in {self.path}; there are {', '.join(map(repr, clinic.columns)) or 'none'}"
            )
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
            y["event"] = known[event].to_numpy(dtype=np.float64) != 0
            y["time"] = known[time].to_numpy(dtype=np.float64)
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
        raise InvalidArgument(f"{asked} of {self.path}; there are {listed}")

    # Predictions

    def add_predictions(
        self, name: str, predictions: Any, *, about: Mapping[str, Any] | None = None, overwrite: bool = False
    ) -> None:
        """Stores a model's predictions.

        Parameters
        ----------
        name
            What to call them.
        predictions
            By subject: a dict of numbers or of dicts, a Series, or a DataFrame indexed by subject (and time point).
            Keys may be (subject, time point).
        about
            What is worth knowing of the model: numbers and text by name.
        """
        if hasattr(predictions, "to_frame"):
            predictions = predictions.to_frame(predictions.name or "prediction")
        if hasattr(predictions, "iterrows"):
            predictions = {
                key: {str(c): v for c, v in row.items()} for key, row in predictions.astype(object).iterrows()
            }
        stored = _store.Predictions()
        stored.about = _record(about)
        stored.rows = [
            (
                _id(*(key if isinstance(key, tuple) else (key, None))),
                _record(row if isinstance(row, Mapping) else {"prediction": row}),
            )
            for key, row in predictions.items()
        ]
        self._study.add_predictions(name, stored, overwrite)

    def predictions(self) -> dict[str, pd.DataFrame]:
        """All predictions by name; a frame's ``attrs`` is what was said about the model."""
        frames = {}
        for name in self._study.prediction_names():
            stored = self._study.predictions(name)
            frame = self._frame([case for case, _ in stored.rows], [record for _, record in stored.rows])
            frame.attrs.update(dict(stored.about))
            frames[name] = frame
        return frames

    # Provenance

    @property
    def provenance(self) -> dict[str, Any]:
        """Where the study's numbers come from: dates, software, inputs with their checksums, settings of each feature set."""
        feature_sets = {}
        for name in self.feature_sets:
            table = self._study.features(name)
            feature_sets[name] = {
                "settings": table.settings_yaml,
                "settings_hash": table.settings_hash,
                "image": table.image,
                "mask": table.mask,
                "label": table.label,
                "cases": len(table.cases),
                "features": len(table.names),
                "computed": [min(table.computed), max(table.computed)],
                "software": sorted(set(table.software)),
            }
        return {**self._study.provenance(), "inputs": self.inventory, "features": feature_sets}

    def repair(self) -> list[str]:
        """`vesalius.store.repair` of this study, which is closed for it and opened again."""
        path, mode = self.path, self.mode
        self.close()
        problems = repair(path)
        self._study = _store.Study(os.fspath(path), "r" if mode == "r" else "a")
        return problems
