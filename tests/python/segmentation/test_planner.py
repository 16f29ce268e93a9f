# SPDX-License-Identifier: Apache-2.0
"""Fingerprint and planner against nnunetv2: its recorded plans, and itself run here."""

import json
from pathlib import Path

import numpy as np
import pytest
from nnunetv2.experiment_planning.dataset_fingerprint.fingerprint_extractor import DatasetFingerprintExtractor
from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

import vesalius as vs
from vesalius import segmentation as seg
from vesalius._vesalius import segmentation as _c

DATA = Path(__file__).parents[2] / "data" / "segmentation"
ORACLE = json.loads((DATA / "planner_oracle.json").read_text())
PRESETS = {
    "ExperimentPlanner": "plain",
    "nnUNetPlannerResEncM": "resenc_m",
    "nnUNetPlannerResEncL": "resenc_l",
    "nnUNetPlannerResEncXL": "resenc_xl",
}


def plan_of(given: dict, preset: str) -> seg.Plans:
    n = given["n"]
    spread = lambda rows: [rows[i % len(rows)] for i in range(n)] if len(rows) in (1, n) else rows  # noqa: E731
    spacings, shapes = spread(given["spacings"]), spread(given["shapes"])
    statistics = dict.fromkeys(["mean", "median", "std", "min", "max", "percentile_00_5", "percentile_99_5"], 1.0)
    print_ = seg.Fingerprint.from_json(
        json.dumps(
            {
                "spacings": spacings,
                "shapes_after_crop": shapes,
                "median_relative_size_after_cropping": given["relsize"],
                "foreground_intensity_properties_per_channel": {
                    str(c): statistics for c in range(len(given["channels"]))
                },
            }
        )
    )
    return _c.plan(print_, "oracle", given["channels"], given["nlabels"], n, preset, None, None)


CASES = [(name, planner) for name, entry in ORACLE.items() for planner in entry["plans"]]


@pytest.mark.parametrize(("name", "planner"), CASES)
def test_plans_equal_nnunet(name: str, planner: str) -> None:
    """Oracle: nnunetv2 2.8.1's planners on 21 data sets (planner_oracle.json)."""
    plans = plan_of(ORACLE[name]["input"], PRESETS[planner])
    expected = ORACLE[name]["plans"][planner]
    ours = json.loads(plans.to_json())
    assert ours["transpose_forward"] == expected["transpose_forward"]
    assert set(ours["configurations"]) == set(expected["configurations"])
    for key, want in expected["configurations"].items():
        got = ours["configurations"][key]
        if "inherits_from" in want:
            assert got == want
            continue
        net = got["architecture"]["arch_kwargs"]
        flat = got | {
            "strides": net["strides"],
            "kernel_sizes": net["kernel_sizes"],
            "features": net["features_per_stage"],
            "n_stages": net["n_stages"],
        }
        for field, value in want.items():
            if field == "spacing":
                assert flat[field] == pytest.approx(value, rel=1e-12), (key, field)
            else:
                assert flat[field] == value, (key, field)


def test_every_planner_of_the_oracle_is_tested() -> None:
    assert {p for _, p in CASES} <= set(PRESETS)
    assert len(ORACLE) == 21


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> tuple[seg.Dataset, Path]:
    """Two channels, the second of them masked, in nnU-Net's raw format."""
    root = tmp_path_factory.mktemp("raw") / "Dataset001_Two"
    for folder in ("imagesTr", "labelsTr"):
        (root / folder).mkdir(parents=True)
    ids = sorted(p.name.removesuffix(".nii.gz") for p in (DATA / "hippocampus" / "images").iterdir())
    rng = np.random.default_rng(0)
    for i, id_ in enumerate(ids):
        image = vs.read_image(DATA / "hippocampus" / "images" / f"{id_}.nii.gz")
        mask = vs.read_mask(DATA / "hippocampus" / "labels" / f"{id_}.nii.gz")
        voxels = image.tensor.float().clone()
        voxels[:, :, : 3 + i] = 0  # something to crop
        voxels[5:8, 10:14, 10:14] = 0  # a hole
        geometry = vs.Geometry(size=image.geometry.size, spacing=(2.0 + 0.1 * i, 1.0, 0.9))
        second = voxels * 0.5
        second[second != 0] += vs_tensor(rng.normal(0, 3, int((second != 0).sum())))
        vs.io.write_image(vs.Image(voxels, geometry), root / "imagesTr" / f"{id_}_0000.nii.gz")
        vs.io.write_image(vs.Image(second, geometry), root / "imagesTr" / f"{id_}_0001.nii.gz")
        vs.io.write_mask(vs.Mask(mask.tensor, geometry), root / "labelsTr" / f"{id_}.nii.gz")
    (root / "dataset.json").write_text(
        json.dumps(
            {
                "channel_names": {"0": "MRI", "1": "CT"},
                "labels": {"background": 0, "anterior": 1, "posterior": 2},
                "numTraining": len(ids),
                "file_ending": ".nii.gz",
            }
        )
    )
    return seg.open_dataset(root), root


