# SPDX-License-Identifier: Apache-2.0
"""Preprocessing and its inverse against nnunetv2's DefaultPreprocessor, run on the same files."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor
from nnunetv2.preprocessing.resampling.default_resampling import resample_data_or_seg
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

import vesalius as vs
from vesalius import segmentation as seg
from vesalius._vesalius import segmentation as _c

CHANNELS = ["MRI", "CT", "noNorm", "rescale_to_0_1"]
REGIONS = {"labels": {"background": 0, "whole": [1, 2], "core": 2}, "regions_class_order": [1, 2]}
IGNORE = {"labels": {"background": 0, "outer": 1, "ignore": 2}}


@pytest.mark.parametrize(
    ("spacing", "target", "configuration", "labels"),
    [
        ((1.0, 1.0, 1.0), (1.3, 0.8, 1.1), "3d_fullres", None),
        ((4.0, 1.0, 1.0), (4.7, 0.8, 1.1), "3d_fullres", None),
        ((4.0, 1.0, 1.0), (4.0, 1.0, 1.0), "2d", REGIONS),
        ((1.0, 1.0, 4.0), (1.0, 0.9, 5.0), "3d_fullres", IGNORE),
        ((1.5, 1.0, 1.0), (5.0, 1.2, 1.2), "3d_fullres", REGIONS),
        ((1.0, 3.7, 3.7), (1.0, 3.0, 3.0), "3d_fullres", None),
    ],
)
def test_equals_nnunet(make_dataset, tmp_path: Path, spacing, target, configuration, labels) -> None:
    """Oracle: nnunetv2's DefaultPreprocessor.run_case with our plans; foreground locations included."""
    data = make_dataset(tmp_path / "Dataset001_X", spacing=spacing, labels=labels)
    plans = seg.plan(data, fingerprint=seg.fingerprint(data, foreground_samples=10000), spacing=target)
    text = json.loads(plans.to_json())
    for config in text["configurations"].values():
        if "use_mask_for_norm" in config:
            config["use_mask_for_norm"] = [True, False, False, False]
    plans = seg.Plans.from_json(json.dumps(text))
    manager = PlansManager(text)
    dataset_json = json.loads((tmp_path / "Dataset001_X" / "dataset.json").read_text())
    case = data.cases[1]
    want, want_seg, properties = DefaultPreprocessor(verbose=False).run_case(
        case.images, case.label, manager, manager.get_configuration(configuration), dataset_json
    )
    image, map_ = seg.load_case(case)
    got, got_seg, trace = seg.preprocess(image, seg.PreprocessPlan(plans, configuration), map_)
    assert tuple(got.shape) == want.shape
    scale = np.abs(want).max(axis=(1, 2, 3))
    for c in range(len(CHANNELS)):
        np.testing.assert_allclose(got[c].numpy(), want[c], atol=2e-6 * max(1.0, scale[c]) + 2e-6, rtol=1e-5)
    np.testing.assert_array_equal(got_seg.numpy(), want_seg[0])
    assert list(trace.shape_before_crop) == list(properties["shape_before_cropping"])
    assert [[s, s + n] for s, n in zip(trace.crop_start, trace.crop_shape, strict=True)] == [
        list(map(int, b)) for b in properties["bbox_used_for_cropping"]
    ]
    classes, voxels = _c.foreground_locations(got_seg, data.labels)
    expected = properties["class_locations"]
    assert len(classes) == len(expected)
    for numbers, where in zip(classes, voxels, strict=True):
        key = numbers[0] if len(numbers) == 1 and numbers[0] in expected else tuple(numbers)
        theirs = np.asarray(expected[key])
        np.testing.assert_array_equal(where.numpy(), theirs[:, 1:] if len(theirs) else np.zeros((0, 3)))


def test_rgb_range() -> None:
    image = vs.Image(torch.full((1, 8, 8), 300.0), vs.Geometry(size=(1, 8, 8)))
    plan = _plan_of(["rgb_to_0_1"])
    with pytest.raises(vs.errors.InvalidArgument, match=r"0\.\.255"):
        seg.preprocess(image, plan)
    with pytest.raises(vs.errors.InvalidArgument, match="NaN"):
        seg.preprocess(vs.Image(torch.full((1, 8, 8), float("nan")), vs.Geometry(size=(1, 8, 8))), plan)
    with pytest.raises(vs.errors.InvalidArgument, match="channel"):
        seg.preprocess(vs.Image(torch.zeros(2, 1, 8, 8), vs.Geometry(size=(1, 8, 8))), plan)


