# SPDX-License-Identifier: Apache-2.0
"""Bundles, plans, data sets and prepared cases that mean harm: refused by an error of ours that names them, never executed,
never a crash. `make fuzz` (tests/cpp/segmentation/fuzz_bundle.cpp) goes on from here."""

import json
import os
import pickle
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

import vesalius as vs
from vesalius import segmentation as seg
from vesalius._vesalius import segmentation as core
from vesalius.segmentation import Model, NetworkPlan, networks
from vesalius.segmentation._import_nnunet import _checkpoint

PLAN = {
    "name": "toy", "network": "plain_unet", "network_features_per_stage": [4, 8], "network_num_classes": 3,
    "spacing": [1.0, 1.0, 1.0], "patch_size": [8, 8, 8], "channels": ["MR"], "normalisation": ["zscore"],
    "use_mask_for_norm": [0], "label_names": ["background", "a", "b"], "label_values": ["0", "1", "2"],
}  # fmt: skip


def _plan(**changes: object) -> NetworkPlan:
    return NetworkPlan(**(PLAN | changes))


def _model(previous: Model | None = None) -> Model:
    plan = _plan(**({"network_in_channels": 3, "previous_stage": "first"} if previous else {}))
    return Model(plan, networks.build(plan.spec).state_dict(), previous=previous)


class _Touch(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x, x, x], 1)


def test_a_program_in_an_earlier_stage_needs_trust_too(tmp_path: Path) -> None:
    """Mechanics: a cascade whose own weights are safetensors and whose first stage is TorchScript isn't loaded untrusted."""
    _model(_model()).save(tmp_path)
    first = tmp_path / "first"
    torch.jit.script(_Touch()).save(str(first / "fold_0.pt"))
    (first / "plan.yaml").write_text(_plan(weights="torchscript").to_yaml())
    with pytest.raises(vs.NotSupported, match=r"first.*holds a program \(torchscript\).*trusted=True"):
        Model.load(tmp_path)
    assert Model.load(tmp_path, trusted=True).predict(vs.Image(torch.rand(8, 8, 8))).tensor.shape == (8, 8, 8)


def test_the_way_out_of_a_bundle_is_barred_at_every_stage(tmp_path: Path) -> None:
    """Mechanics: previous_stage of the first stage's plan is checked before a path is made of it."""
    _model(_model()).save(tmp_path / "bundle")
    file = tmp_path / "bundle" / "first" / "plan.yaml"
    text = file.read_text().replace("network_in_channels: 1", "network_in_channels: 3")
    file.write_text(text.replace('previous_stage: ""', 'previous_stage: "../.."'))
    with pytest.raises(vs.FormatError, match="previous_stage is a plain name"):
        Model.load(tmp_path / "bundle")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network_features_per_stage": [1] * 16, "network_strides": [1] + [64] * 15}, "multiple of|up to 4096"),
        ({"network_features_per_stage": [700, 700], "network_kernel_sizes": [63]}, "far more weights"),
        ({"network_features_per_stage": [700] * 16, "network_n_conv_per_stage": [64]}, "far more weights|multiple of"),
        ({"network_features_per_stage": [700, 700], "network_strides": [1, 64], "patch_size": [64] * 3}, "far more weights"),
        ({"patch_size": [4096] * 3}, "2\\^30 voxels"),
        ({"label_values": ["0", "1", "1 2"], "regions_class_order": [1, 70000]}, "0 to 32767"),
    ],
)  # fmt: skip
def test_impossible_sizes(tmp_path: Path, changes: dict, message: str) -> None:
    """Mechanics: strides whose product overflows (the remainder by 0 ended the process), kernels, depths and patches that no
    memory holds."""
    _model().save(tmp_path)
    fields = NetworkPlan(**PLAN).to_dict() | {"folds": ["0"]} | changes
    lines = [f"{k}: {json.dumps(list(v) if isinstance(v, tuple) else v)}" for k, v in fields.items() if v is not None]
    (tmp_path / "plan.yaml").write_text("\n".join(lines))
    with pytest.raises(vs.FormatError, match=message):
        Model.load(tmp_path)


