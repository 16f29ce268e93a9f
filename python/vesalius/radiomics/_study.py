# SPDX-License-Identifier: Apache-2.0
"""The features of every case of a study (`vesalius.radiomics.extract_study`)."""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from ..errors import Cancelled, Error, InvalidArgument, TypeMismatch
from . import _batch, _catalogue, _extract
from ._settings import Settings

if TYPE_CHECKING:
    import pandas as pd

    from ..store import Study

Case = tuple[str, str | None]
_SHOWN = 10  # failures in a message


class ExtractionError(Error):
    """Some cases failed; the others are in the study. ``failures`` maps (subject, time point) to the error."""

    def __init__(self, message: str, failures: dict[Case, Exception]) -> None:
        super().__init__(message)
        self.failures = failures


def extract_study(
    study: Study,
    settings: Settings | None = None,
    *,
    image: str = "image",
    mask: str = "mask",
    label: int = 1,
    jobs: int | None = None,
    progress: bool = True,
    on_error: Literal["raise", "report"] = "raise",
    extract: Callable[..., Any] | None = None,
) -> pd.DataFrame:
    """Extracts the features of every case and stores each as soon as it is there.

    Cases that have features with these settings, made from the image and mask they hold now, are left alone: started
    again after a stop, it goes on where it was.

    Parameters
    ----------
    study
        Open for writing.
    settings
        Of `radiomics.extract`.
    image, mask, label
        The names of what to use, and the label in the mask.
    jobs
        Cases at a time, in threads (the extraction runs without Python's lock). Default: as many as torch uses. The
        results don't depend on it.
    progress
        Show a bar.
    on_error
        "raise" raises after all cases were tried, if some failed; "report" puts the failures into
        ``attrs["failures"]`` of what is returned.

    Returns
    -------
    DataFrame
        `study.features` of these settings; ``attrs["seconds"]`` says what the time went to.

    Raises
    ------
    ExtractionError
        Some cases failed; names them, and the others are stored.
    Cancelled
        Ctrl-C; what was finished is stored.
    """
    if on_error not in ("raise", "report"):
        raise InvalidArgument(f'on_error is "raise" or "report"; it was {on_error!r}')
    number, clock, start = _batch.cores(jobs), _batch.Clock(), time.perf_counter()
    if not hasattr(study, "has_features"):
        raise TypeMismatch(
            f"extract_study takes an open vesalius.Study, got {type(study).__name__}: with vesalius.Study(path) as study: extract_study(study)"
        )
    settings = settings if settings is not None else Settings()
    if extract is None:
        _catalogue.columns(settings)  # settings that make no sense are one error, not one for each case
    coarse: dict[Case, str] = {}

    def work(case: Case, stop: threading.Event) -> Any:
        def progressed(done: int, total: int, what: str) -> None:
            if stop.is_set():
                raise Cancelled("stopped")

        subject, time_point = case
        picture, outline = clock.timed(
            "reading",
            lambda: (
                study.image(subject, name=image, time_point=time_point),
                study.mask(subject, name=mask, time_point=time_point),
            ),
        )
        function = extract if extract is not None else _extract._extract
        features = clock.timed(
            "extraction", lambda: function(picture, outline, settings, label=label, progress=progressed)
        )
        if extract is not None:
            return features
        if few := _extract._few_levels(features, picture, outline):
            coarse[case] = few
        return features

    names: dict[str, Any] = {"image": image, "mask": mask, "label": label}
    todo = [(s, t) for s, t in study.cases if not study.has_features(s, settings, time_point=t, **names)]
    bar = _batch.bar_of(len(study), len(study) - len(todo)) if progress else None
    failures: dict[Case, Exception] = {}
    try:
        with study.batch():
            for case, result in _batch.run(todo, work, number):
                if isinstance(result, Exception):
                    failures[case] = result
                else:
                    study.add_features(case[0], result, time_point=case[1], **names)
                if bar is not None:
                    bar.update()
    except KeyboardInterrupt as interrupt:
        done = sum(study.has_features(s, settings, time_point=t, **names) for s, t in study.cases)
        raise Cancelled(
            f"stopped: {done} of {len(study)} cases have their features in {study.path}; the same call goes on from there"
        ) from interrupt
    finally:
        if bar is not None:
            bar.close()
    if coarse:  # one warning, from this thread
        (subject, _), example = min(coarse.items(), key=lambda item: str(item[0]))
        warnings.warn(
            f"{len(coarse)} of {len(todo)} cases have hardly any grey levels; in {subject}, {example}. {_extract._MORE_LEVELS}",
            stacklevel=3,
        )
    if failures and on_error == "raise":
        raise ExtractionError(_describe(failures, len(study)), failures)
    frame = study.features(study._set(settings, image, mask, label)) if len(failures) < len(study) else study.features()
    frame.attrs["seconds"] = clock.seconds | {"wall": time.perf_counter() - start}
    frame.attrs["failures"] = {case: str(error) for case, error in failures.items()}
    return frame


def _describe(failures: dict[Case, Exception], total: int) -> str:
    lines = [f"{len(failures)} of {total} cases failed; the others are stored:"]
    for (subject, time_point), error in list(failures.items())[:_SHOWN]:
        lines.append(f"  {subject}{f' at {time_point}' if time_point else ''}: {type(error).__name__}: {error}")
    if len(failures) > _SHOWN:
        lines.append(f"  … and {len(failures) - _SHOWN} more: the exception's failures has them all")
    return "\n".join(lines)
