# SPDX-License-Identifier: Apache-2.0
"""examples/cpp, built against the installed package and run without Python."""

import csv
import io
import subprocess
from pathlib import Path

import numpy as np
import pytest
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
