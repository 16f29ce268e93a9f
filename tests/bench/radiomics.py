# SPDX-License-Identifier: Apache-2.0
"""Times feature extraction beside whichever peers are installed, and prints the tables of docs/benchmarks.md.

    python tests/bench/radiomics.py [--peer-python PYTHON …] [--cases brain1 sphere10 …] [--no-peers] [--repeat 5]

Peers run in radiomics_peers.py, one process each, with this Python and those named: their requirements differ. One thread
everywhere, CPU seconds of the process (of several repeats the least), so that a busy machine does little harm. All features
of every tool, 32 grey levels; ours with both 3D aggregations. A peer that takes longer than --limit seconds for a case is cut off.
PyRadiomics' lung cases (lung2 has to be downloaded: https://github.com/AIM-Harvard/pyradiomics/releases) are taken from
VESALIUS_DATA (a folder with pyradiomics/lung1_image.nrrd) if it is set.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import SimpleITK as sitk
import torch

import vesalius as vs

HERE = Path(__file__).parent
DATA = HERE.parent / "data" / "radiomics"
SETTINGS = vs.radiomics.Settings(bin_count=32, aggregation=["3D_avg", "3D_comb"], ivh_bin_count=1000)
AGREE = 1e-6


@dataclass
class Case:
    name: str
    title: str
    image: Path
    mask: Path
    labels: list[int] = field(default_factory=lambda: [1])
    voxels: int = 0
    box: int = 0  # voxels of the cropped volume


def ball(radius: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise, and a sphere in it, off the grid's centre: of a symmetric one Z-Rad can't enclose an ellipsoid."""
    z, y, x = np.ogrid[-radius - 2 : radius + 3, -radius - 2 : radius + 3, -radius - 2 : radius + 3]
    inside = ((z - 0.1) ** 2 + (y - 0.2) ** 2 + (x - 0.3) ** 2 <= radius * radius).astype(np.uint8)
    noise = np.random.default_rng(0).normal(0, 100, inside.shape).astype(np.float32)
    return noise, inside


