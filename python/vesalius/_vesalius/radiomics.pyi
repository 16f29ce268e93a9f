# SPDX-License-Identifier: Apache-2.0
# Made by `make stubs`; not to be edited.
"""
Radiomics features as the IBSI defines them.
"""
from __future__ import annotations
import collections.abc
import typing
import vesalius._vesalius.core
__all__: list[str] = ['Features', 'Settings', 'catalogue', 'columns', 'extract', 'extract_channels', 'extract_labels', 'extract_slices', 'families', 'find_feature']
class Settings:
    """
    How image and mask are processed before features are computed; see vesalius.radiomics.
    """
    aggregation: typing.Any
    bin_count: typing.Any
    bin_width: typing.Any
    families: typing.Any
    glcm_distances: typing.Any
    interpolation: typing.Any
    ivh_bin_count: typing.Any
    ivh_bin_width: typing.Any
    mask_interpolation: typing.Any
    mask_threshold: typing.Any
    outlier_sigma: typing.Any
    resample: typing.Any
    resegment: typing.Any
    round_intensities: typing.Any
    @staticmethod
    def from_yaml(text: str) -> Settings:
        """
        Settings from YAML text (`path.read_text()` for a file); what it doesn't name keeps its default.
        """
    def __eq__(self, arg0: typing.Any) -> bool:
        ...
    def __getstate__(self) -> dict:
        ...
    def __hash__(self) -> int:
        ...
    def __init__(self, **kwargs) -> None:
        ...
    def __repr__(self) -> str:
        ...
    def __setstate__(self, arg0: dict) -> None:
        ...
    def hash(self) -> str:
        """
        SHA-256 of the canonical YAML; goes into provenance.
        """
    def replace(self, **kwargs) -> Settings:
        """
        A copy with some fields changed.
        """
    def to_dict(self) -> dict:
        """
        The fields by name, in order.
        """
    def to_yaml(self) -> str:
        """
        YAML text that `from_yaml` reads back without loss.
        """
    def validate(self) -> None:
        """
        Raises InvalidArgument that names the setting which makes no sense.
        """
class Features:
    def index_of(self, name: str) -> int:
        ...
    @property
    def columns(self) -> list[tuple[str, dict]]:
        ...
    @property
    def intensity_voxels(self) -> int:
        ...
    @property
    def label(self) -> int:
        ...
    @property
    def morphological_voxels(self) -> int:
        ...
    @property
    def names(self) -> list[str]:
        ...
    @property
    def reasons(self) -> dict[str, str]:
        ...
    @property
    def settings(self) -> Settings:
        ...
    @property
    def settings_hash(self) -> str:
        ...
    @property
    def values(self) -> list[float]:
        ...
def catalogue() -> list[dict]:
    ...
def columns(settings: Settings) -> list[tuple[str, dict]]:
    ...
def extract(image: vesalius._vesalius.core.Image, mask: vesalius._vesalius.core.Mask, settings: Settings, label: typing.SupportsInt | typing.SupportsIndex, channel: typing.SupportsInt | typing.SupportsIndex, progress: typing.Any) -> Features:
    ...
def extract_channels(image: vesalius._vesalius.core.Image, mask: vesalius._vesalius.core.Mask, settings: Settings, label: typing.SupportsInt | typing.SupportsIndex, channels: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], progress: typing.Any) -> dict[int, Features]:
    ...
def extract_labels(image: vesalius._vesalius.core.Image, mask: vesalius._vesalius.core.Mask, settings: Settings, labels: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], channel: typing.SupportsInt | typing.SupportsIndex, progress: typing.Any) -> dict[int, Features]:
    ...
def extract_slices(image: vesalius._vesalius.core.Image, mask: vesalius._vesalius.core.Mask, settings: Settings, label: typing.SupportsInt | typing.SupportsIndex, channel: typing.SupportsInt | typing.SupportsIndex, progress: typing.Any) -> dict[int, Features]:
    ...
def families() -> list[str]:
    ...
def find_feature(name: str) -> dict:
    ...
