# SPDX-License-Identifier: Apache-2.0
"""Images, masks and geometry against SimpleITK and nibabel."""

import pickle

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: F401  (Image.to_sitk needs it)
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import vesalius as vs


def rotation(angles: tuple[float, float, float], mirrored: bool) -> np.ndarray:
    out = np.eye(3)
    for axis, angle in enumerate(angles):
        i, j = [k for k in range(3) if k != axis]
        turn = np.eye(3)
        turn[i, i] = turn[j, j] = np.cos(angle)
        turn[i, j], turn[j, i] = -np.sin(angle), np.sin(angle)
        out = out @ turn
    if mirrored:
        out[:, 0] *= -1
    return out


angle = st.floats(-3.1, 3.1)


@settings(max_examples=40, deadline=None)
@given(st.tuples(angle, angle, angle), st.booleans(), st.tuples(*[st.floats(0.1, 10)] * 3))
def test_sitk_and_nibabel_agree_on_physical_points(angles, mirrored, spacing):
    """Oracle: SimpleITK's and nibabel's own index-to-point transforms, oblique and left-handed."""
    array = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    image = vs.Image.from_numpy(
        array, spacing=spacing, origin=(3.0, -4.0, 5.5), direction=rotation(angles, mirrored).tolist()
    )
    ours = np.array(image.geometry.to_physical((1, 2, 3)))[::-1]

    other = image.to_sitk()
    np.testing.assert_allclose(other.TransformIndexToPhysicalPoint((3, 2, 1)), ours, atol=1e-9)
    assert other.GetPixel((3, 2, 1)) == array[1, 2, 3]
    back = vs.Image.from_sitk(other)
    assert back.geometry.same_as(image.geometry, tolerance=1e-9)
    assert torch.equal(back.tensor, image.tensor)

    nifti = image.to_nibabel()
    ras = nib.affines.apply_affine(nifti.affine, (3, 2, 1))
    np.testing.assert_allclose(ras * (-1, -1, 1), ours, atol=1e-9)
    assert nifti.dataobj[3, 2, 1] == array[1, 2, 3]
    assert vs.Image.from_nibabel(nifti).geometry.same_as(image.geometry, tolerance=1e-9)


def test_views_share_memory():
    array = np.zeros((2, 3, 4), dtype=np.float32)
    image = vs.Image.from_numpy(array)
    image.tensor[1, 2, 3] = 7
    assert array[1, 2, 3] == 7
    assert image.numpy()[1, 2, 3] == 7 and np.shares_memory(image.numpy(), array)
    assert torch.from_dlpack(image).data_ptr() == image.tensor.data_ptr()
    tensor, affine = image.to_torchio()
    assert tensor.shape == (1, 4, 3, 2) and tensor.data_ptr() == image.tensor.data_ptr()


def test_errors_are_builtin_too_and_say_what_to_do():
    with pytest.raises(ValueError, match="unsqueeze"):
        vs.Image(torch.zeros(3, 4))
    with pytest.raises(vs.GeometryError, match="spacing must be positive"):
        vs.Image(torch.zeros(2, 3, 4), spacing=(0, 1, 1))
    with pytest.raises(TypeError, match="Mask.from_image"):
        vs.Mask(torch.zeros(2, 3, 4))
    with pytest.raises(vs.InvalidArgument, match="empty"):
        vs.Mask(torch.zeros(2, 3, 4, dtype=torch.uint8)).select(1)
    with pytest.raises(vs.InvalidArgument, match="it holds 1, 2"):
        vs.Mask(torch.tensor([[[0, 1, 2]]])).select(5)


def test_pickle_round_trip():
    image = vs.Image(torch.rand(2, 3, 4), spacing=(3, 2, 1), metadata={"modality": "CT"})
    back = pickle.loads(pickle.dumps(image))
    assert (
        torch.equal(back.tensor, image.tensor) and back.geometry == image.geometry and back.metadata == image.metadata
    )
    mask = vs.Mask(torch.tensor([[[0, 1, 2]]]), names={1: "femur"})
    back = pickle.loads(pickle.dumps(mask))
    assert back.names == {1: "femur"} and back.labels == [1, 2]


def test_metadata_is_assigned_whole():
    image = vs.Image(torch.zeros(1, 2, 2))
    image.metadata = {"modality": "PT"}
    assert image.metadata["modality"] == "PT"
