# SPDX-License-Identifier: Apache-2.0
# Made by `make stubs`; not to be edited.
"""
See vesalius.segmentation.
"""
from __future__ import annotations
import collections.abc
import torch
import typing
import vesalius._vesalius.core
from . import losses
from . import metrics
from . import transforms
__all__: list[str] = ['Augmentation', 'AugmentationDraw', 'AugmentationSettings', 'CachedCase', 'ChannelStatistics', 'Configuration', 'ContrastResult', 'Dataset', 'DatasetCase', 'Fingerprint', 'LabelSet', 'Model', 'Network', 'NetworkPlan', 'NetworkSpec', 'PatchLoader', 'PatchSampler', 'Plan', 'Plans', 'PredictOptions', 'Prediction', 'PreprocessPlan', 'PreprocessTrace', 'Problem', 'SamplerCase', 'check_dataset', 'contrast_threshold', 'fingerprint', 'foreground_locations', 'gaussian_weights', 'gradient_magnitude', 'grow_from_mask', 'grow_from_points', 'load_case', 'losses', 'metrics', 'network_model', 'otsu', 'otsu_threshold', 'percent_of_maximum', 'plan', 'preprocess_dataset', 'preprocess_image', 'read_safetensors', 'resample_image_to', 'resample_labels_to', 'resample_logits_slab', 'residual_encoder_blocks', 'restore_labels', 'restore_probabilities', 'separate_axis', 'sliding_window', 'threshold', 'tile_starts', 'transforms', 'watershed', 'write_safetensors']
class NetworkSpec:
    """
    What `networks.build` builds; see vesalius.segmentation.networks.
    """
    activation: typing.Any
    deep_supervision: typing.Any
    dimension: typing.Any
    dropout: typing.Any
    features_per_stage: typing.Any
    in_channels: typing.Any
    kernel_sizes: typing.Any
    kind: typing.Any
    n_conv_per_stage: typing.Any
    n_conv_per_stage_decoder: typing.Any
    num_classes: typing.Any
    strides: typing.Any
    @staticmethod
    def from_yaml(text: str) -> NetworkSpec:
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
    def completed(self) -> NetworkSpec:
        """
        Every list filled in with the kind's defaults.
        """
    def hash(self) -> str:
        """
        SHA-256 of the canonical YAML; goes into provenance.
        """
    def replace(self, **kwargs) -> NetworkSpec:
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
    @property
    def divisor(self) -> list[int]:
        ...
class Network:
    """
    The C++ side of vesalius.segmentation.networks.Network.
    """
    def __init__(self, spec: NetworkSpec) -> None:
        ...
    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        ...
    def module_names(self) -> list[str]:
        ...
    def named_buffers(self) -> list:
        ...
    def named_parameters(self) -> list:
        ...
    def set_tap(self, arg0: str, arg1: typing.Any) -> bool:
        ...
    def train(self, arg0: str, arg1: bool) -> None:
        ...
    @property
    def spec(self) -> NetworkSpec:
        ...
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
class LabelSet:
    """
    What the numbers of a label map mean.

    `labels`: pairs of a name and its numbers (several: a region); `regions_class_order`; `ignore`: the number of voxels that nobody
    annotated, or None.
    """
    @staticmethod
    def from_json(text: str) -> LabelSet:
        ...
    def __getstate__(self) -> str:
        ...
    def __init__(self, labels: collections.abc.Sequence[tuple[str, collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex]]], *, regions_class_order: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex] = [], ignore: typing.SupportsInt | typing.SupportsIndex | None = None) -> None:
        ...
    def __repr__(self) -> str:
        ...
    def __setstate__(self, arg0: str) -> None:
        ...
    def foreground(self) -> list[list[int]]:
        """
        What is learnt: the numbers of each class or region, without the background.
        """
    def foreground_names(self) -> list[str]:
        ...
    def to_json(self) -> str:
        ...
    def values(self) -> list[int]:
        """
        The numbers that may stand in a label map, without `ignore`.
        """
    @property
    def has_regions(self) -> bool:
        ...
    @property
    def heads(self) -> int:
        """
        Output channels of a network.
        """
    @property
    def ignore(self) -> int | None:
        ...
    @property
    def labels(self) -> list[tuple[str, list[int]]]:
        ...
    @property
    def regions_class_order(self) -> list[int]:
        ...
