# SPDX-License-Identifier: Apache-2.0
"""Imported nnU-Net models predict as nnunetv2 2.8.1's own nnUNetPredictor, run here on the same input."""

import functools
import json
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from nnunetv2.inference import predict_from_raw_data as nnunet
from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor
from nnunetv2.utilities.label_handling.label_handling import convert_labelmap_to_one_hot
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
from torch import nn

import vesalius as vs
from vesalius.cli import main
from vesalius.segmentation import Model, import_nnunet

ARCHITECTURES = "dynamic_network_architectures.architectures.unet."


def _resampling(segmentation: bool, order: int) -> dict:
    return {"is_seg": segmentation, "order": order, "order_z": 0, "force_separate_z": None}


def _configuration(spacing, patch, features, kernels, strides, schemes, mask_norm, residual=False) -> dict:
    d = f"{len(patch)}d"
    n = len(features)
    return {
        "data_identifier": "x", "preprocessor_name": "DefaultPreprocessor", "batch_size": 2, "patch_size": patch,
        "median_image_size_in_voxels": [float(p) for p in patch], "spacing": spacing,
        "normalization_schemes": schemes, "use_mask_for_norm": mask_norm,
        "resampling_fn_data": "resample_data_or_seg_to_shape", "resampling_fn_data_kwargs": _resampling(False, 3),
        "resampling_fn_seg": "resample_data_or_seg_to_shape", "resampling_fn_seg_kwargs": _resampling(True, 1),
        "resampling_fn_probabilities": "resample_data_or_seg_to_shape",
        "resampling_fn_probabilities_kwargs": _resampling(False, 1),
        "architecture": {
            "network_class_name": ARCHITECTURES + ("ResidualEncoderUNet" if residual else "PlainConvUNet"),
            "arch_kwargs": {
                "n_stages": n, "features_per_stage": features, "conv_op": f"torch.nn.modules.conv.Conv{d}",
                "kernel_sizes": kernels, "strides": strides,
                "n_blocks_per_stage" if residual else "n_conv_per_stage": [2] * n,
                "n_conv_per_stage_decoder": [1] * (n - 1), "conv_bias": True,
                "norm_op": f"torch.nn.modules.instancenorm.InstanceNorm{d}",
                "norm_op_kwargs": {"eps": 1e-5, "affine": True}, "dropout_op": None, "dropout_op_kwargs": None,
                "nonlin": "torch.nn.LeakyReLU", "nonlin_kwargs": {"inplace": True},
            },
            "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
        },
        "batch_dice": True,
    }  # fmt: skip


K3, S2 = [3, 3, 3], [2, 2, 2]
CONFIGURATIONS = {
    "2d": _configuration([0.9, 1.1], [16, 24], [4, 8], [[3, 3], [3, 3]], [[1, 1], [2, 2]], ["CTNormalization"], [False]),
    "3d_lowres": _configuration([2.5, 2.0, 2.0], [8, 8, 8], [4, 8], [K3, K3], [[1, 1, 1], S2], ["CTNormalization"],
                                [False]),
    "3d_fullres": _configuration([1.5, 1.0, 1.0], [12, 16, 16], [4, 8, 8], [K3] * 3, [[1, 1, 1], S2, S2],
                                 ["CTNormalization"], [False], residual=True),
    "anisotropic": _configuration([5.0, 0.8, 0.8], [4, 16, 16], [4, 8], [[1, 3, 3], K3], [[1, 1, 1], [1, 2, 2]],
                                  ["CTNormalization"], [False]),
    "channels": _configuration([1.5, 1.2, 1.2], [12, 16, 16], [4, 8], [K3, K3], [[1, 1, 1], S2],
                               ["ZScoreNormalization", "CTNormalization", "RescaleTo01Normalization"],
                               [True, False, False]),
    "3d_cascade_fullres": {"inherits_from": "3d_fullres", "previous_stage": "3d_lowres"},
}  # fmt: skip
STATISTICS = {"mean": 40.0, "median": 38.0, "std": 25.0, "min": -50.0, "max": 150.0, "percentile_00_5": -20.0,
              "percentile_99_5": 110.0}  # fmt: skip
LABELS = {
    "labels": {"labels": {"background": 0, "a": 1, "b": 2}},
    "regions": {"labels": {"background": 0, "whole": [1, 2], "core": [2], "ignore": 3}, "regions_class_order": [1, 2]},
}


