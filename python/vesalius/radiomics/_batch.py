# SPDX-License-Identifier: Apache-2.0
"""Many cases at a time, in threads."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import torch

from ..errors import Cancelled, InvalidArgument, TypeMismatch
from . import _catalogue, _extract
from ._features import Features
from ._settings import Settings

if TYPE_CHECKING:
    import pandas as pd

    from .._vesalius.core import Image, Mask

    Path = str | os.PathLike[str]
    Case = tuple[Image | Path, Mask | Path]

Task = TypeVar("Task")


def cores(jobs: int | None) -> int:
    """How many threads `jobs` means: None is as many as torch uses (`torch.get_num_threads`)."""
    if jobs is None:
        return torch.get_num_threads()
    if jobs < 1:
        raise InvalidArgument(f"jobs is how many cases to work on at a time, 1 at least; it was {jobs}")
    return jobs


class Clock:
    """Adds up seconds of several threads by what they were spent on."""

    def __init__(self) -> None:
        self.seconds = {"reading": 0.0, "extraction": 0.0}
        self._lock = threading.Lock()

    def timed(self, what: str, work: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        try:
            return work()
        finally:
            with self._lock:
                self.seconds[what] += time.perf_counter() - start


def _attempt(work: Callable[[Task, threading.Event], Any], task: Task, stop: threading.Event) -> Any:
    try:
        return work(task, stop)
    except Cancelled:
        raise
    except Exception as error:
        return error


def run(tasks: Sequence[Task], work: Callable[[Task, threading.Event], Any], jobs: int) -> Iterator[tuple[Task, Any]]:
    """Each task with its result or its error, as they are finished. A KeyboardInterrupt stops the work under way at its
    next report of progress.

    With several threads, torch runs on one core in each: a case is too little to share, and the cores are taken.
    """
    stop = threading.Event()
    if jobs == 1 or len(tasks) <= 1:
        for task in tasks:
            yield task, _attempt(work, task, stop)
        return
    waiting: queue.SimpleQueue[Task] = queue.SimpleQueue()
    # Few results wait, so that a slow disk does not fill the memory.
    finished: queue.Queue[tuple[Task, Any]] = queue.Queue(maxsize=2 * jobs)
    for task in tasks:
        waiting.put(task)
    number = min(jobs, len(tasks))
    ready = threading.Barrier(number + 1)

    def serve() -> None:
        torch.set_num_threads(1)  # this thread's OpenMP and MKL, and what threads that start later get
        ready.wait()
        while not stop.is_set():
            try:
                task = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                result = _attempt(work, task, stop)
            except Cancelled as cancelled:
                result = cancelled
            while not stop.is_set():
                try:
                    finished.put((task, result), timeout=0.1)
                    break
                except queue.Full:
                    continue

    usual = torch.get_num_threads()
    threads = [threading.Thread(target=serve, name=f"vesalius-extract-{i}", daemon=True) for i in range(number)]
    for thread in threads:
        thread.start()
    ready.wait()
    # Threads that the user starts get the usual number again; the setting of those that run is their own.
    restore = threading.Thread(target=torch.set_num_threads, args=(usual,))
    restore.start()
    restore.join()
    try:
        left = len(tasks)
        while left:
            try:  # short waits: Python notices Ctrl-C in between on every platform
                task, result = finished.get(timeout=0.1)
            except queue.Empty:
                continue
            left -= 1
            yield task, result
    finally:
        stop.set()
        for thread in threads:
            thread.join(timeout=1.5)


@dataclass
class Batch(Sequence["Features | Exception"]):
    """The features of many cases, in the order of the cases; with ``on_error="report"``, the error where a case failed.

    Attributes
    ----------
    results : list of Features or Exception
    seconds : dict
        "wall" of the whole; "reading" and "extraction" summed over the threads.
    jobs : int
        Threads.
    """

    results: list[Features | Exception]
    seconds: dict[str, float] = field(default_factory=dict)
    jobs: int = 1

    def __getitem__(self, index: Any) -> Any:
        return self.results[index]

    def __len__(self) -> int:
        return len(self.results)

    @property
    def failures(self) -> dict[int, Exception]:
        """The errors, by the case's position."""
        return {i: r for i, r in enumerate(self.results) if isinstance(r, Exception)}

    def to_frame(self) -> pd.DataFrame:
        """One row a case (its position in the batch), one column a feature; failed cases are left out."""
        import pandas as pd

        rows = {i: r.to_dict() for i, r in enumerate(self.results) if isinstance(r, Features)}
        return pd.DataFrame.from_dict(rows, orient="index")

    def __repr__(self) -> str:
        failed = f", {len(self.failures)} of them failed" if self.failures else ""
        s = self.seconds
        return (
            f"Batch({len(self)} cases{failed}; {s['wall']:.3g} s in {self.jobs} thread{'s' if self.jobs > 1 else ''}: "
            f"reading {s['reading']:.3g} s, extraction {s['extraction']:.3g} s, summed over threads)"
        )


