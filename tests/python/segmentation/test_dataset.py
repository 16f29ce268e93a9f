# SPDX-License-Identifier: Apache-2.0
"""Datasets: both layouts, and everything that can be wrong with them."""

import json
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from scipy import ndimage

import vesalius as vs
from vesalius import segmentation as seg

HIPPOCAMPUS = Path(__file__).parents[2] / "data" / "segmentation" / "hippocampus"


@pytest.fixture
def pair(tmp_path: Path) -> Path:
    shutil.copytree(HIPPOCAMPUS, tmp_path / "pair")
    return tmp_path / "pair"


def kinds(problems: list[seg.Problem], *, fatal: bool = True) -> dict[str, str]:
    return {p.id: p.kind for p in problems if p.fatal == fatal}


def test_plain_pair(pair: Path) -> None:
    data = seg.open_dataset(pair)
    assert [c.id for c in data.cases] == [f"hippocampus_{i}" for i in ("001", "003", "015", "044", "156")]
    assert data.labels.values() == [0, 1, 2]
    assert data.labels.heads == 3
    # What is odd about these five: one label map is of floats, one image's intensities are 4,000 times another's.
    found = [(p.id, p.kind, p.fatal) for p in seg.check_dataset(data)]
    assert found == [("hippocampus_003", "label_type", False), ("", "intensity", False)]
    named = seg.open_dataset(pair, label_names=["anterior", "posterior"], channels=["MRI"])
    assert named.labels.foreground_names() == ["anterior", "posterior"]


