# SPDX-License-Identifier: Apache-2.0
"""The cascade's second stage: what it is given, its bundle, going on."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tiny_training import HIPPOCAMPUS, SMALL

import vesalius as vs
from vesalius import segmentation as seg
from vesalius.segmentation import training


@pytest.fixture(scope="module")
def cascade_plans(plans: seg.Plans) -> seg.Plans:
    """The tiny plan with a stage of half the resolution before it."""
    text = json.loads(plans.to_json())
    configurations = text["configurations"]
    low = json.loads(json.dumps(configurations["3d_fullres"]))
    low.update(spacing=[2.0, 2.0, 2.0], data_identifier="low", patch_size=[8, 16, 8], next_stage="3d_cascade_fullres")
    configurations["3d_lowres"] = low
    configurations["3d_cascade_fullres"] = {"inherits_from": "3d_fullres", "previous_stage": "3d_lowres"}
    return seg.Plans.from_json(json.dumps(text))


@pytest.fixture(scope="module")
def cascade_run(cascade_plans: seg.Plans, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("cascade")
    seg.train(HIPPOCAMPUS, out=out, plans=cascade_plans, configuration="3d_cascade_fullres", epochs=1, **SMALL)
    return out


def test_cascade_is_trained_on_what_the_other_folds_say(cascade_plans: seg.Plans, cascade_run: Path) -> None:
    """Oracle: nnunetv2's resampling of the logits of the fold that didn't see the case; the labels as channels of each batch."""
    from nnunetv2.preprocessing.resampling.default_resampling import resample_data_or_seg_to_shape

    between = cascade_run / "3d_lowres" / "predicted_next_stage" / "3d_cascade_fullres"
    bundle = seg.Model.load(cascade_run / "3d_lowres" / "bundle")
    assert list(bundle.weights) == ["0", "1", "2", "3", "4"]
    data = seg.open_dataset(HIPPOCAMPUS, label_names=["anterior", "posterior"])
    ids = [case.id for case in data.cases]
    cases = []
    for fold in range(5):
        held = training.split(ids, fold)[1]
        for name in held:
            low = seg.CachedCase.open(str(cascade_run / "preprocessed" / "low"), name)
            full = seg.CachedCase.open(str(next((cascade_run / "preprocessed").glob("*3d_fullres"))), name)
            logits = seg.sliding_window(bundle.network(str(fold)), low.image, 3, (8, 16, 8))
            grown = resample_data_or_seg_to_shape(
                logits.numpy(), full.labels.shape, [2.0] * 3, [2.0] * 3, is_seg=False, order=1, order_z=0
            )
            found = np.load(between / f"{name}.npy")
            best = np.sort(grown, 0)
            ties = best[-1] - best[-2] < 1e-4
            assert (found == grown.argmax(0))[~ties].all()
            assert ties.mean() < 0.05
            cases.append(training.CascadeCase(full, torch.from_numpy(found)))
    options = training.TrainingSettings(
        epochs=1, iterations=2, validation_iterations=1, precision="fp32", figures=False
    )
    trainer = training.Trainer(
        cascade_plans,
        "3d_cascade_fullres",
        data.labels,
        cases,
        cases[:1],
        cascade_run / "x",
        settings=options,
        progress=False,
    )
    assert trainer.spec.in_channels == 3
    image, _, _ = trainer.train_batches.get(0)
    assert image.shape == (2, 3, 16, 24, 16)
    assert set(image[:, 1:].unique().tolist()) <= {0.0, 1.0}
    # Validation patches aren't augmented: the channels are the labels themselves.
    image, _, _ = trainer.validation_batches.get(0)
    window = trainer.validation_batches.source.window(0, 0, 0)
    want = torch.zeros(16, 24, 16)
    start = [a + n // 2 - p // 2 for a, n, p in zip(window["start"], window["shape"], want.shape, strict=True)]
    inside = [(max(0, -s), min(p, n - s)) for s, p, n in zip(start, want.shape, cases[0].previous.shape, strict=True)]
    here = tuple(slice(a, b) for a, b in inside)
    there = tuple(slice(s + a, s + b) for s, (a, b) in zip(start, inside, strict=True))
    for k in (1, 2):
        want.zero_()
        want[here] = (cases[0].previous[there] == k).float()
        assert torch.equal(image[0, k], want)


def test_cascade_bundle_and_going_on(cascade_plans: seg.Plans, cascade_run: Path, tmp_path: Path) -> None:
    """Invariant: the bundle holds both stages, and the second one uses the first; what is finished isn't done again."""
    model = seg.Model.load(cascade_run / "bundle")
    assert model.plan.previous_stage == "3d_lowres"
    assert (cascade_run / "bundle" / "3d_lowres" / "weights.safetensors").is_file()
    image = vs.read_image(HIPPOCAMPUS / "images" / "hippocampus_001.nii.gz")
    logits = model.logits(image, mirroring=False)
    first = seg.Model.load(cascade_run / "3d_lowres" / "bundle")
    silent = {fold: {k: torch.zeros_like(v) for k, v in state.items()} for fold, state in first.weights.items()}
    other = seg.Model(model.plan, model.weights, previous=seg.Model(first.plan, silent))
    assert not torch.allclose(other.logits(image, mirroring=False), logits, atol=1e-3)
    assert model.predict(image).geometry == image.geometry
    stamps = {p: p.stat().st_mtime_ns for p in (cascade_run / "3d_lowres").rglob("*.npy")}
    before = load_file(cascade_run / "bundle" / "weights.safetensors")
    seg.train(HIPPOCAMPUS, out=cascade_run, plans=cascade_plans, configuration="3d_cascade_fullres", epochs=1, **SMALL)
    assert stamps == {p: p.stat().st_mtime_ns for p in stamps}
    after = load_file(cascade_run / "bundle" / "weights.safetensors")
    assert before.keys() == after.keys()
    assert all(torch.equal(before[k], after[k]) for k in before)
    data = seg.open_dataset(HIPPOCAMPUS, label_names=["anterior", "posterior"])
    prepared = str(next((cascade_run / "preprocessed").glob("*3d_fullres")))
    plain = [seg.CachedCase.open(prepared, case.id) for case in data.cases]
    with pytest.raises(vs.errors.InvalidArgument, match="continues 3d_lowres"):
        training.Trainer(cascade_plans, "3d_cascade_fullres", data.labels, plain, plain, tmp_path, progress=False)
    part = cascade_run / "3d_lowres" / "predicted_next_stage" / "3d_cascade_fullres" / "hippocampus_001.npy"
    part.write_bytes(part.read_bytes()[:200])
    with pytest.raises(vs.errors.FormatError, match="hippocampus_001.npy"):
        seg.train(
            HIPPOCAMPUS, out=cascade_run, plans=cascade_plans, configuration="3d_cascade_fullres", epochs=1, **SMALL
        )
