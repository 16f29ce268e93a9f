# SPDX-License-Identifier: Apache-2.0
"""Vesalius: segmentation, radiomics and outcome prediction on LibTorch tensors.

>>> import vesalius as vs
>>> image = vs.read_image("ct.nii.gz")
>>> mask = vs.read_mask("tumour.nii.gz", like=image)
>>> features = vs.radiomics.extract(image, mask, vs.radiomics.Settings(bin_width=25))
"""

from __future__ import annotations

from pathlib import Path as _Path

from ._compat import load as _load

_load()

from ._vesalius import __version__  # noqa: E402
from ._vesalius.core import Geometry, Image, Mask, cuda_status  # noqa: E402
from .errors import (  # noqa: E402
    Cancelled,
    ConvergenceError,
    Error,
    FormatError,
    GeometryError,
    InvalidArgument,
    IoError,
    NotSupported,
    ShapeError,
    TypeMismatch,
)

#: For CMake: -DCMAKE_PREFIX_PATH=$(python -c "import vesalius; print(vesalius.cmake_prefix_path)")
cmake_prefix_path = str(_Path(__file__).resolve().parent)
