# SPDX-License-Identifier: Apache-2.0
"""Bundles of networks: safetensors files, plans, prediction, uncertainty, and hostile or broken ones."""

import json
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
import safetensors
import safetensors.torch
import torch
from monai.inferers import sliding_window_inference
from monai.networks import nets as monai_nets
from scipy import ndimage
from torch import nn

import vesalius as vs
from vesalius._vesalius import segmentation as core
from vesalius.segmentation import Model, NetworkPlan, networks

TYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8,
         torch.uint8, torch.bool]  # fmt: skip


def _tensors() -> dict[str, torch.Tensor]:
    made = {f"t.{i}": (torch.randn(3, i + 1, 2) * 3).to(t) for i, t in enumerate(TYPES)}
    return made | {
        "scalar": torch.tensor(2.5),
        "empty": torch.zeros(0, 4),
        "strided": torch.arange(12.0).view(3, 4).t(),
    }


def test_safetensors_both_ways(tmp_path: Path) -> None:
    """Oracle: the `safetensors` package reads what we write and the other way round, every type, bit for bit."""
    tensors = _tensors()
    ours, theirs = str(tmp_path / "ours"), str(tmp_path / "theirs")
    core.write_safetensors(ours, tensors, {"format": "pt", "ünïcode": '"x"'})
    safetensors.torch.save_file({k: v.contiguous() for k, v in tensors.items()}, theirs, {"a": "b"})
    with safetensors.safe_open(ours, "pt") as file:
        assert file.metadata() == {"format": "pt", "ünïcode": '"x"'}
    read, metadata = core.read_safetensors(theirs)
    assert metadata == {"a": "b"}
    for found in (read, safetensors.torch.load_file(ours), core.read_safetensors(ours)[0]):
        assert found.keys() == tensors.keys()
        for key, value in tensors.items():
            assert found[key].dtype == value.dtype and torch.equal(found[key], value), key


