# SPDX-License-Identifier: Apache-2.0
"""Patch sampling: nnU-Net's rules by their formulas and by its own loader; determinism; threads that always stop."""

import _thread
import itertools
import math
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from nnunetv2.training.dataloading.data_loader import nnUNetDataLoader
from scipy import stats

import vesalius as vs
from vesalius.segmentation.augmentation import (
    Augmentation,
    AugmentationSettings,
    deep_supervision_targets,
    label_to_regions,
)
from vesalius.segmentation.sampling import PatchSampler

PATCH = (16, 24, 20)


def make_case(number: int, shape=(30, 40, 22)) -> dict:
    generator = torch.Generator().manual_seed(number)
    labels = torch.zeros(shape, dtype=torch.int16)
    labels[8:20, 10:30, 5:15] = 1
    labels[12:15, 18:22, 8:10] = 2
    labels[:, :3] = -1
    locations = {v: torch.nonzero(labels == v).int() for v in (1, 2, 3)}
    return {
        "id": f"case{number}",
        "image": torch.randn(2, *shape, generator=generator),
        "labels": labels,
        "locations": locations,
    }


@pytest.fixture(scope="module")
def cases() -> list[dict]:
    return [make_case(0), make_case(1), make_case(2, (12, 50, 31))]


def equal(a: dict, b: dict) -> bool:
    labels = zip(a["label"], b["label"]) if isinstance(a["label"], list) else [(a["label"], b["label"])]
    return torch.equal(a["image"], b["image"]) and a["keys"] == b["keys"] and all(torch.equal(x, y) for x, y in labels)


def peer_box(case: dict, load, final, forced: bool, locations: dict, has_ignore: bool = False):
    """nnunetv2's get_bbox itself on this case."""
    self = SimpleNamespace(
        need_to_pad=np.array(load) - np.array(final), patch_size=np.array(load), has_ignore=has_ignore,
        annotated_classes_key=(-1, 0, 1, 2),
    )  # fmt: skip
    return nnUNetDataLoader.get_bbox(self, np.array(case["labels"].shape), forced, locations)[0]


@pytest.mark.parametrize("forced", [False, True])
@pytest.mark.parametrize("number", [0, 2])
@pytest.mark.parametrize("augmented", [False, True])
def test_windows_are_distributed_as_nnunets(cases, forced, number, augmented) -> None:
    """Oracle: nnunetv2's nnUNetDataLoader.get_bbox: the same range, and the same distribution by a chi-squared test."""
    case = cases[number]
    augmentation = Augmentation(patch_size=PATCH) if augmented else None
    sampler = PatchSampler(
        [case], PATCH, 1, augmentation=augmentation, oversample_foreground=1.0 if forced else 0.0, seed=3
    )
    load = augmentation.initial_patch_size if augmentation else PATCH
    n = 4000
    windows = [sampler.window(0, i, 0) for i in range(n)]
    assert all(w["forced"] == forced and tuple(w["shape"]) == tuple(load) for w in windows)
    ours = np.array([w["start"] for w in windows])
    np.random.seed(0)  # noqa: NPY002  (the peer draws from it)
    where = {k: np.c_[np.zeros(len(v), int), v.numpy()] for k, v in case["locations"].items()}
    theirs = np.array([peer_box(case, load, PATCH, forced, where) for _ in range(n)])
    for axis in range(3):
        low = min(ours[:, axis].min(), theirs[:, axis].min())
        a, b = (np.bincount(v[:, axis] - low, minlength=200) for v in (ours, theirs))
        seen = a + b >= 20
        if seen.sum() > 1:
            assert stats.chi2_contingency(np.array([a[seen], b[seen]])).pvalue > 1e-4
        else:
            assert np.array_equal(a, b)
        if not forced:  # the formula: -(pad) // 2 … shape + pad // 2 + pad % 2 - load
            shape = case["labels"].shape[axis]
            pad = max(load[axis] - PATCH[axis], load[axis] - shape)
            assert ours[:, axis].min() == -pad // 2
            assert ours[:, axis].max() == shape + pad // 2 + pad % 2 - load[axis]


