# SPDX-License-Identifier: Apache-2.0
"""The study as a whole: opening and closing, predictions, provenance."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._vesalius import store as _store
from ._maintenance import repair
from ._tables import Tables
from ._values import PathLike, case_id, record

if TYPE_CHECKING:
    import pandas as pd


class Study(Tables):
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
        stored.about = record(about)
        stored.rows = [
            (
                case_id(*(key if isinstance(key, tuple) else (key, None))),
                record(row if isinstance(row, Mapping) else {"prediction": row}),
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
