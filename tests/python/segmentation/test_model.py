# SPDX-License-Identifier: Apache-2.0
"""Model bundles: what a plan does, that it comes back from disk as it was, and that hostile ones are refused."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

import vesalius as vs
from vesalius.segmentation import Model, Plan

EXAMPLE = Path(__file__).parents[3] / "examples" / "bundles" / "pet_41_percent"


@pytest.fixture
def pet() -> tuple[vs.Image, vs.Mask]:
    voxels = torch.from_numpy(np.random.default_rng(0).random((12, 30, 30)).astype(np.float32))
    voxels[3:9, 8:18, 8:18] += 9
    voxels[5, 12, 12] = 0  # a hole
    voxels[5:7, 24:27, 24:27] += 8
    region = torch.zeros(12, 30, 30, dtype=torch.uint8)
    region[5:8, 10:16, 10:16] = 1
    image = vs.Image(voxels, spacing=(3, 2, 2))
    return image, vs.Mask(region, image.geometry)


def test_the_example_is_41_percent(pet):
    """Oracle: the function that the plan names."""
    image, region = pet
    model = Model.load(str(EXAMPLE))
    out = model.predict(image, region=region)
    assert torch.equal(out.tensor, vs.segmentation.percent_of_maximum(image, region=region, fraction=0.41).tensor)
    assert out.names == {1: "lesion"} and out.geometry == image.geometry and "41 %" in model.card
    with pytest.raises(vs.InvalidArgument, match="needs one"):
        model.predict(image)
    with pytest.raises(vs.GeometryError):
        model.predict(image, region=vs.Mask(region.tensor))


@pytest.mark.parametrize("device", ["cuda"])
def test_cuda_in_cuda_out(pet, device):
    if not torch.cuda.is_available():
        pytest.skip("NO CUDA DEVICE: prediction on GPU tensors was not tested")
    image, region = pet
    out = Model.load(str(EXAMPLE)).predict(image.to(device), region=region.to(device))
    assert out.tensor.is_cuda and torch.equal(
        out.tensor.cpu(), Model.load(str(EXAMPLE)).predict(image, region=region).tensor
    )


def test_every_step_is_the_function_it_names(pet):
    """Oracle: the same steps called one after another."""
    image, region = pet
    seg, im = vs.segmentation, vs.image
    plan = Plan(
        method="threshold", lower=4, smoothing_mm=1.5, opening_mm=2.5, keep="largest", fill_holes=True, labels=["hot"]
    )
    expected = seg.threshold(im.gaussian(image, 1.5), 4)
    expected = im.fill_holes(im.largest_component(im.open(expected, 2.5), connectivity=6))
    assert torch.equal(Model(plan).predict(image).tensor, expected.tensor)
    assert torch.equal(
        Model(Plan(method="otsu", bins=64)).predict(image, region=region).tensor,
        seg.otsu(image, region=region, bins=64).tensor,
    )
    plan = Plan(method="contrast_threshold", mean_weight=0.5, background_weight=0.5, shell_inner_mm=4, shell_outer_mm=9)
    expected = seg.contrast_threshold(image, region=region, mean_weight=0.5, background_weight=0.5, shell_mm=(4, 9))
    assert torch.equal(Model(plan).predict(image, region=region).tensor, expected.mask.tensor)
    kept = Model(Plan(method="threshold", lower=5, keep="touching")).predict(image, region=region)
    assert torch.equal(kept.tensor, im.keep_touching(seg.threshold(image, 5), region, connectivity=6).tensor)
    assert (
        Model(Plan(method="threshold", lower=1e6, keep="largest", opening_mm=3, fill_holes=True)).predict(image).labels
        == []
    )


def test_save_and_load_are_inverse(tmp_path, pet):
    plan = Plan(
        method="threshold", lower=0.1, upper=float("inf"), smoothing_mm=1 / 3, labels=["Läsion: 'x'"], name="a # b"
    )
    Model(plan, card="# Karte\n").save(str(tmp_path / "new" / "bundle"))
    back = Model.load(str(tmp_path / "new" / "bundle"))
    assert back.plan == plan and back.card == "# Karte\n"
    assert sorted(p.name for p in (tmp_path / "new" / "bundle").iterdir()) == ["card.md", "plan.yaml"]
    assert pickle.loads(pickle.dumps(back)).plan == plan
    with pytest.raises(vs.IoError, match="can't make the folder"):
        (tmp_path / "file").write_text("")
        back.save(str(tmp_path / "file" / "bundle"))


HOSTILE = {
    "": "names no method",
    "method: exec": "method is one of threshold",
    "method: otsu\nfractoin: 0.4": "fraction",
    "method: otsu\nbins: many": "bins",
    "method: otsu\nbins: 1": "bins lies in 2",
    "method: otsu\nkeep: !!python/object/apply:os.system ['touch pwned']": "keep",
    "method: percent_of_maximum\nfraction: .nan": "fraction",
    "method: percent_of_maximum\nfraction: -1": "fraction",
    "method: threshold\nlower: 3\nupper: 1": "lower must not exceed",
    "method: threshold\nsmoothing_mm: .inf": "smoothing_mm",
    "method: threshold\nlabels: []": "labels",
    "method: threshold\nversion: 0": "version 0",
    "- a\n- b": "mapping",
    "method: {a: b}": "method",
    "method: [": "",
    "a: &a [x, x]\nb: &b [*a, *a]\nmethod: otsu": "",
    "\x00\x01\x02": "",
    "method: otsu\nmethod: threshold": "",
}


@pytest.mark.parametrize(("text", "says"), HOSTILE.items(), ids=range(len(HOSTILE)))
def test_hostile_plans_are_format_errors(tmp_path, text, says, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plan.yaml").write_text(text)
    with pytest.raises(vs.FormatError, match=says) as error:
        Model.load(str(tmp_path))
    assert "plan.yaml" in str(error.value) and not (tmp_path / "pwned").exists()


def test_what_is_not_a_bundle(tmp_path):
    with pytest.raises(vs.IoError, match="there is no folder"):
        Model.load(str(tmp_path / "nowhere"))
    with pytest.raises(vs.FormatError, match="has none"):
        Model.load(str(tmp_path))
    (tmp_path / "plan.yaml").write_text("method: otsu\n#" + "x" * (1 << 20))
    with pytest.raises(vs.FormatError, match="at most 1048576"):
        Model.load(str(tmp_path))
    (tmp_path / "plan.yaml").write_text("network:\n  depth: 5\n")
    with pytest.raises(vs.FormatError, match="plan.yaml.*mapping"):
        Model.load(str(tmp_path))
    (tmp_path / "plan.yaml").write_text("version: 2\nmethod: otsu\n")
    with pytest.raises(vs.NotSupported, match="Update Vesalius"):
        Model.load(str(tmp_path))
    with pytest.raises(vs.InvalidArgument, match="bins"):
        Model(Plan(method="otsu", bins=0))
