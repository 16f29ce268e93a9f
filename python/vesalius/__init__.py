# SPDX-License-Identifier: Apache-2.0
"""Vesalius: segmentation, radiomics and outcome prediction on LibTorch tensors.

>>> import vesalius as vs
>>> image = vs.read_image("ct.nii.gz")
>>> mask = vs.read_mask("tumour.nii.gz", like=image)
>>> features = vs.radiomics.extract(image, mask, vs.radiomics.Settings(bin_width=25))
"""

from __future__ import annotations

import sys as _sys
from importlib import import_module as _import_module
from pathlib import Path as _Path
from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

from ._compat import load as _load

_load()

from ._vesalius import __file__ as _vesalius_file  # noqa: E402
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
cmake_prefix_path = str(_Path(_vesalius_file).resolve().parent)

if _TYPE_CHECKING:
    from . import explain, image, io, outcome, plot, radiomics, report, segmentation, store
    from .io import read_image, read_mask, write_image, write_mask
    from .store import Study

_MODULES = {"explain", "image", "io", "outcome", "plot", "radiomics", "report", "segmentation", "store"}
_NAMES = {"read_image": "io", "read_mask": "io", "write_image": "io", "write_mask": "io", "Study": "store"}


def __getattr__(name: str) -> _Any:
    """Modules are imported when first used: `import vesalius` costs no pandas, scikit-learn or matplotlib."""
    if name in _MODULES:
        return _import_module(f".{name}", __name__)
    if name in _NAMES:
        return getattr(_import_module(f".{_NAMES[name]}", __name__), name)
    # `name` and `obj` let Python add "Did you mean"
    raise AttributeError(f"module 'vesalius' has no attribute {name!r}", name=name, obj=_sys.modules[__name__])


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES, *_NAMES})