def test_every_kind_of_breakage_is_found(pair: Path) -> None:
    """Oracle: each case is broken on purpose in one way."""
    image = vs.read_image(pair / "images" / "hippocampus_001.nii.gz")
    mask = vs.read_mask(pair / "labels" / "hippocampus_001.nii.gz")

    def add(id_: str, voxels: torch.Tensor, labels=mask.tensor, geometry=image.geometry, other=None) -> None:
        vs.io.write_image(vs.Image(voxels, geometry), pair / "images" / f"{id_}.nii.gz")
        vs.io.write_mask(vs.Mask(labels, other or geometry), pair / "labels" / f"{id_}.nii.gz")

    noisy = lambda k: image.tensor.float() + torch.rand(image.tensor.shape, generator=torch.Generator().manual_seed(k))  # noqa: E731
    nan = noisy(1)
    nan[0, 0, 0] = float("nan")
    add("nan", nan)
    extra = mask.tensor.clone()
    extra[0, 0, 0] = 7
    add("label", noisy(2), extra)
    add("empty", noisy(3), torch.zeros_like(mask.tensor))
    shape = mask.tensor[:-1].contiguous()
    add("shape", noisy(4), shape, other=vs.Geometry(size=tuple(shape.shape)))
    add("geometry", noisy(5), other=vs.Geometry(size=image.geometry.size, spacing=(1.0, 1.0, 1.2)))
    add("constant", torch.full_like(nan, 3.0))
    add("twin", image.tensor.float())
    for side in ("images", "labels"):
        source = (pair / side / "hippocampus_003.nii.gz").read_bytes()
        (pair / side / "cut.nii.gz").write_bytes(source if side == "labels" else source[: len(source) // 2])
    shutil.copy(pair / "images" / "hippocampus_003.nii.gz", pair / "images" / "unlabelled.nii.gz")
    shutil.copy(pair / "labels" / "hippocampus_003.nii.gz", pair / "labels" / "imageless.nii.gz")

    problems = seg.check_dataset(seg.open_dataset(pair, label_names=["a", "b", "nowhere"]), jobs=2)
    assert kinds(problems) == {
        "nan": "nan",
        "label": "labels",
        "shape": "shape",
        "geometry": "geometry",
        "constant": "constant",
        "twin": "duplicate",
        "cut": "unreadable",
        "unlabelled": "missing_label",
        "imageless": "missing_image",
    }
    soft = {(p.id, p.kind) for p in problems if not p.fatal}
    assert soft == {
        ("empty", "empty"),
        ("", "absent"),
        ("hippocampus_003", "label_type"),
        ("", "intensity"),
        ("hippocampus_001", "near_duplicate"),  # "empty" has its voxels and some noise
    }
    assert "7 (1 voxels)" in next(p.message for p in problems if p.kind == "labels")


def test_one_case(pair: Path) -> None:
    data = seg.open_dataset(pair).subset(["hippocampus_001"])
    assert [p.kind for p in seg.check_dataset(data)] == ["one_case"]


def test_raw_format(tmp_path: Path) -> None:
    root = tmp_path / "Dataset007_Raw"
    for folder in ("imagesTr", "labelsTr", "imagesTs"):
        (root / folder).mkdir(parents=True)
    for id_ in ("001", "003"):
        for c in range(2):
            shutil.copy(
                HIPPOCAMPUS / "images" / f"hippocampus_{id_}.nii.gz", root / "imagesTr" / f"{id_}_{c:04d}.nii.gz"
            )
        shutil.copy(HIPPOCAMPUS / "labels" / f"hippocampus_{id_}.nii.gz", root / "labelsTr" / f"{id_}.nii.gz")
    shutil.copy(HIPPOCAMPUS / "images" / "hippocampus_015.nii.gz", root / "imagesTr" / "015_0000.nii.gz")
    shutil.copy(HIPPOCAMPUS / "images" / "hippocampus_015.nii.gz", root / "imagesTs" / "t_0000.nii.gz")
    content = {
        "channel_names": {"0": "MRI", "1": "CT"},
        "labels": {"background": 0, "whole": [1, 2], "tail": 2, "ignore": 3},
        "regions_class_order": [1, 2],
        "numTraining": 3,
        "file_ending": ".nii.gz",
    }
    (root / "dataset.json").write_text(json.dumps(content))
    data = seg.open_dataset(root)
    assert [c.id for c in data.cases] == ["001", "003"]
    assert len(data.cases[0].images) == 2
    assert data.labels.has_regions
    assert data.labels.foreground() == [[1, 2], [2]]
    assert data.labels.heads == 2
    assert data.labels.ignore == 3
    assert len(data.test) == 1
    assert {p.kind for p in data.file_problems} == {"count", "missing_label"} or {
        p.kind for p in data.file_problems
    } == {
        "count",
        "missing_label",
        "missing_channel",
    }
    assert seg.LabelSet.from_json(data.labels.to_json()).to_json() == data.labels.to_json()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": {"background": 0, "a": 2}}, "without a gap"),
        ({"labels": {"a": 1}}, "background"),
        ({"labels": {"background": 0, "a": "x"}}, "not a number"),
        ({"labels": {"background": 0, "a": [1, 2], "b": 2}}, "regions_class_order"),
        ({"channel_names": {}}, "empty"),
        ({"file_ending": None}, "file_ending"),
        ({"labels": {"background": 0, "a": 1, "ignore": 5}}, "highest"),
    ],
)
def test_dataset_json_that_makes_no_sense(tmp_path: Path, change: dict, message: str) -> None:
    root = tmp_path / "Dataset001_Bad"
    for folder in ("imagesTr", "labelsTr"):
        (root / folder).mkdir(parents=True)
    content = {
        "channel_names": {"0": "MRI"},
        "labels": {"background": 0, "a": 1},
        "numTraining": 1,
        "file_ending": ".nii.gz",
    } | change
    (root / "dataset.json").write_text(json.dumps(content))
    with pytest.raises(vs.errors.FormatError, match=message):
        seg.open_dataset(root)


def test_no_dataset(tmp_path: Path) -> None:
    with pytest.raises(vs.errors.IoError):
        seg.open_dataset(tmp_path / "nowhere")
    with pytest.raises(vs.errors.FormatError, match="images and labels"):
        seg.open_dataset(tmp_path)
    (tmp_path / "dataset.json").write_text("{")
    with pytest.raises(vs.errors.FormatError, match="not valid JSON"):
        seg.open_dataset(tmp_path)


