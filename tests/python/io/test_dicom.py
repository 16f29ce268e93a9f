# SPDX-License-Identifier: Apache-2.0
"""DICOM series, SUV, segmentations and contours against pydicom, SimpleITK and formulas written here."""

import json
import threading
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
import torch
from dicom_writer import PT, pet_tags, write_rtstruct, write_seg, write_series

import vesalius as vs

DATA = Path(__file__).parents[2] / "data/io"
SERIES = DATA / "badfiles/dicom_series"
MANIFEST = json.loads((SERIES / "manifest.json").read_text())


def voxels(shape=(5, 6, 7), dtype=np.int16, seed=0):
    return np.random.default_rng(seed).integers(0, 1000, shape).astype(dtype)


def rotation() -> np.ndarray:
    a, b = 0.3, -0.5
    return np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]]) @ np.array(
        [[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]]
    )


def sitk_series(folder: Path) -> sitk.Image:
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    return reader.Execute()


@pytest.mark.parametrize("oblique", [False, True])
@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.uint8])
def test_series_against_simpleitk_and_truth(tmp_path, oblique, dtype):
    """Oracle: the voxels written, and SimpleITK's series reader (voxels and physical points)."""
    truth = voxels(dtype=np.int64).astype(dtype)
    axes = rotation() if oblique else None
    write_series(tmp_path, truth, axes=axes, intercept=-1024)
    image = vs.read_image(tmp_path)
    np.testing.assert_array_equal(image.numpy(), truth.astype(int) - 1024)
    other = sitk_series(tmp_path)
    np.testing.assert_array_equal(image.numpy(), sitk.GetArrayFromImage(other))
    for index in [(0, 0, 0), (6, 5, 4), (3, 1, 2)]:
        np.testing.assert_allclose(
            np.array(image.geometry.to_physical(index[::-1]))[::-1],
            other.TransformIndexToPhysicalPoint(index),
            atol=1e-5,
        )
    assert image.metadata["modality"] == "CT" and image.metadata["units"] == "HU"
    assert not any("Nobody" in value for value in image.metadata.values())
    one = vs.io.list_dicom_series(tmp_path)
    assert len(one) == 1 and one[0]["size"] == (5, 6, 7) and one[0]["problems"] == [] and len(one[0]["files"]) == 5
    np.testing.assert_allclose(one[0]["spacing"], (2.5, 0.8, 1.1))


def test_rescale_per_slice(tmp_path):
    """Oracle: pydicom's stored values times each slice's own slope."""
    truth = voxels()
    write_series(tmp_path, truth, RescaleSlope=lambda z: 0.5 + z, RescaleIntercept=lambda z: -z)
    expected = truth * (0.5 + np.arange(5))[:, None, None] - np.arange(5)[:, None, None]
    image = vs.read_image(tmp_path)
    assert image.tensor.dtype == torch.float32
    np.testing.assert_allclose(image.numpy(), expected, rtol=1e-7)


