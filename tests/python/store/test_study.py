# SPDX-License-Identifier: Apache-2.0
"""What goes into a study comes out of it."""

import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sksurv.util import Surv
from study_cases import FakeFeatures, FakeSettings, fake_extract, fill, make_image, make_mask

import vesalius as vs
from vesalius.radiomics._study import extract_study


def assert_same(a, b):
    assert torch.equal(a.tensor, b.tensor) and a.tensor.dtype == b.tensor.dtype
    assert a.geometry == b.geometry and a.metadata == b.metadata


def test_round_trip(path):
    """Invariant: voxels, geometry, metadata, names and tables are what was added, to the bit."""
    image = make_image(1, study="Ünïcode")
    mask = make_mask(image)
    with vs.Study(path) as study:
        study.add(
            "patient 01",
            image=image,
            mask=mask,
            clinical={"age": 61, "stage": "IIb", "smoker": True, "bmi": 24.5, "missing": None},
            outcome={"time": 412, "event": True},
        )
        study.add("patient 02", clinical={"age": 70}, outcome={"time": 3.5, "event": False})
    with vs.Study(path, mode="r") as study:
        assert study.subjects == ["patient 01", "patient 02"] and len(study) == 2 and "patient 01" in study
        assert_same(study.image("patient 01"), image)
        assert_same(study.mask("patient 01"), mask)
        assert study.mask("patient 01").names == {1: "tumour"}
        clinical = study.clinical
        assert list(clinical.columns) == ["age", "stage", "smoker", "bmi"] and list(clinical.index) == study.subjects
        assert clinical.loc["patient 01"].tolist() == [61, "IIb", True, 24.5]
        assert clinical["stage"].isna().tolist() == [False, True] and clinical["age"].dtype == np.int64
        assert study.outcomes["event"].tolist() == [True, False] and study.outcomes["time"].tolist() == [412.0, 3.5]
        assert study.has_mask("patient 01") and not study.has_mask("patient 02")
        assert study.inventory["sha256"].str.len().eq(64).all()
        assert "patient 01" in study._repr_html_()


@pytest.mark.parametrize(
    "dtype",
    [
        torch.bool,
        torch.uint8,
        torch.int8,
        torch.int16,
        torch.int32,
        torch.int64,
        torch.uint16,
        torch.float16,
        torch.float32,
        torch.float64,
    ],
    ids=str,
)
def test_element_types(path, dtype):
    """Invariant: every element type comes back as itself."""
    voxels = (torch.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5) % 7 - 3 * dtype.is_signed).to(dtype)
    with vs.Study(path) as study:
        study.add("a", image=vs.Image(voxels, spacing=(1, 2, 3)))
        back = study.image("a")
    assert back.tensor.dtype == dtype and torch.equal(back.tensor, voxels) and back.spacing == (1, 2, 3)


def test_special_values_survive(path):
    """Invariant: NaN, infinities, denormals and signed zero keep their bits."""
    voxels = torch.tensor([[[float("nan"), float("inf"), -float("inf"), -0.0, 1e-45, 0.1]]])
    with vs.Study(path) as study:
        study.add("a", image=vs.Image(voxels))
        assert torch.equal(study.image("a").tensor.view(torch.int32), voxels.view(torch.int32))


def test_views_and_large_slices(path):
    """Invariant: what isn't contiguous, and slices larger than a chunk, come back whole."""
    view = make_image(3, shape=(6, 8, 10)).tensor.permute(2, 1, 0)[::2]
    wide = torch.arange(3000 * 3001, dtype=torch.int32).reshape(1, 3000, 3001)
    with vs.Study(path) as study:
        study.add("a", image={"view": vs.Image(view), "wide": vs.Image(wide)})
        assert torch.equal(study.image("a", name="view").tensor, view)
        assert torch.equal(study.image("a", name="wide").tensor, wide)


def test_bfloat16_is_refused_by_name(path):
    with vs.Study(path) as study, pytest.raises(vs.NotSupported, match="BFloat16.*float32"):
        study.add("a", image=vs.Image(torch.zeros(1, 2, 2, dtype=torch.bfloat16)))


