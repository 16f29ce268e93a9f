# SPDX-License-Identifier: Apache-2.0
"""Datasets: both layouts, and everything that can be wrong with them."""

import json
import shutil
from pathlib import Path

import pytest
import torch

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
    assert seg.check_dataset(data) == []
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
    assert kinds(problems, fatal=False) == {"empty": "empty", "": "absent"}
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