def test_the_series_of_the_manifest():
    """Oracle: the manifest of 25 small series with known truth; the baseline is ok_axial as pydicom reads it."""
    base = vs.read_image(SERIES / "ok_axial")
    slices = sorted(
        (pydicom.dcmread(f) for f in (SERIES / "ok_axial").iterdir()), key=lambda d: d.ImagePositionPatient[2]
    )
    np.testing.assert_array_equal(base.numpy(), np.stack([d.pixel_array.astype(int) - 1024 for d in slices]))
    assert base.shape == (8, 12, 16)
    np.testing.assert_allclose(base.spacing, (2.5, 0.8, 1.0))
    np.testing.assert_allclose(base.origin, (50, -30, -20))
    for name in (
        "ok_shuffled_names",
        "ok_descending_instance",
        "ok_instance_all_1",
        "bad_thickness_ne_spacing",
        "odd_thickness_zero",
        "odd_spacing_jitter",
        "odd_bogus_files",
    ):
        image = vs.read_image(SERIES / name)
        assert torch.equal(image.tensor, base.tensor), name
        np.testing.assert_allclose(image.spacing, base.spacing, atol=1e-3)  # the jitter is 0.4 µm a slice
    skipped = vs.read_image(SERIES / "odd_bogus_files").metadata["problems"]
    assert all(name in skipped for name in ("DICOMDIR", "empty.dcm", "r.pdf", "IM0002_cut.dcm"))
    for name, words in {
        "bad_missing_slice": r"missing.*57\.5 → 62\.5",
        "bad_duplicate_slice": "duplicate",
        "bad_variable_spacing": "uneven|missing",
        "odd_gantry_tilt": r"gantry tilt.*15°",
        "bad_no_position": "ImagePositionPatient",
        "bad_pixelspacing_differ": "pixel spacing changes",
        "bad_iop_zero": "ImageOrientationPatient",
    }.items():
        with pytest.raises(vs.GeometryError, match=words) as caught:
            vs.read_image(SERIES / name)
        assert name in str(caught.value)
    with pytest.raises(vs.InvalidArgument, match="2 DICOM series"):
        vs.read_image(SERIES / "ok_two_series")
    assert vs.read_image(SERIES / "odd_4d_temporal").shape == (3, 8, 12, 16)
    assert vs.read_image(SERIES / "odd_two_acquisitions").shape == (2, 8, 12, 16)
    assert vs.read_image(SERIES / "ok_single_slice").shape == (1, 12, 16)
    assert "thickness" in vs.read_image(SERIES / "ok_single_slice").metadata["problems"]
    assert "MONOCHROME1" in vs.read_image(SERIES / "odd_monochrome1").metadata["problems"]
    assert vs.read_image(SERIES / "odd_signed").tensor.min() < 0
    assert "padding" in vs.read_image(SERIES / "odd_padding").metadata["problems"]
    assert set(MANIFEST) >= {p.name for p in SERIES.iterdir() if p.is_dir()}


@pytest.mark.parametrize(
    "name", ["odd_rescale_differs", "odd_no_rescale", "odd_signed", "odd_padding", "ok_oblique", "odd_monochrome1"]
)
def test_values_of_the_odd_series_against_pydicom(name):
    """Oracle: pydicom's pixels with each file's own rescale."""
    files = [pydicom.dcmread(f) for f in (SERIES / name).iterdir()]
    normal = np.cross(files[0].ImageOrientationPatient[:3], files[0].ImageOrientationPatient[3:])
    files.sort(key=lambda d: np.dot(d.ImagePositionPatient, normal))
    expected = np.stack(
        [d.pixel_array * float(d.get("RescaleSlope", 1)) + float(d.get("RescaleIntercept", 0)) for d in files]
    )
    np.testing.assert_array_equal(vs.read_image(SERIES / name).numpy(), expected)


def test_two_series_are_listed_and_chosen(tmp_path):
    write_series(tmp_path, voxels(seed=1), uid="1.2.3.100", prefix="A", SeriesDescription="thin")
    write_series(tmp_path, voxels((3, 4, 4), seed=2), uid="1.2.3.200", prefix="B", SeriesDescription="scout")
    with pytest.raises(vs.InvalidArgument, match=r"(?s)1\.2\.3\.100.*thin.*1\.2\.3\.200.*scout"):
        vs.read_image(tmp_path)
    np.testing.assert_array_equal(vs.read_image(tmp_path, series="scout").numpy(), voxels((3, 4, 4), seed=2))
    np.testing.assert_array_equal(vs.read_image(tmp_path, series="3.100").numpy(), voxels(seed=1))
    with pytest.raises(vs.InvalidArgument, match="no DICOM series"):
        vs.read_image(tmp_path, series="none")
    assert [s["description"] for s in vs.io.list_dicom_series(tmp_path)] == ["thin", "scout"]