def test_a_spacing_that_makes_too_many_voxels() -> None:
    """Mechanics: refused before memory is asked for."""
    plan = _plan(spacing=[1e-4, 1e-4, 1e-4])
    model = Model(plan, networks.build(plan.spec).state_dict())
    with pytest.raises(vs.InvalidArgument, match="is the spacing right"):
        model.predict(vs.Image(torch.rand(16, 16, 16)))


NESTED = "[" * 200_000 + "]" * 200_000


@pytest.mark.parametrize("read", [seg.Plans.from_json, seg.Fingerprint.from_json, seg.LabelSet.from_json])
def test_deeply_nested_json(read: Callable[[str], object]) -> None:
    """Mechanics: JSON that would overflow the stack when copied or printed is refused."""
    with pytest.raises(vs.FormatError, match="nested"):
        read('{"labels": ' + NESTED + "}")


def _plans(make_dataset: Callable[..., seg.Dataset], root: Path) -> tuple[seg.Dataset, seg.Plans]:
    data = make_dataset(root / "raw", spacing=(2.0, 1.0, 1.0), shape=(10, 24, 22))
    return data, seg.plan(data, preset="small")


def _arguments(text: str, changes: dict) -> str:
    plans = json.loads(text)
    for configuration in plans["configurations"].values():
        configuration["architecture"]["arch_kwargs"].update(changes)
    return json.dumps(plans)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"nonlin": "torch.nn.ReLU"}, "nonlin is"),
        ({"nonlin_kwargs": {"inplace": True, "negative_slope": 0.2}}, "nonlin_kwargs"),
        ({"norm_op": "torch.nn.modules.batchnorm.BatchNorm3d"}, "norm_op is"),
        ({"norm_op_kwargs": {"eps": 1e-3, "affine": True}}, "norm_op_kwargs"),
        ({"nonlin_first": True}, "nonlin_first"),
    ],
)
def test_other_layers_than_nnunets(make_dataset, tmp_path: Path, changes: dict, message: str) -> None:
    """Mechanics: what leaves no trace in the weights' shapes would predict something else in silence; it is refused."""
    text = _plans(make_dataset, tmp_path)[1].to_json()
    assert seg.Plans.from_json(text).to_json() == text
    with pytest.raises(vs.NotSupported, match=message):
        seg.Plans.from_json(_arguments(text, changes))


@pytest.mark.parametrize("name", ["../../elsewhere", "/tmp/elsewhere", ".hidden", ""])
def test_case_names_that_lead_elsewhere(make_dataset, tmp_path: Path, name: str) -> None:
    """Mechanics: the names of dataset.json's own list become files; none may leave the folder."""
    data = make_dataset(tmp_path / "raw", spacing=(1.0, 1.0, 1.0), shape=(6, 8, 8))
    file = tmp_path / "raw" / "dataset.json"
    listed = json.loads(file.read_text()) | {"dataset": {name: {"images": ["x.nii.gz"], "label": "y.nii.gz"}}}
    file.write_text(json.dumps(listed))
    with pytest.raises(vs.FormatError, match="part of file names"):
        seg.open_dataset(data.root)


def test_nan_in_a_fingerprint(make_dataset, tmp_path: Path) -> None:
    """Mechanics: NaN under a label would sort into nonsense; the case is named."""
    data = make_dataset(tmp_path / "raw", spacing=(1.0, 1.0, 1.0), shape=(8, 10, 10))
    path = tmp_path / "raw" / "imagesTr" / "c1_0000.nii.gz"
    image = vs.read_image(path)
    voxels = image.tensor.clone()
    voxels[4, 5, 5] = float("nan")
    vs.write_image(vs.Image(voxels, image.geometry), path)
    with pytest.raises(vs.InvalidArgument, match="case c1, channel 0 has NaN"):
        seg.fingerprint(data)


