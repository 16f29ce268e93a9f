# SPDX-License-Identifier: Apache-2.0
"""What can be chosen of a training: splits, weights to start from and their average, precision, optimiser, labels."""

import json
from pathlib import Path

import pytest
import torch
from tiny_training import HIPPOCAMPUS, SMALL, same, weights

import vesalius as vs
from vesalius import segmentation as seg
from vesalius.segmentation import training
from vesalius.segmentation.training import checkpoints


class Stop(Exception):
    pass


def _spec(plans: seg.Plans) -> dict:
    return training.network_spec(plans.configuration("3d_fullres"), 1, 3, deep_supervision=True).to_dict()


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


def test_optimizer_by_name(plans: seg.Plans, tmp_path: Path) -> None:
    seg.train(HIPPOCAMPUS, out=tmp_path, plans=plans, epochs=1, optimizer="adamw", lr=1e-3, **SMALL)
    state = checkpoints.latest(tmp_path / "3d_fullres" / "fold_0")
    assert state is not None
    assert "exp_avg" in state["optimizer"]["state"][0]
    with pytest.raises(vs.errors.InvalidArgument, match="optimizer is"):
        seg.train(HIPPOCAMPUS, out=tmp_path / "x", plans=plans, epochs=1, optimizer="lion", **SMALL)