def extract_batch(
    cases: Iterable[Case],
    settings: Settings | None = None,
    *,
    label: int | str = 1,
    channel: int = 0,
    jobs: int | None = None,
    progress: bool = False,
    on_error: Literal["raise", "report"] = "raise",
) -> Batch:
    """The features of one region in each of many cases, on all cores.

    Parameters
    ----------
    cases : iterable of (image, mask)
        Images and masks, or the paths of their files, which are read in the threads (`read_image`, `read_mask`).
    settings, label, channel
        As in `extract`.
    jobs : int, optional
        Cases at a time, in threads of one process (the extraction runs without Python's lock), each on one core. Default:
        as many as torch uses. The results don't depend on it.
    progress : bool
        Show a bar.
    on_error : {"raise", "report"}
        "raise" raises the error of the first case that failed, after all were tried; "report" puts it in the case's place.

    Returns
    -------
    Batch
        A sequence of `Features` in the order of the cases; ``.to_frame()``, ``.seconds``, ``.failures``.

    Raises
    ------
    Error
        As `extract`, with the case's position and paths in front.
    Cancelled
        Ctrl-C.
    """
    if on_error not in ("raise", "report"):
        raise InvalidArgument(f'on_error is "raise" or "report"; it was {on_error!r}')
    todo = list(cases)
    for i, case in enumerate(todo):
        if not isinstance(case, (tuple, list)) or len(case) != 2:
            raise TypeMismatch(f"cases are pairs (image, mask); case {i} is a {type(case).__name__}")
    settings = settings if settings is not None else Settings()
    _catalogue.columns(settings)  # settings that make no sense are one error, not one for each case
    number, clock, start = cores(jobs), Clock(), time.perf_counter()

    def work(i: int, stop: threading.Event) -> Features:
        from ..io import read_image, read_mask

        def progressed(done: int, total: int, what: str) -> None:
            if stop.is_set():
                raise Cancelled("stopped")

        def read() -> tuple[Any, Any]:
            image, mask = todo[i]
            if isinstance(image, (str, os.PathLike)):
                image = read_image(image)
            if isinstance(mask, (str, os.PathLike)):
                mask = read_mask(mask, like=image)
            return image, mask

        image, mask = clock.timed("reading", read)
        return clock.timed(
            "extraction",
            lambda: _extract._extract(image, mask, settings, label=label, channel=channel, progress=progressed),
        )

    results: list[Any] = [None] * len(todo)
    bar = bar_of(len(todo)) if progress else None
    try:
        for i, result in run(range(len(todo)), work, number):
            results[i] = result
            if bar is not None:
                bar.update()
    except KeyboardInterrupt as interrupt:
        raise Cancelled("stopped; nothing is returned") from interrupt
    finally:
        if bar is not None:
            bar.close()
    batch = Batch(results, clock.seconds | {"wall": time.perf_counter() - start}, number)
    for i, error in batch.failures.items():
        if on_error == "raise":
            raise type(error)(f"case {i}{_paths(todo[i])}: {error}") from error
    return batch


def _paths(case: Case) -> str:
    named = [os.fspath(part) for part in case if isinstance(part, (str, os.PathLike))]
    return f" ({', '.join(named)})" if named else ""


def bar_of(total: int, done: int = 0) -> Any:
    """A progress bar of cases."""
    from tqdm.auto import tqdm

    return tqdm(total=total, initial=done, desc="features", unit="case")
