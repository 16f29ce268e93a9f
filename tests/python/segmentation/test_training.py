# SPDX-License-Identifier: Apache-2.0
"""Training: schedule, folds, checkpoints, going on after a kill, NaN, replaceable parts, several processes."""

import json
import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sklearn.model_selection import KFold

import vesalius as vs
from vesalius import segmentation as seg
from vesalius.segmentation import training
from vesalius.segmentation.augmentation import AugmentationSettings
from vesalius.segmentation.training import checkpoints

HIPPOCAMPUS = Path(__file__).parents[2] / "data" / "segmentation" / "hippocampus"
SMALL = {
    "label_names": ["anterior", "posterior"],
    "preset": "small",
    "iterations": 2,
    "validation_iterations": 1,
    "mirror_in_validation": False,
    "figures": False,
    "precision": "fp32",
    "progress": False,
    "threads": 2,
}


@pytest.fixture(scope="module")
def plans() -> seg.Plans:
    """A tiny network, so that the tests take seconds."""
    data = seg.open_dataset(HIPPOCAMPUS, label_names=["anterior", "posterior"])
    text = json.loads(
        seg.plan(data, fingerprint=seg.fingerprint(data, foreground_samples=1000), preset="small").to_json()
    )
    config = text["configurations"]["3d_fullres"]
    config["patch_size"], config["batch_size"] = [16, 24, 16], 2
    network = config["architecture"]["arch_kwargs"]
    network.update(n_stages=3, features_per_stage=[4, 8, 8], kernel_sizes=[[3] * 3] * 3)
    network.update(strides=[[1] * 3, [2] * 3, [2] * 3], n_conv_per_stage=[1] * 3, n_conv_per_stage_decoder=[1] * 2)
    return seg.Plans.from_json(json.dumps(text))


def weights(out: Path) -> dict[str, torch.Tensor]:
    return {k.split("/", 1)[1]: v for k, v in load_file(out / "bundle" / "weights.safetensors").items()}


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