def test_time_points_and_names(path):
    image = make_image(1)
    with vs.Study(path) as study:
        for week in ("week 0", "week 12"):
            study.add("a", image={"pet": image, "ct": make_image(2)}, mask={"gtv": make_mask(image)}, time_point=week)
        study.add("b", image=image, time_point="week 0")
        assert study.subjects == ["a", "b"] and study.time_points("a") == ["week 0", "week 12"]
        assert study.cases[1] == ("a", "week 12") and ("a", "week 12") in study
        assert study.images("a", time_point="week 12") == ["ct", "pet"]
        assert study.image("b", time_point=None).shape == image.shape  # the only one
        with pytest.raises(vs.InvalidArgument, match='"week 0", "week 12"'):
            study.image("a", name="pet")
        with pytest.raises(vs.InvalidArgument, match='no image "image"; it has "ct", "pet"'):
            study.image("a", time_point="week 0")
        assert study.clinical.index.names == ["subject", "time_point"]


def test_a_later_scan_without_features_leaves_the_table_as_it_was(path):
    """Invariant: the rows of features, outcomes and clinical data find each other when one case alone has a time point."""
    settings = FakeSettings()
    with vs.Study(path) as study:
        fill(study, 3)
        extract_study(study, settings, progress=False, extract=fake_extract)
        before, outcome = study.table(clinical=["age"])
        study.add("p001", image=make_image(9), time_point="week 12")
        with pytest.warns(UserWarning, match="1 of 4 cases lack features or outcome"):
            after, again = study.table(clinical=["age"])
        assert after.index.tolist() == [("p000", ""), ("p001", ""), ("p002", "")]
        np.testing.assert_array_equal(after.to_numpy(), before.to_numpy())
        np.testing.assert_array_equal(again, outcome)


def test_changes_of_a_case(path):
    image = make_image(1)
    other = make_mask(image, 8.0)
    with vs.Study(path) as study:
        fill(study, 2)
        study.add("a", image=image, mask=make_mask(image))
        study.add_mask("a", other, name="threshold")
        with pytest.raises(vs.InvalidArgument, match="overwrite"):
            study.add_mask("a", other, name="threshold")
        study.add_mask("a", make_mask(image, 9.0), name="threshold", overwrite=True)
        study.add_image("a", make_image(5), name="ct")
        study.set_clinical("a", {"age": 44, "sex": None})
        study.set_outcome("a", {"time": 1.0, "event": True})
        study.set_outcome("a", {"event": False})
        study.remove("p000")
        assert not list(Path(path).parent.glob("study.cases/p000*"))
    with vs.Study(path, mode="r") as study:
        assert study.subjects == ["p001", "a"]
        assert torch.equal(study.mask("a", name="threshold").tensor, make_mask(image, 9.0).tensor)
        assert_same(study.image("a", name="ct"), make_image(5))
        assert_same(study.image("a"), image)
        assert study.clinical.loc["a", "age"] == 44 and pd.isna(study.clinical.loc["a", "sex"])
        assert study.outcomes.loc["a"].tolist() == [1.0, False]


@pytest.mark.filterwarnings("ignore:1 of 4 cases")
def test_features_and_table(path):
    """Oracle: scikit-survival's own structured array of the same columns."""
    with vs.Study(path) as study:
        fill(study, 4)
        for i in (2, 0, 1):
            study.add_features(f"p{i:03}", FakeFeatures(values=np.array([i, np.pi * i])))
        with pytest.warns(UserWarning, match="1 of 4 cases.*p003"):
            X, y = study.table(clinical=["age"])
        assert X.index.tolist() == ["p000", "p001", "p002"] and X.columns.tolist() == [
            "stat_mean",
            "morph_volume",
            "age",
        ]
        assert (
            X.attrs["left_out"] == ["p003"]
            and X.attrs["codes"]["morph_volume"] == "RNU0"
            and "bin_width" in X.attrs["settings"]
        )
        np.testing.assert_array_equal(X["morph_volume"], np.pi * np.arange(3))
        expected = Surv.from_arrays(event=[True, False, True], time=[10.0, 11.0, 12.0])
        assert y.dtype == expected.dtype and (y == expected).all()
        assert study.has_features("p001", FakeSettings()) and not study.has_features("p003", FakeSettings())
        assert not study.has_features("p001", FakeSettings(10))
    with vs.Study(path) as study:
        pd.testing.assert_frame_equal(study.table(features=FakeSettings(), clinical=["age"])[0], X)
        assert study.provenance["features"][FakeSettings().hash()]["cases"] == 3


