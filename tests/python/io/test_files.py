# SPDX-License-Identifier: Apache-2.0
"""Reading and writing against SimpleITK and nibabel: same voxels, same physical points."""

import os
import resource
import stat
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
import torch

import vesalius as vs

TYPES = ["uint8", "int8", "int16", "int32", "int64", "float32", "float64"]
WIDER = {"uint16": "int32", "uint32": "int64"}


def oblique(mirrored: bool = False) -> np.ndarray:
    """A rotation about no axis of the grid, in (x, y, z)."""
    a, b = 0.4, -0.7
    x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    z = np.array([[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]])
    out = x @ z
    if mirrored:
        out[:, 2] *= -1
    return out


def sitk_image(dtype: str, mirrored: bool = False, shape: tuple[int, ...] = (3, 4, 5)) -> sitk.Image:
    rng = np.random.default_rng(1)
    limits = np.iinfo(dtype) if np.issubdtype(dtype, np.integer) else None
    array = (
        rng.integers(max(limits.min, -(2**40)), min(limits.max, 2**40), shape).astype(dtype)
        if limits
        else rng.normal(size=shape).astype(dtype)
    )
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((0.7, 1.25, 3.1))
    image.SetOrigin((-12.5, 40.25, 7.125))
    image.SetDirection(oblique(mirrored).ravel().tolist())
    return image


def assert_same_place(image: vs.Image | vs.Mask, other: sitk.Image, tolerance: float) -> None:
    for index in [(0, 0, 0), (4, 3, 2), (1, 0, 2)]:
        ours = np.array(image.geometry.to_physical(index[::-1]))[::-1]
        np.testing.assert_allclose(ours, other.TransformIndexToPhysicalPoint(index), atol=tolerance)


@pytest.mark.parametrize(
    "suffix,tolerance",
    [(".nii", 2e-5), (".nii.gz", 2e-5), (".nrrd", 1e-9), (".mha", 1e-4), (".mhd", 1e-4), (".nhdr", 1e-9)],
)
@pytest.mark.parametrize("dtype", [*TYPES, *WIDER])
@pytest.mark.parametrize("mirrored", [False, True])
def test_reads_what_simpleitk_writes(tmp_path, suffix, tolerance, dtype, mirrored):
    """Oracle: SimpleITK wrote it (MetaIO writes 6 digits, NIfTI float32)."""
    other = sitk_image(dtype, mirrored)
    path = str(tmp_path / f"a{suffix}")
    sitk.WriteImage(other, path, useCompression=suffix != ".nii")
    image = vs.read_image(path)
    assert str(image.tensor.dtype) == f"torch.{WIDER.get(dtype, dtype)}" and image.metadata["stored_type"] == dtype
    np.testing.assert_array_equal(image.numpy(), sitk.GetArrayFromImage(other))
    assert_same_place(image, other, tolerance)
    assert vs.io.info(path)["shape"] == image.shape


@pytest.mark.parametrize("suffix,tolerance", [(".nii", 2e-5), (".nii.gz", 2e-5), (".nrrd", 1e-9), (".mha", 1e-9)])
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("mirrored", [False, True])
def test_simpleitk_and_we_read_what_we_write(tmp_path, suffix, tolerance, dtype, mirrored):
    """Oracle: SimpleITK reads it; nibabel too where it is NIfTI. Ours comes back to the bit in .nrrd and .mha."""
    other = sitk_image(dtype, mirrored)
    image = vs.Image.from_sitk(other)
    path = str(tmp_path / f"a{suffix}")
    vs.write_image(image, path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"a{suffix}"]
    back = sitk.ReadImage(path)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(back), image.numpy())
    assert_same_place(image, back, tolerance)
    ours = vs.read_image(path)
    assert torch.equal(ours.tensor, image.tensor)
    assert ours.tensor.dtype == image.tensor.dtype
    if suffix in (".nrrd", ".mha"):
        # Steps are stored as direction · spacing in NRRD: equal to rounding.
        np.testing.assert_allclose(ours.spacing, image.spacing, rtol=1e-15)
        assert ours.origin == image.origin
        np.testing.assert_allclose(ours.geometry.direction, image.geometry.direction, atol=1e-15)
    else:
        nifti = nib.load(path)
        np.testing.assert_allclose(nifti.affine, image.affine_ras, atol=2e-5)
        np.testing.assert_allclose(nifti.get_qform(), nifti.get_sform(), atol=2e-5)
        np.testing.assert_array_equal(np.asanyarray(nifti.dataobj), image.numpy().T)