@pytest.fixture
def prepared(make_dataset, tmp_path: Path) -> Path:
    data, plans = _plans(make_dataset, tmp_path)
    folder = tmp_path / "prepared"
    seg.preprocess_dataset(data, plans, "3d_fullres", folder)
    assert seg.CachedCase.open(str(folder), "c0").image.dim() == 4
    return folder


def _npy(shape: str, descr: str = "<f4", order: str = "False", data: bytes = b"", length: int | None = None) -> bytes:
    header = f"{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}".encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + (len(header) if length is None else length).to_bytes(2, "little") + header + data


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 100,
        _npy("(4, 4)"),
        _npy("(4, 4)", data=b"\0" * 63),
        _npy("(4, 4)", "<f8", data=b"\0" * 128),
        _npy("(4, 4)", order="True", data=b"\0" * 64),
        _npy("(4611686018427387904, 4, 0)"),
        _npy("(1099511627775, 1099511627775, 0)"),
        _npy("(" + "1, " * 40 + ")", data=b"\0" * 4),
        _npy("(1,)", data=b"\0" * 5, length=119),
        _npy("(1,)", length=65535),
    ],
    ids=range(11),
)  # fmt: skip
def test_hostile_npy(prepared: Path, content: bytes) -> None:
    """Mechanics: headers that don't fit the bytes, overflow, or leave the numbers unaligned."""
    (prepared / "c0.image.npy").write_bytes(content)
    with pytest.raises(vs.FormatError, match="again"):
        seg.CachedCase.open(str(prepared), "c0")


def _cut(trace: dict, **changes: object) -> dict:
    return {"trace": trace | changes}


@pytest.mark.parametrize(
    "change",
    [
        lambda j: _cut(j["trace"], crop_start=[0, 0, 1 << 40]),
        lambda j: _cut(j["trace"], crop_start=[-5, 0, 0]),
        lambda j: _cut(j["trace"], crop_shape=[1 << 62, 4, 4]),
        lambda j: _cut(j["trace"], transpose=[0, 7, 1]),
        lambda j: _cut(j["trace"], transpose=[0, 0, 1]),
        lambda j: _cut(j["trace"], size=[1, 1, 1]),
        lambda j: _cut(j["trace"], new_spacing=[0, 1, 1]),
        lambda j: _cut(j["trace"], shape=[0, 0, 0]),
        lambda j: {"counts": [-1, *j["counts"][1:-1], j["counts"][-1] + j["counts"][0] + 1]},
        lambda j: {"counts": [2**62] * len(j["counts"])},
        lambda j: {"counts": j["counts"][1:]},
        lambda j: {"classes": "x"},
        lambda j: {"trace": None},
    ],
)
def test_hostile_traces_and_counts(prepared: Path, change: Callable[[dict], dict]) -> None:
    """Mechanics: restoring writes where a trace says, so a trace of a file is checked."""
    file = prepared / "c0.json"
    content = json.loads(file.read_text())
    file.write_text(json.dumps(content | change(content)))
    with pytest.raises(vs.FormatError, match=r"c0\.json.*again"):
        seg.CachedCase.open(str(prepared), "c0")


def test_locations_and_types_of_a_prepared_case(prepared: Path) -> None:
    """Mechanics: locations outside the image, labels of another type, and images of another size."""
    for name, make in (
        ("locations", lambda a: np.where(np.arange(len(a))[:, None] == 0, 1 << 30, a).astype(np.int32)),
        ("locations", lambda a: -np.ones_like(a)),
        ("locations", lambda a: a[:, :2].copy()),
        ("labels", lambda a: a.astype(np.int32)),
        ("image", lambda a: a[:, 1:].copy()),
    ):
        file = prepared / f"c0.{name}.npy"
        good = file.read_bytes()
        np.save(file, make(np.load(file)))
        with pytest.raises(vs.FormatError, match="don't fit together"):
            seg.CachedCase.open(str(prepared), "c0")
        file.write_bytes(good)
    assert seg.CachedCase.open(str(prepared), "c0").id == "c0"


