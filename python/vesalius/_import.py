# SPDX-License-Identifier: Apache-2.0
"""Folders of patients into a study."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import InvalidArgument, IoError
from .io import read_image, read_mask

if TYPE_CHECKING:
    import pandas as pd

    from .store import Study


def _one(folder: Path, pattern: str, what: str) -> Path:
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        listed = ", ".join(p.name for p in found[:5]) or "nothing"
        there = ", ".join(sorted(p.name for p in folder.iterdir())[:8])
        raise InvalidArgument(
            f"{folder}: expected one {what} that matches {pattern!r}, found {listed}. The folder holds: {there}"
        )
    return found[0]


def _row(table: pd.DataFrame | None, subject: str) -> dict[str, Any]:
    if table is None or subject not in table.index:
        return {}
    row = table.loc[subject].dropna()
    return {str(k): (v.item() if hasattr(v, "item") else v) for k, v in row.items()}


def import_folder(
    study: Study,
    folder: str | Path,
    *,
    image: str,
    mask: str | None = None,
    outcomes: pd.DataFrame | None = None,
    clinical: pd.DataFrame | None = None,
    metadata: Mapping[str, str] | None = None,
    progress: bool = True,
) -> dict[str, Any]:
    """Adds every subfolder of `folder` as a subject; subjects already in the study are left as they are.

    Parameters
    ----------
    image, mask : file name, or pattern with wildcards, within each subfolder; exactly one must match
    outcomes, clinical : tables indexed by subject
    metadata : said of every image, such as ``{"modality": "PT", "units": "SUVbw"}``

    Returns
    -------
    dict with the numbers of subjects added and skipped, and those without an outcome

    Raises
    ------
    IoError, InvalidArgument
        Naming the subject's folder and what was expected. Subjects added before stay in the study.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise IoError(f"{folder} is not a folder; expected one with a subfolder for each subject")
    cases = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    if not cases:
        raise InvalidArgument(f"{folder} has no subfolders; expected one for each subject")
    known = set(study.subjects)
    added = 0
    bar: Any = None
    if progress:
        from tqdm.auto import tqdm

        bar = tqdm(total=len(cases), desc="import", unit="case")
    try:
        for case in cases:
            if case.name not in known:
                picture = read_image(str(_one(case, image, "image")))
                picture.metadata = {**picture.metadata, **(metadata or {})}
                outline = read_mask(str(_one(case, mask, "mask")), like=picture) if mask else None
                study.add(
                    case.name,
                    image=picture,
                    mask=outline,
                    clinical=_row(clinical, case.name),
                    outcome=_row(outcomes, case.name),
                )
                added += 1
            if bar is not None:
                bar.update()
    finally:
        if bar is not None:
            bar.close()
    missing = [c.name for c in cases if outcomes is not None and c.name not in outcomes.index]
    return {"study": str(study.path), "added": added, "already there": len(cases) - added, "without outcome": missing}
