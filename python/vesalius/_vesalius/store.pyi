# SPDX-License-Identifier: Apache-2.0
# Made by `make stubs`; not to be edited.
"""
The study file; use vesalius.store.
"""
from __future__ import annotations
import collections.abc
import numpy
import numpy.typing
import typing
import vesalius._vesalius.core
__all__: list[str] = ['CaseId', 'CaseInfo', 'FeatureTable', 'FeatureValues', 'NewCase', 'Predictions', 'Source', 'Study', 'VoxelInfo', 'pack', 'repair', 'unpack', 'verify_in_process']
class CaseId:
    """
    A subject, and which examination where there are several.
    """
    def __init__(self, subject: str, time_point: str = '') -> None:
        ...
    @property
    def subject(self) -> str:
        ...
    @property
    def time_point(self) -> str:
        ...
class Source:
    """
    The file that voxels were read from.
    """
    def __init__(self, path: str = '', sha256: str = '') -> None:
        ...
    @property
    def path(self) -> str:
        ...
    @property
    def sha256(self) -> str:
        ...
class VoxelInfo:
    """
    What is stored under one name of a case, without its voxels.
    """
    @property
    def content_sha256(self) -> str:
        """
        of voxels and geometry
        """
    @property
    def dtype(self) -> str:
        ...
    @property
    def name(self) -> str:
        ...
    @property
    def sha256(self) -> str:
        """
        of the voxels
        """
    @property
    def shape(self) -> list[int]:
        ...
    @property
    def source(self) -> Source:
        ...
class CaseInfo:
    """
    A case as the index knows it.
    """
    @property
    def added(self) -> str:
        ...
    @property
    def clinical(self) -> list[tuple[str, None | bool | int | float | str]]:
        ...
    @property
    def id(self) -> CaseId:
        ...
    @property
    def images(self) -> list[VoxelInfo]:
        ...
    @property
    def key(self) -> str:
        ...
    @property
    def masks(self) -> list[VoxelInfo]:
        ...
    @property
    def outcome(self) -> list[tuple[str, None | bool | int | float | str]]:
        ...
    @property
    def software(self) -> str:
        ...
class NewCase:
    """
    What a new case holds.
    """
    def __init__(self) -> None:
        ...
    @property
    def clinical(self) -> list[tuple[str, None | bool | int | float | str]]:
        ...
    @clinical.setter
    def clinical(self, arg0: collections.abc.Sequence[tuple[str, None | bool | typing.SupportsInt | typing.SupportsIndex | typing.SupportsFloat | typing.SupportsIndex | str]]) -> None:
        ...
    @property
    def image_sources(self) -> dict[str, Source]:
        ...
    @image_sources.setter
    def image_sources(self, arg0: collections.abc.Mapping[str, Source]) -> None:
        ...
    @property
    def images(self) -> dict[str, vesalius._vesalius.core.Image]:
        ...
    @images.setter
    def images(self, arg0: collections.abc.Mapping[str, vesalius._vesalius.core.Image]) -> None:
        ...
    @property
    def mask_sources(self) -> dict[str, Source]:
        ...
    @mask_sources.setter
    def mask_sources(self, arg0: collections.abc.Mapping[str, Source]) -> None:
        ...
    @property
    def masks(self) -> dict[str, vesalius._vesalius.core.Mask]:
        ...
    @masks.setter
    def masks(self, arg0: collections.abc.Mapping[str, vesalius._vesalius.core.Mask]) -> None:
        ...
    @property
    def outcome(self) -> list[tuple[str, None | bool | int | float | str]]:
        ...
    @outcome.setter
    def outcome(self, arg0: collections.abc.Sequence[tuple[str, None | bool | typing.SupportsInt | typing.SupportsIndex | typing.SupportsFloat | typing.SupportsIndex | str]]) -> None:
        ...
class FeatureValues:
    """
    Features of one case under one group of settings.
    """
    image: str
    mask: str
    settings_hash: str
    settings_yaml: str
    def __init__(self) -> None:
        ...
    @property
    def codes(self) -> list[str]:
        ...
    @codes.setter
    def codes(self, arg0: collections.abc.Sequence[str]) -> None:
        ...
    @property
    def label(self) -> int:
        ...
    @label.setter
    def label(self, arg0: typing.SupportsInt | typing.SupportsIndex) -> None:
        ...
    @property
    def names(self) -> list[str]:
        ...
    @names.setter
    def names(self, arg0: collections.abc.Sequence[str]) -> None:
        ...
    @property
    def values(self) -> list[float]:
        ...
    @values.setter
    def values(self, arg0: collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex]) -> None:
        ...
