# SPDX-License-Identifier: Apache-2.0
"""What a user meets who gets something slightly wrong, and Features in a DataLoader."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import vesalius as vs

INTENSITY = vs.radiomics.Settings(families=["intensity_statistics", "glcm"], bin_count=8)


def case(seed=0) -> tuple[vs.Image, vs.Mask]:
    inside = torch.zeros((6, 8, 7), dtype=torch.uint8)
    inside[1:5, 2:6, 1:6] = 1
    return vs.Image(torch.from_numpy(np.random.default_rng(seed).normal(50, 20, inside.shape))), vs.Mask(inside)


def pet() -> tuple[vs.Image, vs.Mask]:
    """SUV-like: 0.2 to about 9."""
    image, mask = case()
    return image.with_tensor((image.tensor - image.tensor.min()) / 15 + 0.2), mask


@pytest.mark.parametrize("families", [[], ["glcm"]])
def test_few_grey_levels_warn(families):
    """Mechanics: PET in SUV with the default width of 25; the message has the number of levels, the width and a remedy."""
    image, mask = pet()
    settings = vs.radiomics.Settings(families=families)
    with pytest.warns(
        UserWarning,
        match=r"fall into 1 grey level of bin_width=25 .*bin_width=0\.\d+ would give about 32.*bin_count=32",
    ):
        vs.radiomics.extract(image, mask, settings)
    with pytest.warns(UserWarning, match="1 grey level"):
        vs.radiomics.extract_labels(image, mask, settings)
    with pytest.warns(UserWarning, match="2 grey levels of bin_width=25"):  # -5 .. 20 and 20 .. 45
        vs.radiomics.extract(image.with_tensor(image.tensor + 17), mask, settings.replace(resegment=(-5, 50)))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "changes", [{"bin_width": 0.5}, {"bin_count": 3}, {"families": ["morphology", "intensity_statistics"]}]
)
def test_enough_levels_are_silent(changes):
    """Mechanics: no warning for enough levels, a number of bins that was asked for, families without levels."""
    vs.radiomics.extract(*pet(), vs.radiomics.Settings(**changes))


@pytest.mark.filterwarnings("error")
def test_constant_and_whole_numbers_are_silent():
    """Mechanics: more levels can't be had where intensities are constant, or whole numbers with bins of width 1."""
    image, mask = case()
    vs.radiomics.extract(image.with_tensor(torch.full_like(image.tensor, 7.0)), mask)
    vs.radiomics.extract(image.with_tensor((image.tensor > 50).int() + 1), mask, vs.radiomics.Settings(bin_width=1))


def test_wrong_kinds_say_what_to_do(tmp_path):
    """Mechanics: arrays, tensors, paths and swapped arguments are a TypeMismatch with the remedy."""
    image, mask = case()
    extract = vs.radiomics.extract
    for call, said in [
        (lambda: extract(mask, image), "image must be a vesalius.Image; got Mask: are image and mask swapped"),
        (lambda: extract(image, image), "mask must be a vesalius.Mask; got Image: are image and mask swapped"),
        (lambda: extract(image.numpy(), mask), r"got numpy.ndarray: vesalius.Image.from_numpy\(array"),
        (lambda: extract(image, mask.tensor), r"got torch.Tensor: vesalius.Mask\(tensor"),
        (lambda: extract("ct.nii.gz", mask), r"got str: read it first: vesalius.read_image\('ct.nii.gz'\)"),
        (lambda: extract(image, None), "got NoneType: make one with vesalius.read_mask"),
        (lambda: extract(image, mask, {"bin_width": 5}), r"got dict: Settings\(\*\*settings\)"),
        (lambda: vs.radiomics.extract_labels(image, mask.numpy()), "mask must be"),
        (lambda: vs.write_image(mask, tmp_path / "a.nii"), "image must be"),
        (lambda: vs.write_mask(image, tmp_path / "a.nii"), "mask must be"),
        (lambda: vs.read_mask(tmp_path / "a.nii", like=image.tensor), "like must be"),
        (lambda: vs.segmentation.otsu(image.numpy()), "image must be"),
        (lambda: vs.segmentation.percent_of_maximum(image, region=image), "region must be"),
        (lambda: vs.image.resample(image.tensor, 1), "image must be"),
        (lambda: vs.image.dilate(image, 1), "mask must be"),
        (
            lambda: vs.radiomics.extract_study(str(tmp_path / "study.h5")),
            r"takes an open vesalius.Study.*got str: with vesalius.Study\(path\)",
        ),
        (lambda: vs.radiomics.Settings.from_yaml("settings.yaml"), r"takes YAML text.*read_text\(\)"),
        (lambda: vs.radiomics.Settings.from_yaml(tmp_path), "takes YAML text"),
    ]:
        with pytest.raises(vs.errors.TypeMismatch, match=said):
            call()
    with pytest.raises(KeyError, match=r"got 0. By position: features.values\[i\]"):
        extract(image, mask, INTENSITY)[0]
    with pytest.raises(AttributeError) as info:
        vs.read_imgae
    assert (info.value.name, info.value.obj) == ("read_imgae", vs)


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_through_a_data_loader(context):
    """Mechanics: images arrive in worker processes as they are, Features come back as a batch of tensors by name."""
    cases = [case(seed) for seed in range(4)]
    features = [vs.radiomics.extract(*pair, INTENSITY) for pair in cases]
    loader = torch.utils.data.DataLoader(features, batch_size=2, num_workers=1, multiprocessing_context=context)
    assert torch.cat([batch["stat_mean"] for batch in loader]).tolist() == [f["stat_mean"] for f in features]
    loader = torch.utils.data.DataLoader(cases, batch_size=None, num_workers=1, multiprocessing_context=context)
    for (image, mask), (image0, mask0) in zip(loader, cases):
        assert torch.equal(image.tensor, image0.tensor)
        assert torch.equal(mask.tensor, mask0.tensor)
        assert image.geometry == image0.geometry


class Extracted(torch.utils.data.Dataset):
    def __getitem__(self, i):
        return vs.radiomics.extract(*case(i), INTENSITY)

    def __len__(self):
        return 4


def test_extraction_in_forked_workers():
    """Mechanics: after a parallel extraction here (torch's threads are there), forked workers extract the same values."""
    alone = [Extracted()[i]["stat_mean"] for i in range(4)]
    loader = torch.utils.data.DataLoader(Extracted(), batch_size=2, num_workers=2, multiprocessing_context="fork")
    assert torch.cat([batch["stat_mean"] for batch in loader]).tolist() == alone
