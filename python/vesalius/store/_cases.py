# SPDX-License-Identifier: Apache-2.0
"""A study's cases: their images, masks, clinical data and outcomes, one by one."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from .._vesalius import store as _store
from .._vesalius.core import Image, Mask
from ..errors import InvalidArgument, TypeMismatch
from ._values import Voxels, case_id, named, record, source

if TYPE_CHECKING:
    from typing_extensions import Self


class Cases:
    """What `Study` does with single cases."""

    _study: _store.Study

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
        images, image_sources = self._load(named(image, "image"), None)
        first = next(iter(images.values()), None)
        masks, mask_sources = self._load(named(mask, "mask"), first, masks=True)
        new.images, new.masks = images, masks
        new.image_sources, new.mask_sources = image_sources, mask_sources
        new.clinical, new.outcome = record(clinical), record(outcome)
        self._study.add(case_id(subject, time_point), new, overwrite)

    @staticmethod
    def _load(
        voxels: Mapping[str, Any], like: Image | None, *, masks: bool = False
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        loaded: dict[str, Any] = {}
        sources: dict[str, Any] = {}
        expected = Mask if masks else Image
        for name, value in voxels.items():
            if isinstance(value, str | os.PathLike):
                from .. import io

                path = os.fspath(value)
                loaded[name] = io.read_mask(path, like=like) if masks else io.read_image(path)
                sources[name] = source(path)
            elif isinstance(value, expected):
                loaded[name] = value
                if "path" in value.metadata:  # set by who read it
                    sources[name] = source(value.metadata["path"])
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
            case_id(subject, time_point), name, loaded[name], sources.get(name, _store.Source()), overwrite
        )

    def add_mask(
        self, subject: str, mask: Voxels, *, name: str = "mask", time_point: str | None = None, overwrite: bool = False
    ) -> None:
        """One more mask of a case that is there, on the grid of one of its images."""
        loaded, sources = self._load({name: mask}, None, masks=True)
        self._study.add_mask(
            case_id(subject, time_point), name, loaded[name], sources.get(name, _store.Source()), overwrite
        )

    def set_clinical(self, subject: str, values: Mapping[str, Any], *, time_point: str | None = None) -> None:
        """Sets the named columns of a case; None takes a value away."""
        self._study.set_clinical(case_id(subject, time_point), record(values))

    def set_outcome(self, subject: str, values: Mapping[str, Any], *, time_point: str | None = None) -> None:
        """Sets the named outcomes of a case; None takes a value away."""
        self._study.set_outcome(case_id(subject, time_point), record(values))

    def remove(self, subject: str, *, time_point: str | None = None) -> None:
        """Takes a case out of the study, and its files off the disk."""
        self._study.remove(case_id(subject, time_point))

    @contextlib.contextmanager
    def batch(self) -> Iterator[Self]:
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
        return self._study.image(case_id(subject, time_point), name, verify)

    def mask(self, subject: str, *, name: str = "mask", time_point: str | None = None, verify: bool = True) -> Mask:
        """The mask stored under `name`, as `image`."""
        return self._study.mask(case_id(subject, time_point), name, verify)

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
        of_subject = {info.id.time_point: info for info in self._study.cases() if info.id.subject == subject}
        if time_point is None and len(of_subject) == 1:
            return next(iter(of_subject.values()))
        wanted = "" if time_point is None else str(time_point)
        if wanted in of_subject:
            return of_subject[wanted]
        if of_subject:
            raise InvalidArgument(
                f"{subject!r} in {self._study.path} has the time points {', '.join(map(repr, of_subject))}; say which by time_point="
            )
        raise InvalidArgument(
            f"no case {subject!r}{f' at time point {time_point!r}' if time_point else ''} in {self._study.path}; it holds {len(self)} cases"
        )