def test_nifti_from_nibabel_with_scale(tmp_path):
    """Oracle: nibabel applies scl_slope and scl_inter."""
    header = nib.Nifti1Header()
    header.set_data_dtype(np.int16)
    raw = np.arange(60, dtype=np.int16).reshape(5, 4, 3)
    header.set_slope_inter(0.5, -10)
    path = tmp_path / "scaled.nii.gz"
    scaled = nib.Nifti1Image(raw * 0.5 - 10, np.diag([2, 3, 4, 1.0]), header)
    nib.save(scaled, path)
    image = vs.read_image(path)
    np.testing.assert_allclose(image.numpy(), nib.load(path).get_fdata().T, atol=1e-4)
    assert image.tensor.dtype == torch.float32


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_four_dimensions_go_round(tmp_path, suffix):
    image = vs.Image(torch.rand(3, 2, 4, 5), spacing=(3, 1, 2), origin=(1, 2, 3))
    path = str(tmp_path / f"a{suffix}")
    vs.write_image(image, path)
    back = vs.read_image(path)
    assert torch.equal(back.tensor, image.tensor)
    assert back.geometry.same_as(image.geometry, tolerance=1e-6)


@pytest.mark.parametrize("suffix", [".nrrd", ".mha", ".nii.gz"])
def test_vector_images_of_simpleitk(tmp_path, suffix):
    """Oracle: SimpleITK wrote three values a voxel."""
    array = np.random.default_rng(2).normal(size=(3, 4, 5, 3)).astype(np.float32)
    path = str(tmp_path / f"v{suffix}")
    sitk.WriteImage(sitk.GetImageFromArray(array, isVector=True), path)
    image = vs.read_image(path)
    np.testing.assert_array_equal(image.numpy(), np.moveaxis(array, -1, 0))


@pytest.mark.parametrize(
    "suffix,dtype,channels",
    [
        (".png", "uint8", 1),
        (".png", "uint8", 3),
        (".png", "uint16", 1),
        (".tif", "uint8", 1),
        (".tif", "uint8", 3),
        (".tif", "float32", 1),
        (".tif", "int16", 1),
        (".tif", "uint16", 3),
    ],
)
def test_pictures(tmp_path, suffix, dtype, channels):
    """Oracle: SimpleITK writes what we read, and reads what we write."""
    rng = np.random.default_rng(3)
    shape = (7, 9) if channels == 1 else (7, 9, channels)
    array = (rng.random(shape) * 250).astype(dtype)
    theirs = str(tmp_path / f"theirs{suffix}")
    sitk.WriteImage(sitk.GetImageFromArray(array, isVector=channels > 1), theirs)
    image = vs.read_image(theirs)
    expected = array[None] if channels == 1 else np.moveaxis(array, -1, 0)[:, None]
    np.testing.assert_array_equal(image.numpy(), expected)
    ours = str(tmp_path / f"ours{suffix}")
    vs.write_image(image, ours)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.ReadImage(ours)), array)
    np.testing.assert_array_equal(vs.read_image(ours).numpy(), expected)


def test_jpeg_and_damaged_pictures(tmp_path):
    array = (np.add.outer(np.arange(32), np.arange(40)) * 3).astype(np.uint8)
    path = tmp_path / "a.jpg"
    sitk.WriteImage(sitk.GetImageFromArray(array), str(path))
    assert (
        np.abs(vs.read_image(path).numpy()[0].astype(int) - sitk.GetArrayFromImage(sitk.ReadImage(str(path)))).max()
        == 0
    )
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(vs.FormatError, match="truncated"):
        vs.read_image(path)
    for suffix in (".png", ".tif"):
        whole = tmp_path / f"b{suffix}"
        sitk.WriteImage(sitk.GetImageFromArray(array), str(whole))
        whole.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
        with pytest.raises(vs.FormatError, match=whole.name):
            vs.read_image(whole)