class DatasetCase:
    """
    The files of one case.
    """
    def __init__(self, id: str, images: collections.abc.Sequence[str], label: str = '') -> None:
        ...
    def __repr__(self) -> str:
        ...
    @property
    def id(self) -> str:
        ...
    @property
    def images(self) -> list[str]:
        """
        One path a channel.
        """
    @property
    def label(self) -> str:
        """
        Path; empty where there is none.
        """
class Problem:
    """
    Something found in a dataset. A case with a fatal problem is never trained on.
    """
    def __repr__(self) -> str:
        ...
    def __str__(self) -> str:
        ...
    @property
    def fatal(self) -> bool:
        ...
    @property
    def id(self) -> str:
        """
        The case; empty where it concerns the dataset.
        """
    @property
    def kind(self) -> str:
        ...
    @property
    def message(self) -> str:
        ...
class Dataset:
    """
    Images with label maps to train on: nnU-Net's raw format, or a folder with images/ and labels/.
    """
    @staticmethod
    def open(folder: str, *, label_names: collections.abc.Sequence[str] = [], channels: collections.abc.Sequence[str] = []) -> Dataset:
        ...
    def __len__(self) -> int:
        ...
    def __repr__(self) -> str:
        ...
    def subset(self, ids: collections.abc.Sequence[str]) -> Dataset:
        """
        The same dataset with these cases only.
        """
    @property
    def cases(self) -> list[DatasetCase]:
        ...
    @property
    def channels(self) -> list[str]:
        ...
    @property
    def file_problems(self) -> list[Problem]:
        ...
    @property
    def labels(self) -> LabelSet:
        ...
    @property
    def name(self) -> str:
        ...
    @property
    def root(self) -> str:
        ...
    @property
    def test(self) -> list[DatasetCase]:
        ...
class ChannelStatistics:
    """
    Intensities of all labelled voxels, one channel.
    """
    @property
    def max(self) -> float:
        ...
    @property
    def mean(self) -> float:
        ...
    @property
    def median(self) -> float:
        ...
    @property
    def min(self) -> float:
        ...
    @property
    def percentile_00_5(self) -> float:
        ...
    @property
    def percentile_99_5(self) -> float:
        ...
    @property
    def std(self) -> float:
        ...
class Fingerprint:
    """
    What the planner knows of a dataset.
    """
    @staticmethod
    def from_json(text: str) -> Fingerprint:
        ...
    def to_json(self) -> str:
        """
        nnU-Net's dataset_fingerprint.json.
        """
    @property
    def channels(self) -> list[ChannelStatistics]:
        ...
    @property
    def median_relative_size_after_cropping(self) -> float:
        ...
    @property
    def shapes(self) -> list[typing.Annotated[list[int], "FixedSize(3)"]]:
        ...
    @property
    def spacings(self) -> list[typing.Annotated[list[float], "FixedSize(3)"]]:
        ...
class Configuration:
    """
    One network and how its data is prepared; axes (z, y, x) after transposition.
    """
    batch_dice: bool
    def __repr__(self) -> str:
        ...
    def feature_map_elements(self, heads: typing.SupportsInt | typing.SupportsIndex) -> float:
        ...
    @property
    def batch_size(self) -> int:
        ...
    @batch_size.setter
    def batch_size(self, arg0: typing.SupportsInt | typing.SupportsIndex) -> None:
        ...
    @property
    def blocks(self) -> list[int]:
        ...
    @blocks.setter
    def blocks(self, arg0: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex]) -> None:
        ...
    @property
    def data_identifier(self) -> str:
        ...
    @property
    def decoder_convolutions(self) -> list[int]:
        ...
    @decoder_convolutions.setter
    def decoder_convolutions(self, arg0: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex]) -> None:
        ...
    @property
    def features(self) -> list[int]:
        ...
    @features.setter
    def features(self, arg0: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex]) -> None:
        ...
    @property
    def kernels(self) -> list[list[int]]:
        ...
    @property
    def median_size(self) -> list[float]:
        ...
    @property
    def name(self) -> str:
        ...
    @property
    def next_stage(self) -> str:
        ...
    @property
    def normalisation(self) -> list[str]:
        ...
    @property
    def patch_size(self) -> list[int]:
        ...
    @patch_size.setter
    def patch_size(self, arg0: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex]) -> None:
        ...
    @property
    def previous_stage(self) -> str:
        ...
    @property
    def residual(self) -> bool:
        ...
    @property
    def spacing(self) -> list[float]:
        ...
    @property
    def strides(self) -> list[list[int]]:
        ...
    @property
    def use_mask_for_norm(self) -> list[bool]:
        ...