def test_missing_slices_are_interpolated_when_asked(tmp_path):
    """Oracle: a volume that is linear in z, so that what was left out is known."""
    truth = np.arange(6)[:, None, None] * 100 + voxels((1, 4, 5))
    paths = write_series(tmp_path, truth.astype(np.int16))
    paths[2].unlink()
    with pytest.raises(vs.GeometryError, match=r"missing.*52\.5 → 57\.5 mm"):
        vs.read_image(tmp_path)
    image = vs.read_image(tmp_path, on_problem="warn")
    np.testing.assert_array_equal(image.numpy(), truth)
    assert "missing" in image.metadata["problems"]
    assert "missing" in vs.io.list_dicom_series(tmp_path)[0]["problems"][0]


def test_gantry_tilt_is_found_and_corrected_when_asked(tmp_path):
    """Oracle: a field that is linear in space must come out as that field at every voxel's physical point."""
    tilt = np.radians(12)
    spacing, origin, shape = (3.0, 0.5, 0.5), np.array([-10.0, -20.0, 30.0]), (6, 40, 8)
    axes = np.eye(3)
    axes[:, 1] = [0, np.cos(tilt), np.sin(tilt)]  # columns lean, the table moves along z
    z, y, x = np.meshgrid(*[np.arange(n) for n in shape], indexing="ij")
    points = (
        origin[:, None, None, None]
        + axes[:, 0, None, None, None] * x * spacing[2]
        + axes[:, 1, None, None, None] * y * spacing[1]
        + np.array([0, 0, 1.0])[:, None, None, None] * z * spacing[0]
    )
    field = 40 * points[1] + 25 * points[2] + 3000
    write_series(
        tmp_path,
        np.round(field).astype(np.int16),
        spacing=spacing,
        origin=tuple(origin),
        axes=np.column_stack([axes[:, 0], axes[:, 1], [0, 0, 1]]),
    )
    with pytest.raises(vs.GeometryError, match="gantry tilt.*12°"):
        vs.read_image(tmp_path)
    image = vs.read_image(tmp_path, on_problem="warn")
    for index in [(0, 20, 4), (3, 20, 4), (5, 25, 2)]:
        p = image.geometry.to_physical(index)
        assert image.tensor[index].item() == pytest.approx(40 * p[1] + 25 * p[0] + 3000, abs=2)


def test_duplicates(tmp_path):
    truth = voxels()
    paths = write_series(tmp_path, truth)
    again = pydicom.dcmread(paths[3])
    again.SOPInstanceUID = pydicom.uid.generate_uid()
    again.InstanceNumber = 99
    again.save_as(tmp_path / "again.dcm")
    with pytest.raises(vs.GeometryError, match="duplicate.*again.dcm"):
        vs.read_image(tmp_path)
    np.testing.assert_array_equal(vs.read_image(tmp_path, on_problem="warn").numpy(), truth)
    with pytest.raises(vs.InvalidArgument, match="error.*warn"):
        vs.read_image(tmp_path, on_problem="ignore")


def test_folders_without_dicom(tmp_path):
    with pytest.raises(vs.FormatError, match="no files"):
        vs.read_image(tmp_path)
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(vs.FormatError, match=r"no DICOM image.*notes\.txt"):
        vs.read_image(tmp_path)
    with pytest.raises(vs.IoError, match="No such file"):
        vs.read_image(tmp_path / "none")
    with pytest.raises(vs.IoError, match="no such folder"):
        vs.io.list_dicom_series(tmp_path / "none")


def test_truncated_slices_are_never_read(tmp_path):
    paths = write_series(tmp_path, voxels())
    paths[0].write_bytes(paths[0].read_bytes()[:-20])
    with pytest.raises(vs.FormatError, match="truncated"):
        vs.read_image(paths[0])
    paths[2].write_bytes(paths[2].read_bytes()[:-20])
    with pytest.raises(vs.GeometryError, match="missing"):
        vs.read_image(tmp_path)