def test_masks(tmp_path):
    image = vs.read_image(write(tmp_path / "image.nii", sitk_image("int16")))
    labels = np.zeros((3, 4, 5), np.float64)
    labels[1, 2, 3] = 2
    other = sitk.GetImageFromArray(labels)
    other.CopyInformation(sitk_image("int16"))
    mask = vs.read_mask(write(tmp_path / "mask.nii.gz", other), like=image)
    assert mask.labels == [2] and not mask.tensor.is_floating_point()

    labels[0, 0, 0] = 0.5
    half = sitk.GetImageFromArray(labels)
    half.CopyInformation(other)
    with pytest.raises(vs.TypeMismatch, match=r"half.nii.*whole-number"):
        vs.read_mask(write(tmp_path / "half.nii", half))

    moved = sitk.GetImageFromArray((labels > 1).astype(np.uint8))
    moved.CopyInformation(other)
    moved.SetOrigin((-12.5, 40.25, 9.125))
    path = write(tmp_path / "moved.nrrd", moved)
    with pytest.raises(vs.GeometryError, match=r"moved.nrrd.*origins differ by 2\.0+ mm"):
        vs.read_mask(path, like=image)
    resampled = vs.read_mask(path, like=image, resample=True)
    assert resampled.geometry.same_as(image.geometry)
    expected = sitk.GetArrayFromImage(sitk.Resample(moved, other, sitk.Transform(), sitk.sitkNearestNeighbor))
    np.testing.assert_array_equal(resampled.numpy(), expected)
    with pytest.raises(vs.InvalidArgument, match="like"):
        vs.read_mask(path, resample=True)


def write(path: Path, image: sitk.Image) -> str:
    sitk.WriteImage(image, str(path))
    return str(path)


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_label_names_are_kept(tmp_path, suffix):
    mask = vs.Mask(torch.tensor([[[0, 1, 2]]], dtype=torch.uint8), names={1: "femur", 2: "tibia, left"})
    vs.write_mask(mask, tmp_path / f"m{suffix}")
    assert vs.read_mask(tmp_path / f"m{suffix}").names == {1: "femur", 2: "tibia, left"}


def test_writing_refuses_with_the_reason(tmp_path):
    image = vs.Image(torch.zeros(2, 3, 4))
    with pytest.raises(vs.InvalidArgument, match=r"\.nrrd"):
        vs.write_image(image, tmp_path / "a.xyz")
    with pytest.raises(vs.IoError, match="no folder"):
        vs.write_image(image, tmp_path / "none/a.nii")
    with pytest.raises(vs.IoError, match="folder"):
        (tmp_path / "d.nii").mkdir()
        vs.write_image(image, tmp_path / "d.nii")
    with pytest.raises(vs.ShapeError, match="one slice"):
        vs.write_image(image, tmp_path / "a.png")
    with pytest.raises(vs.TypeMismatch, match="0 to 65535"):
        vs.write_image(vs.Image(torch.zeros(1, 3, 4)), tmp_path / "a.png")
    with pytest.raises(vs.TypeMismatch, match="omplex"):
        vs.write_image(vs.Image(torch.zeros(1, 3, 4, dtype=torch.complex64)), tmp_path / "a.nii")


FULL_DISK = """
import resource, sys, torch, vesalius as vs
resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
for path in sys.argv[1:]:
    try:
        vs.write_image(vs.Image(torch.rand(20, 40, 40)), path)
    except vs.IoError as error:
        print(error)
"""


