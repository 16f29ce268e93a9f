# SPDX-License-Identifier: Apache-2.0
"""Run by .ci/wheel-check inside the bare root: torch, numpy and the wheel, nothing else."""

import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path

for library in ("hdf5", "hdf5_serial", "ITKCommon-5.2", "gdcmMSFF", "yaml-cpp", "tiff", "curl"):
    listed = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True).stdout
    assert f"lib{library}" not in listed, f"lib{library} is installed here: nothing would be shown"
for module in ("SimpleITK", "h5py", "nibabel", "pandas", "sklearn"):
    assert importlib.util.find_spec(module) is None, f"{module} is installed here"

import numpy as np
import torch

import vesalius as vs

rng = np.random.default_rng(1)
voxels = rng.normal(100, 20, (12, 16, 18)).astype(np.float32)
labels = np.zeros(voxels.shape, np.uint8)
labels[3:9, 4:12, 5:14] = 1
where = {"spacing": (2.0, 1.0, 1.5), "origin": (-3.0, 4.0, 5.0)}
folder = Path(tempfile.mkdtemp())
for suffix in (".nii.gz", ".nrrd", ".mha"):
    vs.write_image(vs.Image.from_numpy(voxels, **where), str(folder / f"image{suffix}"))
    vs.write_mask(vs.Mask.from_numpy(labels, **where), str(folder / f"mask{suffix}"))
    image = vs.read_image(str(folder / f"image{suffix}"))
    mask = vs.read_mask(str(folder / f"mask{suffix}"), like=image)
    assert np.array_equal(image.numpy(), voxels) and np.array_equal(mask.numpy(), labels)
print("io: NIfTI, NRRD, MetaImage written and read back")

series = next(iter(sorted(Path("/data/io/samples/codecs").glob("*jp2k*.dcm"))))
assert vs.read_image(str(series), on_problem="warn").tensor.numel() > 0
print(f"io: {series.name} decoded by GDCM")

features = vs.radiomics.extract(image, mask, vs.radiomics.Settings(bin_width=10))
inside = voxels[labels == 1].astype(np.float64)
assert abs(features["stat_mean"] - inside.mean()) < 1e-4, "IBSI Q4LE"
print(f"radiomics: {len(features)} features, stat_mean {features['stat_mean']:.4f}")

try:
    vs.read_image(str(folder / "none.nii.gz"))
except vs.IoError as error:
    assert "none.nii.gz" in str(error)
else:
    raise AssertionError("a missing file gave no error")

with vs.Study(str(folder / "study.h5"), mode="w") as study:
    study.add("patient-01", image=image, mask=mask, outcome={"time": 412, "event": True})
with vs.Study(str(folder / "study.h5"), mode="r") as study:
    assert list(study.subjects) == ["patient-01"]
    assert torch.equal(study.image("patient-01").tensor, image.tensor)
print("store: a study written and read back")

maps = Path("/proc/self/maps").read_text()
system = sorted(
    {line.split()[-1] for line in maps.splitlines() if any(k in line for k in ("ITK", "hdf5", "gdcm", "yaml"))}
)
assert all(path.startswith("/site/vesalius.libs/") for path in system), system
print(f"libraries: {len(system)} of ITK, HDF5, GDCM and yaml-cpp, all from the wheel")
print(f"wheel-check: passed with Python {sys.version.split()[0]}, torch {torch.__version__}, Vesalius {vs.__version__}")