def _file(header: object, data: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def _entry(begin: int, end: int, shape: object = (1,), dtype: object = "F32") -> dict:
    return {"dtype": dtype, "shape": list(shape) if isinstance(shape, tuple) else shape, "data_offsets": [begin, end]}


HOSTILE = {
    "empty": b"",
    "seven bytes": b"\0" * 7,
    "huge header": _file({}, length=2**63),
    "header beyond the file": _file({}, length=50),
    "header over the limit": struct.pack("<Q", 100_000_001) + b"{" + b" " * 64,
    "no JSON": _file(b"{nonsense"),
    "a list": _file(b"[1]"),
    "blank in front": _file(b" {}"),
    "nested": _file(b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}"),
    "twice": _file(
        b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}',
        b"x",
    ),
    "overlap": _file({"a": _entry(0, 4), "b": _entry(2, 6)}, b"\0" * 6),
    "same place": _file({"a": _entry(0, 4), "b": _entry(0, 4)}, b"\0" * 4),
    "gap": _file({"a": _entry(0, 4), "b": _entry(8, 12)}, b"\0" * 12),
    "bytes left": _file({"a": _entry(0, 4)}, b"\0" * 9),
    "cut short": _file({"a": _entry(0, 4)}, b"\0" * 3),
    "wrong size": _file({"a": _entry(0, 4, (2,))}, b"\0" * 4),
    "backwards": _file({"a": _entry(4, 0)}, b"\0" * 4),
    "negative shape": _file({"a": _entry(0, 4, (-1,))}, b"\0" * 4),
    "overflow": _file({"a": _entry(0, 4, (2**40, 2**40, 2**40))}, b"\0" * 4),
    "overflow to 0": _file({"a": _entry(0, 0, (2**32, 2**32))}),
    "fraction": _file({"a": _entry(0, 4, (1.5,))}, b"\0" * 4),
    "shape is text": _file({"a": _entry(0, 4, "x")}, b"\0" * 4),
    "no offsets": _file({"a": {"dtype": "F32", "shape": [1]}}, b"\0" * 4),
    "more than is known": _file({"a": _entry(0, 4) | {"x": 1}}, b"\0" * 4),
    "offset is text": _file({"a": {"dtype": "F32", "shape": [1], "data_offsets": ["0", 4]}}, b"\0" * 4),
    "metadata of numbers": _file({"__metadata__": {"a": 1}}),
    "bool of 2": _file({"a": _entry(0, 1, (1,), "BOOL")}, b"\2"),
    "33 axes": _file({"a": _entry(0, 4, (1,) * 33)}, b"\0" * 4),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_safetensors_are_refused(tmp_path: Path, name: str) -> None:
    """Mechanics: a FormatError that names the file; nothing is allocated by what a header claims."""
    path = tmp_path / "weights.safetensors"
    path.write_bytes(HOSTILE[name])
    with pytest.raises(vs.FormatError, match="no sound safetensors"):
        core.read_safetensors(str(path))


def test_fuzzed_safetensors(tmp_path: Path) -> None:
    """Invariant: of 1500 mutations of a good file each is refused by an error of ours, or read and re-written the same."""
    path = tmp_path / "w"
    core.write_safetensors(str(path), {"a": torch.randn(3, 2), "b": torch.ones(4, dtype=torch.bool)}, {"m": "x"})
    good = path.read_bytes()
    generator = np.random.default_rng(0)
    refused = 0
    for _ in range(1500):
        data = bytearray(good)
        for _ in range(generator.integers(1, 4)):
            where = (
                int(generator.integers(0, len(data))) if generator.random() < 0.3 else int(generator.integers(0, 140))
            )
            where = min(where, len(data) - 1)
            kind = generator.integers(0, 3)
            if kind == 0:
                data[where] = int(generator.integers(0, 256))
            elif kind == 1:
                del data[where : where + int(generator.integers(1, 5))]
            else:
                data[where:where] = bytes(generator.integers(48, 58, size=2).tolist())
        path.write_bytes(bytes(data))
        try:
            tensors, metadata = core.read_safetensors(str(path))
        except vs.Error:
            refused += 1
        else:
            again = str(tmp_path / "again")
            core.write_safetensors(again, tensors, metadata)
            assert core.read_safetensors(again)[0].keys() == tensors.keys()
    assert refused > 1000


PLAN = {
    "name": "toy", "network": "plain_unet", "network_features_per_stage": [4, 8], "network_num_classes": 3,
    "spacing": [1.0, 1.0, 1.0], "patch_size": [8, 8, 8], "channels": ["MR"], "normalisation": ["zscore"],
    "use_mask_for_norm": [0], "label_names": ["background", "a", "b"], "label_values": ["0", "1", "2"],
}  # fmt: skip


def _model(folds: int = 1, **changes: object) -> Model:
    plan = NetworkPlan(**(PLAN | {"folds": [str(f) for f in range(folds)]} | changes))
    weights = {}
    for fold in range(folds):
        torch.manual_seed(fold)
        weights[str(fold)] = networks.build(plan.spec).state_dict()
    return Model(plan, weights, card="# Toy\n")


def _image(shape=(13, 17, 18), seed=0) -> vs.Image:
    noise = torch.randn(1, 1, *shape, generator=torch.Generator().manual_seed(seed))
    return vs.Image(nn.functional.avg_pool3d(noise, 3, 1, 1)[0, 0] * 50 + 200, spacing=(1.0, 1.0, 1.0))


def test_bundle_round_trip(tmp_path: Path) -> None:
    """Invariant: what comes back from disk (and from a pickle) has the same plan, weights, card and prediction; the
    weights are readable by the safetensors package."""
    model, image = _model(folds=2), _image()
    model.save(tmp_path / "bundle")
    assert sorted(p.name for p in (tmp_path / "bundle").iterdir()) == ["card.md", "plan.yaml", "weights.safetensors"]
    expected = model.predict(image)
    for other in (Model.load(tmp_path / "bundle"), pickle.loads(pickle.dumps(model))):
        assert other.plan == model.plan and other.card == "# Toy\n"
        assert torch.equal(other.predict(image).tensor, expected.tensor)
    keys = safetensors.torch.load_file(tmp_path / "bundle" / "weights.safetensors").keys()
    assert {k.split("/")[0] for k in keys} == {"fold_0", "fold_1"}
    assert expected.names == {1: "a", 2: "b"} and expected.geometry == image.geometry


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_weights_kept_in_16_bits(tmp_path: Path, precision: str) -> None:
    """Oracle: torch's own rounding; half the file; what is loaded computes in float32. A weight that float16 can't hold is refused."""
    model = _model()
    model.save(tmp_path / "whole")
    model.save(tmp_path / "half", precision=precision)
    sizes = [(tmp_path / name / "weights.safetensors").stat().st_size for name in ("whole", "half")]
    assert sizes[1] < 0.65 * sizes[0]
    loaded = Model.load(tmp_path / "half").weights["0"]
    for name, value in model.weights["0"].items():
        rounded = value.to(getattr(torch, precision)).float()
        assert loaded[name].dtype == torch.float32 and torch.equal(loaded[name], rounded), name
    large = {k: v * 1e6 for k, v in model.weights["0"].items()}
    if precision == "float16":
        with pytest.raises(vs.InvalidArgument, match="too large for float16"):
            Model(model.plan, large).save(tmp_path / "large", precision=precision)
    else:
        Model(model.plan, large).save(tmp_path / "large", precision=precision)
    with pytest.raises(vs.InvalidArgument, match="precision is"):
        model.save(tmp_path / "none", precision="int8")


def test_prediction_is_its_parts(tmp_path: Path) -> None:
    """Oracle: the steps written out here: z-score, MONAI's sliding window with our weights' definition, folds' mean,
    softmax, entropy and mutual information."""
    model, image = _model(folds=2), _image()
    x = image.tensor
    x = ((x - x.mean()) / x.std(unbiased=False))[None]
    logits = []
    for fold in ("0", "1"):
        net = model.network(fold)
        with torch.no_grad():
            logits.append(vs.segmentation.sliding_window(net, x, 3, (8, 8, 8)))
    mean = (logits[0] + logits[1]) / 2
    torch.testing.assert_close(model.logits(image), mean, atol=5e-5, rtol=1e-4)
    found = model.predict(image, probabilities=True, entropy=True, disagreement=True)
    p = mean.softmax(0)
    torch.testing.assert_close(found.probabilities.tensor, p, atol=1e-5, rtol=1e-3)
    torch.testing.assert_close(found.entropy.tensor, -(p * p.log()).sum(0), atol=1e-5, rtol=1e-4)
    q = torch.stack([part.softmax(0) for part in logits])
    entropy = lambda r, axis: -(r * r.log()).sum(axis)  # noqa: E731
    expected = entropy(q.mean(0), 0) - entropy(q, 1).mean(0)
    torch.testing.assert_close(found.disagreement.tensor, expected, atol=1e-5, rtol=1e-4)
    assert torch.equal(found.mask.tensor, p.argmax(0).to(torch.uint8))
    torch.testing.assert_close(model.logits(image, folds=["1"]), logits[1], atol=5e-5, rtol=1e-4)


def test_gaussian_weights_are_scipys() -> None:
    """Oracle: scipy.ndimage.gaussian_filter of a delta, as nnU-Net defines the weights; MONAI's window with the same
    weights gives the same logits."""
    for tile in ((16, 16, 16), (7, 12), (40, 6, 10)):
        delta = np.zeros(tile)
        delta[tuple(n // 2 for n in tile)] = 1
        expected = ndimage.gaussian_filter(delta, [n / 8 for n in tile], mode="constant")
        expected *= 10 / expected.max()
        expected[expected == 0] = expected[expected > 0].min()
        np.testing.assert_allclose(core.gaussian_weights(list(tile)).numpy(), expected, rtol=1e-5)
    net = networks.PlainUNet(1, 2, features_per_stage=(4, 8)).eval()
    x = torch.randn(1, 24, 24, 24)
    with torch.no_grad():
        theirs = sliding_window_inference(
            x[None], (16, 16, 16), 1, net, overlap=0.5, mode="constant", roi_weight_map=core.gaussian_weights([16] * 3)
        )[0]
    ours = vs.segmentation.sliding_window(net, x, 2, (16, 16, 16), batch=3)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("patch", [(8, 8, 8), (8, 8)])
def test_window_options(patch: tuple[int, ...]) -> None:
    """Invariant: batch size doesn't matter; mirroring is the mean over flips; equal weights are a plain mean."""
    net = networks.PlainUNet(1, 2, dimension=len(patch), features_per_stage=(4, 8)).eval()
    x = torch.randn(1, 11, 9, 20)
    window = vs.segmentation.sliding_window
    one = window(net, x, 2, patch, batch=1)
    torch.testing.assert_close(window(net, x, 2, patch, batch=5), one, atol=1e-5, rtol=1e-4)
    mirrored = window(net, x, 2, patch, mirror_axes=(0,))
    flip = lambda t: t.flip(2)  # noqa: E731
    both = window(lambda t: (net(t) + flip(net(flip(t)))) / 2, x, 2, patch)
    torch.testing.assert_close(mirrored, both, atol=1e-5, rtol=1e-4)
    # a network that gives back its input: any weighted mean is the input
    for gaussian in (True, False):
        same = window(lambda t: torch.cat([t, -t], 1), x, 2, patch, gaussian=gaussian, step=0.3)
        torch.testing.assert_close(same, torch.cat([x, -x]), atol=1e-5, rtol=1e-5)
    calls = []
    window(
        lambda t: calls.append(len(t)) or torch.cat([t, -t], 1),
        torch.zeros(1, 16, 16, 16),
        2,
        patch,
        skip_constant=True,
    )
    assert not calls
    with pytest.raises(RuntimeError, match="from the network"):
        window(lambda t: (_ for _ in ()).throw(RuntimeError("from the network")), x, 2, patch)


def test_bfloat16_is_close() -> None:
    """Invariant: bfloat16 finds the same labels where float32 is sure."""
    model, image = _model(), _image((20, 20, 20))
    full, low = model.logits(image), model.logits(image, precision="bfloat16")
    assert low.dtype == torch.float32 and (full - low).abs().mean() < 0.02
    sure = full.softmax(0).amax(0) > 0.6
    assert (full.argmax(0) == low.argmax(0))[sure].all()


def test_paths_and_folders(tmp_path: Path) -> None:
    """Invariant: a path, a folder and nnU-Net's file names give what the image gives."""
    model, image = _model(), _image()
    (tmp_path / "in").mkdir()
    vs.write_image(image, str(tmp_path / "in" / "case1_0000.nii.gz"))
    vs.write_image(_image(seed=1), str(tmp_path / "in" / "case2_0000.nii.gz"))
    expected = model.predict(vs.read_image(str(tmp_path / "in" / "case1_0000.nii.gz")))
    assert torch.equal(model.predict(tmp_path / "in" / "case1_0000.nii.gz").tensor, expected.tensor)
    written = model.predict(tmp_path / "in", output=tmp_path / "out")
    assert [p.name for p in written] == ["case1.nii.gz", "case2.nii.gz"]
    assert torch.equal(vs.read_mask(str(written[0])).tensor, expected.tensor)
    with pytest.raises(vs.InvalidArgument, match="needs output="):
        model.predict(tmp_path / "in")
    two = _model(channels=["a", "b"], network_in_channels=2, normalisation=["zscore"] * 2, use_mask_for_norm=[0, 0])
    with pytest.raises(vs.IoError, match="case1_0001.nii.gz is missing"):
        two.predict(tmp_path / "in" / "case1_0000.nii.gz")
    with pytest.raises(vs.ShapeError, match=r"takes an image of 2 channels \(a, b\); got 1"):
        two.predict(image)


def test_keep_largest() -> None:
    """Oracle: scipy.ndimage.label with 26 neighbours on the prediction without it."""
    image = _image((20, 20, 20))
    plain = _model().predict(image).tensor.numpy()
    for text, numbers in (("1", [1]), ("1 2", [1, 2])):
        found = _model(keep_largest=[text]).predict(image).tensor.numpy()
        inside = np.isin(plain, numbers)
        parts, count = ndimage.label(inside, np.ones((3, 3, 3)))
        largest = np.argmax(np.bincount(parts.ravel())[1:]) + 1 if count else 0
        np.testing.assert_array_equal(found, np.where(inside & (parts != largest), 0, plain))


def test_monai_weights_in_a_bundle(tmp_path: Path) -> None:
    """Oracle: MONAI's SegResNet and UNet with MONAI's own sliding window: their state dicts are a bundle's weights."""
    for theirs, fields in (
        (monai_nets.SegResNet(3, 8, 1, 2),
         {"network": "segresnet", "network_features_per_stage": [8, 16, 32, 64],
          "network_n_conv_per_stage": [1, 2, 2, 4], "network_n_conv_per_stage_decoder": [1]}),
        (monai_nets.UNet(3, 1, 2, (4, 8, 16), (2, 2), num_res_units=2),
         {"network": "unet", "network_features_per_stage": [4, 8, 16], "network_n_conv_per_stage": [2]}),
    ):  # fmt: skip
        theirs.eval()
        plan = NetworkPlan(**(PLAN | fields | {"network_num_classes": 2, "label_names": ["background", "a"],
                                               "label_values": ["0", "1"], "patch_size": [16, 16, 16],
                                               "normalisation": ["none"]}))  # fmt: skip
        Model(plan, theirs.state_dict()).save(tmp_path / "bundle")
        image = vs.Image(torch.randn(24, 20, 16))
        with torch.no_grad():
            expected = sliding_window_inference(
                image.tensor[None, None], (16, 16, 16), 1, theirs, overlap=0.5,
                roi_weight_map=core.gaussian_weights([16] * 3),
            )[0]  # fmt: skip
        ours = Model.load(tmp_path / "bundle").logits(image)
        # MONAI's tiles start elsewhere along axes that the step doesn't divide
        torch.testing.assert_close(ours[:, :, :8], expected[:, :, :8], atol=0.3, rtol=0.3)
        assert ours.shape == expected.shape


def test_torchscript_bundle(tmp_path: Path) -> None:
    """Oracle: the traced MONAI network itself; a program is run only where it is trusted."""
    theirs = monai_nets.UNet(3, 1, 3, (4, 8), (2,)).eval()
    plan = NetworkPlan(**(PLAN | {"network": "unet", "network_features_per_stage": [4, 8],
                                  "network_n_conv_per_stage": [0]}))  # fmt: skip
    Model(plan, theirs.state_dict(), card="x").save(tmp_path / "weights")
    script = tmp_path / "script"
    script.mkdir()
    torch.jit.trace(theirs, torch.randn(2, 1, 8, 8, 8)).save(str(script / "fold_0.pt"))
    (script / "plan.yaml").write_text(plan.replace(weights="torchscript").to_yaml())
    with pytest.raises(vs.NotSupported, match="trusted=True"):
        Model.load(script)
    image = _image()
    trusted = Model.load(script, trusted=True)
    torch.testing.assert_close(
        trusted.logits(image), Model.load(tmp_path / "weights").logits(image), atol=1e-5, rtol=1e-4
    )
    (script / "fold_0.pt").write_bytes(b"nonsense")
    with pytest.raises(vs.FormatError, match="no TorchScript"):
        Model.load(script, trusted=True).predict(image)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 3}, "version 3"),
        ({"network": "swin"}, "is one of plain_unet"),
        ({"network_num_classes": 7}, "network_num_classes is 7; the labels need 3"),
        ({"network_in_channels": 2}, "network_in_channels is 2"),
        ({"patch_size": [8, 8]}, "patch_size has 2 entries"),
        ({"patch_size": [9, 8, 8]}, "multiple of 2"),
        ({"patch_size": [8, 8, 1 << 20]}, "up to 4096"),
        ({"spacing": [1.0, 0.0, 1.0]}, "spacing is positive"),
        ({"normalisation": ["magic"]}, "normalisation is one of"),
        ({"normalisation": ["ct"]}, "intensity"),
        ({"transpose_forward": [0, 0, 1]}, "permutation"),
        ({"label_values": ["0", "1", "x"]}, "whole numbers"),
        ({"folds": ["../../etc"]}, "plain name"),
        ({"previous_stage": "..", "network_in_channels": 3}, "plain name"),
        ({"mirror_axes": [3]}, "mirror_axes"),
        ({"tile_step": 0.0}, "tile_step"),
        ({"weights": "pickle"}, "weights is safetensors"),
        ({"keep_largest": ["a"]}, "whole numbers"),
        ({"unheard_of": 1}, "unheard_of"),
        ({"network_features_per_stage": [60000, 60000]}, "far more weights"),
    ],
)
def test_hostile_plans(tmp_path: Path, change: dict, message: str) -> None:
    """Mechanics: refused with the file and the field."""
    _model().save(tmp_path)
    fields = NetworkPlan(**PLAN).to_dict() | {"folds": ["0"]} | change
    lines = [f"{k}: {json.dumps(list(v) if isinstance(v, tuple) else v)}" for k, v in fields.items() if v is not None]
    (tmp_path / "plan.yaml").write_text("\n".join(lines))
    with pytest.raises((vs.FormatError, vs.NotSupported), match=message):
        Model.load(tmp_path)