class Plans:
    """
    All configurations of a dataset; nnU-Net's plans.json both ways.
    """
    @staticmethod
    def from_json(text: str) -> Plans:
        ...
    def __getstate__(self) -> str:
        ...
    def __repr__(self) -> str:
        ...
    def __setstate__(self, arg0: str) -> None:
        ...
    def configuration(self, name: str) -> Configuration:
        ...
    def has(self, name: str) -> bool:
        ...
    def to_json(self) -> str:
        ...
    @property
    def channels(self) -> list[ChannelStatistics]:
        ...
    @property
    def configurations(self) -> list[Configuration]:
        ...
    @configurations.setter
    def configurations(self, arg0: collections.abc.Sequence[Configuration]) -> None:
        ...
    @property
    def dataset_name(self) -> str:
        ...
    @property
    def planner(self) -> str:
        ...
    @property
    def plans_name(self) -> str:
        ...
    @property
    def transpose_backward(self) -> typing.Annotated[list[int], "FixedSize(3)"]:
        ...
    @property
    def transpose_forward(self) -> typing.Annotated[list[int], "FixedSize(3)"]:
        ...
class PreprocessTrace:
    """
    How one image was prepared: what the way back needs.
    """
    @property
    def crop_shape(self) -> typing.Annotated[list[int], "FixedSize(3)"]:
        ...
    @property
    def crop_start(self) -> typing.Annotated[list[int], "FixedSize(3)"]:
        ...
    @property
    def geometry(self) -> vesalius._vesalius.core.Geometry:
        ...
    @property
    def new_spacing(self) -> typing.Annotated[list[float], "FixedSize(3)"]:
        ...
    @property
    def shape(self) -> typing.Annotated[list[int], "FixedSize(3)"]:
        ...
    @property
    def shape_before_crop(self) -> typing.Annotated[list[int], "FixedSize(3)"]:
        ...
    @property
    def spacing(self) -> typing.Annotated[list[float], "FixedSize(3)"]:
        ...
    @property
    def transpose(self) -> typing.Annotated[list[int], "FixedSize(3)"]:
        ...
class PreprocessPlan:
    """
    What decides how a case is prepared.
    """
    def __init__(self, plans: Plans, configuration: str) -> None:
        ...
    @property
    def channels(self) -> list[ChannelStatistics]:
        ...
    @property
    def normalisation(self) -> list[str]:
        ...
    @property
    def spacing(self) -> list[float]:
        ...
    @property
    def transpose_forward(self) -> typing.Annotated[list[int], "FixedSize(3)"]:
        ...
    @property
    def use_mask_for_norm(self) -> list[bool]:
        ...