def _plan_of(channels: list[str], shape=(1, 64, 64), spacing=(999.0, 1.0, 1.0)) -> seg.PreprocessPlan:
    statistics = dict.fromkeys(["mean", "median", "std", "min", "max", "percentile_00_5", "percentile_99_5"], 1.0)
    print_ = seg.Fingerprint.from_json(
        json.dumps(
            {
                "spacings": [spacing],
                "shapes_after_crop": [shape],
                "median_relative_size_after_cropping": 1.0,
                "foreground_intensity_properties_per_channel": {str(i): statistics for i in range(len(channels))},
            }
        )
    )
    plans = _c.plan(print_, "x", channels, 2, 1, "plain", None, None)
    return seg.PreprocessPlan(plans, "2d" if shape[0] == 1 else "3d_fullres")


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (5.0, 1.0, 1.0)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_restore_equals_nnunet_export(spacing, dtype) -> None:
    """Oracle: nnunetv2's resample_data_or_seg (order 1, nearest in z) and numpy's argmax; zero outside the box."""
    torch.manual_seed(0)
    voxels = torch.rand(20, 30, 28) + 1
    voxels[:3] = 0
    voxels[:, :, 25:] = 0
    geometry = vs.Geometry(size=(20, 30, 28), spacing=spacing)
    plan = _plan_of(["MRI"], (20, 30, 28), tuple(s * 1.3 for s in spacing))
    _, _, trace = seg.preprocess(vs.Image(voxels, geometry), plan)
    logits = torch.randn(3, *trace.shape, dtype=dtype)
    labels = seg.LabelSet([("background", [0]), ("a", [1]), ("b", [2])])
    mask = seg.restore(logits, trace, labels)
    separate = max(spacing) / min(spacing) > 3
    expected = resample_data_or_seg(
        logits.float().numpy(), tuple(trace.crop_shape), False, 0 if separate else None, 1, separate, order_z=0
    )
    slab = _c.resample_logits_slab(logits, trace, 2, 5)
    np.testing.assert_allclose(slab.numpy(), expected[:, 2:7], atol=1e-5)
    whole = np.zeros((20, 30, 28), int)
    whole[3:, :, :25] = expected.argmax(0)
    assert (mask.tensor.numpy() != whole).mean() < 1e-4
    assert mask.geometry == geometry
    probabilities = seg.restore(logits, trace, labels, probabilities=True).tensor
    torch.testing.assert_close(probabilities.sum(0), torch.ones(20, 30, 28))
    assert (probabilities[0, :3] == 1).all()
    regions = seg.LabelSet([("background", [0]), ("w", [1, 2]), ("c", [2])], regions_class_order=[1, 2])
    painted = seg.restore(logits[:2], trace, regions).tensor.numpy()[3:, :, :25]
    want = np.where(expected[1] > 0, 2, np.where(expected[0] > 0, 1, 0))
    assert (painted != want).mean() < 1e-4


def test_round_trip_of_labels_through_transposition() -> None:
    """Invariant: with the spacing of the image, one-hot labels come back unchanged, whichever axis is the coarse one."""
    for axis in range(3):
        spacing = [1.0, 1.0, 1.0]
        spacing[axis] = 5.0
        shape = [24, 26, 22]
        shape[axis] = 6
        torch.manual_seed(axis)
        labels = (torch.rand(*shape) > 0.7).to(torch.int16)
        image = vs.Image(torch.rand(*shape) + 1, vs.Geometry(size=tuple(shape), spacing=tuple(spacing)))
        plan = _plan_of(["MRI"], tuple(shape), tuple(spacing))
        assert next(iter(plan.transpose_forward)) == axis
        _, prepared, trace = seg.preprocess(image, plan, labels)
        logits = torch.nn.functional.one_hot(prepared.long(), 2).permute(3, 0, 1, 2).float()
        back = seg.restore(logits, trace, seg.LabelSet([("background", [0]), ("a", [1])]))
        assert torch.equal(back.tensor, labels.to(torch.uint8))


def test_cache_is_atomic_and_goes_on(make_dataset, tmp_path: Path) -> None:
    """Mechanics: prepared once; a changed file and a damaged case are noticed; writing to a mapped case changes no file."""
    data = make_dataset(tmp_path / "Dataset001_X", spacing=(1.0, 1.0, 1.0))
    plans = seg.plan(data, fingerprint=seg.fingerprint(data, foreground_samples=1000))
    folder = tmp_path / "cache"
    assert seg.preprocess_dataset(data, plans, "3d_fullres", folder, jobs=2) == 2
    assert seg.preprocess_dataset(data, plans, "3d_fullres", folder) == 0
    case = seg.CachedCase.open(str(folder), "c0")
    image, map_ = seg.load_case(data.cases[0])
    fresh, _, _ = seg.preprocess(image, seg.PreprocessPlan(plans, "3d_fullres"), map_)
    assert torch.equal(case.image, fresh)
    np.testing.assert_array_equal(np.load(folder / "c0.image.npy"), fresh.numpy())
    case.image.zero_()
    assert torch.equal(seg.CachedCase.open(str(folder), "c0").image, fresh)
    whole = (folder / "c1.labels.npy").read_bytes()
    (folder / "c1.labels.npy").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(vs.errors.FormatError):
        seg.CachedCase.open(str(folder), "c1")
    path = Path(data.cases[1].label)
    path.write_bytes(path.read_bytes())  # a new time
    assert seg.preprocess_dataset(data, plans, "3d_fullres", folder) == 1
    other = seg.plan(data, fingerprint=seg.fingerprint(data, foreground_samples=1000), spacing=(2.0, 2.0, 2.0))
    assert seg.preprocess_dataset(data, other, "3d_fullres", folder) == 2
