# SPDX-License-Identifier: Apache-2.0
# Made by `make stubs`; not to be edited.
"""
See vesalius.segmentation.
"""
from __future__ import annotations
import collections.abc
import typing
import vesalius._vesalius.core
from . import metrics
__all__: list[str] = ['ContrastResult', 'Model', 'Plan', 'contrast_threshold', 'gradient_magnitude', 'grow_from_mask', 'grow_from_points', 'metrics', 'otsu', 'otsu_threshold', 'percent_of_maximum', 'threshold', 'watershed']
class ContrastResult:
    """
    What contrast_threshold found.
    """
    @property
    def background(self) -> float:
        """
        mean of the background
        """
    @property
    def iterations(self) -> int:
        ...
    @property
    def mask(self) -> vesalius._vesalius.core.Mask:
        ...
    @property
    def mean70(self) -> float:
        """
        mean of the 70 % isocontour
        """
    @property
    def threshold(self) -> float:
        """
        in the image's units
        """
class Plan:
    """
    What a model does: the fields of a bundle's plan.yaml.

    ``method`` is "threshold" (lower, upper), "otsu" (bins), "percent_of_maximum" (fraction) or "contrast_threshold"
    (mean_weight, background_weight, shell_inner_mm, shell_outer_mm); ``smoothing_mm`` (a Gaussian's standard deviation) comes
    before it, ``opening_mm``, ``keep`` ("all", "largest", "touching") and ``fill_holes`` after it; ``limit_mm`` bounds the two PET
    methods' distance from the region; ``labels`` names the label.
    """
    background_weight: typing.Any
    bins: typing.Any
    connectivity: typing.Any
    fill_holes: typing.Any
    fraction: typing.Any
    keep: typing.Any
    labels: typing.Any
    limit_mm: typing.Any
    lower: typing.Any
    mean_weight: typing.Any
    method: typing.Any
    name: typing.Any
    opening_mm: typing.Any
    shell_inner_mm: typing.Any
    shell_outer_mm: typing.Any
    smoothing_mm: typing.Any
    upper: typing.Any
    version: typing.Any
    @staticmethod
    def from_yaml(text: str) -> Plan:
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
    def replace(self, **kwargs) -> Plan:
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
class Model:
    """
    A segmentation model: a plan of classical steps, loaded from a bundle (a folder).

    Nothing in a bundle is ever executed.
    """
    @staticmethod
    def load(bundle: str) -> Model:
        """
        The model of a bundle: a folder with plan.yaml and card.md.

        Raises IoError when there is no such folder, FormatError for a plan that makes no sense, NotSupported for a network's.
        """
    def __getstate__(self) -> tuple[Plan, str]:
        ...
    def __init__(self, plan: Plan, *, card: str = '') -> None:
        ...
    def __repr__(self) -> str:
        ...
    def __setstate__(self, arg0: tuple) -> None:
        ...
    def predict(self, image: vesalius._vesalius.core.Image, *, region: vesalius._vesalius.core.Mask | None = None) -> vesalius._vesalius.core.Mask:
        """
        The mask, label 1, on the image's grid.

        With `region` (a Mask; its voxels that aren't 0) the method starts from it: the maximum or the histogram is taken there.
        """
    def save(self, bundle: str) -> None:
        """
        Writes plan.yaml and card.md into a folder, which is made if needed.
        """
    @property
    def card(self) -> str:
        """
        card.md: what the model is for, in Markdown.
        """
    @property
    def plan(self) -> Plan:
        ...
def contrast_threshold(image: vesalius._vesalius.core.Image, region: vesalius._vesalius.core.Mask | None, mean_weight: typing.SupportsFloat | typing.SupportsIndex, background_weight: typing.SupportsFloat | typing.SupportsIndex, shell_inner_mm: typing.SupportsFloat | typing.SupportsIndex, shell_outer_mm: typing.SupportsFloat | typing.SupportsIndex, iterations: typing.SupportsInt | typing.SupportsIndex, connectivity: typing.SupportsInt | typing.SupportsIndex, limit_mm: typing.SupportsFloat | typing.SupportsIndex) -> ContrastResult:
    ...
def gradient_magnitude(image: vesalius._vesalius.core.Image, sigma_mm: typing.SupportsFloat | typing.SupportsIndex) -> vesalius._vesalius.core.Image:
    ...
def grow_from_mask(image: vesalius._vesalius.core.Image, seeds: vesalius._vesalius.core.Mask, lower: typing.SupportsFloat | typing.SupportsIndex, upper: typing.SupportsFloat | typing.SupportsIndex, connectivity: typing.SupportsInt | typing.SupportsIndex) -> vesalius._vesalius.core.Mask:
    ...
def grow_from_points(image: vesalius._vesalius.core.Image, seeds: collections.abc.Sequence[typing.Annotated[collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], "FixedSize(3)"]], lower: typing.SupportsFloat | typing.SupportsIndex, upper: typing.SupportsFloat | typing.SupportsIndex, connectivity: typing.SupportsInt | typing.SupportsIndex) -> vesalius._vesalius.core.Mask:
    ...
def otsu(image: vesalius._vesalius.core.Image, region: vesalius._vesalius.core.Mask | None, bins: typing.SupportsInt | typing.SupportsIndex) -> vesalius._vesalius.core.Mask:
    ...
def otsu_threshold(image: vesalius._vesalius.core.Image, region: vesalius._vesalius.core.Mask | None, bins: typing.SupportsInt | typing.SupportsIndex) -> float:
    ...
def percent_of_maximum(image: vesalius._vesalius.core.Image, region: vesalius._vesalius.core.Mask | None, fraction: typing.SupportsFloat | typing.SupportsIndex, connectivity: typing.SupportsInt | typing.SupportsIndex, limit_mm: typing.SupportsFloat | typing.SupportsIndex) -> vesalius._vesalius.core.Mask:
    ...
def threshold(image: vesalius._vesalius.core.Image, lower: typing.SupportsFloat | typing.SupportsIndex, upper: typing.SupportsFloat | typing.SupportsIndex) -> vesalius._vesalius.core.Mask:
    ...
def watershed(relief: vesalius._vesalius.core.Image, markers: vesalius._vesalius.core.Mask, connectivity: typing.SupportsInt | typing.SupportsIndex) -> vesalius._vesalius.core.Mask:
    ...