def test_several_feature_sets(path):
    with vs.Study(path) as study:
        assert study.features().shape == (0, 0)
        fill(study, 2)
        with pytest.raises(vs.InvalidArgument, match="extract_study"):
            study.table()
        study.add_features("p000", FakeFeatures())
        study.add_features("p000", FakeFeatures(settings=FakeSettings(10)))
        study.add_mask("p000", make_mask(make_image(0), 8.0), name="auto")
        study.add_features("p000", FakeFeatures(values=np.array([7.0, 8.0])), mask="auto")
        assert len(study.feature_sets) == 3
        with pytest.raises(vs.InvalidArgument, match="say which"):
            study.features()
        assert study.features(FakeSettings(10)).shape == (1, 2)
        assert study.features(FakeSettings().hash() + ".image.auto").iloc[0].tolist() == [7.0, 8.0]
        # Another version computes another feature: both columns, NaN where one is not there.
        study.add_features("p001", FakeFeatures(names=["stat_mean", "new"], codes=["Q4LE", ""]))
        frame = study.features(FakeSettings())
        assert frame.columns.tolist() == ["stat_mean", "morph_volume", "new"]
        assert np.isnan(frame.loc["p001", "morph_volume"]) and np.isnan(frame.loc["p000", "new"])


def test_features_go_with_their_voxels(path):
    """Mechanics: a study never shows features of voxels that it no longer holds."""
    with vs.Study(path) as study:
        fill(study, 2)
        for subject in study.subjects:
            study.add_features(subject, FakeFeatures())
        study.set_clinical("p000", {"age": 1})
        assert study.has_features("p000", FakeSettings())
        study.add_mask("p000", make_mask(make_image(0), 9.0), overwrite=True)
        assert not study.has_features("p000", FakeSettings()) and study.has_features("p001", FakeSettings())
        image = make_image(1)
        moved = vs.Image(image.tensor, spacing=(1, 1, 1))  # the same voxels in another place
        study.add("p001", image=moved, mask=vs.Mask(make_mask(image).tensor, moved.geometry), overwrite=True)
        assert not study.has_features("p001", FakeSettings())


def test_outcomes_of_every_kind(path):
    with vs.Study(path) as study:
        for i in range(3):
            image = make_image(i)
            study.add(
                f"p{i}",
                image=image,
                mask=make_mask(image),
                outcome={"lung_metastasis": i % 2, "grade": "ab"[i % 2], "os_time": i + 1.0, "os_event": True},
            )
            study.add_features(f"p{i}", FakeFeatures())
        _, y = study.table("lung_metastasis")
        assert y.dtype == np.int64 and y.tolist() == [0, 1, 0]
        assert study.table("grade")[1].tolist() == ["a", "b", "a"]
        assert study.table("os")[1]["time"].tolist() == [1.0, 2.0, 3.0]
        assert study.table(("os_event", "os_time"))[1]["event"].all()
        with pytest.raises(vs.InvalidArgument, match="'lung_metastasis', 'grade'"):
            study.table()
        study.add("late", image=make_image(9), outcome={"grade": "a"})
        with pytest.warns(UserWarning, match="1 of 4 cases.*late"):
            study.table("grade")


def test_predictions(path):
    with vs.Study(path) as study:
        fill(study, 3)
        study.add_predictions("cox: radiomics", {"p000": 0.25, "p002": 0.5}, about={"c-index": 0.7})
        study.add_predictions("frame", pd.DataFrame({"risk": [1.0, 2.0], "fold": [0, 1]}, index=["p001", "p000"]))
        with pytest.raises(vs.InvalidArgument, match="already"):
            study.add_predictions("frame", {"p000": 1.0})
        with pytest.raises(vs.InvalidArgument, match='no subject "nobody"'):
            study.add_predictions("x", {"nobody": 1.0})
    with vs.Study(path, mode="r") as study:
        stored = study.predictions()
        assert stored["cox: radiomics"]["prediction"].to_dict() == {"p000": 0.25, "p002": 0.5}
        assert stored["cox: radiomics"].attrs == {"c-index": 0.7}
        assert stored["frame"].loc["p001"].to_dict() == {"risk": 1.0, "fold": 0}


@settings(max_examples=30, deadline=None)
@given(
    st.dictionaries(
        st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1, max_size=30),
        st.one_of(
            st.booleans(),
            st.integers(-(2**53), 2**53),
            st.floats(allow_nan=False),
            st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1),
        ),
        max_size=6,
    )
)
def test_any_table_survives(tmp_path_factory, values):
    """Invariant: any column names and values come back, kinds included."""
    path = tmp_path_factory.mktemp("table") / "study.h5"
    with vs.Study(path) as study:
        study.add("a", image=vs.Image(torch.zeros(1, 1, 1)), clinical=values)
    vs.store.repair(path)
    for _ in range(2):
        with vs.Study(path) as study:
            stored = dict(study._study.cases()[0].clinical)
        assert stored == values and [type(v) for v in stored.values()] == [type(v) for v in values.values()]


