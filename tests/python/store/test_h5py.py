# SPDX-License-Identifier: Apache-2.0
"""Oracle: h5py, a peer with an HDF5 of its own, reads a study without Vesalius, as docs/study-format.md says."""

import hashlib

import h5py
import numpy as np
import pytest
from study_cases import FakeFeatures, FakeSettings, child, fill, make_image, make_mask

import vesalius as vs


@pytest.fixture
def filled(path):
    with vs.Study(path) as study:
        fill(study, 3)
        study.add("Müller/1", image={"pet": make_image(7)}, mask={"gtv": make_mask(make_image(7))}, time_point="week 0")
        study.add_features("p001", FakeFeatures())
        study.add_predictions("a model", {"p000": 0.25}, about={"auc": 0.5})
    return path


def test_voxels_and_geometry(filled):
    """The whole tree is seen through the index alone."""
    image = make_image(1)
    with h5py.File(filled, "r") as file:
        assert file.attrs["format"] == "vesalius-study" and file.attrs["version"] == 1
        assert list(file["cases"]) == ["p000", "p001", "p002", "M%C3%BCller%2F1.week%200"]
        case = file["cases/p001"]
        voxels = case["images/image"]
        np.testing.assert_array_equal(voxels[()], image.tensor.numpy())
        assert (
            voxels.dtype == np.float32
            and voxels.compression == "gzip"
            and voxels.shuffle
            and voxels.chunks[1:] == (6, 5)
        )
        np.testing.assert_array_equal(voxels.attrs["spacing"], image.spacing)
        np.testing.assert_array_equal(voxels.attrs["origin"], image.origin)
        np.testing.assert_array_equal(voxels.attrs["direction"], image.geometry.direction)
        assert voxels.attrs["axes"] == "zyx" and voxels.attrs["metadata.modality"] == "PT"
        sum_ = hashlib.sha256(b"Float 4 6 5\n" + voxels[()].tobytes()).hexdigest()
        assert voxels.attrs["sha256"] == sum_
        mask = case["masks/mask"]
        np.testing.assert_array_equal(mask[()], make_mask(image).tensor.numpy())
        assert mask.attrs["label_values"].tolist() == [1] and mask.attrs["label_names"].tolist() == ["tumour"]
        assert dict(case["clinical"].attrs) == {"age": 51, "sex": "F"}
        assert case["outcome"].attrs["event"].item() is False and case["outcome"].attrs["time"] == 11.0
        assert case.attrs["subject"] == "p001"


def test_tables(filled):
    with h5py.File(filled, "r") as file:
        subjects = file["subjects/subject"].asstr()[()].tolist()
        assert subjects == ["p000", "p001", "p002", "Müller/1"]
        assert file["subjects/time_point"].asstr()[3] == "week 0"
        age = file["clinical/age"]
        assert age.attrs["name"] == "age" and age.attrs["kind"] == "int"
        np.testing.assert_array_equal(age[()], [50, 51, 52, np.nan])
        assert file["clinical/sex"].asstr()[()].tolist() == ["F", "F", "F", ""]
        np.testing.assert_array_equal(file["outcomes/event"][()], [1, 0, 1, np.nan])
        features = file["features"][FakeSettings().hash()]
        assert features["values"].dtype == np.float64 and features["values"].shape == (1, 2)
        np.testing.assert_array_equal(features["values"], [[1.5, 2.5]])
        assert features["names"].asstr()[()].tolist() == ["stat_mean", "morph_volume"]
        assert features["codes"].asstr()[()].tolist() == ["Q4LE", "RNU0"]
        assert features["subject"].asstr()[()].tolist() == ["p001"]
        assert (
            features.attrs["settings_yaml"] == "bin_width: 25.0\n"
            and features.attrs["settings_hash"] == FakeSettings().hash()
        )
        assert file["predictions/a%20model"].attrs["name"] == "a model"
        np.testing.assert_array_equal(file["predictions/a%20model/values/prediction"], [0.25])
        assert set(file) == {"subjects", "voxels", "clinical", "outcomes", "features", "predictions", "cases"}


def test_packed(filled):
    packed = vs.store.pack(filled, filled.parent / "sub.h5")
    with h5py.File(packed, "r") as file:
        np.testing.assert_array_equal(file["cases/p001/images/image"], make_image(1).tensor.numpy())
        assert file.attrs["cases_folder"] == "" and not isinstance(
            file["cases"].get("p001", getlink=True), h5py.ExternalLink
        )


@pytest.mark.parametrize("order", ["h5py, vesalius", "vesalius, h5py"])
def test_two_hdf5_in_one_process(path, order):
    """Mechanics: h5py's HDF5 and ours don't see each other, whichever comes first, also while both hold files open."""
    first, second = order.split(", ")
    process = child(
        f"""
        import {second}, numpy
        import h5py
        assert h5py.version.hdf5_version
        other = h5py.File(sys.argv[1] + '.other', 'w')
        with vs.Study(sys.argv[1]) as study:
            fill(study, 3)
            other['x'] = numpy.arange(5)
            with h5py.File(sys.argv[1], 'r') as file:
                numpy.testing.assert_array_equal(file['cases/p001/images/image'], make_image(1).tensor.numpy())
                fill(study, 3, start=3)
                study.image('p004')
            try:
                h5py.File('/nowhere/x.h5', 'r')
            except OSError:
                pass
            try:
                vs.Study('/nowhere/x.h5', mode='r')
            except vs.IoError:
                pass
            other['y'] = numpy.arange(7)
        other.close()
        with h5py.File(sys.argv[1] + '.other', 'r') as file:
            assert file['y'].shape == (7,)
        print('well', study._study.path == sys.argv[1])
        """,
        path,
        first=first,
    )
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0 and out == "well True\n", out + err
    assert "HDF5" not in err, err
