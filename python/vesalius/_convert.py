# SPDX-License-Identifier: Apache-2.0
"""Images to and from numpy, SimpleITK, nibabel and TorchIO/MONAI. Views wherever the other side can own memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ._vesalius.core import Geometry, Image, Mask
from .errors import ShapeError


def matrix(rows: list[list[float]]) -> np.ndarray:
    return np.asarray(rows, dtype=np.float64)


def to_numpy(image: Image | Mask) -> np.ndarray:
    return image.tensor.detach().cpu().numpy()


def _tensor(array: Any) -> torch.Tensor:
    array = np.asarray(array)
    if array.dtype.byteorder not in ("=", "|"):
        array = array.astype(array.dtype.newbyteorder("="))
    if any(stride < 0 for stride in array.strides):
        array = array.copy()
    return torch.from_numpy(array)


def image_from_numpy(array: Any, **where: Any) -> Image:
    return Image(_tensor(array), **where)


def mask_from_numpy(array: Any, **where: Any) -> Mask:
    return Mask(_tensor(array), **where)


def _reversed(values: Any) -> tuple[float, ...]:
    return tuple(float(v) for v in reversed(tuple(values)))


def _sitk_parts(image: Any) -> tuple[torch.Tensor, Geometry]:
    import SimpleITK as sitk

    dimension = image.GetDimension()
    voxels = torch.from_numpy(sitk.GetArrayFromImage(image))
    if dimension == 2:
        geometry = Geometry(
            (1, *voxels.shape[:2]),
            spacing=(1.0, *_reversed(image.GetSpacing())),
            origin=(0.0, *_reversed(image.GetOrigin())),
            direction=[
                [1, 0, 0],
                *[[0, *row] for row in np.reshape(image.GetDirection(), (2, 2))[::-1, ::-1].tolist()],
            ],
        )
        voxels = voxels.unsqueeze(0)
    elif dimension == 3:
        geometry = Geometry(
            tuple(voxels.shape[:3]),
            spacing=_reversed(image.GetSpacing()),
            origin=_reversed(image.GetOrigin()),
            direction=np.reshape(image.GetDirection(), (3, 3))[::-1, ::-1].tolist(),
        )
    else:
        raise ShapeError(f"a SimpleITK image of 2 or 3 dimensions is expected; this has {dimension}")
    if image.GetNumberOfComponentsPerPixel() > 1:
        voxels = voxels.movedim(-1, 0).contiguous()
    return voxels, geometry


def image_from_sitk(image: Any) -> Image:
    return Image(*_sitk_parts(image))


def mask_from_sitk(image: Any) -> Mask:
    return Mask.from_image(Image(*_sitk_parts(image)))


def to_sitk(image: Image | Mask) -> Any:
    import SimpleITK as sitk

    voxels = to_numpy(image)
    vector = voxels.ndim == 4
    out = sitk.GetImageFromArray(np.moveaxis(voxels, 0, -1) if vector else voxels, isVector=vector)
    geometry = image.geometry
    out.SetSpacing(_reversed(geometry.spacing))
    out.SetOrigin(_reversed(geometry.origin))
    out.SetDirection(np.asarray(geometry.direction)[::-1, ::-1].ravel().tolist())
    return out


def _nibabel_parts(image: Any) -> tuple[torch.Tensor, Geometry]:
    voxels = np.asanyarray(image.dataobj)
    if voxels.ndim == 2:
        voxels = voxels[..., None]
    if voxels.ndim not in (3, 4):
        raise ShapeError(f"a nibabel image of 2 to 4 dimensions is expected; this is {voxels.shape}")
    order = (2, 1, 0) if voxels.ndim == 3 else (3, 2, 1, 0)
    size = tuple(voxels.shape[:3][::-1])
    return _tensor(voxels.transpose(order)), Geometry.from_affine_ras(np.asarray(image.affine).tolist(), size)


def image_from_nibabel(image: Any) -> Image:
    return Image(*_nibabel_parts(image))


def mask_from_nibabel(image: Any) -> Mask:
    return Mask.from_image(Image(*_nibabel_parts(image)))


def to_nibabel(image: Image | Mask) -> Any:
    import nibabel as nib

    voxels = to_numpy(image)
    order = (2, 1, 0) if voxels.ndim == 3 else (3, 2, 1, 0)
    return nib.Nifti1Image(voxels.transpose(order), image.affine_ras)


def to_torchio(image: Image | Mask) -> tuple[torch.Tensor, np.ndarray]:
    voxels = image.tensor if image.tensor.ndim == 4 else image.tensor.unsqueeze(0)
    return voxels.permute(0, 3, 2, 1), image.affine_ras