@pytest.mark.parametrize(
    "name", ["a/b", "..", ".", "../../etc/passwd", "Müller", "患者 1", "a.b", "a%2Fb", "-x", "con|:*?", "a\\b", " "]
)
def test_names_are_stored_safely(path, name):
    """Mechanics: any name is one plain file in the study's own folder."""
    image = make_image(1)
    with vs.Study(path) as study:
        study.add(name, image={name: image}, time_point=name)
        study.add(name, image=image)
        assert torch.equal(study.image(name, name=name, time_point=name).tensor, image.tensor)
    files = sorted(p for p in path.parent.rglob("*") if p.is_file())
    assert [f.parent for f in files] == [path.parent / "study.cases"] * 2 + [path.parent]
    with vs.Study(path, mode="r") as study:
        assert study.subjects == [name] and study.cases[0] == (name, name)


@pytest.mark.parametrize("name", ["", "a\nb", "a\0b", "x" * 241])
def test_names_that_are_refused(path, name):
    with vs.Study(path) as study:
        with pytest.raises(vs.InvalidArgument):
            study.add(name, clinical={"age": 1})
        with pytest.raises(TypeError, match="text"):
            study.add(7, clinical={"age": 1})
        assert len(study) == 0


def test_arguments_that_make_no_sense(path):
    image = make_image(1)
    with vs.Study(path) as study:
        with pytest.raises(vs.GeometryError, match="origins differ"):
            study.add("a", image=image, mask=make_mask(make_image(2)))
        with pytest.raises(TypeError, match="vesalius.Image or the path"):
            study.add("a", image=image.tensor)
        with pytest.raises(vs.InvalidArgument, match="nothing to add"):
            study.add("a")
        study.add("a", image=image, clinical={"age": 3})
        with pytest.raises(vs.InvalidArgument, match="already"):
            study.add("a", image=image)
        with pytest.raises(TypeError, match='"age" is text here and a number'):
            study.add("b", image=image, clinical={"age": "old"})
        with pytest.raises(TypeError, match="cell"):
            study.add("b", image=image, clinical={"age": [1]})
        with pytest.raises(vs.InvalidArgument, match="2\\^53"):
            study.add("b", image=image, clinical={"number": 2**60})
        with pytest.raises(vs.InvalidArgument, match='has no mask "mask"'):
            study.add_features("a", FakeFeatures())
        with pytest.raises(vs.InvalidArgument, match="hold"):
            study.image("b")
    with pytest.raises(vs.InvalidArgument, match="closed"):
        study.image("a")
    with vs.Study(path, mode="r") as study, pytest.raises(vs.InvalidArgument, match="mode"):
        study.add("c", image=image)
    with pytest.raises(vs.InvalidArgument, match='"x"'):
        vs.Study(path, mode="x")
    with pytest.raises(vs.IoError, match="no study"):
        vs.Study(path.with_name("none.h5"), mode="r")


def test_mode_w_starts_anew(path):
    with vs.Study(path) as study:
        fill(study, 3)
    with vs.Study(path, mode="w") as study:
        assert len(study) == 0
    assert not list(path.parent.glob("study.cases/*.h5"))
    other = path.with_name("notes.h5")
    other.write_text("not a study")
    with pytest.raises(vs.FormatError, match="not an HDF5 file"):
        vs.Study(other, mode="w")
    assert other.read_text() == "not a study"


def test_batch_is_safe_and_seen(path):
    with vs.Study(path) as study, study.batch():
        fill(study, 3)
        with vs.Study(path, mode="r") as reader:  # the index is behind, the cases are not
            assert reader.subjects == ["p000", "p001", "p002"]
            assert torch.equal(reader.image("p001").tensor, make_image(1).tensor)
    with vs.Study(path, mode="r") as reader:
        assert len(reader) == 3 and reader.problems == []


def test_readers_while_a_writer_works(path):
    """Mechanics: a reader keeps what it saw, and never sees half a study."""
    with vs.Study(path) as writer:
        fill(writer, 2)
        with vs.Study(path, mode="r") as reader:
            fill(writer, 2, start=2)
            assert len(reader) == 2 and reader.image("p000").shape == (4, 6, 5)
        with vs.Study(path, mode="r") as reader:
            assert len(reader) == 4