def test_weights_that_do_not_fit(tmp_path: Path) -> None:
    """Mechanics: missing, extra and misshapen weights are listed; a file cut short is refused; a missing one too."""
    model = _model()
    model.save(tmp_path)
    file = tmp_path / "weights.safetensors"
    good = file.read_bytes()
    file.write_bytes(good[:-10])
    with pytest.raises(vs.FormatError, match="cut short"):
        Model.load(tmp_path)
    file.unlink()
    with pytest.raises(vs.IoError, match="weights.safetensors"):
        Model.load(tmp_path)
    state = model.weights["0"]
    first = next(iter(state))
    with pytest.raises(vs.FormatError, match=f"missing \\(1\\): {first}"):
        Model(model.plan, {k: v for k, v in state.items() if k != first})
    with pytest.raises(vs.FormatError, match="not in the network"):
        Model(model.plan, state | {"more": torch.zeros(1)})
    with pytest.raises(vs.FormatError, match="of another shape"):
        Model(model.plan, state | {first: torch.zeros(9)})
    with pytest.raises(vs.FormatError, match="fold 1"):
        Model(model.plan.replace(folds=["0", "1"]), {"0": state})


def test_bad_input(tmp_path: Path) -> None:
    """Mechanics: NaN, a region, unknown folds, devices and precisions."""
    model, image = _model(), _image()
    voxels = image.tensor.clone()
    voxels[3, 4, 5] = float("nan")
    with pytest.raises(vs.InvalidArgument, match="(?i)nan|finite"):
        model.predict(vs.Image(voxels))
    with pytest.raises(vs.InvalidArgument, match="whole image"):
        model.predict(image, region=vs.Mask(torch.ones(13, 17, 18, dtype=torch.uint8)))
    with pytest.raises(vs.InvalidArgument, match="no fold 7; it has 0"):
        model.predict(image, folds=["7"])
    with pytest.raises(vs.InvalidArgument, match="precision is"):
        model.predict(image, precision="int8")
    with pytest.raises(vs.InvalidArgument, match="compares folds"):
        model.predict(image, disagreement=True)
    with pytest.raises(vs.InvalidArgument, match="step lies"):
        model.predict(image, step=2.0)
    with pytest.raises(vs.IoError, match="no folder"):
        Model.load(tmp_path / "none")