def test_safetensors_of_nothing_and_too_much(tmp_path: Path) -> None:
    """Mechanics: a 0 among sizes whose product overflows is an error of ours, not of torch's strides."""
    path = tmp_path / "w"
    header = json.dumps({"a": {"dtype": "F32", "shape": [2**40, 2**40, 0], "data_offsets": [0, 0]}}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(vs.FormatError, match="impossibly large"):
        core.read_safetensors(str(path))
    header = json.dumps({"a": {"dtype": "F32", "shape": [2**10, 2**10, 0], "data_offsets": [0, 0]}}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    assert core.read_safetensors(str(path))[0]["a"].shape == (1024, 1024, 0)


def test_weights_are_written_whole(tmp_path: Path) -> None:
    """Mechanics: where writing fails, what was there stays, and nothing is left beside it."""
    model = _model()
    model.save(tmp_path)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    with pytest.raises(vs.NotSupported, match="save numbers or bools"):
        core.write_safetensors(str(tmp_path / "weights.safetensors"), {"a": torch.zeros(2, dtype=torch.complex64)})
    with pytest.raises(vs.IoError, match="no folder"):
        core.write_safetensors(str(tmp_path / "none" / "w"), {"a": torch.zeros(2)})
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_checkpoints_written_with_numpy_1(tmp_path: Path) -> None:
    """Mechanics: numpy 1 pickled its scalars as numpy.core.multiarray.scalar; nnU-Net's older checkpoints hold them."""
    path = tmp_path / "checkpoint_final.pth"
    state = {"network_weights": {"a": torch.ones(2)}, "logging": {"ema": [np.float64(0.5)]}}

    class Renaming(pickle._Pickler):  # the one in Python: its save_global can be changed
        def save_global(self, obj, name=None):
            if getattr(obj, "__module__", "").startswith("numpy._core"):
                self.write(pickle.GLOBAL + b"numpy.core.multiarray\nscalar\n")
                self.memoize(obj)
            else:
                super().save_global(obj, name)

        dispatch = pickle._Pickler.dispatch.copy()
        dispatch[type(_checkpoint)] = save_global

    class Module:
        Pickler, Unpickler = Renaming, pickle.Unpickler
        dump, load = pickle.dump, pickle.load
        __name__ = "pickle"

    torch.save(state, path, pickle_module=Module)
    assert b"numpy.core.multiarray" in path.read_bytes()
    assert torch.equal(_checkpoint(path)["network_weights"]["a"], torch.ones(2))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"network_weights": {"a": 3}}, "not a tensor"),
        ({"network_weights": [1]}, "no network_weights"),
        ({"other": 1}, "no network_weights"),
    ],
)
def test_checkpoints_of_something_else(tmp_path: Path, change: dict, message: str) -> None:
    """Mechanics: a FormatError names the file."""
    path = tmp_path / "checkpoint_final.pth"
    torch.save(change, path)
    with pytest.raises(vs.FormatError, match=message):
        _checkpoint(path)


def test_workers_compute_alone(make_dataset, tmp_path: Path) -> None:
    """Invariant: cases are the parallel dimension: beside the workers no further teams of threads come to life."""
    data, plans = _plans(make_dataset, tmp_path)
    before = torch.get_num_threads()
    count = lambda: len(os.listdir("/proc/self/task"))  # noqa: E731
    seen = []
    watching = threading.Event()

    def watch() -> None:
        while not watching.is_set():
            seen.append(count())

    torch.set_num_threads(4)
    try:
        torch.randn(512, 512) @ torch.randn(512, 512)  # this thread's team
        (torch.randn(1 << 20) + 1).sum()
        start = count() + 1  # and the watcher
        watcher = threading.Thread(target=watch)
        watcher.start()
        seg.preprocess_dataset(data, plans, "3d_fullres", tmp_path / "prepared", jobs=2)
        watching.set()
        watcher.join()
    finally:
        torch.set_num_threads(before)
    assert max(seen) <= start + 2, f"{max(seen)} threads beside {start}"