def test_classes_and_cases_are_uniform(cases) -> None:
    """Statistics: cases alike with replacement; classes alike among those present (3 is absent), whatever their size."""
    sampler = PatchSampler([*cases[:2], make_case(2)], PATCH, 3, seed=1)
    windows = [sampler.window(0, i, j) for i in range(1500) for j in range(3)]
    names, counts = np.unique([w["case"] for w in windows], return_counts=True)
    assert list(names) == ["case0", "case1", "case2"]
    assert stats.chisquare(counts).pvalue > 1e-4
    classes = [tuple(w["class"]) for w in windows if w["forced"] and w["class"] is not None]
    _, counts = np.unique(classes, return_counts=True)
    assert set(classes) == {(1,), (2,)}
    assert stats.chisquare(counts).pvalue > 1e-4


@pytest.mark.parametrize("batch", [1, 2, 3, 4, 5, 6, 8, 12, 49])
@pytest.mark.parametrize("share", [0.0, 0.33, 0.5, 1.0])
def test_which_samples_are_forced(cases, batch, share) -> None:
    """Formula: sample j is forced iff not j < round(B · (1 − share)), Python's round."""
    sampler = PatchSampler(cases, PATCH, batch, oversample_foreground=share)
    for j in range(batch):
        assert sampler.window(0, 0, j)["forced"] == (not j < round(batch * (1 - share)))


def test_ignore_label(cases) -> None:
    """nnU-Net: with an ignore label unforced patches are centred on annotated voxels; forced ones on classes where there are
    any, else on annotated voxels."""
    case = dict(cases[0])
    annotated = torch.nonzero(case["labels"][:, :, :9] == 1).int()
    case["locations"] = {(1,): case["locations"][1], (-1, 0, 1, 2): annotated}
    sampler = PatchSampler([case], (4, 4, 4), 2, seed=1)
    for i in range(50):
        free, forced = sampler.window(0, i, 0), sampler.window(0, i, 1)
        assert list(free["class"]) == [-1, 0, 1, 2]
        assert list(forced["class"]) == [1]
        centre = np.array(free["start"]) + 2
        assert (annotated.numpy() == centre).all(1).any()
    case["locations"] = {(1,): torch.zeros(0, 3).int(), (-1, 0, 1, 2): annotated}
    assert list(PatchSampler([case], (4, 4, 4), 2).window(0, 0, 1)["class"]) == [-1, 0, 1, 2]
    case["locations"] = {(1,): torch.zeros(0, 3).int(), (-1, 0, 1, 2): torch.zeros(0, 3).int()}
    assert PatchSampler([case], (4, 4, 4), 2).window(0, 0, 1)["class"] is None


def test_voxels_are_those_of_the_window(cases) -> None:
    """Oracle: torch's padding and slicing: 0 and −1 (then 0) outside."""
    sampler = PatchSampler(cases, PATCH, 2, seed=4)
    by_name = {c["id"]: c for c in cases}
    for i in range(20):
        batch = sampler.batch(1, i)
        assert batch["image"].shape == (2, 2, *PATCH)
        assert batch["label"].shape == (2, 1, *PATCH)
        assert batch["label"].dtype == torch.int16
        for j in range(2):
            window = sampler.window(1, i, j)
            case = by_name[batch["keys"][j]]
            z, y, x = (s + 100 for s in window["start"])
            image = torch.nn.functional.pad(case["image"], (100,) * 6)
            labels = torch.nn.functional.pad(case["labels"], (100,) * 6).clamp(min=0)
            box = (slice(z, z + PATCH[0]), slice(y, y + PATCH[1]), slice(x, x + PATCH[2]))
            assert torch.equal(batch["image"][j], image[(slice(None), *box)])
            assert torch.equal(batch["label"][j, 0], labels[box])


