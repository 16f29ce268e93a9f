# SPDX-License-Identifier: Apache-2.0
"""examples/cpp, built against the installed package and run without Python."""

import csv
import io
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from lifelines import CoxPHFitter
from lifelines.datasets import load_rossi

import vesalius as vs

EXAMPLES = Path(__file__).resolve().parents[3] / "examples" / "cpp"


@pytest.fixture(scope="module")
def build_root(tmp_path_factory):
    return tmp_path_factory.mktemp("examples")


def run(program: Path, *arguments: object) -> subprocess.CompletedProcess:
    """In an empty environment: no PATH, no PYTHONPATH, no LD_LIBRARY_PATH."""
    return subprocess.run(
        [program, *map(str, arguments)], env={"OMP_NUM_THREADS": "2"}, capture_output=True, text=True, timeout=120
    )


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


@pytest.fixture(scope="module")
def features(build_cpp, build_root):
    return build_cpp(EXAMPLES / "features", build_root / "features", "features")


@pytest.fixture
def case(tmp_path):
    rng = np.random.default_rng(3)
    z, y, x = np.indices((10, 14, 16))
    labels = (((z - 5) / 3.2) ** 2 + ((y - 7) / 5) ** 2 + ((x - 8) / 6) ** 2 < 1).astype(np.uint8)
    where = {"spacing": (3.0, 1.5, 1.0), "origin": (-20.0, 4.0, 7.5)}
    image = vs.Image.from_numpy(rng.normal(60, 25, labels.shape).astype(np.float32), **where)
    mask = vs.Mask.from_numpy(labels * 2, **where)
    paths = str(tmp_path / "image.nii.gz"), str(tmp_path / "mask.nii.gz")
    vs.write_image(image, paths[0])
    vs.write_mask(mask, paths[1])
    return *paths, image, mask


def test_features_from_nifti_without_python(features, case):
    """Oracle: the same files through Python give the same numbers to the last bit."""
    image_path, mask_path, image, mask = case
    result = run(features, image_path, mask_path, 10, 2)
    assert result.returncode == 0, result.stderr
    rows = table(result.stdout)
    expected = vs.radiomics.extract(image, mask, vs.radiomics.Settings(bin_width=10), label=2)
    assert [row["feature"] for row in rows] == list(expected.names) and len(rows) > 40
    ours = np.array([float(row["value"] or "nan") for row in rows])
    np.testing.assert_array_equal(ours, np.asarray(expected.values, dtype=np.float64))
    # And one by hand.
    inside = image.numpy()[mask.numpy() == 2].astype(np.float64)
    mean = next(row for row in rows if row["code"] == "Q4LE")
    assert float(mean["value"]) == pytest.approx(inside.mean(), rel=1e-6)


def test_features_loads_no_python(features):
    """Mechanics: neither libpython nor torch's Python part is asked for, directly or by way of others."""
    listed = subprocess.run(["ldd", features], capture_output=True, text=True, check=True).stdout
    assert "libvesalius.so" in listed and "libtorch_cpu.so" in listed
    assert "python" not in "".join(line.split("=>")[0] for line in listed.splitlines())
    assert "not found" not in listed


def test_features_says_what_is_wrong(features, case, tmp_path):
    """Mechanics: errors of Vesalius reach the user as words, and the exit status tells."""
    image_path, mask_path, image, _ = case
    assert run(features).returncode == 2
    missing = run(features, tmp_path / "none.nii.gz", mask_path)
    assert missing.returncode == 1 and "none.nii.gz" in missing.stderr
    no_label = run(features, image_path, mask_path, 10, 7)
    assert no_label.returncode == 1 and "7" in no_label.stderr and "2" in no_label.stderr
    other = str(tmp_path / "other.nii.gz")
    vs.write_mask(vs.Mask.from_numpy(np.ones((3, 4, 5), np.uint8)), other)
    assert run(features, image_path, other).returncode == 1


@pytest.fixture(scope="module")
def survival(build_cpp, build_root):
    return build_cpp(EXAMPLES / "survival", build_root / "survival", "survival")


def test_survival_is_what_lifelines_finds(survival, tmp_path):
    """Oracle: lifelines' CoxPHFitter (Efron) and concordance on the Rossi data that it brings."""
    rossi = load_rossi()
    rossi.rename(columns={"week": "time", "arrest": "event"}).to_csv(tmp_path / "rossi.csv", index=False)
    result = run(survival, tmp_path / "rossi.csv")
    assert result.returncode == 0, result.stderr
    peer = CoxPHFitter().fit(rossi, "week", "arrest", fit_options={"precision": 1e-10})
    rows = table(result.stdout)
    assert [row["term"] for row in rows] == list(peer.params_.index)
    for column, expected in {
        "coef": peer.params_,
        "hazard_ratio": peer.hazard_ratios_,
        "standard_error": peer.standard_errors_,
        "p": peer.summary["p"],
    }.items():
        np.testing.assert_allclose([float(row[column]) for row in rows], expected, rtol=1e-5)
    words = result.stderr.replace(",", "").split()
    assert float(words[words.index("concordance") + 1]) == pytest.approx(peer.concordance_index_, abs=1e-10)
    assert float(words[1]) == pytest.approx(peer.log_likelihood_, abs=1e-6)
    assert words[-1] == "nan"  # fewer than half were arrested


