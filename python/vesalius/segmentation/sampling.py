# SPDX-License-Identifier: Apache-2.0
"""Batches of patches as nnU-Net v2 draws them, made ahead on threads.

>>> sampler = PatchSampler(cases, (64, 64, 64), 2, augmentation=Augmentation(patch_size=(64, 64, 64)), seed=1)  # doctest: +SKIP
>>> for batch in sampler.epochs(0, 10, iterations=250):                                                      # doctest: +SKIP
...     loss = criterion(network(batch["image"]), batch["label"])

Anything that can be called as ``source(epoch, iteration)`` and returns such a dict, or any iterable of such dicts (a
``torch.utils.data.DataLoader``), may stand in its place.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, cast

import torch

from .._vesalius import segmentation as _c
from ..errors import InvalidArgument, TypeMismatch
from .augmentation import Augmentation, deep_supervision_targets, label_to_regions

__all__ = ["PatchSampler"]

Batch = dict[str, Any]
#: A substitute for `Augmentation`: (image [c, …], label [1 or 2, …], seed=, epoch=, iteration=, index=) -> (image, label)
Callback = Callable[..., tuple[torch.Tensor, torch.Tensor]]


def _of_labels(labels: torch.Tensor) -> tuple[list[list[int]], list[torch.Tensor]]:
    """Locations of each class present, where none are given: at most 10,000 a class, evenly spread."""
    classes, voxels = [], []
    for value in sorted(int(v) for v in torch.unique(labels) if v > 0):
        where = torch.nonzero(labels == value)
        step = max(1, -(-len(where) // max(10_000, len(where) // 100)))
        classes.append([value])
        voxels.append(where[::step].to(torch.int32).contiguous())
    return classes, voxels


def _case(given: Any, number: int) -> Any:
    def get(name: str, default: Any = None) -> Any:
        return given.get(name, default) if isinstance(given, Mapping) else getattr(given, name, default)

    if isinstance(given, _c.SamplerCase):
        return given
    image, labels = get("image"), get("labels", get("label"))
    if not isinstance(image, torch.Tensor) or not isinstance(labels, torch.Tensor):
        raise TypeMismatch(
            f"case {number} is {type(given).__name__}; expected a CachedCase, or a dict or object with tensors "
            "image [c, z, y, x] and labels [z, y, x]"
        )
    if labels.ndim == image.ndim and labels.shape[0] == 1:
        labels = labels[0]
    if image.ndim == 3:  # a 2D image is a volume of one slice
        image, labels = image[:, None], labels[None]
    labels = labels.to(torch.int16)
    classes, locations = get("classes"), get("locations")
    if isinstance(locations, Mapping):
        classes = [list(k) if isinstance(k, (tuple, list)) else [int(k)] for k in locations]
        locations = list(locations.values())
    if locations is None:
        classes, locations = _of_labels(labels)
    locations = [torch.as_tensor(v, dtype=torch.int32).reshape(-1, 3).contiguous() for v in locations]
    previous = get("previous")
    if previous is not None:
        previous = previous.to(torch.int16)
    return _c.SamplerCase(
        str(get("id", number)), image.float(), labels, [list(c) for c in classes], locations, previous
    )


class PatchSampler:
    """Batches that are a function of (seed, epoch, iteration) alone: a run goes on where it stopped, on any number of threads.

    Cases are drawn uniformly with replacement. Of a batch of B the samples j >= round(B · (1 - oversample_foreground)) are
    centred on a voxel of a class, the class drawn uniformly from those present in the case. The others lie anywhere, up to
    half the difference between the loaded and the network's patch beyond the border; with an ignore label they are centred on
    any annotated voxel. (nnU-Net v2's nnUNetDataLoader.)

    Parameters
    ----------
    cases : sequence
        `CachedCase`, or dicts (objects) with ``image`` float32 [c, z, y, x], ``labels`` integer [z, y, x], and optionally
        ``id``, ``locations`` (a dict from class to int [n, 3] of (z, y, x)), ``previous`` (cascade). Tensors may be mapped
        from files: only what a patch covers is read.
    patch_size : (z, y, x) or (y, x)
        With two axes single slices are drawn.
    batch_size : int
    augmentation : Augmentation or callable, optional
        None crops. A callable ``f(image, label, *, seed, epoch, iteration, index) -> (image, label)`` gets the crop
        (image float32 [c, …], label int16 [1, …], -1 outside) of `load_size` and returns patches; it runs on threads.
    oversample_foreground : float
    seed : int
    threads : int
        0: as many as there are cores, at most 8. Only for iteration.
    prefetch : int
        Batches made ahead; 0: threads / batch_size + 2.
    regions, ignore_label
        Region-based training: labels become one channel a region (and one for the ignore label).
    deep_supervision : sequence of scales, optional
        One (z, y, x) an output; "label" is then a list.
    load_size : optional
        What a callable gets; default `patch_size`.

    Raises
    ------
    InvalidArgument, ShapeError, TypeMismatch
        that name the case.
    """

    def __init__(
        self,
        cases: Sequence[Any],
        patch_size: Sequence[int],
        batch_size: int = 2,
        *,
        augmentation: Augmentation | Callback | None = None,
        oversample_foreground: float = 0.33,
        seed: int = 0,
        threads: int = 0,
        prefetch: int = 0,
        regions: Sequence[Sequence[int]] = (),
        ignore_label: int | None = None,
        deep_supervision: Sequence[Sequence[float]] = (),
        load_size: Sequence[int] | None = None,
    ) -> None:
        self.patch_size = tuple(int(n) for n in patch_size)
        self.batch_size, self.seed, self.threads, self.prefetch = (
            int(batch_size),
            int(seed),
            int(threads),
            int(prefetch),
        )
        self._callback: Callback | None = None
        native = augmentation._c if isinstance(augmentation, Augmentation) else None
        if augmentation is not None and native is None:
            if not callable(augmentation):
                raise TypeMismatch(
                    f"augmentation is {type(augmentation).__name__}; expected Augmentation or a callable"
                )
            self._callback = augmentation
        self._regions, self._ignore = [list(r) for r in regions], ignore_label
        self._scales = [[float(v) for v in s] for s in deep_supervision]
        size = list(load_size) if load_size is not None and self._callback is not None else list(self.patch_size)
        self._c = _c.PatchSampler(
            [_case(one, i) for i, one in enumerate(cases)],
            [int(n) for n in size],
            self.batch_size,
            float(oversample_foreground),
            self.seed,
            self._regions,
            ignore_label,
            self._scales,
            cast(Any, native),
        )

    def window(self, epoch: int, iteration: int, sample: int) -> dict[str, Any]:
        """Where a sample comes from: ``case``, ``forced``, ``class``, ``start`` and ``shape`` of what is loaded."""
        return self._c.window(epoch, iteration, sample)

    def batch(self, epoch: int, iteration: int) -> Batch:
        """``{"image": float32 [b, c, …], "label": int16 [b, 1, …] (uint8 [b, regions, …]; a list with deep supervision),
        "keys": ids, "epoch", "iteration"}``."""
        if self._callback is None:
            return self._c.batch(epoch, iteration)
        samples = [self._called(epoch, iteration, j) for j in range(self.batch_size)]
        return self._joined(samples, epoch, iteration)

    __call__ = batch

    def epochs(
        self, first: int, last: int, *, iterations: int, start: int = 0, threads: int | None = None
    ) -> Iterator[Batch]:
        """The batches of epochs `first` … `last` - 1 in order, from iteration `start` of the first, made ahead on threads.

        Leaving the loop early, an exception or Ctrl-C stops and joins the threads.
        """
        threads = self.threads if threads is None else int(threads)
        begin, end = first * iterations + start, last * iterations
        if iterations < 1 or not 0 <= start <= iterations or not 0 <= first <= last:
            raise InvalidArgument(
                f"epochs({first}, {last}, iterations={iterations}, start={start}): expected 0 <= first <= last, at least "
                "one iteration and 0 <= start <= iterations"
            )
        if self._callback is not None:
            return self._threaded(begin, end, iterations, threads)
        return self._native(begin, end, iterations, threads)

    def _native(self, begin: int, end: int, iterations: int, threads: int) -> Iterator[Batch]:
        loader = _c.PatchLoader(self._c, begin, max(begin, end), iterations, threads, self.prefetch)
        while (batch := loader.next(bool(self._scales))) is not None:
            yield batch

    def _called(self, epoch: int, iteration: int, sample: int) -> tuple[torch.Tensor, torch.Tensor, str]:
        image, label = self._c.raw_sample(epoch, iteration, sample)
        assert self._callback is not None
        image, label = self._callback(image, label, seed=self.seed, epoch=epoch, iteration=iteration, index=sample)
        return image, label, self._c.window(epoch, iteration, sample)["case"]

    def _joined(self, samples: list[tuple[torch.Tensor, torch.Tensor, str]], epoch: int, iteration: int) -> Batch:
        labels = [label.clamp(min=0) for _, label, _ in samples]
        if self._regions:
            labels = [label_to_regions(label, self._regions, ignore_label=self._ignore) for label in labels]
        target: Any = torch.stack(labels)
        if self._scales:
            levels = [deep_supervision_targets(label, self._scales) for label in labels]
            target = [torch.stack(level) for level in zip(*levels, strict=True)]
        return {
            "image": torch.stack([image for image, _, _ in samples]),
            "label": target,
            "keys": [key for _, _, key in samples],
            "epoch": epoch,
            "iteration": iteration,
        }

    def _threaded(self, begin: int, end: int, iterations: int, threads: int) -> Iterator[Batch]:
        workers = threads or min(8, os.cpu_count() or 1)
        ahead = self.prefetch or workers // self.batch_size + 2
        pool = ThreadPoolExecutor(workers)
        waiting: deque[tuple[int, list[Future[Any]]]] = deque()
        step = begin
        try:
            while waiting or step < end:
                while step < end and len(waiting) < ahead:
                    epoch, iteration = divmod(step, iterations)
                    futures = [pool.submit(self._called, epoch, iteration, j) for j in range(self.batch_size)]
                    waiting.append((step, futures))
                    step += 1
                now, futures = waiting.popleft()
                yield self._joined([f.result() for f in futures], *divmod(now, iterations))
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
