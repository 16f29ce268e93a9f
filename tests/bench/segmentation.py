# SPDX-License-Identifier: Apache-2.0
"""Segmentation beside MONAI and torch, each job in a process of its own: CPU-seconds (one thread), seconds, peak memory.

python tests/bench/segmentation.py [--quick] [--only window,export,step]
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time


def _measure(function, repeats: int):
    best_cpu = best_wall = float("inf")
    result = None
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        result = function()
        best_cpu, best_wall = min(best_cpu, time.process_time() - cpu), min(best_wall, time.perf_counter() - wall)
    return best_cpu, best_wall, result


def _network(name: str):
    """A peer's network and ours with its weights."""
    import torch
    from monai.networks import nets

    from vesalius.segmentation import networks

    torch.manual_seed(0)
    if name == "unet":
        theirs = nets.UNet(3, 1, 2, (16, 32, 64, 128, 256), (2, 2, 2, 2), num_res_units=2)
        ours = networks.UNet(1, 2)
    elif name == "segresnet":
        theirs, ours = nets.SegResNet(3, 8, 1, 2), networks.SegResNet(1, 2)
    elif name == "plain":
        from dynamic_network_architectures.architectures.unet import PlainConvUNet
        from torch import nn

        theirs = PlainConvUNet(
            1, 4, (32, 64, 128, 256), nn.Conv3d, 3, (1, 2, 2, 2), 2, 2, 2, True, nn.InstanceNorm3d,
            {"eps": 1e-5, "affine": True}, None, None, nn.LeakyReLU, {"inplace": True}, deep_supervision=False,
        )  # fmt: skip
        theirs.apply(theirs.initialize)
        ours = networks.PlainUNet(1, 2, features_per_stage=(32, 64, 128, 256))
        ours.load_state_dict(networks.from_nnunet(theirs.state_dict()))
        return theirs, ours
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours


def window(who: str, network: str, precision: str, size: tuple[int, int, int]):
    """Sliding window, patch 64³, overlap 0.5, Gaussian; the share of voxels whose label differs from MONAI's float32."""
    import torch

    import vesalius as vs

    theirs, ours = _network(network)
    generator = torch.Generator().manual_seed(0)
    x = torch.nn.functional.avg_pool3d(torch.randn(1, 1, *size, generator=generator), 5, 1, 2) * 5
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
    if who == "monai":
        from monai.inferers import sliding_window_inference

        theirs.eval()

        def run():
            with torch.no_grad(), torch.autocast("cpu", dtype, enabled=precision == "bf16"):
                return sliding_window_inference(x, (64, 64, 64), 1, theirs, overlap=0.5, mode="gaussian").argmax(1)
    else:
        fields = {f"network_{k}" if k != "kind" else "network": v for k, v in ours.spec.to_dict().items()}
        plan = vs.segmentation.NetworkPlan(
            **{k: v for k, v in fields.items() if v is not None and v != ""}, spacing=[1.0] * 3, patch_size=[64] * 3,
            channels=["x"], normalisation=["none"], use_mask_for_norm=[0], label_names=["background", "a"],
            label_values=["0", "1"],
        )  # fmt: skip
        model = vs.segmentation.Model(plan, ours.state_dict())
        image = vs.Image(x[0, 0])
        name = {"fp32": "float32", "bf16": "bfloat16"}[precision]

        def run():
            return model.predict(image, mirroring=False, precision=name).tensor[None]

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

    theirs, ours = _network(network)
    net = theirs if who == "peer" else ours
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


JOBS = {"window": window, "export": export, "step": step}


def _child(text: str) -> None:
    import torch

    torch.set_num_threads(1)
    job = json.loads(text)
    run = JOBS[job["job"]](*job["arguments"])
    run() if job["repeats"] > 1 else None
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    cpu, wall, result = _measure(run, job["repeats"])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if job.get("save") and result is not None:
        torch.save(result.to(torch.uint8) if isinstance(result, torch.Tensor) else result, job["save"])
    print(json.dumps({"cpu": cpu, "wall": wall, "peak_mb": peak / 1024, "grown_mb": (peak - before) / 1024}))


def _run(job: str, *arguments: object, repeats: int = 2, save: str = "") -> dict[str, float]:
    text = json.dumps({"job": job, "arguments": arguments, "repeats": repeats, "save": save})
    found = subprocess.run([sys.executable, __file__, "--child", text], capture_output=True, text=True, check=False)
    if found.returncode:
        raise SystemExit(found.stderr[-2000:])
    return json.loads(found.stdout.strip().splitlines()[-1])


def _line(what: str, r: dict[str, float], base: dict[str, float]) -> None:
    print(
        f"| {what} | {r['cpu']:.2f} s | {r['wall']:.2f} s | {r['peak_mb']:.0f} MB | {base['cpu'] / r['cpu']:.1f} |",
        flush=True,
    )


def _dice_loss(a: str, b: str) -> float:
    import torch

    p, q = torch.load(a), torch.load(b)
    return 1 - 2 * float((p.bool() & q.bool()).sum()) / max(1, float(p.bool().sum() + q.bool().sum()))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--child")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="window,export,step")
    arguments = parser.parse_args()
    if arguments.child:
        _child(arguments.child)
        return
    print("| work | CPU | wall | peak | times the first |\n| --- | --- | --- | --- | --- |")
    repeats = 1 if arguments.quick else 3
    folder = tempfile.mkdtemp()
    if "window" in arguments.only:
        size = (96, 96, 96) if arguments.quick else (192, 192, 96)
        for network in ("unet", "segresnet"):
            base = None
            for who, precision in (("monai", "fp32"), ("monai", "bf16"), ("vesalius", "fp32"), ("vesalius", "bf16")):
                save = f"{folder}/{network}_{who}_{precision}.pt"
                r = _run("window", who, network, precision, size, repeats=repeats, save=save)
                base = base or r
                difference = _dice_loss(f"{folder}/{network}_monai_fp32.pt", save)
                _line(f"window {size} {network}: {who} {precision}, Dice loss {difference:.5f}", r, base)
    if "export" in arguments.only:
        for classes in (26,) if arguments.quick else (2, 26, 104):
            base = None
            for who in ("nnunet", "torch", "vesalius"):
                if who == "nnunet" and classes > 26:
                    continue
                r = _run("export", who, classes, 192, repeats=1)
                base = base or r
                _line(f"export {classes} classes 96³ to 192³: {who}, + {r['grown_mb']:.0f} MB", r, base)
    if "step" in arguments.only:
        for network in ("unet", "segresnet", "plain"):
            for precision in ("fp32", "bf16"):
                base = None
                for who in ("peer", "vesalius"):
                    r = _run("step", who, network, precision, repeats=1 if network == "plain" else repeats)
                    base = base or r
                    _line(f"training step {network} {precision}: {who}", r, base)


if __name__ == "__main__":
    main()