class CachedCase:
    """
    A prepared case on disk, mapped into memory.
    """
    @staticmethod
    def exists(folder: str, id: str) -> bool:
        ...
    @staticmethod
    def open(folder: str, id: str) -> CachedCase:
        ...
    @staticmethod
    def save(folder: str, id: str, image: torch.Tensor, labels: torch.Tensor, trace: PreprocessTrace, label_set: LabelSet) -> None:
        ...
    @property
    def classes(self) -> list[list[int]]:
        ...
    @property
    def id(self) -> str:
        ...
    @property
    def image(self) -> torch.Tensor:
        ...
    @property
    def labels(self) -> torch.Tensor:
        ...
    @property
    def locations(self) -> list[torch.Tensor]:
        ...
    @property
    def trace(self) -> PreprocessTrace:
        ...
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
    See vesalius.segmentation.Model.
    """
    @staticmethod
    def load(bundle: str, trusted: bool) -> Model:
        ...
    def __init__(self, plan: Plan, *, card: str = '') -> None:
        ...
    def logits(self, image: vesalius._vesalius.core.Image, options: PredictOptions) -> torch.Tensor:
        ...
    def predict(self, image: vesalius._vesalius.core.Image, region: vesalius._vesalius.core.Mask | None) -> vesalius._vesalius.core.Mask:
        ...
    def predict_network(self, image: vesalius._vesalius.core.Image, options: PredictOptions, progress: typing.Any) -> Prediction:
        ...
    def save(self, bundle: str, *, precision: str = 'float32') -> None:
        """
        Writes plan.yaml, card.md and weights into a folder, which is made if needed.
        """
    @property
    def card(self) -> str:
        """
        card.md: what the model is for, in Markdown.
        """
    @property
    def has_network(self) -> bool:
        ...
    @property
    def network_plan(self) -> NetworkPlan:
        ...
    @property
    def plan(self) -> Plan:
        ...
    @property
    def weights(self) -> dict[str, dict[str, torch.Tensor]]:
        ...
class PredictOptions:
    """
    See vesalius.segmentation.Model.predict.
    """
    device: str
    disagreement: bool
    entropy: bool
    mirroring: bool
    precision: str
    probabilities: bool
    skip_background: bool
    def __init__(self) -> None:
        ...
    @property
    def batch(self) -> int:
        ...
    @batch.setter
    def batch(self, arg0: typing.SupportsInt | typing.SupportsIndex) -> None:
        ...
    @property
    def devices(self) -> list[str]:
        ...
    @devices.setter
    def devices(self, arg0: collections.abc.Sequence[str]) -> None:
        ...
    @property
    def folds(self) -> list[str]:
        ...
    @folds.setter
    def folds(self, arg0: collections.abc.Sequence[str]) -> None:
        ...
    @property
    def step(self) -> float:
        ...
    @step.setter
    def step(self, arg0: typing.SupportsFloat | typing.SupportsIndex) -> None:
        ...
class Prediction:
    """
    A mask, and what else was asked for: images on the same grid, or None.
    """
    @property
    def disagreement(self) -> vesalius._vesalius.core.Image | None:
        """
        nats [z, y, x]
        """
    @property
    def entropy(self) -> vesalius._vesalius.core.Image | None:
        """
        nats [z, y, x]
        """
    @property
    def mask(self) -> vesalius._vesalius.core.Mask:
        ...
    @property
    def probabilities(self) -> vesalius._vesalius.core.Image | None:
        """
        float32 [classes or regions, z, y, x]
        """
class NetworkPlan:
    """
    plan.yaml of a network's bundle; see vesalius.segmentation.Model.
    """
    channels: typing.Any
    folds: typing.Any
    ignore_label: typing.Any
    intensity_max: typing.Any
    intensity_mean: typing.Any
    intensity_median: typing.Any
    intensity_min: typing.Any
    intensity_percentile_00_5: typing.Any
    intensity_percentile_99_5: typing.Any
    intensity_std: typing.Any
    keep_largest: typing.Any
    label_names: typing.Any
    label_values: typing.Any
    mirror_axes: typing.Any
    name: typing.Any
    network: typing.Any
    network_activation: typing.Any
    network_deep_supervision: typing.Any
    network_dimension: typing.Any
    network_dropout: typing.Any
    network_features_per_stage: typing.Any
    network_in_channels: typing.Any
    network_kernel_sizes: typing.Any
    network_n_conv_per_stage: typing.Any
    network_n_conv_per_stage_decoder: typing.Any
    network_num_classes: typing.Any
    network_strides: typing.Any
    normalisation: typing.Any
    patch_size: typing.Any
    previous_stage: typing.Any
    regions_class_order: typing.Any
    spacing: typing.Any
    tile_step: typing.Any
    transpose_forward: typing.Any
    use_mask_for_norm: typing.Any
    version: typing.Any
    weights: typing.Any
    @staticmethod
    def from_nnunet(plans_json: str, dataset_json: str, configuration: str) -> NetworkPlan:
        """
        Of the text of nnU-Net's plans.json and dataset.json.
        """
    @staticmethod
    def from_plans(plans: Plans, configuration: str, labels: LabelSet, channels: collections.abc.Sequence[str]) -> NetworkPlan:
        """
        Of the planner's plans: one configuration.
        """
    @staticmethod
    def from_yaml(text: str) -> NetworkPlan:
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
    def label_set(self) -> LabelSet:
        ...
    def preprocess(self) -> PreprocessPlan:
        ...
    def replace(self, **kwargs) -> NetworkPlan:
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
        ...
    @property
    def spec(self) -> NetworkSpec:
        """
        The NetworkSpec.
        """
class AugmentationSettings:
    """
    Probabilities and ranges of nnU-Net v2's augmentation.

    Every field is a keyword with nnU-Net's default; see docs/segmentation-augmentation.md for the list in its order.
    """
    blur_sigma: typing.Any
    brightness: typing.Any
    contrast: typing.Any
    dummy_2d: typing.Any
    gamma: typing.Any
    low_resolution: typing.Any
    mask_channels: typing.Any
    mirror_axes: typing.Any
    morphology_radius: typing.Any
    noise_sigma: typing.Any
    p_blur: typing.Any
    p_blur_channel: typing.Any
    p_brightness: typing.Any
    p_contrast: typing.Any
    p_gamma: typing.Any
    p_gamma_inverted: typing.Any
    p_low_resolution: typing.Any
    p_low_resolution_channel: typing.Any
    p_mirror: typing.Any
    p_morphology: typing.Any
    p_morphology_label: typing.Any
    p_noise: typing.Any
    p_remove_component: typing.Any
    p_remove_component_label: typing.Any
    p_rotation: typing.Any
    p_scaling: typing.Any
    previous_labels: typing.Any
    remove_component_limit: typing.Any
    rotation_degrees: typing.Any
    scaling: typing.Any
    @staticmethod
    def from_yaml(text: str) -> AugmentationSettings:
        """
        Settings from YAML text (`path.read_text()` for a file); what it doesn't name keeps its default.
        """
    @staticmethod
    def none() -> AugmentationSettings:
        """
        Every probability 0: only the crop.
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
    def replace(self, **kwargs) -> AugmentationSettings:
        """
        A copy with some fields changed.
        """
    def resolved(self, patch_size: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex]) -> AugmentationSettings:
        """
        With rotation, dummy 2D and mirror axes filled in by nnU-Net's rules for this patch.
        """
    def to_dict(self) -> dict:
        """
        The fields by name, in order.
        """
    def to_yaml(self) -> str:
        """
        YAML text that `from_yaml` reads back without loss.
        """
