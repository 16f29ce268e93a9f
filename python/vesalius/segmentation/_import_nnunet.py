# SPDX-License-Identifier: Apache-2.0
"""nnU-Net v2's trained models as bundles."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .._vesalius.segmentation import NetworkPlan
from ..errors import FormatError, InvalidArgument, IoError
from ._model import Model
from .networks import from_nnunet

__all__ = ["import_nnunet"]


def _safe_globals() -> list[Any]:
    """What nnU-Net's checkpoints hold besides tensors: numpy numbers in their log. None of it runs code."""
    scalar = np.float64(0).__reduce__()[0]  # numpy._core.multiarray.scalar, numpy.core's in numpy 1
    kinds = [np.float64, np.float32, np.int64, np.int32, np.bool_]
    # By both of its names: checkpoints written with numpy 1 are read with numpy 2, and the other way round.
    names = [(scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")]
    return [*names, np.dtype, *kinds, *(type(np.dtype(kind)) for kind in kinds)]


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise IoError(
            f"can't read {path}: {error}. A trained nnU-Net model is the folder nnUNetTrainer__<plans>__<configuration>"
        ) from error


def _checkpoint(path: Path) -> dict[str, Any]:
    try:
        with torch.serialization.safe_globals(_safe_globals()):
            found = torch.load(path, map_location="cpu", weights_only=True)
    except (FileNotFoundError, PermissionError) as error:
        raise IoError(f"can't read {path}: {error}") from error
    except Exception as error:
        raise FormatError(f"{path} is cut short, or holds more than weights and is not opened: {error}") from error
    weights = found.get("network_weights") if isinstance(found, dict) else None
    if not isinstance(weights, dict):
        raise FormatError(f"{path} is no checkpoint of nnU-Net v2: it has no network_weights")
    for name, value in weights.items():
        if not isinstance(name, str) or not isinstance(value, torch.Tensor):
            raise FormatError(f"{path}: network_weights[{name!r}] is a {type(value).__name__}, not a tensor")
    return found


def _mirror_axes(path: Path, found: dict[str, Any]) -> list[int]:
    axes = found.get("inference_allowed_mirroring_axes")
    if axes is None:
        return []
    try:
        return [int(axis) for axis in axes]
    except (TypeError, ValueError) as error:
        raise FormatError(f"{path}: inference_allowed_mirroring_axes is {axes!r}, not a list of axes") from error


def _postprocessing(folder: Path) -> list[str]:
    """Labels whose largest component alone stays, of nnU-Net's postprocessing.json where cross-validation made one."""
    path = folder / "crossval_results_folds_0_1_2_3_4" / "postprocessing.json"
    if not path.exists():
        return []
    try:
        steps = json.loads(_read_text(path))
        kept = []
        for name, arguments in zip(steps["postprocessing_fns"], steps["postprocessing_kwargs"], strict=True):
            if name != "remove_all_but_largest_component_from_segmentation":
                raise FormatError(f"{path}: {name} is not known; known is remove_all_but_largest_component…")
            sets = arguments["labels_or_regions"]
            merged: list[int] = []
            for each in sets if isinstance(sets, list) else [sets]:
                merged += each if isinstance(each, list) else [int(each)]
            kept.append(" ".join(str(v) for v in merged))
        return kept
    except FormatError:
        raise
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise FormatError(f"{path} makes no sense: {error}") from error


def import_nnunet(
    folder: str | os.PathLike[str],
    *,
    folds: list[str] | None = None,
    checkpoint: str = "checkpoint_final.pth",
    previous: Model | str | os.PathLike[str] | None = None,
) -> Model:
    """A trained nnU-Net v2 model, all folds, as a `Model`; ``.save("bundle/")`` makes it a bundle.

    The checkpoints are opened with ``weights_only=True``: nothing in them is executed.

    Parameters
    ----------
    folder : path
        ``nnUNet_results/Dataset…/nnUNetTrainer__nnUNetPlans__3d_fullres``: plans.json, dataset.json, fold_*/.
    folds : names, such as ["0", "1"] or ["all"]; None: every fold with a checkpoint
    checkpoint : str
        The file of each fold.
    previous : Model or folder
        Of ``3d_cascade_fullres``: the model of 3d_lowres. None: the folder beside it that nnU-Net would use.

    Raises
    ------
    IoError, FormatError
        for files that are missing or make no sense (weights that don't fit the plan are listed).
    NotSupported
        for other networks, preprocessors or resampling than nnU-Net's own.
    """
    root = Path(folder)
    plans, dataset = _read_text(root / "plans.json"), _read_text(root / "dataset.json")
    names = [str(fold) for fold in folds or ()] or sorted(
        p.name.removeprefix("fold_") for p in root.glob("fold_*") if (p / checkpoint).is_file()
    )
    if not names:
        raise IoError(f"{root} has no fold_*/{checkpoint}")
    weights: dict[str, dict[str, torch.Tensor]] = {}
    configuration: str | None = None
    mirror: list[int] = []
    for name in names:
        path = root / f"fold_{name}" / checkpoint
        found = _checkpoint(path)
        weights[name] = from_nnunet(found["network_weights"])
        arguments = found.get("init_args")
        own = arguments.get("configuration") if isinstance(arguments, dict) else None
        own = str(own or root.name.split("__")[-1])
        if configuration not in (None, own):
            raise FormatError(f"the folds of {root} are of different configurations: {configuration} and {own}")
        if weights.keys() != {name} and mirror != _mirror_axes(path, found):
            raise FormatError(
                f"the folds of {root} mirror along different axes: {mirror} and {_mirror_axes(path, found)}"
            )
        configuration, mirror = own, _mirror_axes(path, found)
    assert configuration is not None
    plan = NetworkPlan.from_nnunet(plans, dataset, configuration)
    plan.folds = list(weights)
    plan.mirror_axes = mirror
    plan.keep_largest = _postprocessing(root)
    if plan.previous_stage and previous is None:
        sibling = root.with_name("__".join([*root.name.split("__")[:-1], plan.previous_stage]))
        if not sibling.is_dir():
            raise InvalidArgument(
                f"{configuration} continues {plan.previous_stage}, and there is no {sibling}: give previous="
            )
        previous = sibling
    if previous is not None and not isinstance(previous, Model):
        previous = import_nnunet(previous, checkpoint=checkpoint)
    card = (
        f"# {plan.name}\n\nImported from nnU-Net v2: {root.name}, folds {', '.join(weights)} ({checkpoint}).\n\n"
        f"Labels: {', '.join(plan.label_names)}. Channels: {', '.join(plan.channels)}.\n"
    )
    return Model(plan, weights, card=card, previous=previous)
