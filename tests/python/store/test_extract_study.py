# SPDX-License-Identifier: Apache-2.0
"""Features of a whole study: resumed, in any number of jobs, with failures and Ctrl-C."""

import numpy as np
import pandas as pd
import pytest
from study_cases import FakeSettings, child, fake_extract, fill, make_image, make_mask

import vesalius as vs
from vesalius.radiomics import ExtractionError
from vesalius.radiomics._study import extract_study


@pytest.fixture
def study(path):
    with vs.Study(path) as study:
        with study.batch():
            fill(study, 8)
        yield study


def run(study, **kw):
    return extract_study(
        study, kw.pop("settings", FakeSettings()), progress=False, extract=kw.pop("extract", fake_extract), **kw
    )


@pytest.mark.parametrize("jobs", [1, 3])
def test_any_number_of_jobs_gives_the_same(study, jobs):
    """Oracle: numpy on the same voxels."""
    frame = run(study, jobs=jobs)
    assert frame.index.tolist() == study.subjects and frame.attrs["failures"] == {}
    for i, subject in enumerate(study.subjects):
        inside = make_image(i).numpy()[make_mask(make_image(i)).numpy() == 1]
        np.testing.assert_allclose(
            frame.loc[subject], [inside.mean(dtype=np.float64), inside.size * 3.0 * 0.7 * 0.9], rtol=1e-12
        )


def test_real_features_by_threads(study):
    """Invariant: radiomics.extract one by one gives the same bits."""
    settings = vs.radiomics.Settings(bin_width=0.5)
    frame = vs.radiomics.extract_study(study, settings, jobs=2, progress=False)
    for subject in study.subjects:
        alone = vs.radiomics.extract(study.image(subject), study.mask(subject), settings)
        np.testing.assert_array_equal(frame.loc[subject].to_numpy(), alone.values)
    assert frame.attrs["codes"]["stat_mean"] == "Q4LE"
    assert vs.radiomics.Settings.from_yaml(frame.attrs["settings"]) == settings


@pytest.mark.parametrize("jobs", [1, 2])
def test_few_grey_levels_are_one_warning(study, jobs):
    """Mechanics: not one a case; it names one as an example. Another mask of the study serves too."""
    settings = vs.radiomics.Settings(families=["intensity_statistics", "glcm"])
    with pytest.warns(
        UserWarning, match="8 of 8 cases have hardly any grey levels; in p000, the intensities of label 1"
    ) as seen:
        vs.radiomics.extract_study(study, settings, jobs=jobs, progress=False)
    assert len(seen) == 1
    assert seen[0].filename == __file__
    for subject in study.subjects:
        study.add_mask(subject, study.mask(subject), name="again")
    again = vs.radiomics.extract_study(study, settings.replace(bin_width=0.5), mask="again", progress=False)
    assert again.shape[0] == 8 and study.features(settings).shape[0] == 8


def test_goes_on_where_it_stopped(study):
    calls = []

    def counting(image, mask, settings, **kw):
        calls.append(1)
        return fake_extract(image, mask, settings, **kw)

    first = run(study, extract=counting)
    assert len(calls) == 8
    pd.testing.assert_frame_equal(run(study, extract=counting), first)
    assert len(calls) == 8
    study.add_mask("p003", make_mask(make_image(3), 8.0), overwrite=True)
    fill(study, 1, start=8)
    assert run(study, extract=counting, jobs=2).shape == (9, 2) and len(calls) == 10
    run(study, extract=counting, settings=FakeSettings(10))
    assert len(calls) == 19 and len(study.feature_sets) == 2


@pytest.mark.parametrize("jobs", [1, 3])
def test_failures_are_collected(study, jobs):
    study.add_mask("p002", make_mask(make_image(2), 100.0), overwrite=True)  # empty
    study.add("no mask", image=make_image(1))
    with pytest.raises(ExtractionError, match="2 of 9 cases failed") as failed:
        run(study, jobs=jobs)
    assert set(failed.value.failures) == {("p002", None), ("no mask", None)} and "has no mask" in str(failed.value)
    assert study.features().shape == (7, 2)
    frame = run(study, jobs=jobs, on_error="report")
    assert "empty" in frame.attrs["failures"]["p002", None] and frame.shape == (7, 2)
    with pytest.raises(vs.InvalidArgument, match="jobs"):
        run(study, jobs=0)
    with pytest.raises(vs.InvalidArgument, match="on_error"):
        run(study, on_error="ignore")


@pytest.mark.parametrize("jobs", [1, 2])
def test_ctrl_c(path, jobs):
    """Mechanics: Ctrl-C ends it within 2 s, and what was finished is stored."""
    import signal
    import time

    process = child(
        """
        import time
        from vesalius.radiomics._study import extract_study

        def slow(image, mask, settings, *, label, progress):
            for step in range(10):
                time.sleep(0.05)
                progress(step, 10, "")
            print("done\\n", end="", flush=True)
            return fake_extract(image, mask, settings)

        with vs.Study(sys.argv[1]) as study:
            fill(study, 40)
            try:
                extract_study(study, FakeSettings(), jobs=int(sys.argv[2]), progress=False, extract=slow)
            except KeyboardInterrupt as stopped:
                print("stopped", type(stopped).__name__, stopped, flush=True)
        """,
        path,
        jobs,
    )
    for _ in range(4):
        assert process.stdout.readline() == "done\n", process.stderr.read()
    process.send_signal(signal.SIGINT)
    start = time.monotonic()
    last = [next(line for line in process.stdout if line.startswith("stopped"))]
    assert time.monotonic() - start < 2.0
    assert process.wait(timeout=20) == 0, process.stderr.read()
    assert last[0].startswith("stopped Cancelled stopped: ") and "goes on from there" in last[0]
    with vs.Study(path) as study:
        done = len(study.features())
        assert 1 <= done < 40
        assert run(study).shape == (40, 2)


def test_time_points_and_other_masks(path):
    with vs.Study(path) as study:
        for week in ("0", "12"):
            image = make_image(int(week))
            study.add("a", image={"pet": image}, mask={"auto": make_mask(image)}, time_point=week)
        frame = run(study, image="pet", mask="auto")
        assert frame.index.tolist() == [("a", "0"), ("a", "12")] and frame.attrs["mask"] == "auto"


def test_settings_that_make_no_sense_are_one_error(path):
    """Mechanics: found before the first case, not once for each; many failures are listed as far as they are read."""
    with vs.Study(path) as study:
        fill(study, 14)
        with pytest.raises(vs.InvalidArgument, match='"firstorder" is unknown; there are: morphology'):
            vs.radiomics.extract_study(study, vs.radiomics.Settings(families=["firstorder"]), progress=False)
        with pytest.raises(vs.InvalidArgument, match="bin_width"):
            vs.radiomics.extract_batch([], vs.radiomics.Settings(bin_width=-1))

        def fail(*_, **__):
            raise ValueError("no")

        with pytest.raises(ExtractionError, match="14 of 14 cases failed") as raised:
            extract_study(study, FakeSettings(), progress=False, extract=fail)
        assert "and 4 more" in str(raised.value) and len(raised.value.failures) == 14
