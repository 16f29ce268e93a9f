# SPDX-License-Identifier: Apache-2.0
"""Importing the installed package: in any order with its peers, light, and with clear words where torch doesn't fit."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import vesalius


def run(code: str, *, path: Path | None = None) -> subprocess.CompletedProcess:
    environment = dict(os.environ)
    if path is not None:
        environment["PYTHONPATH"] = os.pathsep.join([str(path), environment.get("PYTHONPATH", "")])
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120)


WORK = """
import numpy as np, os, tempfile, h5py, nibabel, SimpleITK as sitk, vesalius as vs
folder = tempfile.mkdtemp()
voxels = np.arange(120, dtype=np.int16).reshape(4, 5, 6)
sitk.WriteImage(sitk.GetImageFromArray(voxels), folder + "/image.nii.gz")
assert (vs.read_image(folder + "/image.nii.gz").numpy() == voxels).all()
vs.write_image(vs.Image.from_numpy(voxels, spacing=(3, 2, 1)), folder + "/ours.nii.gz")
assert (sitk.GetArrayFromImage(sitk.ReadImage(folder + "/ours.nii.gz")) == voxels).all()
assert nibabel.load(folder + "/ours.nii.gz").header.get_zooms() == (1, 2, 3)
with h5py.File(folder + "/a.h5", "w") as file:
    file["voxels"] = voxels
with vs.Study(folder + "/study.h5", mode="w") as study:
    study.add("a", image=vs.Image.from_numpy(voxels))
with h5py.File(folder + "/study.h5") as file:
    assert len(file) > 0
try:
    vs.read_image(folder + "/none.nii")
except OSError:
    pass
else:
    raise AssertionError("no error for a missing file")
print("done")
"""


@pytest.mark.parametrize(
    "order",
    [
        "torch, vesalius, SimpleITK, h5py, nibabel",
        "vesalius, torch, h5py, SimpleITK",
        "SimpleITK, h5py, nibabel, vesalius",
        "h5py, vesalius, SimpleITK",
        "SimpleITK, torch, h5py, vesalius",
        "sklearn.linear_model, vesalius, SimpleITK",
    ],
)
def test_any_import_order_works(order):
    """Mechanics: two copies of ITK and HDF5 in one process keep to themselves, up to the exit of the process."""
    result = run(f"import {order}\n{WORK}")
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip().endswith("done")


def test_import_needs_torch_and_numpy_only():
    """Mechanics: pandas and the like are imported when first needed."""
    result = run(
        "import sys, vesalius; print([name for name in "
        "('pandas', 'sklearn', 'matplotlib', 'scipy', 'SimpleITK', 'h5py', 'nibabel', 'tqdm') if name in sys.modules])"
    )
    assert result.returncode == 0, result.stderr
    # What torch itself brings (tqdm, by its version) doesn't count.
    extra = run(
        "import sys, torch, numpy; print([n for n in ('pandas', 'sklearn', 'scipy', 'tqdm') if n in sys.modules])"
    )
    assert set(eval(result.stdout)) <= set(eval(extra.stdout))


def test_another_torch_is_named_with_what_to_do(tmp_path):
    """Mechanics: a torch of another minor version, played by a module of that name."""
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text(
        "__version__ = '2.99.1+cpu'\nclass version: cuda = None\nclass Tensor: pass\n"
    )
    result = run("import vesalius", path=tmp_path)
    assert result.returncode == 1
    built = ".".join(torch.__version__.split(".")[:2])
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: ")
    assert f"built for torch {built}" in last and "torch 2.99.1" in last
    assert f"pip install 'torch=={built}.*'" in last and "--no-build-isolation" in last


def test_missing_torch_is_named():
    """Mechanics."""
    result = run("import sys; sys.modules['torch'] = None; import vesalius")
    assert result.returncode == 1
    assert "ImportError: Vesalius runs on PyTorch" in result.stderr and "pip install torch" in result.stderr


def test_sources_without_the_extension_say_so(tmp_path):
    """Mechanics: Python found python/vesalius before the installed package."""
    package = tmp_path / "vesalius"
    package.mkdir()
    for file in Path(vesalius.__file__).parent.glob("*.py"):
        (package / file.name).write_text(file.read_text())
    result = run(
        "import sys; sys.meta_path[:] = [f for f in sys.meta_path if 'Editable' not in repr(f)]; import vesalius",
        path=tmp_path,
    )
    assert result.returncode == 1
    assert "compiled part of Vesalius is not in" in result.stderr and "make" in result.stderr


def test_prefix_holds_what_cmake_needs():
    """Mechanics."""
    prefix = Path(vesalius.cmake_prefix_path)
    assert (prefix / "lib/cmake/vesalius/vesaliusConfig.cmake").is_file()
    assert (prefix / "lib/libvesalius.so").is_file()
    assert (prefix / "include/vesalius/core/image.h").is_file()
