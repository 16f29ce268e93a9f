# SPDX-License-Identifier: Apache-2.0
"""Reading and writing images and masks.

Headers are checked before a voxel is read: sizes against the file's bytes, finite and right-angled geometry, data
files inside the header's folder, DICOM slices that make a grid. What is wrong is an error that names the file, what
was expected and what was found; see ``docs/io.md`` for each format's rules.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from . import _check
from ._vesalius import io as _io
from ._vesalius.core import Image, Mask

Path = str | os.PathLike[str]
Progress = bool | Callable[[int, int, str], None]

__all__ = ["info", "list_dicom_series", "read_image", "read_mask", "write_image", "write_mask"]


@contextmanager
def _reporter(progress: Progress) -> Iterator[Callable[[int, int, str], None] | None]:
    """`progress=True` is a tqdm bar; a callable is called as it is."""
    if not progress:
        yield None
    elif callable(progress):
        yield progress
    else:
        from tqdm.auto import tqdm

        with tqdm(unit="file") as bar:

            def report(done: int, total: int, what: str) -> None:
                bar.total = total
                bar.update(done - bar.n)

            yield report


def read_image(
    path: Path,
    *,
    series: str = "",
    suv: bool = False,
    on_problem: str = "error",
    isolate: bool = False,
    timeout: float = 120.0,
    memory: int = 4 << 30,
    progress: Progress = False,
) -> Image:
    """Read an image: NIfTI, NRRD, MetaImage, PNG, TIFF, JPEG, a DICOM file, or a folder with a DICOM series.

    Parameters
    ----------
    path : str or PathLike
        A file or a folder. The format is told from the contents, not from the name.
    series : str, optional
        For a folder that holds several DICOM series: a series instance UID, its end, or the series description.
    suv : bool, optional
        For DICOM PET: convert to body-weight SUV (g/ml; metadata ``units`` = ``"SUVbw"``).
    on_problem : {"error", "warn"}, optional
        What to do where something is wrong and a sensible reading exists all the same (missing slices, duplicates,
        a gantry tilt): refuse, or read and list it in ``image.metadata["problems"]``.
    isolate : bool, optional
        Read in a process of its own with limits on time and memory, for files from strangers: a crash or a hang
        of a decoder becomes a :class:`vesalius.FormatError`.
    timeout : float, optional
        Seconds that the process of `isolate` may take.
    memory : int, optional
        Bytes that the process of `isolate` may take.
    progress : bool or callable, optional
        True for a tqdm bar, or ``progress(done, total, what)``.

    Returns
    -------
    Image
        ``tensor`` is [z, y, x], or [c, z, y, x] for colours, vectors and time; 2D has z = 1. The stored type is
        kept, except unsigned integers over 8 bits, which become the next wider signed type; scales are applied.

    Raises
    ------
    IoError
        No such file, no permission, not enough memory.
    FormatError
        What the file says is wrong: truncated, inconsistent, or of no format that is read.
    GeometryError
        Singular, sheared or non-finite geometry; DICOM slices that make no even grid.
    NotSupported
        A valid file of a kind that is not read.
    """
    if isolate:
        from ._io_isolated import read_isolated

        return read_isolated(os.fspath(path), timeout, memory, series=series, suv=suv, on_problem=on_problem)
    with _reporter(progress) as report:
        return _io.read_image(os.fspath(path), series=series, suv=suv, on_problem=on_problem, progress=report)


def _names(selection: str | int | Sequence[str | int] | None) -> list[str]:
    if selection is None:
        return []
    if isinstance(selection, (str, int)):
        return [str(selection)]
    return [str(item) for item in selection]


def read_mask(
    path: Path,
    *,
    like: Image | Mask | None = None,
    roi: str | int | Sequence[str | int] | None = None,
    segment: str | int | Sequence[str | int] | None = None,
    resample: bool = False,
    series: str = "",
    on_problem: str = "error",
    progress: Progress = False,
) -> Mask:
    """Read labels: an image of whole numbers, a DICOM segmentation, or an RTSTRUCT.

    Parameters
    ----------
    path : str or PathLike
        The file. Floats are accepted where every voxel is a whole number.
    like : Image or Mask, optional
        What the mask belongs to: its grid must be the same (spacing and origin within 1 % of the spacing). An
        RTSTRUCT needs it, because its contours are drawn on that grid.
    roi : str, int or sequence, optional
        RTSTRUCT: names or numbers of the contours to draw, labelled 1, 2, ... in that order; all by default.
    segment : str, int or sequence, optional
        DICOM-SEG: labels or numbers of the segments to take; all by default, which is an error where they overlap.
    resample : bool, optional
        Bring a mask on another grid onto `like`'s by its nearest voxel, instead of an error.
    series, on_problem, progress
        As in :func:`read_image`.

    Returns
    -------
    Mask
        Labels [z, y, x]; ``names`` where the file has them.

    Raises
    ------
    GeometryError
        The grid differs from `like`'s; the message says by how much.
    TypeMismatch
        Voxels that are no whole numbers.
    IoError, FormatError, NotSupported
        As in :func:`read_image`.
    """
    if like is None and resample:
        from .errors import InvalidArgument

        raise InvalidArgument("resample=True needs like=: the image whose grid the mask should get")
    if isinstance(like, Mask):
        like = Image(like.tensor, like.geometry)
    if like is not None:
        _check.image(like, "like")
    arguments: dict[str, Any] = {
        "rois": _names(roi),
        "segments": _names(segment),
        "series": series,
        "on_problem": on_problem,
    }
    with _reporter(progress) as report:
        if not resample:
            return _io.read_mask(os.fspath(path), like, progress=report, **arguments)
        mask = _io.read_mask(os.fspath(path), None, grid=like, progress=report, **arguments)
    assert like is not None
    if mask.geometry.same_as(like.geometry):
        return mask
    from .image import resample_like  # here: reading alone needs nothing of it

    return resample_like(mask, like.geometry)


def write_image(image: Image, path: Path) -> None:
    """Write an image; the extension says the format.

    ``.nii``, ``.nii.gz``: geometry as float32, which is all that NIfTI-1 has. ``.nrrd`` (gzip), ``.mha``: geometry
    exactly. ``.png``, ``.tif``, ``.tiff``: one slice, without its place in the patient. The file appears whole or not
    at all; what was at `path` stays until then.

    Raises
    ------
    IoError
        No such folder, no permission, disk full.
    InvalidArgument
        An extension that isn't listed.
    TypeMismatch
        Voxels that the format can't hold.
    """
    _check.image(image)
    _io.write_image(image, os.fspath(path))


def write_mask(mask: Mask, path: Path) -> None:
    """Write labels as :func:`write_image` does; ``.nrrd`` and ``.mha`` keep the label names."""
    _check.mask(mask)
    _io.write_mask(mask, os.fspath(path))


def list_dicom_series(folder: Path, *, progress: Progress = False) -> list[dict[str, Any]]:
    """The DICOM series in a folder (not in its subfolders).

    Returns
    -------
    list of dict
        ``uid``, ``description``, ``modality``, ``files`` (sorted along the normal), ``size`` and ``spacing``
        (z, y, x), ``time_points``, ``problems``.

    Raises
    ------
    IoError
        No such folder.
    FormatError
        No file in it is DICOM.
    """
    with _reporter(progress) as report:
        found = _io.list_dicom_series(os.fspath(folder), progress=report)
    return [
        {
            "uid": one.uid,
            "description": one.description,
            "modality": one.modality,
            "files": list(one.files),
            "size": tuple(one.size),
            "spacing": tuple(one.spacing),
            "time_points": one.time_points,
            "problems": list(one.problems),
        }
        for one in found
    ]


def info(path: Path) -> dict[str, Any]:
    """What a file or a DICOM folder says of itself, without reading its voxels.

    Returns
    -------
    dict
        ``path``, ``format``, ``dtype`` (as stored), ``shape`` (of the tensor), ``size``, ``spacing``, ``origin`` (z, y,
        x), ``orientation``, ``modality``, ``problems`` (list of str) and ``metadata`` (dict).
    """
    facts = _io.info(os.fspath(path), progress=None)
    return {
        "path": facts.path,
        "format": facts.format,
        "dtype": facts.dtype,
        "shape": tuple(facts.shape),
        "size": tuple(facts.geometry.size),
        "spacing": tuple(facts.geometry.spacing),
        "origin": tuple(facts.geometry.origin),
        "orientation": facts.geometry.orientation,
        "modality": facts.metadata.get("modality", ""),
        "problems": list(facts.problems),
        "metadata": dict(facts.metadata),
    }