def _folder(root: Path, name: str, *, labels: str = "labels", folds=("0",), transpose=(0, 1, 2), axes=None, trained=False,
            seed=0) -> Path:  # fmt: skip
    """A folder as nnU-Net's training leaves it, with random weights (or briefly trained ones)."""
    channels = 3 if name == "channels" else 1
    backward = [int(i) for i in np.argsort(transpose)]
    plans = {
        "dataset_name": "Dataset001_X", "plans_name": "nnUNetPlans",
        "original_median_spacing_after_transp": [1.5, 1.0, 1.0], "original_median_shape_after_transp": [20, 30, 30],
        "image_reader_writer": "SimpleITKIO", "transpose_forward": list(transpose), "transpose_backward": backward,
        "configurations": CONFIGURATIONS, "experiment_planner_used": "ExperimentPlanner",
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {str(c): STATISTICS for c in range(channels)},
    }  # fmt: skip
    dataset = {"channel_names": {str(c): f"m{c}" for c in range(channels)}, "numTraining": 5, "file_ending": ".nii.gz",
               **LABELS[labels]}  # fmt: skip
    folder = root / f"nnUNetTrainer__nnUNetPlans__{name}"
    folder.mkdir()
    (folder / "plans.json").write_text(json.dumps(plans))
    (folder / "dataset.json").write_text(json.dumps(dataset))
    manager = PlansManager(plans)
    configuration = manager.get_configuration(name)
    heads = manager.get_label_manager(dataset).num_segmentation_heads
    inputs = channels + (2 if name == "3d_cascade_fullres" else 0)
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    for i, fold in enumerate(folds):
        torch.manual_seed(seed + i)
        network = nnUNetTrainer.build_network_architecture(manager, configuration, inputs, heads, True)
        with torch.no_grad():
            for p in network.parameters():
                if p.dim() == 1:
                    p.add_(torch.randn_like(p) * 0.1)
        if trained:
            optimiser = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)
            x = torch.randn(2, inputs, *configuration.patch_size)
            target = (x[:, 0] > 0.5).long() + (x[:, 0] > 1).long() * (heads > 2)
            for _ in range(15):
                optimiser.zero_grad()
                nn.functional.cross_entropy(network(x)[0], target).backward()
                optimiser.step()
        (folder / f"fold_{fold}").mkdir()
        torch.save(
            {
                "network_weights": network.state_dict(),
                "optimizer_state": {"lr": 0.01}, "grad_scaler_state": None, "current_epoch": 3, "_best_ema": np.float64(0.5),
                "logging": {"train_losses": [np.float32(0.4), np.float64(0.3)], "epoch_end_timestamps": [1.0]},
                "init_args": {"configuration": name, "fold": i, "plans": plans, "dataset_json": dataset},
                "trainer_name": "nnUNetTrainer", "inference_allowed_mirroring_axes": axes,
            },
            folder / f"fold_{fold}" / "checkpoint_final.pth",
        )  # fmt: skip
    return folder


def _image(channels: int = 1, seed: int = 0, shape=(19, 27, 31), spacing=(2.0, 1.3, 1.1)) -> vs.Image:
    """Smooth noise in a frame of zeros, so that the crop to nonzero has work to do."""
    x = torch.randn(channels, 1, *shape, generator=torch.Generator().manual_seed(seed))
    x = nn.functional.avg_pool3d(x, 3, 1, 1)[:, 0] * 90 + 40
    frame = torch.zeros_like(x)
    frame[:, 2:-1, 3:-4, 1:-2] = x[:, 2:-1, 3:-4, 1:-2]
    return vs.Image(frame if channels > 1 else frame[0], spacing=spacing)


@pytest.fixture
def in_float32(monkeypatch):
    """nnunetv2 adds tiles up in half precision; for logits to 1e-4 it is given float32 there (its `torch.half`)."""
    proxy = types.SimpleNamespace(**{k: getattr(torch, k) for k in dir(torch) if not k.startswith("__")})
    proxy.half = torch.float32
    monkeypatch.setattr(nnunet, "torch", proxy)
    monkeypatch.setattr(nnunet, "compute_gaussian", functools.partial(nnunet.compute_gaussian, dtype=torch.float32))


def _predictor(folder: Path, folds, mirroring: bool) -> nnunet.nnUNetPredictor:
    predictor = nnunet.nnUNetPredictor(0.5, True, mirroring, False, torch.device("cpu"), False, False, False)
    predictor.initialize_from_trained_model_folder(str(folder), folds, "checkpoint_final.pth")
    return predictor