def test_what_isnt_a_tensor_is_named(tmp_path: Path) -> None:
    """Mechanics: arrays, lists of outputs and tensors where an Image belongs: one line that says what to do, not the values."""
    net = networks.PlainUNet(1, 3, features_per_stage=(4, 8))
    x, target = torch.rand(1, 1, 8, 8, 8), torch.zeros(1, 8, 8, 8, dtype=torch.int64)
    loss = seg.losses.SoftDice()
    for call, message in (
        (lambda: net(x.numpy()), r"must be a torch\.Tensor; got numpy\.ndarray: torch\.from_numpy"),
        (lambda: loss([net(x)], target), "deep supervision"),
        (lambda: loss(net(x), target.numpy()), "the target must be a torch"),
        (lambda: seg.losses.DiceCE()([net(x), net(x)], target), "deep supervision"),
        (lambda: _model().predict(x[0, 0]), r"image must be a vesalius\.Image; got torch\.Tensor"),
    ):
        with pytest.raises(vs.TypeMismatch, match=message) as raised:
            call()
        assert len(str(raised.value)) < 300


def test_a_window_of_another_number_of_classes() -> None:
    """Mechanics: logits of one class would broadcast into three in silence; axes mirrored twice would multiply the work."""
    window, x = seg.sliding_window, torch.rand(1, 9, 9, 9)
    for network in (lambda t: t, lambda t: torch.cat([t, t], 1), lambda t: torch.cat([t, t, t], 1)[..., ::2]):
        with pytest.raises(vs.ShapeError, match="logits of 3 classes at full resolution"):
            window(network, x, 3, (8, 8, 8))
    with pytest.raises(vs.InvalidArgument, match="names an axis twice"):
        window(lambda t: torch.cat([t, t, t], 1), x, 3, (8, 8, 8), mirror_axes=[0] * 40)
    with pytest.raises(vs.InvalidArgument, match="names an axis twice"):
        plan = _plan(mirror_axes=[1, 1])
        Model(plan, networks.build(plan.spec).state_dict())
    whole = window(lambda t: torch.cat([t, t, t], 1), x, 3, (8, 8, 8), step=1e-9)
    torch.testing.assert_close(whole[0], x[0], atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("members", [["a", ""], ["a", ".."], ["a", "."], ["a", "../x"], ["a", "nested"], ["a", 3, {}]])
def test_ensembles_that_lead_round_in_circles(tmp_path: Path, members: list) -> None:
    """Mechanics: a member is a folder inside, and no ensemble: nothing is opened for ever, or elsewhere."""
    model = _model()
    seg.Ensemble({"a": model, "b": model}).save(tmp_path)
    seg.Ensemble({"a": model, "b": model}).save(tmp_path / "nested")
    content = json.loads((tmp_path / "ensemble.json").read_text())
    (tmp_path / "ensemble.json").write_text(json.dumps(content | {"members": members}))
    with pytest.raises(vs.IoError, match=r"ensemble\.json is no ensemble of version 1|there is no folder"):
        Model.load(tmp_path)
    (tmp_path / "ensemble.json").write_text(NESTED)
    with pytest.raises(vs.FormatError, match="no ensemble"):
        Model.load(tmp_path)


def test_names_with_control_characters_survive_yaml() -> None:
    """Oracle: PyYAML reads what is written; the plan read back is the same."""
    plan = _plan(name='a\r\x07\x7f\t"\\ü\n', channels=["\x01"])
    assert yaml.safe_load(plan.to_yaml())["name"] == plan.name
    assert NetworkPlan.from_yaml(plan.to_yaml()) == plan
