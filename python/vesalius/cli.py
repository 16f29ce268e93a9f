# SPDX-License-Identifier: Apache-2.0
"""The command line: ``vesalius info|import|extract|segment|import-nnunet|fit|report``.

Exit codes: 0 done, 1 an error of Vesalius (the message says what to do), 2 wrong usage, 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from . import __version__
from .errors import Cancelled, Error, FormatError, InvalidArgument, IoError

Command = Callable[[argparse.Namespace], dict[str, Any]]


def _load_settings(path: str | None) -> Any:
    from . import radiomics

    if path is None:
        return radiomics.Settings()
    try:
        return radiomics.Settings.from_yaml(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise IoError(f"can't read the settings {path}: {error}") from error


def _open_study(path: str, mode: str = "a") -> Any:
    from .store import Study

    if mode != "w" and not Path(path).exists():
        raise IoError(f"there is no study {path}; make one with `vesalius import {path} FOLDER`")
    return Study(path, mode=mode)


def _info(arguments: argparse.Namespace) -> dict[str, Any]:
    from . import io

    path = Path(arguments.path)
    if path.suffix in (".h5", ".hdf5"):
        with _open_study(arguments.path, "r") as study:
            return {
                "study": arguments.path,
                "subjects": len(study.subjects),
                "outcomes": list(study.outcomes.columns),
                "features": sum(facts["features"] for facts in study.provenance["features"].values()),
            }
    return dict(io.info(arguments.path))


def _read_table(path: str, key: str | None) -> Any:
    import pandas as pd

    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise IoError(f"can't read the table {path}: {error}") from error
    key = key or table.columns[0]
    if key not in table.columns:
        raise InvalidArgument(f"{path} has no column {key!r}; it has {', '.join(table.columns)}")
    table[key] = table[key].astype(str)
    repeated = table[key][table[key].duplicated()].tolist()
    if repeated:
        raise InvalidArgument(f"{path} names {', '.join(repeated[:5])} more than once in column {key!r}")
    return table.set_index(key)


def _import(arguments: argparse.Namespace) -> dict[str, Any]:
    from ._import import import_folder
    from .store import Study

    outcomes = _read_table(arguments.outcomes, arguments.id) if arguments.outcomes else None
    clinical = _read_table(arguments.clinical, arguments.id) if arguments.clinical else None
    with Study(arguments.study, mode="a") as study:
        return import_folder(
            study,
            arguments.folder,
            image=arguments.image,
            mask=arguments.mask,
            outcomes=outcomes,
            clinical=clinical,
            metadata=dict(item.split("=", 1) for item in arguments.metadata),
            progress=not arguments.json,
        )


def _extract(arguments: argparse.Namespace) -> dict[str, Any]:
    import vesalius as vs

    settings = _load_settings(arguments.settings)
    if arguments.mask is None:
        try:
            study = _open_study(arguments.image)
        except FormatError as error:
            raise FormatError(
                f"{error}. If it is an image, give its mask too: vesalius extract {arguments.image} MASK"
            ) from error
        with study:
            vs.radiomics.extract_study(study, settings, jobs=arguments.jobs, progress=not arguments.json)
            frame = study.features()
    else:
        image = vs.read_image(arguments.image)
        mask = vs.read_mask(arguments.mask, like=image)
        frame = vs.radiomics.extract(image, mask, settings, label=arguments.label).to_frame()
    if arguments.output:
        try:
            frame.to_csv(arguments.output)
        except OSError as error:
            raise IoError(f"can't write {arguments.output}: {error}") from error
        return {
            "written": arguments.output,
            "rows": frame.shape[0],
            "columns": frame.shape[1],
            "settings_hash": settings.hash(),
        }
    if arguments.mask is None:
        return {
            "study": arguments.image,
            "subjects": frame.shape[0],
            "features": frame.shape[1],
            "settings_hash": settings.hash(),
        }
    return {str(name): value for name, value in frame["value"].items()}


def _network_options(arguments: argparse.Namespace) -> dict[str, Any]:
    return {
        "mirroring": not arguments.no_mirroring,
        "step": arguments.step,
        "precision": arguments.precision,
        "device": arguments.device,
        "progress": not arguments.json,
    }


def _segment_network(arguments: argparse.Namespace) -> dict[str, Any]:
    """A folder of images, or an image of several files."""
    import torch

    import vesalius as vs

    model = vs.segmentation.Model.load(arguments.model)
    options = _network_options(arguments)
    image: Any = arguments.image
    if arguments.channels:
        parts = [vs.read_image(path) for path in (arguments.image, *arguments.channels)]
        image = vs.Image(torch.stack([p.tensor.float() for p in parts]), parts[0].geometry)
    written = model.predict(image, output=arguments.output, **options)
    return {"written": [str(p) for p in written] if isinstance(written, list) else arguments.output}


def _import_nnunet(arguments: argparse.Namespace) -> dict[str, Any]:
    import vesalius as vs

    model = vs.segmentation.import_nnunet(
        arguments.folder, folds=arguments.folds, checkpoint=arguments.checkpoint, previous=arguments.previous
    )
    model.save(arguments.bundle)
    plan = model.plan
    assert isinstance(plan, vs.segmentation.NetworkPlan)
    return {
        "written": arguments.bundle,
        "network": plan.network,
        "folds": ", ".join(plan.folds),
        "patch_size": " x ".join(str(p) for p in plan.patch_size),
        "labels": ", ".join(plan.label_names),
        "parameters": sum(t.numel() for t in model.weights[plan.folds[0]].values()),
    }


def _segment(arguments: argparse.Namespace) -> dict[str, Any]:
    import vesalius as vs

    if arguments.model and (arguments.channels or Path(arguments.image).is_dir() or "_0000." in arguments.image):
        return _segment_network(arguments)
    image = vs.read_image(arguments.image)
    region = vs.read_mask(arguments.region, like=image) if arguments.region else None
    if arguments.model:
        model = vs.segmentation.Model.load(arguments.model)
    else:
        model = vs.segmentation.Model(
            vs.segmentation.Plan(method=arguments.method, keep="touching" if region else "all")
        )
    network = isinstance(model.plan, vs.segmentation.NetworkPlan)
    mask = model.predict(image, region=region, **(_network_options(arguments) if network else {}))
    vs.write_mask(mask, arguments.output)
    result: dict[str, Any] = {"written": arguments.output, "voxels": int((mask.tensor != 0).sum())}
    result["volume_ml"] = result["voxels"] * image.geometry.voxel_volume / 1000
    if arguments.reference:
        reference = vs.read_mask(arguments.reference, like=image)
        result["measures"] = vs.segmentation.metrics.evaluate(mask, reference)
    return result


def _train(arguments: argparse.Namespace) -> dict[str, Any]:
    import vesalius as vs

    folds: list[int | str] = [f if f == "all" else int(f) for f in arguments.folds]
    optional = {
        k: v for k in ("lr", "pretrained", "ema", "splits", "groups") if (v := getattr(arguments, k)) is not None
    }
    result = vs.segmentation.train(
        arguments.dataset,
        out=arguments.out,
        configuration=arguments.configuration,
        folds=folds,
        preset=arguments.preset,
        epochs=arguments.epochs,
        minutes=arguments.minutes,
        device=arguments.device,
        seed=arguments.seed,
        jobs=arguments.jobs,
        label_names=arguments.labels,
        channels=arguments.channels,
        precision=arguments.precision,
        tensorboard=arguments.tensorboard,
        freeze=arguments.freeze,
        progress=not arguments.json,
        **optional,
    )
    return {k: v for k, v in result.items() if k != "folds"}


def _fit(arguments: argparse.Namespace) -> dict[str, Any]:
    from ._fit import fit_study

    with _open_study(arguments.study) as study:
        return fit_study(
            study, outcome=arguments.outcome, folds=arguments.folds, repeats=arguments.repeats, seed=arguments.seed
        )


def _report(arguments: argparse.Namespace) -> dict[str, Any]:
    from . import report

    with _open_study(arguments.study, "r") as study:
        return {"report": str(report.write_study(study, arguments.output))}


def _repair(arguments: argparse.Namespace) -> dict[str, Any]:
    from . import store

    problems = store.repair(arguments.study)
    with _open_study(arguments.study, "r") as study:
        return {"study": arguments.study, "cases": len(study), "problems": problems}


def _verify(arguments: argparse.Namespace) -> dict[str, Any]:
    from . import store

    report = store.verify(arguments.study, megabytes=arguments.megabytes, seconds=arguments.seconds)
    if not report.ok:
        raise FormatError(str(report))
    return {"study": arguments.study, "problems": "none"}


def _pack(arguments: argparse.Namespace) -> dict[str, Any]:
    from . import store

    return {"written": str((store.unpack if arguments.unpack else store.pack)(arguments.study, arguments.output))}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="vesalius",
        description="Medical images to features to outcomes.",
        epilog="exit codes: 0 done, 1 error, 2 wrong usage, 130 stopped. `vesalius COMMAND --help` shows examples.",
    )
    parser.add_argument("--version", action="version", version=f"vesalius {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, run: Command, summary: str, examples: str) -> argparse.ArgumentParser:
        command = commands.add_parser(
            name,
            help=summary,
            description=summary,
            epilog=f"examples:\n{examples}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.set_defaults(run=run)
        command.add_argument("--json", action="store_true", help="print the result as JSON and no progress bar")
        return command

    command = add(
        "info",
        _info,
        "What a file, a DICOM folder or a study holds.",
        "  vesalius info ct.nii.gz\n  vesalius info dicom_folder/ --json\n  vesalius info study.h5",
    )
    command.add_argument("path", help="image, DICOM folder or study")

    command = add(
        "import",
        _import,
        "Puts a folder with one subfolder a subject into a study.",
        "  vesalius import study.h5 patients/ --image PET_image.nii.gz --mask PET_mask.nii.gz\n"
        "  vesalius import study.h5 patients/ --image 'CT*' --outcomes outcomes.csv --id patient",
    )
    command.add_argument("study", help="study file, made where there is none")
    command.add_argument("folder", help="folder with one subfolder a subject")
    command.add_argument(
        "--image",
        required=True,
        metavar="PATTERN",
        help="file (or DICOM folder) name of the image in each subfolder; wildcards allowed",
    )
    command.add_argument("--mask", metavar="PATTERN", help="file name of the mask in each subfolder")
    command.add_argument("--outcomes", metavar="CSV", help="table of outcomes, one row a subject")
    command.add_argument("--clinical", metavar="CSV", help="table of clinical data, one row a subject")
    command.add_argument("--id", metavar="COLUMN", help="column that names the subject (default: the first)")
    command.add_argument(
        "--metadata",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="said of every image, such as modality=PT or units=SUVbw",
    )

    command = add(
        "extract",
        _extract,
        "Radiomics features (IBSI) of one image and mask, or of a whole study.",
        "  vesalius extract ct.nii.gz tumour.nii.gz\n  vesalius extract ct.nii.gz tumour.nii.gz --settings settings.yaml -o features.csv\n  vesalius extract study.h5 --jobs 2",
    )
    command.add_argument("image", metavar="IMAGE|STUDY", help="image, or study.h5")
    command.add_argument("mask", nargs="?", help="mask on the image's grid (not with a study)")
    command.add_argument("--settings", metavar="YAML", help="settings file; default: bins of width 25, no resampling")
    command.add_argument("--label", type=int, default=1, help="label of the mask (default 1)")
    command.add_argument("--jobs", type=int, default=2, help="subjects at a time, for a study (default 2)")
    command.add_argument("-o", "--output", metavar="CSV", help="write the table here")

    command = add(
        "segment",
        _segment,
        "Segments an image by a method or a model bundle.",
        "  vesalius segment pet.nii.gz --method percent_of_maximum --region contour.nii.gz -o tumour.nii.gz\n  vesalius segment pet.nii.gz --model bundle/ -o tumour.nii.gz",
    )
    command.add_argument("image")
    group = command.add_mutually_exclusive_group(required=True)
    group.add_argument("--model", metavar="BUNDLE", help="folder of a model bundle")
    group.add_argument("--method", help="a classical method, such as otsu or percent_of_maximum")
    command.add_argument(
        "--region", metavar="MASK", help="where to look: the result is connected to this mask's region"
    )
    command.add_argument("--reference", metavar="MASK", help="also measure the result against this mask")
    command.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="MASK",
        help="file to write, such as tumour.nii.gz; of a folder a folder",
    )
    command.add_argument(
        "--channels", nargs="+", metavar="IMAGE", help="networks: the other channels, in the plan's order"
    )
    command.add_argument("--no-mirroring", action="store_true", help="networks: 8 times quicker in 3D, a little worse")
    command.add_argument("--step", type=float, help="networks: step between tiles as a part of the patch")
    command.add_argument("--precision", default="float32", choices=["float32", "bfloat16", "float16"])
    command.add_argument("--device", default="cpu", help="networks: cpu, cuda, cuda:1")

    command = add(
        "import-nnunet",
        _import_nnunet,
        "Makes a bundle of a trained nnU-Net v2 model, all folds.",
        "  vesalius import-nnunet nnUNet_results/Dataset004_X/nnUNetTrainer__nnUNetPlans__3d_fullres bundle/\n"
        "  vesalius segment images/ --model bundle/ -o masks/",
    )
    command.add_argument("folder", help="the trained model: plans.json, dataset.json, fold_*/")
    command.add_argument("bundle", help="folder to write")
    command.add_argument("--folds", nargs="+", help="such as 0 1 2, or all (default: every fold with a checkpoint)")
    command.add_argument("--checkpoint", default="checkpoint_final.pth")
    command.add_argument("--previous", metavar="FOLDER", help="cascade: the trained model of the stage before")

    command = add(
        "train",
        _train,
        "Trains a segmentation network on a folder of images and labels, without a setting to touch.",
        "  vesalius train Dataset004_Hippocampus --out run\n"
        "  vesalius train hippocampus/ --out run --preset small --minutes 25 --labels anterior posterior\n"
        "  torchrun --nproc-per-node 2 -m vesalius train data/ --out run",
    )
    command.add_argument("dataset", help="nnU-Net's raw format, or a folder with images/ and labels/")
    command.add_argument(
        "--out", required=True, metavar="FOLDER", help="where all goes; the same folder goes on where it stopped"
    )
    command.add_argument(
        "--configuration", help="2d, 3d_fullres, 3d_lowres, 3d_cascade_fullres (default: 3d_fullres where there is one)"
    )
    command.add_argument("--folds", nargs="+", default=["0"], help="of five, or all (default: 0)")
    command.add_argument("--splits", metavar="FILE", help="nnU-Net's splits_final.json instead of random folds")
    command.add_argument("--groups", metavar="FILE", help="JSON of case to person: nobody is on both sides of a fold")
    command.add_argument("--ema", type=float, metavar="DECAY", help="keep the weights' moving average, such as 0.999")
    command.add_argument("--preset", default="plain", help="plain, resenc_m, resenc_l, resenc_xl, or small for CPUs")
    command.add_argument("--epochs", type=int, help="default 1000 (small: 100)")
    command.add_argument("--minutes", type=float, help="as many epochs as fit, for each fold")
    command.add_argument("--device", default="auto", help="cpu, cuda, cuda:1 (default: cuda where there is one)")
    command.add_argument("--precision", default="auto", help="fp32, bf16, fp16 (default: what the device does well)")
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--jobs", type=int, default=0, help="threads that read and prepare")
    command.add_argument("--lr", type=float, help="initial learning rate")
    command.add_argument(
        "--labels", nargs="+", default=[], metavar="NAME", help="names of 1, 2, … in a plain pair of folders"
    )
    command.add_argument(
        "--channels", nargs="+", default=[], metavar="NAME", help="such as CT, in a plain pair of folders"
    )
    command.add_argument("--pretrained", metavar="BUNDLE", help="start from these weights")
    command.add_argument(
        "--freeze", nargs="+", default=[], metavar="PATTERN", help="parameters that stay, such as 'encoder.*'"
    )
    command.add_argument("--tensorboard", action="store_true")

    command = add(
        "fit",
        _fit,
        "Predicts an outcome from a study's features, in repeated stratified cross-validation.",
        "  vesalius fit study.h5 --outcome lung_metastasis\n  vesalius fit study.h5 --json      # time and event: Cox with elastic net",
    )
    command.add_argument("study")
    command.add_argument("--outcome", help="column of the outcomes (default: time and event, or the only column)")
    command.add_argument("--folds", type=int, default=5)
    command.add_argument("--repeats", type=int, default=10)
    command.add_argument("--seed", type=int, default=0)

    command = add("report", _report, "Writes the HTML report of a study.", "  vesalius report study.h5 -o report")
    command.add_argument("study")
    command.add_argument("-o", "--output", default="report", metavar="FOLDER")

    command = add("repair", _repair, "Makes a study's index anew from its cases.", "  vesalius repair study.h5")
    command.add_argument("study")

    command = add(
        "verify",
        _verify,
        "Checks a study, in a process of its own: checksums, links, version.",
        "  vesalius verify study.h5 --seconds 60",
    )
    command.add_argument("study")
    command.add_argument("--megabytes", type=int, default=4096, help="memory the check may use (default 4096)")
    command.add_argument("--seconds", type=int, default=600, help="time the check may use (default 600)")

    command = add(
        "pack",
        _pack,
        "Makes one self-contained file of a study.",
        "  vesalius pack study.h5 one.h5\n  vesalius pack --unpack one.h5 study.h5",
    )
    command.add_argument("study")
    command.add_argument("output")
    command.add_argument("--unpack", action="store_true", help="the reverse")
    return parser


def _print(result: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(result, indent=2, default=str, allow_nan=True))
        return
    width = max((len(str(k)) for k in result), default=0)
    for key, value in result.items():
        print(f"{key:<{width}}  {value:.10g}" if isinstance(value, float) else f"{key:<{width}}  {value}")


def main(argv: Sequence[str] | None = None) -> int:
    parser = _parser()
    arguments = parser.parse_args(argv)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *where, **more: print(
                f"vesalius: warning: {message}", file=sys.stderr
            )
            result = arguments.run(arguments)
    except (Cancelled, KeyboardInterrupt) as error:
        print(f"vesalius: stopped. {error}".rstrip(), file=sys.stderr)
        return 130
    except Error as error:
        if arguments.json:
            print(json.dumps({"error": type(error).__name__, "message": str(error)}))
        print(f"vesalius: {error}", file=sys.stderr)
        return 1
    _print(result, arguments.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
