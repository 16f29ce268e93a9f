# SPDX-License-Identifier: Apache-2.0
# Made by `make stubs`; not to be edited.
"""
Images, masks, geometry, devices.
"""
from __future__ import annotations
import collections.abc
import torch
import typing
__all__: list[str] = ['Geometry', 'Image', 'Mask', 'cuda_status', 'load_cuda_kernels', 'sha256_file', 'sha256_tensor']
class Geometry:
    """
    Where a voxel grid lies in the patient.

    Everything is in (z, y, x) order, physical points in LPS millimetres (DICOM's and ITK's). The centre of voxel
    ``i`` lies at ``origin + direction @ (spacing * i)``.
    """
    __hash__: typing.ClassVar[None]  # type: ignore[assignment]
    @staticmethod
    def from_affine_ras(affine: typing.Annotated[collections.abc.Sequence[typing.Annotated[collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex], "FixedSize(4)"]], "FixedSize(4)"], size: typing.Annotated[collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], "FixedSize(3)"]) -> Geometry:
        """
        The reverse of `affine_ras`; size is (z, y, x).
        """
    def __eq__(self, arg0: object) -> bool:
        ...
    def __getstate__(self) -> tuple[typing.Annotated[list[int], "FixedSize(3)"], typing.Annotated[list[float], "FixedSize(3)"], typing.Annotated[list[float], "FixedSize(3)"], typing.Annotated[list[typing.Annotated[list[float], "FixedSize(3)"]], "FixedSize(3)"]]:
        ...
    def __init__(self, size: typing.Annotated[collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], "FixedSize(3)"], *, spacing: typing.Annotated[collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex], "FixedSize(3)"] = [1.0, 1.0, 1.0], origin: typing.Annotated[collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex], "FixedSize(3)"] = [0.0, 0.0, 0.0], direction: typing.Annotated[collections.abc.Sequence[typing.Annotated[collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex], "FixedSize(3)"]], "FixedSize(3)"] | None = None) -> None:
        ...
    def __repr__(self) -> str:
        ...
    def __setstate__(self, arg0: tuple) -> None:
        ...
    def difference(self, other: Geometry, *, tolerance: typing.SupportsFloat | typing.SupportsIndex = 0.01) -> str:
        """
        '' for the same grid, else which part differs by how much.
        """
    def same_as(self, other: Geometry, *, tolerance: typing.SupportsFloat | typing.SupportsIndex = 0.01) -> bool:
        """
        Whether both describe the same grid; tolerance is a fraction of the spacing.
        """
    def to_index(self, point: typing.Annotated[collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex], "FixedSize(3)"]) -> typing.Annotated[list[float], "FixedSize(3)"]:
        """
        LPS mm (z, y, x) to continuous voxel index (z, y, x).
        """
    def to_physical(self, index: typing.Annotated[collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex], "FixedSize(3)"]) -> typing.Annotated[list[float], "FixedSize(3)"]:
        """
        Continuous voxel index (z, y, x) to LPS mm (z, y, x).
        """
    @property
    def affine_ras(self) -> typing.Any:
        """
        nibabel's affine: float64 [4, 4], (i, j, k) to RAS mm.
        """
    @property
    def direction(self) -> typing.Annotated[list[typing.Annotated[list[float], "FixedSize(3)"]], "FixedSize(3)"]:
        """
        3 rows in (z, y, x) order; columns are the index axes' unit vectors
        """
    @property
    def orientation(self) -> str:
        """
        where x, y, z run to, such as 'LPS'
        """
    @property
    def origin(self) -> typing.Annotated[list[float], "FixedSize(3)"]:
        """
        LPS mm (z, y, x), centre of the first voxel
        """
    @property
    def size(self) -> typing.Annotated[list[int], "FixedSize(3)"]:
        """
        voxels (z, y, x)
        """
    @property
    def spacing(self) -> typing.Annotated[list[float], "FixedSize(3)"]:
        """
        mm (z, y, x)
        """
    @property
    def voxel_volume(self) -> float:
        """
        mm³
        """