def many_labels() -> tuple[np.ndarray, np.ndarray]:
    """24 balls of radius 14 in one image."""
    labels = np.zeros((70, 140, 210), dtype=np.uint8)
    z, y, x = np.ogrid[-14:15, -14:15, -14:15]
    inside = (z - 0.1) ** 2 + (y - 0.2) ** 2 + (x - 0.3) ** 2 <= 14 * 14
    for i in range(24):
        corner = 3 + 33 * (i // 12), 3 + 45 * (i // 4 % 3), 5 + 50 * (i % 4)
        labels[tuple(slice(c, c + 29) for c in corner)][inside] = i + 1
    return np.random.default_rng(1).normal(0, 100, labels.shape).astype(np.float32), labels


def cases(folder: Path, wanted: list[str]) -> list[Case]:
    """All as compressed NIfTI, which every peer reads."""
    sources: dict[str, tuple[str, Callable[[], tuple[sitk.Image, sitk.Image]]]] = {}
    roots = [DATA] + ([Path(os.environ["VESALIUS_DATA"])] if "VESALIUS_DATA" in os.environ else [])

    def add_files(name: str, title: str, image: str, mask: str) -> None:
        for root in roots:
            if (root / image).exists():
                sources[name] = title, lambda: (sitk.ReadImage(str(root / image)), sitk.ReadImage(str(root / mask)))
                return

    def from_arrays(pair: tuple[np.ndarray, np.ndarray]) -> tuple[sitk.Image, sitk.Image]:
        return sitk.GetImageFromArray(pair[0]), sitk.GetImageFromArray(pair[1])

    add_files("brain1", "PyRadiomics' brain1", "pyradiomics/brain1_image.nrrd", "pyradiomics/brain1_label.nrrd")
    for lung in ("lung1", "lung2"):
        add_files(lung, f"PyRadiomics' {lung}", f"pyradiomics/{lung}_image.nrrd", f"pyradiomics/{lung}_label.nrrd")
    add_files("ct_phantom", "IBSI CT phantom", "ibsi1/ct_phantom/image.nii.gz", "ibsi1/ct_phantom/mask.nii.gz")
    for radius in (10, 30, 60, 134):  # 134: ten million voxels
        sources[f"sphere{radius}"] = f"sphere of noise, radius {radius}", lambda r=radius: from_arrays(ball(r))  # type: ignore[misc]
    sources["labels24"] = "24 spheres, one call", lambda: from_arrays(many_labels())
    sources["labels1"] = "the same voxels as one label", lambda: from_arrays((many_labels()[0], (many_labels()[1] > 0).astype(np.uint8)))  # fmt: skip
    out = []
    for name, (title, make) in sources.items():
        if wanted and name not in wanted:
            continue
        image, mask = make()
        labels = sitk.GetArrayViewFromImage(mask) if name == "labels24" else sitk.GetArrayViewFromImage(mask) == 1
        where = np.nonzero(labels)
        case = Case(name, title, folder / f"{name}.nii.gz", folder / f"{name}-mask.nii.gz")
        case.voxels = len(where[0])
        case.box = int(np.prod([np.ptp(w) + 1 for w in where]))
        if name == "labels24":
            case.labels = list(range(1, 25))
        sitk.WriteImage(image, str(case.image), useCompression=True, compressionLevel=1)
        sitk.WriteImage(sitk.Cast(mask, sitk.sitkUInt8), str(case.mask), useCompression=True, compressionLevel=1)
        out.append(case)
    return out


def best(work: Callable[[], Any], repeat: int) -> float:
    least = float("inf")
    for _ in range(repeat):
        start = time.process_time()
        work()
        least = min(least, time.process_time() - start)
        if least > 5:
            break
    return least


def ours(case: Case, repeat: int) -> dict[str, Any]:
    def read() -> tuple[vs.Image, vs.Mask]:
        image = vs.read_image(case.image)
        return image, vs.read_mask(case.mask, like=image)

    def extract(image: vs.Image, mask: vs.Mask) -> dict[int, vs.radiomics.Features]:
        if len(case.labels) > 1:
            return vs.radiomics.extract_labels(image, mask, SETTINGS)
        return {1: vs.radiomics.extract(image, mask, SETTINGS)}

    pair = read()
    features = next(iter(extract(*pair).values()))
    return {
        "memory": best(lambda: extract(*pair), repeat),
        "files": best(lambda: extract(*read()), repeat),
        "reading": best(read, repeat),
        "sitk": best(lambda: (sitk.ReadImage(str(case.image)), sitk.ReadImage(str(case.mask))), repeat),
        "features": len(features),
        "values": features.to_dict(),
    }


def answers_of(python: str, peer: str, todo: list[Case], repeat: int, limit: float) -> dict[str, dict[str, Any]]:
    """What a peer says of each case. One process for all; a new one after a case that took too long or crashed it."""
    found: dict[str, dict[str, Any]] = {}
    while todo:
        request = [
            {"name": c.name, "image": str(c.image), "mask": str(c.mask), "labels": c.labels, "repeat": repeat, "files": c.name in ("brain1", "lung1", "lung2", "ct_phantom")}
            for c in todo
        ]  # fmt: skip
        process = subprocess.Popen(
            [python, str(HERE / "radiomics_peers.py"), peer],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=tempfile.gettempdir(),
        )  # fmt: skip
        assert process.stdin and process.stdout
        process.stdin.write(json.dumps(request))
        process.stdin.close()
        lines: queue.Queue[str] = queue.Queue()

        def listen(stream: Any = process.stdout, lines: queue.Queue[str] = lines) -> None:
            for line in stream:
                lines.put(line)
            lines.put("")

        threading.Thread(target=listen, daemon=True).start()
        for case in list(todo):
            # Of CPU time, as a busy machine stretches the other; imports and reading come on top.
            start = cpu_of(process.pid)
            line = None
            while line is None:
                try:
                    line = lines.get(timeout=0.5)
                except queue.Empty:
                    if cpu_of(process.pid) - start > limit + 15:
                        process.kill()
                        found[case.name] = {"error": f"> {limit:.0f} s"}
                        break
            todo.remove(case)
            print(f"{peer}: {case.name}", file=sys.stderr)
            if line is None:
                break
            if line == "":
                found[case.name] = {"error": f"ended with code {process.wait()}"}
                break
            found[case.name] = json.loads(line)
        else:
            process.wait()
    return found


def cpu_of(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return float("inf")
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peers_of(pythons: list[str]) -> dict[str, tuple[str, str]]:
    """Peer → (Python, version)."""
    found: dict[str, tuple[str, str]] = {}
    for python in pythons:
        listed = subprocess.run(
            [python, str(HERE / "radiomics_peers.py"), "--list"], capture_output=True, text=True, check=True
        )
        for peer, version in json.loads(listed.stdout).items():
            found.setdefault(peer, (python, version))
    return found


def agreement(values: dict[str, float], theirs: dict[str, float]) -> str:
    """How many of the compared features are equal, and which aren't."""
    # mean, variance and the like of a peer that computes in single precision differ in the seventh digit
    off = [k for k, v in theirs.items() if not abs(values[k] - v) <= AGREE * max(abs(v), 1e-12)]
    return f"{len(theirs) - len(off)}/{len(theirs)}" + (f" ({', '.join(off)} differ)" if off else "")


def seconds(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.4f}" if value < 0.1 else f"{value:.3g}"


def memory_of(case: Case) -> float:
    """Peak of the extraction above what image and mask take, in cropped volumes of float64; in a process of its own."""
    code = (
        "import sys, resource, vesalius as vs\n"
        "def peak():\n"
        "    return next(int(l.split()[1]) for l in open('/proc/self/status') if l.startswith('VmHWM')) * 1024\n"
        "small = vs.Image.from_numpy(__import__('numpy').random.default_rng(0).normal(0, 9, (9, 9, 9)))\n"
        "vs.radiomics.extract(small, vs.Mask(small.tensor > -99), vs.radiomics.Settings(bin_count=32))\n"
        "image = vs.read_image(sys.argv[1]); mask = vs.read_mask(sys.argv[2], like=image)\n"
        "open('/proc/self/clear_refs', 'w').write('5')\n"
        "before = peak()\n"
        f"vs.radiomics.extract(image, mask, vs.radiomics.Settings.from_yaml({SETTINGS.to_yaml()!r}))\n"
        "print(peak() - before)\n"
    )
    out = subprocess.run(
        [sys.executable, "-c", code, str(case.image), str(case.mask)], capture_output=True, text=True, check=True
    )
    return float(out.stdout.split()[-1]) / (8 * case.box)


def with_threads(case: Case, repeat: int) -> str:
    """Wall-clock seconds of one extraction with one thread and with all cores: the machine should be idle."""
    image = vs.read_image(case.image)
    mask = vs.read_mask(case.mask, like=image)
    cells = []
    for threads in sorted({1, os.cpu_count() or 1}):
        torch.set_num_threads(threads)
        least = float("inf")
        for _ in range(repeat):
            start = time.perf_counter()
            vs.radiomics.extract_labels(image, mask, SETTINGS)
            least = min(least, time.perf_counter() - start)
        cells.append(f"{threads}: {seconds(least)} s")
    torch.set_num_threads(1)
    return f"- {case.title}: " + ", ".join(cells)


def throughput(folder: Path, count: int = 24) -> str:
    rng = np.random.default_rng(3)
    noise, inside = ball(20)
    pairs = []
    for i in range(count):
        vs.write_image(
            vs.Image.from_numpy(noise + rng.normal(0, 50, noise.shape).astype(np.float32)), folder / f"batch{i}.nii.gz"
        )
        vs.write_mask(vs.Mask(torch.from_numpy(inside)), folder / f"batch{i}-mask.nii.gz")
        pairs.append((folder / f"batch{i}.nii.gz", folder / f"batch{i}-mask.nii.gz"))
    lines = []
    for jobs in sorted({1, os.cpu_count() or 1}):
        batch = vs.radiomics.extract_batch(pairs, SETTINGS, jobs=jobs)
        s = batch.seconds
        lines.append(f"| {jobs} | {count} of {int(inside.sum()):,} voxels | {count / s['wall']:.1f} | {s['reading'] / count:.4f} | {s['extraction'] / count:.4f} |")  # fmt: skip
    return "\n".join(["| threads | cases | cases a second | reading, s a case | extraction, s a case |", "| --- | --- | --- | --- | --- |", *lines])  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer-python", action="append", default=[], help="a Python with peers; may be repeated")
    parser.add_argument("--cases", nargs="*", default=[])
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--peers", nargs="*", default=[], help="only these")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--limit", type=float, default=60)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    peers = {} if arguments.no_peers else peers_of([sys.executable, *arguments.peer_python])
    if arguments.peers:
        peers = {name: found for name, found in peers.items() if name in arguments.peers}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        todo = cases(folder, arguments.cases)
        mine = {}
        for c in todo:
            mine[c.name] = ours(c, arguments.repeat)
            print(f"Vesalius: {c.name}: {mine[c.name]['memory']:.4f} s", file=sys.stderr)
        theirs = {p: answers_of(python, p, list(todo), max(1, arguments.repeat // 2), arguments.limit) for p, (python, _) in peers.items()}  # fmt: skip
        count = mine[todo[0].name]["features"] if todo else 0
        print(
            f"Vesalius: {len(vs.radiomics.catalogue())} features, {count} columns (3D merged and averaged), 32 grey levels."
        )
        for peer, (_, version) in peers.items():
            counts = {a["features"] for a in theirs[peer].values() if "features" in a}
            print(f"{peer} {version}: {max(counts) if counts else 'no'} features.")

        print("\nFrom memory, CPU seconds:\n")
        print("| case | voxels | Vesalius | " + " | ".join(peers) + " | fastest peer / ours | 20 times |")
        print("| --- | --- | --- |" + " --- |" * (len(peers) + 2))
        for c in todo:
            cells, least = [], float("inf")
            for peer in peers:
                a = theirs[peer].get(c.name, {})
                value = a.get("memory", a.get("files"))
                least = min(least, value if value is not None else float("inf"))
                note = "" if "memory" in a else " (files)"
                cells.append(seconds(value) + note if value is not None else a.get("error", "–")[:40])
            ratio = least / mine[c.name]["memory"]
            verdict = ("yes" if ratio >= 20 else "no") if np.isfinite(ratio) else "–"
            print(f"| {c.title} | {c.voxels:,} | {seconds(mine[c.name]['memory'])} | {' | '.join(cells)} | {f'{ratio:.1f}' if np.isfinite(ratio) else '–'} | {verdict} |")  # fmt: skip

        print("\nFrom files (compressed NIfTI), CPU seconds:\n")
        print(
            "| case | SimpleITK reads | Vesalius reads | Vesalius reads and extracts | × SimpleITK's reading | "
            + " | ".join(peers)
            + " |"
        )
        print("| --- | --- | --- | --- | --- |" + " --- |" * len(peers))
        for c in todo:
            m = mine[c.name]
            cells = [seconds(theirs[p].get(c.name, {}).get("files")) for p in peers]
            print(f"| {c.title} | {seconds(m['sitk'])} | {seconds(m['reading'])} | {seconds(m['files'])} | {m['files'] / m['sitk']:.2f} | {' | '.join(cells)} |")  # fmt: skip

        if peers:
            print("\nCompared features that are equal to 1e-6:\n")
            print("| case | " + " | ".join(peers) + " |\n| --- |" + " --- |" * len(peers))
            for c in todo:
                cells = [agreement(mine[c.name]["values"], a["values"]) if "values" in (a := theirs[p].get(c.name, {})) else "–" for p in peers]  # fmt: skip
                print(f"| {c.title} | {' | '.join(cells)} |")

        print("\nPeak memory of the extraction above image and mask, in cropped volumes of float64:\n")
        for c in todo:
            if c.box > 100000 and len(c.labels) == 1:
                print(f"- {c.title}: {memory_of(c):.1f}")
        if "labels24" in mine and "labels1" in mine:
            print(
                f"\n24 labels take {mine['labels24']['memory'] / mine['labels1']['memory']:.2f} times one label of the same voxels."
            )
        print("\nWall-clock seconds by threads:\n")
        for c in todo:
            if c.box > 100000:
                print(with_threads(c, arguments.repeat))
        if not arguments.cases:
            print("\nMany cases from files (`extract_batch`); seconds are of the threads:\n")
            print(throughput(folder))
    print(f"\nPeak memory of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.1f} GB")


if __name__ == "__main__":
    main()