# PET


def suv_by_hand(stored: np.ndarray, weight_kg: float, dose_bq: float, half_life_s: float, seconds: float) -> np.ndarray:
    """Body-weight SUV: activity concentration over injected dose, decayed to the scan, per gram (1 ml weighs 1 g)."""
    decayed = dose_bq * np.exp(-np.log(2) * seconds / half_life_s)
    return stored / (decayed / (weight_kg * 1000))


@pytest.mark.parametrize(
    "changes,seconds",
    [
        ({}, 3600),
        ({"DecayCorrection": "ADMIN"}, 0),
        ({"RadiopharmaceuticalStartTime": "233000", "SeriesTime": "003000", "AcquisitionTime": "003010"}, 3600),
        ({"RadiopharmaceuticalStartDateTime": "20200102093000.5"}, 5399.5),
    ],
)
def test_suv(tmp_path, changes, seconds):
    """Oracle: the definition of SUV, written out in `suv_by_hand`."""
    stored = voxels(dtype=np.uint16)
    write_series(tmp_path, stored, slope=2.5, sop_class=PT, modality="PT", **pet_tags(**changes))
    plain = vs.read_image(tmp_path)
    assert plain.metadata["units"] == "BQML"
    image = vs.read_image(tmp_path, suv=True)
    np.testing.assert_allclose(image.numpy(), suv_by_hand(stored * 2.5, 75, 3.7e8, 6586.2, seconds), rtol=1e-6)
    assert image.metadata["units"] == "SUVbw" and image.tensor.dtype == torch.float32


def test_suv_of_counts_and_ready_made(tmp_path):
    stored = voxels(dtype=np.uint16)
    tags = pet_tags(Units="CNTS")
    paths = write_series(tmp_path / "philips", stored, sop_class=PT, modality="PT", **tags)
    for path in paths:
        d = pydicom.dcmread(path)
        block = d.private_block(0x7053, "Philips PET Private Group", create=True)
        block.add_new(0x00, "DS", "0.00042")
        d.save_as(path)
    np.testing.assert_allclose(vs.read_image(tmp_path / "philips", suv=True).numpy(), stored * 0.00042, rtol=1e-6)
    write_series(tmp_path / "gml", stored, slope=0.01, sop_class=PT, modality="PT", **pet_tags(Units="GML"))
    np.testing.assert_allclose(vs.read_image(tmp_path / "gml", suv=True).numpy(), stored * 0.01, rtol=1e-6)


@pytest.mark.parametrize(
    "changes,words",
    [
        ({"PatientWeight": None}, "PatientWeight"),
        ({"RadionuclideTotalDose": None, "RadionuclideHalfLife": None}, r"TotalDose.*HalfLife"),
        ({"RadiopharmaceuticalStartTime": None}, "StartTime"),
        ({"CorrectedImage": ["SCAT"]}, r"DECY.*ATTN"),
        ({"AcquisitionTime": "105900"}, "SeriesTime"),
        ({"RadiopharmaceuticalStartDateTime": "20200103090000"}, "after the injection"),
        ({"Units": "CNTS"}, "7053"),
    ],
)
def test_suv_says_what_is_missing(tmp_path, changes, words):
    write_series(tmp_path, voxels(dtype=np.uint16), sop_class=PT, modality="PT", **pet_tags(**changes))
    with pytest.raises(vs.FormatError, match=words):
        vs.read_image(tmp_path, suv=True)


def test_suv_needs_pet(tmp_path):
    write_series(tmp_path, voxels())
    with pytest.raises(vs.InvalidArgument, match="PET"):
        vs.read_image(tmp_path, suv=True)


# Codecs and syntaxes

CODECS = DATA / "samples/codecs"


