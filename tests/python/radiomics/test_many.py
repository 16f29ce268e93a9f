# SPDX-License-Identifier: Apache-2.0
"""Several labels, channels, slices and cases in one call."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

import vesalius as vs

SETTINGS = vs.radiomics.Settings(bin_count=8, aggregation=["3D_comb", "2D_avg"])


def organs(count: int = 5, seed: int = 0, spacing=(2.0, 1.0, 1.0)) -> tuple[vs.Image, vs.Mask]:
    """Overlapping boxes of labels 2, 4, 6, …; whole-number intensities."""
    rng = np.random.default_rng(seed)
    image = rng.integers(-100, 200, (14, 40, 42)).astype(np.int16)
    labels = np.zeros(image.shape, dtype=np.uint8)
    for i in range(count):
        z, y, x = rng.integers(0, (6, 26, 28))
        labels[z : z + 7, y : y + 12, x : x + 13][rng.random((7, 12, 13)) < 0.8] = 2 * (i + 1)
    return vs.Image(torch.from_numpy(image), spacing=spacing), vs.Mask(torch.from_numpy(labels), spacing=spacing)


def same(ours: dict, reference: dict) -> None:
    assert list(ours) == sorted(reference)
    for key, features in ours.items():
        assert features.names == reference[key].names and features.reasons == reference[key].reasons
        np.testing.assert_array_equal(features.values, reference[key].values)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.uint16, torch.int64])
def test_labels_equal_one_by_one(dtype):
    """Oracle: extract, label by label, to the bit."""
    image, mask = organs()
    mask = vs.Mask(mask.tensor.to(dtype), mask.geometry, names={4: "liver"})
    reference = {label: vs.radiomics.extract(image, mask, SETTINGS, label=label) for label in mask.labels}
    same(vs.radiomics.extract_labels(image, mask, SETTINGS), reference)
    same(vs.radiomics.extract(image, mask, SETTINGS, label=[6, 4]), {k: reference[k] for k in (4, 6)})
    same(vs.radiomics.extract_labels(image, mask, SETTINGS, labels=["liver"]), {4: reference[4]})
    assert vs.radiomics.extract_labels(image, mask, SETTINGS)[6].label == 6


@pytest.mark.parametrize("interpolation", ["linear", "cubic"])
def test_labels_share_the_interpolated_image(interpolation):
    """Oracle: extract, label by label: each interpolates its own part. The rounding of halves doesn't depend on the part."""
    image, mask = organs(spacing=(3.0, 0.9, 1.1))
    settings = SETTINGS.replace(resample=(2, 2, 2), interpolation=interpolation, round_intensities=True)
    every = vs.radiomics.extract_labels(image, mask, settings)
    for label, features in every.items():
        alone = vs.radiomics.extract(image, mask, settings, label=label)
        assert features.morphological_voxels == alone.morphological_voxels
        np.testing.assert_allclose(features.values, alone.values, rtol=1e-10)


def test_nan_between_labels_is_harmless_to_cubic():
    """Invariant: voxels far from all regions don't matter, though they lie in the box around all."""
    image, mask = organs(2)
    voxels = image.tensor.double()
    low = np.argwhere(mask.numpy() == 2).max(0)
    mask.tensor[:] = 0
    mask.tensor[2:6, 2:6, 2:6], mask.tensor[2:6, 34:38, 36:40] = 2, 4
    clean = image.with_tensor(voxels)
    voxels = voxels.clone()
    voxels[3, 38:, 0] = float("nan")
    settings = SETTINGS.replace(resample=(1, 1, 2), interpolation="linear", families=["intensity_statistics"])
    same(
        vs.radiomics.extract_labels(image.with_tensor(voxels), mask, settings),
        vs.radiomics.extract_labels(clean, mask, settings),
    )
    assert low.shape == (3,)


def test_labels_that_fail():
    """Mechanics: the lowest label's error, whatever the threads; a missing label lists those that are there."""
    image, mask = organs()
    voxels = image.tensor.double()
    for label in (8, 4):
        z, y, x = np.argwhere(mask.numpy() == label)[0]
        voxels[z, y, x] = float("nan")
    for _ in range(3):
        with pytest.raises(vs.InvalidArgument, match="label 4 are NaN"):
            vs.radiomics.extract_labels(image.with_tensor(voxels), mask, SETTINGS)
    with pytest.raises(vs.InvalidArgument, match="label 3 isn't in the mask; it holds 2, 4"):
        vs.radiomics.extract_labels(image, mask, SETTINGS, labels=[2, 3])
    with pytest.raises(vs.InvalidArgument, match="labels is empty"):
        vs.radiomics.extract_labels(image, mask, SETTINGS, labels=[])
    with pytest.raises(vs.InvalidArgument, match="the mask is empty"):
        vs.radiomics.extract_labels(image, vs.Mask(torch.zeros_like(mask.tensor), mask.geometry), SETTINGS)


