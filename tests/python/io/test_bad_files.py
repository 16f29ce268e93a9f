# SPDX-License-Identifier: Apache-2.0
"""161 deliberately malformed and odd files: each gives the expected answer, and none is read wrong in silence.

Oracle: the manifest written with the files (what is wrong with each), and the known voxels 0..119 of the baseline."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import vesalius as vs

DATA = Path(__file__).parents[2] / "data/io/badfiles"
MANIFEST = json.loads((DATA / "manifest.json").read_text())
FILES = sorted(name for name in MANIFEST if (DATA / name).exists())

# Odd files that are refused, each for a reason that the manifest allows.
REFUSED = {
    "nifti/odd_sform_shear.nii": vs.GeometryError,
    "nifti/odd_sform_gantry_small_nonorth.nii": vs.GeometryError,
    "nifti/odd_slope_inf.nii": vs.FormatError,
    "nifti/odd_float128.nii": vs.NotSupported,
    "nrrd/odd_dir_shear.nrrd": vs.GeometryError,
    "nrrd/odd_spacing_nan.nrrd": vs.GeometryError,
    "nrrd/odd_block.nrrd": vs.NotSupported,
}
# Bad files that can be read right, as the manifest says ("or ignore, load").
READ_RIGHT = {"nifti/bad_ext_huge.nii", "nifti/bad_ext_neg.nii"}
# Not images by themselves.
PARTS = {"nifti/odd_pair.img"}


def baseline() -> np.ndarray:
    return np.arange(120).reshape(6, 5, 4)


@pytest.mark.parametrize("name", [n for n in FILES if Path(n).name.startswith("bad_") and n not in READ_RIGHT])
def test_bad_files_give_typed_errors_that_name_them(name):
    with pytest.raises(vs.Error) as caught:
        vs.read_image(DATA / name)
    assert isinstance(caught.value, (vs.IoError, vs.GeometryError, vs.NotSupported))
    assert Path(name).name in str(caught.value)
    assert len(str(caught.value)) > len(str(DATA / name)) + 15


def test_truncated_names_expected_and_found_bytes():
    with pytest.raises(
        vs.FormatError, match=r"should take 240 bytes.*472|should take 240 bytes, and the file can hold at most 120"
    ):
        vs.read_image(DATA / "nifti/bad_truncated.nii")
    with pytest.raises(vs.FormatError, match="0 bytes"):
        vs.read_image(DATA / "nifti/bad_empty.nii")
    with pytest.raises(vs.FormatError, match="own folder"):
        vs.read_image(DATA / "mha/bad_datafile_abs.mha")


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_odd_files_that_are_refused(name):
    with pytest.raises(REFUSED[name], match=Path(name).name):
        vs.read_image(DATA / name)


@pytest.mark.parametrize(
    "name",
    [
        n
        for n in FILES
        if not (Path(n).name.startswith("bad_") and n not in READ_RIGHT) and n not in REFUSED and n not in PARTS
    ],
)
def test_others_are_read(name):
    image = vs.read_image(DATA / name)
    voxels = image.numpy()
    facts = vs.io.info(DATA / name)
    assert facts["shape"] == image.shape and facts["format"] == image.metadata["format"]
    special = {
        "rgb24",
        "complex64",
        "float128",
        "int64",
        "nan_voxels",
        "4d",
        "5d_vector",
        "1d",
        "singleton",
        "double_nan",
        "slope_zero",
    }
    if Path(name).name.split(".")[0].split("_", 1)[1] not in special and "units" not in name:
        np.testing.assert_array_equal(voxels, baseline())
        np.testing.assert_allclose(image.spacing, (3, 2, 1.5), rtol=1e-6)


def nibabel_points(name: str) -> tuple[np.ndarray, np.ndarray]:
    other = nib.load(DATA / name)
    return np.asanyarray(other.dataobj), other.affine


@pytest.mark.parametrize(
    "name",
    [
        "ok_baseline.nii",
        "ok_baseline_gz.nii.gz",
        "ok_nifti2.nii",
        "odd_left_handed.nii",
        "odd_qfac_zero.nii",
        "odd_sform_qform_disagree.nii",
        "odd_4d.nii",
        "odd_int64.nii",
        "odd_slope_zero.nii",
        "odd_trailing.nii",
        "odd_complex64.nii",
        "odd_nan_voxels.nii",
    ],
)
def test_nifti_against_nibabel(name):
    """Oracle: nibabel, voxels and affine."""
    voxels, affine = nibabel_points(f"nifti/{name}")
    image = vs.read_image(DATA / "nifti" / name)
    np.testing.assert_array_equal(image.numpy(), voxels.T)
    np.testing.assert_allclose(image.affine_ras, affine, atol=1e-5)


def test_geometry_of_the_odd_ones():
    """Oracle: the manifest."""
    left = vs.read_image(DATA / "nifti/odd_left_handed.nii")
    assert np.linalg.det(np.asarray(left.geometry.direction)) == pytest.approx(-1, abs=1e-5)
    np.testing.assert_allclose(vs.read_image(DATA / "nifti/odd_units_meter.nii").spacing, (3000, 2000, 1500), rtol=1e-6)
    np.testing.assert_allclose(
        vs.read_image(DATA / "nifti/odd_units_micron.nii").spacing, (0.003, 0.002, 0.0015), rtol=1e-6
    )
    assert "orientation" in vs.read_image(DATA / "nifti/odd_no_xform.nii").metadata["problems"]
    assert "sform" in vs.read_image(DATA / "nifti/odd_sform_qform_disagree.nii").metadata["problems"]
    assert vs.read_image(DATA / "nrrd/odd_ras.nrrd").origin == (-30, 20, -10)
    assert vs.read_image(DATA / "nrrd/odd_las.nrrd").origin == (-30, 20, 10)
    assert vs.read_image(DATA / "nifti/odd_rgb24.nii").shape == (3, 6, 5, 4)
    assert vs.read_image(DATA / "nifti/odd_4d.nii").shape == (4, 6, 5, 4)
    assert vs.read_image(DATA / "nifti/odd_5d_vector.nii").shape == (3, 6, 5, 4)
    assert vs.read_image(DATA / "nifti/odd_singleton.nii").shape == (1, 1, 1)
    assert "key one" in vs.read_image(DATA / "nrrd/odd_keyvalue.nrrd").metadata