def test_progress_and_cancel() -> None:
    """Mechanics: progress runs to the end; an exception in it stops the work and comes through."""
    model, image = _model(), _image()
    seen: list[tuple[int, int]] = []
    model.predict(image, progress=lambda done, total, what: seen.append((done, total)))
    assert seen[-1][0] == seen[-1][1] > 1

    def stop(done: int, total: int, what: str) -> None:
        raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        model.predict(image, progress=stop)


def test_several_devices_give_the_same_bits() -> None:
    """Invariant: two threads on the CPU give what one gives bit for bit, whatever the order in which tiles are ready; an
    exception in one of them comes through."""
    model, image = _model(folds=2), _image((21, 18, 30))
    for options in ({}, {"precision": "bfloat16"}, {"batch": 1, "skip_background": True}):
        one = model.predict(image, probabilities=True, entropy=True, disagreement=True, **options)
        for devices in (["cpu", "cpu"], ("cpu", "cpu", "cpu")):
            several = model.predict(
                image, probabilities=True, entropy=True, disagreement=True, device=devices, **options
            )
            assert torch.equal(several.mask.tensor, one.mask.tensor)
            for name in ("probabilities", "entropy", "disagreement"):
                assert torch.equal(getattr(several, name).tensor, getattr(one, name).tensor), name
    assert torch.equal(model.logits(image, device=["cpu", "cpu"]), model.logits(image))
    with pytest.raises(vs.InvalidArgument, match="device"):
        model.predict(image, device=[])

    def stop(
        done: int, total: int, what: str
    ) -> None:  # reports are thinned out by time: the first may be the only one
        raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        model.predict(image, device=["cpu", "cpu"], progress=stop)
    with pytest.raises((vs.Error, RuntimeError)):
        model.predict(image, device=["cpu", "cuda:99"])


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_torchscript_in_halves(tmp_path: Path, precision: str) -> None:
    """Oracle: the scripted network in float32, to the type's rounding."""
    theirs = monai_nets.UNet(3, 1, 3, (8, 16), (2,), num_res_units=1).eval()
    plan = NetworkPlan(**(PLAN | {"network": "unet", "network_features_per_stage": [8, 16],
                                  "network_n_conv_per_stage": [1], "weights": "torchscript"}))  # fmt: skip
    (tmp_path / "plan.yaml").write_text(plan.to_yaml())
    torch.jit.trace(theirs, torch.randn(2, 1, 8, 8, 8)).save(str(tmp_path / "fold_0.pt"))
    model, image = Model.load(tmp_path, trusted=True), _image()
    low, full = model.logits(image, precision=precision), model.logits(image)
    assert low.dtype == torch.float32 and not torch.equal(low, full)
    torch.testing.assert_close(low, full, atol=0.05, rtol=0.05)