def test_progress_of_labels_and_its_exception():
    image, mask = organs()
    seen = []
    vs.radiomics.extract_labels(image, mask, SETTINGS, progress=lambda done, total, what: seen.append((done, total)))
    assert all(total in (5, 12, len(vs.radiomics.families()) + 1) for _, total in seen)

    def stop(done: int, total: int, what: str) -> None:
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        vs.radiomics.extract_labels(image, mask, SETTINGS, progress=stop)


@pytest.mark.parametrize("what", ["extract", "extract_labels"])
def test_threads_change_nothing(what):
    """Invariant: the same bits with one thread and with several; sums over Fourier space, nearly so."""
    image, mask = organs()
    if what == "extract":
        rng = np.random.default_rng(1)
        image = vs.Image(torch.from_numpy(rng.normal(0, 100, (60, 70, 80))))
        mask = vs.Mask(torch.from_numpy((rng.random((60, 70, 80)) < 0.9).astype(np.uint8) * 2))
    usual = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        reference = vs.radiomics.extract_labels(image, mask, SETTINGS)
        torch.set_num_threads(4)
        there = vs.radiomics.extract_labels(image, mask, SETTINGS)
        if what == "extract":
            there = {2: vs.radiomics.extract(image, mask, SETTINGS, label=2)}
    finally:
        torch.set_num_threads(usual)
    for label, features in there.items():
        fourier = np.isin(features.names, ["morph_moran_i", "morph_geary_c"])
        np.testing.assert_array_equal(features.values[~fourier], reference[label].values[~fourier])
        np.testing.assert_allclose(features.values[fourier], reference[label].values[fourier], rtol=1e-9)


def test_channels():
    """Oracle: an image of each channel alone."""
    image, mask = organs()
    rgb = vs.Image(torch.stack([image.tensor, image.tensor.flip(2), image.tensor * 2]), image.geometry)
    reference = {
        c: vs.radiomics.extract(image.with_tensor(rgb.tensor[c].contiguous()), mask, SETTINGS, label=4)
        for c in range(3)
    }
    same(vs.radiomics.extract_channels(rgb, mask, SETTINGS, label=4), reference)
    same(vs.radiomics.extract_channels(rgb, mask, SETTINGS, label=4, channels=[2]), {2: reference[2]})
    with pytest.raises(vs.InvalidArgument, match="channel 3 isn't there: the image has 3"):
        vs.radiomics.extract_channels(rgb, mask, SETTINGS, label=4, channels=[3])
    with pytest.raises(vs.TypeMismatch, match="extract_channels"):
        vs.radiomics.extract(rgb, mask, SETTINGS, channel=[0, 1])


def test_rgb_picture(tmp_path):
    """Oracle: numpy on the picture's own array. A PNG is one slice of three channels."""
    import SimpleITK as sitk

    rng = np.random.default_rng(2)
    picture = rng.integers(0, 255, (20, 30, 3)).astype(np.uint8)
    sitk.WriteImage(sitk.GetImageFromArray(picture, isVector=True), str(tmp_path / "a.png"))
    image = vs.read_image(tmp_path / "a.png")
    labels = torch.zeros(1, 20, 30, dtype=torch.uint8)
    labels[0, 4:15, 5:25] = 1
    mask = vs.Mask(labels, image.geometry)
    found = vs.radiomics.extract_channels(image, mask, SETTINGS)
    for c in range(3):
        assert found[c]["stat_mean"] == pytest.approx(picture[4:15, 5:25, c].mean(), rel=1e-12)


def test_slices_are_2d_images():
    """Oracle: extract of each slice cut out by hand."""
    image, mask = organs(spacing=(3.0, 1.0, 1.0))
    reference = {}
    for z in range(14):
        if (mask.tensor[z] == 4).any():
            geometry = {"spacing": (3.0, 1.0, 1.0)}
            one = vs.Image(image.tensor[z : z + 1].contiguous(), **geometry)
            reference[z] = vs.radiomics.extract(
                one, vs.Mask(mask.tensor[z : z + 1].contiguous(), **geometry), SETTINGS, label=4
            )
    same(vs.radiomics.extract_slices(image, mask, SETTINGS, label=4), reference)
    in_plane = vs.radiomics.extract_slices(image, mask, SETTINGS.replace(resample=(1, 2, 2)), label=4)
    assert list(in_plane) == list(reference)
    assert all(f.settings.resample == (0, 2, 2) for f in in_plane.values())


