# SPDX-License-Identifier: Apache-2.0
"""The command line as a user meets it: a process, its output, its exit code. Oracle: the Python functions it calls."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import vesalius as vs


def run(*arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "vesalius", *map(str, arguments)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == code, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


@pytest.fixture(scope="module")
def patients(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 made-up patients; the ones with the event have brighter, larger balls."""
    folder = tmp_path_factory.mktemp("patients")
    z, y, x = np.mgrid[:20, :22, :24]
    rng = np.random.default_rng(3)
    rows = []
    for number in range(24):
        event = number % 2
        radius = 5 + event + rng.uniform(0, 2)
        ball = (z - 10) ** 2 + (y - 11) ** 2 + (x - 12) ** 2 <= radius**2
        voxels = (rng.normal(1.0, 0.3, ball.shape) + ball * (6 + 2 * event + rng.normal(0, 1))).astype(np.float32)
        case = folder / f"P{number:02d}"
        case.mkdir()
        vs.write_image(vs.Image(torch.from_numpy(voxels), spacing=(3.0, 2.0, 2.0)), case / "pet.nii.gz")
        vs.write_mask(vs.Mask(torch.from_numpy(ball.astype(np.uint8)), spacing=(3.0, 2.0, 2.0)), case / "mask.nii.gz")
        rows.append({"patient": case.name, "relapse": event})
    pd.DataFrame(rows).to_csv(folder / "outcomes.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def study(patients: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("study") / "study.h5"
    run(
        "import",
        path,
        patients,
        "--image",
        "pet.nii.gz",
        "--mask",
        "mask.nii.gz",
        "--outcomes",
        patients / "outcomes.csv",
        "--metadata",
        "modality=PT",
        "--json",
    )
    run("extract", path, "--json")
    return path


def test_info_of_an_image(patients):
    facts = json.loads(run("info", patients / "P00" / "pet.nii.gz", "--json").stdout)
    assert facts["size"] == [20, 22, 24]
    np.testing.assert_allclose(facts["spacing"], [3.0, 2.0, 2.0], rtol=1e-6)


def test_import_again_adds_nothing(patients, study):
    again = json.loads(
        run("import", study, patients, "--image", "pet.nii.gz", "--mask", "mask.nii.gz", "--json").stdout
    )
    assert again["added"] == 0 and again["already there"] == 24
    assert json.loads(run("info", study, "--json").stdout)["subjects"] == 24


def test_extract_equals_python(patients, tmp_path):
    image, mask = patients / "P03" / "pet.nii.gz", patients / "P03" / "mask.nii.gz"
    printed = json.loads(run("extract", image, mask, "--json").stdout)
    picture = vs.read_image(image)
    expected = vs.radiomics.extract(picture, vs.read_mask(mask, like=picture)).to_series()
    assert list(printed) == list(expected.index)
    np.testing.assert_array_equal([printed[k] for k in expected.index], expected.to_numpy())

    (tmp_path / "settings.yaml").write_text(vs.radiomics.Settings(bin_width=0.5).to_yaml())
    run("extract", image, mask, "--settings", tmp_path / "settings.yaml", "-o", tmp_path / "features.csv")
    written = pd.read_csv(tmp_path / "features.csv", index_col=0)["value"]
    finer = vs.radiomics.extract(
        picture, vs.read_mask(mask, like=picture), vs.radiomics.Settings(bin_width=0.5)
    ).to_series()
    pd.testing.assert_series_equal(written, finer, check_names=False, rtol=1e-12)


def test_segment_measures_against_a_reference(patients, tmp_path):
    image, mask = patients / "P01" / "pet.nii.gz", patients / "P01" / "mask.nii.gz"
    out = tmp_path / "tumour.nii.gz"
    result = json.loads(
        run(
            "segment",
            image,
            "--method",
            "percent_of_maximum",
            "--region",
            mask,
            "--reference",
            mask,
            "-o",
            out,
            "--json",
        ).stdout
    )
    assert result["measures"]["1"]["dice"] > 0.9
    assert int((vs.read_mask(out).tensor != 0).sum()) == result["voxels"]


def test_fit_and_report(study, tmp_path):
    result = json.loads(run("fit", study, "--repeats", "2", "--json").stdout)
    assert result["outcome"] == "relapse"  # the only column; the report draws the ROC by this name
    assert result["subjects"] == 24 and result["auc_lower"] <= result["auc"] <= result["auc_upper"]
    assert result["auc"] > 0.8  # the balls were made to differ
    page = Path(json.loads(run("report", study, "-o", tmp_path / "report", "--json").stdout)["report"])
    text = page.read_text()
    assert "24 subjects" in text and "relapse" in text and "roc.png" in text
    assert (tmp_path / "report" / "slices.png").stat().st_size > 10_000


@pytest.mark.parametrize("command", ["info", "import", "extract", "segment", "fit", "report"])
def test_help_has_examples(command):
    assert "examples:" in run(command, "--help").stdout


def test_errors_say_what_to_do(patients, tmp_path):
    assert "nothing.nii.gz" in run("info", tmp_path / "nothing.nii.gz", code=1).stderr
    assert "vesalius import" in run("fit", tmp_path / "none.h5", code=1).stderr
    broken = run("import", tmp_path / "s.h5", patients, "--image", "ct.nii.gz", "--json", code=1)
    assert json.loads(broken.stdout)["error"] == "InvalidArgument"
    assert "pet.nii.gz" in broken.stderr  # what the folder does hold
    run("segment", patients / "P00" / "pet.nii.gz", "-o", tmp_path / "x.nii.gz", code=2)
    (tmp_path / "wrong.yaml").write_text("bin_widht: 3")
    wrong = run(
        "extract",
        patients / "P00" / "pet.nii.gz",
        patients / "P00" / "mask.nii.gz",
        "--settings",
        tmp_path / "wrong.yaml",
        code=1,
    )
    assert 'Did you mean "bin_width"' in wrong.stderr


def test_warnings_and_a_forgotten_mask(patients):
    """Mechanics: one line on stderr, no source line of ours; an image alone is told to bring its mask."""
    case = patients / "P00"
    assert run("extract", case / "pet.nii.gz", case / "mask.nii.gz", "--json").stderr.startswith(
        "vesalius: warning: the intensities of label 1"
    )
    assert "give its mask too: vesalius extract" in run("extract", case / "pet.nii.gz", code=1).stderr