class Image:
    """
    Voxels with their place in the patient.

    `tensor` is [z, y, x] or [c, z, y, x], of any type, on any device; a 2D image has z = 1. `geometry` says where
    it lies; copies share the voxels.
    """
    @staticmethod
    def from_nibabel(image: typing.Any) -> Image:
        ...
    @staticmethod
    def from_numpy(array: typing.Any, **kwargs) -> Image:
        """
        An image over a numpy array [z, y, x] without a copy; spacing, origin, direction as keywords.
        """
    @staticmethod
    def from_sitk(image: typing.Any) -> Image:
        """
        An image from SimpleITK's (a copy: SimpleITK's buffer can't be owned).
        """
    def __array__(self, *args, **kwargs) -> typing.Any:
        ...
    def __dlpack__(self, **kwargs) -> typing.Any:
        ...
    def __dlpack_device__(self) -> typing.Any:
        ...
    def __getstate__(self) -> tuple[torch.Tensor, Geometry, dict[str, str]]:
        ...
    @typing.overload
    def __init__(self, tensor: torch.Tensor, geometry: Geometry, *, metadata: collections.abc.Mapping[str, str] = {}) -> None:
        ...
    @typing.overload
    def __init__(self, tensor: torch.Tensor, *, spacing: typing.Annotated[collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex], "FixedSize(3)"] = [1.0, 1.0, 1.0], origin: typing.Annotated[collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex], "FixedSize(3)"] = [0.0, 0.0, 0.0], direction: typing.Annotated[collections.abc.Sequence[typing.Annotated[collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex], "FixedSize(3)"]], "FixedSize(3)"] | None = None, metadata: collections.abc.Mapping[str, str] = {}) -> None:
        ...
    def __repr__(self) -> str:
        ...
    def __setstate__(self, arg0: tuple) -> None:
        ...
    def _repr_html_(self) -> typing.Any:
        ...
    def _repr_png_(self) -> typing.Any:
        ...
    def crop(self, start: typing.Annotated[collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], "FixedSize(3)"], count: typing.Annotated[collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], "FixedSize(3)"]) -> Image:
        """
        A view of `count` voxels (z, y, x) from `start`.
        """
    def numpy(self) -> typing.Any:
        """
        The voxels as a numpy array without a copy (a CUDA tensor is copied to the CPU).
        """
    def pad(self, before: typing.Annotated[collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], "FixedSize(3)"], after: typing.Annotated[collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], "FixedSize(3)"], value: typing.SupportsFloat | typing.SupportsIndex = 0.0) -> Image:
        ...
    def plot(self, **kwargs) -> typing.Any:
        """
        Slices through the image; see vesalius.plot.slices.
        """
    def reorient(self, orientation: str) -> Image:
        """
        Axes permuted and flipped so that x, y, z run towards these sides, such as 'LPS' or 'RAS'; nothing is resampled.
        """
    def to(self, device: str) -> Image:
        """
        The same on another device: 'cpu', 'cuda', 'cuda:1'.
        """
    def to_nibabel(self) -> typing.Any:
        """
        A nibabel Nifti1Image in RAS.
        """
    def to_sitk(self) -> typing.Any:
        """
        A SimpleITK image.
        """
    def to_torchio(self) -> typing.Any:
        """
        (tensor [C, W, H, D], affine RAS): TorchIO's and MONAI's order, a view.
        """
    def with_tensor(self, tensor: torch.Tensor) -> Image:
        """
        The same place with other voxels of the same size.
        """
    @property
    def affine_ras(self) -> typing.Any:
        """
        nibabel's affine: float64 [4, 4], (i, j, k) to RAS mm.
        """
    @property
    def geometry(self) -> Geometry:
        ...
    @property
    def metadata(self) -> dict[str, str]:
        """
        What is known besides the voxels: dict of str to str. Assign a whole dict to change it.
        """
    @metadata.setter
    def metadata(self, arg1: collections.abc.Mapping[str, str]) -> None:
        ...
    @property
    def orientation(self) -> str:
        ...
    @property
    def origin(self) -> tuple:
        """
        LPS mm (z, y, x)
        """
    @property
    def shape(self) -> tuple:
        ...
    @property
    def spacing(self) -> tuple:
        """
        mm (z, y, x)
        """
    @property
    def tensor(self) -> torch.Tensor:
        """
        torch.Tensor [z, y, x] or [c, z, y, x], without a copy.
        """