class AugmentationDraw:
    """
    What was drawn for one sample.
    """
    spatial: bool
    def __init__(self) -> None:
        ...
    @property
    def angles(self) -> list[float]:
        ...
    @angles.setter
    def angles(self, arg0: collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex]) -> None:
        ...
    @property
    def blur_sigma(self) -> list[typing.Annotated[list[float], "FixedSize(3)"] | None]:
        ...
    @blur_sigma.setter
    def blur_sigma(self, arg0: collections.abc.Sequence[typing.Annotated[collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex], "FixedSize(3)"] | None]) -> None:
        ...
    @property
    def brightness(self) -> list[float | None]:
        ...
    @brightness.setter
    def brightness(self, arg0: collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex | None]) -> None:
        ...
    @property
    def contrast(self) -> list[float | None]:
        ...
    @contrast.setter
    def contrast(self, arg0: collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex | None]) -> None:
        ...
    @property
    def gamma(self) -> list[float | None]:
        ...
    @gamma.setter
    def gamma(self, arg0: collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex | None]) -> None:
        ...
    @property
    def gamma_inverted(self) -> list[float | None]:
        ...
    @gamma_inverted.setter
    def gamma_inverted(self, arg0: collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex | None]) -> None:
        ...
    @property
    def low_resolution(self) -> list[float | None]:
        ...
    @low_resolution.setter
    def low_resolution(self, arg0: collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex | None]) -> None:
        ...
    @property
    def mirror_axes(self) -> list[int]:
        ...
    @mirror_axes.setter
    def mirror_axes(self, arg0: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex]) -> None:
        ...
    @property
    def morphology(self) -> list[tuple[int, int, float]]:
        """
        (channel, 0 dilate / 1 erode / 2 close / 3 open, radius) in order.
        """
    @morphology.setter
    def morphology(self, arg1: collections.abc.Sequence[tuple[typing.SupportsInt | typing.SupportsIndex, typing.SupportsInt | typing.SupportsIndex, typing.SupportsFloat | typing.SupportsIndex]]) -> None:
        ...
    @property
    def noise_seed(self) -> int:
        ...
    @noise_seed.setter
    def noise_seed(self, arg0: typing.SupportsInt | typing.SupportsIndex) -> None:
        ...
    @property
    def noise_sigma(self) -> float | None:
        ...
    @noise_sigma.setter
    def noise_sigma(self, arg0: typing.SupportsFloat | typing.SupportsIndex | None) -> None:
        ...
    @property
    def removals(self) -> list[tuple[int, float]]:
        """
        (channel, choice in [0, 1)) in order.
        """
    @removals.setter
    def removals(self, arg1: collections.abc.Sequence[tuple[typing.SupportsInt | typing.SupportsIndex, typing.SupportsFloat | typing.SupportsIndex]]) -> None:
        ...
    @property
    def scale(self) -> float:
        ...
    @scale.setter
    def scale(self, arg0: typing.SupportsFloat | typing.SupportsIndex) -> None:
        ...
