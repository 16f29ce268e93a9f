# SPDX-License-Identifier: Apache-2.0
"""Ensembles of configurations, and the choice among configurations and pairs after cross-validation."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import vesalius as vs
from vesalius import segmentation as seg
from vesalius.segmentation import training

HIPPOCAMPUS = Path(__file__).parents[2] / "data" / "segmentation" / "hippocampus"
LABELS = ["anterior", "posterior"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """2d and 3d_fullres of tiny networks, two folds each."""
    out = tmp_path_factory.mktemp("run")
    data = seg.open_dataset(HIPPOCAMPUS, label_names=LABELS)
    text = json.loads(
        seg.plan(data, fingerprint=seg.fingerprint(data, foreground_samples=1000), preset="small").to_json()
    )
    for name, d in (("2d", 2), ("3d_fullres", 3)):
        config = text["configurations"][name]
        config["patch_size"], config["batch_size"] = [16, 24, 16][-d:], 2
        config["architecture"]["arch_kwargs"].update(
            n_stages=2, features_per_stage=[4, 8], kernel_sizes=[[3] * d] * 2, strides=[[1] * d, [2] * d],
            n_conv_per_stage=[1] * 2, n_conv_per_stage_decoder=[1],
        )  # fmt: skip
        seg.train(
            HIPPOCAMPUS, out=out, plans=seg.Plans.from_json(json.dumps(text)), configuration=name, folds=[0, 3], epochs=2,
            label_names=LABELS, iterations=8, validation_iterations=1, figures=False, precision="fp32", progress=False,
            mirror_in_validation=False, optimizer="adamw", lr=1e-2,
        )  # fmt: skip
    return out


def test_pairs_are_means_of_probabilities_out_of_fold(run: Path) -> None:
    """Oracle: both models' own probabilities by the fold that didn't see the case, averaged and measured here."""
    result = training.find_best_configuration(run, mirroring=False, progress=False)
    assert set(result["scores"]) == {"2d", "3d_fullres", "2d + 3d_fullres"}
    models = {name: seg.Model.load(run / name / "bundle") for name in ("2d", "3d_fullres")}
    ids = [case.id for case in seg.open_dataset(HIPPOCAMPUS, label_names=LABELS).cases]
    table = {key: [] for key in result["scores"]}
    for fold in (0, 3):
        for case in training.split(ids, fold)[1]:
            image = vs.read_image(HIPPOCAMPUS / "images" / f"{case}.nii.gz")
            truth = vs.read_mask(HIPPOCAMPUS / "labels" / f"{case}.nii.gz").tensor
            each = {
                name: model.predict(image, folds=[str(fold)], mirroring=False, probabilities=True).probabilities.tensor
                for name, model in models.items()
            }
            each["2d + 3d_fullres"] = (each["2d"] + each["3d_fullres"]) / 2
            for key, p in each.items():
                found = p.argmax(0)
                table[key].append(
                    [2 * float(((found == k) & (truth == k)).sum()) / float((found == k).sum() + (truth == k).sum())
                     for k in (1, 2)]
                )  # fmt: skip
    for key, rows in table.items():
        assert result["scores"][key] == pytest.approx(np.mean(rows), abs=1e-4)
    best = max(result["scores"], key=lambda k: (result["scores"][k], -len(k)))
    assert " + ".join(result["best"]) == best
    assert (run / "best" / best / f"{case}.nii.gz").is_file()
    assert seg.Model.load(result["bundle"]).predict(image).geometry == image.geometry
    with pytest.raises(vs.errors.InvalidArgument, match="no folder that train wrote"):
        training.find_best_configuration(run / "nowhere", progress=False)
    with pytest.raises(vs.errors.InvalidArgument, match="3d_lowres"):
        training.find_best_configuration(run, configurations=["3d_lowres"], progress=False)


def test_ensemble_predicts_and_round_trips(run: Path, tmp_path: Path) -> None:
    """Oracle: the mean of the members' probabilities and its largest class; the same after saving and loading."""
    models = {name: seg.Model.load(run / name / "bundle") for name in ("2d", "3d_fullres")}
    both = seg.Ensemble(models)
    image = vs.read_image(HIPPOCAMPUS / "images" / "hippocampus_001.nii.gz")
    parts = [m.predict(image, mirroring=False, probabilities=True).probabilities.tensor for m in models.values()]
    found = both.predict(image, mirroring=False, probabilities=True)
    torch.testing.assert_close(found.probabilities.tensor, (parts[0] + parts[1]) / 2)
    assert torch.equal(found.mask.tensor.long(), found.probabilities.tensor.argmax(0))
    assert found.mask.names == {1: "anterior", 2: "posterior"}
    both.save(tmp_path / "bundle")
    again = seg.Model.load(tmp_path / "bundle")
    assert isinstance(again, seg.Ensemble)
    paths = again.predict(HIPPOCAMPUS / "images", output=tmp_path / "masks", mirroring=False)
    assert len(paths) == 5
    assert torch.equal(vs.read_mask(tmp_path / "masks" / "hippocampus_001.nii.gz").tensor, found.mask.tensor)
    kept = seg.Ensemble(models, keep_largest=[[1, 2]]).predict(image, mirroring=False)
    assert torch.equal(kept.tensor, training.keep_largest(found.mask.tensor, [1, 2]))


def test_ensembles_that_make_no_sense(run: Path, tmp_path: Path) -> None:
    model = seg.Model.load(run / "2d" / "bundle")
    with pytest.raises(vs.errors.InvalidArgument, match="two members"):
        seg.Ensemble({"a": model})
    other = seg.Model(model.plan.replace(label_names=["background", "x", "posterior"]), model.weights)
    with pytest.raises(vs.errors.InvalidArgument, match="label_names"):
        seg.Ensemble({"a": model, "b": other})
    with pytest.raises(vs.errors.InvalidArgument, match="folder inside"):
        seg.Ensemble({"a": model, "../b": model})
    both = seg.Ensemble({"a": model, "b": model})
    with pytest.raises(vs.errors.InvalidArgument, match="folds is not for ensembles"):
        both.predict(HIPPOCAMPUS / "images" / "hippocampus_001.nii.gz", folds=["0"])
    both.save(tmp_path)
    content = json.loads((tmp_path / "ensemble.json").read_text())
    for change in ({"version": 2}, {"members": ["a", "../b"]}, {"keep_largest": "x"}):
        (tmp_path / "ensemble.json").write_text(json.dumps({**content, **change}))
        with pytest.raises(vs.errors.FormatError, match="no ensemble of version 1"):
            seg.Model.load(tmp_path)
