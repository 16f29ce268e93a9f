# SPDX-License-Identifier: Apache-2.0
"""What the installed headers include. (That each compiles alone is checked by the C++ target header_checks.)"""

import re
from pathlib import Path

import pytest

import vesalius

INCLUDE = Path(vesalius.cmake_prefix_path) / "include"
HEADERS = sorted(INCLUDE.glob("vesalius/**/*.h"))
# Umbrella headers that cost seconds in every file (build facts: 6 to 22 s), and libraries that a consumer needn't have.
FORBIDDEN = re.compile(
    r"^(torch/torch\.h|torch/extension\.h|torch/all\.h|ATen/ATen\.h|itk|gdcm|hdf5|H5|xtensor|xtl/|yaml-cpp|nlohmann|pybind11|Python\.h)"
)


def test_headers_are_installed():
    """Mechanics: or the others would pass on nothing."""
    names = {str(header.relative_to(INCLUDE)) for header in HEADERS}
    assert {"vesalius/core/image.h", "vesalius/core/version.h", "vesalius/core/error.h"} <= names


@pytest.mark.parametrize("header", HEADERS, ids=lambda header: str(header.relative_to(INCLUDE)))
def test_header_includes(header):
    """Mechanics: of torch by name only, no ITK, HDF5, xtensor or JSON; kernel headers (detail/) may use xtensor."""
    text = header.read_text()
    assert text.startswith("// SPDX-License-Identifier: Apache-2.0\n#pragma once")
    included = re.findall(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', text, re.MULTILINE)
    bad = [name for name in included if FORBIDDEN.match(name)]
    if "detail" in header.parts:
        bad = [name for name in bad if not name.startswith("xtensor")]
    assert not bad
    for name in included:
        if name.startswith("vesalius/"):
            assert (INCLUDE / name).is_file(), f"{name} isn't installed"