def _theirs(folder: Path, image: vs.Image, folds, mirroring: bool, previous: vs.Mask | None = None):
    """nnunetv2: preprocessing, logits of the folds' mean, labels and probabilities on the original grid."""
    predictor = _predictor(folder, folds, mirroring)
    voxels = image.tensor.numpy().reshape(-1, *image.geometry.size).astype(np.float32)
    properties = {"spacing": list(image.spacing)}
    before = None if previous is None else previous.tensor.numpy()[None].astype(np.int8)
    labels, probabilities = predictor.predict_single_npy_array(voxels.copy(), dict(properties), before, None, True)
    data, seg, _ = DefaultPreprocessor(verbose=False).run_case_npy(
        voxels,
        before,
        dict(properties),
        predictor.plans_manager,
        predictor.configuration_manager,
        predictor.dataset_json,
    )
    if before is not None:
        hot = convert_labelmap_to_one_hot(seg[0], predictor.label_manager.foreground_labels, data.dtype)
        data = np.vstack((data, hot))
    logits = predictor.predict_logits_from_preprocessed_data(torch.from_numpy(np.asarray(data, dtype=np.float32)))
    return logits, labels, probabilities


CASES = [
    ("2d", {"axes": (0, 1)}, 1),
    ("2d", {"transpose": (2, 0, 1), "trained": True}, 1),
    ("3d_fullres", {"axes": (0, 1, 2), "folds": ("0", "1")}, 1),
    ("3d_fullres", {"trained": True, "labels": "regions", "transpose": (1, 0, 2)}, 1),
    ("anisotropic", {"axes": (1, 2), "trained": True}, 1),
    ("channels", {"folds": ("all",)}, 3),
]


@pytest.mark.parametrize(("name", "options", "channels"), CASES)
def test_predicts_as_nnunet(tmp_path, in_float32, name, options, channels) -> None:
    """Oracle: nnunetv2's predictor: logits to 1e-4, probabilities, labels in all but ties; after a round trip on disk."""
    folder = _folder(tmp_path, name, **options)
    image = _image(channels, spacing=(6.0, 1.0, 0.9) if name == "anisotropic" else (2.0, 1.3, 1.1))
    folds = [f if f == "all" else int(f) for f in options.get("folds", ("0",))]
    logits, labels, probabilities = _theirs(folder, image, folds, mirroring=bool(options.get("axes")))
    import_nnunet(folder).save(tmp_path / "bundle")
    model = Model.load(tmp_path / "bundle")
    ours = model.logits(image)
    assert ours.shape == logits.shape
    torch.testing.assert_close(ours, logits.float(), atol=1e-4, rtol=1e-4)
    found = model.predict(image, probabilities=True)
    difference = np.abs(found.probabilities.tensor.numpy() - probabilities)
    assert difference.max() < 1e-4
    if options.get("labels") == "regions":
        ties = (np.abs(probabilities - 0.5) < 1e-4).any(0)
    else:
        best = np.sort(probabilities, 0)
        ties = best[-1] - best[-2] < 1e-4
    assert (found.mask.tensor.numpy() == labels)[~ties].all() and ties.mean() < 0.01
    assert len(np.unique(labels)) > 1, "the test's network must find something"
    assert torch.equal(model.predict(image).tensor, found.mask.tensor), "streamed and whole export differ"
    assert found.mask.geometry == image.geometry


def test_with_nnunets_half_precision_labels_agree(tmp_path) -> None:
    """Oracle: nnunetv2 as it is (tiles added in float16): logits to its rounding, 99.9 % of the labels."""
    folder = _folder(tmp_path, "3d_fullres", axes=(0, 1, 2), trained=True)
    image = _image()
    logits, labels, _ = _theirs(folder, image, [0], mirroring=True)
    model = import_nnunet(folder)
    # where only a tile's corner reaches, float16 has few bits left of the weights
    assert ((model.logits(image) - logits.float()).abs() < 0.03).float().mean() > 0.99
    assert (model.predict(image).tensor.numpy() == labels).mean() > 0.999