class Mask:
    """
    Whole-number labels [z, y, x] on the grid of what they label; 0 is background.
    """
    @staticmethod
    def from_image(image: Image, names: collections.abc.Mapping[typing.SupportsInt | typing.SupportsIndex, str] = {}) -> Mask:
        """
        The labels of an image that was stored as floats; every voxel must be a whole number.
        """
    @staticmethod
    def from_nibabel(image: typing.Any) -> Mask:
        ...
    @staticmethod
    def from_numpy(array: typing.Any, **kwargs) -> Mask:
        ...
    @staticmethod
    def from_sitk(image: typing.Any) -> Mask:
        ...
    def __array__(self, *args, **kwargs) -> typing.Any:
        ...
    def __dlpack__(self, **kwargs) -> typing.Any:
        ...
    def __dlpack_device__(self) -> typing.Any:
        ...
    def __getstate__(self) -> tuple[torch.Tensor, Geometry, dict[int, str], dict[str, str]]:
        ...
    @typing.overload
    def __init__(self, tensor: torch.Tensor, geometry: Geometry, *, names: collections.abc.Mapping[typing.SupportsInt | typing.SupportsIndex, str] = {}, metadata: collections.abc.Mapping[str, str] = {}) -> None:
        ...
    @typing.overload
    def __init__(self, tensor: torch.Tensor, *, spacing: typing.Annotated[collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex], "FixedSize(3)"] = [1.0, 1.0, 1.0], origin: typing.Annotated[collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex], "FixedSize(3)"] = [0.0, 0.0, 0.0], direction: typing.Annotated[collections.abc.Sequence[typing.Annotated[collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex], "FixedSize(3)"]], "FixedSize(3)"] | None = None, names: collections.abc.Mapping[typing.SupportsInt | typing.SupportsIndex, str] = {}, metadata: collections.abc.Mapping[str, str] = {}) -> None:
        ...
    def __repr__(self) -> str:
        ...
    def __setstate__(self, arg0: tuple) -> None:
        ...
    def _repr_html_(self) -> typing.Any:
        ...
    def _repr_png_(self) -> typing.Any:
        ...
    def crop(self, start: typing.Annotated[collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], "FixedSize(3)"], count: typing.Annotated[collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], "FixedSize(3)"]) -> Mask:
        """
        A view of `count` voxels (z, y, x) from `start`.
        """
    def label_of(self, name: str) -> int:
        ...
    def numpy(self) -> typing.Any:
        """
        The voxels as a numpy array without a copy (a CUDA tensor is copied to the CPU).
        """
    def pad(self, before: typing.Annotated[collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], "FixedSize(3)"], after: typing.Annotated[collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], "FixedSize(3)"]) -> Mask:
        ...
    def plot(self, **kwargs) -> typing.Any:
        """
        Slices through the image; see vesalius.plot.slices.
        """
    def reorient(self, orientation: str) -> Mask:
        """
        Axes permuted and flipped so that x, y, z run towards these sides, such as 'LPS' or 'RAS'; nothing is resampled.
        """
    def select(self, label: typing.SupportsInt | typing.SupportsIndex) -> torch.Tensor:
        """
        Voxels equal to `label`: torch.bool [z, y, x].
        """
    def to(self, device: str) -> Mask:
        """
        The same on another device: 'cpu', 'cuda', 'cuda:1'.
        """
    def to_nibabel(self) -> typing.Any:
        """
        A nibabel Nifti1Image in RAS.
        """
    def to_sitk(self) -> typing.Any:
        """
        A SimpleITK image.
        """
    def to_torchio(self) -> typing.Any:
        """
        (tensor [C, W, H, D], affine RAS): TorchIO's and MONAI's order, a view.
        """
    @property
    def affine_ras(self) -> typing.Any:
        """
        nibabel's affine: float64 [4, 4], (i, j, k) to RAS mm.
        """
    @property
    def geometry(self) -> Geometry:
        ...
    @property
    def labels(self) -> list[int]:
        """
        The labels present, ascending, without 0.
        """
    @property
    def metadata(self) -> dict[str, str]:
        """
        What is known besides the voxels: dict of str to str. Assign a whole dict to change it.
        """
    @metadata.setter
    def metadata(self, arg1: collections.abc.Mapping[str, str]) -> None:
        ...
    @property
    def names(self) -> dict[int, str]:
        """
        Label names: dict of int to str.
        """
    @names.setter
    def names(self, arg1: collections.abc.Mapping[typing.SupportsInt | typing.SupportsIndex, str]) -> None:
        ...
    @property
    def orientation(self) -> str:
        ...
    @property
    def origin(self) -> tuple:
        """
        LPS mm (z, y, x)
        """
    @property
    def shape(self) -> tuple:
        ...
    @property
    def spacing(self) -> tuple:
        """
        mm (z, y, x)
        """
    @property
    def tensor(self) -> torch.Tensor:
        """
        torch.Tensor [z, y, x] of integers, without a copy.
        """
def cuda_status() -> str:
    """
    'available', or why not.
    """
def load_cuda_kernels() -> bool:
    """
    Opens the CUDA kernels; False where there are none.
    """
def sha256_file(path: str) -> str:
    ...
def sha256_tensor(tensor: torch.Tensor) -> str:
    ...