def test_augmented_batches(cases) -> None:
    """Invariant: a batch is Augmentation of the windows under the same key, though nothing but the patch is read."""
    augment = Augmentation(patch_size=PATCH)
    sampler = PatchSampler(cases, PATCH, 2, augmentation=augment, seed=4)
    for i in range(30):
        batch = sampler.batch(0, i)
        for j in range(2):
            image, label = sampler._c.raw_sample(0, i, j)
            assert image.shape[1:] == augment.initial_patch_size
            want, want_label = augment(image, label, seed=4, epoch=0, iteration=i, index=j)
            torch.testing.assert_close(batch["image"][j], want, atol=1e-3, rtol=1e-3)
            assert (batch["label"][j] != want_label).float().mean() < 2e-3


def test_batches_depend_on_seed_epoch_and_iteration_only(cases) -> None:
    """Invariant: one thread or four, from the start or the middle, in any order: the same bits."""
    options = {"augmentation": Augmentation(patch_size=PATCH), "seed": 7}
    one, four = PatchSampler(cases, PATCH, 3, threads=1, **options), PatchSampler(cases, PATCH, 3, threads=4, **options)
    a, b = list(one.epochs(0, 2, iterations=4)), list(four.epochs(0, 2, iterations=4))
    assert [(x["epoch"], x["iteration"]) for x in a] == [(e, i) for e in range(2) for i in range(4)]
    assert all(equal(x, y) for x, y in zip(a, b, strict=True))
    resumed = list(four.epochs(1, 2, iterations=4, start=1))
    assert all(equal(x, y) for x, y in zip(a[5:], resumed, strict=True))
    assert equal(one.batch(1, 2), a[6])
    other = PatchSampler(cases, PATCH, 3, augmentation=options["augmentation"], seed=8)
    assert not equal(other.batch(0, 0), a[0])


def test_2d_regions_deep_supervision_and_cascade(cases) -> None:
    """Mechanics of shapes, and targets equal to the functions by themselves."""
    flat = PatchSampler(cases, (24, 20), 4, augmentation=Augmentation(patch_size=(24, 20)), seed=1)
    batch = flat.batch(0, 0)
    assert batch["image"].shape == (4, 2, 24, 20)
    assert batch["label"].shape == (4, 1, 24, 20)
    assert {w["shape"][0] for w in (flat.window(0, i, 0) for i in range(5))} == {1}
    assert len({flat.window(0, i, 0)["start"][0] for i in range(50)}) > 10

    scales = [(1, 1, 1), (1, 0.5, 0.5), (0.5, 0.25, 0.25)]
    plain = PatchSampler(cases, PATCH, 2, seed=2).batch(0, 3)["label"]
    deep = PatchSampler(cases, PATCH, 2, seed=2, deep_supervision=scales, regions=[[1, 2], [2]], ignore_label=3)
    levels = deep.batch(0, 3)["label"]
    for j in range(2):
        want = deep_supervision_targets(label_to_regions(plain[j], [[1, 2], [2]], ignore_label=3), scales)
        for level, target in zip(levels, want, strict=True):
            assert torch.equal(level[j], target)
    assert equal(next(deep.epochs(0, 1, iterations=4, start=3, threads=2)), deep.batch(0, 3))

    settings = AugmentationSettings(previous_labels=[1, 2])
    with_previous = [{**c, "previous": c["labels"].clamp(min=0)} for c in cases]
    cascade = PatchSampler(with_previous, PATCH, 2, augmentation=Augmentation(settings, patch_size=PATCH))
    assert cascade.batch(0, 0)["image"].shape == (2, 4, *PATCH)
    with pytest.raises(vs.errors.ShapeError, match='case "case0".*previous'):
        PatchSampler(cases, PATCH, 2, augmentation=Augmentation(settings, patch_size=PATCH))