@pytest.mark.parametrize(
    "name",
    [
        "MR_small_RLE.dcm",
        "MR_small_bigendian.dcm",
        "MR_small_expb.dcm",
        "MR_small_implicit.dcm",
        "MR_small_jp2klossless.dcm",
        "MR_small_padded.dcm",
    ],
)
def test_the_same_picture_in_six_syntaxes(name):
    """Oracle: pydicom's reading of the uncompressed file."""
    truth = pydicom.dcmread(CODECS / "MR_small.dcm")
    image = vs.read_image(CODECS / name)
    np.testing.assert_array_equal(image.numpy()[0], truth.pixel_array)
    np.testing.assert_allclose(image.spacing[1:], [float(v) for v in truth.PixelSpacing])


def test_deflated_and_without_meta(tmp_path):
    """Oracle: pydicom, before preamble and meta header were cut off."""
    truth = pydicom.dcmread(CODECS / "image_dfl.dcm")
    np.testing.assert_array_equal(vs.read_image(CODECS / "image_dfl.dcm").numpy()[0], truth.pixel_array)
    for name in ("MR_small.dcm", "MR_small_implicit.dcm"):
        whole = (CODECS / name).read_bytes()
        meta = int.from_bytes(whole[140:144], "little")
        (tmp_path / name).write_bytes(whole[144 + meta :])
        np.testing.assert_array_equal(
            vs.read_image(tmp_path / name).numpy()[0], pydicom.dcmread(CODECS / name).pixel_array
        )


def test_colours_and_cine():
    """Oracle: pydicom's pixels; for the ultrasound (lossy JPEG in YBR) SimpleITK's, after the conversion of PS3.3 C.7.6.3."""
    for name in ("SC_rgb_small_odd.dcm", "SC_rgb_small_odd_big_endian.dcm"):
        rgb = pydicom.dcmread(CODECS / "SC_rgb_small_odd.dcm")
        np.testing.assert_array_equal(vs.read_image(CODECS / name).numpy()[:, 0], np.moveaxis(rgb.pixel_array, -1, 0))
    cine = vs.read_image(DATA / "samples/us_cine_ybr.dcm")
    other = np.moveaxis(sitk.GetArrayFromImage(sitk.ReadImage(str(DATA / "samples/us_cine_ybr.dcm"))), -1, 1)
    assert np.abs(cine.numpy().reshape(other.shape).astype(int) - other).max() <= 1
    assert cine.shape == (90, 1, 240, 320) and "30 frames" in cine.metadata["problems"]


def test_dose_grid_and_a_slice_of_ct():
    """Oracle: pydicom's values and GridFrameOffsetVector."""
    d = pydicom.dcmread(DATA / "samples/rtdose.dcm")
    dose = vs.read_image(DATA / "samples/rtdose.dcm")
    np.testing.assert_array_equal(dose.numpy(), d.pixel_array)
    assert dose.spacing[0] == pytest.approx(d.GridFrameOffsetVector[1] - d.GridFrameOffsetVector[0])
    ct = pydicom.dcmread(DATA / "samples/ct_image.dcm")
    image = vs.read_image(DATA / "samples/ct_image.dcm")
    np.testing.assert_array_equal(
        image.numpy()[0], ct.pixel_array * float(ct.RescaleSlope) + float(ct.RescaleIntercept)
    )


@pytest.mark.parametrize("name", ["MR_truncated.dcm", "meta_missing_tsyntax.dcm"])
def test_broken_dicom(name):
    with pytest.raises(vs.FormatError, match=name):
        vs.read_image(CODECS / name)


# Masks


def test_seg_of_dcmqi():
    """Oracle: pydicom's unpacked frames; the volume is 33.5824 ml by the TID 1500 report that came with it."""
    d = pydicom.dcmread(DATA / "samples/seg_pet.dcm")
    mask = vs.read_mask(DATA / "samples/seg_pet.dcm")
    assert mask.names == {1: "Neoplasm, Primary"} and mask.labels == [1]
    assert int((mask.tensor == 1).sum()) == int(d.pixel_array.sum())
    assert int((mask.tensor == 1).sum()) * mask.geometry.voxel_volume / 1000 == pytest.approx(33.5824, rel=1e-4)
    for frame, group in zip(d.pixel_array, d.PerFrameFunctionalGroupsSequence, strict=True):
        x, y, z = (float(v) for v in group.PlanePositionSequence[0].ImagePositionPatient)
        index = np.round(mask.geometry.to_index((z, y, x))).astype(int)
        np.testing.assert_array_equal(mask.numpy()[index[0]], frame)


