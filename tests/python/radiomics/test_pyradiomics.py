# SPDX-License-Identifier: Apache-2.0
"""Oracle: PyRadiomics' published baseline values of its test case brain1, and its parameter files."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import SimpleITK as sitk

import vesalius as vs

DATA = Path(__file__).parents[2] / "data" / "radiomics" / "pyradiomics"
CATALOGUE = vs.radiomics.catalogue()
ALIASES = CATALOGUE[CATALOGUE["pyradiomics"] != ""]["pyradiomics"]


def baseline(feature_class: str, case: str) -> dict[str, float]:
    with (DATA / f"baseline_{feature_class}.csv").open(newline="") as file:
        return {
            r["featureName"]: float(r[case]) for r in csv.DictReader(file) if r["featureName"].startswith("original_")
        }


@pytest.fixture(scope="module")
def brain1() -> tuple[vs.Image, vs.Mask]:
    image, mask = (sitk.ReadImage(str(DATA / f"brain1_{kind}.nrrd")) for kind in ("image", "label"))
    return vs.Image.from_sitk(image), vs.Mask.from_sitk(mask)


# PyRadiomics puts bin edges at multiples of the width (from 450 here: the minimum is 468); a re-segmentation that
# removes nothing gives ours the same lower end.
SAME_BINS = {"resegment": (450, 10000), "bin_width": 25}


@pytest.mark.parametrize(
    ("case", "settings"),
    [
        ("brain1", {**SAME_BINS, "aggregation": "3D_avg"}),
        ("brain1_combined", {**SAME_BINS, "aggregation": "3D_comb"}),
        ("brain1_2d", {**SAME_BINS, "aggregation": "2_5D_avg"}),
        ("brain1_FBN", {"bin_count": 64, "aggregation": "3D_avg"}),
    ],
)
def test_glcm(brain1, case, settings):
    ours = vs.radiomics.extract(*brain1, vs.radiomics.Settings(families=["glcm"], **settings))
    theirs = baseline("glcm", case)
    compared = [name for name in ALIASES if name in theirs and "_glcm_" in name]
    assert len(compared) >= 20
    for name in compared:
        assert ours[name] == pytest.approx(theirs[name], rel=1e-9), name


@pytest.mark.parametrize(
    ("theirs", "family"), [("glrlm", "glrlm"), ("glszm", "glszm"), ("ngtdm", "ngtdm"), ("gldm", "ngldm")]
)
def test_other_textures(brain1, theirs, family):
    ours = vs.radiomics.extract(*brain1, vs.radiomics.Settings(families=[family], aggregation="3D_avg", **SAME_BINS))
    values = baseline(theirs, "brain1")
    compared = [name for name in ALIASES if name in values]
    assert len(compared) >= {"ngtdm": 5}.get(family, 13)
    for name in compared:
        assert ours[name] == pytest.approx(values[name], rel=1e-9), name


def test_first_order(brain1):
    """Their energy and RMS add 2000 to each voxel in case brain1, their kurtosis is not in excess of 3."""
    ours = vs.radiomics.extract(
        *brain1, vs.radiomics.Settings(families=["intensity_statistics", "intensity_histogram"], **SAME_BINS)
    )
    theirs = baseline("firstorder", "brain1") | {
        name: value
        for name, value in baseline("firstorder", "brain1_resegmentation").items()
        if name.endswith(("Energy", "RootMeanSquared"))
    }
    compared = [name for name in ALIASES if name in theirs]
    assert len(compared) >= 16
    for name in compared:
        assert ours[name] == pytest.approx(theirs[name], rel=1e-9), name
    assert ours["stat_kurt"] + 3 == pytest.approx(theirs["original_firstorder_Kurtosis"], rel=1e-9)


def test_shape(brain1):
    """Volume by counting and the diameter are the same. Their axes divide the covariance by n, IBSI's by n - 1. Meshes
    differ on ambiguous faces of the cubes and in which diagonals they cut: 0.1 %."""
    ours = vs.radiomics.extract(*brain1, vs.radiomics.Settings(families=["morphology"]))
    theirs = baseline("shape", "brain1")
    n = ours.morphological_voxels
    for name in ("VoxelVolume", "Maximum3DDiameter", "Elongation", "Flatness"):
        assert ours[f"original_shape_{name}"] == pytest.approx(theirs[f"original_shape_{name}"], rel=1e-9), name
    for name in ("MajorAxisLength", "MinorAxisLength", "LeastAxisLength"):
        assert ours[f"original_shape_{name}"] == pytest.approx(
            theirs[f"original_shape_{name}"] * (n / (n - 1)) ** 0.5, rel=1e-9
        ), name
    for name in ("MeshVolume", "SurfaceArea", "Sphericity", "SurfaceVolumeRatio"):
        assert ours[f"original_shape_{name}"] == pytest.approx(theirs[f"original_shape_{name}"], rel=1.5e-3), name


PARAMETERS = """
imageType:
  Original: {}
featureClass:
  firstorder: []
  shape:
  glcm: [Contrast, JointEntropy]
setting:
  binWidth: 10
  resampledPixelSpacing: [1, 2, 3]
  interpolator: sitkBSpline
  resegmentRange: [-50, 200]
  label: 1
  geometryTolerance: 0.001
"""


def test_parameter_file(tmp_path):
    """Oracle: the meaning of the entries in PyRadiomics' documentation."""
    path = tmp_path / "params.yaml"
    path.write_text(PARAMETERS)
    settings = vs.radiomics.Settings.from_pyradiomics(path)
    assert (
        settings.resample == (3, 2, 1)
        and settings.interpolation == "cubic"
        and settings.mask_interpolation == "nearest"
    )
    assert settings.bin_width == 10 and settings.bin_count is None and settings.resegment == (-50, 200)
    assert settings.aggregation == ("3D_avg",)
    assert settings.families == ("intensity_statistics", "intensity_histogram", "morphology", "glcm")
    assert vs.radiomics.Settings.from_pyradiomics({"setting": {"binCount": 16, "force2D": True}}).aggregation == (
        "2_5D_avg",
    )
    assert vs.radiomics.Settings.from_pyradiomics({"binWidth": 5}).bin_width == 5


@pytest.mark.parametrize(
    ("params", "named"),
    [
        ({"setting": {"normalize": True}}, "normalize"),
        ({"imageType": {"Original": {}, "LoG": {"sigma": [1]}}}, "LoG"),
        ({"setting": {"binWidht": 5}}, "binWidht"),
        ({"setting": {"distances": [1, 2]}}, "distances"),
        ({"setting": {"interpolator": "sitkGaussian", "resampledPixelSpacing": [1, 1, 1]}}, "sitkGaussian"),
        ({"featureClass": {"glcm": ["MCC"]}}, "MCC"),
        ({"featureClass": {"nonsense": None}}, "nonsense"),
        ({"setting": {"weightingNorm": "euclidean"}}, "weightingNorm"),
    ],
)
def test_what_has_no_equivalent_is_named(params, named):
    with pytest.raises(vs.NotSupported, match=named):
        vs.radiomics.Settings.from_pyradiomics(params)


def test_a_file_that_is_none(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text("[1, 2")
    with pytest.raises(vs.FormatError, match="not YAML"):
        vs.radiomics.Settings.from_pyradiomics(path)
