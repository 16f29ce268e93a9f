# SPDX-License-Identifier: Apache-2.0
"""nnU-Net's choice after cross-validation: the best configuration, or pair of configurations whose probabilities are averaged."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from ..._vesalius.core import Image, Mask
from ..._vesalius.segmentation import NetworkPlan
from ...errors import InvalidArgument
from .._ensemble import Ensemble, labels_of
from .._model import Model, sliding_window
from ..planning import CachedCase, Dataset, LabelSet, Plans, load_case, open_dataset, restore
from . import evaluate
from .bundles import write_postprocessing
from .cascade import AnyCase, between, network_input, prepared, with_previous
from .reporting import Stages
from .splits import Splits


def find_best_configuration(
    out: str | os.PathLike[str],
    dataset: Dataset | str | os.PathLike[str] | None = None,
    *,
    configurations: Sequence[str] | None = None,
    device: str = "auto",
    mirroring: bool = True,
    progress: bool = True,
) -> dict[str, Any]:
    """Compares the configurations trained in `out` and all pairs of them, case by case with the fold that didn't see it.

    A pair is the mean of both probabilities on the image's grid. The one with the highest mean Dice of the classes wins (a single
    one where they tie); its post-processing is learnt on the same predictions.

    Parameters
    ----------
    out
        Of `train`, called with each configuration and the same folds.
    dataset : optional
        The data set (default: read from where it was).
    configurations : optional
        Names; default: all that have a bundle in `out`.

    Returns
    -------
    dict
        ``best``: one name or two; ``scores``: mean Dice by "a" or "a + b"; ``postprocessing``; ``bundle``: the folder, of a pair an
        `Ensemble`. In ``out/best`` are besides each combination's masks and ``summary.json``.

    Raises
    ------
    InvalidArgument
        where nothing was trained, or the configurations have no fold in common.
    """
    root = Path(out)
    plans = Plans.from_json(_text(root / "plans.json"))
    labels = LabelSet.from_json(_text(root / "labels.json"))
    names = list(configurations or [c.name for c in plans.configurations if _bundle(root, c.name).is_file()])
    missing = [name for name in names if not _bundle(root, name).is_file()]
    if missing or not names:
        raise InvalidArgument(
            f"{root} has no trained {', '.join(missing) or 'configuration'}; call train(…, out={str(root)!r}) first"
        )
    models = {name: Model.load(_bundle(root, name).parent) for name in names}
    folds = [f for f in models[names[0]].weights if all(f in m.weights for m in models.values()) and f != "all"]
    if not folds:
        raise InvalidArgument(f"{', '.join(names)} have no fold in common; train the same folds of each")
    data = _dataset(root, dataset, labels)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    combinations = [(n,) for n in names] + list(itertools.combinations(names, 2))
    found: dict[str, dict[str, list[float]]] = {" + ".join(c): {} for c in combinations}
    files = {c.id: c for c in data.cases}
    splits = Splits.of_run(root, Splits(), asked=False)
    cases = [(f, i) for f in folds for i in splits.of(list(files), f)[1]]
    bar = Stages(progress)
    report = bar.stage("comparing configurations")
    for done, (fold, case) in enumerate(cases):
        of_each = {
            n: _probabilities(root, plans, labels, n, m, fold, case, device, mirroring) for n, m in models.items()
        }
        geometry = next(iter(of_each.values())).geometry
        reference = load_case(files[case])[1]
        assert reference is not None
        for combination in combinations:
            mean = of_each[combination[0]].tensor
            for name in combination[1:]:
                mean = mean + of_each[name].tensor
            mask = Mask(labels_of(mean / len(combination), labels), geometry)
            key = " + ".join(combination)
            found[key][case] = evaluate.measure(mask.tensor, reference, labels)
            _write_mask(mask, root / "best" / key / f"{case}.nii.gz")
        if report is not None:
            report(done + 1, len(cases), case)
    bar.close()
    scores = {key: evaluate.summarise(table, labels.foreground_names())["mean_dice"] for key, table in found.items()}
    best = evaluate.best_configuration(
        {n: scores[n] for n in names}, {c: scores[" + ".join(c)] for c in itertools.combinations(names, 2)}
    )
    key = " + ".join(best)
    steps = _postprocessing(root / "best" / key, [case for _, case in cases], data)
    bundle = root / "best" / "bundle"
    if len(best) == 1:
        stage = models[best[0]].plan
        assert isinstance(stage, NetworkPlan)
        before = Model.load(_bundle(root, best[0]).parent / stage.previous_stage) if stage.previous_stage else None
        Model(stage, models[best[0]].weights, card=models[best[0]].card, previous=before).save(bundle)
        write_postprocessing(bundle, steps)
    else:
        Ensemble({n: models[n] for n in best}, keep_largest=steps).save(bundle)
    result = {"best": list(best), "scores": scores, "postprocessing": steps, "bundle": str(bundle)}
    (root / "best" / "summary.json").write_text(json.dumps({**result, "cases": found}, indent=1), encoding="utf-8")
    return result


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as why:
        raise InvalidArgument(f"{path.parent} is no folder that train wrote: {why}") from why


def _bundle(root: Path, configuration: str) -> Path:
    return root / configuration / "bundle" / "plan.yaml"


def _dataset(root: Path, dataset: Any, labels: LabelSet) -> Dataset:
    """With the cases that were trained on."""
    if dataset is None:
        dataset = json.loads(_text(root / "source.json"))["root"]
    if not isinstance(dataset, Dataset):
        plain = not labels.has_regions and not (Path(dataset) / "dataset.json").is_file()
        dataset = open_dataset(dataset, label_names=labels.foreground_names() if plain else ())
    problems = json.loads(_text(root / "problems.json"))
    broken = {p["id"] for p in problems if p["fatal"]}
    return dataset.subset([c.id for c in dataset.cases if c.id not in broken])


def _probabilities(
    root: Path,
    plans: Plans,
    labels: LabelSet,
    name: str,
    model: Model,
    fold: str,
    case: str,
    device: str,
    mirroring: bool,
) -> Image:
    """Of a case by the fold that didn't see it, float32 [k, z, y, x] on the image's grid."""
    configuration = plans.configuration(name)
    plain = CachedCase.open(str(prepared(root, plans, name)), case)
    item: AnyCase = with_previous(plain, between(root, plans, name)) if configuration.previous_stage else plain
    network = model.network(fold).to(device)
    patch = [int(n) for n in configuration.patch_size]
    logits = sliding_window(
        lambda tiles: network(tiles.to(device)),
        network_input(item, labels),
        labels.heads,
        patch,
        mirror_axes=range(len(patch)) if mirroring else (),
    )
    found = restore(logits, item.trace, labels, probabilities=True)
    assert isinstance(found, Image)
    return found


def _write_mask(mask: Mask, path: Path) -> None:
    from ...io import write_mask

    path.parent.mkdir(parents=True, exist_ok=True)
    write_mask(mask, path)


def _masks(folder: Path, cases: Sequence[str]) -> Iterator[tuple[str, torch.Tensor]]:
    from ...io import read_mask

    for case in cases:
        yield case, read_mask(folder / f"{case}.nii.gz").tensor


def _postprocessing(folder: Path, cases: Sequence[str], data: Dataset) -> list[list[int]]:
    references = {}
    for entry in data.cases:
        reference = load_case(entry)[1] if entry.id in cases else None
        if reference is not None:
            references[entry.id] = reference
    return evaluate.learn_postprocessing(dict(_masks(folder, cases)), references, data.labels)