def test_overlapping_segments_are_chosen():
    path = DATA / "samples/seg_overlap.dcm"
    with pytest.raises(vs.InvalidArgument, match="first segment.*second segment.*segment="):
        vs.read_mask(path)
    d = pydicom.dcmread(path)
    for number, name in ((1, "first segment"), (2, "second segment")):
        count = sum(
            int(f.sum())
            for f, g in zip(d.pixel_array, d.PerFrameFunctionalGroupsSequence, strict=True)
            if g.SegmentIdentificationSequence[0].ReferencedSegmentNumber == number
        )
        mask = vs.read_mask(path, segment=name)
        assert int((mask.tensor == number).sum()) == count and mask.names == {number: name}
        assert torch.equal(vs.read_mask(path, segment=number).tensor, mask.tensor)
    with pytest.raises(vs.InvalidArgument, match="no segment"):
        vs.read_mask(path, segment="third")


@pytest.mark.parametrize("fractional", [False, True])
def test_seg_on_the_grid_of_its_image(tmp_path, fractional):
    write_series(tmp_path / "ct", voxels((5, 6, 7)), spacing=(2.5, 0.8, 1.1))
    image = vs.read_image(tmp_path / "ct")
    one, two = np.zeros((6, 7)), np.zeros((6, 7))
    one[1:3, 2:5], two[4, 6] = 1, 1
    one[0, 0] = 0.4 if fractional else 0
    write_seg(
        tmp_path / "seg.dcm",
        [(1, 1, one), (1, 2, one), (2, 4, two)],
        spacing=(2.5, 0.8, 1.1),
        origin=(-20, -30, 50),
        names=["lung", "heart"],
        fractional=fractional,
    )
    mask = vs.read_mask(tmp_path / "seg.dcm", like=image)
    expected = np.zeros((5, 6, 7))
    expected[1][one > 0.5] = expected[2][one > 0.5] = 1
    expected[4][two > 0.5] = 2
    np.testing.assert_array_equal(mask.numpy(), expected)
    assert mask.names == {1: "lung", 2: "heart"} and mask.geometry.same_as(image.geometry)
    alone = vs.read_mask(tmp_path / "seg.dcm")
    assert alone.shape == (4, 6, 7) and alone.origin[0] == pytest.approx(52.5)
    write_seg(tmp_path / "off.dcm", [(1, 1, one)], spacing=(2.5, 0.8, 1.1), origin=(-20, -30, 51), names=["lung"])
    with pytest.raises(vs.GeometryError, match="1 mm off"):
        vs.read_mask(tmp_path / "off.dcm", like=image)