def _odd_dataset(root: Path, n: int = 12) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Noise with a bright cube, the cube labelled; written with nibabel, which knows nothing of ours."""
    rng = np.random.default_rng(1)
    images, labels = [], []
    for i in range(n):
        label = np.zeros((20, 22, 24), np.uint8)
        label[5 : 12 + i % 3, 6:14, 6:16] = 1
        label[4, 6 + i % 8, 6 + i % 10] = 1  # no two are the same
        image = ndimage.gaussian_filter(rng.normal(0, 300, label.shape), 2).astype(np.float32) + 100 * label + 50
        images.append(image)
        labels.append(label)
    return images, labels


def _write_pair(root: Path, images, labels, affines=None) -> seg.Dataset:
    for side, arrays in (("images", images), ("labels", labels)):
        (root / side).mkdir(parents=True)
        for i, array in enumerate(arrays):
            affine = np.eye(4) if affines is None else affines[i]
            nibabel.save(nibabel.Nifti1Image(array, affine), root / side / f"c{i:02d}.nii.gz")
    return seg.open_dataset(root, label_names=["cube"])


def test_what_is_odd_beside_the_others(tmp_path: Path) -> None:
    """Oracle: each case is made odd on purpose in one way; the others aren't named. Nothing of it is fatal."""
    images, labels = _odd_dataset(tmp_path)
    assert seg.check_dataset(_write_pair(tmp_path / "plain", images, labels)) == []
    affines = [np.eye(4) for _ in images]
    labels[0] = labels[0].astype(np.float32)
    labels[1][1, 1, 1:4] = 1  # an island of 3 voxels
    labels[2][:] = 0
    labels[2][5:7, 6:9, 6:9] = 1  # a fiftieth of the others' volume
    images[3] = images[3] * 5000
    affines[4] = np.diag([-1.0, 1, 1, 1])
    affines[5] = np.diag([1.0, 1, 4, 1])
    images[6][:, :, :] = np.where(labels[6] > 0, images[6].min(), images[6])
    images[7] = images[8][::-1] * 2 + 7  # mirrored along x, scaled
    labels[9] = labels[9] * 0
    labels[9][5:13, 6:14, 6:17] = 1
    labels[10] = labels[9].copy()
    images[11] = (images[10] * 50).astype(np.int16)
    problems = seg.check_dataset(_write_pair(tmp_path / "odd", images, labels, affines), jobs=2)
    assert {(p.id, p.kind) for p in problems} == {
        ("c00", "label_type"),
        ("c01", "islands"),
        ("c02", "volume"),
        ("", "intensity"),
        ("c04", "orientation"),
        ("c05", "spacing"),
        ("c05", "volume"),
        ("c06", "outside"),
        ("c08", "near_duplicate"),
        ("c10", "same_labels"),
        ("c11", "near_duplicate"),
    }
    assert not any(p.fatal for p in problems)
    text = {p.kind: p.message for p in problems if p.id != "c11"}
    assert "3 voxels beside the largest of" in text["islands"]
    assert "c07 and c08" in text["near_duplicate"]
    assert "mirrored along x" in text["near_duplicate"]
    assert "in c03" in text["intensity"]
    assert (
        "point to SAL; those of 11 of 12 cases to SAR" in text["orientation"]
    )  # NIfTI's +x is the patient's right to left


@pytest.mark.parametrize("seed", range(6))
def test_islands_are_counted_as_scipy_counts(tmp_path: Path, seed: int) -> None:
    """Oracle: scipy.ndimage.label with 26 neighbours on random label maps."""
    images, labels = _odd_dataset(tmp_path)
    rng = np.random.default_rng(seed)
    noise = rng.random(labels[0].shape) < (0.02, 0.05, 0.08, 0.1, 0.15, 0.3)[seed]
    labels[0] = (noise * 1).astype(np.uint8)
    parts, count = ndimage.label(labels[0], np.ones((3, 3, 3)))
    sizes = np.bincount(parts.ravel())[1:]
    found = [p for p in seg.check_dataset(_write_pair(tmp_path / "d", images, labels)) if p.kind == "islands"]
    assert [p.id for p in found] == (["c00"] if count > 1 else [])
    if count > 1:
        assert (
            f"has {count} parts, {sizes.sum() - sizes.max()} voxels beside the largest of {sizes.max()};"
            in found[0].message
        )