def test_survival_says_what_is_wrong(survival, tmp_path):
    """Mechanics."""
    (tmp_path / "none.csv").write_text("time,event,age\n3,0,61\n4,0,50\n5,0,44\n6,0,70\n")
    result = run(survival, tmp_path / "none.csv")
    assert result.returncode == 1 and "event" in result.stderr


@pytest.fixture(scope="module")
def segment(build_cpp, build_root):
    return build_cpp(EXAMPLES / "segmentation", build_root / "segmentation", "segment")


def test_a_network_predicts_without_python(segment, tmp_path):
    """Oracle: the same bundle and files through Python (which tests/python/segmentation compare with nnunetv2) give the
    same mask, voxel for voxel; two channels, two folds, resampling and crop included."""
    torch.manual_seed(0)
    plan = vs.segmentation.NetworkPlan(
        name="toy", network="plain_unet", network_features_per_stage=[4, 8], network_in_channels=2,
        network_num_classes=3, spacing=[2.0, 1.0, 1.0], patch_size=[8, 8, 8], channels=["T1", "CT"],
        normalisation=["zscore", "none"], use_mask_for_norm=[1, 0], label_names=["background", "a", "b"],
        label_values=["0", "1", "2"], folds=["0", "1"], mirror_axes=[0, 1, 2], transpose_forward=[1, 0, 2],
    )  # fmt: skip
    build = vs.segmentation.networks.build
    model = vs.segmentation.Model(plan, {fold: build(plan.spec).state_dict() for fold in plan.folds})
    model.save(tmp_path / "bundle")
    paths = []
    for channel in range(2):
        voxels = torch.nn.functional.avg_pool3d(torch.randn(1, 1, 11, 15, 13), 3, 1, 1)[0, 0] * 3
        voxels[:2] = 0
        paths.append(str(tmp_path / f"case_{channel:04d}.nii.gz"))
        vs.write_image(vs.Image(voxels, spacing=(1.7, 1.3, 0.9)), paths[-1])
    result = run(segment, tmp_path / "bundle", tmp_path / "cpp.nii.gz", *paths)
    assert result.returncode == 0, result.stderr
    ours = vs.read_mask(str(tmp_path / "cpp.nii.gz")).tensor
    expected = model.predict(paths[0]).tensor
    assert len(expected.unique()) > 1 and (ours == expected).all()
    assert f"a {int((expected == 1).sum())} voxels" in result.stdout
    listed = subprocess.run(["ldd", segment], capture_output=True, text=True, check=True).stdout
    assert "python" not in "".join(line.split("=>")[0] for line in listed.splitlines())
    weights = tmp_path / "bundle" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-5])
    result = run(segment, tmp_path / "bundle", tmp_path / "cpp.nii.gz", *paths)
    assert result.returncode == 1 and "cut short" in result.stderr


@pytest.fixture(scope="module")
def trainer(build_cpp, build_root):
    return build_cpp(EXAMPLES / "training", build_root / "training", "train")


def test_a_network_is_trained_without_python(trainer, tmp_path):
    """Mechanics: the loss falls on five real cases; the bundle loads, predicts, and both classes are in it; no Python is loaded."""
    data = Path(__file__).parents[2] / "data" / "segmentation" / "hippocampus"
    result = run(trainer, data, tmp_path / "bundle", 20)
    assert result.returncode == 0, result.stderr
    losses = [float(line.split()[-1]) for line in result.stdout.splitlines()]
    assert len(losses) == 2 and losses[1] < losses[0] - 0.05
    model = vs.segmentation.Model.load(tmp_path / "bundle")
    assert model.plan.label_values == ("0", "1", "2") and list(model.weights) == ["all"]
    mask = model.predict(data / "images" / "hippocampus_001.nii.gz", mirroring=False)
    assert mask.geometry == vs.read_image(data / "images" / "hippocampus_001.nii.gz").geometry
    listed = subprocess.run(["ldd", trainer], capture_output=True, text=True, check=True).stdout
    assert "python" not in "".join(line.split("=>")[0] for line in listed.splitlines())
    missing = run(trainer, tmp_path / "nowhere", tmp_path / "b")
    assert missing.returncode == 1 and "there is no folder" in missing.stderr