@pytest.fixture(scope="module")
def reference(plans: seg.Plans, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("reference")
    seg.train(HIPPOCAMPUS, out=out, plans=plans, epochs=4, **SMALL)
    return out


def test_schedule() -> None:
    """Oracle: lr0 (1 - e / n)^0.9."""
    assert training.poly_lr(0.01, 0, 1000) == 0.01
    assert training.poly_lr(0.01, 500, 1000) == pytest.approx(0.01 * 0.5**0.9, rel=1e-15)


@pytest.mark.parametrize("n", [5, 7, 23, 200])
def test_folds_equal_sklearn(n: int) -> None:
    """Oracle: scikit-learn's KFold(5, shuffle, 12345) on sorted ids, as nnU-Net splits."""
    ids = [f"case_{i:03d}" for i in range(n)]
    for fold, (train, held) in enumerate(KFold(5, shuffle=True, random_state=12345).split(ids)):
        got = training.split(ids[::-1], fold)
        assert got == ([ids[i] for i in train], [ids[i] for i in held])
    train, held = training.split(ids, 7)
    assert not set(train) & set(held)
    assert len(train) == int(0.8 * n)
    assert training.split(ids, "all") == (ids, ids)
    assert training.split(["one"], 0) == (["one"], ["one"])


def test_splits_and_groups(plans: seg.Plans, tmp_path: Path) -> None:
    """Invariants: a group is never on both sides, each case is held out once; given folds are taken as they are; a run keeps its own."""
    from vesalius.segmentation.training.splits import Splits

    ids = [f"case_{i:03d}" for i in range(23)]
    pairs = Splits.make(ids, groups=lambda name: int(name[-3:]) // 2)
    held = [pairs.of(ids, fold)[1] for fold in range(pairs.count(ids))]
    assert sorted(i for fold in held for i in fold) == ids
    for fold in range(5):
        train, out = pairs.of(ids, fold)
        assert not {pairs.groups[i] for i in train} & {pairs.groups[i] for i in out}
        assert sorted(train + out) == ids
    assert Splits.make(ids).of(ids, 2) == training.split(ids, 2)
    assert Splits.from_json(pairs.to_json()) == pairs
    with pytest.raises(vs.errors.InvalidArgument, match="says nothing of 22 cases"):
        Splits.make(ids, groups={"case_000": 1})

    (tmp_path / "groups.json").write_text(json.dumps({i: int(i[-3:]) // 2 for i in ids}))
    assert Splits.make(ids, groups=tmp_path / "groups.json") == pairs
    (tmp_path / "groups.json").write_text("[1]")
    with pytest.raises(vs.errors.FormatError, match="mapping"):
        Splits.make(ids, groups=tmp_path / "groups.json")
    with pytest.raises(vs.errors.FormatError, match="is no splits_final.json"):
        Splits.make(ids, splits=tmp_path / "nowhere.json")

    names = [f"hippocampus_{i}" for i in ("001", "003", "015", "044", "156")]
    folds = [{"train": names[:3], "val": names[3:]}]
    (tmp_path / "splits_final.json").write_text(json.dumps(folds))
    out = tmp_path / "out"
    result = seg.train(HIPPOCAMPUS, out=out, plans=plans, epochs=1, splits=tmp_path / "splits_final.json", **SMALL)
    assert sorted(result["folds"]["0"]["cases"]) == names[3:]
    result = seg.train(HIPPOCAMPUS, out=out, plans=plans, epochs=1, **SMALL)  # goes on with its own
    assert sorted(result["folds"]["0"]["cases"]) == names[3:]
    for options, message in (
        ({"splits": [{"train": names[:4], "val": names[4:]}]}, "other splits"),
        ({"splits": folds, "groups": {}}, "not both"),
        ({"splits": [{"train": names, "val": names[:1]}]}, "in train and in val"),
        ({"splits": [{"train": names, "val": ["x"]}]}, "names x"),
        ({"splits": [{"train": names, "val": []}]}, "no case in val"),
        ({"folds": [1]}, "fold 1 is not among the 1"),
    ):
        with pytest.raises(vs.errors.InvalidArgument, match=message):
            seg.train(HIPPOCAMPUS, out=out, plans=plans, epochs=1, **options, **SMALL)
    with pytest.raises(vs.errors.FormatError, match="list of"):
        seg.train(HIPPOCAMPUS, out=out, plans=plans, epochs=1, splits=[{"a": 1}], **SMALL)


def test_what_is_written(reference: Path) -> None:
    fold = reference / "3d_fullres" / "fold_0"
    for name in ("plans.json", "labels.json", "fingerprint.json", "problems.json"):
        assert (reference / name).exists() or name == "fingerprint.json"
    lines = [json.loads(line) for line in (fold / "log.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [0, 1, 2, 3]
    assert all(len(line["dice"]) == 2 for line in lines)
    summary = json.loads((fold / "validation" / "summary.json").read_text())
    assert set(summary["dice"]) == {"anterior", "posterior"}
    case = next(iter(summary["cases"]))
    mask = vs.read_mask(fold / "validation" / f"{case}.nii.gz")
    truth = vs.read_mask(HIPPOCAMPUS / "labels" / f"{case}.nii.gz")
    assert mask.geometry.same_as(truth.geometry)
    expected = seg.metrics.evaluate(mask, truth, labels=[1])[1]["dice"]
    assert summary["cases"][case]["anterior"] == pytest.approx(expected, abs=1e-12)
    assert (reference / "bundle" / "card.md").read_text().startswith("# ")
    model = seg.Model.load(reference / "bundle")
    assert model.plan.network == "plain_unet"
    assert model.plan.label_names == ("background", "anterior", "posterior")
    # The bundle predicts what validation saw (which may use lower precision and no mirroring).
    predicted = model.predict(HIPPOCAMPUS / "images" / f"{case}.nii.gz", mirroring=False)
    assert predicted.geometry == truth.geometry
    assert (predicted.tensor == mask.tensor).float().mean() > 0.9


def test_fixed_seed_gives_the_same_weights(plans: seg.Plans, reference: Path, tmp_path: Path) -> None:
    """Invariant: the same run again, with another number of loading threads; another seed differs."""
    seg.train(HIPPOCAMPUS, out=tmp_path / "again", plans=plans, epochs=4, **{**SMALL, "threads": 1})
    assert same(weights(reference), weights(tmp_path / "again"))
    seg.train(HIPPOCAMPUS, out=tmp_path / "other", plans=plans, epochs=1, seed=1, **SMALL)
    assert not same(weights(reference), weights(tmp_path / "other"))


def test_kill_and_go_on(plans: seg.Plans, reference: Path, tmp_path: Path) -> None:
    """Oracle: the uninterrupted run. SIGKILL after the first epoch is logged; then the same call again, bit for bit."""
    (tmp_path / "plans.json").write_text(plans.to_json())
    script = tmp_path / "run.py"
    script.write_text(
        "import sys, torch\n"
        f"torch.set_num_threads({torch.get_num_threads()})\n"
        "from vesalius import segmentation as seg\n"
        f"plans = seg.Plans.from_json(open({str(tmp_path / 'plans.json')!r}).read())\n"
        f"seg.train({str(HIPPOCAMPUS)!r}, out={str(tmp_path / 'out')!r}, plans=plans, epochs=4, **{SMALL!r})\n"
    )
    process = subprocess.Popen(
        [sys.executable, str(script)], env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    )
    checkpoint = tmp_path / "out" / "3d_fullres" / "fold_0" / "checkpoint_latest.pt"
    deadline = time.monotonic() + 120
    while not checkpoint.exists() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert checkpoint.exists()
    seg.train(HIPPOCAMPUS, out=tmp_path / "out", plans=plans, epochs=4, **SMALL)
    assert same(weights(reference), weights(tmp_path / "out"))
    lines = (tmp_path / "out" / "3d_fullres" / "fold_0" / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [0, 1, 2, 3]


class Stop(Exception):
    pass


def test_go_on_from_any_epoch(plans: seg.Plans, reference: Path, tmp_path: Path) -> None:
    """Oracle: the uninterrupted run; stopped in the middle of epoch 3 by an exception in the loss."""
    calls = {"n": 0}
    inner = seg.losses.DeepSupervision(seg.losses.DiceCE())

    def loss(outputs, target, mask):
        calls["n"] += 1
        if calls["n"] == 8:
            raise Stop
        return inner(outputs, target, mask)

    with pytest.raises(Stop):
        seg.train(HIPPOCAMPUS, out=tmp_path, plans=plans, epochs=4, loss=loss, **SMALL)
    seg.train(HIPPOCAMPUS, out=tmp_path, plans=plans, epochs=4, **SMALL)
    assert same(weights(reference), weights(tmp_path))


def test_checkpoint_cut_short(reference: Path, tmp_path: Path) -> None:
    """Mechanics: the previous checkpoint serves; without one the message says which file is broken."""
    fold = reference / "3d_fullres" / "fold_0"
    data = (fold / "checkpoint_latest.pt").read_bytes()
    (tmp_path / "checkpoint_latest.pt").write_bytes(data[: len(data) // 2])
    with pytest.raises(vs.errors.FormatError, match="cut short"):
        checkpoints.latest(tmp_path)
    (tmp_path / "checkpoint_latest.previous").write_bytes((fold / "checkpoint_latest.previous").read_bytes())
    state = checkpoints.latest(tmp_path)
    assert state is not None
    assert state["epoch"] == 3
    assert checkpoints.latest(tmp_path / "nowhere") is None


def test_nan_stops_and_keeps_the_last_good_checkpoint(plans: seg.Plans, tmp_path: Path) -> None:
    calls = {"n": 0}
    inner = seg.losses.DeepSupervision(seg.losses.DiceCE())

    def loss(outputs, target, mask):
        calls["n"] += 1
        value = inner(outputs, target, mask)
        return value * float("nan") if calls["n"] == 5 else value

    with pytest.raises(vs.errors.ConvergenceError, match=r"epoch 1, iteration 1, on patches of hippocampus_\d+"):
        seg.train(HIPPOCAMPUS, out=tmp_path, plans=plans, epochs=3, loss=loss, **SMALL)
    state = checkpoints.latest(tmp_path / "3d_fullres" / "fold_0")
    assert state is not None
    assert state["epoch"] == 1
    assert all(torch.isfinite(v).all() for v in state["network"].values())


def test_broken_cases_are_left_out_loudly(plans: seg.Plans, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(HIPPOCAMPUS, tmp_path / "data")
    image = vs.read_image(HIPPOCAMPUS / "images" / "hippocampus_001.nii.gz")
    voxels = image.tensor.float().clone()
    voxels[0, 0, 0] = float("nan")
    vs.io.write_image(vs.Image(voxels, image.geometry), tmp_path / "data" / "images" / "hippocampus_001.nii.gz")
    with pytest.warns(UserWarning, match="hippocampus_001: case hippocampus_001, channel image: 1 of"):
        seg.train(tmp_path / "data", out=tmp_path / "out", plans=plans, epochs=1, **SMALL)
    listed = json.loads((tmp_path / "out" / "problems.json").read_text())
    assert [(p["id"], p["kind"]) for p in listed if p["fatal"]] == [("hippocampus_001", "nan")]
    prepared = {p.name.split(".")[0] for p in (tmp_path / "out" / "preprocessed").rglob("*.image.npy")}
    assert "hippocampus_001" not in prepared
    assert len(prepared) == 4


def test_parts_are_replaceable(plans: seg.Plans, tmp_path: Path) -> None:
    """Mechanics: network, loss, sampler, optimizer, augmentation, one by one and together."""
    seen = []

    class OwnSampler:
        def __init__(self, cases, training) -> None:
            seen.append((len(cases), training))

        def get(self, index):
            generator = torch.Generator().manual_seed(index)
            return torch.randn(2, 1, 16, 24, 16, generator=generator), torch.randint(0, 3, (2, 16, 24, 16)), [0, 0]

    network = torch.nn.Conv3d(1, 3, 3, padding=1)
    before = network.weight.detach().clone()
    result = seg.train(
        HIPPOCAMPUS, out=tmp_path, plans=plans, epochs=1, network=lambda spec: network, sampler=OwnSampler,
        loss=lambda outputs, target, mask: torch.nn.functional.cross_entropy(outputs, target),
        optimizer=lambda parameters: torch.optim.AdamW(parameters, 1e-3), **SMALL,
    )  # fmt: skip
    assert seen == [(4, True), (1, False)]
    assert not torch.equal(before, network.weight)
    assert set(result["dice"]) == {"anterior", "posterior"}

    def by_epoch(cases, training):
        inner = OwnSampler(cases, training)

        def batch(epoch, iteration):
            image, label, _ = inner.get(epoch * 2 + iteration)
            return {"image": image, "label": [label[:, None]], "keys": [cases[0].id] * 2}

        return batch

    seg.train(HIPPOCAMPUS, out=tmp_path / "by_epoch", plans=plans, epochs=1, sampler=by_epoch, **SMALL)
    options = AugmentationSettings(p_rotation=0.0, p_scaling=0.0, mirror_axes=[])
    seg.train(HIPPOCAMPUS, out=tmp_path / "plain", plans=plans, epochs=1, augmentation=options, **SMALL)


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
    assert same(before, load_file(cascade_run / "bundle" / "weights.safetensors"))
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


def test_moving_average_of_the_weights(plans: seg.Plans, tmp_path: Path) -> None:
    """Oracle: the recursion written out over the weights after each step; the bundle holds it; stopped and gone on, bit for bit."""
    steps: list[dict[str, torch.Tensor]] = []

    class Recorded(torch.optim.SGD):
        network: torch.nn.Module

        def step(self, closure=None):
            super().step(closure)
            steps.append({k: v.detach().clone() for k, v in self.network.state_dict().items()})

    torch.manual_seed(3)
    network = seg.networks.build(seg.NetworkSpec(**_spec(plans)))
    start = {k: v.clone() for k, v in network.state_dict().items()}

    def optimizer(parameters):
        Recorded.network = network
        return Recorded(parameters, 0.01)

    options = {"ema": 0.3, "plans": plans, **SMALL}
    seg.train(HIPPOCAMPUS, out=tmp_path / "a", epochs=3, network=network, optimizer=optimizer, **options)
    assert len(steps) == 6
    average = start
    for n, own in enumerate(steps):
        decay = min(0.3, (1 + n) / (10 + n))
        average = {k: decay * v + (1 - decay) * own[k] for k, v in average.items()}
    got = weights(tmp_path / "a")
    for k, v in average.items():
        torch.testing.assert_close(got[k], v, atol=1e-6, rtol=1e-5)
    assert not same(got, steps[-1])

    seg.train(HIPPOCAMPUS, out=tmp_path / "whole", epochs=3, **options)
    calls = {"n": 0}
    inner = seg.losses.DeepSupervision(seg.losses.DiceCE())

    def loss(outputs, target, mask):
        calls["n"] += 1
        if calls["n"] == 5:
            raise Stop
        return inner(outputs, target, mask)

    with pytest.raises(Stop):
        seg.train(HIPPOCAMPUS, out=tmp_path / "parts", epochs=3, loss=loss, **options)
    seg.train(HIPPOCAMPUS, out=tmp_path / "parts", epochs=3, **options)
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "parts"))
    with pytest.raises(vs.errors.InvalidArgument, match="with ema"):
        seg.train(HIPPOCAMPUS, out=tmp_path / "parts", epochs=4, **{**options, "ema": None})
    with pytest.raises(vs.errors.InvalidArgument, match="between 0 and 1"):
        seg.train(HIPPOCAMPUS, out=tmp_path / "no", epochs=4, **{**options, "ema": 1.0})


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_lower_precision_on_the_cpu(plans: seg.Plans, tmp_path: Path, precision: str) -> None:
    """Invariant: autocast with float32 weights that stay finite and change; fp16 with its gradient scaler, which is resumed."""
    options = {**SMALL, "precision": precision}
    seg.train(HIPPOCAMPUS, out=tmp_path / "a", plans=plans, epochs=2, **options)
    state = checkpoints.latest(tmp_path / "a" / "3d_fullres" / "fold_0")
    assert state is not None
    assert bool(state["scaler"]) == (precision == "fp16")
    assert all(torch.isfinite(v).all() and v.dtype == torch.float32 for v in state["network"].values())
    seg.train(HIPPOCAMPUS, out=tmp_path / "b", plans=plans, epochs=1, **options)
    assert not same(weights(tmp_path / "a"), weights(tmp_path / "b"))


def test_tensorboard(plans: seg.Plans, tmp_path: Path) -> None:
    """Oracle: tensorboard's own reader finds the numbers of the log."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    seg.train(HIPPOCAMPUS, out=tmp_path, plans=plans, epochs=2, tensorboard=True, **SMALL)
    fold = tmp_path / "3d_fullres" / "fold_0"
    events = EventAccumulator(str(fold / "tensorboard"))
    events.Reload()
    lines = [json.loads(line) for line in (fold / "log.jsonl").read_text().splitlines()]
    for key in ("loss", "validation_loss", "lr"):
        assert [e.value for e in events.Scalars(key)] == pytest.approx([line[key] for line in lines], rel=1e-6)


def test_infinite_gradient_stops_before_the_weights_are_spoilt(plans: seg.Plans, tmp_path: Path) -> None:
    """Mechanics: a finite loss with a gradient that isn't (sqrt at 0), in the last step of an epoch."""
    calls = {"n": 0}
    inner = seg.losses.DeepSupervision(seg.losses.DiceCE())

    def loss(outputs, target, mask):
        calls["n"] += 1
        value = inner(outputs, target, mask)
        return value + torch.sqrt((outputs[0] * 0).sum()) if calls["n"] == 5 else value

    with pytest.raises(vs.errors.ConvergenceError, match=r"gradient's norm is (nan|inf).*epoch 1, iteration 1"):
        seg.train(HIPPOCAMPUS, out=tmp_path, plans=plans, epochs=3, loss=loss, **SMALL)
    state = checkpoints.latest(tmp_path / "3d_fullres" / "fold_0")
    assert state is not None
    assert state["epoch"] == 1
    assert all(torch.isfinite(v).all() for v in state["network"].values())


def test_absent_class_and_small_volumes_are_trained_on(plans: seg.Plans, tmp_path: Path) -> None:
    """Mechanics: a class that no case has, and images smaller than the patch of 16 × 24 × 16: warned of, and trained."""
    for side in ("images", "labels"):
        (tmp_path / "data" / side).mkdir(parents=True)
    for path in sorted((HIPPOCAMPUS / "images").glob("*.nii.gz")):
        image = vs.read_image(path)
        mask = vs.read_mask(HIPPOCAMPUS / "labels" / path.name)
        middle = [n // 2 for n in image.geometry.size]
        box = tuple(slice(m - 5, m + 6) for m in middle)
        grid = vs.Geometry(size=(11, 11, 11))
        vs.io.write_image(vs.Image(image.tensor[box].contiguous(), grid), tmp_path / "data" / "images" / path.name)
        vs.io.write_mask(vs.Mask(mask.tensor[box].contiguous(), grid), tmp_path / "data" / "labels" / path.name)
    names = {**SMALL, "label_names": ["anterior", "posterior", "nowhere"]}
    with pytest.warns(UserWarning, match='no usable case has a voxel of "nowhere"'):
        result = seg.train(tmp_path / "data", out=tmp_path / "out", plans=plans, epochs=1, **names)
    assert set(result["dice"]) == {"anterior", "posterior", "nowhere"}
    mask = seg.Model.load(result["bundle"]).predict(tmp_path / "data" / "images" / "hippocampus_001.nii.gz")
    assert tuple(mask.tensor.shape) == (11, 11, 11)


def test_transfer(plans: seg.Plans, reference: Path, tmp_path: Path) -> None:
    """Mechanics: weights of a bundle, frozen by name, another head."""
    start = weights(reference)
    seg.train(
        HIPPOCAMPUS,
        out=tmp_path / "a",
        plans=plans,
        epochs=1,
        pretrained=reference / "bundle",
        freeze=["encoder.*"],
        **SMALL,
    )
    after = weights(tmp_path / "a")
    frozen = [k for k in start if k.startswith("encoder.")]
    assert frozen
    assert all(torch.equal(start[k], after[k]) for k in frozen)
    assert any(not torch.equal(start[k], after[k]) for k in start if k not in frozen)
    network = seg.networks.build(seg.NetworkSpec(**{**_spec(plans), "num_classes": 5}))
    left = training.load_pretrained(network, reference / "bundle")
    assert left
    assert all("seg" in k for k in left)
    with pytest.raises(vs.errors.InvalidArgument, match="no tensor"):
        training.load_pretrained(torch.nn.Linear(2, 2), start)
    # Another head: one class more; what fits is taken, the heads start anew and all is trained.
    names = {**SMALL, "label_names": ["anterior", "posterior", "third"]}
    with pytest.warns(UserWarning, match="third"):
        seg.train(
            HIPPOCAMPUS, out=tmp_path / "c", plans=plans, epochs=1, pretrained=reference / "bundle", lr=0.0, **names
        )
    moved = weights(tmp_path / "c")
    assert all(torch.equal(moved[k], start[k]) == ("seg_layers" not in k) for k in start)
    assert moved["decoder.seg_layers.0.bias"].shape == (4,)
    with pytest.raises(vs.errors.InvalidArgument, match=r"no parameter is called 'enkoder\.\*'"):
        seg.train(HIPPOCAMPUS, out=tmp_path / "d", plans=plans, epochs=1, freeze=["enkoder.*"], **SMALL)
    with pytest.raises(vs.errors.InvalidArgument, match="nothing to train"):
        seg.train(HIPPOCAMPUS, out=tmp_path / "b", plans=plans, epochs=1, freeze=["*"], **SMALL)


def _spec(plans: seg.Plans) -> dict:
    return training.network_spec(plans.configuration("3d_fullres"), 1, 3, deep_supervision=True).to_dict()


def test_two_processes(plans: seg.Plans, tmp_path: Path) -> None:
    """Mechanics: torchrun with gloo; both ranks end with the same weights, and one writes."""
    (tmp_path / "plans.json").write_text(plans.to_json())
    script = tmp_path / "run.py"
    script.write_text(
        "import os, torch\n"
        "torch.set_num_threads(1)\n"
        "from vesalius import segmentation as seg\n"
        f"plans = seg.Plans.from_json(open({str(tmp_path / 'plans.json')!r}).read())\n"
        "import vesalius.segmentation.training.run as run\n"
        "kept = []\n"
        "made = run.Trainer\n"
        "run.Trainer = lambda *a, **k: kept.append(made(*a, **k)) or kept[-1]\n"
        f"seg.train({str(HIPPOCAMPUS)!r}, out={str(tmp_path / 'out')!r}, plans=plans, epochs=1, device='cpu', **{SMALL!r})\n"
        f"torch.save(kept[0].network.state_dict(), {str(tmp_path)!r} + f\"/rank{{os.environ['RANK']}}.pt\")\n"
        "torch.distributed.destroy_process_group()\n"
    )
    subprocess.run(
        [Path(sys.executable).with_name("torchrun"), "--standalone", "--nproc-per-node", "2", str(script)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
        check=True,
        timeout=300,
    )
    a, b = (torch.load(tmp_path / f"rank{r}.pt", weights_only=True) for r in (0, 1))
    assert same(a, b)
    assert len((tmp_path / "out" / "3d_fullres" / "fold_0" / "log.jsonl").read_text().splitlines()) == 1


def test_regions_and_ignore(make_dataset, tmp_path: Path) -> None:
    labels = {"labels": {"background": 0, "whole": [1, 2], "core": 2, "ignore": 3}, "regions_class_order": [1, 2]}
    data = make_dataset(tmp_path / "Dataset001_R", spacing=(1.0, 1.0, 1.0), labels=labels, n=3)
    text = json.loads(
        seg.plan(data, fingerprint=seg.fingerprint(data, foreground_samples=1000), preset="small").to_json()
    )
    text["configurations"]["2d"]["batch_size"] = 2
    options = {k: v for k, v in SMALL.items() if k != "label_names"}
    for name in ("2d", "3d_fullres"):
        result = seg.train(
            data,
            out=tmp_path / name,
            plans=seg.Plans.from_json(json.dumps(text)),
            configuration=name,
            epochs=1,
            **options,
        )
        assert set(result["dice"]) == {"whole", "core"}


def test_one_case_and_none(plans: seg.Plans, tmp_path: Path) -> None:
    data = seg.open_dataset(HIPPOCAMPUS, label_names=["anterior", "posterior"])
    with pytest.warns(UserWarning, match="only one case"):
        seg.train(data.subset(["hippocampus_001"]), out=tmp_path, plans=plans, epochs=1, **SMALL)
    with pytest.raises(vs.errors.InvalidArgument, match="no case"):
        seg.train(data.subset([]), out=tmp_path / "none", plans=plans, epochs=1, **SMALL)


def test_figures(plans: seg.Plans, tmp_path: Path) -> None:
    seg.train(HIPPOCAMPUS, out=tmp_path, plans=plans, epochs=2, **{**SMALL, "figures": True})
    fold = tmp_path / "3d_fullres" / "fold_0"
    assert (fold / "progress.png").stat().st_size > 5000
    assert len(list((fold / "figures").glob("epoch_0001_*.png"))) == 1


def test_postprocessing_and_best_configuration() -> None:
    """Oracle: made by hand. A stray island of class 1 goes when only class 1 gains; two true parts stay."""
    labels = seg.LabelSet([("background", [0]), ("a", [1]), ("b", [2])])
    truth = torch.zeros(12, 12, 12, dtype=torch.uint8)
    truth[2:6, 2:6, 2:6] = 1
    truth[8:11, 8:11, 8:11] = 2
    wrong = truth.clone()
    wrong[0, 11, 0] = 1
    assert training.learn_postprocessing({"x": wrong}, {"x": truth}, labels) == [[1]]
    assert torch.equal(training.keep_largest(wrong, [1]), truth)
    assert training.learn_postprocessing({"x": truth}, {"x": truth}, labels) == []
    alone = torch.zeros_like(truth)
    alone[2:6, 2:6, 2:6] = 1
    stray = alone.clone()
    stray[9, 9, 9] = 1
    assert training.learn_postprocessing({"x": stray}, {"x": alone}, labels)[0] == [1, 2]
    assert training.best_configuration({"2d": 0.8, "3d_fullres": 0.9}) == ("3d_fullres",)
    assert training.best_configuration({"2d": 0.8, "3d": 0.9}, {("2d", "3d"): 0.9}) == ("3d",)
    assert training.best_configuration({"2d": 0.8, "3d": 0.9}, {("2d", "3d"): 0.91}) == ("2d", "3d")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(training.summarise({"x": [np.nan]}, ["a"])["mean_dice"])


def test_command_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Mechanics: the command's options arrive at `train`; a dataset that isn't there is an error of one line."""
    from vesalius import cli

    assert cli.main(["train", str(tmp_path / "nowhere"), "--out", str(tmp_path / "out")]) == 1
    assert "there is no folder" in capsys.readouterr().err
    seen = {}
    monkeypatch.setattr(
        seg, "train", lambda dataset, **options: seen.update(options, dataset=dataset) or {"dice": {}, "folds": {}}
    )
    arguments = [
        "train",
        "data",
        "--out",
        "run",
        "--preset",
        "small",
        "--minutes",
        "25",
        "--folds",
        "0",
        "all",
        "--json",
    ]
    more = ["--freeze", "encoder.*", "--lr", "0.1", "--ema", "0.99", "--groups", "groups.json"]
    assert cli.main([*arguments, *more]) == 0
    assert (seen["ema"], seen["groups"]) == (0.99, "groups.json")
    assert seen["folds"] == [0, "all"]
    assert (seen["preset"], seen["minutes"], seen["lr"], seen["freeze"]) == ("small", 25.0, 0.1, ["encoder.*"])
    assert seen["progress"] is False


def test_minutes_choose_the_epochs(plans: seg.Plans, tmp_path: Path) -> None:
    """Mechanics: a few seconds give at least one epoch, and the schedule ends with the last."""
    out = seg.train(HIPPOCAMPUS, out=tmp_path, plans=plans, minutes=0.02, **SMALL)
    assert out["folds"]["0"]["dice"].keys() == {"anterior", "posterior"}
    lines = [json.loads(line) for line in (tmp_path / "3d_fullres" / "fold_0" / "log.jsonl").read_text().splitlines()]
    n = len(lines)
    assert lines[-1]["lr"] == pytest.approx(2e-3 * (1 / n) ** 0.9)  # the small preset starts at 2e-3


def test_optimizer_by_name(plans: seg.Plans, tmp_path: Path) -> None:
    seg.train(HIPPOCAMPUS, out=tmp_path, plans=plans, epochs=1, optimizer="adamw", lr=1e-3, **SMALL)
    state = checkpoints.latest(tmp_path / "3d_fullres" / "fold_0")
    assert state is not None
    assert "exp_avg" in state["optimizer"]["state"][0]
    with pytest.raises(vs.errors.InvalidArgument, match="optimizer is"):
        seg.train(HIPPOCAMPUS, out=tmp_path / "x", plans=plans, epochs=1, optimizer="lion", **SMALL)