def test_rtstruct_against_matplotlib_style_point_in_polygon(tmp_path):
    """Oracle: an even-odd point-in-polygon test for each voxel centre, written here; oblique grid, hole, two parts."""
    axes = rotation()
    write_series(tmp_path / "ct", voxels((5, 20, 24)), spacing=(2.5, 0.8, 1.1), axes=axes)
    image = vs.read_image(tmp_path / "ct")
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)

    def ring(z, y, x, r):
        return np.column_stack([np.full(40, z), y + r * np.sin(angle), x + r * np.cos(angle)])

    def inside(polygon, y, x):
        out = False
        for (y0, x0), (y1, x1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
            if (y0 <= y) != (y1 <= y) and x < x0 + (y - y0) / (y1 - y0) * (x1 - x0):
                out = not out
        return out

    contours = [ring(1, 9.3, 11.2, 7.1), ring(1, 9.1, 10.7, 3.3), ring(3, 5.2, 5.1, 2.7), ring(3, 14.2, 17.4, 3.9)]
    physical = [np.array([image.geometry.to_physical(tuple(p)) for p in c])[:, ::-1] for c in contours]
    write_rtstruct(tmp_path / "rt.dcm", {"GTV 1": physical, "elsewhere": [physical[2] + axes[:, 2] * 2.5]})
    mask = vs.read_mask(tmp_path / "rt.dcm", like=image, roi="GTV 1")
    expected = np.zeros(image.shape, int)
    for c in contours:
        for y in range(20):
            for x in range(24):
                expected[int(c[0, 0]), y, x] ^= inside(c[:, 1:], y, x)
    assert int((mask.numpy() != expected).sum()) <= 1  # contours are text of 6 digits: a centre may lie on an edge
    assert mask.names == {1: "GTV 1"} and "2 of the 3 slices" in mask.metadata["problems"]
    both = vs.read_mask(tmp_path / "rt.dcm", like=image)
    assert both.names == {1: "GTV 1", 2: "elsewhere"} and both.labels == [1, 2]
    with pytest.raises(vs.InvalidArgument, match='no ROI "x".*1 "GTV 1", 2 "elsewhere"'):
        vs.read_mask(tmp_path / "rt.dcm", like=image, roi="x")
    with pytest.raises(vs.InvalidArgument, match="like="):
        vs.read_mask(tmp_path / "rt.dcm")
    write_rtstruct(tmp_path / "both.dcm", {"a": physical[:1], "b": physical[1:2]})
    with pytest.raises(vs.InvalidArgument, match="overlap.*roi="):
        vs.read_mask(tmp_path / "both.dcm", like=image)
    write_rtstruct(tmp_path / "points.dcm", {"p": physical[:1]}, kind="POINT")
    with pytest.raises(vs.FormatError, match="no ROI has a closed contour"):
        vs.read_mask(tmp_path / "points.dcm", like=image)
    far = [physical[0] + 1000]
    write_rtstruct(tmp_path / "far.dcm", {"p": far})
    with pytest.raises(vs.GeometryError, match="outside"):
        vs.read_mask(tmp_path / "far.dcm", like=image)


def test_real_rtstruct_lists_its_rois():
    image = vs.Image(torch.zeros(3, 10, 10))
    with pytest.raises(vs.InvalidArgument, match='1 "patient"'):
        vs.read_mask(DATA / "samples/rtstruct.dcm", like=image, roi="nothing")


def test_reading_can_be_stopped(tmp_path):
    """An exception from the progress callable ends the work and comes through, as Ctrl-C does."""
    write_series(tmp_path, voxels((40, 4, 4)))

    class Stop(Exception):
        pass

    def progress(done, total, what):
        raise Stop

    with pytest.raises(Stop):
        vs.read_image(tmp_path, progress=progress)
    seen = []
    vs.read_image(tmp_path, progress=lambda done, total, what: seen.append((done, total)))
    assert seen[-1] == (40, 40)
    results = []
    threads = [
        threading.Thread(target=lambda: results.append(vs.read_image(tmp_path).tensor.sum().item())) for _ in range(4)
    ]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert len(set(results)) == 1


def test_info_of_dicom():
    facts = vs.io.info(SERIES / "ok_axial")
    assert (
        facts["format"] == "DICOM"
        and facts["size"] == (8, 12, 16)
        and facts["modality"] == "CT"
        and facts["problems"] == []
    )
    assert any("missing" in p for p in vs.io.info(SERIES / "bad_missing_slice")["problems"])
    assert any("ImagePosition" in p for p in vs.io.info(SERIES / "bad_no_position")["problems"])
    assert vs.io.info(DATA / "samples/rtstruct.dcm")["modality"] == "RTSTRUCT"