class Augmentation:
    """
    The C++ side of vesalius.segmentation.augmentation.Augmentation.
    """
    def __init__(self, settings: AugmentationSettings, patch_size: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex]) -> None:
        ...
    def apply(self, image: torch.Tensor, label: torch.Tensor, draw: AugmentationDraw, previous: torch.Tensor | None = None) -> tuple:
        ...
    def apply_window(self, image: torch.Tensor, label: torch.Tensor, start: typing.Annotated[collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], "FixedSize(3)"], shape: typing.Annotated[collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], "FixedSize(3)"], draw: AugmentationDraw, previous: torch.Tensor | None = None) -> tuple:
        ...
    def draw(self, seed: typing.SupportsInt | typing.SupportsIndex, epoch: typing.SupportsInt | typing.SupportsIndex, iteration: typing.SupportsInt | typing.SupportsIndex, sample: typing.SupportsInt | typing.SupportsIndex, channels: typing.SupportsInt | typing.SupportsIndex) -> AugmentationDraw:
        ...
    @property
    def initial_patch_size(self) -> list[int]:
        ...
    @property
    def patch_size(self) -> list[int]:
        ...
    @property
    def settings(self) -> AugmentationSettings:
        ...
class SamplerCase:
    """
    One case to draw patches from.
    """
    def __init__(self, id: str, image: torch.Tensor, labels: torch.Tensor, classes: collections.abc.Sequence[collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex]], locations: collections.abc.Sequence[torch.Tensor], previous: torch.Tensor | None = None) -> None:
        ...
    @property
    def id(self) -> str:
        ...
    @property
    def image(self) -> torch.Tensor:
        ...
    @property
    def labels(self) -> torch.Tensor:
        ...