def test_float16_is_close() -> None:
    """Oracle: the same in float32."""
    model, image = _model(), _image()
    torch.testing.assert_close(model.logits(image, precision="float16"), model.logits(image), atol=0.02, rtol=0.02)


def test_aotinductor_bundle(tmp_path: Path) -> None:
    """Oracle: the exported MONAI network's own weights in our network. The package is compiled for batches of four, and the
    image's tiles don't divide by that."""
    theirs = monai_nets.UNet(3, 1, 3, (4, 8), (2,)).eval()
    plan = NetworkPlan(**(PLAN | {"network": "unet", "network_features_per_stage": [4, 8],
                                  "network_n_conv_per_stage": [0]}))  # fmt: skip
    Model(plan, theirs.state_dict(), card="x").save(tmp_path / "weights")
    package = tmp_path / "package"
    package.mkdir()
    with torch.no_grad():
        program = torch.export.export(theirs, (torch.randn(4, 1, 8, 8, 8),))
        torch._inductor.aoti_compile_and_package(program, package_path=str(package / "fold_0.pt2"))
    (package / "plan.yaml").write_text(plan.replace(weights="aotinductor").to_yaml())
    with pytest.raises(vs.NotSupported, match="trusted=True"):
        Model.load(package)
    model, image = Model.load(package, trusted=True), _image()
    expected = Model.load(tmp_path / "weights").logits(image)
    torch.testing.assert_close(model.logits(image, batch=4), expected, atol=1e-5, rtol=1e-4)
    assert torch.equal(model.logits(image, batch=4, device=["cpu", "cpu"]), model.logits(image, batch=4))
    model.save(tmp_path / "copy")
    again = Model.load(tmp_path / "copy", trusted=True)
    assert torch.equal(again.predict(image, batch=4).tensor, model.predict(image, batch=4).tensor)
    with pytest.raises(vs.InvalidArgument, match="precision"):
        model.predict(image, precision="bfloat16")
    (package / "fold_0.pt2").write_bytes(b"nonsense")
    with pytest.raises(vs.FormatError, match="no AOTInductor"):
        Model.load(package, trusted=True).predict(image)
