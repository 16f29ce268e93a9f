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
from sklearn.model_selection import KFold
from tiny_training import HIPPOCAMPUS, SMALL, same, weights

import vesalius as vs
from vesalius import segmentation as seg
from vesalius.segmentation import training
from vesalius.segmentation.augmentation import AugmentationSettings
from vesalius.segmentation.training import checkpoints


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
