# SPDX-License-Identifier: Apache-2.0
# Made by `make stubs`; not to be edited.
"""
Reading and writing images and masks.
"""
from __future__ import annotations
import collections.abc
import typing
import vesalius._vesalius.core
__all__: list[str] = ['FileInfo', 'info', 'read_image', 'read_mask', 'write_image', 'write_mask']
class FileInfo:
    @property
    def dtype(self) -> str:
        ...
    @property
    def format(self) -> str:
        ...
    @property
    def geometry(self) -> vesalius._vesalius.core.Geometry:
        ...
    @property
    def metadata(self) -> dict[str, str]:
        ...
    @property
    def path(self) -> str:
        ...
    @property
    def problems(self) -> list[str]:
        ...
    @property
    def shape(self) -> list[int]:
        ...
def info(path: str, *, progress: typing.Any = None) -> FileInfo:
    ...
def read_image(path: str, *, series: str = '', on_problem: str = 'error', suv: bool = False, progress: typing.Any = None) -> vesalius._vesalius.core.Image:
    ...
def read_mask(path: str, like: vesalius._vesalius.core.Image | None = None, *, rois: collections.abc.Sequence[str] = [], segments: collections.abc.Sequence[str] = [], grid: vesalius._vesalius.core.Image | None = None, series: str = '', on_problem: str = 'error', progress: typing.Any = None) -> vesalius._vesalius.core.Mask:
    ...
def write_image(image: vesalius._vesalius.core.Image, path: str) -> None:
    ...
def write_mask(mask: vesalius._vesalius.core.Mask, path: str) -> None:
    ...