@pytest.mark.parametrize("kind", ["labels", "regions"])
def test_cascade(tmp_path, in_float32, kind) -> None:
    """Oracle: nnunetv2 with its low-resolution segmentation given as the previous stage: a channel for each label, also where
    regions are learnt."""
    lowres = _folder(tmp_path, "3d_lowres", seed=5, trained=True, labels=kind)
    folder = _folder(tmp_path, "3d_cascade_fullres", seed=6, axes=(0, 1, 2), labels=kind)
    # 17 slices become 23: no voxel lies halfway between two labels, where rounding decides
    image = _image(shape=(20, 27, 31), spacing=(2.03, 1.0, 1.0))
    _, before, _ = _theirs(lowres, image, [0], mirroring=False)
    logits, labels, _ = _theirs(
        folder, image, [0], mirroring=True, previous=vs.Mask(torch.from_numpy(before.astype(np.uint8)))
    )
    import_nnunet(folder).save(tmp_path / "bundle")
    assert (tmp_path / "bundle" / "3d_lowres" / "weights.safetensors").is_file()
    model = Model.load(tmp_path / "bundle")
    torch.testing.assert_close(model.logits(image), logits.float(), atol=1e-4, rtol=1e-4)
    assert (model.predict(image).tensor.numpy() != labels).mean() < 1e-3
    with pytest.raises(vs.InvalidArgument, match="give previous="):
        lowres.rename(tmp_path / "elsewhere")
        import_nnunet(folder)


def test_volume_smaller_than_the_patch(tmp_path, in_float32) -> None:
    """Oracle: nnunetv2 pads; so do we."""
    folder = _folder(tmp_path, "3d_fullres")
    image = _image(shape=(9, 12, 40), spacing=(1.0, 1.0, 1.0))
    logits, labels, _ = _theirs(folder, image, [0], mirroring=False)
    model = import_nnunet(folder)
    torch.testing.assert_close(model.logits(image), logits.float(), atol=1e-4, rtol=1e-4)
    assert (model.predict(image).tensor.numpy() != labels).mean() < 1e-3


def test_hostile_and_broken_checkpoints(tmp_path) -> None:
    """Mechanics: code in a pickle isn't run; what is cut short, missing or of another shape is named."""

    class Evil:
        def __reduce__(self):
            return Path.touch, (tmp_path / "was_here",)

    folder = _folder(tmp_path, "2d")
    file = folder / "fold_0" / "checkpoint_final.pth"
    good = file.read_bytes()
    torch.save({"network_weights": {"a": Evil()}}, file)
    with pytest.raises(vs.FormatError, match="not opened"):
        import_nnunet(folder)
    assert not (tmp_path / "was_here").exists()
    file.write_bytes(good[: len(good) // 2])
    with pytest.raises(vs.FormatError, match="cut short"):
        import_nnunet(folder)
    file.write_bytes(good)
    state = torch.load(file, weights_only=False)
    weights = state["network_weights"]
    del weights["decoder.seg_layers.0.bias"]
    weights["extra"] = torch.zeros(1)
    weights["encoder.stages.0.0.convs.0.conv.weight"] = torch.zeros(5, 1, 3, 3)
    torch.save(state, file)
    with pytest.raises(vs.FormatError, match=r"missing \(1\): decoder.seg_layers.0.bias.*not in the network \(1\): extra"
                       r".*shape \(1\): encoder.stages.0.0.convs.0.conv.weight \[5, 1, 3, 3\] instead of \[4, 1, 3, 3\]"):  # fmt: skip
        import_nnunet(folder)
    with pytest.raises(vs.IoError, match="plans.json"):
        import_nnunet(tmp_path)
    file.unlink()
    with pytest.raises(vs.IoError, match="has no fold_"):
        import_nnunet(folder)


def test_command_line(tmp_path, capsys) -> None:
    """Oracle: `vesalius import-nnunet` and `vesalius segment` make what the functions make."""
    folder = _folder(tmp_path, "2d", trained=True)
    assert main(["import-nnunet", str(folder), str(tmp_path / "bundle"), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["network"] == "plain_unet" and report["folds"] == "0" and report["labels"] == "background, a, b"
    (tmp_path / "images").mkdir()
    vs.write_image(_image(), str(tmp_path / "images" / "case_0000.nii.gz"))
    one = ["segment", str(tmp_path / "images" / "case_0000.nii.gz"), "--model", str(tmp_path / "bundle"), "--json"]
    assert main([*one, "-o", str(tmp_path / "one.nii.gz"), "--no-mirroring"]) == 0
    assert (
        main(
            [
                "segment",
                str(tmp_path / "images"),
                "--model",
                str(tmp_path / "bundle"),
                "-o",
                str(tmp_path / "out"),
                "--json",
            ]
        )
        == 0
    )
    expected = import_nnunet(folder).predict(vs.read_image(str(tmp_path / "images" / "case_0000.nii.gz")))
    for path in ("one.nii.gz", "out/case.nii.gz"):
        assert torch.equal(vs.read_mask(str(tmp_path / path)).tensor, expected.tensor)
    assert main(["import-nnunet", str(tmp_path / "images"), str(tmp_path / "b2"), "--json"]) == 1
    assert "plans.json" in capsys.readouterr().err
