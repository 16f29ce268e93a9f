# SPDX-License-Identifier: Apache-2.0
"""Small DICOM series with known truth, written by pydicom."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

CT, PT, SEG, RTSTRUCT = (
    "1.2.840.10008.5.1.4.1.1.2",
    "1.2.840.10008.5.1.4.1.1.128",
    "1.2.840.10008.5.1.4.1.1.66.4",
    "1.2.840.10008.5.1.4.1.1.481.3",
)


def blank(sop_class: str, modality: str, series_uid: str | None = None) -> Dataset:
    d = Dataset()
    d.file_meta = FileMetaDataset()
    d.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    d.file_meta.MediaStorageSOPClassUID = d.SOPClassUID = sop_class
    d.file_meta.MediaStorageSOPInstanceUID = d.SOPInstanceUID = generate_uid()
    d.SeriesInstanceUID = series_uid or generate_uid()
    d.StudyInstanceUID = generate_uid()
    d.Modality = modality
    d.PatientName, d.PatientID = "Nobody^Test", "0"
    return d


def put_pixels(d: Dataset, array: np.ndarray) -> None:
    d.Rows, d.Columns = array.shape[-2:]
    d.SamplesPerPixel, d.PhotometricInterpretation = 1, "MONOCHROME2"
    d.BitsAllocated = d.BitsStored = 8 * array.itemsize
    d.HighBit = d.BitsStored - 1
    d.PixelRepresentation = int(array.dtype.kind == "i")
    d.PixelData = array.tobytes()


def write_series(
    folder: Path,
    voxels: np.ndarray,
    *,
    spacing: tuple[float, float, float] = (2.5, 0.8, 1.1),
    origin: tuple[float, float, float] = (-20.0, -30.0, 50.0),
    axes: np.ndarray | None = None,
    slope: float = 1.0,
    intercept: float = 0.0,
    sop_class: str = CT,
    modality: str = "CT",
    uid: str | None = None,
    prefix: str = "IM",
    **tags: Any,
) -> list[Path]:
    """voxels [z, y, x]; spacing (z, y, x); origin and the columns of axes (index x, y, z) in LPS (x, y, z)."""
    axes = np.eye(3) if axes is None else axes
    uid = uid or generate_uid()
    folder.mkdir(exist_ok=True)
    paths = []
    for z, slice_ in enumerate(voxels):
        d = blank(sop_class, modality, uid)
        d.ImagePositionPatient = [float(v) for v in np.asarray(origin) + axes[:, 2] * spacing[0] * z]
        d.ImageOrientationPatient = [float(v) for v in (*axes[:, 0], *axes[:, 1])]
        d.PixelSpacing = [spacing[1], spacing[2]]
        d.SliceThickness = spacing[0]
        d.InstanceNumber = len(voxels) - z
        put_pixels(d, slice_)
        d.RescaleSlope, d.RescaleIntercept = slope, intercept
        for name, value in tags.items():
            setattr(d, name, value(z) if callable(value) else value)
        # Names in an order that is not the slices'.
        path = folder / f"{prefix}{(7 * z) % len(voxels):03d}_{z}.dcm"
        d.save_as(path, enforce_file_format=True)
        paths.append(path)
    return paths


def pet_tags(**changes: Any) -> dict[str, Any]:
    dose = Dataset()
    dose.RadionuclideTotalDose = 3.7e8
    dose.RadionuclideHalfLife = 6586.2
    dose.RadiopharmaceuticalStartTime = "100000.00"
    tags: dict[str, Any] = {
        "Units": "BQML",
        "CorrectedImage": ["ATTN", "DECY", "SCAT"],
        "DecayCorrection": "START",
        "SeriesDate": "20200102",
        "SeriesTime": "110000",
        "AcquisitionDate": "20200102",
        "AcquisitionTime": "110030",
        "PatientWeight": 75.0,
    }
    for name, value in changes.items():
        if name in tags:
            tags[name] = value
        elif value is None:
            delattr(dose, name)
        else:
            setattr(dose, name, value)
    tags["RadiopharmaceuticalInformationSequence"] = Sequence([dose])
    return {name: value for name, value in tags.items() if value is not None}


def write_seg(
    path: Path,
    frames: list[tuple[int, int, np.ndarray]],
    *,
    spacing: tuple[float, float, float],
    origin: tuple[float, float, float],
    names: list[str],
    fractional: bool = False,
) -> None:
    """frames: (segment, slice, [y, x] mask); axial."""
    d = blank(SEG, "SEG")
    d.SegmentationType = "FRACTIONAL" if fractional else "BINARY"
    array = np.stack([mask for _, _, mask in frames])
    d.NumberOfFrames = len(frames)
    d.Rows, d.Columns = array.shape[1:]
    d.SamplesPerPixel, d.PhotometricInterpretation, d.PixelRepresentation = 1, "MONOCHROME2", 0
    d.BitsAllocated = d.BitsStored = 8 if fractional else 1
    d.HighBit = d.BitsStored - 1
    if fractional:
        d.MaximumFractionalValue = 200
        packed = (array * 200).astype(np.uint8).tobytes()
    else:
        packed = np.packbits(array.astype(np.uint8).ravel(), bitorder="little").tobytes()
    d.PixelData = packed + b"\0" * (len(packed) % 2)
    segments, per_frame = [], []
    for number, name in enumerate(names, 1):
        s = Dataset()
        s.SegmentNumber, s.SegmentLabel = number, name
        segments.append(s)
    d.SegmentSequence = Sequence(segments)
    measures, orientation, shared = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness, measures.SpacingBetweenSlices = (
        list(spacing[1:]),
        spacing[0],
        spacing[0],
    )
    orientation.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = Sequence([measures]), Sequence([orientation])
    d.SharedFunctionalGroupsSequence = Sequence([shared])
    for segment, z, _ in frames:
        f, position, which = Dataset(), Dataset(), Dataset()
        position.ImagePositionPatient = [origin[0], origin[1], origin[2] + z * spacing[0]]
        which.ReferencedSegmentNumber = segment
        f.PlanePositionSequence, f.SegmentIdentificationSequence = Sequence([position]), Sequence([which])
        per_frame.append(f)
    d.PerFrameFunctionalGroupsSequence = Sequence(per_frame)
    d.save_as(path, enforce_file_format=True)


def write_rtstruct(path: Path, rois: dict[str, list[np.ndarray]], kind: str = "CLOSED_PLANAR") -> None:
    """rois: name → contours, each [n, 3] in LPS mm (x, y, z)."""
    d = blank(RTSTRUCT, "RTSTRUCT")
    listed, drawn = [], []
    for number, (name, contours) in enumerate(rois.items(), 1):
        roi, shape, items = Dataset(), Dataset(), []
        roi.ROINumber, roi.ROIName = number, name
        shape.ReferencedROINumber = number
        for points in contours:
            c = Dataset()
            c.ContourGeometricType, c.NumberOfContourPoints = kind, len(points)
            c.ContourData = [f"{v:.6g}" for v in np.asarray(points).ravel()]
            items.append(c)
        shape.ContourSequence = Sequence(items)
        listed.append(roi)
        drawn.append(shape)
    d.StructureSetROISequence, d.ROIContourSequence = Sequence(listed), Sequence(drawn)
    d.save_as(path, enforce_file_format=True)