class PatchSampler:
    """
    The C++ side of vesalius.segmentation.sampling.PatchSampler.
    """
    def __init__(self, arg0: collections.abc.Sequence[SamplerCase], arg1: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], arg2: typing.SupportsInt | typing.SupportsIndex, arg3: typing.SupportsFloat | typing.SupportsIndex, arg4: typing.SupportsInt | typing.SupportsIndex, arg5: collections.abc.Sequence[collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex]], arg6: typing.SupportsInt | typing.SupportsIndex | None, arg7: collections.abc.Sequence[collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex]], arg8: Augmentation) -> None:
        ...
    def batch(self, epoch: typing.SupportsInt | typing.SupportsIndex, iteration: typing.SupportsInt | typing.SupportsIndex) -> dict:
        ...
    def raw_sample(self, epoch: typing.SupportsInt | typing.SupportsIndex, iteration: typing.SupportsInt | typing.SupportsIndex, sample: typing.SupportsInt | typing.SupportsIndex) -> tuple[torch.Tensor, torch.Tensor]:
        ...
    def window(self, epoch: typing.SupportsInt | typing.SupportsIndex, iteration: typing.SupportsInt | typing.SupportsIndex, sample: typing.SupportsInt | typing.SupportsIndex) -> dict:
        ...
class PatchLoader:
    """
    Batches in order, made ahead on threads.
    """
    def __init__(self, sampler: PatchSampler, first: typing.SupportsInt | typing.SupportsIndex, last: typing.SupportsInt | typing.SupportsIndex, iterations: typing.SupportsInt | typing.SupportsIndex, threads: typing.SupportsInt | typing.SupportsIndex, prefetch: typing.SupportsInt | typing.SupportsIndex) -> None:
        ...
    def next(self, list: bool) -> typing.Any:
        ...
def check_dataset(dataset: Dataset, jobs: typing.SupportsInt | typing.SupportsIndex, progress: typing.Any) -> list[Problem]:
    ...
def contrast_threshold(image: vesalius._vesalius.core.Image, region: vesalius._vesalius.core.Mask | None, mean_weight: typing.SupportsFloat | typing.SupportsIndex, background_weight: typing.SupportsFloat | typing.SupportsIndex, shell_inner_mm: typing.SupportsFloat | typing.SupportsIndex, shell_outer_mm: typing.SupportsFloat | typing.SupportsIndex, iterations: typing.SupportsInt | typing.SupportsIndex, connectivity: typing.SupportsInt | typing.SupportsIndex, limit_mm: typing.SupportsFloat | typing.SupportsIndex) -> ContrastResult:
    ...
def fingerprint(dataset: Dataset, jobs: typing.SupportsInt | typing.SupportsIndex, progress: typing.Any, foreground_samples: typing.SupportsInt | typing.SupportsIndex) -> Fingerprint:
    ...
def foreground_locations(labels: torch.Tensor, set: LabelSet) -> tuple[list[list[int]], list[torch.Tensor]]:
    ...
def gaussian_weights(tile: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex]) -> torch.Tensor:
    ...
def gradient_magnitude(image: vesalius._vesalius.core.Image, sigma_mm: typing.SupportsFloat | typing.SupportsIndex) -> vesalius._vesalius.core.Image:
    ...
def grow_from_mask(image: vesalius._vesalius.core.Image, seeds: vesalius._vesalius.core.Mask, lower: typing.SupportsFloat | typing.SupportsIndex, upper: typing.SupportsFloat | typing.SupportsIndex, connectivity: typing.SupportsInt | typing.SupportsIndex) -> vesalius._vesalius.core.Mask:
    ...
def grow_from_points(image: vesalius._vesalius.core.Image, seeds: collections.abc.Sequence[typing.Annotated[collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], "FixedSize(3)"]], lower: typing.SupportsFloat | typing.SupportsIndex, upper: typing.SupportsFloat | typing.SupportsIndex, connectivity: typing.SupportsInt | typing.SupportsIndex) -> vesalius._vesalius.core.Mask:
    ...
def load_case(case: DatasetCase) -> tuple[vesalius._vesalius.core.Image, typing.Any]:
    ...
def network_model(plan: NetworkPlan, weights: collections.abc.Mapping[str, collections.abc.Mapping[str, torch.Tensor]], card: str, previous: Model) -> Model:
    ...
def otsu(image: vesalius._vesalius.core.Image, region: vesalius._vesalius.core.Mask | None, bins: typing.SupportsInt | typing.SupportsIndex) -> vesalius._vesalius.core.Mask:
    ...