def vs_tensor(array: np.ndarray):
    import torch

    return torch.from_numpy(array.astype(np.float32))


def test_fingerprint_equals_nnunet(dataset: tuple[seg.Dataset, Path]) -> None:
    """Oracle: nnunetv2's analyze_case on the same files, pooled with numpy."""
    data, _ = dataset
    ours = seg.fingerprint(data, jobs=1, foreground_samples=200_000)
    drawn: list[list[np.ndarray]] = [[], []]
    sizes = []
    for i, case in enumerate(data.cases):
        shape, spacing, values, _, relative = DatasetFingerprintExtractor.analyze_case(
            case.images, case.label, SimpleITKIO, 200_000 // len(data.cases)
        )
        assert tuple(ours.shapes[i]) == tuple(shape)
        assert ours.spacings[i] == pytest.approx(spacing, rel=1e-6)
        sizes.append(relative)
        for c in range(2):
            drawn[c].append(values[c].astype(np.float64))
    assert ours.median_relative_size_after_cropping == pytest.approx(np.median(sizes), rel=1e-12)
    for c in range(2):
        pooled = np.concatenate(drawn[c])
        statistics = ours.channels[c]
        assert statistics.mean == pytest.approx(pooled.mean(), rel=1e-9)
        assert statistics.std == pytest.approx(pooled.std(), rel=1e-6)
        low, median, high = np.percentile(pooled, [0.5, 50, 99.5])
        assert statistics.percentile_00_5 == pytest.approx(low, rel=1e-6)
        assert statistics.median == pytest.approx(median, rel=1e-6)
        assert statistics.percentile_99_5 == pytest.approx(high, rel=1e-6)
        assert statistics.min == pooled.min()
        assert statistics.max == pooled.max()


def test_plans_are_read_by_nnunet_and_come_back(dataset: tuple[seg.Dataset, Path]) -> None:
    """Oracle: nnunetv2's PlansManager builds the network that our plans describe."""
    data, _ = dataset
    plans = seg.plan(data, fingerprint=seg.fingerprint(data, foreground_samples=1000))
    text = plans.to_json()
    manager = PlansManager(json.loads(text))
    configuration = manager.get_configuration("3d_fullres")
    assert list(configuration.patch_size) == plans.configuration("3d_fullres").patch_size
    assert seg.Plans.from_json(text).to_json() == text


def test_small_preset_is_smaller() -> None:
    """Mechanics: fewer elements than the default by more than a factor of three."""
    given = ORACLE["Hippo_like"]["input"]
    small = plan_of(given, "small").configuration("3d_fullres")
    plain = plan_of(given, "plain").configuration("3d_fullres")
    assert small.feature_map_elements(3) * small.batch_size < plain.feature_map_elements(3) * plain.batch_size / 3


def test_errors() -> None:
    with pytest.raises(vs.errors.InvalidArgument, match="preset is one of"):
        plan_of(ORACLE["Hippo_like"]["input"], "huge")
    with pytest.raises(vs.errors.FormatError, match="plans"):
        seg.Plans.from_json("{}")
    with pytest.raises(vs.errors.FormatError):
        seg.Fingerprint.from_json("nonsense")
    with pytest.raises(vs.errors.InvalidArgument, match="no configuration"):
        plan_of(ORACLE["Hippo_like"]["input"], "plain").configuration("4d")
