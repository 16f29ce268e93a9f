# SPDX-License-Identifier: Apache-2.0
"""Segmentation beside MONAI, nnU-Net and torch: CPU seconds on one thread, seconds, memory; each job a process of its own.

    python tests/bench/segmentation.py [--quick] [--only window,export,step,augmentation] [--huge]

Sliding windows are of briefly trained networks and, for one Dice loss, of random ones. MONAI's Gaussian weights are centred half
a voxel elsewhere than nnU-Net's and ours and never less than 0.001, so that they differ at the volume's sides: the second Dice
loss is to MONAI with our weights. "grown" is the peak less what the process held before the first run: the imports and the networks.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any


def _measure(function, repeats: int):
    best_cpu = best_wall = float("inf")
    result = None
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        result = function()
        best_cpu, best_wall = min(best_cpu, time.process_time() - cpu), min(best_wall, time.perf_counter() - wall)
    return best_cpu, best_wall, result


def _theirs(name: str) -> Any:
    import torch
    from monai.networks import nets

    torch.manual_seed(0)
    if name == "unet":
        return nets.UNet(3, 1, 2, (16, 32, 64, 128, 256), (2, 2, 2, 2), num_res_units=2)
    if name == "segresnet":
        return nets.SegResNet(3, 8, 1, 2)
    if name == "dynunet":
        return nets.DynUNet(3, 1, 2, [3] * 4, [1, 2, 2, 2], [2] * 3, filters=(32, 64, 128, 256))
    from dynamic_network_architectures.architectures.unet import PlainConvUNet
    from torch import nn

    net = PlainConvUNet(
        1, 4, (32, 64, 128, 256), nn.Conv3d, 3, (1, 2, 2, 2), 2, 2, 2, True, nn.InstanceNorm3d,
        {"eps": 1e-5, "affine": True}, None, None, nn.LeakyReLU, {"inplace": True}, deep_supervision=False,
    )  # fmt: skip
    net.apply(net.initialize)
    return net


def _ours(name: str) -> Any:
    import torch

    from vesalius.segmentation import networks

    torch.manual_seed(0)
    if name == "unet":
        return networks.UNet(1, 2)
    if name == "segresnet":
        return networks.SegResNet(1, 2)
    return networks.PlainUNet(1, 2, features_per_stage=(32, 64, 128, 256))  # DynUNet's stages and features, too


def _volume(size: tuple[int, int, int], seed: int) -> Any:
    import torch

    generator = torch.Generator().manual_seed(seed)
    return torch.nn.functional.avg_pool3d(torch.randn(1, 1, *size, generator=generator), 5, 1, 2) * 5


def weights(network: str, file: str, steps: int):
    """A state dict that MONAI and we share: blobs of smoothed noise, learnt in a few steps (0: random)."""
    import torch

    from vesalius.segmentation import losses

    def run():
        net = _ours(network)
        optimiser = torch.optim.Adam(net.parameters(), 2e-3)
        criterion = losses.DiceCE()
        for step in range(steps):
            x = torch.cat([_volume((64, 64, 64), 2 * step + i) for i in (1, 2)])
            labels = (torch.nn.functional.avg_pool3d(x, 7, 1, 3) > 0.15).long()
            optimiser.zero_grad()
            with torch.autocast("cpu", torch.bfloat16):
                out = net(x)
            criterion(out.float(), labels).backward()
            optimiser.step()
        torch.save(net.state_dict(), file)

    return run


def window(who: str, network: str, precision: str, size: tuple[int, int, int], file: str):
    """Sliding window, patch 64³, overlap 0.5, Gaussian. monai_our_map: MONAI with our Gaussian weights."""
    import torch

    x = _volume(size, 0)
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
    if who.startswith("monai"):
        from monai.inferers import sliding_window_inference

        theirs = _theirs(network)
        theirs.load_state_dict(torch.load(file))
        theirs.eval()
        options: dict[str, Any] = {"overlap": 0.5, "mode": "gaussian"}
        if who == "monai_our_map":
            from vesalius._vesalius.segmentation import gaussian_weights

            options["roi_weight_map"] = gaussian_weights([64, 64, 64])

        def run():
            with torch.no_grad(), torch.autocast("cpu", dtype, enabled=precision == "bf16"):
                return sliding_window_inference(x, (64, 64, 64), 1, theirs, **options).argmax(1)
    else:
        import vesalius as vs

        ours = _ours(network)
        fields = {f"network_{k}" if k != "kind" else "network": v for k, v in ours.spec.to_dict().items()}
        plan = vs.segmentation.NetworkPlan(
            **{k: v for k, v in fields.items() if v is not None and v != ""}, spacing=[1.0] * 3, patch_size=[64] * 3,
            channels=["x"], normalisation=["none"], use_mask_for_norm=[0], label_names=["background", "a"],
            label_values=["0", "1"],
        )  # fmt: skip
        model = vs.segmentation.Model(plan, torch.load(file))
        del ours
        image = vs.Image(x[0, 0])
        name = {"fp32": "float32", "bf16": "bfloat16"}[precision]

        def run():
            return model.predict(image, mirroring=False, precision=name).tensor[None]

    return run


def huge(shape: tuple[int, int, int]):
    """A CT of 512 × 512 × 1000, as int16, by a small network in bfloat16: how much memory."""
    import torch

    import vesalius as vs
    from vesalius.segmentation import networks

    net = networks.PlainUNet(1, 3, features_per_stage=(8, 16, 32))
    plan = vs.segmentation.NetworkPlan(
        network="plain_unet", network_features_per_stage=[8, 16, 32], network_num_classes=3, spacing=[1.0] * 3,
        patch_size=[128] * 3, channels=["CT"], normalisation=["ct"], use_mask_for_norm=[0], intensity_mean=[0.0],
        intensity_median=[0.0], intensity_std=[300.0], intensity_min=[-1000.0], intensity_max=[1000.0],
        intensity_percentile_00_5=[-900.0], intensity_percentile_99_5=[900.0],
        label_names=["background", "a", "b"], label_values=["0", "1", "2"],
    )  # fmt: skip
    model = vs.segmentation.Model(plan, net.state_dict())
    generator = torch.Generator().manual_seed(0)
    voxels = torch.randint(-1000, 1000, shape, dtype=torch.int16, generator=generator)
    image = vs.Image(voxels)

    def run():
        return model.predict(image, mirroring=False, precision="bfloat16", step=0.75, batch=1).tensor[None]

    return run


def export(who: str, classes: int, shape: int):
    """Logits classes × 96³ to labels 192³."""
    import numpy as np
    import torch

    import vesalius as vs
    from vesalius.segmentation import preprocess, restore

    small = shape // 2
    logits = torch.randn(classes, small, small, small, generator=torch.Generator().manual_seed(0))
    if who == "torch":
        return lambda: torch.nn.functional.interpolate(logits[None], (shape,) * 3, mode="trilinear")[0].argmax(0)
    if who == "nnunet":
        from nnunetv2.preprocessing.resampling.default_resampling import resample_data_or_seg_to_shape as resample

        return lambda: resample(
            logits.numpy(), (shape,) * 3, np.ones(3) * 2, np.ones(3), is_seg=False, order=1, order_z=0
        ).argmax(0)
    plan = vs.segmentation.NetworkPlan(
        network="plain_unet", network_features_per_stage=[4, 8], network_num_classes=classes, spacing=[2.0] * 3,
        patch_size=[8] * 3, channels=["x"], normalisation=["none"], use_mask_for_norm=[0],
        label_names=["background", *map(str, range(1, classes))], label_values=[str(k) for k in range(classes)],
    )  # fmt: skip
    _, _, trace = preprocess(vs.Image(torch.ones(shape, shape, shape)), plan.preprocess())
    labels = plan.label_set()
    return lambda: restore(logits, trace, labels)


def step(who: str, network: str, precision: str):
    """Training step: batch 2 of 64³, forward, Dice + cross-entropy, backward, SGD."""
    import torch
    from monai.losses import DiceCELoss

    from vesalius.segmentation import losses

    net = _theirs(network) if who == "peer" else _ours(network)
    x = torch.randn(2, 1, 64, 64, 64)
    labels = (x[:, 0] > 0.5).long()
    optimiser = torch.optim.SGD(net.parameters(), 0.01, momentum=0.99, nesterov=True)
    criterion = (
        DiceCELoss(to_onehot_y=True, softmax=True, include_background=False) if who == "peer" else losses.DiceCE()
    )

    def run():
        optimiser.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            out = net(x)
        criterion(out.float(), labels[:, None]).backward()
        optimiser.step()

    return run


JOBS = {"weights": weights, "window": window, "export": export, "step": step, "huge": huge}


def _child(text: str) -> None:
    import torch

    torch.set_num_threads(1)
    job = json.loads(text)
    run = JOBS[job["job"]](*job["arguments"])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if job["repeats"] > 1:
        run()
    cpu, wall, result = _measure(run, job["repeats"])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if job.get("save") and result is not None:
        torch.save(result.to(torch.uint8) if isinstance(result, torch.Tensor) else result, job["save"])
    print(json.dumps({"cpu": cpu, "wall": wall, "peak_mb": peak / 1024, "grown_mb": (peak - before) / 1024}))


def _run(job: str, *arguments: object, repeats: int = 2, save: str = "") -> dict[str, float]:
    text = json.dumps({"job": job, "arguments": arguments, "repeats": repeats, "save": save})
    found = subprocess.run([sys.executable, __file__, "--child", text], capture_output=True, text=True, check=False)
    if found.returncode:
        raise SystemExit(f"{text} ended with {found.returncode}: {found.stderr[-2000:]}")
    return json.loads(found.stdout.strip().splitlines()[-1])


def _line(what: str, r: dict[str, float], base: dict[str, float]) -> None:
    print(
        f"| {what} | {r['cpu']:.2f} s | {r['wall']:.2f} s | {r['peak_mb']:.0f} MB | {r['grown_mb']:.0f} MB | {base['cpu'] / r['cpu']:.1f} |",
        flush=True,
    )


def _dice_loss(a: str, b: str) -> float:
    import torch

    p, q = torch.load(a), torch.load(b)
    return 1 - 2 * float((p.bool() & q.bool()).sum()) / max(1, float(p.bool().sum() + q.bool().sum()))


def _windows(quick: bool, repeats: int, folder: Path) -> None:
    size = (96, 96, 96) if quick else (192, 192, 96)
    for network in ("unet", "segresnet"):
        for kind, steps in (("trained", 40), ("random", 0)):
            file = str(folder / f"{network}_{kind}_weights.pt")
            _run("weights", network, file, steps, repeats=1)
            jobs = [
                ("monai", "fp32"),
                ("monai", "bf16"),
                ("monai_our_map", "fp32"),
                ("vesalius", "fp32"),
                ("vesalius", "bf16"),
            ]
            if kind == "random":
                jobs = [("monai", "fp32"), ("monai_our_map", "fp32"), ("vesalius", "fp32")]
            base = None
            for who, precision in jobs:
                save = str(folder / f"{network}_{kind}_{who}_{precision}.pt")
                r = _run(
                    "window",
                    who,
                    network,
                    precision,
                    size,
                    file,
                    repeats=repeats if kind == "trained" else 1,
                    save=save,
                )
                base = base or r
                loss = _dice_loss(str(folder / f"{network}_{kind}_monai_fp32.pt"), save)
                what = f"window {size} {network}, {kind} weights: {who} {precision}, Dice loss {loss:.5f}"
                if who == "vesalius":
                    own = _dice_loss(str(folder / f"{network}_{kind}_monai_our_map_fp32.pt"), save)
                    what += f" ({own:.5f} to MONAI with our map)"
                _line(what, r, base)


def _steps(repeats: int) -> None:
    for network, peer in (("plain", "nnU-Net"), ("dynunet", "MONAI"), ("segresnet", "MONAI"), ("unet", "MONAI")):
        for precision in ("fp32", "bf16"):
            base = None
            for who in ("peer", "vesalius"):
                r = _run("step", who, network, precision, repeats=2 if network in ("plain", "dynunet") else repeats)
                base = base or r
                _line(f"training step {network} {precision}: {peer if who == 'peer' else who}", r, base)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--child")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--huge", action="store_true", help="512 × 512 × 1000 within 8 GB, and nothing else")
    parser.add_argument("--only", default="window,export,step,augmentation")
    arguments = parser.parse_args()
    if arguments.child:
        _child(arguments.child)
        return
    print("| work | CPU | wall | peak | grown | times the first |\n| --- | --- | --- | --- | --- | --- |", flush=True)
    if arguments.huge:
        r = _run("huge", (1000, 512, 512), repeats=1)
        _line("512 × 512 × 1000, int16, 3 classes, patch 128³", r, r)
        if r["peak_mb"] > 8192:
            raise SystemExit("more than 8 GB")
        return
    repeats = 1 if arguments.quick else 3
    with tempfile.TemporaryDirectory() as folder:
        if "window" in arguments.only:
            _windows(arguments.quick, repeats, Path(folder))
    if "export" in arguments.only:
        for classes in (26,) if arguments.quick else (2, 26, 104):
            base = None
            for who in ("nnunet", "torch", "vesalius"):
                if who == "nnunet" and classes > 26:
                    continue
                r = _run("export", who, classes, 192, repeats=1)
                base = base or r
                _line(f"export {classes} classes 96³ to 192³: {who}", r, base)
    if "step" in arguments.only:
        _steps(repeats)
    if "augmentation" in arguments.only:
        file = Path(__file__).with_name("augmentation.py")
        subprocess.run([sys.executable, str(file), "4" if arguments.quick else "40"], check=True,
                       env={**os.environ, "OMP_NUM_THREADS": "1"})  # fmt: skip


if __name__ == "__main__":
    main()
