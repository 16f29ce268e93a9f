# SPDX-License-Identifier: Apache-2.0
# Made by `make stubs`; not to be edited.
"""
The C++ core of Vesalius. Use the package `vesalius`; this module is how it is made.
"""
from __future__ import annotations
from . import core
from . import io
from . import image
from . import store
from . import radiomics
from . import segmentation
from . import outcome
from . import explain
__all__: list[str] = ['core', 'explain', 'image', 'io', 'outcome', 'radiomics', 'segmentation', 'store', 'torch_version']
__version__: str
torch_version: str