def test_threads(path):
    """Mechanics: one study used from several threads at once."""
    failures = []
    with vs.Study(path) as study:

        def work(start):
            try:
                fill(study, 5, start=start)
                for i in range(start, start + 5):
                    assert torch.equal(study.image(f"p{i:03}").tensor, make_image(i).tensor)
            except Exception as error:
                failures.append(error)

        threads = [threading.Thread(target=work, args=(10 * i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures and len(study) == 20


def test_pack_and_unpack(path):
    with vs.Study(path) as study:
        fill(study, 3)
        study.add_features("p001", FakeFeatures())
        study.add_predictions("model", {"p001": 0.5})
        clinical = study.clinical
    packed = vs.store.pack(path, path.with_name("packed.h5"))
    alone = path.parent / "elsewhere" / "moved.h5"
    alone.parent.mkdir()
    packed.rename(alone)
    back = vs.store.unpack(alone, path.with_name("back.h5"))
    for place, mode in ((alone, "r"), (back, "a")):
        with vs.Study(place, mode=mode) as study:
            assert_same(study.image("p002"), make_image(2))
            assert torch.equal(study.mask("p002").tensor, make_mask(make_image(2)).tensor)
            pd.testing.assert_frame_equal(study.clinical, clinical)
            assert study.features().loc["p001"].tolist() == [1.5, 2.5]
            assert study.predictions()["model"].loc["p001", "prediction"] == 0.5
            assert study.packed == (place == alone)
    with pytest.raises(vs.NotSupported, match="unpack"):
        vs.Study(alone)
    with pytest.raises(vs.InvalidArgument, match="already"):
        vs.store.pack(path, alone)


def test_sources_go_into_provenance(path, tmp_path):
    """Oracle: hashlib's SHA-256 of the file."""
    import hashlib

    file = tmp_path / "scan.nii.gz"
    file.write_bytes(b"voxels")
    image = make_image(1, path=str(file))
    with vs.Study(path) as study:
        study.add("a", image=image)
        row = study.provenance["inputs"].iloc[0]
        assert row["source_path"] == str(file) and row["source_sha256"] == hashlib.sha256(b"voxels").hexdigest()
        assert study.provenance["software"].startswith(f"vesalius {vs.__version__}, torch ")


@pytest.mark.parametrize("events", [[1, 2, 2], [0.0, 1.0, 0.5], [True, "dead", False]])
def test_events_coded_otherwise_are_refused(path, events):
    """Mechanics: R's 1 and 2, or a competing event, would all become events in silence."""
    with vs.Study(path) as study:
        fill(study, 3)
        for i in range(3):
            study.set_outcome(f"p{i:03}", {"os_time": 5.0})
            study.add_features(f"p{i:03}", FakeFeatures())
        if "dead" in events:
            study.set_outcome("p000", {"stage": "II"})
            with pytest.raises(vs.InvalidArgument, match="'stage' must hold numbers; it holds 'II'"):
                study.table(("stage", "time"))
            return
        for i, event in enumerate(events):
            study.set_outcome(f"p{i:03}", {"os_event": event})
        with pytest.raises(vs.InvalidArgument, match="must be 0 .censored. or 1 .event..*it holds (2|0.5)"):
            study.table("os")


def test_rows_of_a_table_as_clinical_data(path):
    """Mechanics: a row of a DataFrame is a mapping, too; a subject that is a number is told what to do."""
    row = pd.DataFrame({"age": [61], "stage": ["II"]}, index=["a"]).loc["a"]
    with vs.Study(path) as study:
        study.add("a", clinical=row)
        assert study.clinical.loc["a"].to_dict() == {"age": 61, "stage": "II"}
        with pytest.raises(vs.TypeMismatch, match="give str"):
            study.add(7)


def test_names_that_two_columns_share_and_time_points_left_out(path):
    """Mechanics: a clinical column doesn't take a feature's place, and names of voxels are those of one case."""
    with vs.Study(path) as study:
        fill(study, 1)
        study.add_features("p000", FakeFeatures())
        study.set_clinical("p000", {"stat_mean": 3})
        with pytest.raises(vs.InvalidArgument, match="name of a feature and of a clinical column"):
            study.table(clinical=["stat_mean"])
        for week, name in (("week 0", "pet"), ("week 1", "ct")):
            study.add("b", image={name: make_image(1)}, time_point=week)
        assert study.images("b", time_point="week 1") == ["ct"] and study.has_image("b", name="ct", time_point="week 1")
        with pytest.raises(vs.InvalidArgument, match="time points 'week 0', 'week 1'; say which"):
            study.images("b")