def test_a_full_disk_is_an_error_and_the_old_file_stays(tmp_path):
    """A limit on the file's size stands for the disk's: the same write() fails."""
    paths = [str(tmp_path / f"a{suffix}") for suffix in (".nii", ".nii.gz", ".nrrd", ".mha")]
    old = vs.Image(torch.ones(2, 3, 4))
    for path in paths:
        vs.write_image(old, path)
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, *paths],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 4, done
    for path, line in zip(paths, lines, strict=True):
        assert line.startswith(path) and "too large" in line.lower()
        assert torch.equal(vs.read_image(path).tensor, old.tensor)
    assert sorted(str(p) for p in tmp_path.iterdir()) == sorted(paths)


def test_missing_forbidden_and_strange_paths(tmp_path):
    with pytest.raises(vs.IoError, match="No such file"):
        vs.read_image(tmp_path / "none.nii")
    empty = tmp_path / "empty.nii"
    empty.touch()
    with pytest.raises(vs.FormatError, match="0 bytes"):
        vs.read_image(empty)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(vs.IoError, match="ordinary"):
        vs.read_image(pipe)
    text = tmp_path / "notes.nii"
    text.write_text("hello " * 100)
    with pytest.raises(vs.FormatError, match="hello"):
        vs.read_image(text)
    if os.geteuid() != 0:
        locked = tmp_path / "locked.nii"
        locked.write_bytes(b"x")
        locked.chmod(0)
        with pytest.raises(vs.IoError, match="Permission"):
            vs.read_image(locked)
    assert stat.S_ISFIFO(pipe.stat().st_mode) and resource.RLIMIT_FSIZE >= 0


def test_detached_data_stay_in_the_folder(tmp_path):
    inner = tmp_path / "inner"
    inner.mkdir()
    (tmp_path / "secret.raw").write_bytes(bytes(24))
    header = "NRRD0005\ntype: uint8\ndimension: 3\nsizes: 2 3 4\nspace: left-posterior-superior\nspace directions: (1,0,0) (0,1,0) (0,0,1)\nencoding: raw\ndata file: {}\n"
    for name in ("../secret.raw", str(tmp_path / "secret.raw"), "link.raw"):
        (inner / "link.raw").unlink(missing_ok=True)
        (inner / "link.raw").symlink_to(tmp_path / "secret.raw")
        (inner / "a.nhdr").write_text(header.format(name))
        with pytest.raises(vs.FormatError, match="own folder"):
            vs.read_image(inner / "a.nhdr")
    (inner / "here.raw").write_bytes(bytes(range(24)))
    (inner / "a.nhdr").write_text(header.format("here.raw"))
    assert vs.read_image(inner / "a.nhdr").numpy().ravel().tolist() == list(range(24))


def test_isolated_reading(tmp_path):
    path = tmp_path / "a.nii.gz"
    image = vs.Image(torch.rand(3, 4, 5), spacing=(2, 1, 1))
    vs.write_image(image, path)
    there = vs.read_image(path, isolate=True)
    assert torch.equal(there.tensor, image.tensor) and there.geometry.same_as(image.geometry, tolerance=1e-6)
    with pytest.raises(vs.FormatError, match="stopped"):
        vs.read_image(path, isolate=True, timeout=0.05)
    # 250 MB of zeros that compress to 1 MB: honest, and more than it may take.
    big = tmp_path / "big.nii.gz"
    vs.write_image(vs.Image(torch.zeros(1000, 1000, 250, dtype=torch.uint8)), big)
    with pytest.raises(vs.IoError, match="memory"):
        vs.read_image(big, isolate=True, memory=100 << 20)


def test_a_crash_of_the_isolated_process_is_a_format_error(tmp_path, monkeypatch):
    from vesalius import _io_isolated

    path = tmp_path / "a.nii"
    vs.write_image(vs.Image(torch.rand(3, 4, 5)), path)
    true_run = subprocess.run
    monkeypatch.setattr(
        _io_isolated.subprocess,
        "run",
        lambda command, **kw: true_run(
            [command[0], "-c", "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"], **kw
        ),
    )
    with pytest.raises(vs.FormatError, match="signal 11"):
        vs.read_image(path, isolate=True)