def otsu_threshold(image: vesalius._vesalius.core.Image, region: vesalius._vesalius.core.Mask | None, bins: typing.SupportsInt | typing.SupportsIndex) -> float:
    ...
def percent_of_maximum(image: vesalius._vesalius.core.Image, region: vesalius._vesalius.core.Mask | None, fraction: typing.SupportsFloat | typing.SupportsIndex, connectivity: typing.SupportsInt | typing.SupportsIndex, limit_mm: typing.SupportsFloat | typing.SupportsIndex) -> vesalius._vesalius.core.Mask:
    ...
def plan(fingerprint: Fingerprint, dataset_name: str, channels: collections.abc.Sequence[str], label_count: typing.SupportsInt | typing.SupportsIndex, training_cases: typing.SupportsInt | typing.SupportsIndex, preset: str, memory_gb: typing.SupportsFloat | typing.SupportsIndex | None, spacing: typing.Annotated[collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex], "FixedSize(3)"] | None) -> Plans:
    ...
def preprocess_dataset(dataset: Dataset, plan: PreprocessPlan, folder: str, jobs: typing.SupportsInt | typing.SupportsIndex, progress: typing.Any) -> int:
    ...
def preprocess_image(image: vesalius._vesalius.core.Image, plan: PreprocessPlan, labels: torch.Tensor | None) -> tuple[torch.Tensor, typing.Any, PreprocessTrace]:
    ...
def read_safetensors(path: str) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    ...
def resample_image_to(image: torch.Tensor, shape: typing.Annotated[collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], "FixedSize(3)"], order: typing.SupportsInt | typing.SupportsIndex, separate_axis: typing.SupportsInt | typing.SupportsIndex) -> torch.Tensor:
    ...
def resample_labels_to(labels: torch.Tensor, shape: typing.Annotated[collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], "FixedSize(3)"], separate_axis: typing.SupportsInt | typing.SupportsIndex) -> torch.Tensor:
    ...
def resample_logits_slab(logits: torch.Tensor, trace: PreprocessTrace, first: typing.SupportsInt | typing.SupportsIndex, count: typing.SupportsInt | typing.SupportsIndex) -> torch.Tensor:
    ...
def residual_encoder_blocks(arg0: typing.SupportsInt | typing.SupportsIndex) -> list[int]:
    ...
def restore_labels(logits: torch.Tensor, trace: PreprocessTrace, labels: LabelSet) -> vesalius._vesalius.core.Mask:
    ...
def restore_probabilities(logits: torch.Tensor, trace: PreprocessTrace, labels: LabelSet) -> vesalius._vesalius.core.Image:
    ...
def separate_axis(spacing: typing.Annotated[collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex], "FixedSize(3)"], new_spacing: typing.Annotated[collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex], "FixedSize(3)"]) -> int:
    ...
def sliding_window(network: typing.Any, image: torch.Tensor, num_classes: typing.SupportsInt | typing.SupportsIndex, patch: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], step: typing.SupportsFloat | typing.SupportsIndex, gaussian: bool, mirror_axes: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], batch: typing.SupportsInt | typing.SupportsIndex, skip_constant: bool, progress: typing.Any) -> torch.Tensor:
    ...
def threshold(image: vesalius._vesalius.core.Image, lower: typing.SupportsFloat | typing.SupportsIndex, upper: typing.SupportsFloat | typing.SupportsIndex) -> vesalius._vesalius.core.Mask:
    ...
def tile_starts(length: typing.SupportsInt | typing.SupportsIndex, tile: typing.SupportsInt | typing.SupportsIndex, step: typing.SupportsFloat | typing.SupportsIndex) -> list[int]:
    ...
def watershed(relief: vesalius._vesalius.core.Image, markers: vesalius._vesalius.core.Mask, connectivity: typing.SupportsInt | typing.SupportsIndex) -> vesalius._vesalius.core.Mask:
    ...
def write_safetensors(path: str, tensors: collections.abc.Mapping[str, torch.Tensor], metadata: collections.abc.Mapping[str, str] = {}) -> None:
    ...