class FeatureTable:
    """
    Features of all cases that were made with the same settings.
    """
    @property
    def cases(self) -> list[CaseId]:
        ...
    @property
    def codes(self) -> list[str]:
        ...
    @property
    def computed(self) -> list[str]:
        ...
    @property
    def image(self) -> str:
        ...
    @property
    def label(self) -> int:
        ...
    @property
    def mask(self) -> str:
        ...
    @property
    def names(self) -> list[str]:
        ...
    @property
    def set(self) -> str:
        ...
    @property
    def settings_hash(self) -> str:
        ...
    @property
    def settings_yaml(self) -> str:
        ...
    @property
    def software(self) -> list[str]:
        ...
    @property
    def values(self) -> numpy.typing.NDArray[numpy.float64]:
        """
        float64 [cases, features]
        """
class Predictions:
    """
    Values by case, and what is said about them.
    """
    def __init__(self) -> None:
        ...
    @property
    def about(self) -> list[tuple[str, None | bool | int | float | str]]:
        ...
    @about.setter
    def about(self, arg0: collections.abc.Sequence[tuple[str, None | bool | typing.SupportsInt | typing.SupportsIndex | typing.SupportsFloat | typing.SupportsIndex | str]]) -> None:
        ...
    @property
    def rows(self) -> list[tuple[CaseId, list[tuple[str, None | bool | int | float | str]]]]:
        ...
    @rows.setter
    def rows(self, arg0: collections.abc.Sequence[tuple[CaseId, collections.abc.Sequence[tuple[str, None | bool | typing.SupportsInt | typing.SupportsIndex | typing.SupportsFloat | typing.SupportsIndex | str]]]]) -> None:
        ...
class Study:
    """
    The study in C++; vesalius.Study is what to use.
    """
    @staticmethod
    def feature_set(features: FeatureValues) -> str:
        ...
    def __init__(self, path: str, mode: str = 'a') -> None:
        ...
    def add(self, id: CaseId, content: NewCase, overwrite: bool = False) -> None:
        ...
    def add_features(self, id: CaseId, features: FeatureValues) -> None:
        ...
    def add_image(self, id: CaseId, name: str, image: vesalius._vesalius.core.Image, source: Source, overwrite: bool = False) -> None:
        ...
    def add_mask(self, id: CaseId, name: str, mask: vesalius._vesalius.core.Mask, source: Source, overwrite: bool = False) -> None:
        ...
    def add_predictions(self, name: str, predictions: Predictions, overwrite: bool = False) -> None:
        ...
    def begin_batch(self) -> None:
        ...
    def cases(self) -> list[CaseInfo]:
        ...
    def close(self) -> None:
        ...
    def contains(self, id: CaseId) -> bool:
        ...
    def end_batch(self) -> None:
        ...
    def feature_sets(self) -> list[str]:
        ...
    def features(self, set: str) -> FeatureTable:
        ...
    def has_features(self, id: CaseId, set: str) -> bool:
        ...
    def image(self, id: CaseId, name: str = 'image', verify: bool = True) -> vesalius._vesalius.core.Image:
        ...
    def mask(self, id: CaseId, name: str = 'mask', verify: bool = True) -> vesalius._vesalius.core.Mask:
        ...
    def prediction_names(self) -> list[str]:
        ...
    def predictions(self, name: str) -> Predictions:
        ...
    def problems(self) -> list[str]:
        ...
    def provenance(self) -> dict[str, str]:
        ...
    def remove(self, id: CaseId) -> None:
        ...
    def set_clinical(self, id: CaseId, values: collections.abc.Sequence[tuple[str, None | bool | typing.SupportsInt | typing.SupportsIndex | typing.SupportsFloat | typing.SupportsIndex | str]]) -> None:
        ...
    def set_outcome(self, id: CaseId, values: collections.abc.Sequence[tuple[str, None | bool | typing.SupportsInt | typing.SupportsIndex | typing.SupportsFloat | typing.SupportsIndex | str]]) -> None:
        ...
    @property
    def closed(self) -> bool:
        ...
    @property
    def mode(self) -> str:
        ...
    @property
    def packed(self) -> bool:
        ...
    @property
    def path(self) -> str:
        ...
def pack(path: str, out: str) -> None:
    ...
def repair(path: str) -> list[str]:
    ...
def unpack(packed: str, out: str) -> None:
    ...
def verify_in_process(path: str) -> list[str]:
    ...