def thread_count() -> int:
    with open("/proc/self/status") as status:
        return int(next(line.split()[1] for line in status if line.startswith("Threads")))


@pytest.mark.timeout(60)
def test_stopping_early_joins_the_threads(cases) -> None:
    """Mechanics: leaving a loop, an exception in it, or dropping the iterator unread leaves no thread and no deadlock."""
    sampler = PatchSampler(cases, PATCH, 2, augmentation=Augmentation(patch_size=PATCH), threads=4)
    list(sampler.epochs(0, 1, iterations=2))
    before = thread_count()
    for _ in range(5):
        for _ in itertools.islice(sampler.epochs(0, 100, iterations=250), 2):
            pass
        with pytest.raises(ZeroDivisionError):
            for _ in sampler.epochs(0, 100, iterations=250):
                1 / 0
        sampler.epochs(0, 100, iterations=250)
        stopped = sampler.epochs(0, 100, iterations=250)
        next(stopped)
        del stopped
    assert thread_count() == before
    assert list(sampler.epochs(3, 3, iterations=2)) == []


@pytest.mark.timeout(60)
def test_ctrl_c_while_waiting(cases) -> None:
    """Mechanics: Ctrl-C ends the wait for a batch that takes seconds, and the threads are joined."""
    patch = (64, 64, 64)
    settings = AugmentationSettings(p_rotation=1, p_blur=1, p_noise=1, p_gamma=1, p_low_resolution=1, p_contrast=1)
    sampler = PatchSampler(
        cases, patch, 300, augmentation=Augmentation(settings, patch_size=patch), threads=1, prefetch=1
    )
    batches = sampler.epochs(0, 1, iterations=5)
    timer = threading.Timer(0.3, _thread.interrupt_main)
    start = time.monotonic()
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        next(batches)
    batches.close()
    assert time.monotonic() - start < 2
    assert list(sampler.epochs(0, 0, iterations=5)) == []


@pytest.mark.timeout(60)
@pytest.mark.parametrize("threads", [1, 3])
def test_exceptions_come_through(cases, threads) -> None:
    """A broken case stops the batch it is in with an error that names it; the batches before it come as usual."""
    bad = dict(cases[0], id="broken", image=torch.full_like(cases[0]["image"], float("nan")))
    sampler = PatchSampler([*cases, bad], PATCH, 2, seed=3, threads=threads)
    first = next(i for i in range(100) if "broken" in [sampler.window(0, i, j)["case"] for j in range(2)])
    batches = sampler.epochs(0, 1, iterations=100)
    for i in range(first):
        assert next(batches)["iteration"] == i
    with pytest.raises(vs.errors.InvalidArgument, match=f'case "broken" .epoch 0, iteration {first}.*NaN'):
        next(batches)


@pytest.mark.timeout(60)
def test_callables_in_place_of_the_augmentation(cases) -> None:
    """Protocol: any callable; on threads; its exceptions come through."""
    names = set()

    def double(image, label, *, seed, epoch, iteration, index):
        names.add(threading.get_ident())
        assert image.shape == (2, 20, 24, 20)
        assert seed == 7
        time.sleep(0.002)
        return 2 * image[:, 2:18], label[:, 2:18]

    sampler = PatchSampler(cases, PATCH, 2, augmentation=double, seed=7, threads=3, load_size=(20, 24, 20))
    batches = list(sampler.epochs(0, 2, iterations=5))
    assert all(equal(b, sampler.batch(b["epoch"], b["iteration"])) for b in batches)
    assert len(names) > 2
    assert batches[0]["label"].min() >= 0

    def broken(image, label, **key):
        if key["iteration"] == 2:
            raise RuntimeError("no")
        return image, label

    seen = []
    with pytest.raises(RuntimeError, match="no"):
        for batch in PatchSampler(cases, PATCH, 2, augmentation=broken, threads=2).epochs(0, 1, iterations=9):
            seen.append(batch["iteration"])
    assert seen == [0, 1]