def test_2d_image_is_a_slice():
    """Oracle: scikit-image-like definitions by hand: counts, means and the 8 in-plane neighbours of one slice."""
    rng = np.random.default_rng(4)
    levels = rng.integers(1, 5, (1, 25, 31))
    image = vs.Image(torch.from_numpy(levels).double(), spacing=(1, 0.3, 0.3))
    mask = vs.Mask(torch.ones(1, 25, 31, dtype=torch.uint8), spacing=(1, 0.3, 0.3))
    f = vs.radiomics.extract(image, mask, vs.radiomics.Settings(bin_width=1))
    pairs = [(levels[0][a], levels[0][b]) for a, b in ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1, :], np.s_[1:, :]), (np.s_[:-1, :-1], np.s_[1:, 1:]), (np.s_[1:, :-1], np.s_[:-1, 1:]))]  # fmt: skip
    difference = np.concatenate([abs(a - b).ravel() for a, b in pairs])
    assert f["cm_dissimilarity"] == pytest.approx(difference.mean(), rel=1e-12)
    assert f["stat_mean"] == pytest.approx(levels.mean()) and f["dzm_z_perc"] == f["szm_z_perc"]
    assert set(f.reasons) == {name for name in f if np.isnan(f[name])}


def write_cases(folder, count: int):
    pairs = []
    for i in range(count):
        image, mask = organs(1, seed=i)
        paths = folder / f"{i}.nii.gz", folder / f"{i}-mask.nii.gz"
        vs.write_image(image, paths[0])
        vs.write_mask(mask, paths[1])
        pairs.append(paths)
    return pairs


@pytest.mark.parametrize("jobs", [None, 1, 3])
def test_batch_equals_one_by_one(tmp_path, jobs):
    """Oracle: extract, case by case, from memory; to the bit, in the order of the cases."""
    memory = [organs(1, seed=i) for i in range(6)]
    batch = vs.radiomics.extract_batch(write_cases(tmp_path, 6), SETTINGS, label=2, jobs=jobs)
    assert len(batch) == 6 and not batch.failures
    for features, case in zip(batch, memory):
        np.testing.assert_array_equal(features.values, vs.radiomics.extract(*case, SETTINGS, label=2).values)
    frame = batch.to_frame()
    assert frame.shape == (6, len(batch[0])) and frame.index.tolist() == list(range(6))
    assert set(batch.seconds) == {"wall", "reading", "extraction"} and batch.seconds["reading"] > 0
    assert "reading" in repr(batch)
    assert torch.get_num_threads() == torch.get_num_threads()


def test_batch_restores_torchs_threads():
    """Mechanics: neither this thread nor those started later see the workers' setting."""
    import threading

    cases = [organs(1, seed=i) for i in range(4)]
    usual = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        vs.radiomics.extract_batch(cases, SETTINGS, label=2, jobs=2)
        seen = [torch.get_num_threads()]
        thread = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
        thread.start()
        thread.join()
        assert seen == [2, 2]
    finally:
        torch.set_num_threads(usual)


def test_batch_failures():
    cases = [organs(1, seed=i) for i in range(4)]
    cases[1] = (cases[1][0], vs.Mask(torch.zeros_like(cases[1][1].tensor), cases[1][1].geometry))
    with pytest.raises(vs.InvalidArgument, match="^case 1: the mask is empty"):
        vs.radiomics.extract_batch(cases, SETTINGS, label=2)
    batch = vs.radiomics.extract_batch(cases, SETTINGS, label=2, on_error="report")
    assert (
        list(batch.failures) == [1]
        and batch.to_frame().index.tolist() == [0, 2, 3]
        and "1 of them failed" in repr(batch)
    )
    with pytest.raises(vs.IoError, match="case 0 .*nowhere.nii"):
        vs.radiomics.extract_batch([("nowhere.nii", "nowhere-mask.nii")], SETTINGS)
    with pytest.raises(vs.TypeMismatch, match="pairs"):
        vs.radiomics.extract_batch(["nowhere.nii"], SETTINGS)
    with pytest.raises(vs.InvalidArgument, match="jobs"):
        vs.radiomics.extract_batch(cases, SETTINGS, jobs=0)
    assert len(vs.radiomics.extract_batch([], SETTINGS)) == 0


def test_one_warning_for_many_labels():
    image, mask = organs()
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        vs.radiomics.extract_labels(image, mask, vs.radiomics.Settings(bin_width=200, families=["glcm"]))
    assert len(seen) == 1 and "and 2 more" in str(seen[0].message) and seen[0].filename == __file__
