# SPDX-License-Identifier: Apache-2.0
"""Model bundles in Python: what C++ does, with paths, folders and progress."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch

from .. import _check
from .._vesalius import segmentation as _c
from .._vesalius.core import Image, Mask
from .._vesalius.segmentation import NetworkPlan, Plan, Prediction
from ..errors import InvalidArgument, IoError

__all__ = ["Model", "sliding_window"]

Progress = bool | Callable[[int, int, str], None]
_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd", ".png", ".tif", ".tiff", ".jpg", ".jpeg", ".dcm")


def _progress(progress: Progress) -> tuple[Any, Callable[[], None]]:
    if callable(progress):
        return progress, lambda: None
    if not progress:
        return None, lambda: None
    from tqdm.auto import tqdm

    bar = tqdm(total=0, leave=False)

    def report(done: int, total: int, what: str) -> None:
        bar.total, bar.n = total, done
        bar.set_description(what, refresh=False)
        bar.refresh()

    return report, bar.close


def _stem(name: str) -> tuple[str, str]:
    for suffix in _SUFFIXES:
        if name.lower().endswith(suffix):
            return name[: -len(suffix)], suffix
    return name, ""


class Model:
    """A segmentation model: a network or a classical method, loaded from a bundle (a folder).

    A bundle is ``plan.yaml`` (what is done), ``card.md`` (for people) and, for a network, ``weights.safetensors``. Nothing in it is
    ever executed; bundles of TorchScript or AOTInductor are programs and load only with ``trusted=True``.

    >>> model = Model.load("bundle/")                                            # doctest: +SKIP
    >>> mask = model.predict(image)              # an Image, a path                # doctest: +SKIP
    >>> model.predict("images/", output="masks/")                                # doctest: +SKIP

    Parameters
    ----------
    plan : Plan or NetworkPlan
    weights : of a network: a state dict, or one for each of the plan's folds
    card : str
        Markdown.
    previous : Model
        Of a cascade: the stage before.
    """

    _core: _c.Model

    def __init__(
        self,
        plan: Plan | NetworkPlan,
        weights: Mapping[str, Any] | None = None,
        *,
        card: str = "",
        previous: Model | None = None,
    ) -> None:
        if isinstance(plan, Plan):
            if weights is not None or previous is not None:
                raise InvalidArgument("a classical method has neither weights nor a previous stage")
            self._core = _c.Model(plan, card=card)
            return
        if weights is None:
            raise InvalidArgument("a network's model needs weights: a state dict, or one for each fold")
        folds: Mapping[str, Any] = weights
        if not weights or isinstance(next(iter(weights.values())), torch.Tensor):
            folds = {plan.folds[0]: weights}
        tensors = {str(fold): {k: v.detach() for k, v in state.items()} for fold, state in folds.items()}
        self._core = _c.network_model(plan, tensors, card, cast(Any, previous._core if previous else None))

    @classmethod
    def load(cls, bundle: str | os.PathLike[str], *, trusted: bool = False) -> Model:
        """The model of a bundle.

        Raises
        ------
        IoError
            when there is no such folder.
        FormatError
            for a plan that makes no sense, and for weights that don't fit it or are cut short.
        NotSupported
            for a bundle of a later version, and for one that holds a program unless it is `trusted`.
        """
        if cls is Model and (Path(bundle) / "ensemble.json").is_file():
            from ._ensemble import Ensemble

            return Ensemble.load(bundle, trusted=trusted)
        model = cls.__new__(cls)
        model._core = _c.Model.load(os.fspath(bundle), trusted=trusted)
        return model

    def save(self, bundle: str | os.PathLike[str], *, precision: str = "float32") -> None:
        """Writes the bundle, a folder, which is made if needed; each file as a whole.

        Parameters
        ----------
        precision : "float32", "float16" or "bfloat16"
            Of a network's weights on disk; `load` widens them to float32 again. float16 halves the file.

        Raises
        ------
        IoError
            where the folder can't be written.
        InvalidArgument
            where float16 can't hold a weight.
        """
        self._core.save(os.fspath(bundle), precision=precision)

    @property
    def plan(self) -> Plan | NetworkPlan:
        return self._core.network_plan if self._core.has_network else self._core.plan

    @property
    def card(self) -> str:
        """card.md: what the model is for, in Markdown."""
        return self._core.card

    @property
    def weights(self) -> dict[str, dict[str, torch.Tensor]]:
        """A network's state dict of each fold, the model's own tensors."""
        return self._core.weights

    def network(self, fold: str | None = None) -> Any:
        """A fold's network as a ``torch.nn.Module`` with copies of the weights: to train on, to look into."""
        from . import networks

        plan = self._core.network_plan
        net = networks.build(plan.spec)
        net.load_state_dict(self.weights[fold or plan.folds[0]])
        return net.eval()

    def predict(
        self,
        image: Image | str | os.PathLike[str],
        *,
        region: Mask | None = None,
        output: str | os.PathLike[str] | None = None,
        mirroring: bool = True,
        step: float | None = None,
        batch: int | None = None,
        precision: str = "float32",
        device: str | Sequence[str] = "cpu",
        skip_background: bool = False,
        folds: Sequence[str] | None = None,
        probabilities: bool = False,
        entropy: bool = False,
        disagreement: bool = False,
        progress: Progress = False,
    ) -> Any:
        """The mask on the image's grid.

        Parameters
        ----------
        image : Image, path, or folder
            A folder: every image in it, or every case where the files are named as nnU-Net's (``case_0000.nii.gz``, one a
            channel). A path of a model with several channels is the first channel's, ``…_0000…``.
        region : Mask
            Classical methods: they start from it (its voxels that aren't 0).
        output : path
            Where the mask is written; for a folder a folder (needed).
        mirroring : bool
            Networks: the mean over the plan's flips; without it 8 times quicker in 3D.
        step : float
            Of the patch between tiles; None: the plan's (0.5).
        batch : int
            Tiles at once; None: one on the CPU, where more only takes memory, two elsewhere.
        precision : "float32", "bfloat16" or "float16"
            bfloat16 is 2 to 4 times quicker on processors with avx512_bf16.
        device : str, or several
            Where the network runs. Of several each has a thread; tiles go to whichever is free, and the result is that of one
            (bit for bit on devices that compute alike).
        skip_background : bool
            Tiles of one constant value aren't computed: they are background.
        folds : names of the folds to use; None: all
        probabilities, entropy, disagreement : bool
            Networks: gives a Prediction, with ``.mask`` and what was asked for.
        progress : bool or callable(done, total, what)

        Returns
        -------
        Mask; Prediction where more than the mask was asked for; of a folder the paths of the masks.

        Raises
        ------
        ShapeError
            for another number of channels.
        InvalidArgument
            for NaN in the image, and options that make no sense.
        """
        if not isinstance(image, str | os.PathLike):
            _check.image(image)
        if not isinstance(image, Image):
            return self._predict_path(
                Path(image), output, region=region, mirroring=mirroring, step=step, batch=batch, precision=precision,
                device=device, skip_background=skip_background, folds=folds, probabilities=probabilities,
                entropy=entropy, disagreement=disagreement, progress=progress,
            )  # fmt: skip
        if not self._core.has_network:
            result: Any = self._core.predict(image, region=region)
        else:
            if region is not None:
                raise InvalidArgument("a network segments the whole image; region is for classical methods")
            options = self._options(mirroring, step, batch, precision, device, skip_background, folds)
            options.probabilities, options.entropy, options.disagreement = probabilities, entropy, disagreement
            report, close = _progress(progress)
            try:
                found: Prediction = self._core.predict_network(image, options, report)
            finally:
                close()
            result = found if probabilities or entropy or disagreement else found.mask
        if output is not None:
            from ..io import write_mask

            write_mask(result.mask if isinstance(result, Prediction) else result, os.fspath(output))
        return result

    def logits(self, image: Image, *, mirroring: bool = True, step: float | None = None, batch: int | None = None,
               precision: str = "float32", device: str | Sequence[str] = "cpu",
               folds: Sequence[str] | None = None) -> torch.Tensor:  # fmt: skip
        """Mean logits of the folds ``[k, z, y, x]`` on the prepared (transposed, cropped, resampled) grid."""
        return self._core.logits(image, self._options(mirroring, step, batch, precision, device, False, folds))

    @staticmethod
    def _options(mirroring: bool, step: float | None, batch: int | None, precision: str, device: str | Sequence[str], skip: bool,
                 folds: Sequence[str] | None) -> _c.PredictOptions:  # fmt: skip
        options = _c.PredictOptions()
        options.mirroring, options.step = mirroring, 0.0 if step is None else float(step)
        options.batch = int(batch or 0)
        options.precision, options.skip_background = precision, skip
        devices = [device] if isinstance(device, str) else [str(d) for d in device]
        if not devices:
            raise InvalidArgument('device is a name such as "cpu" or "cuda:0", or a list of at least one')
        options.device, options.devices = devices[0], devices
        options.folds = [str(fold) for fold in folds or ()]
        if batch is not None and batch < 1:
            raise InvalidArgument(f"batch is 1 or more tiles at once; got {batch}")
        if step is not None and not 0 < step <= 1:
            raise InvalidArgument(f"step lies in (0, 1]; got {step}")
        return options

    def _channels(self) -> int:
        return len(self._core.network_plan.channels) if self._core.has_network else 1

    def _predict_path(self, path: Path, output: str | os.PathLike[str] | None, **options: Any) -> Any:
        if path.is_dir() and any(
            _stem(p.name)[1] and not p.name.endswith(".dcm") for p in path.iterdir() if p.is_file()
        ):
            if output is None:
                raise InvalidArgument("prediction of a folder of images needs output=, the folder for the masks")
            Path(output).mkdir(parents=True, exist_ok=True)
            written = []
            for case, first in self._cases(path):
                target = Path(output) / f"{case}.nii.gz"
                self.predict(self._read(first), output=target, **options)
                written.append(target)
            return written
        return self.predict(self._read(path), output=output, **options)

    def _cases(self, folder: Path) -> Iterator[tuple[str, Path]]:
        """nnU-Net's names (case_0000, case_0001, … one a channel), else a case each file."""
        files = sorted(p for p in folder.iterdir() if p.is_file() and _stem(p.name)[1])
        channelled = [p for p in files if _stem(p.name)[0].endswith("_0000")]
        for p in channelled or files:
            stem = _stem(p.name)[0]
            yield (stem.removesuffix("_0000") if channelled else stem), p

    def _read(self, path: Path) -> Image:
        from ..io import read_image

        stem, suffix = _stem(path.name)
        channels = self._channels()
        if channels == 1 or not stem.endswith("_0000"):
            return read_image(os.fspath(path))
        parts = []
        for channel in range(channels):
            file = path.with_name(f"{stem.removesuffix('_0000')}_{channel:04d}{suffix}")
            if not file.exists():
                raise IoError(f"the model takes {channels} channels; {file} is missing")
            parts.append(read_image(os.fspath(file)))
        for part in parts[1:]:
            if why := parts[0].geometry.difference(part.geometry):
                raise InvalidArgument(f"the channels of {stem.removesuffix('_0000')} lie on different grids: {why}")
        return Image(torch.stack([p.tensor.float() for p in parts]), parts[0].geometry)

    def __repr__(self) -> str:
        plan = self.plan
        if isinstance(plan, Plan):
            return f'Model("{plan.name}", method={plan.method})'
        return f'Model("{plan.name}", network={plan.network}, folds={len(plan.folds)})'

    def __reduce__(self) -> Any:
        if self._core.has_network and cast(NetworkPlan, self.plan).previous_stage:
            raise InvalidArgument("a cascade's model isn't pickled; save it as a bundle and load that")
        weights = self.weights if self._core.has_network else None
        return _rebuild, (self.plan, weights, self.card)


def _rebuild(plan: Plan | NetworkPlan, weights: dict[str, Any] | None, card: str) -> Model:
    return Model(plan, weights, card=card)


def sliding_window(
    network: Callable[[torch.Tensor], torch.Tensor],
    image: torch.Tensor,
    num_classes: int,
    patch_size: Sequence[int],
    *,
    step: float = 0.5,
    gaussian: bool = True,
    mirror_axes: Sequence[int] = (),
    batch: int = 2,
    skip_constant: bool = False,
    progress: Progress = False,
) -> torch.Tensor:
    """nnU-Net's sliding window with any network: logits ``[k, z, y, x]`` float32 on the CPU.

    Parameters
    ----------
    network : callable
        Tiles ``[b, c, …]`` to logits ``[b, k, …]``.
    image : float tensor [c, z, y, x]
        As the network is trained on; padded with 0 where smaller than the patch.
    patch_size : (z, y, x), or (y, x) for a 2D network, slice by slice
    """
    report, close = _progress(progress)
    try:
        return _c.sliding_window(
            network, image, num_classes, [int(p) for p in patch_size], step, gaussian, [int(a) for a in mirror_axes],
            batch, skip_constant, report,
        )  # fmt: skip
    finally:
        close()