def test_bad_input(cases) -> None:
    with pytest.raises(vs.errors.InvalidArgument, match="no cases"):
        PatchSampler([], PATCH)
    with pytest.raises(vs.errors.InvalidArgument, match="batch_size"):
        PatchSampler(cases, PATCH, 0)
    with pytest.raises(vs.errors.InvalidArgument, match="oversample"):
        PatchSampler(cases, PATCH, 2, oversample_foreground=2)
    with pytest.raises(vs.errors.InvalidArgument, match="patch"):
        PatchSampler(cases, PATCH, 2, augmentation=Augmentation(patch_size=(8, 8, 8)))
    with pytest.raises(vs.errors.ShapeError, match='case "odd"'):
        PatchSampler([*cases, dict(cases[0], id="odd", image=torch.zeros(3, 30, 40, 22))], PATCH)
    with pytest.raises(vs.errors.ShapeError, match='case "odd"'):
        PatchSampler([dict(cases[0], id="odd", labels=cases[0]["labels"][1:])], PATCH)
    with pytest.raises(vs.errors.TypeMismatch, match="case 0"):
        PatchSampler(["a"], PATCH)
    with pytest.raises(vs.errors.InvalidArgument):
        PatchSampler(cases, PATCH).epochs(2, 1, iterations=5)
    with pytest.raises(vs.errors.InvalidArgument):
        PatchSampler(cases, PATCH).batch(-1, 0)


def test_cases_without_locations_or_foreground(cases) -> None:
    """A case of one image larger or smaller than the patch, without foreground, without locations: patches all the same."""
    empty = {"id": "e", "image": torch.zeros(2, 5, 60, 7), "labels": torch.zeros(5, 60, 7, dtype=torch.uint8)}
    batch = PatchSampler([empty], PATCH, 3, augmentation=Augmentation(patch_size=PATCH)).batch(0, 0)
    assert batch["image"].shape == (3, 2, *PATCH)
    own = {k: v for k, v in cases[0].items() if k != "locations"}
    windows = [PatchSampler([own], (3, 3, 3), 1, oversample_foreground=1, seed=s).window(0, 0, 0) for s in range(40)]
    labels = [int(own["labels"][tuple(np.array(w["start"]) + 1)]) for w in windows]
    assert set(labels) == {1, 2}
    assert math.isclose(np.mean(labels), 1.5, abs_tol=0.4)


def test_cases_mapped_from_files(make_dataset, tmp_path) -> None:
    """Invariant: prepared cases on disk give the batches that their voxels in memory give."""
    data = make_dataset(tmp_path / "Dataset001_X", spacing=(1.0, 1.0, 1.0), n=2)
    plans = vs.segmentation.plan(data, fingerprint=vs.segmentation.fingerprint(data, foreground_samples=1000))
    vs.segmentation.preprocess_dataset(data, plans, "3d_fullres", tmp_path / "cache")
    mapped = [vs.segmentation.CachedCase.open(str(tmp_path / "cache"), c.id) for c in data.cases]
    copies = [
        {
            "id": c.id,
            "image": c.image.clone(),
            "labels": c.labels.clone(),
            "locations": {tuple(k): v.clone() for k, v in zip(c.classes, c.locations, strict=True)},
        }
        for c in mapped
    ]
    patch = (16, 24, 24)
    a, b = (PatchSampler(given, patch, 3, augmentation=Augmentation(patch_size=patch)) for given in (mapped, copies))
    assert all(equal(x, y) for x, y in zip(a.epochs(0, 1, iterations=5), b.epochs(0, 1, iterations=5), strict=True))
    assert a.batch(0, 0)["image"].shape == (3, 4, *patch)
    centres = PatchSampler(mapped, (1, 1, 1), 2, oversample_foreground=1.0)
    assert {int(v) for i in range(20) for v in centres.batch(0, i)["label"].flatten()} == {1, 2}
